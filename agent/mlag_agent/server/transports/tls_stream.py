"""One TLS connection as a :class:`~mlag_agent.server.transports.connection.Connection`.

asyncio does TLS; this class is called back when the handshake is done, which means that the client has shown a
certificate which a trusted CA has signed.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from typing import Protocol

from mlag_agent.server.transports.admission import TransportLimits
from mlag_agent.server.transports.connection import READ_SIZE
from mlag_agent.server.transports.sockets import until_writable

__all__ = ["StreamOwner", "TlsStream"]

log = logging.getLogger(__name__)

READ_HIGH_WATER = 64 * 1024
"""Bytes read ahead of the pump; beyond them TCP's window fills and holds the client back."""

WRITE_HIGH_WATER = 64 * 1024
"""Bytes that may wait for the client when :meth:`TlsStream.drain` returns."""


class StreamOwner(Protocol):
    """What a stream asks of its transport."""

    @property
    def limits(self) -> TransportLimits:
        """Those in force."""

    def handshake_done(self, stream: TlsStream, connection: ssl.SSLObject) -> str:
        """The name of the user who has authenticated; empty if there is no session for him."""

    def session_started(self, stream: TlsStream) -> None:
        """There is a user: start the session."""

    def turn_away(self, stream: TlsStream) -> None:
        """End a connection that is still in its handshake."""

    def connection_lost(self, stream: TlsStream) -> None:
        """The connection is gone."""


class TlsStream(asyncio.Protocol):
    """A connection from its handshake until it is closed."""

    _transport: asyncio.Transport | None = None  # until the handshake is done

    def __init__(self, owner: StreamOwner, source_host: str, source_port: int) -> None:
        self.username = ""
        self.source_host = source_host
        self.source_port = source_port
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None  # until the hello
        self._close_reason: str | None = None
        self._timed_out = False
        self._pieces: deque[bytes] = deque()
        self._buffered = 0
        self._reading_paused = False
        self._end_of_input = False
        self._reader: asyncio.Future[None] | None = None
        self._closed = False  # by us
        self._lost = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._written = 0
        self.gone = asyncio.Event()
        """The connection is closed, or its handshake has failed."""

    @property
    def peer(self) -> str:
        """Address and port, for the log."""
        return f"{self.source_host}:{self.source_port}"

    @property
    def connected(self) -> bool:
        """Whether the handshake is done."""
        return self._transport is not None

    def turn_away(self) -> None:
        """Close a connection without session at once."""
        if self._transport is None:
            self._owner.turn_away(self)
        else:
            self._transport.abort()

    # --- Connection -------------------------------------------------------------------------------------------------

    @property
    def transport(self) -> str:
        """The identity of ietf-netconf-monitoring."""
        return "netconf-tls"

    @property
    def close_reason(self) -> str | None:
        """Why this side ended the connection out of turn, if it did."""
        return self._close_reason

    @property
    def timed_out(self) -> bool:
        """See :attr:`Connection.timed_out`."""
        return self._timed_out

    async def read(self, size: int = READ_SIZE) -> bytes:
        """See :meth:`Connection.read`; one reader at a time."""
        while not self._pieces:
            if self._end_of_input:
                return b""
            if self._reader is not None:
                raise RuntimeError("a connection has one reader at a time")
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = self._take(size)
        if self._reading_paused and not self._pieces:
            self._reading_paused = False
            if self._transport is not None and not self._lost:
                self._transport.resume_reading()
        return data

    def _take(self, size: int) -> bytes:
        if self._buffered <= size:
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
        else:
            data = self._pieces.popleft()
            if len(data) > size:
                self._pieces.appendleft(data[size:])
                data = data[:size]
        self._buffered -= len(data)
        return data

    def write(self, data: bytes) -> None:
        """See :meth:`Connection.write`."""
        if self._transport is not None and not self._is_over:
            self._written += len(data)
            self._transport.write(data)

    async def drain(self) -> None:
        """See :meth:`Connection.drain`."""
        if not self._writable.is_set():
            limit = self._owner.limits.unread_timeout
            if not await until_writable(self._writable, self._taken, limit):
                self._too_late(f"the client has taken nothing of what waits for it for {limit:g} s")
        if self._is_over:
            raise ConnectionResetError("the TLS connection is closed")

    def established(self) -> None:
        """See :meth:`Connection.established`."""
        self._stop_timer()

    def end_input(self, reason: str) -> None:
        """See :meth:`Connection.end_input`."""
        if not (self._closed or self._lost):
            self._close_reason = self._close_reason or reason
            self._stop_timer()
            self._no_more_input()

    def close(self) -> None:
        """See :meth:`Connection.close`; ends with a close_notify (RFC 7589 section 4)."""
        if self._closed or self._lost:
            return
        self._closed = True
        self._stop_timer()
        self._no_more_input()
        self._writable.set()
        if self._transport is not None:
            self._transport.close()

    def abort(self, reason: str) -> None:
        """See :meth:`Connection.abort`."""
        if self._lost:
            return
        self._close_reason = self._close_reason or reason
        log.info("TLS: closing the session of %s@%s:%d: %s", self.username, self.source_host, self.source_port, reason)
        self._closed = True
        self._stop_timer()
        self._no_more_input()
        self._writable.set()
        if self._transport is not None:
            self._transport.abort()

    def _too_late(self, reason: str) -> None:
        self._timed_out = True
        self.abort(reason)

    # --- called by asyncio ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(WRITE_HIGH_WATER)
        self.username = self._owner.handshake_done(self, transport.get_extra_info("ssl_object"))
        if not self.username:
            self.close()
            return
        limit = self._owner.limits.hello_timeout
        self._timer = self._loop.call_later(limit, self._too_late, f"no hello within {limit:g} s")
        self._owner.session_started(self)

    def data_received(self, data: bytes) -> None:
        if self._end_of_input:
            return
        self._pieces.append(data)
        self._buffered += len(data)
        if self._buffered >= READ_HIGH_WATER and not self._reading_paused:
            self._reading_paused = True
            assert self._transport is not None
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        self._end_of_input = True
        self._wake_reader()
        return False  # asyncio cannot keep one side of a TLS connection open

    def pause_writing(self) -> None:
        if not (self._closed or self._lost):
            self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._end_of_input = True
        self._stop_timer()
        self._wake_reader()
        self._writable.set()
        self.gone.set()
        self._owner.connection_lost(self)

    # ----------------------------------------------------------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        return self._closed or self._lost or self._transport is None or self._transport.is_closing()

    def _taken(self) -> int:
        return self._written - (0 if self._transport is None else self._transport.get_write_buffer_size())

    def _no_more_input(self) -> None:
        self._end_of_input = True
        self._pieces.clear()
        self._buffered = 0
        self._wake_reader()
        if self._reading_paused and self._transport is not None and not self._lost:
            self._reading_paused = False
            self._transport.resume_reading()  # or the client's own close is never seen

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
