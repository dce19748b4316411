"""What Azure's AutoML for images leaves of a trial, described so that the one detector of `scoring` serves it.

The ONNX file stays as it is: the manifest says how its family wants an image and how it answers. It is a stranger's
file: what it may hold is checked before it runs, and it runs first in a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_training.data.jsonl import read_rows, resolve_image
from model_training.errors import DataError, IncompatibleError
from model_training.evaluation.thresholds import FLOOR
from model_training.jobs.hyperparameters import FAMILY
from model_training.packaging.automl_files import BACKGROUND, Left, read_left
from model_training.packaging.automl_words import BEST, OVERLAP, SCORE, SIDE, Words, own_numbers, scalars, setting
from model_training.packaging.material import Material
from model_training.packaging.onnx_facts import FLOAT32, OnnxFacts, onnx_facts
from model_training.packaging.probe import probe
from model_training.workspaces.base import Event, Json, Reporter, TrialResult
from scoring.manifest import Postprocess, Preprocess

SMALLEST, LARGEST = 32, 4096  # pixels of an input's side
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
TORCHVISION: Mapping[str, Any] = {"resize": "stretch", **IMAGENET}


@dataclass(frozen=True)
class Family:
    """How the service's models of one family are fed, and whose code they are."""

    kind: str
    license: str
    preprocess: Mapping[str, Any]
    height: int  # where the graph leaves it free
    width: int
    head: str = ""  # the end of the name of the weights that have one number a label
    per_label: int = 1  # or so many
    floor: float | None = None  # the score below which the graph itself leaves boxes out, unless the job says another


FAMILIES = {
    "yolov5": Family(
        kind="automl_yolov5",
        license="AGPL-3.0",
        preprocess={"resize": "letterbox_shrink", "anchor": "center", "antialias": False},
        height=640,
        width=640,
    ),
    "rcnn": Family("automl_fasterrcnn", "BSD-3-Clause", TORCHVISION, 600, 800, "cls_score.bias", 1, 0.3),
    "retinanet": Family("automl_retinanet", "BSD-3-Clause", TORCHVISION, 600, 800, "cls_logits.bias", 9, 0.3),
}
SAME_RUN = "labels.json and model.onnx are of different runs: download both again"
AGPL = (
    "the service's yolov5 derives from AGPL-3.0 code, and the bundle says so: who ships it in a device or serves it to "
    "others takes on that licence. fasterrcnn_resnet50_fpn and retinanet_resnet50_fpn do not: name one of them in the "
    "job's search_space"
)


def from_export(trial: TrialResult, exported: Path, labels: tuple[str, ...], reporter: Reporter) -> Material:
    """Raises: NotFoundError, IntegrityError, IncompatibleError, DataError, each before anything of it has run."""
    family = _family(trial.algorithm)
    left = read_left(exported)
    _require_labels(left, labels)
    facts = onnx_facts(left.model)
    _require_head(facts, left, family)
    described = _described(trial, left, facts, family)
    _tell(family, described["automl"]["score_floor"], reporter)
    return Material(
        file=left.model,
        stored_as="model.onnx",
        described=described,
        settings={
            **{name: described[name] for name in ("algorithm", "implementation")},
            "image_size": described["preprocess"]["size"],
            "hyperparameters": scalars(trial.hyperparameters),
            "service_settings": scalars(left.settings),
        },
        threshold=_fixed(trial),
        complete=_run_once,
    )


def _described(trial: TrialResult, left: Left, facts: OnnxFacts, family: Family) -> Json:
    known = (trial.hyperparameters, left.settings)
    floor = None if family.floor is None else setting(known, SCORE, family.floor, 0, 1)
    postprocess = Postprocess(
        kind=_kind(family, left),
        iou=setting(known, OVERLAP, 0.5, 0, 1),
        score_threshold=0.0,
        max_boxes=int(setting(known, BEST, 100, 1, 10_000)),
    )
    return {
        "algorithm": trial.algorithm,
        "implementation": f"azureml automl-dnn-vision {left.runtime}".strip(),
        "license": family.license,
        "preprocess": Preprocess(_size(facts, family, known), **family.preprocess).to_json(),
        "postprocess": postprocess.to_json(),
        "labels": list(left.labels),
        "runtime": {"format": "onnx", "opset": facts.opset, "onnxruntime": ">=1.20"},
        "automl": {**own_numbers(trial.metrics, left.per_label, left.labels), "score_floor": floor},
    }


