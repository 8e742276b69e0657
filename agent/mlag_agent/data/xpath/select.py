"""From a node-set to the data of a reply: each node with its ancestors and their keys (RFC 6241 section 8.9.1)."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from operator import is_
from typing import cast

from lxml import etree

from mlag_agent.data.anydata import stored_form
from mlag_agent.data.build import Selection
from mlag_agent.data.depth import cut
from mlag_agent.data.instance import InstanceNode, InstanceTree, OpaqueNode, TextNode
from mlag_agent.data.tree import AnyData, Container, LeafList, ListNode, Node, merge
from mlag_agent.data.xpath.compiled import Compiled
from mlag_agent.data.xpath.evaluate import Expressions
from mlag_agent.data.xpath.selection import selection_of
from mlag_agent.data.xpath.syntax import Scope, XPathError
from mlag_agent.data.xpath.values import TYPE_NAMES, Budget
from mlag_agent.schema.nodes import Kind, SchemaNode

__all__ = ["XPathFilter", "selected"]


class XPathFilter:
    """A compiled ``<filter type="xpath">``; raises XPathError for what is no expression."""

    def __init__(self, text: str, scope: Scope, expressions: Expressions, parameter: str | None = None) -> None:
        self.parameter = parameter
        """The element that holds the expression; None: it is the attribute select."""
        self._expressions = expressions
        self._compiled = Compiled(text, scope, expressions.tree)

    @property
    def selection(self) -> Selection:
        """What must be there for the expression to be evaluated."""
        return selection_of(self._compiled, self._expressions.canonical)

    @property
    def unprefixed(self) -> frozenset[str]:
        """Names without a prefix."""
        return self._compiled.unprefixed

    def nodes(self, tree: InstanceTree, budget: Budget) -> list[InstanceNode]:
        """The node-set.

        Raises XPathError for an expression that gives something else (RFC 6241 section 8.9.5.3), TooCostlyError at the
        end of the budget.
        """
        found = self._expressions.evaluate(self._compiled, tree.root, budget)
        if isinstance(found, list):
            return found
        shown = str(found).lower() if isinstance(found, bool) else found
        raise XPathError(f"the expression gives the {TYPE_NAMES[type(found)]} {shown!r} and not a set of nodes")

    def apply(self, tree: InstanceTree, budget: Budget, depth: int | None = None) -> Container:
        """What the expression selects of a tree: a root again.  Raises as ``nodes``.

        ``depth``: how many levels of each selected node are given; None: all.
        """
        return selected(tree, self.nodes(tree, budget), budget, depth)


def selected(tree: InstanceTree, nodes: Iterable[InstanceNode], budget: Budget, depth: int | None = None) -> Container:
    """A root with the nodes, all that is below them, what is above them, and the keys of the entries there.

    Text counts as its leaf; below anydata, what is selected is kept with the elements around it.
    """
    made = _Selection(budget, depth)
    for node in nodes:
        made.add(cast("InstanceNode", node.parent) if isinstance(node, TextNode) else node)
    return cast("Container", made.build(tree.root))


class _Selection:
    def __init__(self, budget: Budget, depth: int | None) -> None:
        self._budget = budget
        self._depth = depth
        self._whole: set[InstanceNode] = set()
        self._below: dict[InstanceNode, dict[InstanceNode, None]] = {}

    def add(self, node: InstanceNode) -> None:
        """Note a node, and the way to it."""
        self._whole.add(node)
        while node.parent is not None:
            self._budget.spend()
            siblings = self._below.setdefault(node.parent, {})
            if node in siblings:
                return
            siblings[node] = None
            node = node.parent

    def build(self, node: InstanceNode) -> Node:
        """The data of a node, or the part of it that is on the way to others."""
        if isinstance(node.value, str) or (node in self._whole and self._depth is None):
            return node.tree.whole(node)
        below = self._below.get(node, {})
        if node in self._whole:
            # A node below may be selected as well, and given with more levels.
            part = cut(node.tree.whole(node), self._depth)
            return part if not below or not isinstance(part, Container) else merge(part, self._way(node, below))
        if isinstance(node.value, AnyData):
            return self._opaque(node, below)
        return self._way(node, below)

    def _way(self, node: InstanceNode, below: Iterable[InstanceNode]) -> Container:
        """The part of a container or an entry that is on the way to what is selected below it."""
        by_schema: dict[SchemaNode, list[InstanceNode]] = {}
        for child in below:
            by_schema.setdefault(child.schema, []).append(child)
        children: dict[SchemaNode, Node] = {}
        for key in node.schema.key_nodes:
            by_schema.setdefault(key, list(node.named(key)))
        for schema, group in by_schema.items():
            children[schema] = self._together(schema, group)
        return Container.ordered(node.schema, children)

    def _together(self, schema: SchemaNode, group: list[InstanceNode]) -> Node:
        """All instances of one schema node below one parent that are selected or on the way."""
        group.sort(key=lambda each: each.place)
        if schema.kind is Kind.LEAF_LIST:
            return LeafList(schema, [cast("str", each.value) for each in group])
        if schema.kind is not Kind.LIST:
            return self.build(group[0])
        rows = [cast("Container", self.build(each)) for each in group]
        parent = cast("InstanceNode", group[0].parent)
        there = parent.tree.child(parent, schema)
        if isinstance(there, ListNode) and len(there) == len(rows) and all(map(is_, there, rows)):
            return there  # all of it, with what has been kept of its encoding
        return ListNode.of(schema, rows)

    def _opaque(self, node: InstanceNode, below: Iterable[InstanceNode]) -> AnyData:
        """The part of anydata that is selected."""
        children = [cast("OpaqueNode", child) for child in sorted(below, key=lambda each: each.place)]
        top = _bare(cast("etree._Element", children[0].element.getparent()))
        top.extend(self._element(child) for child in children)
        return AnyData(node.schema, stored_form(top, node.schema))

    def _element(self, node: OpaqueNode) -> etree._Element:
        if node in self._whole:
            copy = deepcopy(node.element)
            copy.tail = None
            return copy
        copy = _bare(node.element)
        below = sorted(self._below.get(node, {}), key=lambda each: each.place)
        copy.extend(self._element(cast("OpaqueNode", child)) for child in below)
        return copy


def _bare(element: etree._Element) -> etree._Element:
    """The element with its attributes and without content."""
    made = etree.Element(element.tag, nsmap=element.nsmap)  # type: ignore[arg-type]  # the stubs know no default
    for name, value in element.attrib.items():
        made.set(name, value)
    return made
