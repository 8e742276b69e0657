"""Where addresses live: the interface of a fabric, its connections and listeners, and the fault hook.

A fabric gives a device three wires: the channel (TCP between addresses in a VPN instance), the heartbeat (UDP between
such addresses) and, if it has one, the peer-link (datagrams for hellos, a stream for entries). ``fabric_loopback`` and
``fabric_host`` implement it.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from mlag_agent.mlag.config import Fault, IPAddress, Link
from mlag_agent.mlag.fabric_datagram import DatagramPort, HeartbeatPort
from mlag_agent.mlag.state import FaultState

__all__ = [
    "Connection",
    "ConnectionReceiver",
    "Fabric",
    "FaultSwitch",
    "LinkCut",
    "Listener",
    "PeerLinkPort",
    "accepting_socket",
]

MAX_UNSENT: Final = 1 << 20
"""Bytes that may wait in a connection before its sender has to pause: about 80 full messages, some milliseconds'
worth of a local link."""
LOW_WATER: Final = 1 << 18
"""Bytes below which a paused sender goes on."""
BACKLOG: Final = 16
"""One peer connects; the rest is for reconnects that come faster than the loop accepts."""
ACCEPT_RETRY: Final = 1.0
"""Seconds until a listener that ran out of descriptors tries again, as asyncio's own servers do."""


class LinkCut(ConnectionError):  # noqa: N818 - named after the fault
    """The fault ``cut`` is on the link: no connection can be made."""


class ConnectionReceiver(Protocol):
    """Who owns a connection. Called from the event loop."""

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer."""

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone; called exactly once, ``error`` is ``None`` after an orderly end."""

    def resume_sending(self) -> None:
        """The connection takes bytes again after ``can_send`` was false."""


