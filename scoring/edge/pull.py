"""Bring one exact version of a model onto this device: verified, self-tested, swapped in at one moment.

resolve -> compare with current -> manifest -> release and signature -> compatible, memory, disk -> each file hashed
while it is written -> listing equals manifest -> self-test -> rename -> swap -> health window -> state.json -> keep
two. Knows nothing about which registry it reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scoring.bundle import MANIFEST, Manifest, parse_manifest, verify_files
from scoring.compat import check_compatible
from scoring.edge.admission import Admitted, Signing, admit
from scoring.edge.backoff import postpone, waiting
from scoring.edge.golive import confirm, reject, settle, settled
from scoring.edge.health import Health
from scoring.edge.registry import Registry, Resolved, check_model_name, check_version
from scoring.edge.result import PullResult
from scoring.edge.room import check_disk, check_memory
from scoring.edge.selftest import self_test
from scoring.edge.signing import RELEASE
from scoring.edge.store import Store
from scoring.edge.transfer import Transfer, files_by_hash, replace_file, write_new
from scoring.edge.trust import verify_release
from scoring.errors import (
    CvaError,
    IntegrityError,
    NotFoundError,
    OfflineError,
    SelfTestError,
    StorageError,
    UntestedError,
    UsageError,
)


def pull(
    registry: Registry,
    name: str,
    version: str,
    dest: Path,
    *,
    allow_downgrade: bool = False,
    dry_run: bool = False,
    signing: Signing | None = None,
    health: Health | None = None,
    provider: str = "cpu",
    insist: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> PullResult:
    """Make `version` (latest, best, champion or a number) of `name` the current one in `dest`/`name`.

    Being offline is no error while a version is installed. Without `signing`, what the device has pinned decides. A
    dry run downloads the manifest and the release, checks them, and writes nothing. `provider` is what the self-test
    runs on. With `insist` a number tries again what failed here before; without it, nothing does.

    Raises: NotFoundError (1: nothing installed and nothing obtainable), StorageError (1), UsageError (2),
    IntegrityError (4), SelfTestError (5), IncompatibleError (6), LockedError (75).
    """
    word = check_version(version)
    store = Store(dest.absolute() / check_model_name(name))
    asked = signing or Signing.of(dest)
    job = _Pull(registry, store, name, word, asked, health, provider, allow_downgrade, insist and word.isdigit(), say)
    try:
        if dry_run:
            return job.look()
        if store.current() is None:
            registry.resolve(name, word)  # a name that does not exist makes no folders
        with store.lock():
            store.recover()
            return job.run()
    except OfflineError as error:
        return _offline(store, name, error)
    except OSError as error:
        raise StorageError(
            f"cannot write {error.filename or store.root}: {error.strerror}",
            hint="the version in use stays; see the disk",
        ) from error


def _offline(store: Store, name: str, error: OfflineError) -> PullResult:
    current = store.current()
    if current is None:
        raise NotFoundError(f"nothing is installed, and the registry: {error.message}", hint=error.hint) from error
    return PullResult("offline", name, current, store.folder(current), None, error.message)


@dataclass(frozen=True)
class _Pull:
    registry: Registry
    store: Store
    name: str
    word: str
    signing: Signing
    health: Health | None
    provider: str
    allow_downgrade: bool
    again: bool  # also what failed here before
    say: Callable[[str], None]

    def look(self) -> PullResult:
        """Everything that can be known without downloading the files."""
        target = self._resolve()
        if self._installed(target):
            return self._result("current", target, None, self._admit(target))
        self._refuse_failed(target)
        self._check_key()
        _, manifest, admitted = self._manifest(target)
        check_disk(_existing(self.store.root), _total(manifest))
        return self._result("would_update", target, self.store.current(), admitted)

    def run(self) -> PullResult:
        target = self._resolve()
        if self._installed(target):
            admitted = self._admit(target)
            self._refresh(target, admitted)
            before = settled(self.store)
            if before not in (None, target.version):  # a pull ended within its health window
                self._check_key()
                confirm(self.store, target, self.health, before, self.say)
            settle(self.store, target)
            return self._result("current", target, None, admitted)
        self._refuse_failed(target)
        before = settled(self.store) or self.store.current()
        if before != target.version:
            self._check_key()
        data, manifest, admitted = self._manifest(target)
        if _intact(self.store.folder(target.version), target):
            self._refresh(target, admitted)
        else:
            self._install(target, manifest, {MANIFEST: data, **admitted.files})
        self.store.swap(target.version)
        confirm(self.store, target, self.health, before, self.say)
        return self._result("updated", target, settle(self.store, target, before), admitted)

    def _result(self, status: str, target: Resolved, previous: int | None, admitted: Admitted) -> PullResult:
        folder = self.store.folder(target.version)
        return PullResult(status, self.name, target.version, folder, previous, "", admitted)

    def _resolve(self) -> Resolved:
        """The exact version: not lower than what is installed, and never another bundle under the same number."""
        target, current = self.registry.resolve(self.name, self.word), self.store.current()
        if current is not None and target.version < current and not self.allow_downgrade:
            raise UsageError(
                f"{self.name} {self.word} is version {target.version}, older than {current}, which is installed",
                hint="add --allow-downgrade if that is meant",
            )
        known = self.store.state().known.get(str(target.version))
        if known and known != target.manifest_sha256:
            raise IntegrityError(
                f"the registry changed {target.name}:{target.version}: expected the manifest {known} that was"
                f" installed here, found {target.manifest_sha256}",
                hint="a version never changes; ask who publishes, and register it as a new version",
            )
        return target

    def _installed(self, target: Resolved) -> bool:
        return self.store.current() == target.version and _intact(self.store.folder(target.version), target)

    def _manifest(self, target: Resolved) -> tuple[bytes, Manifest, Admitted]:
        """The manifest that was pinned, let in by its signature, of a bundle that this machine can run."""
        admitted = self._admit(target)
        try:
            data = self.registry.manifest(self.name, target.version)
        except NotFoundError as error:
            raise OfflineError(f"the registry lists {target.version} and lacks it: {error.message}") from error
        manifest = parse_manifest(data, target.manifest_sha256)
        if manifest.name != target.name:
            raise IntegrityError(
                f"expected a bundle of {target.name}, found one of {manifest.name[:100]!r}",
                hint="the registry mixed models up; register or publish the model again",
            )
        check_compatible(manifest, self.provider)
        check_memory(manifest)
        return data, manifest, admitted

    def _admit(self, target: Resolved) -> Admitted:
        admitted = admit(self.registry, target, self.signing)
        if admitted.keyid:
            self.say(f"{target.name}:{target.version} is signed by key {admitted.keyid}")
        return admitted

    def _refuse_failed(self, target: Resolved) -> None:
        """A bundle that failed here is not fetched again and again; asking for it by number tries once more."""
        if self.again:
            return
        state, title = self.store.state(), f"{target.name}:{target.version}"
        hint = f"`cva model pull {title} --to {self.store.root.parent}` tries it again now"
        reason = state.rejected.get(target.manifest_sha256)
        if reason:
            raise SelfTestError(f"{title} was rejected on this machine before: {reason}", hint=hint)
        wait = waiting(state, target.manifest_sha256)
        if wait:
            raise UntestedError(f"{title} is not tried now: {wait}", hint=hint)

    def _check_key(self) -> None:
        """Before anything is downloaded or swapped. Raises: UsageError."""
        if self.health is not None:
            self.health.check_key()

    def _install(self, target: Resolved, manifest: Manifest, beside: dict[str, bytes]) -> None:
        """Everything until the version has its name; a failure leaves no trace but the memory of a rejected bundle."""
        total = _total(manifest)
        check_disk(self.store.root, total)
        current = self.store.current()
        here = files_by_hash(self.store.folder(current)) if current is not None else {}
        staged = self.store.stage(target.version)
        self.say(f"{target.name}:{target.version}: {len(manifest.files) + 1} files, {total / 1e6:.1f} MB")
        try:
            Transfer(self.registry, target, self.say, here).run(manifest, staged)
            for name, data in beside.items():
                write_new(staged / name, data)
            verify_files(staged, manifest)
            self.say("self-test on the golden images")
            self_test(staged, provider=self.provider)
            self.store.commit(staged, target.version)
        except UntestedError as error:
            postpone(self.store, target, error.message)
            raise
        except SelfTestError as error:
            reject(self.store, target, error.message)
            raise
        finally:
            self.store.discard(staged)

    def _refresh(self, target: Resolved, admitted: Admitted) -> None:
        """Signatures that were added since the version was installed; a release that verifies here never changes."""
        folder = self.store.folder(target.version)
        differing = {
            name: data
            for name, data in admitted.files.items()
            if not (folder / name).is_file() or (folder / name).read_bytes() != data
        }
        if admitted.problem or (RELEASE in differing and _verified(folder, self.signing)):
            return
        for name, data in differing.items():
            replace_file(folder / name, data, self.store.incoming)


def _intact(folder: Path, target: Resolved) -> bool:
    """The version is on this device already and every byte is right."""
    try:
        data = (folder / MANIFEST).read_bytes()
        verify_files(folder, parse_manifest(data, target.manifest_sha256))
    except (OSError, CvaError):
        return False
    return True


def _verified(folder: Path, signing: Signing) -> bool:
    try:
        verify_release(folder, signing.trust)
    except (OSError, CvaError):
        return False
    return True


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.is_dir())


def _total(manifest: Manifest) -> int:
    return sum(entry.bytes for entry in manifest.files)
