"""The DFS hello without sockets: verification, liveness, replay, passwords."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.mlag.config import DownReason
from mlag_agent.mlag.messages import Announcement
from mlag_agent.mlag.peerlink import PeerLink

MAC = bytes([2, 0, 0, 0, 0, 1])


def side(name: str, nonce: bytes | None = None, password: str | None = None) -> PeerLink:
    link = PeerLink(nonce or name.encode() * 16, 1.0, 3.0)
    link.configure(Announcement(name, "m", 1, 100, MAC, 9000, None), password, 0.0)
    return link


def carry(a: PeerLink, b: PeerLink, now: float) -> list[bytes]:
    carried = []
    while packets := [(b, p) for p in a.datagrams_to_send()] + [(a, p) for p in b.datagrams_to_send()]:
        for target, packet in packets:
            target.receive(packet, now)
            carried.append(packet)
    return carried


@pytest.mark.parametrize("password", [None, "secret-123"])
def test_two_sides_meet_within_one_exchange(password: str | None) -> None:
    a, b = side("a", password=password), side("b", password=password)
    carried = carry(a, b, 0.0)
    a.tick(0.02), b.tick(0.02)
    carried += carry(a, b, 0.02)
    assert a.peer is not None
    assert b.peer is not None
    assert (a.peer.device, b.peer.device) == ("b", "a")
    assert len(carried) < 10


def test_silence_ends_it() -> None:
    a, b = side("a"), side("b")
    carry(a, b, 0.0)
    a.tick(0.02), b.tick(0.02)
    carry(a, b, 0.02)
    a.tick(2.9)
    assert a.peer is not None
    a.tick(3.1)
    assert a.peer is None


def test_a_change_is_announced_at_once() -> None:
    a, b = side("a"), side("b")
    carry(a, b, 0.0)
    a.tick(0.02), b.tick(0.02)
    carry(a, b, 0.02)
    a.configure(Announcement("a", "m", 2, 100, MAC, 9000, None), None, 0.5)
    carry(a, b, 0.5)
    assert b.peer is not None
    assert b.peer.group_id == 2


@pytest.mark.parametrize(
    ("mine", "theirs", "reason"),
    [
        ("secret-123", "secret-124", DownReason.AUTHENTICATION_FAILED),
        ("secret-123", None, DownReason.NO_AUTHENTICATION),
        (None, "secret-123", DownReason.NO_AUTHENTICATION),
    ],
)
def test_passwords_that_differ_are_named_on_both_sides(
    mine: str | None, theirs: str | None, reason: DownReason
) -> None:
    a, b = side("a", password=mine), side("b", password=theirs)
    carry(a, b, 0.0)
    for link in (a, b):
        assert link.peer is None
        assert link.hellos_received == 0
        assert link.authentication_failures == 1
        assert link.violation is not None
        assert link.violation.reason is reason
        link.tick(3.0)
        assert link.violation is None


def test_a_repeated_hello_does_not_count() -> None:
    a, b = side("a"), side("b")
    packets = carry(a, b, 0.0)
    a.tick(0.02), b.tick(0.02)
    packets += carry(a, b, 0.02)
    count = b.hellos_received
    for packet in packets:
        b.receive(packet, 1.0)
    assert b.hellos_received == count
    b.tick(3.1)
    for packet in packets:  # nor after the peer has fallen silent
        b.receive(packet, 3.2)
    assert b.peer is None


def test_hellos_recorded_before_a_restart_do_not_count() -> None:
    a, b = side("a"), side("b")
    recorded = carry(a, b, 0.0)
    restarted = side("b", nonce=b"B" * 16)
    for packet in recorded:
        restarted.receive(packet, 0.1)
    assert restarted.peer is None


def test_hellos_of_an_earlier_start_of_the_peer_do_not_count() -> None:
    a, b = side("a"), side("b")
    recorded = carry(a, b, 0.0)
    a.tick(0.02), b.tick(0.02)
    recorded += carry(a, b, 0.02)
    again = side("a", nonce=b"A" * 16)
    carry(again, b, 1.0)
    again.tick(1.1), b.tick(1.1)
    carry(again, b, 1.1)
    assert b.peer is not None
    assert b.peer.nonce == b"A" * 16
    for packet in recorded:
        b.receive(packet, 1.2)
    assert b.peer.nonce == b"A" * 16


def test_without_a_group_nothing_is_said_or_heard() -> None:
    a, b = side("a"), side("b")
    carry(a, b, 0.0)
    b.configure(None, None, 0.1)
    b.tick(5.0)
    assert b.datagrams_to_send() == []
    assert b.peer is None
    assert b.next_deadline() is None


def test_a_refused_hello_does_not_displace_a_valid_one() -> None:
    a, b = side("a", password="secret-123"), side("b", password="secret-123")
    carry(a, b, 0.0)
    a.tick(0.02), b.tick(0.02)
    carry(a, b, 0.02)
    for packet in side("x", password="forged-99").datagrams_to_send():
        b.receive(packet, 0.5)
    assert b.peer is not None
    assert b.violation is not None


def test_own_hello_is_refused() -> None:
    a = side("a")
    for packet in a.datagrams_to_send():
        a.receive(packet, 0.0)
    assert a.hellos_refused == 1


@given(st.binary(max_size=300))
def test_nothing_is_raised_for_noise(noise: bytes) -> None:
    link = side("a", password="secret-123")
    link.receive(noise, 0.0)
    assert link.hellos_refused == 1
    assert replace(link.violation, at=1.0).at == 1.0  # type: ignore[type-var]
