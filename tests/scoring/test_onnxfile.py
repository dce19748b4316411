"""What is read of an ONNX file before any runtime sees it: nothing in it may name another file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.detector import Detector
from scoring.errors import IntegrityError
from scoring.onnxfile import read_onnx

Graph = Callable[..., bytes]


def tensor_in(model: Any, where: str) -> Any:
    """A tensor in each of the places where the format allows one."""
    from onnx import helper

    graph = model.graph
    plain = graph.initializer[0]
    if where == "initializer":
        return plain
    if where == "sparse initializer":
        return graph.sparse_initializer.add().values
    if where == "sparse indices":
        return graph.sparse_initializer.add().indices
    if where == "training":
        return model.training_info.add().algorithm.initializer.add()
    if where == "function":
        return model.functions.add().node.add().attribute.add().t
    node = graph.node.add()
    node.CopyFrom(helper.make_node("Constant", [], ["extra"], value=plain))
    attribute = node.attribute[0]
    if where == "attribute":
        return attribute.t
    if where == "attribute list":
        return attribute.tensors.add()
    if where == "sparse attribute":
        return attribute.sparse_tensor.values
    if where == "branch":
        return attribute.g.initializer.add()
    if where == "branch in a branch":
        return attribute.graphs.add().node.add().attribute.add().g.node.add().attribute.add().t
    raise AssertionError(where)


@pytest.mark.parametrize("mark", ["location", "data"])
@pytest.mark.parametrize(
    "where",
    [
        *("initializer", "sparse initializer", "sparse indices", "training", "function"),
        *("attribute", "attribute list", "sparse attribute", "branch", "branch in a branch"),
    ],
)
def test_a_tensor_in_another_file_is_refused_wherever_it_is(
    tmp_path: Path, tiny_graph: Graph, where: str, mark: str
) -> None:
    import onnx

    model = onnx.load_from_string(tiny_graph())
    tensor = tensor_in(model, where)
    tensor.data_type = onnx.TensorProto.FLOAT
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    read_onnx(tmp_path / "model.onnx")  # it is the other file alone that is refused
    if mark == "location":
        tensor.data_location = onnx.TensorProto.EXTERNAL
    else:
        tensor.external_data.add(key="location", value="../../etc/passwd")
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(IntegrityError, match="another file"):
        read_onnx(tmp_path / "model.onnx")


def test_the_detector_does_not_load_it(tiny_bundle: Callable[..., Path], tiny_graph: Graph) -> None:
    import onnx

    model = onnx.load_from_string(tiny_graph())
    tensor_in(model, "branch").data_location = onnx.TensorProto.EXTERNAL
    with pytest.raises(IntegrityError, match="another file"):
        Detector.load(tiny_bundle(onnx=model.SerializeToString(), golden=False))


def test_a_real_graph_is_given_as_it_is(tmp_path: Path, tiny_graph: Graph) -> None:
    (tmp_path / "model.onnx").write_bytes(tiny_graph())
    assert read_onnx(tmp_path / "model.onnx") == tiny_graph()


def test_a_graph_nested_without_end_is_refused(tmp_path: Path) -> None:
    """Model > graph > node > attribute > graph > ... with lengths that fit."""
    message = b""
    for _ in range(40):
        for field in (6, 5, 1):  # attribute.g, node.attribute, graph.node
            message = bytes([field << 3 | 2]) + varint(len(message)) + message
    (tmp_path / "model.onnx").write_bytes(bytes([7 << 3 | 2]) + varint(len(message)) + message)
    with pytest.raises(IntegrityError, match="nested deeper than 64"):
        read_onnx(tmp_path / "model.onnx")


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@settings(max_examples=80, deadline=None)
@given(at=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_graph_is_read_or_refused(tmp_path: Path, tiny_graph: Graph, at: int, value: int, cut: bool) -> None:
    data = tiny_graph()
    at %= len(data)
    (tmp_path / "model.onnx").write_bytes(data[:at] if cut else data[:at] + bytes([value]) + data[at + 1 :])
    with contextlib.suppress(IntegrityError):
        read_onnx(tmp_path / "model.onnx")
