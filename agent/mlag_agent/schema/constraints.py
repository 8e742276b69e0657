"""From statements to ``Constraints``: every must, when, leafref and count of the configuration.

Statements are pyang's, as ``schema.model`` walks them: uses are expanded, refinements and deviations applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mlag_agent.schema.nodes import Kind, SchemaNode
from mlag_agent.schema.scope import Constraint, Constraints, Reads, UnclearExpressionError, reads

__all__ = ["ConstraintCollector", "conditions"]

Parse = Callable[[str], Any]


class ConstraintCollector:
    """Takes node after node; ``parse`` gives the syntax tree of an XPath expression, None when it has none."""

    def __init__(self, parse: Parse) -> None:
        self._parse = parse
        self._expressions: list[Constraint] = []
        self._counted: set[SchemaNode] = set()
        self._conditional: set[SchemaNode] = set()
        self._referring: set[SchemaNode] = set()
        self._whens: list[tuple[SchemaNode, Constraint]] = []

    def add(self, stmt: Any, node: SchemaNode, holders: Sequence[Any]) -> None:
        """A node; ``holders`` are the choices and cases that it stands in.

        What is no configuration is left out: a datastore that is checked has none of it.
        """
        if not node.config:
            return
        for must in stmt.search("must"):
            self._expression(must.arg, node)
        for condition, context in conditions(stmt, node, holders):
            self._conditional.add(node)
            self._whens.append((node, self._expression(condition.arg, context)))
        if node.kind is Kind.LIST and any(stmt.search(word) for word in ("unique", "min-elements", "max-elements")):
            self._counted.add(node)
        if node.kind in (Kind.LEAF, Kind.LEAF_LIST):
            for path in _references(stmt.search_one("type")):
                self._referring.add(node)
                self._expression(path, node)

    def constraints(self, root: SchemaNode) -> Constraints:
        """All that have been added below the root of the data tree; operations and notifications are checked apart."""
        data = frozenset(root.descendants())
        rooted = [_rooted(found, root) for found in self._expressions]
        return Constraints(
            tuple(found for found in rooted if found.context in data),
            frozenset(self._counted),
            frozenset(self._conditional),
            frozenset(self._referring),
            tuple((node, _rooted(found, root)) for node, found in self._whens if node in data),
        )

    def references(self, root: SchemaNode) -> Mapping[SchemaNode, frozenset[SchemaNode]]:
        """Each input, output and notification with the top-level data nodes that expressions in it lead to.

        Where the value of an instance-identifier leads is not known here.
        """
        everywhere = frozenset(root.children.values())
        found: dict[SchemaNode, frozenset[SchemaNode]] = {}
        for constraint in self._expressions:
            holder = _holder_of(constraint.context)
            if holder is None or constraint.expression is None:
                continue
            operation = holder if holder.kind is Kind.NOTIFICATION else holder.parent
            assert operation is not None
            try:
                tops = _tops_outside(operation, reads(constraint, root), everywhere)
            except UnclearExpressionError:
                tops = everywhere
            found[holder] = found.get(holder, frozenset()) | tops
        return found

    def _expression(self, text: str | None, context: SchemaNode) -> Constraint:
        made = Constraint(context, None if text is None else self._parse(text))
        self._expressions.append(made)
        return made


def _rooted(found: Constraint, root: SchemaNode) -> Constraint:
    """A top-level node stood below a root of its own when it was added."""
    return Constraint(root, found.expression) if found.context.kind is Kind.ROOT else found


def _holder_of(node: SchemaNode) -> SchemaNode | None:
    above: SchemaNode | None = node
    while above is not None and above.kind not in (Kind.INPUT, Kind.OUTPUT, Kind.NOTIFICATION):
        above = above.parent
    return above


def _tops_outside(operation: SchemaNode, found: Reads, everywhere: frozenset[SchemaNode]) -> frozenset[SchemaNode]:
    tops: set[SchemaNode] = set()
    for node in found.visited | found.used:
        if node.kind is Kind.ROOT and node in found.used:
            return everywhere
        above = node
        while above is not operation and above.parent is not None and above.parent.kind is not Kind.ROOT:
            above = above.parent
        if above is not operation and above.kind is not Kind.ROOT:
            tops.add(above)
    return frozenset(tops) & everywhere


def conditions(stmt: Any, node: SchemaNode, holders: Sequence[Any]) -> Iterator[tuple[Any, SchemaNode]]:
    """Each when with its context node (RFC 7950 section 7.21.5): the node itself for its own, else the one above."""
    assert node.parent is not None
    for holder in (stmt, *holders):
        for condition in holder.search("when"):
            # pyang copies the when of a uses to each node that comes from it.
            own = holder is stmt and getattr(condition, "i_origin", None) != "uses"
            yield condition, node if own else node.parent
        augment = getattr(holder, "i_augment", None)
        if augment is not None:
            yield from ((condition, node.parent) for condition in augment.search("when"))


def _references(type_stmt: Any) -> Iterator[str | None]:
    """Paths of the leafrefs in a type; None for an instance-identifier, which may lead anywhere."""
    chain = type_stmt
    while (typedef := getattr(chain, "i_typedef", None)) is not None:
        chain = typedef.search_one("type")
    if chain.arg == "leafref":
        yield chain.search_one("path").arg
    elif chain.arg == "instance-identifier":
        yield None
    elif chain.arg == "union":
        for member in chain.search("type"):
            yield from _references(member)
