"""Registered models of an Azure ML workspace: immutable versions, a champion, tags; verified when they are fetched.

The bundle is the model's files. Which images it has seen is kept beside it in blob storage, so that the bundle stays as
its manifest lists it. Azure ML has no aliases: the champion is the version with the latest `champion_since`.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from model_training.workspaces import files, lineage, model_versions
from model_training.workspaces.azureml.cache import Cache
from model_training.workspaces.azureml.model_tags import MANIFEST, ONNX, RUN, stub, tags_of
from model_training.workspaces.azureml.naming import check_azure_name
from model_training.workspaces.azureml.service import Blobs, ModelAsset, Service
from model_training.workspaces.base import Bundle, Datasets, GateDecision, Json, Model
from model_training.workspaces.model_versions import CHAMPION_SINCE, onnx_sha256, still_true
from model_training.workspaces.names import now
from scoring.errors import ConflictError, IntegrityError, NotFoundError
from scoring.files import sha256_of

MAX_LINEAGE = 256 << 20  # bytes; 44 for each image


class AzureModels:
    def __init__(
        self, service: Service, cache: Cache, datasets: Callable[[], Datasets], step: Mapping[str, str]
    ) -> None:
        """`step`: its `environment` and `source_sha256`, kept with what it registers; empty elsewhere."""
        self._step = {key: value for key, value in step.items() if value}
        self._service = service
        self._cache = cache
        self._datasets = datasets

    def register(
        self,
        bundle: Bundle,
        decision: GateDecision,
        *,
        name: str,
        run_id: str,
        trained_on: frozenset[str] | None = None,
    ) -> Model:
        """One version, with its files, tags and, if it is the champion, since when; the same run's same model once.

        `trained_on` is the content hashes of the images it has seen; without it, those of the dataset version that the
        manifest names. Raises: ConflictError (the gate said no), IntegrityError (files differ from the manifest).
        """
        check_azure_name(name, "model")
        if not decision.register:
            raise ConflictError(f"the gate keeps this bundle out of {name!r}: {decision.reason}")
        staged = self._cache.incoming / f"{name}-{uuid.uuid4().hex[:8]}"
        try:
            files.copy_tree(bundle.path, staged)  # what is verified is what is uploaded
            return self._register(staged, decision, name, run_id, trained_on)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def get(self, reference: str) -> Model:
        """`NAME`, `NAME:3`, `NAME@champion`, `NAME@best`, `NAME@latest`; fetched, and every file held against its hash.

        Raises: NotFoundError, UsageError, IntegrityError.
        """
        asset, versions = self._resolve(reference)
        folder = self._fetched(asset)
        return _model(asset, folder, files.read_json(folder / "manifest.json", "a manifest"), versions)

    def find(self, reference: str) -> ModelAsset:
        """The registered version, without its files. Raises: NotFoundError, UsageError."""
        return self._resolve(reference)[0]

    def list(self, name: str | None = None) -> Sequence[Model]:
        """By name, then the newest first, from tags alone; fetches nothing."""
        assets = self._service.models(name)
        if name is not None and not assets:
            self._resolve(name)  # raises with the names that there are
        return [
            _model(asset, self._cache.model(asset.name, asset.version), stub(asset), _tags(assets, asset.name))
            for asset in sorted(assets, key=lambda asset: (asset.name, -asset.version))
        ]

    def champion(self, name: str) -> Model | None:
        """None while there is none; the gate's other side."""
        version = model_versions.champion(_tags(self._service.models(name), name))
        return self.get(f"{name}:{version}") if version is not None else None

    def promote(self, name: str, version: int) -> Model:
        """Make it the champion: one write on one version. Reversible: promote the former one again."""
        self._resolve(f"{name}:{version}")
        self._service.tag_model(name, version, {CHAMPION_SINCE: now()})
        return self.get(f"{name}:{version}")

    def lineage(self, model: Model) -> Json:
        """Where it came from; empty for a version that was registered by other means."""
        path = _lineage_path(model.name, model.tags.get(MANIFEST, ""))
        try:
            return files.parse_json(self._blobs().read(path, limit=MAX_LINEAGE), path)
        except NotFoundError:
            return {}

    def trained_on(self, model: Model) -> frozenset[str]:
        """Content hashes of the images that training, or the choice of its epoch and threshold, has seen."""
        return lineage.unpack(self.lineage(model).get("trained_on", ""))

    def _register(
        self, staged: Path, decision: GateDecision, name: str, run_id: str, trained_on: frozenset[str] | None
    ) -> Model:
        manifest = _verified(staged)
        there = self._service.models(name)
        asset = _registered_by(there, run_id, onnx_sha256(manifest))
        if asset is None:
            decision = still_true(decision, model_versions.champion(_tags(there, name)))
            digest = sha256_of(staged / "manifest.json")
            seen = self._seen(manifest) if trained_on is None else trained_on
            self._write_lineage(name, digest, lineage.describe(manifest, run_id, seen, self._step))
            asset = self._service.register_model(
                name,
                staged,
                tags=tags_of(manifest, decision, run_id=run_id, manifest_sha256=digest),
                properties={f"cva_{key}": value for key, value in self._step.items()},
                description=f"{manifest.get('algorithm')} for {', '.join(manifest.get('labels', []))}"[:1000],
            )
        return self.get(f"{name}:{asset.version}")

    def _resolve(self, reference: str) -> tuple[ModelAsset, model_versions.Versions]:
        """The version that is meant, and the tags of all of that name."""
        name = model_versions.split(reference)[0]
        assets = self._service.models(name)
        known = assets or self._service.models()  # for the message
        tags = {each: _tags(known, each) for each in sorted({asset.name for asset in known})}
        _, version = model_versions.resolve(tags, reference)
        return next(asset for asset in assets if asset.version == version), tags[name]

    def _fetched(self, asset: ModelAsset) -> Path:
        """The verified bundle in the cache; one that was damaged there is fetched again."""
        folder, digest = self._cache.model(asset.name, asset.version), asset.tags.get(MANIFEST, "")
        if _is_whole(folder, digest):
            return folder
        partial = self._cache.incoming / f"{asset.name}-{uuid.uuid4().hex[:8]}"
        try:
            partial.mkdir(parents=True)
            self._service.download_model(asset.name, asset.version, partial)
            _verified(partial, digest)
            files.write_json(partial / "release.json", _release(asset, sha256_of(partial / "manifest.json")))
            folder.parent.mkdir(parents=True, exist_ok=True)
            _move(partial, folder, digest)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return folder

    def _seen(self, manifest: Json) -> frozenset[str]:
        source = manifest.get("source", {}).get("dataset", {})
        if not source.get("name") or not str(source.get("version", "")):
            return frozenset()
        try:
            dataset = self._datasets().get(f"{source['name']}:{source['version']}")
        except NotFoundError:
            return frozenset()
        return lineage.seen_images(dataset.path)

    def _write_lineage(self, name: str, digest: str, facts: Json) -> None:
        """Before the version is there, so that no version is ever without."""
        self._blobs().write(files.json_bytes(facts), _lineage_path(name, digest), overwrite=True)

    def _blobs(self) -> Blobs:
        return self._service.blobs(self._service.default_datastore())


