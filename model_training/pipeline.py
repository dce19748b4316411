"""The single step: a labelled data set in, a registered and verified model out. Reads like the README.

Knows nothing about where the workspace is (a folder or Azure ML) and prints nothing: a reporter is told what happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_training.errors import DataError
from model_training.evaluation.gate import gate
from model_training.evaluation.report import write_report
from model_training.jobs.spec import DataPaths, JobSpec
from model_training.packaging.bundle import Source, make_bundle
from model_training.workspaces.base import (
    BestTrial,
    Bundle,
    Dataset,
    Event,
    GateDecision,
    Model,
    Reporter,
    Split,
    Workspace,
    silent,
)


@dataclass(frozen=True)
class Registered:
    """What the step made. `model` is None when the gate kept the candidate out of the registry."""

    model: Model | None
    decision: GateDecision
    bundle: Bundle
    best: BestTrial
    dataset: Dataset
    split: Split
    report: Path  # a page; its pictures lie beside it


def train_and_register(
    workspace: Workspace,
    template: JobSpec,
    *,
    dataset_name: str,
    model_name: str,
    cluster: str,
    run_id: str,
    register: str = "always",
    git_commit: str = "",
    reporter: Reporter = silent,
) -> Registered:
    """Sweep, package, gate, register. Called again with the same `run_id` it goes on from what is finished.

    `register` is `always` or `if-better`. Raises NotFoundError (dataset, cluster), DataError (an empty part),
    TrainingError (every trial failed), CancelledError; nothing is registered then.
    """
    workspace.automl.check(cluster)
    dataset = workspace.datasets.get(dataset_name)
    split = workspace.datasets.split(dataset, reporter)
    dataset = workspace.datasets.get(split.dataset)  # drawing the first split of a labelled export hashes its images
    _require_every_part(dataset, split)
    run = workspace.runs.get(run_id)

    reporter(Event("stage", f"train on {split.counts['train']} images of {dataset.reference}"))
    job = template.on(DataPaths(split.train, split.validation, dataset.labels, split.assets))
    best = workspace.automl.run(job, cluster, folder=run.folder / "sweep", reporter=reporter)

    reporter(Event("stage", "package the best trial as ONNX and measure that file on the test images"))
    bundle = make_bundle(
        best.best,
        labels=dataset.labels,
        validation=split.validation,
        test=split.test,
        source=_source(dataset, split, model_name, run_id, git_commit, best),
        folder=run.folder / "bundle",
        reporter=reporter,
    )

    reporter(Event("stage", "hold it against the champion on the same test images"))
    champion = workspace.models.champion(model_name)
    trained_on = workspace.models.trained_on(champion) if champion else frozenset()
    decision = gate(bundle, champion, split.test, register=register, champion_trained_on=trained_on, reporter=reporter)
    reporter(Event("message", decision.reason))

    model = None
    if decision.register:
        model = workspace.models.register(bundle, decision, name=model_name, run_id=run_id)
        reporter(Event("registered", f"registered {model.reference}{' (champion)' if model.champion else ''}"))
    title = model.reference if model else f"{model_name}, not registered"
    report = write_report(bundle, best, split.test, run.folder / "report", title=title)
    return Registered(model, decision, bundle, best, dataset, split, report)


def _require_every_part(dataset: Dataset, split: Split) -> None:
    empty = [part for part in ("train", "validation", "test") if not split.counts.get(part)]
    if empty:
        raise DataError(
            f"{dataset.reference} has no images in: {', '.join(empty)}",
            hint="add images, or import it again with other --fractions (train, validation and test each need some)",
        )


def _source(dataset: Dataset, split: Split, model_name: str, run_id: str, git_commit: str, best: BestTrial) -> Source:
    return Source(
        name=model_name,
        dataset_name=dataset.name,
        dataset_version=str(dataset.version),
        dataset_sha256=dataset.sha256,
        split_sha256=split.sha256,
        run_id=run_id,
        git_commit=git_commit,
        seed=int(best.best.hyperparameters.get("random_seed") or best.job.seed),
    )
