"""One writer at a time: a file lock across processes and (reentrant) threads. Knows nothing about what it guards."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scoring.errors import ConflictError

POLL_SECONDS = 0.05
_registry: dict[tuple[int, Path], FileLock] = {}
_registry_guard = threading.Lock()


class FileLock:
    """An flock: the system drops it when its process dies, however it dies. The same thread may take it again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread = threading.RLock()
        self._depth = 0
        self._descriptor = -1

    @contextmanager
    def hold(self, *, timeout: float = 600.0) -> Iterator[None]:
        """Raises: ConflictError when another process keeps it for longer than `timeout` seconds."""
        deadline = time.monotonic() + timeout
        if not self._thread.acquire(timeout=max(timeout, 0)):
            raise self._busy()
        try:
            if self._depth == 0:
                self._descriptor = self._lock(deadline)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    os.close(self._descriptor)
        finally:
            self._thread.release()

    def _lock(self, deadline: float) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        while not try_lock(descriptor):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise self._busy()
            time.sleep(POLL_SECONDS)
        return descriptor

    def _busy(self) -> ConflictError:
        return ConflictError(
            f"{self.path} is held by another process", hint="wait until it has finished, then run the same command"
        )


def file_lock(path: Path) -> FileLock:
    """The one lock of this process for that file, so that taking it twice in one thread does not wait for itself."""
    key = (os.getpid(), path.absolute())  # a forked child has locks of its own
    with _registry_guard:
        return _registry.setdefault(key, FileLock(key[1]))


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_held(path: Path) -> bool:
    """Whether a living process holds the file exclusively. Probes do not disturb each other: they share."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(descriptor, shared=True)
    finally:
        os.close(descriptor)
