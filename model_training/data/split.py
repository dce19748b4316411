"""Which image goes to train, validation or test. Pure: rows in, parts out; knows nothing about files or versions.

Order of authority: the part an image (or its group) had in an earlier version; the part that came with the data; the
part of an image that looks the same; then a seeded, stratified choice. What belongs together (same bytes, same group,
near alike) and is new goes to one part as a whole.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from model_training.data.duplicates import components
from model_training.data.parts import PARTS
from model_training.data.rows import Row
from model_training.data.stratify import Unit, stratify
from scoring.errors import UsageError

HELD_OUT_FIRST = ("test", "validation", "train")
NOTHING = ""  # the class of images without objects, for stratifying
LOOKALIKE_SHARE = (
    0.1  # a chain of lookalikes longer than this share of the images says "fixed camera", not "duplicates"
)
LOOKALIKE_IMAGES = 20


@dataclass(frozen=True)
class SplitOptions:
    """`group_pattern`: a regular expression searched in `file_name`; its first group is the key of the group."""

    seed: int = 1
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    group_pattern: str = ""

    def __post_init__(self) -> None:
        if len(self.fractions) != 3 or min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-6:
            found = ", ".join(f"{value:g}" for value in self.fractions)
            raise UsageError(
                f"--fractions: expected three shares of train, validation and test that add up to 1, found {found}",
                hint="for example --fractions 0.7,0.15,0.15",
            )
        group_finder(self.group_pattern)


@dataclass
class Assignment:
    """`parts` has one part for each row; `keys` is what later versions keep; `notes` is what a person should know."""

    parts: list[str]
    keys: dict[str, str]
    notes: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        return {part: self.parts.count(part) for part in PARTS}


def group_finder(pattern: str) -> Callable[[str], str]:
    """From a file name to its group's key, '' for none. Raises: UsageError for a pattern that cannot be used."""
    if not pattern:
        return lambda name: ""
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--group-pattern {pattern!r}: not a regular expression ({error})", hint=_EXAMPLE) from error
    if not expression.groups:
        raise UsageError(f"--group-pattern {pattern!r}: expected brackets around the group's key", hint=_EXAMPLE)

    def key(name: str) -> str:
        match = expression.search(name)
        return (match[1] or "") if match else ""

    return key


_EXAMPLE = "for example --group-pattern '^(camera[0-9]+)_' for names such as camera3_0017.jpg"


def split_rows(
    rows: Sequence[Row],
    options: SplitOptions,
    *,
    kept: Mapping[str, str] | None = None,
    published: Mapping[str, str] | None = None,
    lookalikes: Iterable[tuple[int, int]] = (),
) -> Assignment:
    """Every row's part. `kept` maps content hashes and `group:KEY` to parts, `published` file names to parts."""
    group_of = group_finder(options.group_pattern)
    groups = [group_of(row.file_name) for row in rows]
    result = Assignment([""] * len(rows), dict(kept or {}))
    _keep(rows, groups, result)
    _publish(rows, published or {}, result)
    _follow_groups(groups, result)
    links = _sensible(list(lookalikes), len(rows), result)
    _choose(rows, groups, links, options, result)
    _fill_missing_parts(rows, groups, links, options, result)
    for row, group, part in zip(rows, groups, result.parts, strict=True):
        result.keys[row.sha256] = part
        if group:
            result.keys.setdefault(f"group:{group}", part)
    return result


