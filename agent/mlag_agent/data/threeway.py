"""Three-way merge of frozen trees: what one session changed, put on top of what others have changed meanwhile.

A node is in conflict when both sides changed it, to different ends: a leaf, the existence of a list entry or presence
container, the order of what the user orders, the case of a choice.  Deleting a node changes all that is below it.
A container without presence has no existence of its own (RFC 7950 section 7.5.1), so that two sessions may fill the
same one.  The rules follow draft-ietf-netconf-privcand section 4.5.1 in this.  Pure; costs what has changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeVar

from mlag_agent.data.diff import both, pairs, same_order
from mlag_agent.data.path import child_path
from mlag_agent.data.tree import Container, Keys, LeafList, ListNode, Node, same
from mlag_agent.schema.nodes import Choice, Kind, SchemaNode

__all__ = ["Conflict", "Merged", "Prefer", "three_way"]

Some = TypeVar("Some", bound=Node)


class Prefer(Enum):
    """Whose value a node in conflict gets."""

    THEIRS = auto()
    MINE = auto()


@dataclass(frozen=True, slots=True)
class Conflict:
    """A node that both sides changed: what it is on either side (None: not there)."""

    path: str
    schema: SchemaNode
    mine: Node | None
    theirs: Node | None


@dataclass(frozen=True, slots=True)
class Merged:
    """The merged tree, in which nodes in conflict are as preferred, and what those nodes are."""

    root: Container
    conflicts: tuple[Conflict, ...]


def three_way(base: Container, mine: Container, theirs: Container, prefer: Prefer = Prefer.THEIRS) -> Merged:
    """The changes from ``base`` to ``mine`` and those from ``base`` to ``theirs``, in one tree."""
    merger = _Merger(prefer)
    if theirs is base:
        return Merged(mine, ())
    root = merger.container(base, mine, theirs, "/") if mine is not base else theirs
    return Merged(root, tuple(merger.conflicts))


class _Merger:
    def __init__(self, prefer: Prefer) -> None:
        self.conflicts: list[Conflict] = []
        self._prefer = prefer

    def _conflict(self, path: str, schema: SchemaNode, mine: Some | None, theirs: Some | None) -> Some | None:
        self.conflicts.append(Conflict(path, schema, mine, theirs))
        return mine if self._prefer is Prefer.MINE else theirs

    # --- containers, entries, the root ------------------------------------------------------------------------

    def container(self, base: Container, mine: Container, theirs: Container, path: str) -> Container:
        """One that all three have, or that has no existence of its own."""
        merged: dict[SchemaNode, Node] = dict(theirs.children)
        choices = False
        settled: set[Choice] = set()  # those about which there is a conflict already
        for node in both(base.children, mine.children):
            was, now, other = base.get(node), mine.get(node), theirs.get(node)
            if same(was, now):
                continue
            choices = choices or bool(node.cases)
            known = len(self.conflicts)
            found = self._node(node, was, now, other, (path, theirs.schema))
            if len(self.conflicts) > known:
                settled.update(case.choice for case in node.cases)
            if found is None:
                merged.pop(node, None)
            else:
                merged[node] = found
        if choices:
            self._one_case(merged, (base, mine, theirs), path, settled)
        return Container.ordered(theirs.schema, merged)

    def _node(
        self, node: SchemaNode, was: Node | None, now: Node | None, other: Node | None, at: tuple[str, SchemaNode]
    ) -> Node | None:
        """A node that is not in ``mine`` what it was."""
        if same(was, other):
            return now
        if same(now, other):
            return other
        path, parent = at
        if node.kind is Kind.LIST:
            return self._list(node, _rows(was), _rows(now), _rows(other), at)
        here = child_path(path, parent, node)
        if node.kind is Kind.CONTAINER:
            return self._inner(node, was, now, other, here)
        if node.kind is Kind.LEAF_LIST and not node.user_ordered:
            return _values(node, was, now, other)
        return self._conflict(here, node, now, other)

    def _inner(
        self, node: SchemaNode, was: Node | None, now: Node | None, other: Node | None, here: str
    ) -> Container | None:
        one, two, three = _held(was), _held(now), _held(other)
        if node.presence:
            if one is None or two is None or three is None:
                return self._conflict(here, node, two, three)
            return self.container(one, two, three, here)
        nothing = Container(node, {})
        found = self.container(one or nothing, two or nothing, three or nothing, here)
        return found if found.children else None

    def _one_case(
        self,
        merged: dict[SchemaNode, Node],
        sides: tuple[Container, Container, Container],
        path: str,
        settled: Collection[Choice],
    ) -> None:
        """Each side has chosen another case (RFC 7950 section 7.9): together they would be no valid data."""
        base, mine, theirs = sides
        for choice, names in _chosen(merged).items():
            if len(names) < 2:
                continue
            preferred = mine if self._prefer is Prefer.MINE else theirs
            kept = next((_case(node, choice) for node in preferred.children if _case(node, choice)), None)
            for node in [n for n in merged if _case(n, choice)]:
                was, now, other = base.get(node), mine.get(node), theirs.get(node)
                if choice not in settled and not (same(was, now) and same(was, other)):
                    self._conflict(child_path(path, mine.schema, node), node, now, other)
                if _case(node, choice) != kept:
                    del merged[node]

    # --- lists ------------------------------------------------------------------------------------------------

    def _list(
        self,
        node: SchemaNode,
        was: ListNode | None,
        now: ListNode | None,
        other: ListNode | None,
        at: tuple[str, SchemaNode],
    ) -> ListNode | None:
        if node.user_ordered:
            return self._ordered(node, was, now, other, at)
        changed = self._entries(node, was, now, other, at)
        if other is None:
            kept = {keys: entry for keys, entry in changed.items() if entry is not None}
            return ListNode.keyed(node, kept) if kept else None
        return other.updated(changed) if changed else other

    def _entries(
        self,
        node: SchemaNode,
        was: ListNode | None,
        now: ListNode | None,
        other: ListNode | None,
        at: tuple[str, SchemaNode],
    ) -> dict[Keys, Container | None]:
        """The entries that differ in ``mine`` from what they were, merged with those of ``theirs``."""
        changed: dict[Keys, Container | None] = {}
        for keys, before, after in pairs(was, now):
            if same(before, after):
                continue
            theirs = other.get(keys) if other is not None else None
            found = self._entry(node, before, after, theirs, child_path(*at, node, keys))
            if found is not theirs:
                changed[keys] = found
        return changed

    def _entry(
        self, node: SchemaNode, before: Container | None, after: Container | None, theirs: Container | None, here: str
    ) -> Container | None:
        if same(before, theirs):
            return after
        if same(after, theirs):
            return theirs
        if before is None or after is None or theirs is None:
            return self._conflict(here, node, after, theirs)
        return self.container(before, after, theirs, here)

    def _ordered(
        self,
        node: SchemaNode,
        was: ListNode | None,
        now: ListNode | None,
        other: ListNode | None,
        at: tuple[str, SchemaNode],
    ) -> ListNode | None:
        """A user-ordered list: at most one side may have changed which entries there are, and in what order."""
        moved_here = not _in_order(was, now)
        if moved_here and not _in_order(was, other) and not _in_order(now, other):
            return self._conflict(child_path(*at, node), node, now, other)
        changed = self._entries(node, was, now, other, at)
        if not moved_here and other is not None and all(other.get(keys) for keys in changed):
            inside = {keys: entry for keys, entry in changed.items() if entry is not None}
            return other.replaced(inside) if inside else other
        theirs = {entry.keys: entry for entry in other or ()}
        rows = {keys: entry for keys, entry in (theirs | changed).items() if entry is not None}
        mine = [entry.keys for entry in now or ()]
        order, rest = (mine, list(theirs)) if moved_here else (list(theirs), mine)
        # An entry that one side deleted and the other changed is a conflict: the latter may be preferred.
        kept = _put_back([keys for keys in order if keys in rows], rest, rows)
        return ListNode.keyed(node, {keys: rows[keys] for keys in kept}) if kept else None


def _put_back(order: list[Keys], others: Sequence[Keys], rows: Mapping[Keys, Container]) -> list[Keys]:
    """The order with those of ``rows`` that only ``others`` has, each behind the one that it stood behind there."""
    present = set(order)
    before: Keys | None = None
    for keys in others:
        if keys not in rows:
            continue
        if keys not in present:
            order.insert(0 if before is None else order.index(before) + 1, keys)
            present.add(keys)
        before = keys
    return order


def _in_order(one: ListNode | None, other: ListNode | None) -> bool:
    if one is None or other is None:
        return one is other
    return same_order(one, other)


def _rows(node: Node | None) -> ListNode | None:
    assert isinstance(node, ListNode | None)
    return node


def _held(node: Node | None) -> Container | None:
    assert isinstance(node, Container | None)
    return node


def _values(node: SchemaNode, was: Node | None, now: Node | None, other: Node | None) -> LeafList | None:
    """A system-ordered leaf-list: each value is a node of its own, which can only come or go."""
    before, after, theirs = (dict.fromkeys(_items(value)) for value in (was, now, other))
    kept = [value for value in theirs if value in after or value not in before]
    kept += [value for value in after if value not in before and value not in theirs]
    return LeafList(node, kept) if kept else None


def _items(node: Node | None) -> Iterator[str]:
    return iter(node.values) if isinstance(node, LeafList) else iter(())


def _case(node: SchemaNode, choice: Choice) -> str | None:
    return next((case.name for case in node.cases if case.choice is choice), None)


def _chosen(children: Mapping[SchemaNode, Node]) -> dict[Choice, set[str]]:
    found: dict[Choice, set[str]] = {}
    for node in children:
        for case in node.cases:
            found.setdefault(case.choice, set()).add(case.name)
    return found
