"""What a name of a resource or a module stands for, and a module's outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.values import Value

if TYPE_CHECKING:
    from tests.infrastructure.bicep.instances import Instance


@dataclass(frozen=True)
class Symbol(Value):
    """A resource or module of an instance; `all`: every one that a loop makes."""

    kind: ClassVar[str | None] = "object"
    instance: Instance
    declaration: tree.Deployed
    all: bool

    @property
    def name(self) -> str:
        return self.declaration.name

    @property
    def label(self) -> str:
        """What it is rendered as: the one resource, whatever a file calls it."""
        if isinstance(self.declaration, tree.Resource):
            return self.instance.key(self.declaration)
        return f"{self.instance.label}/{self.name}"


@dataclass(frozen=True)
class Outputs(Value):
    """`module.outputs`."""

    kind: ClassVar[str | None] = "object"
    symbol: Symbol
