"""Scripts of .pipelines/scripts: there, startable, called with what they read; what they leave is what is kept."""

from __future__ import annotations

import re

from tests.infrastructure.bicep.finding import Place
from tests.pipelines.checker.findings import Findings
from tests.pipelines.checker.nodes import Text
from tests.pipelines.checker.outputs import files_of, scripts_of
from tests.pipelines.checker.pipeline import Job, Pipeline, Stage, Step
from tests.pipelines.checker.tree import Tree

RULE = "scripts"
FOLDER = ".pipelines/scripts/"
STAGING = "$(Build.ArtifactStagingDirectory)/"
NEED = re.compile(r"^need ([A-Z_ ]+)$", re.MULTILINE)
SETTING = re.compile(r"\bsetting ([A-Za-z_]\w*)")
READS_ARGUMENTS = re.compile(r"\$(?:[1-9@*]|\{[1-9@*])")
NEEDS_ARGUMENTS = re.compile(r"\$(?:[1-9]|\{[1-9])")
BESIDE = re.compile(r"(?:\$HERE|\$\(dirname \"\$\{BASH_SOURCE\[0\]\}\"\))/?\"?/([\w.-]+\.(?:sh|py))")
TARGET = re.compile(r"^([\w-]+):(?!=)", re.MULTILINE)


def check_calls(pipeline: Pipeline, tree: Tree, findings: Findings) -> None:
    """Each step's scripts and what it publishes."""
    for stage, job, step in pipeline.steps():
        for path in scripts_of(step):
            _check_file(path, step, tree, findings)
            if path in tree.texts:
                _check_arguments(path, step, tree.texts[path], findings)
                _check_needs(tree.texts[path], (pipeline, stage, job, step), findings)
        _check_targets(step, tree, findings)
        _check_published(job, step, tree, findings)


def check_scripts(tree: Tree, settings: frozenset[str], findings: Findings) -> None:
    """Each script by itself: the settings it asks for, and the files beside it."""
    for path, text in tree.texts.items():
        if not path.startswith(FOLDER) or not path.endswith(".sh"):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            at = Place(path, number)
            for name in SETTING.findall(line.split(" #")[0]):
                if name.lower() not in settings:
                    findings.add(at, RULE, f"there is no setting {name}")
            for name in BESIDE.findall(line):
                if FOLDER + name not in tree.texts:
                    findings.add(at, RULE, f"there is no {FOLDER}{name}")


def _check_file(path: str, step: Step, tree: Tree, findings: Findings) -> None:
    if path not in tree.texts:
        findings.add(step.shell or step.node, RULE, f"there is no script {path}")
    elif path not in tree.executables:
        findings.add(step.shell or step.node, RULE, f"{path} cannot be started: chmod +x")


def _check_arguments(path: str, step: Step, text: str, findings: Findings) -> None:
    """Arguments are read when they are given, and given when they are read by number."""
    shell = step.shell or Text("", step.node.at)
    given = bool(shell.split(path, 1)[1].strip().splitlines()[:1])
    body = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    if given and not READS_ARGUMENTS.search(body):
        findings.add(shell, RULE, f"{path} is given arguments and passes none of them on")
    if not given and NEEDS_ARGUMENTS.search(body):
        findings.add(shell, RULE, f"{path} is given no arguments and reads some")


def _check_needs(text: str, where: tuple[Pipeline, Stage, Job, Step], findings: Findings) -> None:
    """What the script says it needs is in the step's env, or a variable, which every step sees in capitals."""
    pipeline, stage, job, step = where
    variables = {**pipeline.variables, **stage.variables, **job.variables}
    seen = set(step.env) | {name.upper().replace(".", "_") for name in variables}
    for names in NEED.findall(text):
        for name in names.split():
            if name not in seen or step.env.get(name) == "":
                findings.add(step.node, RULE, f"the script needs {name}, which the step's env does not hold")


def _check_targets(step: Step, tree: Tree, findings: Findings) -> None:
    known = set(TARGET.findall(tree.texts.get("Makefile", "")))
    for words in re.findall(r"(?:^|[;&]\s*)make ([^;&\n]*)", step.shell or "", re.MULTILINE):
        for word in words.split():
            if re.fullmatch(r"[\w-]+", word) and not word.startswith("-") and word not in known:
                findings.add(step.shell or step.node, RULE, f"the Makefile has no target '{word}'")


def _check_published(job: Job, step: Step, tree: Tree, findings: Findings) -> None:
    found = step.node.get("publish")
    if not isinstance(found, Text):
        return
    if not found.startswith(STAGING):
        findings.add(found, RULE, f"scripts leave their files in {STAGING}; '{found}' is elsewhere")
    elif found.removeprefix(STAGING) not in files_of(job, step, tree):
        findings.add(found, RULE, f"no step before this one writes {found.removeprefix(STAGING)}")
