"""The session's state machine without sockets: opening, keys, timers, closing, misuse."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.mlag.config import ChannelConfig, DownReason, EntryType, Link
from mlag_agent.mlag.link import newcomer_wins
from mlag_agent.mlag.messages import Announcement, CloseCause
from mlag_agent.mlag.session import (
    BatchEnded,
    EntriesReceived,
    Session,
    SessionDown,
    SessionEvent,
    SessionParameters,
    SessionState,
    SessionUp,
    WithdrawalsReceived,
)
from mlag_agent.mlag.wire import PROTOCOL_VERSION, Encoder, MessageType

from ipaddress import ip_address  # isort: skip

PASSWORD = "secret-123"
KEY = bytes([10, 1, 1, 9, 0, 10])
MAC = bytes([2, 0, 0, 0, 0, 1])
CHANNEL_A = ChannelConfig(4, ip_address("10.1.1.2"), ip_address("10.1.1.1"), None, 2048)
CHANNEL_B = ChannelConfig(4, ip_address("10.1.1.1"), ip_address("10.1.1.2"), "other-name", 2048)


def parameters(side: int, password: str | None = PASSWORD, **changes: object) -> SessionParameters:
    announcement = Announcement(
        "ab"[side], "m", 1, 100, MAC, 900, (CHANNEL_A, CHANNEL_B)[side], nonce=bytes([side + 1]) * 16
    )
    made = SessionParameters(announcement, password, side == 0, Link.CHANNEL, 3.0, 9.0, 5.0)
    return replace(made, **changes)  # type: ignore[arg-type]


def exchange(a: Session, b: Session, now: float = 0.0) -> tuple[list[SessionEvent], list[SessionEvent]]:
    """Carry bytes until both are silent."""
    events: tuple[list[SessionEvent], list[SessionEvent]] = ([], [])
    while True:
        to_b, to_a = a.data_to_send(), b.data_to_send()
        if not to_a and not to_b:
            return events
        events[1].extend(b.receive(to_b, now))
        events[0].extend(a.receive(to_a, now))


def established(password: str | None = PASSWORD) -> tuple[Session, Session]:
    a, b = Session(parameters(0, password), 0.0), Session(parameters(1, password), 0.0)
    exchange(a, b)
    assert a.state is b.state is SessionState.ESTABLISHED
    return a, b


@pytest.mark.parametrize("password", [None, PASSWORD])
def test_opens_on_both_sides(password: str | None) -> None:
    a, b = Session(parameters(0, password), 0.0), Session(parameters(1, password), 0.0)
    on_a, on_b = exchange(a, b)
    assert [type(event) for event in on_a + on_b] == [SessionUp, SessionUp]
    assert a.peer is not None
    assert a.peer.device == "b"


@pytest.mark.parametrize("password", [None, PASSWORD])
def test_carries_entries_withdrawals_and_markers(password: str | None) -> None:
    a, b = established(password)
    a.send_entries(EntryType.ARP, KEY + MAC, 1.0)
    a.send_withdrawals(EntryType.ARP, KEY, 1.0)
    a.send_end_of_batch(EntryType.ND, 1.0)
    _, on_b = exchange(a, b)
    assert on_b == [
        EntriesReceived(EntryType.ARP, {KEY: MAC}),
        WithdrawalsReceived(EntryType.ARP, [KEY]),
        BatchEnded(EntryType.ND),
    ]


def test_split_at_every_byte_changes_nothing() -> None:
    reference = Session(parameters(1), 0.0)
    a = Session(parameters(0), 0.0)
    hello = a.data_to_send()
    a.receive(reference.data_to_send(), 0.0)
    stream = hello + a.data_to_send()
    for cut in range(len(stream)):
        b = Session(parameters(1), 0.0)
        events = b.receive(stream[:cut], 0.0) + b.receive(stream[cut:], 0.0)
        assert [type(event) for event in events] == [SessionUp]


@pytest.mark.parametrize(
    ("mine", "theirs", "reason"),
    [
        (PASSWORD, "another-1", DownReason.AUTHENTICATION_FAILED),
        (PASSWORD, None, DownReason.NO_AUTHENTICATION),
        (None, PASSWORD, DownReason.NO_AUTHENTICATION),
    ],
)
def test_passwords_that_differ_are_named_on_both_sides(
    mine: str | None, theirs: str | None, reason: DownReason
) -> None:
    a, b = Session(parameters(0, mine), 0.0), Session(parameters(1, theirs), 0.0)
    for events in exchange(a, b):
        assert [event.cause.reason for event in events if isinstance(event, SessionDown)] == [reason]
    assert a.authentication_failures == b.authentication_failures == 1


def other_channel(**changes: object) -> Announcement:
    announcement = parameters(1).announcement
    return replace(announcement, channel=replace(CHANNEL_B, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("theirs", "reason", "words"),
    [
        (other_channel(tcp_port=2049), DownReason.PORT_MISMATCH, "this device uses tcp-port 2048, the peer 2049"),
        (other_channel(peer_address=ip_address("10.1.1.3")), DownReason.ADDRESS_MISMATCH, "10.1.1.3"),
        (
            other_channel(family=6, local_address=ip_address("2001:db8::1"), peer_address=ip_address("2001:db8::2")),
            DownReason.ADDRESS_FAMILY_MISMATCH,
            "IPv4 form",
        ),
        (replace(parameters(1).announcement, group_id=2), DownReason.GROUP_MISMATCH, "group 1, the peer in 2"),
    ],
)
def test_parameters_that_differ_are_named_on_both_sides(theirs: Announcement, reason: DownReason, words: str) -> None:
    a, b = Session(parameters(0), 0.0), Session(parameters(1, announcement=theirs), 0.0)
    on_a, on_b = exchange(a, b)
    assert [event.cause.reason for event in on_a + on_b if isinstance(event, SessionDown)] == [reason, reason]
    assert isinstance(on_a[0], SessionDown)
    assert words in on_a[0].cause.detail


def test_versions_that_differ_are_named_on_both_sides() -> None:
    a, b = Session(parameters(0), 0.0), Session(parameters(1, version=PROTOCOL_VERSION + 1), 0.0)
    on_a, on_b = exchange(a, b)
    assert [e.cause.reason for e in on_a + on_b if isinstance(e, SessionDown)] == [DownReason.VERSION_MISMATCH] * 2


def test_packets_of_another_session_are_no_good() -> None:
    a, b = Session(parameters(0), 0.0), Session(parameters(1), 0.0)
    hello = a.data_to_send()
    a.receive(b.data_to_send(), 0.0)
    recorded = hello + a.data_to_send()
    fresh = replace(parameters(1).announcement, nonce=b"f" * 16)
    victim = Session(parameters(1, announcement=fresh), 0.0)
    events = victim.receive(recorded, 0.0)
    assert [event.cause.reason for event in events if isinstance(event, SessionDown)] == [
        DownReason.AUTHENTICATION_FAILED
    ]


def test_own_packets_reflected_are_no_good() -> None:
    a = Session(parameters(0), 0.0)
    (down,) = a.receive(a.data_to_send(), 0.0)
    assert isinstance(down, SessionDown)
    assert "own hello" in down.cause.detail
    a, _ = established()
    a.send_entries(EntryType.ARP, KEY + MAC, 1.0)
    mine = a.data_to_send()
    (down,) = a.receive(mine, 1.0)
    assert isinstance(down, SessionDown)
    assert down.cause.reason is DownReason.AUTHENTICATION_FAILED


def test_hold_timer() -> None:
    a, _ = established()
    assert a.next_deadline() is not None
    assert a.tick(8.9) == []
    (down,) = a.tick(9.0)
    assert isinstance(down, SessionDown)
    assert down.cause.reason is DownReason.HOLD_TIMER_EXPIRED
    assert a.next_deadline() is None
    assert a.tick(99.0) == []


def test_keepalive_is_a_third_of_the_peers_hold_time_at_most() -> None:
    a, b = established()
    assert a.next_deadline() == pytest.approx(0.3)  # the peer announced 900 ms
    assert a.tick(0.3) == []
    assert b.receive(a.data_to_send(), 0.3) == []
    assert b.state is SessionState.ESTABLISHED


def test_session_that_does_not_open_in_time() -> None:
    a = Session(parameters(0), 0.0)
    a.data_to_send()
    assert a.next_deadline() == 5.0
    (down,) = a.tick(5.0)
    assert isinstance(down, SessionDown)
    assert down.cause.reason is DownReason.CONNECT_FAILED
    assert a.data_to_send() == b""  # no close message: the peer could not verify it


def test_close_is_shown_at_the_peer() -> None:
    a, b = established()
    a.close(CloseCause.SHUTDOWN, "the device shuts down", 1.0)
    _, (down,) = exchange(a, b)
    assert isinstance(down, SessionDown)
    assert down.by_peer
    assert down.cause.reason is DownReason.PEER_CLOSED
    assert 'shutdown ("the device shuts down")' in down.cause.detail
    assert b.connection_lost("end of stream", 1.0) == []


def test_end_of_connection() -> None:
    a, _ = established()
    (down,) = a.connection_lost("reset", 1.0)
    assert isinstance(down, SessionDown)
    assert down.cause.reason is DownReason.PEER_CLOSED
    opening = Session(parameters(0), 0.0)
    (down,) = opening.connection_lost("reset", 1.0)
    assert isinstance(down, SessionDown)
    assert down.cause.reason is DownReason.CONNECT_FAILED


def test_message_out_of_place() -> None:
    b = Session(parameters(1, None), 0.0)
    (down,) = b.receive(Encoder(None).encode(MessageType.ENTRIES, b"\1" + KEY + MAC), 0.0)
    assert isinstance(down, SessionDown)
    assert down.cause.reason is DownReason.PROTOCOL_ERROR
    assert "out of place" in down.cause.detail


def test_sending_before_it_is_up_is_our_mistake() -> None:
    with pytest.raises(RuntimeError, match="OPEN_SENT"):
        Session(parameters(0), 0.0).send_entries(EntryType.ARP, KEY + MAC, 0.0)


def test_no_secret_in_repr() -> None:
    assert PASSWORD not in repr(parameters(0))


@given(password=st.sampled_from([None, PASSWORD]), noise=st.binary(min_size=1, max_size=300), cut=st.integers(0, 200))
def test_nothing_is_raised_for_what_a_peer_sends(password: str | None, noise: bytes, cut: int) -> None:
    a, b = Session(parameters(0, password), 0.0), Session(parameters(1, password), 0.0)
    stream = a.data_to_send()
    b.receive(stream[:cut] + noise, 0.0)
    c, d = established(password)
    c.send_entries(EntryType.ARP, KEY + MAC, 1.0)
    stream = c.data_to_send()
    events = d.receive(stream[:cut] + noise, 1.0)
    assert all(not isinstance(event, SessionUp) for event in events)


@pytest.mark.parametrize(
    ("old", "new", "wins"), [(True, True, True), (False, False, True), (True, False, False), (False, True, True)]
)
def test_collision(old: bool, new: bool, wins: bool) -> None:
    assert newcomer_wins(old, new) is wins
