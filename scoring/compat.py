"""Can this machine run that bundle: version and provider of onnxruntime, processor. Touches no files or registries."""

from __future__ import annotations

import operator
import platform
import re
from collections.abc import Callable

from scoring.errors import IncompatibleError, IntegrityError
from scoring.manifest import Manifest

_CLAUSE = re.compile(r"(>=|<=|==|!=|>|<)\s*(\d{1,9}(?:\.\d{1,9})*)", re.ASCII)
_OPERATORS: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def check_compatible(manifest: Manifest, provider: str = "cpu") -> None:
    """Raises: IncompatibleError that says what is needed and what is here; UsageError for an unknown provider."""
    from scoring.session import check_provider, runtime

    check_provider(provider)
    onnxruntime = runtime()
    if not in_range(onnxruntime.__version__, manifest.onnxruntime):
        raise IncompatibleError(
            f"{manifest.name} needs onnxruntime {manifest.onnxruntime}, found {onnxruntime.__version__}",
            hint="install an onnxruntime in that range, or pull an older version of the model",
        )
    here = architecture()
    if manifest.architectures and here not in manifest.architectures:
        raise IncompatibleError(
            f"{manifest.name} is made for {', '.join(manifest.architectures)}, this machine is {here}",
            hint="pull a version that is made for it",
        )


def in_range(version: str, wanted: str) -> bool:
    """`wanted` is comparisons joined by commas: ">=1.20,<2". Raises: IntegrityError for anything else."""
    found = _numbers(version)
    clauses = [_CLAUSE.fullmatch(clause.strip()) for clause in wanted.split(",")]
    if not all(clauses):
        raise IntegrityError(f"expected a range of versions such as '>=1.20,<2', found {wanted!r}")
    return all(_holds(found, clause[1], _numbers(clause[2])) for clause in clauses if clause)


def architecture() -> str:
    """The processor in the words of container images."""
    machine = platform.machine().lower()
    return _ARCHITECTURES.get(machine, machine)


def _holds(found: tuple[int, ...], sign: str, wanted: tuple[int, ...]) -> bool:
    width = max(len(found), len(wanted))
    left, right = (each + (0,) * (width - len(each)) for each in (found, wanted))
    return _OPERATORS[sign](left, right)


def _numbers(version: str) -> tuple[int, ...]:
    """1.20.1 of "1.20.1", "1.20.1+cpu" and "1.20.1rc1": a build or pre-release counts as its release."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else (0,)
