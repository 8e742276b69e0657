"""Two engines in one process over real sockets: coming up, every way to be down, repair, entries on both wires."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from mlag_agent.mlag import (
    DownReason,
    Engine,
    EntryKind,
    EntryType,
    GroupConfig,
    PlanError,
    Role,
    Selector,
    TableCapacity,
)
from mlag_agent.mlag.events import AuthenticationFailure, ChannelDown, ChannelUp, EntryLimit, PeerLinkDown, PeerLinkUp
from mlag_agent.mlag.wire import PROTOCOL_VERSION

V4, V6 = ("10.1.1.1", "10.1.1.2"), ("2001:db8::1", "2001:db8::2")
Lab = Any  # the class of conftest.py, which importlib mode does not let us import


async def both_up(lab: Lab, **parameters: Any) -> tuple[Engine, Engine]:
    a, b = await lab.pair()
    await lab.apply(a, lab.group(0, **parameters))
    await lab.apply(b, lab.group(1, **parameters))
    await lab.up(a, b)
    return a, b


@pytest.mark.parametrize("addresses", [V4, V6])
@pytest.mark.parametrize("password", [None, "secret-123"])
@pytest.mark.parametrize("vpn", [None, "blue"])
async def test_comes_up_and_synchronises(
    lab: Lab, addresses: tuple[str, str], password: str | None, vpn: str | None
) -> None:
    a, b = await both_up(lab, addresses=addresses, password=password, vpn=vpn)
    assert await a.learn(ip_address("192.168.0.0"), 1200, "eth0", 10) == (1200, 0)
    assert await b.learn(ip_address("2001:db8:5::"), 700, "eth1", 20) == (700, 0)
    await b.wait_for(lambda s: s.table(EntryType.ARP).from_peer == 1200, lab.limit)
    await a.wait_for(lambda s: s.table(EntryType.ND).from_peer == 700, lab.limit)
    await lab.equal(a, b)
    assert await a.age(Selector(start_address=ip_address("192.168.0.0"), count=200)) == 200
    await b.wait_for(lambda s: s.table(EntryType.ARP).from_peer == 1000, lab.limit)
    await lab.equal(a, b)
    on_a, on_b = a.state(), b.state()
    assert (on_a.channel.role, on_b.channel.role) == (Role.LISTENS, Role.CONNECTS)
    assert on_a.channel.down_reason is None
    assert (on_a.channel.tcp_port, on_a.channel.vpn_instance) == (2048, vpn)
    assert (on_a.channel.established, on_a.channel.entry_path) == (1, "channel")
    arp_a, arp_b = on_a.statistics(EntryType.ARP), on_b.statistics(EntryType.ARP)
    assert (arp_a.sent, arp_a.withdrawn, arp_b.received, arp_b.withdrawals_received) == (1200, 200, 1200, 200)
    assert on_a.peer is not None
    assert (on_a.peer.device, str(on_a.peer.local_address)) == ("b", addresses[1])
    assert on_a.channel.last_change.utcoffset() is not None
    assert [type(event) for event in lab.events["a"]].count(ChannelUp) == 1
    assert [type(event) for event in lab.events["a"]].count(PeerLinkUp) == 1


MISMATCHES = {
    DownReason.PORT_MISMATCH: ({}, {"port": 2049}),
    DownReason.ADDRESS_MISMATCH: ({}, {"addresses": ("10.1.1.1", "10.1.1.9")}),
    DownReason.ADDRESS_FAMILY_MISMATCH: ({}, {"addresses": V6}),
    DownReason.AUTHENTICATION_FAILED: ({"password": "secret-123"}, {"password": "secret-124"}),
    DownReason.NO_AUTHENTICATION: ({"password": "secret-123"}, {}),
    DownReason.GROUP_MISMATCH: ({}, {"group_id": 2}),
}


@pytest.mark.parametrize("peer_link", [True, False], ids=["peer-link", "no-peer-link"])
@pytest.mark.parametrize("reason", MISMATCHES)
async def test_each_mismatch_is_named_on_both_sides_and_repaired(lab: Lab, reason: DownReason, peer_link: bool) -> None:
    on_a, on_b = MISMATCHES[reason]
    a, b = await lab.pair(pair="pair" if peer_link else None)
    await lab.apply(a, lab.group(0, **on_a))
    await lab.apply(b, lab.group(1, **on_b))
    # Without a peer-link the two meet only where the one that connects finds the other's port.
    meet = peer_link or reason not in (DownReason.PORT_MISMATCH, DownReason.ADDRESS_FAMILY_MISMATCH)
    expected = reason if meet else DownReason.PEER_UNREACHABLE
    states = [await lab.down(engine, expected) for engine in (a, b)]
    assert all(state.channel.detail for state in states)
    if reason is DownReason.PORT_MISMATCH and peer_link:
        assert states[0].channel.detail == "this device uses tcp-port 2048, the peer 2049"
        assert states[1].channel.detail == "this device uses tcp-port 2049, the peer 2048"
    if "password" in on_a:
        assert all(state.channel.authentication_failures for state in states)
        assert any(isinstance(event, AuthenticationFailure) for event in lab.events["a"])
    await lab.apply(b, lab.group(1, **on_a))
    await lab.up(a, b)


async def test_a_mismatch_that_the_hello_names_is_not_tried_over_tcp(lab: Lab) -> None:
    a, b = await lab.pair()
    await lab.apply(a, lab.group(None))
    await lab.apply(b, lab.group(None))
    await b.wait_for(lambda s: s.peer_link.up, lab.limit)
    await lab.apply(a, lab.group(0, port=2049))
    await b.wait_for(lambda s: s.peer is not None and s.peer.tcp_port == 2049, lab.limit)
    await lab.apply(b, lab.group(1))
    await lab.down(b, DownReason.PORT_MISMATCH)
    assert b.state().channel.connect_attempts == 0


async def test_unconfigured_and_peer_unconfigured(lab: Lab) -> None:
    a, b = await lab.pair()
    assert a.state().channel.down_reason is DownReason.UNCONFIGURED
    assert a.state().group_id is None
    await lab.apply(a, lab.group(0))
    await lab.apply(b, lab.group(None))
    await lab.down(a, DownReason.PEER_UNCONFIGURED)
    await lab.down(b, DownReason.UNCONFIGURED)
    assert a.state().channel.entry_path == b.state().channel.entry_path == "none"


async def test_peer_unreachable_when_there_is_nobody(lab: Lab) -> None:
    a = await lab.device("a")
    b = await lab.device("b", pair="another")
    await lab.apply(a, lab.group(0))
    await lab.apply(b, lab.group(1, addresses=("10.2.2.1", "10.2.2.2")))
    for engine in (a, b):
        state = await lab.down(engine, DownReason.PEER_UNREACHABLE)
        assert state.peer is None
        assert not state.peer_link.up


async def test_version_mismatch(lab: Lab) -> None:
    a = await lab.device("a")
    b = await lab.device("b", protocol_version=PROTOCOL_VERSION + 1)
    await lab.apply(a, lab.group(0))
    await lab.apply(b, lab.group(1))
    for engine in (a, b):
        await lab.down(engine, DownReason.VERSION_MISMATCH)


async def test_peer_closed_when_the_peer_ends(lab: Lab) -> None:
    a, b = await both_up(lab)
    await b.aclose()
    state = await lab.down(a, DownReason.PEER_CLOSED)
    assert "shutdown" in state.channel.detail
    await lab.down(a, DownReason.PEER_UNREACHABLE)
    assert any(isinstance(event, PeerLinkDown) for event in lab.events["a"])


async def test_vpn_instances_need_not_have_the_same_name(lab: Lab) -> None:
    a, b = await lab.pair()
    await lab.apply(a, lab.group(0, vpn="blue"))
    await lab.apply(b, lab.group(1, vpn="green"))
    # On the loopback fabric the instance's name is what joins them, so TCP fails, but the hello finds no fault.
    await lab.down(b, DownReason.CONNECT_FAILED)
    await lab.down(a, DownReason.CONNECT_FAILED)


async def test_rate_change_does_not_touch_the_session(lab: Lab) -> None:
    a, b = await both_up(lab, password="secret-123")
    await lab.apply(a, lab.group(0, password="secret-123", rate=1))
    await a.learn(ip_address("192.168.0.0"), 3, "eth0", 10)
    state = await a.wait_for(lambda s: s.statistics(EntryType.ARP).throttled >= 1, lab.limit)
    assert state.statistics(EntryType.ARP).pending > 0
    await lab.apply(a, lab.group(0, password="secret-123", rate=2000))
    await lab.equal(a, b)
    assert a.state().channel.established == b.state().channel.established == 1


async def test_password_change_authenticates_anew(lab: Lab) -> None:
    a, b = await both_up(lab, password="secret-123")
    await lab.apply(a, lab.group(0, password="secret-456"))
    await lab.down(a, DownReason.AUTHENTICATION_FAILED)
    await lab.down(b, DownReason.AUTHENTICATION_FAILED)
    assert a.state().peer is None
    await lab.apply(b, lab.group(1, password="secret-456"))
    await lab.up(a, b)
    assert a.state().channel.established == 2


async def test_port_change_of_both(lab: Lab) -> None:
    a, b = await both_up(lab)
    await a.learn(ip_address("192.168.0.0"), 10, "eth0", 10)
    await lab.equal(a, b)
    await lab.apply(a, lab.group(0, port=2049))
    await lab.down(a, DownReason.PORT_MISMATCH)
    await lab.down(b, DownReason.PORT_MISMATCH)
    assert b.state().table(EntryType.ARP).from_peer == 10  # kept until the next batch
    await lab.apply(b, lab.group(1, port=2049))
    await lab.up(a, b)
    await lab.equal(a, b)


async def test_entries_go_over_the_peer_link_while_no_channel_is_configured(lab: Lab) -> None:
    a, b = await lab.pair()
    await a.learn(ip_address("192.168.0.0"), 600, "eth0", 10)
    await lab.apply(a, lab.group(None, password="secret-123"))
    await lab.apply(b, lab.group(None, password="secret-123"))
    await lab.linked(a, b)
    await lab.equal(a, b)
    assert b.state().table(EntryType.ARP).from_peer == 600
    assert a.state().channel.down_reason is DownReason.UNCONFIGURED
    await lab.apply(a, lab.group(0, password="secret-123"))
    await b.wait_for(lambda s: s.channel.entry_path == "none", lab.limit)
    assert b.state().table(EntryType.ARP).from_peer == 600
    await a.age(Selector(start_address=ip_address("192.168.0.0"), count=100))
    await lab.apply(b, lab.group(1, password="secret-123"))
    await lab.up(a, b)
    await lab.equal(a, b)
    assert b.state().table(EntryType.ARP).from_peer == 500
    await lab.apply(a, lab.group(None, password="secret-123"))
    await lab.apply(b, lab.group(None, password="secret-123"))
    await lab.linked(a, b)


async def test_no_entries_over_the_peer_link_with_another_password(lab: Lab) -> None:
    a, b = await lab.pair()
    await a.learn(ip_address("192.168.0.0"), 5, "eth0", 10)
    await lab.apply(a, lab.group(None, password="secret-123"))
    await lab.apply(b, lab.group(None, password="secret-124"))
    await b.wait_for(lambda s: s.peer_link.hellos_refused > 2, lab.limit)
    assert b.state().channel.entry_path == "none"
    assert not b.state().peer_link.up
    assert "digest" in b.state().peer_link.detail


async def test_without_the_group_the_peers_entries_go(lab: Lab) -> None:
    a, b = await both_up(lab)
    await a.learn(ip_address("192.168.0.0"), 5, "eth0", 10)
    await lab.equal(a, b)
    await lab.apply(b, None)
    assert b.state().table(EntryType.ARP).from_peer == 0
    await lab.down(a, DownReason.PEER_UNREACHABLE)


async def test_table_full_on_both_sides(lab: Lab) -> None:
    a = await lab.device("a")
    b = await lab.device("b", capacity=TableCapacity(arp=50, nd=50))
    await b.learn(ip_address("172.16.0.0"), 20, "eth0", 10)
    await lab.apply(a, lab.group(0))
    await lab.apply(b, lab.group(1))
    await a.learn(ip_address("192.168.0.0"), 100, "eth0", 10)
    state = await b.wait_for(lambda s: s.statistics(EntryType.ARP).dropped_capacity == 70, lab.limit)
    assert state.table(EntryType.ARP).from_peer == 30
    assert await b.learn(ip_address("172.17.0.0"), 5, "eth0", 10) == (0, 5)
    limits = [event for event in lab.events["b"] if isinstance(event, EntryLimit)]
    assert [(event.type, event.capacity) for event in limits] == [(EntryType.ARP, 50)]


async def test_the_simulated_device(lab: Lab) -> None:
    a, b = await both_up(lab)
    await a.learn(ip_address("192.168.0.0"), 30, "eth0", 10, start_mac="02:00:00:00:00:fe")
    await a.learn(ip_address("192.168.0.10"), 5, "eth1", 20, EntryKind.STATIC)
    await b.learn(ip_address("192.168.1.0"), 7, "eth0", 10)
    await lab.equal(a, b)
    page = await a.list_entries(Selector(type=EntryType.ARP), offset=10, limit=3)
    assert page.total == 42
    assert [(str(e.address), e.vlan, e.kind) for e in page.entries] == [
        ("192.168.0.10", 10, "dynamic"),
        ("192.168.0.10", 20, "static"),
        ("192.168.0.11", 10, "dynamic"),
    ]
    assert page.entries[0].mac == "02:00:00:00:01:08"
    assert (await a.list_entries(Selector(interface="eth1"))).total == 5
    assert (await a.list_entries(Selector(interface="eth9"))).total == 0
    assert (await a.list_entries(Selector(vlan=20))).total == 5
    from_peer = await a.list_entries(Selector(start_address=ip_address("192.168.1.0"), count=100))
    assert from_peer.total == 7
    assert {(e.origin, e.interface) for e in from_peer.entries} == {("peer", None)}
    assert (await a.list_entries(offset=100)).entries == ()
    assert await a.flush(Selector(vlan=10)) == 37
    assert a.state().table(EntryType.ARP).entries == 5
    state = await b.wait_for(lambda s: s.table(EntryType.ARP).from_peer == 0, lab.limit)
    assert state.table(EntryType.ARP).local_dynamic == 7


@pytest.mark.parametrize(
    ("start", "count", "vlan", "words"),
    [
        ("255.255.255.250", 10, 10, "run past the end of the IPv4"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 2, 10, "run past the end of the IPv6"),
        ("10.0.0.0", 0, 10, "count 0"),
        ("10.0.0.0", 1, 4095, "VLAN 4095"),
    ],
)
async def test_impossible_ranges_learn_nothing(lab: Lab, start: str, count: int, vlan: int, words: str) -> None:
    a = await lab.device("a")
    with pytest.raises(ValueError, match=words):
        await a.learn(ip_address(start), count, "eth0", vlan)
    assert [table.entries for table in a.tables()] == [0, 0]


@pytest.mark.parametrize("text", ["", "02:00:00:00:00", "02:00:00:00:00:1", "02:00:00:00:00:zz"])
async def test_impossible_mac(lab: Lab, text: str) -> None:
    a = await lab.device("a")
    with pytest.raises(ValueError):
        await a.learn(ip_address("10.0.0.0"), 1, "eth0", 1, start_mac=text)


def test_impossible_selectors() -> None:
    with pytest.raises(ValueError, match="needs a start-address"):
        Selector(count=3)
    with pytest.raises(ValueError, match="does not agree"):
        Selector(type=EntryType.ND, start_address=ip_address("10.0.0.0"))


async def test_a_hundred_thousand_entries_do_not_hold_the_loop(lab: Lab) -> None:
    """Other tasks get turns while it works: counted, not timed."""
    a = await lab.device("a", capacity=TableCapacity(arp=100_000))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for work in (
        a.learn(ip_address("10.0.0.0"), 100_000, "eth0", 10),
        a.list_entries(Selector(vlan=10), limit=10_000),
        a.age(Selector(vlan=10)),
    ):
        turns = 0
        await work
        assert turns >= 20
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_subscriber_that_fails_disturbs_nobody(lab: Lab) -> None:
    a, b = await lab.pair()
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    unsubscribe = a.subscribe(lambda event: 1 / 0)
    await lab.apply(a, lab.group(0))
    await lab.apply(b, lab.group(1))
    await lab.up(a, b)
    assert failures
    unsubscribe()
    assert any(isinstance(event, ChannelUp) for event in lab.events["a"])


async def test_events_tell_the_story(lab: Lab) -> None:
    a, b = await both_up(lab)
    await lab.apply(b, lab.group(1, port=2049))
    await lab.down(a, DownReason.PORT_MISMATCH)
    downs = [(e.reason, e.was_up) for e in lab.events["a"] if isinstance(e, ChannelDown)]
    assert [was_up for _, was_up in downs].count(True) == 1
    assert downs[-1][0] is DownReason.PORT_MISMATCH


async def test_wait_for_names_the_last_state(lab: Lab) -> None:
    a = await lab.device("a")
    with pytest.raises(TimeoutError, match="unconfigured"):
        await a.wait_for(lambda s: s.channel.up, 0.05)


async def test_the_password_is_in_no_repr(lab: Lab) -> None:
    a, _ = await both_up(lab, password="secret-123")
    plan = await a.prepare(lab.group(0, password="secret-456"))
    await a.abort(plan)
    for thing in (a.config, plan, a.state(), lab.events, replace(a.config, password="secret-789")):
        assert "secret-" not in repr(thing)


async def test_flapping_configuration_leaves_nothing_behind(lab: Lab) -> None:
    """The lab's fixture checks tasks and sockets."""
    a, b = await lab.pair()
    for turn in range(15):
        await lab.apply(a, lab.group(0, port=2048 + turn % 3) if turn % 4 else None)
        await lab.apply(b, lab.group(1, port=2048 + turn % 2))
    await lab.apply(a, lab.group(0))
    await lab.apply(b, lab.group(1))
    await lab.up(a, b)


