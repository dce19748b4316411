"""Run history's words for how a run stands, as `base.Run` has them. Knows no client."""

from __future__ import annotations

from typing import Any

from model_training.workspaces.azureml.service import Place, RunFacts
from model_training.workspaces.azureml.v1.times import moment

_STATUS = {
    "NotStarted": "NotStarted",
    "Unapproved": "NotStarted",
    "Pausing": "Running",
    "Paused": "Running",
    "Starting": "NotStarted",
    "Provisioning": "NotStarted",
    "Preparing": "NotStarted",
    "Queued": "NotStarted",
    "Running": "Running",
    "Finalizing": "Running",
    "NotResponding": "Running",  # its node may be lost; the service says Failed when it gives up
    "CancelRequested": "CancelRequested",
    "Completed": "Completed",
    "Failed": "Failed",
    "Canceled": "Canceled",
}


def status(word: str | None) -> str:
    """An unknown word is Running: whoever waits goes on waiting."""
    return _STATUS.get(word or "NotStarted", "Running")


def facts(dto: Any, experiment: str, place: Place) -> RunFacts:
    """A run of run history's client as ours."""
    return RunFacts(
        id=dto.run_id,
        experiment=experiment,
        status=status(dto.status),
        tags=dict(dto.tags or {}),
        properties=dict(dto.properties or {}),
        created_at=moment(dto.created_utc),
        ended_at=moment(dto.end_time_utc),
        error=_error(dto.error),
        parent=dto.parent_run_id or "",
        portal_url=f"https://ml.azure.com/runs/{dto.run_id}?wsid={place.arm_path}",
    )


def _error(error: Any) -> str:
    """The message and, under it, the one that caused it: AutoML wraps its own."""
    root = getattr(error, "error", None)
    if root is None:
        return ""
    messages = [root.message or root.code or ""]
    messages += [detail.message for detail in root.details or [] if detail.message]
    return "\n".join(dict.fromkeys(message.strip() for message in messages if message))
