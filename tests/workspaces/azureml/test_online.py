"""`cva model deploy` and `undeploy` with the real azure-ai-ml: the sample model's own script answers its golden images.

Through the command line, in the process that has the SDK.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from model_training.workspaces.azureml.online import OnlineRequest, _free_name, deploy
from model_training.workspaces.azureml.online_calls import Timing
from model_training.workspaces.azureml.online_endpoint import Deployment
from model_training.workspaces.azureml.service import Place
from model_training.workspaces.azureml.v2.client import Client
from model_training.workspaces.base import Bundle
from scoring.bundle import MANIFEST, write_manifest
from scoring.errors import UsageError
from tests.contracts.bundles import decision
from tests.workspaces.azureml.azure_parts import staged

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure
    from tests.workspaces.azureml.remote import Remote

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "samples" / "Cap_Detection_Model"


@dataclass
class Shell:
    azure: FakeAzure
    remote: Remote
    folder: Path
    said: str = ""  # to a person, by the last command

    def cva(self, *words: str, code: int = 0) -> Any:
        """The command's JSON."""
        ended, out, self.said = self.remote.cva("--json", *words, folder=self.folder, cache=self.folder / "cache")
        assert ended == code, f"exit {ended}\n{out}\n{self.said}"
        return json.loads(out)

    def register(self, change: Callable[[Path], None] = lambda folder: None) -> int:
        """Another version of Caps: the sample with one golden image, and `change` to its folder."""
        from model_training.workspaces.azureml.workspace import AzureWorkspace

        count = len(list(self.folder.glob("bundle*")))
        folder = shutil.copytree(SAMPLE, self.folder / f"bundle{count}")
        for name in ("release.json", "weights.safetensors"):  # the second is not read there
            (folder / name).unlink()
        golden(folder, images=lambda images: images[1:2])
        change(folder)
        manifest = json.loads((folder / MANIFEST).read_text())
        kept = {key: value for key, value in manifest.items() if key != "files"}
        bundle = Bundle(folder, write_manifest(folder, {**kept, "created_at": f"2026-05-0{count + 1}T10:00:00Z"}))
        cache = self.folder / "registering"
        workspace = AzureWorkspace(self.remote, cache, stage=staged(cache / "staged"))
        champion = decision(promote=False, code="not_better", champion=1) if count else decision()
        return workspace.models.register(
            bundle, champion, name="Caps", run_id=f"r{count}", trained_on=frozenset()
        ).version

    @property
    def endpoints(self) -> dict[str, Any]:
        return dict(self.azure.state.own.get("v2", {}).get("online", {}))

    @property
    def record(self) -> dict[str, Any]:
        """Of the only one."""
        [found] = self.endpoints.values()
        return dict(found)

    @property
    def deployments(self) -> list[str]:
        return sorted(self.record["deployments"])

    @property
    def traffic(self) -> Any:
        return self.record["body"]["properties"].get("traffic")

    def puts(self, method: str = "PUT") -> list[str]:
        """Deployments that were made or changed (or, with DELETE, removed), in order."""
        calls = [call for call in self.azure.requests if call.method == method and "/deployments/" in call.path]
        return [call.path.rpartition("/")[2] for call in calls]


def golden(folder: Path, images: Callable[[list[Any]], list[Any]]) -> None:
    path = folder / "golden" / "expected.json"
    expected = json.loads(path.read_text())
    path.write_text(json.dumps(expected | {"images": images(expected["images"])}))
    kept = {each["file"] for each in json.loads(path.read_text())["images"]}
    for file in (folder / "golden").glob("*.jpg"):
        if file.name not in kept:
            file.unlink()


def other_boxes(folder: Path) -> None:
    """It expects none, where the model finds some."""
    golden(folder, images=lambda images: [{**each, "boxes": []} for each in images])


@pytest.fixture
def shell(azure: FakeAzure, v2: Remote, tmp_path: Path) -> Shell:
    state = azure.state
    names = {"SUBSCRIPTION_ID": state.subscription, "RESOURCE_GROUP": state.resource_group}
    names["WORKSPACE_NAME"] = state.workspace
    lines = [f"- name: {name}\n  value: {value}\n" for name, value in names.items()]
    (tmp_path / "variable_template.yml").write_text("variables:\n" + "".join(lines))
    return Shell(azure, v2, tmp_path)


