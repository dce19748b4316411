"""Mistakes that somebody else thought of before the check was written (seeded_faults.yml): each is found."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.infrastructure.bicep.finding import Finding
from tests.pipelines.checker.check import check
from tests.pipelines.checker.tree import Tree

ROOT = Path(__file__).resolve().parents[2]
FAULTS = {fault["name"]: fault for fault in yaml.safe_load(Path(__file__).with_name("seeded_faults.yml").read_text())}
# Name and reason of those that no static check can find honestly. None so far.
BEYOND: tuple[tuple[str, str], ...] = ()
BY_SCHEMA = 16  # what checker/schema.py says


@cache
def tree() -> Tree:
    return Tree.of(ROOT)


def wrong(name: str) -> str:
    """The text of the fault's file with the fault in it."""
    fault = FAULTS[name]
    text = tree().texts[fault["file"]]
    assert text.count(fault["find"]) == 1, f"{fault['file']} has changed: {name} no longer fits"
    return text.replace(fault["find"], fault["replace"])


@cache
def findings(name: str) -> list[Finding]:
    return check(tree().with_text(FAULTS[name]["file"], wrong(name)))


@pytest.mark.parametrize("name", sorted(set(FAULTS) - {name for name, _ in BEYOND}))
def test_a_seeded_fault_is_found(name: str) -> None:
    assert findings(name), FAULTS[name]["why"]


def test_what_is_said_to_be_beyond_a_static_check_still_is() -> None:
    assert [name for name, _ in BEYOND if findings(name)] == []


def test_the_seeds_are_enough_and_no_single_rule_finds_all() -> None:
    rules = {name: {finding.rule for finding in findings(name)} for name in FAULTS}
    assert len(FAULTS) - len(BEYOND) >= max(20, len(FAULTS) * 0.95)
    assert sum("schema" in found for found in rules.values()) == BY_SCHEMA
    assert {rule for found in rules.values() for rule in found} >= {"schema", "references", "expressions", "scripts"}
