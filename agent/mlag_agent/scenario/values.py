"""Configuration and state as YAML has them, by the names of the YANG modules.

Into the agent: mappings to XML, which goes the way of every edit.  Out of it: one value at a path such as
``nodes/node[1]/role``, where brackets hold the keys of a list entry in the order of the schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lxml import etree

from mlag_agent.data.edit_node import NETCONF_NS
from mlag_agent.schema.nodes import Kind, SchemaNode, SchemaTree

__all__ = ["PathError", "ValuesError", "config", "look_up", "text"]


class ValuesError(ValueError):
    """A mapping that does not fit the schema; the message names the place."""


class PathError(ValueError):
    """A path that is none, or names what no module has."""


def text(value: object) -> str:
    """A scalar as YANG writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def config(tree: SchemaTree, values: Mapping[str, Any]) -> etree._Element:
    """``<config>`` from a mapping: a nested mapping is a container, a list is a list or leaf-list, None removes the
    node; identities are spelt ``module:identity``.  Raises ValuesError."""
    prefixes = {name: module.namespace for name, module in tree.modules.items()}
    element = etree.Element(f"{{{NETCONF_NS}}}config", nsmap=prefixes)
    element.extend(_elements(tree.data, values))
    return element


def _elements(parent: SchemaNode, values: Mapping[str, Any], at: str = "") -> Iterator[etree._Element]:
    for name, value in values.items():
        where = f"{at}/{name}"
        node = _child(parent, name)
        if node is None:
            known = ", ".join(sorted(child.name for child in parent.children.values()))
            raise ValuesError(f"{where}: no module has this node; here are: {known}")
        yield from _nodes(node, value, where)


def _nodes(node: SchemaNode, value: Any, where: str) -> Iterator[etree._Element]:
    many = node.kind in (Kind.LIST, Kind.LEAF_LIST)
    if value is not None and many != isinstance(value, list):
        raise ValuesError(f"{where}: {'a list' if many else 'no list'} is wanted here")
    for item in value if many and value is not None else (value,):
        element = etree.Element(f"{{{node.module.namespace}}}{node.name}")
        if item is None:
            element.set(f"{{{NETCONF_NS}}}operation", "remove")
        elif node.kind in (Kind.LIST, Kind.CONTAINER):
            if not isinstance(item, Mapping):
                raise ValuesError(f"{where}: a mapping is wanted here, not {item!r}")
            element.extend(_elements(node, item, where))
        elif isinstance(item, Mapping | list):
            raise ValuesError(f"{where}: one value is wanted here")
        elif node.type is None or node.type.base != "empty":
            element.text = text(item)
        yield element


def _child(parent: SchemaNode, name: str) -> SchemaNode | None:
    """By its name, with or without that of its module; its parent's module comes first."""
    module, _, local = name.rpartition(":")
    found = [
        node for node in parent.children.values() if node.name == local and module in ("", node.module.name)
    ]  # fmt: skip
    found.sort(key=lambda node: node.module is not parent.module)
    return found[0] if found else None


_STEP = re.compile(r"([^/\[\]]+)(?:\[([^\]]*)\])?(?:/|$)")


def look_up(schema: SchemaNode, state: Any, path: str) -> Any:
    """The plain value (``foreign.plain``) at a path, None when it is not there.  Raises PathError."""
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise PathError(f"'{path}' is no path at '{path[at:]}'")
        at = match.end()
        child = _child(schema, match[1])
        if child is None:
            known = ", ".join(sorted(node.name for node in schema.children.values()))
            raise PathError(f"'{path}': {match[1]} is not in {schema.name}, which has: {known}")
        schema = child
        state = None if state is None else state.get(match[1], state.get(match[1].rpartition(":")[2]))
        if child.kind is Kind.LIST:
            state = _entry(child, state, match[2], path)
        elif match[2] is not None:
            raise PathError(f"'{path}': {child.name} is no list")
    return state


def _entry(schema: SchemaNode, rows: Any, keys: str | None, path: str) -> Any:
    wanted = [] if keys is None else [key.strip() for key in keys.split(",")]
    names = [node.name for node in schema.key_nodes]
    if len(wanted) != len(names):
        raise PathError(f"'{path}': {schema.name} has the keys {', '.join(names)}")
    for row in rows or ():
        if [text(row.get(name)) for name in names] == wanted:
            return row
    return None
