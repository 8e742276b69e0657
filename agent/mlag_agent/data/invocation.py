"""An rpc, action or notification with what stands around it: matched with the schema, as nodes of a payload.

An rpc stands at the top; an action, and a notification of a data node, below the data nodes that lead to it, list
entries with their keys (RFC 7950 sections 7.15.2 and 7.16.2).  In the nodes made here they are one chain, from the
top-level one down; of an rpc and an action ``Kind.INPUT`` (or OUTPUT), which is no node of an instance, stands below
the operation and holds the parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from mlag_agent.data.build import Along, Selection
from mlag_agent.data.decode import NETCONF_NS, YANG_NS, Decoder, EditNode
from mlag_agent.data.encode import encode
from mlag_agent.data.path import child_path
from mlag_agent.data.tree import Container, Keys, ListNode, Node
from mlag_agent.data.values import check_document
from mlag_agent.errors import ErrorTag, InfoElement, RpcError, RpcFailure
from mlag_agent.schema.nodes import Kind, SchemaNode, SchemaTree
from mlag_agent.schema.operations import OUTPUT_SUFFIX

__all__ = ["Found", "Instance", "Invocation", "find_nested", "invocation_of", "missing_instance"]


@dataclass(frozen=True, slots=True)
class Instance:
    """The data node that an action or notification belongs to: each step's schema node and canonical keys."""

    steps: tuple[tuple[SchemaNode, Keys], ...]

    @classmethod
    def nowhere(cls, operation: SchemaNode) -> Instance | None:
        """For an action or nested notification whose place is not known: list entries without keys."""
        steps: list[tuple[SchemaNode, Keys]] = []
        node = operation.parent
        while node is not None and node.kind is not Kind.ROOT:
            steps.append((node, ()))
            node = node.parent
        return cls(tuple(reversed(steps))) if steps else None

    @property
    def path(self) -> str:
        """Instance path, ``/module:a/list[key='v']``."""
        path, above = "", None
        for node, keys in self.steps:
            path = child_path(path, above, node, keys)
            above = node
        return path

    @property
    def place(self) -> Mapping[SchemaNode, Keys]:
        """The keys of the list entries on the way."""
        return {node: keys for node, keys in self.steps if node.kind is Kind.LIST}

    @property
    def selection(self) -> Selection:
        """For state that is made only where it is wanted."""
        return Along(self.steps)

    def keys(self, name: str) -> Mapping[str, str]:
        """The keys of the innermost list entry of that name on the way; raises KeyError when there is none."""
        for node, keys in reversed(self.steps):
            if node.name == name and node.kind is Kind.LIST:
                return dict(zip(node.keys, keys, strict=True))
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Invocation:
    """``top``: the outermost node; ``operation``: the rpc, action or notification; ``holder``: of what it holds."""

    top: EditNode
    operation: EditNode
    holder: EditNode

    @property
    def schema(self) -> SchemaNode:
        """The schema node of the rpc, action or notification."""
        return self.operation.schema

    @property
    def instance(self) -> Instance | None:
        """Where an action or a nested notification stands; None for an rpc.  Canonical once the values are."""
        steps: list[tuple[SchemaNode, Keys]] = []
        node = self.operation.parent
        while node is not None:
            steps.append((node.schema, node.keys))
            node = node.parent
        return Instance(tuple(reversed(steps))) if steps else None

    def document(self, namespaces: Mapping[str, str], data: Container | None = None) -> str:
        """For the operations context, within ``data`` that it refers to, if that is needed."""
        if self.top is self.operation and data is None:
            return self._operation(namespaces)
        if data is None:
            return self._written(self.top, None, namespaces)
        top = self.top.schema
        around = encode(((node, value) for node, value in data.children.items() if node is not top), namespaces)
        here = data.get(top)
        if isinstance(here, ListNode):
            others, mine = _split(here, self.top.keys)
            return around.decode() + _encoded(others, namespaces) + self._written(self.top, mine, namespaces)
        return around.decode() + self._written(self.top, here, namespaces)

    def _operation(self, namespaces: Mapping[str, str]) -> str:
        schema = self.operation.schema
        body = check_document(self.holder.children, namespaces)
        if self.holder.schema.kind is not Kind.OUTPUT:
            return f"<{schema.head}>{body}{schema.closing}"
        name = schema.name + OUTPUT_SUFFIX
        return f"<{name}{schema.head.removeprefix(schema.name)}>{body}</{name}>"

    def _written(self, node: EditNode, here: Node | None, namespaces: Mapping[str, str]) -> str:
        if node is self.operation:
            return self._operation(namespaces)
        schema = node.schema
        below = next(child for child in node.children if child.schema not in schema.key_nodes)
        if not isinstance(here, Container):
            keys = check_document([child for child in node.children if child is not below], namespaces)
            return f"<{schema.head}>{keys}{self._written(below, None, namespaces)}{schema.closing}"
        rest = [(child, value) for child, value in here.children.items() if child is not below.schema]
        inner = here.get(below.schema)
        others = ""
        if isinstance(inner, ListNode):
            siblings, inner = _split(inner, below.keys)
            others = _encoded(siblings, namespaces)
        around = encode(rest, namespaces).decode()
        return f"<{schema.head}>{around}{others}{self._written(below, inner, namespaces)}{schema.closing}"


