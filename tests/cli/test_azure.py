"""The other nouns with `--workspace azureml`: models and their release, clusters, whether the workspace is ready."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_training.workspaces.azureml.service import Container
from scoring.bundle import load_bundle
from scoring.errors import OfflineError, UsageError
from tests.cli.azure_cli import Shell, make_small, shell
from tests.contracts.bundles import decision, tiny_bundle
from tests.workspaces.azureml.azure_parts import opened

__all__ = ["shell"]

MODEL = "Cap_Detection_Model"


@pytest.fixture
def models(shell: Shell) -> Shell:
    """Two versions, the first the champion."""
    registry = opened(shell.cloud, shell.folder / "trainer", "v1")[0].models
    registry.register(tiny_bundle(shell.folder / "1", model=b"1"), decision(), name=MODEL, run_id="a")
    worse = decision(promote=False, code="not_better", champion=1)
    registry.register(tiny_bundle(shell.folder / "2", model=b"2"), worse, name=MODEL, run_id="b")
    return shell


# models -------------------------------------------------------------------------------------------------------------


def test_versions_are_listed_shown_and_promoted(models: Shell) -> None:
    listed = models.cva("model", "list")
    assert [(each["model"], each["version"], each["champion"]) for each in listed] == [
        (MODEL, 2, False),
        (MODEL, 1, True),
    ]
    assert "download_model" not in models.service.calls, "a list fetches nothing"
    shown = models.cva("model", "show", MODEL)
    assert (shown["version"], shown["metrics"]["mean_average_precision"]) == (1, 0.75)
    assert models.cva("model", "promote", f"{MODEL}:2")["before"] == 1
    assert models.cva("model", "show", f"{MODEL}@champion")["version"] == 2
    assert f"models: {MODEL}" in models.cva("model", "show", "N", code=1)["error"]["message"]


def test_a_release_is_made_of_the_version_that_is_named(models: Shell) -> None:
    """As release_model.sh does it."""
    done = models.cva("model", "publish-static", f"{MODEL}:2", "--to", "release", "--unsigned")
    assert (done["model"], done["version"]) == (MODEL, 2)
    bundle = load_bundle(next(Path("release").rglob("manifest.json")).parent)
    assert (bundle.path / "model.onnx").read_bytes() == b"2"
    assert models.cva("model", "publish-static", MODEL, "--to", "best", "--unsigned")["version"] == 1


def test_a_device_pulls_from_a_signed_release_without_asking_azure(
    models: Shell,
) -> None:
    key = models.cva("keys", "new", "--out", "keys")["paths"]["private"]
    models.cva("model", "publish-static", f"{MODEL}:1", "--to", "release", "--key", key)
    models.service.calls.clear()
    words = ("model", "pull", MODEL, "--registry", f"file:{Path('release').resolve()}", "--to", "device", "--dry-run")
    assert models.cva(*words)["version"] == 1
    assert models.service.calls == []


@pytest.mark.parametrize("registry", [("--registry", "azureml"), ()], ids=["named", "by the workspace"])
def test_what_is_pulled_from_azure_is_resolved_there(models: Shell, registry: tuple[str, ...]) -> None:
    done = models.cva("model", "pull", f"{MODEL}@latest", *registry, "--to", "device", "--dry-run")
    assert (done["model"], done["version"]) == (MODEL, 2)


def test_out_of_reach_is_said_as_that(models: Shell) -> None:
    def gone(call: str) -> None:
        raise OfflineError("the network is gone")

    models.service.network = gone
    told = models.cva("model", "pull", MODEL, "--registry", "azureml", "--to", "device", code=1)
    assert "the network is gone" in str(told)


def test_a_version_that_somebody_registered_by_other_means_stands_in_nobody_s_way(models: Shell) -> None:
    (models.folder / "other").mkdir()
    (models.folder / "other" / "model.pkl").write_bytes(b"a pickle")
    models.service.register_model(MODEL, models.folder / "other", tags={}, properties={})
    assert models.cva("model", "list")[0]["version"] == 3
    pulled = models.cva("model", "pull", f"{MODEL}:1", "--registry", "azureml", "--to", "device", "--dry-run")
    assert pulled["version"] == 1
    error = models.cva("model", "publish-static", f"{MODEL}:3", "--to", "release", "--unsigned", code=4)["error"]
    assert "registered by other means" in error["message"] and "cva model list" in error["hint"]


# clusters and the workspace itself ----------------------------------------------------------------------------------


def test_clusters_are_those_of_the_workspace(shell: Shell) -> None:
    found = {each["name"]: each["size"] for each in shell.cva("cluster", "list")}
    assert found == {"gpu-cluster": "Standard_NC4as_T4_v3", "cpu-cluster": "Standard_D4ds_v4"}
    out, _ = shell.said("cluster", "list")
    assert "0 to 1" in out


def checks(shell: Shell, code: int) -> dict[str, list[tuple[str, str, str]]]:
    found: dict[str, list[tuple[str, str, str]]] = {}
    for each in shell.cva("workspace", "check", code=code)["checks"]:
        found.setdefault(each["check"], []).append((each["status"], each["found"], each["todo"]))
    return found


def test_a_workspace_that_is_ready(shell: Shell) -> None:
    found = checks(shell, 0)
    assert [each[0] for each in found["cluster"]] == ["ok", "ok"]
    assert found["storage"][0][0] == "ok"
    (endpoint,) = found["endpoint"]
    assert endpoint[0] == "warn" and "cva endpoint publish" in endpoint[2]
    shell.cva("endpoint", "publish")
    assert checks(shell, 0)["endpoint"][0][0] == "ok"


def test_which_generation_trains_is_said_beforehand(shell: Shell) -> None:
    """The endpoint is v1's; without stored keys, as infrastructure/ makes it, its step submits AutoML through v2."""
    (kept,) = checks(shell, 0)["AutoML"]
    assert kept == ("ok", "the step submits it through SDK v1: the default datastore holds keys", "")
    shell.cloud.forget_keys()
    (none,) = checks(shell, 0)["AutoML"]
    assert none == ("ok", "the step submits it through SDK v2: datastore workspaceblobstore holds no keys", "")


