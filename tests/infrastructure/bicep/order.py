"""The order of a deployment: roles before what acts by them, and nothing taken to exist before it is made."""

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
    _roles_first(instance, made, needs)
    _named_after_made(instance, made, needs)
    for each in made:
        _said_twice(instance, each)


def _roles_first(instance: Instance, made: list[tree.Deployed], needs: dict[str, set[str]]) -> None:
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
                if _together(user.name, name, needs):
                    text = f"'{user.name}' acts as an identity that '{name}' gives roles to: dependsOn: [{name}]"
                    instance.report(user.at, "order", text)


def _named_after_made(instance: Instance, made: list[tree.Deployed], needs: dict[str, set[str]]) -> None:
    """What is `existing` to one module and made by another must have been made before."""
    keys = {each.name: _keys(instance, each) for each in made}
    for reader in made:
        for maker in made:
            shared = keys[reader.name][1] & keys[maker.name][0]
            if shared and reader is not maker and _together(reader.name, maker.name, needs):
                what = f"{min(shared)} to exist, which '{maker.name}' makes"
                text = f"'{reader.name}' takes {what}: dependsOn: [{maker.name}]"
                instance.report(reader.at, "order", text)


def _keys(instance: Instance, deployed: tree.Deployed) -> tuple[set[str], set[str]]:
    """Of the resources that it makes and of those that it takes to exist."""
    if isinstance(deployed, tree.Resource):
        key = {instance.key(deployed)}
        return (set(), key) if deployed.existing else (key, set())
    child = instance.child(deployed) if isinstance(deployed, tree.Module) else None
    makes: set[str] = set()
    takes: set[str] = set()
    for each in child.file.deployed() if child else ():
        made, taken = _keys(child, each) if child else (set(), set())
        makes |= made
        takes |= taken
    return makes, takes - makes


def _together(one: str, other: str, needs: dict[str, set[str]]) -> bool:
    """Neither waits for the other."""
    return other not in _all(one, needs) and one not in _all(other, needs)


def _said_twice(instance: Instance, deployed: tree.Deployed) -> None:
    """dependsOn names only what the body does not name anyway."""
    waits = deployed.body.get("dependsOn")
    if waits is None:
        return
    others = tuple(each for each in deployed.body.properties if each is not waits)
    named = closure(instance.file, tree.Object(deployed.at, others))
    for name in sorted(closure(instance.file, waits.value) & named):
        instance.report(waits.at, "order", f"'{deployed.name}' names '{name}' itself and so waits for it")


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
