"""After the swap: the health window, the way back, and what is committed. Knows nothing about registries or files.

`state.json` names a version only when it is live: where `current` says another, a pull ended in its health window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from scoring.edge.health import Health
from scoring.edge.registry import Resolved
from scoring.edge.store import State, Store
from scoring.errors import SelfTestError, UsageError

REMEMBERED = 100  # versions whose hash a device remembers


def settled(store: Store) -> int | None:
    """The version that was committed last, if it is still here."""
    version = store.state().current
    return version if version is not None and store.folder(version).is_dir() else None


def confirm(
    store: Store, target: Resolved, health: Health | None, before: int | None, say: Callable[[str], None]
) -> None:
    """Wait until the device's server serves `target`; else `before` is current again and `target` is remembered.

    A version that was live before (its files were mended) is not asked about again. Raises: SelfTestError; UsageError
    where the server refuses the key, which says nothing about the version: it is not remembered.
    """
    if health is None or before == target.version:
        return
    say(f"waiting up to {health.seconds:g} s for {health.url} to serve version {target.version}")
    try:
        trouble = health.wait(target.version, target.manifest_sha256)
    except UsageError:
        _go_back(store, target, before)
        raise
    if not trouble:
        return
    _go_back(store, target, before)
    reject(store, target, trouble)
    raise SelfTestError(
        f"{target.name}:{target.version} did not go live within {health.seconds:g} s: {trouble}",
        hint=("nothing is installed" if before is None else f"version {before} is current again")
        + f"; --version {target.version} tries it once more",
    )


def _go_back(store: Store, target: Resolved, before: int | None) -> None:
    store.swap(before)
    kept = {version for version in (before, store.state().current, store.state().previous) if version is not None}
    store.keep(kept - {target.version})


def reject(store: Store, target: Resolved, why: str) -> None:
    state, digest = store.state(), target.manifest_sha256
    store.write_state(
        replace(state, rejected={**state.rejected, digest: why}, postponed=_without(state.postponed, digest))
    )


def settle(store: Store, target: Resolved, current: int | None = None) -> int | None:
    """Record what `current` says, then remove all but it and the one before; repeating it changes nothing."""
    before = store.state()
    previous = next(
        (
            version
            for version in (before.current, current, before.previous)  # the last two after a crash
            if version is not None and version != target.version and store.folder(version).is_dir()
        ),
        None,
    )
    rejected, postponed = (_without(each, target.manifest_sha256) for each in (before.rejected, before.postponed))
    known = {**before.known, str(target.version): target.manifest_sha256}
    newest = dict(sorted(known.items(), key=lambda item: int(item[0]))[-REMEMBERED:])
    after = State(target.version, target.manifest_sha256, previous, before.updated_at, rejected, newest, postponed)
    if after != before:
        now = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
        store.write_state(replace(after, updated_at=now))
    store.keep({target.version} | ({previous} if previous is not None else set()))
    return previous


def _without(remembered: Mapping[str, Any], digest: str) -> dict[str, Any]:
    return {key: value for key, value in remembered.items() if key != digest}
