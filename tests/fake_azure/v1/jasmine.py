"""AutoML as SDK v1 asks for it: check the input, make the parent run, start it, cancel it. How it ends is scripted."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from tests.fake_azure.messages import Answer, Json, Reply, Request, azureml_error
from tests.fake_azure.routes import Routes
from tests.fake_azure.state import RunRecord, State
from tests.fake_azure.v1.wire import REST, bodiless, checked, not_found, own
from tests.fake_azure.v2.automl import WORKING
from tests.fake_azure.v2.history import experiment_id, experiments

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("azureml")
ROOT = r"/jasmine/v1\.0{WS}/experimentids/(?P<experiment>[^/]+)"
TASKS = ("image-classification", "image-multi-labeling", "image-object-detection", "image-instance-segmentation")


@ROUTES.route("GET", r"/environment/v1\.0{WS}/environments/AzureML-AutoML/labels/prod")
def curated(azure: FakeAzure, request: Request) -> Answer:
    """The curated environment that the client looks at before it submits."""
    docker = {"baseImage": None, "baseDockerfile": "FROM mcr.microsoft.com/azureml/curated\n", "enabled": True}
    return {"name": "AzureML-AutoML", "version": "200", "docker": docker, "python": {"userManagedDependencies": True}}


@ROUTES.route("POST", ROOT + "/validation")
def validate(azure: FakeAzure, request: Request, experiment: str) -> Answer:
    """None for an input without faults."""
    checked(REST, "CreateParentRun", request)
    return None


@ROUTES.route("POST", ROOT + "/run")
def create(azure: FakeAzure, request: Request, experiment: str) -> Answer:
    """A parent run that is not started yet; its settings are what a job of images must have."""
    body = checked(REST, "CreateParentRun", request)
    settings = json.loads(body["amlSettingsJsonString"])
    wrong = list(_problems(azure.state, body, settings))
    if wrong:
        raise azureml_error(400, "UserError", "; ".join(wrong))
    name = next(name for name in experiments(azure.state) if experiment_id(azure.state, name) == experiment)
    run = RunRecord(f"AutoML_{uuid.uuid4()}", name, "NotStarted", "automl", compute=body["target"], body=settings)
    run.properties, run.tags = dict(body.get("properties") or {}), dict(body.get("tags") or {})
    waiting = azure.state.own.get("automl", {}).get("outcomes") or []
    run.extra = {"outcome": waiting.pop(0) if waiting else None, "looks": 0, "data": _data(body)}
    azure.state.runs[run.id] = run
    own(azure.state, "unstarted")[run.id] = run.extra.pop("outcome")
    run.extra["outcome"] = None
    return Reply(200, json.dumps(run.id).encode(), {"Content-Type": "application/json; charset=utf-8"})


@ROUTES.route("POST", ROOT + "/runs/(?P<id>[^/]+)/submitSnapshotRun")
def start(azure: FakeAzure, request: Request, experiment: str, id: str) -> Answer:
    checked(REST, "RunDefinition", request)
    if id not in own(azure.state, "unstarted"):
        raise not_found(f"Run {id}")
    run = azure.state.runs[id]
    run.extra["outcome"] = own(azure.state, "unstarted").pop(id)
    run.status = "Queued"
    return {"runId": id}


@ROUTES.route("POST", ROOT + "/runs/(?P<id>[^/]+)/changerunstatus/failed")
def fail(azure: FakeAzure, request: Request, experiment: str, id: str) -> Answer:
    """The client gives up on a run that it could not start."""
    bodiless(request)
    if id not in azure.state.runs:
        raise not_found(f"Run {id}")
    azure.state.runs[id].status = "Failed"
    return {}


@ROUTES.route("POST", ROOT + "/cancelrun/(?P<id>[^/]+)")
def cancel(azure: FakeAzure, request: Request, experiment: str, id: str) -> Answer:
    bodiless(request)
    if id not in azure.state.runs:
        raise not_found(f"Run {id}")
    if azure.state.runs[id].status in WORKING:
        azure.state.runs[id].status = "CancelRequested"
    return {}


def _problems(state: State, body: Json, settings: dict[str, Any]) -> Any:
    sweep = settings.get("hyperdrive_config") or {}
    space = json.loads((sweep.get("generator_config") or {}).get("parameter_space") or "{}")
    if settings.get("task_type") not in TASKS:
        yield f"task_type: expected one of {', '.join(TASKS)}, found {settings.get('task_type')!r}"
    if body.get("target") not in state.computes:
        yield f"the compute target {body.get('target')!r} does not exist"
    if not settings.get("experiment_timeout_minutes"):
        yield "this fake wants a time limit: a job without one may cost anything"
    if not space:
        yield "the parameter space is empty"
    if not isinstance(sweep.get("max_total_jobs"), int) or sweep["max_total_jobs"] < 1:
        yield f"max_total_jobs: {sweep.get('max_total_jobs')!r}"
    if not isinstance(settings.get("label_column_name"), str):
        yield "label_column_name is missing"
    known = {record.id: record for versions in state.datasets.values() for record in versions.values()}
    for part, id in _data(body).items():
        if id not in known:
            yield f"{part}: the data set {id} does not exist"
        elif state.datastores[known[id].datastore].credentials == "None":
            yield f"{part}: identity-based data access isn't supported for automated ML experiments"


def _data(body: Json) -> dict[str, str]:
    """The saved ids of the two data sets; the client sends them as JSON in a text in JSON."""
    text = json.loads('"' + body["dataPrepJsonString"] + '"')
    sent = json.loads(text)
    return {part: sent[part]["datasetId"] for part in ("training_data", "validation_data")}
