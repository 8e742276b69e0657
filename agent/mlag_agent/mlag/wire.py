"""Framing of the synchronisation protocol, sans-IO: bytes in, messages out, no clock.

A message on the wire (all numbers big-endian)::

    0      4        5     6      8       12               20
    +------+--------+-----+------+--------+----------------+---- ... ----+--------------+
    | DFSS | version| type| flags| length | sequence number| body        | trailer      |
    +------+--------+-----+------+--------+----------------+---- ... ----+--------------+

``length`` is that of the body. Flag 1 says that the trailer is HMAC-SHA256 (32 bytes, RFC 2104) over header and body;
without it the trailer is CRC-32 (4 bytes), because a simulated link may corrupt what TCP has delivered intact.
Sequence numbers start at 0 in each direction of a connection and rise by exactly one: a repeated one is a replay, a
gap means that something was lost, and both end the session, since only a new batch makes the tables equal again.
"""

from __future__ import annotations

import hmac
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from mlag_agent.mlag.config import DownReason

__all__ = [
    "HEADER_SIZE",
    "MAX_BODY",
    "MAX_MESSAGE",
    "PROTOCOL_VERSION",
    "Decoder",
    "Encoder",
    "Message",
    "MessageType",
    "ProtocolViolation",
    "ReceiveFailure",
    "decode_datagram",
    "derive_key",
]

MAGIC: Final = b"DFSS"
PROTOCOL_VERSION: Final = 3
"""2: hellos carry what pairing needs; 3: and the member interfaces."""
HEADER: Final = struct.Struct(">4sBBHIQ")
HEADER_SIZE: Final = HEADER.size
FLAG_AUTHENTICATED: Final = 1
DIGEST_SIZE: Final = 32
CRC_SIZE: Final = 4
MAX_BODY: Final = 16384
"""500 ND records of 24 bytes are 12,000 bytes; the next power of two leaves room and bounds what we have to hold."""
MAX_MESSAGE: Final = HEADER_SIZE + MAX_BODY + DIGEST_SIZE


class MessageType(IntEnum):
    """Type field of the header."""

    HELLO = 1
    KEEPALIVE = 2
    ENTRIES = 3
    WITHDRAW = 4
    END_OF_BATCH = 5
    CLOSE = 6
    PEER_HELLO = 7
    HEARTBEAT = 8
    CONFIGURATION = 9


@dataclass(frozen=True, slots=True)
class Message:
    """One message whose trailer and sequence number were right."""

    type: MessageType
    body: bytes
    sequence: int
    authenticated: bool


class ReceiveFailure(StrEnum):
    """Why a packet was refused, of the device's names those that have a counterpart here (DOMAIN 3.3)."""

    INTEGRITY = "integrity-check-failed"
    SERIAL_NUMBER = "serialnum-check-failed"
    VERSION = "version-mismatch"
    PAIRING = "dfs-pair-failed"
    CONTENT = "mlag-info-error"


_FAILURE_OF_REASON: Final = {
    DownReason.AUTHENTICATION_FAILED: ReceiveFailure.INTEGRITY,
    DownReason.NO_AUTHENTICATION: ReceiveFailure.INTEGRITY,
    DownReason.VERSION_MISMATCH: ReceiveFailure.VERSION,
    DownReason.GROUP_MISMATCH: ReceiveFailure.PAIRING,
}


