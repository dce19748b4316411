"""Texts that somebody wrote to do harm: each is refused in the error tree, in little time, and is not repeated.

Where the harm is time, the text is so long that the test would not end.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scoring.adapters.multipart import MAX_HEAD, read_field
from scoring.bundle import parse_manifest
from scoring.compat import in_range
from scoring.edge.registry import MAX_INDEX_BYTES, LocalRegistry
from scoring.errors import CvaError, IntegrityError, UsageError
from scoring.paths import MAX_PATH, check_path
from scoring.wire import decode_base64, parse_score_request

FORM = "multipart/form-data; boundary=xyz"


@pytest.mark.parametrize(
    "text", ["data:x/y" + ";a=data:x/y" * 200_000, "data:x/y" + ";a=" * 700_000, "data:" * 400_000]
)
def test_a_prefix_that_never_ends_is_read_once(text: str) -> None:
    with pytest.raises(binascii.Error):
        decode_base64(text)


@pytest.mark.parametrize(
    "value",
    [
        {"c2VjcmV0": ["aGk="]},
        {"input_data": {"data": []}, "c2VjcmV0": 1},
        {"input_data": {"columns": ["c2VjcmV0"], "data": ["aGk="]}},
        {"input_data": {"columns": "c2VjcmV0", "data": ["aGk="]}},
        {"input_data": {"c2VjcmV0": 1, "data": ["aGk="]}},
        {"data": ['{"c2VjcmV0": 1}']},
        {"data": ["c2VjcmV0!"]},
    ],
)
def test_a_refusal_repeats_nothing_of_what_was_sent(value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        parse_score_request(json.dumps(value))
    assert "c2VjcmV0" not in str(caught.value)


def part(head: bytes) -> bytes:
    return b"--xyz\r\n" + head + b"\r\n\r\nabc\r\n--xyz--\r\n"


def test_a_parts_head_is_read_up_to_a_limit() -> None:
    name = b'Content-Disposition: form-data; name="imageData"'
    full = name + b"\r\nX: " + b"x" * (MAX_HEAD - len(name) - 7)
    assert read_field(part(full), FORM, "imageData") == b"abc"
    with pytest.raises(UsageError, match="named imageData"):
        read_field(part(full + b"x"), FORM, "imageData")
    with pytest.raises(UsageError, match="named imageData"):
        read_field(part(b"content-disposition:form-data " * 300_000), FORM, "imageData")


def test_a_content_type_is_read_up_to_a_limit() -> None:
    name = part(b'Content-Disposition: form-data; name="imageData"')
    assert read_field(name, FORM + "; a=" + "x" * 1000, "imageData") == b"abc"
    with pytest.raises(UsageError, match="with a boundary"):
        read_field(name, FORM + '; a="' + ";" * 5_000_000, "imageData")


@pytest.mark.parametrize("path", ["a/\ud800.txt", "\udcff", "é" * (MAX_PATH // 2 + 1)])
def test_a_path_is_one_that_a_disk_can_have(path: str) -> None:
    with pytest.raises(IntegrityError, match="unsafe path"):
        check_path(path)
    check_path("é" * (MAX_PATH // 2))


@pytest.mark.parametrize("wanted", [">=" + "9" * 5000, ">=1." + "9" * 5000, ">=\u0661.20"])
def test_a_version_is_of_sane_numbers(wanted: str) -> None:
    with pytest.raises(IntegrityError, match="range of versions"):
        in_range("1.20", wanted)


@pytest.mark.parametrize(
    "changes",
    [
        {"runtime": {"onnxruntime": ">=1.20", "architectures": 5}},
        {"runtime": {"onnxruntime": ">=1.20", "architectures": None}},
        {"runtime": {"onnxruntime": ">=1.20", "architectures": "amd64"}},  # not five letters
        {"runtime": {"onnxruntime": ">=1.20", "architectures": [["amd64"]]}},
        {"preprocess": {"size": [32, 32], "mean": [10**400, 0, 0]}},
        {"preprocess": {"size": [32, 32], "std": [10**400, 1, 1]}},
        {"files": [{"path": "\ud800", "bytes": 1, "sha256": "0" * 64}]},
    ],
)
def test_a_manifest_with_such_values_is_broken(tiny_manifest: Callable[..., Any], changes: Any) -> None:
    with pytest.raises(IntegrityError, match=r"manifest is broken|unsafe path"):
        parse_manifest(json.dumps(tiny_manifest(**changes)).encode())


def test_a_manifest_of_any_json_is_read_or_refused(tiny_manifest: Callable[..., Any]) -> None:
    """Every value of the manifest in turn, and of the objects in it, is something else."""
    strange = [None, True, -1, 10**400, 1e308, "", "\ud800", "x" * 5000, [], [[]], {}, [None], {"x": []}]
    whole = {**tiny_manifest(), "files": [{"path": "model.onnx", "bytes": 1, "sha256": "0" * 64}]}
    places = [(key,) for key in whole] + [
        (key, deep) for key, value in whole.items() if type(value) is dict for deep in value
    ]
    read = 0
    for place in places:
        for value in strange:
            changed = json.loads(json.dumps(whole))
            holder = changed if len(place) == 1 else changed[place[0]]
            holder[place[-1]] = value
            try:
                parse_manifest(json.dumps(changed).encode())
                read += 1
            except CvaError as error:
                assert error.exit_code in (4, 6)
    assert 0 < read < len(places) * len(strange)


def test_an_index_is_read_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "registry.json").write_bytes(b'{"schema":1,"models":{}}'.ljust(MAX_INDEX_BYTES + 1))
    with pytest.raises(IntegrityError, match="more than"):
        LocalRegistry(tmp_path).resolve("Caps", "1")
