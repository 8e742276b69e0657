"""One event, as it goes through streams, filters and queues."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from lxml import etree

from mlag_agent.schema.nodes import SchemaNode

__all__ = ["Notification", "event_time"]

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)


class Notification:
    """An event of a YANG ``notification`` (RFC 7950 section 7.16).

    ``content``: the XML of the notification's element without the ``<notification>`` envelope, namespaces declared
    on it; for a notification of a data node, the path to it from the top-level node, with the keys of list entries.
    A function is called for it when somebody wants to have it, at most once.  ``time``: when it happened, aware.
    """

    __slots__ = ("_content", "_element", "schema", "time", "tree")

    def __init__(self, schema: SchemaNode, content: bytes | Callable[[], bytes], time: datetime) -> None:
        self.schema = schema
        self.time = time
        self._content = content
        self._element: etree._Element | None = None
        self.tree: object = None
        """The event as the filters have it; kept here, so that it is made once for all of them."""

    @property
    def content(self) -> bytes:
        """The XML, as UTF-8."""
        if not isinstance(self._content, bytes):
            self._content = self._content()
        return self._content

    @property
    def element(self) -> etree._Element:
        """The content parsed, for filters: not to be changed."""
        if self._element is None:
            self._element = etree.fromstring(self.content, _PARSER)
        return self._element

    @property
    def event_time(self) -> str:
        """``eventTime`` (RFC 5277 section 4)."""
        return event_time(self.time)

    def __repr__(self) -> str:
        return f"<Notification {self.schema.path} {self.event_time}>"


def event_time(time: datetime) -> str:
    """A date-and-time in UTC (RFC 3339) with microseconds: events are replayed by it."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