def _lineage_path(name: str, digest: str) -> str:
    return f"cva/models/{name}/{digest or 'none'}.lineage.json"


def _registered_by(assets: Sequence[ModelAsset], run_id: str, onnx: str) -> ModelAsset | None:
    same = (asset for asset in assets if run_id and (asset.tags.get(RUN), asset.tags.get(ONNX)) == (run_id, onnx))
    return next(same, None)


def _tags(assets: Sequence[ModelAsset], name: str) -> dict[int, Mapping[str, str]]:
    return {asset.version: asset.tags for asset in assets if asset.name == name}


def _verified(folder: Path, manifest_sha256: str = "") -> Json:
    from scoring.bundle import load_bundle

    return load_bundle(folder, manifest_sha256=manifest_sha256).manifest.raw


def _is_whole(folder: Path, manifest_sha256: str) -> bool:
    try:
        _verified(folder, manifest_sha256)
    except (IntegrityError, NotFoundError):
        return False
    return True


def _move(partial: Path, folder: Path, manifest_sha256: str) -> None:
    """Into the place of what is damaged there, unless another process was quicker."""
    if not _is_whole(folder, manifest_sha256):
        shutil.rmtree(folder, ignore_errors=True)
    try:
        partial.rename(folder)
    except OSError:
        if not _is_whole(folder, manifest_sha256):
            raise


def _release(asset: ModelAsset, digest: str) -> Json:
    """What binds the files to the version that the registry gave them (CONTRACTS 6)."""
    return {
        "name": asset.name,
        "version": asset.version,
        "manifest_sha256": digest,
        "released_at": asset.created_at,
    }


def _model(asset: ModelAsset, path: Path, manifest: Json, versions: model_versions.Versions) -> Model:
    champion = model_versions.champion(versions) == asset.version
    return Model(asset.name, asset.version, path, manifest, asset.tags, asset.created_at, champion)
