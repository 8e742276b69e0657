"""Broken wires: each fault has its reason, and whatever happened, mended wires end in equal tables."""

from __future__ import annotations

import asyncio
import random
from ipaddress import ip_address
from typing import Any

import pytest

from mlag_agent.mlag import DownReason, Engine, EntryKind, EntryType, Fault, Link, Selector

Lab = Any
PASSWORD = "secret-123"


async def both(lab: Lab, link: Link = Link.CHANNEL, password: str | None = PASSWORD) -> tuple[Engine, Engine]:
    a, b = await lab.pair()
    await a.learn(ip_address("192.168.0.0"), 700, "eth0", 10)
    await b.learn(ip_address("2001:db8:9::"), 300, "eth0", 10)
    sides = (0, 1) if link is Link.CHANNEL else (None, None)
    for engine, side in zip((a, b), sides, strict=True):
        await lab.apply(engine, lab.group(side, password=password))
    await working(lab, link, a, b)
    await lab.equal(a, b)
    return a, b


async def working(lab: Lab, link: Link, a: Engine, b: Engine) -> None:
    await (lab.up(a, b) if link is Link.CHANNEL else lab.linked(a, b))


async def test_cut_channel_is_a_failed_connection_on_both_sides(lab: Lab) -> None:
    one, two = await both(lab)
    for a, b in ((one, two), (two, one)):
        a.set_fault(Link.CHANNEL, Fault.CUT)
        assert a.state().faults[0].fault is Fault.CUT
        for engine in (a, b):
            await engine.wait_for(
                lambda s: s.channel.down_reason in (DownReason.CONNECT_FAILED, DownReason.PEER_CLOSED), lab.limit
            )
            assert engine.state().peer_link.up
        await a.age(Selector(vlan=10))
        a.set_fault(Link.CHANNEL, Fault.NONE)
        await lab.up(a, b)
        await lab.equal(a, b)


async def test_dropped_channel_ends_by_the_hold_timer(lab: Lab) -> None:
    a, b = await both(lab)
    a.set_fault(Link.CHANNEL, Fault.DROP)
    await lab.down(b, DownReason.HOLD_TIMER_EXPIRED)
    await a.wait_for(lambda s: not s.channel.up, lab.limit)
    await a.learn(ip_address("192.168.50.0"), 10, "eth0", 10)
    a.set_fault(Link.CHANNEL, Fault.NONE)
    await lab.up(a, b)
    await lab.equal(a, b)


async def test_what_was_lost_is_found_without_the_hold_timer(lab: Lab) -> None:
    a, b = await both(lab)
    a.set_fault(Link.CHANNEL, Fault.DROP)
    await a.learn(ip_address("192.168.50.0"), 10, "eth0", 10)
    await a.wait_for(lambda s: not s.statistics(EntryType.ARP).pending, lab.limit)
    a.set_fault(Link.CHANNEL, Fault.NONE)
    await b.wait_for(lambda s: s.table(EntryType.ARP).from_peer == 710, lab.limit)
    await lab.equal(a, b)


@pytest.mark.parametrize(
    ("password", "reason"),
    [(PASSWORD, DownReason.AUTHENTICATION_FAILED), (None, DownReason.PROTOCOL_ERROR)],
)
async def test_corrupted_packets(lab: Lab, password: str | None, reason: DownReason) -> None:
    a, b = await both(lab, password=password)
    a.set_fault(Link.CHANNEL, Fault.CORRUPT)
    await b.wait_for(lambda s: s.channel.down_reason in (reason, DownReason.PROTOCOL_ERROR), lab.limit)
    await a.wait_for(lambda s: not s.channel.up, lab.limit)
    a.set_fault(Link.CHANNEL, Fault.NONE)
    await lab.up(a, b)
    await lab.equal(a, b)


async def test_delayed_channel_stays_up(lab: Lab) -> None:
    a, b = await both(lab)
    a.set_fault(Link.CHANNEL, Fault.DELAY, 80)
    await a.learn(ip_address("192.168.50.0"), 2000, "eth0", 10)
    await lab.equal(a, b)
    assert a.state().faults[0].delay_ms == 80
    assert a.state().channel.established == 1
    a.set_fault(Link.CHANNEL, Fault.NONE)


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.CUT, Fault.CORRUPT])
async def test_a_broken_peer_link_leaves_the_channel_up(lab: Lab, fault: Fault) -> None:
    a, b = await both(lab)
    a.set_fault(Link.PEER_LINK, fault)
    await b.wait_for(lambda s: not s.peer_link.up, lab.limit)
    assert b.state().channel.up
    a.set_fault(Link.PEER_LINK, Fault.NONE)
    await b.wait_for(lambda s: s.peer_link.up, lab.limit)
    assert a.state().channel.established == 1


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.CUT, Fault.CORRUPT, Fault.DELAY])
async def test_a_broken_peer_link_does_not_keep_the_channel_from_coming_up(lab: Lab, fault: Fault) -> None:
    a, b = await lab.pair()
    for engine in (a, b):
        engine.set_fault(Link.PEER_LINK, fault, 100)
    await lab.apply(a, lab.group(0, password=PASSWORD))
    await lab.apply(b, lab.group(1, password=PASSWORD))
    await lab.up(a, b)


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.CUT, Fault.CORRUPT])
async def test_entries_over_a_peer_link_that_breaks_and_mends(lab: Lab, fault: Fault) -> None:
    a, b = await both(lab, Link.PEER_LINK)
    a.set_fault(Link.PEER_LINK, fault)
    await b.wait_for(lambda s: not s.peer_link.up and s.channel.entry_path == "none", lab.limit)
    await a.age(Selector(vlan=10))
    a.set_fault(Link.PEER_LINK, Fault.NONE)
    await lab.linked(a, b)
    await lab.equal(a, b)
    assert b.state().table(EntryType.ARP).entries == 0


async def random_step(rng: random.Random, engine: Engine) -> None:
    action = rng.random()
    address = ip_address(rng.choice(["10.0.0.0", "2001:db8:a::"])) + rng.randrange(60)
    if action < 0.4:
        kind = rng.choice([EntryKind.DYNAMIC] * 6 + [EntryKind.STATIC, EntryKind.INTERFACE])
        count = rng.choice([1, 40, 900]) if kind is EntryKind.DYNAMIC else 3
        await engine.learn(address, count, "eth0", rng.choice([10, 20]), kind, f"02:00:00:00:00:{rng.randrange(9):02x}")
    elif action < 0.6:
        await engine.age(Selector(start_address=address, count=rng.choice([1, 30, 2000])))
    elif action < 0.9:
        # The engines run on while this waits: a part of the schedule, not a wait for something.
        await asyncio.sleep(rng.choice([0, 0.002, 0.02, 0.1]))
    else:
        engine.set_fault(rng.choice(list(Link)), rng.choice(list(Fault)), rng.choice([1, 20, 60]))


@pytest.mark.parametrize("link", list(Link))
@pytest.mark.parametrize("seed", range(6))
async def test_any_history_of_faults_ends_in_equal_tables(lab: Lab, link: Link, seed: int) -> None:
    rng = random.Random(f"{seed}{link}")
    a, b = await both(lab, link, password=PASSWORD if seed % 2 else None)
    for _ in range(60):
        await random_step(rng, rng.choice([a, b]))
    for engine in (a, b):
        for broken in Link:
            engine.set_fault(broken, Fault.NONE)
    await working(lab, link, a, b)
    await lab.equal(a, b)
