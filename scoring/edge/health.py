"""Does the device's server serve the new version: asked until it does or the window ends. Changes nothing.

`/health/ready` must say 200 and `/metadata` must name the version and the manifest's hash. A server with keys locks
/metadata, so one of its keys is shown; a server that refuses it says nothing about the version.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from scoring.edge.web import NoRedirects
from scoring.errors import UsageError

MAX_ANSWER = 4 << 20
READ_SECONDS = 5.0
PAUSE_SECONDS = 0.5
REFUSED = (401, 403)


@dataclass(frozen=True)
class Health:
    """`url` is the server's own address, without a path below it; `seconds` is the window; `key` may be none."""

    url: str
    seconds: float = 60.0
    pause: float = PAUSE_SECONDS
    key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise UsageError(f"expected http://HOST:PORT as the server's address, found {self.url!r}")
        if not 0 < self.seconds <= 86_400:
            raise UsageError(f"expected a health window of 0 to 86400 seconds, found {self.seconds:g}")

    def check_key(self) -> None:
        """A server that is not there yet may come. Raises: UsageError where it refuses the key."""
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            self._facts()

    def wait(self, version: int, manifest_sha256: str) -> str:
        """ "" as soon as the server serves it; else, when the window has ended, what was wrong last.

        Raises: UsageError where the server refuses the key.
        """
        end = time.monotonic() + self.seconds
        while True:
            trouble = self.look(version, manifest_sha256)
            if not trouble or time.monotonic() + self.pause > end:
                return trouble
            time.sleep(self.pause)

    def look(self, version: int, manifest_sha256: str) -> str:
        """What is wrong now, or "". Raises: UsageError where the server refuses the key."""
        try:
            ready, _ = self._get("/health/ready")
            if ready != 200:
                return f"/health/ready of {self.url} says {ready}"
            facts = self._facts()
        except (OSError, http.client.HTTPException, ValueError) as error:
            return f"{self.url} does not answer: {getattr(error, 'reason', None) or error}"
        found = (str(facts.get("version")), facts.get("manifest_sha256"))
        if found != (str(version), manifest_sha256):
            return f"{self.url} serves version {found[0]} with manifest {found[1]}"
        return ""

    def _facts(self) -> dict[str, Any]:
        status, facts = self._get("/metadata")
        if status in REFUSED:
            shown = "refuses the key that it was shown" if self.key else "answers only to those who show a key"
            raise UsageError(
                f"{self.url} {shown} (/metadata says {status}), so nobody can see which version it serves",
                hint="name the file that holds the server's keys: --health-key-file FILE, or CVA_KEYS_FILE",
            )
        return facts

    def _get(self, path: str) -> tuple[int, dict[str, Any]]:
        """A device's server is never behind a proxy, and sends nobody elsewhere."""
        shown = {"x-api-key": self.key.encode().decode("latin-1")} if self.key else {}  # its bytes, as it was written
        request = urllib.request.Request(self.url.rstrip("/") + path, headers=shown)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects())
        try:
            with opener.open(request, timeout=READ_SECONDS) as answer:
                value = json.loads(answer.read(MAX_ANSWER)) if path == "/metadata" else {}
                return answer.status, value if isinstance(value, dict) else {}
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, {}
