"""The LACP system identifier: its course with time as an argument, a property of pairs, and two engines."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.mlag import DetectionConfig, Fault, GroupConfig, Link, PeerLinkKind, PortConfig
from mlag_agent.mlag.lacp import LACP_PRIORITY, Lacp, LacpFacts, lacp_facts
from mlag_agent.mlag.messages import Announcement, MemberAnnouncement
from mlag_agent.mlag.state import EngineState, LacpState
from mlag_pair import group, master_and_backup

if TYPE_CHECKING:
    from tests.mlag.conftest import Lab

OWN, REMOTE, OTHER = b"\x02\0\0\0\0\x0b", b"\x02\0\0\0\0\x0a", b"\x02\0\0\0\0\x0c"
ALONE = LacpFacts(OWN, frozenset({10}))
BACKUP = replace(ALONE, remote=REMOTE, remote_members=frozenset({10}), backup=True)
MASTER = replace(BACKUP, backup=False)


def only(lacp: Lacp, now: float = 0.0) -> LacpState:
    (row,) = lacp.state(now)
    return row


def split(delay: float | None) -> Lacp:
    """A Backup whose partner has gone at 10 s."""
    lacp = Lacp()
    lacp.update(replace(BACKUP, switch_delay=delay), 5.0)
    lacp.update(replace(ALONE, switch_delay=delay), 10.0)
    return lacp


class TestPair:
    def test_the_backup_takes_the_masters(self) -> None:
        lacp = Lacp()
        lacp.update(ALONE, 0.0)
        assert only(lacp) == LacpState(10, OWN, None, LACP_PRIORITY, None, 0, 0, 1)
        lacp.update(BACKUP, 1.0)
        assert only(lacp) == LacpState(10, OWN, REMOTE, LACP_PRIORITY, None, 1, 1, 2)

    def test_the_master_keeps_its_own(self) -> None:
        lacp = Lacp()
        lacp.update(MASTER, 0.0)
        lacp.update(ALONE, 1.0)
        assert only(lacp).remote is None
        assert lacp.next_deadline() is None

    def test_what_is_repeated_is_not_counted(self) -> None:
        lacp = Lacp()
        for now in range(5):
            lacp.update(BACKUP, float(now))
        assert (only(lacp).sent, only(lacp).received, only(lacp).sent_ifm) == (1, 1, 1)
        lacp.update(replace(BACKUP, remote=OTHER), 5.0)
        assert (only(lacp).sent, only(lacp).received, only(lacp).sent_ifm) == (1, 2, 2)

    def test_roles_that_change(self) -> None:
        lacp = Lacp()
        lacp.update(BACKUP, 0.0)
        lacp.update(MASTER, 1.0)
        assert only(lacp).remote is None
        lacp.update(BACKUP, 2.0)
        assert only(lacp).remote == REMOTE

    def test_an_m_lag_of_one_device_only(self) -> None:
        lacp = Lacp()
        lacp.update(replace(BACKUP, members=frozenset({10, 5})), 0.0)
        assert [(row.m_lag_id, row.remote, row.received) for row in lacp.state(0.0)] == [(5, None, 0), (10, REMOTE, 1)]

    def test_a_member_and_a_group_that_go(self) -> None:
        lacp = Lacp()
        lacp.update(BACKUP, 0.0)
        lacp.update(replace(BACKUP, members=frozenset()), 1.0)
        assert lacp.state(1.0) == ()
        lacp.update(BACKUP, 2.0)
        assert only(lacp).sent == 1
        lacp.update(None, 3.0)
        assert lacp.state(3.0) == ()
        lacp.update(replace(ALONE, switch_delay=0.0), 4.0)
        assert only(lacp).remote is None

    @given(
        st.tuples(st.integers(1, 254), st.integers(1, 254)),
        st.tuples(st.binary(min_size=6, max_size=6), st.binary(min_size=6, max_size=6)),
        st.tuples(st.frozensets(st.integers(1, 4)), st.frozensets(st.integers(1, 4))),
    )
    def test_both_present_one_system(
        self, priorities: tuple[int, int], macs: tuple[bytes, bytes], numbers: tuple[frozenset[int], frozenset[int]]
    ) -> None:
        """Whatever priorities and addresses: one identifier for what both devices have, and it is a Master's."""
        says = [
            Announcement(
                str(side), "m", 1, priorities[side], macs[side], 1000, None,
                members=tuple(MemberAnnouncement(number, True, False) for number in sorted(numbers[side])),
            )
            for side in (0, 1)
        ]  # fmt: skip
        sides = (Lacp(), Lacp())
        for side, lacp in enumerate(sides):
            ports = tuple(PortConfig(f"Eth-Trunk{number}", m_lag_id=number) for number in numbers[side])
            lacp.update(lacp_facts(says[side], GroupConfig(1, ports=ports), says[1 - side]), 0.0)
        presented = [
            {row.m_lag_id: row.local if row.remote is None else row.remote for row in lacp.state(0.0)} for lacp in sides
        ]
        best = max((0, 1), key=lambda side: (priorities[side], [-byte for byte in macs[side]]))
        for number in numbers[0] & numbers[1]:
            assert presented[0][number] == presented[1][number] == macs[best]
        for side in (0, 1):
            assert all(presented[side][number] == macs[side] for number in numbers[side] - numbers[1 - side])


