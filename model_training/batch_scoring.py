"""Every image of a data set scored with a registered model: what a published batch-scoring pipeline does.

Knows nothing about where the workspace is and prints nothing. Called again with the same run it goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_training.data.rows import Row
from model_training.errors import DataError
from model_training.workspaces.base import Event, Reporter, Workspace, silent
from scoring.batch.inputs import Item
from scoring.errors import NotFoundError

if TYPE_CHECKING:
    from scoring.batch.journal import Totals

EVERY = 100  # images between two words of progress
FETCHES = 8  # at once: small files wait for the network, not for a core
AHEAD = 4 * FETCHES  # images that are fetched, or being fetched, before they are asked for


@dataclass(frozen=True)
class ScoredDataset:
    """`folder` holds predictions.jsonl, predictions.csv, errors.jsonl and batch.json (CONTRACTS 10)."""

    dataset: str
    model: str
    version: int
    images: int
    failed: int
    boxes: int
    folder: Path

    def to_json(self) -> dict[str, Any]:
        names = ("dataset", "model", "version", "images", "failed", "boxes")
        return {name: getattr(self, name) for name in names}


def score_dataset(
    workspace: Workspace, *, dataset_name: str, model_name: str, run_id: str, reporter: Reporter = silent
) -> ScoredDataset:
    """`model_name` is NAME (the champion), NAME:3 or NAME@latest.

    An image that is gone or cannot be read is a row of errors.jsonl. Raises: NotFoundError (data set, model),
    IntegrityError (the model's files), DataError (not one image could be scored).
    """
    from model_training.data.scanning import cores
    from scoring.batch.rows import Scorer
    from scoring.batch.run import run_batch
    from scoring.bundle import load_bundle
    from scoring.detector import Detector
    from scoring.files import sha256_of

    dataset = workspace.datasets.get(dataset_name)
    model = workspace.models.get(model_name)
    folder = workspace.runs.get(run_id).folder / "predictions"
    rows = workspace.datasets.rows(dataset)
    reporter(Event("stage", f"score the {len(rows)} images of {dataset.reference} with {model.reference}"))

    def fetch(row: Row) -> Item:
        return Item(row.file_name or row.image_url, _path(workspace, row.image_url, dataset.path / "data.jsonl"))

    header = {"model": model.reference, "manifest_sha256": sha256_of(model.path / "manifest.json")}
    scorer = Scorer(Detector.load(load_bundle(model.path)), model.reference)
    done = run_batch(
        scorer, lambda: fetched_ahead(rows, fetch), folder, header, workers=cores(), tell=_progress(reporter, len(rows))
    )
    totals = done.totals
    if totals.images and totals.failed == totals.images:
        raise DataError(
            f"none of the {totals.images} images of {dataset.reference} could be scored",
            hint=f"{folder / 'errors.jsonl'} says why for each",
        )
    return ScoredDataset(
        dataset.reference, model.name, model.version, totals.images, totals.failed, totals.boxes, folder
    )


def fetched_ahead(rows: Iterable[Row], fetch: Callable[[Row], Item]) -> Iterator[Item]:
    """In the order of the rows, some fetched at once, never more than AHEAD of what was asked for."""
    waiting: deque[Future[Item]] = deque()
    with ThreadPoolExecutor(FETCHES, thread_name_prefix="fetch") as pool:
        try:
            for row in rows:
                waiting.append(pool.submit(fetch, row))
                if len(waiting) == AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()


def _path(workspace: Workspace, image_url: str, beside: Path) -> str:
    try:
        return str(workspace.datastores.resolve(image_url, beside))
    except NotFoundError:
        return image_url  # nothing bears that name: its row says so


def _progress(reporter: Reporter, total: int) -> Any:
    def tell(totals: Totals, seconds: float) -> None:
        if totals.images % EVERY == 0:
            left = (total - totals.images) * seconds / max(1, totals.images - totals.resumed)
            reporter(Event("progress", f"scored {totals.images} of {total} images, {left:.0f} s left"))

    return tell
