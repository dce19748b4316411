"""The one border that foreign exceptions cross: azureml, msrest, requests, azure-cli become `scoring.errors`.

Knows what a refusal of the service means and what a person can do about it; not what was asked for (`doing` says that).
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

from scoring.errors import BusyError, ConflictError, CvaError, NotFoundError, OfflineError, UnavailableError, UsageError

logger = logging.getLogger(__name__)

LOG_IN = (
    "log in again: `az login`; in a pipeline the AzureCLI@2 step's service connection does it, and its token lives for "
    "an hour; on a cluster, give it a managed identity"
)
ROLES = (
    "the identity needs the role 'AzureML Data Scientist' on the workspace and 'Storage Blob Data Contributor' on its "
    "storage account; infrastructure/ assigns both, and a new assignment takes some minutes"
)
# where the SDK keeps only the text of an answer
_STATUS = re.compile(
    r"(?:response code|status code|request failed|\bcode)\W{1,4}(\d{3})\b|too many (\d{3}) error responses",
    re.IGNORECASE,
)
_MESSAGE = re.compile(r'"message"\s*:\s*"((?:[^"\\]|\\.)+)"')
_NOT_LOGGED_IN = ("az login", "AADSTS", "interactive authentication", "token is expired", "MSIAuthentication")
_QUERY = re.compile(r"(https?://[^\s?'\"<>]+)\?[^\s'\"<>]+")  # where a signature may stand
_EXISTS = ("There is already", "already exists", "identical dataset")
_NOT_FOUND = ("NotFound", "not found", "does not exist", "Cannot find")


@contextlib.contextmanager
def border(doing: str) -> Iterator[None]:
    """Foreign exceptions become ours; what the SDK prints is logged, because stdout belongs to the command.

    Raises: NotFoundError, UsageError (login, rights, arguments), ConflictError, OfflineError, UnavailableError.
    """
    chatter = io.StringIO()
    try:
        with contextlib.redirect_stdout(chatter):
            yield
    except Exception as error:
        if type(error) is not Exception and not isinstance(error, foreign()):  # some of the SDK raises Exception itself
            raise
        raise translated(error, doing) from error
    finally:
        for line in chatter.getvalue().splitlines():
            logger.debug("azureml: %s", line)


def foreign() -> tuple[type[BaseException], ...]:
    """The roots of every exception tree that the SDK lets out."""
    from azure.core.exceptions import AzureError
    from azureml._common.exceptions import AzureMLException
    from azureml._restclient.exceptions import AzureMLRestClientException
    from knack.util import CLIError
    from msrest.exceptions import ClientException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    return (
        AzureMLException,
        AzureMLRestClientException,
        ClientException,
        RequestException,
        HTTPError,
        CLIError,
        AzureError,
        ConnectionError,
        TimeoutError,
    )


def translated(error: BaseException, doing: str) -> CvaError:
    """Ours, with the service's own words and what to do next."""
    chain = list(_chain(error))
    for each in chain:
        if isinstance(each, CvaError):
            return each
    response = next((r for each in chain if _code(r := getattr(each, "response", None))), None)
    status = _code(response) or _code_in(chain)
    said = _said(response) or _first_line(error)
    text = " ".join(_text(each) for each in chain)
    if status is None and any(word in text for word in _NOT_LOGGED_IN):
        status = 401
    if status is None and _is_dropped(chain):
        return OfflineError(
            f"no connection to Azure ML while {doing}: {_first_line(error)}",
            hint="check the network, the proxy (HTTPS_PROXY) and the names in variable_template.yml, then try again",
        )
    if status in (None, 400) and any(word in text for word in _EXISTS):
        status = 409
    if status is None and any(word in text for word in _NOT_FOUND):
        status = 404
    return refused(status, doing, said, _retry_after(response))