async def test_a_plan_is_used_in_turn(lab: Lab) -> None:
    a = await lab.device("a")
    plan = await a.prepare(GroupConfig(1))
    a.commit(plan)
    with pytest.raises(PlanError):
        a.commit(plan)
    late = await a.prepare(GroupConfig(1))
    a.commit(late)
    with pytest.raises(PlanError):
        await a.abort(plan)


async def test_a_bug_of_the_fabric_is_reported_and_the_link_goes_on(lab: Lab) -> None:
    a, b = await lab.pair()
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    real, calls = b._fabric.connect, 0

    async def connect(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise LookupError("a bug")
        return await real(*arguments)

    b._fabric.connect = connect  # type: ignore[method-assign]
    await lab.apply(a, lab.group(0))
    await lab.apply(b, lab.group(1))
    await lab.up(a, b)
    assert "a bug" in str(failures[0]["exception"])


async def test_strangers_at_the_port_do_not_disturb_the_session(lab: Lab) -> None:
    a, b = await both_up(lab, password="secret-123")
    loopback = a._applier.listener._socket.getsockname()[0]
    for greeting in (b"GET / HTTP/1.1\r\n\r\n", b"DFSS" + bytes(100), b""):
        reader, writer = await asyncio.open_connection(loopback, 2048)
        writer.write(greeting)
        if not greeting:
            writer.write_eof()
        assert len(await reader.read()) > 0  # our hello, then the end
        writer.close()
        await writer.wait_closed()
    await a.learn(ip_address("192.168.0.0"), 5, "eth0", 10)
    await lab.equal(a, b)
    assert a.state().channel.established == b.state().channel.established == 1


async def test_an_authenticated_newcomer_takes_the_place_of_the_session(lab: Lab) -> None:
    """As after a half-open connection: the side that connects has given up its old session, the other not yet."""
    a, b = await both_up(lab, password="secret-123")
    await b.learn(ip_address("192.168.0.0"), 5, "eth0", 10)
    await lab.equal(a, b)
    link = b._channel
    old = link.active
    link._open(await link._settings.connect(), link._settings, initiator=True)
    await a.wait_for(lambda s: s.channel.established == 2, lab.limit)
    await lab.up(a, b)
    await lab.equal(a, b)
    assert link.active is not old
    assert a.state().table(EntryType.ARP).from_peer == 5
