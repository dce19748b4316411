"""The exported file against the PyTorch model on real images, in batches of 1, 3 and 8. Refuses a file that differs.

The suppression here is written on its own, in plain PyTorch, one image at a time: an error in the graph's suppression,
or in how it treats the second image of a batch, shows. Knows nothing about bundles or labels' names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model_training.errors import TrainingError

if TYPE_CHECKING:
    from torch import Tensor, nn

Floats = NDArray[np.float32]
Found = tuple[Floats, Floats, NDArray[np.int64]]  # boxes in input pixels, scores, labels

BATCHES = (1, 3, 8)
BOX_TOLERANCE = 0.1  # input pixels; measured on one-stage models: under .001
SCORE_TOLERANCE = 0.001  # measured: under .00001
UNMATCHED_TOLERANCE = 0.01  # share; two boxes that overlap by exactly the limit may be judged either way
MEASURING_THRESHOLD = 0.001


@dataclass(frozen=True)
class Parity:
    """`unmatched` detections are in one of the two answers only; the differences are the greatest of all others."""

    images: int
    batches: tuple[int, ...]
    detections: int
    unmatched: int
    max_box_px: float
    max_score: float

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "batches": list(self.batches)}


def check_parity(onnx_file: bytes, model: nn.Module, images: Sequence[Floats], *, iou: float, max_boxes: int) -> Parity:
    """Compare on preprocessed images (3, S, S), which are repeated where there are fewer than 8.

    Raises:
        TrainingError: the two differ by more than the tolerances.
    """
    reference = [_torch_answer(model, image, iou, max_boxes) for image in images[: max(BATCHES)]]
    session = _session(onnx_file)
    pairs: list[tuple[Found, Found]] = []
    for size in BATCHES:
        chosen = [position % len(reference) for position in range(size)]
        answers = _onnx_answers(session, np.stack([images[position] for position in chosen]))
        pairs += [(reference[position], answer) for position, answer in zip(chosen, answers, strict=True)]
    parity = _compare(pairs, images=len(reference))
    _require(parity)
    return parity


def _require(parity: Parity) -> None:
    if (
        parity.max_box_px > BOX_TOLERANCE
        or parity.max_score > SCORE_TOLERANCE
        or parity.unmatched > UNMATCHED_TOLERANCE * max(1, parity.detections)
    ):
        raise TrainingError(
            "the ONNX file differs from the PyTorch model: "
            f"boxes by up to {parity.max_box_px:.4g} px (allowed {BOX_TOLERANCE}), "
            f"scores by up to {parity.max_score:.4g} (allowed {SCORE_TOLERANCE}), "
            f"{parity.unmatched} of {parity.detections} detections in one of them only",
            hint="the file is not packaged; export again, or with another version of torch and onnxruntime",
        )


def _compare(pairs: Sequence[tuple[Found, Found]], *, images: int) -> Parity:
    matched = [match(expected, found) for expected, found in pairs]
    box = [difference for boxes, _, _ in matched for difference in boxes]
    score = [difference for _, scores, _ in matched for difference in scores]
    return Parity(
        images=images,
        batches=BATCHES,
        detections=sum(len(expected[1]) for expected, _ in pairs),
        unmatched=sum(alone for _, _, alone in matched),
        max_box_px=max(box, default=0.0),
        max_score=max(score, default=0.0),
    )


def match(expected: Found, found: Found) -> tuple[list[float], list[float], int]:
    """Differences of boxes and of scores of those that belong together, and how many stand alone on either side."""
    boxes, scores = [], []
    free = np.ones(len(found[1]), np.bool_)
    for box, score, label in zip(*expected, strict=True):
        distance = np.abs(found[0] - box).max(axis=1, initial=0.0) + 100 * np.abs(found[1] - score)
        distance[~free | (found[2] != label)] = np.inf
        best = int(distance.argmin()) if len(distance) else -1
        side = float(np.min(box[2:] - box[:2]))
        if best < 0 or np.abs(found[0][best] - box).max() > max(1.0, side / 4) or np.isinf(distance[best]):
            continue
        free[best] = False
        boxes.append(float(np.abs(found[0][best] - box).max()))
        scores.append(float(abs(found[1][best] - score)))
    return boxes, scores, len(expected[1]) - len(boxes) + int(free.sum())


def _session(onnx_file: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])


def _onnx_answers(session: Any, images: Floats) -> list[Found]:
    feed = {"images": images, "score_threshold": np.array(MEASURING_THRESHOLD, np.float32)}
    boxes, scores, labels, num = session.run(["boxes", "scores", "labels", "num"], feed)
    return [(boxes[i, :n], scores[i, :n], labels[i, :n]) for i, n in enumerate(num)]


def _torch_answer(model: nn.Module, image: Floats, iou: float, max_boxes: int) -> Found:
    import torch

    with torch.no_grad():
        boxes, scores = model(torch.from_numpy(image)[None])
    kept = [(_suppress(boxes[0], scores[0, :, label], iou, max_boxes), label) for label in range(scores.shape[2])]
    anchors = torch.cat([index for index, _ in kept])
    labels = torch.cat([torch.full_like(index, label) for index, label in kept])
    values = scores[0, anchors, labels]
    order = torch.argsort(values, descending=True, stable=True)[:max_boxes]
    return boxes[0, anchors[order]].numpy(), values[order].numpy(), labels[order].numpy()


def _suppress(boxes: Tensor, scores: Tensor, iou: float, max_boxes: int) -> Tensor:
    """Anchors that survive, best first: each removes those after it that overlap it by more than `iou`."""
    import torch

    order = torch.argsort(scores, descending=True, stable=True)
    order = order[scores[order] > MEASURING_THRESHOLD]
    kept: list[Tensor] = []
    while len(order) and len(kept) < max_boxes:
        first, rest = order[0], order[1:]
        kept.append(first)
        shared = (
            (torch.minimum(boxes[first, 2:], boxes[rest, 2:]) - torch.maximum(boxes[first, :2], boxes[rest, :2]))
            .clamp(min=0)
            .prod(1)
        )
        areas = (boxes[rest, 2:] - boxes[rest, :2]).prod(1)
        area = (boxes[first, 2:] - boxes[first, :2]).prod()
        order = rest[shared <= iou * (area + areas - shared)]
    return torch.stack(kept) if kept else torch.zeros(0, dtype=torch.int64)
