"""The scripts of .pipelines, run as a pipeline runs them: which commands, in which order, and what a person is shown.

A failing command fails its script wherever it stands, and no secret is ever an argument.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_training.workspaces.local import LocalWorkspace
from scoring.edge.registry import LocalRegistry
from scoring.edge.signing import new_key_pair, read_signer
from scoring.edge.trust import Trust, verify_release
from tests.contracts.bundles import decision, tiny_bundle
from tests.pipelines.fake_tools import ROOT, SCRIPTS, Tools

RUN = {
    "run": "r-17",
    "status": "Completed",
    "model": "Caps",
    "version": 3,
    "champion": True,
    "metrics": {"split": "test", "images": 60, "mean_average_precision": 0.91234, "precision": 0.8, "recall": None},
    "error": "",
}
CHAMPION = {"model": "Caps", "version": 3, "created_at": "2026-05-01", "metrics": RUN["metrics"]}
RELEASED = {"model": "Caps", "version": 3, "status": "published", "champion": 3, "keyids": ["87b0"]}
OUTPUTS = {
    name: {"type": "String", "value": value}
    for name, value in {
        "registryName": "crcaps1",
        "registryLoginServer": "crcaps1.azurecr.io",
        "webAppName": "app-caps",
    }.items()
}
CVA = "cva --workspace azureml --json"
INDEX = '{"schema": 1, "models": {}}'
Ready = dict[str, Callable[[int], "subprocess.CompletedProcess[str]"]]
SECRET = "a-private-key-of-this-test"


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    """With the settings that scripts ask for, and an answer to each noun."""
    tools = Tools(tmp_path)
    for name, value in {
        "RESOURCE_GROUP": "caps-rg",
        "SUBSCRIPTION_ID": "",
        "AML_COMPUTE_CLUSTER_NAME": "gpu-cluster",
        "MODEL_RELEASE_CONTAINER": "releases",
        "EDGE_STORAGE_ACCOUNT": "",
        "EDGE_DATASTORE_NAME": "edge",
    }.items():
        tools.answer(f"settings show {name}", value)
    tools.answer("settings show --for bicep", {"parameters": {"baseName": {"value": "caps"}}})
    tools.answer("datastore list", [{"name": "edge", "root": "https://capsedge1.blob.core.windows.net/captures"}])
    return tools


@pytest.fixture
def ready(tools: Tools, tmp_path: Path) -> Ready:
    """Each script with everything answered; the function runs it, and the call of that number fails."""
    key = tmp_path / "arrived.key"
    key.write_text(SECRET)
    key.chmod(0o644)  # as DownloadSecureFile leaves it
    tools.answer("endpoint publish", {"endpoint": "train", "version": 2, "default_version": 2, "git_commit": "abc"})
    tools.answer("endpoint submit", {"run": "r-17", "status": "NotStarted", "url": "https://ml.azure.com/r-17"})
    tools.answer("job show", RUN)
    tools.answer("model show", CHAMPION)
    tools.answer(
        "publish-static", RELEASED, writes={"--to/registry.json": INDEX, "--to/Caps/3/model.onnx": "a network"}
    )
    tools.answer("deployment group show", OUTPUTS)
    tools.answer("webapp show", "app-caps.azurewebsites.net")
    (tools.out / "release/Caps/3").mkdir(parents=True)
    (tools.out / "release/Caps/3/manifest.json").write_text("{}")
    training = {"DATASET_NAME": "caps", "MODEL_NAME": "Caps", "EXPERIMENT": "cap_detection"}
    release = {"MODEL_NAME": "Caps", "MODEL_VERSION": "3", "CVA_SIGNING_KEY_FILE": str(key)}

    def of(script: str, *arguments: str, **values: str) -> Callable[[int], subprocess.CompletedProcess[str]]:
        return lambda fail_at: tools.run(script, *arguments, fail_at=fail_at, **values)

    return {
        "install.sh": of("install.sh", "v1"),
        "publish_pipeline.sh": of("publish_pipeline.sh", "--property", "build_id=17"),
        "submit_training.sh": of("submit_training.sh", **training),
        "collect_training.sh": of("collect_training.sh", RUN_ID="r-17"),
        "check_bicep.sh": of("check_bicep.sh"),
        "infrastructure.sh": of("infrastructure.sh", "deploy", "dev"),
        "review_champion.sh": of("review_champion.sh", MODEL_NAME="Caps"),
        "release_model.sh": of("release_model.sh", **release),
        "release_image.sh": of("release_image.sh", "cva-dev", MODEL_NAME="Caps", MODEL_VERSION="3"),
    }


def scripts() -> list[str]:
    return sorted(path.name for path in SCRIPTS.glob("*.sh") if path.name != "common.sh")


def page(tools: Tools, name: str) -> str:
    return (tools.out / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("script", scripts())
def test_every_script_says_how_it_is_used_and_a_person_can_start_it(tools: Tools, script: str) -> None:
    done = tools.run(script, "--help")
    assert (done.returncode, tools.calls) == (0, [])
    assert f".pipelines/scripts/{script}" in done.stdout
    assert "BASH_SOURCE" not in done.stdout
    assert os.access(SCRIPTS / script, os.X_OK)


@pytest.mark.parametrize("script", scripts())
def test_any_failing_command_fails_the_script_and_is_the_last(tools: Tools, ready: Ready, script: str) -> None:
    ready[script](0)
    assert ready[script](0).returncode == 0  # a second release is compared with the first
    count = len(tools.calls)
    assert count
    for number in range(1, count + 1):
        assert ready[script](number).returncode != 0, f"call {number} of {count}"
        assert len(tools.calls) == number


@pytest.mark.parametrize("script", scripts())
def test_no_secret_is_an_argument_or_in_a_log(tools: Tools, ready: Ready, script: str) -> None:
    done = ready[script](0)
    assert SECRET not in " ".join(tools.calls) + done.stdout + done.stderr
    kept = [path for path in tools.out.rglob("*") if path.is_file()]
    assert not [path for path in kept if SECRET in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("install.sh", ()),
        ("install.sh", ("v3",)),
        ("submit_training.sh", ()),
        ("collect_training.sh", ()),
        ("infrastructure.sh", ("deploy",)),
        ("infrastructure.sh", ("destroy", "dev")),
        ("infrastructure.sh", ("deploy", "../dev")),  # a file of another folder
        ("review_champion.sh", ()),
        ("release_model.sh", ()),
        ("release_image.sh", ()),
        ("release_image.sh", ("cva-test",)),
        ("release_image.sh", ("cva-dev",)),
    ],
)
def test_what_is_missing_is_said_before_anything_is_called(
    tools: Tools, script: str, arguments: tuple[str, ...]
) -> None:
    done = tools.run(script, *arguments)
    assert (done.returncode, tools.calls) == (2, [])
    assert script in done.stderr


@pytest.mark.parametrize(
    ("what", "extra"),
    [
        ("base", "--constraint requirements/base.txt ."),
        ("v1", "--constraint requirements/base.txt --constraint requirements/azure-v1.txt .[azure-v1]"),
        ("v2", "--constraint requirements/base.txt --constraint requirements/azure.txt .[azure]"),
    ],
)
def test_installing_takes_the_pins_and_no_training_packages(tools: Tools, what: str, extra: str) -> None:
    assert tools.run("install.sh", what).returncode == 0
    assert tools.calls[-1] == f"python -m pip install --quiet {extra}"
    pins = re.findall(r"requirements/\S+", extra)
    assert pins and not [pin for pin in pins if re.search("^torch", (ROOT / pin).read_text(), re.M)]


def test_publishing_checks_the_workspace_first_and_passes_options_on(tools: Tools) -> None:
    tools.answer("endpoint publish", {"endpoint": "train", "version": 4, "default_version": 3, "git_commit": "abc"})
    done = tools.run("publish_pipeline.sh", "--property", "build_id=17", "--no-default")
    assert done.returncode == 0
    assert tools.calls == [f"{CVA} workspace check", f"{CVA} endpoint publish --property build_id=17 --no-default"]
    assert "train version 4" in page(tools, "published.md") and "not the default, which is 3" in done.stdout
    assert f"##vso[task.uploadsummary]{tools.out}/published.md" in done.stdout.splitlines()


def test_submitting_returns_the_run_to_the_next_stage(tools: Tools, ready: Ready) -> None:
    done = tools.run("submit_training.sh", DATASET_NAME="caps", MODEL_NAME="Caps", EXPERIMENT="e", CLUSTER="big")
    asked = "--dataset-name caps --model-name Caps --cluster big --experiment e --no-wait"
    assert tools.calls == [f"{CVA} endpoint submit {asked}"]
    assert "##vso[task.setvariable variable=run_id;isOutput=true]r-17" in done.stdout.splitlines()
    assert "https://ml.azure.com/r-17" in page(tools, "submitted.md")
    assert "Training Caps on caps" in page(tools, "submitted.md")


def test_the_cluster_is_the_settings_one_unless_told_otherwise(tools: Tools, ready: Ready) -> None:
    tools.run("submit_training.sh", DATASET_NAME="caps", MODEL_NAME="Caps")
    assert tools.calls[-1].endswith("--cluster gpu-cluster --no-wait")


def test_at_home_no_line_speaks_to_azure_pipelines(tools: Tools, ready: Ready) -> None:
    done = tools.run("submit_training.sh", DATASET_NAME="caps", MODEL_NAME="Caps", TF_BUILD="")
    assert done.returncode == 0 and "##vso" not in done.stdout


def test_a_run_that_ended_leaves_its_model_and_metrics(tools: Tools, ready: Ready) -> None:
    done = tools.run("collect_training.sh", RUN_ID="r-17")
    assert (done.returncode, tools.calls) == (0, [f"{CVA} job show r-17"])
    shown = page(tools, "ended.md")
    assert "Caps:3 is the champion" in shown and "| Mean average precision | 0.9123 |" in shown
    assert "| Recall | undefined |" in shown and "60 test images" in shown
    model = json.loads(page(tools, "model/model.json"))
    assert (model["id"], model["run"], model["metrics"]) == ("Caps:3", "r-17", RUN["metrics"])
    assert json.loads(page(tools, "model/run.json")) == RUN


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"status": "Running", "model": None}, 75, "is Running: ask again later"),
        ({"status": "Failed", "error": "no quota for NC4as"}, 1, "no quota for NC4as"),
        ({"status": "Canceled"}, 1, "gave no reason"),
        ({"model": None, "decision": {"reason": "not better than 2"}}, 0, "not better than 2"),
    ],
)
def test_a_run_without_a_model_says_why_and_leaves_none(
    tools: Tools, change: dict[str, Any], code: int, says: str
) -> None:
    tools.answer("job show", RUN | change)
    done = tools.run("collect_training.sh", RUN_ID="r-17")
    assert done.returncode == code
    assert says in page(tools, "ended.md")
    assert ("##vso[task.logissue type=error]" in done.stdout) == (code != 0)
    assert f"##vso[task.uploadsummary]{tools.out}/ended.md" in done.stdout
    assert not (tools.out / "model/model.json").exists()


def test_a_strangers_words_are_no_commands(tools: Tools) -> None:
    """A label, a log or an error may hold what the agent would obey, or what Markdown would draw."""
    trap = "##vso[task.setvariable variable=PATH]/tmp <b>|"
    tools.answer("job show", RUN | {"status": "Failed", "error": trap}, err=trap)
    done = tools.run("collect_training.sh", RUN_ID="r-17")
    assert "vso[task.setvariable" in done.stderr
    assert "##vso[task.setvariable" not in done.stdout + done.stderr
    assert "<b>" not in page(tools, "ended.md").replace("\\<b\\>", "")


def test_an_answer_that_is_no_name_is_not_handed_on(tools: Tools) -> None:
    tools.answer("endpoint submit", {"run": "r\n##vso[x]", "status": "NotStarted"})
    done = tools.run("submit_training.sh", DATASET_NAME="caps", MODEL_NAME="Caps")
    assert done.returncode != 0 and "expected 'run' to be a name" in done.stderr


def test_bicep_is_compiled_and_linted(tools: Tools) -> None:
    assert tools.run("check_bicep.sh").returncode == 0
    file = "--file infrastructure/main.bicep"
    assert tools.calls == [f"az bicep build {file} --stdout", f"az bicep lint {file}"]


@pytest.mark.parametrize(
    ("word", "verb", "left"), [("what-if", "what-if", "what-if.txt"), ("deploy", "create", "outputs.json")]
)
def test_a_deployment_takes_the_settings_and_the_environments_own(
    tools: Tools, word: str, verb: str, left: str
) -> None:
    tools.answer("deployment group", "+ Microsoft.Storage/storageAccounts/caps")
    done = tools.run("infrastructure.sh", word, "prod")
    assert done.returncode == 0, done.stderr
    settings = tools.out / "settings.parameters.json"
    assert json.loads(settings.read_text())["parameters"]["baseName"] == {"value": "caps"}
    own = "infrastructure/main.parameters.prod.json"
    where = (
        f"az deployment group {verb} --resource-group caps-rg --name cva-prod --template-file infrastructure/main.bicep"
    )
    assert tools.calls[-1].startswith(f"{where} --parameters @{settings} @{own}")
    assert "storageAccounts/caps" in page(tools, left) and "storageAccounts/caps" in done.stdout


def test_a_named_subscription_is_used(tmp_path: Path) -> None:
    tools = Tools(tmp_path)
    tools.answer("settings show SUBSCRIPTION_ID", "0-1-2")
    tools.answer("settings show RESOURCE_GROUP", "caps-rg")
    assert tools.run("infrastructure.sh", "deploy", "dev").returncode == 0
    assert "--subscription 0-1-2" in tools.calls[-1]


def test_the_approver_sees_the_version_that_the_release_is_held_to(tools: Tools, ready: Ready) -> None:
    done = tools.run("review_champion.sh", MODEL_NAME="Caps")
    assert tools.calls == [f"{CVA} model show Caps@champion"]
    assert "##vso[task.setvariable variable=version;isOutput=true]3" in done.stdout.splitlines()
    assert "## Caps:3, the champion" in page(tools, "champion.md") and "0.9123" in page(tools, "champion.md")


def test_the_index_is_written_last_and_the_key_is_private(tools: Tools, ready: Ready) -> None:
    assert ready["release_model.sh"](0).returncode == 0
    verbs = [call.split()[3] for call in tools.calls if call.startswith("az storage blob")]
    assert verbs == ["exists", "upload-batch", "upload"]
    assert "--name registry.json" in tools.calls[-1] and "--account-name capsedge1" in tools.calls[-1]
    [(mode, file)] = [(mode, file) for call, mode, file in tools.records if "publish-static" in call]
    assert mode == "600"
    assert not Path(file).exists()  # gone with the script


@pytest.mark.parametrize(("status", "verbs"), [("unchanged", ["exists"]), ("champion", ["exists", "upload"])])
def test_what_is_released_already_is_not_written_again(
    tools: Tools, tmp_path: Path, status: str, verbs: list[str]
) -> None:
    (tmp_path / "key").write_text(SECRET)
    tools.answer("model show", CHAMPION)
    tools.answer("publish-static", RELEASED | {"status": status}, writes={"--to/registry.json": INDEX})
    done = tools.run("release_model.sh", MODEL_NAME="Caps", CVA_SIGNING_KEY_FILE=str(tmp_path / "key"))
    assert done.returncode == 0 and f"Caps:3 {status}" in page(tools, "released.md")
    assert [call.split()[3] for call in tools.calls if call.startswith("az storage blob")] == verbs


def test_another_champion_than_the_approved_one_is_not_released(tools: Tools, tmp_path: Path, ready: Ready) -> None:
    key = str(tmp_path / "arrived.key")
    done = tools.run("release_model.sh", MODEL_NAME="Caps", MODEL_VERSION="2", CVA_SIGNING_KEY_FILE=key)
    assert done.returncode == 1 and "approved was Caps:2, the champion is now 3" in done.stderr
    assert not [call for call in tools.calls if "upload" in call or "publish-static" in call]


def test_a_workspace_without_the_datastore_says_what_to_set(tmp_path: Path) -> None:
    tools = Tools(tmp_path)
    (tmp_path / "key").write_text(SECRET)
    tools.answer("datastore list", [{"name": "other", "root": "/mnt"}])
    tools.answer("settings show EDGE_DATASTORE_NAME", "edge")
    done = tools.run("release_model.sh", MODEL_NAME="Caps", CVA_SIGNING_KEY_FILE=str(tmp_path / "key"))
    assert done.returncode != 0 and "no datastore 'edge'" in done.stderr and "EDGE_STORAGE_ACCOUNT" in done.stderr


def test_real_releases_come_whole_signed_and_one_beside_the_other(tools: Tools, tmp_path: Path) -> None:
    """The real `cva` on a workspace of this machine; only the container is a folder."""
    real = shutil.which("cva", path=Path(sys.executable).parent)
    assert real, "the project is installed in the tests' environment"
    key = tmp_path / "release.key"
    key.write_bytes(new_key_pair(None)[0])
    key.chmod(0o600)
    tools.answer("cva --workspace", run=real)
    workspace = LocalWorkspace.open()

    def release(version: int, **better: Any) -> str:
        bundle = tiny_bundle(tmp_path / f"bundle{version}", model=f"network {version}".encode())
        workspace.models.register(bundle, decision(**better), name="Caps", run_id=f"r{version}")
        done = tools.run(
            "release_model.sh",
            MODEL_NAME="Caps",
            CVA_SIGNING_KEY_FILE=str(key),
            CVA_WORKSPACE=str(workspace.path),
        )
        assert done.returncode == 0, done.stderr
        return str(json.loads(page(tools, "released.json"))["status"])

    assert release(1) == "published"
    before = (tools.blobs / "Caps/1/model.onnx").stat().st_mtime_ns
    assert release(2, code="better", champion=1) == "published"
    assert (tools.blobs / "Caps/1/model.onnx").stat().st_mtime_ns == before  # nothing but the new version is written
    registry = LocalRegistry(tools.blobs)
    assert [registry.resolve("Caps", word).version for word in ("1", "best")] == [1, 2]
    assert verify_release(tools.blobs / "Caps/2", Trust().add(read_signer(key).public), name="Caps", version=2)


def test_of_two_releases_at_once_the_slower_one_fails(tools: Tools, ready: Ready) -> None:
    (tools.blobs / "registry.json").write_text("what another release has written meanwhile")
    tools.answer("storage blob show", '"the etag before that"')
    tools.answer("storage blob download ", writes={"--file": INDEX})
    assert ready["release_model.sh"](0).returncode != 0
    assert "storage blob upload " in tools.calls[-1]
    assert "meanwhile" in (tools.blobs / "registry.json").read_text()


def test_the_image_has_the_released_model_in_it_and_the_web_app_starts_anew_with_it(tools: Tools, ready: Ready) -> None:
    done = ready["release_image.sh"](0)
    assert done.returncode == 0, done.stderr
    shown, server, model, host, restart = (call for call in tools.calls if call.startswith("az "))
    assert shown.startswith("az deployment group show --resource-group caps-rg --name cva-dev ")
    base = re.search(r"--image (cva-scoring-base:[0-9a-f]{40}) --file scoring/Dockerfile", server)
    assert base and "--registry crcaps1" in server and server.endswith(" .")
    images = "--image cva-scoring:Caps-3 --image cva-scoring:latest --file scoring/bundle.Dockerfile"
    assert f"{images} --build-arg SCORING=crcaps1.azurecr.io/{base[1]} {tools.out}/release/Caps/3" in model
    assert host.startswith("az webapp show") and restart == "az webapp restart --resource-group caps-rg --name app-caps"
    assert "https://app-caps.azurewebsites.net/health/ready" in page(tools, "image.md")


def test_without_a_web_app_the_image_is_there_for_it(tmp_path: Path) -> None:
    """The order of the first time: the image, then `deployWebApp`."""
    tools = Tools(tmp_path)
    tools.answer("settings show RESOURCE_GROUP", "caps-rg")
    tools.answer("settings show SUBSCRIPTION_ID", "0-1-2")
    tools.answer("deployment group show", OUTPUTS | {"webAppName": {"type": "String", "value": ""}})
    (tools.out / "release/Caps/3").mkdir(parents=True)
    (tools.out / "release/Caps/3/manifest.json").write_text("{}")
    values = {"MODEL_NAME": "Caps", "MODEL_VERSION": "3", "SCORING_BASE": "crcaps1.azurecr.io/python:3.12"}
    assert tools.run("release_image.sh", "main", **values).returncode == 0
    [server, _] = [call for call in tools.calls if "acr build" in call]
    assert "--build-arg BASE=crcaps1.azurecr.io/python:3.12" in server and "--subscription 0-1-2" in server
    assert not [call for call in tools.calls if "webapp" in call]
    assert "`deployWebApp`" in page(tools, "image.md")


def test_an_image_is_made_of_what_was_released_or_not_at_all(tools: Tools, ready: Ready, tmp_path: Path) -> None:
    done = tools.run("release_image.sh", "cva-dev", MODEL_NAME="Caps", MODEL_VERSION="2")
    assert (done.returncode, tools.calls) == (1, []) and "run release_model.sh first" in done.stderr
    (tmp_path / "before").mkdir()
    before = Tools(tmp_path / "before")
    before.answer("deployment group show", {"registryLoginServer": OUTPUTS["registryLoginServer"]})
    shutil.copytree(tools.out / "release", before.out / "release")
    done = before.run("release_image.sh", "cva-dev", MODEL_NAME="Caps", MODEL_VERSION="3")
    assert done.returncode != 0 and "no output 'registryName': deploy infrastructure/ again" in done.stderr


def test_every_output_that_a_script_reads_is_one_of_the_deployment() -> None:
    read = re.findall(r"answers output \S+ (\w+)", (SCRIPTS / "release_image.sh").read_text(encoding="utf-8"))
    main = (ROOT / "infrastructure" / "main.bicep").read_text(encoding="utf-8")
    assert len(read) == 3 and set(read) <= set(re.findall(r"^output (\w+) string", main, re.MULTILINE))
