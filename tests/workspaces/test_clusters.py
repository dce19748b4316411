"""What a cluster named `local` is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from model_training.workspaces.local import clusters

DRIVER_TOOL = "#!/bin/sh\necho 'NVIDIA H200, 143771 MiB'\n"


def test_local_is_this_machine() -> None:
    (cluster,) = clusters.clusters()
    assert cluster.name == "local"
    assert 1 <= cluster.cores <= (os.cpu_count() or 1)
    assert cluster.memory_bytes > 1 << 28


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (DRIVER_TOOL, ("NVIDIA H200, 143771 MiB",)),
        ("#!/bin/sh\necho 'driver not loaded'; exit 9\n", ()),
        (None, ()),  # the tool is not there
    ],
)
def test_gpus_are_those_that_the_driver_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, found: tuple[str, ...]
) -> None:
    if script:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(script)
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if script else str(tmp_path))
    assert clusters.gpus() == found
