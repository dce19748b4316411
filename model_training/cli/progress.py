"""Events of long work as lines for people: stages as headings, progress overwritten in place on a terminal.

Knows nothing about what is being done. Where stdout is a file or a pipe, progress is a line at most every ten seconds.
"""

from __future__ import annotations

import time

from model_training.cli.output import Output
from model_training.workspaces.base import Event, Reporter

QUIET_SECONDS = 10.0


def console(out: Output) -> Reporter:
    """A reporter that prints on `out`'s human stream."""
    return _Console(out)


class _Console:
    def __init__(self, out: Output) -> None:
        self._out = out
        self._terminal = out.human.isatty()
        self._open = False  # a progress line that the next one may overwrite
        self._last = 0.0

    def __call__(self, event: Event) -> None:
        if event.kind == "progress":
            self._progress(event)
            return
        self._close()
        if event.kind == "stage":
            self._out.say(f"\n==> {event.text}")
        elif event.kind == "warning":
            self._out.warn(event.text)
        else:
            self._out.say(event.text if event.kind == "leaderboard" else f"    {event.text}")

    def _progress(self, event: Event) -> None:
        if self._terminal:
            self._out.human.write(f"\r\x1b[K    {event.text}")
            self._out.human.flush()
            self._open = True
            self._close(at_end_of=event)
            return
        if _finished(event) or time.monotonic() - self._last >= QUIET_SECONDS:
            self._last = time.monotonic()
            self._out.say(f"    {event.text}")

    def _close(self, at_end_of: Event | None = None) -> None:
        if self._open and (at_end_of is None or _finished(at_end_of)):
            self._out.say()
            self._open = False


def _finished(event: Event) -> bool:
    done, total = event.data.get("done"), event.data.get("total")
    return done is not None and done == total
