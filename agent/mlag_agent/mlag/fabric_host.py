"""The host fabric: the real addresses of this machine, or of the network namespace that the agent runs in.

A VPN instance is a named network namespace (``/run/netns/NAME``, ip-netns(8)): sockets of it are made by a thread that
enters the namespace, and stay in it for good. The peer-link is an address pair of its own: UDP for hellos and TCP for
entries, on one port.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from mlag_agent.mlag.config import IPAddress, Link
from mlag_agent.mlag.errors import (
    AddressUnavailable,
    FabricSettingsError,
    PortInUse,
    UdpPortInUse,
    VpnInstanceUnavailable,
)
from mlag_agent.mlag.fabric import Connection, Fabric, FaultSwitch, Listener, PeerLinkPort, accepting_socket
from mlag_agent.mlag.fabric_datagram import HeartbeatPort, bound_heartbeat
from mlag_agent.mlag.port_holder import describe_port_holder

__all__ = ["HostFabric", "PeerLinkAddresses"]

NAMESPACES: Final = Path("/run/netns")
_CLONE_NEWNET: Final = 0x40000000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PeerLinkAddresses:
    """The peer-link's own addresses: both of one family, ``port`` for UDP and TCP on both sides."""

    local: IPAddress
    peer: IPAddress
    port: int

    def __post_init__(self) -> None:
        if self.local.version != self.peer.version or self.local == self.peer:
            raise ValueError("the peer-link needs two different addresses of one family")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"peer-link port {self.port} is outside 1..65535")


class _NamespaceMissingError(Exception):
    """The namespace of a VPN instance cannot be entered."""


