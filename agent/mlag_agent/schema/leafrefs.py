"""Where a leafref leads (RFC 7950 section 9.9.2), on the schema tree.

pyang keeps one target for each type statement, but a typedef or grouping with a relative path has as many as it has
users.  So the path is followed here, for each leaf on its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlag_agent.schema.nodes import Expression, Kind, SchemaNode

__all__ = ["leafref_target"]

_OPERATIONS = (Kind.RPC, Kind.ACTION)
_TERMINAL = (Kind.LEAF, Kind.LEAF_LIST)


def leafref_target(
    node: SchemaNode, path: Expression, syntax: Any, root: SchemaNode, operations: Iterable[SchemaNode]
) -> SchemaNode | None:
    """The leaf or leaf-list at the end of the ``path`` of ``node``; None when there is none.

    ``syntax`` is pyang's tree of the path, ``root`` that of the data, ``operations`` the rpcs and notifications, which
    are children of the root where their own content is concerned (section 6.4.1).
    """
    match syntax:
        case ("absolute", steps):
            found = _down(root, steps, path, operations)
        case ("relative", steps):
            found = _down(node, steps, path, ())
        case _:
            return None
    return found if found is not None and found.kind in _TERMINAL else None


def _down(
    at: SchemaNode, steps: Iterable[Any], path: Expression, operations: Iterable[SchemaNode]
) -> SchemaNode | None:
    here: SchemaNode | None = at
    for step in steps:
        if here is None:
            return None
        match step:
            case ("step", "parent", _, _):
                here = _up(here)
            case ("step", "self", _, _):
                pass
            case ("step", "child", ("name", prefix, str(name)), _):
                here = _child(here, name, _namespaces(prefix, path.namespace, path.prefixes), operations)
                operations = ()
            case _:
                return None
    return here


def _up(node: SchemaNode) -> SchemaNode | None:
    """The node above.  Parameters are children of their operation itself: there is no input or output in the tree that
    XPath sees."""
    parent = node.parent
    if node.kind in (Kind.INPUT, Kind.OUTPUT) and parent is not None:
        return parent.parent
    return parent


def _namespaces(prefix: Any, default: str, prefixes: Mapping[str, str]) -> str | None:
    return prefixes.get(str(prefix)) if prefix else default


def _child(node: SchemaNode, name: str, namespace: str | None, operations: Iterable[SchemaNode]) -> SchemaNode | None:
    if namespace is None:
        return None
    found = node.children.get((namespace, name))
    if found is None:
        # Without a prefix in a typedef of YANG 1, where the RFC leaves open which module is meant.
        found = next((child for (_, local), child in node.children.items() if local == name), None)
    if found is None:
        found = next((top for top in operations if (top.namespace, top.name) == (namespace, name)), None)
    if found is None and node.kind in _OPERATIONS:
        for side in node.children.values():
            found = found or side.children.get((namespace, name))
    return found
