"""Operational state from outside: kept by top-level node, merged over what the agent itself knows.

It may hold configuration nodes as well, as RFC 8342 section 5.3 has it of what the system itself creates or learns,
and entries that nobody has configured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lxml import etree

from mlag_agent.data.build import Selection, from_nodes, narrowed
from mlag_agent.data.decode import Decoder
from mlag_agent.data.tree import Container, Node
from mlag_agent.data.values import canonicalise, check_document, value_lookup
from mlag_agent.errors import ErrorTag, InfoElement, RpcError, RpcFailure
from mlag_agent.features.base import UNKNOWN, Agent, StatePart
from mlag_agent.schema.nodes import SchemaNode

__all__ = ["ORIGIN_NS", "Injected", "data_elements"]

ORIGIN_NS = "urn:ietf:params:xml:ns:yang:ietf-origin"

# Elements around data, as clients save replies and RFC 9195 writes files.
_AROUND = frozenset({"rpc-reply", "data", "config", "instance-data-set", "content-data", "operational"})


def data_elements(root: etree._Element) -> list[etree._Element]:
    """The top-level data nodes of a document: the root itself, or what stands in ``<data>`` or the like."""
    if etree.QName(root).localname not in _AROUND:
        return [root]
    inner = [child for child in root if etree.QName(child).localname in _AROUND]
    return data_elements(inner[0]) if len(inner) == 1 else list(root)


@dataclass(frozen=True, slots=True)
class _Part:
    origin: str
    value: Node


class Injected:
    """State by top-level node; what comes later for the same node takes the place of what came before."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._parts: dict[SchemaNode, _Part] = {}

    def replace(self, elements: Sequence[etree._Element], origin: str = UNKNOWN) -> Sequence[str]:
        """Put data in; returns the paths of the top-level nodes.

        An attribute ``or:origin`` on a top-level element says where its data comes from; else it is ``origin``.
        An element without content takes what was put in for its node away.  Raises RpcFailure; then nothing is changed.
        """
        library = self._agent.library
        origins = [self._origin(element, origin) for element in elements]
        decoder = Decoder(library.tree, config_only=False)
        nodes = decoder.decode(elements, library.tree.data)
        if decoder.errors:
            raise RpcFailure(*decoder.errors)
        document = check_document(nodes, library.tree.namespaces)
        library.operations.check_payload(document, value_lookup(nodes))
        canonicalise(nodes, library.operations, {})
        try:
            made = from_nodes(library.tree.data, nodes)
        except ValueError as error:
            raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, str(error))) from error
        by_node = {node.schema: its for node, its in zip(nodes, origins, strict=True)}
        for node, its in by_node.items():
            value = made.get(node)
            if value is None or (isinstance(value, Container) and not value.children and not node.presence):
                self._parts.pop(node, None)
            else:
                self._parts[node] = _Part(its, value)
        return [node.path for node in by_node]

    def _origin(self, element: etree._Element, default: str) -> str:
        """The attribute of RFC 7952 and RFC 8342, taken off."""
        text = element.get(f"{{{ORIGIN_NS}}}origin")
        below = next((e for e in element.iterdescendants() if f"{{{ORIGIN_NS}}}origin" in e.attrib), None)
        if below is not None:
            words = "or:origin is taken on top-level elements only"
            name = etree.QName(below).localname
            info = (InfoElement("bad-attribute", "origin"), InfoElement("bad-element", name))
            raise RpcFailure(RpcError(ErrorTag.UNKNOWN_ATTRIBUTE, words, info=info))
        if text is None:
            return default
        del element.attrib[f"{{{ORIGIN_NS}}}origin"]
        prefix, _, name = text.rpartition(":")
        module = self._agent.library.tree.module_of_namespace(element.nsmap.get(prefix or None) or ORIGIN_NS)
        return f"{module.name if module is not None else 'ietf-origin'}:{name}"

    def clear(self) -> None:
        """Forget everything."""
        self._parts.clear()

    def parts(self, agent: Agent, wanted: Selection) -> Iterable[StatePart]:
        """A ``StateSource``."""
        for node, part in self._parts.items():
            made = narrowed(Container(agent.library.tree.data, {node: part.value}), wanted)
            if made.children:
                yield StatePart(part.origin, made)
