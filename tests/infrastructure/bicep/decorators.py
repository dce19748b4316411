"""Decorators: known ones and their arguments, a default that keeps to them, a first word that is true."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.declared import allowed_values, decorator_numbers
from tests.infrastructure.bicep.instances import Instance
from tests.infrastructure.bicep.modules import fits_parameter
from tests.infrastructure.bicep.values import Anything, each_of, kind_of


@dataclass(frozen=True)
class Decorator:
    """`takes`: the types of its arguments; `kinds`: the types of what it may stand on, if only some."""

    takes: tuple[str, ...] = ()
    on: tuple[type[tree.Declaration], ...] = (tree.Declaration,)
    kinds: tuple[str, ...] = ()


SIZED, NUMBERS = ("string", "array"), ("int",)
TYPED = (tree.Parameter, tree.Output)
DECORATORS = {
    "description": Decorator(("string",)),
    "metadata": Decorator(("object",), TYPED),
    "allowed": Decorator(("array",), (tree.Parameter,)),
    "minLength": Decorator(("int",), TYPED, SIZED),
    "maxLength": Decorator(("int",), TYPED, SIZED),
    "minValue": Decorator(("int",), TYPED, NUMBERS),
    "maxValue": Decorator(("int",), TYPED, NUMBERS),
    "secure": Decorator((), TYPED, ("string", "object")),
    "sealed": Decorator((), TYPED, ("object",)),
    "export": Decorator((), (tree.Variable,)),
    "batchSize": Decorator(("int",), (tree.Deployed,)),
    "onlyIfNotExists": Decorator((), (tree.Resource,)),
}
FIRST_WORD = re.compile(r"(Required|Optional|Conditional)\. [A-Z`a-z]")
SAYS_WHEN = re.compile(r"\b(when|where|if|needed|unless)\b")
LOWER_UPPER = (("minLength", "maxLength"), ("minValue", "maxValue"))


def check_decorators(instance: Instance) -> None:
    if instance.caller is not None:
        return  # these depend on the text of the file alone
    for declaration in instance.file.declarations:
        counted = Counter(each.name for each in declaration.decorators)
        for each in declaration.decorators:
            if counted[each.name] > 1:
                instance.report(each.at, "decorator", f"@{each.name} stands {counted[each.name]} times")
            _decorator(instance, declaration, each)
        numbers = decorator_numbers(declaration)
        for lower, upper in LOWER_UPPER:
            if lower in numbers and upper in numbers and numbers[lower] > numbers[upper]:
                instance.report(declaration.at, "decorator", f"@{lower} is more than @{upper}")
        if isinstance(declaration, tree.Parameter):
            _parameter(instance, declaration)
        elif isinstance(declaration, tree.Output):
            _output(instance, declaration)


def _decorator(instance: Instance, declaration: tree.Declaration, call: tree.Call) -> None:
    known = DECORATORS.get(call.name)
    if known is None:
        instance.report(call.at, "decorator", f"there is no decorator @{call.name}")
        return
    if not isinstance(declaration, known.on):
        instance.report(call.at, "decorator", f"@{call.name} does not go with a {type(declaration).__name__.lower()}")
        return
    if len(call.arguments) != len(known.takes):
        counts = f"{len(known.takes)} arguments, not {len(call.arguments)}"
        instance.report(call.at, "decorator", f"@{call.name} takes {counts}")
        return
    for argument, wanted in zip(call.arguments, known.takes, strict=True):
        found = kind_of(instance.evaluate(argument))
        if found not in (None, wanted):
            instance.report(call.at, "decorator", f"@{call.name} takes one {wanted}, not one {found}")
    kind = declaration.type.kind if isinstance(declaration, tree.Parameter | tree.Output) else None
    if known.kinds and kind not in (None, *known.kinds):
        instance.report(call.at, "decorator", f"@{call.name} does not go with one {kind}")
    if call.name == "batchSize" and isinstance(declaration, tree.Deployed) and declaration.loop is None:
        instance.report(call.at, "decorator", "@batchSize goes with a loop only")


def _parameter(instance: Instance, parameter: tree.Parameter) -> None:
    for value in allowed_values(parameter):
        if parameter.type.kind not in (None, "array", kind_of(value)):
            instance.report(parameter.at, "decorator", f"@allowed of '{parameter.name}' holds a {kind_of(value)}")
    if parameter.default is not None:
        fits_parameter(instance.evaluate(parameter.default), parameter, parameter.at, instance.report)
    _description(instance, parameter)


def _description(instance: Instance, parameter: tree.Parameter) -> None:
    """What one must give is Required; what has a default is Optional, or Conditional and says on what."""
    text = description(parameter)
    match = FIRST_WORD.match(text or "")
    may_be_left = parameter.default is not None or parameter.type.nullable
    if text is None:
        instance.report(parameter.at, "description", f"'{parameter.name}' has no description")
    elif match is None:
        text = f"the description of '{parameter.name}' must begin 'Required. ', 'Optional. ' or 'Conditional. '"
        instance.report(parameter.at, "description", text)
    elif may_be_left == (match[1] == "Required"):
        has = "has a default" if may_be_left else "has no default"
        instance.report(parameter.at, "description", f"'{parameter.name}' is called {match[1]} and {has}")
    elif match[1] == "Conditional" and not SAYS_WHEN.search(text):
        instance.report(parameter.at, "description", f"'{parameter.name}' is Conditional and does not say when")


def _output(instance: Instance, output: tree.Output) -> None:
    if not description(output):
        instance.report(output.at, "description", f"the output '{output.name}' has no description")
    for value in each_of(instance.evaluate(output.value)):
        found = kind_of(value)
        if not isinstance(value, Anything) and output.type.kind is not None and found not in (None, output.type.kind):
            instance.report(output.at, "wrong-type", f"'{output.name}' is declared {output.type.kind} and is {found}")


def description(declaration: tree.Declaration) -> str | None:
    for each in declaration.decorators:
        given = each.arguments[0] if each.name == "description" and each.arguments else None
        if isinstance(given, tree.String):
            return given.literal
    return None
