"""One NETCONF session: pumps bytes between a transport's connection and the sans-IO core, rpc by rpc."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from mlag_agent.datastore.confirmed import ConfirmedCommits
from mlag_agent.datastore.stores import Datastores
from mlag_agent.errors import RpcError
from mlag_agent.server.dispatcher import Dispatcher
from mlag_agent.server.registry import Counters, Registry
from mlag_agent.server.transports.connection import READ_SIZE, Connection
from mlag_agent.wire.session import Event, HelloReceived, PeerMisused, RpcReceived, Session, SessionEnded

__all__ = ["NetconfSession"]

_LOG = logging.getLogger(__name__)

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
    ) -> None:
        self._connection = connection
        self._wire = wire
        self._dispatcher = dispatcher
        self._registry = registry
        self._stores = stores
        self._commits = commits
        self._closing = False
        self._ending = False
        self._task: asyncio.Task[None] | None = None
        self._killed_by: int | None = None
        self._over = asyncio.Event()
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

    def on_leniency(self, name: str) -> None:
        """Log and count a leniency (INTEROP decision 1)."""
        self._registry.leniencies[name] += 1
        _LOG.info("session %d: leniency %s", self.session_id, name)

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
        level = logging.INFO
        self._registry.in_sessions += 1
        try:
            reason, level = await self._pump(where)
        except asyncio.CancelledError:
            if self._killed_by is None:
                reason = "the server stops"
                raise
            reason = f"killed by session {self._killed_by}"
            self._connection.abort(reason)
        except ConnectionError as error:
            reason = self._connection.close_reason or f"connection lost: {error}"
            self._registry.dropped_sessions += 1
        finally:
            self._ending = True
            try:
                # Before its locks are free: whoever gets them next sees running as it was before.
                await self._commits.session_ended(self.session_id)
            finally:
                self._registry.remove(self)
                self._stores.release(self.session_id)
                self._connection.close()
                self._over.set()
                _LOG.log(level, "session %d (%s): %s", self.session_id, where, reason)

    async def _pump(self, where: str) -> tuple[str, int]:
        """Why it ended, and the level at which to say so."""
        await self._flush()
        time = asyncio.get_running_loop().time
        while True:
            data = await self._connection.read(READ_SIZE)
            turn = time()
            for event in self._wire.receive_data(data) if data else self._wire.receive_eof():
                if isinstance(event, SessionEnded):
                    return self._ended(event, at_end=not data)
                await self._handle(event, where)
                if self._closing:
                    return "closed by the client", logging.INFO
                if time() - turn > TURN:
                    await asyncio.sleep(0)
                    turn = time()

    def _ended(self, event: SessionEnded, *, at_end: bool) -> tuple[str, int]:
        if self in self._registry or at_end:
            self._registry.dropped_sessions += 1
        else:
            self._registry.in_bad_hellos += 1
        level = logging.WARNING if event.by_peer_error else logging.INFO
        return self._connection.close_reason or event.reason, level

    async def _handle(self, event: Event, where: str) -> None:
        if isinstance(event, RpcReceived):
            await self._rpc(event)
        elif isinstance(event, HelloReceived):
            for leniency in event.leniencies:
                self.on_leniency(leniency)
            self._connection.established()
            self._registry.add(self)
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
        await self._flush()

    async def _flush(self) -> None:
        data = self._wire.data_to_send()
        if data:
            self._connection.write(data)
            await self._connection.drain()

    def _count(self, *, bad: bool, errors: Sequence[RpcError]) -> None:
        for counters in (self.counters, self._registry.totals):
            if bad:
                counters.in_bad_rpcs += 1
            else:
                counters.in_rpcs += 1
            if errors:
                counters.out_rpc_errors += 1
