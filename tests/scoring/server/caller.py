"""Strange requests on one connection to a server's process, and what must hold for every answer."""

from __future__ import annotations

import http.client
import json
from collections import Counter

import hypothesis

from tests.scoring.server import strange, versions
from tests.scoring.server.process import Process


def send(caller: Caller, examples: int) -> None:
    """As many as `examples`, each a new one; the same every time where hypothesis is told so."""

    @hypothesis.settings(
        max_examples=examples, deadline=None, suppress_health_check=list(hypothesis.HealthCheck), database=None
    )
    @hypothesis.given(strange.requests())
    def each(request: strange.Request) -> None:
        caller.check(request)

    each()


class Caller:
    """One connection, opened again when the server closes it; `boxes` are what the model finds in the good picture."""

    def __init__(self, server: Process, boxes: int = 2) -> None:
        self.server, self.boxes = server, boxes
        self.statuses: Counter[int] = Counter()
        self._connection = server.connect()

    def good(self) -> bool:
        answer, body = self._ask("POST", "/score", versions.picture(), {"content-type": "image/png"})
        return answer.status == 200 and len(json.loads(body)[0]["boxes"]) == self.boxes

    def check(self, request: strange.Request) -> None:
        answer, body = self._ask(request.method, request.path, request.body, request.headers)
        self.statuses[answer.status] += 1
        assert 200 <= answer.status < 500, body
        assert answer.status != 422, "this server's own errors have no 422"
        assert b"Traceback (most recent call last)" not in body  # the first word alone may be an id that was sent
        assert not body or b"root:" not in body[:5], "a file of the machine"
        if request.method == "POST" or answer.headers.get_content_type() == "application/json":
            assert not body or json.loads(body, parse_constant=_no_constant) is not None

    def close(self) -> None:
        self._connection.close()

    def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        for attempt in (1, 2):
            try:
                self._connection.request(method, path, body or None, headers)
                answer = self._connection.getresponse()
                return answer, answer.read()
            except (http.client.RemoteDisconnected, ConnectionError):  # it closed the one before, as it said
                self._connection.close()
                assert attempt == 1, "two connections in a row were closed without an answer"
        raise AssertionError


def _no_constant(word: str) -> None:
    raise AssertionError(f"{word} is not JSON")
