"""Frozen instance data (RFC 7950 section 4.2.2): what a datastore points to.

A tree is never changed: an edit gives a new tree that shares all it did not touch, so a candidate is a pointer,
a rollback the old pointer, and a reader needs no lock.

* a leaf is a ``str``: its canonical value;
* a leaf-list is a ``LeafList``, a list a ``ListNode``, anydata/anyxml an ``AnyData``;
* a container, a list entry and the root are ``Container``.

Non-presence containers without data, and lists without entries, are no data and do not occur.  Entries of a
system-ordered list and values of a system-ordered leaf-list stand in ascending order of their keys, so that
equal data has equal bytes.  The root of a datastore is a ``Container`` of the schema's root.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, compress
from operator import is_not
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from mlag_agent.schema.nodes import Kind, Lexical, SchemaNode

__all__ = [
    "AnyData",
    "Container",
    "Keys",
    "LeafList",
    "ListNode",
    "Node",
    "canonical_order",
    "drop_other_cases",
    "merge",
    "same",
    "unlike",
    "without_counters",
]

Keys: TypeAlias = tuple[str, ...]
SortKey: TypeAlias = "str | int | tuple[str | int, ...]"
Entry = TypeVar("Entry")
Part = TypeVar("Part", "Container", "Chunk")

# A chunk is copied when one of its entries changes, and serialised as a whole: small enough to copy in
# microseconds, large enough that fifty thousand entries are two hundred chunks.
CHUNK_ENTRIES = 256
CHUNK_LIMIT = 2 * CHUNK_ENTRIES


def _is_integer(node: SchemaNode) -> bool:
    return node.type is not None and node.type.lexical is Lexical.INTEGER


def _part(node: SchemaNode, value: str) -> str | int:
    return int(value) if _is_integer(node) else value


def canonical_order(schema: SchemaNode, keys: Keys) -> SortKey:
    """What entries of a system-ordered list are ordered by: integers by value, all else by code point.

    Raises ValueError for the key of an integer type that is no integer.
    """
    if len(keys) == 1:
        return _part(schema.key_nodes[0], keys[0])
    return tuple(map(_part, schema.key_nodes, keys))


def _by_order(schema: SchemaNode, entries: Mapping[Keys, Entry]) -> dict[SortKey, Entry]:
    """Sort key to entry; the usual key, one string, is its own sort key."""
    if len(schema.key_nodes) == 1 and not _is_integer(schema.key_nodes[0]):
        return {keys[0]: entry for keys, entry in entries.items()}
    return {canonical_order(schema, keys): entry for keys, entry in entries.items()}


class Default(str):
    """A leaf's value, or one of a leaf-list, that is to be tagged as default data (RFC 6243 section 3.4)."""

    __slots__ = ()


class AnyData:
    """anydata or anyxml: the element as self-contained XML (namespaces declared), in canonical XML 2.0."""

    __slots__ = ("schema", "xml")

    def __init__(self, schema: SchemaNode, xml: bytes) -> None:
        self.schema = schema
        self.xml = xml

    def with_attributes(self, attributes: str) -> bytes:
        """The element with more attributes, each with a space before it."""
        end = self.xml.index(b">")
        end -= self.xml[end - 1 : end] == b"/"
        return self.xml[:end] + attributes.encode() + self.xml[end:]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyData) and self.schema is other.schema and self.xml == other.xml

    __hash__ = None  # type: ignore[assignment]  # compared by content, never a key


class LeafList:
    """A leaf-list with at least one value."""

    __slots__ = ("schema", "values")

    def __init__(self, schema: SchemaNode, values: Iterable[str]) -> None:
        self.schema = schema
        ordered = tuple(values)
        if not schema.user_ordered:
            ordered = tuple(sorted(ordered, key=lambda value: _part(schema, value)))
        self.values = ordered

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LeafList) and self.schema is other.schema and self.values == other.values

    __hash__ = None  # type: ignore[assignment]


