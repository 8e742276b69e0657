"""Filters on events: the event is sent whole when the filter selects anything of it (RFC 8639 section 2.2)."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from mlag_agent.data.events import read_event
from mlag_agent.data.filter import SubtreeFilter
from mlag_agent.data.lexical import canonical_text
from mlag_agent.data.tree import Container
from mlag_agent.features.delivery import Accepts
from mlag_agent.notify.notification import Notification
from mlag_agent.schema.library import SchemaLibrary
from mlag_agent.schema.nodes import SchemaNode

__all__ = ["event_root", "subtree"]


def event_root(library: SchemaLibrary, notification: Notification) -> Container:
    """The root above the event, made once for all who filter it."""
    found = notification.tree
    if not isinstance(found, Container):
        found = notification.tree = read_event(notification.element, library.events)
    return found


def subtree(library: SchemaLibrary, elements: Iterable[etree._Element]) -> Accepts:
    """RFC 6241 section 6 on the content of the notification; no elements: nothing is selected (section 6.4.2)."""
    compiled = SubtreeFilter.compile(elements, library.events, _canonical)

    def accepts(notification: Notification) -> bool:
        return bool(compiled.apply(event_root(library, notification)).children)

    return accepts


def _canonical(node: SchemaNode, text: str) -> str:
    assert node.type is not None
    return canonical_text(node.type, text, loose=True) or text
