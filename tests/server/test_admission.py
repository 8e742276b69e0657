"""Counting connections and sessions, without sockets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.server.transports.admission import Admission, TransportLimits
from mlag_agent.server.transports.sockets import until_writable


@dataclass(eq=False)
class Guest:
    """A connection that notes that it was turned away."""

    source_host: str = "192.0.2.1"
    turned_away: int = field(default=0)

    @property
    def peer(self) -> str:
        return f"{self.source_host}:1"

    def turn_away(self) -> None:
        self.turned_away += 1


class TestUnauthenticated:
    def test_the_host_that_has_most_loses_its_oldest(self) -> None:
        admission = Admission(TransportLimits(max_unauthenticated=4))
        good = Guest("192.0.2.9")
        admission.arrived(good)
        crowd = [Guest() for _ in range(20)]
        for guest in crowd:
            admission.arrived(guest)
        assert not good.turned_away
        assert [guest.turned_away for guest in crowd] == [1] * 17 + [0] * 3
        assert admission.unauthenticated == 4
        assert admission.refused["max-unauthenticated"] == 17

    def test_who_logs_in_makes_room(self) -> None:
        admission = Admission(TransportLimits(max_unauthenticated=1, max_connections=2))
        guests = [Guest() for _ in range(3)]
        for guest in guests[:2]:
            admission.arrived(guest)
            assert admission.logged_in(guest) is None
        admission.arrived(guests[2])
        assert "limit of 2 connections" in (admission.logged_in(guests[2]) or "")
        admission.left(guests[0])
        assert admission.connections == 1
        assert not any(guest.turned_away for guest in guests)


@given(
    st.lists(st.tuples(st.sampled_from(["arrive", "login", "leave", "open", "close"]), st.integers(0, 9)), max_size=80)
)
def test_counts_are_those_of_a_simple_model(steps: list[tuple[str, int]]) -> None:
    limits = TransportLimits(max_unauthenticated=3, max_connections=3, max_sessions=4, max_sessions_per_user=2)
    admission = Admission(limits)
    guests = [Guest(f"192.0.2.{number % 3}") for number in range(10)]
    waiting: list[Guest] = []
    inside: set[Guest] = set()
    sessions: dict[Guest, str] = {}
    for what, number in steps:
        guest, user = guests[number], f"user {number % 2}"
        if what == "arrive" and guest not in waiting and guest not in inside:
            before = [other.turned_away for other in guests]
            admission.arrived(guest)
            waiting.append(guest)
            for other, count in zip(guests, before, strict=True):
                if other.turned_away > count:
                    waiting.remove(other)
        elif what == "login" and guest in waiting:
            waiting.remove(guest)
            if admission.logged_in(guest) is None:
                inside.add(guest)
        elif what == "leave":
            admission.left(guest)
            inside.discard(guest)
            if guest in waiting:
                waiting.remove(guest)
        elif what == "open" and guest not in sessions:
            own = sum(name == user for name in sessions.values())
            refusal = admission.session_opened(guest, user)
            assert (refusal is not None) == (len(sessions) >= 4 or own >= 2)
            if refusal is None:
                sessions[guest] = user
        elif what == "close":
            admission.session_closed(guest)
            sessions.pop(guest, None)
        assert admission.unauthenticated == len(waiting) <= 3
        assert admission.connections == len(waiting) + len(inside)
        assert admission.sessions == len(sessions)
    for guest in guests:
        admission.left(guest)
        admission.session_closed(guest)
    assert (admission.connections, admission.sessions, admission._per_user) == (0, 0, {})


class TestUntilWritable:
    async def test_a_slow_peer_is_waited_for(self) -> None:
        writable, taken = asyncio.Event(), 0

        def count() -> int:
            nonlocal taken
            taken += 1
            if taken == 5:
                writable.set()
            return taken

        assert await until_writable(writable, count, 0.01)
        assert taken == 5

    async def test_one_that_takes_nothing_is_not(self) -> None:
        assert not await until_writable(asyncio.Event(), lambda: 7, 0.01)

    async def test_no_limit(self) -> None:
        writable = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, writable.set)
        assert await until_writable(writable, lambda: 7, 0)
