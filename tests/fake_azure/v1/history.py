"""Run history as SDK v1 asks for it: by experiment, with queries, events and metrics. The same runs as SDK v2 sees."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tests.fake_azure.messages import Answer, Json, Request, azureml_error, now
from tests.fake_azure.routes import Routes
from tests.fake_azure.state import RunRecord, State
from tests.fake_azure.v1.wire import REST, bodiless, checked, not_found
from tests.fake_azure.v2 import automl
from tests.fake_azure.v2.history import experiment_id, experiments, found, run_body

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("azureml")
PAGE = 3  # small, so that the client is seen to follow pages
ENDED = ("Completed", "Failed", "Canceled")
EXPERIMENT = r"/history/v1\.0{WS}/experiments/(?P<experiment>[^/:]+)"
RUN = r"/history/v1\.0{WS}/experiment(s|ids)/(?P<experiment>[^/]+)/runs/(?P<id>[^/]+)"
_TAG = re.compile(r'\(Tags/(.+?) eq "(.*?)"\)')


@ROUTES.route("GET|POST", EXPERIMENT)
def experiment(azure: FakeAzure, request: Request, experiment: str) -> Answer:
    bodiless(request)
    known = experiments(azure.state)
    if request.method == "POST" and experiment not in known:
        known.append(experiment)
    if experiment not in known:
        raise not_found(f"Experiment {experiment}")
    return _experiment(azure.state, experiment)


@ROUTES.route("POST", r"/history/v1\.0{WS}/experiments:query")
def query_experiments(azure: FakeAzure, request: Request) -> Answer:
    body = checked(REST, "ExperimentQueryParamsDto", request)
    return _page(body, [_experiment(azure.state, name) for name in experiments(azure.state)])


@ROUTES.route("GET", RUN)
def run(azure: FakeAzure, request: Request, experiment: str, id: str) -> Answer:
    return _body(azure.state, _seen(azure, id))


@ROUTES.route("PATCH", RUN)
def change_run(azure: FakeAzure, request: Request, experiment: str, id: str) -> Answer:
    """Makes a run that is not there. Tags are replaced one by one; a property once set stays as it is."""
    body = checked(REST, "CreateRunDto", request)
    name = _name_of(azure.state, experiment)
    record = azure.state.runs.setdefault(id, RunRecord(id, name, kind=body.get("runType") or ""))
    for key, value in (body.get("properties") or {}).items():
        if record.properties.setdefault(key, value) != value:
            raise azureml_error(400, "UserError", f"the property {key} is set already and cannot be changed")
    record.tags.update(body.get("tags") or {})
    record.parent = body.get("parentRunId") or record.parent
    record.display_name = body.get("displayName") or record.display_name
    return _body(azure.state, record)


@ROUTES.route("POST", RUN + "/events")
def event(azure: FakeAzure, request: Request, experiment: str, id: str) -> Answer:
    body = checked(REST, "BaseEvent", request)
    record = found(azure.state, id)
    name = body["name"].rpartition(".")[2]
    if name == "Error":
        record.error = (body["data"]["ErrorResponse"]["error"] or {}).get("message") or ""
        return {}
    status = {"Start": "Running", "Completed": "Completed", "Failed": "Failed", "Canceled": "Canceled"}.get(name)
    if status is None:
        raise azureml_error(400, "UserError", f"an event that nobody knows: {body['name']}")
    if record.status in ENDED:
        raise azureml_error(400, "UserError", f"the run has ended: {record.status}")
    record.status = status
    if status in ENDED:
        record.ended_at = now()
    else:
        record.started_at = now()
    return {}


@ROUTES.route("GET", RUN + "/children")
def children(azure: FakeAzure, request: Request, experiment: str, id: str) -> Answer:
    found(azure.state, id)
    below = [each for each in azure.state.runs.values() if each.parent == id]
    token = request.query.get("$continuationtoken") or request.query.get("continuationtoken")
    return _page({"continuationToken": token}, [_body(azure.state, each) for each in below])


@ROUTES.route("POST", r"/history/v1\.0{WS}/experiments/(?P<experiment>[^/]+)/runs:query")
def query_runs(azure: FakeAzure, request: Request, experiment: str) -> Answer:
    body = checked(REST, "QueryParamsDto", request)
    matches = _filter(body.get("filter") or "")
    asked = [each for each in azure.state.runs.values() if each.experiment == experiment and matches(each)]
    newest = sorted(asked, key=lambda each: each.created_at, reverse=True)
    return _page(body, [_body(azure.state, each) for each in newest])


@ROUTES.route("POST", r"/metric/v2\.0{WS}/runs/(?P<id>[^/]+)/list")
def metric_names(azure: FakeAzure, request: Request, id: str) -> Answer:
    body = checked(REST, "ListMetricsDto", request)
    names = sorted(found(azure.state, id).metrics)
    return _page(body, [{"metricKey": {"name": name}, "columns": {name: "Double"}} for name in names])


@ROUTES.route("POST", r"/metric/v2\.0{WS}/runs/(?P<id>[^/]+)/full")
def metric(azure: FakeAzure, request: Request, id: str) -> Answer:
    body = checked(REST, "RetrieveFullFidelityMetricRequestDto", request)
    name = body["metricName"]
    record = found(azure.state, id)
    if name not in record.metrics:
        raise not_found(f"Metric {name} of {id}")
    values = [
        {"metricId": f"{id}.{name}.{number}", "createdUtc": record.created_at, "step": number, "data": {name: value}}
        for number, value in enumerate(record.metrics[name])
    ]
    values.reverse()  # the service promises no order
    return {
        "name": name,
        "dataContainerId": container_of(record),
        "columns": {name: "Double"},
        "properties": {"uxMetricType": "azureml.v1.scalar"},
        "value": values,
        "continuationToken": None,
    }


def container_of(record: RunRecord) -> str:
    """Where a run's artifacts lie: `dcid.` and its id."""
    return f"dcid.{record.id}"


