"""Role assignments: a name of their own, a stated scope, the kind of principal, a role that means something there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.instances import Instance, Program
from tests.infrastructure.bicep.members import resource_member
from tests.infrastructure.bicep.paths import at_path
from tests.infrastructure.bicep.symbol import Symbol
from tests.infrastructure.bicep.symbols import roots
from tests.infrastructure.bicep.values import Text, Value, each_of, render

GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
ASSIGNMENT = "microsoft.authorization/roleassignments"
IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"


@dataclass(frozen=True)
class Role:
    """A built-in role; `on` is the provider that it has actions of, empty where it is any."""

    name: str
    on: str = ""
    gives_roles: bool = False


STORAGE, VAULT, REGISTRY, LEARNING = (
    "Microsoft.Storage/",
    "Microsoft.KeyVault/",
    "Microsoft.ContainerRegistry/",
    "Microsoft.MachineLearningServices/",
)
ROLES = {
    "b24988ac-6180-42a0-ab88-20f7382dd24c": Role("Contributor"),
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": Role("Reader"),
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": Role("Owner", "", True),
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": Role("User Access Administrator", "", True),
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": Role("Role Based Access Control Administrator", "", True),
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": Role("AcrPull", REGISTRY),
    "8311e382-0749-4cb8-b61a-304f252e45ec": Role("AcrPush", REGISTRY),
    "f6c7c914-8db3-469d-8ca1-694a8f32e121": Role("AzureML Data Scientist", LEARNING),
    "e503ece1-11d0-4e8e-8e2c-7a6c3bf38815": Role("AzureML Compute Operator", LEARNING),
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": Role("Storage Blob Data Owner", STORAGE),
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": Role("Storage Blob Data Contributor", STORAGE),
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": Role("Storage Blob Data Reader", STORAGE),
    "69566ab7-960f-475b-8e7c-b3118f30c6bd": Role("Storage File Data Privileged Contributor", STORAGE),
    "00482a5a-887f-4fb3-b363-3b7fe8e74483": Role("Key Vault Administrator", VAULT),
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": Role("Key Vault Secrets Officer", VAULT),
    "4633458b-17de-408a-b874-0445c86b69e6": Role("Key Vault Secrets User", VAULT),
}


def check_roles(instance: Instance) -> None:
    for declaration, root in roots(instance.file):
        if isinstance(declaration, tree.Variable) and isinstance(root, tree.String):
            _named_as_it_is(instance, declaration, root)
        if isinstance(declaration, tree.Resource) and root is declaration.body and is_assignment(declaration):
            _assignment(instance, declaration)


def is_assignment(declaration: tree.Declaration) -> bool:
    return isinstance(declaration, tree.Resource) and declaration.target.lower().startswith(ASSIGNMENT)


def _named_as_it_is(instance: Instance, variable: tree.Variable, value: tree.String) -> None:
    """A variable that holds a role's id says which role: acrPull, acrPullRoleId."""
    role = ROLES.get((value.literal or "").lower())
    if role and _letters(role.name) not in _letters(variable.name):
        instance.report(variable.at, "role-name", f"'{variable.name}' holds the id of the role {role.name}")


def _letters(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())


def _assignment(instance: Instance, resource: tree.Resource) -> None:
    held = resource.body.get("scope")
    scope = instance.evaluate(held.value, instance.local(resource)) if held else None
    if held is None:
        text = "without scope the role is given on all that the file is deployed to"
        instance.report(resource.at, "role-scope", text)
    principal, role = _principal(instance, resource), role_of(instance, resource)
    _own_name(instance, resource, principal, role, scope)
    if role is not None:
        _fits_there(instance, resource, role, scope)


def _principal(instance: Instance, resource: tree.Resource) -> Value | None:
    """Its object id; that its kind is said, and that it can be one."""
    body = instance.body(resource)
    if not list(at_path(body, "properties.principalType", resource.at)):
        text = "without principalType the assignment fails for an identity that was made a moment ago"
        instance.report(resource.at, "role-principal", text)
    principal = next((value for _, value in at_path(body, "properties.principalId", resource.at)), None)
    for one in each_of(principal) if principal else ():
        if isinstance(one, Text) and _is_no_id(one):
            instance.report(instance.called_at or resource.at, "role-principal", f"'{render(one)}' is no object id")
    return principal


