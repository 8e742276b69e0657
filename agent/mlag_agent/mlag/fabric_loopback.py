"""The loopback fabric: agents of one machine meet in a folder; no privileges needed.

Each (VPN instance, address) in use gets an address of 127.0.0.0/8 of its own, and the configured TCP port is really
bound there: so "port in use" is real, also against processes that hold the port on every address. Linux only: there
the whole of 127/8 is local without being configured.

The folder holds ``claims/<hash>``: one file for each (VPN instance, address), locked (flock) by the agent that uses
it, so that a dead agent's claim ends with it. The 127/8 address itself is claimed by binding an abstract Unix socket
of its name, which holds for the network namespace as 127/8 does: agents of other folders never share an address.
``pairs/<hash>/`` holds the two ends of a peer-link.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

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

__all__ = ["LoopbackFabric"]

MAX_CANDIDATES: Final = 64
"""Addresses tried for one claim: with 16 million of them, 64 collisions in a row mean that something else is wrong."""
_SLOTS: Final = (0, 1)


@dataclass(slots=True)
class _Claim:
    """A held (VPN instance, address): its lock, its guard socket, how many listeners use it."""

    path: Path
    descriptor: int
    guard: socket.socket
    loopback: str
    users: int = 0


def _key(vpn_instance: str | None, address: IPAddress) -> str:
    text = f"{vpn_instance or ''}\0{address}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


class _Registry:
    """The folder's claims on addresses."""

    def __init__(self, folder: Path, owner: str) -> None:
        self._folder = folder / "claims"
        self._owner = owner
        self._lock = folder / "lock"
        self._claims: dict[str, _Claim] = {}
        self._folder.mkdir(parents=True, exist_ok=True)
        # The folder itself, not its name: two names of one folder are one meeting place.
        status = os.stat(folder)
        self._identity = f"{status.st_dev}:{status.st_ino}"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Serialises short changes of the folder between processes."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def take(self, vpn_instance: str | None, address: IPAddress, port: int | None) -> str:
        """Claim an address, or use a claim of this fabric once more; returns its 127/8 address."""
        key = _key(vpn_instance, address)
        claim = self._claims.get(key)
        if claim is None:
            with self._locked():
                self._sweep()
                claim = self._claim(key, vpn_instance, address, port)
            self._claims[key] = claim
        claim.users += 1
        return claim.loopback

    def give_back(self, vpn_instance: str | None, address: IPAddress) -> None:
        """One use less; the last one ends the claim."""
        key = _key(vpn_instance, address)
        claim = self._claims[key]
        claim.users -= 1
        if claim.users == 0:
            del self._claims[key]
            with self._locked():
                claim.path.unlink(missing_ok=True)
            os.close(claim.descriptor)
            claim.guard.close()

    def find(self, vpn_instance: str | None, address: IPAddress) -> str | None:
        """The 127/8 address of whoever holds ``address``, ``None`` when nobody does."""
        path = self._folder / _key(vpn_instance, address)
        with self._locked():
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            try:
                if _try_lock(descriptor):  # nobody holds it: its owner has died
                    return None
                return str(self._read(descriptor)["loopback"])
            finally:
                os.close(descriptor)

    def _claim(self, key: str, vpn_instance: str | None, address: IPAddress, port: int | None) -> _Claim:
        path = self._folder / key
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _try_lock(descriptor):
                owner = self._read(descriptor).get("owner", "another device")
                raise AddressUnavailable(vpn_instance, address, port, f"device {owner} holds it")
            loopback, guard = self._guarded_address(key, vpn_instance, address, port)
            text = json.dumps(
                {"vpn-instance": vpn_instance, "address": str(address), "loopback": loopback, "owner": self._owner}
            )
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, text.encode(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        return _Claim(path, descriptor, guard, loopback)

    def _guarded_address(
        self, key: str, vpn_instance: str | None, address: IPAddress, port: int | None
    ) -> tuple[str, socket.socket]:
        for attempt in range(MAX_CANDIDATES):
            seed = hashlib.sha256(f"{self._identity}\0{key}\0{attempt}".encode()).digest()
            # 127.0.0.0/16 is left to the people who type 127.0.0.1; .0 and .255 look like network and broadcast.
            loopback = str(IPv4Address(bytes([127, 1 + seed[0] % 254, seed[1], 1 + seed[2] % 254])))
            guard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            try:
                guard.bind(f"\0mlag-agent/{loopback}")
            except OSError as error:
                guard.close()
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            return loopback, guard
        raise AddressUnavailable(
            vpn_instance, address, port, f"{MAX_CANDIDATES} addresses of 127.0.0.0/8 in a row are taken"
        )

    def _sweep(self) -> None:
        """Remove the claims of agents that have died."""
        for path in self._folder.iterdir():
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                if _try_lock(descriptor):
                    path.unlink(missing_ok=True)
            finally:
                os.close(descriptor)

    @staticmethod
    def _read(descriptor: int) -> dict[str, str]:
        text = os.pread(descriptor, 4096, 0)
        data = json.loads(text) if text else {}
        return {str(name): str(value) for name, value in data.items()}


class _LoopbackPeerLink(PeerLinkPort):
    """Unix sockets in the pair's folder, reached through ``/proc/self/fd`` so that no path is too long for them."""

    def __init__(
        self, sock: socket.socket, listener: Listener, faults: FaultSwitch, *, folder: int, slot: int, lock: int
    ) -> None:
        super().__init__(sock, listener, faults, initiates=slot == 1)
        self._folder = folder
        self._lock = lock
        self._other = 1 - slot

    def target(self) -> str:
        """The other end's datagram socket."""
        return f"/proc/self/fd/{self._folder}/{self._other}.hello"

    async def connect(self) -> Connection:
        """Open the stream for entries."""
        self._faults.check()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            await self._loop.sock_connect(sock, f"/proc/self/fd/{self._folder}/{self._other}.entries")
            _, connection = await self._loop.create_unix_connection(
                lambda: Connection(self._faults, "the other end of the peer-link"), sock=sock
            )
        except BaseException:
            sock.close()
            raise
        return connection

    async def aclose(self) -> None:
        """Close the sockets, then free the slot."""
        await super().aclose()
        slot = 1 - self._other
        for name in (f"{slot}.hello", f"{slot}.entries"):
            os.unlink(name, dir_fd=self._folder)
        os.close(self._lock)
        os.close(self._folder)


class LoopbackFabric(Fabric):
    """Fabric of one device in a rendezvous folder.

    ``folder`` is made if it is missing. ``device`` names the owner in messages. ``pair`` names the peer-link that this
    device shares with one other, ``None`` for no peer-link. ``addresses`` and ``vpn_instances`` restrict what the
    device has (``None``: any); both can be changed later with ``restrict``, as when an interface goes away.
    """

    def __init__(
        self,
        folder: Path,
        device: str,
        pair: str | None,
        *,
        addresses: Collection[IPAddress] | None = None,
        vpn_instances: Collection[str] | None = None,
    ) -> None:
        super().__init__()
        self._folder = folder
        self._device = device
        self._pair = pair
        self._addresses = addresses
        self._vpn_instances = vpn_instances
        self._registry: _Registry | None = None

    def restrict(self, addresses: Collection[IPAddress] | None, vpn_instances: Collection[str] | None) -> None:
        """Change the addresses and VPN instances that the device has from now on (``None``: any)."""
        self._addresses = addresses
        self._vpn_instances = vpn_instances

    async def open(self) -> None:
        """See ``Fabric``; raises ``FabricSettingsError`` when the folder cannot be used or the pair is complete."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._registry = _Registry(self._folder, self._device)
            if self._pair is not None:
                self.peer_link = self._open_peer_link(self._pair)
        except OSError as error:
            raise FabricSettingsError(
                f"the rendezvous folder {self._folder} cannot be used: {error}",
                "name a folder that the agent may write to, on a local file system",
            ) from error

    def _open_peer_link(self, pair: str) -> _LoopbackPeerLink:
        path = self._folder / "pairs" / hashlib.sha256(pair.encode()).hexdigest()[:32]
        path.mkdir(parents=True, exist_ok=True)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            slot, lock = self._take_slot(folder, pair)
        except BaseException:
            os.close(folder)
            raise
        faults = self.faults[Link.PEER_LINK]
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            for name in (f"{slot}.hello", f"{slot}.entries"):
                if name in os.listdir(folder):
                    os.unlink(name, dir_fd=folder)  # left by an agent that died; the lock says that it is ours
            sock.bind(f"/proc/self/fd/{folder}/{slot}.hello")
            entries = accepting_socket(socket.AF_UNIX, f"/proc/self/fd/{folder}/{slot}.entries")
        except BaseException:
            sock.close()
            os.close(lock)
            os.close(folder)
            raise
        listener = Listener(entries, faults, f"peer-link {pair}")
        return _LoopbackPeerLink(sock, listener, faults, folder=folder, slot=slot, lock=lock)

    def _take_slot(self, folder: int, pair: str) -> tuple[int, int]:
        owners = []
        for slot in _SLOTS:
            lock = os.open(f"{slot}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=folder)
            if _try_lock(lock):
                os.ftruncate(lock, 0)
                os.pwrite(lock, self._device.encode(), 0)
                return slot, lock
            owners.append(os.pread(lock, 4096, 0).decode(errors="replace"))
            os.close(lock)
        raise FabricSettingsError(
            f"pair {pair} in {self._folder} is complete: devices {' and '.join(owners)} hold its peer-link",
            "a peer-link has two ends; give this device a pair name of its own",
        )

    def _check(self, vpn_instance: str | None, address: IPAddress, port: int | None, protocol: str = "TCP") -> None:
        if vpn_instance is not None and self._vpn_instances is not None and vpn_instance not in self._vpn_instances:
            raise VpnInstanceUnavailable(
                vpn_instance, address, port, "it has no forwarding instance on this device", protocol
            )
        if self._addresses is not None and address not in self._addresses:
            raise AddressUnavailable(vpn_instance, address, port, "no interface of this device holds it", protocol)

    async def check(self, vpn_instance: str | None, address: IPAddress, port: int) -> None:
        """See ``Fabric``."""
        self._check(vpn_instance, address, port)

    async def listen(self, vpn_instance: str | None, address: IPAddress, port: int) -> Listener:
        """See ``Fabric``."""
        registry = self._opened()
        self._check(vpn_instance, address, port)
        loopback = registry.take(vpn_instance, address, port)
        try:
            sock = accepting_socket(socket.AF_INET, (loopback, port))
        except OSError as error:
            registry.give_back(vpn_instance, address)
            if error.errno == errno.EADDRINUSE:
                hint = await asyncio.to_thread(describe_port_holder, loopback, port)
                raise PortInUse(vpn_instance, address, port, hint) from error
            why = f"its stand-in {loopback} cannot be bound ({error.strerror}); the loopback fabric needs Linux"
            raise AddressUnavailable(vpn_instance, address, port, why) from error
        return Listener(
            sock,
            self.faults[Link.CHANNEL],
            f"{address} port {port}",
            release=lambda: registry.give_back(vpn_instance, address),
        )

    async def heartbeat(self, vpn_instance: str | None, address: IPAddress, port: int | None) -> HeartbeatPort:
        """See ``Fabric``."""
        registry = self._opened()
        self._check(vpn_instance, address, port, "UDP")
        loopback = registry.take(vpn_instance, address, port)
        try:
            sock = bound_heartbeat(socket.AF_INET, loopback, port)
        except OSError as error:
            registry.give_back(vpn_instance, address)
            if error.errno == errno.EADDRINUSE:
                raise UdpPortInUse(vpn_instance, address, port) from error
            why = f"its stand-in {loopback} cannot be bound ({error.strerror}); the loopback fabric needs Linux"
            raise AddressUnavailable(vpn_instance, address, port, why, "UDP") from error
        return HeartbeatPort(
            sock,
            self.faults[Link.HEARTBEAT],
            lambda peer: registry.find(vpn_instance, peer),
            release=lambda: registry.give_back(vpn_instance, address),
        )

    async def connect(self, vpn_instance: str | None, local: IPAddress, peer: IPAddress, port: int) -> Connection:
        """See ``Fabric``; the source is the stand-in of ``local``, which a listener of this device holds."""
        faults = self.faults[Link.CHANNEL]
        faults.check()
        self._check(vpn_instance, local, port)
        registry = self._opened()
        target = registry.find(vpn_instance, peer)
        if target is None:
            raise OSError(errno.EHOSTUNREACH, f"no device of the fabric holds {peer}")
        source = registry.find(vpn_instance, local)
        if source is None:
            raise AddressUnavailable(vpn_instance, local, port, "this device does not hold it")
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            sock.bind((source, 0))
            await loop.sock_connect(sock, (target, port))
            faults.check()
            _, connection = await loop.create_connection(lambda: Connection(faults, f"{peer} port {port}"), sock=sock)
        except BaseException:
            sock.close()
            raise
        return connection

    async def aclose(self) -> None:
        """See ``Fabric``; listeners are closed by whoever asked for them."""
        if self.peer_link is not None:
            await self.peer_link.aclose()
            self.peer_link = None

    def _opened(self) -> _Registry:
        if self._registry is None:
            raise RuntimeError("the fabric is used before open()")
        return self._registry
