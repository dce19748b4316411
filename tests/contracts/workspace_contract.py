"""What every workspace must do, whichever place it is: inherit `WorkspaceContract` and give it a `workspace`.

Datasets, bundles and jobs here are tiny; nothing is trained: `sweep` makes the workspace's AutoML answer with a winner.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from model_training.data.rows import Box, Row
from model_training.jobs.load import parse_job
from model_training.jobs.spec import DataPaths
from model_training.workspaces.base import BestTrial, Dataset, Event, TrialResult, Workspace
from scoring.errors import ConflictError, CvaError, IntegrityError, NotFoundError, UsageError
from tests.contracts.bundles import decision, tiny_bundle

JOB = """
type: automl
experiment_name: caps
task: image_object_detection
compute: azureml:gpu-cluster
primary_metric: mean_average_precision
target_column_name: label
training_data: {path: azureml:caps@latest, type: mltable}
limits: {max_trials: 1}
training_parameters: {model_name: yolov5, number_of_epochs: 1}
"""
TASK = "image_object_detection"
STATUSES = {"NotStarted", "Running", "Completed", "Failed", "CancelRequested", "Canceled"}


def pictures(folder: Path, count: int = 12, first: int = 0) -> list[Row]:
    """Rows of pictures that all differ, each with a box; the same number gives the same picture."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(first, first + count):
        path = folder / f"{number:03}.png"
        Image.frombytes("RGB", (48, 32), Random(number).randbytes(48 * 32 * 3)).save(path)
        box = Box("cap" if number % 2 else "no_cap", 0.25, 0.25, 0.75, 0.75)
        rows.append(Row(str(path), boxes=(box,), width=48, height=32, file_name=path.name))
    return rows


def winner(folder: Path) -> BestTrial:
    """What a sweep of one trial would have left."""
    hyperparameters = {"model_size": "nano", "learning_rate": 0.01}
    metrics = {"mean_average_precision": 0.75, "recall": None}
    trial = TrialResult(0, "completed", "yolov5", hyperparameters, metrics, 1, 1, 2.5, 3.0, folder / "0", None)
    return BestTrial(trial, [trial], parse_job(JOB, "job.yml"), ("cap", "no_cap"), folder)


