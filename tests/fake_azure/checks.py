"""What is looked at before any handler: the token, the api-version, the workspace in the path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.fake_azure.messages import Refused, Request, arm_error, azureml_error, error_of, storage_error
from tests.fake_azure.routes import Route
from tests.fake_azure.state import State
from tests.fake_azure.tokens import STORAGE, TokenError, Tokens

VERSION = re.compile(r"20\d\d-\d\d-\d\d(-preview)?")
# Published versions of the provider that the SDKs or our templates ask for.
MACHINE_LEARNING = """
2018-03-01-preview 2018-11-19 2019-05-01 2019-06-01 2019-11-01 2020-01-01 2020-03-01 2020-04-01 2020-06-01 2020-08-01
2020-09-01-preview 2021-01-01 2021-03-01-preview 2021-04-01 2021-07-01 2021-10-01 2022-01-01-preview 2022-02-01-preview
2022-05-01 2022-06-01-preview 2022-10-01 2022-10-01-preview 2022-12-01-preview 2023-02-01-preview 2023-04-01
2023-04-01-preview 2023-06-01-preview 2023-08-01-preview 2023-10-01 2024-01-01-preview 2024-04-01 2024-04-01-preview
2024-07-01-preview 2024-10-01 2024-10-01-preview 2025-01-01-preview 2025-04-01 2025-04-01-preview 2025-06-01
2025-07-01-preview 2025-09-01 2025-10-01-preview 2025-12-01 2026-05-01
"""
KNOWN = {"microsoft.machinelearningservices": frozenset(MACHINE_LEARNING.split())}


def authorize(kind: str, route: Route, request: Request, tokens: Tokens) -> Mapping[str, Any]:
    """The claims of the token that the route asks for. Raises: Refused, 401 in the host's own shape."""
    if route.audience is None:
        return {}
    token = bearer(request)
    if token is None:
        raise _unauthorized(
            kind, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
        )
    try:
        return tokens.claims(token, route.audience)
    except TokenError as error:
        code = {"expired": "ExpiredAuthenticationToken", "audience": "InvalidAuthenticationTokenAudience"}
        raise _unauthorized(kind, code.get(error.reason, "InvalidAuthenticationToken"), str(error)) from None


def bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def check_version(request: Request) -> None:
    """Resource manager wants an api-version that the provider knows."""
    version = request.query.get("api-version", "")
    if not version:
        raise arm_error(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    provider = re.findall(r"/providers/([^/]+)", request.path, re.IGNORECASE)
    known = KNOWN.get(provider[-1].lower()) if provider else None
    if VERSION.fullmatch(version) is None or (known is not None and version not in known):
        where = provider[-1] if provider else "Microsoft.Resources"
        raise arm_error(
            400,
            "InvalidResourceType" if VERSION.fullmatch(version) else "InvalidApiVersionParameter",
            f"The api-version '{version}' is invalid for {where}. Supported: {', '.join(sorted(known or ()))}.",
        )


def check_place(kind: str, groups: Mapping[str, str], state: State) -> None:
    """A path that names another subscription, group or workspace: Azure's own 404."""
    if groups.get("subscription_", state.subscription).lower() != state.subscription:
        raise error_of(
            kind, 404, "SubscriptionNotFound", f"The subscription '{groups['subscription_']}' could not be found."
        )
    if groups.get("group_", state.resource_group).lower() != state.resource_group.lower():
        raise error_of(kind, 404, "ResourceGroupNotFound", f"Resource group '{groups['group_']}' could not be found.")
    if groups.get("workspace_", state.workspace).lower() != state.workspace.lower():
        name = f"Microsoft.MachineLearningServices/workspaces/{groups['workspace_']}"
        text = f"The Resource '{name}' under resource group '{state.resource_group}' was not found."
        raise error_of(kind, 404, "ResourceNotFound", text)


def authorize_blob(request: Request, tokens: Tokens) -> Mapping[str, Any]:
    """A shared access signature (Azurite checks it) or the caller's own token; account keys are switched off."""
    if "sig" in request.query:
        return {}
    scheme = request.headers.get("authorization", "").partition(" ")[0].lower()
    if scheme in ("sharedkey", "sharedkeylite"):
        text = "Key based authentication is not permitted on this storage account."
        raise storage_error(403, "KeyBasedAuthenticationNotPermitted", text)
    token = bearer(request)
    challenge = {
        "WWW-Authenticate": "Bearer authorization_uri=https://login.microsoftonline.com/common/oauth2/authorize"
    }
    if token is None:
        text = "Server failed to authenticate the request. The Authorization header is missing."
        raise storage_error(401, "NoAuthenticationInformation", text, challenge)
    account = request.host.partition(".")[0]
    try:
        return tokens.claims(token, (*STORAGE, f"https://{account}.blob.core.windows.net"))
    except TokenError as error:
        raise storage_error(
            401, "InvalidAuthenticationInfo", f"Server failed to authenticate: {error}", challenge
        ) from None


def _unauthorized(kind: str, code: str, message: str) -> Refused:
    headers = {"WWW-Authenticate": f'Bearer authorization_uri="https://login.microsoftonline.com/", error="{code}"'}
    if kind == "azureml":
        return azureml_error(401, "UserError", f"{code}: {message}", headers)
    return arm_error(401, code, message, headers)
