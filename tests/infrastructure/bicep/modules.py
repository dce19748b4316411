"""Modules: their files, what they are given against what they take, and the names that they are deployed under."""

from __future__ import annotations

import posixpath
from difflib import get_close_matches

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.declared import allowed_values, decorator_numbers
from tests.infrastructure.bicep.finding import Place, a
from tests.infrastructure.bicep.instances import Instance
from tests.infrastructure.bicep.shapes import Fit, Report
from tests.infrastructure.bicep.values import (
    Anything,
    Items,
    Nothing,
    Text,
    Value,
    Whole,
    each_of,
    is_secret,
    kind_of,
    render,
)

OF_MODULES = ("name", "params", "scope", "dependsOn", "identity", "extensionConfigs")
LONGEST_NAME = 64  # characters of a deployment's name


def check_modules(instance: Instance) -> None:
    for declaration in instance.file.declarations:
        if isinstance(declaration, tree.Module):
            _check(instance, declaration)


def _check(instance: Instance, module: tree.Module) -> None:
    for held in module.body.properties:
        if held.name not in OF_MODULES:
            instance.report(held.at, "unknown-property", f"a module has no property '{held.name}'")
    name = instance.name_of(module)
    for one in each_of(name):
        fit = Fit(instance.report)
        fit.kind(one, "string", module.at, f"name of {module.name}")
        if isinstance(one, Text):
            fit.length(one, 1, LONGEST_NAME, one.at or module.at, f"name of {module.name}")
            fit.characters(one, r"\w.()-", one.at or module.at, f"name of {module.name}")
    file = instance.program.module_file(module)
    if file is None:
        path = posixpath.join(posixpath.dirname(module.at.path), module.target)
        instance.report(module.at, "no-module", f"there is no file {posixpath.normpath(path)}")
        return
    if not file.syntax:
        _parameters(instance, module, file)


def _parameters(instance: Instance, module: tree.Module, file: tree.File) -> None:
    held, declared = module.body.get("params"), file.parameters()
    if held is not None and not isinstance(held.value, tree.Object):
        instance.report(held.at, "wrong-type", "params must be an object written here")
        return
    given = held.value.properties if held and isinstance(held.value, tree.Object) else ()
    local = instance.local(module)
    for each in given:
        if each.name not in declared:
            near = get_close_matches(each.name or "", declared, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            instance.report(each.at, "unknown-parameter", f"{module.target} takes no '{each.name}'{hint}")
            continue
        value = instance.evaluate(each.value, local)
        fits_parameter(value, declared[each.name], each.at, instance.report)
    names = {each.name for each in given}
    for name, parameter in declared.items():
        if name not in names and parameter.default is None and not parameter.type.nullable:
            place = held.at if held else module.at
            instance.report(place, "missing-parameter", f"{module.target} needs '{name}'")


def fits_parameter(value: Value, parameter: tree.Parameter, at: Place, report: Report) -> None:
    """Its type, its allowed values, its lengths and its range."""
    allowed = allowed_values(parameter)
    bounds = decorator_numbers(parameter)
    fit = Fit(report)
    for one in each_of(value):
        found = kind_of(one)
        if (isinstance(one, Anything) and not one.secret) or (isinstance(one, Nothing) and parameter.type.nullable):
            continue
        if is_secret(one) and not any(each.name == "secure" for each in parameter.decorators):
            report(at, "secret", f"'{parameter.name}' gets a secret and is not @secure()")
        if parameter.type.kind is not None and found not in (None, parameter.type.kind):
            report(at, "wrong-type", f"'{parameter.name}' is {a(parameter.type.kind)} and gets {a(found)}")
        elif allowed and _literal(one) and one not in allowed:
            known = ", ".join(map(render, allowed))
            report(at, "not-allowed", f"'{parameter.name}' takes {known} and not '{render(one)}'")
        elif isinstance(one, Text):
            fit.length(one, bounds.get("minLength", 0), bounds.get("maxLength"), one.at or at, parameter.name)
        elif isinstance(one, Whole):
            fit.range(one, bounds.get("minValue"), bounds.get("maxValue"), at, parameter.name)
        elif isinstance(one, Items) and one.exact:
            _count(one, bounds, at, parameter.name, report)


def _literal(value: Value) -> bool:
    if isinstance(value, Text):
        return value.literal is not None
    return isinstance(value, Whole) and value.low is not None and value.low == value.high


def _count(value: Items, bounds: dict[str, int], at: Place, name: str, report: Report) -> None:
    low, high = bounds.get("minLength", 0), bounds.get("maxLength")
    if len(value.items) < low or (high is not None and len(value.items) > high):
        report(at, "length", f"'{name}' has {len(value.items)} items; it takes {low} to {high or 'any number'}")