def _is_no_id(value: Text) -> bool:
    if value.literal is not None:
        return not GUID.fullmatch(value.literal)
    return len(value.parts) > 1 or any(each.unique for each in value.pieces)


def role_of(instance: Instance, resource: tree.Resource) -> Value | None:
    """The id within subscriptionResourceId(…, role), or the whole expression."""
    inner = resource.body.get("properties")
    held = inner.value.get("roleDefinitionId") if inner and isinstance(inner.value, tree.Object) else None
    if held is None:
        return None
    expression = held.value
    if isinstance(expression, tree.Call) and expression.arguments:
        expression = expression.arguments[-1]
    return instance.evaluate(expression, instance.local(resource))


def _own_name(
    instance: Instance, resource: tree.Resource, principal: Value | None, role: Value | None, scope: Value | None
) -> None:
    """guid(scope, principal, role): the same when it is deployed again, and no other assignment's."""
    held = resource.body.get("name")
    call = held.value if held else None
    if isinstance(call, tree.Name) and isinstance(variable := instance.declared.get(call.name), tree.Variable):
        call = variable.value
    at = held.at if held else resource.at
    if not isinstance(call, tree.Call) or call.name != "guid":
        instance.report(at, "role-assignment-name", "an assignment's name is guid(scope, principal, role)")
        return
    local = instance.local(resource)
    given = [render(instance.evaluate(each, local)) for each in call.arguments]
    wanted = {"principal": principal, "role": role}
    if isinstance(scope, Symbol) and isinstance(scope.declaration, tree.Resource):
        names = render(resource_member(scope, "id", at)), render(scope.instance.name_of(scope.declaration))
        if not set(names) & set(given):
            instance.report(at, "role-assignment-name", "the guid does not depend on the scope")
    for what, value in wanted.items():
        if value is not None and render(value) not in given:
            instance.report(at, "role-assignment-name", f"the guid does not depend on the {what}")


def _fits_there(instance: Instance, resource: tree.Resource, role: Value, scope: Value | None) -> None:
    kind = scope.declaration.target.partition("@")[0] if isinstance(scope, Symbol) else ""
    for one in each_of(role):
        literal = one.literal.rpartition("/")[2].lower() if isinstance(one, Text) and one.literal else None
        if literal is None:
            continue
        place, known = one.at or resource.at, ROLES.get(literal)
        if known is None:
            instance.report(place, "role-unknown", f"'{literal}' is none of the built-in roles of roles.py")
        elif known.gives_roles:
            instance.report(place, "role-privileged", f"{known.name} may give rights to anybody")
        elif known.on and kind and not kind.lower().startswith(known.on.lower()):
            text = f"{known.name} gives nothing on a {kind} ({resource.at}); it is for {known.on.rstrip('/')}"
            instance.report(place, "role-misplaced", text)


def check_principals(program: Program) -> None:
    """A principal is of one kind wherever it is given a role; a managed identity is a ServicePrincipal."""
    kinds: dict[str, dict[str, Instance]] = {}
    for instance in program.deployed():
        for resource in (each for each in instance.file.deployed() if is_assignment(each)):
            body = instance.body(resource)
            kind = next((render(value) for _, value in at_path(body, "properties.principalType", resource.at)), None)
            for at, principal in at_path(body, "properties.principalId", resource.at):
                origin = principal.origin if isinstance(principal, Text) else None
                if origin and origin.what.endswith("principalId") and kind not in (None, "ServicePrincipal"):
                    instance.report(instance.called_at or at, "role-principal", f"an identity is no {kind}")
                if kind is not None:
                    kinds.setdefault(render(principal), {}).setdefault(kind, instance)
    for name, found in kinds.items():
        if len(found) > 1:
            for instance in found.values():
                text = f"{name} is called {' and '.join(found)} in assignments of one deployment"
                instance.report(instance.called_at or instance.file.declarations[0].at, "role-principal", text)
