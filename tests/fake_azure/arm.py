"""Resource manager, as both generations need it: tenants, subscriptions, the group, the workspace, operations."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tests.fake_azure.messages import Answer, Json, Refused, Reply, Request, arm_error
from tests.fake_azure.routes import WS, Routes
from tests.fake_azure.state import State

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("arm")
GROUP = WS.partition(r"/providers/")[0]
SUB = WS.partition("/resourceGroups/")[0]


@ROUTES.route("GET", r"/metadata/endpoints", audience=None)
def clouds(azure: FakeAzure, request: Request) -> Answer:
    """Which hosts Azure's public cloud has; SDKs ask when they are imported, before any login."""
    login = {"loginEndpoint": "https://login.microsoftonline.com/", "tenant": "common", "identityProvider": "AAD"}
    audiences = ["https://management.core.windows.net/", "https://management.azure.com/"]
    suffixes = {"storage": "core.windows.net", "keyVaultDns": "vault.azure.net", "acrLoginServer": "azurecr.io"}
    public = {
        "name": "AzureCloud",
        "portal": "https://portal.azure.com",
        "authentication": {**login, "audiences": audiences},
        "resourceManager": "https://management.azure.com/",
        "graph": "https://graph.windows.net/",
        "graphAudience": "https://graph.windows.net/",
        "microsoftGraphResourceId": "https://graph.microsoft.com/",
        "batch": "https://batch.core.windows.net/",
        "gallery": "https://gallery.azure.com/",
        "sqlManagement": "https://management.core.windows.net:8443/",
        "suffixes": {**suffixes, "sqlServerHostname": "database.windows.net"},
    }
    return [public]


@ROUTES.route("GET", r"/tenants")
def tenants(azure: FakeAzure, request: Request) -> Answer:
    tenant = azure.state.tenant
    return {"value": [{"id": f"/tenants/{tenant}", "tenantId": tenant, "displayName": "Fake", "countryCode": "NL"}]}


@ROUTES.route("GET", r"/subscriptions")
def subscriptions(azure: FakeAzure, request: Request) -> Answer:
    return {"value": [_subscription(azure.state)]}


@ROUTES.route("GET", SUB)
def subscription(azure: FakeAzure, request: Request) -> Answer:
    return _subscription(azure.state)


@ROUTES.route("GET", SUB + r"/providers/(?P<provider>[^/]+)")
def provider(azure: FakeAzure, request: Request, provider: str) -> Answer:
    return {"namespace": provider, "registrationState": "Registered", "resourceTypes": []}


@ROUTES.route("GET|HEAD", GROUP)
def group(azure: FakeAzure, request: Request) -> Answer:
    state = azure.state
    if request.method == "HEAD":
        return None
    body = {"id": state.group_path, "name": state.resource_group, "type": "Microsoft.Resources/resourceGroups"}
    return {**body, "location": state.location, "properties": {"provisioningState": "Succeeded"}}


@ROUTES.route("GET", GROUP + r"/providers/Microsoft\.MachineLearningServices/workspaces")
def workspaces(azure: FakeAzure, request: Request) -> Answer:
    return {"value": [workspace_body(azure.state)]}


@ROUTES.route("GET", WS)
def workspace(azure: FakeAzure, request: Request) -> Answer:
    return workspace_body(azure.state)


