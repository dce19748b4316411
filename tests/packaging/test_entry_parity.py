"""score.py reads and says as the scoring server does, where a stranger's text could tell them apart or do harm."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from scoring.detections import Detections
from scoring.errors import UsageError
from scoring.scorer import Scored
from scoring.server.routes.answering import model_headers, threshold_of
from scoring.server.service import Answered, ServedModel

ENTRY = Path(__file__).resolve().parents[2] / "model_training/packaging/entry"


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`cva_http` as it lies in a bundle."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(ENTRY))
    import importlib

    yield importlib.import_module("cva_http")
    sys.modules.pop("cva_http")


GIVEN = ["0", "1", ".5", "1e-2", "+0.4", "0_1", "nan", "inf", " 0.4", "0.4\n", "\u0661", "1e400", "-0.1", "", "0x0"]


@pytest.mark.parametrize("given", GIVEN)
def test_a_threshold_is_the_same_number_or_none_in_both(entry: Any, given: str) -> None:
    from urllib.parse import quote

    def of_server() -> float | None:
        scope = {"type": "http", "query_string": f"threshold={quote(given)}".encode(), "headers": []}
        return threshold_of(Request(scope))

    def of_entry() -> float | None:
        args = types.SimpleNamespace(getlist=lambda name: [given])
        found: float | None = entry._threshold(types.SimpleNamespace(args=args))
        return found

    def outcome(read: Any) -> float | str | None:
        try:
            value: float | None = read()
        except UsageError as error:
            return error.message
        return value

    assert outcome(of_entry) == outcome(of_server)


@pytest.mark.parametrize("name", ["Caps", "a b", "x\r\nset-cookie: a=b", "Größe", "%"])
def test_a_name_in_a_header_is_printable(entry: Any, name: str) -> None:
    scored = Scored(Detections.none(), None, 1, 1, 1.0, 2.0)
    answered = Answered(ServedModel(name, "7", None, "", ""), [scored], 0.0, 1.0, 2.0)  # type: ignore[arg-type]
    ours: dict[str, str] = entry._headers(types.SimpleNamespace(name=name, version="7"), [scored])
    assert {key.encode(): value.encode() for key, value in ours.items()} == dict(model_headers(answered))
    assert all(value.isascii() and value.isprintable() for value in ours.values())


def test_a_fault_is_logged_with_its_place_and_without_a_traceback(entry: Any, caplog: pytest.LogCaptureFixture) -> None:
    reply = entry.reply(None, types.SimpleNamespace(method="POST"), "r-1")  # no headers: our own fault
    assert reply.status == 500
    [record] = caplog.records
    assert record.exc_info is None and "Traceback" not in caplog.text
    assert "request r-1 failed: AttributeError" in caplog.text and "cva_http.py:" in caplog.text
