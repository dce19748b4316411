"""Open Inference Protocol messages: the golden files, what is refused, and the laws of the tensors."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.adapters.open_inference import OUTPUTS, InferRequest, model_metadata, parse_infer, to_answer
from scoring.errors import UsageError

GOLDEN = Path(__file__).parents[2] / "contracts" / "open_inference"


def box(label: str, score: float, *sides: float) -> dict[str, Any]:
    return {
        "box": dict(zip(("topX", "topY", "bottomX", "bottomY"), sides, strict=True)),
        "label": label,
        "score": score,
    }


ELEMENTS: list[dict[str, Any]] = [
    {
        "filename": "image_0",
        "boxes": [box("milk bottle", 0.937, 0.224, 0.285, 0.399, 0.62), box("can, open", 0.4, 0.0, 0.0, 1.0, 0.5)],
    },
    {"filename": "image_1", "boxes": [box("can, open", 0.8, 0.1, 0.1, 0.2, 0.2)]},
    {
        "filename": "image_2",
        "boxes": [],
        "error": {"code": "not_an_image", "message": "expected an image, found 3 bytes"},
    },
]


def request(**changes: Any) -> bytes:
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": ["YWJj"]}
    return json.dumps({"inputs": [{**tensor, **changes}]}).encode()


def test_the_golden_messages() -> None:
    asked = parse_infer((GOLDEN / "request.json").read_bytes())
    assert asked == InferRequest((b"abc", b"def", b"ghi"), tuple(OUTPUTS), "42")
    answer = to_answer(asked, ELEMENTS, name="bottles", version="7")
    assert answer == json.loads((GOLDEN / "answer.json").read_text())


def test_shapes_of_one_and_two_dimensions() -> None:
    for shape, data in ([1], ["YWJj"]), ([1, 1], ["YWJj"]), ([1, 1], [["YWJj"]]):
        assert parse_infer(request(shape=shape, data=data)).images == (b"abc",)
    assert parse_infer(request(shape=[0], data=[])).images == ()


def test_only_the_outputs_that_were_asked_for() -> None:
    body = {**json.loads(request()), "outputs": [{"name": "num"}, {"name": "scores"}]}
    asked = parse_infer(json.dumps(body))
    answer = to_answer(asked, ELEMENTS, name="bottles", version="7")
    assert [(each["name"], each["shape"]) for each in answer["outputs"]] == [("num", [3]), ("scores", [3, 2])]
    assert "id" not in answer


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "input__0"}, "named 'image'"),
        ({"datatype": "UINT8"}, "datatype BYTES"),
        ({"datatype": None}, "datatype BYTES"),
        ({"shape": [2]}, "found 1"),
        ({"shape": [-1]}, "whole numbers"),
        ({"shape": [True]}, "whole numbers"),  # JSON's true is no number
        ({"shape": [1.0]}, "whole numbers"),
        ({"shape": []}, r"\[n\] or \[n, 1\]"),
        ({"shape": [1, 2]}, r"\[n\] or \[n, 1\]"),
        ({"shape": [1, 1, 1]}, r"\[n\] or \[n, 1\]"),
        ({"shape": "1"}, "whole numbers"),
        ({"data": "YWJj"}, "'data' as a list"),
        ({"data": [5]}, "image 0 as a base64 string"),
        ({"data": ["@"]}, "image 0 is not valid base64"),
        ({"data": ["YWJj", "YWJj"]}, "found 2"),
        ({"parameters": {"binary_data_size": 3}}, "no 'binary_data_size'"),
        ({"parameters": []}, "'parameters' as an object"),
    ],
)
def test_wrong_tensors_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_infer(request(**changes))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"inputs": []}, "one tensor"),
        ({"inputs": {}}, "one tensor"),
        ({"inputs": [1]}, "one tensor"),
        ({"id": 5}, "'id' as a string"),
        ({"outputs": {}}, "'outputs' as a list"),
        ({"outputs": ["num"]}, "'outputs' as a list"),
        ({"outputs": [{"name": "masks"}]}, "out of boxes"),
        ({"outputs": [{"name": ["num"]}]}, "out of boxes"),
        ({"outputs": [{"name": "num"}, {"name": "num"}]}, "each once"),
        ({"outputs": [{"name": "num", "parameters": {"binary_data": True}}]}, "no 'binary_data'"),
        ({"parameters": {"binary_data_output": True}}, "no 'binary_data_output'"),
    ],
)
def test_wrong_requests_are_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_infer(json.dumps({**json.loads(request()), **more}))


def test_the_binary_extension_is_refused_and_says_what_to_do() -> None:
    with pytest.raises(UsageError) as caught:
        parse_infer(request(), binary_header=True)
    assert "binary_data=False" in caught.value.hint


@pytest.mark.parametrize("body", [b"", b"[]", b"nul", b"\xff", b"[" * 100_000])
def test_what_is_not_a_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(UsageError):
        parse_infer(body)


@given(st.lists(st.integers(0, 4), max_size=5))
def test_every_tensor_is_as_long_as_its_shape_says(counts: list[int]) -> None:
    elements = [{"boxes": [box("cap", 0.5, 0, 0, 1, 1)] * count} for count in counts]
    answer = to_answer(InferRequest((), tuple(OUTPUTS)), elements, name="m", version="1")
    described = {each["name"]: each for each in model_metadata("m", "1")["outputs"]}
    for tensor in answer["outputs"]:
        assert len(tensor["data"]) == math.prod(tensor["shape"])
        assert tensor["datatype"] == described[tensor["name"]]["datatype"]
        assert len(tensor["shape"]) == len(described[tensor["name"]]["shape"])
        assert tensor["shape"][0] == len(counts)
