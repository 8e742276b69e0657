"""``GET /metrics`` and ``GET /health`` for a monitoring system: HTTP/1.0, no more of it than that takes.

There is no authentication: the default is the loopback interface, and nothing here changes anything.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress

from mlag_agent.server.metrics import Metrics
from mlag_agent.server.transports.sockets import cannot_listen

__all__ = ["MetricsServer"]

log = logging.getLogger(__name__)

MAX_HEAD = 8 * 1024
"""Bytes of a request; Prometheus sends some hundred."""

REQUEST_TIMEOUT = 5.0
"""Seconds for a whole exchange."""

MAX_CLIENTS = 16
"""Scrapes at the same time; one more is closed without an answer."""

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class MetricsServer:
    """Answers until it is closed."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> None:
        """Listen; raises :exc:`~mlag_agent.errors.SettingsError` if the address or port cannot be had."""
        try:
            self._server = await asyncio.start_server(self._accepted, host, port, limit=MAX_HEAD)
        except OSError as error:
            raise cannot_listen("metrics", host, port, error) from None

    @property
    def port(self) -> int:
        """The TCP port."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def aclose(self) -> None:
        """Stop listening and end what is under way."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= MAX_CLIENTS:
            log.warning("metrics: %d scrapes at once, closing one more", MAX_CLIENTS)
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(self._exchange(reader, writer), name="metrics")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as problem:
            log.debug("metrics: an exchange came to nothing: %s", problem)
        finally:
            with suppress(OSError):
                writer.transport.abort()

    def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in {b"GET", b"HEAD"}:
            return _response("405 Method Not Allowed", "text/plain", b"GET only\n", body=True)
        body = method == b"GET"
        if path == b"/metrics":
            return _response("200 OK", _TEXT, self._metrics.exposition(), body=body)
        if path == b"/health":
            healthy, words = self._metrics.health()
            status = "200 OK" if healthy else "503 Service Unavailable"
            return _response(status, "application/json", json.dumps(words).encode() + b"\n", body=body)
        return _response("404 Not Found", "text/plain", b"/metrics or /health\n", body=body)


def _response(status: str, kind: str, content: bytes, *, body: bool) -> bytes:
    head = f"HTTP/1.0 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (content if body else b"")