class FaultSwitch:
    """The fault on one link of one device; knows the connections it has to cut."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.fault = Fault.NONE
        self.delay_ms = 0
        self._connections: set[Connection] = set()

    def state(self) -> FaultState:
        """For the snapshot."""
        return FaultState(self.link, self.fault, self.delay_ms)

    def set(self, fault: Fault, delay_ms: int) -> None:
        """Break or mend the link. ``ValueError`` when ``delay`` comes without a delay of 1 to 60000 ms."""
        if fault is Fault.DELAY and not 1 <= delay_ms <= 60000:
            raise ValueError(f"a delay of {delay_ms} ms is outside 1..60000")
        self.fault = fault
        self.delay_ms = delay_ms if fault is Fault.DELAY else 0
        if fault is Fault.CUT:
            for connection in tuple(self._connections):
                connection.abort()

    def check(self) -> None:
        """Raises ``LinkCut`` when no connection can be made."""
        if self.fault is Fault.CUT:
            raise LinkCut(errno.ENETDOWN, f"the {self.link.value} is cut")

    def apply(self, data: bytes) -> bytes | None:
        """What becomes of data sent now: itself, changed, or ``None`` when it is lost."""
        if self.fault in (Fault.DROP, Fault.CUT):
            return None
        if self.fault is Fault.CORRUPT and data:
            middle = len(data) // 2
            return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
        return data

    def add(self, connection: Connection) -> None:
        """A connection lives on this link."""
        self._connections.add(connection)

    def discard(self, connection: Connection) -> None:
        """It lives no longer."""
        self._connections.discard(connection)


class Connection(asyncio.Protocol):
    """A stream between the two devices, with the link's fault on what is sent.

    Bytes that arrive before ``attach`` wait in the kernel. Whoever got the connection closes it and awaits
    ``wait_closed``.
    """

    def __init__(self, faults: FaultSwitch, remote: str) -> None:
        self._faults = faults
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._receiver: ConnectionReceiver | None = None
        self._late: deque[tuple[float, bytes]] = deque()
        self._late_bytes = 0
        self._late_timer: asyncio.TimerHandle | None = None
        self._paused = False
        self._starved = False
        self._closing = False
        self._lost: asyncio.Future[Exception | None] = self._loop.create_future()
        self.remote = remote
        """Whom the connection leads to, for messages."""

    # -- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=MAX_UNSENT, low=LOW_WATER)
        transport.pause_reading()
        self._faults.add(self)
        if self._faults.fault is Fault.CUT:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self._receiver is not None and not self._closing:
            self._receiver.data_received(data)

    def pause_writing(self) -> None:
        """Called by the loop."""
        self._paused = True

    def resume_writing(self) -> None:
        """Called by the loop."""
        self._paused = False
        self._tell_resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._faults.discard(self)
        if self._late_timer is not None:
            self._late_timer.cancel()
        self._late.clear()
        if not self._lost.done():
            self._lost.set_result(exc)
        if self._receiver is not None:
            self._receiver.connection_lost(exc)

    # -- for the owner ---------------------------------------------------------------------------------------------

    def attach(self, receiver: ConnectionReceiver) -> None:
        """Start to deliver; a connection that is lost already says so from the loop."""
        self._receiver = receiver
        if self._lost.done():
            self._loop.call_soon(receiver.connection_lost, self._lost.result())
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    @property
    def can_send(self) -> bool:
        """Whether more bytes should be given; once false, ``resume_sending`` will be called."""
        able = not self._paused and self._late_bytes < MAX_UNSENT
        self._starved = self._starved or not able
        return able

    def send(self, data: bytes) -> str | None:
        """Send bytes, subject to the fault; dropped when the connection is closing, as on any broken wire.

        Returns why they did not go out. What is lost on the way went out.
        """
        if self._closing or self._lost.done():
            return "the connection is closed"
        changed = self._faults.apply(data)
        if not changed:
            return None
        if self._late or self._faults.fault is Fault.DELAY:
            # What follows late bytes waits behind them even after the fault is mended: a stream keeps its order.
            due = self._loop.time() + self._faults.delay_ms / 1000
            self._late.append((max(due, self._late[-1][0]) if self._late else due, changed))
            self._late_bytes += len(changed)
            self._schedule_late()
            return None
        self._write(changed)
        return None

    def close(self) -> None:
        """End in good order: what has been sent still goes out."""
        if self._closing:
            return
        self._closing = True
        if not self._late and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End at once (the peer sees a reset if anything was unsent)."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def on_closed(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called from the loop once the socket is closed."""
        self._lost.add_done_callback(lambda _: callback())

    async def wait_closed(self) -> None:
        """Until the socket is closed."""
        await asyncio.shield(self._lost)

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def _schedule_late(self) -> None:
        if self._late_timer is None and self._late:
            self._late_timer = self._loop.call_at(self._late[0][0], self._send_late)

    def _send_late(self) -> None:
        self._late_timer = None
        now = self._loop.time()
        while self._late and self._late[0][0] <= now:
            _, data = self._late.popleft()
            self._late_bytes -= len(data)
            self._write(data)
        self._schedule_late()
        if self._closing and not self._late and self._transport is not None:
            self._transport.close()
        self._tell_resumed()

    def _tell_resumed(self) -> None:
        if self._starved and self._receiver is not None and not self._paused and self._late_bytes < MAX_UNSENT:
            self._starved = False
            self._receiver.resume_sending()


AcceptHandler = Callable[[Connection], None]


