"""The embedded detector from random weights on BCCD, through the commands that a person would use.

Imports the published lists (205 train, 87 validation, 72 test), trains with `cva job run benchmarks/bccd.yml` and keeps
what it printed: metrics of the ONNX file on the test images. One thread; budget in CPU-seconds of the trial. With
`--cuda` it runs benchmarks/bccd_cuda.yml on the first GPU, as many epochs as that says.

    python benchmarks/bccd.py PATH_OF_BCCD [--budget 600 | --cuda] [--seed 1]      writes benchmarks/results/bccd-*.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from host import host

HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bccd", type=Path, help="the folder with Annotations, ImageSets and JPEGImages")
    parser.add_argument("--budget", type=int, default=600, metavar="CPU_SECONDS")
    parser.add_argument("--cuda", action="store_true", help="on a GPU, without a budget")
    parser.add_argument("--out", type=Path, help="instead of benchmarks/results/bccd-….json")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as workspace:
        cva(workspace, "data", "import", str(args.bccd), "--format", "voc", "--name", "bccd", "--skip-bad-boxes")
        job = Path(workspace) / "bccd.yml"
        template = HERE / ("bccd_cuda.yml" if args.cuda else "bccd.yml")
        job.write_text(template.read_text() + f"  random_seed: {args.seed}\n")
        budget = [] if args.cuda else ["--budget-cpu-seconds", str(args.budget)]
        ran = cva(workspace, "job", "run", str(job), "--test-data", "azureml:bccd-test@latest", *budget)
        trial = trial_result(Path(ran["paths"]["run"]))
        size = (Path(ran["paths"]["bundle"]) / "model.onnx").stat().st_size
    how = "--cuda" if args.cuda else f"--budget {args.budget}"
    result = {
        "command": f"python benchmarks/bccd.py BCCD {how} --seed {args.seed}",
        "cpu_seconds": trial["cpu_seconds"],
        "seconds": trial["seconds"],
        "epochs": trial["epochs"],
        "onnx_bytes": size,
        "metrics": ran["metrics"],
        "host": host(),
    }
    target = args.out or HERE / "results" / f"bccd-{'cuda' if args.cuda else args.budget}-seed{args.seed}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")
    metrics = ran["metrics"]
    keys = ("mean_average_precision", "coco_ap", "mean_average_precision_at_threshold", "precision", "recall")
    print(json.dumps({"cpu_seconds": trial["cpu_seconds"], **{key: round(metrics[key], 4) for key in keys}}))


def cva(workspace: str, *words: str) -> dict[str, Any]:
    """One command with --json; its progress goes to this process's stderr."""
    command = [sys.executable, "-m", "model_training", "--json", "--workspace", workspace, *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed: {done.stdout}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def trial_result(run: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(next(run.glob("sweep/trials/*/result.json")).read_text())
    return result


if __name__ == "__main__":
    main()
