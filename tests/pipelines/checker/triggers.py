"""When a pipeline starts: triggers stated, on main, for paths that exist; schedules that a clock understands."""

from __future__ import annotations

import re

from tests.pipelines.checker.findings import Findings
from tests.pipelines.checker.nodes import Map, Node, Text, items
from tests.pipelines.checker.tree import Tree

RULE = "triggers"
MAIN = "main"
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 6))


def check_triggers(document: Map, tree: Tree, findings: Findings) -> None:
    for name in ("trigger", "pr"):
        if name not in document:
            findings.add(document, RULE, f"`{name}` is not stated: without it every branch starts the pipeline")
        elif document[name] != "none":
            _check_filters(document[name], tree, findings)
    for schedule in items(document.get("schedules")):
        if isinstance(schedule, Map):
            _check_filters(schedule, tree, findings)
            _check_cron(schedule, findings)


def _check_filters(node: Node, tree: Tree, findings: Findings) -> None:
    if not isinstance(node, Map):
        findings.add(node, RULE, "expected `none`, or branches and perhaps paths")
        return
    branches = _listed(node, "branches", "include")
    if [str(branch) for branch in branches] != [MAIN]:
        findings.add(node, RULE, f"starts on {', '.join(branches) or 'every branch'}: expected {MAIN} only")
    for kind in ("include", "exclude"):
        for path in _listed(node, "paths", kind):
            if not _matches(path, tree):
                findings.add(path, RULE, f"the path filter '{path}' matches no file of the repository")


def _listed(node: Map, key: str, kind: str) -> list[Text]:
    filters = node.get(key)
    if isinstance(filters, Map):
        filters = filters.get(kind)
    elif kind == "exclude":
        filters = None
    return [each for each in items(filters) if isinstance(each, Text)]


def _matches(path: str, tree: Tree) -> bool:
    """A file, a folder, or a pattern: `*` within a folder's name, `**` across folders."""
    name = path.strip("/")
    if "*" not in name:
        return name in tree.names or name in tree.folders
    pattern = re.escape(name).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    return any(re.match(f"{pattern}(/|$)", each) for each in tree.names)


def _check_cron(schedule: Map, findings: Findings) -> None:
    cron = schedule.get("cron")
    if not isinstance(cron, Text):
        findings.add(schedule, RULE, "a schedule has a cron")
        return
    found = cron.split()
    if len(found) != len(FIELDS):
        findings.add(cron, RULE, f"cron '{cron}' has {len(found)} fields; Azure's has five: {_fields()}")
        return
    for value, (name, low, high) in zip(found, FIELDS, strict=True):
        for part in value.split(","):
            if not _is_range(part.lower(), name, low, high):
                findings.add(cron, RULE, f"cron '{cron}': '{part}' is no {name} of {low}-{high}")


def _is_range(part: str, name: str, low: int, high: int) -> bool:
    body, slash, step = part.partition("/")
    if slash and not (step.isdigit() and int(step) > 0):
        return False
    if body == "*":
        return True
    names = {"month": MONTHS, "weekday": DAYS}.get(name, [])
    first = 1 if name == "month" else 0
    ends = [names.index(end[:3]) + first if end[:3] in names else end for end in body.split("-")]
    numbers = [int(end) for end in ends if str(end).isdigit()]
    return len(numbers) == len(ends) <= 2 and numbers == sorted(numbers) and all(low <= n <= high for n in numbers)


def _fields() -> str:
    return ", ".join(name for name, _, _ in FIELDS)
