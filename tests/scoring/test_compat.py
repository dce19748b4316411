"""Ranges of versions, as the manifest writes them."""

from __future__ import annotations

import pytest

from scoring.compat import architecture, in_range
from scoring.errors import IntegrityError


@pytest.mark.parametrize(
    ("version", "wanted", "inside"),
    [
        ("1.20.0", ">=1.20", True),
        ("1.9.0", ">=1.20", False),  # numbers, not text
        ("1.20", ">=1.20.0", True),  # missing parts are 0
        ("2.0.0", ">=1.20,<2", False),
        ("1.27.0", ">=1.20, <2", True),
        ("1.22.1+cpu", "==1.22.1", True),
        ("1.22.1", "!=1.22.1", False),
        ("1.22.1", ">1.22.1", False),
        ("1.22.1", "<=1.22", False),
    ],
)
def test_in_range(version: str, wanted: str, inside: bool) -> None:
    assert in_range(version, wanted) is inside


@pytest.mark.parametrize("wanted", ["", "1.20", "~=1.2", ">=x", ">=1.20 <2"])
def test_what_is_no_range_is_refused(wanted: str) -> None:
    with pytest.raises(IntegrityError, match="range of versions"):
        in_range("1.20", wanted)


@pytest.mark.parametrize(("machine", "word"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("AMD64", "amd64")])
def test_architectures_have_the_names_of_container_images(
    monkeypatch: pytest.MonkeyPatch, machine: str, word: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert architecture() == word
