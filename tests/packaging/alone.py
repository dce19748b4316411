"""A program for tests: `train_and_register` on what Azure's AutoML left, as the step on Azure runs it, with no cloud.

    python alone.py FOLDER [--refuse NAME,NAME]

FOLDER holds `pictures.jsonl` beside its pictures, and `left/` as the service leaves it. With `--refuse` importing any
of those packages is an error, as it is where they are not installed. The last line says what was made.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

JOB = """
type: automl
experiment_name: caps
task: image_object_detection
compute: azureml:gpu-cluster
primary_metric: mean_average_precision
target_column_name: label
training_data: {path: azureml:caps@latest, type: mltable}
limits: {max_trials: 1}
sweep: {sampling_algorithm: random}
search_space: [{model_name: {type: choice, values: [ALGORITHM]}}]
"""


class Refuse(MetaPathFinder):
    def __init__(self, names: Sequence[str]) -> None:
        self.names = frozenset(names)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


class Workspace:
    """A local one for data sets and runs, which need no more than the step has; its AutoML ends with what was left."""

    def __init__(self, folder: Path, algorithm: str) -> None:
        from model_training.workspaces.local import LocalWorkspace

        self._folder, self._algorithm = folder, algorithm
        self._local = LocalWorkspace.open(folder / "workspace")
        self.datasets, self.runs = self._local.datasets, self._local.runs

    @cached_property
    def models(self) -> Models:
        return Models()

    @property
    def automl(self) -> Workspace:
        return self

    def check(self, cluster: str) -> None:
        assert cluster == "gpu-cluster"

    def run(self, job: Any, cluster: str, *, folder: Path, reporter: Any) -> Any:
        from model_training.workspaces.base import BestTrial, TrialResult

        left = self._folder / "left"
        numbers = {"mean_average_precision": 0.625}
        trial = TrialResult(0, "completed", self._algorithm, {}, numbers, 7, 15, 0, 600, folder, None, exported=left)
        return BestTrial(trial, [trial], job, job.data.labels, folder)


class Models:
    """A registry of at most one version: the local one needs MLflow, which the step does not have."""

    def champion(self, name: str) -> None:
        return None

    def register(self, bundle: Any, decision: Any, *, name: str, run_id: str) -> Any:
        from model_training.workspaces.base import Model
        from model_training.workspaces.tags import model_tags

        tags = model_tags(bundle.manifest, decision)
        return Model(name, 1, bundle.path, bundle.manifest, tags, "", champion=decision.promote)


def train(folder: Path) -> dict[str, Any]:
    from model_training.data.jsonl import read_rows
    from model_training.evaluation.measure import measure
    from model_training.jobs.load import parse_job
    from model_training.pipeline import train_and_register
    from scoring.detector import Detector
    from scoring.edge.selftest import self_test

    algorithm = (folder / "algorithm.txt").read_text().strip()
    workspace = Workspace(folder, algorithm)
    rows = [replace(row, image_url=str(folder / row.image_url)) for row in read_rows(folder / "pictures.jsonl")]
    workspace.datasets.create("caps", rows, task="image_object_detection")
    run = workspace.runs.create(kind="pipeline", experiment="caps", parameters={})
    job = parse_job(JOB.replace("ALGORITHM", algorithm), "job.yml", target="azure")
    parameters = {"dataset_name": "caps", "model_name": "Caps", "cluster": "gpu-cluster", "run_id": run.id}
    made = train_and_register(workspace, job, **parameters)  # type: ignore[arg-type]
    assert made.model
    self_test(made.model.path)
    detector = Detector.load(made.model.path)
    threshold = detector.bundle.postprocess.score_threshold
    return {
        "model": made.model.reference,
        "folder": str(made.model.path),
        "report": str(made.report),
        "tags": dict(made.model.tags),
        "measured": measure(detector, made.split.test, score_threshold=threshold).metrics,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--refuse", default="")
    args = parser.parse_args()
    if args.refuse:
        sys.meta_path.insert(0, Refuse(args.refuse.split(",")))
    print(json.dumps({**train(args.folder), "modules": sorted({name.partition(".")[0] for name in sys.modules})}))


if __name__ == "__main__":
    main()