class Listener:
    """A listening socket that takes connections only while it has a handler.

    Without one (prepared, not yet committed) connections wait in the kernel's backlog.
    """

    def __init__(
        self,
        sock: socket.socket,
        faults: FaultSwitch,
        name: str,
        release: Callable[[], None] | None = None,
    ) -> None:
        self._socket = sock
        self._faults = faults
        self._loop = asyncio.get_running_loop()
        self._handler: AcceptHandler | None = None
        self._release = release
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._resumption: asyncio.TimerHandle | None = None
        self.name = name
        """Address and port, for messages."""

    @property
    def closed(self) -> bool:
        """The port has been given back."""
        return self._closed

    def set_handler(self, handler: AcceptHandler | None) -> None:
        """Who gets accepted connections."""
        if self._resumption is not None:
            self._resumption.cancel()
            self._resumption = None
        had = self._handler is not None
        self._handler = handler
        if self._closed or (handler is not None) == had:
            return
        if handler is not None:
            self._loop.add_reader(self._socket.fileno(), self._accept)
        else:
            self._loop.remove_reader(self._socket.fileno())

    def close(self) -> None:
        """Close the socket and free the port; connections that were handed out live on."""
        if self._closed:
            return
        self.set_handler(None)
        self._closed = True
        self._socket.close()
        if self._release is not None:
            self._release()

    async def aclose(self) -> None:
        """``close``, and wait for connections that are just being accepted."""
        self.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                sock, address = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue  # accept(2): the connection was gone before it was taken; the next one may be there
            except OSError as error:
                self._pause(error)
                return
            sock.setblocking(False)
            if self._faults.fault is Fault.CUT:
                sock.close()
                continue
            task = self._loop.create_task(self._hand_over(sock, _readable(address)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _pause(self, error: OSError) -> None:
        """No descriptor or memory for a connection: told to the loop's handler, tried again later, not in a spin."""
        self._loop.call_exception_handler({"message": f"{self.name} cannot accept a connection", "exception": error})
        handler = self._handler
        self.set_handler(None)
        self._resumption = self._loop.call_later(ACCEPT_RETRY, self.set_handler, handler)

    async def _hand_over(self, sock: socket.socket, remote: str) -> None:
        try:
            _, connection = await self._loop.connect_accepted_socket(lambda: Connection(self._faults, remote), sock)
        except BaseException:
            sock.close()
            raise
        if self._handler is None:
            connection.abort()
            await connection.wait_closed()
        else:
            self._handler(connection)


def _readable(address: object) -> str:
    if isinstance(address, tuple) and len(address) >= 2:
        return f"{address[0]} port {address[1]}"
    return "the other end of the peer-link"


def accepting_socket(family: int, address: str | tuple[str, int]) -> socket.socket:
    """A bound, listening, non-blocking stream socket. Raises ``OSError``; leaves no socket behind then."""
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family != socket.AF_UNIX:
            # Lets a port be taken over from connections in TIME_WAIT, not from another listener.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


class PeerLinkPort(DatagramPort):
    """This device's end of the peer-link: a datagram socket for hellos and a stream listener for entries.

    ``initiates``: this device opens the stream. Subclasses say where the other end is.
    """

    def __init__(self, sock: socket.socket, listener: Listener, faults: FaultSwitch, *, initiates: bool) -> None:
        super().__init__(sock, faults)
        self.listener = listener
        self.initiates = initiates

    async def connect(self) -> Connection:
        """Open the stream to the peer. Raises ``OSError``."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close both sockets."""
        self.close()
        await self.listener.aclose()


class Fabric(ABC):
    """The wires of one device."""

    def __init__(self) -> None:
        self.faults = {link: FaultSwitch(link) for link in Link}
        self.peer_link: PeerLinkPort | None = None
        """Set by ``open``; ``None`` when the device has no peer-link."""

    @abstractmethod
    async def open(self) -> None:
        """Take this device's end of the peer-link. Raises ``FabricSettingsError``."""

    @abstractmethod
    async def listen(self, vpn_instance: str | None, address: IPAddress, port: int) -> Listener:
        """Bind and listen. Raises the subclasses of ``EngineRefused``."""

    @abstractmethod
    async def connect(self, vpn_instance: str | None, local: IPAddress, peer: IPAddress, port: int) -> Connection:
        """Connect from ``local`` (any port). Raises ``OSError``, or ``EngineRefused`` for the local side."""

    @abstractmethod
    async def heartbeat(self, vpn_instance: str | None, address: IPAddress, port: int | None) -> HeartbeatPort:
        """Bind a UDP port: ``port``, or the lowest idle one of 1025..2048. Raises the subclasses of
        ``EngineRefused``."""

    @abstractmethod
    async def check(self, vpn_instance: str | None, address: IPAddress, port: int) -> None:
        """Whether the address is still this device's. Raises ``AddressUnavailable``, ``VpnInstanceUnavailable``."""

    @abstractmethod
    async def aclose(self) -> None:
        """Give back everything that ``open`` took."""

    def set_fault(self, link: Link, fault: Fault, delay_ms: int = 0) -> None:
        """Break or mend a link. ``ValueError`` for a delay outside 1..60000 ms."""
        self.faults[link].set(fault, delay_ms)
