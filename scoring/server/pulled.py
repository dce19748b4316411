"""A served model that is pulled into a store on this machine, and the rules that choose a source.

The store's last good version serves on while the registry is away. Knows nothing about HTTP or when to look.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path

from scoring.bundle import MANIFEST
from scoring.edge.backoff import attempt
from scoring.edge.pull import pull
from scoring.edge.registries import REGISTRY, open_registry
from scoring.edge.registry import LocalRegistry, Registry, find_workspace, parse_reference
from scoring.edge.store import Store
from scoring.errors import CvaError, NotFoundError, OfflineError, UsageError
from scoring.server.source import BundleFolder, Candidate, RegisteredModel, Source

log = logging.getLogger(__name__)

TRUE = ("1", "true", "yes", "on")


class PulledModel:
    """`registry`'s model, kept in `dest`/`name`; `fallback` is a bundle for a machine that never pulled one."""

    patient = True

    def __init__(
        self,
        registry: Registry,
        name: str,
        version: str,
        dest: Path,
        fallback: BundleFolder | None = None,
        *,
        provider: str = "cpu",
    ) -> None:
        self.registry, self.name, self.version, self.dest, self.provider = registry, name, version, dest, provider
        self.store = Store(dest.absolute() / name)
        self.fallback = fallback

    def look(self) -> Hashable:
        """What the registry has, what is installed, and whether a version that could not be tried may be again.

        A registry that is away is no change of its own.
        """
        installed = self.store.current()
        try:
            wanted = self.registry.resolve(self.name, self.version)
        except (OfflineError, NotFoundError):
            wanted = None
        return wanted, installed, attempt(self.store.state(), wanted.manifest_sha256) if wanted else None

    def find(self) -> Candidate:
        """Pull, and whatever comes of it, what is installed now. Raises: CvaError where nothing is.

        A server asks all the time: what failed here is not fetched again, though it has a number.
        """
        try:
            result = pull(self.registry, self.name, self._word(), self.dest, provider=self.provider, insist=False)
            trouble = result.message
        except CvaError as error:
            if self.store.current() is None and self.fallback is None:
                raise
            trouble = error.message
        installed = self.store.current()
        if trouble:
            kept = "the folder's own bundle" if installed is None else f"version {installed}"
            log.warning("%s could not be brought up to date, %s serves: %s", self.name, kept, trouble)
        if installed is None and self.fallback is not None:
            return self.fallback.find()
        return self._installed()

    def refuse(self, candidate: Candidate, why: str) -> None:
        """Remember it beside the pull's own refusals and make the version before the current one again."""
        with self.store.lock():
            state = self.store.state()
            if str(self.store.current()) != candidate.version:
                return
            rejected = {**state.rejected, candidate.manifest_sha256: why}
            previous = state.previous
            if previous is not None and self.store.folder(previous).is_dir():
                self.store.swap(previous)
                state = replace(state, current=previous, manifest_sha256="", previous=None)
            self.store.write_state(replace(state, rejected=rejected))

    def _installed(self) -> Candidate:
        found = BundleFolder(self.store.root).find()
        state = self.store.state()
        if state.manifest_sha256 and str(state.current) == found.folder.name:
            found = replace(found, manifest_sha256=state.manifest_sha256)
        return replace(found, name=self.name, version=found.folder.name)

    def _word(self) -> str:
        """A bare name is the champion, else the latest."""
        if self.version:
            return self.version
        try:
            self.registry.resolve(self.name, "best")
        except NotFoundError:
            return "latest"
        except OfflineError:
            pass
        return "best"


def open_source(
    *,
    model: str = "",
    bundle: Path | None = None,
    registry: str = "",
    store: Path | None = None,
    provider: str = "cpu",
    environ: Mapping[str, str],
) -> Source:
    """What the arguments and the older skill's environment ask for.

    `store` (else AZUREML_MODEL_DIR, else `served` in the workspace) keeps what is pulled, tested on `provider`.

    Raises: UsageError, NotFoundError.
    """
    given = environ.get("AZUREML_MODEL_DIR", "")
    latest = environ.get("GET_LATEST_MODEL", "").strip().lower() in TRUE
    elsewhere = registry or environ.get(REGISTRY, "")
    if bundle is not None:
        _expect_alone(registry, store)
        if latest:
            log.warning("GET_LATEST_MODEL is not used: --bundle says what is served, and it is not pulled")
        return BundleFolder(bundle)
    if store is not None and not elsewhere and not latest:
        raise UsageError(
            "expected --registry with --store, found none: a model of the workspace is not pulled",
            hint=f"give --registry PATH|URL or {REGISTRY}, or leave --store out",
        )
    if not model and not latest and given and not registry:
        return BundleFolder(bundle_in(Path(given)))
    reference = model or environ.get("EXPERIMENT_NAME", "")
    if not reference:
        raise UsageError(
            "expected a model to serve, found none",
            hint="give --model NAME or --bundle DIR (or GET_LATEST_MODEL=true with EXPERIMENT_NAME)",
        )
    name, version = parse_reference(reference)
    if not latest and not elsewhere:
        return RegisteredModel(LocalRegistry.of(), name, version)
    dest = store or (Path(given) if given else find_workspace() / "served")
    word = version or ("best" if latest else "")
    return PulledModel(open_registry(elsewhere), name, word, dest, _fallback(given), provider=provider)


def _expect_alone(registry: str, store: Path | None) -> None:
    """A bundle is served from where it lies. Raises: UsageError."""
    others = [name for name, value in (("--registry", registry), ("--store", store)) if value]
    if others:
        raise UsageError(
            f"expected --bundle alone, found {' and '.join(others)} beside it: a bundle is not pulled",
            hint="give --model NAME instead of --bundle, or leave the others out",
        )


def bundle_in(folder: Path) -> Path:
    """The bundle that a folder is or holds, as Azure ML mounts one: itself, or its only subfolder that is one.

    What a pull keeps (a store's folder) counts as itself: its current version is followed.
    """
    if (folder / MANIFEST).is_file() or Store(folder).current() is not None:
        return folder
    found = sorted(each.parent for each in folder.glob(f"*/{MANIFEST}"))
    if len(found) != 1:
        raise NotFoundError(
            f"expected one bundle in {folder}, found {len(found)}", hint="set AZUREML_MODEL_DIR to the model's folder"
        )
    return found[0]


def _fallback(given: str) -> BundleFolder | None:
    try:
        return BundleFolder(bundle_in(Path(given))) if given else None
    except NotFoundError:
        return None
