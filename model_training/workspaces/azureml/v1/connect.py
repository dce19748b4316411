"""Opens the workspace with SDK v1. Knows the place and a credential; nothing of what is done with it."""

from __future__ import annotations

from typing import Any

from model_training.workspaces.azureml.service import Place
from model_training.workspaces.azureml.v1.errors import border


def open_workspace(place: Place, authentication: Any) -> Any:
    """An `azureml.core.Workspace` that is there: one request.

    Raises: NotFoundError (no such workspace), UsageError (login, rights), OfflineError.
    """
    with border(f"opening the workspace {place.workspace_name} in {place.resource_group}"):
        from azureml.core import Workspace

        # the constructor's own check hides a dropped connection; get_details does not
        workspace = Workspace(
            place.subscription_id,
            place.resource_group,
            place.workspace_name,
            auth=authentication,
            _disable_service_check=True,
        )
        workspace.get_details()
        return workspace
