"""What goes wrong on the far side of each call of SDK v1: nothing foreign comes out, and the words say what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from model_training.jobs.load import parse_job
from model_training.workspaces.azureml.service import AutoMLRequest, Container, Place, Service
from scoring.errors import BusyError, ConflictError, CvaError, NotFoundError, OfflineError, UnavailableError, UsageError
from tests.workspaces.azureml.remote import Remote
from tests.workspaces.azureml.test_v1_automl import HEAD, registered
from tests.workspaces.azureml.test_v1_endpoints import GIVEN, NAME, request

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

LOGGED_OUT, NO_ROLE, BUSY, DOWN, DROPPED = 401, 403, 429, 503, "drop"
EXPECTED: dict[int | str, tuple[type[CvaError], str]] = {
    LOGGED_OUT: (UsageError, "az login"),
    NO_ROLE: (UsageError, "AzureML Data Scientist"),
    404: (NotFoundError, "variable_template.yml"),
    409: (ConflictError, "try again"),
    BUSY: (BusyError, "try again in"),
    DOWN: (UnavailableError, "status.azure.com"),
    DROPPED: (OfflineError, "HTTPS_PROXY"),
}


@dataclass(frozen=True)
class Case:
    """A call of the service, and the request of it that goes wrong. `missing` is False where a 404 is an answer."""

    name: str
    call: Callable[[Any], object]
    method: str
    pattern: str
    missing: bool = True


@pytest.fixture
def cases(azure: FakeAzure, v1: Remote, step_folder: Path, tmp_path: Path) -> list[Case]:
    """Everything that the calls need is there."""
    from tests.fake_azure.v2.automl import leave

    v1.publish(request(step_folder))
    train, validation = registered(v1, "caps-train"), registered(v1, "caps-val")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "model.onnx").write_bytes(b"graph")
    v1.register_model("Cap", bundle, tags={}, properties={})
    run = v1.start_run("caps", tags={})
    leave(azure, azure.state.runs[run.id], {"user_logs/std_log.txt": b"said"})
    azure.state.runs[run.id].metrics["loss"] = [0.5]
    automl = AutoMLRequest(parse_job(HEAD, "job.yml", target="azure"), train, validation, "gpu-cluster", "e", {})
    return list(_cases(run.id, automl, bundle, tmp_path, step_folder))


def _cases(run: str, automl: AutoMLRequest, bundle: Path, folder: Path, step: Path) -> Iterator[Case]:
    file, edge = folder / "file", Container("edge", "cvaedge", "captures")
    where = {"datastore": "workspaceblobstore", "path": "cva/x"}
    yield Case("default_datastore", lambda v1: v1.default_datastore(), "GET", "/datastore/.*/default")
    yield Case("datastores", lambda v1: v1.datastores(), "GET", "/datastore/.*/datastores")
    yield Case("blobs", lambda v1: v1.blobs("workspaceblobstore"), "GET", "/datastore/.*/datastores")
    yield Case("add_datastore", lambda v1: v1.add_datastore(edge), "POST", "/datastore/.*/datastores")
    yield Case("clusters", lambda v1: v1.clusters(), "GET", "/rp/.*/computes")
    yield Case("assets", lambda v1: v1.assets("caps-train"), "GET", "/dataset/.*/query", missing=False)
    yield Case("assets", lambda v1: v1.assets("new", everywhere=True), "GET", "azure.com.*/data/", missing=False)
    yield Case("register_asset", lambda v1: v1.register_asset("x", tags={}, **where), "POST", "/dataset/.*/datasets")
    yield Case("models", lambda v1: v1.models("Cap"), "GET", "/modelmanagement/.*/models")
    register = lambda v1: v1.register_model("Cap", bundle, tags={}, properties={})  # noqa: E731
    yield Case("register_model", register, "POST", "/modelmanagement/.*/models")
    yield Case("register_model", register, "POST", "/artifact/.*/batch/metadata")
    yield Case("tag_model", lambda v1: v1.tag_model("Cap", 1, {"a": "b"}), "PATCH", "/modelmanagement/")
    download = lambda v1: v1.download_model("Cap", 1, folder / "down")  # noqa: E731
    yield Case("download_model", download, "GET", "/modelmanagement/.*/assets/")
    yield Case("download_model", download, "GET", r"blob\.core.*model\.onnx")
    yield Case("start_run", lambda v1: v1.start_run("caps", tags={}), "PATCH", "/history/")
    yield Case("run", lambda v1: v1.run(run), "GET", "/history/.*/runs/")
    yield Case("runs", lambda v1: v1.runs(), "POST", "/history/.*/runs:query")
    yield Case("tag_run", lambda v1: v1.tag_run(run, {"a": "b"}), "PATCH", "/history/")
    yield Case("end_run", lambda v1: v1.end_run(run, status="Failed", error="x"), "POST", "/events")
    yield Case("cancel_run", lambda v1: v1.cancel_run(run), "POST", "/events")
    yield Case("run_log", lambda v1: v1.run_log(run), "GET", "/artifact/.*/contentinfo")
    yield Case("children", lambda v1: v1.children(run), "GET", "/children")
    yield Case("metrics", lambda v1: v1.metrics(run), "POST", "/metric/.*/list")
    yield Case("files", lambda v1: v1.files(run), "GET", "/artifact/")
    fetch = lambda v1: v1.download_file(run, "user_logs/std_log.txt", file)  # noqa: E731
    yield Case("download_file", fetch, "GET", "/artifact/.*/contentinfo")
    yield Case("download_file", fetch, "GET", "blob.core.*std_log")
    yield Case("submit_automl", lambda v1: v1.submit_automl(automl), "POST", r"/jasmine/.*/run(\?|$)")
    yield Case("endpoints", lambda v1: v1.endpoints(), "GET", "/PipelineEndpoints")
    yield Case("endpoint", lambda v1: v1.endpoint(NAME), "GET", "/PipelineEndpoints/.*/pipelines")
    yield Case("publish", lambda v1: v1.publish(request(step)), "POST", "/Pipelines/Create")
    yield Case("publish", lambda v1: v1.publish(request(step)), "GET", "/rp/.*/computes")
    yield Case("set_default", lambda v1: v1.set_default(NAME, 0), "PUT", "/PipelineEndpoints/")
    submit = lambda v1: v1.submit(NAME, version=None, experiment="e", parameters=GIVEN)  # noqa: E731
    yield Case("submit", submit, "POST", "/PipelineEndpointSubmit/")


def test_every_call_of_the_service_is_among_the_cases(cases: list[Case]) -> None:
    public = {name for name in vars(Service) if not name.startswith("_")} - {"generation", "place"}
    assert {case.name for case in cases} == public


@pytest.mark.parametrize("fault", [LOGGED_OUT, NO_ROLE, 404, 409])
def test_nothing_foreign_comes_out(azure: FakeAzure, v1: Remote, cases: list[Case], fault: int) -> None:
    for case in cases:
        if fault != 404 or case.missing:
            check(azure, v1, case, fault)


@pytest.mark.parametrize("fault", [BUSY, DOWN, DROPPED])
def test_what_the_sdk_tries_again_ends_in_the_right_words(
    azure: FakeAzure, v1: Remote, cases: list[Case], fault: int | str
) -> None:
    """One call for each of the SDK's clients: each tries again in its own way, for seconds (a broken one, for many)."""
    quick = ("clusters", "register_asset", "submit")
    for case in cases:
        if case.name in quick or (fault != DROPPED and case.name in ("start_run", "submit_automl")):
            check(azure, v1, case, fault)


