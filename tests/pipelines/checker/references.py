"""Names of stages, jobs and steps: unique, well-formed, and what waits for what. Knows nothing about their outputs."""

from __future__ import annotations

import re

from tests.pipelines.checker.findings import Findings
from tests.pipelines.checker.nodes import Text
from tests.pipelines.checker.pipeline import Pipeline, depends_on
from tests.pipelines.checker.tree import Tree

RULE = "references"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_references(pipeline: Pipeline, tree: Tree, findings: Findings) -> None:
    stages = [stage.name for stage in pipeline.stages]
    _names("stage", stages, findings)
    jobs = {job.name for _, job in pipeline.jobs()}
    _order("stage", {stage.name: stage.depends_on for stage in pipeline.stages}, jobs, findings)
    for stage in pipeline.stages:
        _names(f"job of the stage {stage.name}", [job.name for job in stage.jobs], findings)
        waits = {job.name: depends_on(job.node) for job in stage.jobs}
        _order(f"job of the stage {stage.name}", waits, set(stages), findings)
        if not stage.jobs:
            findings.add(stage.node, RULE, f"the stage {stage.name} has no jobs")
        for job in stage.jobs:
            _names(f"step of the job {job.name}", [step.name for step in job.steps if step.name], findings)
            if not job.steps:
                findings.add(job.node, RULE, f"the job {job.name} has no steps")


def _names(what: str, names: list[Text], findings: Findings) -> None:
    seen: set[str] = set()
    for name in names:
        if not NAME.fullmatch(name):
            findings.add(name, RULE, f"'{name}' is no name of a {what}: letters, digits and _")
        if name.lower() in seen:
            findings.add(name, RULE, f"'{name}' is the name of more than one {what}")
        seen.add(name.lower())


def _order(what: str, waits: dict[Text, list[Text]], elsewhere: set[Text], findings: Findings) -> None:
    """Each name that something waits for is there, and nothing waits for itself."""
    for names in waits.values():
        for name in names:
            if name not in waits:
                level = ", but of another level" if name in elsewhere else ""
                findings.add(name, RULE, f"dependsOn: '{name}' is no {what}{level}; there are {', '.join(waits)}")
    for name in waits:
        if name in _reached(name, waits):
            findings.add(name, RULE, f"the {what} {name} waits for itself")


def _reached(start: str, waits: dict[Text, list[Text]]) -> set[str]:
    """Everything that `start` waits for, however long the way."""
    known: dict[str, list[Text]] = {str(name): names for name, names in waits.items()}
    found: set[str] = set()
    following: list[str] = list(known[start])
    while following:
        name = following.pop()
        if name not in found:
            found.add(name)
            following += known.get(name, [])
    return found
