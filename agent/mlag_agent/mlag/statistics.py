"""What has been sent and received, by type of packet: 'display dfs packet statistics' and its relatives (DOMAIN 3.3).

Each wire has its own ``PacketCounters``, which its part of the protocol keeps; ``Statistics`` shows them as the two
modules of the device do. Counted is per packet, never per entry: a packet carries up to 500 of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from mlag_agent.mlag.config import DownReason, Link
from mlag_agent.mlag.wire import Message, MessageType, ProtocolViolation, ReceiveFailure

__all__ = [
    "DFS_TYPES",
    "FWM_TYPES",
    "AuthenticationCount",
    "LastPacket",
    "ModuleStatistics",
    "PacketCount",
    "PacketCounters",
    "PacketStatistics",
    "PacketType",
    "SendFailure",
    "Statistics",
    "packet_type",
]


class PacketType(StrEnum):
    """The device's names of what this protocol has a packet for; ``SESSION`` is the project's own: what opens, keeps
    and closes a session that carries entries."""

    HELLO = "hello"
    IPV4_HEART = "ipv4-heart"
    IPV6_HEART = "ipv6-heart"
    ARP = "arp"
    ND = "nd"
    SESSION = "session"
    SYNC_CONFIG = "sync-config"


class SendFailure(StrEnum):
    """Why a packet could not be sent; the device's names."""

    NO_PEER_LINK = "get-peerlink-failed"
    REFUSED = "hpp-send-failed"


DFS_TYPES: Final = tuple(PacketType)
FWM_TYPES: Final = (PacketType.ARP, PacketType.ND, PacketType.SESSION)

_AUTHENTICATION: Final = frozenset({DownReason.AUTHENTICATION_FAILED, DownReason.NO_AUTHENTICATION})
_ENTRY_MESSAGES: Final = frozenset({MessageType.ENTRIES, MessageType.WITHDRAW, MessageType.END_OF_BATCH})
_OF_CODE: Final = {b"\x01": PacketType.ARP, b"\x02": PacketType.ND}


def packet_type(message: Message | None) -> PacketType:
    """The type of a message of a session; what cannot be told of a broken one is the session's."""
    if message is None or message.type not in _ENTRY_MESSAGES:
        return PacketType.SESSION
    return _OF_CODE.get(message.body[:1], PacketType.SESSION)


@dataclass(frozen=True, slots=True)
class AuthenticationCount:
    """Packets whose digest was right, and wrong or missing; ``last_mac``: six bytes, of the last sender whose digest
    was right (a digest that is wrong proves no sender)."""

    type: PacketType
    success: int
    fail: int
    last_mac: bytes | None


@dataclass(frozen=True, slots=True)
class PacketCount:
    """Packets of one type."""

    type: PacketType
    sent: int
    send_failed: int
    received: int
    receive_failed: int


@dataclass(frozen=True, slots=True)
class LastPacket:
    """The last packet of a kind; ``at`` is aware UTC, ``reason`` and ``detail`` say why it failed."""

    at: datetime
    type: PacketType
    reason: SendFailure | ReceiveFailure | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PacketStatistics:
    """Of one module; ``reset`` is when the counters were last set to zero, ``None``: never."""

    counts: tuple[PacketCount, ...]
    last_sent: LastPacket | None
    last_send_failure: LastPacket | None
    last_received: LastPacket | None
    last_receive_failure: LastPacket | None
    reset: datetime | None


