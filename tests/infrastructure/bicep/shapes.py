"""Whether a value fits one of Azure's types: properties, kinds, known values, lengths, patterns, ranges."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches

from tests.infrastructure.bicep.azure_types import READ_ONLY, REQUIRED, Shape, Slot
from tests.infrastructure.bicep.finding import Place, a
from tests.infrastructure.bicep.values import (
    DYNAMIC,
    Anything,
    Fields,
    Items,
    Nothing,
    Text,
    Value,
    Whole,
    each_of,
    kind_of,
    render,
)

Report = Callable[[Place, str, str], None]
CLASS = re.compile(r"\^?\[((?:[^\]\\]|\\.)+)\](?:[*+]|\{\d+,?\d*\})\$?")
SAYS_DURATION = re.compile(r"RFC Format|ISO ?8601(?!.*UTC)", re.DOTALL)
DURATION = re.compile(r"P(?!$)(\d+[YMWD])*(T(\d+(\.\d+)?[HMS])+)?")
RANGE = re.compile(r">=\s*(\d+) and <=\s*(\d+)")


class Fit:
    """Reports what does not fit; `what` in messages is the property's path."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def value(self, value: Value, shape: Shape, at: Place, what: str) -> None:
        for one in each_of(value):
            if not isinstance(one, Anything | Nothing):
                self._one(one, shape, at, what)

    def _one(self, value: Value, shape: Shape, at: Place, what: str) -> None:
        kind = shape.kind
        if kind in ("StringType", "StringLiteralType") or (kind == "UnionType" and shape.literals):
            self._text(value, shape, at, what)
        elif kind == "IntegerType":
            self._whole(value, shape.raw.get("minValue"), shape.raw.get("maxValue"), at, what)
        elif kind == "BooleanType":
            self.kind(value, "bool", at, what)
        elif kind == "ArrayType":
            self._list(value, shape, at, what)
        elif kind in ("ObjectType", "DiscriminatedObjectType"):
            fits = self.kind(value, "object", at, what)
            if fits and isinstance(value, Fields):
                self.fields(value, shape, at, what)

    def kind(self, value: Value, wanted: str, at: Place, what: str) -> bool:
        found = kind_of(value)
        if found not in (None, wanted):
            self.report(at, "wrong-type", f"'{what}' must be {a(wanted)} and is {a(found)}")
        return found in (None, wanted)

    def _list(self, value: Value, shape: Shape, at: Place, what: str) -> None:
        if not self.kind(value, "array", at, what) or not isinstance(value, Items):
            return
        low, high = shape.raw.get("minLength"), shape.raw.get("maxLength")
        if value.exact and ((low or 0) > len(value.items) or (high is not None and len(value.items) > high)):
            self.report(at, "length", f"'{what}' has {len(value.items)} items; it takes {low or 0} to {high}")
        for number, item in enumerate(value.items):
            self.value(item, shape.item, item.at or at, f"{what}[{number}]")

    def _text(self, value: Value, shape: Shape, at: Place, what: str) -> None:
        if not self.kind(value, "string", at, what) or not isinstance(value, Text):
            return
        known, literal, place = shape.literals, value.literal, value.at or at
        if known and literal is not None and literal not in known:
            near = get_close_matches(literal, known, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            self.report(place, "unknown-value", f"'{what}' is '{literal}', none of {', '.join(known)}{hint}")
        if shape.kind == "StringType":
            raw = shape.raw
            self.length(value, raw.get("minLength", 0), raw.get("maxLength"), place, what)
            if raw.get("pattern"):
                self.pattern(value, raw["pattern"], place, what)

    def length(self, value: Text, low: int, high: int | None, at: Place, what: str) -> None:
        """Longer than it may be, or surely shorter than it must be."""
        if high is not None and value.high is not None and value.high > high:
            can = "has" if value.literal is not None else "can have"
            self.report(at, "length", f"'{what}' {can} {value.high} characters, and {high} at most: {render(value)}")
        if value.high is not None and value.high < low:
            self.report(at, "length", f"'{what}' has {value.high} characters at most, and needs {low}: {render(value)}")

    def pattern(self, value: Text, pattern: str, at: Place, what: str) -> None:
        """All of a literal; of a text with unknown stretches, the characters that it surely has."""
        if value.literal is not None:
            if not re.search(pattern, value.literal):
                self.report(at, "pattern", f"'{what}' is '{value.literal}', which {pattern} does not match")
            return
        allowed = CLASS.fullmatch(pattern)
        if allowed:
            self.characters(value, allowed[1], at, what)

    def characters(self, value: Text, allowed: str, at: Place, what: str) -> None:
        known = "".join(each for each in value.parts if isinstance(each, str))
        bad = sorted(set(re.sub(f"[{allowed}]", "", known)))
        if bad:
            marks = " ".join(bad)
            self.report(at, "pattern", f"'{what}' takes [{allowed}] and has '{marks}': {render(value)}")

    def _whole(self, value: Value, low: int | None, high: int | None, at: Place, what: str) -> None:
        if self.kind(value, "int", at, what) and isinstance(value, Whole):
            self.range(value, low, high, at, what)

    def range(self, value: Whole, low: int | None, high: int | None, at: Place, what: str) -> None:
        if low is not None and value.low is not None and value.low < low:
            self.report(at, "range", f"'{what}' can be {value.low}; the least is {low}")
        if high is not None and value.high is not None and value.high > high:
            self.report(at, "range", f"'{what}' can be {value.high}; the most is {high}")

    def fields(self, value: Fields, shape: Shape, at: Place, what: str) -> None:
        slots, additional = dict(shape.slots), shape.additional
        if shape.kind == "DiscriminatedObjectType":
            variant = self._variant(value, shape, at, what)
            if variant is None:
                return
            slots |= variant.slots
            additional = variant.additional
        for held in value.held:
            inner = f"{what}.{held.name}" if what else held.name
            if held.name in slots:
                self._property(held.value, slots[held.name], held.at, inner)
            elif held.name == DYNAMIC or additional is not None:
                if additional is not None and held.name != DYNAMIC:
                    self.value(held.value, additional, held.at, inner)
            else:
                self._unknown(held.name, slots, held.at, what)
        self._required(value, slots, value.at or at, what)

    def _variant(self, value: Fields, shape: Shape, at: Place, what: str) -> Shape | None:
        key = shape.raw["discriminator"]
        held = value.get(key)
        if held is None:
            if value.exact:
                self.report(value.at or at, "missing", f"'{what}' needs '{key}': {', '.join(shape.variants)}")
            return None
        chosen = held.value.literal if isinstance(held.value, Text) else None
        if chosen is None:
            if not isinstance(held.value, Text | Anything):
                self.kind(held.value, "string", held.at, f"{what}.{key}")
            return None
        if chosen not in shape.variants:
            near = get_close_matches(chosen, shape.variants, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            known = ", ".join(shape.variants)
            self.report(held.at, "unknown-value", f"'{what}.{key}' is '{chosen}', none of {known}{hint}")
            return None
        return shape.variants[chosen]

    def _property(self, value: Value, slot: Slot, at: Place, what: str) -> None:
        if slot.flags & READ_ONLY and not slot.flags & REQUIRED:
            self.report(at, "read-only", f"'{what}' is set by Azure and can't be given")
            return
        self.value(value, slot.shape, at, what)
        self._documented(value, slot.description, at, what)

    def _documented(self, value: Value, description: str, at: Place, what: str) -> None:
        """Ranges and formats that are written in the description alone."""
        documented, lasts = RANGE.search(description), SAYS_DURATION.search(description)
        for one in each_of(value):
            if documented and isinstance(one, Whole):
                self.range(one, int(documented[1]), int(documented[2]), at, what)
            if lasts and isinstance(one, Text) and not (len(one.parts) == 1 and one.pieces):
                text = "".join(each if isinstance(each, str) else "1" for each in one.parts)
                if not DURATION.fullmatch(text):
                    self.report(one.at or at, "pattern", f"'{what}' is a duration like PT600S, not {render(one)}")

    def _unknown(self, name: str, slots: dict[str, Slot], at: Place, what: str) -> None:
        near = get_close_matches(name, slots, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        self.report(at, "unknown-property", f"{what or 'it'} has no property '{name}'{hint}")

    def _required(self, value: Fields, slots: dict[str, Slot], at: Place, what: str) -> None:
        if not value.exact:
            return
        given = {each.name for each in value.held}
        for name, slot in slots.items():
            if slot.flags & REQUIRED and not slot.flags & READ_ONLY and name not in given:
                self.report(at, "missing", f"{what or 'it'} needs '{name}'")
