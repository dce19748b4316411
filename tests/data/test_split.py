"""The laws of the split: stable, whole, in proportion, the same for the same content."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_training.data.parts import PARTS
from model_training.data.rows import Box, Row
from model_training.data.split import SplitOptions, split_rows, split_sha256
from scoring.errors import UsageError

GROUPED = SplitOptions(seed=3, group_pattern=r"^(cam\d+)_")


def row(number: int, labels: tuple[str, ...] = ("can",), name: str = "") -> Row:
    sha = hashlib.sha256(str(number).encode()).hexdigest()
    boxes = tuple(Box(label, 0, 0, 1, 1) for label in labels)
    return Row("x.jpg", boxes=boxes, file_name=name or f"{number}.jpg", sha256=sha)


@st.composite
def row_lists(draw: st.DrawFn, largest: int = 60) -> list[Row]:
    """Images with any labels, some twice under another name, some in groups."""
    rows = []
    for place in range(draw(st.integers(1, largest))):
        labels = tuple(draw(st.lists(st.sampled_from("abc"), max_size=3)))
        group = draw(st.sampled_from(["", "cam1_", "cam2_", "cam3_", "cam4_"]))
        rows.append(row(draw(st.integers(0, 80)), labels, f"{group}{place}.jpg"))
    return rows


@given(row_lists(), st.integers(0, 5), st.randoms())
@settings(deadline=None, max_examples=50)
def test_the_same_content_gives_the_same_split_in_any_order(rows: list[Row], seed: int, shuffle: random.Random) -> None:
    unique = list({each.sha256: each for each in rows}.values())
    options = SplitOptions(seed)
    parts = dict(zip((r.sha256 for r in unique), split_rows(unique, options).parts, strict=True))
    mixed = shuffle.sample(unique, len(unique))
    again = split_rows(mixed, options).parts
    assert [parts[r.sha256] for r in mixed] == again
    assert split_sha256(unique, [parts[r.sha256] for r in unique]) == split_sha256(mixed, again)


@given(row_lists())
@settings(deadline=None, max_examples=50)
def test_what_belongs_together_stays_together(rows: list[Row]) -> None:
    parts = split_rows(rows, GROUPED).parts
    assert set(parts) <= set(PARTS)
    homes: defaultdict[str, set[str]] = defaultdict(set)
    for each, part in zip(rows, parts, strict=True):
        homes[each.sha256].add(part)
        if each.file_name.startswith("cam"):
            homes[each.file_name[:4]].add(part)
    assert all(len(found) == 1 for found in homes.values())


@given(row_lists(30), row_lists(30), st.sampled_from([SplitOptions(1), GROUPED]))
@settings(deadline=None, max_examples=60)
def test_an_image_never_leaves_its_part_when_the_data_grows_shrinks_and_grows_again(
    rows: list[Row], more: list[Row], options: SplitOptions
) -> None:
    first = split_rows(rows, options)
    home = {each.sha256: part for each, part in zip(rows, first.parts, strict=True)}
    shrunk = split_rows(more, options, kept=first.keys)
    grown = split_rows([*more, *rows], options, kept=shrunk.keys)
    for each, part in zip([*more, *rows], grown.parts, strict=True):
        assert part == home.get(each.sha256, part)


@given(st.integers(20, 120), st.integers(0, 20), st.integers(0, 9))
@settings(deadline=None, max_examples=30)
def test_classes_are_in_proportion(common: int, rare: int, seed: int) -> None:
    rows = [row(i, ("common",)) for i in range(common)] + [row(1000 + i, ("rare",)) for i in range(rare)]
    parts = split_rows(rows, SplitOptions(seed)).parts
    for label, count in (("common", common), ("rare", rare)):
        found = Counter(part for each, part in zip(rows, parts, strict=True) if each.labels[0] == label)
        for part, share in zip(PARTS, (0.7, 0.15, 0.15), strict=True):
            assert abs(found[part] - share * count) <= 1.5


@given(st.integers(3, 12))
@settings(deadline=None, max_examples=10)
def test_no_part_is_empty_where_there_are_enough_images(count: int) -> None:
    assert set(split_rows([row(i) for i in range(count)], SplitOptions()).parts) == set(PARTS)


def test_many_labels_an_image() -> None:
    """Images with a rare label beside a common one: the rare label decides first, so every part has some of it."""
    rows = [row(i, ("a",)) for i in range(80)] + [row(100 + i, ("a", "b")) for i in range(20)]
    parts = split_rows(rows, SplitOptions()).parts
    assert Counter(p for r, p in zip(rows, parts, strict=True) if "b" in r.labels) == {
        "train": 14,
        "validation": 3,
        "test": 3,
    }


def test_the_split_that_comes_with_the_data_is_kept() -> None:
    rows = [row(i) for i in range(9)]
    published = {f"{i}.jpg": ("test", "train", "validation")[i % 3] for i in range(9)}
    result = split_rows(rows, SplitOptions(), published=published)
    assert result.parts == [published[each.file_name] for each in rows]
    assert result.notes == []


def test_a_part_that_the_data_comes_without_is_taken_from_training_alone() -> None:
    rows = [row(i) for i in range(40)]
    published = {f"{i}.jpg": "train" if i < 30 else "validation" for i in range(40)}
    result = split_rows(rows, SplitOptions(), published=published)
    assert result.parts[30:] == ["validation"] * 10
    assert result.counts == {"train": 25, "validation": 10, "test": 5}
    assert "came without test" in result.notes[0]


def test_a_picture_that_was_published_in_two_parts_is_held_out() -> None:
    rows = [row(1, name="a.jpg"), row(1, name="b.jpg"), row(2, name="c.jpg"), row(3, name="d.jpg")]
    published = {"a.jpg": "train", "b.jpg": "test", "c.jpg": "validation", "d.jpg": "train"}
    result = split_rows(rows, SplitOptions(), published=published)
    assert result.parts == ["test", "test", "validation", "train"]
    assert any("a.jpg" in note for note in result.notes)


def test_an_earlier_part_outranks_a_published_one_and_that_is_said() -> None:
    published = {"1.jpg": "train", "2.jpg": "validation", "3.jpg": "test"}
    first = split_rows([row(1), row(2), row(3)], SplitOptions(), published=published)
    again = split_rows([row(1), row(4)], SplitOptions(), kept=first.keys, published={"1.jpg": "test"})
    assert again.parts[0] == "train"
    assert "stays in train" in again.notes[0]


def test_new_images_of_a_known_group_follow_it() -> None:
    rows = [row(i, name=f"cam{i % 4}_{i}.jpg") for i in range(40)]
    first = split_rows(rows, GROUPED)
    home = dict(zip((each.file_name[:4] for each in rows), first.parts, strict=True))
    new = [row(100 + i, name=f"cam{i % 4}_new{i}.jpg") for i in range(8)]
    assert split_rows(new, GROUPED, kept=first.keys).parts == [home[each.file_name[:4]] for each in new]


def test_lookalikes_go_where_the_picture_is_that_they_look_like() -> None:
    rows = [row(i) for i in range(30)]
    first = split_rows(rows, SplitOptions())
    grown = [*rows, *(row(100 + i) for i in range(30))]
    links = [(i, i + 30) for i in range(30)]
    again = split_rows(grown, SplitOptions(), kept=first.keys, lookalikes=links)
    assert again.parts == first.parts * 2


def test_a_fixed_camera_does_not_put_everything_into_one_part() -> None:
    rows = [row(i) for i in range(100)]
    chain = [(i, i + 1) for i in range(99)]
    result = split_rows(rows, SplitOptions(), lookalikes=chain)
    assert result.counts == {"train": 70, "validation": 15, "test": 15}
    assert "--group-pattern" in result.notes[0]


@pytest.mark.parametrize(
    ("fractions", "pattern"),
    [
        ((0.5, 0.5, 0.5), ""),  # do not add up
        ((1.2, -0.1, -0.1), ""),
        ((0.7, 0.15, 0.15), "(unclosed"),
        ((0.7, 0.15, 0.15), "no brackets"),
    ],
)
def test_options_that_cannot_be_used(fractions: tuple[float, float, float], pattern: str) -> None:
    with pytest.raises(UsageError):
        SplitOptions(1, fractions, pattern)


def test_the_hash_tells_another_split() -> None:
    rows = [row(1), row(2)]
    assert split_sha256(rows, ["train", "test"]) != split_sha256(rows, ["test", "train"])
