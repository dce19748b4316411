"""The bundle's manifest as values: parsed, checked, and given back as JSON. Knows nothing about files on disk."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from scoring.errors import IncompatibleError, IntegrityError
from scoring.paths import check_paths

Json: TypeAlias = "dict[str, Any]"

MANIFEST = "manifest.json"
SCHEMA = 1
TASKS = ("image_object_detection",)  # whose answers the detector here gives
KINDS = ("cva", "automl_yolov5", "automl_fasterrcnn", "automl_retinanet")
RESIZES = ("letterbox", "letterbox_shrink", "stretch")  # ..._shrink: an image that fits is not made larger
ANCHORS = ("top_left", "center")  # where a letterboxed image lies in the input
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Preprocess:
    """What happens to an image before the graph sees it. `size` is (height, width) of the graph's input.

    Pixels are multiplied by `scale`, then `mean` is taken away, then divided by `std`.
    """

    size: tuple[int, int]
    resize: str = "letterbox"
    pad: int = 114
    color: str = "RGB"
    layout: str = "NCHW"
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    exif_transpose: bool = True
    interpolation: str = "bilinear"
    antialias: bool = True
    anchor: str = "top_left"
    rounding: str = "half_even"
    decoder: str = "pillow"
    input_dtype: str = "float32"

    def to_json(self) -> Json:
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@dataclass(frozen=True)
class Postprocess:
    """What the graph already did. `score_threshold` is the operating threshold: one number, or one a label."""

    kind: str
    iou: float
    score_threshold: float | Mapping[str, float]
    max_boxes: int

    def to_json(self) -> Json:
        threshold = self.score_threshold
        stored = dict(threshold) if isinstance(threshold, Mapping) else threshold
        return {"kind": self.kind, "iou": self.iou, "score_threshold": stored, "max_boxes": self.max_boxes}


@dataclass(frozen=True)
class FileEntry:
    path: str  # relative, forward slashes
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The parts that scoring and pulling need; `raw` is the whole object as it was read."""

    name: str
    task: str
    labels: tuple[str, ...]
    preprocess: Preprocess
    postprocess: Postprocess
    onnxruntime: str  # a range, for example ">=1.20"
    architectures: tuple[str, ...]  # empty: any
    files: tuple[FileEntry, ...]
    raw: Json

    @staticmethod
    def parse(value: object) -> Manifest:
        """Check every field that is used.

        Raises: IncompatibleError for a schema, task, preprocessing or kind that is not known here; IntegrityError for
        anything that is missing, of the wrong type, or unsafe.
        """
        raw = _object(value, "the manifest")
        if raw.get("schema") != SCHEMA:
            raise IncompatibleError(
                f"expected a manifest of schema {SCHEMA}, found {raw.get('schema')!r}",
                hint="update cv-accelerator on this machine, or choose an older version of the model",
            )
        labels = _labels(_field(raw, "labels", list))
        runtime = _object(raw.get("runtime"), "runtime")
        return Manifest(
            name=_field(raw, "name", str),
            task=_task(_field(raw, "task", str)),
            labels=labels,
            preprocess=_preprocess(_object(raw.get("preprocess"), "preprocess")),
            postprocess=_postprocess(_object(raw.get("postprocess"), "postprocess"), labels),
            onnxruntime=_field(runtime, "onnxruntime", str, "runtime."),
            architectures=_architectures(runtime.get("architectures", [])),
            files=_files(raw.get("files", [])),
            raw=raw,
        )


def _broken(what: str) -> IntegrityError:
    return IntegrityError(f"the manifest is broken: {what}", hint="make the bundle again, or pull it again")


def _object(value: object, what: str) -> Json:
    if not isinstance(value, dict):
        raise _broken(f"{what} should be a JSON object, found {type(value).__name__}")
    return value


def _field(raw: Json, name: str, kind: type, prefix: str = "") -> Any:
    value = raw.get(name)
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
        raise _broken(f"{prefix}{name} should be {kind.__name__}, found {value!r}")
    return value


def _number(raw: Json, name: str, low: float, high: float) -> float:
    value = raw.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise _broken(f"{name} should be a number from {low:g} to {high:g}, found {value!r}")
    return float(value)


def _task(task: str) -> str:
    if task not in TASKS:
        raise IncompatibleError(
            f"expected a model of {', '.join(TASKS)}, found one of {task!r}: this version detects objects and no more",
            hint="serve it with what it was made for, or update cv-accelerator on this machine",
        )
    return task


