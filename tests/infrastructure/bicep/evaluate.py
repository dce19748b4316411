"""Works out expressions, and says where one can't be: unknown names, functions, properties, outputs, wrong operands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.declared import literal_value
from tests.infrastructure.bicep.finding import Place, a
from tests.infrastructure.bicep.function_results import of_kind, result
from tests.infrastructure.bicep.functions import FUNCTIONS, OF_RESOURCES
from tests.infrastructure.bicep.members import loop_names, member_of, resource_member
from tests.infrastructure.bicep.symbol import Outputs, Symbol
from tests.infrastructure.bicep.values import (
    DYNAMIC,
    Anything,
    Fields,
    Held,
    Items,
    Piece,
    Read,
    Text,
    Truth,
    Value,
    Whole,
    as_piece,
    choice,
    each_of,
    is_secret,
    kind_of,
    render,
)

if TYPE_CHECKING:
    from tests.infrastructure.bicep.instances import Instance

NAMESPACES = ("sys", "az")
SECRET_ENDS = ("connectionstring", "instrumentationkey", "password", "primarykey", "secondarykey", "accesskey")


class Evaluator:
    """Of one instance of a file, with the names of the loops that it is within."""

    def __init__(self, instance: Instance, local: dict[str, Value]) -> None:
        self.instance, self.local = instance, local

    def report(self, at: Place, rule: str, message: str) -> None:
        self.instance.report(at, rule, message)

    def value(self, expression: tree.Expression) -> Value:
        made: Value = getattr(self, f"_{type(expression).__name__.lower()}")(expression)
        return made

    def _literal(self, expression: tree.Literal) -> Value:
        return literal_value(expression) or Anything("literal")

    def _string(self, expression: tree.String) -> Value:
        parts: list[str | Piece] = []
        for part in expression.parts:
            if isinstance(part, str):
                parts.append(part)
                continue
            value = self.value(part)
            if isinstance(value, Text):
                parts.extend(value.parts)
            else:
                parts.append(as_piece(value))
        return Text(tuple(_joined(parts)), at=expression.at)

    def _name(self, expression: tree.Name) -> Value:
        if expression.name in self.local:
            return self.local[expression.name]
        if expression.name in self.instance.declared:
            return self.instance.value(expression.name, expression.at)
        if expression.name not in NAMESPACES:
            self.report(expression.at, "undefined", f"there is no '{expression.name}' in this file")
        return Anything(expression.name)

    def _member(self, expression: tree.Member) -> Value:
        found = choice(*(self._of(one, expression) for one in each_of(self.value(expression.object))))
        if expression.name.lower().endswith(SECRET_ENDS) and isinstance(found, Text):
            return Anything(render(found), secret=True)
        return found

    def _of(self, value: Value, member: tree.Member) -> Value:
        name, at = member.name, member.at
        if isinstance(value, Symbol):
            return self._of_symbol(value, name, at)
        if isinstance(value, Read):
            return member_of(value.shape, value.origin, name, at, self.report)
        if isinstance(value, Outputs):
            return self._output(value, name, at)
        if isinstance(value, Fields):
            held = value.get(name)
            if held:
                return held.value
            if value.exact and not member.safe:
                names = ", ".join(each.name for each in value.held)
                self.report(at, "unknown-property", f"{value.label or 'this object'} has no '{name}'; it has {names}")
        elif not isinstance(value, Anything):
            self.report(at, "wrong-type", f"'.{name}' is asked of {a(kind_of(value))}, which has no properties")
        return Anything(f"{render(value)}.{name}", is_secret(value))

    def _of_symbol(self, symbol: Symbol, name: str, at: Place) -> Value:
        if symbol.all:
            self.report(
                at, "wrong-type", f"'{symbol.name}' is made in a loop: name one of them, {symbol.name}[0].{name}"
            )
        if isinstance(symbol.declaration, tree.Resource):
            return resource_member(symbol, name, at)
        if name == "outputs":
            return Outputs(symbol)
        if name == "name":
            return symbol.instance.name_of(symbol.declaration)
        self.report(at, "unknown-property", f"a module has name and outputs, and no '{name}'")
        return Anything(f"{symbol.name}.{name}")

    def _output(self, outputs: Outputs, name: str, at: Place) -> Value:
        module = outputs.symbol.declaration
        assert isinstance(module, tree.Module)
        child = outputs.symbol.instance.child(module)
        if child is None:
            return Anything(f"{module.name}.outputs.{name}")
        if name not in child.file.outputs():
            there = ", ".join(child.file.outputs()) or "none"
            self.report(at, "unknown-output", f"'{module.name}' has no output '{name}'; its outputs: {there}")
            return Anything(f"{module.name}.outputs.{name}")
        return child.output(name)

    def _index(self, expression: tree.Index) -> Value:
        value, index = self.value(expression.object), self.value(expression.index)
        if isinstance(value, Symbol):
            return Symbol(value.instance, value.declaration, False)
        if isinstance(value, Items) and value.items:
            return choice(*value.items)
        return Anything(f"{render(value)}[{render(index)}]", is_secret(value))

    def _call(self, expression: tree.Call) -> Value:
        inner = expression.object
        if inner is not None and not (isinstance(inner, tree.Name) and inner.name in NAMESPACES):
            return self._method(expression, inner)
        arguments = [self.value(each) for each in expression.arguments]
        function = FUNCTIONS.get(expression.name)
        if function is None:
            self.report(expression.at, "unknown-function", f"Bicep has no function '{expression.name}'")
            return Anything(expression.name)
        count = len(arguments)
        if count < function.fewest or (function.most is not None and count > function.most):
            wanted = str(function.fewest) if function.fewest == function.most else f"{function.fewest} or more"
            if function.most not in (None, function.fewest):
                wanted = f"{function.fewest} to {function.most}"
            self.report(expression.at, "arguments", f"{expression.name} takes {wanted} arguments and gets {count}")
            return of_kind(function.result, expression.name)
        for wanted, value, given in zip(function.takes, arguments, expression.arguments, strict=False):
            if wanted:
                self.expect(value, wanted, given.at, f"an argument of {expression.name}")
        return result(expression.name, arguments, expression.at)

    def _method(self, expression: tree.Call, inner: tree.Expression) -> Value:
        value = self.value(inner)
        for each in expression.arguments:
            self.value(each)
        label = f"{render(value)}.{expression.name}()"
        known = expression.name.startswith("list") or expression.name in OF_RESOURCES
        if not known or not isinstance(value, Symbol | Anything):
            self.report(expression.at, "unknown-function", f"there is no function '{expression.name}' of this")
        return Anything(label, secret=True)

    def _operation(self, expression: tree.Operation) -> Value:
        values = [self.value(each) for each in expression.operands]
        sign = expression.operator
        label = f" {sign} ".join(map(render, values))
        if sign == "??":
            return choice(*values)
        if sign in ("==", "!=") and self.instance.caller is None:
            self._never(values, expression.at)
        wanted = "bool" if sign in ("&&", "||", "!") else "int" if sign in ("+", "-", "*", "/", "%") else None
        for value, operand in zip(values, expression.operands, strict=True):
            if wanted:
                self.expect(value, wanted, operand.at, f"an operand of {sign}")
        if sign == "-" and len(values) == 1 and isinstance(values[0], Whole) and values[0].low == values[0].high:
            negative = -(values[0].low or 0)
            return Whole(negative, negative, at=expression.at)
        return Whole(None, None, label) if wanted == "int" else Truth(None, label)

    def _never(self, values: list[Value], at: Place) -> None:
        """A comparison of two that have no value in common, by what is allowed for them."""
        known = [{render(one) for one in each_of(value)} for value in values]
        literal = all(isinstance(one, Text) and one.literal is not None for value in values for one in each_of(value))
        if literal and not known[0] & known[1]:
            self.report(at, "never", f"{' or '.join(sorted(known[0]))} is never {' or '.join(sorted(known[1]))}")

    def _ternary(self, expression: tree.Ternary) -> Value:
        self.expect(self.value(expression.condition), "bool", expression.condition.at, "a condition")
        return choice(self.value(expression.yes), self.value(expression.no))

    def _array(self, expression: tree.Array) -> Value:
        return Items(tuple(self.value(each) for each in expression.items), True, at=expression.at)

    def _object(self, expression: tree.Object) -> Value:
        held, dynamic = [], []
        for each in expression.properties:
            value = self.value(each.value)
            if each.name is None:
                dynamic.append(f"{render(self.value(each.key)) if each.key else ''}: {render(value)}")
                held.append(Held(DYNAMIC, each.at, Items((self.value(each.key), value), True) if each.key else value))
            else:
                held.append(Held(each.name, each.at, value))
        return Fields(tuple(held), not dynamic, ", ".join(dynamic), at=expression.at)

    def _loop(self, expression: tree.Loop) -> Value:
        self.expect(self.value(expression.source), "array", expression.source.at, "what a loop goes over")
        names = loop_names(self.instance, expression, self.local)
        body = Evaluator(self.instance, {**self.local, **names}).value(expression.body)
        return Items((body,), False, f"loop over {render(self.value(expression.source))}: {render(body)}")

    def _lambda(self, expression: tree.Lambda) -> Value:
        local = {**self.local, **{name: Anything(name) for name in expression.names}}
        return Anything(render(Evaluator(self.instance, local).value(expression.body)))

    def deployed(self, deployed: tree.Deployed) -> None:
        """What stands around a body, and what it waits for."""
        if deployed.condition is not None:
            self.expect(self.value(deployed.condition), "bool", deployed.condition.at, "a condition")
        if deployed.loop is not None:
            self.expect(self.value(deployed.loop.source), "array", deployed.loop.source.at, "what a loop goes over")
        waits = deployed.body.get("dependsOn")
        value = self.value(waits.value) if waits else Items((), True)
        for one in value.items if isinstance(value, Items) else (value,):
            if waits and not isinstance(one, Symbol | Anything):
                self.report(waits.at, "wrong-type", "dependsOn is a list of resources and modules by their symbols")

    def expect(self, value: Value, wanted: str, at: Place, what: str) -> None:
        for one in each_of(value):
            found = kind_of(one)
            if found not in (None, "null", wanted):
                self.report(at, "wrong-type", f"{what} must be {a(wanted)} and is {a(found)}")


def _joined(parts: list[str | Piece]) -> list[str | Piece]:
    """Neighbouring literals as one."""
    made: list[str | Piece] = []
    for part in parts:
        before = made[-1] if made else None
        if isinstance(part, str) and isinstance(before, str):
            made[-1] = before + part
        elif part != "":
            made.append(part)
    return made
