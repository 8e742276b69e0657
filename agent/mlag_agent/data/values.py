"""The values of a payload: the document that libyang checks them in, and their canonical forms."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from mlag_agent.data.edit_node import EditNode, Insert
from mlag_agent.data.encode import leaf_element
from mlag_agent.data.lexical import canonical_text
from mlag_agent.schema.nodes import Kind, SchemaNode
from mlag_agent.schema.operations import OUTPUT_SUFFIX
from mlag_agent.schema.violations import ValueLookup

__all__ = ["Canonical", "Transforms", "canonicalise", "check_document", "value_lookup", "within"]

Transforms = Mapping[SchemaNode, Callable[[str], str]]
"""What becomes of a leaf's value on its way into a datastore: secrets are sealed.  May raise RpcFailure."""


def check_document(nodes: Sequence[EditNode], namespaces: Mapping[str, str], without: Collection[EditNode] = ()) -> str:
    """The payload as libyang is to check it: without operations, without leafs that go, without any-data.

    ``without``: nodes whose children are left out, to be checked for themselves (``below_ancestors``).
    """
    out: list[str] = []
    for node in nodes:
        _check(node, namespaces, without, out)
    return "".join(out)


def _check(node: EditNode, namespaces: Mapping[str, str], without: Collection[EditNode], out: list[str]) -> None:
    schema = node.schema
    if node.value is not None:
        if not (node.deletes and schema.kind is Kind.LEAF) or _is_key(schema):
            out.append(leaf_element(schema, node.value, namespaces))
        return
    if schema.kind is Kind.ANY:
        out.append(f"<{schema.head}/>")  # that it is there may matter (a mandatory choice), what it holds not
        return
    out.append(f"<{schema.head}>")
    if node.leafs is not None:
        out.extend([leaf_element(leaf, value, namespaces) for leaf, value in node.leafs.items()])
    elif not without or node not in without:
        for child in node.children:
            _check(child, namespaces, without, out)
    out.append(schema.closing)


def below_ancestors(body: str, node: EditNode, namespaces: Mapping[str, str]) -> str:
    """Some children of a payload's node, in elements for it and what it stands in, list entries with their keys."""
    place: EditNode | None = node
    while place is not None:
        schema = place.schema
        if schema.kind is Kind.LIST:
            pairs = zip(schema.key_nodes, place.keys, strict=True)
            body = "".join(leaf_element(key, value, namespaces) for key, value in pairs) + body
        body = f"<{schema.head}>{body}{schema.closing}"
        place = place.parent
    return body


def _is_key(schema: SchemaNode) -> bool:
    return schema.parent is not None and schema in schema.parent.key_nodes


class Canonical(Protocol):
    """What ``canonicalise`` asks of ``schema.engine``."""

    namespaces: Mapping[str, str]

    def canonical(self, node: SchemaNode, value: str, document: Callable[[], str], /) -> str:
        """The canonical form; ValueError when the type does not allow the value."""


def canonicalise(nodes: Iterable[EditNode], engine: Canonical, transforms: Transforms) -> None:
    """Values and keys into canonical form, in place; ``transforms`` then seal secrets.

    Only for a payload that ``SchemaEngine.check_payload`` has let pass.
    """
    for node in nodes:
        schema = node.schema
        if node.value is not None:
            _leaf(node, engine, transforms)
        elif node.leafs is not None:
            _leafs(node, node.leafs, engine, transforms)
        else:
            if node.children:
                canonicalise(node.children, engine, transforms)
            if schema.kind is Kind.LIST:
                present = {child.schema: child.value or "" for child in node.children}
                node.keys = tuple(present[key] for key in schema.key_nodes)
                if node.insert is not None and node.insert.reference is not None:
                    pairs = zip(schema.key_nodes, node.insert.reference, strict=True)
                    keys = tuple(_reference(key, value, node, engine) for key, value in pairs)
                    node.insert = Insert(node.insert.where, keys)


def _leaf(node: EditNode, engine: Canonical, transforms: Transforms) -> None:
    schema = node.schema
    value = node.value
    assert value is not None
    if node.deletes and schema.kind is Kind.LEAF:
        return
    if not schema.verbatim:
        value = _canonical(schema, value, node.parent, engine)
    transform = transforms.get(schema) if transforms else None
    node.value = value if transform is None else transform(value)
    if node.insert is not None and node.insert.reference is not None:
        reference = _reference(schema, node.insert.reference[0], node.parent, engine)
        node.insert = Insert(node.insert.where, (reference,))


def _leafs(node: EditNode, leafs: dict[SchemaNode, str], engine: Canonical, transforms: Transforms) -> None:
    for schema, value in leafs.items():
        if not schema.verbatim:
            found = _canonical(schema, value, node, engine)
            if found is not value:
                leafs[schema] = found
        if transforms and schema in transforms:
            leafs[schema] = transforms[schema](leafs[schema])
    node.keys = tuple([leafs[key] for key in node.schema.key_nodes])


