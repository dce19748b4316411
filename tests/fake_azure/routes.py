"""Tables of routes: method and path pattern to a handler. Knows nothing about sockets."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tests.fake_azure.messages import Answer
from tests.fake_azure.tokens import ARM, GRAPH, ML

WS = (
    r"/subscriptions/(?P<subscription_>[^/]+)/resourceGroups/(?P<group_>[^/]+)"
    r"/providers/Microsoft\.MachineLearningServices/workspaces/(?P<workspace_>[^/]+)"
)
AUDIENCES: dict[str, tuple[str, ...] | None] = {"arm": ARM, "azureml": (*ARM, *ML), "graph": GRAPH}
Handler = Callable[..., Answer]


@dataclass(frozen=True)
class Route:
    """`place` says that the path names the workspace, which is checked before the handler."""

    kind: str
    method: str
    pattern: re.Pattern[str]
    handler: Handler
    audience: tuple[str, ...] | None

    def match(self, method: str, path: str) -> dict[str, str] | None:
        found = self.pattern.fullmatch(path) if method == self.method else None
        return {name: unquote(value or "") for name, value in found.groupdict().items()} if found else None


class Routes:
    """One file's routes on one kind of host."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.routes: list[Route] = []

    def route(self, methods: str, pattern: str, *, audience: Any = ...) -> Callable[[Handler], Handler]:
        """`methods` may be several: "GET|POST"."""
        asked = AUDIENCES.get(self.kind) if audience is ... else audience
        compiled = re.compile(pattern.replace("{WS}", WS), re.IGNORECASE)

        def add(handler: Handler) -> Handler:
            for method in methods.split("|"):
                self.routes.append(Route(self.kind, method, compiled, handler, asked))
            return handler

        return add


class Router:
    """All tables. Two routes for one request are a mistake that is said at once."""

    def __init__(self, tables: Iterable[Routes]) -> None:
        self.routes = [route for table in tables for route in table.routes]

    def find(self, kind: str, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        found = [
            (route, groups) for route in self.routes if (groups := self._match(route, kind, method, path)) is not None
        ]
        if len(found) > 1:
            names = ", ".join(f"{route.handler.__module__}.{route.handler.__name__}" for route, _ in found)
            raise AssertionError(f"{len(found)} routes for {method} {path}: {names}")
        return found[0] if found else None

    @staticmethod
    def _match(route: Route, kind: str, method: str, path: str) -> dict[str, str] | None:
        return route.match(method, path) if route.kind == kind else None


def load_tables() -> Iterator[Routes]:
    """Every `Routes` of a module of this package, of `v1` and of `v2`."""
    seen: set[int] = set()
    for name in sorted(_modules("tests.fake_azure")):
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, Routes) and id(value) not in seen:
                seen.add(id(value))
                yield value


def _modules(package: str) -> Iterator[str]:
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        short = module.name.rpartition(".")[2]
        if short.startswith("test_") or short == "fixtures":
            continue
        yield module.name
        if module.ispkg:
            yield from _modules(module.name)
