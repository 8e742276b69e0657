"""The events of one stream on their way to one session, in order: first from the log, then as they happen.

A session that reads too slowly goes back to the log, at the place where it has come to, as soon as it has room again:
it loses nothing that the log still has.  Of what the log has not it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from mlag_agent.features.base import Agent, SessionInfo
from mlag_agent.features.events import place_of
from mlag_agent.notify.clock import Timer
from mlag_agent.notify.notification import Notification
from mlag_agent.notify.notifier import NETCONF_STREAM

__all__ = ["Accepts", "Claims", "Listener", "StreamDelivery"]

Accepts = Callable[[Notification], bool]
"""A filter: whether the event is wanted."""


@dataclass(slots=True)
class Claims:
    """Who has subscribed in which of the two ways, which do not go together in a session (RFC 8640 section 4)."""

    create_subscription: set[SessionInfo] = field(default_factory=set)
    """Sessions with a subscription of RFC 5277."""
    has_dynamic: Callable[[SessionInfo], bool] = lambda session: False  # set by the other way's feature
    """Whether a session has a subscription of RFC 8639."""


class Listener(Protocol):
    """The subscription that the events are for: it says what else the client has to hear."""

    def replayed(self) -> None:
        """The past events have been queued."""

    def stopped(self) -> None:
        """The stop time has come, and all events before it have been queued; nothing follows."""

    def lost(self, count: int, last: datetime) -> None:
        """``count`` events of the server are missing here; the last of them happened at ``last``."""


class StreamDelivery:
    """Events of a stream that the filter accepts and the session may read, between two times.

    ``start``: past events since then as well, None: none.  Counts what was queued and what was left out.
    """

    def __init__(
        self,
        agent: Agent,
        session: SessionInfo,
        listener: Listener,
        *,
        stream: str,
        accepts: Accepts | None,
        start: datetime | None = None,
        stop: datetime | None = None,
    ) -> None:
        self._agent = agent
        self._session = session
        self._listener = listener
        self._stream = stream
        self._start = start
        self._stop = stop
        self._cursor = 0
        self._replay_end: int | None = None
        self._live = False
        self._end_live: Callable[[], None] | None = None
        self._step: asyncio.Handle | None = None
        self._stop_timer: Timer | None = None
        self._stop_passed = False
        self._ended = False
        self.accepts = accepts
        self.sent = 0
        """Events queued for the session."""
        self.excluded = 0
        """Events kept back by the filter or by access control."""

    # --- life -------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """From now on: call it when the reply that tells the client so is on its way."""
        notifier = self._agent.notifier
        self.set_stop(self._stop)
        self._cursor = notifier.last
        if self._start is None or notifier.log is None:
            self._go_live()
            return
        self._replay_end = notifier.last
        self._cursor = notifier.log.dropped
        self._catch_up()

    def end(self) -> None:
        """Nothing is queued any more; harmless when repeated."""
        self._ended = True
        self._leave_live()
        for handle in (self._step, self._stop_timer):
            if handle is not None:
                handle.cancel()

    def set_stop(self, stop: datetime | None) -> None:
        """Another time at which the subscription ends by itself; None: it does not."""
        if self._stop_timer is not None:
            self._stop_timer.cancel()
            self._stop_timer = None
        self._stop, self._stop_passed = stop, False
        if stop is not None:
            left = (stop - self._agent.notifier.now()).total_seconds()
            if left > 0:
                self._stop_timer = self._agent.notifier.clock.call_later(left, self._stop_time)
            else:
                self._stop_passed = True

    def _stop_time(self) -> None:
        self._stop_timer = None
        self._stop_passed = True
        if self._live:
            self._finish()

    def _finish(self) -> None:
        self.end()
        self._listener.stopped()

    # --- as they happen ---------------------------------------------------------------------------------

    def _go_live(self) -> None:
        self._leave_live()
        self._live = True
        if self._stop_passed:
            self._finish()
        else:
            self._end_live = self._agent.notifier.subscribe(self._stream, self._receive)

    def _leave_live(self) -> None:
        self._live = False
        if self._end_live is not None:
            self._end_live()
            self._end_live = None

    def _receive(self, notification: Notification, number: int) -> None:
        if self._stop is not None and notification.time > self._stop:
            return
        if self._wanted(notification) and not self._put(notification):
            self._cursor = number - 1
            self._leave_live()
            if self._agent.notifier.log is None:
                self._end_live = self._agent.notifier.subscribe(self._stream, _miss)  # so that events are counted
            self._session.outbox.when_room(self._catch_up)

    def _wanted(self, notification: Notification) -> bool:
        """Access control (RFC 8341 section 3.4.6) and the filter."""
        access = self._agent.access
        allowed = not access.active or access.may_notify(self._session, notification.schema, place_of(notification))
        if allowed and (self.accepts is None or self.accepts(notification)):
            return True
        self.excluded += 1
        return False

    def _put(self, notification: Notification) -> bool:
        queued = self._session.outbox.put(notification)
        self.sent += queued
        return queued

    # --- from the log -----------------------------------------------------------------------------------

    def _catch_up(self) -> None:
        """A few events of the log; the loop's other work has its turn before the next few."""
        self._step = None
        if self._ended:
            return
        self._tell_of_loss()
        log = self._agent.notifier.log
        batch = () if log is None else log.read(self._cursor)
        for item in batch:
            if self._replay_end is not None and item.number > self._replay_end:
                self._replay_over()
            notification = item.notification
            if self._in_range(item.stream, notification) and self._wanted(notification) and not self._put(notification):
                self._session.outbox.when_room(self._catch_up)
                return
            self._cursor = item.number
        if batch:
            self._step = asyncio.get_running_loop().call_soon(self._catch_up)
            return
        if self._replay_end is not None:
            self._replay_over()
        self._go_live()

    def _replay_over(self) -> None:
        self._replay_end = None
        self._start = None
        self._listener.replayed()

    def _tell_of_loss(self) -> None:
        """Of events that were dropped from the log, or not logged at all, since this subscription went back to it."""
        notifier = self._agent.notifier
        log = notifier.log
        gone, last = (notifier.last, notifier.now()) if log is None else (log.dropped, log.aged or log.created)
        if gone > self._cursor:
            count, self._cursor = gone - self._cursor, gone
            self._listener.lost(count, last)

    def _in_range(self, stream: str, notification: Notification) -> bool:
        return (
            self._stream in (NETCONF_STREAM, stream)
            and (self._start is None or notification.time >= self._start)
            and (self._stop is None or notification.time <= self._stop)
        )


def _miss(notification: Notification, number: int) -> None:
    """An event that there is no room for."""
