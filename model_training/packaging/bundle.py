"""A finished trial to a bundle (CONTRACTS 6): its ONNX file checked, measured, hashed, and then made real.

The threshold and every registered number come from that file itself, run as a device will run it, whoever trained it:
this project (`trained.py`) or Azure's AutoML (`automl.py`).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from model_training.errors import CvaError
from model_training.evaluation.measure import Measured, detect_part
from model_training.evaluation.metrics import Threshold, evaluate
from model_training.evaluation.thresholds import RULE, choose
from model_training.packaging.automl import from_export
from model_training.packaging.companions import write_companions
from model_training.packaging.golden import write_golden
from model_training.packaging.material import Material
from model_training.packaging.provenance import Source, source_json
from model_training.packaging.staging import staged
from model_training.packaging.trained import from_weights
from model_training.workspaces.base import Bundle, Event, Json, Reporter, TrialResult, silent
from scoring.bundle import LoadedBundle, load_bundle, write_manifest
from scoring.detector import Detector
from scoring.edge.room import MIB
from scoring.edge.selftest import self_test
from scoring.errors import UntestedError
from scoring.files import sha256_of
from scoring.manifest import Manifest

__all__ = ["Source", "make_bundle"]

GOLDEN_SECONDS = 600.0  # five images; a Faster R-CNN takes some seconds for each on one core
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

    A whole bundle of the same model and source that lies there already is kept; anything else there is replaced.

    Raises:
        TrainingError: no weights, or an ONNX file that differs from the PyTorch model. DataError: other labels, an
            empty or unreadable part. StorageError: the disk. Of what Azure's AutoML left also NotFoundError (a file is
            missing), IntegrityError (unsafe), IncompatibleError (of no known shape, or it does not run).
    """
    material = _material(trial, tuple(labels), reporter)
    about = source_json(trial, source)
    finished = _finished(folder, about, material)
    if finished:
        return finished
    with staged(folder) as staging:
        shutil.copyfile(material.file, staging / material.stored_as)
        manifest = _draft(material, source.name, about)
        manifest |= material.complete(staging, manifest, validation, reporter)
        measured, part = _measure(staging, manifest, material.threshold, validation, test, reporter)
        write_companions(
            staging, labels=manifest["labels"], settings=material.settings, per_label=measured.metrics["per_label"]
        )
        write_golden(staging, _detector(staging, manifest), part, measured)
        written = _stating_memory(staging, manifest, reporter)
    return Bundle(folder, written)


def _stating_memory(staging: Path, manifest: Json, reporter: Reporter) -> Json:
    """The manifest with the most memory that the golden run took, which a device asks for before it downloads.

    Raises: SelfTestError where the bundle does not give its own golden answers.
    """
    write_manifest(staging, manifest)
    try:
        took = self_test(staging, timeout=GOLDEN_SECONDS).memory_bytes
    except UntestedError as error:
        reporter(Event("warning", f"the manifest states no memory: {error.message}"))
        took = None
    if took is not None:
        manifest["runtime"] = {**manifest["runtime"], "memory_bytes": -(-took // MIB) * MIB}
    return write_manifest(staging, manifest)


def _material(trial: TrialResult, labels: tuple[str, ...], reporter: Reporter) -> Material:
    if trial.exported:
        return from_export(trial, trial.exported, labels, reporter)
    return from_weights(trial, labels)


def _finished(folder: Path, about: Json, material: Material) -> Bundle | None:
    """What an earlier, interrupted run has already packaged."""
    if not folder.is_dir():
        return None
    try:
        manifest = load_bundle(folder).manifest
    except CvaError:
        return None  # damaged or of another kind: it is made again
    digest = sha256_of(material.file)
    same = any(file.path == material.stored_as and file.sha256 == digest for file in manifest.files)
    return Bundle(folder, manifest.raw) if same and manifest.raw.get("source") == about else None


def _draft(material: Material, name: str, about: Json) -> Json:
    """The manifest without what is known only once the file has been measured."""
    return {
        "schema": 1,
        "name": name,
        "created_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "task": "image_object_detection",
        **material.described,
        "source": about,
        "metrics": {},
        "validation": {},
        "files": [],
    }


def _detector(folder: Path, manifest: Mapping[str, Any]) -> Detector:
    return Detector.load(LoadedBundle(folder, Manifest.parse(dict(manifest))))


def _measure(
    staging: Path, manifest: Json, fixed: float | None, validation: Path, test: Path | None, reporter: Reporter
) -> tuple[Measured, Path]:
    """Choose the threshold on validation, measure on test, write both into the manifest; says which part it was."""
    detector = _detector(staging, manifest)
    truth, found = detect_part(detector, validation, reporter=reporter)
    chosen = choose(truth, found, detector.labels)
    threshold: Threshold = chosen.per_label if fixed is None else fixed
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
