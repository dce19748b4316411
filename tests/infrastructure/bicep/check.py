"""The whole check of one folder: its files read, each rule asked."""

from __future__ import annotations

from pathlib import Path

from model_training.cli.settings import bicep_parameters
from model_training.settings import load_settings
from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.azure_types import Library
from tests.infrastructure.bicep.decorators import check_decorators
from tests.infrastructure.bicep.evaluate import Evaluator
from tests.infrastructure.bicep.finding import Finding, Place
from tests.infrastructure.bicep.instances import MAIN, Instance, Program
from tests.infrastructure.bicep.modules import check_modules
from tests.infrastructure.bicep.naming import check_existing, check_names, check_twice
from tests.infrastructure.bicep.order import check_order
from tests.infrastructure.bicep.parameters import check_parameters, check_values
from tests.infrastructure.bicep.read import read
from tests.infrastructure.bicep.references import check_references
from tests.infrastructure.bicep.resources import check_resources
from tests.infrastructure.bicep.roles import check_principals, check_roles
from tests.infrastructure.bicep.runtime import check_runtime
from tests.infrastructure.bicep.secure import check_secure
from tests.infrastructure.bicep.symbols import check_symbols
from tests.infrastructure.bicep.together import check_together

SETTINGS = "variable_template.yml"
FOLDER = "infrastructure"
OF_INSTANCES = (
    check_resources,
    check_modules,
    check_decorators,
    check_secure,
    check_roles,
    check_names,
    check_references,
    check_order,
    check_runtime,
    check_together,
)
OF_PROGRAMS = (check_principals, check_twice, check_existing)


def check(root: Path, library: Library) -> list[Finding]:
    """What is wrong in root/infrastructure, in the order of files and lines."""
    program = Program(_files(root), library)
    for file in program.files.values():
        for at, message in file.syntax:
            program.report(at, "syntax", message)
        check_symbols(file, program.report)
    _instances(program)
    for rule in OF_PROGRAMS:
        rule(program)
    if MAIN in program.files:
        _parameters(root, program)
    return sorted(program.findings)


def _files(root: Path) -> dict[str, tree.File]:
    found = {}
    for path in sorted((root / FOLDER).rglob("*.bicep")):
        name = path.relative_to(root).as_posix()
        found[name] = read(name, path.read_text(encoding="utf-8"))
    return found


def _instances(program: Program) -> None:
    """main.bicep with all that it deploys; then each file by itself, as its parameters are declared."""
    whole = not any(each.syntax for each in program.files.values())
    for name in sorted(program.files, key=lambda each: (each != MAIN, each)):
        file = program.files[name]
        if file.syntax:
            continue
        if whole and name != MAIN and not any(each.file.path == name for each in program.instances):
            program.report(Place(name, 1), "unused", "no module names this file")
        _visit(Instance(program, file), deep=name == MAIN)


def _parameters(root: Path, program: Program) -> None:
    main = program.files[MAIN]
    if main.syntax:
        return
    settings = bicep_parameters(load_settings(root / SETTINGS))
    check_values(settings["parameters"], main, SETTINGS, "", program.report)
    for path in sorted((root / FOLDER).glob("*.parameters.*json")):
        check_parameters(root, path, main, settings, program.report)


def _visit(instance: Instance, deep: bool) -> None:
    file = instance.file
    for declaration in file.declarations:
        if isinstance(declaration, tree.Output):
            instance.evaluate(declaration.value)
        else:
            instance.value(declaration.name, declaration.at)
        if isinstance(declaration, tree.Deployed):
            instance.body(declaration)
            Evaluator(instance, instance.local(declaration)).deployed(declaration)
    for rule in OF_INSTANCES:
        rule(instance)
    for declaration in file.declarations:
        if deep and isinstance(declaration, tree.Module):
            child = instance.child(declaration)
            if child is not None:
                _visit(child, deep)
