"""A folder as a workspace: its six parts, each made when it is first used. Opening reads one small file.

Knows where the parts lie and nothing about what they do.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from model_training.workspaces.local.layout import Layout, open_layout
from scoring.edge.registry import find_workspace

if TYPE_CHECKING:
    from model_training.workspaces.local.automl import LocalAutoML
    from model_training.workspaces.local.datasets import LocalDatasets
    from model_training.workspaces.local.datastores import LocalDatastores
    from model_training.workspaces.local.endpoints import LocalEndpoints
    from model_training.workspaces.local.mlflow_store import Tracking
    from model_training.workspaces.local.models import LocalModels
    from model_training.workspaces.local.runs import LocalRuns


class LocalWorkspace:
    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @classmethod
    def open(cls, path: Path | str | None = None) -> LocalWorkspace:
        """Find it (`path`, CVA_WORKSPACE, the nearest .cva upwards) or make a new one; finish what a kill interrupted.

        Raises: StorageError (a file, or a folder with other things), IncompatibleError (made by a newer version).
        """
        workspace = cls(open_layout(find_workspace(path)))
        workspace._recover()
        return workspace

    @property
    def path(self) -> Path:
        return self.layout.root

    @cached_property
    def runs(self) -> LocalRuns:
        from model_training.workspaces.local.runs import LocalRuns

        return LocalRuns(self.layout)

    @cached_property
    def models(self) -> LocalModels:
        from model_training.workspaces.local.models import LocalModels

        return LocalModels(self.layout, self.tracking, self.runs, lambda: self.datasets)

    @cached_property
    def datastores(self) -> LocalDatastores:
        from model_training.workspaces.local.datastores import LocalDatastores

        return LocalDatastores(self.path)

    @cached_property
    def datasets(self) -> LocalDatasets:
        from model_training.workspaces.local.datasets import LocalDatasets

        return LocalDatasets(self.path, self.datastores)

    @cached_property
    def automl(self) -> LocalAutoML:
        from model_training.workspaces.local.automl import LocalAutoML

        return LocalAutoML(self.layout, self.runs, self.tracking)

    @cached_property
    def endpoints(self) -> LocalEndpoints:
        from model_training.workspaces.local.endpoints import LocalEndpoints

        return LocalEndpoints(self)

    @cached_property
    def tracking(self) -> Tracking:
        from model_training.workspaces.local.mlflow_store import Tracking

        return Tracking(self.layout.mlflow)

    def _recover(self) -> None:
        """Only when something was left, and not while a living process is at it."""
        if next(self.layout.models.glob("*/.incoming-*"), None) is not None:
            self.models.recover(patient=False)
