"""What refers to something else: ids of the right type, client ids where those are meant, names of the same body."""

from __future__ import annotations

from dataclasses import dataclass

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.instances import Instance
from tests.infrastructure.bicep.paths import at_path
from tests.infrastructure.bicep.roles import IDENTITY
from tests.infrastructure.bicep.values import Text, each_of, render

LEARNING, HUB = "Microsoft.MachineLearningServices/workspaces", "Microsoft.Devices/IotHubs"
INSIGHTS, LOGS = "Microsoft.Insights/components", "Microsoft.OperationalInsights/workspaces"


@dataclass(frozen=True)
class Reference:
    """A property that takes something of another resource: its id, its client id."""

    type: str  # empty: any
    path: str
    what: str
    of: str  # empty: any


REFERENCES = (
    Reference(LEARNING, "properties.storageAccount", "id", "Microsoft.Storage/storageAccounts"),
    Reference(LEARNING, "properties.keyVault", "id", "Microsoft.KeyVault/vaults"),
    Reference(LEARNING, "properties.applicationInsights", "id", INSIGHTS),
    Reference(LEARNING, "properties.containerRegistry", "id", "Microsoft.ContainerRegistry/registries"),
    Reference(LEARNING, "properties.primaryUserAssignedIdentity", "id", IDENTITY),
    Reference(INSIGHTS, "properties.WorkspaceResourceId", "id", LOGS),
    Reference("Microsoft.Web/sites", "properties.serverFarmId", "id", "Microsoft.Web/serverfarms"),
    Reference("Microsoft.Web/sites", "properties.keyVaultReferenceIdentity", "id", IDENTITY),
    Reference("Microsoft.Web/sites", "properties.siteConfig.acrUserManagedIdentityID", "properties.clientId", IDENTITY),
    Reference(HUB, "properties.routing.endpoints.storageContainers[].identity.userAssignedIdentity", "id", IDENTITY),
    Reference("Microsoft.Authorization/roleAssignments", "properties.principalId", "principalId", ""),
    Reference("", "identity.userAssignedIdentities.*", "id", IDENTITY),
)


@dataclass(frozen=True)
class Named:
    """Names that stand in a body and must be declared in it, or be built in."""

    type: str
    uses: tuple[str, ...]
    declared: tuple[str, ...]
    built_in: tuple[str, ...]


KINDS_OF_ENDPOINT = ("storageContainers", "eventHubs", "serviceBusQueues", "serviceBusTopics", "cosmosDBSqlContainers")
NAMED = (
    Named(
        HUB,
        ("properties.routing.routes[].endpointNames[]", "properties.routing.fallbackRoute.endpointNames[]"),
        tuple(f"properties.routing.endpoints.{kind}[].name" for kind in KINDS_OF_ENDPOINT),
        ("events",),
    ),
)


def check_references(instance: Instance) -> None:
    for resource in instance.file.deployed():
        if isinstance(resource, tree.Resource) and not resource.existing:
            kind = resource.target.partition("@")[0].lower()
            for reference in REFERENCES:
                if reference.type.lower() in ("", kind):
                    _check(instance, resource, reference)
            for named in NAMED:
                if named.type.lower() == kind:
                    _names(instance, resource, named)


def _check(instance: Instance, resource: tree.Resource, reference: Reference) -> None:
    body = instance.body(resource)
    for at, value in at_path(body, reference.path, resource.at):
        for one in each_of(value):
            origin = one.origin if isinstance(one, Text) else None
            if origin is None:
                if isinstance(one, Text) and len(one.parts) > 1 and not str(one.parts[0]).startswith("/"):
                    instance.report(at, "reference", f"'{reference.path}' takes an id and gets '{render(one)}'")
                continue
            right = origin.what.endswith(reference.what) and reference.of in ("", origin.type)
            if not right:
                wanted = f"the {reference.what}" + (f" of a {reference.of}" if reference.of else "")
                through = f", by {instance.called_at}" if instance.called_at else ""
                text = f"'{reference.path}' takes {wanted} and gets the {origin.what} of a {origin.type}{through}"
                instance.report(at, "reference", text)


def _names(instance: Instance, resource: tree.Resource, named: Named) -> None:
    body = instance.body(resource)
    declared = set(named.built_in)
    for path in named.declared:
        for _, value in at_path(body, path, resource.at):
            literals = [one.literal for one in each_of(value) if isinstance(one, Text)]
            if None in literals or not literals:
                return  # one of the names is not known before it is deployed
            declared |= {each for each in literals if each}
    for path in named.uses:
        for at, value in at_path(body, path, resource.at):
            for one in each_of(value):
                if isinstance(one, Text) and one.literal is not None and one.literal not in declared:
                    text = f"'{one.literal}' is declared nowhere here; there are {', '.join(sorted(declared))}"
                    instance.report(one.at or at, "reference", text)
