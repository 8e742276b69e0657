"""Role and causation: every row of the table, then two real engines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.mlag.config import DetectionConfig, DownReason, Fault, Link, PeerLinkKind
from mlag_agent.mlag.events import PairingFailed, PairingResumed, RoleChanged
from mlag_agent.mlag.messages import Announcement
from mlag_agent.mlag.pairing import PairingFacts, PairingTracker, derive_pairing, elect
from mlag_agent.mlag.reasons import Cause
from mlag_agent.mlag.state import Causation, PairRole

if TYPE_CHECKING:
    from tests.mlag.conftest import Lab

    from mlag_agent.mlag import Engine

V4 = DetectionConfig(4, IPv4Address("192.0.2.1"))
V6 = DetectionConfig(6, IPv6Address("2001:db8::1"))

A = Announcement("a", "CE6866", 1, 100, b"\x02\0\0\0\0\x01", 9000, None, peer_link=PeerLinkKind.PHYSICAL, detection=V4)
B = replace(
    A, device="b", system_mac=b"\x02\0\0\0\0\x02", detection=replace(V4, local_address=IPv4Address("192.0.2.2"))
)


def refused(reason: DownReason) -> Cause:
    return Cause(reason, "as the hello protocol says")


class TestElection:
    @pytest.mark.parametrize(
        ("mine", "peer", "role"),
        [
            (replace(A, priority=101), B, PairRole.MASTER),
            (A, replace(B, priority=101), PairRole.BACKUP),
            (A, B, PairRole.MASTER),
            (B, A, PairRole.BACKUP),
            (A, replace(B, system_mac=A.system_mac), PairRole.MASTER),
        ],
    )
    def test_priority_then_mac(self, mine: Announcement, peer: Announcement, role: PairRole) -> None:
        assert elect(mine, peer) is role

    @given(
        st.integers(1, 254), st.integers(1, 254), st.binary(min_size=6, max_size=6), st.binary(min_size=6, max_size=6)
    )
    def test_one_master_unless_both_are_equal(self, one: int, other: int, mac: bytes, its: bytes) -> None:
        a, b = replace(A, priority=one, system_mac=mac), replace(B, priority=other, system_mac=its)
        roles = {elect(a, b), elect(b, a)}
        assert roles == ({PairRole.MASTER} if (one, mac) == (other, its) else set(PairRole))


class TestCausation:
    @pytest.mark.parametrize(
        ("facts", "causation", "paired"),
        [
            (PairingFacts(A, B), Causation.NONE, True),
            (PairingFacts(replace(A, peer_link=None), B), Causation.NO_PEER_LINK, False),
            (PairingFacts(replace(A, detection=None), B), Causation.NO_ADDRESS, True),
            (PairingFacts(A, replace(B, system_mac=A.system_mac)), Causation.SAME_MAC, True),
            (PairingFacts(A, replace(B, detection=V6)), Causation.TYPE_MISMATCH, False),
            (PairingFacts(A, replace(B, detection=None)), Causation.NONE, True),
            (PairingFacts(A, None), Causation.TIMEOUT, False),
            (PairingFacts(A, replace(B, peer_link=None)), Causation.TIMEOUT, False),
            (PairingFacts(A, replace(B, group_id=2)), Causation.TIMEOUT, False),
            (PairingFacts(A, None, link_down=True), Causation.PEER_LINK_DOWN, False),
            (PairingFacts(A, B, link_down=True), Causation.PEER_LINK_DOWN, False),
            (PairingFacts(A, None, unheard=True), Causation.DETECT, False),
            (PairingFacts(A, None, refused(DownReason.AUTHENTICATION_FAILED)), Causation.AUTHENTICATION_FAILED, False),
            (PairingFacts(A, None, refused(DownReason.NO_AUTHENTICATION)), Causation.NO_AUTHENTICATION, False),
            (PairingFacts(A, None, refused(DownReason.VERSION_MISMATCH)), Causation.VERSION_MISMATCH, False),
            (PairingFacts(A, None, refused(DownReason.PROTOCOL_ERROR)), Causation.TIMEOUT, False),
            (PairingFacts(A, replace(B, version="V200R005C10")), Causation.VERSION_MISMATCH, False),
            (PairingFacts(A, replace(B, version="V300R024C00")), Causation.NONE, True),
            (PairingFacts(A, replace(B, family="CE88")), Causation.DEVICE_TYPE_MISMATCH, False),
            (PairingFacts(A, replace(B, peer_link=PeerLinkKind.VIRTUAL)), Causation.PEER_LINK_TYPE_MISMATCH, False),
        ],
    )
    def test_each(self, facts: PairingFacts, causation: Causation, paired: bool) -> None:
        found = derive_pairing(facts)
        assert (found.causation, found.paired) == (causation, paired)
        assert bool(found.detail) == (causation is not Causation.NONE)
        if not paired:
            assert found.role is PairRole.MASTER

    def test_every_causation_of_the_device_has_a_row(self) -> None:
        rows = next(mark for mark in TestCausation.test_each.pytestmark if mark.name == "parametrize").args[1]  # type: ignore[attr-defined]
        assert {row[1] for row in rows} == set(Causation)


class TestTracker:
    """Time is an argument: 3 seconds of patience."""

    @pytest.fixture
    def tracker(self) -> PairingTracker:
        def times() -> Iterator[datetime]:
            now = datetime(2026, 1, 1, tzinfo=UTC)
            while True:
                yield now
                now += timedelta(seconds=1)

        clock = times()
        return PairingTracker(lambda: next(clock), 3.0)

    def test_a_start_is_no_failure(self, tracker: PairingTracker) -> None:
        assert tracker.update(PairingFacts(A, None), 0.0) == []
        assert tracker.next_deadline() == 3.0
        assert tracker.update(PairingFacts(A, None), 2.9) == []
        found = tracker.update(PairingFacts(A, B), 2.95)
        assert [type(event) for event in found] == [PairingResumed]

    def test_silence_after_the_patience_is_one(self, tracker: PairingTracker) -> None:
        tracker.update(PairingFacts(A, None), 0.0)
        (event,) = tracker.update(PairingFacts(A, None), 3.0)
        assert isinstance(event, PairingFailed)
        assert event.causation is Causation.TIMEOUT
        assert tracker.update(PairingFacts(A, None), 9.0) == []
        assert tracker.next_deadline() is None

    def test_a_pair_that_fails_says_so_at_once_and_once(self, tracker: PairingTracker) -> None:
        tracker.update(PairingFacts(B, A), 0.0)
        found = tracker.update(PairingFacts(B, None, link_down=True), 1.0)
        assert [type(event) for event in found] == [PairingFailed, RoleChanged]
        assert tracker.update(PairingFacts(B, None, link_down=True), 2.0) == []
        found = tracker.update(PairingFacts(B, A), 3.0)
        assert [type(event) for event in found] == [PairingResumed, RoleChanged]

    def test_another_reason_is_another_failure(self, tracker: PairingTracker) -> None:
        tracker.update(PairingFacts(A, B), 0.0)
        tracker.update(PairingFacts(A, None), 1.0)
        without = PairingFacts(A, None, refused(DownReason.NO_AUTHENTICATION))
        assert tracker.update(without, 2.0) == []  # it has to last
        assert tracker.next_deadline() == 5.0
        (event,) = tracker.update(without, 5.0)
        assert isinstance(event, PairingFailed)
        assert event.causation is Causation.NO_AUTHENTICATION

    def test_a_priority_changes_the_roles_of_a_pair_that_goes_on(self, tracker: PairingTracker) -> None:
        tracker.update(PairingFacts(A, B), 0.0)
        (event,) = tracker.update(PairingFacts(A, replace(B, priority=200)), 1.0)
        assert isinstance(event, RoleChanged)
        assert (event.old, event.new) == (PairRole.MASTER, PairRole.BACKUP)

    def test_without_a_group_there_is_no_state(self, tracker: PairingTracker) -> None:
        tracker.update(PairingFacts(A, B), 0.0)
        assert tracker.update(None, 1.0) == []
        assert tracker.state() is None

    def test_state(self, tracker: PairingTracker) -> None:
        tracker.update(PairingFacts(A, replace(B, priority=200)), 0.0)
        state = tracker.state()
        assert state is not None
        local, peer = state.nodes
        assert (local.is_local, local.role, local.causation) == (True, PairRole.BACKUP, Causation.NONE)
        assert (peer.is_local, peer.role, peer.causation, peer.name) == (False, PairRole.MASTER, None, "b")


# --- two engines ----------------------------------------------------------------------------------------------------


def settings(lab: Lab, side: int, **changes: Any) -> Any:
    """A group without a channel that can pair."""
    source = IPv4Address(f"192.0.2.{side + 1}")
    group = replace(lab.group(None), peer_link=PeerLinkKind.PHYSICAL, detection=DetectionConfig(4, source))
    return replace(group, **changes)


async def shows(lab: Lab, engine: Engine, causation: Causation) -> Any:
    state = await engine.wait_for(lambda s: s.pairing is not None and s.pairing.causation is causation, lab.limit)
    return state.pairing


async def both_paired(lab: Lab, **changes: Any) -> tuple[Engine, Engine]:
    a, b = await lab.pair()
    await lab.apply(a, settings(lab, 0, **changes))
    await lab.apply(b, settings(lab, 1, priority=150))
    for engine in (a, b):
        await engine.wait_for(lambda s: s.pairing is not None and s.pairing.paired, lab.limit)
    return a, b


async def test_a_pair_forms_and_elects(lab: Lab) -> None:
    a, b = await both_paired(lab)
    assert (await shows(lab, a, Causation.NONE)).role is PairRole.BACKUP
    assert (await shows(lab, b, Causation.NONE)).role is PairRole.MASTER
    assert [type(e) for e in lab.events["b"] if isinstance(e, PairingResumed)] == [PairingResumed]


async def test_priority_at_run_time(lab: Lab) -> None:
    a, b = await both_paired(lab)
    await lab.apply(a, settings(lab, 0, priority=200))
    await b.wait_for(lambda s: s.pairing is not None and s.pairing.role is PairRole.BACKUP, lab.limit)
    await a.wait_for(lambda s: s.pairing is not None and s.pairing.role is PairRole.MASTER, lab.limit)
    assert any(isinstance(e, RoleChanged) and e.new is PairRole.BACKUP for e in lab.events["b"])


async def test_the_channel_is_not_disturbed_by_what_only_pairing_asks_for(lab: Lab) -> None:
    a, b = await lab.pair()
    await lab.apply(a, lab.group(0))
    await lab.apply(b, lab.group(1))
    await lab.up(a, b)
    await lab.apply(a, replace(lab.group(0), priority=9, peer_link=PeerLinkKind.PHYSICAL))
    await shows(lab, a, Causation.TIMEOUT)  # the peer has no peer-link
    assert a.state().channel.established == 1
    assert a.state().channel.up


@pytest.mark.parametrize(
    ("mine", "theirs", "on_a", "on_b"),
    [
        ({"peer_link": None}, {}, Causation.NO_PEER_LINK, Causation.TIMEOUT),
        ({"password": "Secret-12"}, {}, Causation.NO_AUTHENTICATION, Causation.NO_AUTHENTICATION),
        (
            {"password": "Secret-12"}, {"password": "Secret-13"},
            Causation.AUTHENTICATION_FAILED, Causation.AUTHENTICATION_FAILED,
        ),
        ({"detection": V6}, {}, Causation.TYPE_MISMATCH, Causation.TYPE_MISMATCH),
        ({"detection": None}, {}, Causation.NO_ADDRESS, Causation.NONE),
        (
            {"peer_link": PeerLinkKind.VIRTUAL}, {},
            Causation.PEER_LINK_TYPE_MISMATCH, Causation.PEER_LINK_TYPE_MISMATCH,
        ),
    ],
)  # fmt: skip
async def test_misconfigured_pairs(
    lab: Lab, mine: dict[str, Any], theirs: dict[str, Any], on_a: Causation, on_b: Causation
) -> None:
    a, b = await lab.pair()
    await lab.apply(a, settings(lab, 0, **mine))
    await lab.apply(b, settings(lab, 1, **theirs))
    await shows(lab, a, on_a)
    await shows(lab, b, on_b)


async def test_a_cut_peer_link_and_its_repair(lab: Lab) -> None:
    a, b = await both_paired(lab)
    a.set_fault(Link.PEER_LINK, Fault.CUT)
    assert (await shows(lab, a, Causation.PEER_LINK_DOWN)).role is PairRole.MASTER
    assert (await shows(lab, b, Causation.TIMEOUT)).role is PairRole.MASTER
    a.set_fault(Link.PEER_LINK, Fault.NONE)
    await shows(lab, a, Causation.NONE)
    await shows(lab, b, Causation.NONE)
    assert sum(isinstance(e, PairingFailed) for e in lab.events["a"]) == 1


async def test_one_way(lab: Lab) -> None:
    """What b sends arrives at a, what a sends is lost: a cannot be heard."""
    a, b = await lab.pair()
    a.set_fault(Link.PEER_LINK, Fault.DROP)
    await lab.apply(a, settings(lab, 0))
    await lab.apply(b, settings(lab, 1))
    await shows(lab, a, Causation.DETECT)
    await shows(lab, b, Causation.TIMEOUT)
