"""Conditions and `$[ ]`: variables that exist, stages and jobs that are waited for, outputs that are set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.pipelines.checker.compile_time import check_run_time
from tests.pipelines.checker.expressions import Access, Call, Expression, Literal, parts
from tests.pipelines.checker.findings import Findings
from tests.pipelines.checker.nodes import Map, Text
from tests.pipelines.checker.outputs import outputs_of, variables_of
from tests.pipelines.checker.pipeline import Job, Pipeline, Stage, Step, depends_on
from tests.pipelines.checker.predefined import RUN_TIME
from tests.pipelines.checker.tree import Tree

RULE = "conditions"
RESULTS = {"succeeded", "succeededwithissues", "skipped", "failed", "canceled", "abandoned"}
RUN_TIME_TEXT = re.compile(r"\$\[(.*)\]", re.DOTALL)


@dataclass(frozen=True)
class Scope:
    """Where an expression stands: in a stage, or in a job of it, or in a step of that."""

    pipeline: Pipeline
    tree: Tree
    stage: Stage
    job: Job | None = None
    step: Step | None = None

    def variables(self) -> set[str]:
        """Names in lower case that have a value here."""
        found = set(RUN_TIME) | set(self.pipeline.variables) | set(self.stage.variables)
        if self.job:
            found |= set(self.job.variables)
            before = self.job.steps[: self.job.steps.index(self.step)] if self.step else []
            for step in before:
                found |= variables_of(step, self.tree)
                found |= {f"{step.name}.{name}".lower() for name in outputs_of(step, self.tree) if step.name}
        return found


def check_conditions(pipeline: Pipeline, tree: Tree, findings: Findings) -> None:
    for scope, text, condition in _expressions(pipeline, tree):
        expression = check_run_time(text, findings, condition=condition)
        if expression is None:
            continue
        for part in parts(expression):
            if isinstance(part, Access):
                _check_access(part, text, scope, findings)
            elif isinstance(part, Call):
                _check_call(part, text, scope, findings)


def _expressions(pipeline: Pipeline, tree: Tree) -> Iterator[tuple[Scope, Text, bool]]:
    for stage in pipeline.stages:
        yield from _of(Scope(pipeline, tree, stage), stage.node, stage.variables)
        for job in stage.jobs:
            if job.node is not stage.node:
                yield from _of(Scope(pipeline, tree, stage, job), job.node, job.variables)
            for step in job.steps:
                yield from _of(Scope(pipeline, tree, stage, job, step), step.node, {})


def _of(scope: Scope, node: Map, variables: dict[str, Text]) -> Iterator[tuple[Scope, Text, bool]]:
    condition = node.get("condition")
    if isinstance(condition, Text):
        yield scope, condition, True
    for value in variables.values():
        if match := RUN_TIME_TEXT.fullmatch(value.strip()):
            yield scope, Text(match[1], value.at), False


def _check_access(access: Access, text: Text, scope: Scope, findings: Findings) -> None:
    root, names = access.root.lower(), access.names()
    if root == "variables" and names and ".".join(names).lower() not in scope.variables():
        findings.add(text, RULE, f"there is no variable '{'.'.join(names)}' here")
    if root == "dependencies" and names:
        _check_dependency(names, text, scope, findings)
    if root == "stagedependencies" and names:
        _check_stage_dependency(names, text, scope, findings)


def _check_dependency(names: list[str], text: Text, scope: Scope, findings: Findings) -> None:
    """Of a stage: stages before it. Of a job or a step: jobs of the same stage."""
    level = "job of this stage" if scope.job else "stage"
    waits = depends_on(scope.job.node) if scope.job else scope.stage.depends_on
    if names[0] not in waits:
        findings.add(text, RULE, f"dependencies.{names[0]}: it is no {level} that dependsOn names")
        return
    if len(names) < 3 or names[1].lower() != "outputs":
        return
    found = names[2].split(".")
    if scope.job:
        _check_output(scope.stage, names[0], found, text, scope, findings)
    else:
        stage = next((each for each in scope.pipeline.stages if each.name == names[0]), None)
        if stage:
            _check_output(stage, found[0], found[1:], text, scope, findings)


def _check_stage_dependency(names: list[str], text: Text, scope: Scope, findings: Findings) -> None:
    stage = next((each for each in scope.pipeline.stages if each.name == names[0]), None)
    if stage is None or names[0] not in scope.stage.depends_on:
        findings.add(text, RULE, f"stageDependencies.{names[0]}: the stage {scope.stage.name} does not wait for it")
        return
    if len(names) < 3:
        findings.add(text, RULE, "expected stageDependencies.STAGE.JOB.outputs['STEP.NAME']")
        return
    if names[2].lower() == "outputs" and len(names) > 3:
        _check_output(stage, names[1], names[3].split("."), text, scope, findings)
    elif names[1] not in [job.name for job in stage.jobs]:
        findings.add(text, RULE, f"the stage {stage.name} has no job '{names[1]}'")


def _check_output(stage: Stage, job: str, path: list[str], text: Text, scope: Scope, findings: Findings) -> None:
    """The step of that name sets a variable of that name; a deployment's path begins with its hook or its name."""
    found = next((each for each in stage.jobs if each.name == job), None)
    if found is None:
        findings.add(text, RULE, f"the stage {stage.name} has no job '{job}'")
        return
    name, variable = [*path[-2:], ""][:2] if len(path) > 1 else ("", "")
    steps = [step for step in found.steps if step.name == name]
    if not steps:
        known = ", ".join(step.name for step in found.steps if step.name) or "none"
        findings.add(text, RULE, f"the job {job} has no step called '{name}'; those with a name: {known}")
    elif variable.lower() not in outputs_of(steps[0], scope.tree):
        findings.add(text, RULE, f"the step {name} of the job {job} sets no output variable '{variable}'")


def _check_call(call: Call, text: Text, scope: Scope, findings: Findings) -> None:
    """Names given to succeeded() and its kind are waited for; a result is compared with one that there is."""
    if call.name.lower() in ("succeeded", "failed", "succeededorfailed"):
        waits = depends_on(scope.job.node) if scope.job else scope.stage.depends_on
        for name in _literals(call.arguments):
            if name not in waits:
                findings.add(text, RULE, f"{call.name}('{name}'): dependsOn does not name it")
    compared = [each for each in call.arguments if isinstance(each, Access) and each.names()[-1:] == ["result"]]
    if compared and call.name.lower() in ("eq", "ne", "in", "notin"):
        for name in _literals(call.arguments):
            if name.lower() not in RESULTS:
                findings.add(text, RULE, f"no stage or job has the result '{name}'")


def _literals(arguments: tuple[Expression, ...]) -> list[str]:
    return [str(each.value) for each in arguments if isinstance(each, Literal)]
