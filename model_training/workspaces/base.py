"""What every workspace can do, whichever place it is: six parts, and the frozen values that pass between them.

Knows nothing about MLflow, Azure or folders: an implementation lives in a place of its own (`local/`, later Azure ML)
and passes `tests/contracts/workspace_contract.py`. Nothing above this line knows which one it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from model_training.data.rows import Row
from model_training.jobs.spec import JobSpec
from scoring.errors import UsageError

Json = dict[str, Any]
TRAINING, BATCH_SCORING = "training", "batch-scoring"  # what a published pipeline does


def check_kind(kind: str) -> None:
    """Raises: UsageError."""
    if kind not in (TRAINING, BATCH_SCORING):
        raise UsageError(f"kind {kind!r}: expected {TRAINING} or {BATCH_SCORING}")


@dataclass(frozen=True)
class Event:
    """One thing that happened in long work; a log line for people, a JSON line for programs.

    `kind` is one of: stage, progress, trial_started, epoch, trial_ended, leaderboard, warning, registered, message.
    """

    kind: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


Reporter = Callable[[Event], None]


def silent(event: Event) -> None:
    """A reporter that says nothing."""


@dataclass(frozen=True)
class Datastore:
    name: str
    root: str  # a folder on this machine, or a container's address


@dataclass(frozen=True)
class Dataset:
    """A named, versioned, hashed set of labelled images. `path` is its folder: `MLTable`, `data.jsonl`, the split."""

    name: str
    version: int
    sha256: str
    task: str
    labels: tuple[str, ...]
    images: int
    boxes: int
    path: Path
    created_at: str
    description: str = ""

    @property
    def reference(self) -> str:
        return f"{self.name}:{self.version}"


@dataclass(frozen=True)
class Split:
    """Which image is in which part of one dataset version; a part is a JSONL file for `data.jsonl.read_rows`."""

    dataset: str  # name:version
    sha256: str
    seed: int
    train: Path
    validation: Path
    test: Path
    counts: Mapping[str, int]  # images by part
    assets: Mapping[str, str] = field(default_factory=dict)  # on Azure: the registered data set of a part, caps-train:3


@dataclass(frozen=True)
class TrialResult:
    """How one trial ended. `metrics` are the validation metrics (CONTRACTS 5) of the weights in `weights`."""

    number: int
    status: str  # completed | stopped (early termination or budget) | failed | cancelled
    algorithm: str
    hyperparameters: Mapping[str, Any]
    metrics: Mapping[str, Any]
    best_epoch: int
    epochs: int
    cpu_seconds: float
    seconds: float
    folder: Path
    weights: Path | None  # safetensors, with model_size, image_size and labels in its metadata
    reason: str = ""
    exported: Path | None = None  # what Azure's AutoML left instead: a folder with train_artifacts/model.onnx


@dataclass(frozen=True)
class BestTrial:
    """The winner of a job's sweep by its primary metric, with the whole leaderboard."""

    best: TrialResult
    leaderboard: Sequence[TrialResult]
    job: JobSpec
    labels: tuple[str, ...]
    folder: Path  # the sweep's folder: study journal, trials/


@dataclass(frozen=True)
class Bundle:
    """A folder with a manifest (CONTRACTS 6), verified or just written."""

    path: Path
    manifest: Json


@dataclass(frozen=True)
class GateDecision:
    """Whether the candidate is registered and whether it becomes champion, and why (stored with the version)."""

    register: bool
    promote: bool
    reason: str
    code: str  # first | better | not_better | labels_changed | leak | unscorable
    candidate: Mapping[str, Any]  # metrics on the held-out split
    champion: Mapping[str, Any] | None
    champion_version: int | None = None


@dataclass(frozen=True)
class Model:
    """A registered bundle. Immutable but for `tags`."""

    name: str
    version: int
    path: Path
    manifest: Json
    tags: Mapping[str, str]
    created_at: str
    champion: bool = False

    @property
    def reference(self) -> str:
        return f"{self.name}:{self.version}"


