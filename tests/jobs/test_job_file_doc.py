"""docs/job-file.md says of hyperparameters what the table in the code says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model_training.algorithms import defaults
from model_training.jobs.hyperparameters import HYPERPARAMETERS, Hyperparameter

DOC = Path(__file__).resolve().parents[2] / "docs" / "job-file.md"
OWN = {**defaults("yolov5"), "random_seed": "1", "box_score_threshold": "chosen on validation"}


def row(entry: Hyperparameter) -> str:
    aliases = f" [{', '.join(f'`{alias}`' for alias in entry.aliases)}]" if entry.aliases else ""
    own, azure = shown(OWN[entry.name]), shown(entry.azure_default("yolov5"))
    return f"| `{entry.name}`{aliases} | {entry.range_text} | {own} | {azure} |"


def shown(value: Any) -> str:
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)


def between(mark: str) -> str:
    text = DOC.read_text(encoding="utf-8")
    return text.split(f"<!-- {mark} -->")[1].split(f"<!-- /{mark} -->")[0].strip()


def test_the_table_of_hyperparameters() -> None:
    rows = [row(entry) for entry in HYPERPARAMETERS.values() if entry.honoured]
    assert between("hyperparameters").splitlines()[2:] == rows


def test_the_keys_that_are_refused() -> None:
    refused = [f"`{entry.name}`" for entry in HYPERPARAMETERS.values() if not entry.honoured]
    assert between("refused") == ", ".join(refused)
