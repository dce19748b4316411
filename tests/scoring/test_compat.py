"""Ranges of versions, as the manifest writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scoring.compat import architecture, check_compatible, in_range
from scoring.errors import IncompatibleError, IntegrityError
from scoring.manifest import Manifest


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


def test_a_bundle_for_another_runtime_or_processor_is_refused_with_both_named(
    tiny_manifest: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    def check(**runtime: object) -> None:
        check_compatible(Manifest.parse(tiny_manifest(runtime={"format": "onnx", "opset": 18, **runtime})))

    monkeypatch.setattr(onnxruntime, "__version__", "1.21.3")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    check(onnxruntime=">=1.20")
    check(onnxruntime=">=1.20,<2", architectures=["amd64", "arm64"])
    with pytest.raises(IncompatibleError, match=r"Caps needs onnxruntime >=1\.22, found 1\.21\.3"):
        check(onnxruntime=">=1.22")
    with pytest.raises(IncompatibleError, match="made for amd64, this machine is arm64"):
        check(onnxruntime=">=1.20", architectures=["amd64"])
