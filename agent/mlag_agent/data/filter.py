"""Subtree filters on frozen trees (RFC 6241 section 6).

A filter is compiled against the schema once and then applied to any number of roots; a list whose keys are all
given by content matches is looked up, not searched.  Keys of a selected entry are always included: without
them it would be no valid YANG data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from lxml import etree

from mlag_agent.data.anydata import select_within
from mlag_agent.data.build import EVERYTHING, Selection
from mlag_agent.data.depth import cut
from mlag_agent.data.edit_node import NETCONF_NS
from mlag_agent.data.tree import AnyData, Container, Keys, LeafList, ListNode, Node
from mlag_agent.schema.nodes import SchemaNode, SchemaTree

__all__ = ["SubtreeFilter"]

Canonical = Callable[[SchemaNode, str], str]
"""A content match's text in the canonical form of the node's type; the text itself when it is no such value."""

XML_NS = "http://www.w3.org/XML/1998/namespace"


@dataclass(slots=True)
class _Step:
    """A selection or containment node, for one schema node that it can match."""

    schema: SchemaNode
    level: _Level | None  # containment: what is asked for below; None: a selection node, all of it
    element: etree._Element  # for what stands in anydata, which no schema node describes


@dataclass(slots=True)
class _Level:
    """A set of sibling filter elements (RFC 6241 section 6.2.5)."""

    matches: list[tuple[tuple[SchemaNode, str], ...]] = field(default_factory=list)
    """Content matches; each may match one of several schema nodes of its name when it has no namespace."""
    steps: list[_Step] = field(default_factory=list)
    selects: bool = False  # whether there is anything but content matches


class SubtreeFilter:
    """A compiled ``<filter type="subtree">``."""

    def __init__(self, level: _Level) -> None:
        self._level = level

    @classmethod
    def compile(cls, elements: Iterable[etree._Element], tree: SchemaTree, canonical: Canonical) -> SubtreeFilter:
        """From the children of ``<filter>``; what matches no schema node selects nothing."""
        return cls(_Compiler(tree, canonical).level(elements, tree.data))

    @property
    def selection(self) -> Selection:
        """What the filter may select, for those who make state."""
        return _Wanted((self._level,))

    def apply(self, root: Container, depth: int | None = None) -> Container:
        """What the filter selects of ``root``: a root again, empty where nothing is selected.

        ``depth``: how many levels of each selected node are given; None: all.
        """
        selected = _select(root, (self._level,), depth)
        return Container(root.schema, {}) if selected is None else selected


class _Wanted:
    """The selection of sets of sibling filter elements that match one instance."""

    def __init__(self, levels: Sequence[_Level], schema: SchemaNode | None = None) -> None:
        self._levels = levels
        self._schema = schema

    @property
    def keys(self) -> Collection[Keys] | None:
        """Of a list all of whose keys each set gives by content matches."""
        nodes = () if self._schema is None else self._schema.key_nodes
        found: list[Keys] = []
        for level in self._levels:
            given = {match[0][0]: match[0][1] for match in level.matches if len(match) == 1}
            if not nodes or not all(key in given for key in nodes):
                return None
            found.append(tuple(given[key] for key in nodes))
        return found

    def below(self, node: SchemaNode) -> Selection | None:
        """A child that is asked for, tested, or a key."""
        if self._schema is not None and node in self._schema.key_nodes:
            return EVERYTHING
        levels: list[_Level] = []
        for level in self._levels:
            if level.matches and not level.selects:  # content matches alone select the whole instance
                return EVERYTHING
            if any(tested is node for match in level.matches for tested, _ in match):
                return EVERYTHING
            for step in level.steps:
                if step.schema is node:
                    if step.level is None:
                        return EVERYTHING
                    levels.append(step.level)
        return _Wanted(levels, node) if levels else None


class _Compiler:
    def __init__(self, tree: SchemaTree, canonical: Canonical) -> None:
        self._tree = tree
        self._canonical = canonical

    def level(self, elements: Iterable[etree._Element], parent: SchemaNode) -> _Level:
        """What is asked for below ``parent``; a content match that can never be true has no schema nodes."""
        level = _Level()
        for element in elements:
            text = (element.text or "").strip()
            # YANG data has no attributes, so an attribute match is never true (RFC 6241 section 6.2.2).
            attributes = any(etree.QName(str(name)).namespace != XML_NS for name in element.attrib)
            nodes = [] if attributes else self._matching(element, parent)
            if text and not len(element):
                leafs = [node for node in nodes if node.type is not None]
                level.matches.append(tuple((leaf, self._value(element, leaf, text)) for leaf in leafs))
                continue
            level.selects = True
            below = list(element)
            level.steps.extend(_Step(n, self.level(below, n) if below else None, element) for n in nodes)
        return level

    def _matching(self, element: etree._Element, parent: SchemaNode) -> list[SchemaNode]:
        name = etree.QName(element)
        if name.namespace and (name.namespace != NETCONF_NS or parent.module.namespace == NETCONF_NS):
            node = parent.children.get((name.namespace, name.localname))
            return [] if node is None else [node]
        # No namespace is a wildcard (RFC 6241 section 6.2.1), and so is that of the NETCONF messages, which no data
        # is in and which clients that make it the default give to every filter node without one of its own.
        return [node for (_, local), node in parent.children.items() if local == name.localname]

    def _value(self, element: etree._Element, node: SchemaNode, text: str) -> str:
        kind = node.type
        if kind is not None and kind.prefixed:

            def resolve(match: re.Match[str]) -> str:
                module = self._tree.module_of_namespace(element.nsmap.get(match[1]) or "")
                return f"{module.name}:" if module is not None else match[0]

            text = re.sub(r"([A-Za-z_][\w.-]*):(?=[A-Za-z_*])", resolve, text)
            if ":" not in text and kind.base == "identityref":
                text = f"{node.module.name}:{text}"
        return self._canonical(node, text)


def _select(instance: Container, levels: Sequence[_Level], depth: int | None = None) -> Container | None:
    """Sets of sibling filter elements against one instance (RFC 6241 section 6.2.5); None: nothing is selected.

    There are several sets when several filter elements match the instance's node; the result is their union.
    """
    kept: dict[SchemaNode, Node] = {}
    steps: dict[SchemaNode, list[_Step]] = {}
    chosen = False
    for level in levels:
        matched = _content(instance, level)
        if matched is None:
            continue
        if matched and not level.selects:
            return instance if depth is None else cast("Container", cut(instance, depth))
        chosen = chosen or bool(matched)
        for node, value in matched.items():
            earlier = kept.get(node)
            kept[node] = _both(earlier, value) if isinstance(earlier, LeafList) else value
        for step in level.steps:
            steps.setdefault(step.schema, []).append(step)
    for node, asked in steps.items():
        here = instance.get(node)
        part = None if here is None else _part(here, asked, depth)
        if part is not None:
            chosen = True
            matched_part = kept.get(node)
            kept[node] = _both(matched_part, part) if isinstance(matched_part, LeafList) else part
    if not chosen:
        return None
    for key in instance.schema.key_nodes:
        key_value = instance.get(key)
        if key_value is not None:
            kept[key] = key_value
    return Container.ordered(instance.schema, kept)


def _content(instance: Container, level: _Level) -> dict[SchemaNode, Node] | None:
    """What the content matches select; None when one of them is not true."""
    found: dict[SchemaNode, Node] = {}
    for match in level.matches:
        true = False
        for node, text in match:
            value = instance.get(node)
            if isinstance(value, LeafList) and text in value.values:
                one: Node = LeafList(node, (text,))
                mine = found.get(node)
                found[node] = _both(mine, one) if isinstance(mine, LeafList) else one
                true = True
            elif value == text:
                found[node] = text
                true = True
        if not true:
            return None
    return found


def _both(one: LeafList, other: Node) -> LeafList:
    """Values that either has."""
    assert isinstance(other, LeafList)
    return LeafList(one.schema, dict.fromkeys((*one.values, *other.values)))


def _part(value: Node, steps: Sequence[_Step], depth: int | None) -> Node | None:
    levels = [step.level for step in steps if step.level is not None]
    if len(levels) < len(steps):
        return value if depth is None else cut(value, depth)
    if isinstance(value, Container):
        return _select(value, levels, depth)
    if isinstance(value, ListNode):
        rows = _looked_up(value, levels)
        selected = [
            part for row in (value if rows is None else rows) if (part := _select(row, levels, depth)) is not None
        ]
        return ListNode.of(value.schema, selected) if selected else None
    if isinstance(value, AnyData):
        return select_within(value, [step.element for step in steps])
    return None


def _looked_up(value: ListNode, levels: Sequence[_Level]) -> Sequence[Container] | None:
    """The only entry that can match when all keys are given by content matches; None: they are not."""
    keys = value.schema.key_nodes
    if len(levels) != 1 or not keys:
        return None
    wanted: dict[SchemaNode, str] = {}
    for match in levels[0].matches:
        if len(match) == 1:
            wanted.setdefault(*match[0])
    if not all(key in wanted for key in keys):
        return None
    try:
        row = value.get(tuple(wanted[key] for key in keys))
    except ValueError:  # an integer key asked for with a text that is no integer
        return ()
    return () if row is None else (row,)
