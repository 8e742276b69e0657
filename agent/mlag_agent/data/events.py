"""Events as frozen trees, so that the filters of data work on them (RFC 5277 section 3.6, RFC 8639 section 2.2)."""

from __future__ import annotations

import re

from lxml import etree

from mlag_agent.data.anydata import stored_form
from mlag_agent.data.tree import AnyData, Container, LeafList, ListNode, Node
from mlag_agent.schema.nodes import Kind, SchemaNode, SchemaTree

__all__ = ["read_event"]

_PREFIX = re.compile(r"([A-Za-z_][\w.-]*):(?=[A-Za-z_*])")


def read_event(element: etree._Element, events: SchemaTree) -> Container:
    """The root of ``schema.events.event_tree`` above an event, from its content.

    Values are taken as they stand, which is in canonical form; what the schema does not know is left out.
    """
    return Container.ordered(events.data, _children((element,), events.data, events))


def _children(
    elements: tuple[etree._Element, ...] | etree._Element, parent: SchemaNode, events: SchemaTree
) -> dict[SchemaNode, Node]:
    found: dict[SchemaNode, Node] = {}
    many: dict[SchemaNode, list[etree._Element]] = {}
    for element in elements:
        node = parent.tags.get(element.tag)
        if node is None:
            continue
        if node.kind in (Kind.LIST, Kind.LEAF_LIST):
            many.setdefault(node, []).append(element)
        elif node.kind is Kind.LEAF:
            found[node] = _value(node, element, events)
        elif node.kind is Kind.ANY:
            found[node] = AnyData(node, stored_form(element, node))
        else:
            found[node] = _container(element, node, events)
    for node, several in many.items():
        if node.kind is Kind.LEAF_LIST:
            found[node] = LeafList(node, [_value(node, element, events) for element in several])
        else:
            found[node] = ListNode.of(node, [_container(element, node, events) for element in several])
    return found


def _container(element: etree._Element, node: SchemaNode, events: SchemaTree) -> Container:
    return Container.ordered(node, _children(element, node, events))


def _value(node: SchemaNode, element: etree._Element, events: SchemaTree) -> str:
    """A leaf's value; prefixes of identities and instance paths become module names, as everywhere in trees."""
    text = element.text or ""
    if node.type is None or not node.type.prefixed:
        return text

    def resolve(match: re.Match[str]) -> str:
        module = events.module_of_namespace(element.nsmap.get(match[1]) or "")
        return match[0] if module is None else f"{module.name}:"

    return _PREFIX.sub(resolve, text)
