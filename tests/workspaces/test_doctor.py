"""Every fault is found, and said with what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from model_training.workspaces.local import LocalWorkspace, doctor
from model_training.workspaces.local.doctor import Finding
from tests.contracts.bundles import decision, tiny_bundle


@pytest.fixture(scope="module")
def seed(prepared: Path, mlflow_tables: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("well")
    shutil.copytree(prepared, folder / "ws")
    (folder / "ws" / "mlflow.db").write_bytes(mlflow_tables)
    models = LocalWorkspace.open(folder / "ws").models
    models.register(tiny_bundle(folder / "1", model=b"1"), decision(), name="M", run_id="a")
    models.register(tiny_bundle(folder / "2", model=b"2"), decision(champion=1), name="M", run_id="b")
    return folder / "ws"


@pytest.fixture
def workspace(seed: Path, tmp_path: Path) -> LocalWorkspace:
    shutil.copytree(seed, tmp_path / "ws")
    return LocalWorkspace.open(tmp_path / "ws")


def of(workspace: LocalWorkspace, check: str) -> list[Finding]:
    return [finding for finding in doctor.examine(workspace) if finding.check == check]


def only(workspace: LocalWorkspace, check: str) -> Finding:
    (finding,) = of(workspace, check)
    return finding


def test_a_whole_workspace_is_well(workspace: LocalWorkspace) -> None:
    findings = doctor.examine(workspace)
    assert [finding for finding in findings if finding.status == doctor.FAIL] == []
    checks = ("mlflow database", "registrations", "models", "mirror", "datasets", "images")
    assert {finding.check for finding in findings} >= set(checks)
    assert all(finding.status == doctor.OK for finding in findings if finding.check in checks)


def test_a_new_workspace_is_well(tmp_path: Path) -> None:
    assert all(each.status != doctor.FAIL for each in doctor.examine(LocalWorkspace.open(tmp_path / "new")))


def test_a_changed_model_file(workspace: LocalWorkspace) -> None:
    (workspace.path / "models" / "M" / "1" / "model.onnx").write_bytes(b"2")
    found = only(workspace, "models")
    assert (found.status, "model.onnx" in found.found, bool(found.todo)) == ("fail", True, True)


def test_a_missing_model_folder(workspace: LocalWorkspace) -> None:
    shutil.rmtree(workspace.path / "models" / "M" / "2")
    assert [finding.status for finding in of(workspace, "models")] == ["fail"]


def test_a_broken_database(workspace: LocalWorkspace) -> None:
    data = bytearray(workspace.layout.mlflow.read_bytes())
    data[:64] = b"x" * 64
    workspace.layout.mlflow.write_bytes(data)
    found = only(workspace, "mlflow database")
    assert (found.status, "--repair" in found.todo) == ("fail", True)


def test_mlflow_that_disagrees_is_found_and_repaired(workspace: LocalWorkspace) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=workspace.tracking.uri, registry_uri=workspace.tracking.uri)
    client.set_model_version_tag("M", "1", "Mean Average Precision", "0.99")
    client.set_registered_model_alias("M", "champion", "1")
    found = only(workspace, "mirror")
    assert found.status == "fail"
    assert "tags of M:1 differ" in found.found and "champion of M is not 2" in found.found
    doctor.repair(workspace)
    assert only(workspace, "mirror").status == "ok"
    assert client.get_model_version("M", "1").tags["Mean Average Precision"] == "0.75"


def test_a_registration_under_way_or_killed(workspace: LocalWorkspace) -> None:
    (workspace.path / "models" / "M" / ".incoming-1" / "bundle").mkdir(parents=True)
    assert only(workspace, "registrations").status == "warn"
    doctor.repair(workspace)
    assert only(workspace, "registrations").status == "ok"


def test_an_image_that_was_edited_in_place(workspace: LocalWorkspace) -> None:
    image = next(path for path in workspace.layout.images.rglob("*") if path.is_file())
    image.unlink()  # it may be linked to the other copies
    image.write_bytes(b"edited")
    found = only(workspace, "images")
    assert (found.status, image.name in found.found) == ("fail", True)


def test_an_image_that_is_gone(workspace: LocalWorkspace) -> None:
    image = next(path for path in workspace.layout.images.rglob("*") if path.is_file())
    image.unlink()
    found = only(workspace, "datasets")
    assert (found.status, "caps:1: 1 images are gone" in found.found) == ("fail", True)


@pytest.mark.parametrize(("free", "status"), [(10 << 30, "ok"), (1 << 30, "warn"), (1 << 20, "fail")])
def test_a_disk_that_is_getting_full(
    workspace: LocalWorkspace, monkeypatch: pytest.MonkeyPatch, free: int, status: str
) -> None:
    usage = type("usage", (), {"free": free})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert only(workspace, "disk").status == status


def test_a_missing_package_is_named(workspace: LocalWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", (*doctor.PACKAGES, "no-such-package-of-ours"))
    found = only(workspace, "packages[train]")
    assert (found.status, found.found) == ("warn", "missing: no-such-package-of-ours")
