"""Whether a new model is registered and whether it becomes the champion: both are scored on the same held-out images.

Better means a greater test mean average precision by more than a margin, with the same labels; ties keep the champion.
A comparison that would not be fair (the champion has seen test images, or cannot be scored) keeps the champion too and
says how to go on. Knows bundles; knows nothing about registries.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from model_training.data.jsonl import read_rows, resolve_image
from model_training.errors import CvaError, UsageError
from model_training.evaluation.measure import measure
from model_training.workspaces.base import Bundle, GateDecision, Model, Reporter, silent
from scoring.detector import Detector
from scoring.files import sha256_of

Code = Literal["first", "better", "not_better", "labels_changed", "leak", "unscorable"]
Verdict = tuple[Code, str, Mapping[str, Any] | None]  # code, reason, the champion's metrics

REGISTER = ("always", "if-better")


def gate(
    bundle: Bundle,
    champion: Model | None,
    test: Path,
    *,
    register: str = "always",
    margin: float = 0.0,
    champion_trained_on: frozenset[str] = frozenset(),
    reporter: Reporter = silent,
) -> GateDecision:
    """`champion_trained_on` holds the content hashes of the images that the champion learned or was chosen from.

    Raises:
        UsageError: `register` is not `always` or `if-better`. CvaError: the candidate itself cannot be scored.
    """
    if register not in REGISTER:
        raise UsageError(f"expected register to be one of {', '.join(REGISTER)}, found {register!r}")
    candidate = _score(bundle.path, test, reporter)
    if champion is None:
        return _decision("first", "the first version of this model", register, candidate, None, None)
    code, reason, metrics = _hold_against(bundle, candidate, champion, test, margin, champion_trained_on, reporter)
    return _decision(code, reason, register, candidate, metrics, champion.version)


def _hold_against(
    bundle: Bundle,
    candidate: Mapping[str, Any],
    champion: Model,
    test: Path,
    margin: float,
    trained_on: frozenset[str],
    reporter: Reporter,
) -> Verdict:
    labels = _changed_labels(bundle, champion)
    if labels:
        return "labels_changed", f"its labels differ from those of {champion.reference} ({labels}); {_BY_HAND}", None
    hashes = _hashes(test)
    seen = sum(digest in trained_on for digest in hashes)
    if seen:
        return "leak", f"{champion.reference} has trained on {seen} of the {len(hashes)} test images; {_LEAK}", None
    try:
        metrics = _score(champion.path, test, reporter)
    except CvaError as error:
        return "unscorable", f"{champion.reference} cannot be scored: {error.message}; {_BY_HAND}", None
    return _compare(candidate, metrics, champion, margin)


_BY_HAND = "it stays the champion; `cva model promote NAME:VERSION` decides by hand"
_LEAK = (
    "so a comparison would favour it: test on images that it has not seen, or decide by hand with "
    "`cva model promote NAME:VERSION`"
)


def _compare(candidate: Mapping[str, Any], metrics: Mapping[str, Any], champion: Model, margin: float) -> Verdict:
    new, old = candidate["mean_average_precision"], metrics["mean_average_precision"]
    if new is None or old is None:
        return "unscorable", f"the test part holds no objects to compare on; {_BY_HAND}", metrics
    words = f"test mean average precision {new:.4f} against {old:.4f} of {champion.reference}"
    if margin:
        words += f", margin {margin:g}"
    if new > old + margin:
        return "better", f"better: {words}", metrics
    return "not_better", f"not better: {words}", metrics


def _decision(
    code: Code,
    reason: str,
    register: str,
    candidate: Mapping[str, Any],
    champion: Mapping[str, Any] | None,
    version: int | None,
) -> GateDecision:
    promote = code in ("first", "better")
    return GateDecision(
        register=promote or register == "always",
        promote=promote,
        reason=reason,
        code=code,
        candidate=candidate,
        champion=champion,
        champion_version=version,
    )


def _score(path: Path, test: Path, reporter: Reporter) -> dict[str, Any]:
    """Metrics of one bundle on the test part, at its own threshold."""
    detector = Detector.load(path)
    measured = measure(detector, test, score_threshold=detector.bundle.postprocess.score_threshold, reporter=reporter)
    return {"split": "test", **measured.metrics}


def _changed_labels(bundle: Bundle, champion: Model) -> str:
    new, old = set(bundle.manifest["labels"]), set(champion.manifest["labels"])
    parts = [("new", new - old), ("gone", old - new)]
    return "; ".join(f"{word}: {', '.join(sorted(names))}" for word, names in parts if names)


def _hashes(jsonl: Path) -> list[str]:
    """Content hashes of the part's images, read from the rows where they stand there."""
    return [row.sha256 or sha256_of(resolve_image(row, jsonl)) for row in read_rows(jsonl)]
