"""The DFS hello over the peer-link, sans-IO: who is there, with which parameters, and since when it is silent.

A hello is a datagram of one message (``wire``) of type PEER_HELLO. It is sent each hello interval, at once when this
device's parameters change, and at once to a peer that was not known. It carries a nonce of its sender's start and the
nonce last heard from the receiver: a hello of an unknown start counts only if it echoes this device's nonce, and one
of a known start only if its sequence number has risen, so that recorded hellos are no good (DOMAIN 1.5).

A hello with a wrong or missing digest never counts as a hello of the peer, and its contents are not even decoded; it
only gives a reason a name, and it never keeps the channel from being tried: nobody without the password can do that.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Final

from mlag_agent.mlag.config import DownReason
from mlag_agent.mlag.consistency_wire import MAX_PARTS, Part, decode_part
from mlag_agent.mlag.freshness import Arrival
from mlag_agent.mlag.messages import (
    NONCE_SIZE,
    Announcement,
    MemberAnnouncement,
    decode_announcement,
    encode_announcement,
)
from mlag_agent.mlag.presence import Presence
from mlag_agent.mlag.statistics import PacketCounters, PacketType
from mlag_agent.mlag.wire import PROTOCOL_VERSION, Message, MessageType, ProtocolViolation

__all__ = ["PeerLink"]

_LABEL: Final = b"mlag-agent dfs hello 1"


class PeerLink(Presence[Announcement]):
    """Hello protocol of one device; the peer is what its last valid hello said, while that is not older than the hold
    time."""

    def __init__(
        self,
        nonce: bytes,
        interval: float,
        hold: float,
        version: int = PROTOCOL_VERSION,
        counters: PacketCounters | None = None,
    ) -> None:
        super().__init__(
            nonce, interval, label=_LABEL, source="hello over the peer-link", patience=hold, version=version,
            counters=counters,
        )  # fmt: skip
        self._members: tuple[MemberAnnouncement, ...] = ()
        self.configurations: deque[Part] = deque(maxlen=MAX_PARTS)
        """Parts of the peer's compared configuration that have arrived, for whoever compares."""
        self._unheard_until = 0.0
        self.hellos_received = 0
        self.hellos_refused = 0

    @property
    def unheard(self) -> bool:
        """Whether hellos arrive whose sender has not heard this device: the way back is broken."""
        return self._peer is None and self._unheard_until > 0

    def configure(self, announcement: Announcement | None, password: str | None, now: float) -> None:
        """New parameters of this device, announced at once; ``None`` stops the hello protocol."""
        mine = None if announcement is None else replace(announcement, nonce=self._fresh.nonce, members=self._members)
        self._say(mine, password, now)

    def tell(self, members: tuple[MemberAnnouncement, ...], now: float) -> None:
        """The member interfaces as they are now; what has changed is announced at once."""
        if members == self._members:
            return
        self._members = members
        if self._mine is not None:
            self._mine = replace(self._mine, members=members)
            self._send(now)

    def tick(self, now: float) -> None:
        """See ``Presence``; a peer that does not hear this device is forgotten too."""
        if self._unheard_until and now >= self._unheard_until:
            self._unheard_until = 0.0
        super().tick(now)

    def _deadlines(self) -> list[float]:
        return super()._deadlines() + ([self._unheard_until] if self._unheard_until else [])

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

    def _type_of(self, message: Message | None) -> PacketType:
        configuration = message is not None and message.type is MessageType.CONFIGURATION
        return PacketType.SYNC_CONFIG if configuration else PacketType.HELLO

    def _datagram(self, echo: bytes) -> bytes:
        assert self._mine is not None
        return self._encoder.encode(MessageType.PEER_HELLO, encode_announcement(replace(self._mine, echo=echo)))

    def _refused(self, violation: ProtocolViolation, message: Message | None, now: float) -> None:
        super()._refused(violation, message, now)
        self.hellos_refused += 1

    def _accept(self, message: Message, now: float) -> bytes:
        """Take a hello; returns the system MAC of its sender."""
        if message.type is MessageType.CONFIGURATION:
            return self._accept_configuration(message)
        if message.type is not MessageType.PEER_HELLO:
            raise ProtocolViolation(DownReason.PROTOCOL_ERROR, f"message {message.type.name} is no DFS hello")
        hello = decode_announcement(message.body)
        counts = self._heard_from(hello, message.sequence, "hello", now)
        self._unheard_until = 0.0 if counts else now + self._patience
        self.hellos_received += counts
        return hello.system_mac
