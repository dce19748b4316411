"""The step on Azure has neither torch nor MLflow: the whole of `train_and_register` runs without them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scoring.bundle import load_bundle
from tests.packaging.automl_exports import COLOURS, RCNN, YOLO, Shape, draw, left_by

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("alone.py")
NOT_THERE = (  # what requirements/train.txt has and the step's environment has not, and the SDKs, which only the step's
    *("torch", "torchvision", "timm", "mlflow", "optuna", "cv2", "onnx", "onnxscript", "onnx_ir", "safetensors"),
    *("filelock", "pandas", "sklearn", "scipy", "sqlalchemy", "azure", "azureml", "ray"),
)


def run_alone(python: str, folder: Path, shape: Shape, *arguments: str) -> dict[str, Any]:
    """What the program said; it sees this project's source and what `python` has installed, nothing else."""
    draw(folder, "pictures", 40, 3)
    left_by(shape, folder / "left")
    (folder / "algorithm.txt").write_text(shape.algorithm)
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [python, str(PROGRAM), str(folder), *arguments],
        cwd=folder,
        env=surroundings | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def check_made(said: dict[str, Any], shape: Shape) -> None:
    """The registered model is whole, and its three tags are what scoring its bundle on the stored test split gives."""
    bundle = load_bundle(said["folder"])
    assert bundle.labels == COLOURS
    assert bundle.postprocess.kind == shape.kind
    assert said["model"] == "Caps:1"
    names = {"Mean Average Precision": "mean_average_precision", "Precision": "precision", "Recall": "recall"}
    assert {tag: said["tags"][tag] for tag in names} == {
        tag: str(said["measured"][name]) for tag, name in names.items()
    }
    assert said["measured"]["mean_average_precision"] > 0.7
    assert Path(said["report"]).is_file()


@pytest.mark.parametrize("shape", [YOLO, RCNN], ids=lambda shape: shape.algorithm)
def test_without_torch_mlflow_and_the_like(tmp_path: Path, shape: Shape) -> None:
    said = run_alone(sys.executable, tmp_path, shape, "--refuse", ",".join(NOT_THERE))
    check_made(said, shape)
    assert not set(said["modules"]) & set(NOT_THERE)
