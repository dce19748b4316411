"""The derived data sets of a version: NAME-train, NAME-val, NAME-test, each with the split's hash. Reads no rows."""

from __future__ import annotations

from collections.abc import Mapping

from model_training.workspaces.azureml.dataset_store import OF_TAG, SPLIT_TAG, Stored
from model_training.workspaces.azureml.naming import PARTS, check_azure_name
from model_training.workspaces.azureml.service import Asset, Service
from model_training.workspaces.base import Split


def registered_parts(service: Service, name: str, split: Split, stored: Stored) -> Mapping[str, str]:
    """Part to `NAME-train:3`; what is not registered yet is. A part without images has no data set."""
    names = {part: check_azure_name(f"{name}{suffix}", "dataset") for part, suffix in PARTS.items()}
    found: dict[str, str] = {}
    for part, derived in names.items():
        if split.counts.get(part):
            asset = _find(service, derived, split) or _register(service, derived, part, split, stored)
            found[part] = f"{asset.name}:{asset.version}"
    return found


def _find(service: Service, derived: str, split: Split) -> Asset | None:
    """Of the own generation: AutoML reads no other."""
    ours = [
        asset
        for asset in service.assets(derived)
        if asset.tags.get(SPLIT_TAG) == split.sha256 and asset.tags.get(OF_TAG) == split.dataset
    ]
    return max(ours, key=lambda asset: asset.version, default=None)


def _register(service: Service, derived: str, part: str, split: Split, stored: Stored) -> Asset:
    return service.register_asset(
        derived,
        datastore=stored.datastore,
        path=f"{stored.folder}/{PARTS[part][1:]}",
        tags={OF_TAG: split.dataset, SPLIT_TAG: split.sha256, "cva_part": part},
        description=f"{part} part of {split.dataset}: {split.counts[part]} images",
    )
