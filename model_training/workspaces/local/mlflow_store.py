"""Everything this package does with MLflow: runs, metrics and model versions in `mlflow.db`, without a server.

`cd WORKSPACE && mlflow ui --backend-store-uri sqlite:///mlflow.db` shows it. Artifact locations are relative to the
workspace, so the folder can be moved. Importing this costs nothing; the first call imports MLflow (seconds), so only a
process that owns a run calls it. Knows nothing about the mirror in `registry.json` or how a run is executed.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from model_training.workspaces.files import write_text
from model_training.workspaces.local.mlflow_alone import import_mlflow
from scoring.errors import StorageError

RUN_TAG = "cva.run_id"
TRIAL_TAG = "cva.trial"
ALIAS = "champion"
STATUSES = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"}
_METRICS = 1000  # MLflow takes at most so many a call
_PARAMS = 100


@contextmanager
def _translated(database: Path) -> Iterator[None]:
    import_mlflow()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error) as error:
        raise StorageError(
            f"{database}: MLflow could not read or write it: {error}", hint="run `cva workspace doctor`"
        ) from error


def _quiet() -> None:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


class Tracking:
    """Call it under the workspace's lock: two processes that open a new database at once lose it."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self._opened: Any = None  # MLflow's client

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.database}"

    @property
    def opened(self) -> bool:
        return self._opened is not None

    @property
    def _client(self) -> Any:
        if self._opened is None:
            _quiet()
            import_mlflow()
            from mlflow import MlflowClient

            _quiet()  # the import sets its own levels
            self._opened = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            self._relative_default()
        return self._opened

    def ensure_run(self, run_id: str, experiment: str, params: Mapping[str, str]) -> str:
        """MLflow's id of the run with our id, made when it is not there."""
        with _translated(self.database):
            found = self._find(experiment, f"tags.`{RUN_TAG}` = '{run_id}'")
            if found:
                return found[0]
            tags = {RUN_TAG: run_id, "mlflow.runName": run_id, "mlflow.source.name": "cva"}
            mlflow_id = self._client.create_run(self._experiment(experiment), tags=tags).info.run_id
            self._log(mlflow_id, params, [])
            return str(mlflow_id)

    def log(self, mlflow_id: str, params: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Final numbers of a run, in one batch; writing the same again changes nothing."""
        from mlflow.entities import Metric

        with _translated(self.database):
            run = self._client.get_run(mlflow_id)
            at = run.info.start_time
            self._log(mlflow_id, params, [Metric(name, value, at, 0) for name, value in sorted(metrics.items())])

    def put_file(self, mlflow_id: str, name: str, text: str) -> None:
        """An artifact of a run, beside the database."""
        with _translated(self.database):
            location = str(self._client.get_run(mlflow_id).info.artifact_uri)
        write_text(self.database.parent / location / name, text)

    def end_run(self, mlflow_id: str, status: str) -> None:
        with _translated(self.database):
            self._client.set_terminated(mlflow_id, STATUSES[status])

    def put_trial(
        self,
        experiment: str,
        run_id: str,
        number: int,
        *,
        params: Mapping[str, Any],
        metrics: Sequence[tuple[str, float, int]],
        tags: Mapping[str, str],
        history: str = "",
    ) -> None:
        """A child run for one trial; `metrics` is (name, value, epoch). A trial that is recorded already is left."""
        from mlflow.entities import Metric

        parent = self.ensure_run(run_id, experiment, {})
        with _translated(self.database):
            condition = f"tags.`{TRIAL_TAG}` = '{run_id}/{number}'"
            if self._find(experiment, f"{condition} and attributes.status != 'RUNNING'"):
                return
            for unfinished in self._find(experiment, condition):  # a process was killed while it wrote
                self._client.delete_run(unfinished)
            own = {"mlflow.parentRunId": parent, TRIAL_TAG: f"{run_id}/{number}", **tags}
            client, exp = self._client, self._experiment(experiment)
            child = client.create_run(exp, tags={**own, "mlflow.runName": f"trial {number + 1}"})  # as people count
            at = child.info.start_time
            values = [Metric(name, value, at + step, step) for name, value, step in metrics]
            self._log(child.info.run_id, params, values)
            self.put_file(child.info.run_id, "metrics.jsonl", history)
            client.set_terminated(child.info.run_id, "FAILED" if tags.get("status") == "failed" else "FINISHED")

    def highest_version(self, name: str) -> int:
        """Of all versions MLflow ever gave out for the model, also deleted ones: it never gives a number twice."""
        with _translated(self.database):
            _ = self._client  # makes the tables
            row = self._sql("SELECT MAX(version) FROM model_versions WHERE name = ?", (name,))
            return int(row[0] or 0)

    def ensure_versions(self, name: str, entries: Mapping[int, Mapping[str, Any]], runs: Mapping[int, str]) -> None:
        """Make MLflow hold these versions with these tags; `runs` gives MLflow's run for those that are new."""
        with _translated(self.database):
            client = self._client
            if not self._registered(name):
                client.create_registered_model(name)
            for number in range(self.highest_version(name) + 1, max(entries) + 1):
                source = f"models/{name}/{number}"
                tags = entries.get(number, {}).get("tags")
                made = client.create_model_version(name, source, run_id=runs.get(number), tags=tags)
                if number not in entries:  # keeps the numbers equal where one was given out and never used
                    client.delete_model_version(name, made.version)
            for number, held in self._versions(name).items():
                for key, value in entries.get(number, {}).get("tags", {}).items():
                    if held.get(key) != value:
                        client.set_model_version_tag(name, str(number), key, value)

    def set_champion(self, name: str, version: int | None) -> None:
        with _translated(self.database):
            if version is not None:
                self._client.set_registered_model_alias(name, ALIAS, str(version))

    def versions(self, name: str) -> dict[int, dict[str, str]]:
        """Version -> tags, as MLflow holds them."""
        with _translated(self.database):
            return self._versions(name)

    def champion(self, name: str) -> int | None:
        with _translated(self.database):
            found = self._registered(name)
            alias = found.aliases.get(ALIAS) if found else None
            return int(alias) if alias else None

    def names(self) -> list[str]:
        with _translated(self.database):
            return sorted(model.name for model in self._client.search_registered_models(max_results=1000))

    def _versions(self, name: str) -> dict[int, dict[str, str]]:
        found: dict[int, dict[str, str]] = {}
        token = None
        while True:
            page = self._client.search_model_versions(f"name = '{name}'", max_results=200, page_token=token)
            found |= {int(version.version): dict(version.tags) for version in page}
            token = page.token
            if not token:
                return found

    def _registered(self, name: str) -> Any:
        found = self._client.search_registered_models(f"name = '{name}'")
        return found[0] if found else None

    def _find(self, experiment: str, condition: str) -> list[str]:
        found = self._client.search_runs([self._experiment(experiment)], condition, max_results=1)
        return [run.info.run_id for run in found]

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            created = str(self._client.create_experiment(name, artifact_location=f"artifacts/{name}"))
            # MLflow makes the location absolute; a stored absolute path would die with the first move
            self._sql(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (f"artifacts/{name}", created)
            )
            return created
        if found.lifecycle_stage != "active":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _relative_default(self) -> None:
        self._sql(
            "UPDATE experiments SET artifact_location = ?1 WHERE experiment_id = 0 AND artifact_location <> ?1",
            ("artifacts/Default",),
        )

    def _sql(self, statement: str, values: tuple[Any, ...]) -> Sequence[Any]:
        with closing(sqlite3.connect(self.database, timeout=60)) as connection, connection:
            row = connection.execute(statement, values).fetchone()
        return row or (None,)

    def _log(self, mlflow_id: str, params: Mapping[str, Any], metrics: Sequence[Any]) -> None:
        from mlflow.entities import Param

        pairs = [Param(key, str(value)[:6000]) for key, value in sorted(params.items())]
        for start in range(0, len(pairs), _PARAMS):
            self._client.log_batch(mlflow_id, params=pairs[start : start + _PARAMS])
        for start in range(0, len(metrics), _METRICS):
            self._client.log_batch(mlflow_id, metrics[start : start + _METRICS])
