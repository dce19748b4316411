"""The Custom Vision answer, against the published shape."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np

from scoring.adapters.custom_vision import to_answer
from scoring.detections import Detections

GOLDEN = Path(__file__).parents[2] / "contracts" / "custom_vision" / "answer.json"
LABELS = ["can, open", "milk bottle"]
FOUND = Detections(
    np.array([[0.0, 0.0, 1.0, 0.5], [0.224, 0.285, 0.399, 0.62]], np.float32),
    np.array([0.4, 0.937], np.float32),
    np.array([0, 1]),
)
TEN = datetime(2026, 5, 1, 12, 0, 0, 250_900, timezone(timedelta(hours=2)))


def answer(name: str = "bottles", version: str = "7") -> dict[str, Any]:
    answer_id = uuid.UUID("11111111-2222-4333-8444-555555555555")
    return to_answer(FOUND, LABELS, name=name, version=version, created=TEN, answer_id=answer_id)


def without_names(value: dict[str, Any]) -> dict[str, Any]:
    tags = [{**each, "tagId": "TAG"} for each in value["predictions"]]
    return {**value, "project": "PROJECT", "iteration": "ITERATION", "predictions": tags}


def test_the_published_shape() -> None:
    value = json.loads(json.dumps(answer()))
    assert without_names(value) == json.loads(GOLDEN.read_text())


def test_identities_are_uuids_that_stay() -> None:
    first, again = answer(), answer()
    tags = [each["tagId"] for each in first["predictions"]]
    for text in [first["project"], first["iteration"], *tags]:
        assert str(uuid.UUID(text)) == text
    assert len({first["project"], first["iteration"], *tags}) == 4
    assert first == again


def test_a_new_version_is_a_new_iteration_of_the_same_project() -> None:
    first, second, other = answer(), answer(version="8"), answer(name="caps")
    assert first["project"] == second["project"] != other["project"]
    assert first["iteration"] != second["iteration"]
    assert [p["tagId"] for p in first["predictions"]] == [p["tagId"] for p in second["predictions"]]


def test_nothing_found_is_an_empty_list() -> None:
    value = to_answer(Detections.none(), LABELS, name="a", version="", created=TEN, answer_id=uuid.uuid4())
    assert value["predictions"] == []
