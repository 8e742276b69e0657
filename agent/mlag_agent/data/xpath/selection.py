"""What of the data an expression can look at or select: told from the expression alone, so that state is made, and
defaults are added, only there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from mlag_agent.data.build import EVERYTHING, Selection
from mlag_agent.data.tree import Keys
from mlag_agent.data.xpath.compiled import Compiled, fits, parts_of
from mlag_agent.data.xpath.syntax import Call, Expr, Literal, NameTest, Number, Path, Step
from mlag_agent.schema.nodes import Lexical, SchemaNode

__all__ = ["selection_of"]

MAX_KEYS = 1_000
"""Entries that are asked for one by one; more are more than a search costs."""


class _UnclearError(Exception):
    """The expression may look anywhere."""


@dataclass(slots=True)
class _Area:
    """What may be wanted of a node: all of it, or some of its children."""

    everything: bool = False
    children: list[_Child] = field(default_factory=list)


@dataclass(slots=True)
class _Child:
    test: NameTest
    keys: Sequence[tuple[NameTest, Literal | Number]]
    area: _Area


def selection_of(compiled: Compiled, canonical: Callable[[SchemaNode, str], str]) -> Selection:
    """Everything that the expression can depend on, evaluated at the root; in doubt, everything there is."""
    root = _Area()
    try:
        _collect(compiled.expression, compiled, root, root)
    except _UnclearError:
        return EVERYTHING
    return _Wanted([((), root)], None, canonical)


def _collect(expression: Expr, compiled: Compiled, here: _Area, root: _Area) -> None:
    """Note the paths in an expression whose context node is in ``here``."""
    if isinstance(expression, Path) and expression.start is None:
        area = root if expression.absolute else here
        for step in expression.steps:
            area = _step(step, compiled, area, root)
        area.everything = True
        return
    if isinstance(expression, Call):
        if expression.name in ("current", "deref"):
            raise _UnclearError
        if not expression.arguments and expression.name not in ("true", "false", "position", "last"):
            here.everything = True  # the context node itself is the argument
    elif isinstance(expression, Path):
        raise _UnclearError  # it starts from the value of another expression
    for part in parts_of(expression):
        _collect(part, compiled, here, root)


def _step(step: Step, compiled: Compiled, area: _Area, root: _Area) -> _Area:
    if step.axis == "child" and isinstance(step.test, NameTest):
        below = _Area()
        area.children.append(_Child(step.test, _literals(step, compiled), below))
    elif step.axis == "self":
        below = area
    elif step.axis in ("child", "descendant", "descendant-or-self"):
        area.everything = True
        below = _Area()
    else:
        raise _UnclearError
    for predicate in step.predicates:
        _collect(predicate, compiled, below, root)
    return below


def _literals(step: Step, compiled: Compiled) -> Sequence[tuple[NameTest, Literal | Number]]:
    return [(test, value) for test, value in compiled.conditions(step) if isinstance(value, Literal | Number)]


_Match = tuple[Sequence[tuple[NameTest, "Literal | Number"]], _Area]


class _Wanted:
    """The selection of areas that have one instance in common."""

    def __init__(
        self, matches: Sequence[_Match], schema: SchemaNode | None, canonical: Callable[[SchemaNode, str], str]
    ) -> None:
        self._matches = matches
        self._schema = schema
        self._canonical = canonical

    @property
    def keys(self) -> Collection[Keys] | None:
        """Of a list all of whose keys each path gives as literals."""
        nodes = () if self._schema is None else self._schema.key_nodes
        if not nodes:
            return None
        found: dict[Keys, None] = {}
        for conditions, _ in self._matches:
            texts = [self._texts(node, conditions) for node in nodes]
            if not all(texts):
                return None
            found.update(dict.fromkeys(itertools.product(*texts)))
            if len(found) > MAX_KEYS:
                return None
        return found

    def _texts(self, node: SchemaNode, conditions: Sequence[tuple[NameTest, Literal | Number]]) -> Sequence[str]:
        for test, expression in conditions:
            if not fits(test, node):
                continue
            value = expression.value
            if isinstance(value, str):
                return tuple(dict.fromkeys((value, self._canonical(node, value))))
            if node.type is not None and node.type.lexical is Lexical.INTEGER and value == int(value):
                return (str(int(value)),)
        return ()

    def below(self, node: SchemaNode) -> Selection | None:
        """A child that a path leads to or through, or a key."""
        if self._schema is not None and node in self._schema.key_nodes:
            return EVERYTHING
        matches: list[_Match] = []
        for _, area in self._matches:
            if area.everything:
                return EVERYTHING
            matches.extend((child.keys, child.area) for child in area.children if fits(child.test, node))
        return _Wanted(matches, node, self._canonical) if matches else None
