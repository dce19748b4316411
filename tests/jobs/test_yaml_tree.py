"""YAML within limits: whatever a file holds, the answer is a value or problems with lines."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from model_training.jobs.problems import Problems
from model_training.jobs.yaml_tree import MAX_BYTES, Value, parse_yaml


def read(text: str) -> tuple[Value | None, tuple[str, ...]]:
    problems = Problems("f")
    return parse_yaml(text, problems), problems.errors


def test_values_know_their_lines() -> None:
    value, errors = read("a: 1\nb:\n  - x\n  - {c: 1e-4}\n")
    assert value is not None and not errors
    assert value.plain() == {"a": 1, "b": ["x", {"c": 1e-4}]}
    assert value.data["b"].data[1].data["c"].line == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "f:2: 'a' is given twice (first on line 1)"),
        ("a: [1", "not YAML"),
        ("a: !!python/object/apply:os.system [ls]", "the tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
        ("a: !thing 1", "the tag '!thing' is not allowed"),
        ("[" * 1000, "nested deeper"),
        ("a: &x [1]\nb: [" + "*x, " * 200 + "]", "aliases"),
        ("a: &x [*x]", "endless alias"),
        ("a: 1\n---\nb: 2", "not YAML: but found another document"),
        ("a: \x00", "not YAML"),
        ("# " + "x" * MAX_BYTES, "at most"),
        ("", "the file is empty"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_refused(text: str, said: str) -> None:
    assert any(said in error for error in read(text)[1])


def test_a_bomb_of_aliases_is_refused_in_no_time() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert any("aliases are expanded" in error for error in read("\n".join(lines))[1])


def test_anchors_and_merge_keys_work() -> None:
    value, errors = read("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n")
    assert not errors and value is not None
    assert value.plain()["use"] == {"x": 1, "y": 3}


# PyYAML itself folds these line separators when it writes them
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029"), max_size=12)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None, max_examples=150)
@given(PLAIN)
def test_what_yaml_writes_is_read_back(value: object) -> None:
    """Round trip: safe_dump, then this reader, gives the same value."""
    found, errors = read(yaml.safe_dump({"value": value}, allow_unicode=True))
    assert not errors and found is not None
    assert found.plain() == {"value": value}


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=200))
def test_any_text_gives_a_value_or_problems(text: str) -> None:
    value, errors = read(text)
    assert (value is None) <= bool(errors)
