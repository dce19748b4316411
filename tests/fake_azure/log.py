"""What was asked of the fake, with every secret taken out before it is kept. Written before a request is handled."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

HIDDEN = "<hidden>"
_SECRET_FIELDS = re.compile(
    r"(client_assertion|client_secret|refresh_token|access_token|password|sig|code|assertion|secret|accountkey|sastoken"
    r"|primarykey|secondarykey|oidctoken)",
    re.IGNORECASE,
)
_SECRET_HEADERS = {"authorization", "secret", "x-identity-header", "cookie", "x-ms-copy-source-authorization"}
_TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*")
_SIGNATURE = re.compile(r"([?&]sig=)[^&\s\"']+")
MAX_BODY = 4 << 20  # bytes of a body that are kept


@dataclass
class Call:
    """`body` is JSON, a form as a mapping, or None; `size` is what came. `status` is 0 until it is answered."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    size: int
    status: int = 0
    fault: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)  # aud, oid, appid of the token that was accepted

    def __str__(self) -> str:
        return f"{self.status or '…'} {self.method} https://{self.host}{self.path}"


class Log:
    """The calls so far; the same lines go to a file, which outlives a hanging test."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._calls: list[Call] = []
        self._lock = threading.Lock()

    def add(
        self, method: str, host: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Call:
        shown = redact_body(body, headers.get("content-type", ""))
        call = Call(method, host, path, redact(dict(query)), redact_headers(headers), shown, len(body))
        with self._lock:
            self._calls.append(call)
            line = {"method": method, "host": host, "path": path, "query": dict(call.query), "body": shown}
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        return call

    def clear(self, after: int = 0) -> None:
        """Forgets all calls but the first `after`."""
        with self._lock:
            del self._calls[after:]

    def find(self, method: str = "", path: str = "", host: str = "") -> list[Call]:
        """Calls whose path and host hold these patterns."""
        return [
            call
            for call in self
            if (not method or call.method == method)
            and re.search(path, call.path, re.IGNORECASE)
            and re.search(host, call.host, re.IGNORECASE)
        ]

    def __iter__(self) -> Iterator[Call]:
        with self._lock:
            return iter(list(self._calls))

    def __len__(self) -> int:
        return len(self._calls)

    def __getitem__(self, index: int) -> Call:
        return self._calls[index]


def redact(value: Any) -> Any:
    """The same value without tokens, keys and signatures."""
    if isinstance(value, Mapping):
        return {key: HIDDEN if _is_secret(key, item) else redact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [redact(item) for item in value]
    if isinstance(value, str):
        return _SIGNATURE.sub(rf"\1{HIDDEN}", _TOKEN.sub(HIDDEN, value))
    return value


def redact_headers(headers: Mapping[str, str]) -> dict[str, str]:
    hidden = {name: HIDDEN for name in headers if name in _SECRET_HEADERS}
    return {**{name: redact(value) for name, value in headers.items()}, **hidden}


def redact_body(body: bytes, kind: str) -> Any:
    """JSON and forms only; anything else is not kept."""
    if not body or len(body) > MAX_BODY:
        return None
    if "x-www-form-urlencoded" in kind:
        return redact(dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)))
    if "json" in kind:
        try:
            return redact(json.loads(body))
        except ValueError:
            return None
    return None


def shown_query(query: Mapping[str, str]) -> str:
    return urlencode(redact(dict(query)))


def _is_secret(key: Any, value: Any) -> bool:
    return isinstance(value, str) and isinstance(key, str) and _SECRET_FIELDS.fullmatch(key) is not None
