"""Run by test_registration_kills.py: registers in forked children that die before their 1st, 2nd, 3rd … write.

Prints one JSON line: for registering and for promoting, how many points there were and what was wrong after recovery.
A point is any file that is opened for writing, made, renamed or removed inside the workspace, and any commit of the
MLflow database. Forking saves the 3 CPU-seconds that importing MLflow takes each time.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from model_training.workspaces.base import Bundle
from model_training.workspaces.local import LocalWorkspace
from scoring.bundle import verify_files
from tests.contracts.bundles import decision, tiny_bundle

KILLED = 9
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def die_at(point: int, root: Path) -> None:
    """Exit without any clean-up just before that write."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    seen = 0

    def count() -> None:
        nonlocal seen
        seen += 1
        if seen == point:
            os._exit(KILLED)

    def audit(name: str, args: tuple[Any, ...]) -> None:
        moved = name in ("os.rename", "os.mkdir", "os.remove", "os.rmdir")
        if (moved or (name == "open" and int(args[2]) & WRITES)) and _inside(args[0], root):
            count()

    sys.addaudithook(audit)
    event.listen(Engine, "commit", lambda connection: count())


def _inside(path: object, root: Path) -> bool:
    """Removing a tree names its entries without their folder."""
    return isinstance(path, str | os.PathLike) and (str(path).startswith(str(root)) or "/" not in str(path))


def forked(work: Callable[[], None], errors: Path) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            errors.write_text(traceback.format_exc())
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def register(root: Path, bundle: Bundle, run_id: str) -> None:
    decided = decision(champion=None if run_id == "first" else 1)
    LocalWorkspace.open(root).models.register(bundle, decided, name="M", run_id=run_id, trained_on=frozenset())


def check(root: Path, bundle: Bundle, *, go_on: bool) -> None:
    """After recovery: every version whole, MLflow and the mirror equal, nothing left over; the next one works."""
    workspace = LocalWorkspace.open(root)
    assert not list(root.glob("models/*/.*")), "leftovers"
    before = agreed(workspace)
    assert before in ([], [1], [1, 2]), before
    if go_on:
        champion = workspace.models.champion("M")
        decided = decision(champion=champion.version if champion else None)
        made = workspace.models.register(bundle, decided, name="M", run_id="again", trained_on=frozenset())
        assert made.champion
        assert agreed(workspace) == [*before, len(before) + 1]


def agreed(workspace: LocalWorkspace) -> list[int]:
    models = workspace.models.list()
    for model in models:
        verify_files(model.path, model.manifest)
        assert json.loads((model.path / "release.json").read_text())["version"] == model.version
        assert workspace.models.lineage(model)["schema"] == 1
    mirrored = {model.version: dict(model.tags) for model in models}
    assert workspace.tracking.versions("M") == mirrored
    champion = [model.version for model in models if model.champion]
    assert [workspace.tracking.champion("M")] == champion
    folders = sorted(int(p.name) for p in (workspace.path / "models" / "M").iterdir() if p.name.isdigit())
    assert folders == sorted(mirrored)
    return folders


def main(folder: Path) -> None:
    first, second = tiny_bundle(folder / "1", model=b"1"), tiny_bundle(folder / "2", model=b"2")
    register(folder / "seed", first, "first")
    found = {
        "register": kill_everywhere(folder, second, lambda root: register(root, second, "second")),
        "promote": kill_everywhere(folder, second, lambda root: LocalWorkspace.open(root).models.promote("M", 1)),
    }
    print(json.dumps(found))


def kill_everywhere(folder: Path, bundle: Bundle, act: Callable[[Path], object]) -> dict[str, Any]:
    """Until a child gets through alive: each dies one write later than the one before."""
    errors = folder / "errors.txt"
    problems, point, killed = [], 0, True
    while killed:
        point += 1
        root = folder / f"at-{point}"
        shutil.copytree(folder / "seed", root)

        def dying(root: Path = root, point: int = point) -> None:
            die_at(point, root)
            act(root)

        code = forked(dying, errors)
        killed = code == KILLED

        def checking(root: Path = root, point: int = point) -> None:
            check(root, bundle, go_on=point % 8 == 0)

        if code == 1 or forked(checking, errors):
            problems.append(f"point {point}: {errors.read_text()}")
        shutil.rmtree(root)
    return {"points": point - 1, "problems": problems}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
