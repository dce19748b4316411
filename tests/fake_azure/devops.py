"""Azure DevOps: the id token of a service connection, for AzurePipelinesCredential and tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fake_azure.checks import bearer
from tests.fake_azure.messages import Answer, Refused, Reply, Request
from tests.fake_azure.routes import Routes

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("devops")


@ROUTES.route("POST", r"/[^/]+/[^/]+/_apis/distributedtask/hubs/[^/]+/plans/[^/]+/jobs/[^/]+/oidctoken")
def id_token(azure: FakeAzure, request: Request) -> Answer:
    """Only with the pipeline's own access token, for a service connection that the pipeline may use."""
    if bearer(request) != azure.state.system_access_token:
        raise _refused(401, "TF400813: the user is not authorized to access this resource")
    if not request.query.get("api-version", "").startswith("7."):
        raise _refused(400, "VssVersionNotSpecifiedException: no api-version was supplied")
    if request.query.get("serviceconnectionid") != azure.state.service_connection:
        raise _refused(404, f"no service connection {request.query.get('serviceconnectionid')}")
    return {"oidcToken": azure.tokens.federated(azure.state.subject)}


def _refused(status: int, message: str) -> Refused:
    return Refused(Reply(status, {"message": message, "typeKey": "VssServiceException", "errorCode": 0}))
