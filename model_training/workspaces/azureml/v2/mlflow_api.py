"""The workspace's MLflow interface over REST: runs that nobody submitted as a job, tags, metrics over epochs.

A few documented calls do not need the mlflow package (its import costs seconds). Knows nothing of jobs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from model_training.workspaces.azureml.v2.client import Client

Json = dict[str, Any]
STATUSES = {  # MLflow's word: Azure ML's
    "RUNNING": "Running",
    "SCHEDULED": "NotStarted",
    "FINISHED": "Completed",
    "FAILED": "Failed",
    "KILLED": "Canceled",
}
ENDED = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"}
PAGE = 1000


class Mlflow:
    def __init__(self, client: Client) -> None:
        self._client = client

    def experiment(self, name: str) -> str:
        """The experiment's id; it is made when it is not there."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return str(self._get("experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"])
        except ResourceNotFoundError:
            return str(self._post("experiments/create", name=name)["experiment_id"])

    def experiments(self) -> Mapping[str, str]:
        """Names by id."""
        found = self._pages("experiments/search", "experiments", max_results=PAGE)
        return {str(each["experiment_id"]): str(each["name"]) for each in found}

    def start(self, experiment: str, tags: Mapping[str, str]) -> Json:
        body = {"experiment_id": self.experiment(experiment), "start_time": _now(), "tags": _pairs(tags)}
        return dict(self._post("runs/create", **body)["run"])

    def get(self, run_id: str) -> Json:
        return dict(self._get("runs/get", run_id=run_id)["run"])

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        self._post("runs/log-batch", run_id=run_id, metrics=[], params=[], tags=_pairs(tags))

    def end(self, run_id: str, status: str) -> None:
        self._post("runs/update", run_id=run_id, status=ENDED[status], end_time=_now())

    def search(self, experiments: Sequence[str], tags: Mapping[str, str], limit: int) -> list[Json]:
        """Newest first. Whoever asks looks at the tags once more: a value may hold what the filter cannot say."""
        sayable = {key: value for key, value in tags.items() if "'" not in value and "`" not in key}
        condition = " and ".join(f"tags.`{key}` = '{value}'" for key, value in sayable.items())
        found: list[Json] = []
        pages = self._pages(
            "runs/search",
            "runs",
            experiment_ids=list(experiments),
            filter=condition,
            order_by=["attributes.start_time DESC"],
            max_results=min(limit, PAGE),
        )
        for run in pages:
            if tags.items() <= tags_of(run).items():
                found.append(run)
            if len(found) == limit:
                break
        return found

    def metrics(self, run_id: str) -> dict[str, list[float]]:
        """Every metric's values in the order of their steps."""
        logged = (self.get(run_id).get("data") or {}).get("metrics") or []
        return {key: self._history(run_id, key) for key in sorted({str(metric["key"]) for metric in logged})}

    def _history(self, run_id: str, key: str) -> list[float]:
        points: list[Json] = []
        token = None
        while True:
            page = self._get("metrics/get-history", run_id=run_id, metric_key=key, page_token=token)
            points += page.get("metrics") or []
            token = page.get("next_page_token")
            if not token:
                break
        points.sort(key=lambda point: (int(point.get("step") or 0), int(point.get("timestamp") or 0)))
        return [float(point["value"]) for point in points]

    def _pages(self, call: str, items: str, **body: Any) -> Iterator[Json]:
        token = None
        while True:
            page = self._post(call, **body, **({"page_token": token} if token else {}))
            yield from page.get(items) or []
            token = page.get("next_page_token")
            if not token:
                return

    def _get(self, call: str, **query: Any) -> Json:
        return self._client.rest.get(self._url(call), **query)

    def _post(self, call: str, **body: Any) -> Json:
        return self._client.rest.post(self._url(call), body)

    def _url(self, call: str) -> str:
        return f"{self._client.plane('mlflow/v2.0')}/api/2.0/mlflow/{call}"


def tags_of(run: Json) -> dict[str, str]:
    return {str(tag["key"]): str(tag["value"]) for tag in (run.get("data") or {}).get("tags") or []}


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _now() -> int:
    return int(time.time() * 1000)
