"""The list of faults: of events as an engine emits them, then of two engines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.mlag import DownReason, Fault, Link, PeerLinkKind
from mlag_agent.mlag.config import EntryType
from mlag_agent.mlag.events import (
    AuthenticationFailure,
    ChannelDown,
    ChannelUp,
    DualActiveDetected,
    EngineEvent,
    EntryLimit,
    HeartbeatLost,
    HeartbeatResumed,
    MemberPortDown,
    PairingFailed,
    PairingResumed,
    PeerLinkDown,
    PeerLinkUp,
    RoleChanged,
)
from mlag_agent.mlag.history import MAX_FAULTS, FaultHistory
from mlag_agent.mlag.state import Causation, GivesWay, PairRole, PeerState

if TYPE_CHECKING:
    from tests.mlag.conftest import Lab

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
PEER = PeerState("b", "m", 1, None, None, None, None)

ENDS: list[tuple[EngineEvent, EngineEvent]] = [
    (PeerLinkDown(AT, "no hello"), PeerLinkUp(AT, PEER)),
    (ChannelDown(AT, DownReason.PORT_MISMATCH, "2048, 2049", was_up=True), ChannelUp(AT, PEER)),
    (
        ChannelDown(AT, DownReason.PEER_CLOSED, "gone", was_up=True),
        ChannelDown(AT, DownReason.UNCONFIGURED, "", was_up=False),
    ),
    (PairingFailed(AT, Causation.TIMEOUT, "silence"), PairingResumed(AT, PairRole.BACKUP)),
    (HeartbeatLost(AT, None, None, "silence"), HeartbeatResumed(AT, None, None)),
    (DualActiveDetected(AT, GivesWay.PEER), PairingResumed(AT, PairRole.MASTER)),
]
MOMENTS: list[EngineEvent] = [
    EntryLimit(AT, EntryType.ARP, 4, 1),
    AuthenticationFailure(AT, Link.CHANNEL, "the digest", None),
]


def history(**ports: bool) -> FaultHistory:
    return FaultHistory(lambda name: ports.get(name, True))


@pytest.mark.parametrize(("begin", "end"), ENDS)
def test_a_fault_is_current_until_it_ends(begin: EngineEvent, end: EngineEvent) -> None:
    faults = history()
    faults.record(begin)
    assert len(faults.current()) == 1
    assert faults.current() == faults.history()
    assert faults.current()[0].at == AT
    faults.record(end)
    assert faults.current() == ()
    assert len(faults.history()) == 1


@pytest.mark.parametrize("event", MOMENTS)
def test_a_moment_is_never_current(event: EngineEvent) -> None:
    faults = history()
    faults.record(event)
    assert faults.current() == ()
    assert len(faults.history()) == 1


def test_a_change_of_role_is_no_fault() -> None:
    faults = history()
    faults.record(RoleChanged(AT, PairRole.MASTER, PairRole.BACKUP))
    faults.record(PeerLinkUp(AT, PEER))
    assert faults.history() == ()


def test_connecting_neither_is_a_fault_nor_ends_one() -> None:
    connecting = ChannelDown(AT, DownReason.CONNECTING, "", was_up=False)
    faults = history()
    faults.record(connecting)
    assert faults.history() == ()
    faults.record(ChannelDown(AT, DownReason.HOLD_TIMER_EXPIRED, "silence", was_up=True))
    faults.record(connecting)
    assert [fault.seq for fault in faults.current()] == [1]


def test_another_reason_takes_the_place_of_the_one_before() -> None:
    faults = history()
    faults.record(PairingFailed(AT, Causation.TIMEOUT, "silence"))
    faults.record(PairingFailed(AT, Causation.SAME_MAC, "the same"))
    assert [fault.description for fault in faults.current()] == ["DFS pairing failed, same-mac: the same"]
    assert [fault.seq for fault in faults.history()] == [2, 1]


def test_a_member_interface_until_it_is_up() -> None:
    up = {"Eth-Trunk1": False, "Eth-Trunk2": False}
    faults = FaultHistory(lambda name: up[name])
    for number, name in enumerate(up, 1):
        faults.record(MemberPortDown(AT, number, name, bytes(6), None))
    assert [fault.seq for fault in faults.current()] == [2, 1]
    up["Eth-Trunk2"] = True
    assert ["Eth-Trunk1" in fault.description for fault in faults.current()] == [True]
    up["Eth-Trunk2"] = False
    assert len(faults.current()) == 1, "it has ended; the next fault is a new one"
    assert len(faults.history()) == 2


def test_clearing_leaves_what_lasts() -> None:
    faults = history()
    faults.record(PeerLinkDown(AT, "no hello"))
    faults.clear()
    assert faults.history() == ()
    assert [fault.seq for fault in faults.current()] == [1]
    faults.record(HeartbeatLost(AT, None, None, "silence"))
    assert [fault.seq for fault in faults.history()] == [2], "numbers are never used again"


@given(st.integers(0, 3 * MAX_FAULTS))
def test_at_most_a_hundred_the_newest_first(count: int) -> None:
    faults = FaultHistory(lambda name: False)
    for number in range(count):
        at = AT + timedelta(seconds=number)
        faults.record(MemberPortDown(at, number + 1, f"Eth-Trunk{number}", bytes(6), None))
    for found in (faults.history(), faults.current()):
        assert [fault.seq for fault in found] == list(range(count, max(0, count - MAX_FAULTS), -1))


class TestEngines:
    async def test_a_peer_link_that_is_cut_and_mended(self, lab: Lab) -> None:
        a, b = await lab.pair()
        for side, engine in enumerate((a, b)):
            await lab.apply(engine, replace(lab.group(side), peer_link=PeerLinkKind.PHYSICAL))
        await lab.up(a, b)
        await a.wait_for(lambda s: s.pairing is not None and s.pairing.paired, lab.limit)
        assert a.history.current() == (), "whatever failed while the devices found each other is over"
        a.history.clear()
        a.set_fault(Link.PEER_LINK, Fault.CUT)
        await a.wait_for(lambda s: not s.peer_link.up and s.pairing is not None and not s.pairing.paired, lab.limit)
        words = [fault.description for fault in a.history.current()]
        assert any(word.startswith("The peer-link is down") for word in words)
        assert any("peer-link-down" in word or "timeout" in word for word in words)
        a.set_fault(Link.PEER_LINK, Fault.NONE)
        await a.wait_for(lambda s: s.peer_link.up and s.pairing is not None and s.pairing.paired, lab.limit)
        assert a.history.current() == ()
        assert len(a.history.history()) >= 2

    async def test_a_full_table(self, lab: Lab) -> None:
        a = await lab.device("a")
        await lab.apply(a, lab.group(None))
        capacity = a.state().table(EntryType.ARP).capacity
        await a.learn(ip_address("10.0.0.1"), capacity + 3, "Eth-Trunk1", 1)
        [limit] = [event for event in lab.events["a"] if isinstance(event, EntryLimit)]
        assert (limit.capacity, limit.dropped) == (capacity, 3)
        assert any(f"ARP table is full with {capacity} entries" in fault.description for fault in a.history.history())
