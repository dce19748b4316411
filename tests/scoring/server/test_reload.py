"""A new version goes live whole or not at all; the old one serves on through whatever the new one does."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import threading
import time
import types
import weakref
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path

import pytest

from scoring.edge.registry import LocalRegistry
from scoring.errors import NotReadyError, StorageError
from scoring.server.pulled import PulledModel, open_source
from scoring.server.reload import Opening, Reloader
from scoring.server.service import Service
from scoring.server.settings import ServeSettings
from scoring.server.source import BundleFolder, Candidate, Source, load
from tests.scoring.edge.conftest import Shelf
from tests.scoring.server import versions
from tests.scoring.server.process import PATIENCE, until
from tests.scoring.server.running import Running

Make = Callable[..., Path]


@pytest.fixture
def shelf(tmp_path: Path, tiny_bundle: Make) -> Shelf:
    return Shelf(tmp_path / "workspace", tiny_bundle)


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service(ServeSettings(workers=1))
    yield made
    made.close()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def reloader(shelf: Shelf, service: Service, told: list[str]) -> Reloader:
    """Version 1 serves, the registry's latest is followed, nobody looks but the test."""
    versions.put(shelf, 1)
    made = Reloader(open_source(model="Caps", environ={}), service, seconds=0, tell=told.append)
    made.look()
    assert served(service) == "1"
    told.clear()
    return made


def served(service: Service) -> str:
    """The version that answers, and by its answer that it is that one."""
    answer = asyncio.run(service.score([versions.picture()], seconds=30))
    [scored] = answer.images
    assert scored is not None and scored.found is not None
    assert len(scored.found) == versions.boxes_of(int(answer.model.version))
    return answer.model.version


def test_a_new_version_goes_live(reloader: Reloader, service: Service, shelf: Shelf, told: list[str]) -> None:
    versions.put(shelf, 2)
    reloader.look()
    assert served(service) == "2"
    assert told == ["loaded"]


def test_nothing_new_is_no_load(reloader: Reloader, service: Service, told: list[str]) -> None:
    model = service.model
    reloader.look()
    reloader.look(forced=True)
    assert service.model is model
    assert told == []


def test_the_champion_may_go_back_to_an_older_version(reloader: Reloader, service: Service, shelf: Shelf) -> None:
    versions.put(shelf, 2)
    reloader.look()
    shelf.register(2, champion=1)
    reloader.look()
    assert served(service) == "1"