class PacketCounters:
    """Counters of one wire; ``wall`` gives aware UTC."""

    def __init__(self, wall: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._wall = wall
        self.last_unverified: PacketType | None = None
        """Type of the last packet whose digest was wrong or missing."""
        self.reset_authentication()
        self.reset_packets()

    def reset_authentication(self) -> None:
        """To zero: what the digests showed."""
        self.verified = dict.fromkeys(PacketType, 0)
        self.unverified = dict.fromkeys(PacketType, 0)
        self.macs: dict[PacketType, bytes] = {}

    def reset_packets(self) -> None:
        """To zero: packets sent and received."""
        self.sent = dict.fromkeys(PacketType, 0)
        self.send_failed = dict.fromkeys(PacketType, 0)
        self.received = dict.fromkeys(PacketType, 0)
        self.receive_failed = dict.fromkeys(PacketType, 0)
        self.last_sent: LastPacket | None = None
        self.last_send_failure: LastPacket | None = None
        self.last_received: LastPacket | None = None
        self.last_receive_failure: LastPacket | None = None

    def count_sent(
        self, types: Iterable[PacketType], error: str | None, failure: SendFailure = SendFailure.REFUSED
    ) -> None:
        """Packets were given to the wire; ``error``: what it said against them, ``None`` when it took them."""
        counts, last = self.sent if error is None else self.send_failed, None
        for last in types:
            counts[last] += 1
        if last is None:
            return
        if error is None:
            self.last_sent = LastPacket(self._wall(), last)
        else:
            self.last_send_failure = LastPacket(self._wall(), last, failure, error)

    def count_received(self, kind: PacketType, mac: bytes | None, *, authenticated: bool) -> None:
        """A packet was accepted; ``mac``: six bytes, of its sender."""
        self.received[kind] += 1
        self.last_received = LastPacket(self._wall(), kind)
        if authenticated:
            self.verified[kind] += 1
            if mac is not None:
                self.macs[kind] = mac

    def count_refused(self, kind: PacketType, violation: ProtocolViolation, message: Message | None = None) -> None:
        """A packet was refused; ``message`` when its digest and number were right all the same."""
        self.receive_failed[kind] += 1
        self.last_receive_failure = LastPacket(self._wall(), kind, violation.failure, violation.detail)
        known = message or violation.about
        if violation.reason in _AUTHENTICATION:
            self.unverified[kind] += 1
            self.last_unverified = kind
        elif known is not None and known.authenticated:
            self.verified[kind] += 1


class ModuleStatistics:
    """The wires of one module of the device, as its displays add them up."""

    def __init__(
        self, types: tuple[PacketType, ...], wires: tuple[PacketCounters, ...], wall: Callable[[], datetime]
    ) -> None:
        self._types = types
        self._wires = wires
        self._wall = wall
        self._packets_reset: datetime | None = None
        self.authentication_reset: datetime | None = None
        """When the counters of authentication were last set to zero."""

    def authentication(self) -> tuple[AuthenticationCount, ...]:
        """A row for each type."""
        return tuple(
            AuthenticationCount(
                kind,
                sum(wire.verified[kind] for wire in self._wires),
                sum(wire.unverified[kind] for wire in self._wires),
                # Each type of a module comes over one wire.
                next((wire.macs[kind] for wire in self._wires if kind in wire.macs), None),
            )
            for kind in self._types
        )

    def packets(self) -> PacketStatistics:
        """A row for each type, and the last packets of all."""
        rows = tuple(
            PacketCount(
                kind,
                sum(wire.sent[kind] for wire in self._wires),
                sum(wire.send_failed[kind] for wire in self._wires),
                sum(wire.received[kind] for wire in self._wires),
                sum(wire.receive_failed[kind] for wire in self._wires),
            )
            for kind in self._types
        )
        return PacketStatistics(
            rows,
            _newest(wire.last_sent for wire in self._wires),
            _newest(wire.last_send_failure for wire in self._wires),
            _newest(wire.last_received for wire in self._wires),
            _newest(wire.last_receive_failure for wire in self._wires),
            self._packets_reset,
        )

    def reset_authentication(self) -> None:
        """``reset-dfs-authentication-status``, ``reset-fwm-dfs-authentication-status``."""
        for wire in self._wires:
            wire.reset_authentication()
        self.authentication_reset = self._wall()

    def reset_packets(self) -> None:
        """``reset-dfs-packet-statistics``, ``reset-fwm-sync-packet-statistics``."""
        for wire in self._wires:
            wire.reset_packets()
        self._packets_reset = self._wall()


class Statistics:
    """Of one device: the DFS module has the hello, the heartbeat and the TCP channel; what forwards frames (FWM) has
    the entries that go over the peer-link. docs/decisions/062-statistics.md says why."""

    def __init__(self, wall: Callable[[], datetime]) -> None:
        self.hello = PacketCounters(wall)
        self.heartbeat = PacketCounters(wall)
        self.channel = PacketCounters(wall)
        self.stream = PacketCounters(wall)
        self.dfs = ModuleStatistics(DFS_TYPES, (self.hello, self.heartbeat, self.channel), wall)
        self.fwm = ModuleStatistics(FWM_TYPES, (self.stream,), wall)
        self.of_links: Final = {Link.CHANNEL: self.channel, Link.PEER_LINK: self.stream}

    def count_hello(self, error: str | None, *, no_link: bool) -> None:
        """A hello was sent, or could not be; ``no_link``: there is no peer-link to send it on."""
        failure = SendFailure.NO_PEER_LINK if no_link else SendFailure.REFUSED
        self.hello.count_sent((PacketType.HELLO,), error, failure)


def _newest(candidates: Iterable[LastPacket | None]) -> LastPacket | None:
    return max((last for last in candidates if last is not None), key=lambda last: last.at, default=None)
