"""Plain Python mappings to frozen trees: how state and rpc output are written by features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from mlag_agent.data.tree import AnyData, Container, LeafList, ListNode, Node
from mlag_agent.schema.nodes import Kind, SchemaNode

__all__ = ["build", "build_entries", "text"]


def build(schema: SchemaNode, values: Mapping[str, Any]) -> Container:
    """A container of ``schema`` from ``{"leaf": 1, "container": {...}, "list": [{...}]}``.

    Names are local, of this module or of one that augments it.  None, empty containers without presence and
    empty lists are left out.  Raises KeyError for a name that the schema does not have; values are not checked.
    """
    children: dict[SchemaNode, Node] = {}
    for name, value in values.items():
        node = schema.child(name)
        if node is None:
            raise KeyError(f"{schema.path} has no child {name}")
        made = None if value is None else _node(node, value)
        if made is not None:
            children[node] = made
    return Container.ordered(schema, children)


def build_entries(schema: SchemaNode, rows: Iterable[Mapping[str, Any]]) -> ListNode | None:
    """A list; None when it has no entries."""
    entries = [build(schema, row) for row in rows]
    return ListNode.of(schema, entries) if entries else None


def _node(node: SchemaNode, value: Any) -> Node | None:
    if node.kind is Kind.CONTAINER:
        made = build(node, value)
        return made if made.children or node.presence else None
    if node.kind is Kind.LIST:
        return build_entries(node, value)
    if node.kind is Kind.LEAF_LIST:
        items = [text(item) for item in value]
        return LeafList(node, items) if items else None
    if node.kind is Kind.ANY:
        return AnyData(node, value)
    return text(value)


def text(value: Any) -> str:
    """The canonical lexical form of a Python value (RFC 7950 section 9, RFC 6991 for times)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Enum):
        return str(value.value)
    return str(value)