class Container:
    """A container, a list entry or the root.  ``children`` is read-only and stands in schema order."""

    __slots__ = ("_children", "schema")

    def __init__(self, schema: SchemaNode, children: Mapping[SchemaNode, Node]) -> None:
        self.schema = schema
        self._children = children

    @classmethod
    def ordered(cls, schema: SchemaNode, children: Mapping[SchemaNode, Node]) -> Container:
        """With the children put in schema order."""
        return cls(schema, dict(sorted(children.items(), key=lambda item: item[0].position)))

    @property
    def children(self) -> Mapping[SchemaNode, Node]:
        """Schema node to data, in schema order."""
        return MappingProxyType(self._children)

    @property
    def keys(self) -> Keys:
        """Key values of a list entry, in the order of the key statement."""
        nodes = self.schema.key_nodes
        if len(nodes) == 1:
            return (self._children[nodes[0]],)  # type: ignore[return-value]
        return tuple([self._children[node] for node in nodes])  # type: ignore[misc]

    def get(self, node: SchemaNode) -> Node | None:
        """The child of that schema node."""
        return self._children.get(node)

    def named(self, name: str, namespace: str | None = None) -> Node | None:
        """The child of that name (in this node's own module unless a namespace is given)."""
        node = self.schema.child(name, namespace)
        return None if node is None else self._children.get(node)

    def leaf(self, name: str) -> str | None:
        """The value of the leaf of that name, or its default, or None."""
        node = self.schema.child(name)
        if node is None:
            raise KeyError(name)
        value = self._children.get(node)
        if isinstance(value, str):
            return value
        return node.defaults[0] if node.defaults else None

    def container(self, name: str) -> Container | None:
        """The container of that name."""
        value = self.named(name)
        return value if isinstance(value, Container) else None

    def entries(self, name: str) -> Iterator[Container]:
        """The entries of the list of that name."""
        value = self.named(name)
        return iter(value) if isinstance(value, ListNode) else iter(())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Container) and same(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Container {self.schema.path} {len(self._children)} children>"


class Chunk:
    """A run of entries.  ``xml`` and ``places`` cache; filling them changes nothing that can be seen."""

    __slots__ = ("__weakref__", "_places", "entries", "order", "xml")

    def __init__(self, entries: tuple[Container, ...], order: tuple[SortKey, ...]) -> None:
        self.entries = entries
        self.order = order
        self.xml: bytes | None = None
        self._places: dict[SortKey, int] | None = None

    @property
    def places(self) -> Mapping[SortKey, int]:
        """Where each key of a user-ordered list stands: shared by every tree that shares the chunk."""
        if self._places is None:
            self._places = {keys: at for at, keys in enumerate(self.order)}
        return self._places


class ListNode:
    """The entries of a list, at least one, in chunks.

    ``order`` of a chunk holds sort keys for a system-ordered list, key tuples for a user-ordered one, and
    nothing for a list without keys (state only).
    """

    __slots__ = ("_count", "_starts", "chunks", "schema")

    def __init__(self, schema: SchemaNode, chunks: Iterable[Chunk]) -> None:
        self.schema = schema
        self.chunks = tuple(chunks)
        self._starts = [] if schema.user_ordered else [chunk.order[0] for chunk in self.chunks]
        self._count = sum(len(chunk.entries) for chunk in self.chunks)

    def has_places_of(self, other: ListNode) -> bool:
        """Whether the two are known to have the same keys in the same places of the same chunks.

        They have when one was made of the other by changing entries alone.
        """
        return self._starts is other._starts

    def _with(self, chunks: Iterable[Chunk]) -> ListNode:
        """The same keys in the same chunks, with other entries."""
        made = ListNode.__new__(ListNode)
        made.schema, made.chunks, made._starts, made._count = self.schema, tuple(chunks), self._starts, self._count
        return made

    @classmethod
    def of(cls, schema: SchemaNode, entries: Iterable[Container]) -> ListNode:
        """From entries in any order; a user-ordered list keeps the order given.

        A key that occurs twice is the caller's error: the last one stays in a system-ordered list.
        """
        if not schema.user_ordered:
            return cls.keyed(schema, {entry.keys: entry for entry in entries})
        rows = list(entries)
        order: list[SortKey] = [entry.keys for entry in rows] if schema.keys else [()] * len(rows)
        return cls(schema, _cut(rows, order))

    @classmethod
    def keyed(cls, schema: SchemaNode, entries: Mapping[Keys, Container]) -> ListNode:
        """From entries by their keys; a user-ordered list keeps the order given."""
        if schema.user_ordered:
            return cls(schema, _cut(list(entries.values()), list(entries)))
        by_order = _by_order(schema, entries)
        order = sorted(by_order)
        return cls(schema, _cut([by_order[key] for key in order], order))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Container]:
        return chain.from_iterable(chunk.entries for chunk in self.chunks)

    def get(self, keys: Keys) -> Container | None:
        """The entry with those canonical keys."""
        if self.schema.user_ordered:
            found = self._place(keys)
            return None if found is None else self.chunks[found[0]].entries[found[1]]
        wanted = canonical_order(self.schema, keys)
        chunk = self.chunks[max(0, bisect_right(self._starts, wanted) - 1)]
        at = bisect_left(chunk.order, wanted)
        return chunk.entries[at] if at < len(chunk.order) and chunk.order[at] == wanted else None

    def locate(self, keys: Keys) -> tuple[int, int] | None:
        """Number of the chunk and place in it of the entry with those canonical keys.

        Raises ValueError for the key of an integer type that is no integer.
        """
        if self.schema.user_ordered:
            return self._place(keys)
        wanted = canonical_order(self.schema, keys)
        number = max(0, bisect_right(self._starts, wanted) - 1)
        order = self.chunks[number].order
        at = bisect_left(order, wanted)
        return (number, at) if at < len(order) and order[at] == wanted else None

    def _place(self, keys: Keys) -> tuple[int, int] | None:
        """Chunk and place in it of a user-ordered entry."""
        for number, chunk in enumerate(self.chunks):
            at = chunk.places.get(keys)
            if at is not None:
                return number, at
        return None

    def updated(self, changes: Mapping[Keys, Container | None]) -> ListNode | None:
        """System-ordered: with entries put in (or taken out, for None); only touched chunks are rebuilt."""
        by_chunk: dict[int, dict[SortKey, Container | None]] = {}
        for wanted, entry in _by_order(self.schema, changes).items():
            at = max(0, bisect_right(self._starts, wanted) - 1)
            by_chunk.setdefault(at, {})[wanted] = entry
        in_place = {
            at: chunk for at, mine in by_chunk.items() if (chunk := _in_place(self.chunks[at], mine)) is not None
        }
        if len(in_place) == len(by_chunk):
            return self._with(in_place.get(at, chunk) for at, chunk in enumerate(self.chunks))
        chunks: list[Chunk] = []
        for at, chunk in enumerate(self.chunks):
            mine = by_chunk.get(at)
            if mine is None or at in in_place:
                chunks.append(in_place.get(at, chunk))
                continue
            merged: dict[SortKey, Container | None] = {**dict(zip(chunk.order, chunk.entries, strict=True)), **mine}
            order = sorted(key for key, entry in merged.items() if entry is not None)
            chunks.extend(_cut([merged[key] for key in order], order))  # type: ignore[misc]
        return ListNode(self.schema, _joined(chunks)) if chunks else None

    def replaced(self, changes: Mapping[Keys, Container]) -> ListNode:
        """User-ordered: with other entries in the places of those with the same keys, which must be there."""
        by_chunk: dict[int, dict[int, Container]] = {}
        for keys, entry in changes.items():
            found = self._place(keys)
            if found is None:
                raise KeyError(keys)
            by_chunk.setdefault(found[0], {})[found[1]] = entry
        chunks = list(self.chunks)
        for number, mine in by_chunk.items():
            entries = list(chunks[number].entries)
            for at, entry in mine.items():
                entries[at] = entry
            chunks[number] = Chunk(tuple(entries), chunks[number].order)
        return self._with(chunks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ListNode) and same(self, other)

    __hash__ = None  # type: ignore[assignment]


