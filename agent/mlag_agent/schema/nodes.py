"""The schema tree as plain, picklable objects: what the data layer needs to know of a YANG module.

Built by ``schema.model`` from pyang's statements; nothing here knows pyang or libyang.  Choices and cases are
no nodes of their own, since they are none in instance data (RFC 7950 section 7.9); a node knows the cases it
stands in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

__all__ = [
    "ALL_FEATURES",
    "Case",
    "Choice",
    "Expression",
    "Kind",
    "LeafType",
    "Lexical",
    "Module",
    "ModuleRequest",
    "SchemaNode",
    "SchemaTree",
    "When",
]


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


# What stands directly below these stands in a NETCONF element, whose namespace is never that of a module.
_OUTERMOST = frozenset({Kind.ROOT, Kind.INPUT, Kind.OUTPUT})


ALL_FEATURES = "*"


@dataclass(frozen=True, slots=True)
class ModuleRequest:
    """A module to implement, with the features to enable (RFC 7950 section 5.6.5); ``ALL_FEATURES``: all it has."""

    name: str
    features: tuple[str, ...] = ()
    revision: str | None = None


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
    imports: tuple[str, ...] = ()  # names of the modules that it or a submodule imports


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """An XPath expression of a module (RFC 7950 section 6.4.1).

    ``namespace`` is that of names without a prefix, ``prefixes`` maps the prefixes of the module that it is written in
    to namespaces.
    """

    text: str
    namespace: str
    prefixes: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class When:
    """A condition for a node to exist (RFC 7950 section 7.21.5).

    ``own``: the context node is the node itself, or a dummy in its place; else it is the data node above it, since the
    statement stands in an augment, a uses, a choice or a case.
    """

    expression: Expression
    own: bool


@dataclass(frozen=True, slots=True)
class LeafType:
    """What the data layer needs to know of a type: its base, what it allows in words, its canonical form."""

    base: str
    allows: str
    lexical: Lexical
    members: tuple[LeafType, ...] = ()  # of a union
    prefixed: bool = False  # values carry module names: identityref, instance-identifier, a union with one of them
    identities: frozenset[str] = frozenset()  # of an identityref: every "module:name" that it allows
    partial: frozenset[str] = frozenset()  # those derived from one of its bases but not from all: libyang allows them
    enums: tuple[tuple[str, int], ...] = ()  # of an enumeration: names and values
    path: Expression | None = field(default=None, compare=False)  # of a leafref, all else is that of its target

    @property
    def points(self) -> bool:
        """Whether a value may be an instance-identifier."""
        return self.base == "instance-identifier" or any(member.points for member in self.members)

    @property
    def white_space_matters(self) -> bool:
        """Whether white space around a value is a part of it: in strings, and in unions that have one."""
        if self.base == "union":
            return any(member.white_space_matters for member in self.members)
        return self.base == "string"


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A choice (RFC 7950 section 7.9); compared by identity."""

    name: str
    mandatory: bool
    default: str | None = None  # the case whose defaults are in use while none has data (RFC 7950 section 7.9.3)


@dataclass(frozen=True, slots=True)
class Case:
    """A node's place in a choice: at most one case of a choice has data."""

    choice: Choice
    name: str


