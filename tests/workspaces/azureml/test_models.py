"""Models of an Azure ML workspace: registered once, champion by one tag, verified whenever they are fetched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_training.workspaces.azureml.workspace import AzureWorkspace
from model_training.workspaces.base import Bundle, Model
from scoring.bundle import load_bundle
from scoring.errors import ConflictError, CvaError, IntegrityError, NotFoundError, OfflineError, UsageError
from tests.contracts.bundles import decision, tiny_bundle
from tests.workspaces.azureml.azure_parts import opened
from tests.workspaces.azureml.memory import Cloud, MemoryService

SEEN = frozenset({"ab" * 32, "01" * 32})


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def workspace(cloud: Cloud, tmp_path: Path) -> AzureWorkspace:
    return opened(cloud, tmp_path / "here")[0]


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny_bundle(tmp_path / "bundle")


def register(workspace: AzureWorkspace, bundle: Bundle, run_id: str = "r", champion: int | None = None) -> Model:
    decided = decision(code="first" if champion is None else "better", champion=champion)
    return workspace.models.register(bundle, decided, name="M", run_id=run_id, trained_on=SEEN)


def test_another_machine_gets_the_bundle_as_it_was(
    cloud: Cloud, workspace: AzureWorkspace, bundle: Bundle, tmp_path: Path
) -> None:
    registered = register(workspace, bundle)
    model = opened(cloud, tmp_path / "device")[0].models.get("M@champion")
    assert (model.reference, model.tags, model.manifest) == ("M:1", registered.tags, bundle.manifest)
    assert load_bundle(model.path, manifest_sha256=model.tags["manifest_sha256"]).labels == ("cap",)
    release = json.loads((model.path / "release.json").read_text())
    assert (release["name"], release["version"]) == ("M", 1)
    assert release["manifest_sha256"] == model.tags["manifest_sha256"]


def test_what_is_registered_is_the_bundle_and_nothing_else(
    cloud: Cloud, workspace: AzureWorkspace, bundle: Bundle
) -> None:
    register(workspace, bundle)
    _, files = cloud.registry["M", 1]
    assert files == {p.relative_to(bundle.path).as_posix(): p.read_bytes() for p in bundle.path.rglob("*.*")}


def test_a_lost_answer_and_a_restart_register_once(cloud: Cloud, bundle: Bundle, tmp_path: Path) -> None:
    workspace, service = opened(cloud, tmp_path / "first node")
    service.lost.add("register_model")
    with pytest.raises(OfflineError):
        register(workspace, bundle)
    again = tiny_bundle(tmp_path / "packaged again", coco_ap=0.1)  # another manifest, the same ONNX file
    model = register(opened(cloud, tmp_path / "second node")[0], again)
    assert (model.version, model.champion) == (1, True)
    assert list(cloud.registry) == [("M", 1)]


def test_another_run_or_another_model_is_another_version(
    workspace: AzureWorkspace, bundle: Bundle, tmp_path: Path
) -> None:
    register(workspace, bundle, "a")
    assert register(workspace, bundle, "b", champion=1).version == 2
    assert register(workspace, tiny_bundle(tmp_path / "x", model=b"x"), "b", champion=2).version == 3


def test_which_images_it_has_seen_lies_beside_the_bundle(
    cloud: Cloud, workspace: AzureWorkspace, bundle: Bundle, tmp_path: Path
) -> None:
    register(workspace, bundle)
    other = opened(cloud, tmp_path / "other")[0].models
    model = other.get("M")
    assert other.trained_on(model) == SEEN
    assert (other.lineage(model)["git_commit"], other.lineage(model)["run_id"]) == ("abc", "r")


def test_what_a_published_step_was_made_of_is_kept_with_its_model(cloud: Cloud, bundle: Bundle, tmp_path: Path) -> None:
    made_of = {"environment": "env:0a1b", "source_sha256": "c" * 64}
    step = AzureWorkspace(MemoryService(cloud), tmp_path / "step", step=made_of)
    model = register(step, bundle)
    assert step.models.lineage(model)["step"] == made_of
    (asset,) = MemoryService(cloud).models("M")
    assert asset.properties == {"cva_environment": "env:0a1b", "cva_source_sha256": "c" * 64}


def test_promoting_is_one_tag_and_reversible(
    cloud: Cloud, workspace: AzureWorkspace, bundle: Bundle, tmp_path: Path
) -> None:
    register(workspace, bundle, "a")
    register(workspace, tiny_bundle(tmp_path / "2", model=b"2"), "b")  # not held against 1: it stays below
    assert workspace.models.promote("M", 2).champion
    assert workspace.models.promote("M", 1).champion
    assert [(m.version, m.champion) for m in workspace.models.list()] == [(2, False), (1, True)]


@pytest.mark.parametrize(
    ("reference", "error", "says"),
    [
        ("N", NotFoundError, "models: M"),
        ("M:4", NotFoundError, "versions: 1"),
        ("M:x", UsageError, "whole number"),
        ("M@newest", UsageError, "@latest"),
    ],
)
def test_a_wrong_reference_says_what_there_is(
    workspace: AzureWorkspace, bundle: Bundle, reference: str, error: type[CvaError], says: str
) -> None:
    register(workspace, bundle)
    with pytest.raises(error, match=says):
        workspace.models.get(reference)


def test_listing_fetches_nothing(cloud: Cloud, workspace: AzureWorkspace, bundle: Bundle, tmp_path: Path) -> None:
    register(workspace, bundle)
    other, service = opened(cloud, tmp_path / "other")
    (model,) = other.models.list("M")
    assert model.manifest["metrics"]["mean_average_precision"] == 0.75
    assert service.calls == ["models"]
    with pytest.raises(NotFoundError, match="models: M"):
        other.models.list("N")


@pytest.mark.parametrize("file", ["model.onnx", "manifest.json", "golden/0001.jpg"])
def test_bytes_that_changed_in_the_cloud_are_refused(
    cloud: Cloud, workspace: AzureWorkspace, bundle: Bundle, tmp_path: Path, file: str
) -> None:
    register(workspace, bundle)
    files = cloud.registry["M", 1][1]
    files[file] = bytes([files[file][0] ^ 1]) + files[file][1:]
    other = opened(cloud, tmp_path / "other")[0]
    with pytest.raises(IntegrityError):
        other.models.get("M")
    assert not list(other.cache.incoming.glob("*"))
    assert not other.cache.model("M", 1).exists()


def test_a_damaged_download_is_fetched_again(workspace: AzureWorkspace, bundle: Bundle) -> None:
    model = register(workspace, bundle)
    (model.path / "model.onnx").write_bytes(b"rot")
    assert (workspace.models.get("M").path / "model.onnx").read_bytes() == b"not a network"


@pytest.mark.parametrize("damaged", [False, True])
def test_two_who_fetch_one_version_at_once_both_get_it(
    damaged: bool,
    cloud: Cloud,
    workspace: AzureWorkspace,
    bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    register(workspace, bundle)
    device = tmp_path / "device"
    first, second = opened(cloud, device)[0], opened(cloud, device)[0]
    if damaged:
        (first.models.get("M").path / "model.onnx").write_bytes(b"rot")
    download = MemoryService.download_model
    found: list[Model] = []

    def overtaken(service: MemoryService, name: str, version: int, folder: Path) -> None:
        download(service, name, version, folder)
        monkeypatch.setattr(MemoryService, "download_model", download)
        found.append(second.models.get("M"))

    monkeypatch.setattr(MemoryService, "download_model", overtaken)
    found.append(first.models.get("M"))
    assert [load_bundle(model.path).labels for model in found] == [("cap",), ("cap",)]
    assert not list(first.cache.incoming.glob("*"))


def test_a_model_of_other_means_is_listed_and_not_fetched(
    cloud: Cloud, workspace: AzureWorkspace, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.pt").write_bytes(b"a pickle")
    workspace.service.register_model("theirs", tmp_path / "other", tags={}, properties={})
    assert [model.reference for model in workspace.models.list()] == ["theirs:1"]
    with pytest.raises(NotFoundError, match="not a bundle"):
        workspace.models.get("theirs")


def test_the_services_own_numbers_give_way_to_ours(workspace: AzureWorkspace, bundle: Bundle) -> None:
    from model_training.workspaces.azureml.model_tags import MAX_TAGS, SPARE, tags_of

    manifest = {**bundle.manifest, "automl": {"metrics": {f"m{n:02}": n / 100 for n in range(60)}}}
    tags = tags_of(manifest, decision(), run_id="r", manifest_sha256="0" * 64)
    assert len(tags) <= MAX_TAGS - SPARE
    assert (tags["Mean Average Precision"], tags["automl_m00"]) == ("0.75", "0.0")
    with pytest.raises(UsageError, match="tag run_id"):
        tags_of(bundle.manifest, decision(), run_id="r" * 1001, manifest_sha256="")


@pytest.mark.parametrize("name", ["a/b", "caps.v2", ""])
def test_a_name_that_azure_refuses_is_refused_before_the_first_call(
    cloud: Cloud, bundle: Bundle, tmp_path: Path, name: str
) -> None:
    workspace, service = opened(cloud, tmp_path / "x")
    with pytest.raises(UsageError):
        workspace.models.register(bundle, decision(), name=name, run_id="r")
    with pytest.raises(ConflictError, match="not_better"):
        refused = decision(register=False, code="not_better")
        workspace.models.register(bundle, refused, name="M", run_id="r")
    assert service.calls == []
