"""A node of the CPU cluster: runs a submitted step as Azure ML does, from the very files that publishing uploaded.

What is asked of the fake is read from its state; the process has the environment that the service gives to a run, the
cluster's managed identity, and the interpreter of requirements/step.txt. Nothing of the checkout is on its path.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fake_azure.state import RunRecord
from tests.fake_azure.v1 import pipelines, snapshots
from tests.fake_azure.v2 import code

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure


@dataclass(frozen=True)
class Node:
    """`folder` is the node's disk; another folder is another node."""

    azure: FakeAzure
    python: str
    folder: Path

    def start(self, run_id: str) -> subprocess.Popen[str]:
        """The step below a pipeline's run."""
        step = step_of(self.azure, run_id)
        files, command = v1_step(self.azure, step) if "module" in step.extra else v2_step(self.azure, step)
        work = self.folder / "work"
        for path, data in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_bytes(data)
        step.status = self.azure.state.runs[run_id].status = "Running"
        state = self.azure.state
        given = {
            "AZUREML_RUN_ID": step.id,
            "AZUREML_ARM_SUBSCRIPTION": state.subscription,
            "AZUREML_ARM_RESOURCEGROUP": state.resource_group,
            "AZUREML_ARM_WORKSPACE_NAME": state.workspace,
            "CVA_CACHE": str(self.folder / "cache"),
            "PATH": f"{Path(self.python).parent}:/usr/bin:/bin",
        }
        environment = {name: v for name, v in self.azure.on_cluster(**given).items() if not name.startswith("PYTHON")}
        environment |= self.azure.arguments.environment()
        return subprocess.Popen(
            command, cwd=work, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, run_id: str, *, good: bool = True) -> tuple[str, str]:
        """Its output and errors; the service then says how it ended."""
        process = self.start(run_id)
        out, err = process.communicate(timeout=600)
        self.azure.said += [out, err]
        self.ended(run_id, process.returncode)
        assert (process.returncode == 0) is good, f"exit {process.returncode}\n{out}\n{err}"
        return out, err

    def ended(self, run_id: str, code: int) -> None:
        for run in (self.azure.state.runs[run_id], step_of(self.azure, run_id)):
            run.status = "Completed" if code == 0 else "Failed"


def step_of(azure: FakeAzure, run_id: str) -> RunRecord:
    """The one step of a pipeline's run."""
    (step,) = [run for run in azure.state.runs.values() if run.parent == run_id and run.kind == "azureml.StepRun"]
    return step


def v1_step(azure: FakeAzure, step: RunRecord) -> tuple[dict[str, bytes], list[str]]:
    module = azure.state.own["v1"]["modules"][step.extra["module"]]
    parameters = azure.state.runs[step.parent].parameters
    graph = azure.state.own["v1"]["pipelines"][azure.state.runs[step.parent].extra["pipeline"]]["body"]
    (node,) = pipelines.nodes(graph)
    script = next(each["Value"] for each in node["ModuleParameters"] if each["Name"] == "Script")
    arguments = [
        parameters[each["Value"]] if each["ValueType"] == "Parameter" else each["Value"]
        for each in module["StructuredInterface"]["Arguments"]
    ]
    files = snapshots.files_of(azure, module["StorageId"])
    return files, ["python", script, *arguments]


def v2_step(azure: FakeAzure, step: RunRecord) -> tuple[dict[str, bytes], list[str]]:
    spec = code.component_of(azure, str(step.extra["node"]["componentId"]))

    def value(match: re.Match[str]) -> str:
        return shlex.quote(step.parameters[match[1]])

    command = re.sub(r"\$\{\{inputs\.(\w+)\}\}", value, spec["command"])
    return code.files_of(azure, spec["code"].removeprefix("azureml:")), shlex.split(command)
