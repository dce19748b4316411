"""A finished trial to a bundle (CONTRACTS 6): exported, checked against PyTorch, measured, hashed, and then made real.

Everything is written into a folder beside the target, flushed to disk and renamed: the target is whole or absent.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_training.algorithms import IMPLEMENTATION
from model_training.data.jsonl import read_rows, resolve_image
from model_training.errors import DataError, StorageError, TrainingError
from model_training.evaluation.measure import Measured, detect_part
from model_training.evaluation.metrics import Threshold, evaluate
from model_training.evaluation.thresholds import PLATEAU, choose
from model_training.packaging.companions import write_companions
from model_training.packaging.export import export_onnx
from model_training.packaging.golden import write_golden
from model_training.packaging.parity import BATCHES, Parity, check_parity
from model_training.packaging.suppress import OPSET
from model_training.workspaces.base import Bundle, Event, Json, Reporter, TrialResult, silent
from scoring.bundle import LoadedBundle, write_manifest
from scoring.detector import Detector
from scoring.images import open_image, preprocess
from scoring.manifest import Manifest, Postprocess, Preprocess

if TYPE_CHECKING:
    from model_training.training.checkpoint import Detector as Trained


@dataclass(frozen=True)
class Source:
    """Where a bundle comes from: enough to find the very data, split, code and run again."""

    name: str  # of the model
    dataset_name: str
    dataset_version: str
    dataset_sha256: str
    split_sha256: str
    run_id: str
    git_commit: str
    seed: int


def make_bundle(
    trial: TrialResult,
    *,
    labels: Sequence[str],
    validation: Path,
    test: Path | None,
    source: Source,
    folder: Path,
    reporter: Reporter = silent,
) -> Bundle:
    """Export `trial` to `folder`. The threshold comes from validation, the metrics from test (or else validation).

    A bundle that lies at `folder` already is replaced.

    Raises:
        TrainingError: no weights, other labels, or an ONNX file that differs from the PyTorch model.
        DataError: an empty part. StorageError: the disk.
    """
    staging = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
        manifest = _fill(staging, trial, tuple(labels), validation, test, source, reporter)
        _flush(staging)
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)
        _flush_folder(folder.parent)
    except OSError as error:
        raise StorageError(
            f"cannot write the bundle to {folder}: {error.strerror or error}",
            hint="free space or choose another folder",
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Bundle(folder, manifest)


def _fill(
    staging: Path,
    trial: TrialResult,
    labels: tuple[str, ...],
    validation: Path,
    test: Path | None,
    source: Source,
    reporter: Reporter,
) -> Json:
    trained, weights = _trained(trial, labels)
    select = _selection(trained)
    reporter(Event("message", "export to ONNX"))
    onnx_file = export_onnx(
        trained.model,
        image_size=trained.image_size,
        classes=len(labels),
        iou=select.iou,
        max_boxes=select.max_boxes,
    )
    (staging / "model.onnx").write_bytes(onnx_file)
    shutil.copyfile(weights, staging / "weights.safetensors")
    spec = Preprocess((trained.image_size, trained.image_size))
    parity = check_parity(
        onnx_file, trained.model, _sample(validation, spec), iou=select.iou, max_boxes=select.max_boxes
    )
    reporter(Event("message", f"ONNX and PyTorch agree: boxes to {parity.max_box_px:.2g} px", parity.to_json()))
    manifest = _manifest(trial, trained, labels, source, spec, select, parity)
    detector = _detector(staging, manifest)
    measured, split = _measure(detector, trained, manifest, validation, test, reporter)
    per_label = measured.metrics["per_label"]
    write_companions(staging, labels=labels, settings=_settings(trained), per_label=per_label)
    write_golden(staging, _detector(staging, manifest), test if split == "test" and test else validation, measured)
    return write_manifest(staging, manifest)


def _trained(trial: TrialResult, labels: tuple[str, ...]) -> tuple[Trained, Path]:
    from model_training.training.checkpoint import load_detector

    if trial.weights is None:
        raise TrainingError(f"trial {trial.number} left no weights: {trial.status}", hint="package another trial")
    trained = load_detector(trial.weights)
    if trained.labels != labels:
        raise TrainingError(
            f"expected weights for the labels {', '.join(labels)}, found {', '.join(trained.labels)}",
            hint="train again on this version of the data set",
        )
    return trained, trial.weights


def _selection(trained: Trained) -> Postprocess:
    settings = trained.hyperparameters
    return Postprocess(
        kind="cva",
        iou=float(settings.get("nms_iou_threshold", 0.5)),
        score_threshold=0.0,  # known only when the file has been measured
        max_boxes=int(settings.get("box_detections_per_image", 100)),
    )


def _sample(part: Path, spec: Preprocess) -> list[Any]:
    rows = read_rows(part)[: max(BATCHES)]
    if not rows:
        raise DataError(f"{part} holds no images", hint="the export is checked on real images; add some")
    return [preprocess(open_image(resolve_image(row, part)), spec)[0] for row in rows]


def _detector(folder: Path, manifest: Mapping[str, Any]) -> Detector:
    return Detector.load(LoadedBundle(folder, Manifest.parse(dict(manifest))))


def _measure(
    detector: Detector,
    trained: Trained,
    manifest: Json,
    validation: Path,
    test: Path | None,
    reporter: Reporter,
) -> tuple[Measured, str]:
    """Choose the threshold on validation, measure on test, and write both into the manifest."""
    truth, found = detect_part(detector, validation, reporter=reporter)
    chosen = choose(truth, found, detector.labels)
    fixed = trained.hyperparameters.get("box_score_threshold")
    threshold: Threshold = chosen.per_label if fixed is None else float(fixed)
    manifest["postprocess"]["score_threshold"] = threshold
    manifest["threshold"] = {
        "chosen_by": "box_score_threshold of the job"
        if fixed is not None
        else f"best F1 within {PLATEAU} on validation",
        "overall": chosen.overall,
    }
    on_validation = evaluate(truth, found, detector.labels, score_threshold=threshold)
    manifest["validation"] = {
        name: on_validation[name] for name in ("images", "mean_average_precision", "coco_ap", "f1")
    }
    split = "validation"
    if test is not None:
        truth, found = detect_part(detector, test, reporter=reporter)
        split = "test"
    metrics = evaluate(truth, found, detector.labels, score_threshold=threshold)
    manifest["metrics"] = {"split": split, **metrics}
    return Measured(metrics, truth, found), split


def _manifest(
    trial: TrialResult,
    trained: Trained,
    labels: tuple[str, ...],
    source: Source,
    spec: Preprocess,
    select: Postprocess,
    parity: Parity,
) -> Json:
    return {
        "schema": 1,
        "name": source.name,
        "created_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "task": "image_object_detection",
        "algorithm": trained.algorithm,
        "implementation": IMPLEMENTATION,
        "license": "MIT",
        "source": _source(trial, source),
        "metrics": {},
        "preprocess": spec.to_json(),
        "postprocess": select.to_json(),
        "labels": list(labels),
        "runtime": {"format": "onnx", "opset": OPSET, "onnxruntime": ">=1.20"},
        "parity": parity.to_json(),
        "files": [],
    }


def _source(trial: TrialResult, source: Source) -> Json:
    return {
        "engine": "local",
        "run_id": source.run_id,
        "git_commit": source.git_commit,
        "dataset": {
            "name": source.dataset_name,
            "version": source.dataset_version,
            "sha256": source.dataset_sha256,
        },
        "split_sha256": source.split_sha256,
        "seed": source.seed,
        "trial": {"number": trial.number, "best_epoch": trial.best_epoch, "epochs": trial.epochs},
        "packages": _packages(),
    }


def _packages() -> dict[str, str]:
    """Versions that the numbers depend on."""
    from importlib.metadata import version

    names = ("torch", "onnx", "onnxruntime", "numpy", "pillow", "hotcoco")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _settings(trained: Trained) -> Json:
    return {
        "algorithm": trained.algorithm,
        "implementation": IMPLEMENTATION,
        "model_size": trained.model_size,
        "image_size": trained.image_size,
        "hyperparameters": dict(trained.hyperparameters),
    }


def _flush(folder: Path) -> None:
    """Every byte and every name to the disk, before the rename says that they are there."""
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            _flush_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
