"""Whatever goes wrong on the way to Azure ML leaves the service as an error of ours that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from model_training.workspaces.azureml.service import Place
from scoring.errors import (
    BusyError,
    ConflictError,
    CvaError,
    NotFoundError,
    OfflineError,
    UnavailableError,
    UsageError,
)
from tests.workspaces.azureml.remote import Remote

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

# A call through the SDK, one past it, one to another host that asks for another audience.
CALLS: dict[str, tuple[str, str, Callable[[Remote], Any]]] = {
    "resource manager": ("GET", r"/workspaces/[^/]+/models\?", lambda v2: v2.models()),
    "run history": ("GET", r"/history/v1\.0/.*/runs/r1", lambda v2: v2.run("r1")),
    "mlflow": ("POST", r"/mlflow/.*/experiments/search", lambda v2: v2.runs()),
}
STATUSES: list[tuple[int, type[CvaError], str]] = [
    (400, UsageError, "correct what it names"),
    (401, UsageError, "az login"),
    (403, UsageError, "AzureML Data Scientist"),
    (404, NotFoundError, "cva workspace check"),
    (409, ConflictError, "try again"),
    (412, ConflictError, "try again"),
    (429, BusyError, "try again in 1 s"),
    (500, UnavailableError, "try again in 1 s"),
    (503, UnavailableError, "try again in 1 s"),
]


@pytest.mark.parametrize(("status", "kind", "hint"), STATUSES)
@pytest.mark.parametrize("call", CALLS)
def test_a_refusal_becomes_an_error_with_what_to_do(
    azure: FakeAzure, v2: Remote, call: str, status: int, kind: type[CvaError], hint: str
) -> None:
    method, pattern, ask = CALLS[call]
    busy = status >= 429  # tried again, as often as the clients do
    azure.fail_next(method, pattern, status, times=20 if busy else 1, headers={"Retry-After": "1"} if busy else {})
    with pytest.raises(kind, match=str(status)) as caught:
        ask(v2)
    assert type(caught.value) is kind
    assert hint in caught.value.hint
    assert "a fault that a test asked for" in caught.value.message, "the service's own words"
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("call", CALLS)
def test_a_busy_service_is_asked_again(azure: FakeAzure, v2: Remote, call: str) -> None:
    from tests.fake_azure.state import RunRecord

    azure.state.runs["r1"] = RunRecord("r1", "e", "Completed")
    method, pattern, ask = CALLS[call]
    azure.fail_next(method, pattern, 429, headers={"Retry-After": "1"})
    azure.fail_next(method, pattern, 503, headers={"Retry-After": "1"})
    ask(v2)
    azure.assert_clean()


@pytest.mark.parametrize("call", ["resource manager", "run history"])
def test_a_connection_that_breaks_for_good_is_said_to_be_so(azure: FakeAzure, v2: Remote, call: str) -> None:
    method, pattern, ask = CALLS[call]
    azure.fail_next(method, pattern, "drop", times=20)
    with pytest.raises(OfflineError, match="cannot be reached") as caught:
        ask(v2)
    assert "network" in caught.value.hint


def test_a_broken_connection_in_an_upload_leaves_nothing_half_registered(
    azure: FakeAzure, v2: Remote, tmp_path: Path
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x" * 100_000)
    azure.fail_next("PUT", r"blob\.core\.windows\.net.*model\.onnx", "drop", times=20)
    with pytest.raises(OfflineError):
        v2.register_model("Caps", tmp_path, tags={}, properties={})
    assert not azure.state.models
    azure.faults.clear()
    assert v2.register_model("Caps", tmp_path, tags={}, properties={}).version == 1
    v2.download_model("Caps", 1, tmp_path / "back")
    assert (tmp_path / "back" / "model.onnx").read_bytes() == b"x" * 100_000


def test_a_missing_storage_role_names_the_role(azure: FakeAzure, v2: Remote, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x")
    azure.fail_next("", r"blob\.core\.windows\.net.*cva/models", 403, times=20)
    with pytest.raises(UsageError, match="403") as caught:
        v2.register_model("Caps", tmp_path, tags={}, properties={})
    assert "Storage Blob Data Contributor" in caught.value.hint


def test_a_workspace_that_is_not_there_is_named(azure: FakeAzure, v2: Remote) -> None:
    v2.open(Place(azure.state.subscription, azure.state.resource_group, "cva-other"))
    with pytest.raises(NotFoundError, match="cva-other") as caught:
        v2.datastores()
    assert "cva workspace check" in caught.value.hint


def test_no_token_is_ever_in_an_error(azure: FakeAzure, v2: Remote) -> None:
    azure.fail_next("GET", r"/models\?", 401)
    with pytest.raises(UsageError) as caught:
        v2.models()
    assert "eyJ" not in str(caught.value)
    assert "Bearer" not in str(caught.value)