Node: TypeAlias = "str | LeafList | Container | ListNode | AnyData"


def _in_place(chunk: Chunk, changes: Mapping[SortKey, Container | None]) -> Chunk | None:
    """The chunk with other entries for keys that it has; None when one is new or goes."""
    entries = list(chunk.entries)
    order = chunk.order
    for wanted, entry in changes.items():
        at = bisect_left(order, wanted)
        if entry is None or at == len(order) or order[at] != wanted:
            return None
        entries[at] = entry
    return Chunk(tuple(entries), order)


def _cut(entries: list[Container], order: list[SortKey]) -> Iterator[Chunk]:
    if len(entries) <= CHUNK_LIMIT:
        if entries:
            yield Chunk(tuple(entries), tuple(order))
        return
    for at in range(0, len(entries), CHUNK_ENTRIES):
        yield Chunk(tuple(entries[at : at + CHUNK_ENTRIES]), tuple(order[at : at + CHUNK_ENTRIES]))


def _joined(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Without crumbs: a chunk that has lost most of its entries is put together with the one before it."""
    last: Chunk | None = None
    for chunk in chunks:
        if last is None:
            last = chunk
        elif len(last.entries) + len(chunk.entries) <= CHUNK_ENTRIES // 2:
            last = Chunk(last.entries + chunk.entries, last.order + chunk.order)
        else:
            yield last
            last = chunk
    if last is not None:
        yield last


def same(one: Node | None, other: Node | None) -> bool:
    """Equal data; what the two share is not looked at."""
    if one is other:
        return True
    if isinstance(one, Container) and isinstance(other, Container):
        left, right = one._children, other._children  # the same module
        return (
            one.schema is other.schema
            and len(left) == len(right)
            and all(same(value, right.get(node)) for node, value in left.items())
        )
    if isinstance(one, ListNode) and isinstance(other, ListNode):
        if one.schema is not other.schema or len(one) != len(other):
            return False
        if one.has_places_of(other):
            rows = [
                pair for mine, its in unlike(one.chunks, other.chunks) for pair in unlike(mine.entries, its.entries)
            ]
            return all(same(mine, its) for mine, its in rows)
        return all(same(mine, its) for mine, its in _unshared(one.chunks, other.chunks))
    return type(one) is type(other) and one == other


def unlike(one: Sequence[Part], other: Sequence[Part]) -> Iterator[tuple[Part, Part]]:
    """The places of two rows of equal length that do not hold the very same entry or chunk; nearly all do."""
    return compress(zip(one, other, strict=True), map(is_not, one, other))


def _unshared(one: Sequence[Chunk], other: Sequence[Chunk]) -> Iterator[tuple[Container, Container]]:
    """Entries of two lists of equal length, place by place, but for those that both share."""
    i = j = at_one = at_other = 0
    while i < len(one) and j < len(other):
        left, right = one[i].entries, other[j].entries
        if at_one == at_other == 0 and one[i] is other[j]:
            i, j = i + 1, j + 1
            continue
        count = min(len(left) - at_one, len(right) - at_other)
        yield from unlike(left[at_one : at_one + count], right[at_other : at_other + count])
        at_one, at_other = at_one + count, at_other + count
        if at_one == len(left):
            i, at_one = i + 1, 0
        if at_other == len(right):
            j, at_other = j + 1, 0


def merge(base: Container, overlay: Container) -> Container:
    """Both trees in one: the operational state laid over the configuration it belongs to.

    Where both have a leaf, leaf-list, any-data or list without keys, that of ``overlay`` holds, and where the two have
    different cases of a choice, that of ``overlay`` stays.  Costs what the overlay holds.
    """
    if not base._children or base is overlay:
        return overlay
    if not overlay._children:
        return base
    children: dict[SchemaNode, Node] = dict(base._children)
    for node, value in overlay._children.items():
        mine = children.get(node)
        if isinstance(mine, Container) and isinstance(value, Container):
            children[node] = merge(mine, value)
        elif isinstance(mine, ListNode) and isinstance(value, ListNode) and node.keys:
            children[node] = _merge_lists(mine, value)
        else:
            if mine is None and node.cases:
                drop_other_cases(node, children)
            children[node] = value
    return Container.ordered(base.schema, children)


def _merge_lists(base: ListNode, overlay: ListNode) -> ListNode:
    changes: dict[Keys, Container] = {}
    new: list[Container] = []
    for entry in overlay:
        mine = base.get(entry.keys)
        if mine is not None:
            changes[entry.keys] = merge(mine, entry)
        elif base.schema.user_ordered:
            new.append(entry)
        else:
            changes[entry.keys] = entry
    if not base.schema.user_ordered:
        merged = base.updated(changes)
        assert merged is not None
        return merged
    replaced = base.replaced(changes) if changes else base
    return ListNode.of(base.schema, [*replaced, *new]) if new else replaced


def drop_other_cases(schema: SchemaNode, children: dict[SchemaNode, Node]) -> None:
    """Data of one case takes that of the others away (RFC 7950 section 7.9)."""
    mine = {case.choice: case.name for case in schema.cases}
    for other in [n for n in children if n.cases and n is not schema]:
        if any(mine.get(case.choice, case.name) != case.name for case in other.cases):
            del children[other]


def empty(root: SchemaNode) -> Container:
    """An empty datastore."""
    assert root.kind is Kind.ROOT
    return Container(root, {})


def without_counters(container: Container) -> Container:
    """The tree without counters and gauges, which change all the time; the lists and containers around them stay."""
    children: dict[SchemaNode, Node] = {}
    for node, value in container.children.items():
        if isinstance(value, Container):
            children[node] = without_counters(value)
        elif isinstance(value, ListNode):
            children[node] = ListNode.of(node, map(without_counters, value))
        elif node.type is None or not node.type.allows.startswith(_COUNTERS):
            children[node] = value
    return Container(container.schema, children)


_COUNTERS = ("counter32 ", "counter64 ", "gauge32 ", "gauge64 ", "zero-based-counter32 ", "zero-based-counter64 ")
