"""The local workspace passes the contract, and leaves MLflow a leaderboard."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from model_training.sweep import controller
from model_training.workspaces.base import BestTrial
from model_training.workspaces.local import LocalWorkspace
from tests.contracts.workspace_contract import WorkspaceContract, winner


class TestLocalWorkspace(WorkspaceContract):
    @pytest.fixture
    def workspace(self, tmp_path: Path, mlflow_tables: bytes) -> LocalWorkspace:
        workspace = LocalWorkspace.open(tmp_path / "ws")
        workspace.layout.mlflow.write_bytes(mlflow_tables)
        return workspace

    @pytest.fixture
    def cluster(self) -> str:
        return "local"

    @pytest.fixture
    def sweep(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[BestTrial], None]:
        def answer(best: BestTrial) -> None:
            monkeypatch.setattr(controller, "run_sweep", lambda job, **options: best)

        return answer

    def test_mlflow_shows_a_sortable_leaderboard(
        self, workspace: LocalWorkspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from mlflow import MlflowClient

        run = workspace.runs.create(kind="job", experiment="caps", parameters={"dataset_name": "caps"})
        best = winner(run.folder / "sweep")
        (run.folder / "sweep" / "0").mkdir(parents=True)
        epochs = [{"epoch": n, "loss": 2 / n, "metrics": {"mean_average_precision": n / 4}} for n in (1, 2, 3)]
        lines = "".join(json.dumps(line) + "\n" for line in epochs)
        (run.folder / "sweep" / "0" / "metrics.jsonl").write_text(lines + '{"epoch": 4, "lo')
        workspace.automl.record_sweep(best, run)
        workspace.automl.record_sweep(best, run)  # a resumed run does it again

        uri = workspace.tracking.uri
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        experiment = client.get_experiment_by_name("caps")
        assert experiment is not None
        found = client.search_runs([experiment.experiment_id], order_by=["metrics.mean_average_precision DESC"])
        assert len(found) == 2
        trial, parent = found
        assert trial.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert trial.data.params == {"model_name": "yolov5", "model_size": "nano", "learning_rate": "0.01"}
        assert trial.data.metrics["mean_average_precision"] == 0.75
        history = client.get_metric_history(trial.info.run_id, "epoch_mean_average_precision")
        assert [(point.step, point.value) for point in history] == [(1, 0.25), (2, 0.5), (3, 0.75)]
        assert (trial.info.status, parent.data.params["best_trial"]) == ("FINISHED", "1")
        monkeypatch.chdir(workspace.path)  # where `cva workspace info` says to start `mlflow ui`
        files = [found.path for found in client.list_artifacts(parent.info.run_id)]
        assert files == ["job.yml", "leaderboard.json"]
        assert [found.path for found in client.list_artifacts(trial.info.run_id)] == ["metrics.jsonl"]
