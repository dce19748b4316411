"""Batches depend on the seed and their place alone, not on how or by whom they are loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model_training.training.examples import Examples, load_examples
from model_training.training.loader import Batch, Loader


@pytest.fixture(scope="module")
def examples(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Examples:
    return load_examples(squares / "train" / "data.jsonl", ("blue", "red"), 64, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def loader(examples: Examples) -> Loader:
    return Loader(examples, 64, 5, 1, lambda: 0.5)


def _equal(first: Batch, second: Batch) -> bool:
    pairs = [
        (first.images, second.images),
        *zip(vars(first.objects).values(), vars(second.objects).values(), strict=True),
    ]
    return all(a.equal(b) for a, b in pairs)


def test_an_epoch_shows_every_picture_in_full_batches(loader: Loader) -> None:
    batches = list(loader.epoch(1))
    assert loader.steps == len(batches) == 3  # 12 pictures, 5 a batch
    assert all(batch.images.shape == (5, 64, 64, 3) for batch in batches)
    assert set(loader._order(1).tolist()) == set(range(12))


def test_the_same_place_gives_the_same_batch_and_another_epoch_or_seed_another(loader: Loader) -> None:
    second = list(loader.epoch(4))[1]
    assert _equal(next(iter(loader.epoch(4, first=1))), second)
    assert not _equal(list(loader.epoch(5))[1], second)
    assert not _equal(list(replace(loader, seed=2).epoch(4))[1], second)


def test_workers_load_what_one_thread_would(loader: Loader) -> None:
    ahead = list(replace(loader, workers=3).epoch(2, first=1))
    inline = list(loader.epoch(2, first=1))
    assert len(ahead) == len(inline) == 2
    assert all(_equal(a, b) for a, b in zip(ahead, inline, strict=True))


def test_multi_scale_varies_from_half_to_one_and_a_half(loader: Loader) -> None:
    varied = replace(loader, multi_scale=True)
    sizes = {batch.images.shape[1] for epoch in range(12) for batch in varied.epoch(epoch)}
    assert sizes == {32, 64, 96}


def test_mosaic_follows_its_probability(examples: Examples) -> None:
    def objects(probability: float) -> float:
        loader = Loader(examples, 64, 6, 1, lambda: probability)
        return float(torch.cat([b.objects.real.sum(1) for e in range(4) for b in loader.epoch(e)]).float().mean())

    assert objects(1.0) > 1.3 * objects(0.0)
