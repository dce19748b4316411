"""The exported file against the PyTorch model on real images, in batches of 1, 3 and 8. Refuses a file that differs.

Every box that the file gives must be one of PyTorch's raw boxes, and the choice among them must be what suppression
means: no two boxes of a label that overlap too much, and nothing left out that no better box covers. Equal scores may
be taken in any order, so the rule is checked and not one outcome of it. Knows nothing about bundles or labels' names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model_training.errors import TrainingError

if TYPE_CHECKING:
    from torch import nn

Floats = NDArray[np.float32]
Raw = tuple[Floats, Floats]  # boxes (A, 4) in input pixels, scores (A, C)
Found = tuple[Floats, Floats, NDArray[np.int64]]  # boxes (n, 4) in input pixels, scores (n,), labels (n,)

BATCHES = (1, 3, 8)
BOX_TOLERANCE = 0.1  # input pixels; measured on one-stage models: under .001
SCORE_TOLERANCE = 0.001  # measured: under .00001
OVERLAP_TOLERANCE = 0.01  # IoU; two boxes that overlap by almost the limit may be judged either way
MEASURING_THRESHOLD = 0.001


@dataclass(frozen=True)
class Parity:
    """`misjudged` boxes were kept or left out against the rule of suppression; the differences are the greatest."""

    images: int
    batches: tuple[int, ...]
    detections: int
    misjudged: int
    max_box_px: float
    max_score: float

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "batches": list(self.batches)}


def check_parity(onnx_file: bytes, model: nn.Module, images: Sequence[Floats], *, iou: float, max_boxes: int) -> Parity:
    """Compare on preprocessed images (3, S, S), which are repeated where there are fewer than 8.

    Raises:
        TrainingError: the two differ by more than the tolerances.
    """
    reference = [_raw(model, image) for image in images[: max(BATCHES)]]
    session = _session(onnx_file)
    detections, misjudged, box, score = 0, 0, 0.0, 0.0
    for size in BATCHES:
        chosen = [position % len(reference) for position in range(size)]
        answers = _onnx_answers(session, np.stack([images[position] for position in chosen]))
        for position, found in zip(chosen, answers, strict=True):
            far, off = differences(reference[position], found)
            detections, box, score = detections + len(found[1]), max(box, far), max(score, off)
            misjudged += count_misjudged(reference[position], found, iou, max_boxes)
    parity = Parity(len(reference), BATCHES, detections, misjudged, box, score)
    _require(parity)
    return parity


def _require(parity: Parity) -> None:
    if parity.max_box_px > BOX_TOLERANCE or parity.max_score > SCORE_TOLERANCE or parity.misjudged:
        raise TrainingError(
            "the ONNX file differs from the PyTorch model: "
            f"boxes by up to {parity.max_box_px:.4g} px (allowed {BOX_TOLERANCE}), "
            f"scores by up to {parity.max_score:.4g} (allowed {SCORE_TOLERANCE}), "
            f"{parity.misjudged} kept or left out against the rule beside {parity.detections} detections",
            hint="the file is not packaged; export again, or with another version of torch and onnxruntime",
        )


def differences(raw: Raw, found: Found) -> tuple[float, float]:
    """The greatest distance in pixels, and in score, of a detection from the raw box that it must be."""
    far, off = 0.0, 0.0
    for box, score, label in zip(*found, strict=True):
        apart = np.abs(raw[0] - box).max(axis=1)
        unlike = np.abs(raw[1][:, label] - score)
        nearest = int((apart + 100 * unlike).argmin())
        far, off = max(far, float(apart[nearest])), max(off, float(unlike[nearest]))
    return far, off


def count_misjudged(raw: Raw, found: Found, iou: float, max_boxes: int) -> int:
    """How many boxes greedy suppression per label, and the best `max_boxes` of all, would have judged otherwise."""
    boxes, scores, labels = found
    full = len(scores) >= max_boxes
    lowest = max(MEASURING_THRESHOLD, float(scores.min())) if full else MEASURING_THRESHOLD
    wrong = 0
    for label in range(raw[1].shape[1]):
        kept, kept_scores = boxes[labels == label], scores[labels == label]
        among = np.triu(pairwise_iou(kept, kept), 1)
        wrong += int((among > iou + OVERLAP_TOLERANCE).any(axis=0).sum())
        rivals = raw[1][:, label] > lowest + SCORE_TOLERANCE
        itself = np.abs(raw[0][rivals][:, None] - kept[None]).max(axis=2) <= BOX_TOLERANCE  # a box without area too
        covered = itself | (pairwise_iou(raw[0][rivals], kept) >= iou - OVERLAP_TOLERANCE)
        better = kept_scores[None] >= raw[1][rivals, label][:, None] - SCORE_TOLERANCE
        wrong += int((~(covered & better).any(axis=1)).sum())
    return wrong


def pairwise_iou(first: Floats, second: Floats) -> Floats:
    """(n, 4) against (m, 4) gives (n, m)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clip(min=0).prod(-1)
    areas = (first[:, 2:] - first[:, :2]).prod(-1)[:, None] + (second[:, 2:] - second[:, :2]).prod(-1)[None]
    overlap: Floats = shared / np.maximum(areas - shared, 1e-9)
    return overlap


def _session(onnx_file: bytes) -> Any:
    from scoring.session import runtime

    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])


def _onnx_answers(session: Any, images: Floats) -> list[Found]:
    feed = {"images": images, "score_threshold": np.array(MEASURING_THRESHOLD, np.float32)}
    boxes, scores, labels, num = session.run(["boxes", "scores", "labels", "num"], feed)
    return [(boxes[i, :n], scores[i, :n], labels[i, :n]) for i, n in enumerate(num)]


def _raw(model: nn.Module, image: Floats) -> Raw:
    import torch

    with torch.no_grad():
        boxes, scores = model(torch.from_numpy(image)[None])
    return boxes[0].numpy(), scores[0].numpy()
