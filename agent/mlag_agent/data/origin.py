"""Where the nodes of the operational datastore come from (RFC 8342 section 5.3.4), and filters on that.

Origins are not stored: what is in the configuration is intended, what a source of state gives has that source's origin,
and what is in neither is a default in use.  They are found by walking these trees beside the one that is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlag_agent.data.encode import Encoder, leaf_element, tag
from mlag_agent.data.tree import Container, LeafList, ListNode, Node
from mlag_agent.schema.nodes import SchemaNode

__all__ = ["DEFAULT", "INTENDED", "Sources", "config_nodes", "encode_with_origins", "with_origins"]

INTENDED = "ietf-origin:intended"
DEFAULT = "ietf-origin:default"
ORIGIN_NS = "urn:ietf:params:xml:ns:yang:ietf-origin"


@dataclass(frozen=True, slots=True)
class Sources:
    """Instances at one place in each tree: origin and data.  The first that has a node gives its origin."""

    there: Sequence[tuple[str, Container]]

    def of(self, schema: SchemaNode, value: str | None = None) -> str:
        """The origin of a child, or of one value of a leaf-list."""
        for origin, container in self.there:
            found = container.get(schema)
            if found is not None and (value is None or (isinstance(found, LeafList) and value in found.values)):
                return origin
        return DEFAULT

    def below(self, schema: SchemaNode) -> Sources:
        """At a container among the children."""
        found = ((origin, container.get(schema)) for origin, container in self.there)
        return Sources([(origin, child) for origin, child in found if isinstance(child, Container)])

    def entry(self, entry: Container) -> Sources:
        """At an entry of a list with keys among the children."""
        schema = entry.schema
        if not schema.key_nodes:
            return Sources(())
        found = ((origin, container.get(schema)) for origin, container in self.there)
        rows = ((origin, rows.get(entry.keys)) for origin, rows in found if isinstance(rows, ListNode))
        return Sources([(origin, row) for origin, row in rows if row is not None])

    @property
    def first(self) -> str:
        """The origin of the instance itself."""
        return self.there[0][0] if self.there else DEFAULT


# --- filters --------------------------------------------------------------------------------------------------


def config_nodes(root: Container, config: bool) -> Container:
    """The config-filter of RFC 8526: nodes of configuration, or of state with what leads to them."""
    return _kept(root, lambda schema: schema.config is config) or Container(root.schema, {})


def _kept(value: Container, wanted: Callable[[SchemaNode], bool]) -> Container | None:
    children: dict[SchemaNode, Node] = {}
    for schema, child in value.children.items():
        mine = wanted(schema)
        if isinstance(child, Container):
            part = _kept(child, wanted)
            if part is None and mine:
                part = Container(schema, {})
            if part is not None and (part.children or schema.presence):
                children[schema] = part
        elif isinstance(child, ListNode):
            found = [(entry, _kept(entry, wanted)) for entry in child]
            rows = [_with_keys(entry, part) for entry, part in found if part is not None or mine]
            if rows:
                children[schema] = ListNode.of(schema, rows)
        elif mine:
            children[schema] = child
    if not children:
        return None
    return _with_keys(value, Container(value.schema, children))


def _with_keys(entry: Container, part: Container | None) -> Container:
    """A part of an entry with its keys."""
    children = {} if part is None else dict(part.children)
    for key in entry.schema.key_nodes:
        value = entry.get(key)
        if value is not None:
            children[key] = value
    return Container.ordered(entry.schema, children)


def with_origins(root: Container, sources: Sources, wanted: Callable[[str], bool]) -> Container:
    """The origin filters of RFC 8526: configuration of a wanted origin, all state, and what leads to them."""
    return _of_origin(root, sources, wanted) or Container(root.schema, {})


def _of_origin(value: Container, sources: Sources, wanted: Callable[[str], bool]) -> Container | None:
    children: dict[SchemaNode, Node] = {}
    for schema, child in value.children.items():
        if not schema.config:
            children[schema] = child
        elif isinstance(child, Container):
            below = sources.below(schema)
            part = _of_origin(child, below, wanted)
            if part is None and schema.presence and wanted(below.first):
                part = Container(schema, {})
            if part is not None:
                children[schema] = part
        elif isinstance(child, ListNode):
            rows = list(_entries(child, sources, wanted))
            if rows:
                children[schema] = ListNode.of(schema, rows)
        elif isinstance(child, LeafList):
            values = [item for item in child.values if wanted(sources.of(schema, item))]
            if values:
                children[schema] = LeafList(schema, values)
        elif schema not in value.schema.key_nodes and wanted(sources.of(schema)):
            children[schema] = child
    if not children:
        return None
    return _with_keys(value, Container(value.schema, children))


def _entries(value: ListNode, sources: Sources, wanted: Callable[[str], bool]) -> Iterator[Container]:
    for entry in value:
        below = sources.entry(entry)
        part = _of_origin(entry, below, wanted)
        if part is not None or wanted(below.first):
            yield _with_keys(entry, part)


# --- annotations (RFC 7952, RFC 8342 section 7) ---------------------------------------------------------------


def encode_with_origins(root: Container, sources: Sources, namespaces: Mapping[str, str]) -> bytes:
    """The children of a root; a node of configuration has the annotation where its origin is not that of its parent.

    State has none, nor has what is below it.
    """
    writer = _Writer(namespaces)
    writer.children(root, sources, None)
    return b"".join(writer.out)


class _Writer:
    def __init__(self, namespaces: Mapping[str, str]) -> None:
        self._namespaces = namespaces
        self._encoder = Encoder(namespaces)
        self.out: list[bytes] = []

    def children(self, value: Container, sources: Sources, inherited: str | None) -> None:
        for schema, child in value.children.items():
            if not schema.config:
                self._encoder.node(schema, child, self.out)
            elif isinstance(child, Container):
                self._container(child, sources.below(schema), inherited)
            elif isinstance(child, ListNode):
                for entry in child:
                    self._container(entry, sources.entry(entry), inherited)
            elif isinstance(child, LeafList):
                for item in child.values:
                    self._leaf(schema, item, sources.of(schema, item), inherited)
            elif isinstance(child, str):
                # A key is as much the entry's as the entry itself.
                origin = inherited if schema in value.schema.key_nodes and inherited else sources.of(schema)
                self._leaf(schema, child, origin, inherited)
            else:
                self.out.append(child.with_attributes(self._annotation(sources.of(schema), inherited)))

    def _leaf(self, schema: SchemaNode, value: str, origin: str, inherited: str | None) -> None:
        attributes = tag(value) + self._annotation(origin, inherited)
        self.out.append(leaf_element(schema, value, self._namespaces, attributes).encode())

    def _container(self, value: Container, sources: Sources, inherited: str | None) -> None:
        origin = sources.first
        schema = value.schema
        head = f"<{schema.head}{self._annotation(origin, inherited)}"
        if not value.children:
            self.out.append(f"{head}/>".encode())
            return
        self.out.append(f"{head}>".encode())
        self.children(value, sources, origin)
        self.out.append(schema.closing.encode())

    def _annotation(self, origin: str, inherited: str | None) -> str:
        """The attribute with the declarations of its prefixes: they may be the first in the reply."""
        if origin == inherited:
            return ""
        module, _, name = origin.rpartition(":")
        if module == "ietf-origin":
            return f' xmlns:or="{ORIGIN_NS}" or:origin="or:{name}"'
        return f' xmlns:or="{ORIGIN_NS}" xmlns:{module}="{self._namespaces[module]}" or:origin="{module}:{name}"'
