"""XML to ``EditNode``: what a client sent, matched with the schema, each violation noted.

Serves ``<edit-config>``, inline ``<config>``, rpc input and stored data alike.  Three steps: ``Decoder.decode``
matches elements with schema nodes; ``check_document`` writes what libyang is to check the types of;
``canonicalise`` gives each value its canonical form.  All violations are collected, none stops the walk
(RFC 7950 section 8.3.1; INTEROP decision 5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lxml import etree

from mlag_agent.errors import ErrorTag, InfoElement, RpcError
from mlag_agent.schema.nodes import Kind, Lexical, SchemaNode, SchemaTree
from mlag_agent.data.encode import leaf_element, open_tag
from mlag_agent.data.lexical import canonical_text
from mlag_agent.data.path import child_path
from mlag_agent.data.tree import Keys

__all__ = ["NETCONF_NS", "Decoder", "EditNode", "Insert", "Operation", "canonicalise", "check_document", "value_lookup"]

NETCONF_NS = "urn:ietf:params:xml:ns:netconf:base:1.0"
YANG_NS = "urn:ietf:params:xml:ns:yang:1"

# More violations than this in one request are not listed: the reply stays readable and bounded.
MAX_ERRORS = 100


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
    """One node of a payload.  ``value`` is raw until ``canonicalise`` has run; ``keys`` likewise."""

    __slots__ = ("children", "element", "insert", "keys", "operation", "parent", "plain", "schema", "value")

    def __init__(self, schema: SchemaNode, parent: EditNode | None) -> None:
        self.schema = schema
        self.parent = parent
        self.operation: Operation | None = None
        self.value: str | None = None
        self.keys: Keys = ()
        self.children: list[EditNode] = []
        self.insert: Insert | None = None
        self.element: etree._Element | None = None  # anydata and anyxml: the element itself
        self.plain = True  # neither operation nor insert here or below: the node can be built as it stands

    @property
    def path(self) -> str:
        """The instance path."""
        parent = self.parent
        keys = self.keys
        if self.schema.kind is Kind.LEAF_LIST and self.value is not None:
            keys = (self.value,)
        if parent is None:
            return child_path("", None, self.schema, keys)
        return child_path(parent.path, parent.schema, self.schema, keys)

    @property
    def deletes(self) -> bool:
        """Whether the node itself is to go."""
        return self.operation in (Operation.DELETE, Operation.REMOVE)


OnLeniency = Callable[[str], None]


class Decoder:
    """Matches elements with the schema.  ``strict``: nothing that RFC 6241 does not allow.

    ``on_leniency`` is called with a name for each leniency used (INTEROP decision 1).
    """

    def __init__(
        self, tree: SchemaTree, *, config_only: bool, strict: bool = False, on_leniency: OnLeniency | None = None
    ) -> None:
        self._tree = tree
        self._config_only = config_only
        self._strict = strict
        self._on_leniency = on_leniency or (lambda name: None)
        self.errors: list[RpcError] = []
        # Whether libyang can check the client's own text: no attribute, leniency or violation was met.
        self.verbatim = True

    def decode(self, elements: Iterable[etree._Element], parent: SchemaNode) -> list[EditNode]:
        """The payload below ``parent`` (the data root, or an rpc's input); violations go to ``errors``."""
        holder = EditNode(parent, None)
        self._children(elements, holder, top=True)
        return holder.children

    def _error(self, error: RpcError) -> None:
        self.verbatim = False
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(error)

    def _lenient(self, name: str) -> None:
        self.verbatim = False
        self._on_leniency(name)

    def _children(self, elements: Iterable[etree._Element], parent: EditNode, *, top: bool = False) -> None:
        owner = None if top else parent
        seen: set[SchemaNode] = set()
        tags = parent.schema.tags
        append = parent.children.append
        for element in elements:
            tag = element.tag
            schema = tags.get(tag)  # type: ignore[arg-type]  # a comment's tag is a function: no key
            if schema is None or (self._config_only and not schema.config):
                if not isinstance(tag, str):
                    continue
                schema = self._match(element, parent, top)
                if schema is None:
                    continue
            node = EditNode(schema, owner)
            if not self._fill(node, element):
                continue
            if schema.kind is not Kind.LIST and schema.kind is not Kind.LEAF_LIST:
                if schema in seen:
                    self._bad_element(node.path, schema.name, f"{schema.name} occurs twice in {_where(parent, top)}")
                    continue
                seen.add(schema)
            if schema.cases:
                self._check_cases(node, parent, top)
            append(node)
            if not node.plain:
                parent.plain = False

    def _match(self, element: etree._Element, parent: EditNode, top: bool) -> SchemaNode | None:
        name = etree.QName(element)
        schema = parent.schema
        if name.namespace is None or (name.namespace == NETCONF_NS and schema.module.namespace != NETCONF_NS):
            # The NETCONF namespace is that of a client library's own default declaration: no data node is in it.
            found = schema.child(name.localname)
            if found is None or self._strict:
                expected = found.namespace if found is not None else schema.namespace
                where = f'namespace "{name.namespace}"' if name.namespace else "no namespace"
                self._unknown(name, parent, top, f' in {where}; expected xmlns="{expected}"')
                return None
            self._lenient("element-without-namespace")
        else:
            found = schema.children.get((name.namespace, name.localname))
            if found is None:
                self._unknown(name, parent, top, "")
                return None
        if self._config_only and not found.config:
            self._error(
                RpcError(
                    ErrorTag.UNKNOWN_ELEMENT,
                    f"{found.path} is state (config false) and cannot be configured",
                    path=_path(parent, top),
                    info=(InfoElement("bad-element", found.name),),
                )
            )
            return None
        return found

    def _unknown(self, name: etree.QName, parent: EditNode, top: bool, note: str) -> None:
        info = [InfoElement("bad-element", name.localname)]
        known = sorted({node.name for node in parent.schema.children.values() if node.config or not self._config_only})
        if name.namespace is not None and self._tree.module_of_namespace(name.namespace) is None:
            served = ", ".join(sorted({m.namespace for m in self._tree.modules.values() if m.implemented}))
            info.append(InfoElement("bad-namespace", name.namespace))
            self._error(
                RpcError(
                    ErrorTag.UNKNOWN_NAMESPACE,
                    f'{name.localname}: no module has the namespace "{name.namespace}"; this server knows {served}',
                    path=_path(parent, top),
                    info=tuple(info),
                )
            )
            return
        where = f' in namespace "{name.namespace}"' if name.namespace and not note else ""
        hint = f"; known there: {', '.join(known)}" if known else ""
        self._error(
            RpcError(
                ErrorTag.UNKNOWN_ELEMENT,
                f"{_where(parent, top)} has no node {name.localname}{where}{note}{hint}",
                path=_path(parent, top),
                info=tuple(info),
            )
        )

    def _fill(self, node: EditNode, element: etree._Element) -> bool:
        """Attributes, content and keys; False when the node cannot be used."""
        schema = node.schema
        kind = schema.kind
        if kind is Kind.LIST:
            self._raw_keys(node, element)
        if kind is Kind.ANY:
            node.element = element
            return not element.attrib or self._attributes(node, element, only_known=False)
        if element.attrib and not self._attributes(node, element):
            return False
        if kind is Kind.LEAF or kind is Kind.LEAF_LIST:
            if len(element):
                self._bad_element(node.path, schema.name, f"{schema.path} is a {_word(schema)} and holds no elements")
                return False
            node.value = self._value(schema, element)
            return True
        text = element.text
        if (text and not text.isspace()) or any(
            (tail := child.tail) is not None and not tail.isspace() for child in element if child.tail
        ):
            self._bad_element(node.path, schema.name, f"{schema.path} is a {_word(schema)} and holds no text")
            return False
        self._children(element, node)
        return kind is not Kind.LIST or self._keys(node)

    @staticmethod
    def _raw_keys(node: EditNode, element: etree._Element) -> None:
        """The keys as they stand, so that errors below the entry have a path before all of it is read."""
        keys = []
        for key in node.schema.key_nodes:
            found = element.find(f"{{{key.namespace}}}{key.name}")
            if found is None:
                found = element.find(key.name)
            if found is None:
                return
            keys.append((found.text or "").strip())
        node.keys = tuple(keys)

    def _value(self, schema: SchemaNode, element: etree._Element) -> str:
        value = element.text or ""
        assert schema.type is not None
        if schema.type.prefixed:
            return self._module_names(value.strip(), element, schema)
        if schema.type.base not in ("string", "leafref", "union"):
            value = value.strip()
        return value

    def _module_names(self, value: str, element: etree._Element, schema: SchemaNode) -> str:
        """Prefixes of a value, bound by the element's namespaces, written as module names."""

        def resolve(match: re.Match[str]) -> str:
            namespace = element.nsmap.get(match[1])
            module = self._tree.module_of_namespace(namespace) if namespace else None
            return f"{module.name}:" if module is not None else match[0]

        if ":" in value:
            return re.sub(r"([A-Za-z_][\w.-]*):(?=[A-Za-z_*])", resolve, value)
        if schema.type is not None and schema.type.lexical is Lexical.IDENTITY and value:
            # Without a prefix the identity is of the default namespace (RFC 7950 section 9.10.3).
            module = self._tree.module_of_namespace(element.nsmap.get(None) or "")
            return f"{module.name}:{value}" if module is not None else value
        return value

    def _keys(self, node: EditNode) -> bool:
        """Key values of a list entry; ``missing-element`` for each that is not there (RFC 7950 section 8.3.1)."""
        present = {child.schema: child for child in node.children}
        missing = [key.name for key in node.schema.key_nodes if key not in present]
        for name in missing:
            self._error(
                RpcError(
                    ErrorTag.MISSING_ELEMENT,
                    f"an entry of {node.schema.path} needs its key {name}",
                    path=node.path,
                    info=(InfoElement("bad-element", name),),
                )
            )
        if missing:
            return False
        node.keys = tuple(present[key].value or "" for key in node.schema.key_nodes)
        return True

    def _attributes(self, node: EditNode, element: etree._Element, *, only_known: bool = True) -> bool:
        self.verbatim = False
        insert: dict[str, str] = {}
        for raw, value in element.attrib.items():
            name = etree.QName(str(raw))
            text = str(value)
            if name.localname == "operation" and name.namespace in (NETCONF_NS, None) and self._config_only:
                if not self._operation(node, name, text):
                    return False
            elif name.namespace == YANG_NS and name.localname in ("insert", "key", "value") and self._config_only:
                insert[name.localname] = text
            elif only_known and name.namespace != "http://www.w3.org/XML/1998/namespace":
                self._bad_attribute(node, ErrorTag.UNKNOWN_ATTRIBUTE, name.localname, f"unknown attribute {raw!s}")
                return False
        return self._insert(node, element, insert) if insert else True

    def _operation(self, node: EditNode, name: etree.QName, text: str) -> bool:
        if name.namespace is None:
            if self._strict:
                words = f'the attribute operation needs the namespace "{NETCONF_NS}"'
                self._bad_attribute(node, ErrorTag.UNKNOWN_ATTRIBUTE, "operation", words)
                return False
            self._lenient("operation-without-namespace")
        if text not in Operation._value2member_map_ or text == Operation.NONE:
            words = f'operation "{text}" must be one of merge, replace, create, delete, remove'
            self._bad_attribute(node, ErrorTag.BAD_ATTRIBUTE, "operation", words)
            return False
        node.operation = Operation(text)
        node.plain = False
        return True

    def _insert(self, node: EditNode, element: etree._Element, given: Mapping[str, str]) -> bool:
        schema = node.schema
        node.plain = False
        where = given.get("insert")
        if where not in ("first", "last", "before", "after") or not (schema.user_ordered and schema.config):
            words = "insert must be first, last, before or after, on a list or leaf-list that is ordered by the user"
            self._bad_attribute(node, ErrorTag.BAD_ATTRIBUTE, "insert", words)
            return False
        if where in ("first", "last"):
            node.insert = Insert(where, None)
            return True
        name = "key" if schema.kind is Kind.LIST else "value"
        text = given.get(name)
        if text is None:
            self._bad_attribute(node, ErrorTag.MISSING_ATTRIBUTE, name, f'insert="{where}" needs the attribute {name}')
            return False
        if name == "value":
            node.insert = Insert(where, (text,))
            return True
        predicates = dict(re.findall(r"\[\s*(?:[\w.-]+:)?([\w.-]+)\s*=\s*(?:'([^']*)'|\"[^\"]*\")\s*\]", text))
        doubles = dict(re.findall(r"\[\s*(?:[\w.-]+:)?([\w.-]+)\s*=\s*\"([^\"]*)\"\s*\]", text))
        values = {**predicates, **doubles}
        if set(values) != set(schema.keys):
            words = f"key={text!r} must give a predicate for each of {', '.join(schema.keys)}"
            self._bad_attribute(node, ErrorTag.BAD_ATTRIBUTE, "key", words)
            return False
        node.insert = Insert(where, tuple(values[key] for key in schema.keys))
        return True

    def _check_cases(self, node: EditNode, parent: EditNode, top: bool) -> None:
        """Data of two cases of one choice in one payload (RFC 7950 section 8.3.1: bad-element)."""
        if not node.schema.cases or node.deletes:
            return
        mine = {case.choice: case.name for case in node.schema.cases}
        for other in parent.children:
            for case in other.schema.cases:
                if not other.deletes and mine.get(case.choice, case.name) != case.name:
                    words = (
                        f"{node.schema.name} and {other.schema.name} are of different cases of the choice"
                        f" {case.choice.name}; only one of them can be there"
                    )
                    self._bad_element(_path(parent, top) or "/", node.schema.name, words)
                    return

    def _bad_element(self, path: str, name: str, words: str) -> None:
        self._error(RpcError(ErrorTag.BAD_ELEMENT, words, path=path, info=(InfoElement("bad-element", name),)))

    def _bad_attribute(self, node: EditNode, tag: ErrorTag, attribute: str, words: str) -> None:
        info = (InfoElement("bad-attribute", attribute), InfoElement("bad-element", node.schema.name))
        parent = node.parent
        self._error(RpcError(tag, f"{node.schema.path}: {words}", path=parent.path if parent else None, info=info))


def _word(schema: SchemaNode) -> str:
    return schema.kind.name.lower().replace("_", "-")


def _path(parent: EditNode, top: bool) -> str | None:
    return None if top else parent.path


def _where(parent: EditNode, top: bool) -> str:
    if not top:
        return parent.schema.path
    return "the datastore" if parent.schema.kind is Kind.ROOT else parent.schema.path


def self_contained(element: etree._Element) -> bytes:
    """The element in exclusive canonical form: every namespace it uses is declared on it."""
    text = etree.tostring(element, method="c14n", exclusive=True, with_comments=False, with_tail=False)
    assert isinstance(text, bytes)
    return text


# --- types --------------------------------------------------------------------------------------------------


def check_document(nodes: Sequence[EditNode], namespaces: Mapping[str, str]) -> str:
    """The payload as libyang is to check it: without operations, without leafs that go, without any-data."""
    out: list[str] = []
    for node in nodes:
        _check(node, namespaces, out)
    return "".join(out)


def _check(node: EditNode, namespaces: Mapping[str, str], out: list[str]) -> None:
    schema = node.schema
    if node.value is not None:
        if not (node.deletes and schema.kind is Kind.LEAF):
            out.append(leaf_element(schema, node.value, namespaces))
        return
    if schema.kind is Kind.ANY:
        out.append(f"<{open_tag(schema)}/>")  # that it is there may matter (a mandatory choice), what it holds not
        return
    out.append(f"<{open_tag(schema)}>")
    for child in node.children:
        _check(child, namespaces, out)
    out.append(f"</{schema.name}>")


class Canonical(Protocol):
    """What ``canonicalise`` asks of ``schema.engine``."""

    def canonical(self, node: SchemaNode, value: str, path: str, /) -> str: ...


def canonicalise(
    nodes: Iterable[EditNode], engine: Canonical, transforms: Mapping[SchemaNode, Callable[[str], str]]
) -> None:
    """Values and keys into canonical form, in place; ``transforms`` then seal secrets.

    Only for a payload that ``SchemaEngine.check_payload`` has let pass.
    """
    for node in nodes:
        schema = node.schema
        if node.value is not None:
            if node.deletes and schema.kind is Kind.LEAF:
                continue
            node.value = _canonical_value(schema, node.value, node, engine)
            transform = transforms.get(schema) if transforms else None
            if transform is not None:
                node.value = transform(node.value)
            if node.insert is not None and node.insert.reference is not None:
                reference = _canonical_value(schema, node.insert.reference[0], node, engine)
                node.insert = Insert(node.insert.where, (reference,))
            continue
        if node.children:
            canonicalise(node.children, engine, transforms)
        if schema.kind is Kind.LIST:
            present = {child.schema: child.value or "" for child in node.children}
            node.keys = tuple(present[key] for key in schema.key_nodes)
            if node.insert is not None and node.insert.reference is not None:
                pairs = zip(schema.key_nodes, node.insert.reference, strict=True)
                reference_keys = tuple(_canonical_value(key, value, node, engine) for key, value in pairs)
                node.insert = Insert(node.insert.where, reference_keys)


def _canonical_value(schema: SchemaNode, value: str, node: EditNode, engine: Canonical) -> str:
    assert schema.type is not None
    found = canonical_text(schema.type, value)
    if found is not None:
        return found
    path = node.path if node.schema is schema else f"{node.path}/{schema.name}"
    return engine.canonical(schema, value, path)


def value_lookup(nodes: Sequence[EditNode]) -> Callable[[str], tuple[SchemaNode, str | None, str] | None]:
    """Instance path to node, raw value and full path, for the messages of ``check_payload``.

    libyang cannot name the ancestors of a node whose list entry has a bad key; such a path is matched by the
    names at its end.  The index is made on first use: most payloads are right.
    """
    index: dict[str, EditNode] = {}
    names: dict[str, EditNode] = {}

    def fill(some: Iterable[EditNode]) -> None:
        for node in some:
            path = node.path
            index.setdefault(path, node)
            names.setdefault(_bare(path), node)
            fill(node.children)

    def lookup(path: str) -> tuple[SchemaNode, str | None, str] | None:
        if not index:
            fill(nodes)
        node = index.get(path)
        if node is None:
            bare = _bare(path)
            node = names.get(bare) or next((n for name, n in names.items() if name.endswith(bare)), None)
        return None if node is None else (node.schema, node.value, node.path)

    return lookup


_NOT_A_NAME = re.compile(r"\[[^\[\]]*(?:'[^']*'|\"[^\"]*\")?\]|(?<=/)[\w.-]+:")


def _bare(path: str) -> str:
    """The path's names alone: no predicates, no module names."""
    return _NOT_A_NAME.sub("", path)
