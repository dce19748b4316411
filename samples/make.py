"""Train the sample bundle with the project's own demo, in a workspace of its own, and lay it here with four pictures.

python samples/make.py        # about six minutes on two cores
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
MODEL = "Cap_Detection_Model"
MOST_BYTES = 3_000_000
PICTURES = 4


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / ".cva"
        cva = [sys.executable, "-m", "model_training", "--workspace", str(workspace)]
        subprocess.run([*cva, "demo", "--model-size", "pico"], cwd=HERE.parent, check=True)
        bundle = workspace / "models" / MODEL / "1"
        size = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
        if size > MOST_BYTES:
            sys.exit(f"expected a bundle of at most {MOST_BYTES} bytes, found {size}")
        _replace(HERE / MODEL, bundle)
        _replace(HERE / "pictures", _held_out(workspace, Path(folder) / "pictures"))


def _held_out(workspace: Path, target: Path) -> Path:
    """Pictures of the test part that show something."""
    from model_training.data.jsonl import read_rows
    from model_training.workspaces.local import LocalWorkspace

    datasets = LocalWorkspace.open(workspace).datasets
    rows = read_rows(datasets.split(datasets.get("cap_sample")).test)
    [images] = (workspace / "samples").glob("*/images")
    target.mkdir()
    for row in [row for row in rows if row.boxes][:PICTURES]:
        shutil.copyfile(images / Path(row.file_name).name, target / Path(row.file_name).name)
    return target


def _replace(old: Path, new: Path) -> None:
    shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(new, old)


if __name__ == "__main__":
    main()
