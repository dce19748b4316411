"""The files that a run of Azure's AutoML for images leaves, read with the care that a stranger's files need.

    train_artifacts/model.onnx                the detector
    train_artifacts/labels.json               its labels, as the graph numbers them
    …/settings.json, per_label_metrics.json   what the service says of it, where it says it

Nothing of them is executed; the pickles beside them are never opened. Knows nothing about bundles.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_training.errors import DataError, IntegrityError, NotFoundError
from model_training.workspaces.base import Json

MODEL, LABELS = "train_artifacts/model.onnx", "train_artifacts/labels.json"
SETTINGS = (
    "train_artifacts/model_settings.json",
    "train_artifacts/settings.json",
    "outputs/mlflow-model/artifacts/settings.json",
)
PER_LABEL = ("train_artifacts/per_label_metrics.json", "outputs/per_label_metrics.json")
ENVIRONMENTS = (
    "outputs/conda_env_v_1_0_0.yml",
    "outputs/mlflow-model/conda.yaml",
    "outputs/mlflow-model/requirements.txt",
)
OPTIONAL = (*SETTINGS, *PER_LABEL, *ENVIRONMENTS)  # what is worth downloading beside the two
BACKGROUND = "--bg--"
MAX_BYTES = 1 << 20  # of each but the model
MAX_LABELS = 10_000
_RUNTIME = re.compile(r"azureml-automl-dnn-vision\s*==\s*([0-9][0-9A-Za-z.]{0,31})")


@dataclass(frozen=True)
class Left:
    """`labels` without the background; `background` says that the graph's label 0 is none. `runtime` is a version."""

    model: Path
    labels: tuple[str, ...]
    background: bool
    settings: Json
    per_label: Json
    runtime: str


def read_left(folder: Path) -> Left:
    """Raises: NotFoundError: the model or its labels are not there. IntegrityError: a link, too large, not JSON.
    DataError: labels that are no list of different names.
    """
    model = _regular(folder, MODEL)
    if model is None or _regular(folder, LABELS) is None:
        missing = MODEL if model is None else LABELS
        raise NotFoundError(
            f"the AutoML run left no {missing} in {folder}",
            hint="look for its ONNX export in the child run's user_logs/std_log.txt; an object-detection run writes it",
        )
    names = _labels(_json(folder, LABELS))
    background = names[0] == BACKGROUND
    return Left(
        model=model,
        labels=names[1:] if background else names,
        background=background,
        settings=_first_object(folder, SETTINGS),
        per_label=_first_object(folder, PER_LABEL),
        runtime=_runtime(folder),
    )


def _labels(value: Any) -> tuple[str, ...]:
    names = tuple(value) if isinstance(value, list) else ()
    strange = not all(isinstance(name, str) and name.strip() for name in names)
    real = names[1:] if names[:1] == (BACKGROUND,) else names
    if strange or not 0 < len(real) <= MAX_LABELS or len(set(names)) != len(names) or BACKGROUND in real:
        raise DataError(
            f"{LABELS}: expected a list of different names, found {str(value)[:200]!r}",
            hint="download the run's files again",
        )
    return names


def _regular(folder: Path, name: str) -> Path | None:
    """The file; None where there is none. Raises: IntegrityError for a link, on the way too, or a special file."""
    path = folder
    for part in name.split("/"):
        path = path / part
        try:
            mode = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise IntegrityError(f"{path} is a link or a special file", hint="download the run's files again")
    return path if path.is_file() else None


def _text(folder: Path, name: str) -> str | None:
    path = _regular(folder, name)
    if path is None:
        return None
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise IntegrityError(f"{path} is larger than {MAX_BYTES} bytes", hint="this is not what the service writes")
    return data.decode("utf-8", "replace")


def _json(folder: Path, name: str) -> Any:
    text = _text(folder, name)
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{folder / name} is not JSON: {error}", hint="download the run's files again") from error


def _first_object(folder: Path, names: Sequence[str]) -> Json:
    found = (_json(folder, name) for name in names)
    return next((dict(value) for value in found if isinstance(value, Mapping)), {})


def _runtime(folder: Path) -> str:
    for name in ENVIRONMENTS:
        if match := _RUNTIME.search(_text(folder, name) or ""):
            return match[1]
    return ""
