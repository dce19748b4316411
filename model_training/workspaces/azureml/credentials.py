"""Whose identity is used: the cluster's on a cluster, else that of the az profile (`az login`, an AzureCLI@2 task).

One function gives what azure-core's clients take (blobs, SDK v2), one what SDK v1 takes. No secret is read here: tokens
stay inside the credential, and what it raises is ours. Nothing is asked of the network before a token is needed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scoring.errors import CvaError, OfflineError, UnavailableError, UsageError

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

CONNECTION = "aml-workspace-connection"  # the setting WORKSPACE_SVC_CONNECTION
CLIENT_ID = "DEFAULT_IDENTITY_CLIENT_ID"  # Azure ML sets it on a node; "clientid" where there is no identity
RUN_ID = "AZUREML_RUN_ID"  # in a job; a compute instance's terminal has an endpoint too, and a person's own login
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ENDPOINTS = (("MSI_ENDPOINT", "MSI_SECRET"), ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"))
_FINAL = (None, 400, 401, 403)  # of an identity that never had a token; None: nobody was there to be asked


def on_cluster(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a job that has a managed identity. (Cloud Shell sets MSI_ENDPOINT alone: a person's.)"""
    return RUN_ID in environ and (
        CLIENT_ID in environ or any(all(name in environ for name in pair) for pair in _ENDPOINTS)
    )


def token_credential(subscription_id: str = "", *, connection: str = CONNECTION) -> TokenCredential:
    """A credential for azure-core's clients. Raises: UsageError when nobody is logged in."""
    if on_cluster():
        from azure.identity import ManagedIdentityCredential

        return Managed(ManagedIdentityCredential(**_client_id()), _managed_hint())
    return Translated(_of_profile(subscription_id, connection), log_in_hint(connection))


def v1_authentication(subscription_id: str = "", *, connection: str = CONNECTION) -> Any:
    """What `azureml.core.Workspace` takes. Raises: UsageError when nobody is logged in."""
    if on_cluster():
        from azureml.core.authentication import TokenAuthentication

        # MsiAuthentication asks a cluster's endpoint without its secret, unless this were an app of App Service
        credential = token_credential(subscription_id, connection=connection)
        return TokenAuthentication(lambda audience: credential.get_token(f"{audience.rstrip('/')}/.default").token)
    from azureml.core.authentication import AzureCliAuthentication

    profile_account(subscription_id, connection=connection)  # the SDK itself would ask for a browser
    return AzureCliAuthentication()


def profile_account(subscription_id: str = "", *, connection: str = CONNECTION) -> Mapping[str, Any]:
    """The az profile's account (`id`, `name`, `tenantId`) for a subscription; "": the default one.

    Raises: UsageError when nobody is logged in or the login does not see that subscription.
    """
    from azure.cli.core._profile import Profile
    from knack.util import CLIError

    try:
        account: Mapping[str, Any] = Profile().get_subscription(subscription_id or None)
    except CLIError as error:
        raise _no_account(error, subscription_id, connection) from error
    return account


