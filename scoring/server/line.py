"""A line of requests before the workers, which wakes one of them for one request: the one that fell idle last.

`queue.SimpleQueue` wakes every idle thread for each item, and all but one find nothing; each of them takes the
interpreter's lock from those who have something to do. The last to fall idle has the warmest caches.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """First in, first out; from and to any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: deque[T] = deque()
        self._idle: list[threading.Lock] = []  # each taken by a worker, which waits for it to be released

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        with self._lock:
            self._items.append(item)
            bell = self._idle.pop() if self._idle else None
        if bell is not None:
            bell.release()

    def get(self) -> T:
        """Waits for one. A worker that was woken may find that a busy one was faster, and waits again."""
        while True:
            with self._lock:
                if self._items:
                    return self._items.popleft()
                bell = threading.Lock()
                bell.acquire()
                self._idle.append(bell)
            bell.acquire()
