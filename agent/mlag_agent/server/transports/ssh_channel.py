"""One SSH channel as a :class:`~mlag_agent.server.transports.connection.Connection`.

asyncssh calls back into :class:`SshChannel` directly; its streams would add a task switch and copies to each message.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Protocol

import asyncssh

from mlag_agent.server.transports.admission import TransportLimits
from mlag_agent.server.transports.connection import READ_SIZE
from mlag_agent.server.transports.sockets import until_writable

__all__ = ["ChannelOwner", "SshChannel"]

log = logging.getLogger(__name__)

SUBSYSTEM = "netconf"
"""RFC 6242 section 3."""

READ_HIGH_WATER = 64 * 1024
"""Bytes read ahead of the pump; beyond them SSH's window fills and holds the client back."""

WRITE_HIGH_WATER = 64 * 1024
"""Bytes that may wait for the client's window when :meth:`SshChannel.drain` returns."""

LINGER_TIMEOUT = 30.0
"""Seconds a client has, after we have closed, to take the last reply and to close its side."""

_ONLY_NETCONF = b"This server offers NETCONF only: use the SSH subsystem 'netconf' (ssh -s HOST netconf).\r\n"


class ChannelOwner(Protocol):
    """What a channel asks of its connection."""

    username: str
    source_host: str
    source_port: int

    @property
    def socket_buffered(self) -> int:
        """Bytes of the whole connection that the kernel has not taken yet."""

    def session_started(self, channel: SshChannel) -> None:
        """The channel has become a NETCONF session."""

    def channel_closed(self, channel: SshChannel) -> None:
        """The channel is gone, or is to be counted as gone; may be called twice."""


class SshChannel(asyncssh.SSHServerSession[bytes]):
    """A channel of a logged-in connection, from its opening until it is closed on both sides."""

    _channel: asyncssh.SSHServerChannel[bytes]

    def __init__(self, owner: ChannelOwner, limits: TransportLimits) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None  # until the hello; after our close until the client's
        self._started = False
        self._close_reason: str | None = None
        self._timed_out = False
        self._pieces: deque[bytes] = deque()
        self._buffered = 0
        self._reading_paused = False
        self._end_of_input = False
        self._reader: asyncio.Future[None] | None = None
        self._closed = False  # by us
        self._lost = False
        self._window_full = False
        self._socket_full = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._written = 0

    # --- Connection -------------------------------------------------------------------------------------------------

    @property
    def username(self) -> str:
        """The authenticated user."""
        return self._owner.username

    @property
    def source_host(self) -> str:
        """The address the client connects from."""
        return self._owner.source_host

    @property
    def source_port(self) -> int:
        """The client's TCP port."""
        return self._owner.source_port

    @property
    def transport(self) -> str:
        """The identity of ietf-netconf-monitoring."""
        return "netconf-ssh"

    @property
    def close_reason(self) -> str | None:
        """Why this side ended the channel out of turn, if it did."""
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
            self._channel.resume_reading()
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
        # The client may have closed its side a moment ago, which asyncssh answers with an exception.
        if not (self._closed or self._lost or self._channel.is_closing()):
            self._written += len(data)
            self._channel.write(data)

    async def drain(self) -> None:
        """See :meth:`Connection.drain`."""
        if not self._writable.is_set():
            limit = self._limits.unread_timeout
            if not await until_writable(self._writable, self._taken, limit):
                self._timed_out = True
                self.abort(f"the client has taken nothing of what waits for it for {limit:g} s")
        if self._closed or self._lost or self._channel.is_closing():
            raise ConnectionResetError("the SSH channel is closed")

    def established(self) -> None:
        """See :meth:`Connection.established`."""
        if not self._closed:
            self._set_timer(None)

    def end_input(self, reason: str) -> None:
        """See :meth:`Connection.end_input`."""
        if not (self._closed or self._lost):
            self._close_reason = self._close_reason or reason
            self._set_timer(None)
            self._no_more_input()

    def close(self) -> None:
        """See :meth:`Connection.close`."""
        if self._closed or self._lost:
            return
        self._closed = True
        self._no_more_input()
        self._writable.set()
        self._set_timer(LINGER_TIMEOUT)
        self._channel.exit(0)  # with a status, or OpenSSH's client ends with 255

    def abort(self, reason: str) -> None:
        """See :meth:`Connection.abort`."""
        if self._lost:
            return
        self._close_reason = self._close_reason or reason
        log.info("SSH: closing the session of %s@%s:%d: %s", self.username, self.source_host, self.source_port, reason)
        self._closed = True
        self._no_more_input()
        self._writable.set()
        self._set_timer(None)
        self._channel.abort()
        # The client may never answer the close: the channel no longer counts.
        self._owner.channel_closed(self)

    # --- called by asyncssh -----------------------------------------------------------------------------------------

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan
        chan.set_write_buffer_limits(WRITE_HIGH_WATER)
        self._set_timer(self._limits.hello_timeout)

    def pty_requested(self, term_type: str, term_size: object, term_modes: object) -> bool:
        return True  # scrapli's system transport asks for one; bytes pass unchanged all the same

    def subsystem_requested(self, subsystem: str) -> bool:
        if subsystem != SUBSYSTEM:
            log.info("SSH: %s@%s asked for subsystem %r", self.username, self.source_host, subsystem)
            return False
        self._started = True
        return True

    # A client that wants a shell or a command is let in just far enough to be told what this is.
    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        return True

    def session_started(self) -> None:
        if self._started:
            self._owner.session_started(self)
            return
        log.info("SSH: %s@%s asked for a shell or a command", self.username, self.source_host)
        self._channel.write_stderr(_ONLY_NETCONF)
        self._closed = True
        self._set_timer(LINGER_TIMEOUT)
        self._channel.exit(1)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._end_of_input:
            return
        self._pieces.append(data)
        self._buffered += len(data)
        if self._buffered >= READ_HIGH_WATER:
            self._reading_paused = True
            self._channel.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        self._end_of_input = True
        self._wake_reader()
        return True  # half-closed: replies still go out

    def pause_writing(self) -> None:
        self._window_full = True
        self._update_writable()

    def resume_writing(self) -> None:
        self._window_full = False
        self._update_writable()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._end_of_input = True
        self._set_timer(None)
        self._wake_reader()
        self._writable.set()
        self._owner.channel_closed(self)

    # --- called by the connection -----------------------------------------------------------------------------------

    def socket_full(self, full: bool) -> None:
        """The kernel takes no more of the connection's bytes, or does again."""
        self._socket_full = full
        self._update_writable()

    # ----------------------------------------------------------------------------------------------------------------

    def _update_writable(self) -> None:
        if self._closed or self._lost or not (self._window_full or self._socket_full):
            self._writable.set()
        else:
            self._writable.clear()

    def _taken(self) -> int:
        return self._written - self._channel.get_write_buffer_size() - self._owner.socket_buffered

    def _no_more_input(self) -> None:
        self._end_of_input = True
        self._pieces.clear()
        self._buffered = 0
        self._wake_reader()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _set_timer(self, delay: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if delay is not None:
            self._timer = self._loop.call_later(delay, self._too_late)

    def _too_late(self) -> None:
        if self._closed:
            self.abort(f"the client has not closed within {LINGER_TIMEOUT:g} s")
        else:
            self._timed_out = True
            self.abort(f"no hello within {self._limits.hello_timeout:g} s")
