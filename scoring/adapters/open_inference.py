"""The messages of the Open Inference Protocol (version 2, REST) for a detector.

One BYTES tensor `image` of shape [n] or [n, 1], base64 texts in JSON, to images; detections to rectangular tensors,
padded to the image with most boxes. The binary extension is refused. Knows nothing about HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scoring.adapters.images import kind_of, read_images, read_object, refuse

INPUT = "image"
OUTPUTS = {"boxes": "FP32", "scores": "FP32", "labels": "BYTES", "num": "INT64", "errors": "BYTES"}
_SIDES = ("topX", "topY", "bottomX", "bottomY")
_HINT = 'send {"inputs":[{"name":"image","shape":[1],"datatype":"BYTES","data":["<base64>"]}]}'
_NO_BINARY = (
    "the binary tensor extension is not supported: send base64 texts in JSON (binary_data=False in Triton's client)"
)


@dataclass(frozen=True)
class InferRequest:
    """`outputs` are the tensors that were asked for, all of them where nothing was said."""

    images: tuple[bytes, ...]
    outputs: tuple[str, ...]
    id: str | None = None


def parse_infer(body: bytes | str, *, binary_header: bool = False) -> InferRequest:
    """`binary_header`: the request carries Inference-Header-Content-Length.

    Raises: UsageError.
    """
    if binary_header:
        refuse("a body that is JSON alone", _NO_BINARY)
    value = read_object(body, _HINT)
    request_id = value.get("id")
    if request_id is not None and not isinstance(request_id, str):
        refuse(f"'id' as a string, found {kind_of(request_id)}", _HINT)
    inputs = value.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        refuse("'inputs' with one tensor", _HINT)
    _refuse_binary(value, "binary_data_output")
    return InferRequest(_images(inputs[0]), _outputs(value.get("outputs")), request_id)


def to_answer(request: InferRequest, elements: Sequence[dict[str, Any]], *, name: str, version: str) -> dict[str, Any]:
    """`elements` are those of /score, one an image, in the request's order."""
    most = max((len(each["boxes"]) for each in elements), default=0)
    tensors = [_tensor(output, elements, most) for output in request.outputs]
    optional = {"model_version": version or None, "id": request.id}
    known = {key: value for key, value in optional.items() if value is not None}
    return {"model_name": name, **known, "outputs": tensors}


def model_metadata(name: str, version: str) -> dict[str, Any]:
    dimensions = {"boxes": [-1, -1, 4], "scores": [-1, -1], "labels": [-1, -1], "num": [-1], "errors": [-1]}
    return {
        "name": name,
        "versions": [version] if version else [],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": each, "datatype": kind, "shape": dimensions[each]} for each, kind in OUTPUTS.items()],
    }


def _images(tensor: dict[str, Any]) -> tuple[bytes, ...]:
    if tensor.get("name") != INPUT:
        refuse(f"an input named '{INPUT}'", _HINT)
    if tensor.get("datatype") != "BYTES":
        refuse("datatype BYTES (encoded images as base64 texts)", _HINT)
    _refuse_binary(tensor, "binary_data_size")
    count, data = _count(tensor.get("shape")), tensor.get("data")
    if not isinstance(data, list):
        refuse(f"'data' as a list, found {kind_of(data)}", _HINT)
    texts = [text for row in data for text in (row if isinstance(row, list) else [row])]
    if len(texts) != count:
        refuse(f"as many elements in 'data' as 'shape' says, found {len(texts)}", _HINT)
    return tuple(read_images(texts, _HINT))


def _count(shape: object) -> int:
    """How many images [n] or [n, 1] announces."""
    if not isinstance(shape, list) or any(type(side) is not int or side < 0 for side in shape):
        refuse("'shape' as a list of whole numbers", _HINT)
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]):
        refuse("'shape' [n] or [n, 1]", _HINT)
    return int(shape[0])


def _outputs(value: object) -> tuple[str, ...]:
    if value is None or value == []:
        return tuple(OUTPUTS)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        refuse("'outputs' as a list of objects with a 'name'", _HINT)
    names = [each.get("name") for each in value]
    if not all(isinstance(name, str) and name in OUTPUTS for name in names) or len(set(names)) != len(names):
        refuse(f"outputs out of {', '.join(OUTPUTS)}, each once", _HINT)
    for each in value:
        _refuse_binary(each, "binary_data")
    return tuple(names)


def _refuse_binary(value: dict[str, Any], parameter: str) -> None:
    parameters = value.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        refuse(f"'parameters' as an object, found {kind_of(parameters)}", _HINT)
    if parameters and parameters.get(parameter):
        refuse(f"no '{parameter}'", _NO_BINARY)


def _tensor(output: str, elements: Sequence[dict[str, Any]], most: int) -> dict[str, Any]:
    shape, data = [len(elements)], [_value(output, each, most) for each in elements]
    if output not in ("num", "errors"):
        shape, data = [*shape, most], [value for image in data for value in image]
    if output == "boxes":
        shape, data = [*shape, len(_SIDES)], [side for box in data for side in box]
    return {"name": output, "datatype": OUTPUTS[output], "shape": shape, "data": data}


def _value(output: str, element: dict[str, Any], most: int) -> Any:
    """One image's part of a tensor; lists are padded to what the image with most boxes needs."""
    found = element["boxes"]
    if output == "num":
        return len(found)
    if output == "errors":
        return element.get("error", {}).get("message", "")
    if output == "boxes":
        return _padded([[each["box"][side] for side in _SIDES] for each in found], most, [0.0] * len(_SIDES))
    return _padded([each[output.removesuffix("s")] for each in found], most, 0.0 if output == "scores" else "")


def _padded(values: list[Any], most: int, empty: Any) -> list[Any]:
    return values + [empty] * (most - len(values))
