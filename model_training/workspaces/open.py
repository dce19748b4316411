"""Which workspace a command means: a folder of this machine, or the Azure ML workspace that the settings name.

`--workspace azureml` (or CVA_WORKSPACE=azureml) is the latter. Imports an Azure package only when that is asked for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from model_training.settings import Settings, load_settings
from scoring.edge.registry import AZURE
from scoring.errors import UsageError

if TYPE_CHECKING:
    from model_training.workspaces.azureml.service import Place, Service
    from model_training.workspaces.azureml.workspace import AzureWorkspace
    from model_training.workspaces.local.workspace import LocalWorkspace

EXTRAS = {"v1": "azure-v1", "v2": "azure"}


def is_azure() -> bool:
    return os.environ.get("CVA_WORKSPACE") == AZURE


def open_workspace() -> LocalWorkspace | AzureWorkspace:
    """Raises: UsageError (settings, login, a missing extra), NotFoundError, OfflineError; StorageError for a folder."""
    if is_azure():
        return open_azure(load_settings())
    from model_training.workspaces.local.workspace import LocalWorkspace

    return LocalWorkspace.open()


def open_azure(settings: Settings) -> AzureWorkspace:
    """The workspace that the settings name, as a person or a CI pipeline reaches it."""
    from model_training.publishing import Stager
    from model_training.workspaces.azureml.service import Place
    from model_training.workspaces.azureml.workspace import AzureWorkspace

    place = Place(settings.subscription_id, settings.resource_group, settings.workspace_name)
    service = connect(place, settings.azureml_sdk)
    return AzureWorkspace(service, cache_folder(service.place), stage=Stager(settings))


def connect(place: Place, generation: str) -> Service:
    """A service of that generation of the SDK. Nothing is asked of the network yet but, without an id, which
    subscription is logged in.
    """
    try:
        if generation == "v1":
            from model_training.workspaces.azureml.v1 import V1Service

            return V1Service.connect(place)
        from model_training.workspaces.azureml.v2 import V2Service

        return V2Service.connect(place)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(("model_training", "scoring")):
            raise
        raise UsageError(
            f"Azure ML needs packages that are not installed here: {error.name}",
            hint=f"pip install '.[{EXTRAS[generation]}]'",
        ) from error


def cache_folder(place: Place) -> Path:
    """Where downloads of a workspace are kept; safe to delete."""
    base = Path(os.environ.get("CVA_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "cva" / AZURE / place.subscription_id / place.resource_group / place.workspace_name
