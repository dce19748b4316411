"""What a bundle's self-test says of itself, however strange: one line, not long, never a fault of ours."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from scoring.edge import selftest
from scoring.errors import SelfTestError


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
