"""The differences of two trees as the edits of a YANG patch (RFC 8072 section 2.5), for RFC 8641 and RFC 9144."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from mlag_agent.data.diff import both, moved, pairs, same_order
from mlag_agent.data.encode import encode, escape
from mlag_agent.data.tree import AnyData, Container, Keys, LeafList, ListNode, Node, same
from mlag_agent.schema.nodes import Kind, SchemaNode

__all__ = ["PatchEdit", "Value", "patch", "patch_edits"]


@dataclass(frozen=True, slots=True)
class Value:
    """An instance: its schema node, its data (of a list its entry, of a leaf-list one value), and where it stands."""

    schema: SchemaNode
    data: Node
    above: Sequence[Container]
    """The instances around it in its tree, the root first."""

    def elements(self, encoded: Callable[[Node], bytes]) -> bytes:
        """Its XML as it stands in an anydata: each element with the namespace that it has from its parent elsewhere.

        ``encoded`` gives the XML of an entry or value as the list or leaf-list that it is in.
        """
        return b"".join(self._standing_alone(encoded(node)) for node in self._each())

    def _each(self) -> Sequence[Node]:
        if self.schema.kind is Kind.LIST and isinstance(self.data, Container):
            return (ListNode.of(self.schema, [self.data]),)
        if self.schema.kind is Kind.LEAF_LIST and isinstance(self.data, str):
            return (LeafList(self.schema, (self.data,)),)
        if isinstance(self.data, ListNode):  # without keys
            return [ListNode.of(self.schema, [entry]) for entry in self.data]
        return (self.data,)

    def _standing_alone(self, made: bytes) -> bytes:
        name = self.schema.name
        if self.schema.head != name or isinstance(self.data, AnyData):
            return made
        return f'<{name} xmlns="{self.schema.namespace}"'.encode() + made[len(name) + 1 :]


@dataclass(frozen=True, slots=True)
class PatchEdit:
    """One edit.  ``target`` and ``point`` are data resource identifiers (RFC 8040 section 3.5.3)."""

    operation: str
    target: str
    value: Value | None = None
    source: Value | None = None
    where: str | None = None
    point: str | None = None


def patch(old: Container, new: Container) -> Iterator[PatchEdit]:
    """Edits that, applied one after the other, make ``old`` equal to ``new``.

    Entries of a list without keys have no identifier: such a list is replaced as a whole.
    """
    yield from _container((old,), (new,), "")


def patch_edits(
    old: Container, new: Container, namespaces: Mapping[str, str], excluded: Collection[str]
) -> Iterator[bytes]:
    """An ``<edit>`` for each difference whose operation is not ``excluded``, numbered from 1 (RFC 8641 section 3.7)."""
    wanted = (edit for edit in patch(old, new) if edit.operation not in excluded)
    for number, edit in enumerate(wanted, 1):
        parts = [f"<edit><edit-id>{number}</edit-id><operation>{edit.operation}</operation>".encode()]
        for name, text in (("target", edit.target), ("point", edit.point), ("where", edit.where)):
            if text is not None:
                parts.append(f"<{name}>{escape(text)}</{name}>".encode())
        if edit.value is not None:
            content = edit.value.elements(_encoding(edit.value.schema, namespaces))
            parts.append(b"<value>" + content + b"</value>")
        yield b"".join((*parts, b"</edit>"))


def _encoding(schema: SchemaNode, namespaces: Mapping[str, str]) -> Callable[[Node], bytes]:
    return lambda node: encode([(schema, node)], namespaces)


Above = tuple[Container, ...]


def _step(parent: SchemaNode, schema: SchemaNode) -> str:
    own = parent.kind is not Kind.ROOT and parent.module is schema.module
    return f"/{schema.name}" if own else f"/{schema.module.name}:{schema.name}"


def _keyed(path: str, keys: Keys) -> str:
    """Commas, slashes and what else has a meaning of its own are percent-encoded."""
    return f"{path}={','.join(quote(key, safe='') for key in keys)}"


def _container(old: Above, new: Above, path: str) -> Iterator[PatchEdit]:
    mine, its = old[-1], new[-1]
    if mine is its:
        return
    # What goes comes first: it may be of another case of a choice than what comes.
    for node in both(mine.children, its.children):
        if its.get(node) is None:
            yield from _difference(node, old, new, path + _step(mine.schema, node))
    for node in both(mine.children, its.children):
        if its.get(node) is not None:
            yield from _difference(node, old, new, path + _step(mine.schema, node))


def _difference(node: SchemaNode, old: Above, new: Above, path: str) -> Iterator[PatchEdit]:
    was, now = old[-1].get(node), new[-1].get(node)
    if was is now:
        return
    if isinstance(was, ListNode | None) and isinstance(now, ListNode | None) and node.keys:
        yield from _list(node, (was, now), old, new, path)
    elif isinstance(was, LeafList | None) and isinstance(now, LeafList | None):
        yield from _leaf_list(node, (was, now), old, new, path)
    elif isinstance(was, Container) and isinstance(now, Container):
        yield from _container((*old, was), (*new, now), path)
    elif was is None and now is not None:
        yield PatchEdit("create", path, Value(node, now, new))
    elif now is None and was is not None:
        yield PatchEdit("delete", path, source=Value(node, was, old))
    elif was is not None and now is not None and not same(was, now):
        yield PatchEdit("replace", path, Value(node, now, new), Value(node, was, old))


def _list(
    node: SchemaNode, lists: tuple[ListNode | None, ListNode | None], old: Above, new: Above, path: str
) -> Iterator[PatchEdit]:
    was, now = lists
    ordered = node.user_ordered and now is not None and (was is None or not same_order(was, now))
    for keys, before, after in pairs(was, now):
        here = _keyed(path, keys)
        if before is None and after is not None and not ordered:
            yield PatchEdit("create", here, Value(node, after, new))
        elif before is not None and after is None:
            yield PatchEdit("delete", here, source=Value(node, before, old))
        elif before is not None and after is not None:
            yield from _container((*old, before), (*new, after), here)
    if ordered and now is not None:
        rows = {entry.keys: Value(node, entry, new) for entry in now}
        before_rows = {entry.keys: Value(node, entry, old) for entry in was or ()}
        yield from _ordered(path, before_rows, rows)


def _leaf_list(
    node: SchemaNode, lists: tuple[LeafList | None, LeafList | None], old: Above, new: Above, path: str
) -> Iterator[PatchEdit]:
    was = () if lists[0] is None else lists[0].values
    now = () if lists[1] is None else lists[1].values
    for value in was:
        if value not in now:
            yield PatchEdit("delete", _keyed(path, (value,)), source=Value(node, value, old))
    if node.user_ordered:
        before: dict[Keys, Value] = {(value,): Value(node, value, old) for value in was}
        after: dict[Keys, Value] = {(value,): Value(node, value, new) for value in now}
        yield from _ordered(path, before, after)
        return
    for value in now:
        if value not in was:
            yield PatchEdit("create", _keyed(path, (value,)), Value(node, value, new))


def _ordered(path: str, was: Mapping[Keys, Value], now: Mapping[Keys, Value]) -> Iterator[PatchEdit]:
    """Each entry that is new or stands elsewhere goes behind the one that is to be before it, in this order.

    What is to be before it has its place by then, and nothing comes between them afterwards.
    """
    elsewhere = set(moved(list(was), list(now)))
    previous: Keys | None = None
    for keys, value in now.items():
        if keys not in was or keys in elsewhere:
            where = "first" if previous is None else "after"
            point = None if previous is None else _keyed(path, previous)
            source = was.get(keys)
            operation = "insert" if source is None else "move"
            new_value = value if source is None else None
            yield PatchEdit(operation, _keyed(path, keys), new_value, source, where, point)
        previous = keys
