"""Frozen tree to XML bytes (RFC 7950 section 7: the XML encoding rules of each statement).

The bytes of equal data are equal: schema order, no white space, no prefixes but the module names that values
of identityref and instance-identifier carry.  Those of a list's chunk are cached on the chunk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mlag_agent.data.tree import AnyData, Chunk, Container, Default, LeafList, ListNode, Node
from mlag_agent.schema.nodes import SchemaNode

__all__ = [
    "DEFAULT_NS",
    "Encoder",
    "encode",
    "encode_children",
    "escape",
    "leaf_element",
    "prefix_declarations",
    "tag",
]

_SPECIAL = re.compile(r"[&<>\r]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_MODULE_PREFIX = re.compile(r"([A-Za-z_][\w.-]*):(?=[A-Za-z_*])")


def escape(text: str) -> str:
    """Character data for an element's content."""
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], text) if _SPECIAL.search(text) else text


def prefix_declarations(value: str, namespaces: Mapping[str, str]) -> str:
    """``xmlns`` attributes for the module names that stand as prefixes in a value or path."""
    names = sorted({name for name in _MODULE_PREFIX.findall(value) if name in namespaces})
    return "".join(f' xmlns:{name}="{namespaces[name]}"' for name in names)


def leaf_element(node: SchemaNode, value: str, namespaces: Mapping[str, str], attributes: str = "") -> str:
    """One leaf or leaf-list value as an element."""
    if node.opening and not attributes:
        if not value:
            return f"<{node.head}/>"
        return f"{node.opening}{escape(value)}{node.closing}"
    head = node.head + attributes
    if node.type is not None and node.type.prefixed:
        head += prefix_declarations(value, namespaces)
    return f"<{head}>{escape(value)}{node.closing}" if value else f"<{head}/>"


DEFAULT_NS = "urn:ietf:params:xml:ns:netconf:default:1.0"
_TAG = f' xmlns:wd="{DEFAULT_NS}" wd:default="true"'


def tag(value: str) -> str:
    """The attribute of default data (RFC 6243 section 6)."""
    return _TAG if isinstance(value, Default) else ""


class Encoder:
    """Writes trees; ``namespaces`` maps module names to XML namespaces."""

    def __init__(self, namespaces: Mapping[str, str]) -> None:
        self._namespaces = namespaces
        # Elements of leafs with module names in their values, which are mostly a few identities many times.
        self._prefixed: dict[tuple[SchemaNode, str], str] = {}

    def _leaf(self, node: SchemaNode, value: str) -> str:
        if node.opening:
            return leaf_element(node, value, self._namespaces)
        made = self._prefixed.get((node, value))
        if made is None:
            made = self._prefixed[(node, value)] = leaf_element(node, value, self._namespaces)
        return made

    def node(self, schema: SchemaNode, value: Node, out: list[bytes]) -> None:
        """The element or elements of one child."""
        if isinstance(value, str):
            out.append(leaf_element(schema, value, self._namespaces, tag(value)).encode())
        elif isinstance(value, Container):
            self.container(value, out)
        elif isinstance(value, ListNode):
            out.extend(map(self.chunk, value.chunks))
        elif isinstance(value, LeafList):
            out.extend(leaf_element(schema, item, self._namespaces, tag(item)).encode() for item in value.values)
        else:
            assert isinstance(value, AnyData)
            out.append(value.xml)

    def chunk(self, chunk: Chunk) -> bytes:
        """All entries of a chunk."""
        if chunk.xml is None:
            out: list[bytes] = []
            for entry in chunk.entries:
                self.container(entry, out)
            chunk.xml = b"".join(out)
        return chunk.xml

    def container(self, value: Container, out: list[bytes]) -> None:
        """A container or list entry."""
        schema = value.schema
        children = value._children  # without a read-only view for each entry of a long list
        if not children:
            out.append(f"<{schema.head}/>".encode())
            return
        parts = [f"<{schema.head}>"]
        special = _SPECIAL.search
        for node, child in children.items():
            if type(child) is str:
                if child and node.opening and not special(child):
                    # leaf_element, without a call for each of what may be a million leafs.
                    parts += (node.opening, child, node.closing)
                else:
                    parts.append(self._leaf(node, child))
                continue
            out.append("".join(parts).encode())
            parts.clear()
            self.node(node, child, out)
        parts.append(schema.closing)
        out.append("".join(parts).encode())


def encode_children(root: Container, namespaces: Mapping[str, str]) -> bytes:
    """The children of a root, as they stand in ``<data>`` or ``<config>``."""
    out: list[bytes] = []
    encoder = Encoder(namespaces)
    for node, value in root.children.items():
        encoder.node(node, value, out)
    return b"".join(out)


def encode(nodes: Iterable[tuple[SchemaNode, Node]], namespaces: Mapping[str, str]) -> bytes:
    """Some nodes, in the order given."""
    out: list[bytes] = []
    encoder = Encoder(namespaces)
    for node, value in nodes:
        encoder.node(node, value, out)
    return b"".join(out)
