"""Which pictures are the same or nearly so, without comparing each with each. Knows hashes only, no files.

Two hashes that differ in at most `DISTANCE` of 256 bits agree wholly in at least one of `DISTANCE + 1` bands, so only
those that share a band are compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

DISTANCE = 24  # bits of 256; see hashing.py for what was measured

Words = NDArray[np.uint64]


def same(keys: Iterable[Hashable]) -> list[list[int]]:
    """Places that hold the same key, for every key that stands more than once; in order of the first place."""
    places: defaultdict[Hashable, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        places[key].append(place)
    return [group for group in places.values() if len(group) > 1]


def near_pairs(hashes: Sequence[str], limit: int = DISTANCE) -> list[tuple[int, int]]:
    """Pairs of places (low, high), sorted, whose hashes differ in at most `limit` bits.

    Of places with one and the same hash only neighbours are paired, and only the first is held against other hashes.
    """
    first: dict[str, int] = {}
    for place, text in enumerate(hashes):
        first.setdefault(text, place)
    pairs = {pair for group in same(hashes) for pair in pairwise(group)}
    if len(first) < 2:
        return sorted(pairs)
    places = list(first.values())
    raw = np.frombuffer(b"".join(bytes.fromhex(text) for text in first), np.uint8).reshape(len(first), -1)
    pairs.update((places[i], places[j]) for i, j in _unlike_pairs(raw, limit))
    return sorted((min(pair), max(pair)) for pair in pairs)


def components(count: int, links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Places 0..count-1 gathered by what links them, alone ones too; in order of the first place."""
    parent = list(range(count))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for left, right in links:
        low, high = sorted((root(left), root(right)))
        parent[high] = low
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for place in range(count):
        groups[root(place)].append(place)
    return list(groups.values())


def _unlike_pairs(raw: NDArray[np.uint8], limit: int) -> Iterator[tuple[int, int]]:
    """Pairs among distinct hashes; a pair may come more than once."""
    words = np.ascontiguousarray(raw).view(np.uint64)
    for band in np.array_split(np.unpackbits(raw, axis=1), limit + 1, axis=1):
        value = band.astype(np.int64) @ (1 << np.arange(band.shape[1], dtype=np.int64))
        order = np.argsort(value, kind="stable")
        yield from _within_buckets(words, order, value[order], limit)


def _within_buckets(
    words: Words, order: NDArray[np.int64], value: NDArray[np.int64], limit: int
) -> Iterator[tuple[int, int]]:
    """Compare each with the next, the next but one, … of its bucket, all buckets at once."""
    here = np.arange(len(order))
    for step in range(1, len(order)):
        here = here[here + step < len(order)]
        here = here[value[here] == value[here + step]]
        if not len(here):
            return
        left, right = order[here], order[here + step]
        apart = np.bitwise_count(words[left] ^ words[right]).sum(axis=1)
        for i in np.flatnonzero(apart <= limit):
            yield int(left[i]), int(right[i])
