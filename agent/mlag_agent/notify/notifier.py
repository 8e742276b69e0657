"""Event streams (RFC 5277 section 3.2, RFC 8639 section 2.1): what is published reaches who has subscribed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from mlag_agent.notify.clock import Clock
from mlag_agent.notify.log import ReplayLog
from mlag_agent.notify.notification import Notification

__all__ = ["NETCONF_STREAM", "Notifier", "Receive", "Stream", "UnknownStream"]

_LOG = logging.getLogger(__name__)

NETCONF_STREAM: Final = "NETCONF"
"""The default stream, which has every event (RFC 5277 section 3.2.3)."""

Receive = Callable[[Notification, int], None]
"""Takes one event at once: it filters and queues, and neither waits for anybody nor publishes anything.

The number grows by one with each event of the server; it is the event's place in the log.
"""


class UnknownStream(LookupError):  # noqa: N818  # named like the rest of the tree in errors.py
    """There is no stream of that name; the message lists those that there are."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A named stream."""

    name: str
    description: str


class Notifier:
    """The agent's event streams.

    With a ``log`` (which is whoever made its to close) every stream can be replayed.
    """

    def __init__(self, *, clock: Clock | None = None, log: ReplayLog | None = None) -> None:
        self.clock = clock or Clock()
        self.log = log
        self._number = 0 if log is None else log.last
        self._streams: dict[str, Stream] = {}
        self._receivers: dict[str, list[Receive]] = {}
        self.add_stream(NETCONF_STREAM, "All events of this server.")

    @property
    def streams(self) -> Mapping[str, Stream]:
        """Streams by name, the default one first."""
        return MappingProxyType(self._streams)

    def add_stream(self, name: str, description: str) -> None:
        """A stream more; its events are those of the default stream that are published to it.

        Raises ValueError for a name that is taken.
        """
        if name in self._streams:
            raise ValueError(f"there is a stream {name} already")
        self._streams[name] = Stream(name, description)
        self._receivers[name] = []

    def stream(self, name: str) -> Stream:
        """The stream of that name; raises UnknownStream."""
        found = self._streams.get(name)
        if found is None:
            raise UnknownStream(f"there is no stream {name}; this server has: {', '.join(self._streams)}")
        return found

    def wanted(self, name: str = NETCONF_STREAM) -> bool:
        """Whether anybody would hear of an event, now or later: else it need not be made."""
        return self.log is not None or bool(self._receivers[name] or self._receivers[NETCONF_STREAM])

    def now(self) -> datetime:
        """The time for an event that happens now: aware UTC."""
        return self.clock.now()

    @property
    def last(self) -> int:
        """The number of the last event."""
        return self._number

    def publish(self, stream: str, notification: Notification) -> None:
        """Give an event to those who have subscribed to the stream or to the default one, in the order of arrival.

        Never waits.  A subscriber that fails is logged and keeps nothing from the others.  Raises UnknownStream.
        """
        self.stream(stream)
        self._number = self._number + 1 if self.log is None else self.log.append(stream, notification)
        number = self._number
        names = (stream,) if stream == NETCONF_STREAM else (stream, NETCONF_STREAM)
        for name in names:
            for receive in tuple(self._receivers[name]):
                try:
                    receive(notification, number)
                except Exception:  # noqa: BLE001  # what happened has happened: neither a commit nor another subscriber fails for this one
                    _LOG.exception("a subscriber to stream %s failed on %r", name, notification)

    def subscribe(self, stream: str, receive: Receive) -> Callable[[], None]:
        """Have ``receive`` called with each event from now on; returns what ends that.  Raises UnknownStream."""
        name = self.stream(stream).name
        receivers = self._receivers[name]
        receivers.append(receive)

        def end() -> None:
            if receive in receivers:
                receivers.remove(receive)

        return end