def _in_namespace(vpn_instance: str, work: Callable[[], _T]) -> _T:
    """Run ``work`` in a thread of its own that has entered the namespace.

    The thread ends afterwards and is never reused: whatever namespace it is in, nobody else runs there. (Python 3.12
    has ``os.setns``; 3.11 needs the C library.)
    """
    results: list[_T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            _enter(vpn_instance)
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, raised there
            failures.append(error)

    thread = threading.Thread(target=run, name=f"netns-{vpn_instance}")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def _enter(vpn_instance: str) -> None:
    if "/" in vpn_instance or vpn_instance in (".", ".."):
        raise _NamespaceMissingError(f"{vpn_instance!r} is no name of a network namespace")
    try:
        descriptor = os.open(NAMESPACES / vpn_instance, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _NamespaceMissingError(f"network namespace {vpn_instance} cannot be opened: {error.strerror}") from error
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            why = os.strerror(ctypes.get_errno())
            raise _NamespaceMissingError(f"network namespace {vpn_instance} cannot be entered: {why}")
    finally:
        os.close(descriptor)


async def _made(vpn_instance: str | None, work: Callable[[], _T]) -> _T:
    if vpn_instance is None:
        return work()
    making = asyncio.ensure_future(asyncio.to_thread(_in_namespace, vpn_instance, work))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        making.add_done_callback(_close_unwanted)  # the thread cannot be stopped, and nobody waits for its socket
        raise


def _close_unwanted(made: asyncio.Future[_T]) -> None:
    if not made.cancelled() and made.exception() is None:
        result = made.result()
        if isinstance(result, socket.socket):
            result.close()


def _family(address: IPAddress) -> socket.AddressFamily:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _bound(address: IPAddress) -> socket.socket:
    """A stream socket for connecting from ``address``."""
    sock = socket.socket(_family(address), socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.bind((str(address), 0))
    except BaseException:
        sock.close()
        raise
    return sock


def _probe(address: IPAddress) -> None:
    """Whether the address can be bound; a datagram socket, so that no TCP port is taken even for a moment."""
    with socket.socket(_family(address), socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.bind((str(address), 0))


class _HostPeerLink(PeerLinkPort):
    """UDP and TCP between the peer-link's addresses; the numerically higher address opens the stream."""

    def __init__(
        self, addresses: PeerLinkAddresses, sock: socket.socket, listener: Listener, faults: FaultSwitch
    ) -> None:
        super().__init__(sock, listener, faults, initiates=int(addresses.local) > int(addresses.peer))
        self._addresses = addresses

    def target(self) -> tuple[str, int]:
        """The peer's end."""
        return str(self._addresses.peer), self._addresses.port

    def accepts(self, source: object) -> bool:
        """Only datagrams of the peer's address and port."""
        return isinstance(source, tuple) and tuple(source[:2]) == self.target()

    async def connect(self) -> Connection:
        """Open the stream for entries."""
        self._faults.check()
        return await _connected(_bound(self._addresses.local), self.target(), self._faults)


async def _connected(sock: socket.socket, target: tuple[str, int], faults: FaultSwitch) -> Connection:
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(sock, target)
        faults.check()
        _, connection = await loop.create_connection(
            lambda: Connection(faults, f"{target[0]} port {target[1]}"), sock=sock
        )
    except BaseException:
        sock.close()
        raise
    return connection


class HostFabric(Fabric):
    """Fabric of a device with real addresses. ``peer_link``: its address pair, ``None`` for no peer-link."""

    def __init__(self, peer_link: PeerLinkAddresses | None = None) -> None:
        super().__init__()
        self._peer_link_addresses = peer_link

    async def open(self) -> None:
        """See ``Fabric``."""
        addresses = self._peer_link_addresses
        if addresses is None:
            return
        faults = self.faults[Link.PEER_LINK]
        here = (str(addresses.local), addresses.port)
        family = _family(addresses.local)
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            sock.bind(here)
            entries = accepting_socket(family, here)
        except OSError as error:
            sock.close()
            raise FabricSettingsError(
                f"the peer-link cannot use {addresses.local} port {addresses.port}: {error.strerror}",
                "the peer-link needs an address of this machine and a port that is free for UDP and TCP",
            ) from error
        self.peer_link = _HostPeerLink(
            addresses, sock, Listener(entries, faults, f"peer-link {addresses.local}"), faults
        )

    async def listen(self, vpn_instance: str | None, address: IPAddress, port: int) -> Listener:
        """See ``Fabric``."""
        try:
            sock = await _made(vpn_instance, lambda: accepting_socket(_family(address), (str(address), port)))
        except _NamespaceMissingError as error:
            raise VpnInstanceUnavailable(vpn_instance or "", address, port, str(error)) from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                # /proc shows the ports of this process's own namespace only.
                hint = "another process"
                if vpn_instance is None:
                    hint = await asyncio.to_thread(describe_port_holder, str(address), port)
                raise PortInUse(vpn_instance, address, port, hint) from error
            raise self._refusal(vpn_instance, address, port, error) from error
        return Listener(sock, self.faults[Link.CHANNEL], f"{address} port {port}")

    async def heartbeat(self, vpn_instance: str | None, address: IPAddress, port: int | None) -> HeartbeatPort:
        """See ``Fabric``."""
        try:
            sock = await _made(vpn_instance, lambda: bound_heartbeat(_family(address), str(address), port))
        except _NamespaceMissingError as error:
            raise VpnInstanceUnavailable(vpn_instance or "", address, port, str(error), "UDP") from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise UdpPortInUse(vpn_instance, address, port) from error
            raise self._refusal(vpn_instance, address, port, error, "UDP") from error
        return HeartbeatPort(sock, self.faults[Link.HEARTBEAT], str)

    async def connect(self, vpn_instance: str | None, local: IPAddress, peer: IPAddress, port: int) -> Connection:
        """See ``Fabric``."""
        faults = self.faults[Link.CHANNEL]
        faults.check()
        try:
            sock = await _made(vpn_instance, lambda: _bound(local))
        except _NamespaceMissingError as error:
            raise VpnInstanceUnavailable(vpn_instance or "", local, port, str(error)) from error
        except OSError as error:
            raise self._refusal(vpn_instance, local, port, error) from error
        return await _connected(sock, (str(peer), port), faults)

    async def check(self, vpn_instance: str | None, address: IPAddress, port: int) -> None:
        """See ``Fabric``."""
        try:
            await _made(vpn_instance, lambda: _probe(address))
        except _NamespaceMissingError as error:
            raise VpnInstanceUnavailable(vpn_instance or "", address, port, str(error)) from error
        except OSError as error:
            raise self._refusal(vpn_instance, address, port, error) from error

    async def aclose(self) -> None:
        """See ``Fabric``; listeners are closed by whoever asked for them."""
        if self.peer_link is not None:
            await self.peer_link.aclose()
            self.peer_link = None

    @staticmethod
    def _refusal(
        vpn_instance: str | None, address: IPAddress, port: int | None, error: OSError, protocol: str = "TCP"
    ) -> AddressUnavailable:
        why = error.strerror or str(error)
        if error.errno == errno.EADDRNOTAVAIL:
            why = "no interface of this device holds it"
        return AddressUnavailable(vpn_instance, address, port, why, protocol)
