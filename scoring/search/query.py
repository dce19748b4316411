"""Questions to an index and what their answers say. Pure; knows nothing about HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scoring.errors import CvaError
from scoring.search.definitions import LABEL_FIELD

SELECTED = ("metadata_storage_name", "metadata_storage_path", LABEL_FIELD, "objectCount")


def by_labels(labels: Sequence[str], *, least_score: float | None = None, top: int = 50) -> dict[str, Any]:
    """Documents that have all these labels, word for word; `least_score` is asked of an object of each label."""
    return {
        "search": "*",
        "filter": " and ".join(_has(label, least_score) for label in labels),
        "select": ",".join(SELECTED),
        "orderby": "metadata_storage_name",
        "count": True,
        "top": top,
    }


def _has(label: str, least_score: float | None) -> str:
    literal = "'" + label.replace("'", "''") + "'"
    if least_score is None:
        return f"{LABEL_FIELD}/any(each: each eq {literal})"
    return f"objects/any(each: each/label eq {literal} and each/score ge {least_score})"


@dataclass(frozen=True)
class Run:
    """The indexer's last run; `problems` are its own words, one line each."""

    status: str  # success, inProgress, transientFailure, persistentFailure, reset, or "never run"
    done: int
    failed: int
    started: str
    problems: tuple[str, ...]

    @property
    def good(self) -> bool:
        return self.status in ("success", "inProgress", "never run") and not self.failed and not self.problems


def last_run(status: Mapping[str, Any]) -> Run:
    """Raises: CvaError for what the service's own interface does not say."""
    last = _last(status)
    if not last:
        return Run("never run", 0, 0, "", ())
    lines = [str(last["errorMessage"])] if last.get("errorMessage") else []
    lines += [_line(each, "errorMessage") for each in _items(last, "errors")]
    return Run(
        status=str(last.get("status")),
        done=_count(last, "itemsProcessed"),
        failed=_count(last, "itemsFailed"),
        started=str(last.get("startTime") or ""),
        problems=tuple(lines),
    )


def warnings_of(status: Mapping[str, Any]) -> list[str]:
    """Raises: CvaError."""
    return [_line(each, "message") for each in _items(_last(status), "warnings")]


def documents_of(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was found, its SELECTED fields alone. Raises: CvaError."""
    found = [{name: each.get(name) for name in SELECTED} for each in _items(answer, "value")]
    for each in found:
        labels = each[LABEL_FIELD]
        each[LABEL_FIELD] = [str(label) for label in labels] if isinstance(labels, list) else []
    return found


def _last(status: Mapping[str, Any]) -> Mapping[str, Any]:
    last = status.get("lastResult") or {}
    if not isinstance(last, dict):
        raise _unknown("lastResult", "an object")
    return last


def _items(value: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = value.get(key) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise _unknown(key, "a list of objects")
    return found


def _count(value: Mapping[str, Any], key: str) -> int:
    found = value.get(key) or 0
    if not isinstance(found, int):
        raise _unknown(key, "a number")
    return found


def _unknown(key: str, expected: str) -> CvaError:
    return CvaError(
        f"expected {expected} as {key!r} of the search service, found something else", hint="check --service"
    )


def _line(item: Mapping[str, Any], key: str) -> str:
    text = " ".join(str(item.get(key) or "no message").split())
    return f"{item['key']}: {text}" if item.get("key") else text
