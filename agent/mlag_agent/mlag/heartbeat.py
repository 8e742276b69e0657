"""The heartbeat of dual-active detection, sans-IO: whether the other device lives, whatever the peer-link does.

A heartbeat is a datagram of one message (``wire``) of type HEARTBEAT, sent each second to the configured peer address,
and three times in quick succession when the peer-link has failed (DOMAIN 1.1 step 4). OK while they arrive, lost when
none has for the time-out. It carries what the two ends need to agree who gives way: priority, system MAC, and whether
an uplink port works.

``freshness`` says which of them count.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from mlag_agent.mlag.config import DownReason
from mlag_agent.mlag.messages import NO_NONCE, NONCE_SIZE
from mlag_agent.mlag.presence import Presence
from mlag_agent.mlag.statistics import PacketCounters, PacketType
from mlag_agent.mlag.wire import PROTOCOL_VERSION, Message, MessageType, ProtocolViolation

__all__ = ["QUICK_GAP", "QUICK_PACKETS", "Beat", "Heartbeat", "decode_beat", "encode_beat"]

_LABEL: Final = b"mlag-agent heartbeat 1"
_BEAT: Final = struct.Struct(f">{NONCE_SIZE}s{NONCE_SIZE}sBB6sHB")
_UPLINK_UP: Final = 1
QUICK_PACKETS: Final = 3
QUICK_GAP: Final = 0.2
"""Seconds between the quick packets."""


@dataclass(frozen=True, slots=True)
class Beat:
    """What a heartbeat says. ``uplink_up``: no uplink port is configured, or one of them is up."""

    group_id: int
    priority: int
    system_mac: bytes
    udp_port: int
    uplink_up: bool = True
    nonce: bytes = NO_NONCE
    echo: bytes = NO_NONCE


def encode_beat(beat: Beat) -> bytes:
    """Body of a heartbeat."""
    flags = _UPLINK_UP if beat.uplink_up else 0
    return _BEAT.pack(beat.nonce, beat.echo, beat.group_id, beat.priority, beat.system_mac, beat.udp_port, flags)


def decode_beat(body: bytes) -> Beat:
    """The reverse of ``encode_beat``. Raises ``ProtocolViolation`` and nothing else."""
    if len(body) != _BEAT.size:
        raise _broken(f"a heartbeat has {_BEAT.size} bytes, not {len(body)}")
    nonce, echo, group_id, priority, mac, port, flags = _BEAT.unpack(body)
    if not 1 <= priority <= 254:
        raise _broken(f"priority {priority} in a heartbeat is outside 1..254")
    if flags & ~_UPLINK_UP:
        raise _broken(f"flags {flags:#04x} in a heartbeat are unknown")
    return Beat(group_id, priority, mac, port, bool(flags & _UPLINK_UP), nonce, echo)


def _broken(detail: str) -> ProtocolViolation:
    return ProtocolViolation(DownReason.PROTOCOL_ERROR, detail)


class Heartbeat(Presence[Beat]):
    """Heartbeat protocol of one device; the peer is what the last heartbeat said, while none is missing for longer than
    the time-out."""

    def __init__(
        self,
        nonce: bytes,
        interval: float,
        version: int = PROTOCOL_VERSION,
        counters: PacketCounters | None = None,
    ) -> None:
        super().__init__(
            nonce, interval, label=_LABEL, source="heartbeat", patience=0.0, version=version, counters=counters
        )
        self.packet_type = PacketType.IPV4_HEART
        """What its packets count as: the owner knows the address family."""
        self._quick: deque[float] = deque()
        self.received = 0

    @property
    def ok(self) -> bool:
        """Whether a heartbeat has arrived within the time-out."""
        return self._peer is not None

    def configure(self, mine: Beat | None, password: str | None, timeout: float, now: float) -> None:
        """New parameters, told to the peer at once; None stops the heartbeat: nothing is sent, what comes is ignored.

        ``timeout`` in seconds.
        """
        self._patience = timeout
        self._output.clear()
        if mine is None:
            self._quick.clear()
        self._say(None if mine is None else replace(mine, nonce=self._fresh.nonce), password, now)

    def update(self, *, uplink_up: bool, now: float) -> None:
        """What is known of the uplink ports now."""
        if self._mine is not None and self._mine.uplink_up != uplink_up:
            self._mine = replace(self._mine, uplink_up=uplink_up)
            self._send(now)

    def hurry(self, now: float) -> float:
        """The three quick packets, from ``now`` on; returns when the last one is sent."""
        self._quick = deque(now + number * QUICK_GAP for number in range(QUICK_PACKETS))
        return self._quick[-1]

    def tick(self, now: float) -> None:
        """See ``Presence``; the quick packets too."""
        super().tick(now)
        while self._quick and now >= self._quick[0]:
            self._quick.popleft()
            self._send(now)

    def _deadlines(self) -> list[float]:
        return super()._deadlines() + list(self._quick)[:1]

    def _type_of(self, message: Message | None) -> PacketType:
        return self.packet_type

    def _datagram(self, echo: bytes) -> bytes:
        assert self._mine is not None
        return self._encoder.encode(MessageType.HEARTBEAT, encode_beat(replace(self._mine, echo=echo)))

    def _accept(self, message: Message, now: float) -> bytes:
        """Take a heartbeat; returns the system MAC of its sender."""
        mine = self._mine
        assert mine is not None
        if message.type is not MessageType.HEARTBEAT:
            raise _broken(f"message {message.type.name} is no heartbeat")
        beat = decode_beat(message.body)
        if beat.group_id != mine.group_id:
            raise ProtocolViolation(
                DownReason.GROUP_MISMATCH,
                f"this device is in DFS group {mine.group_id}, the sender in {beat.group_id}",
            )
        self.received += self._heard_from(beat, message.sequence, "heartbeat", now)
        return beat.system_mac
