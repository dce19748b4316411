"""Where everything lies in a local workspace's folder, how the folder is found, made and brought up to date.

Every path that is stored inside is relative to the folder, so it can be moved. Knows nothing about what the parts keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from model_training.workspaces import files
from model_training.workspaces.locking import FileLock, file_lock
from model_training.workspaces.names import now
from scoring.errors import IncompatibleError, StorageError

SCHEMA = 1
MIGRATIONS: Mapping[int, Callable[[Path], None]] = {}  # from that schema number to the next one


@dataclass(frozen=True)
class Layout:
    root: Path

    @property
    def lock(self) -> FileLock:
        """The writer's lock: registrations, publishing and MLflow's database."""
        return file_lock(self.root / "lock")

    @property
    def info(self) -> Path:
        return self.root / "workspace.json"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def endpoints(self) -> Path:
        return self.root / "endpoints"

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def mlflow(self) -> Path:
        return self.root / "mlflow.db"


def open_layout(root: Path, migrations: Mapping[int, Callable[[Path], None]] = MIGRATIONS) -> Layout:
    """Make the folder if it is new, bring an older one up to date, refuse a newer one."""
    layout = Layout(root)
    if not layout.info.is_file():
        _create(layout)
    found = _schema(layout)
    if found > SCHEMA:
        raise IncompatibleError(
            f"{root} is a workspace of schema {found}; this version reads up to {SCHEMA}",
            hint="update the package, or give another --workspace",
        )
    if found < SCHEMA:
        _migrate(layout, migrations)
    return layout


def _schema(layout: Layout) -> int:
    schema = files.read_json(layout.info, "a workspace's description").get("schema")
    if not isinstance(schema, int):
        raise StorageError(f"{layout.info}: expected a number 'schema', found {schema!r}")
    return schema


def _create(layout: Layout) -> None:
    root = layout.root
    if root.exists() and not root.is_dir():
        raise StorageError(
            f"{root}: expected a folder for the workspace, found a file", hint="give another --workspace"
        )
    root.mkdir(parents=True, exist_ok=True)
    own = ("lock", ".gitignore", "workspace.json")
    foreign = sorted(p.name for p in root.iterdir() if p.name not in own and not p.name.startswith(files.PARTIAL))
    if foreign and not layout.info.is_file():
        raise StorageError(
            f"{root}: expected a workspace or an empty folder, found {', '.join(foreign[:3])}",
            hint=f"give an empty folder, for example --workspace {root / '.cva'}",
        )
    with layout.lock.hold():
        if not layout.info.is_file():
            files.write_text(root / ".gitignore", "*\n")
            files.write_json(layout.info, {"schema": SCHEMA, "created_at": now()})


def _migrate(layout: Layout, migrations: Mapping[int, Callable[[Path], None]]) -> None:
    """One step at a time, each recorded when it is done, so that a kill in between goes on from there."""
    with layout.lock.hold():
        while (schema := _schema(layout)) < SCHEMA:
            if schema not in migrations:
                raise IncompatibleError(
                    f"{layout.root} is a workspace of schema {schema}, which this version cannot bring to {SCHEMA}",
                    hint="open it with the version in between first",
                )
            migrations[schema](layout.root)
            info = files.read_json(layout.info, "a workspace's description")
            files.write_json(layout.info, {**info, "schema": schema + 1})
