"""What must be known before the deployment starts, what exists only on a condition, and where a file is deployed to."""

from __future__ import annotations

from collections.abc import Iterator

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.azure_types import UnknownTypeError
from tests.infrastructure.bicep.instances import Instance
from tests.infrastructure.bicep.symbols import expressions, roots

AT_START = ("id", "name", "type", "apiVersion")
SCOPES = {"tenant": 1, "managementGroup": 2, "subscription": 4, "resourceGroup": 8}


def check_runtime(instance: Instance) -> None:
    if instance.caller is not None:
        return  # these depend on the text of the file alone
    for deployed in instance.file.deployed():
        names = deployed.body.get("name"), deployed.body.get("scope"), deployed.body.get("parent")
        early = [(held.name or "", held.value) for held in names if held]
        early += [("condition", deployed.condition)] if deployed.condition else []
        early += [("loop", deployed.loop.source)] if deployed.loop else []
        for what, expression in early:
            for late in _late(instance, expression):
                text = f"the {what} of '{deployed.name}' must be known at the start, and {late} is not"
                instance.report(expression.at, "known-late", text)
    for declaration, root in roots(instance.file):
        if getattr(declaration, "condition", None) is None:
            for name, at in _conditional(instance, root):
                text = f"'{name}' is deployed on a condition only: ask for it behind that condition"
                instance.report(at.at, "conditional", text)
    _scopes(instance)


def _late(instance: Instance, expression: tree.Expression) -> Iterator[str]:
    for each in expression.walk():
        if isinstance(each, tree.Name):
            variable = instance.declared.get(each.name)
            if isinstance(variable, tree.Variable):
                yield from _late(instance, variable.value)
        elif isinstance(each, tree.Member) and each.name not in AT_START:
            if named := _deployed(instance, each.object):
                yield f"{named.name}.{each.name}"
        elif isinstance(each, tree.Call) and each.object is not None and (named := _deployed(instance, each.object)):
            yield f"{named.name}.{each.name}()"


def _deployed(instance: Instance, expression: tree.Expression) -> tree.Deployed | None:
    inner = expression.object if isinstance(expression, tree.Index) else expression
    found = instance.declared.get(inner.name) if isinstance(inner, tree.Name) else None
    return found if isinstance(found, tree.Deployed) else None


def _conditional(instance: Instance, expression: tree.Expression) -> Iterator[tuple[str, tree.Expression]]:
    """Reads of something conditional; those within `a ? b : c`, `a ?? b` or `.?` are taken to be guarded."""
    if isinstance(expression, tree.Ternary) or (isinstance(expression, tree.Operation) and expression.operator == "??"):
        return
    if isinstance(expression, tree.Member) and not expression.safe:
        named = _deployed(instance, expression.object)
        if named and named.condition is not None and expression.name not in AT_START:
            yield named.name, expression
    for child in expression.children():
        yield from _conditional(instance, child)


def _scopes(instance: Instance) -> None:
    here = _target(instance.file)
    for each in expressions(instance.file) if here != "resourceGroup" else ():
        if isinstance(each, tree.Call) and each.name == "resourceGroup" and not each.arguments:
            instance.report(each.at, "scope", f"there is no resourceGroup() where targetScope is {here}")
    for deployed in instance.file.deployed():
        given = deployed.body.get("scope")
        call = given.value if given else None
        there = call.name if isinstance(call, tree.Call) and call.name in SCOPES else here if given is None else None
        if isinstance(deployed, tree.Module):
            file = instance.program.module_file(deployed)
            if file and there and _target(file) != there:
                text = f"{deployed.target} is for a {_target(file)} and is deployed to a {there}"
                instance.report(deployed.at, "scope", text)
        elif given is None and not deployed.body.get("parent"):
            _resource_scope(instance, deployed, here)


def _resource_scope(instance: Instance, resource: tree.Deployed, here: str) -> None:
    try:
        found = instance.program.library.resource(resource.target)
    except UnknownTypeError:
        return
    if found.scopes and not found.scopes & SCOPES.get(here, 0) and not resource.existing:
        instance.report(resource.at, "scope", f"a {found.name} can't be deployed to a {here}")


def _target(file: tree.File) -> str:
    return (file.target_scope.literal if file.target_scope else None) or "resourceGroup"
