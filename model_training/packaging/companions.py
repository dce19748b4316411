"""The small files beside the model: labels, settings, what MLflow and Azure ML read, and the code that runs there.

Written by hand rather than by MLflow, whose import costs seconds and whose files hold times and random numbers.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import scoring
from model_training.packaging import entry

LOADER = "cva_bundle"
ENTRY = "score.py"
CODE = (f"{LOADER}.py", "cva_http.py", "cva_model.py")
SCORING = (  # what those import, and nothing else of the package; a test holds the two together
    "__init__.py",
    "batch/__init__.py",
    "batch/rows.py",
    "bundle.py",
    "detections.py",
    "detector.py",
    "edge/__init__.py",
    "edge/signing.py",
    "errors.py",
    "files.py",
    "geometry.py",
    "graphs/__init__.py",
    "graphs/automl_fasterrcnn.py",
    "graphs/automl_retinanet.py",
    "graphs/automl_yolov5.py",
    "graphs/base.py",
    "graphs/cva.py",
    "graphs/suppress.py",
    "graphs/three.py",
    "images.py",
    "manifest.py",
    "onnxfile.py",
    "paths.py",
    "pieces.py",
    "py.typed",
    "release.py",
    "scorer.py",
    "session.py",
    "wire.py",
)
SIGNATURE = [{"type": "string", "name": "image", "required": True}]


def write_companions(
    folder: Path, *, labels: Sequence[str], settings: Mapping[str, Any], per_label: Mapping[str, Any]
) -> None:
    """Everything in a bundle but the weights, the graph, the golden images and the manifest."""
    _json(folder / "labels.json", list(labels))
    _json(folder / "model_settings.json", settings)
    _json(folder / "per_label_metrics.json", per_label)
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements()), encoding="utf-8")
    _yaml(folder / "conda.yaml", _conda())
    _yaml(folder / "MLmodel", _mlmodel())
    _copy_code(folder)


def requirements() -> list[str]:
    """What a device needs, pinned to what the bundle was made and measured with."""
    import numpy
    import PIL

    from scoring.session import runtime

    return [f"numpy=={numpy.__version__}", f"onnxruntime=={runtime().__version__}", f"pillow=={PIL.__version__}"]


def _conda() -> dict[str, Any]:
    return {
        "name": "cva",
        "channels": ["conda-forge"],
        "dependencies": [f"python={platform.python_version()}", "pip", {"pip": requirements()}],
    }


def _mlmodel() -> dict[str, Any]:
    return {
        "flavors": {
            "python_function": {
                "loader_module": LOADER,
                "code": "code",
                "env": {"conda": "conda.yaml", "virtualenv": "conda.yaml"},
                "python_version": platform.python_version(),
            }
        },
        "signature": {"inputs": json.dumps(SIGNATURE), "outputs": None, "params": None},
    }


def _copy_code(folder: Path) -> None:
    package = Path(str(scoring.__file__)).parent
    for name in SCORING:
        _copy(package / name, folder / "code" / "scoring" / name)
    scripts = Path(str(entry.__file__)).parent
    for name in CODE:
        _copy(scripts / name, folder / "code" / name)
    _copy(scripts / ENTRY, folder / ENTRY)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _yaml(path: Path, value: Any) -> None:
    import yaml

    path.write_text(yaml.safe_dump(value, sort_keys=True, allow_unicode=True), encoding="utf-8")
