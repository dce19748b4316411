"""An expanded pipeline as stages, jobs and steps. Knows where they are written, not whether they are right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from tests.pipelines.checker.nodes import Map, Node, Text, items

HOOKS = ("preDeploy", "deploy", "routeTraffic", "postRouteTraffic")
INLINE = ("bash", "script", "pwsh", "powershell")


@dataclass
class Step:
    node: Map

    @property
    def name(self) -> Text | None:
        return _text(self.node, "name")

    @property
    def task(self) -> str:
        """`Name@1`; empty for a step that is no task."""
        return str(self.node.get("task", ""))

    @property
    def inputs(self) -> Map:
        return _map(self.node, "inputs")

    @property
    def env(self) -> Map:
        return _map(self.node, "env")

    @cached_property
    def shell(self) -> Text | None:
        """What a shell reads: an inline script, or the path and the arguments of a script file."""
        for key in INLINE:
            if key in self.node:
                return _text(self.node, key)
        path = next((self.inputs[key] for key in ("scriptPath", "filePath") if key in self.inputs), None)
        if path is None:
            return _text(self.inputs, "inlineScript") or _text(self.inputs, "script")
        return Text(f"{path} {self.inputs.get('arguments', '')}".strip(), path.at)


@dataclass
class Job:
    node: Map
    number: int
    steps: list[Step] = field(default_factory=list)

    @property
    def is_deployment(self) -> bool:
        return "deployment" in self.node

    @cached_property
    def name(self) -> Text:
        return _text(self.node, "job") or _text(self.node, "deployment") or Text(f"Job{self.number}", self.node.at)

    @cached_property
    def variables(self) -> dict[str, Text]:
        return variables(self.node)


@dataclass
class Stage:
    node: Map
    jobs: list[Job]
    before: list[Text]  # the stage above it, which it waits for when it says nothing

    @cached_property
    def name(self) -> Text:
        return _text(self.node, "stage") or Text("__default", self.node.at)

    @property
    def depends_on(self) -> list[Text]:
        return depends_on(self.node) if "dependsOn" in self.node else self.before

    @cached_property
    def variables(self) -> dict[str, Text]:
        return variables(self.node)


@dataclass
class Pipeline:
    path: str
    node: Map
    stages: list[Stage]

    @cached_property
    def variables(self) -> dict[str, Text]:
        return variables(self.node)

    def jobs(self) -> Iterator[tuple[Stage, Job]]:
        for stage in self.stages:
            for job in stage.jobs:
                yield stage, job

    def steps(self) -> Iterator[tuple[Stage, Job, Step]]:
        for stage, job in self.jobs():
            for step in job.steps:
                yield stage, job, step


def pipeline(path: str, node: Map) -> Pipeline:
    """A pipeline of jobs, or of steps, alone has one stage, or one job."""
    stages: list[Stage] = []
    listed = [each for each in items(node.get("stages")) if isinstance(each, Map)] or [node]
    for each in listed:
        before = [stages[-1].name] if stages else []
        stages.append(Stage(each, _jobs(each), before))
    return Pipeline(path, node, stages)


def depends_on(node: Map) -> list[Text]:
    found = node.get("dependsOn")
    names = [found] if isinstance(found, Text) else items(found)
    return [name for name in names if isinstance(name, Text) and name]


def variables(node: Map) -> dict[str, Text]:
    """Names in lower case, as Azure Pipelines compares them."""
    found = node.get("variables")
    if isinstance(found, Map):
        return {name.lower(): value for name, value in found.items() if isinstance(value, Text)}
    named = [each for each in items(found) if isinstance(each, Map) and "name" in each]
    return {each["name"].lower(): each["value"] for each in named if isinstance(each.get("value"), Text)}


def _jobs(node: Map) -> list[Job]:
    listed = [each for each in items(node.get("jobs")) if isinstance(each, Map)]
    if not listed and "steps" in node:
        listed = [node]
    return [Job(each, number, list(_steps(each))) for number, each in enumerate(listed, 1)]


def _steps(job: Map) -> Iterator[Step]:
    lists = [job.get("steps")]
    for strategy in _map(job, "strategy").values():
        if isinstance(strategy, Map):
            hooks = [strategy.get(hook) for hook in HOOKS] + list(_map(strategy, "on").values())
            lists += [hook.get("steps") for hook in hooks if isinstance(hook, Map)]
    for each in lists:
        yield from (Step(item) for item in items(each) if isinstance(item, Map))


def _map(node: Node, key: str) -> Map:
    found = node.get(key) if isinstance(node, Map) else None
    return found if isinstance(found, Map) else Map(node.at)


def _text(node: Map, key: str) -> Text | None:
    found = node.get(key)
    return found if isinstance(found, Text) else None
