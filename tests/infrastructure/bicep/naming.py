"""Names that Azure takes: lengths, characters, unique in the world where they must be, none given twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.finding import Place
from tests.infrastructure.bicep.instances import Instance, Program
from tests.infrastructure.bicep.shapes import Fit
from tests.infrastructure.bicep.symbols import closure
from tests.infrastructure.bicep.values import Text, each_of, render


@dataclass(frozen=True)
class Naming:
    """As Azure's page of naming rules has it; the type definitions hold only some of this."""

    low: int
    high: int
    characters: str
    unique: bool = False


HYPHENS = "A-Za-z0-9-"
NAMES = {
    "Microsoft.Storage/storageAccounts": Naming(3, 24, "a-z0-9", True),
    "Microsoft.Storage/storageAccounts/blobServices/containers": Naming(3, 63, "a-z0-9$-"),
    "Microsoft.KeyVault/vaults": Naming(3, 24, HYPHENS, True),
    "Microsoft.ContainerRegistry/registries": Naming(5, 50, "A-Za-z0-9", True),
    "Microsoft.Web/sites": Naming(2, 60, HYPHENS, True),
    "Microsoft.Web/serverfarms": Naming(1, 60, HYPHENS),
    "Microsoft.Devices/IotHubs": Naming(3, 50, HYPHENS, True),
    "Microsoft.Search/searchServices": Naming(2, 60, "a-z0-9-", True),
    "Microsoft.MachineLearningServices/workspaces": Naming(3, 33, "A-Za-z0-9_-"),
    "Microsoft.MachineLearningServices/workspaces/computes": Naming(3, 24, HYPHENS),
    "Microsoft.MachineLearningServices/workspaces/datastores": Naming(1, 255, "A-Za-z0-9_"),
    "Microsoft.ManagedIdentity/userAssignedIdentities": Naming(3, 128, "A-Za-z0-9_-"),
    "Microsoft.OperationalInsights/workspaces": Naming(4, 63, HYPHENS),
    "Microsoft.Insights/components": Naming(1, 260, r"^%&\\?/"),  # any but these
}
RULES = {name.lower(): rule for name, rule in NAMES.items()}


def check_names(instance: Instance) -> None:
    for deployed in instance.file.deployed():
        rule = RULES.get(deployed.target.partition("@")[0].lower())
        for name in each_of(instance.name_of(deployed)):
            if isinstance(name, Text):
                _whose(instance, deployed, name)
                if rule:
                    _follows(instance, deployed, name, rule)
        if deployed.loop and not deployed.existing:
            _names_its_round(instance, deployed, deployed.loop)


def _whose(instance: Instance, deployed: tree.Deployed, name: Text) -> None:
    """Not an id or an address of something."""
    origin = name.origin
    if origin and not origin.what.endswith("name"):
        text = f"'{deployed.name}' is named by the {origin.what} of a {origin.type}"
        instance.report(instance.called_at or deployed.at, "wrong-name", text)


def _follows(instance: Instance, deployed: tree.Deployed, name: Text, rule: Naming) -> None:
    at, what, fit = name.at or deployed.at, f"name of {deployed.name}", Fit(instance.report)
    fit.length(name, rule.low, rule.high, at, what)
    fit.characters(name, rule.characters, at, what)
    if rule.unique and not deployed.existing and not _unique(name):
        instance.report(at, "not-unique", f"'{render(name)}' must be unique in the world: uniqueString belongs in it")


def _unique(name: Text) -> bool:
    """Made so, or wholly what a person gives."""
    return any(each.unique for each in name.pieces) or (len(name.parts) == 1 and bool(name.pieces))


def _names_its_round(instance: Instance, deployed: tree.Deployed, loop: tree.Loop) -> None:
    held = deployed.body.get("name")
    if held and not closure(instance.file, held.value) & {loop.item, loop.index}:
        text = f"every round of the loop has the name '{render(instance.name_of(deployed))}'"
        instance.report(held.at, "duplicate-name", text)


def check_twice(program: Program) -> None:
    """No two resources and no two deployments of one scope have one name."""
    found: dict[str, list[tuple[Instance, tree.Deployed]]] = {}
    for instance in program.deployed():
        for deployed in instance.file.deployed():
            if not deployed.existing:
                found.setdefault(_key(instance, deployed), []).append((instance, deployed))
    for key, same in found.items():
        if len(same) > 1 and any(deployed.condition is None for _, deployed in same):
            for instance, deployed in same:
                for at in _places(instance, deployed):
                    instance.report(at, "duplicate-name", f"{key} is deployed {len(same)} times")


def check_existing(program: Program) -> None:
    """A resource that is there already does not have the name of one of another type alone."""
    made: dict[str, set[str]] = {}
    for instance, resource, kind in _resources(program):
        if not resource.existing:
            made.setdefault(render(instance.name_of(resource)), set()).add(kind)
    for instance, resource, kind in _resources(program):
        others = made.get(render(instance.name_of(resource)), {kind})
        if resource.existing and kind.count("/") == 1 and kind not in others:
            text = f"'{resource.name}' has the name of a {' and a '.join(sorted(others))} and is a {kind}"
            instance.report(instance.called_at or resource.at, "wrong-name", text)


def _resources(program: Program) -> Iterator[tuple[Instance, tree.Resource, str]]:
    for instance in program.deployed():
        for each in instance.file.deployed():
            if isinstance(each, tree.Resource):
                yield instance, each, each.target.partition("@")[0].lower()


def _key(instance: Instance, deployed: tree.Deployed) -> str:
    if isinstance(deployed, tree.Resource):
        return instance.key(deployed)
    scope = deployed.body.get("scope")
    where = f" in {render(instance.evaluate(scope.value, instance.local(deployed)))}" if scope else ""
    return f"the deployment '{render(instance.name_of(deployed))}'{where}"


def _places(instance: Instance, deployed: tree.Deployed) -> Iterator[Place]:
    name = instance.name_of(deployed)
    for one in each_of(name):
        yield one.at or deployed.at
