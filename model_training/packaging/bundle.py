"""A finished trial to a bundle (CONTRACTS 6): exported, checked against PyTorch, measured, hashed, and then made real.

The threshold and every registered number come from the exported file itself, run as a device will run it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_training.algorithms import IMPLEMENTATION
from model_training.data.jsonl import read_rows, resolve_image
from model_training.errors import CvaError, DataError, TrainingError
from model_training.evaluation.measure import Measured, detect_part
from model_training.evaluation.metrics import Threshold, evaluate
from model_training.evaluation.thresholds import RULE, choose
from model_training.packaging.companions import write_companions
from model_training.packaging.export import export_onnx
from model_training.packaging.golden import write_golden
from model_training.packaging.parity import BATCHES, Parity, check_parity
from model_training.packaging.provenance import Source, source_json
from model_training.packaging.staging import staged
from model_training.packaging.suppress import OPSET
from model_training.workspaces.base import Bundle, Event, Json, Reporter, TrialResult, silent
from scoring.bundle import LoadedBundle, load_bundle, write_manifest
from scoring.detector import Detector
from scoring.files import sha256_of
from scoring.images import open_image, preprocess
from scoring.manifest import Manifest, Postprocess, Preprocess

if TYPE_CHECKING:
    from model_training.training.checkpoint import Detector as Trained

__all__ = ["Source", "make_bundle"]

NAMED_IN_VALIDATION = ("images", "mean_average_precision", "coco_ap", "precision", "recall", "f1")


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
    """Package `trial` in `folder`. The threshold comes from validation, the metrics from test (or else validation).

    A whole bundle of the same weights and source that lies there already is kept; anything else there is replaced.

    Raises:
        TrainingError: no weights, other labels, or an ONNX file that differs from the PyTorch model.
        DataError: an empty or unreadable part. StorageError: the disk.
    """
    trained, weights = _trained(trial, tuple(labels))
    about = source_json(trial, source)
    finished = _finished(folder, about, weights)
    if finished:
        return finished
    with staged(folder) as staging:
        shutil.copyfile(weights, staging / "weights.safetensors")
        manifest = _draft(trained, source.name, about)
        manifest["parity"] = _export(staging, trained, manifest, validation, reporter).to_json()
        measured, part = _measure(staging, trained, manifest, validation, test, reporter)
        write_companions(staging, labels=labels, settings=_settings(trained), per_label=measured.metrics["per_label"])
        write_golden(staging, _detector(staging, manifest), part, measured)
        written = write_manifest(staging, manifest)
    return Bundle(folder, written)


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


def _finished(folder: Path, about: Json, weights: Path) -> Bundle | None:
    """What an earlier, interrupted run has already packaged."""
    if not folder.is_dir():
        return None
    try:
        manifest = load_bundle(folder).manifest
    except CvaError:
        return None  # damaged or of another kind: it is made again
    same = any(file.path == "weights.safetensors" and file.sha256 == sha256_of(weights) for file in manifest.files)
    return Bundle(folder, manifest.raw) if same and manifest.raw.get("source") == about else None


def _draft(trained: Trained, name: str, about: Json) -> Json:
    """The manifest without what is known only once the file has been measured."""
    settings = trained.hyperparameters
    postprocess = Postprocess(
        kind="cva",
        iou=float(settings.get("nms_iou_threshold", 0.5)),
        score_threshold=0.0,
        max_boxes=int(settings.get("box_detections_per_image", 100)),
    )
    return {
        "schema": 1,
        "name": name,
        "created_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "task": "image_object_detection",
        "algorithm": trained.algorithm,
        "implementation": IMPLEMENTATION,
        "license": "MIT",
        "source": about,
        "metrics": {},
        "validation": {},
        "preprocess": Preprocess((trained.image_size, trained.image_size)).to_json(),
        "postprocess": postprocess.to_json(),
        "labels": list(trained.labels),
        "runtime": {"format": "onnx", "opset": OPSET, "onnxruntime": ">=1.20"},
        "parity": {},
        "files": [],
    }


def _export(staging: Path, trained: Trained, manifest: Json, validation: Path, reporter: Reporter) -> Parity:
    reporter(Event("message", "export to ONNX and compare with PyTorch"))
    iou, most = manifest["postprocess"]["iou"], manifest["postprocess"]["max_boxes"]
    images = _sample(validation, Preprocess((trained.image_size, trained.image_size)))
    graph = export_onnx(
        trained.model, image_size=trained.image_size, classes=len(trained.labels), iou=iou, max_boxes=most
    )
    parity = check_parity(graph, trained.model, images, iou=iou, max_boxes=most)
    (staging / "model.onnx").write_bytes(graph)
    size = len(graph) / 1e6
    reporter(
        Event("message", f"model.onnx: {size:.1f} MB, boxes agree to {parity.max_box_px:.2g} px", parity.to_json())
    )
    return parity


def _sample(part: Path, spec: Preprocess) -> list[Any]:
    rows = read_rows(part)[: max(BATCHES)]
    if not rows:
        raise DataError(f"{part} holds no images", hint="the export is checked on real images; add some")
    return [preprocess(open_image(resolve_image(row, part)), spec)[0] for row in rows]


def _detector(folder: Path, manifest: Mapping[str, Any]) -> Detector:
    return Detector.load(LoadedBundle(folder, Manifest.parse(dict(manifest))))


def _measure(
    staging: Path, trained: Trained, manifest: Json, validation: Path, test: Path | None, reporter: Reporter
) -> tuple[Measured, Path]:
    """Choose the threshold on validation, measure on test, write both into the manifest; says which part it was."""
    detector = _detector(staging, manifest)
    truth, found = detect_part(detector, validation, reporter=reporter)
    chosen = choose(truth, found, detector.labels)
    fixed = trained.hyperparameters.get("box_score_threshold")
    threshold: Threshold = chosen.per_label if fixed is None else float(fixed)
    manifest["postprocess"]["score_threshold"] = threshold
    rule = RULE if fixed is None else "box_score_threshold of the job"
    manifest["threshold"] = {"chosen_by": rule, "overall": chosen.overall, "f1_given_up": chosen.tolerance}
    metrics = evaluate(truth, found, detector.labels, score_threshold=threshold)
    manifest["validation"] = {name: metrics[name] for name in NAMED_IN_VALIDATION}
    if test is not None:
        truth, found = detect_part(detector, test, reporter=reporter)
        metrics = evaluate(truth, found, detector.labels, score_threshold=threshold)
    manifest["metrics"] = {"split": "validation" if test is None else "test", **metrics}
    return Measured(metrics, truth, found), test or validation


def _settings(trained: Trained) -> Json:
    return {
        "algorithm": trained.algorithm,
        "implementation": IMPLEMENTATION,
        "model_size": trained.model_size,
        "image_size": trained.image_size,
        "hyperparameters": dict(trained.hyperparameters),
    }
