"""What a name of a resource or a module stands for, and a module's outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.values import Value

if TYPE_CHECKING:
    from tests.infrastructure.bicep.instances import Instance


@dataclass(frozen=True)
class Symbol(Value):
    """A resource or module of an instance; `all`: every one that a loop makes."""

    instance: Instance
    declaration: tree.Deployed
    all: bool

    @property
    def name(self) -> str:
        return self.declaration.name


@dataclass(frozen=True)
class Outputs(Value):
    """`module.outputs`."""

    symbol: Symbol
