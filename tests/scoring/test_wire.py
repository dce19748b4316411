"""The messages of /score against golden files, and every request that must be refused."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.detections import Detections
from scoring.errors import ImageError, NotFoundError, StorageError, UsageError
from scoring.images import open_image
from scoring.wire import decode_base64, parse_score_request, standard_base64, to_element, to_error_element

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "contracts" / "score"
LABELS = ["can, 0.5 l", "milk_bottle"]


def detections(*rows: tuple[list[float], float, int]) -> Detections:
    return Detections(
        np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.float32),
        np.array([row[2] for row in rows], np.int64),
    )


def test_the_answer_is_the_golden_file_to_the_byte() -> None:
    found = detections(([0, 0.12345678, 0.5, 1], 0.25006, 0), ([0.224, 0.285, 0.399, 0.62], 0.937, 1))
    too_large = ImageError(
        "expected at most 33554432 bytes and 40000000 pixels, found 20000 x 20000 pixels", code="image_too_large"
    )
    answer = [
        to_element("image_0", found, LABELS),
        to_element("image_1", Detections.none(), LABELS),
        to_error_element("image_2", too_large),
    ]
    assert json.dumps(answer, indent=1) + "\n" == (GOLDEN / "answer_detection.json").read_text()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("request_*.json")), ids=lambda path: path.stem)
def test_every_request_shape_gives_the_same_two_images(path: Path) -> None:
    images = [open_image(data) for data in parse_score_request(path.read_bytes())]
    assert [image.getpixel((0, 0)) for image in images] == [(255, 0, 0), (0, 128, 0)]


@pytest.mark.parametrize(
    "value",
    [
        [],
        "text",
        {},
        {"data": "aGk="},
        {"data": [1]},
        {"data": [None]},
        {"data": [["aGk=", "aGk="]]},
        {"data": [{"image_base64": "aGk="}]},  # an object that is not a JSON string
        {"data": ["not base64!"]},
        {"data": ["aGk"]},  # padding missing
        {"data": ["aGk=aGk="]},  # padding in the middle
        {"data": ["a Gk="]},  # a blank is not a line break
        {"data": ["_-8="]},  # the alphabet of addresses
        {"data": ["data:image/png,aGk="]},  # a data: prefix that does not say base64
        {"data": ["data:;base64,aGk="]},
        {"data": ['{"image_base64": 3}']},
        {"data": ['{"image_url": "http://x"}']},
        {"data": ["{broken"]},
        {"data": ["aGk="], "more": 1},
        {"input_data": ["aGk="]},
        {"input_data": {"columns": ["image"]}},
        {"input_data": {"columns": ["photo"], "data": ["aGk="]}},
        {"input_data": {"columns": ["image"], "data": ["aGk="], "index": []}},
        {"input_data": {"columns": ["image"], "data": ["aGk="], "index": 0}},
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_anything_else_is_an_error(value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        parse_score_request(json.dumps(value))
    assert caught.value.hint
    assert "aGk" not in str(caught.value)  # never what was sent


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_is_an_error(body: bytes) -> None:
    with pytest.raises(UsageError, match="expected JSON"):
        parse_score_request(body)


@settings(deadline=None, max_examples=50)
@given(images=st.lists(st.binary(max_size=300), max_size=4), width=st.integers(1, 90), prefix=st.booleans())
def test_bytes_come_back_whatever_the_line_length(images: list[bytes], width: int, prefix: bool) -> None:
    def wrapped(data: bytes) -> str:
        text = base64.b64encode(data).decode()
        lines = "\r\n".join(text[i : i + width] for i in range(0, len(text), width))
        return f"data:image/jpeg;charset=x;base64,{lines}" if prefix else lines

    assert parse_score_request(json.dumps({"data": [wrapped(data) for data in images]})) == images


texts = st.text("Aa9+/=_- \n", max_size=12) | st.builds(
    lambda fours, end: "Aa9/" * fours + end,
    st.integers(0, 20),
    st.sampled_from(["", "=", "==", "===", "====", "A", "A=", "AA=="]),
)


@settings(deadline=None, max_examples=500)
@given(text=texts)
def test_what_is_base64_depends_on_no_library(text: str) -> None:
    """Nor on Python's version: some let more padding pass than RFC 4648 has."""

    def read(decode: Callable[[str], bytes]) -> bytes | None:
        try:
            return decode(text)
        except ValueError:
            return None

    bare = text.replace("\n", "")
    right = re.fullmatch(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", bare)
    expected = base64.b64decode(bare) if right else None
    assert read(decode_base64) == read(lambda _: standard_base64(bare)) == expected


def test_a_byte_order_mark_is_passed_over_and_other_encodings_are_refused() -> None:
    text = '{"data": ["AAECAw=="]}'
    for body in (text, "\ufeff" + text, text.encode(), text.encode("utf-8-sig")):
        assert parse_score_request(body) == [bytes(range(4))]
    for body in (text.encode("utf-16"), "\ufeff\ufeff" + text, text.encode("utf-16-le")):
        with pytest.raises(UsageError):
            parse_score_request(body)


def test_a_bundle_reads_requests_with_the_standard_library_alone() -> None:
    """What its requirements.txt names has neither of the faster libraries."""
    script = (
        "import sys; sys.modules['orjson'] = sys.modules['pybase64'] = None\n"
        "from scoring.wire import parse_score_request as parse\n"
        'assert parse(b\'{"data": ["AAECAw=="]}\') == [bytes(range(4))]\n'
        "from scoring.errors import UsageError\n"
        "assert parse(b'\\xef\\xbb\\xbf{\"data\":[]}') == parse('\\ufeff{\"data\":[]}') == []\n"
        "for bad in (b'{', b'{\"data\": [\"AAECAw===\"]}', b'\\xff', '{\"data\":[]}'.encode('utf-16')):\n"
        "    try: parse(bad); sys.exit('taken')\n"
        "    except UsageError: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@settings(deadline=None, max_examples=100)
@given(data=st.data(), count=st.integers(0, 30))
def test_numbers_are_rounded_to_the_nearest(data: st.DataObject, count: int) -> None:
    fractions = st.floats(0, 1, width=32)
    found = detections(
        *([data.draw(st.lists(fractions, min_size=4, max_size=4)), data.draw(fractions), 0] for _ in range(count))
    )
    shown = to_element("x", found, LABELS)["boxes"]
    order = sorted(range(count), key=lambda i: -found.scores[i])
    for box, i in zip(shown, order, strict=True):
        assert box["score"] == pytest.approx(float(found.scores[i]), abs=0.5001e-4)
        assert list(box["box"].values()) == pytest.approx(found.boxes[i].tolist(), abs=0.5001e-6)
        assert (
            all(float(f"{side:.6f}") == side for side in box["box"].values())
            and float(f"{box['score']:.4f}") == box["score"]
        )


@settings(deadline=None, max_examples=50)
@given(scores=st.lists(st.floats(0, 1, width=32), max_size=20))
def test_elements_are_sorted_by_score(scores: list[float]) -> None:
    element = to_element("x", detections(*(([0, 0, 1, 1], score, 0) for score in scores)), LABELS)
    shown = [box["score"] for box in element["boxes"]]
    assert shown == sorted(shown, reverse=True)


def test_other_errors_have_codes_too() -> None:
    assert to_error_element("x", NotFoundError("no"))["error"]["code"] == "not_found"
    assert to_error_element("x", StorageError("no"))["error"]["code"] == "unreadable"
