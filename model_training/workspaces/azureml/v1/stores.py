"""Datastores and clusters by SDK v1. Reads no bytes of a blob and never asks for a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model_training.workspaces.azureml.service import Compute, Container


def default_datastore(workspace: Any) -> str:
    from azureml.core import Datastore

    return str(Datastore.get_default(workspace).name)


def datastores(workspace: Any) -> Sequence[Container]:
    """Those that are blob containers: file shares, lakes and databases hold no images for AutoML."""
    return [
        Container(name=store.name, account=store.account_name, container=store.container_name)
        for store in workspace.datastores.values()
        if store.datastore_type == "AzureBlob"
    ]


def add_datastore(workspace: Any, container: Container) -> None:
    """Identity-based: no key and no SAS, so everyone reads it with a login and a role of their own."""
    from azureml.core import Datastore

    Datastore.register_azure_blob_container(
        workspace,
        datastore_name=container.name,
        container_name=container.container,
        account_name=container.account,
        overwrite=True,
        create_if_not_exists=False,
        skip_validation=True,  # the service would try to read it with a key
    )


def clusters(workspace: Any) -> Sequence[Compute]:
    from azureml.core.compute import AmlCompute

    found = [target for target in workspace.compute_targets.values() if isinstance(target, AmlCompute)]
    return [_compute(target) for target in found]


def _compute(target: Any) -> Compute:
    scale = target.scale_settings
    return Compute(
        name=target.name,
        size=target.vm_size,
        min_nodes=int(scale.minimum_node_count or 0),
        max_nodes=int(scale.maximum_node_count or 0),
        state=str(target.provisioning_state or ""),
        location=str(target.cluster_location or target.location or ""),
        idle_seconds=int(scale.idle_seconds_before_scaledown or 0),
    )
