"""Resources against Azure's types, and Bicep's own rules of parent, existing, scope and the parts of a name."""

from __future__ import annotations

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.azure_types import UnknownTypeError
from tests.infrastructure.bicep.instances import Instance
from tests.infrastructure.bicep.shapes import Fit
from tests.infrastructure.bicep.symbol import Symbol
from tests.infrastructure.bicep.values import Anything, Fields, Held, Text, Value, each_of

OF_BICEP = ("parent", "scope", "dependsOn")
OF_EXISTING = ("name", "parent", "scope")
EXTENSIONS = ("microsoft.authorization/", "microsoft.insights/diagnosticsettings")  # types that lie on any resource


def check_resources(instance: Instance) -> None:
    for declaration in instance.file.declarations:
        if isinstance(declaration, tree.Resource):
            _check(instance, declaration)


def _check(instance: Instance, resource: tree.Resource) -> None:
    try:
        found = instance.program.library.resource(resource.target)
    except UnknownTypeError as error:
        instance.report(resource.at, "unknown-type", str(error))
        return
    value = instance.body(resource)
    assert isinstance(value, Fields)
    _parent(instance, resource)
    _scope(instance, resource, value)
    body = tuple(_last_part(each) if each.name == "name" else each for each in value.held if each.name not in OF_BICEP)
    if resource.existing:
        _existing(instance, resource, value)
        slot, name = found.body.slots.get("name"), next((each for each in body if each.name == "name"), None)
        if slot and name:
            Fit(instance.report).value(name.value, slot.shape, name.at, "name")
        return
    if not found.scopes:
        instance.report(resource.at, "read-only", f"{found.name} can be read and not deployed")
    Fit(instance.report).fields(Fields(body, value.exact, at=resource.at), found.body, resource.at, "")


def _existing(instance: Instance, resource: tree.Resource, value: Fields) -> None:
    if value.get("name") is None:
        instance.report(resource.at, "missing", f"'{resource.name}' needs 'name'")
    for held in value.held:
        if held.name not in OF_EXISTING:
            instance.report(held.at, "existing", f"'{resource.name}' exists already: '{held.name}' can't be given")


def _last_part(held: Held) -> Held:
    """A name in parts, 'account/default', by its last one."""

    def last(value: Value) -> Value:
        if not isinstance(value, Text):
            return value
        for number in range(len(value.parts) - 1, -1, -1):
            part = value.parts[number]
            if isinstance(part, str) and "/" in part:
                rest = (part.rpartition("/")[2], *value.parts[number + 1 :])
                return Text(tuple(each for each in rest if each != ""), at=value.at)
        return value

    ones = [last(each) for each in each_of(held.value)]
    return Held(held.name, held.at, ones[0] if len(ones) == 1 else held.value)


def _parent(instance: Instance, resource: tree.Resource) -> None:
    """A child has a parent of the type above its own, or else a name in as many parts as its type."""
    kind = resource.target.partition("@")[0]
    above, _, _ = kind.rpartition("/")
    held = resource.body.get("parent")
    wanted = 0 if held else kind.count("/") - 1
    for name in each_of(instance.name_of(resource)):
        if isinstance(name, Text) and (held or name.literal is not None or not wanted):
            slashes = sum(part.count("/") for part in name.parts if isinstance(part, str))
            if slashes != wanted:
                hint = "" if held else f"; or parent: a {above}"
                text = f"{kind} needs a name in {wanted + 1} parts and has {slashes + 1}{hint}"
                instance.report(resource.at, "parent", text)
    if held is None:
        return
    value = instance.evaluate(held.value, instance.local(resource))
    if not (isinstance(value, Symbol) and isinstance(value.declaration, tree.Resource)):
        if not isinstance(value, Anything):
            instance.report(held.at, "parent", "parent must name a resource of this file")
        return
    given = value.declaration.target.partition("@")[0]
    if given.lower() != above.lower():
        instance.report(held.at, "parent", f"the parent of a {kind} is a {above} and not a {given}")


def _scope(instance: Instance, resource: tree.Resource, value: Fields) -> None:
    """Only what lies on other resources is scoped to one; a resource group is a scope of existing ones and modules."""
    held = value.get("scope")
    if held is None:
        return
    extension = resource.target.lower().startswith(EXTENSIONS)
    if isinstance(held.value, Symbol):
        if not isinstance(held.value.declaration, tree.Resource):
            instance.report(held.at, "scope", "a resource's scope is a resource or a resource group, not a module")
        elif not extension:
            instance.report(held.at, "scope", f"a {resource.target.partition('@')[0]} does not lie on another resource")
    elif isinstance(held.value, Fields):
        if not resource.existing:
            instance.report(held.at, "scope", "only a module is deployed to another scope than its file's")
    elif not isinstance(held.value, Anything):
        instance.report(held.at, "wrong-type", "scope must be a resource or a scope like resourceGroup('name')")
