"""One session over one connection, sans-IO: bytes and times in, events and bytes out.

Both sides send a hello at once. A side that has accepted the other's hello derives the session keys from both nonces,
so that packets recorded in another session are no good, and confirms with a keepalive; the session is up when the
other's confirmation has arrived (the OpenSent, OpenConfirm and Established of RFC 4271 section 8.2.2).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from mlag_agent.mlag.config import DownReason, EntryType, Link
from mlag_agent.mlag.messages import (
    Announcement,
    CloseCause,
    CloseNotice,
    decode_announcement,
    decode_close,
    decode_entries,
    decode_marker,
    decode_withdrawals,
    encode_announcement,
    encode_close,
    encode_marker,
    encode_records,
)
from mlag_agent.mlag.reasons import Cause, channel_mismatch, group_mismatch
from mlag_agent.mlag.statistics import PacketCounters, PacketType, packet_type
from mlag_agent.mlag.wire import PROTOCOL_VERSION, Decoder, Encoder, Message, MessageType, ProtocolViolation, derive_key

__all__ = [
    "BatchEnded",
    "EntriesReceived",
    "Session",
    "SessionDown",
    "SessionEvent",
    "SessionParameters",
    "SessionState",
    "SessionUp",
    "WithdrawalsReceived",
]

_HELLO_LABEL: Final = b"mlag-agent sync hello 1"
_SESSION_LABEL: Final = b"mlag-agent sync session 1"

# Reasons that hold for both sides alike; any other reason in a close message means "peer-closed" on this side.
_SHARED_REASONS: Final = frozenset(
    {
        DownReason.PORT_MISMATCH,
        DownReason.ADDRESS_MISMATCH,
        DownReason.ADDRESS_FAMILY_MISMATCH,
        DownReason.GROUP_MISMATCH,
        DownReason.VERSION_MISMATCH,
        DownReason.NO_AUTHENTICATION,
        DownReason.PEER_UNCONFIGURED,
    }
)


class SessionState(Enum):
    """States of one session; ``CLOSED`` is final."""

    OPEN_SENT = auto()
    OPEN_CONFIRM = auto()
    ESTABLISHED = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class SessionParameters:
    """What a session needs to know; times in seconds. ``announcement.nonce`` must be fresh for each session."""

    announcement: Announcement
    password: str | None = field(repr=False)
    initiator: bool
    link: Link
    keepalive: float
    hold: float
    open_timeout: float
    version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class SessionUp:
    """The session is established."""

    peer: Announcement


@dataclass(frozen=True, slots=True)
class SessionDown:
    """The session has ended, by a fault found here or by the peer; the connection is to be closed."""

    cause: Cause
    by_peer: bool


@dataclass(frozen=True, slots=True)
class EntriesReceived:
    """Entries of the peer: MAC (6 bytes) by key (address + VLAN)."""

    type: EntryType
    entries: dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class WithdrawalsReceived:
    """Entries that the peer no longer has."""

    type: EntryType
    keys: list[bytes]


@dataclass(frozen=True, slots=True)
class BatchEnded:
    """The peer has sent its whole table once; what it did not name is stale."""

    type: EntryType


SessionEvent = SessionUp | SessionDown | EntriesReceived | WithdrawalsReceived | BatchEnded


class Session:
    """State machine of one session.

    Calls never raise for what the peer sends: that ends in a ``SessionDown`` event. Sending in a state that does not
    allow it is a mistake of the caller and raises ``RuntimeError``.
    """

    def __init__(self, parameters: SessionParameters, now: float, counters: PacketCounters | None = None) -> None:
        self._counters = counters or PacketCounters()
        key = derive_key(parameters.password, _HELLO_LABEL)
        self._parameters = parameters
        self._encoder = Encoder(key, parameters.version)
        self._decoder = Decoder(key, parameters.version)
        self._state = SessionState.OPEN_SENT
        self._peer: Announcement | None = None
        self._keepalive = parameters.keepalive
        self._opened = self._last_heard = self._last_sent = now
        self._output: list[bytes] = []
        self._output_types: list[PacketType] = []
        self.authentication_failures = 0
        self._handlers: dict[tuple[SessionState, MessageType], Callable[[Message, float], list[SessionEvent]]] = {
            (SessionState.OPEN_SENT, MessageType.HELLO): self._on_hello,
            (SessionState.OPEN_CONFIRM, MessageType.KEEPALIVE): self._on_confirm,
            (SessionState.OPEN_CONFIRM, MessageType.CLOSE): self._on_close,
            (SessionState.ESTABLISHED, MessageType.KEEPALIVE): self._on_keepalive,
            (SessionState.ESTABLISHED, MessageType.ENTRIES): self._on_entries,
            (SessionState.ESTABLISHED, MessageType.WITHDRAW): self._on_withdraw,
            (SessionState.ESTABLISHED, MessageType.END_OF_BATCH): self._on_marker,
            (SessionState.ESTABLISHED, MessageType.CLOSE): self._on_close,
        }
        self._emit(MessageType.HELLO, encode_announcement(parameters.announcement), now)

    @property
    def state(self) -> SessionState:
        """Where the session is."""
        return self._state

    @property
    def peer(self) -> Announcement | None:
        """The peer's hello once it has been accepted."""
        return self._peer

    def receive(self, data: bytes, now: float) -> list[SessionEvent]:
        """Take bytes of the connection; ``now`` in seconds of a monotonic clock."""
        events: list[SessionEvent] = []
        message: Message | None = None
        try:
            self._decoder.feed(data)
            while self._state is not SessionState.CLOSED:
                message = None  # what the decoder refuses is not the one before
                message = self._decoder.next_message()
                if message is None:
                    break
                self._last_heard = now
                events += self._handlers.get((self._state, message.type), self._out_of_place)(message, now)
                mac = None if self._peer is None else self._peer.system_mac
                self._counters.count_received(packet_type(message), mac, authenticated=message.authenticated)
        except ProtocolViolation as violation:
            self._counters.count_refused(packet_type(message or violation.about), violation, message)
            if violation.reason in (DownReason.AUTHENTICATION_FAILED, DownReason.NO_AUTHENTICATION):
                self.authentication_failures += 1
            events.append(self._fail(Cause(violation.reason, violation.detail, now), now))
        return events

    def connection_lost(self, why: str, now: float) -> list[SessionEvent]:
        """The connection ended without a close message. Before the peer's hello that is no session but a refusal."""
        if self._state is SessionState.CLOSED:
            return []
        before_hello = self._state is SessionState.OPEN_SENT
        self._state = SessionState.CLOSED
        reason = DownReason.CONNECT_FAILED if before_hello else DownReason.PEER_CLOSED
        stage = "before its hello" if before_hello else "without a close message"
        return [SessionDown(Cause(reason, f"the peer closed the connection {stage}: {why}", now), by_peer=True)]

    def tick(self, now: float) -> list[SessionEvent]:
        """Timers: keepalive due, hold time over, session not open in time."""
        if self._state is SessionState.CLOSED:
            return []
        hold = self._parameters.hold
        if self._state is SessionState.ESTABLISHED:
            if now >= self._last_heard + hold:
                detail = f"nothing arrived from the peer for the hold time of {hold:g} s"
                return [self._fail(Cause(DownReason.HOLD_TIMER_EXPIRED, detail, now), now)]
            if now >= self._last_sent + self._keepalive:
                self._emit(MessageType.KEEPALIVE, b"", now)
        elif now >= self._opened + self._parameters.open_timeout:
            detail = f"the session was not opened within {self._parameters.open_timeout:g} s"
            return [self._fail(Cause(DownReason.CONNECT_FAILED, detail, now), now)]
        return []

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do next; ``None`` once closed."""
        if self._state is SessionState.CLOSED:
            return None
        if self._state is SessionState.ESTABLISHED:
            return min(self._last_heard + self._parameters.hold, self._last_sent + self._keepalive)
        return self._opened + self._parameters.open_timeout

    def send_entries(self, entry_type: EntryType, records: bytes, now: float) -> None:
        """Queue up to ``BATCH_RECORDS`` records (key + MAC each)."""
        self._require_established()
        self._emit(MessageType.ENTRIES, encode_records(entry_type, records), now, PacketType(entry_type))

    def send_withdrawals(self, entry_type: EntryType, keys: bytes, now: float) -> None:
        """Queue up to ``BATCH_RECORDS`` keys."""
        self._require_established()
        self._emit(MessageType.WITHDRAW, encode_records(entry_type, keys), now, PacketType(entry_type))

    def send_end_of_batch(self, entry_type: EntryType, now: float) -> None:
        """Queue the marker that says that the whole table has been sent."""
        self._require_established()
        self._emit(MessageType.END_OF_BATCH, encode_marker(entry_type), now, PacketType(entry_type))

    def close(self, cause: DownReason | CloseCause, detail: str, now: float) -> None:
        """End the session from this side; the peer is told why if it can verify it. Harmless when closed."""
        if self._state is SessionState.CLOSED:
            return
        # Before the peer's hello the session key is unknown, and the peer, who may have ours, expects it.
        if self._state is not SessionState.OPEN_SENT:
            self._emit(MessageType.CLOSE, encode_close(CloseNotice(cause, detail)), now)
        self._state = SessionState.CLOSED

    def data_to_send(self) -> bytes:
        """Bytes for the connection; empties the queue."""
        return self.packets_to_send()[0]

    def packets_to_send(self) -> tuple[bytes, list[PacketType]]:
        """Bytes for the connection and the types of the packets in them; empties the queue."""
        data, types = b"".join(self._output), self._output_types
        self._output.clear()
        self._output_types = []
        return data, types

    def _require_established(self) -> None:
        if self._state is not SessionState.ESTABLISHED:
            raise RuntimeError(f"entries cannot be sent in state {self._state.name}")

    def _emit(
        self, message_type: MessageType, body: bytes, now: float, counted: PacketType = PacketType.SESSION
    ) -> None:
        self._output.append(self._encoder.encode(message_type, body))
        self._output_types.append(counted)
        self._last_sent = now

    def _fail(self, cause: Cause, now: float) -> SessionDown:
        self.close(cause.reason, cause.detail, now)
        return SessionDown(cause, by_peer=False)

    def _out_of_place(self, message: Message, _now: float) -> list[SessionEvent]:
        raise ProtocolViolation(
            DownReason.PROTOCOL_ERROR, f"message {message.type.name} is out of place in state {self._state.name}"
        )

    def _on_hello(self, message: Message, now: float) -> list[SessionEvent]:
        peer = decode_announcement(message.body)
        mine = self._parameters.announcement
        if peer.nonce == mine.nonce:
            raise ProtocolViolation(DownReason.PROTOCOL_ERROR, "this device's own hello came back")
        self._peer = peer
        self._derive_keys(peer)
        # Up to a third of the peer's hold time, so that it may lose two (RFC 4271 section 4.4).
        self._keepalive = min(self._keepalive, max(peer.hold_ms, 3) / 3000)
        self._state = SessionState.OPEN_CONFIRM
        mismatch = self._mismatch(mine, peer)
        if mismatch is not None:
            return [self._fail(Cause(mismatch.reason, mismatch.detail, now), now)]
        self._emit(MessageType.KEEPALIVE, b"", now)
        return []

    def _mismatch(self, mine: Announcement, peer: Announcement) -> Cause | None:
        if self._parameters.link is Link.CHANNEL:
            return channel_mismatch(mine, peer)
        return group_mismatch(mine, peer)

    def _derive_keys(self, peer: Announcement) -> None:
        password = self._parameters.password
        if password is None:
            return
        mine = self._parameters.announcement.nonce
        initiator = self._parameters.initiator
        nonces = mine + peer.nonce if initiator else peer.nonce + mine
        master = hmac.digest(password.encode(), _SESSION_LABEL + nonces, "sha256")
        # A key for each direction, so that nothing can be reflected to its sender.
        keys = (hmac.digest(master, b"initiator", "sha256"), hmac.digest(master, b"acceptor", "sha256"))
        self._encoder.key, self._decoder.key = keys if initiator else keys[::-1]

    def _on_confirm(self, _message: Message, _now: float) -> list[SessionEvent]:
        self._state = SessionState.ESTABLISHED
        assert self._peer is not None
        return [SessionUp(self._peer)]

    def _on_keepalive(self, _message: Message, _now: float) -> list[SessionEvent]:
        return []

    def _on_entries(self, message: Message, _now: float) -> list[SessionEvent]:
        return [EntriesReceived(*decode_entries(message.body))]

    def _on_withdraw(self, message: Message, _now: float) -> list[SessionEvent]:
        return [WithdrawalsReceived(*decode_withdrawals(message.body))]

    def _on_marker(self, message: Message, _now: float) -> list[SessionEvent]:
        return [BatchEnded(decode_marker(message.body))]

    def _on_close(self, message: Message, now: float) -> list[SessionEvent]:
        notice = decode_close(message.body)
        self._state = SessionState.CLOSED
        reason = DownReason.PEER_CLOSED
        if notice.cause in _SHARED_REASONS:
            reason = DownReason(notice.cause)
        detail = f"the peer closed the session: {notice.cause.value}"
        # The peer's sentence speaks from its side ("this device" is the peer): quoted, not taken over.
        return [SessionDown(Cause(reason, detail + (f' ("{notice.detail}")' if notice.detail else ""), now), True)]
