"""One workspace's azure-ai-ml client and the addresses beside it, made when they are first asked for.

Knows nothing of data sets, models or runs: the calls are in the files beside this one.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from model_training.workspaces.azureml.service import Place
from model_training.workspaces.azureml.v2.rest import ARM, RETRIES, Rest

API_VERSION = "2024-04-01"  # for what is read from the resource manager without the SDK


class Client:
    """`ml` is the SDK's MLClient, `rest` what it has no words for."""

    def __init__(self, place: Place, credential: Any) -> None:
        self.place = place
        self.credential = credential
        self.rest = Rest(credential)

    @cached_property
    def ml(self) -> Any:
        from azure.ai.ml import MLClient

        logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)  # it says "experimental" and "uploading" as warnings
        place = self.place
        return MLClient(
            self.credential,
            place.subscription_id,
            place.resource_group,
            place.workspace_name,
            show_progress=True,  # without it, an upload that fails is never noticed and waited for without end
            enable_telemetry=False,
            retry_total=RETRIES,
        )

    @cached_property
    def host(self) -> str:
        """The region's data plane, such as https://westeurope.api.azureml.ms: the workspace says which."""
        found = self.rest.get(f"{ARM}{self.place.arm_path}", **{"api-version": API_VERSION})  # the SDK's imports mlflow
        return f"https://{urlsplit(found['properties']['mlFlowTrackingUri']).netloc}"

    def plane(self, name: str) -> str:
        """A data plane's address for this workspace; `name` such as history/v1.0."""
        return f"{self.host}/{name}{self.place.arm_path}"

    def resource(self, path: str) -> str:
        """A resource of this workspace at the resource manager."""
        return f"{ARM}{self.place.arm_path}/{path}"


class Calls:
    """What every part of the service starts from."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def _ml(self) -> Any:
        return self._client.ml
