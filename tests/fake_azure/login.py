"""Entra: discovery, and tokens for a federated id token. No user, password or client secret logs in here."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

from tests.fake_azure.messages import Answer, Request, login_error
from tests.fake_azure.routes import Routes
from tests.fake_azure.tokens import DEVOPS_ISSUER, EXCHANGE, RESOURCES, TokenError

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("login")
HOST = "https://login.microsoftonline.com"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
BLOB_HOST = re.compile(r"https://[a-z0-9]+\.blob\.core\.windows\.net")


@ROUTES.route("GET", r"/common/discovery/instance")
def instances(azure: FakeAzure, request: Request) -> Answer:
    aliases = ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"]
    known = {"preferred_network": aliases[0], "preferred_cache": aliases[1], "aliases": aliases}
    where = f"{HOST}/{azure.state.tenant}/v2.0/.well-known/openid-configuration"
    return {"tenant_discovery_endpoint": where, "api-version": "1.1", "metadata": [known]}


@ROUTES.route("GET", r"/(?P<tenant>[^/]+)/v2\.0/\.well-known/openid-configuration")
def discovery(azure: FakeAzure, request: Request, tenant: str) -> Answer:
    _check_tenant(azure, tenant)
    root = f"{HOST}/{tenant}"
    return {
        "issuer": f"{HOST}/{azure.state.tenant}/v2.0",
        "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
        "token_endpoint": f"{root}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
        "jwks_uri": f"{root}/discovery/v2.0/keys",
        "response_types_supported": ["code", "id_token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
    }


@ROUTES.route("POST", r"/(?P<tenant>[^/]+)/oauth2/v2\.0/token")
def token(azure: FakeAzure, request: Request, tenant: str) -> Answer:
    _check_tenant(azure, tenant)
    form = request.form()
    if form.get("grant_type") != "client_credentials":
        raise login_error(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
    if form.get("client_id") != azure.state.client_id:
        raise login_error(
            400, "unauthorized_client", 700016, f"Application '{form.get('client_id')}' was not found in the directory."
        )
    _check_assertion(azure, form)
    audience = audience_of(form.get("scope", ""))
    access = azure.tokens.access(audience, object_id=principal(azure.state.client_id), client_id=azure.state.client_id)
    seconds = azure.tokens.lifetime
    return {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": access}


def audience_of(scope: str) -> str:
    """What a scope `<resource>/.default` is a token for."""
    resource = scope.removesuffix("/.default")
    if resource == scope:
        raise login_error(400, "invalid_scope", 1002012, f"The provided value for scope {scope} is not valid.")
    if resource.rstrip("/") not in RESOURCES and not BLOB_HOST.fullmatch(resource.rstrip("/")):
        text = f"The resource principal named {resource} was not found in the tenant."
        raise login_error(400, "invalid_resource", 500011, text)
    return resource


def principal(client_id: str) -> str:
    """The object id of an application: stable, and not its client id."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, client_id))


def _check_tenant(azure: FakeAzure, tenant: str) -> None:
    if tenant not in (azure.state.tenant, "common", "organizations"):
        raise login_error(400, "invalid_tenant", 90002, f"Tenant '{tenant}' not found.")


def _check_assertion(azure: FakeAzure, form: dict[str, str]) -> None:
    """Federated by the service connection: issuer, subject and audience as its credential says, and not expired."""
    if form.get("client_assertion_type") != JWT_BEARER or not form.get("client_assertion"):
        raise login_error(
            401, "invalid_client", 7000218, "The request body must contain: 'client_assertion' or 'client_secret'."
        )
    try:
        claims = azure.tokens.claims(form["client_assertion"], (EXCHANGE,))
    except TokenError as error:
        number = {"expired": 700024, "audience": 700212}.get(error.reason, 50027)
        text = {"expired": "Client assertion is not within its valid time range."}.get(error.reason, str(error))
        raise login_error(401, "invalid_client", number, text) from None
    if claims.get("iss") != DEVOPS_ISSUER or claims.get("sub") != azure.state.subject:
        text = f"No matching federated identity record found for presented assertion subject '{claims.get('sub')}'."
        raise login_error(401, "invalid_client", 700213, text)
