"""Peak memory of `cva batch` by the number of images: a process each, one small JPEG linked under many names.

All names are in one folder, the worst case: a folder's names are sorted. The detector is the tests' tiny graph, so that
what grows is the batch's own.

    python benchmarks/batch_memory.py [--images 1000,10000,100000]      writes benchmarks/results/batch_memory.json
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from host import host
from PIL import Image

HERE = Path(__file__).resolve().parent
LINKS = 50_000  # of one file; file systems allow about 65,000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", default="1000,10000,100000", help="how many, with commas")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bundle = make_bundle(Path(scratch) / "bundle")
        runs = [measure(Path(scratch), bundle, int(count)) for count in args.images.split(",")]
    least, most = runs[0]["peak_mib"], max(run["peak_mib"] for run in runs)
    result = {
        "command": f"python benchmarks/batch_memory.py --images {args.images}",
        "growth_mib": round(most - least, 1),
        "runs": runs,
        "host": host(),
    }
    (HERE / "results" / "batch_memory.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({"growth_mib": result["growth_mib"], "runs": runs}))


def make_bundle(folder: Path) -> Path:
    sys.path.insert(0, str(HERE.parent))
    from tests.scoring.conftest import make_bundle as tiny

    return tiny(folder)


def measure(scratch: Path, bundle: Path, count: int) -> dict[str, Any]:
    photos = scratch / f"photos{count}"
    photos.mkdir()
    for number in range(count):
        first = photos / f"IMG_{number // LINKS * LINKS:08}.jpg"
        if number % LINKS == 0:
            Image.new("RGB", (64, 64), (200, 40, 0)).save(first)
        else:
            (photos / f"IMG_{number:08}.jpg").hardlink_to(first)
    command = [sys.executable, "-m", "model_training", "--json", "batch", str(photos), "--bundle", str(bundle)]
    running = subprocess.Popen([*command, "--out", str(scratch / f"out{count}")], stdout=subprocess.PIPE)
    assert running.stdout is not None
    said = json.loads(running.stdout.read())
    _, status, usage = os.wait4(running.pid, 0)
    if status or said["images"] != count or said["failed"]:
        raise SystemExit(f"the batch of {count} images failed: {said}")
    return {"images": count, "peak_mib": round(_mib(usage), 1), "seconds": said["seconds"], "boxes": said["boxes"]}


def _mib(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    main()
