"""The messages of /skill against golden files, and the rules that hold for any list of records."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.detections import Detections
from scoring.errors import DeadlineError, ImageError, UsageError
from scoring.images import open_image
from scoring.scorer import Scored
from scoring.search.skill import MAX_RECORDS, OUTPUTS, SkillRequest, parse_skill_request, render, to_answer

GOLDEN = Path(__file__).resolve().parents[2] / "contracts" / "skill"
LABELS = ["can, 0.5 l", "milk-bottle", "water bottle"]  # commas, hyphens and blanks pass through untouched
IMAGE = base64.b64encode(b"a picture").decode()
BAD = ImageError("expected an image, found something else", code="not_an_image")


def found(*rows: tuple[int, float]) -> Scored:
    """A picture with one box for each (label, score)."""
    boxes = np.tile(np.array([0.66, 0.48, 0.96, 0.81], np.float32), (len(rows), 1))
    scores = np.array([score for _, score in rows], np.float32)
    return Scored(Detections(boxes, scores, np.array([label for label, _ in rows], np.int64)))


def answer(body: Any, *scored: Scored | None, seconds: float = 25) -> Any:
    request = parse_skill_request(json.dumps(body))
    return json.loads(render(to_answer(request, scored, LABELS, seconds=seconds)))


def batch(*data: Any) -> dict[str, Any]:
    return {"values": [{"recordId": str(index), "data": each} for index, each in enumerate(data)]}


def golden(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text())


TWO = ["file", "normalized_image", "base64", "images_single", "images_list", "pages"]


@pytest.mark.parametrize("name", TWO)
def test_every_request_shape_gives_the_same_two_images(name: str) -> None:
    request = parse_skill_request((GOLDEN / f"request_{name}.json").read_bytes())
    assert [record.id for record in request.records] == ["0", "1"]
    assert [open_image(data).getpixel((0, 0)) for data in request.images] == [(255, 0, 0), (0, 128, 0)]
    assert all(record.paged == (name[:5] in ("image", "pages")) for record in request.records)


def test_a_partial_failure_is_the_golden_file() -> None:
    answered = answer(golden("request_partial_failure.json"), found((0, 0.89)))
    assert answered == golden("answer_partial_failure.json")


def test_pages_are_merged_as_the_golden_file() -> None:
    first, second = found((1, 0.5), (0, 0.9)), found((0, 0.7), (2, 0.3))
    assert answer(golden("request_pages_merged.json"), first, second) == golden("answer_pages_merged.json")


def test_the_bare_object_is_answered_with_the_outputs_alone() -> None:
    answered = answer(golden("request_bare.json"), found((0, 0.89)))
    assert answered == golden("answer_bare.json")
    assert tuple(answered) == OUTPUTS


def test_nothing_found_is_data_not_an_error() -> None:
    [record] = answer(batch({"image": IMAGE}), found())["values"]
    assert record["data"] == {"objects": [], "tags": [], "objectCount": 0, "amllabel": []}
    assert (record["errors"], record["warnings"]) == (None, None)


def test_tags_are_distinct_labels_in_the_order_of_the_objects() -> None:
    [record] = answer(batch({"image": IMAGE}), found((2, 0.4), (0, 0.9), (2, 0.8)))["values"]
    assert record["data"]["tags"] == record["data"]["amllabel"] == [LABELS[0], LABELS[2]]
    assert [each["score"] for each in record["data"]["objects"]] == [0.9, 0.8, 0.4]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "'data' is missing or not an object"),
        ("text", "'data' is missing or not an object"),
        ({}, "'image' is missing"),
        ({"image": None}, "'image' is missing"),  # an input without a value comes as null
        ({"text": "hello"}, "'image' is missing"),
        ({"image": "a b"}, "'image' is not valid base64"),
        ({"image": 7}, "'image' is not a base64 string or a file object"),
        ({"image": [IMAGE]}, "'image' is not a base64 string or a file object"),
        ({"image": {"$type": "file", "url": "https://example.invalid/a.jpg"}}, "'image' has no 'data' in base64"),
        ({"image": {"$type": "file", "data": None}}, "'image' has no 'data' in base64"),
        ({"image": {"$type": "file", "data": "?"}}, "'image' is not valid base64"),
        ({"pages": ["?"]}, "'pages[0]' is not valid base64"),
        ({"image": IMAGE, "pages": [IMAGE]}, "expected one of 'image', 'images', 'pages', found 'image' and 'pages'"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_a_bad_record_fails_alone(data: Any, message: str) -> None:
    body = batch({"image": IMAGE}, data, {"image": IMAGE})
    first, bad, last = answer(body, found((0, 0.9)), found((1, 0.8)))["values"]
    assert bad == {"recordId": "1", "data": {}, "errors": [{"message": message}], "warnings": None}
    assert (first["data"]["tags"], last["data"]["tags"]) == ([LABELS[0]], [LABELS[1]])


def test_a_record_without_data_at_all_fails_alone() -> None:
    [record] = answer({"values": [{"recordId": "0"}]})["values"]
    assert record["errors"] == [{"message": "'data' is missing or not an object"}]


def test_a_picture_that_cannot_be_decoded_is_the_records_error() -> None:
    [record] = answer(batch({"image": IMAGE}), Scored(None, BAD))["values"]
    assert record["data"] == {}
    assert record["errors"] == [{"message": "'image': expected an image, found something else"}]


def test_one_bad_page_is_a_warning_and_the_others_are_found() -> None:
    [record] = answer(batch({"pages": [IMAGE, "?", IMAGE]}), found((0, 0.9)), Scored(None, BAD))["values"]
    assert [(each["label"], each["page"]) for each in record["data"]["objects"]] == [(LABELS[0], 1)]
    assert record["errors"] is None
    assert [each["message"] for each in record["warnings"]] == [
        "'pages[1]' is not valid base64",
        "'pages[2]': expected an image, found something else",
    ]


def test_a_document_without_pictures_is_empty_with_a_warning() -> None:
    [record] = answer(batch({"pages": []}))["values"]
    assert (record["data"]["objectCount"], record["errors"]) == (0, None)
    assert record["warnings"] == [{"message": "the record has no pictures"}]


def test_when_time_runs_out_the_finished_records_are_answered_and_the_rest_carry_an_error() -> None:
    body = batch({"image": IMAGE}, {"image": IMAGE}, {"pages": [IMAGE, IMAGE]})
    done, late, half = answer(body, found((0, 0.9)), None, found((1, 0.8)), None, seconds=2.5)["values"]
    assert done["data"]["tags"] == [LABELS[0]]
    assert late["errors"] == [{"message": "'image': not finished within 2.5 s"}]
    assert half["errors"] == [{"message": "'pages[1]': not finished within 2.5 s"}]  # half a document is no answer
    assert (late["data"], half["data"]) == ({}, {})


def test_ids_come_back_unchanged_whatever_their_type() -> None:
    ids: list[Any] = ["1", 1, "é\u2028", "\ud800", "", -3]
    answered = answer({"values": [{"recordId": each, "data": {}} for each in ids]})
    assert [record["recordId"] for record in answered["values"]] == ids


def test_an_id_used_twice_is_answered_once_with_an_error() -> None:
    body = {"values": [{"recordId": "a", "data": {"image": IMAGE}}, *batch({"image": IMAGE})["values"]] * 2}
    for record, expected in zip(answer(body)["values"], ["a", "0"], strict=True):
        assert record["recordId"] == expected
        assert record["errors"] == [{"message": "'recordId' is used by more than one record of the request"}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'"text"',
        b"null",
        b"[" * 100_000,
        b'{"values":{}}',
        b'{"values":null}',
        b'{"values":["text"]}',
        b'{"values":[{"data":{}}]}',  # no id
        b'{"values":[{"recordId":null,"data":{}}]}',
        b'{"values":[{"recordId":true,"data":{}}]}',
        b'{"values":[{"recordId":1.5,"data":{}}]}',
        b'{"values":[{"recordId":["a"],"data":{}}]}',
        b'{"values":[{"recordId":"0","data":{}},{"RecordId":"1","data":{}}]}',  # names are case-sensitive
        b"{}",  # the bare object, empty
        b'{"image":null}',
        b'{"text":"hello"}',
    ],
)
def test_what_cannot_be_answered_record_by_record_is_refused(body: bytes) -> None:
    with pytest.raises(UsageError):
        parse_skill_request(body)


@pytest.mark.parametrize(
    ("body", "scored", "error"),
    [
        ({"image": "?"}, [], UsageError),
        ({"image": IMAGE}, [Scored(None, BAD)], ImageError),
        ({"image": IMAGE}, [None], DeadlineError),
        ({"images": [IMAGE, IMAGE]}, [found((0, 0.5)), Scored(None, BAD)], ImageError),
    ],
)
def test_the_bare_object_has_no_place_for_errors(body: Any, scored: list[Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        answer(body, *scored)


def test_an_empty_batch_is_answered() -> None:
    assert answer({"values": []}) == {"values": []}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
GOOD = st.sampled_from([IMAGE, {"$type": "file", "data": IMAGE}, {"data": IMAGE, "width": 3}])
VALUE = st.one_of(GOOD, ANYTHING, st.lists(GOOD, max_size=3), st.lists(GOOD | ANYTHING, max_size=3))
DATA = st.dictionaries(st.sampled_from(["image", "images", "pages", "text"]), VALUE, max_size=3) | ANYTHING
OUTCOME = (
    st.none()
    | st.just(Scored(None, BAD))
    | st.lists(st.sampled_from([(0, 0.9), (2, 0.4)])).map(lambda rows: found(*rows))
)


@settings(deadline=None, max_examples=150)
@given(records=st.dictionaries(st.text(max_size=4) | st.integers(), DATA | st.just(...), max_size=6), data=st.data())
def test_the_rules_hold_for_any_list_of_records(records: dict[Any, Any], data: st.DataObject) -> None:
    """Law: the same ids, once each and in order; data or errors, never both; arrays of messages or null."""
    values = [{"recordId": key, **({} if each is ... else {"data": each})} for key, each in records.items()]
    request = parse_skill_request(json.dumps({"values": values}))
    scored = [data.draw(OUTCOME) for _ in request.images]
    answered = json.loads(render(to_answer(request, scored, LABELS, seconds=1)))["values"]
    assert [record["recordId"] for record in answered] == list(records)
    for record in answered:
        assert set(record) == {"recordId", "data", "errors", "warnings"}
        assert set(record["data"]) == (set() if record["errors"] else set(OUTPUTS))
        for name in ("errors", "warnings"):
            assert record[name] is None or (record[name] and all(set(each) == {"message"} for each in record[name]))
        if record["data"]:
            assert record["data"]["objectCount"] == len(record["data"]["objects"])
            assert set(record["data"]["tags"]) == {each["label"] for each in record["data"]["objects"]}


@settings(deadline=None, max_examples=150)
@given(body=st.binary(max_size=60) | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_request_or_a_usage_error(body: bytes) -> None:
    try:
        assert isinstance(parse_skill_request(body), SkillRequest)
    except UsageError as error:
        assert error.message


def test_as_many_records_as_search_sends() -> None:
    request = parse_skill_request(json.dumps(batch(*[{"image": IMAGE}] * MAX_RECORDS)))
    assert len(request.images) == MAX_RECORDS
