"""`training_data` and `validation_data` of a job file: a reference, checked as far as a file can be. Reads no rows."""

from __future__ import annotations

from pathlib import Path

from model_training.jobs.problems import Problems
from model_training.jobs.search_space import NOT_HERE
from model_training.jobs.yaml_tree import Value

AZURE_KEYS = ("mode", "path_on_compute", "datastore")


def read_reference(key: str, value: Value, problems: Problems, *, local: bool, folder: Path | None) -> str:
    """The path or dataset that the key names, '' with the problem told. Relative paths start in `folder`."""
    if isinstance(value.data, str):
        if not local:
            problems.error(value.line, f"{key}: Azure ML takes a mapping: {{path: {value.data}, type: mltable}}")
        path: Value | None = value
    elif isinstance(value.data, dict):
        _check_keys(key, value, problems, local)
        path = value.data.get("path")
    else:
        problems.error(value.line, f"{key}: expected {{path: …, type: mltable}}, found {value.kind}")
        return ""
    if path is None or not isinstance(path.data, str) or not path.data:
        problems.error(value.line, f"{key}: expected a path (a folder or azureml:NAME:VERSION)")
        return ""
    if local:
        _check_path(key, path, problems, folder)
    return path.data


def _check_keys(key: str, value: Value, problems: Problems, local: bool) -> None:
    for name, item in value.data.items():
        if name == "type" and item.data != "mltable":
            problems.error(item.line, f"{key}: expected type mltable, found {item.kind}")
        elif name in AZURE_KEYS and local:
            problems.error(item.line, f"{key}: '{name}': {NOT_HERE}")
        elif name not in ("path", "type", *AZURE_KEYS):
            problems.error(item.line, f"unknown key '{name}' in {key}; it has path and type")


def _check_path(key: str, path: Value, problems: Problems, folder: Path | None) -> None:
    """A path is one that this machine can open: a folder with an MLTable file, or a .jsonl file."""
    if "://" in path.data:
        problems.error(path.line, f"{key}: '{path.data}': addresses are {NOT_HERE}, or give a folder")
        return
    if path.data.startswith("azureml:") or folder is None:
        return
    found = folder / path.data
    if not found.exists():
        problems.error(path.line, f"{key}: there is nothing at {found} (relative to the job file)")
    elif found.is_dir() and not (found / "MLTable").is_file():
        problems.error(path.line, f"{key}: expected an MLTable folder, found {found} without an MLTable file")
