"""The heartbeat: two sans-IO ends with time as an argument, then two real engines over UDP."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.mlag import (
    AddressUnavailable,
    DetectionConfig,
    Engine,
    Fault,
    GroupConfig,
    HeartbeatConfig,
    Link,
    UdpPortInUse,
)
from mlag_agent.mlag.events import AuthenticationFailure, HeartbeatLost, HeartbeatResumed
from mlag_agent.mlag.heartbeat import QUICK_GAP, Beat, Heartbeat, decode_beat, encode_beat
from mlag_agent.mlag.state import PairRole
from mlag_agent.mlag.wire import ProtocolViolation

if TYPE_CHECKING:
    from tests.mlag.conftest import Lab

ONE = Beat(1, 150, b"\x02\0\0\0\0\x01", 1025)
TWO = Beat(1, 100, b"\x02\0\0\0\0\x02", 1025)
TIMEOUT = 3.0


def end(number: int, beat: Beat = ONE, password: str | None = None, now: float = 0.0) -> Heartbeat:
    made = Heartbeat(bytes([number]) * 16, 1.0)
    made.configure(beat, password, TIMEOUT, now)
    return made


def exchange(*ends: Heartbeat, now: float) -> None:
    """Everything that waits goes across, until nothing waits."""
    one, two = ends
    for _ in range(10):
        for source, sink in ((one, two), (two, one)):
            for packet in source.datagrams_to_send():
                sink.receive(packet, now)


def passing(*ends: Heartbeat, since: float, until: float) -> None:
    """Time goes by in steps of 0.1 s."""
    for step in range(round((until - since) * 10) + 1):
        now = since + step / 10
        for one in ends:
            one.tick(now)
        exchange(*ends, now=now)


beats = st.builds(
    Beat,
    st.integers(0, 255),
    st.integers(1, 254),
    st.binary(min_size=6, max_size=6),
    st.integers(1025, 2048),
    st.booleans(),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=16, max_size=16),
)


class TestBody:
    @given(beats)
    def test_round_trip(self, beat: Beat) -> None:
        assert decode_beat(encode_beat(beat)) == beat

    @given(st.binary(max_size=64))
    def test_bytes_of_a_peer_raise_nothing_else(self, body: bytes) -> None:
        with contextlib.suppress(ProtocolViolation):
            assert encode_beat(decode_beat(body)) == body


class TestProtocol:
    def test_ok_while_they_arrive_and_lost_after_the_time_out(self) -> None:
        one, two = end(1), end(2, TWO)
        passing(one, two, since=0.0, until=5.0)
        assert one.ok
        assert one.peer is not None
        assert one.peer.priority == 100
        heard = one.received
        assert heard >= 5
        for now in (5.5, 6.9):
            one.tick(now)
            assert one.ok
        one.tick(8.1)
        assert not one.ok
        assert one.received == heard

    def test_one_a_second(self) -> None:
        one = end(1)
        sent = 0
        for step in range(101):
            one.tick(step / 10)
            sent += len(one.datagrams_to_send())
        assert sent == 11

    def test_three_quick_ones(self) -> None:
        one = end(1)
        one.datagrams_to_send()
        assert one.hurry(0.5) == pytest.approx(0.5 + 2 * QUICK_GAP)
        times = []
        for step in range(10):
            now = 0.5 + step / 10
            one.tick(now + 1e-9)
            times += [step] * len(one.datagrams_to_send())
        assert times == [0, 2, 4]

    def test_what_is_played_back_does_not_count(self) -> None:
        one, two = end(1), end(2, TWO)
        exchange(one, two, now=0.0)
        two.tick(1.0)
        (packet,) = two.datagrams_to_send()
        one.receive(packet, 1.0)
        heard = one.received
        one.receive(packet, 2.0)
        assert one.received == heard
        assert one.violation is not None
        assert "seen before" in one.violation.detail
        # Nor does it to a device that has started anew: the packet does not echo its nonce.
        fresh = end(3)
        fresh.receive(packet, 2.0)
        assert not fresh.ok

    def test_a_peer_that_has_started_anew(self) -> None:
        one, two = end(1), end(2, TWO)
        exchange(one, two, now=0.0)
        again = end(3, TWO, now=1.0)
        exchange(one, again, now=1.0)
        assert one.ok
        assert again.ok

    @pytest.mark.parametrize(("mine", "theirs"), [("Secret-12", "Secret-13"), ("Secret-12", None), (None, "Secret-12")])
    def test_passwords(self, mine: str | None, theirs: str | None) -> None:
        one, two = end(1, password=mine), end(2, TWO, theirs)
        passing(one, two, since=0.0, until=2.0)
        assert not one.ok
        assert not two.ok
        assert one.authentication_failures
        two.configure(TWO, mine, TIMEOUT, 2.0)
        passing(one, two, since=2.0, until=4.0)
        assert one.ok
        assert two.ok

    def test_another_group(self) -> None:
        one, two = end(1), end(2, replace(TWO, group_id=2))
        passing(one, two, since=0.0, until=2.0)
        assert not one.ok
        assert one.violation is not None
        assert "the sender in 2" in one.violation.detail

    def test_uplinks_are_told_at_once(self) -> None:
        one, two = end(1), end(2, TWO)
        exchange(one, two, now=0.0)
        two.update(uplink_up=False, now=0.1)
        exchange(one, two, now=0.1)
        assert one.peer is not None
        assert not one.peer.uplink_up


# --- two engines ----------------------------------------------------------------------------------------------------


def group(lab: Lab, side: int, *, port: int | None = None, password: str | None = None, **more: Any) -> GroupConfig:
    """Heartbeat between mirrored addresses, time-out 0.5 s."""
    ours, theirs = (ip_address(f"192.0.2.{number}") for number in (side + 1, 2 - side))
    more.setdefault("peer_address", theirs)
    heartbeat = HeartbeatConfig(udp_port=port, timeout=0.5, **more)
    return replace(
        lab.group(None, password=password), detection=DetectionConfig(4, ours), heartbeat=heartbeat, priority=100 + side
    )


async def has(lab: Lab, *engines: Engine, ok: bool) -> None:
    for engine in engines:
        await engine.wait_for(lambda s: s.heartbeat is not None and s.heartbeat.ok is ok, lab.limit)


async def beating(lab: Lab, **options: Any) -> tuple[Engine, Engine]:
    a, b = await lab.pair()
    for side, engine in enumerate((a, b)):
        await lab.apply(engine, group(lab, side, **options))
    await has(lab, a, b, ok=True)
    return a, b


def kinds(lab: Lab, name: str) -> list[type]:
    return [type(e) for e in lab.events[name] if isinstance(e, HeartbeatLost | HeartbeatResumed)]


class TestEngines:
    @pytest.mark.parametrize("port", [None, 1500])
    @pytest.mark.parametrize("password", [None, "Secret-12"])
    async def test_state_of_both_ends(self, lab: Lab, port: int | None, password: str | None) -> None:
        a, b = await beating(lab, port=port, password=password)
        state = a.state().heartbeat
        assert state is not None
        assert state.peer is not None
        assert (state.local.udp_port, state.peer.udp_port) == (port or 1025, port or 1025)
        assert (str(state.local.address), str(state.peer.address)) == ("192.0.2.1", "192.0.2.2")
        assert (state.local.role, state.peer.role) == (PairRole.BACKUP, PairRole.MASTER)
        assert state.peer.system_mac == b"\x02" + b"b".rjust(5, b"\0")
        assert state.detail == ""
        assert b.state().heartbeat is not None

    @pytest.mark.parametrize("fault", [Fault.CUT, Fault.DROP, Fault.CORRUPT])
    async def test_a_fault_and_its_repair(self, lab: Lab, fault: Fault) -> None:
        a, b = await beating(lab)
        for engine in (a, b):
            engine.set_fault(Link.HEARTBEAT, fault)
        await has(lab, a, b, ok=False)
        for engine in (a, b):
            engine.set_fault(Link.HEARTBEAT, Fault.NONE)
        await has(lab, a, b, ok=True)
        assert kinds(lab, "a") == kinds(lab, "b") == [HeartbeatResumed, HeartbeatLost, HeartbeatResumed]

    async def test_the_peer_link_and_the_channel_go_on_without_it(self, lab: Lab) -> None:
        a, b = await lab.pair()
        for side, engine in enumerate((a, b)):
            config = replace(group(lab, side), channel=lab.group(side).channel)
            await lab.apply(engine, config)
        await lab.up(a, b)
        await has(lab, a, b, ok=True)
        a.set_fault(Link.HEARTBEAT, Fault.CUT)
        await has(lab, a, b, ok=False)
        assert a.state().channel.up
        assert a.state().peer_link.up
        assert a.state().channel.established == 1

    async def test_without_a_peer_address_it_is_lost(self, lab: Lab) -> None:
        a, b = await lab.pair()
        await lab.apply(a, group(lab, 0, peer_address=None))
        await lab.apply(b, group(lab, 1))
        state = await b.wait_for(lambda s: s.heartbeat is not None and s.heartbeat.sent > 3, lab.limit)
        assert state.heartbeat is not None
        assert not state.heartbeat.ok
        mine = a.state().heartbeat
        assert mine is not None
        assert (mine.ok, mine.sent, mine.peer) == (False, 0, None)
        assert "no peer address" in mine.detail

    async def test_ports_that_differ(self, lab: Lab) -> None:
        a, b = await lab.pair()
        await lab.apply(a, group(lab, 0, port=1500))
        await lab.apply(b, group(lab, 1, port=1501))
        await a.wait_for(lambda s: s.heartbeat is not None and s.heartbeat.sent > 5, lab.limit)
        await has(lab, a, b, ok=False)

    async def test_passwords_that_differ(self, lab: Lab) -> None:
        a, b = await lab.pair()
        await lab.apply(a, group(lab, 0, password="Secret-12"))
        await lab.apply(b, group(lab, 1, password="Secret-13"))
        state = await a.wait_for(lambda s: s.heartbeat is not None and "digest" in s.heartbeat.detail, lab.limit)
        assert state.heartbeat is not None
        assert not state.heartbeat.ok
        assert [e.link for e in lab.events["a"] if isinstance(e, AuthenticationFailure)].count(Link.HEARTBEAT) == 1

    async def test_a_device_that_goes(self, lab: Lab) -> None:
        a, b = await beating(lab)
        await b.aclose()
        await has(lab, a, ok=False)
        (lost,) = [e for e in lab.events["a"] if isinstance(e, HeartbeatLost)]
        assert str(lost.peer_address) == "192.0.2.2"

    async def test_another_time_out_disturbs_nothing(self, lab: Lab) -> None:
        a, b = await beating(lab)
        config = a.config
        assert config is not None
        await lab.apply(a, replace(config, heartbeat=replace(config.heartbeat, timeout=5.0)))
        await has(lab, a, b, ok=True)
        assert kinds(lab, "a") == [HeartbeatResumed]


@contextlib.contextmanager
def held(engine: Engine, port: int) -> Iterator[None]:
    """Somebody else has a UDP port on what stands in for 192.0.2.1."""
    registry = engine._fabric._registry  # type: ignore[attr-defined]
    address = ip_address("192.0.2.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind((registry.take(None, address, port), port))
        yield
    registry.give_back(None, address)


class TestPort:
    async def test_a_busy_port_is_refused_and_nothing_changes(self, lab: Lab) -> None:
        a = await lab.device("a")
        await lab.apply(a, group(lab, 0, port=1501))
        with held(a, 1500), pytest.raises(UdpPortInUse, match=r"UDP port 1500 on 192\.0\.2\.1 is in use") as refused:
            await a.prepare(group(lab, 0, port=1500))
        assert (refused.value.app_tag, refused.value.leaf) == ("udp-port-in-use", "udp-port")
        state = a.state().heartbeat
        assert state is not None
        assert state.local.udp_port == 1501

    async def test_the_lowest_idle_one(self, lab: Lab) -> None:
        a = await lab.device("a")
        with held(a, 1025):
            await lab.apply(a, group(lab, 0))
        state = a.state().heartbeat
        assert state is not None
        assert state.local.udp_port == 1026

    async def test_a_refused_channel_gives_the_port_back(self, lab: Lab) -> None:
        a = await lab.device("a", addresses=[ip_address("10.1.1.1")])
        with pytest.raises(AddressUnavailable, match="UDP port 1500") as refused:
            await a.prepare(replace(group(lab, 0, port=1500), channel=lab.group(0).channel))
        assert refused.value.container == "dual-active-detection"
        assert refused.value.leaf == "local-address"

    @pytest.mark.parametrize("finished", [False, True])
    async def test_abort_after_the_commit(self, lab: Lab, finished: bool) -> None:
        a = await lab.device("a")
        a.finish(await lab.apply(a, group(lab, 0, port=1500)))
        plan = await lab.apply(a, group(lab, 0, port=1501))
        if finished:
            a.finish(plan)
        await a.abort(plan)
        state = a.state().heartbeat
        assert state is not None
        assert state.local.udp_port == 1500

    async def test_back_and_forth(self, lab: Lab) -> None:
        a, b = await beating(lab, port=1500)
        for port in (1501, 1500, 1501):
            await lab.apply(a, group(lab, 0, port=port))
        await lab.apply(b, group(lab, 1, port=1501))
        await has(lab, a, b, ok=True)
        states = [engine.state().heartbeat for engine in (a, b)]
        assert [state and state.local.udp_port for state in states] == [1501, 1501]

    async def test_lenient_prepare_gets_it_later(self, lab: Lab) -> None:
        a = await lab.device("a", addresses=[])
        plan = await a.prepare(group(lab, 0), lenient=True)
        a.commit(plan)
        state = a.state().heartbeat
        assert state is not None
        assert "no interface of this device holds it" in state.detail
        a._fabric.restrict(None, None)  # type: ignore[attr-defined]
        await a.wait_for(lambda s: s.heartbeat is not None and s.heartbeat.local.udp_port == 1025, lab.limit)
