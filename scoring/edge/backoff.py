"""A version that could not be tried for want of time or memory: when a device tries it again, later each time.

The hours are the device's own clock's; where that was set back, nothing waits longer than `LONGEST`. Knows nothing
about registries or self-tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from scoring.edge.registry import Resolved
from scoring.edge.store import State, Store

FIRST, LONGEST = timedelta(minutes=10), timedelta(hours=12)


def postpone(store: Store, target: Resolved, why: str) -> None:
    """Ten minutes the first time, twice as long each time after."""
    state = store.state()
    times = _times(state, target.manifest_sha256) + 1
    until = _now() + min(LONGEST, FIRST * 2 ** min(times - 1, 16))
    entry = {"times": times, "until": until.isoformat(timespec="seconds"), "why": why}
    store.write_state(replace(state, postponed={**state.postponed, target.manifest_sha256: entry}))


def waiting(state: State, manifest_sha256: str) -> str:
    """Until when it is not tried again and why, in words; "" where it may be tried now."""
    entry = _entry(state, manifest_sha256)
    try:
        until = datetime.fromisoformat(str(entry.get("until")))
        left = until - _now()
    except (TypeError, ValueError):  # no hour, or one without a time zone
        return ""
    if not timedelta() < left <= LONGEST:
        return ""
    return f"it is tried again after {until.isoformat()}, as it could not be before: {entry.get('why')}"


def attempt(state: State, manifest_sha256: str) -> int | None:
    """How often it could not be tried; None while it waits. A new number is a reason to look again."""
    return None if waiting(state, manifest_sha256) else _times(state, manifest_sha256)


def _times(state: State, manifest_sha256: str) -> int:
    times = _entry(state, manifest_sha256).get("times")
    return times if type(times) is int and times > 0 else 0


def _entry(state: State, manifest_sha256: str) -> Mapping[str, object]:
    entry = state.postponed.get(manifest_sha256)
    return entry if isinstance(entry, dict) else {}


def _now() -> datetime:
    return datetime.now(timezone.utc)
