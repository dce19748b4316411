"""Hyperparameters as a job writes them, fixed or searched, checked against the table. Knows nothing of sampling."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from model_training.jobs.hyperparameters import ALGORITHMS, ALIASES, AVAILABLE, FAMILY, HYPERPARAMETERS, Hyperparameter
from model_training.jobs.problems import Problems, nearest
from model_training.jobs.spec import Distribution
from model_training.jobs.yaml_tree import Value

HONOURED_DISTRIBUTIONS = ("choice", "uniform", "loguniform")
# every distribution of Azure ML and the keys that it needs
DISTRIBUTIONS = {
    "choice": ("values",),
    "uniform": ("min_value", "max_value"),
    "loguniform": ("min_value", "max_value"),
    "quniform": ("min_value", "max_value", "q"),
    "qloguniform": ("min_value", "max_value", "q"),
    "normal": ("mu", "sigma"),
    "lognormal": ("mu", "sigma"),
    "qnormal": ("mu", "sigma", "q"),
    "qlognormal": ("mu", "sigma", "q"),
    "randint": ("upper",),
}
NOT_HERE = "valid on Azure ML, not honoured here yet: remove it or run on Azure"


def snake(text: str) -> str:
    """`WarmupCosine` as `warmup_cosine`: Azure ML takes both spellings of its enumerations."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower()


@dataclass(frozen=True)
class Reader:
    """What every key needs to know: where problems go, for which task, and for this machine or for Azure ML."""

    problems: Problems
    task: str
    local: bool = True

    def known(self, key: str, line: int, where: str) -> Hyperparameter | None:
        """The hyperparameter that a key names, or None with the problem told."""
        name = ALIASES.get(key, key)
        entry = HYPERPARAMETERS.get(name)
        if entry is None:
            self.problems.error(line, f"unknown key '{key}' in {where}{nearest(key, [*HYPERPARAMETERS, *ALIASES])}")
            return None
        if key in ALIASES:
            if not self.local:
                self.problems.error(line, f"'{key}' is the older name, which Azure ML refuses: write '{name}'")
                return None
            self.problems.warn(line, f"'{key}' is the older name of '{name}'")
        return entry

    def accepted(self, key: str, line: int, where: str, algorithms: tuple[str, ...]) -> Hyperparameter | None:
        """The hyperparameter, if it has an effect on one of the algorithms of the job."""
        entry = self.known(key, line, where)
        if entry is None:
            return None
        if not any(FAMILY[name] in entry.families for name in algorithms):
            owners = [name for names in ALGORITHMS.values() for name in names if FAMILY[name] in entry.families]
            owners = list(dict.fromkeys(owners))
            self.problems.error(
                line,
                f"'{key}' has no effect on {', '.join(algorithms)}: it belongs to {', '.join(owners[:4])}"
                f"{', …' if len(owners) > 4 else ''}; remove it",
            )
            return None
        if self.local and not entry.honoured:
            self.problems.error(line, f"'{key}': {NOT_HERE}")
            return None
        if where == "search_space" and not entry.searchable:
            self.problems.error(line, f"'{key}' cannot be searched; put it under training_parameters")
            return None
        return entry

    def scalar(self, entry: Hyperparameter, value: Value, *, check_range: bool = True) -> Any:
        """The value in its kind, or None with the problem told."""
        data = _in_kind(entry.kind, value.data)
        if data is None or (check_range and not entry.contains(data, local=self.local)):
            self.problems.error(value.line, f"{entry.name}: expected {entry.range_text}, found {value.kind}")
            return None
        return data

    def algorithm(self, value: Value) -> str | None:
        """A model name that can be trained, or None with the problem told."""
        names = ALGORITHMS[self.task]
        if not isinstance(value.data, str) or value.data not in names:
            guess = nearest(str(value.data), names) if isinstance(value.data, str) else ""
            self.problems.error(
                value.line, f"unknown model_name {value.kind} for {self.task}{guess}; there are: {', '.join(names)}"
            )
            return None
        if self.local and value.data not in AVAILABLE:
            self.problems.error(
                value.line, f"{value.data} is not available on this workspace yet; available: {', '.join(AVAILABLE)}"
            )
            return None
        return value.data


