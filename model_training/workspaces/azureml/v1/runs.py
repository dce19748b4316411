"""Runs of run history by the SDK's own clients: state, tags, children, metrics, files.

Not by `azureml.core.Run`: each of those objects flushes over the network when the process ends.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from model_training.workspaces.azureml.service import Place, RunFacts
from model_training.workspaces.azureml.v1 import rest
from model_training.workspaces.azureml.v1.downloads import download
from model_training.workspaces.azureml.v1.words import facts
from scoring.errors import NotFoundError

ORIGIN = "ExperimentRun"
PIPELINE = "azureml.PipelineRun"
LOGS = ("user_logs/std_log.txt", "azureml-logs/70_driver_log.txt", "logs/azureml/driver/stdout", "azureml_automl.log")
LOG_LIMIT = 1 << 20  # bytes of the end of a log
AT_ONCE = 8


class History:
    """Run history of one workspace. Names of experiments are asked for once."""

    def __init__(self, workspace: Any, place: Place) -> None:
        self._workspace = workspace
        self._place = place
        self._names: dict[str, str] = {}

    def start(self, experiment: str, tags: Mapping[str, str]) -> RunFacts:
        """A run that this process carries on itself; it is Running."""
        from azureml._restclient.models.run_type_v2 import RunTypeV2

        made = self._client().get_or_create_experiment(experiment)
        run_id = str(uuid.uuid4())
        client = self._run_client(experiment, run_id, made.experiment_id)
        kind = RunTypeV2(orchestrator="External", traits=["unspecified"])
        client.create_run(run_id=run_id, target="local", run_name=f"run_{run_id}", tags=dict(tags), typev2=kind)
        client.post_event_start()
        return self.get(run_id)

    def get(self, run_id: str) -> RunFacts:
        dto = self._dto(run_id)
        return facts(dto, self._experiment(dto), self._place)

    def find(self, tags: Mapping[str, str] | None, limit: int) -> Sequence[RunFacts]:
        """Newest first, over all experiments. Without `tags` only runs of their own: no steps, no trials."""
        asked: dict[str, Any] = {"tags": dict(tags)} if tags else {"include_children": False}
        experiments = list(self._client().list_experiments())
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(lambda experiment: self._of(experiment, asked, limit), experiments)
            runs = sorted(itertools.chain(*found), key=lambda run: run.created_at, reverse=True)
        return runs[:limit]

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        from azureml._restclient.models.create_run_dto import CreateRunDto

        client, _ = self._of_run(run_id)
        client.patch_run(CreateRunDto(run_id=run_id, tags=dict(tags)))

    def end(self, run_id: str, status: str, error: str) -> None:
        client, _ = self._of_run(run_id)
        if status == "Completed":
            client.post_event_completed()
        elif status == "Canceled":
            client.post_event_canceled()
        else:
            client.post_event_error({"code": "UserError", "message": error or "failed"})
            client.post_event_failed()

    def cancel(self, run_id: str) -> None:
        """Asks whoever runs it: the pipeline service, AutoML, or run history itself."""
        client, dto = self._of_run(run_id)
        if dto.run_type == PIPELINE:
            from azureml.pipeline.core._aeva_provider import _AevaWorkflowProvider

            _AevaWorkflowProvider.create_service_caller(self._workspace, "any").cancel_pipeline_run_async(run_id)
        elif dto.run_type == "automl":
            from azureml._restclient.jasmine_client import JasmineClient

            name, number = self._experiment(dto), dto.experiment_id
            JasmineClient(self._workspace.service_context, name, number).cancel_run(run_id)
        elif dto.cancel_uri:
            rest.send(self._workspace, "POST", dto.cancel_uri)
        else:
            client.post_event_canceled()

    def log(self, run_id: str) -> str:
        """The end of what it printed; a pipeline run prints nothing itself, its step does."""
        own = self._log(run_id)
        if own:
            return own
        return "\n".join(filter(None, (self._log(child.id) for child in self.children(run_id))))

    def children(self, run_id: str) -> Sequence[RunFacts]:
        client, dto = self._of_run(run_id)
        name = self._experiment(dto)
        found = client.get_child_runs(dto.root_run_id or run_id)
        return sorted((facts(child, name, self._place) for child in found), key=lambda run: run.created_at)

    def metrics(self, run_id: str) -> Mapping[str, Sequence[float]]:
        """Numbers as they were logged, one an epoch; tables and pictures are left out."""
        from azureml._restclient.metrics_client import MetricsClient

        dto = self._dto(run_id)
        client = MetricsClient(self._workspace.service_context, self._experiment(dto), run_id)
        names = _metric_names(client, run_id)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(lambda name: client.get_metric_dto_for_run_v2(name, run_id=run_id), names)
            read = {name: _numbers(name, metric) for name, metric in zip(names, found, strict=True)}
        return {name: values for name, values in read.items() if values}

    def files(self, run_id: str) -> Sequence[str]:
        container = self._dto(run_id).data_container_id
        return sorted(self._artifacts().get_file_paths(ORIGIN, container)) if container else []

    def download(self, run_id: str, path: str, file: Path) -> None:
        container = self._dto(run_id).data_container_id
        if not container:
            raise NotFoundError(f"the run {run_id} has no files", hint="it may not have started: cva job show")
        download(self._artifacts().get_file_uri(ORIGIN, container, path), file)

    # how the SDK's clients are asked ---------------------------------------------------------------------------------

    def _dto(self, run_id: str) -> Any:
        return self._client().get_run(run_id)

    def _of_run(self, run_id: str) -> tuple[Any, Any]:
        dto = self._dto(run_id)
        return self._run_client(self._experiment(dto), run_id, dto.experiment_id), dto

    def _of(self, experiment: Any, asked: Mapping[str, Any], limit: int) -> Iterator[RunFacts]:
        from azureml._restclient.experiment_client import ExperimentClient

        self._names[experiment.experiment_id] = experiment.name
        client = ExperimentClient(self._workspace.service_context, experiment.name, experiment.experiment_id)
        found = itertools.islice(client.get_runs(last=limit, **asked), limit)
        return iter([facts(dto, experiment.name, self._place) for dto in found])

    def _experiment(self, dto: Any) -> str:
        if dto.experiment_id not in self._names:
            self._names[dto.experiment_id] = self._client().get_experiment_by_id(dto.experiment_id).name
        return self._names[dto.experiment_id]

    def _client(self) -> Any:
        from azureml._restclient.workspace_client import WorkspaceClient

        return WorkspaceClient(self._workspace.service_context)

    def _run_client(self, experiment: str, run_id: str, experiment_id: str) -> Any:
        from azureml._restclient.run_client import RunClient

        return RunClient(self._workspace.service_context, experiment, run_id, experiment_id=experiment_id)

    def _artifacts(self) -> Any:
        from azureml._restclient.artifacts_client import ArtifactsClient

        return ArtifactsClient(self._workspace.service_context)

    def _log(self, run_id: str) -> str:
        """Nothing while it has printed nothing."""
        container = self._dto(run_id).data_container_id
        paths = set(self._artifacts().get_file_paths(ORIGIN, container)) if container else set()
        path = next((path for path in LOGS if path in paths), None)
        if path is None:
            return ""
        data = self._artifacts().download_artifact_contents_to_bytes(ORIGIN, container, path)
        return str(data[-LOG_LIMIT:].decode("utf-8", "replace"))


def _metric_names(client: Any, run_id: str) -> list[str]:
    """By pages of our own: the SDK's `list_metric_names_for_run_id` asks for the first page twice and ends there."""
    from azureml._restclient.models import ListMetricsDto

    names: list[str] = []
    asked = ListMetricsDto()
    while True:
        ask = client._client.metric.list_metrics
        page = client._execute_with_workspace_run_arguments(ask, asked, run_id=run_id)
        names += [each.metric_key.name for each in page.value or []]
        if not page.continuation_token:
            return names
        asked = ListMetricsDto(continuation_token=page.continuation_token)


def _numbers(name: str, metric: Any) -> list[float]:
    """In order of the step where there is one, else as logged."""
    values = metric.value if metric is not None else []
    ordered = sorted(values or [], key=lambda value: value.step if value.step is not None else 0)
    found = [value.data.get(name) for value in ordered if value.data]
    return [float(each) for each in found if isinstance(each, int | float) and not isinstance(each, bool)]
