"""Blobs over azure-storage-blob, unmodified, against Azurite through the proxy: what is refused, and faults."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model_training.workspaces.azureml import blob_client
from model_training.workspaces.azureml.blobs import ContainerBlobs
from model_training.workspaces.azureml.credentials import token_credential
from model_training.workspaces.azureml.service import Container
from scoring.errors import (
    BusyError,
    ConflictError,
    CvaError,
    IntegrityError,
    NotFoundError,
    OfflineError,
    StorageError,
    UnavailableError,
    UsageError,
)
from tests.contracts.blobs_contract import BlobsContract
from tests.fake_azure.azure import FakeAzure
from tests.workspaces.azureml.memory_blobs import MemoryBlobs

SMALL = 1 << 16


@pytest.fixture
def over_azurite(azure: FakeAzure, monkeypatch: pytest.MonkeyPatch) -> ContainerBlobs:
    """The default container, as a cluster's identity."""
    for name, value in azure.on_cluster().items():
        monkeypatch.setenv(name, value)
    container = Container("workspaceblobstore", azure.state.account, azure.state.default_container)
    return ContainerBlobs(container, token_credential())


@pytest.fixture
def blobs(over_azurite: ContainerBlobs) -> ContainerBlobs:
    return over_azurite


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits between tries, without waiting; parts of a large file are small ones."""
    from azure.core.pipeline.transport import HttpTransport

    monkeypatch.setattr(blob_client, "MIB", SMALL)
    waited: list[float] = []
    monkeypatch.setattr(HttpTransport, "sleep", lambda self, seconds: waited.append(seconds))
    return waited


def stored(azure: FakeAzure) -> list[str]:
    return azure.blobs.list(azure.state.default_container)


def of_size(folder: Path, size: int) -> Path:
    file = folder / f"{size}.bin"
    file.write_bytes(hashlib.shake_128(str(size).encode()).digest(size))
    return file


# what is there -----------------------------------------------------------------------------------------------------


class TestOverAzurite(BlobsContract):
    @pytest.fixture
    def blobs(self, over_azurite: ContainerBlobs) -> ContainerBlobs:
        return over_azurite


class TestFromMemory(BlobsContract):
    """What the tests of the six parts stand on."""

    @pytest.fixture
    def blobs(self) -> MemoryBlobs:
        return MemoryBlobs("memory", {}, lambda call: None)


def test_a_large_file_goes_in_parts_in_both_directions(azure: FakeAzure, blobs: ContainerBlobs, tmp_path: Path) -> None:
    """With the sizes that are really used; and a large one is no exception to what is kept."""
    file = of_size(tmp_path, 9 * blob_client.MIB)
    blobs.upload(file, "a/x")
    assert len([call for call in azure.requests.find("PUT") if call.query.get("comp") == "block"]) == 3
    blobs.download("a/x", tmp_path / "new" / "deep" / "x")
    assert (tmp_path / "new" / "deep" / "x").read_bytes() == file.read_bytes()
    with pytest.raises(ConflictError, match="exists"):
        blobs.upload(file, "a/x")  # the same bytes, but not ours


def test_a_container_that_is_not_there(azure: FakeAzure, blobs: ContainerBlobs) -> None:
    missing = ContainerBlobs(Container("d", azure.state.account, "no-such-container"), token_credential())
    with pytest.raises(NotFoundError, match="no such container"):
        list(missing.list())
    with pytest.raises(NotFoundError, match="no such container"):
        missing.write(b"x", "x")


@pytest.mark.parametrize("path", ["", "/x", "x/", "a//b", "a/../b", "./a", "a\\b", "a" * 1025])
def test_names_that_mean_something_else_elsewhere_are_refused(blobs: ContainerBlobs, path: str) -> None:
    with pytest.raises(UsageError, match="no name for a blob"):
        blobs.write(b"x", path)
    with pytest.raises(UsageError, match="no name for a blob"):
        blobs.read(path, limit=1)


def test_this_machines_disk_is_its_own_error(blobs: ContainerBlobs, tmp_path: Path) -> None:
    blobs.write(b"x", "x")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="cannot be written"):
        blobs.download("x", tmp_path / "file" / "x")
    with pytest.raises(StorageError, match="cannot be read"):
        blobs.upload(tmp_path / "missing", "y")


# who may -----------------------------------------------------------------------------------------------------------


def test_a_missing_role_is_named(azure: FakeAzure, blobs: ContainerBlobs) -> None:
    azure.fail_next("PUT", "/x", 403)
    with pytest.raises(UsageError) as caught:
        blobs.write(b"x", "x")
    assert f"'Storage Blob Data Contributor' on the storage account {azure.state.account}" in caught.value.hint


def test_network_rules_are_not_taken_for_a_role(azure: FakeAzure, blobs: ContainerBlobs) -> None:
    azure.fail_next("GET", "/x", 403, code="AuthorizationFailure")
    with pytest.raises(UsageError) as caught:
        blobs.read("x", limit=1)
    assert "network rules" in caught.value.hint


def test_a_token_that_has_expired(azure: FakeAzure, blobs: ContainerBlobs) -> None:
    azure.tokens.skew = -7200
    with pytest.raises(UsageError, match="401") as caught:
        blobs.read("x", limit=1)
    assert "az login" in caught.value.hint
    azure.fail_next("GET", "/x", 403, code="AuthenticationFailed")
    with pytest.raises(UsageError, match="does not accept this login"):
        blobs.read("x", limit=1)


def test_a_token_that_ends_while_a_command_runs_is_renewed(azure: FakeAzure, blobs: ContainerBlobs) -> None:
    azure.azurite.start()  # which takes its time
    azure.tokens.lifetime = 4
    blobs.write(b"x", "x")
    time.sleep(4.1)
    assert blobs.read("x", limit=1) == b"x"
    assert len(azure.requests.find(path="/msi/token")) >= 2


def test_many_threads_share_one(azure: FakeAzure, blobs: ContainerBlobs) -> None:
    names = [f"{number:03}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: blobs.write(name.encode(), name), names))
    assert sorted(blobs.list()) == names
    assert azure.blobs.get(azure.state.default_container, "039") == b"039"


def test_the_callers_own_token_is_used_and_never_a_key(azure: FakeAzure, blobs: ContainerBlobs) -> None:
    blobs.write(b"x", "x")
    assert {call.claims["aud"] for call in azure.requests.find(host="blob")} == {"https://storage.azure.com"}
    azure.assert_clean()


# faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [429, 500, 503, "drop", "drop-answer"])
@pytest.mark.parametrize("size", [1000, 9 * SMALL])
def test_an_upload_goes_on_after_a_fault(
    azure: FakeAzure, blobs: ContainerBlobs, tmp_path: Path, quick: list[float], what: int | str, size: int
) -> None:
    """Also where an attempt had succeeded and only its answer was lost: no conflict with oneself."""
    file = of_size(tmp_path, size)
    azure.fail_next("PUT", "/a/x", what, headers={"Retry-After": "1"} if isinstance(what, int) else None)
    blobs.upload(file, "a/x")
    assert azure.blobs.get(azure.state.default_container, "a/x") == file.read_bytes()
    assert len(quick) == 1
    azure.assert_clean()


def test_a_lost_answer_of_the_last_part_is_no_conflict(
    azure: FakeAzure, blobs: ContainerBlobs, tmp_path: Path, quick: list[float]
) -> None:
    file = of_size(tmp_path, 9 * SMALL)
    azure.fail_next("PUT", "comp=blocklist", "drop-answer")
    blobs.upload(file, "x")
    assert azure.blobs.get(azure.state.default_container, "x") == file.read_bytes()


def test_somebody_elses_blob_after_a_fault_is_a_conflict(
    azure: FakeAzure, blobs: ContainerBlobs, quick: list[float]
) -> None:
    blobs.write(b"theirs", "x")
    azure.fail_next("PUT", "/x", "drop")
    with pytest.raises(ConflictError, match="exists"):
        blobs.write(b"ours", "x")
    assert blobs.read("x", limit=10) == b"theirs"


@pytest.mark.parametrize(
    ("what", "error"),
    [(429, BusyError), (503, UnavailableError), ("drop", OfflineError)],
)
def test_a_fault_that_lasts_is_said_and_leaves_nothing(
    azure: FakeAzure,
    blobs: ContainerBlobs,
    tmp_path: Path,
    quick: list[float],
    what: int | str,
    error: type[CvaError],
) -> None:
    azure.fail_next("PUT", "/x", what, times=100, headers={"Retry-After": "7"} if isinstance(what, int) else None)
    with pytest.raises(error) as caught:
        blobs.upload(of_size(tmp_path, 9 * SMALL), "x")
    assert stored(azure) == []
    assert 3 <= len(quick) <= 8
    if isinstance(caught.value, UnavailableError):
        assert caught.value.retry_after == 7


def test_a_busy_service_is_left_alone_as_long_as_it_asks(
    azure: FakeAzure, blobs: ContainerBlobs, quick: list[float]
) -> None:
    azure.fail_next("PUT", "/x", 429, headers={"Retry-After": "7"}, times=2)
    blobs.write(b"x", "x")
    assert quick == [7.0, 7.0]


def test_a_service_that_asks_for_too_long_is_reported(
    azure: FakeAzure, blobs: ContainerBlobs, quick: list[float]
) -> None:
    azure.fail_next("PUT", "/x", 429, headers={"Retry-After": "3600"})
    with pytest.raises(BusyError) as caught:
        blobs.write(b"x", "x")
    assert caught.value.retry_after == 3600
    assert quick == []


@pytest.mark.parametrize("what", [503, "drop", "cut-answer"])
@pytest.mark.parametrize("size", [1000, 9 * SMALL])
def test_a_download_goes_on_after_a_fault(
    azure: FakeAzure, blobs: ContainerBlobs, tmp_path: Path, quick: list[float], what: int | str, size: int
) -> None:
    file = of_size(tmp_path, size)
    blobs.upload(file, "x")
    azure.fail_next("GET", "/x", what)
    blobs.download("x", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == file.read_bytes()
    azure.assert_clean()


@pytest.mark.parametrize("what", ["drop", "cut-answer"])
def test_a_download_that_breaks_off_leaves_nothing(
    azure: FakeAzure, blobs: ContainerBlobs, tmp_path: Path, quick: list[float], what: str
) -> None:
    blobs.upload(of_size(tmp_path, 9 * SMALL), "x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "got").write_text("what was there before")
    azure.fail_next("GET", "/x", what, times=100)
    with pytest.raises(OfflineError, match="broke"):
        blobs.download("x", tmp_path / "folder" / "got")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["got"]
    assert (tmp_path / "folder" / "got").read_text() == "what was there before"


def test_bytes_that_are_not_those_that_were_written(
    azure: FakeAzure, blobs: ContainerBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stored MD5 is the writer's; Azurite keeps what it is told, so a wrong one stands for damaged bytes."""
    from azure.storage.blob import ContentSettings

    wrong = ContentSettings(content_md5=bytearray(16))
    blobs.write(b"x", "x")
    blobs._client.get_blob_client("x").set_http_headers(wrong)
    with pytest.raises(IntegrityError, match="expected 1 bytes with MD5 0000"):
        blobs.download("x", tmp_path / "x")
    with pytest.raises(IntegrityError):
        blobs.read("x", limit=1)
    assert list(tmp_path.glob("*x*")) == []


def test_no_network_at_all(
    azure: FakeAzure, blobs: ContainerBlobs, quick: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(OfflineError, match="HTTPS_PROXY"):
        blobs.read("x", limit=1)
