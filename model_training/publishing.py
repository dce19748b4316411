"""What a published pipeline's step is made of, staged in a folder: the code as git has it, the job, the pins.

Only files that git tracks go to Azure: no secret, workspace or virtual environment that lies beside them. Knows nothing
about how a step is published.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_training.settings import Settings
from model_training.workspaces.azureml.service import StepCode
from model_training.workspaces.azureml.step_environment import environment_version
from scoring.errors import NotFoundError, UsageError
from scoring.files import write_bytes

PACKAGES = ("model_training", "scoring")
REQUIREMENTS = "requirements/step.txt"
JOB = "job.yml"
PYTHON = "3.11"
MAX_BYTES = 20 << 20  # Azure ML takes 300 MB; ours is 2, so more means that something strayed in
SCRIPTS = {"training": "model_training/step.py", "batch-scoring": "model_training/batch_step.py"}


@dataclass(frozen=True)
class Staged:
    """`sha256` is that of every path and its bytes."""

    folder: Path
    sha256: str
    bytes: int
    files: int


class Stager:
    """Stages for one workspace, in a folder that lives as long as this process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._scratch: Path | None = None

    def __call__(self, template: str, *, kind: str, git_commit: str) -> StepCode:
        """Raises: NotFoundError, UsageError."""
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="cva-publish-"))
            atexit.register(shutil.rmtree, self._scratch, ignore_errors=True)
        staged = stage(Path(tempfile.mkdtemp(dir=self._scratch)), template, checkout(self._settings))
        return step_code(staged, self._settings, kind, ("--git-commit", git_commit) if git_commit else ())


def checkout(settings: Settings) -> Path:
    """The clone that is published: the one whose variable_template.yml was read, else the one that this code runs from.

    An installed copy of this code is no clone. Raises: NotFoundError.
    """
    places = [settings.source.absolute().parent] if settings.source else []
    places.append(Path(__file__).resolve().parents[1])
    for place in places:
        if (place / REQUIREMENTS).is_file() and all((place / package).is_dir() for package in PACKAGES):
            return place
    raise NotFoundError(
        f"what is published is a clone of this repository, and {places[0]} is none",
        hint="run it in a clone: the settings of its variable_template.yml are used, too",
    )


def stage(folder: Path, template: str, root: Path) -> Staged:
    """Fill an empty `folder` from the git checkout at `root`.

    Raises: NotFoundError where the code is not a git checkout; UsageError where it is too large.
    """
    tracked = _git(root, "ls-files", "-z", "--", *PACKAGES, REQUIREMENTS)
    if REQUIREMENTS not in tracked:
        raise NotFoundError(
            f"{root} has no {REQUIREMENTS} that git tracks", hint="publish from a whole checkout of this repository"
        )
    for path in tracked:
        if (root / path).is_file():  # one that was just deleted is still listed
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / path, target)
    write_bytes(folder / JOB, template.encode())
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    if size > MAX_BYTES:
        largest = max(files, key=lambda path: path.stat().st_size).relative_to(folder)
        raise UsageError(
            f"expected at most {MAX_BYTES >> 20} MiB of code, found {size / 2**20:.1f} MiB (the largest: {largest})",
            hint="remove it from git: code is published, not data",
        )
    return Staged(folder, _digest(folder, files), size, len(files))


def untracked(root: Path) -> list[str]:
    """Python files of the checkout that git does not know, so that they stay. Raises: NotFoundError."""
    found = _git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *PACKAGES)
    return [path for path in found if path.endswith(".py")]


def step_code(staged: Staged, settings: Settings, kind: str = "training", arguments: Sequence[str] = ()) -> StepCode:
    """Raises: UsageError for a kind that is none."""
    if kind not in SCRIPTS:
        raise UsageError(f"kind {kind!r}: expected one of {', '.join(SCRIPTS)}")
    return StepCode(
        folder=staged.folder,
        script=SCRIPTS[kind],
        arguments=("--sdk", settings.azureml_sdk, *_made_of(staged, settings.aml_env_name), *arguments),
        environment=settings.aml_env_name,
        requirements=staged.folder / REQUIREMENTS,
        python=PYTHON,
        compute=settings.aml_cpu_cluster_name,
        sha256=staged.sha256,
    )


def _made_of(staged: Staged, environment: str) -> tuple[str, ...]:
    """What the step says of itself in the lineage of the model that it registers."""
    version = environment_version(PYTHON, staged.folder / REQUIREMENTS)
    return ("--environment", f"{environment}:{version}", "--source-sha256", staged.sha256)


def _digest(folder: Path, files: Sequence[Path]) -> str:
    lines = (f"{path.relative_to(folder).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _git(root: Path, *words: str) -> list[str]:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise NotFoundError(f"cannot ask git about {root}: {error}", hint="install git") from error
    if done.returncode:
        raise NotFoundError(f"{root} is no git checkout", hint="publish from a clone of this repository")
    return [path for path in done.stdout.decode().split("\0") if path]
