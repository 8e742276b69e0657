"""Sessions over one link: connecting with back-off, accepting, collisions, and the end of each connection.

Both wires use it: the channel (TCP) and the peer-link's stream for entries. One session is *active* and carries
entries; further ones may be opening.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from mlag_agent.mlag.config import DownReason, EngineTimers, Link
from mlag_agent.mlag.errors import EngineRefused
from mlag_agent.mlag.fabric import Connection
from mlag_agent.mlag.messages import NONCE_SIZE, Announcement, CloseCause
from mlag_agent.mlag.reasons import Cause
from mlag_agent.mlag.session import Session, SessionDown, SessionEvent, SessionParameters, SessionUp
from mlag_agent.mlag.statistics import PacketCounters

__all__ = ["EntryLink", "LinkOwner", "LinkSettings", "Runner", "newcomer_wins"]

MAX_OPENING: Final = 4
"""Connections that may be opening at once: one peer has one, and one more when it reconnects; the rest is margin, and
whoever floods the port gets no further."""


def newcomer_wins(established_opened_by_connector: bool, newcomer_opened_by_connector: bool) -> bool:
    """Which of two authenticated sessions with the same peer stays, computed alike on both sides.

    Opened by different sides: the one of the side that connects by rule, the higher address (RFC 4271 section 6.8).
    Opened by the same side: the newer, for that side has given up the older one, and has proved just now that it is
    the peer.
    """
    if established_opened_by_connector == newcomer_opened_by_connector:
        return True
    return newcomer_opened_by_connector


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """How sessions of a link are opened. ``connect`` raises ``OSError`` or ``EngineRefused``."""

    announcement: Announcement
    password: str | None = field(repr=False)
    initiates: bool
    connect: Callable[[], Awaitable[Connection]]


class LinkOwner(Protocol):
    """Who uses the link. Called from the event loop."""

    def session_up(self, link: EntryLink, peer: Announcement) -> None:
        """A session is active."""

    def session_event(self, link: EntryLink, event: SessionEvent) -> None:
        """Entries, withdrawals or a marker of the active session."""

    def session_down(self, link: EntryLink, cause: Cause) -> None:
        """The active session ended, by a fault, by the peer, or because a newer one takes its place."""

    def link_touched(self) -> None:
        """Something changed: look at failures, counters, deadlines and the queue again."""


class Runner:
    """One session on one connection; implements ``fabric.ConnectionReceiver``."""

    def __init__(self, link: EntryLink, connection: Connection, session: Session, *, initiator: bool) -> None:
        self._link = link
        self.connection = connection
        self.session = session
        self.initiator = initiator

    def data_received(self, data: bytes) -> None:
        """See ``ConnectionReceiver``."""
        before = self.session.authentication_failures
        events = self.session.receive(data, self._link.now())
        self._link.authentication_failures += self.session.authentication_failures - before
        self.flush()
        self._link.handle(self, events)

    def connection_lost(self, error: Exception | None) -> None:
        """See ``ConnectionReceiver``."""
        why = "end of stream" if error is None else str(error) or type(error).__name__
        self._link.handle(self, self.session.connection_lost(why, self._link.now()))

    def resume_sending(self) -> None:
        """See ``ConnectionReceiver``."""
        self._link.owner.link_touched()

    def flush(self) -> None:
        """Give the session's bytes to the connection."""
        data, types = self.session.packets_to_send()
        if types:
            self._link.counters.count_sent(types, self.connection.send(data))


