"""Datastores and clusters. A datastore is a container that the caller opens by its own identity: no key is read."""

from __future__ import annotations

from collections.abc import Sequence

from model_training.workspaces.azureml.service import Blobs, Compute, Container
from model_training.workspaces.azureml.v2.client import Calls
from model_training.workspaces.azureml.v2.errors import translated
from model_training.workspaces.azureml.v2.values import plain
from scoring.errors import UsageError

ARTIFACTS = "workspaceartifactstore"  # where the service keeps what runs leave


class StorageCalls(Calls):
    @translated
    def default_datastore(self) -> str:
        return str(self._ml.datastores.get_default().name)

    @translated
    def datastores(self) -> Sequence[Container]:
        from azure.ai.ml.entities import AzureBlobDatastore, NoneCredentialConfiguration

        found = [store for store in self._ml.datastores.list() if isinstance(store, AzureBlobDatastore)]
        return [
            Container(
                store.name,
                store.account_name,
                store.container_name,
                not isinstance(store.credentials, NoneCredentialConfiguration),
            )
            for store in found
        ]

    @translated
    def add_datastore(self, container: Container) -> None:
        from azure.ai.ml.entities import AzureBlobDatastore

        store = AzureBlobDatastore(
            name=container.name, account_name=container.account, container_name=container.container
        )
        self._ml.datastores.create_or_update(store)

    @translated
    def blobs(self, datastore: str) -> Blobs:
        from azure.ai.ml.entities import AzureBlobDatastore

        from model_training.workspaces.azureml.blobs import ContainerBlobs

        store = self._ml.datastores.get(datastore)
        if not isinstance(store, AzureBlobDatastore):
            raise UsageError(f"datastore '{datastore}' is no blob container", hint="`cva datastore list` shows those")
        container = Container(datastore, store.account_name, store.container_name)
        return ContainerBlobs(container, self._client.credential)

    @translated
    def clusters(self) -> Sequence[Compute]:
        return [
            Compute(
                name=found.name,
                size=found.size or "",
                min_nodes=int(found.min_instances or 0),
                max_nodes=int(found.max_instances or 0),
                state=plain(found.provisioning_state),
                location=found.location or "",
                idle_seconds=int(found.idle_time_before_scale_down or 0),
            )
            for found in self._ml.compute.list(compute_type="AmlCompute")
        ]