def test_a_version_gets_the_calls_when_it_answers_its_golden_images_and_only_then(shell: Shell) -> None:
    """The second version expects other boxes than the registered model gives: the first one goes on."""
    shell.register()
    shell.register(other_boxes)
    first = shell.cva("model", "deploy", "Caps:1", "--calls", "2")
    assert (first["deployment"], first["status"], first["kept"]) == ("v01", "deployed", [])
    assert first["scoring_url"] == f"https://{first['endpoint']}.westeurope.inference.ml.azure.com/score"
    timing = first["timing"]
    assert timing["calls"] == 2 and 0 < timing["p50_ms"] <= timing["p95_ms"] and timing["images_per_second"] > 0
    assert f"p50 {timing['p50_ms']:g} ms, p95 {timing['p95_ms']:g} ms" in shell.said
    assert shell.record["body"]["properties"]["authMode"] == "AADToken"
    ((_, environment),) = shell.azure.state.own["v2"]["environments"].items()
    for package in ("onnxruntime==", "azureml-inference-server-http=="):
        assert package in environment["properties"]["condaFile"]
    second = shell.cva("model", "deploy", "Caps:2", code=5)["error"]
    assert second["type"] == "SelfTestError" and "unexpected" in second["message"]
    assert "log of v02: InferenceServer" in shell.said, "its log goes with it"
    assert (shell.deployments, shell.traffic) == (["v01"], {"v01": 100})
    shell.azure.assert_clean()


def test_what_gets_calls_is_asked_and_never_changed(shell: Shell) -> None:
    """Not even where it answers otherwise than its bundle: its callers would be without an answer."""
    shell.register()
    assert shell.cva("model", "deploy", "Caps")["status"] == "deployed"
    assert shell.cva("model", "deploy", "Caps", "--size", "Standard_F4s_v2")["status"] == "served"
    assert "is served already, as v01" in shell.said
    shell.azure.fail_next("POST", "/score", 424, times=4)
    error = shell.cva("model", "deploy", "Caps", code=5)["error"]
    assert error["type"] == "SelfTestError" and "--again" in error["hint"]
    assert (shell.deployments, shell.traffic, shell.puts()) == (["v01"], {"v01": 100}, ["v01"])
    again = shell.cva("model", "deploy", "Caps", "--again", "--size", "Standard_F4s_v2")
    assert (again["deployment"], again["kept"]) == ("v01-2", ["Caps:1"])
    assert (shell.traffic, shell.puts()) == ({"v01-2": 100}, ["v01", "v01-2"])
    assert shell.record["deployments"]["v01-2"]["properties"]["instanceType"] == "Standard_F4s_v2"
    assert shell.cva("model", "deploy", "Caps")["deployment"] == "v01-2"
    shell.azure.assert_clean()


def test_what_does_not_come_up_is_removed_and_what_cannot_be_is_named(shell: Shell) -> None:
    """In the fake, as in a new subscription, there is no quota for GPUs: the deployment fails, and stays."""
    shell.register()
    gpu = ("model", "deploy", "Caps", "--size", "Standard_NC4as_T4_v3")
    error = shell.cva(*gpu, code=2)["error"]
    assert "Azure ML could not do it: (OutOfQuota) Not enough quota" in error["message"]
    assert (shell.deployments, shell.traffic, shell.puts("DELETE")) == ([], {}, ["v01"])
    shell.azure.fail_next("PUT", "/deployments/v01", 409)
    assert shell.cva("model", "deploy", "Caps", code=1)["error"]["type"] == "ConflictError"
    assert shell.puts("DELETE") == ["v01"], "somebody else deploys it just now: it is theirs"
    shell.azure.fail_next("DELETE", "/deployments/v01", 403)
    error = shell.cva(*gpu, code=2)["error"]
    assert "OutOfQuota" in error["message"] and shell.deployments == ["v01"]
    assert (
        "v01 of caps-" in error["hint"]
        and "costs by the hour: remove it with `cva model undeploy Caps`" in error["hint"]
    )
    assert shell.cva("model", "undeploy", "Caps")["removed"] == ["v01"]
    assert shell.deployments == []
    shell.azure.assert_clean()


def test_what_passes_is_asked_again_and_what_lasts_leaves_nothing(shell: Shell) -> None:
    shell.register()
    for fault, code, kind in (
        (429, 1, "BusyError"),
        (503, 1, "UnavailableError"),
        ("drop", 1, "OfflineError"),
        (424, 5, "SelfTestError"),  # its script fails
    ):
        shell.azure.fail_next("POST", "/score", fault, times=4)
        error = shell.cva("model", "deploy", "Caps", code=code)["error"]
        assert (error["type"], shell.deployments, shell.traffic) == (kind, [], {})
    for fault in (429, "drop", 424):
        shell.azure.fail_next("POST", "/score", fault)
    assert shell.cva("model", "deploy", "Caps")["timing"]["calls"] == 1
    shell.azure.assert_clean()