def logged_in_subscription(*, connection: str = CONNECTION) -> str:
    """The id of the default subscription of the login, for a setting that is left empty. Raises: UsageError."""
    if on_cluster():
        raise UsageError("a cluster's identity has no default subscription", hint="set SUBSCRIPTION_ID")
    if importlib.util.find_spec("azure.cli") is not None:
        return str(profile_account(connection=connection)["id"])
    asked = [shutil.which("az") or "az", "account", "show", "--query", "id", "--output", "tsv"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError("not logged in to Azure", hint=log_in_hint(connection)) from error
    return done.stdout.strip()


def log_in_hint(connection: str = CONNECTION) -> str:
    return (
        f"`az login`; in a pipeline, run this in an AzureCLI@2 step with azureSubscription: {connection} "
        "(setting WORKSPACE_SVC_CONNECTION); on a cluster, give the cluster a managed identity"
    )


class Translated:
    """A credential that raises our errors only: UsageError (no login, refused), OfflineError, UnavailableError."""

    def __init__(self, credential: TokenCredential, hint: str) -> None:
        self._credential = credential
        self._hint = hint

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        try:
            return self._credential.get_token(*scopes, **options)
        except _foreign() as error:
            raise self._ours(error, scopes) from error

    def _ours(self, error: Exception, scopes: tuple[str, ...]) -> CvaError:
        return _translated(error, self._hint)


class Managed(Translated):
    """An identity that had a token has one again: what fails later is the endpoint's trouble, and passes.

    azure-identity raises the same for an endpoint that is busy or restarts and for an identity that is not there.
    """

    def __init__(self, credential: TokenCredential, hint: str) -> None:
        super().__init__(credential, hint)
        self._had: set[tuple[str, ...]] = set()  # scopes

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        token = super().get_token(*scopes, **options)
        self._had.add(scopes)
        return token

    def _ours(self, error: Exception, scopes: tuple[str, ...]) -> CvaError:
        ours = super()._ours(error, scopes)
        passes = scopes in self._had or getattr(error, "status_code", None) not in _FINAL
        if not isinstance(ours, UsageError) or not passes:
            return ours
        text = f"the cluster's identity gets no token now: {_line(error)}"
        return UnavailableError(text, hint=f"try again; if it stays so, {self._hint}", retry_after=5)


def _of_profile(subscription_id: str, connection: str) -> TokenCredential:
    """In process where azure-cli-core is installed, which takes no second a token; else by the `az` command."""
    if importlib.util.find_spec("azure.cli") is not None:
        from azure.cli.core._profile import Profile

        account = profile_account(subscription_id, connection=connection)
        credential: TokenCredential = Profile().get_login_credentials(subscription_id=account["id"])[0]
        return credential
    if shutil.which("az") is None:
        raise UsageError(
            "no way to log in to Azure: neither the az command nor azure-cli-core is here",
            hint="install the Azure CLI, or pip install '.[azure-v1]'; then " + log_in_hint(connection),
        )
    from azure.identity import AzureCliCredential

    return AzureCliCredential(process_timeout=60)


def _client_id() -> dict[str, str]:
    """Nothing for an identity of the machine's own (system-assigned)."""
    named = os.environ.get(CLIENT_ID, "")
    return {"client_id": named} if _GUID.fullmatch(named) else {}


def _managed_hint() -> str:
    named = os.environ.get(CLIENT_ID)
    return f"the cluster needs a managed identity{f' with the client id {named}' if named else ''}: see infrastructure/"


def _no_account(error: Exception, subscription_id: str, connection: str) -> UsageError:
    if subscription_id and "az login" not in str(error):
        return UsageError(
            f"the Azure login does not see the subscription {subscription_id}",
            hint=f"check SUBSCRIPTION_ID in variable_template.yml, or log in with another account: `az login`; "
            f"in a pipeline the service connection {connection} must reach it",
        )
    return UsageError("not logged in to Azure", hint=log_in_hint(connection))


def _foreign() -> tuple[type[Exception], ...]:
    """Asked for only when something was raised: the libraries that raise it are loaded by then."""
    from azure.core.exceptions import AzureError
    from requests.exceptions import RequestException

    found: list[type[Exception]] = [AzureError, RequestException, ValueError]  # msal raises ValueError
    if importlib.util.find_spec("knack") is not None:
        from knack.util import CLIError

        found.append(CLIError)
    return tuple(found)


def _translated(error: Exception, hint: str) -> CvaError:
    from azure.core.exceptions import ServiceRequestError, ServiceResponseError
    from requests.exceptions import RequestException

    text = _line(error)
    if isinstance(error, (ServiceRequestError, ServiceResponseError, RequestException)):
        return OfflineError(
            f"no connection to Azure's login: {text}", hint="check the network and its proxy (HTTPS_PROXY)"
        )
    if "AADSTS700024" in text:
        return UsageError(
            f"the pipeline's federated token has expired (it lives ten minutes): {text}",
            hint="submit and return instead of waiting in one step, or start a new AzureCLI@2 step",
        )
    return UsageError(f"Azure refuses this login: {text}", hint=hint)


def _line(error: Exception) -> str:
    lines = str(getattr(error, "message", None) or error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
