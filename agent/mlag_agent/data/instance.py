"""Frozen data with a way up: what XPath walks on (RFC 7950 section 6.4.1, the accessible tree).

A frozen tree has no parent pointers, since its parts are shared between trees.  An ``InstanceNode`` is one data node in
its place in one tree; it is made when somebody comes by, once, so that nodes are compared by identity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from lxml import etree

from mlag_agent.data.tree import AnyData, Container, Keys, LeafList, ListNode, Node
from mlag_agent.schema.nodes import Kind, SchemaNode

__all__ = ["InstanceNode", "InstanceTree", "OpaqueNode", "TextNode"]

Place: TypeAlias = tuple[int, int, int]
"""Where a node stands among its siblings: position in the schema, chunk of the list, place in the chunk."""

_TEXT: Place = (-1, 0, 0)


class InstanceNode:
    """One data node: a container, the root, a list entry, a leaf, one value of a leaf-list, or anydata.

    ``value`` is what the frozen tree has: of a list the entry, of a leaf-list the single value.
    """

    __slots__ = ("_below", "parent", "place", "schema", "tree", "value")

    def __init__(
        self, tree: InstanceTree, parent: InstanceNode | None, schema: SchemaNode, value: Node, place: Place
    ) -> None:
        self.tree = tree
        self.parent = parent
        self.schema = schema
        self.value = value
        self.place = place
        self._below: dict[Place, InstanceNode] | None = None

    # --- down -------------------------------------------------------------------------------------------

    def _at(self, schema: SchemaNode, value: Node, place: Place) -> InstanceNode:
        if self._below is None:
            self._below = {}
        found = self._below.get(place)
        if found is None:
            found = self._below[place] = InstanceNode(self.tree, self, schema, value, place)
        return found

    def named(self, schema: SchemaNode) -> Sequence[InstanceNode]:
        """The instances of one schema node among the children, in order."""
        if not isinstance(self.value, Container):
            return ()
        value = self.tree.child(self, schema)
        if value is None:
            return ()
        position = schema.position
        if isinstance(value, ListNode):
            return [
                self._at(schema, entry, (position, number, at))
                for number, chunk in enumerate(value.chunks)
                for at, entry in enumerate(chunk.entries)
            ]
        if isinstance(value, LeafList):
            return [self._at(schema, item, (position, 0, at)) for at, item in enumerate(value.values)]
        return (self._at(schema, value, (position, 0, 0)),)

    def entry(self, schema: SchemaNode, keys: Keys) -> InstanceNode | None:
        """The entry of a list with keys, found without a look at the others."""
        value = self.tree.child(self, schema) if isinstance(self.value, Container) else None
        if not isinstance(value, ListNode):
            return None
        found = value.locate(keys)
        if found is None:
            return None
        number, at = found
        return self._at(schema, value.chunks[number].entries[at], (schema.position, number, at))

    def count(self, schema: SchemaNode) -> int:
        """How many instances of one schema node there are among the children."""
        value = self.tree.child(self, schema) if isinstance(self.value, Container) else None
        if isinstance(value, ListNode):
            return len(value)
        if isinstance(value, LeafList):
            return len(value.values)
        return 0 if value is None else 1

    def children(self) -> Iterator[InstanceNode]:
        """All child nodes in order; not the text."""
        if isinstance(self.value, Container):
            for schema in self.tree.present(self):
                yield from self.named(schema)
        elif isinstance(self.value, AnyData):
            yield from self._opaque(etree.fromstring(self.value.xml, _PARSER))

    def _opaque(self, element: etree._Element) -> Iterator[InstanceNode]:
        """What stands in anydata, which no schema describes."""
        if self._below is None:
            self._below = {}
        for at, child in enumerate(element):
            place = (0, 0, at)
            if place not in self._below:
                self._below[place] = OpaqueNode(self, child, place)
            yield self._below[place]

    @property
    def qualified_name(self) -> tuple[str, str]:
        """Namespace and local name; both empty for the root and for text."""
        return ("", "") if self.schema.kind is Kind.ROOT else (self.schema.namespace, self.schema.name)

    @property
    def text_content(self) -> str | None:
        """The string-value (XPath 1.0 section 5) where it needs no look at other nodes: of a leaf, text and anydata."""
        if isinstance(self.value, str):
            return self.value
        if isinstance(self.value, AnyData):
            return "".join(map(str, etree.fromstring(self.value.xml, _PARSER).itertext()))
        return None

    def text(self) -> InstanceNode | None:
        """The text node of a leaf, or of an element of anydata that holds no others; None where it is empty."""
        content = self._own_text()
        if not content:
            return None
        if self._below is None:
            self._below = {}
        if _TEXT not in self._below:
            self._below[_TEXT] = TextNode(self, content)
        return self._below[_TEXT]

    def _own_text(self) -> str | None:
        if isinstance(self.value, AnyData):
            return _text_alone(etree.fromstring(self.value.xml, _PARSER))
        return self.value if isinstance(self.value, str) else None

    # --- up and around ----------------------------------------------------------------------------------

    @property
    def order(self) -> tuple[Place, ...]:
        """Nodes of one tree in document order are in the order of these."""
        places: list[Place] = []
        node: InstanceNode = self
        while node.parent is not None:
            places.append(node.place)
            node = node.parent
        return tuple(reversed(places))

    @property
    def root(self) -> InstanceNode:
        return self.tree.root

    def is_named(self, namespace: str | None, name: str | None) -> bool:
        """Whether it is an element of that namespace (None: any) and name (None: any)."""
        schema = self.schema
        return (
            schema.kind is not Kind.ROOT
            and (name is None or schema.name == name)
            and (namespace is None or schema.module.namespace == namespace)
        )


_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


def _text_alone(element: etree._Element) -> str | None:
    return None if len(element) else element.text


class TextNode(InstanceNode):
    """The text of a leaf, or of an element in anydata."""

    __slots__ = ()

    def __init__(self, holder: InstanceNode, content: str) -> None:
        super().__init__(holder.tree, holder, holder.schema, content, _TEXT)

    @property
    def qualified_name(self) -> tuple[str, str]:
        """Text has no name."""
        return "", ""

    def is_named(self, namespace: str | None, name: str | None) -> bool:
        """Text has no name."""
        return False

    def text(self) -> InstanceNode | None:
        """Text has no text of its own."""
        return None


class OpaqueNode(InstanceNode):
    """An element in anydata or anyxml; ``schema`` and ``value`` are those of the anydata."""

    __slots__ = ("element",)

    def __init__(self, parent: InstanceNode, element: etree._Element, place: Place) -> None:
        super().__init__(parent.tree, parent, parent.schema, parent.value, place)
        self.element = element

    @property
    def qualified_name(self) -> tuple[str, str]:
        """The element's own."""
        name = etree.QName(self.element)
        return name.namespace or "", name.localname

    @property
    def text_content(self) -> str | None:
        """All text in the element."""
        return "".join(map(str, self.element.itertext()))

    def _own_text(self) -> str | None:
        return _text_alone(self.element)

    def children(self) -> Iterator[InstanceNode]:
        """The elements in it."""
        return self._opaque(self.element)

    def is_named(self, namespace: str | None, name: str | None) -> bool:
        """By the element's own name."""
        mine = etree.QName(self.element)
        return (name is None or mine.localname == name) and (namespace is None or mine.namespace == namespace)


class InstanceTree:
    """A root with all nodes made so far; what a node has below it is for derived classes to say.

    This one shows the data as it stands.
    """

    def __init__(self, root: Container) -> None:
        self.root = InstanceNode(self, None, root.schema, root, (0, 0, 0))

    def child(self, node: InstanceNode, schema: SchemaNode) -> Node | None:
        """The data of a child of a container, an entry or the root; lists and leaf-lists as a whole."""
        return node.value.get(schema)  # type: ignore[union-attr, arg-type]  # no cast, which would be a third of the cost

    def present(self, node: InstanceNode) -> Sequence[SchemaNode]:
        """The schema nodes of all children that there are, in order."""
        return tuple(node.value.children)  # type: ignore[union-attr]

    def whole(self, node: InstanceNode) -> Node:
        """Everything of a node, to be given to a client."""
        return node.value