def _in_kind(kind: str, data: Any) -> Any:
    """The YAML value as the kind holds it, None if it is another kind of thing."""
    if kind == "bool":
        return bool(data) if isinstance(data, bool) or (isinstance(data, int) and data in (0, 1)) else None
    if kind == "int":
        return data if isinstance(data, int) and not isinstance(data, bool) else None
    if kind == "float":
        number = isinstance(data, int | float) and not isinstance(data, bool) and math.isfinite(data)
        return float(data) if number else None
    if isinstance(data, str):
        return snake(data) if kind == "enum" else data
    return None


def read_training_parameters(value: Value, reader: Reader, algorithms: tuple[str, ...]) -> dict[str, Any]:
    """The fixed hyperparameters by their current names."""
    fixed: dict[str, Any] = {}
    lines: dict[str, str] = {}
    for key, item in value.data.items():
        if key in ("model_name", "split_ratio"):
            continue  # the job's reader takes these
        entry = reader.accepted(key, item.line, "training_parameters", algorithms)
        if entry is None or _twice(entry.name, key, item.line, lines, reader.problems):
            continue
        scalar = reader.scalar(entry, item)
        if scalar is not None:
            fixed[entry.name] = scalar
    return fixed


def read_search_space(value: Value, reader: Reader, default_algorithm: str) -> dict[str, Distribution]:
    """One conditional space; `model_name` is always in it."""
    algorithms = _algorithms(value.data.get("model_name"), reader, default_algorithm)
    space = {"model_name": algorithms}
    names = tuple(algorithms.values) or (default_algorithm,)
    seen: dict[str, str] = {}
    for key, item in value.data.items():
        if key == "model_name":
            continue
        entry = reader.accepted(key, item.line, "search_space", names)
        if entry is None or _twice(entry.name, key, item.line, seen, reader.problems):
            continue
        distribution = _distribution(entry, item, reader)
        if distribution is not None:
            space[entry.name] = distribution
    return space


def _twice(name: str, key: str, line: int, seen: dict[str, str], problems: Problems) -> bool:
    if name in seen:
        problems.error(line, f"'{key}' and '{seen[name]}' are the same hyperparameter; keep one")
        return True
    seen[name] = key
    return False


def _algorithms(value: Value | None, reader: Reader, default: str) -> Distribution:
    if value is None:
        return Distribution("fixed", (default,))
    if not isinstance(value.data, dict):
        name = reader.algorithm(value)
        return Distribution("fixed", (name,) if name else ())
    kind, items = _choice_items(value, "model_name", reader)
    names = tuple(name for item in items if (name := reader.algorithm(item)))
    return Distribution(kind, names)


def _choice_items(value: Value, name: str, reader: Reader) -> tuple[str, list[Value]]:
    kind = _distribution_kind(name, value, reader)
    values = value.data.get("values")
    if kind not in (None, "choice"):
        reader.problems.error(value.line, f"{name}: only choice can hold names, found type {kind}")
        return "choice", []
    if kind is None:
        return "choice", []
    return "choice", _non_empty(values, name, value.line, reader)


