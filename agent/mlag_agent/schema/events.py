"""The schema of events: what stands below the root of an event record (RFC 8639 section 2.2).

The root has the notifications of all modules as children, and the data nodes that hold notifications (RFC 7950
section 7.16.1) with those.  Data nodes on the way are copies: the data tree has no notifications in it.
"""

from __future__ import annotations

from dataclasses import replace

from mlag_agent.schema.nodes import Kind, SchemaNode, SchemaTree

__all__ = ["event_tree"]


def event_tree(tree: SchemaTree) -> SchemaTree:
    """A schema tree whose ``data`` is the root above all events."""
    root = SchemaNode("", tree.data.module, Kind.ROOT, None)
    root.children.update(tree.notifications)
    for key, node in tree.data.children.items():
        holder = _holder(node, root)
        if holder is not None:
            root.children[key] = holder
    root.tags = _tags(root)
    return SchemaTree(root, tree.rpcs, tree.notifications, tree.modules)


def _holder(node: SchemaNode, parent: SchemaNode) -> SchemaNode | None:
    """A copy of a data node with the notifications at and below it; None when there are none."""
    copy = replace(node, parent=parent, children=dict(node.children))
    holds = False
    for key, child in node.children.items():
        if child.kind in (Kind.CONTAINER, Kind.LIST) and (holder := _holder(child, copy)) is not None:
            copy.children[key] = holder
            holds = True
    for key, operation in node.operations.items():
        if operation.kind is Kind.NOTIFICATION:
            # A position of its own: those of operations are counted beside the children's.
            copy.children[key] = replace(operation, parent=copy, position=len(copy.children))
            holds = True
    copy.tags = _tags(copy)
    return copy if holds else None


def _tags(node: SchemaNode) -> dict[str, SchemaNode]:
    return {f"{{{namespace}}}{name}": child for (namespace, name), child in node.children.items()}
