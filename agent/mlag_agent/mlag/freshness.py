"""Whether a datagram of the peer is new: what DFS hellos and heartbeats have against recorded ones (DOMAIN 1.5).

Each carries a nonce of its sender's start and the nonce last heard from the receiver.  One of an unknown start counts
only if it echoes this device's nonce, and one of a known start only if its sequence number has risen.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import Final

from mlag_agent.mlag.config import DownReason
from mlag_agent.mlag.messages import NO_NONCE
from mlag_agent.mlag.wire import ProtocolViolation, ReceiveFailure

__all__ = ["REPLY_GAP", "Arrival", "Freshness"]

FORMER_NONCES: Final = 16
"""Earlier starts of the peer that are remembered, so that their datagrams cannot be played back."""

REPLY_GAP: Final = 0.02
"""Seconds between datagrams out of turn: two sides that meet answer each other at once, but cannot start a storm."""


class Arrival(Enum):
    """What a datagram that is not refused tells of its sender."""

    UNPROVEN = auto()
    """It has not heard this device yet: the datagram does not count, the next one will echo our nonce."""
    NEW_START = auto()
    KNOWN = auto()


class Freshness:
    """One device's view of one peer; ``nonce`` is that of this device's start, ``echo`` what it sends back."""

    def __init__(self, nonce: bytes) -> None:
        self.nonce = nonce
        self.echo = NO_NONCE
        self._peer = NO_NONCE
        self._sequence = -1
        self._former: deque[bytes] = deque(maxlen=FORMER_NONCES)

    def arrived(self, nonce: bytes, echo: bytes, sequence: int, what: str) -> Arrival:
        """Take a datagram whose digest was right; ``what`` names its kind.  Raises ProtocolViolation for an old one."""
        if nonce == self.nonce:
            raise _replayed(f"this device's own {what} came back")
        known = nonce == self._peer
        if nonce in self._former or (known and sequence <= self._sequence):
            raise _replayed(f"sequence number {sequence} of a {what} was seen before")
        self.echo = nonce
        if not known and echo != self.nonce:
            return Arrival.UNPROVEN
        if not known and self._peer != NO_NONCE:
            self._former.append(self._peer)
        self._peer, self._sequence = nonce, sequence
        return Arrival.KNOWN if known else Arrival.NEW_START


def _replayed(words: str) -> ProtocolViolation:
    return ProtocolViolation(DownReason.PROTOCOL_ERROR, words, failure=ReceiveFailure.SERIAL_NUMBER)
