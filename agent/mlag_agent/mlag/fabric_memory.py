"""The fabric in memory: devices of one process meet in a ``Network``, without a socket of the operating system.

What is sent is delivered by the event loop in the order in which it was sent, so that with ``clock.VirtualTimeLoop`` a
run has one course only.  Faults are those of every fabric.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Callable, Collection
from typing import Any, Final

from mlag_agent.mlag.config import Fault, IPAddress, Link
from mlag_agent.mlag.errors import (
    AddressUnavailable,
    FabricSettingsError,
    PortInUse,
    UdpPortInUse,
    VpnInstanceUnavailable,
)
from mlag_agent.mlag.fabric import BACKLOG, Connection, Fabric, FaultSwitch, Listener, PeerLinkPort
from mlag_agent.mlag.fabric_datagram import HEARTBEAT_PORTS, DatagramPort, HeartbeatPort

__all__ = ["MemoryFabric", "Network"]

MAX_QUEUED: Final = 64
"""Datagrams that wait to be read, as in a receive buffer of a socket; what comes on top is lost."""

_Place = tuple[str | None, str]
"""VPN instance and address."""


class Network:
    """Where the devices meet. ``hold_port`` and ``restrict`` are for tests of what can be missing."""

    def __init__(self) -> None:
        self.owners: dict[_Place, tuple[str, int]] = {}
        """Which device holds an address, and how often."""
        self.datagrams: dict[object, _MemorySocket] = {}
        self.listeners: dict[object, _MemoryListener] = {}
        self.ends: dict[str, list[str | None]] = {}
        """The devices at the two ends of a pair's peer-link."""
        self.held: set[tuple[str, int]] = set()
        """TCP ports that something else holds: address and port."""

    def hold_port(self, address: str, port: int, *, held: bool = True) -> None:
        """Have a TCP port of an address in use by something else, or free again."""
        (self.held.add if held else self.held.discard)((address, port))

    def take(self, place: _Place, device: str) -> None:
        """A device uses an address once more. Raises ``LookupError`` with the name of another that holds it."""
        owner, uses = self.owners.get(place, (device, 0))
        if owner != device:
            raise LookupError(owner)
        self.owners[place] = device, uses + 1

    def give_back(self, place: _Place) -> None:
        """One use less."""
        owner, uses = self.owners.pop(place)
        if uses > 1:
            self.owners[place] = owner, uses - 1


# --- streams --------------------------------------------------------------------------------------------------


class _Pipe(asyncio.Transport):
    """One end of a stream; ``other`` is set when both ends are there."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._incoming: deque[bytes] = deque()
        self._unread = 0
        self._reading = True
        self._delivery: asyncio.Handle | None = None
        self._closing = self._ended = False
        self._high, self._low = 1 << 16, 1 << 14
        self._writer_paused = False
        self.other: _Pipe | None = None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See ``asyncio.WriteTransport``."""
        self._high = self._high if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        """What the other end has not read."""
        return 0 if self.other is None else self.other._unread

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """See ``asyncio.WriteTransport``."""
        if self._closing or self.other is None or self.other._ended:
            return
        self.other._take(bytes(data))
        if not self._writer_paused and self.get_write_buffer_size() > self._high:
            self._writer_paused = True
            self._connection.pause_writing()

    def is_closing(self) -> bool:
        """See ``asyncio.BaseTransport``."""
        return self._closing

    def pause_reading(self) -> None:
        """See ``asyncio.ReadTransport``."""
        self._reading = False

    def resume_reading(self) -> None:
        """See ``asyncio.ReadTransport``."""
        self._reading = True
        self._schedule()

    def close(self) -> None:
        """In good order: what was sent arrives before the end does."""
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._connection.connection_lost, None)
            if self.other is not None:
                self.other._end()

    def abort(self) -> None:
        """What was sent and not read is lost, and the other end is told of a reset then."""
        if self._closing and (self.other is None or self.other._closing):
            return
        lost = self.other is not None and self.other._unread > 0
        if self.other is not None and lost:
            self.other._reset()
        self.close()

    def _take(self, data: bytes) -> None:
        self._incoming.append(data)
        self._unread += len(data)
        self._schedule()

    def _end(self) -> None:
        self._ended = True
        self._schedule()

    def _reset(self) -> None:
        self._incoming.clear()
        self._unread = 0
        self._ended = True
        if not self._closing:
            self._closing = True
            error = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
            self._loop.call_soon(self._connection.connection_lost, error)

    def _schedule(self) -> None:
        if self._delivery is None and self._reading and not self._closing and (self._incoming or self._ended):
            self._delivery = self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._delivery = None
        while self._incoming and self._reading and not self._closing:
            data = self._incoming.popleft()
            self._unread -= len(data)
            self._connection.data_received(data)
        writer = self.other
        if writer is not None and writer._writer_paused and self._unread <= writer._low:
            writer._writer_paused = False
            writer._connection.resume_writing()
        if self._ended and not self._incoming and not self._closing:
            self.close()  # as asyncio does at the end of the stream