def refused(status: int | None, doing: str, said: str, retry_after: int = 10) -> CvaError:
    """What an HTTP status of the service means here; None for a refusal of the SDK itself."""
    if status == 401:
        return UsageError(f"Azure does not accept this login (401) while {doing}: {said}", hint=LOG_IN)
    if status == 403:
        return UsageError(f"Azure ML allows this identity not to do it (403) while {doing}: {said}", hint=ROLES)
    if status == 404:
        return NotFoundError(
            f"not found while {doing}: {said}",
            hint="check SUBSCRIPTION_ID, RESOURCE_GROUP and WORKSPACE_NAME in variable_template.yml, and the name",
        )
    if status in (409, 412):
        return ConflictError(
            f"somebody else changed it ({status}) while {doing}: {said}", hint="look at what is there, then try again"
        )
    if status == 429:
        return BusyError(
            f"Azure ML takes no more requests now (429) while {doing}: {said}",
            hint=f"try again in {retry_after} seconds",
            retry_after=retry_after,
        )
    if status is not None and status >= 500:
        return UnavailableError(
            f"Azure ML cannot answer now ({status}) while {doing}: {said}",
            hint=f"try again in {retry_after} seconds; https://status.azure.com says what is down",
            retry_after=retry_after,
        )
    number = f" ({status})" if status else ""
    return UsageError(f"Azure ML refused it{number} while {doing}: {said}", hint="the message above says what is wrong")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what caused it, nearest first, each once."""
    todo: list[Any] = [error]
    seen: set[int] = set()
    while todo:
        each = todo.pop(0)
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        todo += [each.__cause__, getattr(each, "inner_exception", None), each.__context__]


def status_of(error: BaseException) -> int | None:
    """The HTTP status of the answer that an exception holds, None where it holds none."""
    return _code(getattr(error, "response", None))


def _code(response: Any) -> int | None:
    code = getattr(response, "status_code", None)
    return code if isinstance(code, int) and code >= 400 else None


def _code_in(chain: list[BaseException]) -> int | None:
    for each in chain:
        if _code(each):
            return _code(each)
    for each in chain:
        if found := _STATUS.search(_text(each)):
            return int(found[1] or found[2])
    return None


def _said(response: Any) -> str:
    """The `error.message` of an answer of Azure, "" where there is none."""
    try:
        body = json.loads(getattr(response, "text", "") or "")
    except (TypeError, ValueError):
        return ""
    error = body.get("error", body) if isinstance(body, dict) else {}
    message = (error.get("message") or error.get("Message")) if isinstance(error, dict) else None
    return _shown(str(message)) if message else ""


def _text(error: BaseException) -> str:
    """The message; some of the SDK's exceptions fail in their own `__str__`."""
    message = getattr(error, "message", None)
    return message if isinstance(message, str) and message else str(error)


def _first_line(error: BaseException) -> str:
    """What the service said, where an answer is quoted whole; else the first line."""
    text = _text(error).strip()
    quoted = _MESSAGE.search(text)
    lines = text.splitlines()
    return _shown(quoted[1] if quoted else lines[0]) if lines else type(error).__name__


def _shown(text: str) -> str:
    """On one line, and without what an address has after its question mark."""
    return " ".join(_QUERY.sub(r"\1?…", text).split())[:500]


def _retry_after(response: Any) -> int:
    value = str(getattr(response, "headers", {}).get("Retry-After", ""))
    return int(value) if value.isdigit() else 10


def _is_dropped(chain: list[BaseException]) -> bool:
    """A connection that was refused, reset, timed out, or never found its host."""
    from msrest.exceptions import ClientRequestError
    from requests.exceptions import ConnectionError as RequestsConnectionError
    from requests.exceptions import Timeout
    from urllib3.exceptions import HTTPError

    dropped = (ClientRequestError, RequestsConnectionError, Timeout, HTTPError, ConnectionError, TimeoutError)
    return any(isinstance(each, dropped) for each in chain)