def _split(rows: ListNode, keys: Keys) -> tuple[list[Container], Container | None]:
    """The other entries, and the one with these keys."""
    mine = rows.get(keys)
    return [row for row in rows if row is not mine], mine


def _encoded(rows: Sequence[Container], namespaces: Mapping[str, str]) -> str:
    return encode(((row.schema, row) for row in rows), namespaces).decode()


def invocation_of(operation: SchemaNode, direction: Kind = Kind.INPUT, instance: Instance | None = None) -> Invocation:
    """An empty one: of a notification, or of the input or output of an rpc or action; ``instance``: where it stands."""
    parent: EditNode | None = None
    top: EditNode | None = None
    if instance is not None:
        for node, keys in instance.steps:
            parent = _entry(node, keys, parent)
            top = top or parent
    own = EditNode(operation, parent)
    if parent is not None:
        parent.children.append(own)
    return Invocation(top or own, own, _holder(own, direction))


def _holder(own: EditNode, direction: Kind) -> EditNode:
    """What holds the parameters of an rpc or action, made; a notification holds its own."""
    schema = own.schema
    if schema.kind is Kind.NOTIFICATION:
        return own
    # pyang gives every rpc and action both
    found = schema.children[(schema.module.namespace, "output" if direction is Kind.OUTPUT else "input")]
    holder = EditNode(found, own)
    own.children.append(holder)
    return holder


def _entry(node: SchemaNode, keys: Keys, parent: EditNode | None) -> EditNode:
    made = EditNode(node, parent)
    made.keys = keys
    for key, value in zip(node.key_nodes if keys else (), keys, strict=True):
        leaf = EditNode(key, made)
        leaf.value = value
        made.children.append(leaf)
    if parent is not None:
        parent.children.append(made)
    return made


@dataclass(frozen=True, slots=True)
class Found:
    """An action or notification, and the element that holds its parameters."""

    invocation: Invocation
    element: etree._Element


