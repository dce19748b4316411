"""The fake as tests use it: one server, a state, a log, faults, and environments for subprocesses."""

from __future__ import annotations

import threading
import traceback
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from tests.fake_azure import checks, surroundings
from tests.fake_azure.azurite import Azurite
from tests.fake_azure.blob_host import BlobHost
from tests.fake_azure.blobs import ServiceBlobs
from tests.fake_azure.certificates import Authority
from tests.fake_azure.faults import Fault, Faults
from tests.fake_azure.log import Call, Log
from tests.fake_azure.messages import Refused, Reply, Request, as_reply, error_of
from tests.fake_azure.routes import Router, Routes, load_tables
from tests.fake_azure.secrecy import Arguments, Secrets
from tests.fake_azure.server import Server
from tests.fake_azure.state import State
from tests.fake_azure.tokens import Tokens


class FakeAzure:
    """`refused` are hosts that were asked for and refused, `unknown` requests without a route, `failures` tracebacks
    of handlers: `assert_clean` wants all three empty and every fault used. `said` is what a test's processes said, and
    `arguments` how they were called: no secret is in either (secrecy.py)."""

    def __init__(self, folder: Path, tables: Iterable[Routes] | None = None) -> None:
        self.folder = folder
        self.state = State()
        self.secrets = Secrets()
        self.arguments = Arguments(folder / "arguments.jsonl")
        self.said: list[str] = []
        self.tokens = Tokens(self.state.tenant, self.secrets.add_token)
        self.authority = Authority(_made(folder / "certificates"))
        self.requests = Log(folder / "requests.jsonl")
        self.faults = Faults()
        self.refused: list[str] = []
        self.unknown: list[str] = []
        self.failures: list[str] = []
        self.lock = threading.RLock()
        self.azurite = Azurite(folder, self.authority, self.state.accounts)
        for key in self.azurite.keys.values():
            self.secrets.add(key, "an account key")
        self._secret_state()
        self.blobs = ServiceBlobs(self)
        self._blob_host = BlobHost(self)
        self._router = Router(load_tables() if tables is None else tables)
        self._server = Server(self)
        self.address = ""
        self.home = _made(folder / "homes" / "0")

    def start(self) -> FakeAzure:
        self.address = self._server.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.azurite.stop()

    def reset(self) -> None:
        """A fresh state, home and log. Containers of an earlier state stay, under names that nobody asks for again."""
        with self.lock:
            self.state = State(identity_secret=self.state.identity_secret)  # of processes that outlive a test
            self._secret_state()
            self.arguments.clear()
            self.tokens.lifetime, self.tokens.skew = 3599, 0
            self.requests.clear()
            self.faults.clear()
            for seen in (self.refused, self.unknown, self.failures, self.said):
                seen.clear()
            self.home = _made(self.folder / "homes" / uuid.uuid4().hex[:8])

    # what a test asks for -------------------------------------------------------------------------------------------

    def fail_next(
        self,
        method: str,
        pattern: str,
        what: int | str,
        *,
        headers: Mapping[str, str] | None = None,
        times: int = 1,
        code: str = "",
        message: str = "",
    ) -> Fault:
        """The next `times` calls of `method` ("": any) whose address holds `pattern` go wrong (faults.py)."""
        import re

        compiled = re.compile(pattern, re.IGNORECASE)
        return self.faults.add(Fault(method, compiled, what, times, headers or {}, code, message))

    def environment(self, **more: str) -> dict[str, str]:
        """For a subprocess that has not signed in."""
        return self._with(surroundings.base(self), more)

    def signed_in(self, **more: str) -> dict[str, str]:
        """After the login of an AzureCLI@2 task through the service connection."""
        return self._with(surroundings.signed_in(self), more)

    def in_pipeline(self, **more: str) -> dict[str, str]:
        """What a DevOps task has before it logs in: the id token's address, its own access token."""
        return self._with(surroundings.in_pipeline(self), more)

    def on_cluster(self, **more: str) -> dict[str, str]:
        """On a node of a cluster that has a managed identity."""
        return self._with(surroundings.on_cluster(self), more)

    def on_machine(self, **more: str) -> dict[str, str]:
        """On a virtual machine with a managed identity: only the metadata address answers."""
        return self._with(surroundings.with_metadata_service(self), more)

    def _with(self, given: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
        """Whatever PYTHONPATH a test wants, the recorder of arguments stays in front of it."""
        merged = {**given, **more}
        return {**merged, **self.arguments.environment(merged.get("PYTHONPATH", ""))}

    def assert_clean(self) -> None:
        assert not self.failures, "the fake itself failed:\n" + "\n".join(self.failures)
        assert not self.unknown, f"no route for {self.unknown}"
        assert not self.refused, f"refused hosts: {self.refused}"
        assert not self.faults.left, f"faults that did not happen: {self.faults.left}"

    # what the server asks for ---------------------------------------------------------------------------------------

    def handle(self, kind: str, request: Request, call: Call, fault: Fault | None, target: str) -> Reply:
        try:
            if fault is not None and isinstance(fault.what, int):
                raise fault.refusal(kind)
            if kind == "blob":
                call.claims = checks.authorize_blob(request, self.tokens)
                return self._blob_host.forward(request, target)
            return self._routed(kind, request, call)
        except Refused as refused:
            return refused.reply
        except Exception as error:  # a mistake in a handler must reach the test, which runs in another thread
            self.failed(error)
            return Reply(500, {"error": {"code": "FakeFailed", "message": f"the fake itself failed: {error!r}"}})

    def hang_up(self) -> None:
        """A client's connection has ended, and with it this thread."""
        self._blob_host.close()

    def _secret_state(self) -> None:
        self.secrets.add(self.state.system_access_token, "the pipeline's own token")
        self.secrets.add(self.state.identity_secret, "the identity's secret")

    def failed(self, error: BaseException | None) -> None:
        self.failures.append("".join(traceback.format_exception(error)) if error else "unknown")

    def _routed(self, kind: str, request: Request, call: Call) -> Reply:
        found = self._router.find(kind, request.method, request.path)
        if found is None:
            self.unknown.append(f"{request.method} https://{request.host}{request.path}")
            raise error_of(kind, 501, "NoRoute", f"the fake has no route for {request.method} {request.path}")
        route, groups = found
        claims = checks.authorize(kind, route, request, self.tokens)
        call.claims = {name: claims[name] for name in ("aud", "oid", "appid") if name in claims}
        if kind == "arm":
            checks.check_version(request)
        with self.lock:
            checks.check_place(kind, groups, self.state)
            own = {name: value for name, value in groups.items() if not name.endswith("_")}
            return as_reply(route.handler(self, replace(request, claims=claims), **own))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
