"""A new version goes live only after it was verified, self-tested, opened and warmed up; until then the old one serves.

One thread does all of it, so there are never two loads at a time. A version that failed is remembered by its
manifest's hash and not tried again until somebody asks (`ask`, SIGHUP) or another one is there; one that could not be
tried for want of time or memory is tried again by itself, later each time. Knows nothing about HTTP or where models
come from.
"""

from __future__ import annotations

import logging
import queue
import signal
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from scoring.detector import Detector
from scoring.edge.selftest import self_test
from scoring.errors import CvaError, IncompatibleError, IntegrityError, SelfTestError, UntestedError
from scoring.server.service import ServedModel, Service
from scoring.server.source import Candidate, Source, open_model, verify

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between attempts while there is no model
FIRST_DELAY, LONGEST_DELAY = 60.0, 3600.0  # seconds until a version is tried again that could not be tried
CLOSING = 10.0  # seconds that the end of the server waits for a load that is under way
LOADED, REJECTED, UNAVAILABLE = "loaded", "rejected", "unavailable"
_NEVER: Hashable = object()


@dataclass(frozen=True)
class Rejected:
    """A version that did not go live, and why."""

    name: str
    version: str
    manifest_sha256: str
    reason: str
    at: str


@dataclass(frozen=True)
class Opening:
    """How a model is opened."""

    threads: int = 1
    provider: str = "cpu"
    selftest_seconds: float = 120


