"""Azure ML by SDK v2 (azure-ai-ml, `MLClient`): what `service.py` asks, each kind of thing in a file of its own.

client.py    the SDK's client and the addresses beside it        errors.py     the one border for foreign exceptions
storage.py   datastores, clusters                                rest.py       calls that the SDK has no words for
assets.py    data sets of both registries                        registered.py models
runs.py      runs, logs, files                                   mlflow_api.py plain runs, metrics
automl.py    the AutoML image job                                endpoints.py  publishing (component.py), submitting
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from model_training.workspaces.azureml.service import Place
from model_training.workspaces.azureml.v2.assets import AssetCalls
from model_training.workspaces.azureml.v2.automl import AutoMLCalls
from model_training.workspaces.azureml.v2.client import Client
from model_training.workspaces.azureml.v2.endpoints import EndpointCalls
from model_training.workspaces.azureml.v2.registered import ModelCalls

__all__ = ["V2Service"]


class V2Service(EndpointCalls, AutoMLCalls, ModelCalls, AssetCalls):
    """`Service` by azure-ai-ml. Nothing is asked of the network before the first call."""

    def __init__(self, place: Place, credential: Any) -> None:
        super().__init__(Client(place, credential))

    @classmethod
    def connect(cls, place: Place) -> V2Service:
        """As whoever is logged in, or as the cluster. Raises: UsageError (no login, no access to that subscription)."""
        import azure.ai.ml  # noqa: F401  (that it is missing is said here, not by the first call)

        from model_training.workspaces.azureml.credentials import logged_in_subscription, token_credential

        if not place.subscription_id:
            place = replace(place, subscription_id=logged_in_subscription())
        return cls(place, token_credential(place.subscription_id))

    @property
    def generation(self) -> str:
        return "v2"

    @property
    def client(self) -> Client:
        """For what only this generation has (`online.py`)."""
        return self._client

    @property
    def place(self) -> Place:
        return self._client.place
