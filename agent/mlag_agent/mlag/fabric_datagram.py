"""Datagram sockets of a fabric: what hello and heartbeat have in common, and the heartbeat's own."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mlag_agent.mlag.config import Fault, IPAddress

if TYPE_CHECKING:
    from mlag_agent.mlag.fabric import FaultSwitch

__all__ = ["HEARTBEAT_PORTS", "DatagramPort", "HeartbeatPort", "bound_heartbeat"]

MAX_DATAGRAM: Final = 65536
DATAGRAMS_PER_EVENT: Final = 64
"""Datagrams read before other tasks get their turn."""
HEARTBEAT_PORTS: Final = range(1025, 2049)
"""UDP ports of the heartbeat: what 'udp-port' can be, and where an idle one is looked for (DOMAIN 2.1, 3)."""


class DatagramPort:
    """A bound datagram socket with the link's fault on what is sent. Subclasses say where the other end is."""

    def __init__(self, sock: socket.socket, faults: FaultSwitch) -> None:
        self._socket = sock
        self._faults = faults
        self._loop = asyncio.get_running_loop()
        self._receiver: Callable[[bytes], None] | None = None
        self._late: set[asyncio.TimerHandle] = set()
        self.send_error: str | None = None
        """Why the last datagram could not be sent, in the operating system's words."""

    def target(self) -> str | tuple[str, int]:
        """Address of the peer's datagram socket. Raises ``OSError`` when it has none."""
        raise NotImplementedError

    def accepts(self, source: object) -> bool:
        """Whether a datagram from ``source`` came from the peer; in a pair's folder nobody else is."""
        return source is not self

    def set_receiver(self, receiver: Callable[[bytes], None] | None) -> None:
        """Who gets datagrams."""
        had = self._receiver is not None
        self._receiver = receiver
        if receiver is not None and not had:
            self._loop.add_reader(self._socket.fileno(), self._read)
        elif receiver is None and had:
            self._loop.remove_reader(self._socket.fileno())

    def send(self, datagram: bytes) -> str | None:
        """Send a datagram, subject to the fault; returns why it did not go out.

        What the system says against it goes to ``send_error`` too. One that is lost or late on the way went out.
        """
        if self._faults.fault is Fault.CUT:
            return f"the {self._faults.link.value} is cut"
        changed = self._faults.apply(datagram)
        if changed is None:
            return None
        if self._faults.fault is Fault.DELAY:
            handle: asyncio.TimerHandle

            def late() -> None:
                self._late.discard(handle)
                self._transmit(changed)

            handle = self._loop.call_later(self._faults.delay_ms / 1000, late)
            self._late.add(handle)
            return None
        self._transmit(changed)
        return self.send_error

    def close(self) -> None:
        """Close the socket; what is late is lost."""
        self.set_receiver(None)
        for handle in self._late:
            handle.cancel()
        self._late.clear()
        self._socket.close()

    def _transmit(self, datagram: bytes) -> None:
        try:
            self._socket.sendto(datagram, self.target())
        except OSError as error:
            # A peer that is not there, a full buffer, an address that went away: the next datagram tries again, and
            # until it gets through the state says why.
            self.send_error = error.strerror or str(error)
        else:
            self.send_error = None

    def _read(self) -> None:
        for _ in range(DATAGRAMS_PER_EVENT):
            try:
                datagram, source = self._socket.recvfrom(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self.send_error = error.strerror or str(error)  # an ICMP error about an earlier datagram
                continue
            if self._receiver is not None and self._faults.fault is not Fault.CUT and self.accepts(source):
                self._receiver(datagram)


class HeartbeatPort(DatagramPort):
    """The UDP port of the heartbeat. ``resolve`` gives the host of an address of the fabric, None when nobody has it.

    ``release`` is called once, when the port is given back.
    """

    def __init__(
        self,
        sock: socket.socket,
        faults: FaultSwitch,
        resolve: Callable[[IPAddress], str | None],
        release: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(sock, faults)
        self._resolve = resolve
        self._release = release
        self._target: tuple[str, int] | None = None
        self._peer: IPAddress | None = None
        self.closed = False
        self.port: int = sock.getsockname()[1]
        """The port that is bound, and that the peer's packets come from and go to."""

    def set_peer(self, peer: IPAddress | None) -> None:
        """Where heartbeats go, on the same port as this one's; None: nowhere."""
        self._peer = peer
        self._target = None

    def target(self) -> tuple[str, int]:
        """The peer's port."""
        if self._peer is None:
            raise OSError(errno.EDESTADDRREQ, "no peer address is configured")
        host = self._resolve(self._peer)
        if host is None:
            raise OSError(errno.EHOSTUNREACH, f"no device of the fabric holds {self._peer}")
        self._target = host, self.port
        return self._target

    def accepts(self, source: object) -> bool:
        """Only datagrams of the peer's address and port."""
        return self._target is not None and isinstance(source, tuple) and tuple(source[:2]) == self._target

    def close(self) -> None:
        """Give the port back; harmless when repeated."""
        if self.closed:
            return
        self.closed = True
        super().close()
        if self._release is not None:
            self._release()


def bound_heartbeat(family: socket.AddressFamily, host: str, port: int | None) -> socket.socket:
    """A bound UDP socket: on ``port``, or on the lowest idle one of the range. Raises ``OSError``."""
    for candidate in HEARTBEAT_PORTS if port is None else (port,):
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((host, candidate))
        except OSError as error:
            sock.close()
            if port is None and error.errno == errno.EADDRINUSE:
                continue
            raise
        return sock
    raise OSError(errno.EADDRINUSE, "every port of the range is in use")
