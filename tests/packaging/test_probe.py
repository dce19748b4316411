"""A stranger's graph runs first where it can do no harm: whatever it does, this process goes on and says what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from model_training.errors import IncompatibleError
from model_training.packaging import probe as module
from model_training.packaging.probe import probe
from tests.packaging.automl_exports import COLOURS, YOLO, draw, graph
from tests.scoring.graphs.test_yolov5 import SMALL

MANIFEST: dict[str, Any] = {
    "schema": 1,
    "name": "Caps",
    "task": "image_object_detection",
    "preprocess": SMALL,
    "postprocess": {"kind": "automl_yolov5", "iou": 0.5, "score_threshold": 0.0, "max_boxes": 100},
    "labels": list(COLOURS),
    "runtime": {"format": "onnx", "opset": 11, "onnxruntime": ">=1.20"},
    "files": [],
}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    draw(tmp_path, "part", 1, 1)
    return tmp_path / "part0.png"


def put(folder: Path, *nodes: Any, **constants: Any) -> Path:
    """The good graph, with `nodes` before its answer: they make `extra`, a number that is added to the chances."""
    model = onnx.load_from_string(graph(YOLO))
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*rest[:2], *nodes, helper.make_node("Add", ["chance", "extra"], ["sum"]), *rest[2:]])
    concat = next(node for node in model.graph.node if node.op_type == "Concat")
    concat.input[1] = "sum"
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder


def test_a_good_graph_says_how_many_boxes_it_finds(tmp_path: Path, picture: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(graph(YOLO))
    assert probe(tmp_path, MANIFEST, picture) == 3


def test_a_graph_that_asks_for_more_memory_than_it_may_have(tmp_path: Path, picture: Path) -> None:
    """Its size comes from the picture, so that no optimizer can see it before."""
    nodes = [
        helper.make_node("Cast", ["chance"], ["whole"], to=TensorProto.INT64),
        helper.make_node("ReduceMean", ["whole"], ["nothing"], keepdims=0),
        helper.make_node("Add", ["nothing", "many"], ["side"]),
        helper.make_node("Unsqueeze", ["side"], ["shape"], axes=[0]),
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
        helper.make_node("ReduceMean", ["huge"], ["extra"], keepdims=0),
    ]
    put(tmp_path, *nodes, many=np.array(1 << 28, np.int64))  # 1 GiB of float32
    with pytest.raises(IncompatibleError, match=r"does not score part0.png: .*(memory|alloc)"):
        probe(tmp_path, MANIFEST, picture, memory=512 << 20)


def test_a_graph_that_never_ends(tmp_path: Path, picture: Path) -> None:
    one = helper.make_tensor_value_info("carried", TensorProto.FLOAT, [1])
    keep = [
        helper.make_node("Identity", ["go"], ["go_on"]),
        helper.make_node("Cos", ["carried"], ["turned"]),
    ]
    body = helper.make_graph(
        keep,
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            one,
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("turned", TensorProto.FLOAT, [1]),
        ],
    )
    put(
        tmp_path,
        helper.make_node("Loop", ["many", "yes", "start"], ["extra"], body=body),
        many=np.array(1 << 60, np.int64),
        yes=np.array(True),
        start=np.array([1], np.float32),
    )
    with pytest.raises(IncompatibleError, match="no answer within 3 s"):
        probe(tmp_path, MANIFEST, picture, timeout=3)


def test_a_graph_that_answers_nonsense(tmp_path: Path, picture: Path) -> None:
    put(tmp_path, helper.make_node("Identity", ["ten"], ["extra"]), ten=np.array([10], np.float32))
    with pytest.raises(IncompatibleError, match="answers scores from 10") as caught:
        probe(tmp_path, MANIFEST, picture)
    assert "nothing was registered" in caught.value.hint


def test_a_runtime_that_crashes(tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No graph is known that does it; the process that runs it is told to die instead."""
    crash = tmp_path / "crash"
    crash.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crash.chmod(0o700)
    monkeypatch.setattr(module.sys, "executable", str(crash))
    with pytest.raises(IncompatibleError, match="its process ended with status -11"):
        probe(tmp_path, MANIFEST, picture)
