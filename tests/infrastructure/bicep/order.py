"""An identity has its roles before something acts as it: Azure checks them when that is made."""

from __future__ import annotations

from collections.abc import Iterator

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.instances import Instance
from tests.infrastructure.bicep.roles import IDENTITY, is_assignment
from tests.infrastructure.bicep.symbols import closure
from tests.infrastructure.bicep.values import Fields, Items, Origin, Text, Value, each_of


def check_order(instance: Instance) -> None:
    made = [each for each in instance.file.deployed() if not each.existing]
    needs = {each.name: _needs(instance, each) for each in made}
    givers: dict[str, list[str]] = {}
    users: dict[str, list[tree.Deployed]] = {}
    for each in made:
        for origin in _origins(instance.body(each)):
            if origin.type != IDENTITY:
                continue
            if origin.what.endswith("principalId") and _gives_roles(instance, each):
                givers.setdefault(origin.key, []).append(each.name)
            elif origin.what == "id":
                users.setdefault(origin.key, []).append(each)
    for key, names in givers.items():
        for user in users.get(key, []):
            for name in names:
                if name not in _all(user.name, needs) and user.name not in _all(name, needs):
                    text = f"'{user.name}' acts as an identity that '{name}' gives roles to: dependsOn: [{name}]"
                    instance.report(user.at, "order", text)


def _needs(instance: Instance, deployed: tree.Deployed) -> set[str]:
    found = {name for each in deployed.expressions() for name in closure(instance.file, each)}
    return found & {each.name for each in instance.file.deployed()}


def _all(name: str, needs: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = set(needs.get(name, ()))
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo |= needs.get(one, set())
    return found


def _gives_roles(instance: Instance, deployed: tree.Deployed) -> bool:
    if isinstance(deployed, tree.Module):
        child = instance.child(deployed)
        return child is not None and any(_gives_roles(child, each) for each in child.file.deployed())
    return is_assignment(deployed)


def _origins(value: Value) -> Iterator[Origin]:
    for one in each_of(value):
        if isinstance(one, Text):
            yield from (piece.origin for piece in one.pieces if piece.origin)
        elif isinstance(one, Items):
            for item in one.items:
                yield from _origins(item)
        elif isinstance(one, Fields):
            for held in one.held:
                yield from _origins(held.value)
