"""An Azure ML workspace: its six parts over a `Service`, each made when it is first used. Opening asks nothing.

Knows neither SDK: `open.py` chooses the service. `cache` is a folder of this machine that may be deleted at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from model_training.workspaces.azureml.cache import Cache
from model_training.workspaces.azureml.following import Patience
from model_training.workspaces.azureml.service import Service

if TYPE_CHECKING:
    from model_training.workspaces.azureml.automl import AzureAutoML
    from model_training.workspaces.azureml.datasets import AzureDatasets
    from model_training.workspaces.azureml.datastores import AzureDatastores
    from model_training.workspaces.azureml.endpoints import AzureEndpoints, Stage
    from model_training.workspaces.azureml.models import AzureModels
    from model_training.workspaces.azureml.runs import AzureRuns
    from model_training.workspaces.azureml.training import Training


class AzureWorkspace:
    def __init__(
        self,
        service: Service,
        cache: Path,
        *,
        stage: Stage | None = None,
        patience: Patience | None = None,
        newer: Callable[[], Service] | None = None,
        step: Mapping[str, str] | None = None,
    ) -> None:
        """`stage` makes a published step's code; without it nothing can be published. `newer` connects SDK v2 for what
        v1 cannot train on (`training.py`). `step` is what the step that this is was made of, for its models' lineage.
        """
        self.service = service
        self._step = step or {}
        self._newer = newer
        self.cache = Cache(cache / service.generation)  # the two registries of data sets count apart
        self._stage = stage
        self._patience = patience or Patience()

    @cached_property
    def datastores(self) -> AzureDatastores:
        from model_training.workspaces.azureml.datastores import AzureDatastores

        return AzureDatastores(self.service, self.cache)

    @cached_property
    def datasets(self) -> AzureDatasets:
        from model_training.workspaces.azureml.datasets import AzureDatasets

        return AzureDatasets(self.service, self.cache, self.datastores, self._training)

    @cached_property
    def endpoints(self) -> AzureEndpoints:
        from model_training.workspaces.azureml.endpoints import AzureEndpoints

        return AzureEndpoints(self, self.service, self._stage)

    @cached_property
    def automl(self) -> AzureAutoML:
        from model_training.workspaces.azureml.automl import AzureAutoML

        return AzureAutoML(self.service, self.cache, self._patience, self._training)

    @cached_property
    def models(self) -> AzureModels:
        from model_training.workspaces.azureml.models import AzureModels

        return AzureModels(self.service, self.cache, lambda: self.datasets, self._step)

    @cached_property
    def runs(self) -> AzureRuns:
        from model_training.workspaces.azureml.runs import AzureRuns

        return AzureRuns(self.service, self.cache, self._patience.sleep)

    @cached_property
    def _training(self) -> Training:
        from model_training.workspaces.azureml.training import Training

        return Training(self.service, self._newer)
