"""Share out units (images that belong together) so that every class comes near its wanted share in every part.

Greedy: the rarest class first, each of its units to the part that lacks that class most. Knows nothing about rows.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """`name` is unique and gives chance its order; `classes` counts images by class."""

    name: str
    classes: Mapping[str, int]


def stratify(
    units: Sequence[Unit], shares: Mapping[str, float], have: Mapping[str, Mapping[str, int]], seed: int
) -> list[str]:
    """A part for each unit. `have` is what the parts hold already; the order of `units` does not matter.

    Each part with a share gets a unit where there are enough. Rounded: ties must not hang on the order of sums.
    """
    total = sum(shares.values())
    wanted = {part: share / total for part, share in shares.items() if share > 0}
    lack = _lacking(units, wanted, have)
    room = {part: round(sum(lack[part][name] for name in sorted(lack[part])), 6) for part in wanted}
    order = sorted(range(len(units)), key=lambda i: _chance(units[i].name, seed))
    chosen: dict[int, str] = {}
    for name in _rarest_first(units):
        for i in order:
            if i not in chosen and name in units[i].classes:
                part = max(wanted, key=lambda part: (round(lack[part][name], 6), room[part], wanted[part]))
                chosen[i] = part
                lack[part].subtract(units[i].classes)
                room[part] = round(room[part] - sum(units[i].classes.values()), 6)
    _leave_none_empty(chosen, order, wanted, have)
    return [chosen[i] for i in range(len(units))]


def _lacking(
    units: Sequence[Unit], wanted: Mapping[str, float], have: Mapping[str, Mapping[str, int]]
) -> dict[str, Counter[str]]:
    total: Counter[str] = Counter()
    for counts in [*(unit.classes for unit in units), *(have.get(part, {}) for part in wanted)]:
        total.update(counts)
    return {
        part: Counter({name: share * total[name] - have.get(part, {}).get(name, 0) for name in total})
        for part, share in wanted.items()
    }


def _rarest_first(units: Sequence[Unit]) -> list[str]:
    seen: Counter[str] = Counter()
    for unit in units:
        seen.update(unit.classes)
    return sorted(seen, key=lambda name: (seen[name], name))


def _leave_none_empty(
    chosen: dict[int, str],
    order: Sequence[int],
    wanted: Mapping[str, float],
    have: Mapping[str, Mapping[str, int]],
) -> None:
    """Small sets: give each empty part one unit of the part that has most."""
    for part in wanted:
        sizes = Counter(chosen.values())
        if part in sizes or have.get(part) or not sizes:
            continue
        richest, size = max(sizes.items(), key=lambda item: (item[1], wanted[item[0]]))
        if size > 1:
            chosen[next(i for i in order if chosen[i] == richest)] = part


def _chance(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {name}".encode()).digest()
