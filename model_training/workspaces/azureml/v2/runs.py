"""Runs of every kind: read from the run history, which has them all; files and logs are blobs of the artifact store.

Plain runs are started and ended through MLflow; jobs are cancelled by the SDK. Knows nothing of what a run is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_training.workspaces.azureml.service import Blobs, RunFacts
from model_training.workspaces.azureml.v2.client import Client
from model_training.workspaces.azureml.v2.errors import translated
from model_training.workspaces.azureml.v2.mlflow_api import ENDED, STATUSES, Mlflow, tags_of
from model_training.workspaces.azureml.v2.rest import segment
from model_training.workspaces.azureml.v2.storage import ARTIFACTS, StorageCalls
from model_training.workspaces.azureml.v2.times import moment
from model_training.workspaces.names import now
from scoring.errors import UsageError

HISTORY = "history/v1.0"
ERROR_TAG = "cva_error"  # MLflow has no place for why a run failed
LOGS = ("user_logs/", "azureml-logs/", "logs/")
MAX_LOG = 16 << 20  # bytes of one log file that are read
WAITING = ("NotStarted", "Queued", "Preparing", "Provisioning", "Starting", "Paused")
KEPT = ("Completed", "Failed", "CancelRequested", "Canceled")


class RunCalls(StorageCalls):
    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._mlflow = Mlflow(client)
        self._names: dict[str, str] = {}  # experiments by id
        self._store: Blobs | None = None

    @translated
    def start_run(self, experiment: str, *, tags: Mapping[str, str]) -> RunFacts:
        return self._from_mlflow(self._mlflow.start(experiment, tags), {"": experiment})

    @translated
    def run(self, run_id: str) -> RunFacts:
        return self._from_history(self._history(run_id))

    @translated
    def runs(self, *, tags: Mapping[str, str] | None = None, limit: int = 100) -> Sequence[RunFacts]:
        experiments = self._mlflow.experiments()
        if not experiments:
            return []
        found = self._mlflow.search(list(experiments), tags or {}, limit)
        return [self._from_mlflow(run, experiments) for run in found]

    @translated
    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None:
        self._mlflow.tag(run_id, tags)

    @translated
    def end_run(self, run_id: str, *, status: str, error: str = "") -> None:
        if status not in ENDED:
            raise UsageError(f"a run ends as one of {', '.join(ENDED)}, not as {status!r}")
        if error:
            self._mlflow.tag(run_id, {ERROR_TAG: error[:1000]})
        self._mlflow.end(run_id, status)

    @translated
    def cancel_run(self, run_id: str) -> None:
        """Asks for it and returns; a run that nobody submitted as a job has no one to ask and is ended."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            self._ml.jobs.begin_cancel(run_id, polling=False)
        except ResourceNotFoundError:
            self._mlflow.end(run_id, "Canceled")

    @translated
    def run_log(self, run_id: str) -> str:
        """What the run printed; for a pipeline, what its steps printed."""
        own = self._log_of(run_id)
        if own:
            return own
        return "".join(self._log_of(child.id) for child in self.children(run_id))

    @translated
    def children(self, run_id: str) -> Sequence[RunFacts]:
        url = f"{self._client.plane(HISTORY)}/runs/{segment(run_id)}/children"
        return [self._from_history(run) for run in self._client.rest.pages(url)]

    @translated
    def metrics(self, run_id: str) -> Mapping[str, Sequence[float]]:
        return self._mlflow.metrics(run_id)

    @translated
    def files(self, run_id: str) -> Sequence[str]:
        root = _root(run_id)
        return sorted(path.removeprefix(root) for path in self._artifacts.list(root))

    @translated
    def download_file(self, run_id: str, path: str, file: Path) -> None:
        self._artifacts.download(_root(run_id) + path.lstrip("/"), file)

    @property
    def _artifacts(self) -> Blobs:
        if self._store is None:
            self._store = self.blobs(ARTIFACTS)
        return self._store

    def _log_of(self, run_id: str) -> str:
        paths = [path for path in self.files(run_id) if path.startswith(LOGS) and path.endswith((".txt", ".log"))]
        ours = [path for path in paths if path.startswith("user_logs/")]  # the rest is the service's own
        read = (self._artifacts.read(_root(run_id) + path, limit=MAX_LOG) for path in ours or paths)
        return "".join(text.decode("utf-8", "replace") for text in read)

    def _history(self, run_id: str) -> dict[str, Any]:
        return self._client.rest.get(f"{self._client.plane(HISTORY)}/runs/{segment(run_id)}")

    def _experiment(self, experiment_id: str) -> str:
        if experiment_id not in self._names:
            url = f"{self._client.plane(HISTORY)}/experimentids/{segment(experiment_id)}"
            self._names[experiment_id] = str(self._client.rest.get(url)["name"])
        return self._names[experiment_id]

    def _from_history(self, run: Mapping[str, Any]) -> RunFacts:
        run_id, tags = str(run["runId"]), dict(run.get("tags") or {})
        said = ((run.get("error") or {}).get("error") or {}).get("message") or ""
        return RunFacts(
            id=run_id,
            experiment=self._experiment(str(run["experimentId"])),
            status=_status(str(run.get("status") or "")),
            tags=tags,
            properties=dict(run.get("properties") or {}),
            created_at=moment(run.get("createdUtc") or run.get("startTimeUtc")),
            ended_at=moment(run.get("endTimeUtc")),
            error=said or tags.get(ERROR_TAG, ""),
            parent=str(run.get("parentRunId") or ""),
            portal_url=self._portal(run_id),
        )

    def _from_mlflow(self, run: Mapping[str, Any], experiments: Mapping[str, str]) -> RunFacts:
        """`experiments` by id, or the one name under \"\"."""
        info, tags = run["info"], tags_of(dict(run))
        run_id = str(info["run_id"])
        return RunFacts(
            id=run_id,
            experiment=experiments.get("") or experiments.get(str(info["experiment_id"]), ""),
            status=STATUSES.get(str(info.get("status")), "Running"),
            tags=tags,
            created_at=moment(info.get("start_time")),
            ended_at=moment(info.get("end_time")),
            error=tags.get(ERROR_TAG, ""),
            parent=tags.get("mlflow.parentRunId", ""),
            portal_url=self._portal(run_id),
        )

    def _submitted(self, run_id: str, experiment: str, tags: Mapping[str, str]) -> RunFacts:
        """A run that was asked for just now: the history may not have it yet."""
        return RunFacts(run_id, experiment, "NotStarted", tags, created_at=now(), portal_url=self._portal(run_id))

    def _portal(self, run_id: str) -> str:
        return f"https://ml.azure.com/runs/{segment(run_id)}?wsid={self._client.place.arm_path}"


def _root(run_id: str) -> str:
    """Where the service keeps what a run left."""
    return f"ExperimentRun/dcid.{run_id}/"


def _status(said: str) -> str:
    """The service's many words as the six of `base.Run`."""
    if said in KEPT:
        return said
    return "NotStarted" if said in WAITING else "Running"
