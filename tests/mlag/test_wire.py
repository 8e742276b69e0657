"""Framing: every cut, every broken byte, and nothing but ProtocolViolation for what a peer sends."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.mlag.config import DownReason
from mlag_agent.mlag.wire import (
    HEADER_SIZE,
    MAX_BODY,
    MAX_MESSAGE,
    PROTOCOL_VERSION,
    Decoder,
    Encoder,
    MessageType,
    ProtocolViolation,
    decode_datagram,
)

KEY = b"k" * 32
KEYS = st.sampled_from([None, KEY])


def drain(decoder: Decoder) -> list[bytes]:
    bodies = []
    while (message := decoder.next_message()) is not None:
        bodies.append(message.body)
    return bodies


@pytest.mark.parametrize("key", [None, KEY])
def test_every_split_gives_the_same_messages(key: bytes | None) -> None:
    encoder = Encoder(key)
    stream = b"".join(encoder.encode(MessageType.ENTRIES, body) for body in (b"", b"one", b"x" * 100))
    for cut in range(len(stream) + 1):
        decoder = Decoder(key)
        decoder.feed(stream[:cut])
        bodies = drain(decoder)
        decoder.feed(stream[cut:])
        assert bodies + drain(decoder) == [b"", b"one", b"x" * 100]


@given(key=KEYS, bodies=st.lists(st.binary(max_size=200), max_size=6), data=st.data())
def test_any_chunks_give_the_same_messages(key: bytes | None, bodies: list[bytes], data: st.DataObject) -> None:
    encoder, decoder = Encoder(key), Decoder(key)
    stream = b"".join(encoder.encode(MessageType.ENTRIES, body) for body in bodies)
    got: list[bytes] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        decoder.feed(stream[:size])
        stream = stream[size:]
        got += drain(decoder)
    assert got == bodies


@given(key=KEYS, position=st.integers(0, HEADER_SIZE + 30 + 31), flip=st.integers(1, 255))
def test_one_changed_byte_is_always_found(key: bytes | None, position: int, flip: int) -> None:
    packet = bytearray(Encoder(key).encode(MessageType.ENTRIES, b"y" * 30))
    position %= len(packet)
    packet[position] ^= flip
    decoder = Decoder(key)
    decoder.feed(bytes(packet) + bytes(MAX_MESSAGE))
    with pytest.raises(ProtocolViolation):
        drain(decoder)


@given(key=KEYS, noise=st.binary(max_size=400))
def test_noise_raises_nothing_but_a_violation(key: bytes | None, noise: bytes) -> None:
    decoder = Decoder(key)
    decoder.feed(noise)
    with suppress(ProtocolViolation):
        assert drain(decoder) == []
    with pytest.raises(ProtocolViolation):
        decode_datagram(noise, key)


def test_a_spent_decoder_stays_spent() -> None:
    decoder = Decoder(None)
    for data in (b"GET", Encoder(None).encode(MessageType.KEEPALIVE)):
        decoder.feed(data)
        with pytest.raises(ProtocolViolation, match="magic"):
            decoder.next_message()


def violation_of(packet: bytes, key: bytes | None) -> ProtocolViolation:
    decoder = Decoder(key)
    decoder.feed(packet)
    with pytest.raises(ProtocolViolation) as caught:
        drain(decoder)
    return caught.value


def header(**fields: int) -> bytes:
    values = {"version": PROTOCOL_VERSION, "type": 2, "flags": 0, "length": 0, "sequence": 0} | fields
    return struct.pack(">4sBBHIQ", b"DFSS", *values.values())


@pytest.mark.parametrize(
    ("packet", "key", "reason", "words"),
    [
        (b"GET / HTTP/1.1\r\n", None, DownReason.PROTOCOL_ERROR, "magic"),
        (b"S", None, DownReason.PROTOCOL_ERROR, "magic"),
        (header(version=9), None, DownReason.VERSION_MISMATCH, "peer version 9"),
        (header(type=99), None, DownReason.PROTOCOL_ERROR, "type 99"),
        (header(flags=6), None, DownReason.PROTOCOL_ERROR, "flags"),
        (header(length=MAX_BODY + 1), None, DownReason.PROTOCOL_ERROR, "above the limit"),
        (header(flags=1), None, DownReason.NO_AUTHENTICATION, "this device has none"),
        (header(), KEY, DownReason.NO_AUTHENTICATION, "the peer has none"),
        (header() + b"abcd", None, DownReason.PROTOCOL_ERROR, "checksum"),
        (Encoder(b"other").encode(MessageType.HELLO), KEY, DownReason.AUTHENTICATION_FAILED, "digest"),
    ],
)
def test_each_violation_has_its_reason(packet: bytes, key: bytes | None, reason: DownReason, words: str) -> None:
    violation = violation_of(packet, key)
    assert violation.reason is reason
    assert words in violation.detail


@pytest.mark.parametrize("key", [None, KEY])
def test_replay_is_refused(key: bytes | None) -> None:
    packet = Encoder(key).encode(MessageType.KEEPALIVE)
    violation = violation_of(packet + packet, key)
    assert violation.reason is DownReason.PROTOCOL_ERROR
    assert "replayed" in violation.detail


@pytest.mark.parametrize("key", [None, KEY])
def test_loss_is_found(key: bytes | None) -> None:
    encoder = Encoder(key)
    first, _, third = (encoder.encode(MessageType.KEEPALIVE) for _ in range(3))
    assert "lost" in violation_of(first + third, key).detail


def test_own_body_above_the_limit_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="above the limit"):
        Encoder(None).encode(MessageType.ENTRIES, bytes(MAX_BODY + 1))


def test_a_datagram_holds_exactly_one_message() -> None:
    packet = Encoder(KEY).encode(MessageType.PEER_HELLO, b"body")
    assert decode_datagram(packet, KEY).body == b"body"
    for wrong in (packet + b"x", packet[:-1], packet[:5], b""):
        with pytest.raises(ProtocolViolation):
            decode_datagram(wrong, KEY)
