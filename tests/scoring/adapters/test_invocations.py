"""MLflow's messages: every shape gives the same images; MLflow's own parser agrees."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.adapters.invocations import parse_invocations, to_answer
from scoring.errors import UsageError

GOLDEN = sorted((Path(__file__).parents[2] / "contracts" / "invocations").glob("*.json"))


def test_there_are_golden_requests() -> None:
    assert {path.stem for path in GOLDEN} >= {"inputs_rows", "inputs_column", "split", "records"}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_shape_gives_the_same_images(path: Path) -> None:
    assert parse_invocations(path.read_bytes()) == [b"abc", b"def"]


@pytest.mark.filterwarnings("ignore:.*Any type hint:UserWarning")  # mlflow's, about code of its own
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_mlflow_reads_the_same_requests(path: Path) -> None:
    """With the signature of our bundles' MLmodel; a data frame or a list of records of the same texts comes out."""
    from mlflow.pyfunc import scoring_server as server
    from mlflow.types import ColSpec, Schema

    body, _ = server._split_data_and_params(path.read_text())
    read = server.infer_and_parse_data(body, Schema([ColSpec("string", "image")]))
    column = list(read["image"]) if hasattr(read, "columns") or isinstance(read, dict) else list(read)
    texts = [each["image"] if isinstance(each, dict) else each for each in column]
    assert [base64.b64decode(str(text)) for text in texts] == [b"abc", b"def"]


def test_one_text_for_a_column_is_one_row() -> None:
    assert parse_invocations('{"inputs": {"image": "YWJj"}}') == [b"abc"]
    assert parse_invocations('{"inputs": [["YWJj"]]}') == [b"abc"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "exactly one of"),
        ([], "a JSON object, found a list"),
        ({"inputs": [], "instances": []}, "exactly one of"),
        ({"inputs": [], "surprise": 1}, "exactly one of"),
        ({"inputs": [], "params": {"threshold": 0.5}}, "no params"),
        ({"inputs": 5}, "'inputs' as a list, found a number"),
        ({"inputs": {"picture": []}}, "named 'image'"),
        ({"inputs": {"image": 5}}, "'inputs.image' as a list"),
        ({"inputs": [5]}, "image 0 as a base64 string, found a number"),
        ({"inputs": [["YWJj", "YWJj"]]}, "row 0 as a list of one text"),
        ({"inputs": ["YWJj", "@"]}, "image 1 is not valid base64"),
        ({"dataframe_split": []}, "'columns', 'data'"),
        ({"dataframe_split": {"columns": ["image"]}}, "'columns', 'data'"),
        ({"dataframe_split": {"columns": ["a"], "data": []}}, "named 'image'"),
        ({"dataframe_split": {"columns": ["image"], "data": ["YWJj"]}}, "row 0 as a list"),
        ({"dataframe_split": {"columns": ["image"], "data": [], "index": [1]}}, r"as in 'data' \(0\)"),
        ({"dataframe_split": {"columns": ["image"], "data": [], "index": 1}}, "'dataframe_split.index' as a list"),
        ({"dataframe_records": {"image": ["YWJj"]}}, "'dataframe_records' as a list"),
        ({"dataframe_records": ["YWJj"]}, "row 0 as"),
        ({"dataframe_records": [{"image": "YWJj", "more": 1}]}, "row 0 with one column"),
    ],
)
def test_what_is_refused(body: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_invocations(json.dumps(body))
    assert caught.value.hint


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["inputs", "image", "columns", "data", "index", "dataframe_split", "x"]), inner
        )
    ),
    max_leaves=8,
)


@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    try:
        images = parse_invocations(json.dumps(value))
    except UsageError:
        return
    assert all(isinstance(image, bytes) for image in images)


def test_the_answer() -> None:
    element = {"filename": "image_0", "boxes": []}
    assert to_answer([element]) == {"predictions": [element]}
