"""The heartbeat of dual-active detection, sans-IO: whether the other device lives, whatever the peer-link does.

A heartbeat is a datagram of one message (``wire``) of type HEARTBEAT, sent each second to the configured peer address,
and three times in quick succession when the peer-link has failed (DOMAIN 1.1 step 4). OK while they arrive, lost when
none has for the time-out. It carries what the two ends need to agree who gives way: priority, system MAC, and whether
an uplink port works.

``freshness`` says which of them count.
"""

from __future__ import annotations

import hmac
import struct
from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from mlag_agent.mlag.config import DownReason
from mlag_agent.mlag.freshness import REPLY_GAP, Arrival, Freshness
from mlag_agent.mlag.messages import NO_NONCE, NONCE_SIZE
from mlag_agent.mlag.reasons import Cause
from mlag_agent.mlag.statistics import PacketCounters, PacketType
from mlag_agent.mlag.wire import (
    PROTOCOL_VERSION,
    Encoder,
    Message,
    MessageType,
    ProtocolViolation,
    decode_datagram,
)

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


class Heartbeat:
    """Heartbeat protocol of one device; every time is in seconds of a monotonic clock."""

    def __init__(
        self,
        nonce: bytes,
        interval: float,
        version: int = PROTOCOL_VERSION,
        counters: PacketCounters | None = None,
    ) -> None:
        self.counters = counters or PacketCounters()
        self.packet_type = PacketType.IPV4_HEART
        """What its packets count as: the owner knows the address family."""
        self._fresh = Freshness(nonce)
        self._interval = interval
        self._version = version
        self._encoder = Encoder(None, version)
        self._mine: Beat | None = None
        self._timeout = 0.0
        self._next: float | None = None
        self._quick: deque[float] = deque()
        self._reply_after = 0.0
        self._output: list[bytes] = []
        self._peer: Beat | None = None
        self._heard = 0.0
        self._violation: Cause | None = None
        self.received = 0
        self.authentication_failures = 0

    @property
    def ok(self) -> bool:
        """Whether a heartbeat has arrived within the time-out."""
        return self._peer is not None

    @property
    def peer(self) -> Beat | None:
        """What the last heartbeat said, None when it is older than the time-out."""
        return self._peer

    @property
    def violation(self) -> Cause | None:
        """Why the newest packet was refused; None when the newest one was valid or is too old."""
        return self._violation

    def configure(self, mine: Beat | None, password: str | None, timeout: float, now: float) -> None:
        """New parameters, told to the peer at once; None stops the heartbeat: nothing is sent, what comes is ignored.

        ``timeout`` in seconds.
        """
        key = None if password is None else hmac.digest(password.encode(), _LABEL, "sha256")
        if key != self._encoder.key or mine is None:
            # What was believed under the old password is worth nothing under the new one.
            self._peer = None
            self._violation = None
        self._encoder.key = key
        self._timeout = timeout
        self._mine = None if mine is None else replace(mine, nonce=self._fresh.nonce)
        self._next = None
        self._output.clear()
        if mine is None:
            self._quick.clear()
        else:
            self._send(now)

    def update(self, *, uplink_up: bool, now: float) -> None:
        """What is known of the uplink ports now."""
        if self._mine is not None and self._mine.uplink_up != uplink_up:
            self._mine = replace(self._mine, uplink_up=uplink_up)
            self._send(now)

    def hurry(self, now: float) -> float:
        """The three quick packets, from ``now`` on; returns when the last one is sent."""
        self._quick = deque(now + number * QUICK_GAP for number in range(QUICK_PACKETS))
        return self._quick[-1]

    def receive(self, packet: bytes, now: float) -> None:
        """One datagram. Never raises for its contents."""
        if self._mine is None:
            return
        message = None
        try:
            message = decode_datagram(packet, self._encoder.key, self._version)
            mac = self._accept(message, now)
        except ProtocolViolation as violation:
            self.counters.count_refused(self.packet_type, violation, message)
            if violation.reason in (DownReason.AUTHENTICATION_FAILED, DownReason.NO_AUTHENTICATION):
                self.authentication_failures += 1
            self._violation = Cause(violation.reason, f"heartbeat: {violation.detail}", now)
        else:
            self.counters.count_received(self.packet_type, mac, authenticated=message.authenticated)

    def tick(self, now: float) -> None:
        """Timers: a packet is due, the peer or a refused packet is too old."""
        if self._peer is not None and now >= self._heard + self._timeout:
            self._peer = None
        if self._violation is not None and now >= self._violation.at + self._timeout:
            self._violation = None
        if self._next is not None and now >= self._next:
            self._send(now)
        while self._quick and now >= self._quick[0]:
            self._quick.popleft()
            self._send(now)

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do next."""
        times = [] if self._next is None else [self._next]
        times += list(self._quick)[:1]
        if self._peer is not None:
            times.append(self._heard + self._timeout)
        if self._violation is not None:
            times.append(self._violation.at + self._timeout)
        return min(times, default=None)

    def datagrams_to_send(self) -> list[bytes]:
        """Packets for the wire; empties the queue."""
        output, self._output = self._output, []
        return output

    def _send(self, now: float) -> None:
        if self._mine is None:
            return
        beat = replace(self._mine, echo=self._fresh.echo)
        # Only the newest says what is true now; an older one that has not gone out yet is dropped.
        self._output = [self._encoder.encode(MessageType.HEARTBEAT, encode_beat(beat))]
        self._next = now + self._interval

    def _reply(self, now: float) -> None:
        if now >= self._reply_after:
            self._reply_after = now + REPLY_GAP
            self._send(now)
        elif self._next is None or self._next > self._reply_after:
            self._next = self._reply_after

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
        arrival = self._fresh.arrived(beat.nonce, beat.echo, message.sequence, "heartbeat")
        if arrival is Arrival.UNPROVEN:
            self._reply(now)  # the peer's next one will echo our nonce and count
            return beat.system_mac
        newly = self._peer is None or arrival is Arrival.NEW_START
        self._peer = beat
        self._heard = now
        self._violation = None
        self.received += 1
        if newly or beat.echo != self._fresh.nonce:
            self._reply(now)
        return beat.system_mac
