"""Datastores and clusters by SDK v1. Reads no bytes of a blob and never asks for a key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from model_training.workspaces.azureml.service import Compute, Container

NO_CREDENTIAL = "None"  # the service's word
PAGE = 100


def default_datastore(workspace: Any) -> str:
    from azureml.core import Datastore

    return str(Datastore.get_default(workspace).name)


def datastores(workspace: Any) -> Sequence[Container]:
    """Those that are blob containers: file shares, lakes and databases hold no images for AutoML.

    By the SDK's own client: of its objects one that was listed says nothing of the keys that the service holds.
    """
    return [_container(store) for store in _listed(workspace) if store.data_store_type.value == "AzureBlob"]


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


def _listed(workspace: Any) -> Iterator[Any]:
    from azureml.data.datastore_client import _DatastoreClient

    client, token = _DatastoreClient._get_client(workspace, None, None), None
    scope = workspace.subscription_id, workspace.resource_group, workspace.name
    while True:
        page = client.data_stores.list(*scope, continuation_token=token, count=PAGE)
        yield from page.value or []
        token = page.continuation_token
        if not token:
            return


def _container(store: Any) -> Container:
    section = store.azure_storage_section
    kept = section.credential_type
    holds_keys = kept is not None and kept.value != NO_CREDENTIAL
    return Container(store.name, section.account_name, section.container_name, holds_keys)


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
