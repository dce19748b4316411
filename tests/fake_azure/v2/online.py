"""Managed online endpoints: a deployment runs the score.py that was uploaded on the model's files that are registered.

Traffic is kept as it is given. What a deployment answers is what the real script answers, in a process of its own, and
the same for the same request. There is no quota for GPU sizes: such a deployment fails, stays, and costs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fake_azure.arm import accepted
from tests.fake_azure.messages import Answer, Json, Reply, Request, arm_error, azureml_error
from tests.fake_azure.routes import Routes
from tests.fake_azure.state import State
from tests.fake_azure.tokens import ML
from tests.fake_azure.v2 import bodies
from tests.fake_azure.v2.batch import check_name
from tests.fake_azure.v2.code import files_of
from tests.fake_azure.v2.wire import checked, listing, not_found, own, put, resource

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("arm")
SCORING = Routes("azureml")
PATH = "{WS}/onlineEndpoints/(?P<name>[^/]+)"
RUN = """
import json, sys, score
score.init()
found = score.run(sys.stdin.read())
print(found if isinstance(found, str) else json.dumps(found))
"""


@ROUTES.route("GET", PATH)
def endpoint(azure: FakeAzure, request: Request, name: str) -> Answer:
    return _endpoint(azure.state, name)


@ROUTES.route("PUT", PATH)
def put_endpoint(azure: FakeAzure, request: Request, name: str) -> Answer:
    body = checked("workspaces/onlineEndpoints", request)
    table = own(azure.state, "online")
    existed = name in table
    there = table.get(name, {}).get("deployments", {})
    traffic = body["properties"].get("traffic") or {}
    if set(traffic) - set(there) or sum(traffic.values()) not in (0, 100):
        raise arm_error(400, "UserError", f"traffic {traffic}: expected 100 in all, over {', '.join(there) or 'none'}")
    table[name] = {"body": body, "deployments": there}
    answer = _endpoint(azure.state, name)
    return put(existed, answer)


@ROUTES.route("GET", PATH + "/deployments")
def deployments(azure: FakeAzure, request: Request, name: str) -> Answer:
    found = _found(azure.state, name)["deployments"]
    return listing(azure, request, (_deployment(azure.state, name, each) for each in found))


@ROUTES.route("GET", PATH + "/deployments/(?P<deployment>[^/]+)")
def deployment(azure: FakeAzure, request: Request, name: str, deployment: str) -> Answer:
    return _deployment(azure.state, name, deployment)


@ROUTES.route("PUT", PATH + "/deployments/(?P<deployment>[^/]+)")
def put_deployment(azure: FakeAzure, request: Request, name: str, deployment: str) -> Answer:
    check_name(deployment)
    body = checked("workspaces/onlineEndpoints/deployments", request)
    found, sent = _found(azure.state, name)["deployments"], body["properties"]
    model, version = _model_of(sent["model"])
    if int(version) not in azure.state.models.get(model, {}):
        raise arm_error(400, "UserError", f"the model {sent['model']} was not found")
    existed = deployment in found
    found[deployment] = body
    answer = _deployment(azure.state, name, deployment)
    if _lacks_quota(sent):
        words = f"Not enough quota available for {sent['instanceType']} in SubscriptionId {azure.state.subscription}."
        return accepted(azure, arm_error(400, "OutOfQuota", words), 201, answer)
    return put(existed, answer)


@ROUTES.route("DELETE", PATH + "/deployments/(?P<deployment>[^/]+)")
def delete_deployment(azure: FakeAzure, request: Request, name: str, deployment: str) -> Answer:
    bodies.none(request)
    record = _found(azure.state, name)
    if (record["body"]["properties"].get("traffic") or {}).get(deployment):
        raise arm_error(400, "UserError", f"{deployment} still gets calls")
    record["deployments"].pop(deployment, None)
    return None


@ROUTES.route("DELETE", PATH)
def delete_endpoint(azure: FakeAzure, request: Request, name: str) -> Answer:
    bodies.none(request)
    own(azure.state, "online").pop(name, None)
    return None


@ROUTES.route("POST", PATH + "/deployments/(?P<deployment>[^/]+)/getLogs")
def logs(azure: FakeAzure, request: Request, name: str, deployment: str) -> Answer:
    bodies.logs(request)
    _deployment(azure.state, name, deployment)  # a 404 where it is gone
    return {"content": f"Instance status:\nInferenceServer: {deployment} was asked"}


@SCORING.route("POST", "/score", audience=ML)
def score(azure: FakeAzure, request: Request) -> Answer:
    name = request.host.partition(".")[0]
    record = own(azure.state, "online").get(name)
    if record is None:
        raise azureml_error(404, "UserError", f"no endpoint {name}")
    chosen = request.headers.get("azureml-model-deployment") or next(iter(record["body"]["properties"]["traffic"]), "")
    if chosen not in record["deployments"]:
        raise azureml_error(404, "UserError", f"no deployment {chosen!r}")
    sent, answers = record["deployments"][chosen]["properties"], own(azure.state, "online answers")
    asked = (sent["model"], sent["codeConfiguration"]["codeId"], request.body)
    if asked not in answers:
        answers[asked] = _answer(azure, sent, request.body)
    return Reply(200, answers[asked])


def _answer(azure: FakeAzure, sent: Json, body: bytes) -> str:
    model, version = _model_of(sent["model"])
    record = azure.state.models[model][int(version)]
    prefix = record.path.rstrip("/") + "/"
    with tempfile.TemporaryDirectory() as folder:
        mounted = Path(folder) / "model" / prefix.rstrip("/").rpartition("/")[2]
        files = {path.removeprefix(prefix): path for path in azure.blobs.list(record.container, prefix)}
        for path, blob in files.items():
            (mounted / path).parent.mkdir(parents=True, exist_ok=True)
            (mounted / path).write_bytes(azure.blobs.get(record.container, blob))
        for path, data in files_of(azure, sent["codeConfiguration"]["codeId"]).items():
            (Path(folder) / path).write_bytes(data)
        environment = {"PATH": os.environ["PATH"], "AZUREML_MODEL_DIR": str(mounted.parent), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", RUN]
        done = subprocess.run(command, cwd=folder, env=environment, input=body, capture_output=True, timeout=120)
    if done.returncode:
        raise azureml_error(424, "UserError", f"the script failed: {done.stderr.decode()[-1000:]}")
    return done.stdout.splitlines()[-1].decode()


def _lacks_quota(sent: Json) -> bool:
    return str(sent.get("instanceType")).startswith("Standard_NC")


def _model_of(id: str) -> tuple[str, str]:
    name, _, version = id.removeprefix("azureml:").rpartition("/models/")[2].partition("/versions/")
    return name, version or "0"


def _found(state: State, name: str) -> Json:
    found: Json | None = own(state, "online").get(name)
    if found is None:
        raise not_found(f"Online endpoint {name}")
    return found


def _endpoint(state: State, name: str) -> Json:
    body = _found(state, name)["body"]
    host = f"https://{name}.{state.location}.inference.ml.azure.com"
    more = {"scoringUri": f"{host}/score", "swaggerUri": f"{host}/swagger.json", "provisioningState": "Succeeded"}
    top = {"location": state.location, "tags": body.get("tags") or {}, "identity": body.get("identity")}
    return resource(state, f"onlineEndpoints/{name}", {**body["properties"], **more}, top=top)


def _deployment(state: State, name: str, deployment: str) -> Json:
    found = _found(state, name)["deployments"].get(deployment)
    if found is None:
        raise not_found(f"Deployment {deployment} of {name}")
    scale = {"scaleSettings": {"scaleType": "Default"}}  # where none is sent
    ended = "Failed" if _lacks_quota(found["properties"]) else "Succeeded"
    properties = {**scale, **found["properties"], "provisioningState": ended}
    top = {"location": state.location, "tags": found.get("tags") or {}, "sku": found.get("sku")}
    return resource(state, f"onlineEndpoints/{name}/deployments/{deployment}", properties, top=top)
