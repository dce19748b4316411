"""The REST interface of Azure AI Search over the standard library: get, put, run, status, search.

Redirects are not followed, so that a key goes to the named service alone; what the service says of an error is passed
on, with keys blotted out. Knows nothing about what the definitions mean.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import IO, Any
from urllib.parse import quote

from scoring.errors import ConflictError, CvaError, NotFoundError, OfflineError, UnavailableError, UsageError
from scoring.search.uris import require_tls

API_VERSION = "2026-04-01"  # stable; the first whose data sources take an identity and soft deletion
MAX_ANSWER = 16 * 1024 * 1024  # bytes
RETRIED = (429, 503)
LONGEST_WAIT = 30  # seconds between two tries, whatever Retry-After says


@dataclass(frozen=True)
class Credential:
    """An admin key (`api-key`), or a bearer token of an identity with the role Search Service Contributor."""

    header: str
    value: str = field(repr=False)

    @staticmethod
    def of(environment: Mapping[str, str]) -> Credential:
        """Raises: UsageError where neither variable is set, or one holds what a header cannot."""
        for name, header, prefix in (
            ("CVA_SEARCH_KEY", "api-key", ""),
            ("CVA_SEARCH_TOKEN", "Authorization", "Bearer "),
        ):
            if value := environment.get(name, "").strip():
                return Credential(header, prefix + plain(value, name))
        raise UsageError(
            "expected CVA_SEARCH_KEY or CVA_SEARCH_TOKEN in the environment, found neither",
            hint="an admin key of the service, or `az account get-access-token --resource https://search.azure.com`",
        )


def plain(value: str, name: str) -> str:
    """What may stand in a header. Raises: UsageError, which does not show the value."""
    if not value.isascii() or not value.isprintable():
        raise UsageError(f"{name} holds characters that a header cannot", hint="give the key alone, on one line")
    return value


class SearchClient:
    """One search service. `secrets` are blotted out of its messages; `sleep` waits between tries."""

    def __init__(
        self,
        service: str,
        credential: Credential,
        *,
        secrets: tuple[str, ...] = (),
        timeout: float = 60,  # seconds
        tries: int = 5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if require_tls(service, "--service").path.strip("/"):
            raise UsageError("--service holds a path", hint="expected https://NAME.search.windows.net")
        self._service = service.rstrip("/")
        self._credential = credential
        self._secrets = (credential.value, credential.value.removeprefix("Bearer "), *secrets)
        self._timeout, self._tries, self._sleep = timeout, tries, sleep
        self._opener = urllib.request.build_opener(_NoRedirect)

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The definition that is there, or None."""
        try:
            return self._send("GET", _path(kind, name))[1]
        except NotFoundError:
            return None

    def put(self, kind: str, name: str, body: Mapping[str, Any], *, etag: str = "") -> bool:
        """Create or replace; True where it was created. With `etag`, only what has not changed since is replaced."""
        headers = {"Prefer": "return=representation", **({"If-Match": etag} if etag else {})}
        return self._send("PUT", _path(kind, name), body, headers)[0] == http.client.CREATED

    def run(self, indexer: str) -> None:
        """Start the indexer now; what it does is seen in `status`."""
        self._send("POST", _path("indexers", indexer, "search.run"))

    def status(self, indexer: str) -> dict[str, Any]:
        return self._send("GET", _path("indexers", indexer, "search.status"))[1]

    def search(self, index: str, query: Mapping[str, Any]) -> dict[str, Any]:
        return self._send("POST", _path("indexes", index, "docs/search.post.search"), query)[1]

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        for tried in range(1, self._tries):
            try:
                return self._once(method, path, body, headers or {})
            except UnavailableError as error:
                self._sleep(min(max(error.retry_after, 2**tried), LONGEST_WAIT))
        return self._once(method, path, body, headers or {})

    def _once(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(
            f"{self._service}{path}?api-version={API_VERSION}",
            # without a body urllib would send a form's content type
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Accept": "application/json", **headers, self._credential.header: self._credential.value},
        )
        if body is not None:
            request.add_header("Content-Type", "application/json")
        elif method == "POST":
            request.add_header("Content-Length", "0")
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return answer.status, _json(answer.read(MAX_ANSWER))
        except urllib.error.HTTPError as error:
            with error:
                raise self._translated(f"{method} {path}", error) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise OfflineError(f"the search service cannot be reached: {reason}", hint="check --service") from error

    def _translated(self, what: str, error: urllib.error.HTTPError) -> CvaError:
        said = _said(_read(error)) or error.reason
        for secret in self._secrets:
            said = said.replace(secret, "***") if secret else said
        message = f"{what}: {error.code} {said}"
        if error.code in RETRIED:
            return UnavailableError(message, hint="try again later", retry_after=_seconds(error.headers))
        return _ERRORS.get(error.code, _other)(message)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


def _other(message: str) -> CvaError:
    return CvaError(message, hint="what follows the status is in the service's own words")


def _refused(message: str) -> CvaError:
    hint = "check CVA_SEARCH_KEY (an admin key), or the token's role: Search Service Contributor"
    return UsageError(message, hint=hint)


_ERRORS: dict[int, Callable[[str], CvaError]] = {
    401: _refused,
    403: _refused,
    404: lambda message: NotFoundError(message, hint="`cva search setup --apply` creates what is missing"),
    409: lambda message: ConflictError(message, hint="wait until the indexer has finished, then try again"),
    412: lambda message: ConflictError(message, hint="somebody else has just changed it; run the same again"),
}


def _read(error: urllib.error.HTTPError) -> bytes:
    """Its status says enough where the rest is cut off."""
    try:
        return error.read(MAX_ANSWER)
    except (OSError, http.client.HTTPException):
        return b""


def _path(kind: str, name: str, verb: str = "") -> str:
    return f"/{kind}('{quote(name, safe='')}')" + (f"/{verb}" if verb else "")


def _json(data: bytes) -> dict[str, Any]:
    if not data.strip():
        return {}
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CvaError("expected JSON from the search service, found something else", hint="check --service") from error
    return value if isinstance(value, dict) else {}


def _said(data: bytes) -> str:
    """The service's own message, one line; empty where it gave none."""
    try:
        value = json.loads(data)["error"]
        return " ".join(str(value["message"]).split())[:2000]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _seconds(headers: Message) -> int:
    text = headers.get("Retry-After", "").strip()
    return max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 10 else 1