def split_sha256(rows: Sequence[Row], parts: Sequence[str]) -> str:
    """Says which content is in which part; the order of rows and where images lie do not matter."""
    lines = sorted(f"{row.sha256} {part}\n" for row, part in zip(rows, parts, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _keep(rows: Sequence[Row], groups: Sequence[str], result: Assignment) -> None:
    for i, row in enumerate(rows):
        result.parts[i] = result.keys.get(row.sha256) or (groups[i] and result.keys.get(f"group:{groups[i]}", ""))


def _publish(rows: Sequence[Row], published: Mapping[str, str], result: Assignment) -> None:
    """The part that came with the data; the same bytes in two parts go to the part that is held out furthest."""
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.file_name in published:
            wanted[row.sha256].add(published[row.file_name])
    for i, row in enumerate(rows):
        if not wanted.get(row.sha256):
            continue
        part = next(p for p in HELD_OUT_FIRST if p in wanted[row.sha256])
        if result.parts[i] and result.parts[i] != part:
            result.notes.append(
                f"{row.file_name}: stays in {result.parts[i]}, where it was before (now listed in {part})"
            )
        elif published.get(row.file_name, part) != part:
            result.notes.append(f"{row.file_name}: the same picture is in {part} too, so both are there")
        result.parts[i] = result.parts[i] or part


def _follow_groups(groups: Sequence[str], result: Assignment) -> None:
    """New images of a group that has a part already go there."""
    votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for group, part in zip(groups, result.parts, strict=True):
        if group and part:
            votes[group][part] += 1
    for i, group in enumerate(groups):
        if group in votes and not result.parts[i]:
            result.parts[i] = max(PARTS, key=votes[group].__getitem__)


def _sensible(links: list[tuple[int, int]], count: int, result: Assignment) -> list[tuple[int, int]]:
    """Links between lookalikes, unless they chain so many images together that nothing would be left to choose."""
    limit = max(LOOKALIKE_IMAGES, LOOKALIKE_SHARE * count)
    largest = max((len(group) for group in components(count, links)), default=0)
    if largest <= limit:
        return links
    result.notes.append(
        f"{largest} of {count} images look nearly alike (a fixed camera?), so likeness does not decide their part; "
        "name what belongs together with --group-pattern"
    )
    return []


def _choose(
    rows: Sequence[Row],
    groups: Sequence[str],
    links: Sequence[tuple[int, int]],
    options: SplitOptions,
    result: Assignment,
) -> None:
    """Whole units of new images, by likeness to what has a part, else by chance in proportion."""
    undecided = []
    for unit in _units(rows, groups, links):
        new = [i for i in unit if not result.parts[i]]
        old = Counter(result.parts[i] for i in unit if result.parts[i])
        if old:
            for i in new:
                result.parts[i] = max(PARTS, key=old.__getitem__)
        elif new:
            undecided.append(new)
    _stratify(rows, undecided, options, PARTS, result)


def _units(rows: Sequence[Row], groups: Sequence[str], links: Iterable[tuple[int, int]]) -> list[list[int]]:
    first: dict[str, int] = {}
    together = list(links)
    for i, (row, group) in enumerate(zip(rows, groups, strict=True)):
        together.append((first.setdefault(row.sha256, i), i))
        if group:
            together.append((first.setdefault(f"group:{group}", i), i))
    return components(len(rows), together)


def _stratify(
    rows: Sequence[Row], units: Sequence[list[int]], options: SplitOptions, parts: Sequence[str], result: Assignment
) -> None:
    """Choose among `parts` for these units, so that each class comes near its share in every part."""
    wanted = {part: share for part, share in zip(PARTS, options.fractions, strict=True) if part in parts}
    have = {part: Counter[str]() for part in wanted}
    for row, part in zip(rows, result.parts, strict=True):
        if part in have:
            have[part].update(classes_of(row))
    described = [Unit(_name(rows, unit), Counter(c for i in unit for c in classes_of(rows[i]))) for unit in units]
    for unit, part in zip(units, stratify(described, wanted, have, options.seed), strict=True):
        for i in unit:
            result.parts[i] = part


def _fill_missing_parts(
    rows: Sequence[Row],
    groups: Sequence[str],
    links: Sequence[tuple[int, int]],
    options: SplitOptions,
    result: Assignment,
) -> None:
    """A part that should hold images and holds none is taken from new training images, in whole units."""
    for part, share in zip(PARTS, options.fractions, strict=True):
        if not share or part in result.parts:
            continue
        units = [unit for unit in _units(rows, groups, links) if _is_new_training(rows, unit, result)]
        if len(units) < 2:
            continue
        ours = [i for unit in units for i in unit]
        for i in ours:
            result.parts[i] = ""
        both = {"train": options.fractions[0], part: share}
        described = [Unit(_name(rows, unit), Counter(c for i in unit for c in classes_of(rows[i]))) for unit in units]
        have = {name: Counter[str]() for name in both}
        chosen = stratify(described, both, have, options.seed)
        for unit, name in zip(units, chosen, strict=True):
            for i in unit:
                result.parts[i] = name
        taken = result.parts.count(part)
        if taken:
            result.notes.append(f"the data came without {part} images: {taken} are taken from its training images")


def _is_new_training(rows: Sequence[Row], unit: Sequence[int], result: Assignment) -> bool:
    return all(result.parts[i] == "train" and rows[i].sha256 not in result.keys for i in unit)


def classes_of(row: Row) -> set[str]:
    """What an image counts for: each class once; images without objects are a class of their own."""
    return set(row.labels) or {NOTHING}


def _name(rows: Sequence[Row], unit: Iterable[int]) -> str:
    """The same for the same content, wherever it stands in the file."""
    return min(rows[i].sha256 for i in unit)