def _stream(here: FaultSwitch, there: FaultSwitch, names: tuple[str, str]) -> tuple[Connection, Connection]:
    """Both ends of a new stream; ``names``: whom each end leads to."""
    mine, theirs = Connection(here, names[0]), Connection(there, names[1])
    pipes = _Pipe(mine), _Pipe(theirs)
    pipes[0].other, pipes[1].other = pipes[1], pipes[0]
    mine.connection_made(pipes[0])
    theirs.connection_made(pipes[1])
    return mine, theirs


class _NoSocket:
    """Stands where a listener has its socket."""

    def fileno(self) -> int:
        return -1

    def accept(self) -> tuple[socket.socket, object]:
        raise BlockingIOError

    def close(self) -> None:
        return


class _MemoryListener(Listener):
    """Listens at a place of the network; connections wait while there is no handler."""

    def __init__(
        self,
        network: Network,
        place: object,
        faults: FaultSwitch,
        name: str,
        release: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(_NoSocket(), faults, name, release)
        self.faults = faults
        self._network = network
        self._place = place
        self._waiting: deque[Connection] = deque()
        network.listeners[place] = self

    def connect(self, faults: FaultSwitch, names: tuple[str, str]) -> Connection:
        """The other end of a new connection to this place. Raises ``OSError``."""
        if len(self._waiting) >= BACKLOG:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        mine, theirs = _stream(faults, self.faults, names)
        if self.faults.fault is Fault.CUT:
            return mine  # the other end is closed already
        self._waiting.append(theirs)
        if self._handler is not None:
            self._watch()
        return mine

    def close(self) -> None:
        """See ``Listener``; connections that nobody has taken are reset."""
        if self.closed:
            return
        super().close()
        del self._network.listeners[self._place]
        while self._waiting:
            self._waiting.popleft().abort()

    def _watch(self) -> None:
        self._loop.call_soon(self._accept)

    def _unwatch(self) -> None:
        return

    def _accept(self) -> None:
        while self._waiting and self._handler is not None:
            self._handler(self._waiting.popleft())


# --- datagrams ------------------------------------------------------------------------------------------------


class _MemorySocket:
    """Datagrams at a place of the network."""

    def __init__(self, network: Network, place: object) -> None:
        self._network = network
        self._place = place
        self._queue: deque[tuple[bytes, object]] = deque()
        self.arrived: Callable[[], None] | None = None
        network.datagrams[place] = self

    def fileno(self) -> int:
        """There is none."""
        return -1

    def getsockname(self) -> Any:
        """The place."""
        return self._place

    def sendto(self, data: bytes, address: Any, /) -> int:
        """To the socket of a place. Raises ``ConnectionRefusedError`` when there is none."""
        there = self._network.datagrams.get(address)
        if there is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        if len(there._queue) < MAX_QUEUED:
            there._queue.append((data, self._place))
            if there.arrived is not None:
                there.arrived()
        return len(data)

    def recvfrom(self, bufsize: int, /) -> tuple[bytes, Any]:
        """The oldest one."""
        if not self._queue:
            raise BlockingIOError
        data, source = self._queue.popleft()
        return data[:bufsize], source

    def close(self) -> None:
        """Give the place back."""
        del self._network.datagrams[self._place]


class _MemoryDatagrams(DatagramPort):
    """Reads from a ``_MemorySocket``."""

    def _watch(self) -> None:
        assert isinstance(self._socket, _MemorySocket)
        self._socket.arrived = self._arrived
        self._arrived()

    def _unwatch(self) -> None:
        assert isinstance(self._socket, _MemorySocket)
        self._socket.arrived = None

    def _arrived(self) -> None:
        self._loop.call_soon(self._read)


class _MemoryHeartbeat(_MemoryDatagrams, HeartbeatPort):
    """The heartbeat's port."""


class _MemoryPeerLink(_MemoryDatagrams, PeerLinkPort):
    """One end of a pair's peer-link."""

    def __init__(self, network: Network, pair: str, slot: int, faults: FaultSwitch) -> None:
        listener = _MemoryListener(network, ("entries", pair, slot), faults, f"peer-link {pair}")
        super().__init__(_MemorySocket(network, (f"hello {pair}", slot)), listener, faults, initiates=slot == 1)
        self._network = network
        self._pair = pair
        self._slot = slot

    def target(self) -> tuple[str, int]:
        """See ``DatagramPort``."""
        return f"hello {self._pair}", 1 - self._slot

    async def connect(self) -> Connection:
        """See ``PeerLinkPort``."""
        self._faults.check()
        listener = self._network.listeners.get(("entries", self._pair, 1 - self._slot))
        if listener is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        return listener.connect(self._faults, ("the other end of the peer-link",) * 2)

    async def aclose(self) -> None:
        """See ``PeerLinkPort``."""
        await super().aclose()
        self._network.ends[self._pair][self._slot] = None


# --- the fabric -----------------------------------------------------------------------------------------------


class MemoryFabric(Fabric):
    """The wires of one device; ``pair``, ``addresses`` and ``vpn_instances`` as ``LoopbackFabric`` has them."""

    def __init__(
        self,
        network: Network,
        device: str,
        pair: str | None,
        *,
        addresses: Collection[IPAddress] | None = None,
        vpn_instances: Collection[str] | None = None,
    ) -> None:
        super().__init__()
        self._network = network
        self._device = device
        self._pair = pair
        self._addresses = addresses
        self._vpn_instances = vpn_instances

    def restrict(self, addresses: Collection[IPAddress] | None, vpn_instances: Collection[str] | None) -> None:
        """Change the addresses and VPN instances that the device has from now on (``None``: any)."""
        self._addresses = addresses
        self._vpn_instances = vpn_instances

    async def open(self) -> None:
        """See ``Fabric``; raises ``FabricSettingsError`` when the pair is complete."""
        if self._pair is None:
            return
        ends = self._network.ends.setdefault(self._pair, [None, None])
        if None not in ends:
            raise FabricSettingsError(
                f"pair {self._pair} is complete: devices {' and '.join(map(str, ends))} hold its peer-link",
                "a peer-link has two ends; give this device a pair name of its own",
            )
        slot = ends.index(None)
        ends[slot] = self._device
        self.peer_link = _MemoryPeerLink(self._network, self._pair, slot, self.faults[Link.PEER_LINK])

    def _check(self, vpn_instance: str | None, address: IPAddress, port: int | None, protocol: str = "TCP") -> None:
        if vpn_instance is not None and self._vpn_instances is not None and vpn_instance not in self._vpn_instances:
            raise VpnInstanceUnavailable(
                vpn_instance, address, port, "it has no forwarding instance on this device", protocol
            )
        if self._addresses is not None and address not in self._addresses:
            raise AddressUnavailable(vpn_instance, address, port, "no interface of this device holds it", protocol)

    def _take(self, vpn_instance: str | None, address: IPAddress, port: int | None, protocol: str = "TCP") -> _Place:
        self._check(vpn_instance, address, port, protocol)
        place = vpn_instance, str(address)
        try:
            self._network.take(place, self._device)
        except LookupError as error:
            why = f"device {error.args[0]} holds it"
            raise AddressUnavailable(vpn_instance, address, port, why, protocol) from error
        return place

    async def listen(self, vpn_instance: str | None, address: IPAddress, port: int) -> Listener:
        """See ``Fabric``."""
        place = self._take(vpn_instance, address, port)
        key = ("tcp", *place, port)
        if key in self._network.listeners or (str(address), port) in self._network.held:
            self._network.give_back(place)
            raise PortInUse(vpn_instance, address, port, "another process")
        return _MemoryListener(
            self._network,
            key,
            self.faults[Link.CHANNEL],
            f"{address} port {port}",
            lambda: self._network.give_back(place),
        )

    async def connect(self, vpn_instance: str | None, local: IPAddress, peer: IPAddress, port: int) -> Connection:
        """See ``Fabric``."""
        faults = self.faults[Link.CHANNEL]
        faults.check()
        self._check(vpn_instance, local, port)
        if self._network.owners.get((vpn_instance, str(local)), ("", 0))[0] != self._device:
            raise AddressUnavailable(vpn_instance, local, port, "this device does not hold it")
        if (vpn_instance, str(peer)) not in self._network.owners:
            raise OSError(errno.EHOSTUNREACH, f"no device of the fabric holds {peer}")
        listener = self._network.listeners.get(("tcp", vpn_instance, str(peer), port))
        if listener is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        return listener.connect(faults, (f"{peer} port {port}", f"{local} port {port}"))

    async def heartbeat(self, vpn_instance: str | None, address: IPAddress, port: int | None) -> HeartbeatPort:
        """See ``Fabric``."""
        place = self._take(vpn_instance, address, port, "UDP")
        # Host and port as ``HeartbeatPort`` compares them: of a VPN instance hosts have its name before them.
        host = f"{vpn_instance or ''}/{address}"
        candidates = HEARTBEAT_PORTS if port is None else (port,)
        found = next((number for number in candidates if (host, number) not in self._network.datagrams), None)
        if found is None:
            self._network.give_back(place)
            raise UdpPortInUse(vpn_instance, address, port)

        def resolve(peer: IPAddress) -> str | None:
            return f"{vpn_instance or ''}/{peer}" if (vpn_instance, str(peer)) in self._network.owners else None

        return _MemoryHeartbeat(
            _MemorySocket(self._network, (host, found)),
            self.faults[Link.HEARTBEAT],
            resolve,
            release=lambda: self._network.give_back(place),
        )

    async def check(self, vpn_instance: str | None, address: IPAddress, port: int) -> None:
        """See ``Fabric``."""
        self._check(vpn_instance, address, port)

    async def aclose(self) -> None:
        """See ``Fabric``; listeners are closed by whoever asked for them."""
        if self.peer_link is not None:
            await self.peer_link.aclose()
            self.peer_link = None
