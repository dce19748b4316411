"""`cva endpoint publish` against the bare SDK calls, both on the fake of Azure, for both generations: what ours adds.

    python benchmarks/azure_publish.py [--rounds N] [--save FILE]

Ours is the whole command but the interpreter's start: settings, git, staging, a new connection, the publishing, the
record beside it, the default, and what is said at its end. Bare (`azure_bare.py`) are a new connection and the SDK's
calls on the same staged folder. Each round publishes a new version each way, in turn, with a job file that differs from
all others, so that all files go up; the first round of each, which imports, is thrown away. Needs the development
environment (the fake lives in tests/). Knows nothing of the real service's speed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from host import host

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 2.0  # seconds that ours may take more
GENERATIONS = ("v1", "v2")
Numbers = dict[str, list[float]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", type=Path, help="a JSON file for the raw numbers")
    parser.add_argument("--child", choices=GENERATIONS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args.child, args.rounds)))
        return 0
    result: dict[str, Any] = {"host": host(), "nice": os.nice(0), "rounds": args.rounds}
    for generation in GENERATIONS:
        numbers = in_a_process_of_its_own(generation, args.rounds)
        result[generation] = {**summary(numbers), "raw": numbers}
    if args.save:
        args.save.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for generation in GENERATIONS:
        shown = result[generation]
        for kind in ("wall", "cpu"):
            bare, ours, added = (shown[f"{kind}_{each}"] for each in ("bare", "ours", "added"))
            print(f"SDK {generation} {kind:<5} bare {bare:6.2f} s   cva {ours:6.2f} s   cva adds {added:6.2f} s")
    print(json.dumps(result))
    return 0 if all(result[generation]["wall_added"] <= LIMIT for generation in GENERATIONS) else 1


def in_a_process_of_its_own(generation: str, rounds: int) -> dict[str, Numbers]:
    """The SDK reads its surroundings when it is imported: they are the fake's."""
    sys.path.insert(0, str(ROOT))
    from tests.fake_azure.azure import FakeAzure

    with tempfile.TemporaryDirectory() as folder:
        azure = FakeAzure(Path(folder)).start()
        try:
            settings = f"- name: AZUREML_SDK\n  value: {generation}\n"
            settings += f"- name: SUBSCRIPTION_ID\n  value: {azure.state.subscription}\n"
            Path(folder, "variable_template.yml").write_text(f"variables:\n{settings}", encoding="utf-8")
            environment = azure.signed_in(PYTHONPATH=str(ROOT), CVA_SUBSCRIPTION=azure.state.subscription)
            del environment["CVA_TEST_ARGUMENTS"]  # nobody listens here
            command = [sys.executable, __file__, "--rounds", str(rounds), "--child", generation]
            done = subprocess.run(command, env=environment, cwd=folder, stdout=subprocess.PIPE, check=True, timeout=900)
            azure.assert_clean()
        finally:
            azure.stop()
    found: dict[str, Numbers] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(generation: str, rounds: int) -> dict[str, Numbers]:
    """Seconds of the clock and of all processors, of each way and round."""
    import azure_bare

    from model_training.settings import load_settings

    template = Path(load_settings().job_template_path).read_text(encoding="utf-8")
    bare = getattr(azure_bare, generation)
    numbers: dict[str, Numbers] = {way: {"bare": [], "ours": []} for way in ("wall", "cpu")}
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:  # in the clone, as the job file itself
        for number in range(rounds + 1):
            mine, theirs = (f"{template}# {way} {number}\n" for way in ("ours", "bare"))
            job = Path(folder, "job.yml")
            job.write_text(mine, encoding="utf-8")
            asked = request(Path(tempfile.mkdtemp(dir=folder)), theirs)
            ways: list[tuple[str, Callable[[], None]]] = [
                ("bare", partial(bare, asked, number)),
                ("ours", partial(ours, job, number)),
            ]
            for way, publish in ways if number % 2 else reversed(ways):
                wall, cpu = timed(publish)
                if number:
                    numbers["wall"][way].append(round(wall, 3))
                    numbers["cpu"][way].append(round(cpu, 3))
    return numbers


def request(folder: Path, template: str) -> Any:
    """What `cva endpoint publish` would send of that job file, under another name."""
    from model_training.publishing import checkout, stage, step_code
    from model_training.settings import load_settings
    from model_training.workspaces.azureml.service import PublishRequest

    settings = load_settings()
    step = step_code(stage(folder, template, checkout(settings)), settings)
    parameters = {"dataset_name": "caps", "model_name": "caps_model", "cluster": "gpu-cluster"}
    return PublishRequest("bare-endpoint", "by the SDK", step, parameters, {})


def ours(job: Path, number: int) -> None:
    from model_training.cli.main import main as cva

    words = [
        "endpoint",
        "publish",
        "--name",
        "our-endpoint",
        "--template",
        str(job),
        "--property",
        f"build_id={number}",
    ]
    code = cva(["--workspace", "azureml", "--json", *words])
    assert code == 0, f"cva {' '.join(words)}: exit {code}"


def timed(publish: Callable[[], None]) -> tuple[float, float]:
    """What it says, progress bars too, is for nobody; where it fails that is shown."""
    said = io.StringIO()
    start, before = time.perf_counter(), processor_seconds()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            publish()
    except BaseException:
        print(said.getvalue()[-4000:], file=sys.stderr)
        raise
    return time.perf_counter() - start, processor_seconds() - before


def processor_seconds() -> float:
    """Of this process and those that it started (git); not the fake's."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def summary(numbers: dict[str, Numbers]) -> dict[str, float]:
    """Medians; `added` is the median of ours less that of the other."""
    found: dict[str, float] = {}
    for kind, of in numbers.items():
        bare, mine = (round(statistics.median(of[way]), 3) for way in ("bare", "ours"))
        found |= {f"{kind}_bare": bare, f"{kind}_ours": mine, f"{kind}_added": round(mine - bare, 3)}
    return found


if __name__ == "__main__":
    sys.exit(main())
