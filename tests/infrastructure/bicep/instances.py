"""A file as it is deployed: with the values of its parameters, once for each module that names it.

What a file is given comes through modules, so a role, a name or an id is followed from where it is written to where it
is used. `Program` holds the files; each `Instance` works its symbols out when they are asked for.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.azure_types import Library, ResourceType, UnknownTypeError
from tests.infrastructure.bicep.declared import declared_value
from tests.infrastructure.bicep.evaluate import Evaluator
from tests.infrastructure.bicep.finding import Finding, Place
from tests.infrastructure.bicep.members import loop_names
from tests.infrastructure.bicep.symbol import Symbol
from tests.infrastructure.bicep.values import Anything, Value, render

MAIN = "infrastructure/main.bicep"


@dataclass
class Program:
    """The files of one folder, by their paths, and what is found wrong in them."""

    files: dict[str, tree.File]
    library: Library
    findings: set[Finding] = field(default_factory=set)
    instances: list[Instance] = field(default_factory=list)

    def report(self, at: Place, rule: str, message: str) -> None:
        self.findings.add(Finding(at, rule, message))

    def deployed(self) -> list[Instance]:
        """main.bicep and all that it deploys, with what each is given."""
        return [each for each in self.instances if each.label.startswith(MAIN)]

    def module_file(self, module: tree.Module) -> tree.File | None:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(module.at.path), module.target))
        return self.files.get(path)


class Instance:
    """One file with its parameters' values. `given` is None where nothing is known of them but their declarations."""

    def __init__(
        self,
        program: Program,
        file: tree.File,
        given: dict[str, Value] | None = None,
        caller: tuple[Instance, tree.Module] | None = None,
    ) -> None:
        self.program, self.file, self.given, self.caller = program, file, given, caller
        self.label: str = f"{caller[0].label}/{caller[1].name}" if caller else file.path
        self.declared = {each.name: each for each in file.declarations if not isinstance(each, tree.Output)}
        self._values: dict[str, Value] = {}
        self._open: list[str] = []
        self._children: dict[str, Instance | None] = {}
        self._bodies: dict[str, Value] = {}
        self._names: dict[str, Value] = {}
        program.instances.append(self)

    @property
    def called_at(self) -> Place | None:
        return self.caller[1].at if self.caller else None

    def report(self, at: Place, rule: str, message: str) -> None:
        self.program.report(at, rule, message)

    def value(self, name: str, at: Place) -> Value:
        """Of a symbol of this file."""
        if name not in self._values:
            if name in self._open:
                self.report(at, "cycle", f"'{name}' is made of itself: {' -> '.join([*self._open, name])}")
                return Anything(name)
            self._open.append(name)
            self._values[name] = self._work_out(self.declared[name])
            self._open.pop()
        return self._values[name]

    def evaluate(self, expression: tree.Expression, local: dict[str, Value] | None = None) -> Value:
        return Evaluator(self, local or {}).value(expression)

    def _work_out(self, declaration: tree.Declaration) -> Value:
        if isinstance(declaration, tree.Variable):
            return self.evaluate(declaration.value)
        if isinstance(declaration, tree.Parameter):
            return self._parameter(declaration)
        assert isinstance(declaration, tree.Deployed)
        return Symbol(self, declaration, declaration.loop is not None)

    def _parameter(self, parameter: tree.Parameter) -> Value:
        if self.given is None:
            return declared_value(parameter)
        if parameter.name in self.given:
            return self.given[parameter.name]
        return self.evaluate(parameter.default) if parameter.default else declared_value(parameter)

    def local(self, deployed: tree.Deployed) -> dict[str, Value]:
        """What a loop's names are within its body."""
        if deployed.loop is None:
            return {}
        return loop_names(self, deployed.loop, {})

    def child(self, module: tree.Module) -> Instance | None:
        """The module's file with what this file gives it; None where there is no such file."""
        if module.name not in self._children:
            file = self.program.module_file(module)
            self._children[module.name] = None if file is None or file.syntax else self._child(module, file)
        return self._children[module.name]

    def _child(self, module: tree.Module, file: tree.File) -> Instance:
        held = module.body.get("params")
        given = {}
        if held and isinstance(held.value, tree.Object):
            local = self.local(module)
            given = {each.name: self.evaluate(each.value, local) for each in held.value.properties if each.name}
        return Instance(self.program, file, given, (self, module))

    def resource_type(self, resource: tree.Resource) -> ResourceType | None:
        try:
            return self.program.library.resource(resource.target)
        except UnknownTypeError:
            return None

    def parent(self, resource: tree.Resource) -> tree.Resource | None:
        held = resource.body.get("parent")
        target = held.value if held else None
        if isinstance(target, tree.Index):
            target = target.object
        found = self.declared.get(target.name) if isinstance(target, tree.Name) else None
        return found if isinstance(found, tree.Resource) else None

    def body(self, deployed: tree.Deployed) -> Value:
        if deployed.name not in self._bodies:
            self._bodies[deployed.name] = self.evaluate(deployed.body, self.local(deployed))
        return self._bodies[deployed.name]

    def name_of(self, deployed: tree.Deployed) -> Value:
        if deployed.name not in self._names:
            held, unknown = deployed.body.get("name"), Anything(f"name of {deployed.name}")
            self._names[deployed.name] = self.evaluate(held.value, self.local(deployed)) if held else unknown
        return self._names[deployed.name]

    def key(self, resource: tree.Resource) -> str:
        """The same for the same resource of a deployment, wherever it is named."""
        parent = self.parent(resource)
        scope = resource.body.get("scope")
        above = self.key(parent) + " " if parent else ""
        over = render(self.evaluate(scope.value, self.local(resource))) + " " if scope else ""
        return f"{above}{over}{resource.target.partition('@')[0]} '{render(self.name_of(resource))}'"

    def output(self, name: str) -> Value:
        return self.evaluate(self.file.outputs()[name].value)