def _distribution(entry: Hyperparameter, value: Value, reader: Reader) -> Distribution | None:
    if not isinstance(value.data, dict):
        scalar = reader.scalar(entry, value)
        return None if scalar is None else Distribution("fixed", (scalar,))
    kind = _distribution_kind(entry.name, value, reader)
    if kind is None:
        return None
    if kind == "choice":
        items = _non_empty(value.data.get("values"), entry.name, value.line, reader)
        found = [reader.scalar(entry, item) for item in items]
        return Distribution("choice", tuple(found)) if items and None not in found else None
    whole = entry.kind == "int" and kind in ("uniform", "loguniform", "normal", "lognormal")
    if entry.kind not in ("int", "float") or whole:
        fit = "choice, quniform, qnormal or randint" if entry.kind == "int" else "choice"
        reader.problems.error(value.line, f"{entry.name} is {entry.range_text}; {kind} cannot give that, use {fit}")
        return None
    return _continuous(entry, kind, value, reader)


def _distribution_kind(name: str, value: Value, reader: Reader) -> str | None:
    """The distribution's type if it and its keys can be used, else None with the problems told."""
    kind = value.data.get("type")
    if kind is None or not isinstance(kind.data, str) or snake(kind.data) not in DISTRIBUTIONS:
        found = "no type" if kind is None else kind.kind
        reader.problems.error(value.line, f"{name}: expected a type of {', '.join(DISTRIBUTIONS)}, found {found}")
        return None
    named = snake(kind.data)
    needed = DISTRIBUTIONS[named]
    for key, item in value.data.items():
        if key != "type" and key not in needed:
            reader.problems.error(item.line, f"{name}: unknown key '{key}' in {named}; it has {', '.join(needed)}")
    missing = [key for key in needed if key not in value.data]
    if missing:
        reader.problems.error(value.line, f"{name}: {named} needs {' and '.join(missing)}")
    if reader.local and named not in HONOURED_DISTRIBUTIONS:
        reader.problems.error(kind.line, f"{name}: the distribution {named} is {NOT_HERE}")
        return None
    return None if missing else named


def _non_empty(values: Value | None, name: str, line: int, reader: Reader) -> list[Value]:
    if values is None or not isinstance(values.data, list) or not values.data:
        reader.problems.error(line, f"{name}: expected a list of values, found {values.kind if values else 'nothing'}")
        return []
    return list(values.data)


def _continuous(entry: Hyperparameter, kind: str, value: Value, reader: Reader) -> Distribution | None:
    numbers = {key: _in_kind("float", value.data[key].data) for key in DISTRIBUTIONS[kind]}
    for key, number in numbers.items():
        if number is None:
            item = value.data[key]
            reader.problems.error(item.line, f"{entry.name}: {key} must be a number, found {item.kind}")
    if None in numbers.values():
        return None
    if "min_value" not in numbers:
        return Distribution(kind, parameters=tuple(numbers.items()))  # Azure's alone: nothing here samples it
    low, high = numbers["min_value"], numbers["max_value"]
    if low > high:
        reader.problems.error(value.line, f"{entry.name}: min_value {low:g} is greater than max_value {high:g}")
        return None
    log = kind.endswith("loguniform")
    if log and max(abs(low), abs(high)) > 700:
        reader.problems.error(value.line, f"{entry.name}: exp({low:g}) to exp({high:g}) is out of any range")
        return None
    ends = (math.exp(low), math.exp(high)) if log else (low, high)
    if not all(entry.contains(end, local=False) for end in ends):
        reader.problems.error(value.line, _out_of_range(entry, kind, low, high, ends))
        return None
    kept = tuple(numbers.items()) if kind not in HONOURED_DISTRIBUTIONS else ()
    return Distribution(kind, low=low, high=high, parameters=kept)


def _out_of_range(entry: Hyperparameter, kind: str, low: float, high: float, ends: tuple[float, float]) -> str:
    text = f"{entry.name}: expected {entry.range_text}, found {ends[0]:g} to {ends[1]:g}"
    if not kind.endswith("loguniform"):
        return text
    text += f" (the bounds of {kind} are natural logarithms: exp({low:g}) to exp({high:g})"
    if 0 < low <= high:
        text += f"; for {low:g} to {high:g} write {math.log(low):.4g} and {math.log(high):.4g}"
    return text + ")"
