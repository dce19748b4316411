"""Lookalikes are found, all of them, and nothing else."""

from __future__ import annotations

import io
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter

from model_training.data.duplicates import DISTANCE, components, near_pairs, same
from model_training.data.hashing import HEX_DIGITS, distance, perceptual_hash


def photograph(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Blobs of every size, as different from another seed's as two photographs are."""
    rng = np.random.default_rng(seed)
    layers = [Image.fromarray(rng.integers(0, 256, (n, n, 3), np.uint8)).resize(size, 3) for n in (3, 7, 16, 40)]
    mixed = sum(np.asarray(layer, np.float64) / 2**i for i, layer in enumerate(layers)) / 1.875
    return Image.fromarray(mixed.astype(np.uint8))


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


@pytest.mark.parametrize(
    "changed",
    [
        lambda image: as_jpeg(image, 40),  # sent through a messenger
        lambda image: image.resize((200, 150)),  # a thumbnail
        lambda image: ImageEnhance.Brightness(image).enhance(1.15),
        lambda image: image.filter(ImageFilter.GaussianBlur(1)),
        lambda image: image.convert("L").convert("RGB"),
    ],
)
def test_the_same_photograph_stays_near_and_others_are_far(changed) -> None:  # type: ignore[no-untyped-def]
    for seed in range(4):
        image = photograph(seed)
        assert distance(perceptual_hash(image), perceptual_hash(changed(image))) <= DISTANCE
        assert distance(perceptual_hash(image), perceptual_hash(photograph(seed + 100))) > 3 * DISTANCE


def test_pictures_of_one_colour_have_a_hash_too() -> None:
    hashes = {perceptual_hash(Image.new("RGB", (40, 30), colour)) for colour in ("white", "black", "red")}
    assert all(len(text) == HEX_DIGITS for text in hashes)


@st.composite
def hash_sets(draw: st.DrawFn) -> list[str]:
    """Hashes in clusters: some a few bits apart, around the limit."""
    hashes = []
    for _ in range(draw(st.integers(0, 5))):
        centre = draw(st.integers(0, 2**256 - 1))
        for _ in range(draw(st.integers(1, 4))):
            flips = draw(st.sets(st.integers(0, 255), max_size=DISTANCE + 4))
            hashes.append(f"{centre ^ sum(1 << bit for bit in flips):064x}")
    return hashes


@given(hash_sets())
@settings(deadline=None, max_examples=60)
def test_pairs_join_what_comparing_all_with_all_joins(hashes: list[str]) -> None:
    """Law: the pairs are near, and they connect just what all near pairs connect."""
    found = near_pairs(hashes)
    assert all(i < j and distance(hashes[i], hashes[j]) <= DISTANCE for i, j in found)
    every = [(i, j) for i, j in combinations(range(len(hashes)), 2) if distance(hashes[i], hashes[j]) <= DISTANCE]
    assert components(len(hashes), found) == components(len(hashes), every)
    if len(set(hashes)) == len(hashes):
        assert found == every


def test_same_and_components() -> None:
    assert same("abcab") == [[0, 3], [1, 4]]
    assert components(5, [(3, 1), (4, 3)]) == [[0], [1, 3, 4], [2]]
