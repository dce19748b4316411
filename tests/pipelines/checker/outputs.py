"""What a step leaves for later ones: output variables, variables of its job, files. Read out of the script it runs."""

from __future__ import annotations

import re

from tests.pipelines.checker.pipeline import Job, Step
from tests.pipelines.checker.tree import Tree

SCRIPT = re.compile(r"(?<![\w)/.-])(?:\$\(Build\.SourcesDirectory\)/)?((?:[\w.-]+/)+[\w.-]+\.(?:sh|py))\b")
OUTPUTS_OF_TASKS = {"downloadsecurefile@1": {"securefilepath"}}
_SET = re.compile(r"task\.setvariable\s+([^\]'\"]*)")
_WRITTEN = re.compile(r"\$\{?OUT\}?/([\w./-]+)")


def scripts_of(step: Step) -> list[str]:
    """Paths of the repository's scripts that the step runs."""
    return SCRIPT.findall(step.shell or "")


def text_of(step: Step, tree: Tree) -> str:
    """What a shell reads: inline, and in the files that it starts."""
    return "\n".join([step.shell or "", *(tree.texts.get(path, "") for path in scripts_of(step))])


def outputs_of(step: Step, tree: Tree) -> set[str]:
    """In lower case: variables that other jobs and steps read by the step's name."""
    return OUTPUTS_OF_TASKS.get(step.task.lower(), set()) | _variables(step, tree, outputs=True)


def variables_of(step: Step, tree: Tree) -> set[str]:
    """In lower case: variables that the steps after it have."""
    return _variables(step, tree, outputs=False)


def files_of(job: Job, until: Step, tree: Tree) -> set[str]:
    """Files and folders in the staging folder that the steps before `until` write."""
    found: set[str] = set()
    for step in job.steps[: job.steps.index(until)]:
        for path in _WRITTEN.findall(text_of(step, tree)):
            found |= {path.rstrip("/"), *(path[:at] for at, sign in enumerate(path) if sign == "/")}
    return found


def _variables(step: Step, tree: Tree, *, outputs: bool) -> set[str]:
    found = set()
    for properties in _SET.findall(text_of(step, tree)):
        pairs = dict(pair.strip().lower().partition("=")[::2] for pair in properties.split(";"))
        if "variable" in pairs and (pairs.get("isoutput") == "true") == outputs:
            found.add(pairs["variable"])
    return found
