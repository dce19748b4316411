"""How a version becomes registered, all of it or nothing: staged, recorded, finished by repeatable steps.

    models/<name>/.incoming-…/bundle        a copy, fsynced, with its release.json
                             /lineage.json
                             /record.json   written last: from here on it will be finished, by whoever comes next
    models/<name>/<version>/                one rename
    mlflow.db                               version, tags, run
    models/registry.json                    the commit for readers

A kill before record.json leaves rubbish that `recover` removes; a kill after it leaves work that `recover` finishes.
Promoting is a record without a bundle. Knows nothing about gates or where bundles come from. Call it under the lock.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_training.workspaces import files
from model_training.workspaces.local.layout import Layout
from model_training.workspaces.local.mlflow_store import Tracking
from model_training.workspaces.local.registry import CHAMPION_SINCE, Entry, Registry
from scoring.files import sync_folder

INCOMING = ".incoming-"


@dataclass(frozen=True)
class TrackedRun:
    """What MLflow is told about the run that made a version."""

    id: str
    experiment: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Registration:
    """Writes `models/`. The readers' side is `registry.py`."""

    layout: Layout
    tracking: Tracking

    @property
    def index(self) -> Path:
        return self.layout.models / "registry.json"

    def next_version(self, name: str) -> int:
        mirrored = max(Registry.read(self.index).models.get(name, {0: {}}))
        return max(mirrored, self.tracking.highest_version(name)) + 1

    def add(
        self, name: str, version: int, bundle: Path, *, entry: Entry, lineage: Mapping[str, Any], run: TrackedRun
    ) -> None:
        """Stage the bundle, then finish. Whatever fails before the record leaves nothing."""
        stage = self._stage(name)
        try:
            files.copy_tree(bundle, stage / "bundle")
            release = {"name": name, "version": version, "manifest_sha256": entry["manifest_sha256"]}
            files.write_json(stage / "bundle" / "release.json", {**release, "released_at": entry["created_at"]})
            files.write_json(stage / "lineage.json", lineage)
            tracked = {"id": run.id, "experiment": run.experiment, "params": run.params, "metrics": run.metrics}
            files.write_json(stage / "record.json", {"name": name, "version": version, "entry": entry, "run": tracked})
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        self._finish(stage)

    def promote(self, name: str, version: int, since: str) -> None:
        stage = self._stage(name)
        stage.mkdir(parents=True)
        files.write_json(stage / "record.json", {"name": name, "version": version, "since": since})
        self._finish(stage)

    def leftovers(self) -> list[Path]:
        """What killed registrations left, oldest first."""
        found = self.layout.models.glob(f"*/{INCOMING}*")
        return sorted(found, key=lambda stage: (stage.stat().st_mtime_ns, stage.name))

    def recover(self) -> None:
        """Finish or remove every leftover. Doing it twice changes nothing."""
        for stage in self.leftovers():
            if (stage / "record.json").is_file():
                self._finish(stage)
            else:
                shutil.rmtree(stage)

    def sync(self, name: str) -> None:
        registry = Registry.read(self.index)
        self.tracking.ensure_versions(name, registry.models[name], {})
        self.tracking.set_champion(name, registry.champion(name))

    def _stage(self, name: str) -> Path:
        return self.layout.models / name / f"{INCOMING}{secrets.token_hex(4)}"

    def _finish(self, stage: Path) -> None:
        """Every step looks whether it was done already: a kill between any two is made good by another call."""
        record = files.read_json(stage / "record.json", "a registration's record")
        name, version = str(record["name"]), int(record["version"])
        registry = Registry.read(self.index)
        entry = registry.models.get(name, {}).get(version) or record["entry"]
        if record.get("since"):
            entry = {**entry, "tags": {**entry["tags"], CHAMPION_SINCE: record["since"]}}
        self._move_in(stage, name, version)
        self._track(name, {**registry.models.get(name, {}), version: entry}, version, record.get("run"))
        after = registry.put(name, version, entry)
        self.tracking.set_champion(name, after.champion(name))
        (stage / "record.json").unlink()
        shutil.rmtree(stage)

    def _move_in(self, stage: Path, name: str, version: int) -> None:
        folder = self.layout.models / name
        if (stage / "lineage.json").is_file():
            (folder / "lineage").mkdir(exist_ok=True)
            (stage / "lineage.json").replace(folder / "lineage" / f"{version}.json")
        if (stage / "bundle").is_dir():
            (stage / "bundle").rename(folder / str(version))
            sync_folder(folder)

    def _track(self, name: str, entries: Mapping[int, Entry], version: int, run: Mapping[str, Any] | None) -> None:
        runs: dict[int, str] = {}
        if run:
            runs[version] = self.tracking.ensure_run(run["id"], run["experiment"], {})
            self.tracking.log(runs[version], run["params"], run["metrics"])
        self.tracking.ensure_versions(name, entries, runs)


def manifest_digest(bundle: Path) -> str:
    return hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