@dataclass(slots=True, eq=False, repr=False)
class SchemaNode:
    """One schema node; compared by identity, never changed once the tree is built.

    ``children`` keeps schema order, keys of a list first; its keys are (namespace, name).
    ``position`` is the place among the parent's children and gives instance data its order.  ``operations`` holds
    the actions and notifications that stand in a data node (RFC 7950 sections 7.15, 7.16.1): they are no data.
    ``head`` and what follows are worked out once, for the data layer's inner loops.
    """

    name: str
    module: Module
    kind: Kind
    parent: SchemaNode | None
    config: bool = True
    presence: bool = False
    user_ordered: bool = False
    mandatory: bool = False
    secret: bool = False  # its value stands in no message and no log line
    deny_all: bool = False  # nacm:default-deny-all here or above (RFC 8341 section 3.4.5)
    deny_write: bool = False  # nacm:default-deny-write or default-deny-all, here or above
    keys: tuple[str, ...] = ()
    defaults: tuple[str, ...] = ()
    type: LeafType | None = None
    cases: tuple[Case, ...] = ()  # outermost choice first
    whens: tuple[When, ...] = ()
    position: int = 0
    min_elements: int = 0
    max_elements: int | None = None
    children: dict[tuple[str, str], SchemaNode] = field(default_factory=dict)
    tags: dict[str, SchemaNode] = field(default_factory=dict)  # the children by "{namespace}name", as lxml has it
    key_nodes: tuple[SchemaNode, ...] = ()
    operations: dict[tuple[str, str], SchemaNode] = field(default_factory=dict)
    points: bool = False  # whether a value at or below the node may be an instance-identifier
    refers: frozenset[SchemaNode] = frozenset()  # of input, output, notification: top-level data referred to
    head: str = ""  # name, and the namespace where it is not the parent's: what stands in the start tag
    opening: str = ""  # the start tag of a leaf whose values need no namespace declarations; else empty
    closing: str = ""
    simple: bool = False  # a leaf without cases: bulk loads are made of these
    verbatim: bool = False  # values of the leaf or leaf-list are canonical as they come
    keeps_space: bool = False  # white space around a value may belong to it

    def complete(self) -> None:
        """Work out what depends on the rest of the tree: called once for each node, when all are made."""
        self.tags = {f"{{{namespace}}}{name}": child for (namespace, name), child in self.children.items()}
        parent = self.parent
        outermost = parent is None or parent.kind in _OUTERMOST
        inherited = not outermost and parent is not None and parent.module is self.module
        self.head = self.name if inherited else f'{self.name} xmlns="{self.module.namespace}"'
        self.closing = f"</{self.name}>"
        self.points = self.type is not None and self.type.points
        if self.points:
            above = parent
            while above is not None and not above.points:
                above.points = True
                above = above.parent
        if self.type is not None:
            self.opening = "" if self.type.prefixed else f"<{self.head}>"
            self.simple = self.kind is Kind.LEAF and not self.cases and not self.type.partial
            self.keeps_space = self.type.white_space_matters
            self.verbatim = self.type.lexical is Lexical.VERBATIM

    def __repr__(self) -> str:
        return f"<SchemaNode {self.path}>"

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
        """This node and all data nodes below it, parents first; not the actions and notifications."""
        yield self
        for node in self.children.values():
            yield from node.descendants()

    def everything(self) -> Iterator[SchemaNode]:
        """As ``descendants``, with the actions and notifications and what they hold."""
        yield self
        for node in (*self.children.values(), *self.operations.values()):
            yield from node.everything()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SchemaTree:
    """The whole served schema.

    ``data`` is the root above all top-level data nodes; ``rpcs`` and ``notifications`` are found by
    (namespace, name); ``modules`` by name, imports included.
    """

    data: SchemaNode
    rpcs: dict[tuple[str, str], SchemaNode]
    notifications: dict[tuple[str, str], SchemaNode]
    modules: dict[str, Module]
    others: tuple[Module, ...] = ()
    """Further revisions of modules, for those that import them by date; what they define is used, not served."""
    derived: dict[str, frozenset[str]] = field(default_factory=dict)
    """"module:name" of each identity to those that are derived from it, at any distance."""
    namespaces: dict[str, str] = field(init=False)
    """Module name to XML namespace, of every module."""
    _by_namespace: dict[str, Module] = field(init=False)

    def __post_init__(self) -> None:
        # Both are asked for once for each value that carries a prefix.
        object.__setattr__(self, "namespaces", {name: module.namespace for name, module in self.modules.items()})
        object.__setattr__(self, "_by_namespace", {module.namespace: module for module in self.modules.values()})

    def module_of_namespace(self, namespace: str) -> Module | None:
        """The module with that XML namespace."""
        return self._by_namespace.get(namespace)

    def operation(self, path: str) -> SchemaNode:
        """The rpc, action or notification at a schema path: ``/module:rpc``, ``/module:container/list/action``.

        KeyError when there is none.
        """
        above, _, step = path.rstrip("/").rpartition("/")
        prefix, _, name = step.rpartition(":")
        if above:
            node = self.find(above)
            found = node.operations.get((self.modules[prefix].namespace if prefix else node.namespace, name))
        elif prefix:
            key = (self.modules[prefix].namespace, name)
            found = self.rpcs.get(key) or self.notifications.get(key)
        else:
            found = None
        if found is None:
            raise KeyError(path)
        return found

    def find(self, path: str) -> SchemaNode:
        """The data node at a schema path as ``SchemaNode.path`` writes it; KeyError when there is none."""
        node = self.data
        for step in path.strip("/").split("/"):
            prefix, _, name = step.rpartition(":")
            namespace = self.modules[prefix].namespace if prefix else node.module.namespace
            node = node.children[(namespace, name)]
        return node
