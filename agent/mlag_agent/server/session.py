"""One NETCONF session: pumps bytes between a transport's connection and the sans-IO core, rpc by rpc.

Replies are written by the pump, notifications by a task of their own that exists once there is one to send.  Both hand
whole messages to the connection without waiting in between, so that they never tear each other; and each waits until
the peer has taken enough before it writes the next, so that a peer who reads nothing has a message of each kind, the
transport's own buffer and what its outbox may hold, and holds up nobody else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from mlag_agent.datastore.confirmed import ConfirmedCommits
from mlag_agent.datastore.stores import Datastores
from mlag_agent.errors import RpcError
from mlag_agent.features.netconf_events import SessionWatch, Termination
from mlag_agent.notify.notification import Notification
from mlag_agent.notify.outbox import QUEUE_BYTES, QUEUE_LENGTH, Outbox
from mlag_agent.server.dispatcher import Dispatcher
from mlag_agent.server.registry import Counters, Registry
from mlag_agent.server.spare_memory import LONG_MESSAGE, SpareMemory
from mlag_agent.server.transports.connection import READ_SIZE, Connection
from mlag_agent.wire import messages
from mlag_agent.wire.framing import UnframableMessage
from mlag_agent.wire.session import Event, HelloReceived, PeerMisused, RpcReceived, Session, SessionEnded

__all__ = ["NetconfSession"]

_LOG = logging.getLogger(__name__)

BATCH_BYTES = 64 * 1024
"""Notifications handed to the transport in one go; more would only wait there."""
TURN = 0.01
"""Seconds a session may keep the others waiting with requests that came together: one read may bring hundreds, and a
client that reads its replies fast never makes us wait for it."""


class NetconfSession:
    """Reads, dispatches and replies in order until either side ends it.

    What it holds of the server (its number, its locks, a confirmed commit) is given back when ``run`` returns,
    however it ends.
    """

    def __init__(
        self,
        connection: Connection,
        wire: Session,
        *,
        dispatcher: Dispatcher,
        registry: Registry,
        stores: Datastores,
        commits: ConfirmedCommits,
        watch: SessionWatch | None = None,
        queue_length: int = QUEUE_LENGTH,
        queue_bytes: int = QUEUE_BYTES,
        spare_memory: SpareMemory | None = None,
    ) -> None:
        """``watch`` hears of the session's start and end, ``spare_memory`` of long messages."""
        self._spare_memory = spare_memory
        self._connection = connection
        self._wire = wire
        self._dispatcher = dispatcher
        self._registry = registry
        self._stores = stores
        self._commits = commits
        self._watch = watch
        self._closing = False
        self._leniencies: dict[str, None] = {}
        self._ending = False
        self._task: asyncio.Task[None] | None = None
        self._killed_by: int | None = None
        self._over = asyncio.Event()
        self._after_reply: list[Callable[[], None]] = []
        self._at_end: list[Callable[[], None]] = []
        self._to_deliver = asyncio.Event()
        self._delivery: asyncio.Task[None] | None = None
        self.outbox = Outbox(self._wake, length=queue_length, size=queue_bytes)
        self.session_id = wire.session_id
        self.username = connection.username
        self.source_host = connection.source_host
        self.transport = connection.transport
        self.login_time = datetime.now(UTC)
        self.counters = Counters()

    # --- what handlers ask ------------------------------------------------------------------------------

    def close_after_reply(self) -> None:
        """End the session once the reply at hand is sent (close-session)."""
        self._closing = True

    def after_reply(self, callback: Callable[[], None]) -> None:
        """Call this once the reply at hand is on its way: what is queued then comes after it."""
        self._after_reply.append(callback)

    def at_end(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call this when the session has ended, however it does; returns what takes that back."""
        self._at_end.append(callback)

        def forget() -> None:
            if callback in self._at_end:
                self._at_end.remove(callback)

        return forget

    def on_leniency(self, name: str) -> None:
        """Log and count a leniency (INTEROP decision 1)."""
        self._registry.leniencies[name] += 1
        self._leniencies[name] = None
        _LOG.info("session %d: leniency %s", self.session_id, name)

    def leniencies_taken(self) -> Sequence[str]:
        """Those used since this was asked last."""
        if not self._leniencies:
            return ()
        taken = tuple(self._leniencies)
        self._leniencies.clear()
        return taken

    async def kill(self, by: int) -> None:
        """End the session from another one (kill-session, RFC 6241 section 7.9): what it is doing is aborted.

        Returns when it is over and its locks are free, so that the caller can take them next.
        """
        if self._killed_by is None and not self._ending:
            self._killed_by = by
            if self._task is not None:
                # Once only: a second cancellation would reach the transaction that takes its change back.
                self._task.cancel()
        await self.wait_over()

    async def wait_over(self) -> None:
        """Until the session has ended and holds nothing of the server any more."""
        await self._over.wait()

    # --- the pump ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the session ends; never raises for anything that the peer does."""
        self._task = asyncio.current_task()
        where = f"{self.username}@{self.source_host}"
        reason = "failed"
        why = Termination.OTHER
        level = logging.INFO
        self._registry.in_sessions += 1
        try:
            reason, level, why = await self._pump(where)
        except asyncio.CancelledError:
            if self._killed_by is None:
                reason = "the server stops"
                raise
            reason, why = f"killed by session {self._killed_by}", Termination.KILLED
            self._connection.abort(reason)
        except ConnectionError as error:
            reason = self._connection.close_reason or f"connection lost: {error}"
            why = self._dropped()
            self._registry.dropped_sessions += 1
        finally:
            self._ending = True
            self._stop_delivery()
            try:
                # Before its locks are free: whoever gets them next sees running as it was before.
                await self._commits.session_ended(self.session_id, by=self)
            finally:
                self._registry.remove(self)
                self._stores.release(self.session_id)
                self._connection.close()
                self._over.set()
                if self._watch is not None:
                    self._watch.ended(self, why, self._killed_by)
                _LOG.log(level, "session %d (%s): %s", self.session_id, where, reason)
                if self._delivery is not None:  # last: who cancels this task now finds everything given back
                    await asyncio.wait((self._delivery,))

    async def _pump(self, where: str) -> tuple[str, int, Termination]:
        """Why it ended, the level at which to say so, and what RFC 6470 calls it."""
        await self._flush()
        time = asyncio.get_running_loop().time
        size = 0
        while True:
            data = await self._connection.read(READ_SIZE)
            size += len(data)
            turn = time()
            for event in self._wire.receive_data(data) if data else self._wire.receive_eof():
                if isinstance(event, SessionEnded):
                    return self._ended(event, at_end=not data)
                if time() - turn > TURN:  # after many messages, or after parsing a long one
                    await asyncio.sleep(0)
                    turn = time()
                await self._handle(event, where)
                if size > LONG_MESSAGE and self._spare_memory is not None:
                    self._spare_memory.long_message()
                size = 0
                if self._closing:
                    return "closed by the client", logging.INFO, Termination.CLOSED

    def _ended(self, event: SessionEnded, *, at_end: bool) -> tuple[str, int, Termination]:
        if self in self._registry or at_end:
            self._registry.dropped_sessions += 1
            why = self._dropped()
        else:
            self._registry.in_bad_hellos += 1
            why = Termination.BAD_HELLO
        level = logging.WARNING if event.by_peer_error else logging.INFO
        return self._connection.close_reason or event.reason, level, why

    def _dropped(self) -> Termination:
        if self._connection.timed_out:
            return Termination.TIMEOUT
        # With a reason it was this side, which stops, and not the peer.
        return Termination.DROPPED if self._connection.close_reason is None else Termination.OTHER

    async def _handle(self, event: Event, where: str) -> None:
        if isinstance(event, RpcReceived):
            await self._rpc(event)
        elif isinstance(event, HelloReceived):
            for leniency in event.leniencies:
                self.on_leniency(leniency)
            self._connection.established()
            self._registry.add(self)
            if self._watch is not None:
                self._watch.started(self)
            _LOG.info("session %d (%s): open, %s", self.session_id, where, event.base.rpartition("netconf:")[2])
        elif isinstance(event, PeerMisused):
            self._count(bad=True, errors=(event.error,))
            _LOG.warning("session %d: bad message: %s", self.session_id, event.error.message)
            self._wire.send(event.reply)
            await self._flush()

    async def _rpc(self, event: RpcReceived) -> None:
        for leniency in event.leniencies:
            self.on_leniency(leniency)
        reply, errors = await self._dispatcher.reply_to(self, event)
        self._count(bad=False, errors=errors)
        if errors:
            _LOG.info("session %d: %s: %s", self.session_id, event.operation.tag, "; ".join(e.message for e in errors))
        self._wire.send(reply)
        if self._closing:
            self._wire.close()
        self._write()
        if self._after_reply:
            callbacks, self._after_reply = self._after_reply, []
            for callback in callbacks:
                callback()
        await self._connection.drain()

    async def _flush(self) -> None:
        self._write()
        await self._connection.drain()

    def _write(self) -> None:
        data = self._wire.data_to_send()
        if data:
            self._connection.write(data)

    # --- notifications ----------------------------------------------------------------------------------

    def _wake(self) -> None:
        """There is something in the outbox."""
        self._to_deliver.set()
        if self._delivery is None and not self._ending:
            self._delivery = asyncio.create_task(self._deliver(), name=f"notifications of session {self.session_id}")

    async def _deliver(self) -> None:
        """Send what is in the outbox, whole messages at a time, as fast as the peer takes them."""
        with suppress(ConnectionError):  # the pump meets the same and ends the session
            while True:
                await self._to_deliver.wait()
                size = 0
                while size < BATCH_BYTES and (notification := self.outbox.take()) is not None:
                    size += self._send_notification(notification)
                if not len(self.outbox):
                    self._to_deliver.clear()
                self._write()
                await self._connection.drain()
                await asyncio.sleep(0)  # the others' turn: a peer who reads fast never makes drain wait

    def _send_notification(self, notification: Notification) -> int:
        """Hand it to the core; returns its size in bytes."""
        if self._closing:
            return 0
        message = messages.notification(notification.event_time, notification.content)
        try:
            self._wire.send(message)
        except UnframableMessage as error:  # an event that came from outside
            _LOG.error("session %d: %r cannot be sent: %s", self.session_id, notification, error)
            return 0
        for counters in (self.counters, self._registry.totals):
            counters.out_notifications += 1
        return len(message)

    def _stop_delivery(self) -> None:
        self.outbox.close()
        callbacks, self._at_end = self._at_end, []
        for callback in callbacks:
            callback()
        if self._delivery is not None:
            self._delivery.cancel()

    def _count(self, *, bad: bool, errors: Sequence[RpcError]) -> None:
        for counters in (self.counters, self._registry.totals):
            if bad:
                counters.in_bad_rpcs += 1
            else:
                counters.in_rpcs += 1
            if errors:
                counters.out_rpc_errors += 1
