"""Registered models by SDK v1. Knows folders of files; nothing of what a bundle holds."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from model_training.workspaces.azureml.service import ModelAsset
from model_training.workspaces.azureml.v1.downloads import download
from model_training.workspaces.azureml.v1.times import moment
from scoring.errors import NotFoundError
from scoring.paths import check_path

FRAMEWORK = "Onnx"


def models(workspace: Any, name: str | None) -> Sequence[ModelAsset]:
    """Every version, oldest first."""
    from azureml.core import Model

    found = [_asset(model) for model in Model.list(workspace, name=name, expand=False)]
    return sorted(found, key=lambda model: (model.name, model.version))


def register(
    workspace: Any,
    name: str,
    folder: Path,
    *,
    tags: Mapping[str, str],
    properties: Mapping[str, str],
    description: str,
) -> ModelAsset:
    """A new version of all files of the folder."""
    from azureml.core import Model

    with _beside(folder.resolve()):
        model = Model.register(
            workspace,
            model_path=folder.name,
            model_name=name,
            tags=dict(tags),
            properties=dict(properties),
            description=description or None,
            model_framework=FRAMEWORK,
        )
    return _asset(model)


def tag(workspace: Any, name: str, version: int, tags: Mapping[str, str]) -> None:
    """Adds and replaces; other tags stay."""
    _model(workspace, name, version).add_tags(dict(tags))


def download_model(workspace: Any, name: str, version: int, folder: Path) -> None:
    """All files, without the folder that they were registered in; whole or absent.

    Raises: IntegrityError for a path that would leave the folder.
    """
    files = _without_root(_model(workspace, name, version).get_sas_urls())
    for path in files:
        check_path(path)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for path, url in files.items():
            download(url, staging / path)
        if folder.is_dir():
            folder.rmdir()  # only an empty one
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _model(workspace: Any, name: str, version: int) -> Any:
    from azureml.core import Model
    from azureml.exceptions import WebserviceException

    try:
        return Model(workspace, name=name, version=version, expand=False)
    except WebserviceException as error:
        if "ModelNotFound" in str(error):
            raise NotFoundError(f"no model {name}:{version}", hint=f"cva model list {name}") from error
        raise


def _asset(model: Any) -> ModelAsset:
    return ModelAsset(
        name=model.name,
        version=int(model.version),
        tags=dict(model.tags or {}),
        properties=dict(model.properties or {}),
        description=model.description or "",
        created_at=moment(model.created_time),
    )


def _without_root(files: Mapping[str, str]) -> dict[str, str]:
    """Paths as they were in the folder that was registered: the SDK keeps its name in front."""
    named = {path.replace(os.sep, "/"): url for path, url in files.items()}
    roots = {path.partition("/")[0] for path in named}
    if len(roots) == 1 and all("/" in path for path in named):
        return {path.partition("/")[2]: url for path, url in named.items()}
    return named


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """The SDK registers only what lies below the working directory."""
    before = Path.cwd()
    os.chdir(folder.parent)
    try:
        yield
    finally:
        os.chdir(before)
