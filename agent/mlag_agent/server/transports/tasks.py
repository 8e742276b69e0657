"""One task per NETCONF session, for all transports, and their end."""

from __future__ import annotations

import asyncio
import logging

from mlag_agent.server.transports.connection import Connection, SessionHandler

__all__ = ["SessionTasks"]

log = logging.getLogger(__name__)

CANCEL_TIMEOUT = 5.0
"""Seconds that sessions have to end after they are cancelled, before it is an error."""

STOPPING = "the agent is shutting down"


class SessionTasks:
    """Runs ``handler`` for each connection."""

    def __init__(self, handler: SessionHandler) -> None:
        self._handler = handler
        self._running: dict[asyncio.Task[None], Connection] = {}
        self._stopping = False

    def __len__(self) -> int:
        return len(self._running)

    def start(self, connection: Connection) -> None:
        """Give the session on ``connection`` its task."""
        if self._stopping:
            connection.abort(STOPPING)
            return
        name = f"{connection.transport} {connection.username}@{connection.source_host}:{connection.source_port}"
        task = asyncio.get_running_loop().create_task(self._run(connection), name=name)
        self._running[task] = connection
        task.add_done_callback(lambda done: self._running.pop(done, None) and None)

    async def _run(self, connection: Connection) -> None:
        try:
            await self._handler(connection)
        except Exception:
            # The last place that can tell: a handler reports what belongs to the peer itself, so this is a bug of ours.
            log.exception("the session of %s@%s failed", connection.username, connection.source_host)
            connection.abort("internal error")
        finally:
            connection.close()

    async def stop(self, grace: float) -> None:
        """End all sessions: those that wait for their client at once, the others when they have replied.

        What still runs after ``grace`` seconds is cancelled.  Raises :exc:`TimeoutError` if a session does not end
        within :data:`CANCEL_TIMEOUT` after that.
        """
        self._stopping = True
        for connection in tuple(self._running.values()):
            connection.end_input(STOPPING)
        if self._running and grace > 0:
            await asyncio.wait(tuple(self._running), timeout=grace)
        if not self._running:
            return
        log.warning("%d sessions are still busy: they are cancelled", len(self._running))
        for task in self._running:
            task.cancel()
        _, stubborn = await asyncio.wait(tuple(self._running), timeout=CANCEL_TIMEOUT)
        if stubborn:
            raise TimeoutError(f"{len(stubborn)} sessions did not end {CANCEL_TIMEOUT:g} s after they were cancelled")
