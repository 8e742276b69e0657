"""What differs between two frozen trees.  Identical subtrees are skipped by identity, so a diff costs what changed."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from mlag_agent.data.edit_node import NETCONF_NS, YANG_NS
from mlag_agent.data.encode import Encoder, leaf_element
from mlag_agent.data.path import child_path, quotable, quoted
from mlag_agent.data.tree import Container, Keys, LeafList, ListNode, Node, same, unlike
from mlag_agent.schema.nodes import Kind, SchemaNode

__all__ = ["Change", "ChangeKind", "both", "changes", "edit_document", "moved", "pairs", "same_order"]


Keyed = TypeVar("Keyed", bound=Hashable)


class ChangeKind(StrEnum):
    """Operations as RFC 6470 section 2.2 names them."""

    CREATE = "create"
    DELETE = "delete"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Change:
    """The smallest subtree that came, went, or (leafs, leaf-lists, user-ordered lists) changed."""

    kind: ChangeKind
    path: str
    schema: SchemaNode
    old: Node | None
    new: Node | None


def changes(old: Container, new: Container) -> Iterator[Change]:
    """Every difference, in schema order."""
    yield from _container(old, new, "/")


def _container(old: Container, new: Container, path: str) -> Iterator[Change]:
    if old is new:
        return
    for node in both(old.children, new.children):
        was, now = old.get(node), new.get(node)
        if was is now:
            continue
        if isinstance(was, ListNode | None) and isinstance(now, ListNode | None):
            yield from _list(node, was, now, path, old.schema)
            continue
        here = child_path(path, old.schema, node)
        if was is None or now is None:
            yield Change(ChangeKind.CREATE if was is None else ChangeKind.DELETE, here, node, was, now)
        elif isinstance(was, Container) and isinstance(now, Container):
            yield from _container(was, now, here)
        elif not same(was, now):
            yield Change(ChangeKind.REPLACE, here, node, was, now)


def both(old: Mapping[SchemaNode, Node], new: Mapping[SchemaNode, Node]) -> list[SchemaNode]:
    """The children that either has, in schema order."""
    if old.keys() == new.keys():
        return list(new)
    return sorted({*old, *new}, key=lambda node: node.position)


def _list(
    node: SchemaNode, was: ListNode | None, now: ListNode | None, path: str, parent: SchemaNode
) -> Iterator[Change]:
    if node.user_ordered and was is not None and now is not None:
        if not node.keys and not same(was, now):
            # State: entries without keys cannot be told apart.
            yield Change(ChangeKind.REPLACE, child_path(path, parent, node), node, was, now)
            return
        if not same_order(was, now):
            yield Change(ChangeKind.REPLACE, child_path(path, parent, node), node, was, now)
            return
    for keys, before, after in pairs(was, now):
        here = child_path(path, parent, node, keys)
        if before is None or after is None:
            kind = ChangeKind.CREATE if before is None else ChangeKind.DELETE
            yield Change(kind, here, node, before, after)
        else:
            yield from _container(before, after, here)


def same_order(was: ListNode, now: ListNode) -> bool:
    """Whether two user-ordered lists have the same keys in the same places; shared chunks are not looked at."""
    if len(was) != len(now):
        return False
    if len(was.chunks) == len(now.chunks):
        chunks = zip(was.chunks, now.chunks, strict=True)
        return all(one is other or one.order is other.order or one.order == other.order for one, other in chunks)
    return [entry.keys for entry in was] == [entry.keys for entry in now]


def moved(was: Sequence[Keyed], now: Sequence[Keyed]) -> Sequence[Keyed]:
    """Of what two orders have in common, the part of the second between the first and the last difference."""
    before, after = set(was), set(now)
    kept = [key for key in now if key in before]
    start, end = _middle([key for key in was if key in after], kept)
    return kept[start:end]


def pairs(was: ListNode | None, now: ListNode | None) -> Iterator[tuple[Keys, Container | None, Container | None]]:
    """Entries of both by key, in order; entries that both share are left out."""
    if was is not None and now is not None and was.has_places_of(now):
        for mine, its in unlike(was.chunks, now.chunks):
            for old, new in unlike(mine.entries, its.entries):
                yield old.keys, old, new
        return
    shared = {id(chunk) for chunk in was.chunks} & {id(chunk) for chunk in now.chunks} if was and now else set()
    before = _rows(was, shared)
    after = _rows(now, shared)
    for keys, entry in before.items():
        other = after.get(keys)
        if other is not entry:
            yield keys, entry, other
    for keys, entry in after.items():
        if keys not in before:
            yield keys, None, entry


def _rows(node: ListNode | None, shared: set[int]) -> dict[Keys, Container]:
    if node is None:
        return {}
    return {entry.keys: entry for chunk in node.chunks if id(chunk) not in shared for entry in chunk.entries}


# --- a diff as an edit --------------------------------------------------------------------------------------


def edit_document(old: Container, new: Container, namespaces: Mapping[str, str]) -> bytes:
    """The ``<edit-config>`` payload (children of ``<config>``) that makes ``new`` of ``old``."""
    out: list[bytes] = []
    _Writer(namespaces).children(old, new, out)
    return b"".join(out)


class _Writer:
    def __init__(self, namespaces: Mapping[str, str]) -> None:
        self._namespaces = namespaces
        self._encoder = Encoder(namespaces)

    def children(self, old: Container, new: Container, out: list[bytes]) -> None:
        for node in both(old.children, new.children):
            was, now = old.get(node), new.get(node)
            if was is now:
                continue
            if node.kind is Kind.LIST:
                self._list(node, was, now, out)
            elif node.kind is Kind.LEAF_LIST:
                self._leaf_list(node, was, now, out)
            elif isinstance(was, Container) and isinstance(now, Container):
                self._merged(was, now, out)
            elif same(was, now):
                continue
            elif now is None:
                out.append(f"<{node.head}{_operation('remove')}/>".encode())
            else:
                self._encoder.node(node, now, out)

    def _merged(self, was: Container, now: Container, out: list[bytes], attributes: str = "") -> None:
        below: list[bytes] = []
        self.children(was, now, below)
        if not below and not attributes:
            return  # equal, though not the same node
        out.append(f"<{now.schema.head}{attributes}>".encode())
        for key, value in zip(now.schema.key_nodes, now.keys, strict=True):
            out.append(leaf_element(key, value, self._namespaces).encode())
        out += below
        out.append(now.schema.closing.encode())

    def _removed(self, node: SchemaNode, keys: Keys, out: list[bytes]) -> None:
        body = "".join(leaf_element(k, v, self._namespaces) for k, v in zip(node.key_nodes, keys, strict=True))
        out.append(f"<{node.head}{_operation('remove')}>{body}</{node.name}>".encode())

    def _list(self, node: SchemaNode, was: Node | None, now: Node | None, out: list[bytes]) -> None:
        before = was if isinstance(was, ListNode) else None
        after = now if isinstance(now, ListNode) else None
        if node.user_ordered and after is not None:
            self._ordered(node, before, after, out)
            return
        for keys, one, other in pairs(before, after):
            if other is None:
                self._removed(node, keys, out)
            elif one is None:
                self._encoder.container(other, out)
            else:
                self._merged(one, other, out)

    def _ordered(self, node: SchemaNode, was: ListNode | None, now: ListNode, out: list[bytes]) -> None:
        """A user-ordered list: of what has another order, all that lies between the first and the last difference."""
        if was is not None and same_order(was, now):
            for _, one, other in pairs(was, now):
                assert one is not None
                assert other is not None
                self._merged(one, other, out)
            return
        before = {entry.keys: entry for entry in was or ()}
        after = {entry.keys: entry for entry in now}
        for keys in before:
            if keys not in after:
                self._removed(node, keys, out)
        kept = [keys for keys in before if keys in after]
        order = list(after)
        start, end = _middle(kept, order)
        if start and not quotable(order[start - 1]):
            start = 0  # no predicate can name that entry
        for at in (*range(start), *range(end, len(order))):
            self._merged(before[order[at]], after[order[at]], out)
        # From the last to the first, each put right after the entry that stands before all of them: no entry refers
        # to another one of those that move.
        for keys in reversed(order[start:end]):
            # Of an entry that only moves nothing else is said: what others have changed in it meanwhile stays.
            there = before.get(keys, Container(node, dict(zip(node.key_nodes, keys, strict=True))))
            self._merged(there, after[keys], out, _insert(node, order[start - 1] if start else None))

    def _leaf_list(self, node: SchemaNode, was: Node | None, now: Node | None, out: list[bytes]) -> None:
        before = was.values if isinstance(was, LeafList) else ()
        after = now.values if isinstance(now, LeafList) else ()
        kept = set(after)
        gone = [value for value in before if value not in kept]
        out.extend(leaf_element(node, value, self._namespaces, _operation("remove")).encode() for value in gone)
        if not node.user_ordered:
            known = set(before)
            out.extend(leaf_element(node, v, self._namespaces).encode() for v in after if v not in known)
            return
        start, end = _middle([value for value in before if value in kept], after)
        attributes = _insert(node, (after[start - 1],) if start else None)
        moved = reversed(after[start:end])
        out.extend(leaf_element(node, value, self._namespaces, attributes).encode() for value in moved)


def _middle(was: Sequence[object], now: Sequence[object]) -> tuple[int, int]:
    """Where two orders stop being alike from the front, and from the back: a range of ``now``."""
    start = 0
    while start < len(was) and start < len(now) and was[start] == now[start]:
        start += 1
    back = 0
    while back < len(was) - start and back < len(now) - start and was[-1 - back] == now[-1 - back]:
        back += 1
    return start, len(now) - back


def _operation(name: str) -> str:
    return f' xmlns:nc="{NETCONF_NS}" nc:operation="{name}"'


def _insert(node: SchemaNode, previous: Keys | None) -> str:
    head = f' xmlns:yang="{YANG_NS}" yang:insert='
    if previous is None:
        return f'{head}"first"'
    if node.kind is Kind.LEAF_LIST:
        return f'{head}"after" yang:value="{_attribute(previous[0])}"'
    predicates = "".join(f"[{key}={quoted(value)}]" for key, value in zip(node.keys, previous, strict=True))
    return f'{head}"after" yang:key="{_attribute(predicates)}"'


def _attribute(text: str) -> str:
    entities = (("&", "&amp;"), ("<", "&lt;"), ('"', "&quot;"), ("\n", "&#10;"), ("\t", "&#9;"), ("\r", "&#13;"))
    for char, entity in entities:
        text = text.replace(char, entity)
    return text
