"""The DFS hello over the peer-link, sans-IO: who is there, with which parameters, and since when it is silent.

A hello is a datagram of one message (``wire``) of type PEER_HELLO. It is sent each hello interval, at once when this
device's parameters change, and at once to a peer that was not known. It carries a nonce of its sender's start and the
nonce last heard from the receiver: a hello of an unknown start counts only if it echoes this device's nonce, and one
of a known start only if its sequence number has risen, so that recorded hellos are no good (DOMAIN 1.5).

A hello with a wrong or missing digest never counts as a hello of the peer, and its contents are not even decoded; it
only gives a reason a name, and it never keeps the channel from being tried: nobody without the password can do that.
"""

from __future__ import annotations

import hmac
from collections import deque
from dataclasses import replace
from typing import Final

from mlag_agent.mlag.config import DownReason
from mlag_agent.mlag.consistency_wire import MAX_PARTS, Part, decode_part
from mlag_agent.mlag.freshness import REPLY_GAP, Arrival, Freshness
from mlag_agent.mlag.messages import (
    NONCE_SIZE,
    Announcement,
    MemberAnnouncement,
    decode_announcement,
    encode_announcement,
)
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

__all__ = ["PeerLink"]

_LABEL: Final = b"mlag-agent dfs hello 1"


def _key(password: str | None) -> bytes | None:
    return None if password is None else hmac.digest(password.encode(), _LABEL, "sha256")


def _type_of(message: Message | None) -> PacketType:
    configuration = message is not None and message.type is MessageType.CONFIGURATION
    return PacketType.SYNC_CONFIG if configuration else PacketType.HELLO