class WorkspaceContract:
    # what an implementation gives -----------------------------------------------------------------------------------

    @pytest.fixture
    def workspace(self) -> Workspace:
        raise NotImplementedError

    @pytest.fixture
    def cluster(self) -> str:
        """A cluster that the workspace has."""
        raise NotImplementedError

    @pytest.fixture
    def sweep(self) -> Callable[[BestTrial], None]:
        """Makes `automl.run` end with that winner, without training."""
        raise NotImplementedError

    @pytest.fixture
    def place(self) -> Callable[[Path], str]:
        """Puts a folder's files where a datastore can name them, and gives its root: here the folder itself."""
        return str

    @pytest.fixture
    def caps(self, workspace: Workspace, tmp_path: Path) -> Dataset:
        return workspace.datasets.create("caps", pictures(tmp_path / "pictures"), task=TASK)

    @pytest.fixture
    def endpoint(self, workspace: Workspace) -> str:
        return workspace.endpoints.publish("train_caps", JOB, description="first", git_commit="abc").endpoint

    # datastores -----------------------------------------------------------------------------------------------------

    def test_a_datastore_lists_and_resolves_its_files(
        self, workspace: Workspace, place: Callable[[Path], str], tmp_path: Path
    ) -> None:
        pictures(tmp_path / "captures" / "line-1", 2)
        added = workspace.datastores.add("captures", place(tmp_path / "captures"))
        assert workspace.datastores.get("captures") == added
        assert added in list(workspace.datastores.list())
        assert list(workspace.datastores.browse("captures", "**/*.png")) == ["line-1/000.png", "line-1/001.png"]
        assert list(workspace.datastores.browse("captures", limit=1)) == ["line-1/000.png"]
        found = workspace.datastores.resolve("AmlDatastore://captures/line-1/000.png", tmp_path / "data.jsonl")
        assert found.read_bytes() == (tmp_path / "captures" / "line-1" / "000.png").read_bytes()

    def test_an_unknown_datastore_is_named(self, workspace: Workspace) -> None:
        with pytest.raises(NotFoundError, match="nowhere"):
            workspace.datastores.get("nowhere")

    # datasets -------------------------------------------------------------------------------------------------------

    def test_a_dataset_is_found_by_name_version_and_latest(self, workspace: Workspace, caps: Dataset) -> None:
        assert (caps.name, caps.version, caps.images, caps.boxes) == ("caps", 1, 12, 12)
        assert caps.labels == ("cap", "no_cap")
        for reference in ("caps", "caps:1", "caps@latest"):
            assert workspace.datasets.get(reference) == caps

    def test_a_second_version_leaves_the_first(self, workspace: Workspace, caps: Dataset, tmp_path: Path) -> None:
        more = pictures(tmp_path / "pictures") + pictures(tmp_path / "pictures", 4, first=12)
        second = workspace.datasets.create("caps", more, task=TASK)
        assert (second.version, second.images) == (2, 16)
        assert second.sha256 != caps.sha256
        assert workspace.datasets.get("caps") == second
        assert workspace.datasets.get("caps:1") == caps

    def test_rows_come_back_with_their_boxes_and_hashes(self, workspace: Workspace, caps: Dataset) -> None:
        rows = workspace.datasets.rows(caps)
        assert sorted(row.file_name for row in rows) == [f"{n:03}.png" for n in range(12)]
        assert all(len(row.sha256) == 64 for row in rows)
        assert {row.boxes[0].label for row in rows} == {"cap", "no_cap"}

    def test_an_image_keeps_its_part_when_the_dataset_grows(
        self, workspace: Workspace, caps: Dataset, tmp_path: Path
    ) -> None:
        def parts(dataset: Dataset) -> dict[str, str]:
            from model_training.data.jsonl import read_rows

            split = workspace.datasets.split(dataset)
            paths = {"train": split.train, "validation": split.validation, "test": split.test}
            return {row.sha256: part for part, path in paths.items() for row in read_rows(path)}

        before = parts(caps)
        assert len(before) == 12
        assert set(before.values()) == {"train", "validation", "test"}
        more = pictures(tmp_path / "pictures") + pictures(tmp_path / "pictures", 8, first=12)
        after = parts(workspace.datasets.create("caps", more, task=TASK))
        assert len(after) == 20
        assert before.items() <= after.items()

    @pytest.mark.parametrize("reference", ["nothing", "caps:7"])
    def test_an_unknown_dataset_is_named(self, workspace: Workspace, caps: Dataset, reference: str) -> None:
        with pytest.raises(NotFoundError, match=reference.partition(":")[0]):
            workspace.datasets.get(reference)

    # endpoints ------------------------------------------------------------------------------------------------------

    def test_publishing_adds_versions_and_chooses_the_default(self, workspace: Workspace, endpoint: str) -> None:
        first = workspace.endpoints.get(endpoint).default_version  # services count from 0 or from 1
        second = workspace.endpoints.publish(endpoint, JOB + "# 2\n", set_default=False, properties={"build": "17"})
        assert second.version == first + 1
        found = workspace.endpoints.get(endpoint)
        assert (found.default_version, found.versions, found.description) == (first, (first, first + 1), "first")
        assert workspace.endpoints.version(endpoint).template == JOB
        assert workspace.endpoints.version(endpoint).git_commit == "abc"
        assert workspace.endpoints.version(endpoint, second.version) == second
        assert (second.properties["build"], second.template) == ("17", JOB + "# 2\n")
        assert [each.name for each in workspace.endpoints.list()] == [endpoint]

    def test_the_default_goes_forth_and_back(self, workspace: Workspace, endpoint: str) -> None:
        first = workspace.endpoints.get(endpoint).default_version
        second = workspace.endpoints.publish(endpoint, JOB + "# 2\n").version
        assert workspace.endpoints.get(endpoint).default_version == second
        assert workspace.endpoints.set_default(endpoint, first).default_version == first
        assert workspace.endpoints.version(endpoint).version == first
        assert workspace.endpoints.set_default(endpoint, second).default_version == second

    def test_what_is_not_published_is_named(self, workspace: Workspace, endpoint: str) -> None:
        first = workspace.endpoints.get(endpoint).default_version
        with pytest.raises(NotFoundError, match=endpoint):
            workspace.endpoints.get("other")
        with pytest.raises(NotFoundError, match=f"versions: {first}"):
            workspace.endpoints.set_default(endpoint, first + 1)
        assert workspace.endpoints.get(endpoint).default_version == first

    def test_a_template_with_faults_is_not_published(self, workspace: Workspace, endpoint: str) -> None:
        with pytest.raises(CvaError):
            workspace.endpoints.publish(endpoint, JOB.replace("yolov5", "yolov99"))
        assert len(workspace.endpoints.get(endpoint).versions) == 1

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"dataset_name": "nothing"}, NotFoundError),
            ({"cluster": "nowhere"}, NotFoundError),
            ({"model_name": "no/name"}, UsageError),
            ({"experiment": ""}, UsageError),
            ({"version": 9}, NotFoundError),
        ],
    )
    def test_a_wrong_submission_is_refused_before_a_run_exists(
        self,
        workspace: Workspace,
        endpoint: str,
        caps: Dataset,
        cluster: str,
        change: dict[str, str],
        error: type[CvaError],
    ) -> None:
        asked = {"experiment": "e", "dataset_name": "caps", "model_name": "M", "cluster": cluster, **change}
        with pytest.raises(error):
            workspace.endpoints.submit(endpoint, **asked)  # type: ignore[arg-type]
        assert list(workspace.runs.list()) == []

    # runs -----------------------------------------------------------------------------------------------------------

    def test_a_run_is_followed_to_its_end(self, workspace: Workspace) -> None:
        run = workspace.runs.create(kind="job", experiment="caps", parameters={"a": "b"})
        assert run.status in STATUSES
        assert workspace.runs.get(run.id).parameters == {"a": "b"}
        assert run.id in [each.id for each in workspace.runs.list()]
        done = workspace.runs.update(run.id, status="Completed", result={"version": 3})
        assert (done.status, done.result, bool(done.ended_at)) == ("Completed", {"version": 3}, True)
        assert isinstance(workspace.runs.log(run.id), str)

    def test_a_run_can_be_cancelled(self, workspace: Workspace) -> None:
        run = workspace.runs.create(kind="job", experiment="caps", parameters={})
        assert workspace.runs.cancel(run.id).status in ("CancelRequested", "Canceled")

    def test_an_unknown_run_is_named(self, workspace: Workspace) -> None:
        with pytest.raises(NotFoundError, match="no-such-run"):
            workspace.runs.get("no-such-run")

    # automl ---------------------------------------------------------------------------------------------------------

    def test_the_cluster_is_checked_by_name(self, workspace: Workspace, cluster: str) -> None:
        workspace.automl.check(cluster)
        with pytest.raises(NotFoundError, match=cluster):
            workspace.automl.check("nowhere")

    def test_a_job_gives_its_best_trial(
        self, workspace: Workspace, caps: Dataset, cluster: str, sweep: Callable[[BestTrial], None]
    ) -> None:
        run = workspace.runs.create(kind="job", experiment="caps", parameters={})
        best = winner(run.folder / "sweep")
        sweep(best)
        split = workspace.datasets.split(caps)
        job = parse_job(JOB, "job.yml").on(DataPaths(split.train, split.validation, caps.labels, split.assets))
        events: list[Event] = []
        found = workspace.automl.run(job, cluster, folder=run.folder / "sweep", reporter=events.append)
        assert found.best.metrics["mean_average_precision"] == 0.75
        assert [trial.number for trial in found.leaderboard] == [0]

    # models ---------------------------------------------------------------------------------------------------------

    def test_versions_are_added_and_the_champion_moves_when_told(self, workspace: Workspace, tmp_path: Path) -> None:
        assert workspace.models.champion("M") is None
        first = workspace.models.register(tiny_bundle(tmp_path / "1", model=b"1"), decision(), name="M", run_id="a")
        kept = decision(promote=False, code="not_better")
        second = workspace.models.register(tiny_bundle(tmp_path / "2", model=b"2"), kept, name="M", run_id="b")
        assert (first.version, second.version) == (1, 2)
        champion = workspace.models.champion("M")
        assert champion is not None and champion.version == 1
        assert workspace.models.get("M@latest").version == 2
        assert workspace.models.get("M@best") == workspace.models.get("M@champion") == workspace.models.get("M:1")
        assert workspace.models.promote("M", 2).champion
        champion = workspace.models.champion("M")
        assert champion is not None and champion.version == 2
        assert {model.version: model.champion for model in workspace.models.list("M")} == {1: False, 2: True}

    def test_the_champion_stays_when_it_moved_while_another_was_measured(
        self, workspace: Workspace, tmp_path: Path
    ) -> None:
        """Two runs at once find no champion; the second to register was not held against the first."""
        for number in (1, 2):
            bundle = tiny_bundle(tmp_path / str(number), model=bytes([number]))
            model = workspace.models.register(bundle, decision(), name="M", run_id=str(number))
        assert not model.champion
        assert "meanwhile" in model.tags["gate_reason"]
        held = decision(code="better", champion=1)
        better = workspace.models.register(tiny_bundle(tmp_path / "3", model=b"3"), held, name="M", run_id="3")
        assert better.champion

    def test_a_version_has_its_numbers_its_data_and_its_reason(self, workspace: Workspace, tmp_path: Path) -> None:
        model = workspace.models.register(tiny_bundle(tmp_path / "1"), decision(), name="M", run_id="a")
        assert float(model.tags["Mean Average Precision"]) == 0.75
        assert float(model.tags["Precision"]) == 0.8
        assert (model.tags["dataset_name"], model.tags["dataset_version"]) == ("caps", "1")
        assert (model.tags["run_id"], model.tags["gate"]) == ("a", "first")
        assert len(model.tags["manifest_sha256"]) == 64
        assert model.tags["model_framework"]
        assert len(model.tags) <= 50 and all(len(value) <= 1000 for value in model.tags.values())

    def test_what_a_model_has_seen_is_known(self, workspace: Workspace, caps: Dataset, tmp_path: Path) -> None:
        from model_training.data.jsonl import read_rows

        bundle = tiny_bundle(tmp_path / "1", dataset=caps.name, version=str(caps.version))
        model = workspace.models.register(bundle, decision(), name="M", run_id="a")
        split = workspace.datasets.split(caps)
        seen = {row.sha256 for path in (split.train, split.validation) for row in read_rows(path)}
        assert workspace.models.trained_on(model) == seen
        assert not seen & {row.sha256 for row in read_rows(split.test)}

    def test_a_bundle_that_was_changed_is_refused(self, workspace: Workspace, tmp_path: Path) -> None:
        bundle = tiny_bundle(tmp_path / "1")
        (bundle.path / "model.onnx").write_bytes(b"something else")
        with pytest.raises(IntegrityError, match=r"model\.onnx"):
            workspace.models.register(bundle, decision(), name="M", run_id="a")
        assert list(workspace.models.list()) == []

    def test_what_the_gate_keeps_out_stays_out(self, workspace: Workspace, tmp_path: Path) -> None:
        with pytest.raises(ConflictError):
            workspace.models.register(tiny_bundle(tmp_path / "1"), decision(register=False), name="M", run_id="a")
        assert list(workspace.models.list()) == []

    def test_an_unknown_model_is_named(self, workspace: Workspace) -> None:
        with pytest.raises(NotFoundError, match="M"):
            workspace.models.get("M")
