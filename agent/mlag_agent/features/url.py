"""Documents at URLs (RFC 6241 section 8.8): a ``<config>`` element, read as a payload or written from a tree."""

from __future__ import annotations

from lxml import etree

from mlag_agent.data.edit_node import NETCONF_NS
from mlag_agent.data.encode import encode_children
from mlag_agent.data.tree import Container
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure
from mlag_agent.features.base import Agent, RpcInput
from mlag_agent.remote.urls import Urls
from mlag_agent.wire.xml import MalformedMessage, parse_message

__all__ = ["delete_document", "given_config", "url_of", "write_document"]


def _urls(agent: Agent) -> Urls:
    # The parameter is not in the schema of a server without the capability.
    assert agent.urls is not None
    return agent.urls


def url_of(holder: RpcInput | None) -> str | None:
    """The URL in a ``source``, a ``target`` or the input of an operation; None when it names something else."""
    return holder.required("url") if holder is not None and "url" in holder else None


async def given_config(agent: Agent, holder: RpcInput | None) -> etree._Element | None:
    """The ``<config>`` that a request holds or whose URL it gives; None when it names a datastore.

    Raises RpcFailure: what the URL is refused for, malformed-message's reasons as operation-failed, since the message
    itself is well-formed.
    """
    if holder is None:
        return None
    url = url_of(holder)
    if url is None:
        return holder.element("config")
    content = await _urls(agent).read(url)
    try:
        root = parse_message(content)
    except MalformedMessage as error:
        raise _bad_document(f"the document is no XML that this server reads: {error}") from error
    name = etree.QName(root)
    if name.localname != "config" or name.namespace not in (NETCONF_NS, None):
        raise _bad_document(f'the document begins with <{name.localname}>, not with <config xmlns="{NETCONF_NS}">')
    return root


async def write_document(agent: Agent, url: str, root: Container) -> None:
    """Make a configuration the document at a URL."""
    content = encode_children(root, agent.library.tree.namespaces)
    await _urls(agent).write(url, b'<config xmlns="%s">%s</config>\n' % (NETCONF_NS.encode(), content))


async def delete_document(agent: Agent, url: str) -> None:
    """Take the document at a URL away."""
    await _urls(agent).delete(url)


def _bad_document(words: str) -> RpcFailure:
    info = (InfoElement("bad-element", "url"),)
    return RpcFailure(RpcError(ErrorTag.OPERATION_FAILED, words, type=ErrorType.PROTOCOL, info=info))
