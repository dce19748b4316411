"""The border of blob storage: what azure-storage-blob raises becomes an error of ours, with what to do next."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from model_training.workspaces.azureml.service import Container
from scoring.errors import BusyError, ConflictError, CvaError, NotFoundError, OfflineError, UnavailableError, UsageError

ROLE = "Storage Blob Data Contributor"
RETRY_SECONDS = 30  # where the service names no time
_NETWORK_RULES = ("AuthorizationFailure", "PublicAccessNotPermitted")  # the account's firewall, not a role


@contextlib.contextmanager
def border(container: Container, doing: str) -> Iterator[None]:
    """Raises: NotFoundError, UsageError (login, role, refused), ConflictError, OfflineError, UnavailableError."""
    from azure.core.exceptions import AzureError
    from requests.exceptions import RequestException

    try:
        yield
    except (AzureError, RequestException) as error:  # the latter escape where a body breaks off
        raise translated(error, container, doing) from error


def translated(error: Exception, container: Container, doing: str) -> CvaError:
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

    status = getattr(error, "status_code", None)
    where = f"{container.account}/{container.container} while {doing}"
    if isinstance(error, ClientAuthenticationError) and status is None:
        return UsageError(f"no login to Azure for {where}: {_line(error)}", hint="log in: `az login`")
    if not isinstance(error, HttpResponseError) or status is None or status < 400:
        return OfflineError(
            f"the connection to blob storage broke, {where}: {_line(error)}",
            hint="check the network and its proxy (HTTPS_PROXY), then run the command again: nothing is half-made",
        )
    return _refused(error, status, container, where)


def _refused(error: Any, status: int, container: Container, where: str) -> CvaError:
    code, said = _code(error), _line(error)
    if status == 404:
        what = "container" if code == "ContainerNotFound" else "blob"
        return NotFoundError(f"no such {what}: {where}", hint="`cva datastore list` says which containers there are")
    if status == 401 or code == "AuthenticationFailed":
        return UsageError(
            f"blob storage does not accept this login ({status}), {where}: {said}",
            hint="log in again: `az login`; in a pipeline, a token of the service connection lives an hour",
        )
    if status == 403:
        return UsageError(f"this login may not do that (403), {where}: {said}", hint=_permission(code, container))
    if status in (409, 412):
        return ConflictError(f"it changed meanwhile ({status}), {where}: {said}", hint="look at it, then try again")
    if status in (408, 429) or status >= 500:
        return _busy(error, status, where, said)
    return UsageError(f"blob storage refuses that ({status} {code}), {where}: {said}", hint="correct what it names")


def _permission(code: str, container: Container) -> str:
    if code in _NETWORK_RULES:
        return f"the network rules of {container.account} keep this machine out: add it, or run inside the network"
    return (
        f"this identity needs the role '{ROLE}' on the storage account {container.account}; "
        "infrastructure/ assigns it, and a new assignment takes some minutes"
    )


def _busy(error: Any, status: int, where: str, said: str) -> CvaError:
    headers = error.response.headers if error.response is not None else {}
    value = str(headers.get("Retry-After", ""))
    seconds = int(value) if value.isdigit() else RETRY_SECONDS
    kind = BusyError if status == 429 else UnavailableError
    return kind(
        f"blob storage cannot do that now ({status}), {where}: {said}",
        hint=f"try again in {seconds} s; it was tried several times already (https://status.azure.com)",
        retry_after=seconds,
    )


def _code(error: Any) -> str:
    """The service's own name for it, such as BlobNotFound."""
    code = getattr(error, "error_code", None) or ""
    return str(getattr(code, "value", code))


def _line(error: BaseException) -> str:
    """What the service says, on one line and without the answer's other lines."""
    text = str(getattr(error, "message", None) or error).strip().splitlines()
    return text[0][:300] if text else type(error).__name__
