"""Jobs at the resource manager: an AutoML image job comes in, any run goes out, cancelling is asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.fake_azure.arm import accepted
from tests.fake_azure.messages import Answer, Json, Request, arm_error
from tests.fake_azure.routes import Routes
from tests.fake_azure.state import RunRecord, State
from tests.fake_azure.v2 import automl, bodies
from tests.fake_azure.v2.wire import checked, listing, not_found, put, resource

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("arm")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
ENDED = ("Completed", "Failed", "Canceled")


@ROUTES.route("GET", "{WS}/jobs")
def jobs(azure: FakeAzure, request: Request) -> Answer:
    return listing(azure, request, (_job(azure.state, run) for run in azure.state.runs.values() if not run.parent))


@ROUTES.route("GET", "{WS}/jobs/(?P<name>[^/]+)")
def job(azure: FakeAzure, request: Request, name: str) -> Answer:
    run = _found(azure.state, name)
    automl.advance(azure, run)
    return _job(azure.state, run)


@ROUTES.route("PUT", "{WS}/jobs/(?P<name>[^/]+)")
def put_job(azure: FakeAzure, request: Request, name: str) -> Answer:
    sent = checked("workspaces/jobs", request)["properties"]
    if sent["jobType"] != "AutoML" or not NAME.fullmatch(name):
        raise arm_error(400, "UserError", "this fake takes AutoML jobs with a plain name")
    found = azure.state.runs.get(name)
    if found is not None and found.body != sent:
        raise arm_error(409, "UserError", f"the job {name} exists with other settings")
    if found is None:
        azure.state.runs[name] = automl.submitted(azure.state, name, sent)
    return put(found is not None, _job(azure.state, azure.state.runs[name]))


@ROUTES.route("POST", "{WS}/jobs/(?P<name>[^/]+)/cancel")
def cancel(azure: FakeAzure, request: Request, name: str) -> Answer:
    bodies.none(request)
    run = _found(azure.state, name)
    if run.status in ENDED:
        raise arm_error(400, "UserError", f"the run {name} is {run.status} and cannot be cancelled")
    for each in (run, *(child for child in azure.state.runs.values() if child.parent == name)):
        each.status = "CancelRequested" if each is run else "Canceled"
    return accepted(azure, {})


def _found(state: State, name: str) -> RunRecord:
    """A run that was made through MLflow is no job."""
    found = state.runs.get(name)
    if found is None or found.kind == "mlflow":
        raise not_found(f"Job {name}")
    return found


def _job(state: State, run: RunRecord) -> Json:
    portal = f"https://ml.azure.com/runs/{run.id}?wsid={state.arm_path}&tid={state.tenant}"
    services = {"Studio": {"jobServiceType": "Studio", "endpoint": portal, "port": None, "status": None}}
    body = run.body if run.kind == "automl" else {"jobType": "Pipeline", "inputs": {}, "jobs": {}, "settings": {}}
    shown = {
        "experimentName": run.experiment,
        "displayName": run.display_name or run.id,
        "status": run.status,
        "tags": run.tags,
        "properties": run.properties,
        "services": services,
    }
    return resource(state, f"jobs/{run.id}", {**(body or {}), **shown}, created=run.created_at)
