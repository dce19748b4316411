"""Publishing by `cva`'s SDK v1 service against the bare SDK calls, both on the fake of Azure: what ours adds.

    python benchmarks/azure_publish.py [--rounds N] [--save FILE]

Each round publishes a new version of one endpoint both ways, in turn, on a warm process; the first round of each is
thrown away. Needs the development environment (the fake lives in tests/). Knows nothing of the real service's speed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from host import host

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 2.0  # seconds that ours may take more
PARAMETERS = {"dataset_name": "", "model_name": "", "cluster": "gpu-cluster"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", type=Path, help="a JSON file for the raw numbers")
    parser.add_argument("--child", metavar="FOLDER", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(Path(args.child), args.rounds)))
        return 0
    seconds = in_a_process_of_its_own(args.rounds)
    result = {"host": host(), "rounds": args.rounds, "seconds": seconds, **summary(seconds)}
    if args.save:
        args.save.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"{'bare SDK calls':<20}{result['bare_median']:8.2f} s\n{'cva':<20}{result['ours_median']:8.2f} s")
    print(f"{'cva adds':<20}{result['added']:8.2f} s (at most {LIMIT:g} s)")
    print(json.dumps(result))
    return 0 if result["added"] <= LIMIT else 1


def in_a_process_of_its_own(rounds: int) -> dict[str, list[float]]:
    """The SDK reads its surroundings when it is imported: they are the fake's."""
    sys.path.insert(0, str(ROOT))
    from tests.fake_azure.azure import FakeAzure

    with tempfile.TemporaryDirectory() as folder:
        azure = FakeAzure(Path(folder)).start()
        try:
            environment = azure.signed_in(PYTHONPATH=str(ROOT), CVA_FAKE_PLACE=place(azure.state))
            command = [sys.executable, __file__, "--rounds", str(rounds), "--child", staged(Path(folder) / "step")]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=True)
        finally:
            azure.stop()
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def place(state: Any) -> str:
    return "/".join((state.subscription, state.resource_group, state.workspace))


def staged(folder: Path) -> str:
    """The real staged folder would do as well: both ways upload the same."""
    (folder / "model_training").mkdir(parents=True)
    (folder / "model_training" / "step.py").write_text("print('step')\n", encoding="utf-8")
    (folder / "step.txt").write_text("numpy==2.3.2\n", encoding="utf-8")
    return str(folder)


def measure(folder: Path, rounds: int) -> dict[str, list[float]]:
    from model_training.workspaces.azureml.service import Place
    from model_training.workspaces.azureml.v1 import V1Service

    service = V1Service.connect(Place(*os.environ["CVA_FAKE_PLACE"].split("/")))
    seconds: dict[str, list[float]] = {"bare": [], "ours": []}
    for number in range(rounds + 1):
        for way, publish in (("bare", bare), ("ours", ours)):
            (folder / "model_training" / "step.py").write_text(f"print({number}, '{way}')\n", encoding="utf-8")
            start = time.perf_counter()
            publish(service, folder)
            if number:
                seconds[way].append(round(time.perf_counter() - start, 3))
    return seconds


def ours(service: Any, folder: Path) -> None:
    from model_training.workspaces.azureml.service import PublishRequest, StepCode

    step = StepCode(folder, "model_training/step.py", (), "env", folder / "step.txt", "3.11", "cpu-cluster")
    service.publish(PublishRequest("ours", "by cva", step, PARAMETERS, {"build_id": "1"}))


def bare(service: Any, folder: Path) -> None:
    """As the SDK's own documentation publishes: one step, one pipeline, one endpoint."""
    from azureml.core import RunConfiguration
    from azureml.pipeline.core import Pipeline, PipelineEndpoint, PipelineParameter
    from azureml.pipeline.steps import PythonScriptStep

    workspace = service._workspace
    arguments: list[Any] = []
    for name, default in PARAMETERS.items():
        arguments += [f"--{name}", PipelineParameter(name, default)]
    step = PythonScriptStep(
        "model_training/step.py",
        arguments=arguments,
        compute_target="cpu-cluster",
        runconfig=RunConfiguration(),
        source_directory=str(folder),
        allow_reuse=False,
    )
    published = Pipeline(workspace, steps=[step]).publish(name="bare", description="by the SDK")
    if any(endpoint.name == "bare" for endpoint in PipelineEndpoint.list(workspace)):
        PipelineEndpoint.get(workspace, name="bare").add_default(published)
    else:
        PipelineEndpoint.publish(workspace, name="bare", description="by the SDK", pipeline=published)


def summary(seconds: dict[str, list[float]]) -> dict[str, float]:
    medians = {way: statistics.median(values) for way, values in seconds.items()}
    added = round(medians["ours"] - medians["bare"], 3)
    return {"bare_median": medians["bare"], "ours_median": medians["ours"], "added": added}


if __name__ == "__main__":
    sys.exit(main())
