"""Questions to an index and what their answers say. Pure; knows nothing about HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    last = status.get("lastResult")
    if not last:
        return Run("never run", 0, 0, "", ())
    lines = [last["errorMessage"]] if last.get("errorMessage") else []
    lines += [_line(each, "errorMessage") for each in last.get("errors") or ()]
    return Run(
        status=str(last.get("status")),
        done=int(last.get("itemsProcessed") or 0),
        failed=int(last.get("itemsFailed") or 0),
        started=str(last.get("startTime") or ""),
        problems=tuple(lines),
    )


def warnings_of(status: Mapping[str, Any]) -> list[str]:
    return [_line(each, "message") for each in (status.get("lastResult") or {}).get("warnings") or ()]


def _line(item: Mapping[str, Any], key: str) -> str:
    text = " ".join(str(item.get(key) or "no message").split())
    return f"{item['key']}: {text}" if item.get("key") else text
