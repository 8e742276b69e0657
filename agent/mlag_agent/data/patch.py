"""What has changed in a datastore, as the edits of a YANG patch (RFC 8072 section 2.5, RFC 8641 section 3.7)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from urllib.parse import quote

from mlag_agent.data.diff import Change, ChangeKind, changes
from mlag_agent.data.encode import encode, escape
from mlag_agent.data.path import steps
from mlag_agent.data.tree import AnyData, Container, LeafList, ListNode, Node
from mlag_agent.schema.nodes import Kind, SchemaNode, SchemaTree

__all__ = ["patch_edits"]


def patch_edits(old: Container, new: Container, tree: SchemaTree, excluded: Collection[str]) -> Iterator[bytes]:
    """An ``<edit>`` for each difference whose kind is not ``excluded``, numbered from 1.

    Applied in order they make ``new`` of ``old``, where nothing is excluded.
    """
    wanted = (edit for edit in _edits(changes(old, new), tree) if edit[0] not in excluded)
    for number, (operation, target, value, where) in enumerate(wanted, 1):
        yield b"".join(
            (
                f"<edit><edit-id>{number}</edit-id><operation>{operation}</operation>".encode(),
                f"<target>{escape(target)}</target>".encode(),
                where.encode(),
                b"" if value is None else b"<value>" + _standing_alone(*value, tree) + b"</value>",
                b"</edit>",
            )
        )


def _standing_alone(schema: SchemaNode, value: Node, tree: SchemaTree) -> bytes:
    """One element with its namespace, which it has from its parent elsewhere."""
    made = encode([(schema, value)], tree.namespaces)
    if schema.head != schema.name or isinstance(value, AnyData):
        return made
    return f'<{schema.name} xmlns="{schema.namespace}"'.encode() + made[len(schema.name) + 1 :]


_Edit = tuple[str, str, tuple[SchemaNode, Node] | None, str]


def _edits(found: Iterable[Change], tree: SchemaTree) -> Iterator[_Edit]:
    """Operation, target, value and where-clause of each edit."""
    for change in found:
        schema = change.schema
        target = _target(change.path, tree)
        if schema.kind is Kind.LEAF_LIST:
            yield from _values(change, target)
        elif schema.kind is Kind.LIST and not change.path.endswith("]"):
            yield from _order(change, target)
        elif change.kind is ChangeKind.DELETE:
            yield "delete", target, None, ""
        else:
            created = change.kind is ChangeKind.CREATE
            ordered = created and schema.kind is Kind.LIST and schema.user_ordered
            assert change.new is not None
            value = ListNode.of(schema, [change.new]) if isinstance(change.new, Container) and ordered else change.new
            yield (
                ("insert", target, (schema, value), "<where>last</where>")
                if ordered
                else (
                    str(change.kind),
                    target,
                    (schema, value),
                    "",
                )
            )


def _values(change: Change, target: str) -> Iterator[_Edit]:
    """A leaf-list: each value is a resource of its own (RFC 8040 section 3.5.3)."""
    old = change.old.values if isinstance(change.old, LeafList) else ()
    new = change.new.values if isinstance(change.new, LeafList) else ()
    ordered = change.schema.user_ordered
    for value in dict.fromkeys(old):
        if value not in new:
            yield "delete", f"{target}={_quoted(value)}", None, ""
    for value in dict.fromkeys(new):
        if value not in old:
            operation, where = ("insert", "<where>last</where>") if ordered else ("create", "")
            yield operation, f"{target}={_quoted(value)}", (change.schema, LeafList(change.schema, (value,))), where
    kept = [value for value in old if value in new]
    if ordered and tuple(kept + [value for value in new if value not in old]) != tuple(new):
        for value in new:
            yield "move", f"{target}={_quoted(value)}", None, "<where>last</where>"


def _order(change: Change, target: str) -> Iterator[_Edit]:
    """A list whose order has changed: what is gone goes, what is new comes, and where that is not enough all move."""
    old = {entry.keys: entry for entry in change.old} if isinstance(change.old, ListNode) else {}
    new = {entry.keys: entry for entry in change.new} if isinstance(change.new, ListNode) else {}
    for keys in old:
        if keys not in new:
            yield "delete", f"{target}={_keys(keys)}", None, ""
    as_it_comes = [keys for keys in old if keys in new] + [keys for keys in new if keys not in old]
    moves = as_it_comes != list(new)
    for keys, entry in new.items():
        at = f"{target}={_keys(keys)}"
        value = (change.schema, ListNode.of(change.schema, [entry]))
        before = old.get(keys)
        if before is None:
            yield "insert", at, value, "<where>last</where>"
            continue
        if before != entry:
            yield "replace", at, value, ""
        if moves:
            yield "move", at, None, "<where>last</where>"


def _target(path: str, tree: SchemaTree) -> str:
    """The data resource identifier (RFC 8040 section 3.5.3) of an instance path."""
    parts: list[str] = []
    above: SchemaNode | None = None
    for node, predicates in steps(path, tree):
        own = above is None or above.module is not node.module
        name = f"{node.module.name}:{node.name}" if own else node.name
        parts.append(f"{name}={_keys(predicates[key] for key in node.keys)}" if _has_keys(node, predicates) else name)
        above = node
    return "/" + "/".join(parts)


def _has_keys(node: SchemaNode, predicates: Mapping[str, str]) -> bool:
    return node.kind is Kind.LIST and bool(node.keys) and set(node.keys) <= set(predicates)


def _keys(values: Iterable[str]) -> str:
    return ",".join(map(_quoted, values))


def _quoted(value: str) -> str:
    return quote(value, safe="")
