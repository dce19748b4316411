"""The manifest and the folder it describes: what is written loads, and what differs by a byte does not."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.bundle import MANIFEST, load_bundle, verify_files, write_manifest
from scoring.errors import IncompatibleError, IntegrityError, NotFoundError
from scoring.manifest import Manifest, Preprocess
from scoring.paths import check_path, check_paths

Make = Callable[..., Path]
Values = Callable[..., dict[str, Any]]


def test_what_is_written_loads(tiny_bundle: Make) -> None:
    bundle = load_bundle(tiny_bundle())
    assert bundle.labels == ("blue cap", "green, cap", "red-cap")
    assert bundle.preprocess == Preprocess((32, 32))
    assert bundle.postprocess.score_threshold == 0.3
    assert [entry.path for entry in bundle.manifest.files] == [
        "golden/0001.png",
        "golden/expected.json",
        "labels.json",
        "model.onnx",
    ]
    assert bundle.manifest.raw["metrics"]["precision"] is None


def test_preprocess_and_postprocess_round_trip(tiny_manifest: Values) -> None:
    parsed = Manifest.parse({**tiny_manifest(), "files": []})
    again = tiny_manifest(preprocess=parsed.preprocess.to_json(), postprocess=parsed.postprocess.to_json())
    assert Manifest.parse({**again, "files": []}).preprocess == parsed.preprocess
    assert Manifest.parse({**again, "files": []}).postprocess == parsed.postprocess


def test_release_files_are_not_listed(tiny_bundle: Make) -> None:
    folder = tiny_bundle()
    manifest = load_bundle(folder).manifest
    (folder / "release.json").write_text("{}")
    (folder / "release.sig").write_bytes(b"x")
    verify_files(folder, manifest)


def test_a_mismatch_lists_missing_extra_and_changed(tiny_bundle: Make) -> None:
    folder = tiny_bundle()
    (folder / "labels.json").unlink()
    (folder / "model.onnx").write_bytes(b"")
    (folder / "b.txt").write_text("")
    (folder / "a.txt").write_text("")
    with pytest.raises(IntegrityError) as caught:
        load_bundle(folder)
    assert "missing: labels.json; extra: a.txt, b.txt; changed: model.onnx" in caught.value.message


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_one_changed_byte_anywhere_is_refused(tiny_bundle: Make, tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "law"
    if not folder.exists():
        tiny_bundle("law")
    digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    load_bundle(folder, manifest_sha256=digest)
    victim = data.draw(st.sampled_from(sorted(path for path in folder.rglob("*") if path.is_file())))
    good = victim.read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    victim.write_bytes(bytes(bad))
    try:
        with pytest.raises((IntegrityError, IncompatibleError)):
            load_bundle(folder, manifest_sha256=digest)
    finally:
        victim.write_bytes(good)


def test_a_link_in_a_bundle_is_refused(tiny_bundle: Make) -> None:
    folder = tiny_bundle()
    (folder / "other.onnx").symlink_to("model.onnx")
    with pytest.raises(IntegrityError, match="a link"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../x", "'..' part"),
        ("a/../../x", "'..' part"),
        ("/etc/passwd", "absolute"),
        ("C:/x", "not every system"),
        ("a\\b", "not every system"),
        ("a/\x00", "not every system"),
        ("a//b", "empty"),
        ("./a", "'.'"),
        ("", "characters"),
        ("a/" * 200, "characters"),
        ("golden/CON", "reserves"),
        ("aux.txt", "reserves"),
        ("trailing.", "ends in a dot"),
        ("blank /x", "ends in a dot or a blank"),
    ],
)
def test_unsafe_paths_are_refused(path: str, why: str) -> None:
    with pytest.raises(IntegrityError, match=why):
        check_path(path)


@pytest.mark.parametrize(
    "files",
    [
        [("a.txt", 1), ("A.TXT", 1)],  # one file on macOS and Windows
        [("caf\u00e9", 1), ("cafe\u0301", 1)],  # one name, two spellings
        [("a", 1), ("a/b", 1)],  # a file used as a folder
        [("A", 1), ("a/b", 1)],
        [("big", 3 << 30)],
        [(f"f{i}", 1 << 30) for i in range(5)],  # too much together
        [(str(i), 1) for i in range(1501)],
    ],
)
def test_listings_that_no_system_can_hold_are_refused(files: list[tuple[str, int]]) -> None:
    with pytest.raises(IntegrityError):
        check_paths(files)


def test_ordinary_paths_pass() -> None:
    check_paths([("model.onnx", 1), ("golden/0001.jpg", 2), ("code/scoring/édge/__init__.py", 0), ("console.txt", 1)])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"schema": 2}, IncompatibleError),
        ({"schema": None}, IncompatibleError),
        ({"task": "image_classification"}, IncompatibleError),  # it would be served as a detector
        ({"task": "image_instance_segmentation"}, IncompatibleError),
        ({"labels": []}, IntegrityError),
        ({"labels": ["a", "a"]}, IntegrityError),
        ({"labels": [1]}, IntegrityError),
        ({"name": 3}, IntegrityError),
        ({"runtime": {}}, IntegrityError),
        ({"files": [{"path": "../x", "bytes": 1, "sha256": "0" * 64}]}, IntegrityError),
        ({"files": [{"path": "x", "bytes": -1, "sha256": "0" * 64}]}, IntegrityError),
        ({"files": [{"path": "x", "bytes": 1, "sha256": "0" * 63}]}, IntegrityError),
        ({"files": [{"path": "x", "bytes": True, "sha256": "0" * 64}]}, IntegrityError),
        ({"preprocess": {"size": [0, 32]}}, IntegrityError),
        ({"preprocess": {"size": [32, 32], "std": [1, 0, 1]}}, IntegrityError),
        ({"preprocess": {"size": [32, 32], "resize": "crop"}}, IncompatibleError),
        ({"preprocess": {"size": [32, 32], "anchor": "bottom"}}, IncompatibleError),
        ({"preprocess": {"size": [32, 32], "antialias": 1}}, IncompatibleError),
        ({"preprocess": {"size": [32, 32], "interpolation": "bicubic"}}, IncompatibleError),
        ({"preprocess": {"size": [32, 32], "mean": [0, 0, float("nan")]}}, IntegrityError),
        ({"preprocess": {"size": [32, 32], "gamma": 2}}, IncompatibleError),
        ({"postprocess": {"kind": "new", "iou": 0.5, "score_threshold": 0.3, "max_boxes": 3}}, IncompatibleError),
        ({"postprocess": {"kind": "cva", "iou": 0.5, "score_threshold": 1.5, "max_boxes": 3}}, IntegrityError),
        ({"postprocess": {"kind": "cva", "iou": 0.5, "score_threshold": {"x": 0.5}, "max_boxes": 3}}, IntegrityError),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(
    tiny_manifest: Values, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        Manifest.parse({**tiny_manifest(), "files": [], **changes})


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 1, "schema": 1}', "\xff"])
def test_a_manifest_that_is_no_json_object_is_refused(tiny_bundle: Make, text: str) -> None:
    folder = tiny_bundle()
    (folder / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises((IntegrityError, IncompatibleError)):
        load_bundle(folder)


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is not a bundle"):
        load_bundle(tmp_path)
    with pytest.raises(NotFoundError, match="no bundle folder"):
        load_bundle(tmp_path / "none")


def test_a_bundle_without_a_model_is_refused(tiny_bundle: Make, tiny_manifest: Values) -> None:
    folder = tiny_bundle()
    (folder / "model.onnx").unlink()
    write_manifest(folder, tiny_manifest())
    with pytest.raises(IntegrityError, match=r"lists no model\.onnx"):
        load_bundle(folder)


def test_writing_a_manifest_is_all_or_nothing(
    tiny_bundle: Make, tiny_manifest: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_bundle()
    before = (folder / MANIFEST).read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_manifest(folder, tiny_manifest(name="Other"))
    assert (folder / MANIFEST).read_bytes() == before
    assert not list(folder.glob(".*"))


def test_numbers_that_json_does_not_know_are_refused(tiny_bundle: Make, tiny_manifest: Values) -> None:
    folder = tiny_bundle()
    with pytest.raises(IntegrityError, match="undefined numbers are null"):
        write_manifest(folder, tiny_manifest(metrics={"precision": float("nan")}))
    load_bundle(folder)  # the former manifest still stands
    path = folder / MANIFEST
    path.write_text(path.read_text().replace('"precision": null', '"precision": NaN'))
    with pytest.raises(IntegrityError, match="NaN is not JSON"):
        load_bundle(folder)


def test_the_manifest_is_the_same_after_a_copy(tiny_bundle: Make, tmp_path: Path) -> None:
    folder = tiny_bundle()
    shutil.copytree(folder, tmp_path / "copy")
    assert load_bundle(tmp_path / "copy").manifest == load_bundle(folder).manifest
    assert json.loads((folder / MANIFEST).read_text())["files"][-1]["path"] == "model.onnx"