def test_what_is_missing_is_said_with_what_to_do(shell: Shell) -> None:
    del shell.cloud.computes["cpu-cluster"]
    make_small(shell, "gpu-cluster", "Standard_NC6")
    gpu, cpu = checks(shell, 1)["cluster"]
    assert gpu[0] == "fail" and "retired" in gpu[1] and "NC4as_T4_v3" in gpu[2]
    assert cpu[0] == "fail" and "AML_CPU_CLUSTER_NAME cpu-cluster is not there; clusters: gpu-cluster" in cpu[1]
    out, _ = shell.said("workspace", "check", code=1)
    assert "2 broken" in out


@pytest.mark.parametrize("size", ["STANDARD_D4DS_V4", "STANDARD_NV36ADS_A10_V5"])
def test_a_gpu_cluster_that_automl_cannot_use_is_told_of(shell: Shell, size: str) -> None:
    make_small(shell, "gpu-cluster", size)
    gpu, cpu = checks(shell, 1)["cluster"]
    assert gpu[0] == "fail" and f"size {size}" in gpu[1] and "NC and ND" in gpu[1] and "VM_SIZE" in gpu[2]
    assert cpu[0] == "ok"


class Forbidden(dict[str, bytes]):
    """A container's blobs that this login may not touch, as blob storage says it."""

    hint = "this identity needs the role 'Storage Blob Data Contributor' on the storage account cvaedge"

    def refuse(self, *_: object) -> Any:
        raise UsageError("this login may not do that (403), cvaedge", hint=self.hint)

    __iter__ = __setitem__ = __contains__ = refuse


CAPTURES, RELEASES = Container("edgevisionstorage", "cvaedge", "captures"), Container("out", "cvaedge", "releases")


def test_captures_and_releases_are_tried(shell: Shell) -> None:
    found = checks(shell, 0)
    assert [found[each][0][0] for each in ("captures", "releases")] == ["warn", "warn"]  # none are there
    shell.cloud.stores |= {each.name: each for each in (CAPTURES, RELEASES)}
    found = checks(shell, 0)
    assert found["captures"] == [("ok", "edgevisionstorage can be read", "")]
    assert found["releases"] == [("ok", "releases can be written", "")]
    assert list(shell.cloud.files("out")) == ["cva/check"] and shell.cloud.files(CAPTURES.name) == {}


def test_a_missing_role_is_named_and_who_gets_it(shell: Shell) -> None:
    shell.cloud.stores |= {each.name: each for each in (CAPTURES, RELEASES)}
    shell.cloud.containers |= {each.url: Forbidden() for each in (CAPTURES, RELEASES)}
    found = checks(shell, 1)
    status, _, todo = found["captures"][0]
    assert status == "fail" and "Storage Blob Data Reader on container captures of cvaedge" in todo
    assert "dataScientistPrincipalIds" in todo and "WORKSPACE_SVC_PRINCIPAL_ID" in todo
    status, _, todo = found["releases"][0]
    assert status == "warn" and "Storage Blob Data Contributor on container releases of cvaedge" in todo
    assert "WORKSPACE_SVC_PRINCIPAL_ID" in todo and "only a release needs it" in todo


def test_what_is_no_question_of_roles_is_said_as_it_is(shell: Shell) -> None:
    shell.cloud.stores[CAPTURES.name] = CAPTURES
    shell.cloud.containers[CAPTURES.url] = firewalled = Forbidden()
    firewalled.hint = "the network rules of cvaedge keep this machine out: add it"
    assert checks(shell, 1)["captures"][0][2] == firewalled.hint


def test_nodes_that_never_rest_are_told_of(shell: Shell) -> None:
    computes = shell.cloud.computes
    computes["gpu-cluster"] = replace(computes["gpu-cluster"], min_nodes=1)
    assert checks(shell, 0)["cluster"][0][0] == "warn"


def test_a_workspace_out_of_reach_is_asked_once(shell: Shell) -> None:
    def gone(call: str) -> None:
        raise OfflineError("management.azure.com cannot be reached", hint="check the proxy")

    shell.service.network = gone
    found = checks(shell, 1)
    assert list(found) == ["workspace"]
    assert found["workspace"] == [("fail", "management.azure.com cannot be reached", "check the proxy")]
    assert shell.service.calls == ["default_datastore"]


@pytest.mark.parametrize("words", [("workspace", "info"), ("endpoint", "serve"), ("workspace", "doctor")])
def test_what_only_a_folder_has_is_refused(shell: Shell, words: tuple[str, ...]) -> None:
    """And makes no folder that is called azureml."""
    shell.cva(*words, code=2)
    assert not Path("azureml").exists()
