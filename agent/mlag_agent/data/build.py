"""Plain Python mappings to frozen trees: how state and rpc output are written by features.

State that nobody has asked for costs nothing: a value may be a function, which is called when a ``Selection`` says
that somebody may want the node, and a list may be ``Rows``, of which single entries can be had by their keys.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Protocol

from mlag_agent.data.anydata import stored_form
from mlag_agent.data.edit_node import EditNode
from mlag_agent.data.tree import AnyData, Container, Keys, LeafList, ListNode, Node
from mlag_agent.schema.nodes import Kind, SchemaNode

__all__ = [
    "EVERYTHING",
    "Along",
    "Below",
    "Rows",
    "Selection",
    "build",
    "build_entries",
    "from_nodes",
    "narrowed",
    "text",
]


class Selection(Protocol):
    """What of an instance's children may be wanted.  More may be given than is: filters run afterwards all the same."""

    @property
    def keys(self) -> Collection[Keys] | None:
        """Of the entries of a list: the keys of the only ones that may be wanted; None: any."""

    def below(self, node: SchemaNode) -> Selection | None:
        """What may be wanted of a child (a list: of its entries); None: nothing, it can be left out."""


class _Everything:
    keys: Collection[Keys] | None = None

    def below(self, node: SchemaNode) -> Selection | None:
        """All of it."""
        return self


EVERYTHING: Selection = _Everything()


class Below:
    """Some children of an instance, each with all below it."""

    keys: Collection[Keys] | None = None

    def __init__(self, nodes: Collection[SchemaNode]) -> None:
        self._nodes = nodes

    def below(self, node: SchemaNode) -> Selection | None:
        """Everything of one of the nodes."""
        return EVERYTHING if node in self._nodes else None


class Along:
    """One instance path: of each list on the way one entry, with its keys, and everything of the last node.

    ``steps`` are those from here on, each a schema node with the keys of the entry.
    """

    def __init__(self, steps: Sequence[tuple[SchemaNode, Keys]], keys: Keys = ()) -> None:
        self._steps = steps
        self.keys: Collection[Keys] | None = (keys,) if keys else None

    def below(self, node: SchemaNode) -> Selection | None:
        """The next step, and the keys of this one."""
        if not self._steps:
            return EVERYTHING
        wanted, keys = self._steps[0]
        if node is wanted:
            return Along(self._steps[1:], keys)
        return EVERYTHING if node.parent is not None and node in node.parent.key_nodes else None


@dataclass(frozen=True, slots=True)
class Rows:
    """A long list: ``every`` gives all entries, ``one`` the entry with those canonical keys or None."""

    every: Callable[[], Iterable[Mapping[str, Any]]]
    one: Callable[[Keys], Mapping[str, Any] | None]


def build(schema: SchemaNode, values: Mapping[str, Any], wanted: Selection = EVERYTHING) -> Container:
    """A container of ``schema`` from ``{"leaf": 1, "container": {...}, "list": [{...}]}``.

    Names are local, of this module or of one that augments it.  None, empty containers without presence and
    empty lists are left out, and so may be what is not ``wanted``; a value may be a function that gives it, and that
    of a list may be ``Rows``.  Raises KeyError for a name that the schema does not have; values are not checked.
    """
    children: dict[SchemaNode, Node] = {}
    for name, value in values.items():
        node = schema.child(name)
        if node is None:
            raise KeyError(f"{schema.path} has no child {name}")
        if value is None:
            continue
        mine = wanted if wanted is EVERYTHING else wanted.below(node)
        made = None if mine is None else _node(node, value, mine)
        if made is not None:
            children[node] = made
    return Container.ordered(schema, children)


def build_entries(
    schema: SchemaNode, rows: Iterable[Mapping[str, Any]], wanted: Selection = EVERYTHING
) -> ListNode | None:
    """A list; None when it has no entries."""
    entries = [build(schema, row, wanted) for row in rows]
    return ListNode.of(schema, entries) if entries else None


def _node(node: SchemaNode, value: Any, wanted: Selection) -> Node | None:
    if isinstance(value, Rows):
        return build_entries(node, _rows(value, wanted), wanted)
    if callable(value):
        value = value()
        if value is None:
            return None
    if node.kind is Kind.CONTAINER:
        made = build(node, value, wanted)
        return made if made.children or node.presence else None
    if node.kind is Kind.LIST:
        return build_entries(node, value, wanted)
    if node.kind is Kind.LEAF_LIST:
        items = [text(item) for item in value]
        return LeafList(node, items) if items else None
    if node.kind is Kind.ANY:
        return AnyData(node, value)
    return text(value)


def _rows(rows: Rows, wanted: Selection) -> Iterable[Mapping[str, Any]]:
    keys = wanted.keys
    if keys is None:
        return rows.every()
    return [row for each in dict.fromkeys(keys) if (row := rows.one(each)) is not None]


def narrowed(container: Container, wanted: Selection) -> Container:
    """A tree without most of what is not wanted, at a cost that does not grow with it: whole lists may stay."""
    if wanted is EVERYTHING:
        return container
    kept: dict[SchemaNode, Node] = {}
    for node, value in container.children.items():
        mine = wanted.below(node)
        if mine is None:
            continue
        if isinstance(value, Container):
            kept[node] = narrowed(value, mine)
        elif isinstance(value, ListNode) and mine.keys is not None:
            rows = [row for keys in dict.fromkeys(mine.keys) if (row := _entry(value, keys)) is not None]
            if rows:
                kept[node] = ListNode.of(node, [narrowed(row, mine) for row in rows])
        else:
            kept[node] = value
    return Container(container.schema, kept)


def _entry(rows: ListNode, keys: Keys) -> Container | None:
    try:
        return rows.get(keys)
    except ValueError:  # an integer key that is none
        return None


def from_nodes(schema: SchemaNode, nodes: Iterable[EditNode]) -> Container:
    """A container of ``schema`` from canonical nodes of a payload, state and lists without keys included.

    Raises ValueError where an entry of a list with keys occurs twice.
    """
    children: dict[SchemaNode, Node] = {}
    many: dict[SchemaNode, list[EditNode]] = {}
    for node in nodes:
        kind = node.schema.kind
        if kind in (Kind.LIST, Kind.LEAF_LIST):
            many.setdefault(node.schema, []).append(node)
        elif kind is Kind.ANY:
            assert node.element is not None
            children[node.schema] = AnyData(node.schema, stored_form(node.element, node.schema))
        elif kind is Kind.CONTAINER:
            made = from_nodes(node.schema, node.children)
            if made.children or node.schema.presence:
                children[node.schema] = made
        else:
            children[node.schema] = node.value or ""
    for several, group in many.items():
        children[several] = _several(several, group)
    return Container.ordered(schema, children)


def _several(schema: SchemaNode, group: Sequence[EditNode]) -> Node:
    if schema.kind is Kind.LEAF_LIST:
        return LeafList(schema, [node.value or "" for node in group])
    seen: set[Keys] = set()
    for node in group if schema.keys else ():
        if node.keys in seen:
            raise ValueError(f"{node.path} occurs twice")
        seen.add(node.keys)
    return ListNode.of(schema, [from_nodes(schema, node.children) for node in group])


def text(value: Any) -> str:
    """The canonical lexical form of a Python value (RFC 7950 section 9, RFC 6991 for times)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Enum):
        return str(value.value)
    return str(value)
