"""anydata and anyxml: XML whose schema the server does not know, kept so that it means the same wherever it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy

from lxml import etree

from mlag_agent.data.edit_node import NETCONF_NS, YANG_NS
from mlag_agent.data.tree import AnyData
from mlag_agent.schema.nodes import SchemaNode

__all__ = ["select_within", "stored_form"]

# What could be the prefix of a QName in content, such as the value of an identityref.
_PREFIX = re.compile(r"([A-Za-z_][\w.-]*):")


def stored_form(element: etree._Element, schema: SchemaNode) -> bytes:
    """The element in exclusive canonical form: every namespace that it uses, be it in a value, is declared on it.

    Attributes of the edit (operation, insert, ...) on the element itself are no part of the data.
    """
    used = _prefixes(element)
    scope: dict[str | None, str] = {prefix: uri for prefix, uri in element.nsmap.items() if prefix in used}
    scope[None] = schema.namespace
    # A client that leaves namespaces out, or gives that of the message, means the schema's.
    copy = etree.Element(f"{{{schema.namespace}}}{schema.name}", nsmap=scope)  # type: ignore[arg-type]  # the stubs know no default
    for name, value in element.attrib.items():
        if name != "operation" and etree.QName(str(name)).namespace not in (NETCONF_NS, YANG_NS):
            copy.set(name, value)
    copy.text = element.text
    copy.extend(deepcopy(child) for child in element)
    text = etree.tostring(
        copy, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=sorted(filter(None, scope))
    )
    assert isinstance(text, bytes)
    return text


def _prefixes(element: etree._Element) -> set[str]:
    """What could be prefixes in the values at and below the element."""
    found: set[str] = set()
    for node in element.iter():
        for text in (node.text, node.tail, *map(str, node.attrib.values())):
            if text and ":" in text:
                found.update(_PREFIX.findall(text))
    return found


# --- subtree filters on XML -----------------------------------------------------------------------------------


def select_within(data: AnyData, filters: Sequence[etree._Element]) -> AnyData | None:
    """What filter elements for the node select of it (RFC 6241 section 6, on elements: there is no schema)."""
    element = etree.fromstring(data.xml, _PARSER)
    parts = [part for wanted in filters if (part := _selected(element, wanted)) is not None]
    if not parts:
        return None
    # Several filter elements for one opaque node: its content cannot be merged without a schema, so all is given.
    return AnyData(data.schema, stored_form(parts[0], data.schema)) if len(parts) == 1 else data


_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


def _matches(element: etree._Element, wanted: etree._Element) -> bool:
    """Name, namespace (none: any, RFC 6241 section 6.2.1) and attributes (section 6.2.2)."""
    mine, its = etree.QName(element), etree.QName(wanted)
    return (
        mine.localname == its.localname
        and its.namespace in (None, NETCONF_NS, mine.namespace)
        and all(element.get(str(name)) == value for name, value in wanted.attrib.items())
    )


def _selected(element: etree._Element, wanted: etree._Element) -> etree._Element | None:
    """A copy of the element with what is selected of it; None: nothing."""
    below = list(wanted)
    if not below:
        return deepcopy(element)
    contents = [w for w in below if not len(w) and (w.text or "").strip()]
    others = [w for w in below if w not in contents]
    kept: dict[etree._Element, etree._Element] = {}
    for content in contents:
        text = (content.text or "").strip()
        found = [c for c in element if _matches(c, content) and not len(c) and (c.text or "").strip() == text]
        if not found:
            return None
        kept.update((child, deepcopy(child)) for child in found)
    if not others:
        return deepcopy(element)
    for child in element:
        for other in others:
            if child not in kept and _matches(child, other) and (part := _selected(child, other)) is not None:
                kept[child] = part
    if not kept:
        return None
    copy = deepcopy(element)
    copy.text = None
    for child in list(copy):
        copy.remove(child)
    copy.extend(kept[child] for child in element if child in kept)
    return copy
