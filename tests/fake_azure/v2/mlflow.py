"""The workspace's MLflow interface: experiments, plain runs, tags, metrics over steps. MLflow's own error shape."""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tests.fake_azure.messages import Answer, Json, Refused, Request
from tests.fake_azure.routes import Routes
from tests.fake_azure.state import RunRecord, State
from tests.fake_azure.tokens import ARM
from tests.fake_azure.v2 import bodies
from tests.fake_azure.v2.history import experiment_id, experiments

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("azureml")
CALL = "/mlflow/v2.0{WS}/api/2.0/mlflow/"
STATUSES = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED", "NotStarted": "SCHEDULED"}
BACK = {"FINISHED": "Completed", "FAILED": "Failed", "KILLED": "Canceled", "RUNNING": "Running"}
_CONDITION = re.compile(r"tags\.`([^`]+)` = '([^']*)'")


@ROUTES.route("GET", CALL + "experiments/get-by-name", audience=ARM)
def by_name(azure: FakeAzure, request: Request) -> Answer:
    name = request.query.get("experiment_name", "")
    if name not in experiments(azure.state):
        raise _not_found(f"Could not find experiment with name {name}")
    return {"experiment": _experiment(azure.state, name)}


@ROUTES.route("POST", CALL + "experiments/create", audience=ARM)
def create_experiment(azure: FakeAzure, request: Request) -> Answer:
    name = str(bodies.mlflow(request, "CreateExperiment", "name")["name"])
    if name in experiments(azure.state):
        raise bodies.mlflow_error(f"experiment {name!r}", code="RESOURCE_ALREADY_EXISTS")
    experiments(azure.state).append(name)
    return {"experiment_id": experiment_id(azure.state, name)}


@ROUTES.route("POST", CALL + "experiments/search", audience=ARM)
def search_experiments(azure: FakeAzure, request: Request) -> Answer:
    body = bodies.mlflow(request, "SearchExperiments")
    names = experiments(azure.state)
    start = int(body.get("page_token") or 0)
    page: Json = {"experiments": [_experiment(azure.state, name) for name in names[start : start + 2]]}
    return {**page, "next_page_token": str(start + 2)} if start + 2 < len(names) else page


@ROUTES.route("POST", CALL + "runs/create", audience=ARM)
def create(azure: FakeAzure, request: Request) -> Answer:
    body = bodies.mlflow(request, "CreateRun", "experiment_id", "start_time")
    name = _named(azure.state, str(body.get("experiment_id")))
    run = RunRecord(str(uuid.uuid4()), name, "Running", "mlflow", created_at=_iso(body["start_time"]))
    run.started_at, run.tags = run.created_at, {tag["key"]: tag["value"] for tag in body.get("tags") or []}
    azure.state.runs[run.id] = run
    return {"run": _run(azure.state, run)}


@ROUTES.route("GET", CALL + "runs/get", audience=ARM)
def get(azure: FakeAzure, request: Request) -> Answer:
    return {"run": _run(azure.state, _found(azure.state, request.query.get("run_id", "")))}


@ROUTES.route("POST", CALL + "runs/update", audience=ARM)
def update(azure: FakeAzure, request: Request) -> Answer:
    body = bodies.mlflow(request, "UpdateRun", "run_id", "status")
    run = _found(azure.state, str(body["run_id"]))
    if body["status"] not in BACK:
        raise bodies.mlflow_error(f"status {body['status']!r}")
    run.status = BACK[body["status"]]
    run.ended_at = _iso(body["end_time"]) if body.get("end_time") else ""
    return {"run_info": _run(azure.state, run)["info"]}


@ROUTES.route("POST", CALL + "runs/log-batch", audience=ARM)
def log_batch(azure: FakeAzure, request: Request) -> Answer:
    body = bodies.mlflow(request, "LogBatch", "run_id")
    run = _found(azure.state, str(body["run_id"]))
    for tag in body.get("tags") or []:
        if len(tag["value"]) > 5000:
            raise bodies.mlflow_error(f"the tag {tag['key']} is too long")
        run.tags[tag["key"]] = tag["value"]
    for metric in sorted(body.get("metrics") or [], key=lambda each: each["step"]):
        run.metrics.setdefault(metric["key"], []).append(float(metric["value"]))
    return {}


@ROUTES.route("POST", CALL + "runs/search", audience=ARM)
def search(azure: FakeAzure, request: Request) -> Answer:
    body = bodies.mlflow(request, "SearchRuns")
    wanted = dict(_CONDITION.findall(body.get("filter") or ""))
    names = {_named(azure.state, each) for each in body.get("experiment_ids") or []}
    runs = [run for run in azure.state.runs.values() if run.experiment in names and wanted.items() <= run.tags.items()]
    runs.sort(key=lambda run: run.created_at, reverse=True)
    start, count = int(body.get("page_token") or 0), min(int(body.get("max_results") or 1000), 2)
    page: Json = {"runs": [_run(azure.state, run) for run in runs[start : start + count]]}
    return {**page, "next_page_token": str(start + count)} if start + count < len(runs) else page


@ROUTES.route("GET", CALL + "metrics/get-history", audience=ARM)
def history(azure: FakeAzure, request: Request) -> Answer:
    run = _found(azure.state, request.query.get("run_id", ""))
    values = run.metrics.get(request.query.get("metric_key", ""), [])
    points = [{"key": request.query["metric_key"], "value": v, "step": n, "timestamp": n} for n, v in enumerate(values)]
    start = int(request.query.get("page_token") or 0)
    page: Json = {"metrics": points[start : start + 3]}
    return {**page, "next_page_token": str(start + 3)} if start + 3 < len(points) else page


def _not_found(message: str) -> Refused:
    return bodies.mlflow_error(message, 404, "RESOURCE_DOES_NOT_EXIST")


def _found(state: State, id: str) -> RunRecord:
    if id not in state.runs:
        raise _not_found(f"Run {id} was not found")
    return state.runs[id]


def _named(state: State, id: str) -> str:
    for name in experiments(state):
        if experiment_id(state, name) == id:
            return name
    raise _not_found(f"Could not find experiment with id {id}")


def _experiment(state: State, name: str) -> Json:
    return {"experiment_id": experiment_id(state, name), "name": name, "lifecycle_stage": "active", "tags": []}


def _run(state: State, run: RunRecord) -> Json:
    parent = {"mlflow.parentRunId": run.parent} if run.parent else {}
    tags = [{"key": key, "value": value} for key, value in {**run.tags, **parent}.items()]
    latest = [{"key": key, "value": v[-1], "step": len(v) - 1, "timestamp": 0} for key, v in run.metrics.items() if v]
    info = {
        "run_id": run.id,
        "run_uuid": run.id,
        "experiment_id": experiment_id(state, run.experiment),
        "status": STATUSES.get(run.status, "RUNNING"),
        "start_time": _milliseconds(run.created_at),
        "lifecycle_stage": "active",
    }
    if run.ended_at:
        info["end_time"] = _milliseconds(run.ended_at)
    return {"info": info, "data": {"tags": tags, "metrics": latest, "params": []}}


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() * 1000)


def _iso(milliseconds: int) -> str:
    found = datetime.fromtimestamp(int(milliseconds) / 1000, timezone.utc)
    return found.isoformat().replace("+00:00", "Z")
