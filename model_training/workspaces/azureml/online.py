"""A registered version on a managed online endpoint (SDK v2): deployed beside the present one, tested, then called.

The bundle's own score.py and pinned packages run there; the test is its golden images. A deployment that fails it gets
no call and is removed. Knows nothing of registering or choosing a version.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_training.workspaces.azureml.v2.client import Client
from model_training.workspaces.azureml.v2.component import IMAGE
from model_training.workspaces.azureml.v2.errors import translated
from model_training.workspaces.azureml.v2.naming import NAME_TAG, deployment_name, endpoint_name
from model_training.workspaces.base import Event, Reporter, silent
from scoring.errors import ConflictError, SelfTestError, UsageError

SERVER = "azureml-inference-server-http==1.4.1"  # what calls score.py there
SIZE = "Standard_DS3_v2"
AUTHENTICATION = ("aad_token", "key")  # the first wants a role of its callers and has no key that could leak


@dataclass(frozen=True)
class OnlineRequest:
    """`bundle` is the verified folder of that version; `endpoint` is "" for the model's own name."""

    name: str
    version: int
    bundle: Path
    endpoint: str = ""
    size: str = SIZE
    instances: int = 1
    authentication: str = AUTHENTICATION[0]


@dataclass(frozen=True)
class Deployed:
    endpoint: str  # as Azure has it
    deployment: str
    scoring_url: str
    tested: int  # golden images that were answered as expected


@translated
def deploy(client: Client, request: OnlineRequest, reporter: Reporter = silent) -> Deployed:
    """Takes about ten minutes on Azure. Deploying a version again does it anew.

    Raises: SelfTestError (answers that differ; the former version goes on), ConflictError (a strange endpoint),
    UsageError, OfflineError, UnavailableError.
    """
    if request.authentication not in AUTHENTICATION:
        found = f"authentication {request.authentication!r}"
        raise UsageError(f"{found}: expected one of {', '.join(AUTHENTICATION)}")
    reporter(Event("stage", f"deploy {request.name}:{request.version} beside what is there, without calls"))
    endpoint = _endpoint(client, request)
    deployment = _deployment(client, request, endpoint.name)
    reporter(Event("stage", "ask it for the golden images"))
    try:
        tested = _golden(client, request, endpoint.name, deployment)
    except SelfTestError:
        with _quiet():
            client.ml.online_deployments.begin_delete(name=deployment, endpoint_name=endpoint.name).result()
        raise
    endpoint.traffic = {deployment: 100}
    with _quiet():
        client.ml.online_endpoints.begin_create_or_update(endpoint).result()
    reporter(Event("message", f"{endpoint.scoring_uri} answers with version {request.version}"))
    return Deployed(endpoint.name, deployment, str(endpoint.scoring_uri), tested)


def _endpoint(client: Client, request: OnlineRequest) -> Any:
    from azure.ai.ml.entities import ManagedOnlineEndpoint
    from azure.core.exceptions import ResourceNotFoundError

    full = request.endpoint or request.name
    name = endpoint_name(f"{client.place.arm_path.lower()}/{full}")  # one name in a whole region
    try:
        found = client.ml.online_endpoints.get(name)
    except ResourceNotFoundError:
        made = ManagedOnlineEndpoint(name=name, auth_mode=request.authentication, tags={NAME_TAG: full})
        with _quiet():
            client.ml.online_endpoints.begin_create_or_update(made).result()
        return client.ml.online_endpoints.get(name)
    if (found.tags or {}).get(NAME_TAG) != full:
        raise ConflictError(f"the endpoint {name} exists and is not '{full}'", hint="give another --endpoint")
    return found


def _deployment(client: Client, request: OnlineRequest, endpoint: str) -> str:
    from azure.ai.ml.entities import CodeConfiguration, ManagedOnlineDeployment

    name = deployment_name(request.version)
    with tempfile.TemporaryDirectory(prefix="cva-") as folder:
        code = Path(folder) / "code"
        code.mkdir()
        shutil.copyfile(request.bundle / "score.py", code / "score.py")
        deployment = ManagedOnlineDeployment(
            name=name,
            endpoint_name=endpoint,
            model=f"azureml:{request.name}:{request.version}",
            code_configuration=CodeConfiguration(code=str(code), scoring_script="score.py"),
            environment=_environment(request.bundle),
            instance_type=request.size,
            instance_count=request.instances,
            tags={"model": request.name, "version": str(request.version)},
        )
        with _quiet():
            client.ml.online_deployments.begin_create_or_update(deployment).result()
    return name


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


def _golden(client: Client, request: OnlineRequest, endpoint: str, deployment: str) -> int:
    """How many images were answered within the bundle's tolerance. Raises: SelfTestError."""
    from scoring.edge.selftest import compare

    golden = request.bundle / "golden"
    expected: dict[str, Any] = json.loads((golden / "expected.json").read_text(encoding="utf-8"))
    manifest: dict[str, Any] = json.loads((request.bundle / "manifest.json").read_text(encoding="utf-8"))
    threshold: float | Mapping[str, float] = expected["score_threshold"] or manifest["postprocess"]["score_threshold"]
    for item in expected["images"]:
        answer = _asked(client, endpoint, deployment, (golden / item["file"]).read_bytes())
        difference = compare(item["boxes"], answer, expected.get("tolerance", {}), threshold)
        if difference:
            raise SelfTestError(
                f"{deployment} of {endpoint} answers {item['file']} otherwise than the bundle: {difference}",
                hint="the version that was there goes on; look at the deployment's log and size",
            )
    return len(expected["images"])


def _asked(client: Client, endpoint: str, deployment: str, image: bytes) -> list[Any]:
    """The boxes that one picture gets."""
    body = {"input_data": {"columns": ["image"], "data": [base64.b64encode(image).decode()]}}
    with tempfile.TemporaryDirectory(prefix="cva-") as folder:
        file = Path(folder) / "request.json"
        file.write_text(json.dumps(body), encoding="utf-8")
        text = client.ml.online_endpoints.invoke(endpoint, deployment_name=deployment, request_file=str(file))
    try:
        found = json.loads(text)
        return list(found[0]["boxes"])
    except (ValueError, LookupError, TypeError) as error:
        raise SelfTestError(
            f"{deployment} of {endpoint} gives no boxes: {text[:200]}", hint="look at the deployment's log"
        ) from error