def _family(algorithm: str) -> Family:
    family = FAMILIES.get(FAMILY.get(algorithm, ""))
    if family is None:
        known = ", ".join(name for name, group in FAMILY.items() if group in FAMILIES)
        raise IncompatibleError(
            f"no bundle can be made of Azure's {algorithm!r}", hint=f"name one of these in the job: {known}"
        )
    return family


def _kind(family: Family, left: Left) -> str:
    """Of the two that answer three arrays, the one that counts labels as this `labels.json` does."""
    if left.background and family.kind == "automl_retinanet":
        return "automl_fasterrcnn"
    return family.kind


def _require_labels(left: Left, labels: tuple[str, ...]) -> None:
    missing, strange = sorted(set(labels) - set(left.labels)), sorted(set(left.labels) - set(labels))
    if missing or strange:
        words = [f"without {', '.join(missing)}"] * bool(missing) + [f"with {', '.join(strange)}"] * bool(strange)
        raise DataError(
            f"the AutoML run learned other labels than the data set has: {'; '.join(words)}",
            hint="each label needs images in the training and validation parts: add some, or drop the label",
        )


def _require_head(facts: OnnxFacts, left: Left, family: Family) -> None:
    """`labels.json` and the graph are of the same run, as far as the file tells; yolov5 tells when it is loaded."""
    expected = {"automl_yolov5": False, "automl_fasterrcnn": True}.get(family.kind, left.background)
    if left.background is not expected:
        raise IncompatibleError(
            f"expected labels.json {'to begin' if expected else 'not to begin'} with {BACKGROUND}", hint=SAME_RUN
        )
    named = len(left.labels) + left.background
    found = {shape for name, shape in facts.weights.items() if family.head and name.endswith(family.head)}
    if found and found != {(named * family.per_label,)}:
        sizes = ", ".join(str(shape) for shape in sorted(found))
        expects = f"{family.head} of ({named * family.per_label},)"
        raise IncompatibleError(
            f"labels.json names {named} labels and so expects {expects}, the graph has {sizes}",
            hint=SAME_RUN,
        )


def _size(facts: OnnxFacts, family: Family, known: tuple[Words, ...]) -> tuple[int, int]:
    """Height and width of the graph's one input; where it leaves them free, those that the family was trained at."""
    ports = list(facts.inputs.values())
    kind, shape = ports[0] if len(ports) == 1 else (0, ())
    batch, channels, *sides = shape if len(shape) == 4 else (0, 0)
    if kind != FLOAT32 or channels != 3 or batch == 0 or (isinstance(batch, int) and batch != 1):
        raise IncompatibleError(
            f"expected a graph with one input of float32 (1, 3, height, width), found {facts.inputs}",
            hint="export the model for a batch of 1, as the service does",
        )
    square = int(setting(known, SIDE, 0, 0, LARGEST)) if family.kind == "automl_yolov5" else 0
    free = (square or family.height, square or family.width)
    height, width = (side if isinstance(side, int) else other for side, other in zip(sides, free, strict=True))
    if not all(SMALLEST <= side <= LARGEST for side in (height, width)):
        raise IncompatibleError(
            f"expected an input of {SMALLEST} to {LARGEST} pixels a side, found {height} x {width}",
            hint="train with another image_size",
        )
    return height, width


def _tell(family: Family, floor: float | None, reporter: Reporter) -> None:
    if family.license == "AGPL-3.0":
        reporter(Event("warning", AGPL, {"license": family.license}))
    if floor is not None and floor > FLOOR:
        text = f"the exported graph leaves out what scores under {floor:g}, and average precision is of what is left"
        hint = f"box_score_threshold: {FLOOR} in the job keeps everything; the threshold is then chosen on validation"
        reporter(Event("message", f"{text} ({hint})", {"score_floor": floor}))


def _fixed(trial: TrialResult) -> float | None:
    """The threshold that the job sets. One that lets everything through is none: it is for measuring."""
    value = setting((trial.hyperparameters,), SCORE, 0, 0, 1)
    return value if value > FLOOR else None


def _run_once(staging: Path, manifest: Json, validation: Path, reporter: Reporter) -> Json:
    rows = read_rows(validation)
    if not rows:
        raise DataError(f"{validation} holds no images", hint="the file is tried on a real image; add some")
    reporter(Event("message", "try the service's ONNX file on a real image, in a process of its own"))
    probe(staging, manifest, resolve_image(rows[0], validation))
    size = (staging / "model.onnx").stat().st_size / 1e6
    reporter(Event("message", f"model.onnx: {size:.1f} MB, as the service exported it"))
    return {}
