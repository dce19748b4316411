"""A search service on this machine: the paths, headers, versions and errors of the real one, over real HTTP."""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.scoring.search import fake_indexer
from tests.scoring.search.fake_rules import ROOTS, refusals

KEY = "the-admin-key"
TOKEN = "the-token"
_PATH = re.compile(r"/(\w+)\('([^']+)'\)(?:/([\w./]+))?")


@dataclass
class FakeService:
    """Its resources and documents; `failing` holds the answers that come before the real ones."""

    port: int = 0
    resources: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {kind: {} for kind in ROOTS})
    blobs: dict[str, bytes] = field(default_factory=dict)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    failing: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    hides_headers: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def puts(self) -> list[str]:
        return [path for method, path, _ in self.requests if method == "PUT"]

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(path)
        self.requests.append((method, parts.path, headers))
        if self.failing:
            return self.failing.pop(0)
        if headers.get("api-key") != KEY and headers.get("authorization") != f"Bearer {TOKEN}":
            return _error(403, "Access denied due to invalid subscription key")
        if parse_qs(parts.query) != {"api-version": ["2026-04-01"]}:
            return _error(400, f"The api-version is missing or not supported: {parts.query}")
        found = _PATH.fullmatch(parts.path)
        if not found or found[1] not in ROOTS:
            return _error(404, "There is no such address")
        kind, name, verb = found[1], unquote(found[2]), found[3]
        if verb:
            return self._verb(method, kind, name, verb, body)
        if method == "PUT":
            return self._put(kind, name, headers, body)
        return self._get(kind, name) if method == "GET" else _error(405, "Method not allowed")

    def _get(self, kind: str, name: str) -> tuple[int, dict[str, str], bytes]:
        present = self.resources[kind].get(name)
        if present is None:
            return _error(404, f"No {kind[:-1]} with the name '{name}' was found")
        return _ok(200, self._shown(kind, present))

    def _shown(self, kind: str, stored: dict[str, Any]) -> dict[str, Any]:
        """As the service gives it back: secrets hidden, its own properties added."""
        shown = copy.deepcopy(stored)
        if kind == "datasources":
            shown["credentials"] = {"connectionString": None}
            shown["encryptionKey"] = None
        if kind == "indexes":
            shown |= {each: shown.get(each) or [] for each in ("suggesters", "scoringProfiles", "analyzers")}
        if kind == "indexers" and shown.get("schedule"):
            shown["schedule"]["startTime"] = "2026-05-01T00:00:00Z"
        for skill in shown["skills"] if kind == "skillsets" else ():
            if self.hides_headers and skill.get("httpHeaders"):
                skill["httpHeaders"] = dict.fromkeys(skill["httpHeaders"], "<redacted>")
        return {"@odata.context": f"{self.url}/$metadata#{kind}/$entity", **shown}

    def _put(self, kind: str, name: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        if headers.get("prefer") != "return=representation" or headers.get("content-type") != "application/json":
            return _error(400, "Prefer: return=representation and Content-Type: application/json are required")
        present = self.resources[kind].get(name)
        if "if-match" in headers and headers["if-match"] != (present or {}).get("@odata.etag"):
            return _error(412, "The precondition given in one of the request headers evaluated to false")
        value = json.loads(body)
        if problems := refusals(kind, name, value, present, self.resources):
            return _error(400, "; ".join(problems))
        tag = f'"0x{len(self.requests):08X}"'
        self.resources[kind][name] = {**_kept_identities(value, present), "@odata.etag": tag}
        return _ok(200 if present else 201, self._shown(kind, self.resources[kind][name]))

    def _verb(self, method: str, kind: str, name: str, verb: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if name not in self.resources[kind]:
            return _error(404, f"No {kind[:-1]} with the name '{name}' was found")
        if (method, kind, verb) == ("POST", "indexers", "search.run"):
            self._run(self.resources["indexers"][name])
            return 202, {}, b""
        if (method, kind, verb) == ("GET", "indexers", "search.status"):
            last = self.results.get(name)
            return _ok(
                200, {"name": name, "status": "running", "lastResult": last, "executionHistory": [last] if last else []}
            )
        if (method, kind, verb) == ("POST", "indexes", "docs/search.post.search"):
            try:
                return _ok(200, fake_indexer.search(self.resources[kind][name], self.documents, json.loads(body)))
            except (ValueError, KeyError) as error:
                return _error(400, f"Invalid expression: {error}")
        return _error(404, "There is no such address")

    def _run(self, indexer: dict[str, Any]) -> None:
        skillset = self.resources["skillsets"][indexer["skillsetName"]]
        index = self.resources["indexes"][indexer["targetIndexName"]]
        documents, self.results[indexer["name"]] = fake_indexer.run(indexer, skillset, index, self.blobs)
        self.documents.update(documents)


def _kept_identities(value: dict[str, Any], present: dict[str, Any] | None) -> dict[str, Any]:
    """An identity that is left out stays; the one that means none clears it."""
    none = "#Microsoft.Azure.Search.DataNoneIdentity"
    pairs = [(value, present or {}, "identity")]
    theirs = (present or {}).get("skills") or [{}]
    pairs += [(ours, before, "authIdentity") for ours, before in zip(value.get("skills", ()), theirs, strict=False)]
    for ours, before, key in pairs:
        if (ours.get(key) or {}).get("@odata.type") == none:
            ours[key] = None
        elif ours.get(key) is None and before.get(key):
            ours[key] = before[key]
    return value


def _ok(status: int, value: Any) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/json; odata.metadata=minimal"}, json.dumps(value).encode()


def _error(status: int, message: str) -> tuple[int, dict[str, str], bytes]:
    return (
        status,
        {"Content-Type": "application/json"},
        json.dumps({"error": {"code": "", "message": message}}).encode(),
    )


@contextmanager
def running() -> Iterator[FakeService]:
    service = FakeService()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            named = {name.lower(): value for name, value in self.headers.items()}
            status, headers, content = service.answer(self.command, self.path, named, body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = handle_any

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