class Reloader:
    """`seconds` between looks, 0 for only when asked. `tell` hears of each attempt: loaded, rejected, unavailable."""

    def __init__(
        self,
        source: Source,
        service: Service,
        *,
        seconds: float,
        opening: Opening | None = None,
        tell: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self.source, self.service, self.seconds = source, service, seconds
        self.rejected: Rejected | None = None  # the last one, until another version goes live
        self._opening, self._tell = opening or Opening(), tell
        self._refused: set[str] = set()
        self._later: dict[str, tuple[float, float]] = {}  # manifest_sha256 -> when it may be tried, the last delay
        self._mark: Hashable = _NEVER
        self._trouble = ""
        self._pause = FIRST_PAUSE
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()  # True: look, False: end
        self._busy = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="reload", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask(self) -> None:
        """Look at once, also at what was refused before. Safe in a signal handler (`SimpleQueue.put` is reentrant)."""
        self._asked.put(True)

    def close(self) -> None:
        self._asked.put(False)
        if self._thread.is_alive():
            self._thread.join(CLOSING)

    def status(self) -> dict[str, Any]:
        """For /metadata: the version that was last refused, what stands in the way of looking."""
        refused = asdict(self.rejected) if self.rejected else None
        return {"seconds": self.seconds, "rejected": refused, "trouble": self._trouble or None}

    def look(self, *, forced: bool = False) -> None:
        """Once through it all, in the caller's thread. Raises nothing: whatever fails, what serves goes on."""
        with self._busy:
            if forced:
                self._refused.clear()
                self._later.clear()
                self._mark = _NEVER
            try:
                candidate = self._changed()
                if candidate is not None and self._waits(candidate):
                    return
                if candidate is not None and not self._known(candidate):
                    self._bring(candidate)
                self._trouble = ""
            except CvaError as error:
                self._unavailable(error.message)
            except Exception as error:  # the thread must outlive anything a model or a disk can do
                self._unavailable(f"{type(error).__name__}: {error}")

    def _run(self) -> None:
        if self.service.model is None:
            self.look()
        while True:
            try:
                goes_on = self._asked.get(timeout=self._wait())
            except queue.Empty:
                self.look()
                continue
            while not self._asked.empty():  # one look is an answer to all who asked
                goes_on = self._asked.get() and goes_on
            if not goes_on:
                return
            self.look(forced=True)

    def _wait(self) -> float | None:
        if self.service.model is not None:
            self._pause = FIRST_PAUSE
            return self.seconds or None
        longest = max(FIRST_PAUSE, min(self.seconds or LONGEST_PAUSE, LONGEST_PAUSE))
        pause, self._pause = min(self._pause, longest), self._pause * 2
        return pause

    def _changed(self) -> Candidate | None:
        """What is there, where that may be something else than at the last look."""
        mark = self.source.look()
        if mark == self._mark:
            return None
        candidate = self.source.find()
        self._mark = mark
        return candidate

    def _known(self, candidate: Candidate) -> bool:
        live = self.service.model
        is_live = live is not None and _identity(live) == _identity(candidate)
        return is_live or candidate.manifest_sha256 in self._refused

    def _waits(self, candidate: Candidate) -> bool:
        """Its time has not come; with no model at all every look is an attempt."""
        due, _ = self._later.get(candidate.manifest_sha256, (0.0, 0.0))
        waits = self.service.model is not None and time.monotonic() < due
        self._mark = _NEVER if waits else self._mark
        return waits

    def _postpone(self, candidate: Candidate) -> None:
        _, last = self._later.get(candidate.manifest_sha256, (0.0, FIRST_DELAY / 2))
        delay = min(LONGEST_DELAY, 2 * last)
        self._later[candidate.manifest_sha256] = time.monotonic() + delay, delay
        self._mark = _NEVER

    def _bring(self, candidate: Candidate) -> None:
        try:
            served = self._prepare(candidate)
        except UntestedError:
            self._postpone(candidate)
            raise
        except MemoryError as error:
            self._postpone(candidate)
            raise UntestedError(f"{_title(candidate)} could not be opened: too little memory: {error}") from error
        except (IntegrityError, SelfTestError, IncompatibleError) as error:
            self._reject(candidate, error.message)
        except CvaError:
            self._mark = _NEVER  # a full disk or a folder that went away: it may be there the next time
            raise
        except Exception as error:  # whatever a file or the runtime can do, it is this version that did it
            self._reject(candidate, f"{type(error).__name__}: {error}")
        else:
            self.service.use(served)
            self.rejected = None
            self._tell(LOADED)
            log.info("model %s serves now", _title(candidate))

    def _prepare(self, candidate: Candidate) -> ServedModel:
        bundle = verify(candidate)
        if self.service.model is not None:
            opening = self._opening
            self_test(candidate.folder, provider=opening.provider, timeout=opening.selftest_seconds)
        served = open_model(candidate, bundle, threads=self._opening.threads, provider=self._opening.provider)
        warm_up(served.detector)
        return served

    def _reject(self, candidate: Candidate, why: str) -> None:
        self._refused.add(candidate.manifest_sha256)
        now = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
        self.rejected = Rejected(candidate.name, candidate.version, candidate.manifest_sha256, why, now)
        self._tell(REJECTED)
        live = self.service.model
        if live is None:
            self.service.not_ready(why)
            log.warning("model %s was refused, there is none to serve: %s", _title(candidate), why)
        else:
            log.warning("model %s was refused, %s serves on: %s", _title(candidate), _title(live), why)
        self.source.refuse(candidate, why)
        self._mark = _NEVER if live is None else self._mark  # the source may have gone back to an older one

    def _unavailable(self, why: str) -> None:
        self._tell(UNAVAILABLE)
        if self.service.model is None:
            self.service.not_ready(why)
        if why != self._trouble:  # once, not at every look
            log.warning("cannot look for a new model: %s", why)
        self._trouble = why


def warm_up(detector: Detector) -> None:
    """One inference, so that the first request does not pay for it and a graph that cannot run never goes live.

    Raises: IncompatibleError.
    """
    from PIL import Image

    height, width = detector.bundle.preprocess.size
    detector.detect([Image.new("RGB", (width, height))], batch_size=1)


def listen_for_hangup(reloader: Reloader) -> None:
    """SIGHUP asks for a look; only in the main thread, and not where the system has no such signal."""
    if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, lambda number, frame: reloader.ask())


def _identity(model: Candidate | ServedModel) -> tuple[str, str, str]:
    return model.name, model.version, model.manifest_sha256


def _title(model: Candidate | ServedModel) -> str:
    return f"{model.name}:{model.version}" if model.version else model.name
