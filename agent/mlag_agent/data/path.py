"""Instance paths in the form of RFC 7951 section 6.11: ``/module:a/list[key='v']/leaf``.

They name the node in every ``<error-path>`` and in the log; the dispatcher declares the module names as
namespace prefixes, which makes the same text an XPath location path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mlag_agent.data.tree import AnyData, Container, Keys, LeafList, ListNode, Node
from mlag_agent.schema.nodes import Kind, SchemaNode, SchemaTree

__all__ = ["InstancePathError", "child_path", "find", "key_predicates", "quotable", "quoted", "steps"]


class InstancePathError(ValueError):
    """The text is no instance path, or names a node that the schema does not have."""


def quoted(value: str) -> str:
    """The value as an XPath literal; where it holds both kinds of quotes the apostrophes are shown as entities,
    since XPath 1.0 has no escape."""
    if "'" not in value:
        return f"'{value}'"
    return f'"{value}"' if '"' not in value else "'" + value.replace("'", "&apos;") + "'"


def quotable(values: Sequence[str]) -> bool:
    """Whether ``quoted`` can write all of them so that ``key_predicates`` reads the same."""
    return not any("'" in value and '"' in value for value in values)


def child_path(parent: str, parent_node: SchemaNode | None, node: SchemaNode, keys: Keys = ()) -> str:
    """The path of an instance of ``node`` below the instance at ``parent``."""
    same = parent_node is not None and parent_node.kind is not Kind.ROOT and parent_node.module is node.module
    step = node.name if same else f"{node.module.name}:{node.name}"
    if node.kind is Kind.LIST:
        step += "".join(f"[{key.name}={quoted(value)}]" for key, value in zip(node.key_nodes, keys, strict=False))
    elif node.kind is Kind.LEAF_LIST and keys:
        step += f"[.={quoted(keys[0])}]"
    return f"{'' if parent == '/' else parent}/{step}"


_STEP = re.compile(
    r"/(?:(?P<module>[A-Za-z_][\w.-]*):)?(?P<name>[A-Za-z_][\w.-]*)"
    r"(?P<predicates>(?:\[\s*(?:\.|[\w.:-]+)\s*=\s*(?:'[^']*'|\"[^\"]*\")\s*\]|\[\d+\])*)"
)
_PREDICATE = re.compile(r"\[\s*(?P<name>\.|[\w.:-]+)\s*=\s*(?P<value>'[^']*'|\"[^\"]*\")\s*\]")


def key_predicates(text: str) -> dict[str, str] | None:
    """Key name to value of ``[name='value']...`` (RFC 7950 section 7.8.6); None when the text is something else."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PREDICATE.match(text, at)
        if match is None:
            return None
        found[match["name"].rpartition(":")[2]] = match["value"][1:-1]
        at = match.end()
    return found


def steps(path: str, tree: SchemaTree) -> Sequence[tuple[SchemaNode, dict[str, str]]]:
    """Schema node and predicates (key name, or ``.``, to value) of each step; raises InstancePathError."""
    node = tree.data
    result: list[tuple[SchemaNode, dict[str, str]]] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise InstancePathError(f"not an instance path at character {at}: {path}")
        module = match["module"]
        if module is not None and module not in tree.modules:
            raise InstancePathError(f"no module {module}: {path}")
        found = node.child(match["name"], tree.modules[module].namespace if module else None)
        if found is None:
            raise InstancePathError(f"no node {match['name']} below {node.path}: {path}")
        predicates = {p["name"].rpartition(":")[2]: p["value"][1:-1] for p in _PREDICATE.finditer(match["predicates"])}
        result.append((found, predicates))
        node, at = found, match.end()
    return result


def find(root: Container, path: str, tree: SchemaTree) -> Node | None:
    """The data at an instance path (a list: its entry); None when there is none."""
    here: Node | None = root
    for node, predicates in steps(path, tree):
        if not isinstance(here, Container):
            return None
        here = here.get(node)
        if isinstance(here, ListNode) and node.keys and set(node.keys) <= set(predicates):
            here = here.get(tuple(predicates[key] for key in node.keys))
        elif isinstance(here, LeafList) and "." in predicates:
            here = predicates["."] if predicates["."] in here.values else None
        elif isinstance(here, AnyData):
            continue
    return here
