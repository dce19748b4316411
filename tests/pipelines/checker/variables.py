"""Every `$(NAME)` has a value where it stands. Knows where variables come from, not what they mean."""

from __future__ import annotations

import re

from tests.pipelines.checker.conditions import Scope
from tests.pipelines.checker.findings import Findings
from tests.pipelines.checker.nodes import Map, Node, texts
from tests.pipelines.checker.pipeline import Pipeline
from tests.pipelines.checker.tree import Tree

MACRO = re.compile(r"\$\(([A-Za-z_][\w.-]*)\)")
INNER = {"stages", "jobs", "steps", "strategy"}


def check_variables(pipeline: Pipeline, tree: Tree, findings: Findings) -> None:
    for stage in pipeline.stages:
        _check(stage.node, Scope(pipeline, tree, stage), findings)
        for job in stage.jobs:
            if job.node is not stage.node:
                _check(job.node, Scope(pipeline, tree, stage, job), findings)
            for step in job.steps:
                _check(step.node, Scope(pipeline, tree, stage, job, step), findings)


def _check(node: Map, scope: Scope, findings: Findings) -> None:
    own: Node = Map(node.at, {key: value for key, value in node.items() if key not in INNER})
    known = scope.variables()
    for _, where in texts(own):
        for name in MACRO.findall(where):
            if name.lower() not in known:
                findings.add(where, "variables", f"nothing defines $({name}) here")
