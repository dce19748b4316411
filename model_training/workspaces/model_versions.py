"""Which version of a registered model is meant: references, the champion, whether the champion still is it.

Works on tags alone, `{name: {version: tags}}`; knows no registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from model_training.workspaces.base import GateDecision
from scoring.errors import NotFoundError, UsageError

CHAMPION_SINCE = "champion_since"
Versions = Mapping[int, Mapping[str, str]]  # tags by version


def champion(versions: Versions) -> int | None:
    """The version with the latest `champion_since` tag."""
    since = {number: str(tags[CHAMPION_SINCE]) for number, tags in versions.items() if tags.get(CHAMPION_SINCE)}
    return max(since, key=lambda number: (since[number], number)) if since else None


def resolve(models: Mapping[str, Versions], reference: str) -> tuple[str, int]:
    """`NAME`, `NAME:3`, `NAME@champion`, `NAME@best`, `NAME@latest`; a bare name is the champion, else the latest.

    Raises: NotFoundError that lists what there is, UsageError for another word after `@` or `:`.
    """
    name, mark, word = split(reference)
    versions = models.get(name)
    if not versions:
        known = ", ".join(sorted(models)) or "none yet"
        raise NotFoundError(f"there is no model {name!r}; models: {known}", hint="see `cva model list`")
    if mark and not word:
        raise UsageError(f"expected a version after '{mark}', found {reference!r}", hint="NAME:3 or NAME@latest")
    if mark == ":":
        return name, _number(name, word, versions)
    best = champion(versions)
    if word == "latest" or (not word and best is None):
        return name, max(versions)
    if word not in ("", "champion", "best"):
        raise UsageError(f"model {reference!r}: expected @champion, @best or @latest, found '@{word}'")
    if best is None:
        raise NotFoundError(
            f"model {name!r} has no champion; versions: {_listed(versions)}",
            hint=f"choose one: cva model promote {name}:VERSION",
        )
    return name, best


def split(reference: str) -> tuple[str, str, str]:
    """Name, `:` or `@` or nothing, and what stands after it."""
    for mark in (":", "@"):
        name, found, word = reference.partition(mark)
        if found:
            return name, mark, word
    return reference, "", ""


def still_true(decision: GateDecision, champion: int | None) -> GateDecision:
    """Another run may have moved the champion while this one was measured against the former: then that one stays."""
    if not decision.promote or decision.champion_version == champion:
        return decision
    reason = f"{decision.reason}; but version {champion} has become champion meanwhile, so it stays"
    return replace(decision, promote=False, reason=reason)


def onnx_sha256(manifest: Mapping[str, Any]) -> str:
    """What makes two bundles of one run the same model: a run that goes on after a kill packages again."""
    entries = {entry["path"]: entry["sha256"] for entry in manifest.get("files", [])}
    return str(entries.get("model.onnx", ""))


def _number(name: str, word: str, versions: Versions) -> int:
    if not word.isascii() or not word.isdigit():
        raise UsageError(f"model {name}:{word}: expected a whole number after ':'", hint="NAME:3 or NAME@latest")
    if int(word) not in versions:
        raise NotFoundError(
            f"model {name!r} has no version {word}; versions: {_listed(versions)}", hint="see `cva model list`"
        )
    return int(word)


def _listed(versions: Versions) -> str:
    return ", ".join(str(number) for number in sorted(versions))
