"""What Microsoft's schema does not say of tasks: inputs that others require, and where a task can run.

Knows only the tasks that are used here. test_yaml.py holds the table against the schema.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.pipelines.checker.findings import Findings
from tests.pipelines.checker.pipeline import Pipeline, Step
from tests.pipelines.checker.schema import inputs_of
from tests.pipelines.checker.tree import Tree

RULE = "tasks"


@dataclass(frozen=True)
class Task:
    """`requires` are inputs that cannot be left to their defaults; `when`: input and value -> inputs required then."""

    requires: tuple[str, ...] = ()
    when: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    on_server: bool = False  # in `pool: server` only; all others need an agent


TASKS = {
    "AzureCLI@2": Task(
        requires=("azureSubscription", "scriptType", "scriptLocation"),
        when={
            ("scriptLocation", "scriptPath"): ("scriptPath", "workingDirectory"),
            ("scriptLocation", "inlineScript"): ("inlineScript",),
        },
    ),
    "UsePythonVersion@0": Task(requires=("versionSpec",)),
    "PublishTestResults@2": Task(requires=("testResultsFormat", "testResultsFiles")),
    "DownloadSecureFile@1": Task(requires=("secureFile",)),
    "Delay@1": Task(requires=("delayForMinutes",), on_server=True),
}


def check_tasks(pipeline: Pipeline, tree: Tree, findings: Findings) -> None:
    for _, job, step in pipeline.steps():
        on_server = job.node.get("pool") == "server"
        task = TASKS.get(step.task)
        if step.task and task is None:
            findings.add(step.node, RULE, f"{step.task} is not among the tasks that are used here: {', '.join(TASKS)}")
        if on_server != bool(task and task.on_server):
            where = "on the server without an agent" if not on_server else "with an agent"
            findings.add(step.node, RULE, f"{step.task or 'this step'} runs {where}: {_pool(on_server)}")
        if task:
            _check_inputs(step, task, findings)


def _check_inputs(step: Step, task: Task, findings: Findings) -> None:
    needed = list(task.requires)
    for (name, value), names in task.when.items():
        if step.inputs.get(name) == value:
            needed += names
    known = inputs_of(step.task)
    for name in needed:
        if not step.inputs.get(name):
            findings.add(step.node, RULE, f"{step.task} needs its input {name}")
    for name, value in step.inputs.items():
        if name not in known:
            findings.add(value, RULE, f"{step.task} has no input {name}")


def _pool(on_server: bool) -> str:
    return "`pool: server` has none" if on_server else "it needs `pool: server`"
