"""Registered models of a local workspace: immutable versions, a champion, tags, lineage; verified when read.

Knows nothing about how a version is written (`registration.py`) or what MLflow keeps (`mlflow_store.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from model_training.workspaces import lineage
from model_training.workspaces.base import Bundle, Datasets, GateDecision, Json, Model
from model_training.workspaces.files import read_json
from model_training.workspaces.local.layout import Layout
from model_training.workspaces.local.mlflow_store import Tracking
from model_training.workspaces.local.registration import Registration, TrackedRun, manifest_digest
from model_training.workspaces.local.registry import CHAMPION_SINCE, Entry, Registry
from model_training.workspaces.local.runs import LocalRuns
from model_training.workspaces.model_versions import onnx_sha256, still_true
from model_training.workspaces.names import check_name, now
from model_training.workspaces.tags import model_tags
from scoring.errors import ConflictError, IntegrityError, NotFoundError, StorageError


class LocalModels:
    def __init__(self, layout: Layout, tracking: Tracking, runs: LocalRuns, datasets: Callable[[], Datasets]) -> None:
        self._layout = layout
        self._runs = runs
        self._datasets = datasets
        self.registration = Registration(layout, tracking)

    def register(
        self,
        bundle: Bundle,
        decision: GateDecision,
        *,
        name: str,
        run_id: str,
        trained_on: frozenset[str] | None = None,
    ) -> Model:
        """All or nothing; the same run's same model registered again is the version it became before.

        `trained_on` is the content hashes of the images it has seen; without it, those of the dataset version that the
        manifest names. Raises: ConflictError (the gate said no), IntegrityError (files differ from the manifest).
        """
        check_name(name, "model")
        if not decision.register:
            raise ConflictError(f"the gate keeps this bundle out of {name!r}: {decision.reason}")
        manifest = _verified(bundle.path)
        with self._layout.lock.hold():
            self.registration.recover()
            version = self._registered_by(name, run_id, manifest)
            if version is None:
                decision = still_true(decision, self._registry().champion(name))
                version = self.registration.next_version(name)
                seen = self._seen(manifest) if trained_on is None else trained_on
                self.registration.add(
                    name,
                    version,
                    bundle.path,
                    entry=_entry(name, version, bundle.path, manifest, decision, run_id),
                    lineage=lineage.describe(manifest, run_id, seen),
                    run=self._tracked(run_id, name, manifest),
                )
        return self.get(f"{name}:{version}")

    def get(self, reference: str) -> Model:
        """`NAME`, `NAME:3`, `NAME@champion`, `NAME@best`, `NAME@latest`; every file is checked against its hash.

        Raises: NotFoundError, UsageError, IntegrityError.
        """
        registry = self._registry()
        name, version = registry.resolve(reference)
        entry = registry.models[name][version]
        folder = self._layout.models / entry["path"]
        if not folder.is_dir() or manifest_digest(folder) != entry["manifest_sha256"]:
            raise IntegrityError(
                f"model {name}:{version} is not what was registered (its manifest changed or is gone)",
                hint="run `cva workspace doctor`; register the model again",
            )
        return self._model(registry, name, version, _verified(folder))

    def list(self, name: str | None = None) -> Sequence[Model]:
        """By name, then the newest first; read without hashing the files."""
        registry = self._registry()
        if name is not None and name not in registry.models:
            registry.resolve(name)  # raises with the names that there are
        names = sorted(registry.models) if name is None else [name]
        return [
            self._model(
                registry, each, version, _manifest(self._layout.models / registry.models[each][version]["path"])
            )
            for each in names
            for version in sorted(registry.models[each], reverse=True)
        ]

    def champion(self, name: str) -> Model | None:
        """None while there is none; the gate's other side."""
        version = self._registry().champion(name)
        return self.get(f"{name}:{version}") if version is not None else None

    def promote(self, name: str, version: int) -> Model:
        """Make it the champion. Reversible: promote the former one again."""
        with self._layout.lock.hold():
            self.registration.recover()
            self._registry().resolve(f"{name}:{version}")
            self.registration.promote(name, version, now())
        return self.get(f"{name}:{version}")

    def lineage(self, model: Model) -> Json:
        return lineage.read(self._layout.models / model.name / "lineage" / f"{model.version}.json")

    def trained_on(self, model: Model) -> frozenset[str]:
        """Content hashes of the images that training, or the choice of its epoch and threshold, has seen."""
        return lineage.unpack(self.lineage(model).get("trained_on", ""))

    def recover(self, *, patient: bool = True) -> None:
        """Finish or remove what killed registrations left. When not `patient`, what cannot be done now waits.

        A workspace on a full disk, or with a registration under way in another process, is still good for reading.
        """
        try:
            with self._layout.lock.hold(timeout=600 if patient else 0):
                self.registration.recover()
        except (ConflictError, StorageError, OSError):
            if patient:
                raise

    def sync(self) -> None:
        """Write MLflow's versions, tags and champions anew where they differ from the mirror."""
        with self._layout.lock.hold():
            for name in self._registry().models:
                self.registration.sync(name)

    def _registry(self) -> Registry:
        return Registry.read(self.registration.index)

    def _model(self, registry: Registry, name: str, version: int, manifest: Json) -> Model:
        entry = registry.models[name][version]
        return Model(
            name=name,
            version=version,
            path=self._layout.models / entry["path"],
            manifest=manifest,
            tags=entry["tags"],
            created_at=entry["created_at"],
            champion=registry.champion(name) == version,
        )

    def _registered_by(self, name: str, run_id: str, manifest: Json) -> int | None:
        """A run that goes on after a kill packages again: the same ONNX file is the same model."""
        for version, entry in self._registry().models.get(name, {}).items():
            if run_id and entry["tags"].get("run_id") == run_id:
                held = _manifest(self._layout.models / entry["path"])
                if onnx_sha256(held) == onnx_sha256(manifest):
                    return version
        return None

    def _seen(self, manifest: Json) -> frozenset[str]:
        source = manifest.get("source", {}).get("dataset", {})
        if not source.get("name") or not str(source.get("version", "")):
            return frozenset()
        try:
            dataset = self._datasets().get(f"{source['name']}:{source['version']}")
        except NotFoundError:
            return frozenset()
        return lineage.seen_images(dataset.path)

    def _tracked(self, run_id: str, name: str, manifest: Json) -> TrackedRun:
        metrics = _numbers(manifest)
        try:
            run = self._runs.get(run_id)
        except NotFoundError:
            return TrackedRun(run_id, name, {}, metrics)
        return TrackedRun(run_id, run.experiment, dict(run.parameters), metrics)


def _verified(folder: Path) -> Json:
    from scoring.bundle import load_bundle

    return load_bundle(folder).manifest.raw


def _manifest(folder: Path) -> Json:
    """Without checking; a version whose manifest is gone still stands in a list."""
    try:
        return read_json(folder / "manifest.json", "a manifest")
    except (OSError, StorageError):
        return {}


def _entry(name: str, version: int, bundle: Path, manifest: Json, decision: GateDecision, run_id: str) -> Entry:
    created = now()
    digest = manifest_digest(bundle)
    tags = model_tags(manifest, decision) | {"run_id": run_id, "manifest_sha256": digest}
    if decision.promote:
        tags[CHAMPION_SINCE] = created
    return {"path": f"{name}/{version}", "manifest_sha256": digest, "created_at": created, "tags": tags}


def _numbers(manifest: Json) -> dict[str, float]:
    metrics: Mapping[str, Any] = manifest.get("metrics", {})
    numbers = {key: value for key, value in metrics.items() if isinstance(value, int | float)}
    return {key: float(value) for key, value in numbers.items() if math.isfinite(value)}
