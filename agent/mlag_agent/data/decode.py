"""XML to ``EditNode``: what a client sent, matched with the schema, each violation noted.

Serves ``<edit-config>``, inline ``<config>``, rpc input and stored data alike.  ``Decoder.decode`` matches elements
with schema nodes; types are then checked, and values made canonical, by what ``data.values`` gives.  All violations
are collected, none stops the walk (RFC 7950 section 8.3.1; INTEROP decision 5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from itertools import islice

from lxml import etree

from mlag_agent.data.edit_node import NETCONF_NS, YANG_NS, EditNode, Insert, Operation
from mlag_agent.data.encode import DEFAULT_NS
from mlag_agent.data.path import key_predicates
from mlag_agent.errors import ErrorTag, InfoElement, RpcError
from mlag_agent.schema.nodes import Choice, Kind, LeafType, Module, SchemaNode, SchemaTree
from mlag_agent.schema.violations import MAX_ERRORS, describe, more_errors

__all__ = ["BATCH", "NETCONF_NS", "YANG_NS", "Decoder", "EditNode", "Insert", "OnLeniency", "Operation"]

_WHITE_SPACE = " \t\r\n"

BATCH = 512
"""Elements that are read in one step: a few milliseconds."""

# Text beside elements: asked of libxml2 once for a payload, in which it hardly ever is.
FEW = 8
"""Elements that are sooner looked through here than by libxml2."""

_MIXED = etree.XPath("boolean(descendant-or-self::*[*]/text()[normalize-space()])")

OnLeniency = Callable[[str], None]


class _Met:
    """What was met among the children of one node: nodes that may occur once, and cases."""

    __slots__ = ("chosen", "seen")

    def __init__(self) -> None:
        self.seen: set[SchemaNode] = set()
        self.chosen: dict[Choice, tuple[str, SchemaNode]] = {}


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
        self.on_leniency = on_leniency or (lambda name: None)
        self._found: list[RpcError] = []
        self._count = 0
        self._mixed = False
        # Whether libyang can check the client's own text: no attribute, leniency or violation was met.
        self.verbatim = True
        self.long: list[tuple[EditNode, etree._Element]] | None = None
        """Containers with more than ``BATCH`` children, with their elements; None: they are read as all others."""

    def decode(
        self, elements: Iterable[etree._Element], parent: SchemaNode, holder: EditNode | None = None
    ) -> list[EditNode]:
        """The payload below ``parent`` (the data root, or an rpc's input); violations go to ``errors``.

        ``holder``: the node of ``parent`` that the nodes are put into, whose place their paths begin with.
        """
        elements = list(elements)
        self._look_for_text(elements, parent)
        if holder is not None:
            self._children(elements, holder)
            return holder.children
        root = EditNode(parent, None)
        self._children(elements, root, top=True)
        return root.children

    def steps(self, elements: Sequence[etree._Element], parent: SchemaNode) -> Generator[None, None, list[EditNode]]:
        """As ``decode``, a batch of elements at a time; containers with more than that are put into ``long``."""
        self.long = []
        self._look_for_text(elements, parent)
        yield  # 30 ms have passed for 50,000 entries
        root = EditNode(parent, None)
        yield from self._batches(elements, root, top=True)
        for node, element in self.long:  # which may add some
            yield from self._batches(element, node)
            above = None if node.plain else node.parent
            while above is not None:
                above.plain = False
                above = above.parent
        return root.children

    def _batches(
        self, elements: Iterable[etree._Element], parent: EditNode, *, top: bool = False
    ) -> Generator[None, None, None]:
        met = _Met()
        rows = iter(elements)
        while batch := list(islice(rows, BATCH)):
            self._children(batch, parent, top=top, met=met)
            yield

    def _look_for_text(self, elements: Iterable[etree._Element], parent: SchemaNode) -> None:
        """Whether text stands beside elements; not in what no schema describes."""
        tags = parent.tags
        for element in elements:
            schema = tags.get(element.tag)
            if (schema is None or schema.kind is not Kind.ANY) and _is_mixed(element):
                self._mixed = True
                return
        self._mixed = False

    @property
    def errors(self) -> list[RpcError]:
        """The violations, the last place taken by the number of those that are not listed."""
        unlisted = self._count - len(self._found)
        return [*self._found, more_errors(unlisted, self._found[-1])] if unlisted else list(self._found)

    def _error(self, error: RpcError) -> None:
        self.verbatim = False
        self._count += 1
        if len(self._found) < MAX_ERRORS:
            self._found.append(error)

    def _lenient(self, name: str) -> None:
        self.verbatim = False
        self.on_leniency(name)

    def _children(
        self, elements: Iterable[etree._Element], parent: EditNode, *, top: bool = False, met: _Met | None = None
    ) -> None:
        owner = None if top else parent
        met = met or _Met()
        seen, chosen = met.seen, met.chosen
        tags = parent.schema.tags
        append = parent.children.append
        for element in elements:
            tag = element.tag
            schema = tags.get(tag)
            if schema is None or (self._config_only and not schema.config):
                schema = self._match(element, parent, top)
                if schema is None:
                    continue
            node = EditNode(schema, owner)
            if not (schema.kind is Kind.LIST and self._entry_of_leafs(node, element)) and not self._fill(node, element):
                continue
            if schema.kind is not Kind.LIST and schema.kind is not Kind.LEAF_LIST:
                if schema in seen:
                    self._bad_element(node.path, schema.name, f"{schema.name} occurs twice in {_where(parent, top)}")
                    continue
                seen.add(schema)
            if schema.cases and not node.deletes and not self._fits(node, chosen, parent, top):
                continue
            append(node)
            if not node.plain:
                parent.plain = False

    def _entry_of_leafs(self, node: EditNode, element: etree._Element) -> bool:
        """The quick way for the entries that bulk loads are made of: leafs without attributes.

        False, with nothing done, for every other entry; the general way then finds what is wrong, if anything is.
        """
        if self._mixed or element.attrib:
            return False
        schema = node.schema
        tags = schema.tags
        config_only = self._config_only
        leafs: dict[SchemaNode, str] = {}
        for child in element:
            leaf = tags.get(child.tag)
            if leaf is None or not leaf.simple or leaf in leafs or len(child) or child.attrib:
                return False
            if config_only and not leaf.config:
                return False
            value = child.text or ""
            leafs[leaf] = value if leaf.keeps_space and leaf.opening else self._value(leaf, child, value)
        try:
            node.keys = tuple([leafs[key] for key in schema.key_nodes])
        except KeyError:
            return False
        if len(node.keys) > 1 and tuple(leaf for leaf in leafs if leaf in schema.key_nodes) != schema.key_nodes:
            return False
        node.leafs = leafs
        return True

    def _match(self, element: etree._Element, parent: EditNode, top: bool) -> SchemaNode | None:
        name = etree.QName(element)
        schema = parent.schema
        if name.namespace in (None, YANG_NS) or (
            name.namespace == NETCONF_NS and schema.module.namespace != NETCONF_NS
        ):
            # The namespaces of <rpc> and <action> are those of the client's own default declaration there: no data
            # node is in them.
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
            node.value = self._value(schema, element, element.text or "")
            if not self._config_only:
                node.element = element  # an expression among an rpc's parameters needs the namespaces in scope
            return schema.type is None or node.value not in schema.type.partial or self._partial(node)
        if (self._mixed or not len(element)) and _has_text(element):
            self._bad_element(node.path, schema.name, f"{schema.path} is a {_word(schema)} and holds no text")
            return False
        if kind is Kind.CONTAINER and self.long is not None and len(element) > BATCH:
            self.long.append((node, element))
            return True
        self._children(element, node)
        return kind is not Kind.LIST or self._keys(node)

    def _partial(self, node: EditNode) -> bool:
        """An identity that is derived from one of several bases only (RFC 7950 section 9.10.2)."""
        assert node.schema.type is not None
        if node.deletes and node.schema.kind is Kind.LEAF:
            return True
        words = f"{describe(node.schema, node.value)}: must be {node.schema.type.allows}"
        self._error(RpcError(ErrorTag.INVALID_VALUE, words, path=node.path))
        return False

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

    def _value(self, schema: SchemaNode, element: etree._Element, value: str) -> str:
        """The value without white space around it where none can belong to it, prefixes as module names."""
        if not schema.keeps_space:
            stripped = value.strip(_WHITE_SPACE)
            if stripped != value and not self._strict:
                # Of the types, libyang itself allows this for numbers and bits alone.
                self._lenient("white-space-around-value")
                value = stripped
        return value if schema.opening else self._module_names(value, element, schema)

    def _module_names(self, value: str, element: etree._Element, schema: SchemaNode) -> str:
        """Prefixes of a value, bound by the element's namespaces, written as module names."""
        kind = schema.type
        assert kind is not None
        if ":" not in value:
            return self._unprefixed(value, element, schema) if kind.base == "identityref" and value else value
        scope = element.nsmap
        if kind.base == "identityref":
            prefix, _, name = value.partition(":")
            its = self._tree.module_of_namespace(scope.get(prefix) or "")
            return f"{its.name}:{name}" if its is not None else value

        def resolve(match: re.Match[str]) -> str:
            if match["prefix"] is None:
                return match[0]
            module = self._tree.module_of_namespace(scope.get(match["prefix"]) or "")
            return f"{module.name}:" if module is not None else match[0]

        named = _PREFIX.sub(resolve, value)
        return named if kind.base != "union" or _takes(kind, named) else value

    def _unprefixed(self, value: str, element: etree._Element, schema: SchemaNode) -> str:
        """Without a prefix the identity is of the default namespace (RFC 7950 section 9.10.3)."""
        namespace = element.nsmap.get(None)
        if namespace in (None, NETCONF_NS) and not self._strict:
            module: Module | None = schema.module
            self._lenient("identity-without-namespace")
        else:
            module = self._tree.module_of_namespace(namespace or "")
        return f"{module.name}:{value}" if module is not None else value

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
        keys = [present[key] for key in node.schema.key_nodes]
        if len(keys) > 1 and [child for child in node.children if child in keys] != keys:
            if self._strict:
                order = ", ".join(node.schema.keys)
                words = f"the keys of {node.schema.path} must come in the order {order} (RFC 7950 section 7.8.5)"
                self._bad_element(node.path, keys[0].schema.name, words)
                return False
            self._lenient("keys-out-of-order")
            node.keep([*keys, *(child for child in node.children if child not in keys)])
        node.keys = tuple(key.value or "" for key in keys)
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
            elif name.namespace == DEFAULT_NS and name.localname == "default" and self._config_only:
                if not self._default(node, text):
                    return False
            elif only_known and name.namespace != "http://www.w3.org/XML/1998/namespace":
                self._bad_attribute(node, ErrorTag.UNKNOWN_ATTRIBUTE, name.localname, f"unknown attribute {raw!s}")
                return False
        return self._insert(node, element, insert) if insert else True

    def _default(self, node: EditNode, text: str) -> bool:
        """The attribute of default data (RFC 6243 section 6)."""
        if text not in ("true", "1", "false", "0") or node.schema.type is None:
            words = f'default="{text}" must be true or false, on a leaf or leaf-list'
            self._bad_attribute(node, ErrorTag.BAD_ATTRIBUTE, "default", words)
            return False
        if text in ("true", "1"):
            node.is_default = True
            node.plain = False
        return True

    def _operation(self, node: EditNode, name: etree.QName, text: str) -> bool:
        if not name.namespace:
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
            node.insert = Insert(where, (self._value(schema, element, text),))
            return True
        values = key_predicates(text)
        if values is None or set(values) != set(schema.keys):
            words = f"key={text!r} must give a predicate for each of {', '.join(schema.keys)}"
            self._bad_attribute(node, ErrorTag.BAD_ATTRIBUTE, "key", words)
            return False
        node.insert = Insert(where, tuple(self._value(key, element, values[key.name]) for key in schema.key_nodes))
        return True

    def _fits(self, node: EditNode, chosen: dict[Choice, tuple[str, SchemaNode]], parent: EditNode, top: bool) -> bool:
        """Whether no other case of its choices is in the payload (RFC 7950 section 8.3.1: bad-element)."""
        for case in node.schema.cases:
            name, other = chosen.setdefault(case.choice, (case.name, node.schema))
            if name != case.name:
                words = (
                    f"{node.schema.name} and {other.name} are of different cases of the choice"
                    f" {case.choice.name}; only one of them can be there"
                )
                self._bad_element(_path(parent, top) or "/", node.schema.name, words)
                return False
        return True

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


def _is_mixed(element: etree._Element) -> bool:
    """Whether text stands beside elements, here or below; for a parameter of an rpc without the cost of XPath."""
    if len(element) > FEW or any(map(len, element)):
        return bool(_MIXED(element))
    return len(element) > 0 and _has_text(element)


def _has_text(element: etree._Element) -> bool:
    text = element.text
    if text and not text.isspace():
        return True
    for child in element:
        text = child.tail
        if text and not text.isspace():
            return True
    return False


_PREFIX = re.compile(r"'[^']*'|\"[^\"]*\"|(?P<prefix>[A-Za-z_][\w.-]*):(?=[A-Za-z_*])")


def _takes(union: LeafType, value: str) -> bool:
    """Whether a member with module names in its values would take this one; else it is a string as it stands."""
    return any(
        _takes(member, value)
        or value in member.identities
        or (member.base == "instance-identifier" and value.startswith("/"))
        for member in union.members
    )
