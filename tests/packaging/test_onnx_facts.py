"""What is read of a stranger's ONNX file without a runtime: what the onnx package reads, and never a surprise."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from model_training.errors import CvaError
from model_training.packaging.bundle import Source, make_bundle
from model_training.packaging.onnx_facts import onnx_facts
from tests.packaging.automl_exports import (
    COLOURS,
    RCNN,
    RETINA,
    SHAPES,
    YOLO,
    Shape,
    draw,
    graph,
    leave,
    trial,
    yolo_like,
)

Change = Callable[[Any], object]


def written(folder: Path, data: bytes) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(data)
    return path


def changed(shape: Shape, change: Change) -> bytes:
    model = onnx.load_from_string(graph(shape))
    change(model)
    return bytes(model.SerializeToString())


def operators(nodes: Any) -> set[tuple[str, str]]:
    found = set()
    for node in nodes:
        found.add((node.domain, node.op_type))
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                found |= operators(inner.node)
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.algorithm)
def test_it_is_what_the_onnx_package_reads(tmp_path: Path, shape: Shape) -> None:
    model = onnx.load_from_string(graph(shape))
    facts = onnx_facts(written(tmp_path, graph(shape)))
    assert facts.opset == model.opset_import[0].version
    assert facts.weights == {each.name: tuple(each.dims) for each in model.graph.initializer}
    assert facts.operators == operators(model.graph.node)
    [port] = model.graph.input
    dims = tuple(dim.dim_param or dim.dim_value for dim in port.type.tensor_type.shape.dim)
    assert facts.inputs == {port.name: (port.type.tensor_type.elem_type, dims)}


def branch(model: Any) -> None:
    """An If whose branches hold operators of their own."""
    inner = helper.make_graph(
        [helper.make_node("Neg", ["chance"], ["less"])],
        "inner",
        [],
        [helper.make_tensor_value_info("less", TensorProto.FLOAT, None)],
    )
    model.graph.node.append(helper.make_node("If", ["no"], ["any"], then_branch=inner, else_branch=inner))


def test_operators_of_branches_count(tmp_path: Path) -> None:
    facts = onnx_facts(written(tmp_path, changed(YOLO, branch)))
    assert {("", "If"), ("", "Neg")} <= facts.operators


def test_weights_that_are_listed_among_the_inputs_are_no_inputs(tmp_path: Path) -> None:
    def list_them(model: Any) -> None:
        for each in model.graph.initializer:
            model.graph.input.append(helper.make_tensor_value_info(each.name, each.data_type, each.dims))

    assert list(onnx_facts(written(tmp_path, changed(YOLO, list_them))).inputs) == ["input"]


def operator(name: str, domain: str = "") -> Change:
    return lambda model: model.graph.node.append(helper.make_node(name, ["input"], ["x"], domain=domain))


def chance_in_a_branch(model: Any) -> None:
    branch(model)
    model.graph.node[-1].attribute[0].g.node[0].op_type = "RandomNormal"


def opset(version: int) -> Change:
    def change(model: Any) -> None:
        model.opset_import[0].version = version

    return change


def function(model: Any) -> None:
    model.functions.append(helper.make_function("", "Helper", ["a"], ["b"], [], [helper.make_opsetid("", 18)]))


def external(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")


def second_input(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def bytes_in(model: Any) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8


def size(*sides: int | str) -> Change:
    def change(model: Any) -> None:
        shape = model.graph.input[0].type.tensor_type.shape
        del shape.dim[:]
        for side in sides:
            dim = shape.dim.add()
            if isinstance(side, int):
                dim.dim_value = side
            else:
                dim.dim_param = side

    return change


def head(name: str, count: int) -> Change:
    tensor = numpy_helper.from_array(np.zeros(count, np.float32), name)
    return lambda model: model.graph.initializer.append(tensor)


RCNN_HEAD = "roi_heads.box_predictor.cls_score.bias"
RETINA_HEAD = "head.classification_head.cls_logits.bias"


@pytest.mark.parametrize(
    ("shape", "change", "words"),
    [
        (YOLO, external, "keeps tensors in another file"),
        (YOLO, operator("Gelu", "com.microsoft"), "operators that ONNX does not define: com.microsoft:Gelu"),
        (YOLO, operator("Shell", "evil"), "operators that ONNX does not define: evil:Shell"),
        (YOLO, function, "functions of its own"),
        (YOLO, operator("RandomUniformLike"), "at random"),
        (YOLO, chance_in_a_branch, "at random"),  # golden answers would fail now and then
        (YOLO, opset(7), "expected ONNX opset 9 to 21, found 7"),
        (YOLO, opset(23), "expected ONNX opset 9 to 21, found 23"),  # newer than the oldest onnxruntime that we promise
        (YOLO, second_input, "expected a graph with one input"),
        (YOLO, bytes_in, "expected a graph with one input"),
        (YOLO, size(8, 3, 64, 64), "expected a graph with one input"),  # made for a batch of 8
        (YOLO, size(1, 64, 64, 3), "expected a graph with one input"),
        (YOLO, size(1, 3, 64), "expected a graph with one input"),
        (YOLO, size(1, 3, 8, 8), "an input of 32 to 4096 pixels"),
        (YOLO, size(1, 3, 100_000, 100_000), "an input of 32 to 4096 pixels"),  # 120 GB an image
        (RCNN, head(RCNN_HEAD, 3), r"names 4 labels .* cls_score.bias of \(4,\), the graph has \(3,\)"),
        (RETINA, head(RETINA_HEAD, 18), r"names 3 labels .* cls_logits.bias of \(27,\), the graph has \(18,\)"),
    ],
)
def test_a_graph_that_no_device_should_run_is_refused_before_it_runs(
    tmp_path: Path, shape: Shape, change: Change, words: str
) -> None:
    exported = leave(tmp_path / "left", changed(shape, change), COLOURS, background=shape.background)
    with pytest.raises(CvaError, match=words) as caught:
        make_bundle(
            trial(shape.algorithm, exported),
            labels=COLOURS,
            validation=tmp_path / "not read",
            test=None,
            source=Source("Caps", "caps", "1", "a" * 64, "b" * 64, "run", "", 1),
            folder=tmp_path / "bundle",
        )
    assert caught.value.hint
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(("shape", "name", "count"), [(RCNN, RCNN_HEAD, 4), (RETINA, RETINA_HEAD, 27)])
def test_a_head_that_fits_and_a_free_size_are_fine(tmp_path: Path, shape: Shape, name: str, count: int) -> None:
    def change(model: Any) -> None:
        head(name, count)(model)
        size("batch", 3, "height", "width")(model)

    exported = leave(tmp_path / "left", changed(shape, change), COLOURS, background=shape.background)
    validation = draw(tmp_path / "parts", "validation", 6, 1)
    source = Source("Caps", "caps", "1", "a" * 64, "b" * 64, "run", "", 1)
    left = trial(shape.algorithm, exported)
    bundle = make_bundle(
        left, labels=COLOURS, validation=validation, test=None, source=source, folder=tmp_path / "bundle"
    )
    assert bundle.manifest["preprocess"]["size"] == [600, 800]  # as the service exports it


@settings(max_examples=300, deadline=None)
@given(cut=st.integers(0, 2000), at=st.integers(0, 2000), byte=st.integers(0, 255))
def test_damaged_bytes_are_an_error_of_ours_or_none(tmp_path: Path, cut: int, at: int, byte: int) -> None:
    data = bytearray(yolo_like())
    data[at % len(data)] = byte
    with contextlib.suppress(CvaError):
        onnx_facts(written(tmp_path, bytes(data[: max(1, len(data) - cut)])))
