"""Versions of one tiny model whose answers can be told apart, and versions that must never go live."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from scoring.bundle import write_manifest
from tests.scoring.conftest import graph, make_bundle, manifest
from tests.scoring.edge.conftest import Shelf


def picture() -> bytes:
    """Red .78, green .59, blue .04 in the tiny graph's eyes."""
    file = io.BytesIO()
    Image.new("RGB", (40, 40), (200, 150, 10)).save(file, "PNG")
    return file.getvalue()


def boxes_of(version: int) -> int:
    """How many boxes `picture` gets from this version: two from the odd ones, one from the even ones."""
    return 2 if version % 2 else 1


def put(shelf: Shelf, version: int, spoil: Callable[[Path], None] = lambda folder: None, **options: Any) -> Path:
    """Register a version, spoilt before anybody can see it; it is the latest."""
    threshold = 0.3 if version % 2 else {"blue cap": 1.0, "green, cap": 0.3, "red-cap": 1.0}
    options |= {"postprocess": {"kind": "cva", "iou": 0.5, "score_threshold": threshold, "max_boxes": 3}}
    day = f"2026-05-{version:02}T10:00:00Z"
    folder = make_bundle(shelf.models / shelf.name / str(version), created_at=day, **options)
    spoil(folder)
    shelf.register(version)
    return folder


def rewrite(folder: Path, path: str, data: bytes) -> None:
    """Another content for one file, and a manifest that agrees to it."""
    (folder / path).write_bytes(data)
    write_manifest(folder, json.loads((folder / "manifest.json").read_bytes()))


def wrong_answers(shelf: Shelf, version: int) -> None:
    """Its golden answers are another model's."""

    def spoil(folder: Path) -> None:
        expected = json.loads((folder / "golden" / "expected.json").read_bytes())
        expected["images"][0]["boxes"][0]["score"] = 0.99
        rewrite(folder, "golden/expected.json", json.dumps(expected).encode())

    put(shelf, version, spoil)


def no_golden_images(shelf: Shelf, version: int) -> None:
    put(shelf, version, golden=False)


def one_changed_byte(shelf: Shelf, version: int) -> None:
    path = put(shelf, version) / "model.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def one_more_file(shelf: Shelf, version: int) -> None:
    put(shelf, version, lambda folder: (folder / "extra.pkl").touch())


def another_manifest(shelf: Shelf, version: int) -> None:
    write_manifest(put(shelf, version), manifest(license="none"))


def no_graph(shelf: Shelf, version: int) -> None:
    put(shelf, version, lambda folder: rewrite(folder, "model.onnx", b"\x0a\x03abc"))


def crashing_runtime(shelf: Shelf, version: int) -> None:
    """Dividing the smallest integer by -1 kills the process on amd64; elsewhere the answers are wrong."""
    put(shelf, version, lambda folder: rewrite(folder, "model.onnx", _with_division(graph())))


def _with_division(data: bytes) -> bytes:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(data)
    body = model.graph
    for node in body.node:
        node.output[:] = ["plain" if name == "scores" else name for name in node.output]
    body.initializer.append(numpy_helper.from_array(np.array(-(2**63), np.int64), "smallest"))
    body.initializer.append(numpy_helper.from_array(np.array(-1, np.int64), "minus_one"))
    body.initializer.append(numpy_helper.from_array(np.array(0.0, np.float32), "nought"))
    nodes = [  # -1 that the optimizer cannot know before it runs
        helper.make_node("Mul", ["score_threshold", "nought"], ["zero_float"]),
        helper.make_node("Cast", ["zero_float"], ["zero"], to=TensorProto.INT64),
        helper.make_node("Add", ["zero", "minus_one"], ["divisor"]),
        helper.make_node("Div", ["smallest", "divisor"], ["huge"]),
        helper.make_node("Cast", ["huge"], ["huge_float"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["plain", "huge_float"], ["scores"]),
    ]
    ordered = [body.node[0], body.node[1], body.node[2], *nodes, *list(body.node)[3:]]
    del body.node[:]
    body.node.extend(ordered)
    return bytes(model.SerializeToString())


BAD = (
    wrong_answers,
    no_golden_images,
    one_changed_byte,
    one_more_file,
    another_manifest,
    no_graph,
    crashing_runtime,
)
