"""A small, quick NETCONF client on asyncssh, the same for the echo server, the agent and its peers.

::

    async with await connect(port, username="bench", password="bench") as session:
        reply = await session.rpc(b"<get/>")
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType

import asyncssh

from mlag_agent.wire import messages
from mlag_agent.wire.capabilities import BASE_1_0, BASE_1_1
from mlag_agent.wire.framing import FrameDecoder, Framing, encode

__all__ = ["BenchSession", "connect", "open_session"]

MAX_REPLY = 1024 * 1024 * 1024
"""Bytes; a bench asks for whole datastores."""


class BenchSession(asyncssh.SSHClientSession[bytes]):
    """One NETCONF session; replies come back in the order of the requests."""

    _channel: asyncssh.SSHClientChannel[bytes]

    def __init__(self) -> None:
        self._decoder = FrameDecoder(max_message_size=MAX_REPLY)
        self._framing = Framing.END_OF_MESSAGE
        self._arrived: deque[bytes] = deque()
        self._waiters: deque[asyncio.Future[bytes]] = deque()
        self._next_id = 1
        self._lost: Exception | None = None
        self._closed = asyncio.Event()
        self.connection: asyncssh.SSHClientConnection | None = None
        """The connection that :func:`connect` made for this session alone."""
        self.hello = b""
        """The server's hello."""

    # --- use --------------------------------------------------------------------------------------------------------

    async def rpc(self, operation: bytes) -> bytes:
        """Send one operation and return the whole ``<rpc-reply>`` (the echo server returns the ``<rpc>``)."""
        request = b'<rpc xmlns="%b" message-id="%d">%b</rpc>' % (
            messages.BASE_NAMESPACE.encode(),
            self._next_id,
            operation,
        )
        self._next_id += 1
        return await self.exchange(request)

    async def exchange(self, message: bytes) -> bytes:
        """Send one message and return the next that comes; several may be under way."""
        self._channel.write(encode(message, self._framing))
        return await self.receive()

    async def receive(self) -> bytes:
        """The next message of the server; raises ConnectionResetError once there will be none."""
        if self._arrived:
            return self._arrived.popleft()
        if self._lost is not None:
            raise self._lost
        waiter: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        return await waiter

    async def start(self) -> None:
        """Exchange hellos; chunked framing from then on if the server has base:1.1."""
        self._channel.write(encode(messages.hello([BASE_1_0, BASE_1_1]), Framing.END_OF_MESSAGE))
        self.hello = await self.receive()
        if f"<capability>{BASE_1_1}</capability>".encode() in self.hello:
            self._framing = self._decoder.framing = Framing.CHUNKED

    async def aclose(self) -> None:
        """Close the channel, and the connection if it was made for this session."""
        self._channel.close()
        if self.connection is None:
            await self._closed.wait()
        else:
            self.connection.close()
            await self.connection.wait_closed()

    async def __aenter__(self) -> BenchSession:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # --- called by asyncssh -----------------------------------------------------------------------------------------

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._decoder.feed(data)
        while (message := self._decoder.next_message()) is not None:
            if self._waiters:
                waiter = self._waiters.popleft()
                if not waiter.done():
                    waiter.set_result(message)
            else:
                self._arrived.append(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = ConnectionResetError(f"the session is closed: {exc or 'by the server'}")
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(self._lost)
        self._waiters.clear()
        self._closed.set()


async def connect(
    port: int,
    *,
    host: str = "127.0.0.1",
    username: str,
    password: str | None = None,
    client_keys: list[asyncssh.SSHKey] | None = None,
) -> BenchSession:
    """A new connection with one session, hellos exchanged."""
    connection = await asyncssh.connect(
        host,
        port,
        username=username,
        password=password,
        client_keys=client_keys,
        known_hosts=None,
        agent_path=None,
        config=None,
        gss_host=None,
    )
    session = await open_session(connection)
    session.connection = connection
    return session


async def open_session(connection: asyncssh.SSHClientConnection) -> BenchSession:
    """One more session on ``connection``, hellos exchanged."""
    session = BenchSession()
    await connection.create_session(lambda: session, subsystem="netconf", encoding=None)
    await session.start()
    return session
