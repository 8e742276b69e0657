"""Notifications from outside: from XML or from plain values, checked against their module (RFC 7950 section 7.16)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lxml import etree

from mlag_agent.data.build import build, from_nodes
from mlag_agent.data.decode import Decoder
from mlag_agent.data.encode import encode, leaf_element
from mlag_agent.data.invocation import Instance, Invocation, find_nested, invocation_of
from mlag_agent.data.path import steps
from mlag_agent.data.tree import Keys
from mlag_agent.errors import ErrorTag, InfoElement, RpcError, RpcFailure
from mlag_agent.features.base import Agent
from mlag_agent.features.checking import check_invocation, parse_output
from mlag_agent.notify.notification import Notification
from mlag_agent.schema.nodes import Kind, SchemaNode

__all__ = ["from_values", "from_xml"]


def from_xml(agent: Agent, root: etree._Element, time: datetime | None = None) -> Notification:
    """A notification from its element, or from the whole ``<notification>`` message around it.

    One of a data node stands below the path to it from the top-level node.  ``eventTime`` of a message counts unless
    ``time`` is given.  Raises RpcFailure for what no module has, and for every violation.
    """
    if etree.QName(root).localname == "notification":
        content = [child for child in root if etree.QName(child).localname != "eventTime"]
        stamp = root.findtext("{*}eventTime")
        if len(content) != 1:
            words = f"a <notification> holds eventTime and one event, not {len(content)}"
            raise RpcFailure(RpcError(ErrorTag.BAD_ELEMENT, words, info=(InfoElement("bad-element", "notification"),)))
        if time is None and stamp is not None:
            time = _time(stamp.strip())
        root = content[0]
    tree = agent.library.tree
    name = etree.QName(root)
    decoder = Decoder(tree, config_only=False)
    found = tree.notifications.get((name.namespace or "", name.localname))
    if found is None and not name.namespace:
        alike = [node for (_, local), node in tree.notifications.items() if local == name.localname]
        found = alike[0] if len(alike) == 1 else None
    if found is not None:
        return _made(agent, invocation_of(found), root, decoder, time)
    if (name.namespace or "", name.localname) not in tree.data.children:
        raise RpcFailure(_unknown(agent, name))
    nested = find_nested((root,), tree, decoder, Kind.NOTIFICATION, strict=False)
    return _made(agent, nested.invocation, nested.element, decoder, time)


def from_values(
    agent: Agent, event: str, values: Mapping[str, Any], at: str | None = None, time: datetime | None = None
) -> Notification:
    """A notification from plain values, as ``data.build`` takes them.

    ``event``: ``module:name`` or a schema path; ``at``: the instance path of its data node.  Raises KeyError for a
    notification that there is not, ValueError for a wrong ``at``, RpcFailure for what its module does not allow.
    """
    tree = agent.library.tree
    schema = tree.operation(f"/{event.removeprefix('/')}")
    if schema.kind is not Kind.NOTIFICATION:
        raise KeyError(f"{event} is no notification")
    instance = None
    if at is not None:
        place = steps(at, tree)
        instance = Instance(tuple((node, _keys(node, predicates)) for node, predicates in place))
    if (instance.steps[-1][0] if instance is not None else tree.data) is not schema.parent:
        raise ValueError(f"{event} belongs to an instance of {schema.parent and schema.parent.path}: give its path")
    content = encode(build(schema, values).children.items(), tree.namespaces)
    return _made(agent, invocation_of(schema, instance=instance), parse_output(content), _decoder(agent), time)


def _decoder(agent: Agent) -> Decoder:
    return Decoder(agent.library.tree, config_only=False)


def _keys(node: SchemaNode, predicates: Mapping[str, str]) -> Keys:
    if set(predicates) != set(node.keys):
        raise ValueError(f"{node.path} is named by its keys: {', '.join(node.keys) or 'none'}")
    return tuple(predicates[key] for key in node.keys)


def _made(
    agent: Agent, invocation: Invocation, element: etree._Element, decoder: Decoder, time: datetime | None
) -> Notification:
    nodes = decoder.decode(element, invocation.schema, invocation.operation)
    if decoder.errors:
        raise RpcFailure(*decoder.errors)
    check_invocation(agent, invocation, dangling=True)
    try:
        made = from_nodes(invocation.schema, nodes)
    except ValueError as error:
        raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, str(error))) from error
    content = encode([(invocation.schema, made)], agent.library.tree.namespaces)
    instance = invocation.instance
    for node, keys in reversed(instance.steps if instance is not None else ()):
        content = _around(agent, node, keys, content)
    return Notification(invocation.schema, content, time or agent.notifier.now())


def _around(agent: Agent, node: SchemaNode, keys: Sequence[str], content: bytes) -> bytes:
    pairs = zip(node.key_nodes, keys, strict=True)
    text = "".join(leaf_element(key, value, agent.library.tree.namespaces) for key, value in pairs)
    return f"<{node.head}>{text}".encode() + content + node.closing.encode()


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = datetime.min
    if found.tzinfo is None:
        raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, f'eventTime "{text}" is no date-and-time with a zone'))
    return found


def _unknown(agent: Agent, name: etree.QName) -> RpcError:
    known = sorted(
        f"{node.module.name}:{node.name}"
        for (namespace, _), node in agent.library.tree.notifications.items()
        if namespace == name.namespace
    )
    words = f'no module that is served has a notification or data node {name.localname} in namespace "{name.namespace}"'
    words += f"; there: {', '.join(known)}" if known else ""
    return RpcError(ErrorTag.UNKNOWN_ELEMENT, words, info=(InfoElement("bad-element", name.localname),))