@pytest.mark.parametrize("bad", versions.BAD, ids=lambda each: each.__name__)
def test_a_bad_version_never_goes_live_and_the_old_one_serves_on(
    reloader: Reloader,
    service: Service,
    shelf: Shelf,
    told: list[str],
    bad: Callable[[Shelf, int], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad(shelf, 2)
    reloader.look()
    assert served(service) == "1"
    assert told == ["rejected"]
    assert reloader.rejected is not None
    assert reloader.rejected.version == "2"
    assert reloader.status()["rejected"]["reason"] == reloader.rejected.reason != ""
    assert reloader.rejected.reason.count("the self-test of") <= 1
    assert "Caps:2 was refused, Caps:1 serves on" in caplog.text
    assert "Traceback" not in caplog.text

    reloader.look()
    assert told == ["rejected"], "it is remembered, not tried at every look"
    reloader.look(forced=True)
    assert told == ["rejected", "rejected"], "somebody who asks gets another try"

    versions.put(shelf, 3)
    reloader.look()
    assert served(service) == "3"
    assert reloader.status()["rejected"] is None


def test_a_version_that_cannot_be_tried_in_time_is_tried_again_later(
    service: Service, shelf: Shelf, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy device says nothing about a version: it is not remembered, and not tried at every look either."""
    versions.put(shelf, 1)
    opening = Opening(selftest_seconds=0.001)
    made = Reloader(open_source(model="Caps", environ={}), service, seconds=0, opening=opening, tell=told.append)
    made.look()
    versions.put(shelf, 2)
    made.look()
    made.look()
    assert (served(service), made.rejected, told) == ("1", None, ["loaded", "unavailable"])
    assert "no answer within 0.001 s" in made.status()["trouble"]
    made._opening = Opening()
    monkeypatch.setattr("scoring.server.reload.time", types.SimpleNamespace(monotonic=lambda: time.monotonic() + 61))
    made.look()
    assert (served(service), told, made.status()["trouble"]) == ("2", ["loaded", "unavailable", "loaded"], None)


def test_it_waits_longer_each_time_unless_somebody_asks(
    reloader: Reloader, service: Service, shelf: Shelf, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("scoring.server.reload.time", types.SimpleNamespace(monotonic=lambda: now[0]))
    with monkeypatch.context() as patch:
        patch.setattr("scoring.server.reload.warm_up", _fails)
        versions.put(shelf, 2)
        for seconds, attempts in ((0, 1), (59, 1), (2, 2), (119, 2), (2, 3)):
            now[0] += seconds
            reloader.look()
            assert told == ["unavailable"] * attempts
        reloader.look(forced=True)
        assert (told, served(service)) == (["unavailable"] * 4, "1")
        assert "too little memory" in reloader.status()["trouble"]
    reloader.look(forced=True)
    assert served(service) == "2"


def test_what_changed_during_the_self_test_never_runs(
    reloader: Reloader, service: Service, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(folder: Path, **options: object) -> None:
        path = folder / "model.onnx"
        path.write_bytes(path.read_bytes().replace(b"tiny", b"tinz"))
        asked.update(options)

    asked: dict[str, object] = {}
    reloader._opening = Opening(provider="cpu", selftest_seconds=7)
    monkeypatch.setattr("scoring.server.reload.self_test", change)
    versions.put(shelf, 2)
    reloader.look()
    assert served(service) == "1"
    assert reloader.rejected is not None and "differs from its manifest" in reloader.rejected.reason
    assert asked == {"provider": "cpu", "timeout": 7}


def test_a_registry_that_is_away_is_a_warning_once(
    reloader: Reloader, service: Service, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    index = shelf.models / "registry.json"
    text = index.read_bytes()
    index.unlink()
    reloader.look()
    reloader.look()
    assert served(service) == "1"
    assert caplog.text.count("cannot look for a new model") == 1
    assert reloader.status()["trouble"]
    index.write_bytes(text)
    reloader.look()
    assert reloader.status()["trouble"] is None


def test_a_repaired_folder_is_tried_again_when_somebody_asks(
    reloader: Reloader, service: Service, shelf: Shelf
) -> None:
    path = versions.put(shelf, 2) / "labels.json"
    good = path.read_bytes()
    path.write_bytes(b"[]")
    reloader.look()
    assert served(service) == "1"
    path.write_bytes(good)
    reloader.look(forced=True)
    assert served(service) == "2"


def test_a_refused_bundle_is_remembered_though_its_folder_was_touched(
    service: Service, shelf: Shelf, tmp_path: Path, told: list[str]
) -> None:
    versions.put(shelf, 1)
    versions.wrong_answers(shelf, 2)
    link = tmp_path / "current"
    link.symlink_to(shelf.models / "Caps" / "1")
    made = Reloader(BundleFolder(link), service, seconds=0, tell=told.append)
    made.look()
    link.unlink()
    link.symlink_to(shelf.models / "Caps" / "2")
    for _ in range(3):
        made.look()
        (link / "manifest.json").touch()
    assert told == ["loaded", "rejected"]
    assert served(service) == "1"


class Flaky:
    """A source whose disk fails the first times."""

    patient = True

    def __init__(self, source: Source, failures: int) -> None:
        self.source, self.failures = source, failures

    def look(self) -> Hashable:
        return self.source.look()

    def find(self) -> Candidate:
        if self.failures:
            self.failures -= 1
            raise StorageError("cannot read the disk")
        return self.source.find()

    def refuse(self, candidate: Candidate, why: str) -> None:
        self.source.refuse(candidate, why)


def test_a_disk_that_fails_is_tried_again_at_the_next_look(service: Service, shelf: Shelf, told: list[str]) -> None:
    versions.put(shelf, 1)
    made = Reloader(Flaky(open_source(model="Caps", environ={}), 2), service, seconds=0, tell=told.append)
    made.look()
    assert service.reason == "cannot read the disk"
    with pytest.raises(NotReadyError, match="cannot read the disk"):
        served(service)
    made.look()
    made.look()
    assert served(service) == "1"
    assert told == ["unavailable", "unavailable", "loaded"]


def test_with_no_model_the_thread_tries_until_there_is_one(service: Service, shelf: Shelf) -> None:
    made = Reloader(open_source(model="Caps", environ={}), service, seconds=0)
    made.start()
    try:
        until(lambda: "registry.json" in service.reason)
        versions.put(shelf, 1)
        until(lambda: service.model is not None)
        assert served(service) == "1"
    finally:
        made.close()


def test_the_thread_looks_by_itself(service: Service, shelf: Shelf) -> None:
    versions.put(shelf, 1)
    source = open_source(model="Caps", environ={})
    service.use(load(source, threads=1, provider="cpu"))
    made = Reloader(source, service, seconds=0.05)
    made.start()
    try:
        versions.put(shelf, 2)
        until(lambda: served(service) == "2")
    finally:
        made.close()


def test_without_seconds_it_looks_only_when_asked(service: Service, shelf: Shelf) -> None:
    versions.put(shelf, 1)
    looks: list[int] = []

    class Counting(BundleFolder):
        def look(self) -> Hashable:
            looks.append(1)
            return super().look()

    source = Counting(shelf.models / "Caps" / "1")
    service.use(load(source, threads=1, provider="cpu"))
    made = Reloader(source, service, seconds=0)
    made.start()
    try:
        assert looks == []
        made.ask()
        until(lambda: looks == [1])
    finally:
        made.close()


def test_one_look_is_an_answer_to_all_who_asked(service: Service, shelf: Shelf) -> None:
    versions.put(shelf, 1)
    source = open_source(model="Caps", environ={})
    service.use(load(source, threads=1, provider="cpu"))
    finds: list[int] = []

    class Counting(Flaky):
        def find(self) -> Candidate:
            finds.append(1)
            return super().find()

    made = Reloader(Counting(source, 0), service, seconds=0)
    for _ in range(50):
        made.ask()
    made.start()
    until(lambda: bool(finds))
    made.close()
    assert finds == [1]


def test_there_are_never_two_loads_at_a_time(service: Service, shelf: Shelf) -> None:
    versions.put(shelf, 1)
    here, most = [0], [0]

    class Slow(Flaky):
        def find(self) -> Candidate:
            here[0] += 1
            most[0] = max(most[0], here[0])
            time.sleep(0.02)
            here[0] -= 1
            return super().find()

    made = Reloader(Slow(open_source(model="Caps", environ={}), 0), service, seconds=0)
    threads = [threading.Thread(target=lambda: made.look(forced=True)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert served(service) == "1"


def test_the_old_session_is_freed_after_its_last_request(reloader: Reloader, service: Service, shelf: Shelf) -> None:
    assert service.model is not None
    session = weakref.ref(service.model.detector)
    versions.put(shelf, 2)
    reloader.look()
    assert served(service) == "2"
    gc.collect()
    assert session() is None


def test_what_the_server_refuses_is_rolled_back_in_its_own_store(
    service: Service, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pull found it good, this process does not: the next start must not meet it again."""
    versions.put(shelf, 1)
    source = PulledModel(LocalRegistry.of(), "Caps", "latest", tmp_path / "kept")
    made = Reloader(source, service, seconds=0)
    made.look()
    versions.put(shelf, 2)
    monkeypatch.setattr("scoring.server.reload.warm_up", _crashes)
    made.look()
    assert served(service) == "1"
    assert source.store.current() == 1
    made.look()
    assert made.rejected is not None
    assert "out of range" in made.rejected.reason


def test_a_first_model_that_cannot_be_used_gives_way_to_the_one_before(
    service: Service, shelf: Shelf, tmp_path: Path
) -> None:
    for version in (1, 2):
        versions.put(shelf, version)
        source = PulledModel(LocalRegistry.of(), "Caps", "latest", tmp_path / "kept")
        source.find()
    (source.store.folder(2) / "model.onnx").write_bytes(b"damaged on the card")
    (shelf.models / "registry.json").unlink()  # offline
    made = Reloader(source, service, seconds=0)
    made.look()
    assert "differs from its manifest" in service.reason
    made.look()
    assert served(service) == "1"


def _fails(detector: object) -> None:
    raise MemoryError("no memory")


def _crashes(detector: object) -> None:
    raise IndexError("out of range")


class Client(threading.Thread):
    """Asks again and again on one connection, and keeps what it heard."""

    def __init__(self, server: Running) -> None:
        super().__init__()
        self.server, self.end, self.error = server, False, ""
        self.heard: list[tuple[int, str, int]] = []  # status, version, boxes

    @property
    def last(self) -> str:
        return self.heard[-1][1] if self.heard else ""

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
        headers = {"content-type": "image/png"}
        try:
            while not self.end:
                connection.request("POST", "/score", versions.picture(), headers)
                answer = connection.getresponse()
                body = answer.read()
                version = answer.headers["x-model-version"] or ""
                self.heard.append((answer.status, version, len(json.loads(body)[0]["boxes"])))
        except Exception as error:
            self.error = repr(error)
        finally:
            connection.close()


def test_under_load_no_request_is_dropped_and_every_answer_is_of_the_version_it_names(
    serve: Callable[..., Running], shelf: Shelf
) -> None:
    versions.put(shelf, 1)
    source = open_source(model="Caps", environ={})
    server = serve(model=load(source, threads=1, provider="cpu"))
    made = Reloader(source, server.context.service, seconds=0.02, tell=server.context.metrics.reload)
    made.start()
    clients = [Client(server) for _ in range(8)]
    for client in clients:
        client.start()
    sessions = []
    for version in range(2, 7):
        put = versions.wrong_answers if version == 4 else versions.put
        put(shelf, version)
        _wait_for(str(version), made, server, clients)
        assert (_live(server) == str(version)) is (version != 4)
        sessions.append(weakref.ref(server.context.service.model.detector))  # type: ignore[union-attr]
    for client in clients:
        client.end = True
    for client in clients:
        client.join()
    made.close()
    assert [client.error for client in clients] == [""] * len(clients)
    heard = [each for client in clients for each in client.heard]
    assert {status for status, _, _ in heard} == {200}
    assert [each for each in heard if each[2] != versions.boxes_of(int(each[1]))] == []
    assert {version for _, version, _ in heard} == {"1", "2", "3", "5", "6"}
    for client in clients:  # nobody hears an old version after a new one
        assert [version for _, version, _ in client.heard] == sorted(version for _, version, _ in client.heard)
    gc.collect()
    alive = {id(session()) for session in sessions if session() is not None}
    assert len(alive) == 1, "the sessions of old versions are freed"
    metrics = server.get("/metrics").body.decode()
    assert 'cva_reloads_total{outcome="loaded"} 4.0' in metrics
    assert 'cva_reloads_total{outcome="rejected"} 1.0' in metrics


def _wait_for(version: str, made: Reloader, server: Running, clients: list[Client]) -> None:
    """Until it is live or refused, and every client has heard the one that serves now."""
    until(lambda: version in (_live(server), made.rejected.version if made.rejected else ""))
    until(lambda: all(client.error or client.last == _live(server) for client in clients))


def _live(server: Running) -> str:
    model = server.context.service.model
    return model.version if model else ""


def test_a_request_that_nobody_scored_in_time_keeps_no_old_model(
    reloader: Reloader, service: Service, shelf: Shelf
) -> None:
    assert service.model is not None
    session = weakref.ref(service.model.detector)
    answer = asyncio.run(service.score([versions.picture()], seconds=0))
    assert not answer.complete
    del answer
    versions.put(shelf, 2)
    reloader.look()
    until(lambda: service.waiting == 0)
    time.sleep(0.05)  # the worker puts it away
    gc.collect()
    assert session() is None
