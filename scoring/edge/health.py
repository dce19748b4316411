"""Does the device's server serve the new version: asked until it does or the window ends. Changes nothing.

`/health/ready` must say 200 and `/metadata` must name the version and the manifest's hash.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from scoring.errors import UsageError

MAX_ANSWER = 4 << 20
READ_SECONDS = 5.0
PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Health:
    """`url` is the server's own address, without a path below it; `seconds` is the window."""

    url: str
    seconds: float = 60.0
    pause: float = PAUSE_SECONDS

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise UsageError(f"expected http://HOST:PORT as the server's address, found {self.url!r}")
        if not 0 < self.seconds <= 86_400:
            raise UsageError(f"expected a health window of 0 to 86400 seconds, found {self.seconds:g}")

    def wait(self, version: int, manifest_sha256: str) -> str:
        """ "" as soon as the server serves it; else, when the window has ended, what was wrong last."""
        end = time.monotonic() + self.seconds
        while True:
            trouble = self.look(version, manifest_sha256)
            if not trouble or time.monotonic() + self.pause > end:
                return trouble
            time.sleep(self.pause)

    def look(self, version: int, manifest_sha256: str) -> str:
        """What is wrong now, or ""."""
        try:
            ready, _ = self._get("/health/ready")
            if ready != 200:
                return f"/health/ready of {self.url} says {ready}"
            _, facts = self._get("/metadata")
        except (OSError, http.client.HTTPException, ValueError) as error:
            return f"{self.url} does not answer: {getattr(error, 'reason', None) or error}"
        found = (str(facts.get("version")), facts.get("manifest_sha256"))
        if found != (str(version), manifest_sha256):
            return f"{self.url} serves version {found[0]} with manifest {found[1]}"
        return ""

    def _get(self, path: str) -> tuple[int, dict[str, Any]]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a device's server is never behind one
        try:
            with opener.open(self.url.rstrip("/") + path, timeout=READ_SECONDS) as answer:
                value = json.loads(answer.read(MAX_ANSWER)) if path == "/metadata" else {}
                return answer.status, value if isinstance(value, dict) else {}
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, {}