def _canonical(schema: SchemaNode, value: str, holder: EditNode | None, engine: Canonical) -> str:
    assert schema.type is not None
    found = canonical_text(schema.type, value)
    if found is not None:
        return found
    return engine.canonical(schema, value, lambda: _document(schema, value, holder, engine.namespaces))


def _reference(schema: SchemaNode, value: str, holder: EditNode | None, engine: Canonical) -> str:
    """What ``insert`` refers to: checked by no one before; a value that cannot be is one that is not there."""
    try:
        return _canonical(schema, value, holder, engine)
    except ValueError:
        return value


def _document(schema: SchemaNode, value: str, holder: EditNode | None, namespaces: Mapping[str, str]) -> str:
    """One value below its ancestors, each list entry with its keys."""
    text = leaf_element(schema, value, namespaces)
    parent = schema.parent
    while parent is not None and parent.kind is not Kind.ROOT:
        if parent.kind in (Kind.INPUT, Kind.OUTPUT):  # with its operation, as in the operations context
            operation = parent.parent
            assert operation is not None
            name = operation.name + (OUTPUT_SUFFIX if parent.kind is Kind.OUTPUT else "")
            text = f"<{name}{operation.head.removeprefix(operation.name)}>{text}</{name}>"
            holder = holder.parent.parent if holder is not None and holder.parent is not None else None
            parent = operation.parent
            continue
        if parent.kind is Kind.LIST and holder is not None:
            pairs = zip(parent.key_nodes, holder.keys, strict=True)  # in their order, which libyang asks for
            own = schema in parent.key_nodes
            keys = (text if key is schema else leaf_element(key, given, namespaces) for key, given in pairs)
            text = "".join(keys) if own else "".join(keys) + text
        text = f"<{parent.head}>{text}{parent.closing}"
        holder = None if holder is None else holder.parent
        parent = parent.parent
    return text


# --- messages -----------------------------------------------------------------------------------------------


def value_lookup(nodes: Sequence[EditNode]) -> ValueLookup:
    """Instance path to node, raw value and full path, for the messages of ``check_payload``.

    The index is made on first use: most payloads are right.
    """
    index: _Index | None = None

    def lookup(path: str, message: str = "", /) -> tuple[SchemaNode, str | None, str] | None:
        nonlocal index
        if index is None:
            index = _Index(nodes)
        node = index.find(path, message)
        return None if node is None else (node.schema, node.value, node.path)

    return lookup


class _Index:
    """Finds a node by a path of libyang's.

    libyang cannot name the keys of an entry one of whose keys is bad, and leaves out the ancestors of such an entry;
    those paths are matched by the names at their end and by the value that the message quotes.  Errors come in the
    order of the document, so of several nodes that are alike the first that has not been taken yet is meant.
    """

    def __init__(self, nodes: Iterable[EditNode]) -> None:
        self._paths: dict[str, EditNode] = {}
        self._names: dict[str, deque[EditNode]] = {}
        self._values: dict[tuple[str, str], deque[EditNode]] = {}
        self._fill(nodes, "", "")

    def _fill(self, nodes: Iterable[EditNode], parent: str, names: str) -> None:
        for node in nodes:
            if node.schema.kind in (Kind.INPUT, Kind.OUTPUT):
                self._fill(node.children, parent, names)
                continue
            path = node.step(parent)
            bare = f"{names}/{node.schema.name}"
            self._paths.setdefault(path, node)
            self._names.setdefault(bare, deque()).append(node)
            if node.value is not None:
                self._values.setdefault((bare, node.value), deque()).append(node)
            self._fill(node.children, path, bare)

    def find(self, path: str, message: str) -> EditNode | None:
        """The node that libyang means."""
        path = _SUFFIX.sub("", path) if OUTPUT_SUFFIX in path else path
        node = self._paths.get(path)
        if node is not None:
            return node
        bare = _bare(path)
        if bare not in self._names:
            # There are no more of these than schema nodes, however long the payload.
            bare = next((name for name in self._names if name.endswith(bare)), bare)
        for value in _QUOTED.findall(message):
            if found := self._values.get((bare, value)):
                return found.popleft() if len(found) > 1 else found[0]
        rest = self._names.get(bare)
        if not rest:
            return None
        return rest.popleft() if len(rest) > 1 else rest[0]


_SUFFIX = re.compile(re.escape(OUTPUT_SUFFIX) + r"(?=/|$)")
_QUOTED = re.compile(r'"([^"]*)"')
_NOT_A_NAME = re.compile(r"\[[^\[\]]*(?:'[^']*'|\"[^\"]*\")?\]|(?<=/)[\w.-]+:")


def _bare(path: str) -> str:
    """The path's names alone: no predicates, no module names."""
    return _NOT_A_NAME.sub("", path)


def within(node: EditNode) -> Callable[[str], bool]:
    """Whether a path of libyang's is that of ``node``, which must be the only one of its schema node, or below it."""
    own = _bare(node.path)

    def test(path: str) -> bool:
        bare = _SUFFIX.sub("", _bare(path))
        return bare == own or bare.startswith(f"{own}/")

    return test