def _labels(value: Sequence[object]) -> tuple[str, ...]:
    labels = tuple(label for label in value if isinstance(label, str) and label)
    if not labels or len(labels) != len(value) or len(set(labels)) != len(labels):
        raise _broken("labels should be a list of one or more different, non-empty names")
    return labels


def _preprocess(raw: Json) -> Preprocess:
    given = {**Preprocess((32, 32)).to_json(), **raw}
    _check_known(raw)
    size = raw.get("size")
    if not isinstance(size, list) or len(size) != 2 or not all(type(v) is int and 1 <= v <= 8192 for v in size):
        raise _broken(f"preprocess.size should be [height, width], each 1 to 8192, found {size!r}")
    return Preprocess(
        size=(size[0], size[1]),
        resize=given["resize"],
        pad=int(_number(given, "pad", 0, 255)),
        scale=_number(given, "scale", 1e-9, 1.0),
        mean=_triple(given["mean"], "mean"),
        std=_triple(given["std"], "std"),
        antialias=given["antialias"],
        anchor=given["anchor"],
    )


def _check_known(raw: Json) -> None:
    """Raises: IncompatibleError for a key or a value that nothing here knows how to do."""
    several: dict[str, tuple[object, ...]] = {"resize": RESIZES, "anchor": ANCHORS, "antialias": (True, False)}
    numbers = {"size", "pad", "scale", "mean", "std"}
    fixed = Preprocess((32, 32)).to_json()
    for name, value in raw.items():
        known = several.get(name, (fixed.get(name),))
        if name in numbers or (name in fixed and any(type(value) is type(v) and value == v for v in known)):
            continue
        words = " and ".join(repr(v) for v in known)
        raise IncompatibleError(
            f"preprocess.{name} is {value!r}; "
            + (
                f"only {words} {'is' if len(known) == 1 else 'are'} known here"
                if name in fixed
                else "this key is not known here"
            ),
            hint="update cv-accelerator on this machine",
        )


def _triple(value: object, name: str) -> tuple[float, float, float]:
    if not isinstance(value, list) or len(value) != 3 or not all(type(v) in (int, float) for v in value):
        raise _broken(f"preprocess.{name} should be three numbers, found {value!r}")
    if not all(abs(v) <= 1e9 for v in value):  # also a whole number that no float can hold
        raise _broken(f"preprocess.{name} should be finite and not huge, found {value!r}")
    if name == "std" and not all(v > 0 for v in value):
        raise _broken(f"preprocess.std should be above 0, found {value!r}")
    return float(value[0]), float(value[1]), float(value[2])


def _postprocess(raw: Json, labels: tuple[str, ...]) -> Postprocess:
    kind = _field(raw, "kind", str, "postprocess.")
    if kind not in KINDS:
        raise IncompatibleError(
            f"postprocess.kind is {kind!r}; known here: {', '.join(KINDS)}",
            hint="update cv-accelerator on this machine",
        )
    return Postprocess(
        kind=kind,
        iou=_number(raw, "iou", 0, 1),
        score_threshold=_threshold(raw, labels),
        max_boxes=int(_number(raw, "max_boxes", 1, 10_000)),
    )


def _threshold(raw: Json, labels: tuple[str, ...]) -> float | Mapping[str, float]:
    value = raw.get("score_threshold")
    if not isinstance(value, dict):
        return _number(raw, "score_threshold", 0, 1)
    if set(value) != set(labels):
        raise _broken(f"score_threshold should have one number for each label, found {sorted(value)}")
    return {label: _number(value, label, 0, 1) for label in labels}


def _architectures(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _broken(f"runtime.architectures should be a list of names, found {value!r}")
    return tuple(value)


def _files(value: object) -> tuple[FileEntry, ...]:
    if not isinstance(value, list):
        raise _broken(f"files should be a list, found {type(value).__name__}")
    entries = []
    for item in value:
        raw = _object(item, "an element of files")
        entry = FileEntry(_field(raw, "path", str), _field(raw, "bytes", int), _field(raw, "sha256", str))
        if entry.bytes < 0 or not _SHA256.fullmatch(entry.sha256):
            raise _broken(f"{entry.path}: expected a size and 64 hexadecimal digits")
        entries.append(entry)
    check_paths([(entry.path, entry.bytes) for entry in entries])
    return tuple(entries)
