"""What this project asks of its pipelines beyond being accepted: ends of waiting, no hidden failure, no secret shown.

docs/azure-walkthrough.md and the comment at a pipeline's top say which environments ask a person first.
"""

from __future__ import annotations

import re

from tests.pipelines.checker.findings import Findings
from tests.pipelines.checker.nodes import Map, Node, Text, maps, texts
from tests.pipelines.checker.pipeline import INLINE, Job, Pipeline, Step
from tests.pipelines.checker.predefined import IMAGES
from tests.pipelines.checker.tree import Tree

LOGIN_MINUTES = 55  # a federated login's tokens live an hour, and after 10 minutes there are no new ones
LONGEST_JOB = 1500
LONGEST_INLINE = 3  # lines; more is a script that a person can run at home
CONNECTION = re.compile(r"\$\([A-Z_]*SVC_CONNECTION\)")  # a name of the settings
CONNECTIONS = ("azureSubscription", "azureResourceManagerConnection", "connectedServiceName", "serviceConnection")
SECRET = re.compile(
    r"\$\(([^)]*(?:token|secret|password|passwd|credential|apikey|sas)[^)]*)\)|--(?:password|token|secret)\b|"
    r"\b(?:token|password|secret)=",
    re.IGNORECASE,
)


def check_practice(pipeline: Pipeline, tree: Tree, findings: Findings) -> None:
    environments = _comment(tree.texts[pipeline.path])
    for node in maps(pipeline.node):
        if node.get("continueOnError", "false").lower() != "false":
            findings.add(node["continueOnError"], "practice", "continueOnError hides a failure")
    _check_pool(pipeline.node, findings)
    for stage, job in pipeline.jobs():
        _check_pool(stage.node, findings)
        _check_pool(job.node, findings)
        _check_job(job, findings)
        if job.is_deployment:
            _check_environment(job, environments, findings)
        if not any("pool" in node for node in (pipeline.node, stage.node, job.node)):
            findings.add(job.node, "practice", f"no pool is stated for the job {job.name}")
        for step in job.steps:
            _check_step(step, job, findings)


def _check_pool(node: Map, findings: Findings) -> None:
    """Microsoft's machines by image, or the server; a pool by name would be one of our own."""
    pool = node.get("pool")
    if pool is None or pool == "server":
        return
    image = pool.get("vmImage") if isinstance(pool, Map) else None
    if image is None:
        findings.add(pool, "practice", f"expected `server` or an image, found {pool}")
    elif image not in IMAGES:
        findings.add(image, "practice", f"there is no image '{image}'; there are {', '.join(sorted(IMAGES))}")


def _check_job(job: Job, findings: Findings) -> None:
    limit = _minutes(job.node, findings)
    if limit is None:
        findings.add(job.node, "practice", f"the job {job.name} does not state its timeoutInMinutes")
    elif limit > LONGEST_JOB:
        findings.add(job.node["timeoutInMinutes"], "practice", f"no job may take more than {LONGEST_JOB} minutes")


def _check_step(step: Step, job: Job, findings: Findings) -> None:
    limit, of_job = _minutes(step.node, findings), _minutes(job.node, findings)
    connection = next((step.inputs[name] for name in CONNECTIONS if name in step.inputs), None)
    if connection is not None:
        if not CONNECTION.fullmatch(connection):
            findings.add(connection, "practice", f"the connection '{connection}' is not one of the settings'")
        if limit is None or limit > LOGIN_MINUTES:
            findings.add(
                step.node,
                "practice",
                f"a step with a login ends in {LOGIN_MINUTES} minutes, and states its timeoutInMinutes",
            )
    if limit and of_job and limit > of_job:
        findings.add(step.node, "practice", f"the step may take {limit} minutes, its job only {of_job}")
    delay = str(step.inputs.get("delayForMinutes", ""))
    if delay.isdigit() and of_job is not None and int(delay) >= of_job:
        findings.add(step.node, "practice", f"a delay of {delay} minutes in a job of {of_job}")
    _check_shell(step, findings)


def _check_shell(step: Step, findings: Findings) -> None:
    inline = next((step.node[key] for key in INLINE if key in step.node), step.inputs.get("inlineScript", ""))
    if len(inline.strip().splitlines()) > LONGEST_INLINE:
        findings.add(inline, "practice", f"more than {LONGEST_INLINE} lines of shell: make it a script")
    for key, where in texts(step.node):
        if key in (*INLINE, "inlineScript", "arguments", "scriptArguments", "displayName") and SECRET.search(where):
            findings.add(where, "secrets", f"'{where}' shows a secret to everybody who sees the process: use env")


def _check_environment(job: Job, environments: str, findings: Findings) -> None:
    """An environment that nobody has made is made by Azure DevOps without an approval."""
    found = job.node.get("environment")
    name = found.get("name", "") if isinstance(found, Map) else found or ""
    if not name:
        findings.add(job.node, "practice", f"the deployment {job.name} has no environment, so nobody is asked")
    elif not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", environments):
        findings.add(found or job.node, "practice", f"the comment at the top does not name the environment '{name}'")


def _minutes(node: Map, findings: Findings) -> int | None:
    """None where it is not stated; a wrong one is found here."""
    found: Node | None = node.get("timeoutInMinutes")
    if found is None:
        return None
    if not isinstance(found, Text) or not re.fullmatch(r"[1-9]\d*", found):
        findings.add(found, "practice", f"timeoutInMinutes is a number of minutes from 1, not '{found}'")
        return 0
    return int(found)


def _comment(text: str) -> str:
    lines = text.splitlines()
    end = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "\n".join(lines[:end])
