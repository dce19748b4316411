"""A workspace over memory for the tests of its parts, and the small things that they put into it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_training.workspaces.azureml.following import Patience
from model_training.workspaces.azureml.service import StepCode
from model_training.workspaces.azureml.workspace import AzureWorkspace
from tests.workspaces.azureml.memory import Cloud, MemoryService


def instantly(**values: Any) -> Patience:
    """Waiting without waiting: the clock goes on by what was slept."""
    slept: list[float] = []
    return Patience(sleep=slept.append, clock=lambda: sum(slept), **values)


def staged(folder: Path) -> Any:
    """What `publishing.py` does, in small."""

    def stage(template: str, *, kind: str, git_commit: str) -> StepCode:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "step.py").write_text(f"# {kind} {git_commit}\n")
        (folder / "job.yml").write_text(template)
        (folder / "step.txt").write_text("numpy==2.3.5\n")
        return StepCode(folder, "step.py", (), "step_env", folder / "step.txt", "3.11", "cpu-cluster")

    return stage


def opened(
    cloud: Cloud,
    folder: Path,
    generation: str = "v2",
    patience: Patience | None = None,
    newer: MemoryService | None = None,
) -> tuple[AzureWorkspace, MemoryService]:
    """A process that has the workspace open, with its cache in `folder`. `newer` is there where a step trains."""
    service = MemoryService(cloud, generation)
    stage, connect = staged(folder / "staged"), (lambda: newer) if newer else None
    patience = patience or instantly()
    return AzureWorkspace(service, folder / "cache", stage=stage, patience=patience, newer=connect), service


def put(cloud: Cloud, folder: Path, prefix: str, datastore: str = "workspaceblobstore") -> Sequence[str]:
    """Copy a folder's files into a container."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [f"{prefix}/{path.relative_to(folder).as_posix()}".lstrip("/") for path in paths]
    cloud.files(datastore).update({name: path.read_bytes() for name, path in zip(names, paths, strict=True)})
    return names
