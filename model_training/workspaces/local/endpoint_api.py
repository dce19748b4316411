"""What the endpoint server answers, as a function from a request to an answer. Knows nothing about sockets.

GET  /endpoints                  names, versions, defaults
POST /endpoints/NAME/submit      CONTRACTS 7: ExperimentName, ParameterAssignments -> Id, Status
GET  /runs/ID                    status, parameters, result
GET  /runs/ID/log                the log as text
POST /runs/ID/cancel
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model_training.workspaces.base import TRAINING, Run
from model_training.workspaces.local import submissions
from scoring.errors import ConflictError, NotFoundError, UsageError
from scoring.keys import allowed

if TYPE_CHECKING:
    from model_training.workspaces.local.workspace import LocalWorkspace

MAX_BODY = 1 << 20  # bytes
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PARAMETERS = ("dataset_name", "model_name", "cluster")
BODY = ("ExperimentName", "ParameterAssignments", "RunSource", "DataPathAssignments")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]  # lower case names
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    status: int
    body: Mapping[str, Any] | str


class Refused(Exception):
    """Ends a request with that status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.answer = Answer(status, {"message": message})


@dataclass(frozen=True)
class EndpointApi:
    workspace: LocalWorkspace
    keys: Sequence[bytes] = ()  # none: only this machine's own programs may call
    start: Callable[[LocalWorkspace, Run], Run] = submissions.start

    def answer(self, request: Request) -> Answer:
        try:
            self._admit(request)
            return self._route(request)
        except Refused as refusal:
            return refusal.answer
        except UsageError as error:
            return Answer(400, {"message": str(error), "problems": list(error.problems)})
        except NotFoundError as error:
            return Answer(404, {"message": str(error)})
        except ConflictError as error:
            return Answer(409, {"message": str(error)})

    def _admit(self, request: Request) -> None:
        if self.keys:
            if not allowed(request.headers.get("authorization", ""), self.keys):
                raise Refused(401, "expected 'Authorization: Bearer KEY' with a key of this server's keys file")
            return
        # without keys a page in a browser of this machine must not be able to call, nor through a name of its own
        host = request.headers.get("host", "").rpartition(":")[0].strip("[]") or request.headers.get("host", "")
        if host not in LOOPBACK or "origin" in request.headers:
            raise Refused(
                403, "without keys only programs of this machine may call; start the server with CVA_KEYS_FILE"
            )

    def _route(self, request: Request) -> Answer:
        parts = request.path.partition("?")[0].strip("/").split("/")
        match request.method, parts:
            case "GET", ["endpoints"]:
                return Answer(200, {"value": [self._endpoint(each.name) for each in self.workspace.endpoints.list()]})
            case "GET", ["endpoints", name]:
                return Answer(200, self._endpoint(name))
            case "POST", ["endpoints", name, "submit"]:
                return self._submit(name, request)
            case "GET", ["runs", run_id]:
                return Answer(200, run_json(self.workspace.runs.get(run_id)))
            case "GET", ["runs", run_id, "log"]:
                return Answer(200, self.workspace.runs.log(run_id))
            case "POST", ["runs", run_id, "cancel"]:
                return Answer(200, run_json(self.workspace.runs.cancel(run_id)))
        raise Refused(
            404,
            f"{request.method} {request.path}: there are GET /endpoints, POST /endpoints/NAME/submit, "
            "GET /runs/ID, GET /runs/ID/log, POST /runs/ID/cancel",
        )

    def _endpoint(self, name: str) -> dict[str, Any]:
        endpoint = self.workspace.endpoints.get(name)
        return {
            "Name": name,
            "Description": endpoint.description,
            "DefaultVersion": endpoint.default_version,
            "Versions": list(endpoint.versions),
            "SubmitUrl": submit_path(name),
        }

    def _submit(self, name: str, request: Request) -> Answer:
        published = self.workspace.endpoints.version(name)
        asked = _submission(_json(request), PARAMETERS if published.kind == TRAINING else PARAMETERS[:2])
        try:
            run = submissions.create(self.workspace, published, asked)
        except NotFoundError as error:  # a data set or cluster: the body's fault, not the address's
            raise Refused(400, str(error)) from error
        return Answer(200, run_json(self.start(self.workspace, run)))


def submit_path(name: str) -> str:
    return f"/endpoints/{name}/submit"


def run_json(run: Run) -> dict[str, Any]:
    return {
        "Id": run.id,
        "Status": run.status,
        "ExperimentName": run.experiment,
        "ParameterAssignments": {key: run.parameters[key] for key in PARAMETERS if key in run.parameters},
        "PipelineEndpoint": run.parameters.get("endpoint", ""),
        "PipelineVersion": run.parameters.get("endpoint_version", ""),
        "CreatedAt": run.created_at,
        "EndedAt": run.ended_at,
        "Result": run.result,
        "Error": run.error,
    }


def _json(request: Request) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, f"expected Content-Type application/json, found {kind or 'none'}")
    try:
        value = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"expected a JSON object, found something else: {error}") from error
    if not isinstance(value, dict):
        raise Refused(400, f"expected a JSON object, found {type(value).__name__}")
    return value


def _submission(body: Mapping[str, Any], needed: Sequence[str]) -> submissions.Submission:
    """`needed` of the three parameters must be given."""
    unknown = sorted(set(body) - set(BODY))
    if unknown:
        raise Refused(400, f"unknown in the body: {', '.join(unknown)}; expected {', '.join(BODY)}")
    if body.get("DataPathAssignments"):
        raise Refused(400, "DataPathAssignments: this pipeline has no data path parameters; give dataset_name")
    values = _strings(body.get("ParameterAssignments"), "ParameterAssignments")
    if "compute_name" in values:  # the older name
        values.setdefault("cluster", values.pop("compute_name"))
    missing, extra = sorted(set(needed) - set(values)), sorted(set(values) - set(PARAMETERS))
    if missing or extra:
        found = "; ".join(
            f"{word}: {', '.join(names)}" for word, names in (("missing", missing), ("unknown", extra)) if names
        )
        raise Refused(400, f"ParameterAssignments: expected {', '.join(needed)}; {found}")
    named = _strings({key: body.get(key, "") for key in ("ExperimentName", "RunSource")}, "the body")
    return submissions.Submission(
        named["ExperimentName"],
        values["dataset_name"],
        values["model_name"],
        values.get("cluster", "local"),
        source=named["RunSource"] or "REST",
    )


def _strings(value: object, what: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise Refused(400, f"{what}: expected an object, found {type(value).__name__}")
    wrong = sorted(key for key, text in value.items() if not isinstance(text, str))
    if wrong:
        raise Refused(400, f"{what}: expected texts, found something else in {', '.join(wrong)}")
    return dict(value)
