"""Registered models of a folder: references, tags, verification, what MLflow shows, moving the folder."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_training.workspaces import lineage
from model_training.workspaces.base import Model
from model_training.workspaces.local import LocalWorkspace
from model_training.workspaces.local.registry import Registry
from scoring.errors import ConflictError, CvaError, IncompatibleError, IntegrityError, NotFoundError, UsageError
from tests.contracts.bundles import decision, tiny_bundle

SEEN = frozenset({"ab" * 32, "01" * 32})


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory, mlflow_tables: bytes) -> Path:
    """Three versions of one model, the second the champion."""
    folder = tmp_path_factory.mktemp("seed")
    workspace = LocalWorkspace.open(folder / "ws")
    workspace.layout.mlflow.write_bytes(mlflow_tables)
    for number, promote, champion in ((1, True, None), (2, True, 1), (3, False, 2)):
        run = workspace.runs.create(kind="pipeline", experiment="caps", parameters={"dataset_name": "caps"})
        bundle = tiny_bundle(folder / str(number), model=bytes([number]), mean_average_precision=number / 10)
        decided = decision(promote=promote, code="better", champion=champion)
        workspace.models.register(bundle, decided, name="M", run_id=run.id, trained_on=SEEN)
    return folder / "ws"


@pytest.fixture
def workspace(seed: Path, tmp_path: Path) -> LocalWorkspace:
    """A moved copy: whatever is stored as an absolute path shows."""
    shutil.copytree(seed, tmp_path / "moved")
    return LocalWorkspace.open(tmp_path / "moved")


@pytest.mark.parametrize(
    ("reference", "version"),
    [("M", 2), ("M:1", 1), ("M@champion", 2), ("M@best", 2), ("M@latest", 3)],
)
def test_a_reference_names_one_version(workspace: LocalWorkspace, reference: str, version: int) -> None:
    model = workspace.models.get(reference)
    assert (model.name, model.version, model.champion) == ("M", version, version == 2)
    assert model.path == workspace.path / "models" / "M" / str(version)


@pytest.mark.parametrize(
    ("reference", "error", "says"),
    [
        ("N", NotFoundError, "models: M"),
        ("M:4", NotFoundError, "versions: 1, 2, 3"),
        ("M:x", UsageError, "whole number"),
        ("M:²", UsageError, "whole number"),  # a digit for str.isdigit, none for int
        ("M@newest", UsageError, "@latest"),
        ("M:-1", UsageError, "whole number"),
    ],
)
def test_a_wrong_reference_says_what_there_is(
    workspace: LocalWorkspace, reference: str, error: type[CvaError], says: str
) -> None:
    with pytest.raises(error, match=says):
        workspace.models.get(reference)


def test_tags_are_strings_of_the_manifests_numbers(workspace: LocalWorkspace) -> None:
    tags = workspace.models.get("M:3").tags
    assert (tags["Mean Average Precision"], tags["Precision"]) == ("0.3", "0.8")
    assert "Recall" not in tags  # undefined
    assert (tags["dataset_name"], tags["dataset_version"], tags["gate"]) == ("caps", "1", "better")
    assert tags["run_id"] in {run.id for run in workspace.runs.list()}


def test_a_release_binds_name_version_and_manifest(workspace: LocalWorkspace) -> None:
    model = workspace.models.get("M:3")
    release = json.loads((model.path / "release.json").read_text())
    assert release["name"] == "M" and release["version"] == 3
    assert release["manifest_sha256"] == model.tags["manifest_sha256"]
    assert release["released_at"] == model.created_at


def test_promoting_is_reversible_and_mlflow_follows(workspace: LocalWorkspace) -> None:
    assert workspace.models.promote("M", 3).champion
    assert workspace.models.promote("M", 1).champion
    champion = workspace.models.champion("M")
    assert champion is not None and champion.version == 1
    assert workspace.tracking.champion("M") == 1
    mirrored = {model.version: dict(model.tags) for model in workspace.models.list("M")}
    assert workspace.tracking.versions("M") == mirrored


def test_the_registry_file_has_the_shape_that_devices_read(workspace: LocalWorkspace) -> None:
    registry = json.loads((workspace.path / "models" / "registry.json").read_text())
    assert registry["schema"] == 1
    assert registry["models"]["M"]["champion"] == 2
    entry = registry["models"]["M"]["versions"]["3"]
    assert set(entry) == {"path", "manifest_sha256", "created_at", "tags"}
    assert entry["path"] == "M/3"


@pytest.mark.parametrize("file", ["model.onnx", "manifest.json", "golden/0001.jpg"])
def test_a_changed_byte_is_found_when_the_model_is_read(workspace: LocalWorkspace, file: str) -> None:
    path = workspace.path / "models" / "M" / "2" / file
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError):
        workspace.models.get("M")
    assert [model.version for model in workspace.models.list("M")] == [3, 2, 1]


def test_a_bundle_that_differs_from_its_manifest_is_not_registered(workspace: LocalWorkspace, tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b")
    (bundle.path / "extra.txt").write_text("x")
    with pytest.raises(IntegrityError, match=r"extra\.txt"):
        workspace.models.register(bundle, decision(), name="M", run_id="r")
    assert workspace.models.get("M@latest").version == 3


def test_what_the_gate_refused_is_not_registered(workspace: LocalWorkspace, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="not_better"):
        workspace.models.register(
            tiny_bundle(tmp_path / "b"), decision(register=False, code="not_better"), name="M", run_id="r"
        )


def test_a_run_that_goes_on_registers_its_model_once(workspace: LocalWorkspace, tmp_path: Path) -> None:
    last = workspace.models.get("M@latest")
    again = tiny_bundle(tmp_path / "b", model=bytes([3]), mean_average_precision=0.3, coco_ap=0.1)
    assert workspace.models.register(again, decision(), name="M", run_id=last.tags["run_id"]) == last


def test_the_images_a_version_has_seen_are_known(workspace: LocalWorkspace) -> None:
    model = workspace.models.get("M:1")
    assert workspace.models.trained_on(model) == SEEN
    facts = workspace.models.lineage(model)
    assert (facts["git_commit"], facts["seed"], facts["dataset"]["name"]) == ("abc", 1, "caps")
    assert {"python", "numpy"} <= set(facts["environment"])


@given(st.frozensets(st.binary(min_size=32, max_size=32).map(bytes.hex)))
def test_hashes_survive_packing(hashes: frozenset[str]) -> None:
    assert lineage.unpack(lineage.pack(hashes)) == hashes


def test_a_name_keeps_to_the_rule(workspace: LocalWorkspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a/b"):
        workspace.models.register(tiny_bundle(tmp_path / "b"), decision(), name="a/b", run_id="r")


def test_mlflows_own_client_shows_runs_and_models_after_a_move(workspace: LocalWorkspace) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{workspace.path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    version = client.get_model_version_by_alias("M", "champion")
    assert (int(version.version), version.source) == (2, "models/M/2")
    assert version.tags["Mean Average Precision"] == "0.2"
    run = client.get_run(version.run_id)
    assert run.data.metrics["mean_average_precision"] == 0.2
    assert run.data.params == {"dataset_name": "caps"}
    experiment = client.get_experiment_by_name("caps")
    assert experiment is not None and experiment.artifact_location == "artifacts/caps"
    assert run.info.artifact_uri.startswith("artifacts/caps/")


def test_numbers_that_mlflow_gave_out_are_not_given_again(workspace: LocalWorkspace, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=workspace.tracking.uri, registry_uri=workspace.tracking.uri)
    made = client.create_model_version("M", "elsewhere")  # somebody used MLflow's page
    assert int(made.version) == 4
    ours = workspace.models.register(tiny_bundle(tmp_path / "b"), decision(), name="M", run_id="r")
    assert ours.version == 5


def test_a_lost_mlflow_database_is_made_again_from_the_mirror(workspace: LocalWorkspace) -> None:
    workspace.layout.mlflow.unlink()
    workspace.models.promote("M", 3)
    mirrored = {model.version: dict(model.tags) for model in workspace.models.list("M")}
    assert workspace.tracking.versions("M") == mirrored
    assert workspace.tracking.champion("M") == 3


def test_listing_models_imports_no_mlflow(workspace: LocalWorkspace) -> None:
    code = (
        "import sys; from model_training.workspaces.local import LocalWorkspace;"
        "print(len(LocalWorkspace.open(sys.argv[1]).models.list()), 'mlflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, workspace.path], capture_output=True, text=True, check=True)
    assert done.stdout == "3 False\n"


def test_a_registry_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "registry.json").write_text('{"schema": 2, "models": {}}')
    with pytest.raises(IncompatibleError, match="schema 1, found 2"):
        Registry.read(tmp_path / "registry.json")


def test_mlflow_does_not_chatter(workspace: LocalWorkspace) -> None:
    workspace.tracking.versions("M")
    assert logging.getLogger("mlflow").level == logging.WARNING
    assert logging.getLogger("alembic").level == logging.WARNING


def test_models_are_listed_by_name_and_newest_first(workspace: LocalWorkspace, tmp_path: Path) -> None:
    workspace.models.register(tiny_bundle(tmp_path / "b"), decision(), name="A", run_id="r")

    def names(models: list[Model]) -> list[str]:
        return [model.reference for model in models]

    assert names(list(workspace.models.list())) == ["A:1", "M:3", "M:2", "M:1"]
    with pytest.raises(NotFoundError):
        workspace.models.list("B")
