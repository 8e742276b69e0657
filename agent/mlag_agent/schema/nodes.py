"""The schema tree as plain, picklable objects: what the data layer needs to know of a YANG module.

Built by ``schema.model`` from pyang's statements; nothing here knows pyang or libyang.  Choices and cases are
no nodes of their own, since they are none in instance data (RFC 7950 section 7.9); a node knows the cases it
stands in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

__all__ = ["Case", "Choice", "Kind", "LeafType", "Lexical", "Module", "SchemaNode", "SchemaTree"]


class Kind(Enum):
    """Kinds of schema nodes (RFC 7950 section 4.2.2), and the statements that hold such nodes."""

    ROOT = auto()
    CONTAINER = auto()
    LIST = auto()
    LEAF = auto()
    LEAF_LIST = auto()
    ANY = auto()  # anydata and anyxml
    RPC = auto()
    ACTION = auto()
    NOTIFICATION = auto()
    INPUT = auto()
    OUTPUT = auto()


class Lexical(Enum):
    """How a value's canonical form (RFC 7950 section 9.1) is found without asking libyang; ENGINE asks it."""

    VERBATIM = auto()  # string, boolean, enumeration, empty: the lexical form is the canonical one
    INTEGER = auto()
    IPV4 = auto()  # ipv4-address-no-zone
    IPV6 = auto()  # ipv6-address-no-zone
    IDENTITY = auto()  # identityref, or a leafref to one
    ENGINE = auto()


@dataclass(frozen=True, slots=True)
class Module:
    """One YANG module or submodule of the served set.

    ``implemented`` as RFC 8525 means it: else it is there only for others to import.
    """

    name: str
    revision: str
    namespace: str
    prefix: str
    yang_version: str
    implemented: bool
    path: str
    features: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()
    submodules: tuple[tuple[str, str, str], ...] = ()  # name, revision, file


@dataclass(frozen=True, slots=True)
class LeafType:
    """What the data layer needs to know of a type: its base, what it allows in words, its canonical form."""

    base: str
    allows: str
    lexical: Lexical
    members: tuple[LeafType, ...] = ()  # of a union
    prefixed: bool = False  # values carry module names: identityref, instance-identifier, a union with one of them


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A choice (RFC 7950 section 7.9); compared by identity."""

    name: str
    mandatory: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A node's place in a choice: at most one case of a choice has data."""

    choice: Choice
    name: str


@dataclass(slots=True, eq=False)
class SchemaNode:
    """One schema node; compared by identity, never changed once the tree is built.

    ``children`` keeps schema order, keys of a list first; its keys are (namespace, name).
    ``position`` is the place among the parent's children and gives instance data its order.
    """

    name: str
    module: Module
    kind: Kind
    parent: SchemaNode | None
    config: bool = True
    presence: bool = False
    user_ordered: bool = False
    mandatory: bool = False
    secret: bool = False  # nacm:default-deny-all: its value stands in no message and no log line
    keys: tuple[str, ...] = ()
    defaults: tuple[str, ...] = ()
    type: LeafType | None = None
    cases: tuple[Case, ...] = ()  # outermost choice first
    position: int = 0
    children: dict[tuple[str, str], SchemaNode] = field(default_factory=dict)
    tags: dict[str, SchemaNode] = field(default_factory=dict)  # the children by "{namespace}name", as lxml has it
    key_nodes: tuple[SchemaNode, ...] = ()

    @property
    def namespace(self) -> str:
        """The XML namespace of the node's instances."""
        return self.module.namespace

    @property
    def path(self) -> str:
        """Schema path in the form of RFC 7951 section 6.11, without predicates: ``/module:a/b``."""
        steps: list[str] = []
        node: SchemaNode | None = self
        while node is not None and node.kind is not Kind.ROOT:
            parent = node.parent
            same = parent is not None and parent.kind is not Kind.ROOT and parent.module.name == node.module.name
            steps.append(node.name if same else f"{node.module.name}:{node.name}")
            node = parent
        return "/" + "/".join(reversed(steps))

    def child(self, name: str, namespace: str | None = None) -> SchemaNode | None:
        """The child of that name; without a namespace the node's own module is tried first, then any."""
        if namespace is not None:
            return self.children.get((namespace, name))
        if self.kind is not Kind.ROOT:
            found = self.children.get((self.module.namespace, name))
            if found is not None:
                return found
        return next((node for (_, local), node in self.children.items() if local == name), None)

    def descendants(self) -> Iterator[SchemaNode]:
        """This node and all below it, parents first."""
        yield self
        for node in self.children.values():
            yield from node.descendants()


@dataclass(frozen=True, slots=True, eq=False)
class SchemaTree:
    """The whole served schema.

    ``data`` is the root above all top-level data nodes; ``rpcs`` and ``notifications`` are found by
    (namespace, name); ``modules`` by name, imports included.
    """

    data: SchemaNode
    rpcs: dict[tuple[str, str], SchemaNode]
    notifications: dict[tuple[str, str], SchemaNode]
    modules: dict[str, Module]

    def module_of_namespace(self, namespace: str) -> Module | None:
        """The module with that XML namespace."""
        return next((m for m in self.modules.values() if m.namespace == namespace), None)

    @property
    def namespaces(self) -> dict[str, str]:
        """Module name to XML namespace, of every module."""
        return {name: module.namespace for name, module in self.modules.items()}

    def find(self, path: str) -> SchemaNode:
        """The data node at a schema path as ``SchemaNode.path`` writes it; KeyError when there is none."""
        node = self.data
        for step in path.strip("/").split("/"):
            prefix, _, name = step.rpartition(":")
            namespace = self.modules[prefix].namespace if prefix else node.module.namespace
            node = node.children[(namespace, name)]
        return node