class EntryLink:
    """One link of the engine.

    ``failure`` is how the last attempt or session ended since ``configure``; ``waiting_since`` when the link began to
    be without a session. Counters run since the engine's start.
    """

    def __init__(
        self,
        kind: Link,
        owner: LinkOwner,
        timers: EngineTimers,
        counters: PacketCounters,
        *,
        now: Callable[[], float],
        random: Callable[[], float],
        nonce: Callable[[int], bytes],
        version: int,
    ) -> None:
        self.kind = kind
        self.counters = counters
        self.owner = owner
        self.now = now
        self._timers = timers
        self._random = random
        self._nonce = nonce
        self._version = version
        self._settings: LinkSettings | None = None
        self._allowed = False
        self._opening: list[Runner] = []
        self._closing: set[Connection] = set()
        self._attempt_task: asyncio.Task[None] | None = None
        self._old_attempts: set[asyncio.Task[None]] = set()
        self._next_attempt: float | None = None
        self._fruitless = 0
        self.active: Runner | None = None
        self.failure: Cause | None = None
        self.waiting_since = now()
        self.connect_attempts = 0
        self.authentication_failures = 0
        self.protocol_errors = 0

    # -- settings --------------------------------------------------------------------------------------------------

    def configure(self, settings: LinkSettings | None, cause: CloseCause, detail: str) -> None:
        """End all sessions, telling the peer the cause, and go on with new settings (``None``: rest)."""
        self._end_all(cause, detail)
        self._settings = settings
        self._allowed = False
        self._fruitless = 0
        self._next_attempt = None
        self.failure = None
        self.waiting_since = self.now()

    def allow(self, allowed: bool) -> None:
        """Whether connections may be tried now; a session that is active stays."""
        if allowed == self._allowed:
            return
        self._allowed = allowed
        self._fruitless = 0
        self._next_attempt = self.now() if allowed else None
        if not allowed:
            self._cancel_attempt()
        else:
            self.waiting_since = self.now()

    @property
    def allowed(self) -> bool:
        """See ``allow``."""
        return self._allowed

    def stop_sessions(self, cause: CloseCause | DownReason, detail: str) -> None:
        """End all sessions, telling the peer the cause; the settings stay."""
        if self.active is not None or self._opening:
            self._end_all(cause, detail)
            self.waiting_since = self.now()

    def incoming(self, connection: Connection) -> None:
        """A connection was accepted. Refused without a word when the link rests or too many are opening."""
        if self._settings is None or len(self._opening) >= MAX_OPENING:
            self._drop(connection)
        else:
            self._open(connection, self._settings, initiator=False)

    def refuse(self, connection: Connection) -> None:
        """A connection came to a place that is not in force: it is reset, and waited for like any other."""
        self._drop(connection)
        connection.abort()

    # -- timers ----------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Timers of sessions and of the next attempt."""
        now = self.now()
        for runner in self._runners():
            events = runner.session.tick(now)
            runner.flush()
            if events:  # else there is nothing new, and to say so would have the engine look again at once, for ever
                self.handle(runner, events)
        settings = self._settings
        if settings is None or not self._allowed or self.active is not None or self._opening:
            return
        if settings.initiates:
            if self._attempt_task is None and self._next_attempt is not None and now >= self._next_attempt:
                self._next_attempt = None
                self._attempt_task = asyncio.get_running_loop().create_task(self._attempt(settings))
        elif self.failure is None and now >= self.waiting_since + self.patience:
            self.failure = Cause(DownReason.CONNECT_FAILED, f"the peer has not connected for {self.patience:g} s", now)

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do next."""
        times = [deadline for runner in self._runners() if (deadline := runner.session.next_deadline()) is not None]
        settings = self._settings
        if settings is not None and self._allowed and self.active is None and not self._opening:
            if settings.initiates:
                if self._next_attempt is not None:
                    times.append(self._next_attempt)
            elif self.failure is None:
                times.append(self.waiting_since + self.patience)
        return min(times, default=None)

    @property
    def patience(self) -> float:
        """Seconds after which the side that listens counts a silent peer as one that cannot connect."""
        return self._timers.connect_timeout + self._timers.retry_cap

    # -- sessions --------------------------------------------------------------------------------------------------

    def handle(self, runner: Runner, events: list[SessionEvent]) -> None:
        """Events of one of this link's sessions."""
        for event in events:
            if isinstance(event, SessionUp):
                self._promote(runner, event.peer)
            elif isinstance(event, SessionDown):
                self._demote(runner, event.cause, by_peer=event.by_peer)
            elif runner is self.active:
                self.owner.session_event(self, event)
        self.owner.link_touched()

    async def aclose(self) -> None:
        """End everything; returns when no socket and no task is left."""
        self.configure(None, CloseCause.SHUTDOWN, "the device shuts down")
        await asyncio.gather(*self._old_attempts, return_exceptions=True)
        closing = [asyncio.ensure_future(connection.wait_closed()) for connection in self._closing]
        if not closing:
            return
        await asyncio.wait(closing, timeout=self._timers.close_timeout)
        for connection in tuple(self._closing):
            connection.abort()
        await asyncio.gather(*closing)

    def _runners(self) -> list[Runner]:
        return [*self._opening] if self.active is None else [self.active, *self._opening]

    async def _attempt(self, settings: LinkSettings) -> None:
        self.connect_attempts += 1
        limit = self._timers.connect_timeout
        try:
            async with asyncio.timeout(limit):
                connection = await settings.connect()
        except TimeoutError:
            self._attempt_failed(DownReason.CONNECT_FAILED, f"no answer to the connection request within {limit:g} s")
        except EngineRefused as refusal:
            self._attempt_failed(refusal.reason, str(refusal))
        except OSError as error:
            self._attempt_failed(DownReason.CONNECT_FAILED, error.strerror or str(error))
        except Exception as error:  # noqa: BLE001 - a bug of a fabric: reported, and the link goes on trying
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"connecting over the {self.kind.value} failed unexpectedly", "exception": error}
            )
            self._attempt_failed(DownReason.CONNECT_FAILED, f"internal error: {error!r}")
        else:
            self._attempt_task = None
            self._open(connection, settings, initiator=True)
        self.owner.link_touched()

    def _attempt_failed(self, reason: DownReason, detail: str) -> None:
        self._attempt_task = None
        self.failure = Cause(reason, detail, self.now())
        self._schedule_attempt()

    def _schedule_attempt(self) -> None:
        """Back-off: doubles from the first delay to the cap, of which a random half is taken off (jitter)."""
        if not self._allowed:
            return
        delay = min(self._timers.retry_cap, self._timers.retry_first * 2.0 ** min(self._fruitless, 16))
        self._fruitless += 1
        self._next_attempt = self.now() + delay * (0.5 + self._random() / 2)

    def _open(self, connection: Connection, settings: LinkSettings, *, initiator: bool) -> None:
        timers = self._timers
        parameters = SessionParameters(
            announcement=replace(settings.announcement, nonce=self._nonce(NONCE_SIZE)),
            password=settings.password,
            initiator=initiator,
            link=self.kind,
            keepalive=timers.keepalive,
            hold=timers.session_hold,
            open_timeout=timers.open_timeout,
            version=self._version,
        )
        session = Session(parameters, self.now(), self.counters)
        runner = Runner(self, connection, session, initiator=initiator)
        self._opening.append(runner)
        connection.attach(runner)
        runner.flush()
        self.owner.link_touched()

    def _promote(self, runner: Runner, peer: Announcement) -> None:
        self._opening.remove(runner)
        settings = self._settings
        old = self.active
        if old is not None and settings is not None:
            if not newcomer_wins(old.initiator == settings.initiates, runner.initiator == settings.initiates):
                self._end(runner, CloseCause.COLLISION, "another session is established")
                return
            self._end(old, CloseCause.COLLISION, "a newer session is established")
            self.active = None
            self.owner.session_down(
                self, Cause(DownReason.PEER_CLOSED, "the peer opened a new session in place of this one", self.now())
            )
        self.active = runner
        self.failure = None
        self._fruitless = 0
        self._next_attempt = None
        self.owner.session_up(self, peer)

    def _demote(self, runner: Runner, cause: Cause, *, by_peer: bool) -> None:
        if not by_peer and cause.reason is DownReason.PROTOCOL_ERROR:
            self.protocol_errors += 1
        self._drop(runner.connection)
        if runner is self.active:
            self.active = None
            self.failure = cause
            self.waiting_since = self.now()
            self.owner.session_down(self, cause)
        elif runner in self._opening:
            self._opening.remove(runner)
            if self.active is None:
                self.failure = cause
        if self.active is None:
            self._schedule_attempt()

    def _end_all(self, cause: CloseCause | DownReason, detail: str) -> None:
        self._cancel_attempt()
        for runner in self._runners():
            self._end(runner, cause, detail)
        self._opening.clear()
        if self.active is not None:
            self.active = None
            self.owner.session_down(self, Cause(DownReason.CONNECTING, detail, self.now()))
            self._schedule_attempt()

    def _end(self, runner: Runner, cause: CloseCause | DownReason, detail: str) -> None:
        runner.session.close(cause, detail, self.now())
        runner.flush()
        self._drop(runner.connection)

    def _drop(self, connection: Connection) -> None:
        """Close in good order, and see to it that the socket goes even if the peer does not read."""
        if connection in self._closing:
            return
        self._closing.add(connection)
        connection.close()
        loop = asyncio.get_running_loop()
        deadline = loop.call_later(self._timers.close_timeout, connection.abort)

        def gone() -> None:
            deadline.cancel()
            self._closing.discard(connection)

        connection.on_closed(gone)

    def _cancel_attempt(self) -> None:
        task = self._attempt_task
        self._attempt_task = None
        if task is not None:
            task.cancel()
            self._old_attempts.add(task)
            task.add_done_callback(self._old_attempts.discard)
