"""Active/standby election: the algebra of claims, members over time, and two engines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.mlag import ElectionPacket, Engine, Fault, Link, PortConfig
from mlag_agent.mlag.election import MAX_TERM, Claim, ElectionOutcome, elected, heard, lapsed
from mlag_agent.mlag.members import Members
from mlag_agent.mlag.messages import MemberAnnouncement
from mlag_agent.mlag.state import EngineState, MemberRole, MemberState, PairRole
from mlag_pair import MEMBER, OTHER_MEMBER, PEER_LINK, SETTINGS, group, master_and_backup

if TYPE_CHECKING:
    from tests.mlag.conftest import Lab

MASTER, BACKUP, INVALID = MemberRole.MASTER, MemberRole.BACKUP, MemberRole.INVALID
DEVICES = (PairRole.MASTER, PairRole.BACKUP)
STANDBY = replace(MEMBER, active_standby=True)
NO_ERROR_DOWN = replace(SETTINGS, error_down_disabled=True)
ARP, DHCP, IGMP = ElectionPacket.ARP, ElectionPacket.DHCP, ElectionPacket.IGMP


class TestClaim:
    @pytest.mark.parametrize(
        ("mine", "after"),
        [
            (Claim(), Claim(1, True)),
            (Claim(5), Claim(6, True)),
            (Claim(5, True), Claim(5, True)),
            (Claim(MAX_TERM), Claim(MAX_TERM, True)),
        ],
    )
    def test_elected(self, mine: Claim, after: Claim) -> None:
        assert elected(mine) == after

    @pytest.mark.parametrize(
        ("mine", "peer", "device", "after"),
        [
            (Claim(5, True), Claim(6, True), PairRole.MASTER, Claim(6)),
            (Claim(5, True), Claim(6), PairRole.MASTER, Claim(6)),
            (Claim(5, True), Claim(5, True), PairRole.MASTER, Claim(5, True)),
            (Claim(5, True), Claim(5, True), PairRole.BACKUP, Claim(5)),
            (Claim(5, True), Claim(5), PairRole.BACKUP, Claim(5, True)),
            (Claim(5, True), Claim(4, True), PairRole.BACKUP, Claim(5, True)),
            (Claim(5), Claim(4, True), PairRole.BACKUP, Claim(5)),
        ],
    )
    def test_heard(self, mine: Claim, peer: Claim, device: PairRole, after: Claim) -> None:
        assert heard(mine, peer, device) == after

    def test_lapsed(self) -> None:
        assert lapsed(Claim(5, True)) == lapsed(Claim(5)) == Claim(5)


CLAIMS = st.builds(Claim, st.integers(0, 3), st.booleans())


@given(CLAIMS, CLAIMS)
def test_hearing_each_other_leaves_one_master_at_most(one: Claim, two: Claim) -> None:
    """At the same moment or one after the other, and hearing the same again changes nothing."""
    for first, second in (
        (heard(one, two, DEVICES[0]), heard(two, one, DEVICES[1])),
        (heard(one, heard(two, one, DEVICES[1]), DEVICES[0]), heard(two, one, DEVICES[1])),
    ):
        assert not (first.master and second.master)
        assert heard(first, second, DEVICES[0]) == heard(heard(first, second, DEVICES[0]), second, DEVICES[0])
        newest = max(one.term, two.term)
        claimed = any(claim.master and claim.term == newest for claim in (one, two))
        assert (first.master or second.master) is claimed


class Sides:
    """Two devices, which hear each other's last hello when they are told."""

    def __init__(self, *ports: PortConfig) -> None:
        self.members = (Members(), Members())
        self.ports = list(ports or (STANDBY, STANDBY))
        self.up = [True, True]
        self.heard: list[tuple[MemberAnnouncement, ...]] = [(), ()]
        self.look()

    def look(self) -> None:
        for side, members in enumerate(self.members):
            members.update([(self.ports[side], self.up[side])], self.heard[side], DEVICES[side])

    def tell(self, side: int) -> None:
        """This side's hello arrives."""
        self.heard[1 - side] = self.members[side].announced()
        self.look()

    def settle(self) -> None:
        for side in (0, 1, 0, 1):
            self.tell(side)

    def packet(self, side: int) -> None:
        if self.up[side]:
            self.members[side].receive(10)

    def roles(self) -> list[MemberRole]:
        return [members.role(10) for members in self.members]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("packet"), st.integers(0, 1)),
        st.tuples(st.just("tell"), st.integers(0, 1)),
        st.tuples(st.just("port"), st.integers(0, 1)),
        st.tuples(st.just("settle"), st.just(0)),
    ),
    max_size=30,
)