def _seen(azure: FakeAzure, id: str) -> RunRecord:
    """A run that somebody looks at: AutoML goes on by it."""
    record = found(azure.state, id)
    automl.advance(azure, record)
    return record


def _body(state: State, record: RunRecord) -> Json:
    number = list(state.runs).index(record.id) + 1
    return {
        **run_body(state, record),
        "runNumber": number,
        "name": record.id,
        "warnings": [],
        "heartbeatEnabled": False,
    }


def _experiment(state: State, name: str) -> Json:
    created = "2026-01-05T09:00:00Z"
    return {"experimentId": experiment_id(state, name), "name": name, "createdUtc": created, "tags": {}}


def _name_of(state: State, word: str) -> str:
    """By name or by id."""
    for name in experiments(state):
        if word in (name, experiment_id(state, name)):
            return name
    raise not_found(f"Experiment {word}")


def _filter(expression: str) -> Callable[[RunRecord], bool]:
    """Of the service's language: equality of tags, and runs that have no parent, joined by `and`."""
    rest = expression
    tags = dict(_TAG.findall(expression))
    alone = "(ParentRunId eq null)" in expression
    for part in (*(f'(Tags/{key} eq "{value}")' for key, value in tags.items()), "(ParentRunId eq null)", " and "):
        rest = rest.replace(part, "")
    if rest.strip(" ()"):
        raise azureml_error(400, "UserError", f"a filter that this fake does not know: {expression}")

    def matches(record: RunRecord) -> bool:
        return tags.items() <= record.tags.items() and not (alone and record.parent)

    return matches


def _page(body: Json, items: Iterable[Any]) -> Json:
    everything = list(items)
    start = int(body.get("continuationToken") or 0)
    following = start + PAGE
    token = str(following) if following < len(everything) else None
    return {"value": everything[start:following], "continuationToken": token}
