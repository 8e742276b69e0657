"""What every read operation does with a tree on its way out: the filter parameter, then the encoding.

``get`` and ``get-config`` (RFC 6241 sections 7.1 and 7.7) share it; access control and with-defaults belong here, so
that no read operation can forget them.
"""

from __future__ import annotations

from lxml import etree

from mlag_agent.data.edit_node import NETCONF_NS
from mlag_agent.data.encode import encode_children
from mlag_agent.data.filter import SubtreeFilter
from mlag_agent.data.lexical import canonical_text
from mlag_agent.data.tree import Container
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure
from mlag_agent.features.base import Agent, Data, RpcInput, SessionInfo
from mlag_agent.schema.nodes import SchemaNode

__all__ = ["read_filter", "read_reply"]


def read_reply(agent: Agent, session: SessionInfo, root: Container, wanted: SubtreeFilter | None) -> Data:
    """What ``wanted`` selects of a root (None: everything), as the reply holds it.

    What the session may not read is taken out first: a filter must not be able to test it (RFC 8341 section 3.2.4).
    """
    if agent.access.active:
        root = agent.access.readable(session, root)
    if wanted is not None:
        root = wanted.apply(root)
    return Data(encode_children(root, agent.library.tree.namespaces))


def read_filter(agent: Agent, session: SessionInfo, rpc: RpcInput) -> SubtreeFilter | None:
    """The filter parameter; None when there is none and all is wanted."""
    element = rpc.element("filter")
    if element is None:
        return None
    kind = element.get("type", element.get(f"{{{NETCONF_NS}}}type", "subtree"))
    if kind == "xpath":
        words = "this server has no :xpath capability; use a subtree filter"
        info = (InfoElement("bad-attribute", "type"), InfoElement("bad-element", "filter"))
        raise RpcFailure(RpcError(ErrorTag.BAD_ATTRIBUTE, words, type=ErrorType.PROTOCOL, info=info))
    if kind != "subtree":
        words = f'filter type "{kind}" must be subtree'
        info = (InfoElement("bad-attribute", "type"), InfoElement("bad-element", "filter"))
        raise RpcFailure(RpcError(ErrorTag.BAD_ATTRIBUTE, words, type=ErrorType.PROTOCOL, info=info))
    _check_filter_namespaces(agent, session, element)
    return SubtreeFilter.compile(element, agent.library.tree, _canonical_match)


def _check_filter_namespaces(agent: Agent, session: SessionInfo, element: etree._Element) -> None:
    """No data is in the NETCONF namespace: filter nodes in it have lost theirs to the default of the ``<rpc>``.

    Nodes in no namespace at all are the wildcard of RFC 6241 section 6.2.1, which strict mode takes as well.
    """
    lost = next(element.iterdescendants(f"{{{NETCONF_NS}}}*"), None)
    if lost is None:
        return
    if not agent.strict:
        session.on_leniency("filter-node-in-netconf-namespace")
        return
    name = etree.QName(lost).localname
    known = sorted({node.namespace for node in agent.library.tree.data.children.values() if node.name == name})
    expected = " or ".join(f'xmlns="{namespace}"' for namespace in known) or "the namespace of its module"
    words = f"the filter node {name} is in the namespace of NETCONF's own messages; expected {expected}"
    info = (InfoElement("bad-element", name), InfoElement("bad-namespace", NETCONF_NS))
    raise RpcFailure(RpcError(ErrorTag.UNKNOWN_NAMESPACE, words, type=ErrorType.PROTOCOL, info=info))


def _canonical_match(node: SchemaNode, text: str) -> str:
    """A content match compares values, not texts, of addresses and numbers (RFC 7950 section 9.1)."""
    assert node.type is not None
    return canonical_text(node.type, text, loose=True) or text