@dataclass(frozen=True)
class PublishedPipeline:
    """One immutable published version of a pipeline endpoint: the text of a job template and where it came from."""

    endpoint: str
    version: int
    description: str
    template: str  # the job file's text
    git_commit: str
    created_at: str
    properties: Mapping[str, str] = field(default_factory=dict)
    kind: str = "training"  # training | batch-scoring, which has no template and no cluster


@dataclass(frozen=True)
class Endpoint:
    name: str
    default_version: int
    versions: tuple[int, ...]
    description: str


@dataclass(frozen=True)
class Run:
    """One execution of a published pipeline or a job. `status` uses Azure ML's words.

    NotStarted | Running | Completed | Failed | CancelRequested | Canceled
    """

    id: str
    experiment: str
    kind: str  # pipeline | job
    status: str
    parameters: Mapping[str, str]
    created_at: str
    ended_at: str
    folder: Path
    result: Json  # what the run left: model, version, metrics; empty until completed
    error: str = ""


class Datastores(Protocol):
    def add(self, name: str, root: str) -> Datastore: ...
    def get(self, name: str) -> Datastore: ...
    def list(self) -> Sequence[Datastore]: ...
    def browse(self, name: str, pattern: str = "**/*", limit: int = 100) -> Sequence[str]: ...
    def resolve(self, image_url: str, relative_to: Path) -> Path: ...


class Datasets(Protocol):
    def create(
        self, name: str, rows: Iterable[Row], *, task: str, reporter: Reporter = silent, **options: Any
    ) -> Dataset: ...
    def get(self, reference: str) -> Dataset: ...
    def list(self) -> Sequence[Dataset]: ...
    def rows(self, dataset: Dataset) -> Sequence[Row]: ...
    def split(self, dataset: Dataset, reporter: Reporter = silent) -> Split: ...


class Endpoints(Protocol):
    def publish(
        self,
        name: str,
        template: str,
        *,
        description: str = "",
        git_commit: str = "",
        set_default: bool = True,
        properties: Mapping[str, str] | None = None,
        kind: str = TRAINING,
    ) -> PublishedPipeline: ...
    def rest_url(self, name: str) -> str: ...
    def get(self, name: str) -> Endpoint: ...
    def list(self) -> Sequence[Endpoint]: ...
    def version(self, name: str, version: int | None = None) -> PublishedPipeline: ...
    def set_default(self, name: str, version: int) -> Endpoint: ...
    def submit(
        self,
        name: str,
        *,
        experiment: str,
        dataset_name: str,
        model_name: str,
        cluster: str,
        version: int | None = None,
    ) -> Run: ...


class AutoML(Protocol):
    def check(self, cluster: str) -> None: ...
    def run(self, job: JobSpec, cluster: str, *, folder: Path, reporter: Reporter = silent) -> BestTrial: ...


class Models(Protocol):
    def register(self, bundle: Bundle, decision: GateDecision, *, name: str, run_id: str) -> Model: ...
    def get(self, reference: str) -> Model: ...
    def list(self, name: str | None = None) -> Sequence[Model]: ...
    def champion(self, name: str) -> Model | None: ...
    def promote(self, name: str, version: int) -> Model: ...
    def trained_on(self, model: Model) -> frozenset[str]: ...


class Runs(Protocol):
    def create(self, *, kind: str, experiment: str, parameters: Mapping[str, str]) -> Run: ...
    def get(self, run_id: str) -> Run: ...
    def list(self) -> Sequence[Run]: ...
    def update(self, run_id: str, *, status: str, result: Json | None = None, error: str = "") -> Run: ...
    def log(self, run_id: str) -> str: ...
    def cancel(self, run_id: str) -> Run: ...


class Workspace(Protocol):
    """Where everything below lives: a folder on this machine, or an Azure ML workspace."""

    @property
    def datastores(self) -> Datastores: ...
    @property
    def datasets(self) -> Datasets: ...
    @property
    def endpoints(self) -> Endpoints: ...
    @property
    def automl(self) -> AutoML: ...
    @property
    def models(self) -> Models: ...
    @property
    def runs(self) -> Runs: ...