def test_the_way_back_is_kept_until_it_is_removed(shell: Shell) -> None:
    shell.register()
    shell.register()
    shell.cva("model", "deploy", "Caps:1")
    assert shell.cva("model", "deploy", "Caps:2")["kept"] == ["Caps:1"]
    assert "Caps:1 stays without calls and costs as before; back to it: cva model deploy Caps:1" in shell.said
    assert shell.cva("model", "deploy", "Caps:1")["deployment"] == "v01"
    assert (shell.traffic, shell.puts()) == ({"v01": 100}, ["v01", "v02"]), "back without deploying again"
    shell.azure.fail_next("POST", "/score", "drop", times=4)
    assert shell.cva("model", "deploy", "Caps:2", code=1)["error"]["type"] == "OfflineError"
    assert shell.deployments == ["v01", "v02"], "a cut line is no fault of it"
    error = shell.cva("model", "undeploy", "Caps:1", code=1)["error"]
    assert error["type"] == "ConflictError" and "--all" in error["hint"]
    assert "there: Caps:1, Caps:2" in shell.cva("model", "undeploy", "Caps:3", code=1)["error"]["message"]
    assert shell.cva("model", "undeploy", "Caps")["removed"] == ["v02"]
    assert shell.cva("model", "deploy", "Caps:2", "--remove-previous")["kept"] == []
    assert shell.deployments == ["v02"]
    shell.cva("model", "undeploy", "Caps:2", "--all", code=2)
    assert shell.cva("model", "undeploy", "Caps", "--all")["removed"] == "all"
    assert "no online endpoint 'Caps'" in shell.cva("model", "undeploy", "Caps", code=1)["error"]["message"]
    shell.azure.assert_clean()


def test_one_that_passed_stays_where_the_calls_cannot_be_moved(shell: Shell) -> None:
    """They may have moved; the next try takes it as it is."""
    shell.register()
    shell.cva("model", "deploy", "Caps", "--dry-run")
    assert shell.endpoints == {}
    shell.cva("model", "deploy", "Caps")
    shell.register()
    shell.azure.fail_next("PUT", r"/onlineEndpoints/[^/]+\?", 403)
    error = shell.cva("model", "deploy", "Caps:2", code=2)["error"]
    assert "v02 passed its test and stays, and costs: run the same command again" in error["hint"]
    assert (shell.deployments, shell.traffic) == (["v01", "v02"], {"v01": 100})
    assert shell.cva("model", "deploy", "Caps:2")["status"] == "deployed"
    assert (shell.traffic, shell.puts()) == ({"v02": 100}, ["v01", "v02"])
    shell.azure.assert_clean()


def test_a_version_that_is_not_registered_is_said_to_be_so(shell: Shell) -> None:
    shell.register()
    assert "Caps" in shell.cva("model", "deploy", "Caps:7", code=1)["error"]["message"]
    assert shell.endpoints == {}


def test_an_authentication_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match="aad_token, key"):
        deploy(Client(Place("s", "g", "w"), None), OnlineRequest("Caps", 1, SAMPLE, authentication="none"))


@pytest.mark.parametrize(
    ("there", "name"),
    [
        ([], "v03"),
        ([("v03", "Caps", 0)], "v03"),
        ([("v03", "Caps", 10)], "v03-2"),  # some of the calls are calls
        ([("v03", "Other", 0)], "v03-2"),  # two models on one endpoint
        ([("v03", "", 0), ("v03-2", "Caps", 100)], "v03-3"),  # somebody else's
    ],
)
def test_a_name_is_taken_that_nobody_calls(there: list[tuple[str, str, int]], name: str) -> None:
    found = [Deployment(each, model, "3" if model else "", calls, "S", 1, True) for each, model, calls in there]
    assert _free_name(OnlineRequest("Caps", 3, SAMPLE), found) == name


def test_times_are_those_of_the_calls() -> None:
    assert Timing.of([0.4, 0.1, 0.3, 0.2]) == Timing(4, 200.0, 400.0, 4.0)
    assert Timing.of([0.1] * 19 + [5.0]).p95_ms == 100.0