class TestMembers:
    @given(STEPS)
    def test_one_master_and_the_last_packet_counts(self, steps: list[tuple[str, int]]) -> None:
        """Whatever happens: once the two have told each other, one master at most, and both agree on whom.

        After a packet over a working interface it is that side, and stays it until its interface goes down or the
        other side gets one.
        """
        sides = Sides()
        sides.settle()
        assert sides.roles() == [BACKUP, BACKUP]
        master: int | None = None
        for step, side in steps:
            if step == "packet":
                sides.packet(side)
            elif step == "tell":
                sides.tell(side)
            elif step == "port":
                sides.up[side] = not sides.up[side]
                sides.look()
            sides.settle()
            roles = sides.roles()
            assert roles.count(MASTER) <= 1
            assert [role is INVALID for role in roles] == [not up for up in sides.up]
            if step == "packet" and sides.up[side]:
                assert roles[side] is MASTER
                master = side
            elif master is not None and sides.up[master]:
                assert roles[master] is MASTER
            else:
                master = None
                assert MASTER not in roles

    @given(STEPS)
    def test_whatever_crosses(self, steps: list[tuple[str, int]]) -> None:
        """Without a settling after each step: packets and hellos cross, and in the end there is one master at most."""
        sides = Sides()
        for step, side in steps:
            if step == "packet":
                sides.packet(side)
            elif step == "tell":
                sides.tell(side)
            elif step == "port":
                sides.up[side] = not sides.up[side]
                sides.look()
            else:
                sides.settle()
        sides.settle()
        roles = sides.roles()
        assert roles.count(MASTER) <= 1
        for side in (0, 1):
            if sides.up[side]:
                sides.packet(side)
                sides.settle()
                assert sides.roles()[side] is MASTER
                assert sides.roles().count(MASTER) == 1

    def test_a_partner_in_dual_active_mode(self) -> None:
        """Then both are: the one that claims the role has it, as there."""
        sides = Sides(STANDBY, MEMBER)
        sides.packet(0)
        sides.settle()
        assert sorted(sides.roles()) == [BACKUP, MASTER]
        sides.ports[1] = STANDBY
        sides.look()
        sides.settle()
        assert sides.roles() == [BACKUP, BACKUP]  # the old claim has lapsed: nobody has been elected in this mode

    def test_a_restart(self) -> None:
        sides = Sides()
        sides.packet(0)
        sides.settle()
        sides.members = (Members(), sides.members[1])
        sides.settle()
        assert sides.roles() == [BACKUP, BACKUP]
        sides.packet(0)
        sides.settle()
        assert sides.roles() == [MASTER, BACKUP]


# --- two engines ----------------------------------------------------------------------------------------------------


async def elected_pair(lab: Lab) -> tuple[Engine, Engine]:
    a, b = await master_and_backup(lab)
    for side, engine in enumerate((a, b)):
        config = group(lab, side, NO_ERROR_DOWN)
        ports = (STANDBY, OTHER_MEMBER, PEER_LINK)
        await lab.apply(engine, replace(config, ports=ports, election=frozenset({ARP, DHCP})))
    for engine in (a, b):
        await engine.wait_for(lambda s: roles(s) == (BACKUP, BACKUP), lab.limit)
    return a, b


def member(state: EngineState, number: int = 10) -> MemberState | None:
    return next((found for found in state.members if found.m_lag_id == number), None)


def roles(state: EngineState) -> tuple[MemberRole, MemberRole | None] | None:
    found = member(state)
    return None if found is None or not found.active_standby else (found.role, found.peer_role)


def active(state: EngineState) -> tuple[bool, bool | None] | None:
    found = member(state)
    return None if found is None else (found.active, found.peer_active)


class TestEngines:
    async def test_the_last_packet_elects(self, lab: Lab) -> None:
        a, b = await elected_pair(lab)
        assert active(a.state()) == (False, False)
        assert b.receive_election_packet(10, ARP) is ElectionOutcome.MASTER
        state = await a.wait_for(lambda s: roles(s) == (BACKUP, MASTER), lab.limit)
        assert active(state) == (False, True)
        assert active(b.state()) == (True, False)
        assert a.receive_election_packet(10, DHCP) is ElectionOutcome.MASTER
        await b.wait_for(lambda s: roles(s) == (BACKUP, MASTER), lab.limit)
        assert roles(a.state()) == (MASTER, BACKUP)
        other = member(a.state(), 5)
        assert other is not None
        assert (other.active, other.peer_active, other.active_standby) == (True, True, False)

    async def test_packets_without_effect(self, lab: Lab) -> None:
        a, _ = await elected_pair(lab)
        assert a.receive_election_packet(10, IGMP) is ElectionOutcome.TYPE_NOT_CONFIGURED
        assert a.receive_election_packet(5, ARP) is ElectionOutcome.DUAL_ACTIVE
        a.set_port_state(MEMBER.name, up=False)
        assert a.receive_election_packet(10, ARP) is ElectionOutcome.INTERFACE_DOWN
        with pytest.raises(ValueError, match="no interface of this device is in M-LAG 11"):
            a.receive_election_packet(11, ARP)
        await a.wait_for(lambda s: roles(s) == (INVALID, BACKUP), lab.limit)
        a.set_port_state(MEMBER.name, up=True)
        await a.wait_for(lambda s: roles(s) == (BACKUP, BACKUP), lab.limit)

    async def test_a_split_in_which_both_are_elected(self, lab: Lab) -> None:
        a, b = await elected_pair(lab)
        a.set_fault(Link.PEER_LINK, Fault.DROP)
        b.set_fault(Link.PEER_LINK, Fault.DROP)
        for engine in (a, b):
            await engine.wait_for(lambda s: s.pairing is not None and not s.pairing.paired, lab.limit)
            assert engine.receive_election_packet(10, ARP) is ElectionOutcome.MASTER
        a.set_fault(Link.PEER_LINK, Fault.NONE)
        b.set_fault(Link.PEER_LINK, Fault.NONE)
        await a.wait_for(lambda s: roles(s) == (MASTER, BACKUP), lab.limit)
        await b.wait_for(lambda s: roles(s) == (BACKUP, MASTER), lab.limit)

    async def test_another_set_on_the_peer_shows(self, lab: Lab) -> None:
        a, b = await elected_pair(lab)
        state = await a.wait_for(lambda s: s.election is not None and s.election.peer == {ARP, DHCP}, lab.limit)
        assert state.election is not None
        assert state.election.local == state.election.peer
        await lab.apply(b, replace(group(lab, 1), ports=(STANDBY, PEER_LINK), election=frozenset({IGMP})))
        await a.wait_for(lambda s: s.election is not None and s.election.peer == {IGMP}, lab.limit)