@ROUTES.route("GET", GROUP + r"/providers/Microsoft\.Storage/storageAccounts/(?P<name>[^/]+)")
def storage_account(azure: FakeAzure, request: Request, name: str) -> Answer:
    if name not in azure.state.accounts:
        raise arm_error(
            404, "ResourceNotFound", f"The Resource 'Microsoft.Storage/storageAccounts/{name}' was not found."
        )
    blob = {"blob": f"https://{name}.blob.core.windows.net/"}
    properties = {"primaryEndpoints": blob, "allowSharedKeyAccess": False, "provisioningState": "Succeeded"}
    where = f"{azure.state.group_path}/providers/Microsoft.Storage/storageAccounts/{name}"
    kind = {"type": "Microsoft.Storage/storageAccounts", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    return {"id": where, "name": name, "location": azure.state.location, "properties": properties, **kind}


@ROUTES.route("POST", GROUP + r"/providers/Microsoft\.Storage/storageAccounts/[^/]+/listKeys")
@ROUTES.route("POST", WS + r"/listKeys")
def keys(azure: FakeAzure, request: Request) -> Answer:
    """Nobody here may read keys: identities are enough."""
    action = request.path.rpartition("/")[2]
    raise arm_error(
        403, "AuthorizationFailed", f"The client does not have authorization to perform action '{action}' over scope."
    )


@ROUTES.route(
    "GET",
    SUB + r"/providers/Microsoft\.MachineLearningServices/locations/[^/]+/mfeOperations(Status|Results)/(?P<id>[^/]+)",
)
def operation(azure: FakeAzure, request: Request, id: str) -> Answer:
    if id not in azure.state.operations:
        raise arm_error(404, "ResourceNotFound", f"no operation {id}")
    result = azure.state.operations[id]
    if isinstance(result, Refused):
        return {"id": request.path, "name": id, "status": "Failed", "error": result.reply.body["error"]}
    if "/mfeoperationsresults/" in request.path.lower():
        return result
    return {"id": request.path, "name": id, "status": "Succeeded", "properties": result}


def accepted(azure: FakeAzure, result: Any, status: int = 202, body: Any = None) -> Reply:
    """A long-running answer: the first poll says that it has succeeded; where `result` is `Refused`, that it failed."""
    id = str(uuid.uuid4())
    azure.state.operations[id] = result
    state = azure.state
    place = (
        f"/subscriptions/{state.subscription}/providers/Microsoft.MachineLearningServices/locations/{state.location}"
    )
    root = f"https://management.azure.com{place}"
    headers = {
        "Azure-AsyncOperation": f"{root}/mfeOperationsStatus/{id}?api-version=2024-04-01",
        "Location": f"{root}/mfeOperationsResults/{id}?api-version=2024-04-01",
        "Retry-After": "0",
    }
    return Reply(status, body, headers)


def _subscription(state: State) -> Json:
    policies = {"locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off"}
    return {
        "id": f"/subscriptions/{state.subscription}",
        "subscriptionId": state.subscription,
        "tenantId": state.tenant,
        "displayName": "Fake subscription",
        "state": "Enabled",
        "subscriptionPolicies": policies,
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
    }


def workspace_body(state: State) -> Json:
    """The workspace as both SDKs read it."""
    api = f"https://{state.location}.api.azureml.ms"
    providers = f"{state.group_path}/providers"
    return {
        "id": state.arm_path,
        "name": state.workspace,
        "type": "Microsoft.MachineLearningServices/workspaces",
        "location": state.location,
        "tags": {},
        "etag": None,
        "sku": {"name": "Basic", "tier": "Basic"},
        "kind": "Default",
        "identity": {"type": "SystemAssigned", "principalId": str(uuid.uuid4()), "tenantId": state.tenant},
        "properties": {
            "friendlyName": state.workspace,
            "description": "",
            "workspaceId": state.workspace_id,
            "storageAccount": f"{providers}/Microsoft.Storage/storageAccounts/{state.account}",
            "keyVault": f"{providers}/Microsoft.KeyVault/vaults/cva-kv",
            "applicationInsights": f"{providers}/Microsoft.insights/components/cva-ai",
            "containerRegistry": f"{providers}/Microsoft.ContainerRegistry/registries/cvaacr",
            "hbiWorkspace": False,
            "tenantId": state.tenant,
            "discoveryUrl": f"{api}/discovery",
            "mlFlowTrackingUri": f"azureml://{state.location}.api.azureml.ms/mlflow/v1.0{state.arm_path}",
            "notebookInfo": None,
            "storageHnsEnabled": False,
            "publicNetworkAccess": "Enabled",
            "v1LegacyMode": False,
            "systemDatastoresAuthMode": "identity",
            "provisioningState": "Succeeded",
            "creationTime": "2026-01-05T09:00:00Z",
        },
    }
