"""Event notifications (RFC 5277) as typed events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final

from lxml import etree

from mlag_client.errors import UnexpectedReply

__all__ = ["COMPLETE", "NOTIFICATION", "REPLAYED", "Event", "parse_event"]

NOTIFICATION: Final = "urn:ietf:params:xml:ns:netconf:notification:1.0"
STREAMS: Final = "urn:ietf:params:xml:ns:netmod:notification"
COMPLETE: Final = "notificationComplete"
"""Name of the event that ends a subscription with a stop time."""
REPLAYED: Final = "replayComplete"
"""Name of the event that comes after the past events."""

_PARSER: Final = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


@dataclass(frozen=True, slots=True)
class Event:
    """One notification: ``sync-channel-down`` and the like.

    ``leaves`` maps the path of a leaf below the event (``reason``, ``changed-by/username``) to its text; of a leaf that
    occurs more than once the first.  ``xml`` is the whole message.
    """

    time: datetime
    name: str
    namespace: str
    leaves: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    xml: str = ""

    def matches(self, **leaves: str) -> bool:
        """Whether it has these leaves; in names ``_`` stands for ``-``."""
        return all(self.leaves.get(name.replace("_", "-")) == text for name, text in leaves.items())

    def __str__(self) -> str:
        shown = " ".join(f"{name}={text!r}" if " " in text else f"{name}={text}" for name, text in self.leaves.items())
        return f"{self.time.isoformat().replace('+00:00', 'Z')} {self.name} {shown}".rstrip()


def parse_event(message: str) -> Event:
    """A ``<notification>``; raises UnexpectedReply for anything else."""
    try:
        root = etree.fromstring(message.encode(), _PARSER)
        first, content = root
        time = datetime.fromisoformat((first.text or "").strip())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnexpectedReply(f"the notification cannot be read: {error}") from error
    if root.tag != f"{{{NOTIFICATION}}}notification" or first.tag != f"{{{NOTIFICATION}}}eventTime":
        raise UnexpectedReply(f"<{root.tag}> is no notification")
    name = etree.QName(content)
    leaves: dict[str, str] = {}
    _collect(content, "", leaves)
    return Event(time, name.localname, name.namespace or "", MappingProxyType(leaves), message)


def _collect(element: etree._Element, path: str, leaves: dict[str, str]) -> None:
    for child in element:
        below = f"{path}{etree.QName(child).localname}"
        if len(child):
            _collect(child, f"{below}/", leaves)
        else:
            leaves.setdefault(below, child.text or "")
