"""Which access rights the changes of a datastore need (RFC 8341 sections 3.2.5, 3.2.6 and 3.2.8).

What counts is what becomes of the datastore, not the operations that a client wrote: nodes that stay as they are need
no right, each node that comes needs ``create``, each that goes ``delete``, each that gets another value ``update``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlag_agent.access.rights import WRITING, Decision, Place, Rights, Uniform
from mlag_agent.access.rules import Access
from mlag_agent.data.diff import both, moved, pairs
from mlag_agent.data.tree import Container, LeafList, ListNode, Node, same
from mlag_agent.schema.nodes import Kind, SchemaNode

__all__ = ["Denied", "denied"]


@dataclass(frozen=True, slots=True)
class Denied:
    """One instance that may not be accessed as the change would do."""

    access: Access
    node: SchemaNode
    place: Place
    decision: Decision


def denied(rights: Rights, old: Container, new: Container) -> Iterator[Denied]:
    """What of the difference is not permitted, the first instance in each branch that comes or goes."""
    return _container(rights, old, new, {})


def _container(rights: Rights, old: Container, new: Container, place: Place) -> Iterator[Denied]:
    if old is new:
        return
    for node in both(old.children, new.children):
        was, now = old.get(node), new.get(node)
        if was is now or all(rights.uniform(access, node) is Uniform.PERMIT for access in WRITING):
            continue
        if was is None:
            assert now is not None
            yield from _whole(rights, Access.CREATE, node, now, place)
        elif now is None:
            if not _gives_way(node, new):
                yield from _whole(rights, Access.DELETE, node, was, place)
        elif isinstance(was, Container) and isinstance(now, Container):
            yield from _container(rights, was, now, place)
        elif isinstance(was, ListNode) and isinstance(now, ListNode):
            yield from _list(rights, was, now, place)
        elif isinstance(was, LeafList) and isinstance(now, LeafList):
            yield from _leaf_list(rights, was, now, place)
        elif not same(was, now):
            yield from _one(rights, Access.UPDATE, node, place)


def _gives_way(node: SchemaNode, new: Container) -> bool:
    """Whether data of another case of the node's choice has taken its place.

    It goes as a side effect then (RFC 7950 section 7.9), for which RFC 8341 asks for no right of its own.
    """
    mine = {case.choice: case.name for case in node.cases}
    return bool(mine) and any(
        mine.get(case.choice, case.name) != case.name for other in new.children for case in other.cases
    )


def _whole(rights: Rights, access: Access, node: SchemaNode, value: Node, place: Place) -> Iterator[Denied]:
    for where, here, decision in rights.refused(access, node, value, place):
        yield Denied(access, where, here, decision)


def _one(rights: Rights, access: Access, node: SchemaNode, place: Place) -> Iterator[Denied]:
    decision = rights.decide(access, node, place)
    if not decision.permit:
        yield Denied(access, node, place, decision)


def _list(rights: Rights, was: ListNode, now: ListNode, place: Place) -> Iterator[Denied]:
    """Entries that came, went or changed; those of a user-ordered list that moved are updated."""
    node = was.schema
    if not node.keys:
        if not same(was, now):  # entries that cannot be told apart
            yield from _whole(rights, Access.DELETE, node, was, place)
            yield from _whole(rights, Access.CREATE, node, now, place)
        return
    for keys, before, after in pairs(was, now):
        if before is None:
            assert after is not None
            yield from _whole(rights, Access.CREATE, node, after, place)
        elif after is None:
            yield from _whole(rights, Access.DELETE, node, before, place)
        else:
            yield from _container(rights, before, after, {**place, node: keys})
    if node.user_ordered:
        for keys in moved([entry.keys for entry in was], [entry.keys for entry in now]):
            yield from _one(rights, Access.UPDATE, node, {**place, node: keys})


def _leaf_list(rights: Rights, was: LeafList, now: LeafList, place: Place) -> Iterator[Denied]:
    """Each value is a node of its own (RFC 7950 section 7.7)."""
    node = was.schema
    before, after = set(was.values), set(now.values)
    for value in was.values:
        if value not in after:
            yield from _one(rights, Access.DELETE, node, {**place, node: (value,)})
    for value in now.values:
        if value not in before:
            yield from _one(rights, Access.CREATE, node, {**place, node: (value,)})
    if node.kind is Kind.LEAF_LIST and node.user_ordered:
        for value in moved(was.values, now.values):
            yield from _one(rights, Access.UPDATE, node, {**place, node: (value,)})
