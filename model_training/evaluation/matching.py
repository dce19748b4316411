"""Which detection found which object: greedy, one to one, highest score first, as COCO does. Knows no metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.evaluation.truth import GroundTruth
from scoring.detections import Detections

Floats = NDArray[np.float64]

MATCH_IOU = 0.5


@dataclass(frozen=True)
class Ranking:
    """Every detection of one label over all images, highest score first, and whether it found an object.

    Detections that only cover a crowd region are not in it. `truth` counts the objects (crowds apart). Matching goes by
    falling score, so the part above any threshold is exactly what matching at that threshold would give.
    """

    scores: Floats
    hits: NDArray[np.bool_]
    truth: int


def rank(
    truth: Sequence[GroundTruth], detections: Sequence[Detections], classes: int, *, iou: float = MATCH_IOU
) -> list[Ranking]:
    """One ranking a label, in the labels' order."""
    matched = [match_image(t, d, iou=iou) for t, d in zip(truth, detections, strict=True)]
    scores = np.concatenate([np.zeros(0), *(d.scores for d in detections)]).astype(np.float64)
    labels = np.concatenate([np.zeros(0, np.int64), *(d.labels for d in detections)])
    hits = np.concatenate([np.zeros(0, np.bool_), *(hit for hit, _ in matched)])
    ignored = np.concatenate([np.zeros(0, np.bool_), *(skip for _, skip in matched)])
    objects = np.concatenate([np.zeros(0, np.int64), *(t.labels[~t.crowd] for t in truth)])
    counts = np.bincount(objects, minlength=classes)
    rankings = []
    for label in range(classes):
        of_label = np.flatnonzero((labels == label) & ~ignored)
        order = of_label[np.argsort(-scores[of_label], kind="stable")]
        rankings.append(Ranking(scores[order], hits[order], int(counts[label])))
    return rankings


def pool(rankings: Sequence[Ranking]) -> Ranking:
    """All labels as one ranking: what micro-averages are computed on."""
    scores = np.concatenate([np.zeros(0), *(r.scores for r in rankings)])
    hits = np.concatenate([np.zeros(0, np.bool_), *(r.hits for r in rankings)])
    order = np.argsort(-scores, kind="stable")
    return Ranking(scores[order], hits[order], sum(r.truth for r in rankings))


def match_image(
    truth: GroundTruth, found: Detections, *, iou: float = MATCH_IOU
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """For each detection of one image: it found an object of its label; it is to be ignored (it lies in a crowd)."""
    hits, ignored = np.zeros(len(found), np.bool_), np.zeros(len(found), np.bool_)
    if len(found) == 0 or len(truth.labels) == 0:
        return hits, ignored
    overlap = overlaps(found.boxes, truth.boxes, truth.crowd)
    overlap[found.labels[:, None] != truth.labels[None, :]] = -1.0
    in_crowd = truth.crowd & (overlap >= iou)
    overlap[:, truth.crowd] = -1.0
    for position, _ in greedy(overlap, found.scores, iou=iou):
        hits[position] = True
    ignored = in_crowd.any(axis=1) & ~hits
    return hits, ignored


def greedy(overlap: Floats, scores: NDArray[np.float32], *, iou: float) -> list[tuple[int, int]]:
    """Pairs (detection, object): by falling score, each takes the free object that it overlaps most."""
    detection, thing = np.nonzero(overlap >= iou)
    # of two objects overlapped equally COCO takes the later one
    order = np.lexsort((-thing, -overlap[detection, thing], detection, -scores[detection]))
    pairs, used, taken = [], set(), set()
    for d, t in zip(detection[order].tolist(), thing[order].tolist(), strict=True):
        if d not in used and t not in taken:
            used.add(d)
            taken.add(t)
            pairs.append((d, t))
    return pairs


def overlaps(found: NDArray[np.float32], truth: NDArray[np.float32], crowd: NDArray[np.bool_]) -> Floats:
    """Intersection over union (n, m); for a crowd region, over the detection's own area, as COCO has it."""
    a, b = found.astype(np.float64), truth.astype(np.float64)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    side = np.clip(high - low, 0.0, None)
    shared: Floats = side[:, :, 0] * side[:, :, 1]
    own = (a[:, 2:] - a[:, :2]).prod(axis=1)[:, None]
    other = (b[:, 2:] - b[:, :2]).prod(axis=1)[None, :]
    whole = np.where(crowd[None, :], own, own + other - shared)
    result: Floats = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return result
