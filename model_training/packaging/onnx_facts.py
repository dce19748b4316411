"""What an ONNX file says of itself: its input, its version, its operators, the shapes of its weights.

Read from the bytes, before any runtime sees them. Knows the format, nothing about detectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from model_training.errors import IncompatibleError, IntegrityError
from scoring.onnxfile import read_fields, read_onnx

OPSETS = range(9, 22)  # what every onnxruntime from 1.20 on runs
STANDARD = ("", "ai.onnx")  # operators of other domains may be anybody's code
CHANCE = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
FLOAT32 = 1
MAX_DEPTH = 64

Dim = int | str  # a name, or "", where a size is free


@dataclass
class OnnxFacts:
    """`inputs` and `weights` are those of the outermost graph, by name; an input is (element type, shape)."""

    opset: int = 0
    inputs: dict[str, tuple[int, tuple[Dim, ...]]] = field(default_factory=dict)
    weights: dict[str, tuple[int, ...]] = field(default_factory=dict)
    operators: set[tuple[str, str]] = field(default_factory=set)  # (domain, name), inner graphs' too
    functions: int = 0  # that the file brings with it


def onnx_facts(path: Path) -> OnnxFacts:
    """Raises: IntegrityError: too large, damaged, tensors in other files. IncompatibleError: what we do not run."""
    facts = OnnxFacts()
    try:
        for number, value in read_fields(memoryview(read_onnx(path))):
            if number == 7:
                _graph(_message(value), facts, 0)
            elif number == 8:
                _opset(_message(value), facts)
            elif number == 25:
                facts.functions += 1
    except (IndexError, ValueError) as error:
        raise IntegrityError(f"{path} is not an ONNX file: {error}", hint="download it again") from error
    _refuse_strange(facts, path)
    return facts


def _refuse_strange(facts: OnnxFacts, path: Path) -> None:
    foreign = sorted(f"{domain}:{name}" for domain, name in facts.operators if domain not in STANDARD)
    chance = sorted(name for _, name in facts.operators if name in CHANCE)
    if foreign or facts.functions:
        raise IncompatibleError(
            f"{path} needs operators that ONNX does not define: {', '.join(foreign[:5]) or 'functions of its own'}",
            hint="use the file as the service left it, not one that another tool has changed",
        )
    if chance:
        raise IncompatibleError(
            f"{path} answers at random ({', '.join(chance)})", hint="export the model in evaluation mode"
        )
    if facts.opset not in OPSETS:
        raise IncompatibleError(
            f"{path}: expected ONNX opset {OPSETS.start} to {OPSETS.stop - 1}, found {facts.opset}",
            hint="the service exports opset 11; use the file as it left it",
        )


def _graph(message: memoryview, facts: OnnxFacts, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    for number, value in read_fields(message):
        if number == 1:
            _node(_message(value), facts, depth)
        elif number == 5 and depth == 0:
            name, shape = _tensor(_message(value))
            facts.weights[name] = shape
        elif number == 11 and depth == 0:
            name, kind, dims = _port(_message(value))
            facts.inputs[name] = (kind, dims)
    if depth == 0:  # older files list the weights among the inputs
        facts.inputs = {name: port for name, port in facts.inputs.items() if name not in facts.weights}


def _node(message: memoryview, facts: OnnxFacts, depth: int) -> None:
    name = domain = ""
    for number, value in read_fields(message):
        if number == 4:
            name = _text(value)
        elif number == 7:
            domain = _text(value)
        elif number == 5:
            for inner, graph in read_fields(_message(value)):
                if inner in (6, 11):
                    _graph(_message(graph), facts, depth + 1)
    facts.operators.add((domain, name))


def _opset(message: memoryview, facts: OnnxFacts) -> None:
    """Only the standard operators' version counts; a list of others is harmless while none is used."""
    values = dict(read_fields(message))
    if _text(values.get(1, memoryview(b""))) in STANDARD:
        facts.opset = _number(values.get(2, 0))


def _tensor(message: memoryview) -> tuple[str, tuple[int, ...]]:
    name, shape = "", []
    for number, value in read_fields(message):
        if number == 8:
            name = _text(value)
        elif number == 1:
            shape += [value] if isinstance(value, int) else list(_packed(value))
    return name, tuple(shape)


def _port(message: memoryview) -> tuple[str, int, tuple[Dim, ...]]:
    """A ValueInfo: its name, and of a tensor its element type and shape; (name, 0, ()) for anything else."""
    values = dict(read_fields(message))
    kind, dims = 0, []
    tensor = dict(read_fields(_message(values.get(2, memoryview(b""))))).get(1, memoryview(b""))
    for number, value in read_fields(_message(tensor)):
        if number == 1:
            kind = _number(value)
        elif number == 2:
            dims = [_dim(_message(dim)) for each, dim in read_fields(_message(value)) if each == 1]
    return _text(values.get(1, memoryview(b""))), kind, tuple(dims)


def _dim(message: memoryview) -> Dim:
    values: Mapping[int, int | memoryview] = dict(read_fields(message))
    return _number(values[1]) if 1 in values else _text(values.get(2, memoryview(b"")))


def _packed(data: memoryview) -> Iterator[int]:
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message is expected")
    return value


def _number(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise ValueError("a message where a number is expected")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_message(value)).decode("utf-8", "replace")