class PeerLink:
    """Hello protocol of one device; every time is in seconds of a monotonic clock."""

    def __init__(
        self,
        nonce: bytes,
        interval: float,
        hold: float,
        version: int = PROTOCOL_VERSION,
        counters: PacketCounters | None = None,
    ) -> None:
        self.counters = counters or PacketCounters()
        self._fresh = Freshness(nonce)
        self._interval = interval
        self._hold = hold
        self._version = version
        self._encoder = Encoder(None, version)
        self._mine: Announcement | None = None
        self._members: tuple[MemberAnnouncement, ...] = ()
        self._next_hello: float | None = None
        self._reply_after = 0.0
        self._output: list[bytes] = []
        self.configurations: deque[Part] = deque(maxlen=MAX_PARTS)
        """Parts of the peer's compared configuration that have arrived, for whoever compares."""
        self._peer: Announcement | None = None
        self._heard = 0.0
        self._violation: Cause | None = None
        self._unheard_until = 0.0
        self.hellos_received = 0
        self.hellos_refused = 0
        self.authentication_failures = 0

    @property
    def peer(self) -> Announcement | None:
        """What the peer's last valid hello said; ``None`` when it is older than the hold time."""
        return self._peer

    @property
    def violation(self) -> Cause | None:
        """Why the newest hello was refused; ``None`` when the newest hello was valid or is too old."""
        return self._violation

    @property
    def unheard(self) -> bool:
        """Whether hellos arrive whose sender has not heard this device: the way back is broken."""
        return self._peer is None and self._unheard_until > 0

    def configure(self, announcement: Announcement | None, password: str | None, now: float) -> None:
        """New parameters of this device, announced at once; ``None`` stops the hello protocol."""
        key = _key(password)
        if key != self._encoder.key or announcement is None:
            # What was believed under the old password is worth nothing under the new one.
            self._peer = None
            self._violation = None
        self._encoder.key = key
        self._mine = (
            None if announcement is None else replace(announcement, nonce=self._fresh.nonce, members=self._members)
        )
        self._next_hello = None
        if announcement is not None:
            self._send(now)

    def tell(self, members: tuple[MemberAnnouncement, ...], now: float) -> None:
        """The member interfaces as they are now; what has changed is announced at once."""
        if members == self._members:
            return
        self._members = members
        if self._mine is not None:
            self._mine = replace(self._mine, members=members)
            self._send(now)

    def receive(self, packet: bytes, now: float) -> None:
        """One datagram of the peer-link. Never raises for its contents."""
        if self._mine is None:
            return
        message = None
        try:
            message = decode_datagram(packet, self._encoder.key, self._version)
            mac = self._accept(message, now)
        except ProtocolViolation as violation:
            self.counters.count_refused(_type_of(message), violation, message)
            self.hellos_refused += 1
            if violation.reason in (DownReason.AUTHENTICATION_FAILED, DownReason.NO_AUTHENTICATION):
                self.authentication_failures += 1
            self._violation = Cause(violation.reason, f"hello over the peer-link: {violation.detail}", now)
        else:
            self.counters.count_received(_type_of(message), mac, authenticated=message.authenticated)

    def tick(self, now: float) -> None:
        """Timers: hello due, peer or refused hello too old."""
        if self._peer is not None and now >= self._heard + self._hold:
            self._peer = None
        if self._violation is not None and now >= self._violation.at + self._hold:
            self._violation = None
        if self._unheard_until and now >= self._unheard_until:
            self._unheard_until = 0.0
        if self._next_hello is not None and now >= self._next_hello:
            self._send(now)

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do next."""
        times = [] if self._next_hello is None else [self._next_hello]
        if self._peer is not None:
            times.append(self._heard + self._hold)
        if self._violation is not None:
            times.append(self._violation.at + self._hold)
        if self._unheard_until:
            times.append(self._unheard_until)
        return min(times, default=None)

    def datagrams_to_send(self) -> list[bytes]:
        """Hellos for the peer-link; empties the queue."""
        output, self._output = self._output, []
        return output

    def _send(self, now: float) -> None:
        assert self._mine is not None
        hello = replace(self._mine, echo=self._fresh.echo)
        # Only the newest says what is true now; an older one that has not gone out yet is dropped.
        self._output = [self._encoder.encode(MessageType.PEER_HELLO, encode_announcement(hello))]
        self._next_hello = now + self._interval

    def _reply(self, now: float) -> None:
        """A hello out of turn, at once or as soon as the gap allows."""
        if now >= self._reply_after:
            self._reply_after = now + REPLY_GAP
            self._send(now)
        elif self._next_hello is None or self._next_hello > self._reply_after:
            self._next_hello = self._reply_after

    def configuration(self, body: bytes) -> bytes:
        """The datagram that carries a part of this device's compared configuration: to be sent at once."""
        head = self._fresh.nonce + self._fresh.echo
        return self._encoder.encode(MessageType.CONFIGURATION, head + body)

    def _accept_configuration(self, message: Message) -> bytes:
        """Take a part of the peer's; returns the system MAC of its sender."""
        nonce, rest = message.body[:NONCE_SIZE], message.body[NONCE_SIZE:]
        if len(rest) < NONCE_SIZE:
            raise ProtocolViolation(DownReason.PROTOCOL_ERROR, "a configuration without nonces")
        arrival = self._fresh.arrived(nonce, rest[:NONCE_SIZE], message.sequence, "configuration")
        if self._peer is None or arrival is not Arrival.KNOWN:
            return bytes(6) if self._peer is None else self._peer.system_mac  # only who is known from a hello counts
        self.configurations.append(decode_part(rest[NONCE_SIZE:]))
        return self._peer.system_mac

    def _accept(self, message: Message, now: float) -> bytes:
        """Take a hello; returns the system MAC of its sender."""
        if message.type is MessageType.CONFIGURATION:
            return self._accept_configuration(message)
        if message.type is not MessageType.PEER_HELLO:
            raise ProtocolViolation(DownReason.PROTOCOL_ERROR, f"message {message.type.name} is no DFS hello")
        hello = decode_announcement(message.body)
        arrival = self._fresh.arrived(hello.nonce, hello.echo, message.sequence, "hello")
        if arrival is Arrival.UNPROVEN:
            self._reply(now)  # the peer's next hello will echo our nonce and count
            self._unheard_until = now + self._hold
            return hello.system_mac
        newly = self._peer is None or arrival is Arrival.NEW_START
        self._peer = hello
        self._heard = now
        self._violation = None
        self._unheard_until = 0.0
        self.hellos_received += 1
        if newly or hello.echo != self._fresh.nonce:
            self._reply(now)
        return hello.system_mac
