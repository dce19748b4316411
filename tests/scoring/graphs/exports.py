"""Small real graphs of the shape that Azure's AutoML leaves: fixed batch of 1, as many rows as objects."""

from __future__ import annotations

from typing import Any

import numpy as np

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
STRETCH = {"size": [60, 80], "resize": "stretch", **IMAGENET}
# in pixels of the 80 x 60 input, one a channel
BOXES = [[0, 0, 40, 30], [40, 30, 80, 60], [20, 15, 60, 45]]


def torchvision_like(
    names: tuple[str, ...], first_label: int, *, batch: int | str = 1, labels_type: str = "INT64", scores: str = "score"
) -> bytes:
    """One row for each colour channel that is brighter than grey; scores are the channels' means from 0 to 1.

    `names` are the outputs in order, each beginning with boxes, labels or scores, or "?boxes" for a name that does not.
    """
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, values: Any, dtype: Any) -> Any:
        return numpy_helper.from_array(np.array(values, dtype), name)

    kinds = [next(kind for kind in ("boxes", "labels", "scores") if kind in name) for name in names]
    plain = [name.lstrip("?") if name[0] != "?" else str(6000 + at) for at, name in enumerate(names)]
    out = dict(zip(kinds, plain, strict=True))
    label_type = getattr(TensorProto, labels_type)
    nodes = [
        helper.make_node("ReduceMean", ["input", "sides"], ["by_channel"], keepdims=0),
        helper.make_node("Mul", ["by_channel", "std"], ["spread"]),
        helper.make_node("Add", ["spread", "mean"], ["score"]),
        helper.make_node("Greater", ["score", "grey"], ["bright"]),
        helper.make_node("NonZero", ["bright"], ["where"]),
        helper.make_node("Squeeze", ["where", "first"], ["rows"]),
        helper.make_node("Gather", ["all_boxes", "rows"], [out["boxes"]], axis=0),
        helper.make_node("Gather", [scores, "rows"], [out["scores"]], axis=0),
        helper.make_node("Add", ["rows", "first_label"], ["numbers"]),
        helper.make_node("Cast", ["numbers"], [out["labels"]], to=label_type),
    ]
    initializers = [
        constant("sides", [0, 2, 3], np.int64),
        constant("first", [0], np.int64),
        constant("mean", IMAGENET["mean"], np.float32),
        constant("std", IMAGENET["std"], np.float32),
        constant("grey", 0.5, np.float32),
        constant("all_boxes", BOXES, np.float32),
        constant("first_label", first_label, np.int64),
        constant("nan", [float("nan")] * 3, np.float32),
        constant("logits", [4.0, 3.0, -2.0], np.float32),
    ]
    shapes = {"boxes": ["n", 4], "labels": ["n"], "scores": ["n"]}
    types = {"boxes": TensorProto.FLOAT, "labels": label_type, "scores": TensorProto.FLOAT}
    outputs = [helper.make_tensor_value_info(out[kind], types[kind], shapes[kind]) for kind in kinds]
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, 60, 80])
    body = helper.make_graph(nodes, "three", [image], outputs, initializers)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())
