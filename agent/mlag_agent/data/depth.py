"""The max-depth of RFC 8526 section 3.1.1.1: how many levels of a selected node are given."""

from __future__ import annotations

from mlag_agent.data.tree import Container, ListNode, Node

__all__ = ["cut"]


def cut(value: Node, depth: int | None) -> Node:
    """A selected node (of a list: its entries) with so many levels of it, itself the first; None: all.

    The keys of an entry belong to the entry: without them it would be no valid data.
    """
    if depth is None:
        return value
    if isinstance(value, ListNode):
        return ListNode.of(value.schema, [_container(entry, depth) for entry in value])
    return _container(value, depth) if isinstance(value, Container) else value


def _container(value: Container, depth: int) -> Container:
    keys = value.schema.key_nodes
    if depth <= 1:
        return Container(value.schema, {node: child for node, child in value.children.items() if node in keys})
    return Container(value.schema, {node: cut(child, depth - 1) for node, child in value.children.items()})
