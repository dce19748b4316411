"""The workspace's images by their content: see `image_store.py`."""

from model_training.workspaces.image_store import ImageStore

__all__ = ["ImageStore"]
