"""Properties that go together: what one says, another must not contradict or leave out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.instances import Instance
from tests.infrastructure.bicep.paths import at_path
from tests.infrastructure.bicep.symbols import expressions
from tests.infrastructure.bicep.values import Text, Value, each_of, render

IDENTITIES = "identity.userAssignedIdentities"


@dataclass(frozen=True)
class Together:
    """Where `path` has the word `word`, `then` must be there, and be `value` if one is named; "-": it must not be."""

    type: str  # empty: any
    path: str
    word: str
    then: str
    value: str = ""


CONFIG = "properties.siteConfig"
SITE, LEARNING = "Microsoft.Web/sites", "Microsoft.MachineLearningServices/workspaces"
STORED = "properties.routing.endpoints.storageContainers[]"
RULES = (
    Together("", "identity.type", "UserAssigned", IDENTITIES),
    Together("", "identity.type", "SystemAssigned", IDENTITIES, "-"),
    Together("", "identity.type", "None", IDENTITIES, "-"),
    Together("Microsoft.Web/serverfarms", "kind", "linux", "properties.reserved", "true"),
    Together(SITE, "kind", "linux", f"{CONFIG}.linuxFxVersion"),
    Together(SITE, "identity.type", "UserAssigned", f"{CONFIG}.acrUserManagedIdentityID"),
    Together(SITE, f"{CONFIG}.acrUserManagedIdentityID", "", f"{CONFIG}.acrUseManagedIdentityCreds", "true"),
    Together(LEARNING, "identity.type", "UserAssigned", "properties.primaryUserAssignedIdentity"),
    Together("Microsoft.Devices/IotHubs", f"{STORED}.authenticationType", "identityBased", f"{STORED}.endpointUri"),
)


def check_together(instance: Instance) -> None:
    for resource in instance.file.deployed():
        if isinstance(resource, tree.Resource) and not resource.existing:
            for rule in RULES:
                if rule.type.lower() in ("", resource.target.partition("@")[0].lower()):
                    _rule(instance, resource, rule)
    for name, at in _system_identities(instance):
        named = instance.declared[name]
        assert isinstance(named, tree.Resource)
        said = list(_words(instance.body(named), "identity.type", named))
        if said and "SystemAssigned" not in said and not named.existing:
            text = f"'{name}' has no identity of its own to read a principalId of"
            instance.report(at.at, "together", text)


def _rule(instance: Instance, resource: tree.Resource, rule: Together) -> None:
    body = instance.body(resource)
    words = list(_words(body, rule.path, resource))
    found = list(at_path(body, rule.then, resource.at))
    if rule.value == "-":
        if words == [rule.word] and found:
            instance.report(found[0][0], "together", f"'{rule.then}' does not go with '{rule.path}' {rule.word}")
    elif (rule.word in words) if rule.word else list(at_path(body, rule.path, resource.at)):
        wrong = [at for at, value in found if rule.value and render(value) != rule.value]
        if wrong or not found:
            must = f"be {rule.value}" if rule.value else "be there"
            text = f"'{rule.then}' must {must} where '{rule.path}' is {rule.word or 'given'}"
            instance.report(wrong[0] if wrong else resource.at, "together", text)


def _words(body: Value, path: str, resource: tree.Resource) -> Iterator[str]:
    """'SystemAssigned, UserAssigned' and 'app,linux' are lists in a text."""
    for _, value in at_path(body, path, resource.at):
        for one in each_of(value):
            if isinstance(one, Text) and one.literal is not None:
                yield from (word.strip() for word in one.literal.split(","))


def _system_identities(instance: Instance) -> Iterator[tuple[str, tree.Expression]]:
    """Where `resource.identity.principalId` is read."""
    for each in expressions(instance.file):
        if isinstance(each, tree.Member) and each.name == "principalId" and isinstance(each.object, tree.Member):
            inner = each.object
            named = inner.object.name if isinstance(inner.object, tree.Name) else ""
            if inner.name == "identity" and isinstance(instance.declared.get(named), tree.Resource):
                yield named, each
