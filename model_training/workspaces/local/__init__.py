"""A workspace that is a folder of this machine: plain files, MLflow on SQLite inside, no server, no account."""

from model_training.workspaces.local.workspace import LocalWorkspace

__all__ = ["LocalWorkspace"]
