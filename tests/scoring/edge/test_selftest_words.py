"""What a bundle's self-test says of itself, however strange: one line, not long, never a fault of ours."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from scoring.edge import selftest
from scoring.errors import SelfTestError, UntestedError


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"", "it ended with status -9"),
        (b"\n\n", "it ended with status -9"),
        (b"first\nlast\n", "last"),
        (b"caf\xe9 \xff\n", "caf\ufffd \ufffd"),
        (b"x" * 5_000_000, "x" * selftest.MAX_WORDS),
    ],
)
def test_the_last_line_is_shown(said: bytes, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.run

    def run(command: list[str], **options: Any) -> Any:
        (tmp_path / "said").write_bytes(said)
        return real(["/bin/sh", "-c", f'cat "{tmp_path}/said" >&2; kill -9 $$'], **options)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(SelfTestError) as caught:
        selftest.self_test(tmp_path)
    assert caught.value.message.endswith(f": {shown}")
    assert len(caught.value.message) <= selftest.MAX_WORDS + 200 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("said", "status", "memory", "passing"),
    [
        ("0001.png: missing cap", selftest.FAILED, 1 << 30, False),
        ("0001.png: missing cap", selftest.FAILED, 1 << 20, False),  # an answer is one, however little there was
        ("KeyError: 'file'", 1, 1 << 30, False),
        ("ImportError: cannot map zero-fill pages", 1, 1 << 20, True),
        ("it needs more memory", selftest.NO_MEMORY, 1 << 30, True),
        ("cannot load model.onnx: std::bad_alloc", selftest.FAILED, 1 << 30, True),
        ("Failed to allocate memory for requested buffer", selftest.FAILED, 1 << 30, True),
        ("CUDA does not start here", selftest.NO_PROVIDER, 1 << 30, True),
    ],
)
def test_only_what_passes_is_no_verdict(
    said: str, status: int, memory: int, passing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.run

    def run(command: list[str], **options: Any) -> Any:
        return real(["/bin/sh", "-c", f'echo "{said}" >&2; exit {status}'], **options)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(SelfTestError, match=said) as caught:
        selftest.self_test(tmp_path, memory=memory)
    assert isinstance(caught.value, UntestedError) is passing


@pytest.mark.parametrize(("number", "passing"), [("KILL", True), ("SEGV", False), ("FPE", False)])
def test_a_crash_is_a_verdict_unless_the_system_ended_it(
    number: str, passing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.run
    monkeypatch.setattr(
        subprocess, "run", lambda command, **options: real(["/bin/sh", "-c", f"kill -{number} $$"], **options)
    )
    with pytest.raises(SelfTestError, match="it ended with status") as caught:
        selftest.self_test(tmp_path, memory=1 << 30)
    assert isinstance(caught.value, UntestedError) is passing


def test_a_system_that_starts_no_process_says_nothing_about_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], **options: Any) -> Any:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(UntestedError, match="no process could be started: Cannot allocate memory"):
        selftest.self_test(tmp_path)
