"""How features make and publish events of YANG notifications, and filter them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from mlag_agent.access.rights import NOWHERE, Place
from mlag_agent.data.build import build
from mlag_agent.data.encode import encode
from mlag_agent.features.base import Agent
from mlag_agent.notify.notification import Notification
from mlag_agent.notify.notifier import NETCONF_STREAM
from mlag_agent.schema.library import SchemaLibrary
from mlag_agent.schema.nodes import Kind, SchemaNode

__all__ = ["make", "place_of", "publish"]

Values = Mapping[str, Any] | Callable[[], Mapping[str, Any]]


def make(library: SchemaLibrary, name: str, values: Values, time: datetime) -> Notification:
    """An event of the top-level notification ``module:name``, with values as ``data.build`` takes them.

    A function for the values is called when somebody wants to have the event.  Raises KeyError for a notification
    that no module has.
    """
    module, _, local = name.partition(":")
    schema = library.tree.notifications[library.tree.modules[module].namespace, local]
    if not callable(values):
        return Notification(schema, _content(library, schema, values), time)
    return Notification(schema, lambda: _content(library, schema, values()), time)


def _content(library: SchemaLibrary, schema: SchemaNode, values: Mapping[str, Any]) -> bytes:
    return encode([(schema, build(schema, values))], library.tree.namespaces)


def publish(agent: Agent, name: str, values: Values, *, time: datetime | None = None) -> None:
    """Publish an event to the default stream; it costs nothing when nobody can hear of it.

    ``time``: when it happened, now unless given.
    """
    notifier = agent.notifier
    if notifier.wanted():
        notifier.publish(NETCONF_STREAM, make(agent.library, name, values, time or notifier.now()))


def place_of(notification: Notification) -> Place:
    """The list entries that the data node of a notification stands in (RFC 7950 section 7.16.1)."""
    line: list[SchemaNode] = []
    parent = notification.schema.parent
    while parent is not None and parent.kind is not Kind.ROOT:
        line.append(parent)
        parent = parent.parent
    if not line:
        return NOWHERE
    place: dict[SchemaNode, tuple[str, ...]] = {}
    element = notification.element
    for node, below in zip(line[::-1], [*line[-2::-1], notification.schema], strict=True):
        if node.kind is Kind.LIST:
            texts = (element.findtext(f"{{{key.namespace}}}{key.name}") for key in node.key_nodes)
            place[node] = tuple(text or "" for text in texts)
        child = element.find(f"{{{below.namespace}}}{below.name}")
        if child is None:
            return place
        element = child
    return place
