"""The border: what azure-ai-ml, azure-core and requests raise becomes an error of ours, with what to do next.

Nothing foreign leaves a call that is marked `@translated`. Knows no call by name.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from scoring.errors import BusyError, ConflictError, CvaError, NotFoundError, OfflineError, UnavailableError, UsageError

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # the SDK writes for a terminal
Call = TypeVar("Call", bound=Callable[..., Any])

_LOG_IN = "log in again (`az login`, or the pipeline's service connection); a token is valid for an hour"
_ROLE = "ask for the role 'AzureML Data Scientist' on the workspace and 'Storage Blob Data Contributor' on its storage"


def translated(call: Call) -> Call:
    """Raises: only errors of `scoring.errors` (and programming errors as they are)."""

    @functools.wraps(call)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except _foreign() as error:
            raise translate(error) from error

    return cast(Call, wrapper)


def translate(error: BaseException) -> CvaError:
    """The error of ours that says the same. The innermost answer of the service counts, whoever wrapped it."""
    from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

    chain = list(_chain(error))
    for found in chain:
        if isinstance(found, CvaError):
            return found
    for found in chain:
        if isinstance(found, HttpResponseError) and found.status_code is not None:
            return _from_answer(found)
    for found in chain:
        if isinstance(found, (ServiceRequestError, ServiceResponseError, ConnectionError, TimeoutError)):
            return OfflineError(
                f"Azure cannot be reached: {_line(found)}",
                hint="check the network and its proxy; nothing was left half-made, so run the same command again",
            )
    return _from_sdk(error, chain)


def _foreign() -> tuple[type[BaseException], ...]:
    """Evaluated only when something was raised: the libraries are loaded by then."""
    import requests
    from azure.core.exceptions import AzureError
    from marshmallow import ValidationError

    return (AzureError, requests.RequestException, ValidationError, ConnectionError, TimeoutError)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it was raised from or wraps, outermost first."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        found = waiting.pop(0)
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        waiting += [getattr(found, "inner_exception", None), getattr(found, "error", None)]
        waiting += [found.__cause__, found.__context__]


def _from_answer(error: Any) -> CvaError:
    status, said = int(error.status_code), _line(error)
    if status < 400:  # asking how it went was answered; the work itself failed
        return UsageError(f"Azure ML could not do it: {said}", hint="correct what it names and run the command again")
    if status == 404:
        return NotFoundError(
            f"Azure ML has no such thing (404): {said}",
            hint="check the name; `cva workspace check` looks at the workspace",
        )
    if status == 401:
        return UsageError(f"Azure does not accept the login (401): {said}", hint=_LOG_IN)
    if status == 403:
        return UsageError(f"this login may not do that (403): {said}", hint=_ROLE)
    if status in (409, 412):
        return ConflictError(
            f"it exists already, or it changed at the same time ({status}): {said}", hint="look at it, then try again"
        )
    if status in (408, 429) or status >= 500:
        seconds = _retry_after(error)
        kind = BusyError if status == 429 else UnavailableError
        return kind(
            f"Azure ML {'takes no more requests' if status == 429 else 'cannot answer'} now ({status}): {said}",
            hint=f"try again in {seconds} s; it was tried several times already (https://status.azure.com)",
            retry_after=seconds,
        )
    return UsageError(
        f"Azure ML refuses that ({status}): {said}", hint="correct what it names and run the command again"
    )


def _from_sdk(error: BaseException, chain: list[BaseException]) -> CvaError:
    """What the SDK itself found wrong, before or instead of an answer."""
    from azure.ai.ml.exceptions import AssetPathException
    from azure.core.exceptions import ClientAuthenticationError

    if any(isinstance(found, ClientAuthenticationError) for found in chain):
        return UsageError(f"no login to Azure: {_line(error)}", hint=_LOG_IN)
    if any(isinstance(found, AssetPathException) for found in chain):
        return ConflictError(f"that version exists with other files: {_line(error)}", hint="register a new version")
    return UsageError(
        f"azure-ai-ml refuses that: {_line(error)}", hint="correct what it names and run the command again"
    )


def _retry_after(error: Any) -> int:
    response = getattr(error, "response", None)
    value = response.headers.get("Retry-After", "") if response is not None else ""
    return int(value) if str(value).isdigit() else 30


def _line(error: BaseException, limit: int = 400) -> str:
    """The message without the SDK's decoration, on one line."""
    model = getattr(error, "model", None)
    inner = getattr(getattr(model, "error", None), "message", None)
    said = _COLOURS.sub("", str(inner or getattr(error, "message", None) or error))
    text = " ".join(said.partition("Resolutions:")[0].split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
