"""requirements/step.txt is enough, and holds together: the step's work runs in an environment made of it alone."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.packaging.automl_exports import RCNN, YOLO, Shape
from tests.packaging.test_automl_alone import check_made, run_alone

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
PIN = re.compile(r"([a-z0-9][a-z0-9.-]*)==([0-9][0-9A-Za-z.+-]*)")
NOT_THERE = ("torch", "torchvision", "mlflow", "optuna", "cv2", "onnx", "pandas", "azure.cli")


def pins(name: str) -> dict[str, str]:
    lines = (line.partition("#")[0].strip() for line in (REQUIREMENTS / name).read_text().splitlines())
    found = [PIN.fullmatch(line) for line in lines if line and not line.startswith("-r ")]
    assert all(found), f"{name}: a line that is no pin"
    return {match[1]: match[2] for match in found if match}


def run(python: str, *words: str) -> str:
    done = subprocess.run([python, *words], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_pins_what_the_other_lists_pin() -> None:
    """One project, one version of each package: what was tried together is what runs on Azure."""
    step = pins("step.txt")
    for other in ("base.txt", "train.txt", "azure.txt", "azure-v1.txt"):
        theirs = pins(other)
        assert {name: step[name] for name in step.keys() & theirs} == {
            name: theirs[name] for name in step.keys() & theirs
        }, other
    assert list(step) == sorted(step)


def test_what_is_installed_is_what_is_listed(step_python: str) -> None:
    """Every package that came along is pinned, but for those that a new environment brings."""
    listed = json.loads(run(step_python, "-m", "pip", "--disable-pip-version-check", "list", "--format", "json"))
    installed = {re.sub(r"[-_.]+", "-", each["name"]).lower(): each["version"] for each in listed}
    assert {name: version for name, version in installed.items() if name != "setuptools"} == pins("step.txt")
    run(step_python, "-m", "pip", "--disable-pip-version-check", "check")


@pytest.mark.parametrize("module", NOT_THERE)
def test_it_has_nothing_that_trains(step_python: str, module: str) -> None:
    code = f"import importlib.util, sys\ntry: found = importlib.util.find_spec({module!r})\n"
    run(step_python, "-c", code + "except ModuleNotFoundError: found = None\nsys.exit(found is not None)")


@pytest.mark.parametrize(
    "code",
    [
        "import model_training.pipeline",
        "from azureml.core import Workspace; from azureml.core.authentication import MsiAuthentication",
        "from azureml.train.automl import AutoMLImageConfig; from azureml.pipeline.core import PipelineRun",
        "from azure.ai.ml import MLClient, automl; from azure.identity import DefaultAzureCredential",
        "from azure.storage.blob import ContainerClient",
    ],
)
def test_what_the_step_uses_can_be_imported(step_python: str, code: str) -> None:
    run(step_python, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}")


@pytest.mark.parametrize("shape", [YOLO, RCNN], ids=lambda shape: shape.algorithm)
def test_what_automl_left_becomes_a_registered_model(step_python: str, tmp_path: Path, shape: Shape) -> None:
    check_made(run_alone(step_python, tmp_path, shape), shape)
