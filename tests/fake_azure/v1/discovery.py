"""Where the workspace's services are: all of them behind one address, told apart by the first word of the path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fake_azure.messages import Answer, Request
from tests.fake_azure.routes import Routes

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("azureml")
SERVICES = (
    "api",
    "artifacts",
    "assets",
    "catalog",
    "credential",
    "environment",
    "experimentation",
    "gallery",
    "history",
    "hyperdrive",
    "jasmine",
    "metrics",
    "mlflow",
    "modelmanagement",
    "pipelines",
    "project",
    "rlservice",
)


@ROUTES.route("GET", r"/discovery(/workspaces/[^/]+|/subscriptions/.+)?", audience=None)  # asked without a token
def discovery(azure: FakeAzure, request: Request) -> Answer:
    address = f"https://{azure.state.location}.api.azureml.ms"
    return {**dict.fromkeys(SERVICES, address), "studio": "https://ml.azure.com"}
