"""One managed online endpoint (SDK v2) and its deployments: found, made, listed, given the calls, removed.

Knows no golden images, and not which version should serve. What it raises are errors of ours.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_training.workspaces.azureml.step_environment import IMAGE
from model_training.workspaces.azureml.v2.client import Client
from model_training.workspaces.azureml.v2.errors import translated
from model_training.workspaces.azureml.v2.naming import NAME_TAG, endpoint_name
from scoring.errors import ConflictError, NotFoundError

SERVER = "azureml-inference-server-http==1.4.1"  # what calls score.py there
LOG_LINES = 30


@dataclass(frozen=True)
class Deployment:
    """`model` and `version` are "" where somebody else made it; `calls` is its share of the endpoint's, in percent."""

    name: str
    model: str
    version: str
    calls: int
    size: str
    instances: int
    ready: bool

    @property
    def reference(self) -> str:
        return f"{self.model}:{self.version}" if self.model else self.name


class OnlineEndpoint:
    """`full` is what people call it; in Azure it has a name that is the only one in a whole region."""

    def __init__(self, client: Client, full: str) -> None:
        self.client, self.full = client, full
        self.name = endpoint_name(full, client.place.arm_path)

    @translated
    def entity(self) -> Any:
        """The SDK's. Raises: NotFoundError, ConflictError (it is somebody else's)."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            found = self.client.ml.online_endpoints.get(self.name)
        except ResourceNotFoundError as error:
            raise NotFoundError(
                f"the workspace has no online endpoint '{self.full}' ({self.name})", hint="cva model deploy makes it"
            ) from error
        if (found.tags or {}).get(NAME_TAG) != self.full:
            raise ConflictError(
                f"the endpoint {self.name} exists and is not '{self.full}'", hint="give another --endpoint"
            )
        return found

    @translated
    def made(self, authentication: str) -> Any:
        """As it is, or new and without deployments, which costs nothing."""
        from azure.ai.ml.entities import ManagedOnlineEndpoint

        with contextlib.suppress(NotFoundError):
            return self.entity()
        new = ManagedOnlineEndpoint(name=self.name, auth_mode=authentication, tags={NAME_TAG: self.full})
        with _quiet():
            self.client.ml.online_endpoints.begin_create_or_update(new).result()
        return self.entity()

    @translated
    def deployments(self, entity: Any) -> list[Deployment]:
        found = self.client.ml.online_deployments.list(self.name)
        return sorted((_deployment(each, entity.traffic or {}) for each in found), key=lambda each: each.name)

    @translated
    def deploy(self, name: str, model: str, version: int, bundle: Path, *, size: str, instances: int) -> None:
        """Without calls; minutes on Azure."""
        from azure.ai.ml.entities import CodeConfiguration, ManagedOnlineDeployment

        with tempfile.TemporaryDirectory(prefix="cva-") as folder:
            code = Path(folder) / "code"
            code.mkdir()
            shutil.copyfile(bundle / "score.py", code / "score.py")
            deployment = ManagedOnlineDeployment(
                name=name,
                endpoint_name=self.name,
                model=f"azureml:{model}:{version}",
                code_configuration=CodeConfiguration(code=str(code), scoring_script="score.py"),
                environment=_environment(bundle),
                instance_type=size,
                instance_count=instances,
                tags={"model": model, "version": str(version)},
            )
            with _quiet():
                self.client.ml.online_deployments.begin_create_or_update(deployment).result()

    @translated
    def give_calls(self, name: str) -> None:
        """All of them."""
        entity = self.entity()  # as it is now: deploying took minutes
        entity.traffic = {name: 100}
        with _quiet():
            self.client.ml.online_endpoints.begin_create_or_update(entity).result()

    @translated
    def remove(self, name: str, *, wait: bool = True) -> None:
        """A deployment without calls; one that is not there is removed already."""
        from azure.core.exceptions import ResourceNotFoundError

        with _quiet(), contextlib.suppress(ResourceNotFoundError):
            removal = self.client.ml.online_deployments.begin_delete(name=name, endpoint_name=self.name)
            if wait:
                removal.result()

    @translated
    def log(self, name: str) -> str:
        """The last lines of what the deployment's script and server said."""
        said = self.client.ml.online_deployments.get_logs(name, self.name, LOG_LINES, container_type="inference-server")
        return str(said or "")

    @translated
    def delete(self) -> None:
        """With all its deployments; its address is gone."""
        with _quiet():
            self.client.ml.online_endpoints.begin_delete(self.name).result()


def _deployment(found: Any, traffic: dict[str, int]) -> Deployment:
    tags = found.tags or {}
    return Deployment(
        name=found.name,
        model=tags.get("model", ""),
        version=tags.get("version", ""),
        calls=int(traffic.get(found.name) or 0),
        size=str(found.instance_type),
        instances=int(found.instance_count or 0),
        ready=found.provisioning_state == "Succeeded",  # an enumeration of texts
    )


def _environment(bundle: Path) -> Any:
    """The bundle's own pins and the server; the version is their hash, so one bundle builds one image."""
    import yaml
    from azure.ai.ml.entities import Environment

    conda: dict[str, Any] = yaml.safe_load((bundle / "conda.yaml").read_text(encoding="utf-8"))
    for each in conda["dependencies"]:
        if isinstance(each, dict):
            each["pip"] = [*each["pip"], SERVER]
    digest = hashlib.sha256(json.dumps([IMAGE, conda], sort_keys=True).encode()).hexdigest()[:12]
    return Environment(name="cva_scoring", version=digest, image=IMAGE, conda_file=conda)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The SDK draws bars and dots; stdout belongs to the command."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
