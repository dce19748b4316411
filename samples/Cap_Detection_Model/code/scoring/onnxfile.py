"""What an ONNX file must not hold, read from its bytes before any runtime sees it.

Knows protobuf's wire format, no tensors. A model is one
file: a tensor whose data lies in another file could name any file of the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scoring.errors import IntegrityError

MAX_BYTES = 1 << 30
MAX_DEPTH = 64

# message -> field number -> message it holds (onnx.proto3); only the paths that lead to tensors
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14


def read_onnx(path: Path) -> bytes:
    """The file's bytes, if it is of a sane size and whole in itself. Raises: IntegrityError."""
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise IntegrityError(f"expected an ONNX file of 1 to {MAX_BYTES} bytes, found {size}: {path}")
    data = path.read_bytes()
    try:
        external = _has_external(memoryview(data), "model", 0)
    except (IndexError, ValueError) as error:
        raise IntegrityError(f"{path} is not an ONNX file: {error}", hint="export the model again") from error
    if external:
        raise IntegrityError(
            f"{path} keeps tensors in another file, which a bundle may not do", hint="export it as a single file"
        )
    return data


def _has_external(message: memoryview, kind: str, depth: int) -> bool:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    for number, value in read_fields(message):
        if kind == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)):
            return True
        inner = _FIELDS[kind].get(number)
        if inner and isinstance(value, memoryview) and _has_external(value, inner, depth + 1):
            return True
    return False


def read_fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Numbers of fields and their values, as they come. Raises: ValueError, IndexError where it is no such message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
        elif wire in (1, 2, 5):
            size, at = _varint(message, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
            if at + size > len(message):
                raise ValueError("a field is cut off")
            yield number, message[at : at + size]
            at += size
        else:
            raise ValueError(f"wire type {wire}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is too long")
