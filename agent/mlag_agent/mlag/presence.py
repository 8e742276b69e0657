"""What DFS hello and heartbeat have in common, sans-IO: datagrams that say whether a device is there, and as what.

One is sent each interval, at once when this device has something new to say, and at once to a peer that was not known.
``freshness`` says which of the peer's count; one that is refused gives a reason a name and changes nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

from mlag_agent.mlag.config import DownReason
from mlag_agent.mlag.freshness import REPLY_GAP, Arrival, Freshness
from mlag_agent.mlag.reasons import Cause
from mlag_agent.mlag.statistics import PacketCounters, PacketType
from mlag_agent.mlag.wire import Encoder, Message, ProtocolViolation, decode_datagram, derive_key

__all__ = ["Presence", "Saying"]


class Saying(Protocol):
    """What such a datagram says, besides what it is about."""

    @property
    def nonce(self) -> bytes:
        """Of the sender's start."""

    @property
    def echo(self) -> bytes:
        """The nonce that the sender has last heard from the receiver."""


Said = TypeVar("Said", bound=Saying)


class Presence(ABC, Generic[Said]):
    """One device's side; every time is in seconds of a monotonic clock.

    ``label`` keeps the key apart from those of other packets, ``source`` begins the sentence about a refused one.
    ``patience``: after how long without one the peer is taken for gone.
    """

    def __init__(
        self,
        nonce: bytes,
        interval: float,
        *,
        label: bytes,
        source: str,
        patience: float,
        version: int,
        counters: PacketCounters | None,
    ) -> None:
        self.counters = counters or PacketCounters()
        self._label = label
        self._source = source
        self._fresh = Freshness(nonce)
        self._interval = interval
        self._patience = patience
        self._version = version
        self._encoder = Encoder(None, version)
        self._mine: Said | None = None
        self._next: float | None = None
        self._reply_after = 0.0
        self._output: list[bytes] = []
        self._peer: Said | None = None
        self._heard = 0.0
        self._violation: Cause | None = None
        self.authentication_failures = 0

    @property
    def peer(self) -> Said | None:
        """What the peer's last valid datagram said; None when that is too old."""
        return self._peer

    @property
    def violation(self) -> Cause | None:
        """Why the newest datagram was refused; None when the newest one was valid or is too old."""
        return self._violation

    def receive(self, packet: bytes, now: float) -> None:
        """One datagram. Never raises for its contents."""
        if self._mine is None:
            return
        message = None
        try:
            message = decode_datagram(packet, self._encoder.key, self._version)
            mac = self._accept(message, now)
        except ProtocolViolation as violation:
            self._refused(violation, message, now)
        else:
            self.counters.count_received(self._type_of(message), mac, authenticated=message.authenticated)

    def datagrams_to_send(self) -> list[bytes]:
        """What is to be sent; empties the queue."""
        output, self._output = self._output, []
        return output

    # -- for subclasses ----------------------------------------------------------------------------------------------

    @abstractmethod
    def _datagram(self, echo: bytes) -> bytes:
        """What this device says now, encoded."""

    @abstractmethod
    def _accept(self, message: Message, now: float) -> bytes:
        """Take a message; returns the system MAC of its sender. Raises ``ProtocolViolation``."""

    @abstractmethod
    def _type_of(self, message: Message | None) -> PacketType:
        """What a packet counts as; None: nothing of it could be read."""

    def _say(self, mine: Said | None, password: str | None, now: float) -> None:
        """New parameters, told at once; None: nothing is sent any more, and what comes is ignored."""
        key = derive_key(password, self._label)
        if key != self._encoder.key or mine is None:
            # What was believed under the old password is worth nothing under the new one.
            self._peer = None
            self._violation = None
        self._encoder.key = key
        self._mine = mine
        self._next = None
        self._send(now)

    def _send(self, now: float) -> None:
        if self._mine is None:
            return
        # Only the newest says what is true now; an older one that has not gone out yet is dropped.
        self._output = [self._datagram(self._fresh.echo)]
        self._next = now + self._interval

    def _reply(self, now: float) -> None:
        """One out of turn, at once or as soon as the gap allows."""
        if now >= self._reply_after:
            self._reply_after = now + REPLY_GAP
            self._send(now)
        elif self._next is None or self._next > self._reply_after:
            self._next = self._reply_after

    def _heard_from(self, said: Said, sequence: int, what: str, now: float) -> bool:
        """Whether a valid datagram counts. Raises ``ProtocolViolation`` for an old one."""
        arrival = self._fresh.arrived(said.nonce, said.echo, sequence, what)
        if arrival is Arrival.UNPROVEN:
            self._reply(now)  # the peer's next one will echo our nonce and count
            return False
        newly = self._peer is None or arrival is Arrival.NEW_START
        self._peer = said
        self._heard = now
        self._violation = None
        if newly or said.echo != self._fresh.nonce:
            self._reply(now)
        return True

    def _refused(self, violation: ProtocolViolation, message: Message | None, now: float) -> None:
        self.counters.count_refused(self._type_of(message), violation, message)
        if violation.reason in (DownReason.AUTHENTICATION_FAILED, DownReason.NO_AUTHENTICATION):
            self.authentication_failures += 1
        self._violation = Cause(violation.reason, f"{self._source}: {violation.detail}", now)

    def tick(self, now: float) -> None:
        """Timers: one is due, the peer or a refused datagram is too old."""
        if self._peer is not None and now >= self._heard + self._patience:
            self._peer = None
        if self._violation is not None and now >= self._violation.at + self._patience:
            self._violation = None
        if self._next is not None and now >= self._next:
            self._send(now)

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do next."""
        return min(self._deadlines(), default=None)

    def _deadlines(self) -> list[float]:
        times = [] if self._next is None else [self._next]
        if self._peer is not None:
            times.append(self._heard + self._patience)
        if self._violation is not None:
            times.append(self._violation.at + self._patience)
        return times
