"""Split brain: the decisions as tables and properties, their course with time as an argument, then two engines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlag_agent.mlag import (
    DualActiveConfig,
    Engine,
    Fault,
    Link,
    PortConfig,
    PortKind,
    Unpaired,
)
from mlag_agent.mlag.events import DualActiveDetected, MemberPortDown
from mlag_agent.mlag.heartbeat import Beat
from mlag_agent.mlag.splitbrain import (
    LOGICAL_RECOVERY,
    SplitBrain,
    SplitFacts,
    gives_way,
    goes_down,
    recovery_times,
    scope_of,
    uplink_up,
)
from mlag_agent.mlag.state import GivesWay, Scope, SplitPhase
from mlag_pair import (
    ALL,
    MEMBER,
    OTHER_MEMBER,
    PEER_LINK,
    PHYSICAL,
    RESERVED,
    SETTINGS,
    SUSPENDED,
    UPLINK,
    VLANIF,
    master_and_backup,
)

if TYPE_CHECKING:
    from tests.mlag.conftest import Lab

WALL = datetime(2026, 1, 1, tzinfo=UTC)
MASTER = Beat(1, 150, b"\x02\0\0\0\0\x01", 1025)
BACKUP = Beat(1, 100, b"\x02\0\0\0\0\x02", 1025)


class TestWhoGivesWay:
    @pytest.mark.parametrize(
        ("mine", "peer", "side"),
        [
            (MASTER, BACKUP, GivesWay.PEER),
            (BACKUP, MASTER, GivesWay.LOCAL),
            (replace(MASTER, uplink_up=False), BACKUP, GivesWay.LOCAL),
            (BACKUP, replace(MASTER, uplink_up=False), GivesWay.PEER),
            (replace(MASTER, uplink_up=False), replace(BACKUP, uplink_up=False), GivesWay.PEER),
            (MASTER, MASTER, GivesWay.NONE),
        ],
    )
    def test_uplinks_then_role(self, mine: Beat, peer: Beat, side: GivesWay) -> None:
        assert gives_way(mine, peer) is side

    beats = st.builds(
        Beat,
        st.just(1),
        st.integers(1, 254),
        st.binary(min_size=6, max_size=6),
        st.just(1025),
        st.booleans(),
    )

    @given(beats, beats)
    def test_never_both(self, one: Beat, other: Beat) -> None:
        mirrored = {GivesWay.LOCAL: GivesWay.PEER, GivesWay.PEER: GivesWay.LOCAL, GivesWay.NONE: GivesWay.NONE}
        assert gives_way(other, one) is mirrored[gives_way(one, other)]

    @pytest.mark.parametrize(
        ("ports", "works", "up"),
        [
            ((PHYSICAL, MEMBER), {PHYSICAL.name: False}, True),
            ((UPLINK,), {}, True),
            ((UPLINK,), {UPLINK.name: False}, False),
            ((replace(UPLINK, enabled=False),), {}, False),
            ((UPLINK, replace(UPLINK, name="10GE1/0/8")), {UPLINK.name: False}, True),
        ],
    )
    def test_uplinks(self, ports: tuple[PortConfig, ...], works: dict[str, bool], up: bool) -> None:
        assert uplink_up(ports, works) is up


class TestWhichPorts:
    @pytest.mark.parametrize(
        ("scope", "down"),
        [
            (Scope.PHYSICAL, {PHYSICAL, MEMBER, UPLINK, SUSPENDED}),
            (Scope.ROUTING_SWITCH, {VLANIF, MEMBER, SUSPENDED}),
            (Scope.SUSPENDED, {MEMBER, SUSPENDED}),
        ],
    )
    def test_each_scope(self, scope: Scope, down: set[PortConfig]) -> None:
        assert {port for port in ALL if goes_down(port, scope)} == down

    @pytest.mark.parametrize(
        ("routing", "ports", "scope"),
        [
            (False, (PHYSICAL, MEMBER), Scope.PHYSICAL),
            (False, (RESERVED,), Scope.PHYSICAL),
            (True, (PHYSICAL, RESERVED), Scope.ROUTING_SWITCH),
            (False, (SUSPENDED, RESERVED), Scope.SUSPENDED),
            (True, (SUSPENDED,), Scope.SUSPENDED),
        ],
    )
    def test_scope(self, routing: bool, ports: tuple[PortConfig, ...], scope: Scope) -> None:
        assert scope_of(DualActiveConfig(routing_switch=routing), ports) is scope

    ports = st.builds(
        PortConfig,
        st.just("port"),
        st.sampled_from(PortKind),
        st.none() | st.integers(1, 2048),
        st.booleans(),
        st.booleans(),
        st.none() | st.sampled_from(Unpaired),
    )

    @given(ports, st.sampled_from(Scope))
    def test_the_peer_link_and_management_never_do(self, port: PortConfig, scope: Scope) -> None:
        if port.peer_link or port.kind is PortKind.MANAGEMENT:
            assert not goes_down(port, scope)
        elif port.m_lag_id is not None:
            assert goes_down(port, scope)


class TestRecovery:
    def test_ascending_with_the_interval(self) -> None:
        config = DualActiveConfig(up_delay=240, interval=10)
        times = recovery_times((MEMBER, PHYSICAL, OTHER_MEMBER), config, 1000.0)
        assert times == {"Eth-Trunk5": 1240.0, "Eth-Trunk10": 1250.0}

    @given(st.sets(st.integers(1, 2048), max_size=20), st.floats(0, 3600), st.floats(0, 180))
    def test_order_of_the_identifiers(self, numbers: set[int], delay: float, interval: float) -> None:
        members = [PortConfig(f"Eth-Trunk{number}", m_lag_id=number) for number in numbers]
        times = recovery_times(members, DualActiveConfig(up_delay=delay, interval=interval), 0.0)
        found = [times[f"Eth-Trunk{number}"] for number in sorted(numbers)]
        assert found == sorted(found)
        assert all(at >= delay for at in found)


class Course:
    """A split brain and what goes into it; hours pass at once."""

    def __init__(self, mine: Beat = BACKUP, peer: Beat | None = MASTER, **settings: Any) -> None:
        self.split = SplitBrain()
        self.config = DualActiveConfig(**settings)
        self.ports = (PHYSICAL, MEMBER, OTHER_MEMBER, VLANIF)
        self.mine, self.peer = mine, peer
        self.paired = self.link = True
        self.now = 0.0
        self.found: list[DualActiveDetected] = []
        self.quick: list[float] = []
        self.look()

    def look(self) -> None:
        facts = SplitFacts(self.paired, self.link, self.mine, self.peer, self.config, self.ports)
        quick, found = self.split.update(facts, self.now, WALL)
        self.quick += [self.now] if quick else []
        self.found += [found] if found else []

    def go(self, until: float) -> None:
        """To that time, by way of every deadline."""
        while (due := self.split.next_deadline()) is not None and self.now < due <= until:
            self.now = due
            self.look()
        self.now = until
        self.look()

    def cut(self) -> None:
        self.paired = self.link = False
        self.look()

    def mend(self) -> None:
        self.paired = self.link = True
        self.look()

    def down(self) -> set[str]:
        return {port.name for port in self.ports if self.split.is_down(port, self.now)}


ALL_PHYSICAL = {PHYSICAL.name, MEMBER.name, OTHER_MEMBER.name}


class TestCourse:
    def test_delay_quick_packets_then_the_backup_goes_down(self) -> None:
        course = Course()
        course.go(10.0)
        course.cut()
        course.go(12.9)
        assert (course.split.phase, course.quick, course.down()) == (SplitPhase.DELAY, [], set())
        course.go(13.3)
        assert (course.split.phase, course.quick) == (SplitPhase.QUICK, [13.0])
        course.go(13.5)
        assert course.found == [DualActiveDetected(WALL, GivesWay.LOCAL)]
        assert course.down() == ALL_PHYSICAL

    def test_the_master_stays(self) -> None:
        course = Course(MASTER, BACKUP)
        course.cut()
        course.go(100.0)
        assert course.found == [DualActiveDetected(WALL, GivesWay.PEER)]
        assert course.down() == set()

    def test_the_master_without_uplinks_does_not(self) -> None:
        course = Course(replace(MASTER, uplink_up=False), BACKUP)
        course.cut()
        course.go(100.0)
        assert course.down() == ALL_PHYSICAL

    def test_a_link_that_comes_back_in_time(self) -> None:
        course = Course()
        course.cut()
        course.go(2.0)
        course.mend()
        course.go(100.0)
        assert (course.found, course.split.phase) == ([], SplitPhase.NONE)

    def test_a_pair_that_ends_for_another_reason_is_no_split(self) -> None:
        course = Course()
        course.paired = False
        course.go(100.0)
        assert course.split.phase is SplitPhase.NONE

    def test_devices_that_were_never_a_pair(self) -> None:
        course = Course()
        fresh = SplitBrain()
        facts = SplitFacts(False, False, BACKUP, MASTER, course.config)
        assert fresh.update(facts, 100.0, WALL) == (False, None)
        assert fresh.phase is SplitPhase.NONE

    def test_disabled(self) -> None:
        course = Course(error_down_disabled=True)
        course.cut()
        course.go(100.0)
        assert course.found == [DualActiveDetected(WALL, GivesWay.LOCAL)]
        assert course.down() == set()

    def test_delayed(self) -> None:
        course = Course(error_down_delay=60.0)
        course.cut()
        course.go(63.0)
        assert course.down() == set()
        course.go(63.5)
        assert course.down() == ALL_PHYSICAL

    def test_mended_before_the_delayed_action(self) -> None:
        course = Course(error_down_delay=60.0)
        course.cut()
        course.go(30.0)
        course.mend()
        course.go(100.0)
        assert course.down() == set()

    def test_the_peer_is_dead_as_well(self) -> None:
        course = Course()
        course.cut()
        course.peer = None
        course.go(100.0)
        assert (course.split.phase, course.found, course.down()) == (SplitPhase.ALONE, [], set())

    def test_a_heartbeat_that_was_ok_is_held(self) -> None:
        course = Course(hold=5.0)
        course.cut()
        course.go(1.0)
        course.look()
        course.peer = None
        course.go(4.0)
        assert course.found == [DualActiveDetected(WALL, GivesWay.LOCAL)]
        assert course.down() == ALL_PHYSICAL

    def test_heartbeats_that_come_late(self) -> None:
        course = Course(peer=None)
        course.cut()
        course.go(50.0)
        assert course.split.phase is SplitPhase.ALONE
        course.peer = MASTER
        course.look()
        assert course.down() == ALL_PHYSICAL

    def test_a_second_split_ends_the_first_recovery(self) -> None:
        course = Course(up_delay=240.0, interval=10.0)
        course.cut()
        course.go(10.0)
        course.mend()
        course.go(110.0)
        course.cut()
        course.go(400.0)
        assert course.down() == ALL_PHYSICAL
        assert course.split.next_deadline() is None
        course.mend()
        course.go(639.0)
        assert course.down() == {MEMBER.name, OTHER_MEMBER.name}
        course.go(640.0)
        assert course.down() == {MEMBER.name}
        course.go(650.0)
        assert course.down() == set()

    def test_the_peer_dies_while_members_wait_for_the_up_delay(self) -> None:
        course = Course()
        course.cut()
        course.go(10.0)
        course.mend()
        course.go(20.0)
        assert course.down() == {MEMBER.name, OTHER_MEMBER.name}
        course.peer = None
        course.cut()
        course.go(24.0)
        assert (course.split.phase, course.down()) == (SplitPhase.ALONE, set())

    actions = st.lists(
        st.tuples(
            st.sampled_from(["cut", "mend", "peer dies", "peer lives", "wait", "gone"]),
            st.sampled_from([0.0, 0.3, 1.0, 3.0, 5.0, 60.0, 240.0, 400.0]),
        ),
        max_size=30,
    )

    @example([("cut", 5.0), ("mend", 60.0), ("cut", 400.0)], BACKUP, {"error_down_disabled": True, "up_delay": 240.0})
    @example([("cut", 5.0), ("mend", 60.0), ("peer dies", 0.0), ("cut", 5.0)], BACKUP, {"up_delay": 240.0})
    @given(
        actions,
        st.sampled_from([MASTER, BACKUP]),
        st.fixed_dictionaries(
            {
                "error_down_disabled": st.booleans(),
                "error_down_delay": st.sampled_from([0.0, 60.0]),
                "routing_switch": st.booleans(),
                "up_delay": st.sampled_from([0.0, 30.0, 240.0]),
                "interval": st.sampled_from([0.0, 30.0]),
            }
        ),
    )
    def test_whatever_happens(self, actions: list[tuple[str, float]], mine: Beat, settings: dict[str, Any]) -> None:
        """No deadline is left behind, which would have the engine look for ever; only one that gives way is down; and
        a pair that is left alone for long enough has everything up."""
        other = BACKUP if mine is MASTER else MASTER
        course = Course(mine, other, **settings)
        for action, pause in actions:
            if action in ("cut", "mend"):
                getattr(course, action)()
            elif action == "peer dies":
                course.peer = None
            elif action == "peer lives":
                course.peer = other
            elif action == "gone":
                course.split.update(None, course.now, WALL)
            course.look()
            course.go(course.now + pause)
            due = course.split.next_deadline()
            assert due is None or due > course.now
            assert not (mine is MASTER and course.down())
            if course.split.phase is SplitPhase.ALONE:
                assert course.down() == set()
        course.peer = other
        course.mend()
        course.go(course.now + 400.0)
        assert (course.down(), course.split.next_deadline()) == (set(), None)

    def test_double_fault_the_backup_takes_over(self) -> None:
        course = Course()
        course.cut()
        course.go(10.0)
        assert course.down() == ALL_PHYSICAL
        course.peer = None
        course.look()
        assert (course.split.phase, course.down()) == (SplitPhase.ALONE, set())

    def test_recovery(self) -> None:
        course = Course(interval=10.0)
        course.cut()
        course.go(10.0)
        course.mend()
        assert course.down() == {MEMBER.name, OTHER_MEMBER.name}
        assert course.split.countdown(OTHER_MEMBER.name, course.now) == 240.0
        course.go(200.0)
        assert course.split.countdown(MEMBER.name, course.now) == 60.0
        course.go(250.0)
        assert course.down() == {MEMBER.name}
        course.go(260.0)
        assert course.down() == set()
        assert course.split.countdown(MEMBER.name, course.now) is None
        assert course.split.next_deadline() is None

    def test_logical_interfaces_after_six_seconds(self) -> None:
        course = Course(routing_switch=True, up_delay=1.0)
        course.cut()
        course.go(10.0)
        assert course.down() == {VLANIF.name, MEMBER.name, OTHER_MEMBER.name}
        course.mend()
        course.go(10.0 + LOGICAL_RECOVERY - 0.1)
        assert course.down() == {VLANIF.name}
        course.go(10.0 + LOGICAL_RECOVERY)
        assert course.down() == set()

    def test_another_up_delay_acts_next_time(self) -> None:
        course = Course()
        course.cut()
        course.go(10.0)
        course.mend()
        course.config = replace(course.config, up_delay=0.0)
        course.go(20.0)
        assert MEMBER.name in course.down()

    def test_the_end_of_the_group(self) -> None:
        course = Course()
        course.cut()
        course.go(10.0)
        course.split.update(None, 10.0, WALL)
        assert course.down() == set()


# --- two engines ----------------------------------------------------------------------------------------------------


async def phase(lab: Lab, engine: Engine, wanted: SplitPhase) -> Any:
    return await engine.wait_for(lambda s: s.dual_active is not None and s.dual_active.phase is wanted, lab.limit)


def detected(lab: Lab, name: str) -> list[GivesWay]:
    return [event.gives_way for event in lab.events[name] if isinstance(event, DualActiveDetected)]


class TestEngines:
    async def test_split_and_recovery(self, lab: Lab) -> None:
        a, b = await master_and_backup(lab)
        a.set_fault(Link.PEER_LINK, Fault.CUT)
        state = await b.wait_for(lambda s: bool(s.members) and not any(m.up for m in s.members), lab.limit)
        await phase(lab, a, SplitPhase.DUAL_ACTIVE)
        assert [(m.m_lag_id, m.error_down, m.countdown) for m in state.members] == [(5, True, None), (10, True, None)]
        assert all(member.up for member in a.state().members)
        assert (b.port_up(PHYSICAL), b.port_up(PEER_LINK), b.port_up(VLANIF)) == (False, True, True)
        assert a.port_up(PHYSICAL)
        assert (detected(lab, "a"), detected(lab, "b")) == ([GivesWay.PEER], [GivesWay.LOCAL])
        downs = [event for event in lab.events["b"] if isinstance(event, MemberPortDown)]
        assert sorted(event.m_lag_id for event in downs) == [5, 10]
        a.set_fault(Link.PEER_LINK, Fault.NONE)
        state = await b.wait_for(lambda s: s.members[0].countdown is not None, lab.limit)
        assert b.port_up(PHYSICAL)
        assert not any(member.up for member in state.members)
        await b.wait_for(lambda s: all(m.up for m in s.members), lab.limit)
        assert not any(isinstance(event, MemberPortDown) for event in lab.events["a"])

    async def test_double_fault(self, lab: Lab) -> None:
        a, b = await master_and_backup(lab)
        a.set_fault(Link.PEER_LINK, Fault.CUT)
        await b.wait_for(lambda s: bool(s.members) and not any(m.up for m in s.members), lab.limit)
        await a.aclose()
        await phase(lab, b, SplitPhase.ALONE)
        assert all(member.up for member in b.state().members)

    async def test_the_master_that_dies_is_no_split(self, lab: Lab) -> None:
        """With the peer-link the heartbeats end, but only after the time-out: the check comes later than that."""
        a, b = await master_and_backup(lab, replace(SETTINGS, delay=1.5))
        await a.aclose()
        await phase(lab, b, SplitPhase.ALONE)
        assert detected(lab, "b") == []
        assert all(member.up for member in b.state().members)

    async def test_uplinks_decide_before_the_role(self, lab: Lab) -> None:
        a, b = await master_and_backup(lab, SETTINGS, UPLINK)
        a.set_port_state(UPLINK.name, up=False)
        assert not a.port_up(UPLINK)
        a.set_fault(Link.PEER_LINK, Fault.CUT)
        await a.wait_for(lambda s: bool(s.members) and not any(m.up for m in s.members), lab.limit)
        await phase(lab, b, SplitPhase.DUAL_ACTIVE)
        assert all(member.up for member in b.state().members)

    async def test_a_port_that_stops_and_works_again(self, lab: Lab) -> None:
        a, _ = await master_and_backup(lab)
        a.set_port_state(MEMBER.name, up=False)
        await a.wait_for(lambda s: not s.members[1].up, lab.limit)
        a.set_port_state(MEMBER.name, up=True)
        await a.wait_for(lambda s: s.members[1].up, lab.limit)
        (event,) = [event for event in lab.events["a"] if isinstance(event, MemberPortDown)]
        assert (event.m_lag_id, event.name) == (10, MEMBER.name)
        assert event.remote_mac == b"\x02" + b"b".rjust(5, b"\0")
