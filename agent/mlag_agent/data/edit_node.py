"""The nodes of a payload, as ``data.decode`` makes them and ``data.edit`` applies them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from lxml import etree

from mlag_agent.data.path import child_path
from mlag_agent.data.tree import Container, Keys
from mlag_agent.schema.nodes import Kind, SchemaNode

__all__ = ["NETCONF_NS", "YANG_NS", "EditNode", "Insert", "Operation"]

NETCONF_NS = "urn:ietf:params:xml:ns:netconf:base:1.0"
YANG_NS = "urn:ietf:params:xml:ns:yang:1"


class Operation(StrEnum):
    """The operation attribute and default-operation (RFC 6241 section 7.2)."""

    MERGE = "merge"
    REPLACE = "replace"
    CREATE = "create"
    DELETE = "delete"
    REMOVE = "remove"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Insert:
    """Attributes of RFC 7950 sections 7.7.9 and 7.8.6; ``reference`` is the key or value they name."""

    where: str
    reference: Keys | None


class EditNode:
    """One node of a payload.  ``value`` is raw until ``values.canonicalise`` has run; ``keys`` likewise.

    An entry that holds leafs only, as those of bulk loads do, keeps them in ``leafs`` until somebody asks for
    ``children``: a tenth of the time and the memory of nodes of their own.
    """

    __slots__ = (
        "_children",
        "built",
        "element",
        "insert",
        "is_default",
        "keys",
        "leafs",
        "operation",
        "parent",
        "plain",
        "schema",
        "value",
    )

    def __init__(self, schema: SchemaNode, parent: EditNode | None) -> None:
        self.schema = schema
        self.parent = parent
        self.operation: Operation | None = None
        self.value: str | None = None
        self.keys: Keys = ()
        self.leafs: dict[SchemaNode, str] | None = None
        self.built: Container | None = None  # what these leafs make, once they are canonical
        self._children: list[EditNode] | None = None
        self.insert: Insert | None = None
        self.element: etree._Element | None = None  # anydata, anyxml, a leaf of rpc input: the element itself
        self.is_default = False  # tagged as default data (RFC 6243 section 4.5.2): to be as if nobody had set it
        self.plain = True  # neither operation nor insert here or below: the node can be built as it stands

    @property
    def children(self) -> list[EditNode]:
        """The nodes below, in the order in which they came."""
        if self._children is None:
            self._children = []
            for schema, value in (self.leafs or {}).items():
                leaf = EditNode(schema, self)
                leaf.value = value
                self._children.append(leaf)
            self.leafs = None
        return self._children

    def keep(self, children: Iterable[EditNode]) -> None:
        """Have these children alone."""
        self._children = list(children)
        self.leafs = None

    def step(self, parent_path: str) -> str:
        """The instance path, below a parent at that path; input and output are no nodes of an instance."""
        if self.schema.kind is Kind.INPUT or self.schema.kind is Kind.OUTPUT:
            return parent_path
        keys = self.keys
        if self.schema.kind is Kind.LEAF_LIST and self.value is not None:
            keys = (self.value,)
        return child_path(parent_path, None if self.parent is None else self.parent.schema, self.schema, keys)

    @property
    def path(self) -> str:
        """The instance path."""
        return self.step("" if self.parent is None else self.parent.path)

    @property
    def deletes(self) -> bool:
        """Whether the node itself is to go."""
        return self.operation in (Operation.DELETE, Operation.REMOVE)
