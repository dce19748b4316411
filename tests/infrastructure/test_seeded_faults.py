"""The faults of seeded_faults.yml, made one at a time in a copy of infrastructure/: each is found in the file it is in.

They were written by somebody who did not write the check, before there was one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infrastructure.bicep.testing import PROJECT, check, copy, findings_after

FAULTS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "seeded_faults.yml").read_text(encoding="utf-8"))
NOT_FOUND: tuple[tuple[str, str], ...] = ()  # (name, why only Azure or its compiler can find it)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("seeded")
    copy(PROJECT, root)
    assert check(root) == []  # so that what is found later is found of the fault
    return root


@pytest.mark.parametrize("fault", FAULTS, ids=[each["name"] for each in FAULTS])
def test_a_seeded_fault_is_found_in_its_file(fault: dict[str, Any], tree: Path) -> None:
    found = findings_after(tree, fault["file"], fault["find"], fault["replace"])
    here = [each for each in found if each.place.path == fault["file"]]
    expected = fault["name"] not in dict(NOT_FOUND)
    assert bool(here) == expected, f"{fault['why']}\nfound elsewhere: {[str(each) for each in found]}"


def test_what_is_not_found_is_said_and_little() -> None:
    names = {each["name"] for each in FAULTS}
    assert {name for name, _ in NOT_FOUND} <= names and all(why for _, why in NOT_FOUND)
    assert len(names) - len(NOT_FOUND) >= 0.95 * len(FAULTS)
    assert len(names) == len(FAULTS)