class TestSplit:
    def test_never(self) -> None:
        lacp = split(None)
        lacp.update(ALONE, 1e6)
        assert only(lacp, 1e6).remote == REMOTE
        assert only(lacp, 1e6).switches_in is None
        assert lacp.next_deadline() is None

    def test_immediately(self) -> None:
        assert only(split(0.0)).remote is None

    def test_after_the_delay(self) -> None:
        lacp = split(30.0)
        assert lacp.next_deadline() == 40.0
        assert only(lacp, 12.0).switches_in == 28.0
        lacp.update(replace(ALONE, switch_delay=30.0), 39.9)
        assert only(lacp).remote == REMOTE
        lacp.update(replace(ALONE, switch_delay=30.0), 40.0)
        assert (only(lacp).remote, only(lacp).switches_in, only(lacp).sent_ifm) == (None, None, 2)
        assert lacp.next_deadline() is None

    def test_a_delay_that_changes_counts_from_the_split(self) -> None:
        lacp = split(30.0)
        lacp.update(replace(ALONE, switch_delay=5.0), 14.0)
        assert lacp.next_deadline() == 15.0
        lacp.update(ALONE, 14.5)
        assert lacp.next_deadline() is None
        lacp.update(replace(ALONE, switch_delay=3.0), 14.6)
        assert only(lacp).remote is None
        lacp.update(ALONE, 15.0)
        assert only(lacp).remote is None  # there is no way back but the pair

    def test_paired_again(self) -> None:
        lacp = split(0.0)
        lacp.update(replace(BACKUP, switch_delay=0.0), 20.0)
        row = only(lacp)
        assert (row.remote, row.sent, row.received, row.sent_ifm) == (REMOTE, 2, 2, 3)

    def test_paired_again_before_the_delay_is_over(self) -> None:
        lacp = split(30.0)
        lacp.update(replace(BACKUP, switch_delay=30.0), 20.0)
        assert lacp.next_deadline() is None
        lacp.update(replace(ALONE, switch_delay=30.0), 25.0)
        assert lacp.next_deadline() == 55.0
        assert only(lacp).sent_ifm == 1

    def test_an_m_lag_that_comes_during_the_split(self) -> None:
        lacp = split(None)
        lacp.update(replace(ALONE, members=frozenset({10, 11})), 12.0)
        assert [(row.m_lag_id, row.remote) for row in lacp.state(12.0)] == [(10, REMOTE), (11, None)]


def remotes(state: EngineState) -> list[bytes | None]:
    return [row.remote for row in state.lacp]


class TestEngines:
    @pytest.mark.parametrize("delay", [0.0, 0.1])
    async def test_a_split_and_its_end(self, lab: Lab, delay: float) -> None:
        a, b = await master_and_backup(lab)
        await lab.apply(b, replace(group(lab, 1), lacp_switch_delay=delay))
        state = await b.wait_for(lambda s: None not in remotes(s), lab.limit)
        assert [row.m_lag_id for row in state.lacp] == [5, 10]
        assert {row.remote for row in state.lacp} == {row.local for row in a.state().lacp}
        assert remotes(a.state()) == [None, None]
        a.set_fault(Link.PEER_LINK, Fault.CUT)
        state = await b.wait_for(lambda s: remotes(s) == [None, None], lab.limit)
        assert state.pairing is not None
        assert not state.pairing.paired
        a.set_fault(Link.PEER_LINK, Fault.NONE)
        await b.wait_for(lambda s: None not in remotes(s), lab.limit)

    async def test_never_by_default(self, lab: Lab) -> None:
        a, b = await master_and_backup(lab)
        state = await b.wait_for(lambda s: None not in remotes(s), lab.limit)
        wanted = remotes(state)
        await a.aclose()
        state = await b.wait_for(lambda s: s.pairing is not None and not s.pairing.paired, lab.limit)
        assert remotes(state) == wanted

    async def test_without_a_group(self, lab: Lab) -> None:
        a = await lab.device("a")
        assert a.state().lacp == ()
        detection = DetectionConfig(4, ip_address("192.0.2.1"))
        ports = (PortConfig("Eth-Trunk7", m_lag_id=7),)
        config = replace(lab.group(None), peer_link=PeerLinkKind.PHYSICAL, detection=detection, ports=ports)
        await lab.apply(a, config)
        await a.wait_for(lambda s: [row.m_lag_id for row in s.lacp] == [7], lab.limit)
        await lab.apply(a, None)
        await a.wait_for(lambda s: s.lacp == (), lab.limit)
