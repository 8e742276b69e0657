"""The part of a changed configuration that must be checked when it was valid before (ARCHITECTURE section 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mlag_agent.data.diff import both, pairs, same_order
from mlag_agent.data.tree import Container, ListNode, Node, same
from mlag_agent.schema.nodes import Kind, SchemaNode
from mlag_agent.schema.scope import Scopes

__all__ = ["Part", "pieces", "to_check"]


@dataclass(frozen=True, slots=True)
class Part:
    """What is to be checked.  ``alone``: only in the modules of its top-level nodes; libyang would look at the implicit
    containers of all others as well, which costs more than a small change itself."""

    root: Container
    alone: bool


class _NotConfined(Exception):  # noqa: N818  # no error: ends the walk of a subtree
    """Something outside of the entries of local lists has changed."""


def to_check(old: Container, new: Container, scopes: Scopes) -> Part:
    """A tree that has a violation if ``new`` has one, given that ``old`` has none; often much smaller than ``new``.

    Where all that has changed lies in entries of local lists, these entries, whole; of other top-level nodes with
    changes, their group, whole.  Around it stand keys and leafs of ``new``, since libyang asks for mandatory ones; what
    is missing there may make a violation that ``new`` does not have.
    """
    parts: dict[SchemaNode, Node | None] = {}
    whole: set[SchemaNode] = set()
    for node in both(old._children, new._children):
        try:
            parts[node] = _part(node, old.get(node), new.get(node), scopes)
        except _NotConfined:
            whole |= scopes.groups[node]
    for node in whole:
        parts[node] = new.get(node)
    kept = Container.ordered(new.schema, {node: part for node, part in parts.items() if part is not None})
    # What has changed may invalidate what is not there: a constraint of an implicit container, a mandatory node.
    return Part(kept, all(parts[node] is not None for node in whole))


def pieces(part: Container, scopes: Scopes, chunks: int) -> Iterator[Container]:
    """``part`` in pieces, none of which has more than so many chunks of one local list; all hold if it does.

    If one has a violation, ``part`` has not necessarily: leafs that only surround a piece may miss what they refer to.
    """
    found = _long_list(part, scopes, chunks)
    if found is None:
        yield part
        return
    way, rows = found
    some = ListNode(rows.schema, rows.chunks[:chunks])
    yield from pieces(_around(way, some, lambda node, value: value), scopes, chunks)
    for at in range(chunks, len(rows.chunks), chunks):
        some = ListNode(rows.schema, rows.chunks[at : at + chunks])
        yield _around(way, some, lambda node, value: _surroundings(node, value, scopes))


def _long_list(place: Container, scopes: Scopes, chunks: int) -> tuple[tuple[Container, ...], ListNode] | None:
    """The first local list with more chunks, and the containers that it stands in; not in entries of other lists."""
    for node, value in place._children.items():  # the same layer
        if isinstance(value, ListNode):
            if len(value.chunks) > chunks and node in scopes.local:
                return (place,), value
        elif isinstance(value, Container):
            below = _long_list(value, scopes, chunks)
            if below is not None:
                return (place, *below[0]), below[1]
    return None


def _around(
    way: Sequence[Container], some: Container | ListNode, keep: Callable[[SchemaNode, Node], Node | None]
) -> Container:
    """Containers with only ``some`` of the list in the last of them; of all else, what ``keep`` gives."""
    inner: Container | ListNode = some
    for place in reversed(way):
        children: dict[SchemaNode, Node] = {}
        for node, value in place._children.items():
            kept = inner if node is inner.schema else keep(node, value)
            if kept is not None:
                children[node] = kept
        inner = Container(place.schema, children)
    assert isinstance(inner, Container)
    return inner


def _part(node: SchemaNode, was: Node | None, now: Node | None, scopes: Scopes) -> Node | None:
    """Of one node; None when nothing of it is needed."""
    if was is now or (type(was) is str and was == now):
        return _surroundings(node, now, scopes)
    if isinstance(was, Container) and isinstance(now, Container):
        return _container(was, now, scopes)
    if node.kind is Kind.LIST and isinstance(was, ListNode | None) and isinstance(now, ListNode | None):
        return _entries(node, was, now, scopes)
    if same(was, now):
        return _surroundings(node, now, scopes)
    raise _NotConfined


def _container(was: Container, now: Container, scopes: Scopes) -> Container:
    before, after = was._children, now._children  # without a read-only view for each entry
    parts: dict[SchemaNode, Node] = {}
    for node in both(before, after):
        part = _part(node, before.get(node), after.get(node), scopes)
        if part is not None:
            parts[node] = part
    return Container(now.schema, parts)


def _entries(node: SchemaNode, was: ListNode | None, now: ListNode | None, scopes: Scopes) -> ListNode | None:
    local = node in scopes.local
    if not local and node.user_ordered and (was is None or now is None or not same_order(was, now)):
        raise _NotConfined  # an expression may count on the order
    rows: list[Container] = []
    for _, before, after in pairs(was, now):
        if before is not None and after is not None:
            try:
                rows.append(_container(before, after, scopes))
            except _NotConfined:
                if not local:
                    raise
                rows.append(after)
        elif not local:
            raise _NotConfined
        elif after is not None:
            rows.append(after)
    return ListNode.of(node, rows) if rows else None


def _surroundings(node: SchemaNode, value: Node | None, scopes: Scopes) -> Node | None:
    """What of an unchanged node is kept: the size of that depends on the schema, not on the data."""
    if value is None or node in scopes.optional:
        return None
    if not isinstance(value, Container):
        return value
    kept = {child: _surroundings(child, below, scopes) for child, below in value.children.items()}
    return Container(node, {child: below for child, below in kept.items() if below is not None})
