"""Where a managed identity gets its tokens: on a cluster (MSI_ENDPOINT), in an app, on a machine (metadata)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.fake_azure.hosts import METADATA
from tests.fake_azure.login import BLOB_HOST, principal
from tests.fake_azure.messages import Answer, Refused, Reply, Request
from tests.fake_azure.routes import Routes
from tests.fake_azure.tokens import RESOURCES

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("loopback")


@ROUTES.route("GET|POST", r"/msi/token/?")
def cluster(azure: FakeAzure, request: Request) -> Answer:
    """GET is how azure-identity asks, POST with `Metadata: true` how MsiAuthentication does; both need the secret."""
    secrets = {request.headers.get("secret"), request.headers.get("x-identity-header")}
    if azure.state.identity_secret not in secrets:
        raise _refused(401, "Invalid secret token header")
    if request.method == "GET":
        asked = request.query
        if asked.get("api-version") not in ("2017-09-01", "2019-08-01"):
            raise _refused(400, f"api-version {asked.get('api-version')} is not supported")
    else:
        _check_metadata_header(request)
        asked = request.form()
    return _token(azure, asked.get("resource", ""), asked.get("client_id") or asked.get("clientid") or "")


@ROUTES.route("GET", r"/metadata/identity/oauth2/token")
def machine(azure: FakeAzure, request: Request) -> Answer:
    if request.host != METADATA or not azure.state.metadata_service:
        raise _refused(404, "no metadata service on this machine")
    _check_metadata_header(request)
    if "api-version" not in request.query:
        raise _refused(400, "api-version is missing")
    return _token(azure, request.query.get("resource", ""), request.query.get("client_id", ""))


def _token(azure: FakeAzure, resource: str, client_id: str) -> Answer:
    if resource.rstrip("/") not in RESOURCES and not BLOB_HOST.fullmatch(resource.rstrip("/")):
        raise _refused(400, f"AADSTS500011: The resource principal named {resource} was not found in the tenant.")
    if client_id != azure.state.managed_client_id:
        raise _refused(400, "Identity not found" if client_id else "Multiple user assigned identities exist: name one")
    access = azure.tokens.access(resource, object_id=principal(client_id), client_id=client_id)
    expires = int(time.time()) + azure.tokens.lifetime
    return {
        "access_token": access,
        "client_id": client_id,
        "expires_in": str(azure.tokens.lifetime),
        "expires_on": str(expires),
        "not_before": str(expires - azure.tokens.lifetime),
        "resource": resource,
        "token_type": "Bearer",
    }


def _check_metadata_header(request: Request) -> None:
    if request.headers.get("metadata", "").lower() != "true":
        raise _refused(400, "Required metadata header not specified")


def _refused(status: int, message: str) -> Refused:
    return Refused(Reply(status, {"error": "invalid_request", "error_description": message}))