class _Finder:
    """Walks down to the one operation of ``kind``.  Errors end it, since what follows depends on each step."""

    def __init__(self, tree: SchemaTree, decoder: Decoder, kind: Kind, *, strict: bool) -> None:
        self._tree = tree
        self._decoder = decoder
        self._kind = kind
        self._strict = strict
        self._word = kind.name.lower()

    def walk(self, elements: Iterable[etree._Element], schema: SchemaNode, holder: EditNode | None) -> Found:
        """The elements below ``holder``, an instance of ``schema``."""
        keys: list[tuple[etree._Element, SchemaNode]] = []
        steps: list[tuple[etree._Element, SchemaNode]] = []
        for element in elements:
            found = self._match(element, schema, holder)
            (keys if found in schema.key_nodes else steps).append((element, found))
        if holder is not None:
            self._keys(holder, [element for element, _ in keys])
        if not steps:
            path = None if holder is None else holder.path
            words = f"no {self._word} is named" + (f" below {path}" if path else "") + self._known(schema)
            raise RpcFailure(RpcError(ErrorTag.MISSING_ELEMENT, words, path=path, info=(_bad(self._word),)))
        element, found = steps[0]
        if len(steps) > 1:
            name = etree.QName(steps[1][0]).localname
            words = f"only one {self._word} can be named at a time; {name} comes after {found.name}"
            raise RpcFailure(
                RpcError(ErrorTag.BAD_ELEMENT, words, path=None if holder is None else holder.path, info=(_bad(name),))
            )
        own = EditNode(found, holder)
        if holder is not None:
            holder.children.append(own)
        if found.kind is self._kind:
            return Found(_with_holder(own), element)
        _check_attributes(own, element)
        return self.walk(element, found, own)

    def _match(self, element: etree._Element, schema: SchemaNode, holder: EditNode | None) -> SchemaNode:
        name = etree.QName(element)
        nodes = {**schema.children, **schema.operations}
        found = nodes.get((name.namespace or "", name.localname))
        if found is None and name.namespace in (None, NETCONF_NS, YANG_NS) and not self._strict:
            alike = [node for (_, local), node in nodes.items() if local == name.localname]
            own = [node for node in alike if node.module is schema.module]
            found = own[0] if own else alike[0] if len(alike) == 1 else None
            if found is not None:
                self._decoder.on_leniency("element-without-namespace")
        on_the_way = found is not None and found.kind in (Kind.CONTAINER, Kind.LIST, self._kind)
        if found is not None and (on_the_way or found in schema.key_nodes):
            return found
        path = None if holder is None else holder.path
        info = [_bad(name.localname)]
        if found is not None:
            words = f"{found.path} is not on the way to an {self._word}; only the keys of list entries stand there"
            raise RpcFailure(RpcError(ErrorTag.BAD_ELEMENT, words, path=path, info=tuple(info)))
        namespace = name.namespace or ""
        if self._tree.module_of_namespace(namespace) is None:
            info.append(InfoElement("bad-namespace", namespace))
            words = f'{name.localname}: no module has the namespace "{namespace}"{self._known(schema)}'
            raise RpcFailure(RpcError(ErrorTag.UNKNOWN_NAMESPACE, words, path=path, info=tuple(info)))
        where = schema.path if holder is not None else "the datastore"
        words = f"{where} has no node {name.localname} in namespace {namespace}{self._known(schema)}"
        raise RpcFailure(RpcError(ErrorTag.UNKNOWN_ELEMENT, words, path=path, info=tuple(info)))

    def _known(self, schema: SchemaNode) -> str:
        names = sorted({node.name for node in schema.children.values() if _leads_to(node, self._kind)})
        names += sorted(node.name for node in schema.operations.values() if node.kind is self._kind)
        return f"; there: {', '.join(names)}" if names else f"; no {self._word} is below it"

    def _keys(self, holder: EditNode, elements: Sequence[etree._Element]) -> None:
        """The key leafs of a list entry; ``missing-element`` where there is none (RFC 7950 section 8.3.1)."""
        nodes = self._decoder.decode(elements, holder.schema, holder)
        if self._decoder.errors:
            raise RpcFailure(*self._decoder.errors)
        given = {node.schema: node.value or "" for node in nodes}
        missing = [key for key in holder.schema.key_nodes if key not in given]
        if missing:
            raise RpcFailure(
                *(
                    RpcError(
                        ErrorTag.MISSING_ELEMENT,
                        f"an entry of {holder.schema.path} needs its key {key.name}",
                        path=holder.path,
                        info=(_bad(key.name),),
                    )
                    for key in missing
                )
            )
        holder.keys = tuple(given[key] for key in holder.schema.key_nodes)
        holder.keep(sorted(holder.children, key=lambda node: node.schema.position))  # as libyang wants them


def _leads_to(node: SchemaNode, kind: Kind) -> bool:
    return any(below.kind is kind for each in node.descendants() for below in each.operations.values())


def _with_holder(own: EditNode) -> Invocation:
    top = own
    while top.parent is not None:
        top = top.parent
    return Invocation(top, own, _holder(own, Kind.INPUT))


def _check_attributes(node: EditNode, element: etree._Element) -> None:
    for raw in element.attrib:
        name = etree.QName(str(raw))
        if name.namespace != "http://www.w3.org/XML/1998/namespace":
            info = (InfoElement("bad-attribute", name.localname), InfoElement("bad-element", node.schema.name))
            words = f"{node.schema.path}: unknown attribute {raw!s}"
            raise RpcFailure(RpcError(ErrorTag.UNKNOWN_ATTRIBUTE, words, path=node.path, info=info))


def _bad(name: str) -> InfoElement:
    return InfoElement("bad-element", name)


def find_nested(
    elements: Iterable[etree._Element], tree: SchemaTree, decoder: Decoder, kind: Kind, *, strict: bool
) -> Found:
    """The action or notification of a data node below these top-level elements: exactly one.

    Raises RpcFailure: ``missing-element`` for none or for a key that is not there, ``bad-element`` for a second one
    (RFC 7950 section 7.15.2) or for what is not on the way to one, ``unknown-element``, ``unknown-namespace``.
    Keys are as they were sent until the values are canonical.
    """
    return _Finder(tree, decoder, kind, strict=strict).walk(elements, tree.data, None)


def missing_instance(root: Container, instance: Instance) -> str | None:
    """The path of the first node on the way that does not exist in ``root``; None when all do.

    A container without presence exists wherever its parent does (RFC 7950 section 7.5.1).
    """
    here: Node | None = root
    for number, (node, keys) in enumerate(instance.steps):
        here = here.get(node) if isinstance(here, Container) else None
        if node.kind is Kind.LIST:
            try:
                here = here.get(keys) if isinstance(here, ListNode) else None
            except ValueError:  # an integer key that is none
                here = None
        if here is None and (node.kind is Kind.LIST or node.presence):
            return Instance(instance.steps[: number + 1]).path
    return None
