"""Resource manager's routes that both generations use: what they answer, and what nobody may do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from tests.fake_azure.arm import accepted
from tests.fake_azure.azure import FakeAzure

ARM = "https://management.azure.com"
Get = Callable[..., requests.Response]


@pytest.fixture
def ask(http: requests.Session, header: Callable[..., dict[str, str]]) -> Get:
    """A request with a token and an api-version that every provider here knows."""

    def send(method: str, path: str, **more: str) -> requests.Response:
        query = {"api-version": "2024-04-01", **more}
        return http.request(method, f"{ARM}{path}", params=query, headers=header())

    return send


def test_tenants_and_subscriptions(azure: FakeAzure, ask: Get) -> None:
    state = azure.state
    assert [each["tenantId"] for each in ask("GET", "/tenants").json()["value"]] == [state.tenant]
    (found,) = ask("GET", "/subscriptions").json()["value"]
    assert (found["subscriptionId"], found["tenantId"], found["state"]) == (state.subscription, state.tenant, "Enabled")
    assert ask("GET", f"/subscriptions/{state.subscription}").json() == found
    other = ask("GET", "/subscriptions/11111111-0000-4000-8000-000000000001")
    assert (other.status_code, other.json()["error"]["code"]) == (404, "SubscriptionNotFound")
    provider = ask("GET", f"/subscriptions/{state.subscription}/providers/Microsoft.MachineLearningServices").json()
    assert provider["registrationState"] == "Registered"


def test_the_group(azure: FakeAzure, ask: Get) -> None:
    assert ask("GET", azure.state.group_path).json()["name"] == azure.state.resource_group
    assert ask("HEAD", azure.state.group_path).status_code == 204
    other = ask("GET", azure.state.group_path + "x")
    assert (other.status_code, other.json()["error"]["code"]) == (404, "ResourceGroupNotFound")


def test_the_workspace_says_where_everything_is(azure: FakeAzure, ask: Get) -> None:
    state = azure.state
    found = ask("GET", state.arm_path).json()
    assert found["id"] == state.arm_path
    properties = found["properties"]
    assert properties["workspaceId"] == state.workspace_id
    assert properties["discoveryUrl"] == "https://westeurope.api.azureml.ms/discovery"
    assert properties["mlFlowTrackingUri"].endswith(f"/mlflow/v1.0{state.arm_path}")
    assert properties["storageAccount"].endswith(f"/storageAccounts/{state.account}")
    listed = ask("GET", state.arm_path.rpartition("/")[0]).json()["value"]
    assert [each["name"] for each in listed] == [state.workspace]


def test_storage_accounts_have_no_keys_for_anybody(azure: FakeAzure, ask: Get) -> None:
    accounts = f"{azure.state.group_path}/providers/Microsoft.Storage/storageAccounts"
    account = ask("GET", f"{accounts}/{azure.state.account}").json()
    assert account["properties"]["allowSharedKeyAccess"] is False
    assert ask("GET", f"{accounts}/another").status_code == 404
    for path in (f"{accounts}/{azure.state.account}/listKeys", f"{azure.state.arm_path}/listKeys"):
        refused = ask("POST", path)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "AuthorizationFailed")


def test_a_long_operation_is_polled(azure: FakeAzure, ask: Get) -> None:
    reply = accepted(azure, {"name": "v1"})
    assert reply.status == 202
    poll, result = (reply.headers[name].partition("?")[0] for name in ("Azure-AsyncOperation", "Location"))
    assert ask("GET", poll.removeprefix(ARM)).json()["status"] == "Succeeded"
    assert ask("GET", result.removeprefix(ARM)).json() == {"name": "v1"}
    assert ask("GET", poll.removeprefix(ARM) + "x").status_code == 404


def test_the_clouds_are_public(http: requests.Session) -> None:
    (cloud,) = http.get(f"{ARM}/metadata/endpoints", params={"api-version": "2019-05-01"}).json()
    assert (cloud["name"], cloud["resourceManager"]) == ("AzureCloud", f"{ARM}/")
    assert http.get(f"{ARM}/metadata/endpoints").status_code == 400
