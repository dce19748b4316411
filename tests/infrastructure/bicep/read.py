"""Bicep's text to tree.py's values. Knows how tree-sitter's grammar sees things, and no rule of Bicep."""

from __future__ import annotations

import re
from functools import lru_cache

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.finding import Place
from tests.infrastructure.bicep.syntax import syntax_errors, unescape

LITERALS = {"true": True, "false": False, "null": None}


@lru_cache(maxsize=1)
def _parser() -> Parser:
    return Parser(Language(tree_sitter_bicep.language()))


@lru_cache(maxsize=512)
def read(path: str, text: str) -> tree.File:
    """The file as far as it can be read; what can't be is in `syntax` or `refused`."""
    root = _parser().parse(text.encode()).root_node
    reader = _Reader(path)
    problems = tuple((Place(path, line), message) for line, message in syntax_errors(root, text))
    if problems:  # half a tree would only bring findings that follow from the first
        return tree.File(path, syntax=problems)
    try:
        return reader.file(root)
    except NotUnderstoodError as error:
        return tree.File(path, syntax=((error.at, str(error)),))


def _text(node: Node) -> str:
    return (node.text or b"").decode()


class NotUnderstoodError(Exception):
    """The grammar reads it, but it is none of what this check knows."""

    def __init__(self, at: Place, what: str) -> None:
        super().__init__(f"this check does not understand a {what.replace('_', ' ')} here")
        self.at = at


