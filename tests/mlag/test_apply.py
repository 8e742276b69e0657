"""Two-phase apply: a refused prepare changes nothing, and abort works before and after the commit, and twice."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from typing import Any

import pytest

from mlag_agent.mlag import (
    AddressUnavailable,
    DownReason,
    Engine,
    EngineClosed,
    EngineRefused,
    EntryType,
    GroupConfig,
    PlanError,
    PortInUse,
    VpnInstanceUnavailable,
)

Lab = Any


@pytest.fixture
def busy_port() -> Any:
    """A port that somebody holds on every address of the machine."""
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen()
        yield holder.getsockname()[1]


async def running(lab: Lab) -> tuple[Engine, Engine]:
    a, b = await lab.pair()
    a.finish(await lab.apply(a, lab.group(0)))
    await lab.apply(b, lab.group(1))
    await lab.up(a, b)
    await a.learn(ip_address("192.168.0.0"), 20, "eth0", 10)
    await lab.equal(a, b)
    return a, b


async def still_as_before(a: Engine, b: Engine) -> None:
    assert a.state().channel.up
    assert a.state().channel.established == b.state().channel.established == 1
    assert b.state().table(EntryType.ARP).from_peer == 20


@pytest.mark.parametrize("fails", ["port", "reserved", "address", "vpn"])
async def test_refused_prepare_leaves_all_as_it_was(lab: Lab, busy_port: int, fails: str) -> None:
    a, b = await running(lab)
    a._applier._reserved_ports = lambda: {8830: "the NETCONF server"}
    a._fabric.restrict([ip_address("10.1.1.1")], ["blue"])  # type: ignore[attr-defined]
    wanted, error, leaf, app_tag, words = {
        "port": (lab.group(0, port=busy_port), PortInUse, "tcp-port", "tcp-port-in-use", "in use by this process"),
        "reserved": (lab.group(0, port=8830), PortInUse, "tcp-port", "tcp-port-in-use", "the NETCONF server"),
        "address": (
            lab.group(0, addresses=("10.1.1.9", "10.1.1.2")),
            AddressUnavailable,
            "local-address",
            "local-address-unavailable",
            "no interface",
        ),
        "vpn": (
            lab.group(0, vpn="green"),
            VpnInstanceUnavailable,
            "vpn-instance",
            "vpn-instance-unavailable",
            "no forwarding instance",
        ),
    }[fails]
    before, config = lab.sockets(), a.config
    with pytest.raises(error) as caught:
        await a.prepare(wanted)
    assert isinstance(caught.value, EngineRefused)
    assert (caught.value.leaf, caught.value.app_tag) == (leaf, app_tag)
    assert words in str(caught.value)
    assert str(wanted.channel.local_address) in str(caught.value)
    assert str(wanted.channel.tcp_port) in str(caught.value)
    assert lab.sockets() == before
    assert a.config is config
    await still_as_before(a, b)


async def test_another_device_holds_the_address(lab: Lab) -> None:
    a, b = await lab.pair()
    await lab.apply(a, lab.group(0))
    with pytest.raises(AddressUnavailable, match="device a holds it"):
        await b.prepare(lab.group(0))
    await lab.apply(b, lab.group(0, vpn="blue"))  # the same address in another VPN instance is another address


async def test_prepare_really_binds_and_abort_gives_back(lab: Lab) -> None:
    a, b = await running(lab)
    before = lab.sockets()
    plan = await a.prepare(lab.group(0, port=2049))
    assert lab.sockets() > before
    await still_as_before(a, b)
    await a.abort(plan)
    await a.abort(plan)
    assert lab.sockets() == before
    await still_as_before(a, b)
    with pytest.raises(PlanError):
        a.commit(plan)


async def test_prepare_keeps_the_socket_that_does_not_change(lab: Lab) -> None:
    a, b = await running(lab)
    before = lab.sockets()
    plan = await a.prepare(lab.group(0, rate=7))
    assert lab.sockets() == before
    await a.abort(plan)
    await still_as_before(a, b)


@pytest.mark.parametrize("finished", [False, True])
async def test_abort_after_the_commit_goes_back_port_and_all(lab: Lab, finished: bool) -> None:
    a, b = await running(lab)
    plan = await a.prepare(lab.group(0, port=2049))
    a.commit(plan)
    await lab.down(b, DownReason.PORT_MISMATCH)
    if finished:
        a.finish(plan)
    await a.abort(plan)
    await a.abort(plan)
    assert a.config == lab.group(0)
    await lab.up(a, b)
    await lab.equal(a, b)


async def test_abort_after_the_commit_of_no_group(lab: Lab) -> None:
    a, b = await running(lab)
    plan = await a.prepare(None)
    a.commit(plan)
    assert a.state().group_id is None
    await a.abort(plan)
    await lab.up(a, b)


async def test_abort_of_the_first_configuration(lab: Lab) -> None:
    a = await lab.device("a")
    before = lab.sockets()
    plan = await a.prepare(lab.group(0))
    a.commit(plan)
    await a.abort(plan)
    assert a.config is None
    assert lab.sockets() == before
    assert a.state().channel.down_reason is DownReason.UNCONFIGURED


async def test_back_and_forth_between_two_ports(lab: Lab) -> None:
    a, b = await running(lab)
    for _ in range(3):
        for port in (2049, 2048):
            for engine, side in ((a, 0), (b, 1)):
                await lab.apply(engine, lab.group(side, port=port))
            await lab.up(a, b)
            assert a.state().channel.tcp_port == port


async def test_the_old_port_is_free_after_the_grace_time(lab: Lab) -> None:
    a = await lab.device("a")
    await lab.apply(a, lab.group(0))
    before = lab.sockets()
    await lab.apply(a, lab.group(0, port=2049))
    assert lab.sockets() == before + 1
    await a.wait_for(lambda _: lab.sockets() == before, lab.limit)


async def test_abort_after_finish_when_the_port_is_gone(lab: Lab) -> None:
    a = await lab.device("a")
    await lab.apply(a, lab.group(0))
    loopback = next(iter(a._fabric._registry._claims.values())).loopback  # type: ignore[attr-defined]
    plan = await lab.apply(a, lab.group(0, port=2049))
    a.finish(plan)
    with socket.socket() as thief:
        thief.bind((loopback, 2048))
        thief.listen()
        with pytest.raises(PlanError, match="not its port"):
            await a.abort(plan)
        assert a.config == lab.group(0)
        await lab.down(a, DownReason.PORT_IN_USE)
    await a.wait_for(lambda s: s.channel.down_reason is not DownReason.PORT_IN_USE, lab.limit)


@pytest.mark.parametrize(
    ("reason", "restriction"),
    [
        (DownReason.LOCAL_ADDRESS_UNAVAILABLE, ([], None)),
        (DownReason.VPN_INSTANCE_UNAVAILABLE, (None, [])),
    ],
)
async def test_an_address_that_goes_away_takes_the_channel_down_and_brings_it_back(
    lab: Lab, reason: DownReason, restriction: tuple[Any, Any]
) -> None:
    a, b = await lab.pair()
    await lab.apply(a, lab.group(0, vpn="blue"))
    await lab.apply(b, lab.group(1, vpn="blue"))
    await lab.up(a, b)
    a._fabric.restrict(*restriction)  # type: ignore[attr-defined]
    state = await lab.down(a, reason)
    assert "10.1.1.1" in state.channel.detail
    await b.wait_for(lambda s: not s.channel.up, lab.limit)
    a._fabric.restrict(None, None)  # type: ignore[attr-defined]
    await lab.up(a, b)


async def test_lenient_prepare_starts_without_the_port_and_gets_it_later(lab: Lab) -> None:
    a, b = await lab.pair()
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen()
        port = holder.getsockname()[1]
        a.commit(await a.prepare(lab.group(0, port=port), lenient=True))
        state = await lab.down(a, DownReason.PORT_IN_USE)
        assert str(port) in state.channel.detail
    await lab.apply(b, lab.group(1, port=port))
    await lab.up(a, b)


async def test_use_before_start_and_after_close(lab: Lab) -> None:
    a = await lab.device("a")
    await a.aclose()
    await a.aclose()
    with pytest.raises(EngineClosed):
        await a.prepare(GroupConfig(1))


async def test_close_with_a_plan_in_hand_leaves_no_socket(lab: Lab) -> None:
    """The lab's fixture checks the sockets."""
    a = await lab.device("a")
    await lab.apply(a, lab.group(0))
    await a.prepare(lab.group(0, port=2049))


async def test_close_wakes_who_waits(lab: Lab) -> None:
    a = await lab.device("a")
    waiting = asyncio.create_task(a.wait_for(lambda s: False))
    await asyncio.sleep(0)
    await a.aclose()
    with pytest.raises(EngineClosed):
        await waiting


async def test_the_end_of_one_change_leaves_the_next_one_its_port(lab: Lab) -> None:
    """Back to the port that was just given up, while the change before it comes to its end."""
    a, b = await running(lab)
    away = await lab.apply(a, lab.group(0, port=2049))
    back = await a.prepare(lab.group(0))
    a.finish(away)  # as the grace time does
    a.commit(back)
    a.finish(back)
    await lab.up(a, b)