class ProtocolViolation(Exception):  # noqa: N818 - the peer's deed, not an error of ours
    """The peer's bytes cannot be accepted; ``reason`` is the down-reason to show, ``detail`` a sentence.

    The only exception that a decoder raises for bytes of a peer. ``failure``: what counts it, by the reason unless
    given; ``about``: the message, as far as it was read and whether or not it is the peer's.
    """

    def __init__(
        self,
        reason: DownReason,
        detail: str,
        *,
        failure: ReceiveFailure | None = None,
        about: Message | None = None,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.failure = failure or _FAILURE_OF_REASON.get(reason, ReceiveFailure.CONTENT)
        self.about = about


class Encoder:
    """Builds messages with rising sequence numbers; ``key`` may be changed between messages."""

    def __init__(self, key: bytes | None, version: int = PROTOCOL_VERSION) -> None:
        self.key = key
        self._version = version
        self._sequence = 0

    def encode(self, message_type: MessageType, body: bytes = b"") -> bytes:
        """One message; raises ``ValueError`` for a body above ``MAX_BODY`` (a mistake of ours, not the peer's)."""
        if len(body) > MAX_BODY:
            raise ValueError(f"a body of {len(body)} bytes is above the limit of {MAX_BODY}")
        flags = 0 if self.key is None else FLAG_AUTHENTICATED
        head = HEADER.pack(MAGIC, self._version, message_type, flags, len(body), self._sequence)
        self._sequence += 1
        covered = head + body
        return covered + _trailer(self.key, covered)


class Decoder:
    """Cuts a byte stream into messages.

    ``feed`` takes bytes, ``next_message`` gives one message at a time, because a hello changes the key for those
    after it. Holds at most one incomplete message beyond what was fed last; after a ``ProtocolViolation`` the decoder
    is spent and raises the same violation again.
    """

    def __init__(self, key: bytes | None, version: int = PROTOCOL_VERSION) -> None:
        self.key = key
        self._version = version
        self._buffer = bytearray()
        self._offset = 0
        self._expected = 0
        self._failure: ProtocolViolation | None = None

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes as they came from the connection."""
        if self._failure is None:
            if self._offset:
                del self._buffer[: self._offset]
                self._offset = 0
            self._buffer += data

    def next_message(self) -> Message | None:
        """The next complete message, ``None`` when more bytes are needed. Raises ``ProtocolViolation``."""
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        try:
            return self._parse()
        except ProtocolViolation as violation:
            self._failure = violation
            self._buffer.clear()
            self._offset = 0
            raise

    def _parse(self) -> Message | None:
        available = len(self._buffer) - self._offset
        if available < HEADER_SIZE:
            # A wrong greeting is refused at its first bytes: who speaks another protocol may never send 20 of them.
            _check_magic(bytes(self._buffer[self._offset : self._offset + 4]))
            return None
        fields = HEADER.unpack_from(self._buffer, self._offset)
        total = _check_header(fields, self.key, self._version)
        if available < total:
            return None
        packet = bytes(memoryview(self._buffer)[self._offset : self._offset + total])
        self._offset += total
        message = _check_packet(packet, fields, self.key)
        if message.sequence != self._expected:
            raise ProtocolViolation(
                DownReason.PROTOCOL_ERROR,
                f"sequence number {message.sequence} arrived where {self._expected} was due: "
                + ("a packet was replayed" if message.sequence < self._expected else "packets were lost"),
                failure=ReceiveFailure.SERIAL_NUMBER,
                about=message,
            )
        self._expected += 1
        return message


def derive_key(password: str | None, label: bytes) -> bytes | None:
    """The key of one kind of packets: HMAC-SHA256 of its label under the password, None without one."""
    return None if password is None else hmac.digest(password.encode(), label, "sha256")


def decode_datagram(packet: bytes, key: bytes | None, version: int = PROTOCOL_VERSION) -> Message:
    """The one message of a datagram; its sequence number is left to the caller. Raises ``ProtocolViolation``."""
    if len(packet) < HEADER_SIZE:
        raise ProtocolViolation(DownReason.PROTOCOL_ERROR, f"a datagram of {len(packet)} bytes is too short")
    fields = HEADER.unpack_from(packet)
    total = _check_header(fields, key, version)
    if total != len(packet):
        raise ProtocolViolation(
            DownReason.PROTOCOL_ERROR, f"a datagram of {len(packet)} bytes holds a message of {total} bytes"
        )
    return _check_packet(packet, fields, key)


def _trailer(key: bytes | None, covered: bytes) -> bytes:
    if key is None:
        return zlib.crc32(covered).to_bytes(CRC_SIZE, "big")
    return hmac.digest(key, covered, "sha256")


def _check_magic(start: bytes) -> None:
    if not MAGIC.startswith(start):
        raise ProtocolViolation(DownReason.PROTOCOL_ERROR, "the packet does not start with the protocol's magic number")


def _check_header(fields: tuple[bytes, int, int, int, int, int], key: bytes | None, version: int) -> int:
    """Length of the whole message in bytes."""
    magic, peer_version, type_number, flags, length, _ = fields
    _check_magic(magic)
    if peer_version != version:  # before the rest: only magic and version keep their place between versions
        raise ProtocolViolation(
            DownReason.VERSION_MISMATCH,
            f"this device speaks version {version} of the protocol, the peer version {peer_version}",
        )
    if type_number not in MessageType._value2member_map_:
        raise ProtocolViolation(DownReason.PROTOCOL_ERROR, f"message type {type_number} is unknown")
    if flags & ~FLAG_AUTHENTICATED:
        raise ProtocolViolation(DownReason.PROTOCOL_ERROR, f"flags {flags:#06x} are unknown")
    if length > MAX_BODY:
        raise ProtocolViolation(DownReason.PROTOCOL_ERROR, f"a body of {length} bytes is above the limit of {MAX_BODY}")
    authenticated = bool(flags & FLAG_AUTHENTICATED)
    if authenticated and key is None:
        raise ProtocolViolation(
            DownReason.NO_AUTHENTICATION, "the peer has an authentication password, this device has none"
        )
    if key is not None and not authenticated:
        raise ProtocolViolation(
            DownReason.NO_AUTHENTICATION, "this device has an authentication password, the peer has none"
        )
    return HEADER_SIZE + length + (DIGEST_SIZE if authenticated else CRC_SIZE)


def _check_packet(packet: bytes, fields: tuple[bytes, int, int, int, int, int], key: bytes | None) -> Message:
    body_end = HEADER_SIZE + fields[4]
    message = Message(MessageType(fields[2]), packet[HEADER_SIZE:body_end], fields[5], key is not None)
    if not hmac.compare_digest(_trailer(key, packet[:body_end]), packet[body_end:]):
        if key is None:
            words = "the checksum of a packet is wrong"
            raise ProtocolViolation(DownReason.PROTOCOL_ERROR, words, failure=ReceiveFailure.INTEGRITY, about=message)
        raise ProtocolViolation(
            DownReason.AUTHENTICATION_FAILED,
            "the digest of the peer's packet does not match this device's password",
            about=message,
        )
    return message
