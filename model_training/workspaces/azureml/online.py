"""A registered version on a managed online endpoint (SDK v2): deployed beside the present one, tested, then called.

The bundle's own score.py and pinned packages run there; the test is its golden images. A deployment that gets calls is
never changed, and one that does not pass, for whatever reason, is removed: half-made or wrong, it would cost by the
hour. Knows nothing of registering or choosing a version.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from model_training.workspaces.azureml.online_calls import Timing, ask_golden
from model_training.workspaces.azureml.online_endpoint import Deployment, OnlineEndpoint
from model_training.workspaces.azureml.v2.client import Client
from model_training.workspaces.azureml.v2.naming import deployment_name
from model_training.workspaces.base import Event, Reporter, silent
from scoring.errors import ConflictError, CvaError, NotFoundError, SelfTestError, UsageError

SIZE = "Standard_DS3_v2"
AUTHENTICATION = ("aad_token", "key")  # the first wants a role of its callers and has no key that could leak


@dataclass(frozen=True)
class OnlineRequest:
    """`bundle` is the verified folder of that version; `endpoint` is "" for the model's own name."""

    name: str
    version: int
    bundle: Path
    endpoint: str = ""
    size: str = SIZE
    instances: int = 1
    authentication: str = AUTHENTICATION[0]
    calls: int = 0  # of the golden images, over and over; 0: each once
    again: bool = False  # anew, even where it serves: another size, another try
    remove_previous: bool = False

    @property
    def reference(self) -> str:
        return f"{self.name}:{self.version}"

    def is_in(self, deployment: Deployment) -> bool:
        return (deployment.model, deployment.version) == (self.name, str(self.version))

    def fits(self, deployment: Deployment) -> bool:
        """It can be taken as it is; whether it answers as it should is asked in any case."""
        size = (deployment.size.lower(), deployment.instances)
        return deployment.ready and size == (self.size.lower(), self.instances) and not self.again


@dataclass(frozen=True)
class Deployed:
    endpoint: str  # as Azure has it
    deployment: str
    scoring_url: str
    status: str  # deployed, or served where it had the calls already
    timing: Timing  # of the golden images, all answered as expected
    kept: tuple[str, ...]  # other versions that stay there without calls, and cost


def deploy(client: Client, request: OnlineRequest, reporter: Reporter = silent) -> Deployed:
    """Takes about ten minutes on Azure; seconds where that version is there already.

    Raises: SelfTestError (answers that differ; the former version goes on), ConflictError (a strange endpoint),
    UsageError, OfflineError, UnavailableError.
    """
    if request.authentication not in AUTHENTICATION:
        found = f"authentication {request.authentication!r}"
        raise UsageError(f"{found}: expected one of {', '.join(AUTHENTICATION)}")
    endpoint = OnlineEndpoint(client, request.endpoint or request.name)
    entity = endpoint.made(request.authentication)
    there = endpoint.deployments(entity)
    serves = next((each for each in there if each.calls and request.is_in(each)), None)
    if serves and not request.again:
        name, timing = serves.name, _served(endpoint, request, serves, reporter)
    else:
        name = _free_name(request, there)
        ready = any(each.name == name and request.fits(each) for each in there)
        with _on_trial(endpoint, request, name, reporter, ready=ready):
            timing = _tried(endpoint, request, name, reporter, ready=ready)
    if not serves or serves.name != name or serves.calls < 100:
        _give_calls(endpoint, request, name)
    reporter(Event("message", f"{entity.scoring_uri} answers with version {request.version}"))
    kept = _kept(endpoint, request, [each for each in there if each.name != name], reporter)
    status = "served" if serves and serves.name == name else "deployed"
    return Deployed(endpoint.name, name, str(entity.scoring_uri), status, timing, kept)


def undeploy(client: Client, name: str, version: int | None = None, *, endpoint: str = "") -> Sequence[str]:
    """Removes what gets no calls of that model, or of that version; returns the removed ones' names.

    Raises: NotFoundError, ConflictError (it gets calls).
    """
    found = OnlineEndpoint(client, endpoint or name)
    there = found.deployments(found.entity())
    chosen = [each for each in there if each.model == name and each.version == str(version or each.version)]
    idle = [each.name for each in chosen if not each.calls]
    if version is not None and not chosen:
        listed = ", ".join(each.reference for each in there) or "nothing"
        raise NotFoundError(f"{name}:{version} is not deployed on {found.full}; there: {listed}")
    if version is not None and not idle:
        raise ConflictError(
            f"{name}:{version} gets the calls of {found.full}",
            hint="deploy another version first; or remove the whole endpoint, and its address, with --all",
        )
    for each in idle:
        found.remove(each)
    return idle


