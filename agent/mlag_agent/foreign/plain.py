"""Frozen trees as plain Python values, for hooks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from mlag_agent.data.tree import AnyData, Container, LeafList, ListNode, Node
from mlag_agent.schema.nodes import Kind, SchemaNode

__all__ = ["plain", "value"]

_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})


def value(schema: SchemaNode, text: str) -> Any:
    """A canonical value: int, Decimal, bool, True for ``empty``, else the text."""
    base = "" if schema.type is None else schema.type.base
    if base in _INTEGERS:
        return int(text)
    if base == "decimal64":
        return Decimal(text)
    if base == "boolean":
        return text == "true"
    return True if base == "empty" else text


def plain(schema: SchemaNode, node: Node, *, defaults: bool = False) -> Any:
    """A node as ``hooks`` describes it; ``defaults``: with those that are in use, but where a ``when`` decides."""
    if isinstance(node, Container):
        found = {_name(node, child): plain(child, its, defaults=defaults) for child, its in node.children.items()}
        return {**_defaults(schema, node), **found} if defaults else found
    if isinstance(node, ListNode):
        return [plain(schema, entry, defaults=defaults) for entry in node]
    if isinstance(node, LeafList):
        return [value(schema, item) for item in node.values]
    return node.xml.decode() if isinstance(node, AnyData) else value(schema, node)


def _name(parent: Container, child: SchemaNode) -> str:
    """Local, unless another module's child of the same name is there too."""
    alike = [node for node in parent.schema.children.values() if node.name == child.name]
    return (
        child.name if len(alike) == 1 or child.module is parent.schema.module else f"{child.module.name}:{child.name}"
    )


def _defaults(schema: SchemaNode, node: Container) -> dict[str, Any]:
    """Defaults of leafs that are not there (RFC 7950 sections 7.6.1 and 7.7.2)."""
    present = set(node.children)
    chosen = {case.choice: case.name for child in present for case in child.cases}
    found: dict[str, Any] = {}
    for child in schema.children.values():
        if child in present or child.whens:
            continue
        if any(chosen.get(case.choice, case.choice.default) != case.name for case in child.cases):
            continue
        if child.kind is Kind.CONTAINER and not child.presence:
            inner = _defaults(child, Container(child, {}))
            if inner:
                found[_name(node, child)] = inner
        elif child.defaults:
            values = [value(child, text) for text in child.defaults]
            found[_name(node, child)] = values if child.kind is Kind.LEAF_LIST else values[0]
    return found
