"""Reading a folder from a web server that drops, waits, refuses, lies, and never learns or leaks a secret."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scoring.edge.credential import BLOB_VERSION, Credential
from scoring.edge.registry import read_up_to
from scoring.edge.static import StaticRegistry
from scoring.edge.web import WebFolder, retry_after
from scoring.errors import CvaError, IntegrityError, NotFoundError, OfflineError, UsageError
from tests.scoring.edge.webserver import Behaviour, serve, tag_of

DATA = bytes(range(256)) * 40


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Behaviour]]:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/file").write_bytes(DATA)
    with serve(tmp_path / "web") as (url, behaviour):
        yield url, behaviour


@pytest.fixture
def waited() -> list[float]:
    return []


def folder(url: str, waited: list[float], **options: Any) -> WebFolder:
    return WebFolder(url, sleep=waited.append, **options)


def read(folder: WebFolder) -> bytes:
    with folder.open("file") as file:
        return read_up_to(file, 1 << 20)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_dropped_line_is_taken_up_where_it_ended(
    server: tuple[str, Behaviour], waited: list[float], ranges: bool
) -> None:
    url, told = server
    told.drop_after, told.drops, told.ranges = 4000, 2, ranges
    assert read(folder(url, waited)) == DATA
    asked = [headers.get("range") for _, headers in told.seen]
    assert asked[:2] == [None, "bytes=4000-"]
    assert told.seen[1][1]["if-match"] == tag_of(DATA)


def test_a_line_that_always_drops_is_offline(server: tuple[str, Behaviour], waited: list[float]) -> None:
    url, told = server
    told.drop_after, told.drops, told.ranges = 0, 100, False
    with pytest.raises(OfflineError, match="stopped while sending file"):
        read(folder(url, waited))
    assert len(told.seen) == 4


def test_a_line_that_drops_often_is_borne_as_long_as_it_brings_something(
    server: tuple[str, Behaviour], waited: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, told = server
    monkeypatch.setattr("scoring.edge.web.GOOD_STRETCH", 1000)
    told.drop_after, told.drops = 1500, 100
    assert read(folder(url, waited, attempts=2)) == DATA
    assert len(told.seen) == 7
    told.drop_after, told.drops = 100, 100
    with pytest.raises(OfflineError, match="stopped while sending"):
        read(folder(url, waited, attempts=3))
    assert len(told.seen) == 10


def test_what_changed_meanwhile_is_not_glued_together(server: tuple[str, Behaviour], waited: list[float]) -> None:
    url, told = server
    told.drop_after, told.drops = 4000, 1
    with folder(url, waited).open("file") as file:
        told.faults.append((412, {}))  # what If-Match says of another file
        with pytest.raises(OfflineError, match="412"):
            read_up_to(file, 1 << 20)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(server: tuple[str, Behaviour], waited: list[float], status: int) -> None:
    url, told = server
    told.faults += [(status, {}), (status, {"Retry-After": "7"}), (status, {"Retry-After": "9999"})]
    assert read(folder(url, waited)) == DATA
    assert 0.5 <= waited[0] <= 1
    assert waited[1:] == [7, 30]


def test_in_the_end_it_is_offline(server: tuple[str, Behaviour], waited: list[float]) -> None:
    url, told = server
    told.faults += [(503, {})] * 10
    with pytest.raises(OfflineError, match="answered 503"):
        read(folder(url, waited))
    assert (len(told.seen), len(waited)) == (4, 3)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (404, NotFoundError, "has no file"),
        (401, OfflineError, "refuses to give file: 401"),
        (403, OfflineError, "refuses to give file: 403"),
        (301, OfflineError, "sends elsewhere"),
        (307, OfflineError, "sends elsewhere"),
        (400, OfflineError, "answered 400"),
    ],
)
def test_an_answer_that_will_not_change(
    server: tuple[str, Behaviour], waited: list[float], status: int, error: type[CvaError], words: str
) -> None:
    url, told = server
    told.faults.append((status, {"Location": f"{url}/file"}))
    with pytest.raises(error, match=words):
        read(folder(url, waited))
    assert (len(told.seen), waited) == (1, [])


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}])
def test_what_is_not_the_bytes_themselves_is_refused(
    server: tuple[str, Behaviour], waited: list[float], headers: dict[str, str]
) -> None:
    url, told = server
    told.headers = headers
    with pytest.raises(IntegrityError, match="something else"):
        read(folder(url, waited))


def test_nobody_there(waited: list[float]) -> None:
    with pytest.raises(OfflineError, match="refused"):
        read(folder("http://127.0.0.1:9", waited))
    with pytest.raises(OfflineError, match=r"nowhere\.invalid"):
        read(folder("https://nowhere.invalid", waited))


def test_a_server_that_never_answers_is_given_up(waited: list[float]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(OfflineError, match="timed out"):
            read(folder(url, waited, timeout=0.05, attempts=2))


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(
    server: tuple[str, Behaviour], waited: list[float]
) -> None:
    """Each byte comes in time, the file never would."""
    url, told = server
    told.trickle = 0.02
    with pytest.raises(OfflineError, match="too slowly"):
        read(folder(url, waited, patience=0.1))


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, tls: Any, waited: list[float]) -> None:
    with serve(tmp_path, tls[1]) as (url, told):
        with pytest.raises(OfflineError, match="certificate is not trusted"):
            read(folder(url, waited))
        assert told.seen == []
        (tmp_path / "file").write_bytes(DATA)
        assert read(folder(url, waited, context=ssl.create_default_context(cafile=tls[0]))) == DATA


def test_an_index_has_a_ceiling(
    server: tuple[str, Behaviour], waited: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, told = server
    (told.root / "registry.json").write_bytes(b" " * 5000)
    monkeypatch.setattr("scoring.edge.static.MAX_INDEX_BYTES", 4000)
    with pytest.raises(IntegrityError, match="at most 4000 bytes"):
        StaticRegistry(folder(url, waited)).resolve("Caps", "1")


@pytest.mark.parametrize("tags", [{}, {"ETag": 'W/"7"'}, {"ETag": ""}], ids=["strong", "weak", "none"])
def test_an_index_is_sent_again_only_when_it_changed(
    server: tuple[str, Behaviour], waited: list[float], tags: dict[str, str]
) -> None:
    url, told = server
    registry = StaticRegistry(folder(url, waited))
    put_index(told.root, 1)
    told.headers = tags
    first = registry.resolve("Caps", "latest")
    assert [registry.resolve("Caps", word) for word in ("latest", "1", "")] == [first] * 3
    assert told.answered == ([200] * 4 if tags == {"ETag": ""} else [200, 304, 304, 304])
    put_index(told.root, 2)
    told.headers = {}
    assert registry.resolve("Caps", "latest").version == 2
    assert told.answered[-1] == 200


def put_index(folder: Path, *versions: int) -> None:
    entries = {str(each): {"path": f"Caps/{each}", "manifest_sha256": f"{each}" * 64} for each in versions}
    (folder / "registry.json").write_text(json.dumps({"schema": 1, "models": {"Caps": {"versions": entries}}}))


def test_what_nobody_asked_for_is_no_answer(server: tuple[str, Behaviour], waited: list[float]) -> None:
    url, told = server
    told.faults = [(304, {})]
    with pytest.raises(OfflineError, match="304"):
        StaticRegistry(folder(url, waited)).resolve("Caps", "latest")


def test_a_sas_is_a_query_and_a_token_a_header(server: tuple[str, Behaviour], waited: list[float]) -> None:
    url, told = server
    told.sas = "sv=2023-11-03&sp=r&sig=a%2Bb%3D"
    assert read(folder(url, waited, credential=Credential.of({"CVA_REGISTRY_SAS": "?" + told.sas + "\n"}))) == DATA
    told.sas, told.token = "", "eyJ.token"
    assert read(folder(url, waited, credential=Credential.of({"CVA_REGISTRY_TOKEN": told.token}))) == DATA
    assert told.seen[-1][1]["x-ms-version"] == BLOB_VERSION


def test_a_token_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("eyJ.token\n")
    environ = {"CVA_REGISTRY_TOKEN_FILE": str(tmp_path / "token"), "CVA_REGISTRY_TOKEN": "other"}
    assert Credential.of(environ).token == "eyJ.token"
    with pytest.raises(UsageError, match="cannot read the token file"):
        Credential.of({"CVA_REGISTRY_TOKEN_FILE": str(tmp_path / "none")})
    with pytest.raises(UsageError, match="CVA_REGISTRY_SAS") as caught:
        Credential.of({"CVA_REGISTRY_SAS": "sig=secret\r\nHost: elsewhere"})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 503])
def test_no_error_tells_the_secret(server: tuple[str, Behaviour], waited: list[float], status: int) -> None:
    url, told = server
    for environ in ({"CVA_REGISTRY_SAS": "sig=TOPSECRET"}, {"CVA_REGISTRY_TOKEN": "TOPSECRET"}):
        told.faults[:] = [(status, {})] * 4
        credential = Credential.of(environ)
        with pytest.raises(CvaError) as caught:
            read(folder(url, waited, credential=credential))
        error: BaseException | None = caught.value
        while error is not None:
            assert "TOPSECRET" not in f"{error} {error!r}"
            error = error.__cause__
        assert "TOPSECRET" not in repr(folder(url, waited, credential=credential))


def test_nobody_there_tells_no_secret_either(waited: list[float]) -> None:
    with pytest.raises(OfflineError) as caught:
        read(folder("http://127.0.0.1:9", waited, credential=Credential("sig=TOPSECRET")))
    assert "TOPSECRET" not in str(caught.value)


def test_retry_after() -> None:
    assert retry_after("12") == 12
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now=1445412470.0) == 10
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now=time.time()) == 0
    assert (
        retry_after("soon")
        is retry_after("²")
        is retry_after("9" * 400)
        is retry_after("")
        is retry_after(None)
        is None
    )
