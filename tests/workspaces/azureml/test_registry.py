"""The registry of an Azure ML workspace, as pulling asks it: two at once share one cache and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_training.workspaces.azureml.registry import AzureRegistry
from scoring.errors import NotFoundError
from scoring.files import sha256_of
from tests.contracts.bundles import decision, tiny_bundle
from tests.workspaces.azureml.azure_parts import opened
from tests.workspaces.azureml.memory import Cloud


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """With a model of each of two names."""
    cloud = Cloud()
    models = opened(cloud, tmp_path / "trainer")[0].models
    for name in ("Caps", "Cups"):
        bundle = tiny_bundle(tmp_path / name, model=name.encode())
        models.register(bundle, decision(), name=name, run_id=name, trained_on=frozenset())
    return cloud


def test_two_pulls_at_once_do_not_disturb_each_other(cloud: Cloud, tmp_path: Path) -> None:
    """In every order of their calls: each asks, the other asks, each reads."""
    caps, cups = (AzureRegistry(opened(cloud, tmp_path / "device")[0]) for _ in range(2))
    exact = {"Caps": caps.resolve("Caps", "best"), "Cups": cups.resolve("Cups", "best")}
    for registry, name in ((caps, "Caps"), (cups, "Cups"), (caps, "Caps")):
        registry.manifest(name, 1)
        with registry.fetch(name, 1, "model.onnx") as file:
            assert file.read() == name.encode()
        folder = registry.fetched(name, "1").folder(name, 1)
        assert sha256_of(folder / "manifest.json") == exact[name].manifest_sha256


def test_a_name_that_is_not_there_leaves_nothing_in_the_cache(cloud: Cloud, tmp_path: Path) -> None:
    workspace = opened(cloud, tmp_path / "device")[0]
    with pytest.raises(NotFoundError, match="Caps, Cups"):
        AzureRegistry(workspace).resolve("Mugs", "best")
    with pytest.raises(NotFoundError, match="has no version 7"):
        AzureRegistry(workspace).resolve("Caps", "7")
    assert not list(workspace.cache.root.rglob("registry.json"))