def remove_endpoint(client: Client, full: str) -> str:
    """With all that is on it; returns its name. Raises: NotFoundError, ConflictError (it is somebody else's)."""
    endpoint = OnlineEndpoint(client, full)
    endpoint.entity()
    endpoint.delete()
    return endpoint.name


def _served(endpoint: OnlineEndpoint, request: OnlineRequest, serves: Deployment, reporter: Reporter) -> Timing:
    """It is asked, and whatever it answers, it is not changed: its callers would see that."""
    reporter(Event("stage", f"{request.reference} is served already, as {serves.name}: ask it for the golden images"))
    try:
        return ask_golden(endpoint.client, endpoint.entity(), serves.name, request.bundle, request.calls)
    except SelfTestError as error:
        error.hint = (
            f"it goes on getting calls; --again deploys this version anew beside it, or deploy another; {error.hint}"
        )
        raise


def _free_name(request: OnlineRequest, there: Sequence[Deployment]) -> str:
    """v03; where that gets calls, or is another model's, v03-2 and so on."""
    usual = deployment_name(request.version)
    taken = {each.name for each in there if each.calls or not request.is_in(each)}
    names = (usual if number == 1 else f"{usual}-{number}" for number in count(1))
    return next(name for name in names if name not in taken)


@contextlib.contextmanager
def _on_trial(
    endpoint: OnlineEndpoint, request: OnlineRequest, name: str, reporter: Reporter, *, ready: bool
) -> Iterator[None]:
    """What does not pass is removed. Where that fails too, the error says that it stays and what to do.

    What was `ready` before is a way back: it goes only for wrong answers. What somebody else changes now is theirs.
    """
    try:
        yield
    except (CvaError, KeyboardInterrupt) as error:
        if isinstance(error, ConflictError) or (ready and not isinstance(error, SelfTestError)):
            raise
        if isinstance(error, (SelfTestError, UsageError)):  # its log goes with it
            _show_log(endpoint, name, reporter)
        try:
            endpoint.remove(name, wait=not isinstance(error, KeyboardInterrupt))
            reporter(Event("message", f"{name} is removed; what served before goes on"))
        except CvaError as second:
            left = f"{name} of {endpoint.name} may be left, and costs by the hour: {_undeploy(request)}"
            reporter(Event("warning", f"{left} ({second.message})"))
            if isinstance(error, CvaError):
                error.hint = f"{left}; then run the same command again"
        raise


def _show_log(endpoint: OnlineEndpoint, name: str, reporter: Reporter) -> None:
    with contextlib.suppress(CvaError):  # it may not be there
        for line in endpoint.log(name).splitlines():
            reporter(Event("message", f"log of {name}: {line}"))


def _undeploy(request: OnlineRequest) -> str:
    where = f" --endpoint {request.endpoint}" if request.endpoint else ""
    return f"remove it with `cva model undeploy {request.name}{where}`"


def _tried(endpoint: OnlineEndpoint, request: OnlineRequest, name: str, reporter: Reporter, *, ready: bool) -> Timing:
    """There, and asked for the golden images. Raises: SelfTestError and what creating raises."""
    if ready:
        reporter(Event("stage", f"{request.reference} is there, without calls, as {name}"))
    else:
        reporter(Event("stage", f"deploy {request.reference} beside what is there, without calls, as {name}"))
        endpoint.deploy(
            name, request.name, request.version, request.bundle, size=request.size, instances=request.instances
        )
    reporter(Event("stage", "ask it for the golden images"))
    return ask_golden(endpoint.client, endpoint.entity(), name, request.bundle, request.calls)


def _give_calls(endpoint: OnlineEndpoint, request: OnlineRequest, name: str) -> None:
    """It has passed, so it stays where this fails: the calls may have moved, and the next try takes it as it is."""
    try:
        endpoint.give_calls(name)
    except CvaError as error:
        error.hint = f"{name} passed its test and stays, and costs: run the same command again, or {_undeploy(request)}"
        raise


def _kept(
    endpoint: OnlineEndpoint, request: OnlineRequest, others: Sequence[Deployment], reporter: Reporter
) -> tuple[str, ...]:
    """The way back, until it is removed; nothing that somebody else made is."""
    gone = [each for each in others if request.remove_previous and each.model == request.name]
    for each in gone:
        endpoint.remove(each.name)
        reporter(Event("message", f"{each.reference} ({each.name}) is removed"))
    return tuple(each.reference for each in others if each not in gone)