def test_a_service_that_stays_down_is_not_taken_for_a_broken_network(
    azure: FakeAzure, v1: Remote, cases: list[Case]
) -> None:
    check(azure, v1, cases[0], DOWN)


def check(azure: FakeAzure, v1: Remote, case: Case, fault: int | str) -> None:
    kind, words = EXPECTED[fault]
    waits = {"Retry-After": "0"} if fault in (BUSY, DOWN) else {}
    azure.fail_next(case.method, case.pattern, fault, headers=waits, times=99)
    with pytest.raises(CvaError) as raised:
        case.call(v1)
    azure.faults.clear()
    error = raised.value
    assert type(error) is kind, f"{case.name}, {fault}: {type(error).__name__}: {error}"
    assert words in error.hint, f"{case.name}, {fault}: {error}"
    assert "sig=" not in str(error) and "Bearer" not in str(error)


def test_a_workspace_that_is_not_there_is_named(azure: FakeAzure, v1: Remote) -> None:
    place = Place(azure.state.subscription, azure.state.resource_group, "nowhere")
    v1.open(place)
    with pytest.raises(NotFoundError, match="nowhere"):
        v1.default_datastore()


def test_a_token_that_has_expired_is_said(azure: FakeAzure, v1: Remote) -> None:
    azure.tokens.skew = -7200
    with pytest.raises(UsageError, match="401") as raised:
        v1.default_datastore()
    assert "az login" in raised.value.hint


def test_the_sdk_reports_nothing_to_anybody_else(azure: FakeAzure, v1: Remote) -> None:
    """Registering a data set and AutoML would, by the SDK's own defaults."""
    asked = [registered(v1, f"caps-{part}") for part in ("train", "val")]
    v1.submit_automl(AutoMLRequest(parse_job(HEAD, "job.yml", target="azure"), *asked, "gpu-cluster", "e", {}))
    assert azure.refused == []
