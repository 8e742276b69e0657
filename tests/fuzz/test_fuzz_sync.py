"""A peer of the sync channel that has the password and still sends what it must not: no exception, ever."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st

from mlag_agent.mlag.config import ChannelConfig, DownReason, EntryType, Link
from mlag_agent.mlag.messages import (
    Announcement,
    CloseCause,
    CloseNotice,
    encode_announcement,
    encode_close,
    encode_marker,
    encode_records,
)
from mlag_agent.mlag.peerlink import PeerLink
from mlag_agent.mlag.session import Session, SessionDown, SessionParameters, SessionState
from mlag_agent.mlag.wire import MessageType

PASSWORD = "secret-123"
MAC = bytes([2, 0, 0, 0, 0, 1])
CHANNELS = (
    ChannelConfig(4, ip_address("10.1.1.2"), ip_address("10.1.1.1"), None, 2048),
    ChannelConfig(4, ip_address("10.1.1.1"), ip_address("10.1.1.2"), None, 2048),
)


def announcement(side: int) -> Announcement:
    return Announcement("ab"[side], "m", 1, 100, MAC, 900, CHANNELS[side], nonce=bytes([side + 1]) * 16)


def session(side: int, password: str | None) -> Session:
    return Session(SessionParameters(announcement(side), password, side == 0, Link.CHANNEL, 3.0, 9.0, 5.0), 0.0)


RECORDS = st.builds(encode_records, st.sampled_from(EntryType), st.binary(max_size=120))
BODIES = st.one_of(
    st.binary(max_size=80),
    RECORDS,
    st.sampled_from(EntryType).map(encode_marker),
    st.builds(
        lambda cause, words: encode_close(CloseNotice(cause, words)),
        st.sampled_from([*DownReason, *CloseCause]),
        st.text(st.characters(codec="utf-8"), max_size=20),
    ),
    st.just(encode_announcement(announcement(1))),
)


@settings(max_examples=150, deadline=None)
@given(
    password=st.sampled_from([None, PASSWORD]),
    opened=st.booleans(),
    messages=st.lists(st.tuples(st.sampled_from(MessageType), BODIES), max_size=12),
    cut=st.integers(1, 60),
)
def test_valid_packets_with_any_content(
    password: str | None, opened: bool, messages: list[tuple[MessageType, bytes]], cut: int
) -> None:
    ours, theirs = session(0, password), session(1, password)
    if opened:
        while (to_peer := ours.data_to_send()) or theirs.state is not SessionState.ESTABLISHED:
            theirs.receive(to_peer, 0.0)
            ours.receive(theirs.data_to_send(), 0.0)
        assert ours.state is SessionState.ESTABLISHED
    for kind, body in messages:
        theirs._emit(kind, body, 0.0)  # signed and numbered as its next message
    stream = theirs.data_to_send()
    ended = 0
    for position in range(0, len(stream), cut):
        for event in ours.receive(stream[position : position + cut], 1.0):
            ended += isinstance(event, SessionDown)
    ours.tick(2.0)
    assert ended <= 1
    assert (ours.state is SessionState.CLOSED) == bool(ended)
    ours.data_to_send()


@settings(max_examples=150, deadline=None)
@given(
    password=st.sampled_from([None, PASSWORD]),
    packets=st.lists(st.one_of(st.binary(max_size=200), st.integers(0, 200)), max_size=20),
)
def test_any_datagrams_on_the_peer_link(password: str | None, packets: list[bytes | int]) -> None:
    """Noise, and real hellos with one bit changed, cut short or played again."""
    ours, theirs = PeerLink(b"1" * 16, 1.0, 3.0), PeerLink(b"2" * 16, 1.0, 3.0)
    ours.configure(announcement(0), password, 0.0)
    theirs.configure(announcement(1), password, 0.0)
    hellos = theirs.datagrams_to_send() or [b""]
    for number, packet in enumerate(packets):
        if isinstance(packet, int):
            hello = bytearray(hellos[number % len(hellos)])
            if hello:
                hello[packet % len(hello)] ^= 1 << number % 8
            ours.receive(bytes(hello[: packet or None]), float(number) / 10)
        else:
            ours.receive(packet, float(number) / 10)
    ours.tick(5.0)
    assert ours.peer is None or ours.peer.device == "b"
