"""A bundle looked at on one part of the data: annotated pictures and the page of plots. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from model_training.data.jsonl import read_rows, resolve_image
from model_training.data.rows import Row
from model_training.evaluation.card import card_of
from model_training.evaluation.confusion import confusion
from model_training.evaluation.curves import curves
from model_training.evaluation.measure import detect_part
from model_training.evaluation.page import write_page
from model_training.workspaces.base import BestTrial, Bundle
from scoring.detector import Detector
from scoring.draw import annotate, save_annotated
from scoring.images import open_image

PICTURES = 12


def write_report(bundle: Bundle, sweep: BestTrial, part: Path, folder: Path, *, title: str) -> Path:
    """`folder/report.html` with its plots, and annotated images of `part` in `folder/pictures`; returns the page.

    Everything is computed with the bundle's ONNX file at its operating threshold.
    """
    detector = Detector.load(bundle.path)
    threshold = detector.bundle.postprocess.score_threshold
    truth, found = detect_part(detector, part)
    return write_page(
        folder,
        title=title,
        card=card_of(bundle.manifest),
        leaderboard=[sweep.best, *(trial for trial in sweep.leaderboard if trial.number != sweep.best.number)],
        curves=curves(truth, found, detector.labels, score_threshold=threshold),
        confusion=confusion(truth, found, detector.labels, score_threshold=threshold),
        pictures=draw_pictures(detector, part, folder / "pictures"),
    )


def draw_pictures(detector: Detector, part: Path, folder: Path) -> list[Path]:
    """Annotated copies of `PICTURES` images, spread over the part, in its order."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = _spread(read_rows(part), PICTURES)
    paths = [resolve_image(row, part) for row in chosen]
    taken = {path.resolve() for path in paths}
    pictures: list[Path] = []
    for row, path in zip(chosen, paths, strict=True):
        image = open_image(path)
        (found,) = detector.detect([image])
        name = Path(row.file_name or path.name).with_suffix(path.suffix)
        pictures.append(save_annotated(annotate(image, found, detector.labels), name, folder, taken))
    return pictures


def _spread(rows: Sequence[Row], count: int) -> list[Row]:
    step = max(1.0, len(rows) / count)
    return [rows[int(number * step)] for number in range(min(count, len(rows)))]
