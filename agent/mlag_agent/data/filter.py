"""Subtree filters on frozen trees (RFC 6241 section 6).

A filter is compiled against the schema once and then applied to any number of roots; a list whose keys are all
given by content matches is looked up, not searched.  Keys of a selected entry are always included: without
them it would be no valid YANG data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lxml import etree

from mlag_agent.data.edit_node import NETCONF_NS
from mlag_agent.schema.nodes import Kind, SchemaNode, SchemaTree
from mlag_agent.data.tree import Container, LeafList, ListNode, Node

__all__ = ["SubtreeFilter"]

Canonical = Callable[[SchemaNode, str], str]
"""A content match's text in the canonical form of the node's type; the text itself when it is no such value."""

XML_NS = "http://www.w3.org/XML/1998/namespace"


@dataclass(slots=True)
class _Step:
    """One filter element, for one schema node that it can match."""

    schema: SchemaNode
    text: str | None  # content match: the value wanted
    children: list[_Step] = field(default_factory=list)
    impossible: bool = False  # an unmatched content or attribute match below: nothing here can be selected
    selects: bool = False  # selection node: all of it


class SubtreeFilter:
    """A compiled ``<filter type="subtree">``."""

    def __init__(self, steps: list[_Step]) -> None:
        self._steps = steps

    @classmethod
    def compile(cls, elements: Iterable[etree._Element], tree: SchemaTree, canonical: Canonical) -> SubtreeFilter:
        """From the children of ``<filter>``; what matches no schema node selects nothing."""
        compiler = _Compiler(tree, canonical)
        steps, _ = compiler.level(elements, tree.data)
        return cls(steps)

    @property
    def top_level(self) -> frozenset[SchemaNode]:
        """The top-level nodes that the filter can select from."""
        return frozenset(step.schema for step in self._steps if not step.impossible)

    def apply(self, root: Container) -> Container:
        """What the filter selects of ``root``: a root again, empty where nothing is selected."""
        selected = _select(root, self._steps)
        return Container(root.schema, {}) if selected is None else selected


class _Compiler:
    def __init__(self, tree: SchemaTree, canonical: Canonical) -> None:
        self._tree = tree
        self._canonical = canonical

    def level(self, elements: Iterable[etree._Element], parent: SchemaNode) -> tuple[list[_Step], bool]:
        """Steps below ``parent``, and whether a content match there can never be true."""
        steps: list[_Step] = []
        impossible = False
        for element in elements:
            if not isinstance(element.tag, str):
                continue
            text = (element.text or "").strip()
            content = bool(text) and not len(element)
            # YANG data has no attributes, so an attribute match is never true (RFC 6241 section 6.2.2).
            attributes = any(etree.QName(str(name)).namespace != XML_NS for name in element.attrib)
            matched = [] if attributes else self._matching(element, parent)
            matched = [node for node in matched if not content or node.kind in (Kind.LEAF, Kind.LEAF_LIST)]
            if content and not matched:
                impossible = True
            elif not matched:
                # It selects nothing, but its siblings are then no longer content matches alone.
                steps.append(_Step(parent, None, impossible=True))
            for node in matched:
                steps.append(self._step(element, node, text if content else None))
        return steps, impossible

    def _matching(self, element: etree._Element, parent: SchemaNode) -> list[SchemaNode]:
        name = etree.QName(element)
        if name.namespace and (name.namespace != NETCONF_NS or parent.module.namespace == NETCONF_NS):
            node = parent.children.get((name.namespace, name.localname))
            return [] if node is None else [node]
        # No namespace is a wildcard (RFC 6241 section 6.2.1), and so is that of the NETCONF messages, which no data
        # is in and which clients that make it the default give to every filter node without one of its own.
        return [node for (_, local), node in parent.children.items() if local == name.localname]

    def _step(self, element: etree._Element, node: SchemaNode, text: str | None) -> _Step:
        if text is not None:
            return _Step(node, self._value(element, node, text))
        children = [child for child in element if isinstance(child.tag, str)]
        if not children:
            return _Step(node, None, selects=True)
        steps, impossible = self.level(children, node)
        return _Step(node, None, steps, impossible)

    def _value(self, element: etree._Element, node: SchemaNode, text: str) -> str:
        if node.type is not None and node.type.prefixed:

            def resolve(match: re.Match[str]) -> str:
                module = self._tree.module_of_namespace(element.nsmap.get(match[1]) or "")
                return f"{module.name}:" if module is not None else match[0]

            text = re.sub(r"([A-Za-z_][\w.-]*):(?=[A-Za-z_*])", resolve, text)
            if ":" not in text:
                text = f"{node.module.name}:{text}"
        return self._canonical(node, text)


def _select(instance: Container, steps: Sequence[_Step]) -> Container | None:
    """One sibling set against one instance (RFC 6241 section 6.2.5); None when it selects nothing."""
    kept: dict[SchemaNode, Node] = {}
    content = [step for step in steps if step.text is not None]
    for step in content:
        value = instance.get(step.schema)
        if isinstance(value, LeafList) and step.text in value.values:
            kept[step.schema] = LeafList(step.schema, (step.text,))
        elif value == step.text:
            kept[step.schema] = step.text
        else:
            return None
    if content and len(content) == len(steps):
        return instance
    chosen = bool(content)
    for step in steps:
        if step.text is not None or step.impossible:
            continue
        value = instance.get(step.schema)
        part = None if value is None else _part(value, step)
        if part is not None:
            chosen = True
            mine = kept.get(step.schema)
            kept[step.schema] = part if mine is None else _union(mine, part)
    if not chosen:
        return None
    for key in instance.schema.key_nodes:
        value = instance.get(key)
        if value is not None:
            kept[key] = value
    return Container.ordered(instance.schema, kept)


def _part(value: Node, step: _Step) -> Node | None:
    if step.selects:
        return value
    if isinstance(value, Container):
        return _select(value, step.children)
    if isinstance(value, ListNode):
        wanted = {child.schema: child.text for child in step.children if child.text is not None}
        keys = value.schema.key_nodes
        rows: Iterable[Container]
        if keys and all(key in wanted for key in keys) and _one_each(step.children, keys):
            try:
                row = value.get(tuple(wanted[key] or "" for key in keys))
            except ValueError:  # an integer key asked for with a text that is no integer
                row = None
            rows = () if row is None else (row,)
        else:
            rows = value
        selected = [part for row in rows if (part := _select(row, step.children)) is not None]
        return ListNode.of(value.schema, selected) if selected else None
    return None


def _one_each(steps: Sequence[_Step], keys: Sequence[SchemaNode]) -> bool:
    return all(sum(step.schema is key for step in steps) == 1 for key in keys)


def _union(one: Node, other: Node) -> Node:
    """Two selections of the same data in one."""
    if isinstance(one, Container) and isinstance(other, Container):
        children: dict[SchemaNode, Node] = dict(one.children)
        for node, value in other.children.items():
            mine = children.get(node)
            children[node] = value if mine is None else _union(mine, value)
        return Container.ordered(one.schema, children)
    if isinstance(one, ListNode) and isinstance(other, ListNode):
        if not one.schema.keys:
            return one if len(one) >= len(other) else other
        rows = {entry.keys: entry for entry in one}
        for entry in other:
            mine_row = rows.get(entry.keys)
            merged = entry if mine_row is None else _union(mine_row, entry)
            assert isinstance(merged, Container)
            rows[entry.keys] = merged
        return ListNode.of(one.schema, rows.values())
    if isinstance(one, LeafList) and isinstance(other, LeafList):
        return LeafList(one.schema, dict.fromkeys((*one.values, *other.values)))
    return other
