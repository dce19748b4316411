"""Models with the real azureml-core: every file arrives, comes back as it was, and tags move."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scoring.errors import CvaError, IntegrityError, NotFoundError, OfflineError, UsageError
from tests.workspaces.azureml.remote import Remote

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

FILES = {"model.onnx": b"graph" * 1000, "golden/0001.jpg": b"jpeg", "code/scoring/__init__.py": b""}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_bundle_comes_back_as_it_was(azure: FakeAzure, v1: Remote, bundle: Path, tmp_path: Path) -> None:
    tags, properties = {"Mean Average Precision": "0.88", "model_framework": "onnx"}, {"run_id": "17"}
    made = v1.register_model("Cap", bundle, tags=tags, properties=properties, description="caps")
    assert (made.name, made.version, made.tags, made.properties) == ("Cap", 1, tags, properties)
    assert made.description == "caps" and made.created_at.endswith("Z")
    v1.download_model("Cap", 1, tmp_path / "down" / "1")
    assert content(tmp_path / "down" / "1") == FILES
    assert azure.state.models["Cap"][1].extra["framework"] == "Onnx"
    azure.assert_clean()


def test_versions_are_listed_oldest_first_over_pages(v1: Remote, bundle: Path) -> None:
    for name in ("Cap", "Other", "Cap", "Cap"):
        v1.register_model(name, bundle, tags={}, properties={})
    assert [(model.name, model.version) for model in v1.models()] == [("Cap", 1), ("Cap", 2), ("Cap", 3), ("Other", 1)]
    assert [model.version for model in v1.models("Cap")] == [1, 2, 3]
    assert v1.models("None") == []


def test_tags_are_added_and_replaced(v1: Remote, bundle: Path) -> None:
    v1.register_model("Cap", bundle, tags={"a": "1", "b": "2"}, properties={"p": "q"})
    v1.tag_model("Cap", 1, {"b": "3", "c": "4"})
    (model,) = v1.models("Cap")
    assert (model.tags, model.properties) == ({"a": "1", "b": "3", "c": "4"}, {"p": "q"})


def test_a_model_that_is_not_there_is_named(v1: Remote, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="Cap:7"):
        v1.tag_model("Cap", 7, {"a": "b"})
    with pytest.raises(NotFoundError, match="Cap:7"):
        v1.download_model("Cap", 7, tmp_path / "down")
    assert not (tmp_path / "down").exists()


def test_what_would_leave_the_folder_is_refused(azure: FakeAzure, v1: Remote, bundle: Path, tmp_path: Path) -> None:
    v1.register_model("Cap", bundle, tags={}, properties={})
    artifacts = azure.state.own["v1"]["artifacts"]
    key = next(key for key in artifacts if key.endswith("/model.onnx"))
    container, blob = artifacts[key]
    azure.blobs.put(container, f"{blob}.evil", b"graph")
    artifacts[key.replace("model.onnx", "../../evil.onnx")] = (container, f"{blob}.evil")
    with pytest.raises(IntegrityError, match="evil"):
        v1.download_model("Cap", 1, tmp_path / "down" / "1")
    assert list(tmp_path.rglob("evil*")) == []


def test_a_download_that_breaks_leaves_nothing(azure: FakeAzure, v1: Remote, bundle: Path, tmp_path: Path) -> None:
    v1.register_model("Cap", bundle, tags={}, properties={})
    azure.fail_next("GET", r"blob\.core.*model\.onnx", "cut-answer", times=9)
    with pytest.raises(OfflineError):
        v1.download_model("Cap", 1, tmp_path / "down" / "1")
    azure.faults.clear()
    assert list((tmp_path / "down").iterdir()) == []
    azure.fail_next("GET", r"blob\.core.*model\.onnx", "cut-answer")
    v1.download_model("Cap", 1, tmp_path / "down" / "1")
    assert content(tmp_path / "down" / "1") == FILES


@pytest.mark.parametrize(("fault", "error"), [("drop", OfflineError), (403, UsageError)])
def test_a_file_that_does_not_arrive_makes_no_version(
    azure: FakeAzure, v1: Remote, bundle: Path, tmp_path: Path, fault: str | int, error: type[CvaError]
) -> None:
    azure.fail_next("PUT", r"blob\.core.*model\.onnx", fault, times=99)
    with pytest.raises(error, match="while registering the model Cap"):
        v1.register_model("Cap", bundle, tags={}, properties={})
    assert azure.faults.left[0].used and not azure.state.models.get("Cap")
    azure.faults.clear()
    assert v1.register_model("Cap", bundle, tags={}, properties={}).version == 1
    v1.download_model("Cap", 1, tmp_path / "down")
    assert content(tmp_path / "down") == FILES


def test_a_model_of_sdk_v2_is_downloaded_as_well(azure: FakeAzure, v1: Remote, tmp_path: Path) -> None:
    from tests.fake_azure.state import ModelRecord

    container = azure.state.default_container
    for name, data in FILES.items():
        azure.blobs.put(container, f"LocalUpload/x/bundle/{name}", data)
    azure.state.models["Cap"] = {1: ModelRecord("Cap", 1, container, "LocalUpload/x/bundle", {"a": "b"})}
    v1.download_model("Cap", 1, tmp_path / "down")
    assert content(tmp_path / "down") == FILES
