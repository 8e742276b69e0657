"""Member interfaces: their roles as table and property, and as two engines tell each other of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.mlag import Engine
from mlag_agent.mlag.members import Members, member_role
from mlag_agent.mlag.messages import MemberAnnouncement
from mlag_agent.mlag.state import EngineState, MemberRole, MemberState, PairRole
from mlag_pair import MEMBER, OTHER_MEMBER, SETTINGS, group, master_and_backup

if TYPE_CHECKING:
    from tests.mlag.conftest import Lab

MASTER, BACKUP, INVALID = MemberRole.MASTER, MemberRole.BACKUP, MemberRole.INVALID


def says(*, up: bool, master: bool = False) -> MemberAnnouncement:
    return MemberAnnouncement(10, up, master)


class TestRole:
    @pytest.mark.parametrize(
        ("before", "up", "peer", "device", "role"),
        [
            (INVALID, False, None, PairRole.MASTER, INVALID),
            (MASTER, False, says(up=True), PairRole.MASTER, INVALID),
            (INVALID, True, None, PairRole.BACKUP, MASTER),
            (INVALID, True, says(up=False), PairRole.BACKUP, MASTER),
            (INVALID, True, says(up=True, master=True), PairRole.MASTER, BACKUP),
            (MASTER, True, says(up=True), PairRole.BACKUP, MASTER),
            (BACKUP, True, says(up=True, master=True), PairRole.MASTER, BACKUP),
            (MASTER, True, says(up=True, master=True), PairRole.MASTER, MASTER),
            (MASTER, True, says(up=True, master=True), PairRole.BACKUP, BACKUP),
            (INVALID, True, says(up=True), PairRole.MASTER, MASTER),
            (INVALID, True, says(up=True), PairRole.BACKUP, BACKUP),
            (BACKUP, True, says(up=False), PairRole.BACKUP, MASTER),
        ],
    )
    def test_each(
        self, before: MemberRole, up: bool, peer: MemberAnnouncement | None, device: PairRole, role: MemberRole
    ) -> None:
        assert member_role(before, up=up, peer=peer, device=device) is role

    @given(
        st.sampled_from(MemberRole),
        st.booleans(),
        st.none() | st.builds(says, up=st.booleans(), master=st.booleans()),
        st.sampled_from(PairRole),
    )
    def test_the_same_again_changes_nothing(
        self, before: MemberRole, up: bool, peer: MemberAnnouncement | None, device: PairRole
    ) -> None:
        """So that what has been seen need not be looked at again."""
        role = member_role(before, up=up, peer=peer, device=device)
        assert member_role(role, up=up, peer=peer, device=device) is role

    @given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=20))
    def test_one_master_whatever_happens(self, course: list[tuple[bool, bool]]) -> None:
        """After each change the two tell each other until nothing changes: one master, and it does not switch back."""
        sides = (Members(), Members())
        devices = (PairRole.MASTER, PairRole.BACKUP)
        master: int | None = None
        for ups in course:
            for _ in range(4):
                told = [side.announced() for side in sides]
                for number, side in enumerate(sides):
                    side.update([(MEMBER, ups[number])], told[1 - number], devices[number])
            roles = [side.role(10) for side in sides]
            assert [role is not INVALID for role in roles] == list(ups)
            masters = [number for number, role in enumerate(roles) if role is MASTER]
            assert len(masters) == any(ups)
            if master is not None and ups[master]:
                assert masters == [master]
            master = masters[0] if masters else None


def member(state: EngineState, number: int = 10) -> MemberState:
    return next(found for found in state.members if found.m_lag_id == number)


async def roles(lab: Lab, engine: Engine, mine: MemberRole, peers: MemberRole | None) -> MemberState:
    state = await engine.wait_for(
        lambda s: bool(s.members) and (member(s).role, member(s).peer_role) == (mine, peers), lab.limit
    )
    return member(state)


async def test_the_first_is_master_and_stays(lab: Lab) -> None:
    a, b = await master_and_backup(lab)
    await roles(lab, a, MASTER, BACKUP)  # both came up before they were a pair: the Master device has it
    found = await roles(lab, b, BACKUP, MASTER)
    assert (found.up, found.peer_up) == (True, True)
    a.set_port_state(MEMBER.name, up=False)
    found = await roles(lab, b, MASTER, INVALID)
    assert found.peer_up is False
    a.set_port_state(MEMBER.name, up=True)
    await roles(lab, a, BACKUP, MASTER)
    await roles(lab, b, MASTER, BACKUP)
    assert member(a.state(), 5).role is MASTER


async def test_without_a_partner(lab: Lab) -> None:
    a, b = await master_and_backup(lab)
    await roles(lab, b, BACKUP, MASTER)
    await b.aclose()
    await roles(lab, a, MASTER, None)


async def test_an_m_lag_of_one_device_only(lab: Lab) -> None:
    a, b = await master_and_backup(lab)
    config = group(lab, 1, SETTINGS)
    await roles(lab, a, MASTER, BACKUP)
    await lab.apply(b, replace(config, ports=(OTHER_MEMBER,)))
    found = await roles(lab, a, MASTER, None)
    assert found.peer_up is None
    assert member(a.state(), 5).peer_role is BACKUP


async def test_names(lab: Lab) -> None:
    a, _ = await master_and_backup(lab)
    assert [found.name for found in a.state().members] == [OTHER_MEMBER.name, MEMBER.name]