class _Reader:
    def __init__(self, path: str) -> None:
        self.path = path

    def at(self, node: Node) -> Place:
        return Place(self.path, node.start_point[0] + 1)

    def file(self, root: Node) -> tree.File:
        declarations: list[tree.Declaration] = []
        refused: list[tuple[Place, str]] = []
        scope: tree.String | None = None
        decorators: tuple[tree.Call, ...] = ()
        for node in root.named_children:
            if node.type == "decorators":
                decorators = tuple(call for each in node.named_children if (call := self.decorator(each)))
                continue
            if node.type == "target_scope_assignment":
                scope = self.string(node.named_children[0])
            elif made := self.declaration(node, decorators):
                declarations.append(made)
            elif node.type != "comment":
                refused.append((self.at(node), node.type.replace("_", " ")))
            decorators = decorators if node.type == "comment" else ()
        return tree.File(self.path, scope, tuple(declarations), tuple(refused))

    def decorator(self, node: Node) -> tree.Call | None:
        call = self.expression(node.named_children[0])
        if isinstance(call, tree.Call):
            return call
        return tree.Call(self.at(node), _text(node).lstrip("@"), ())

    def declaration(self, node: Node, decorators: tuple[tree.Call, ...]) -> tree.Declaration | None:
        parts = [each for each in node.named_children if each.type != "comment"]
        if not parts or node.type not in DECLARATIONS:
            return None
        at, name, rest = self.at(node), _text(parts[0]), parts[1:]
        if node.type == "variable_declaration":
            value = rest[-1]
            return tree.Variable(at, name, decorators, self.expression(value))
        if node.type in ("parameter_declaration", "output_declaration"):
            kind = self.type(rest[0])
            value_node = rest[1] if len(rest) > 1 else None
            if node.type == "parameter_declaration":
                default = self.expression(value_node) if value_node else None
                return tree.Parameter(at, name, decorators, kind, default)
            return tree.Output(at, name, decorators, kind, self.expression(value_node or rest[0]))
        return self.deployed(node, at, name, rest, decorators)

    def deployed(
        self, node: Node, at: Place, name: str, rest: list[Node], decorators: tuple[tree.Call, ...]
    ) -> tree.Declaration | None:
        target = self.string(rest[0]).literal or ""
        existing = any(each.type == "existing" for each in node.children)
        loop, condition, body = None, None, rest[-1]
        if body.type == "for_statement":
            loop = self.loop(body)
            body = body.child_by_field_name("body") or body
        if body.type == "if_statement":
            condition = self.expression(body.named_children[0])
            body = body.named_children[-1]
        made = self.expression(body)
        if not isinstance(made, tree.Object):
            return None
        kind = tree.Resource if node.type == "resource_declaration" else tree.Module
        return kind(at, name, decorators, target, existing, loop, condition, made)

    def type(self, node: Node) -> tree.TypeName:
        inner = node.named_children[0] if node.type == "type" and node.named_children else node
        if inner.type == "nullable_type":
            found = self.type(inner.named_children[0])
            return tree.TypeName(found.kind, True, found.literals)
        if inner.type == "primitive_type":
            return tree.TypeName(_text(inner))
        if inner.type == "array_type":
            return tree.TypeName("array")
        if inner.type == "union_type" and all(each.type == "string" for each in inner.named_children):
            return tree.TypeName(
                "string", False, tuple(self.string(each).literal or "" for each in inner.named_children)
            )
        return tree.TypeName(_text(inner) if _text(inner) in ("array", "object") else None)

    def expression(self, node: Node) -> tree.Expression:
        make = getattr(self, f"_{node.type}", None)
        if make is not None:
            made: tree.Expression = make(node)
            return made
        if node.type in ("identifier", "compatible_identifier", "property_identifier"):
            return tree.Name(self.at(node), _text(node))
        children = [each for each in node.named_children if each.type != "comment"]
        if len(children) == 1:
            return self.expression(children[0])
        raise NotUnderstoodError(self.at(node), node.type)

    def string(self, node: Node) -> tree.String:
        parts: list[str | tree.Expression] = []
        quotes = 3 if _text(node).startswith("'''") else 1
        end, position = node.end_byte - quotes, node.start_byte + quotes
        raw = node.text or b""
        for child in node.children:
            if child.type not in ("interpolation", "escape_sequence"):
                continue
            gap = _text(child)[: -len(_text(child).lstrip())]  # the grammar counts blanks before ${ as part of it
            self._add(parts, raw[position - node.start_byte : child.start_byte - node.start_byte].decode() + gap)
            if child.type == "interpolation":
                parts.append(self.expression(child.named_children[0]))
            else:
                self._add(parts, unescape(_text(child)))
            position = child.end_byte
        self._add(parts, raw[position - node.start_byte : end - node.start_byte].decode().replace("\\$", "$"))
        return tree.String(self.at(node), tuple(parts))

    def _add(self, parts: list[str | tree.Expression], text: str) -> None:
        if parts and isinstance(parts[-1], str):
            parts[-1] += text
        elif text:
            parts.append(text)

    _string = string

    def _number(self, node: Node) -> tree.Expression:
        return tree.Literal(self.at(node), int(_text(node)))

    def _boolean(self, node: Node) -> tree.Expression:
        return tree.Literal(self.at(node), LITERALS[_text(node)])

    _null = _boolean

    def _array(self, node: Node) -> tree.Expression:
        items = (each for each in node.named_children if each.type != "comment")
        return tree.Array(self.at(node), tuple(self.expression(each) for each in items))

    def _object(self, node: Node) -> tree.Expression:
        properties = (each for each in node.named_children if each.type == "object_property")
        return tree.Object(self.at(node), tuple(self.property(each) for each in properties))

    def property(self, node: Node) -> tree.Property:
        parts = [each for each in node.named_children if each.type != "comment"]
        if len(parts) < 2:
            raise NotUnderstoodError(self.at(node), "nested resource")
        if parts[0].type == "string":
            key = self.string(parts[0])
            return tree.Property(self.at(node), key.literal, None if key.literal else key, self.expression(parts[1]))
        return tree.Property(self.at(node), _text(parts[0]), None, self.expression(parts[1]))

    def _member_expression(self, node: Node) -> tree.Expression:
        inner, name = self.expression(node.named_children[0]), _text(node.named_children[-1])
        if isinstance(inner, tree.Lambda):  # the grammar takes v => v.name as (v => v).name
            return tree.Lambda(inner.at, inner.names, tree.Member(self.at(node), inner.body, name))
        return tree.Member(self.at(node), inner, name, any(each.type == ".?" for each in node.children))

    def _subscript_expression(self, node: Node) -> tree.Expression:
        inner, index = (self.expression(each) for each in node.named_children[:2])
        if isinstance(index, tree.String) and index.literal is not None:
            return tree.Member(self.at(node), inner, index.literal)
        return tree.Index(self.at(node), inner, index)

    def _call_expression(self, node: Node) -> tree.Expression:
        function, arguments = node.named_children[0], node.named_children[-1]
        given = tuple(self.expression(each) for each in arguments.named_children if each.type != "comment")
        if function.type == "member_expression":
            inner = self.expression(function.named_children[0])
            return tree.Call(self.at(node), _text(function.named_children[-1]), given, inner)
        return tree.Call(self.at(node), _text(function), given)

    def _unary_expression(self, node: Node) -> tree.Expression:
        return tree.Operation(self.at(node), _text(node)[0], (self.expression(node.named_children[-1]),))

    def _binary_expression(self, node: Node) -> tree.Expression:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = node.child_by_field_name("operator")
        assert left and right and operator
        return tree.Operation(self.at(node), operator.type, (self.expression(left), self.expression(right)))

    def _ternary_expression(self, node: Node) -> tree.Expression:
        return tree.Ternary(self.at(node), *(self.expression(each) for each in node.named_children[:3]))

    def loop(self, node: Node) -> tree.Loop:
        names, source = node.named_children[0], node.named_children[1]
        item, index = _text(names), None
        if names.type == "for_loop_parameters":
            item, index = (_text(each) for each in names.named_children[:2])
        body = node.child_by_field_name("body") or node.named_children[-1]
        if body.type == "if_statement":
            body = body.named_children[-1]
        return tree.Loop(self.at(node), item, index, self.expression(source), self.expression(body))

    _for_statement = loop

    def _lambda_expression(self, node: Node) -> tree.Expression:
        names = tuple(re.findall(r"\w+", _text(node.named_children[0])))
        return tree.Lambda(self.at(node), names, self.expression(node.named_children[-1]))


DECLARATIONS = (
    "variable_declaration",
    "parameter_declaration",
    "output_declaration",
    "resource_declaration",
    "module_declaration",
)
