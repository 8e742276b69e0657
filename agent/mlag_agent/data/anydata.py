"""anydata and anyxml: XML whose schema the server does not know, kept so that it means the same wherever it stands."""

from __future__ import annotations

import re
from copy import deepcopy

from lxml import etree

from mlag_agent.schema.nodes import SchemaNode
from mlag_agent.data.edit_node import NETCONF_NS, YANG_NS

__all__ = ["stored_form"]

# What could be the prefix of a QName in content, such as the value of an identityref.
_PREFIX = re.compile(r"([A-Za-z_][\w.-]*):")


def stored_form(element: etree._Element, schema: SchemaNode) -> bytes:
    """The element in exclusive canonical form: every namespace that it uses, be it in a value, is declared on it.

    Attributes of the edit (operation, insert, ...) on the element itself are no part of the data.
    """
    scope = {prefix: namespace for prefix, namespace in element.nsmap.items() if prefix in _prefixes(element)}
    # A client that leaves namespaces out, or gives that of the message, means the schema's.
    copy = etree.Element(f"{{{schema.namespace}}}{schema.name}", nsmap=scope)
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
