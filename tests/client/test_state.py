"""State, waiting with its reasons, and the simulated device's rpcs, with real pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest

from mlag_client import (
    ChannelNotUp,
    DfsClient,
    DownReason,
    EntryKind,
    EntryPath,
    EntrySelector,
    EntryType,
    Fault,
    Link,
    NotConverged,
    PeerLinkSource,
    RpcFailed,
)
from mlag_client.testing import RunningAgent, assert_yang_valid

Configured = Callable[..., tuple[DfsClient, DfsClient]]
SHORT = 1.5
"""Seconds after which the reason of a pair that cannot come up has to show with fast timers."""


def reason(client: DfsClient) -> ChannelNotUp:
    with pytest.raises(ChannelNotUp) as caught:
        client.wait_until_up(SHORT, 0.1)
    return caught.value


def test_up_on_both_sides(configured: Configured) -> None:
    first, second = configured(password="Secret-12")
    for client in (first, second):
        state = client.state()
        assert state.channel.up
        assert state.channel.down_reason is None
        assert state.channel.entry_path is EntryPath.CHANNEL
        assert state.channel.last_change is not None
        assert state.channel.last_change.tzinfo is not None
        assert state.peer_link.up
        assert_yang_valid(client.manager.get(), client, content="all", complete=True)
    assert {first.state().channel.role, second.state().channel.role} == {"connects", "listens"}
    peer = first.state().peer
    assert peer is not None
    assert (peer.device, peer.local_address) == ("device-2", ip_address("2001:db8:1::2"))


MISMATCHES = [
    ({"tcp_port": 2049}, None, DownReason.PORT_MISMATCH, "2049"),
    ({"local": ip_address("2001:db8:1::22")}, None, DownReason.ADDRESS_MISMATCH, "2001:db8:1::22"),
    ({"local": ip_address("10.1.1.2"), "peer": ip_address("10.1.1.1")}, None, DownReason.ADDRESS_FAMILY_MISMATCH, "4"),
    ({}, "Another-1", DownReason.AUTHENTICATION_FAILED, ""),
]


@pytest.mark.parametrize(("change", "password", "expected", "word"), MISMATCHES)
def test_the_reason_why_not_up(
    clients: tuple[DfsClient, DfsClient],
    source: PeerLinkSource,
    *,
    change: dict[str, object],
    password: str | None,
    expected: DownReason,
    word: str,
) -> None:
    first, second = clients
    first.set_peer_link(source, password=None if password is None else "Secret-12")
    second.set_peer_link(replace(source.mirrored(), **change), password=password)  # type: ignore[arg-type]
    for client in clients:
        error = reason(client)
        assert error.reason == expected
        assert word in error.detail
        assert error.state is not None
        assert error.state.channel.down_reason is expected
        assert str(expected) in str(error)
    # Mended on one side, it comes up on both.
    second.undo_group()
    second.set_peer_link(source.mirrored(), password=None if password is None else "Secret-12")
    for client in clients:
        client.wait_until_up(20, 0.05)


def test_one_password_only(clients: tuple[DfsClient, DfsClient], source: PeerLinkSource) -> None:
    clients[0].set_peer_link(source, password="Secret-12")
    clients[1].set_peer_link(source.mirrored())
    assert [reason(client).reason for client in clients] == [DownReason.NO_AUTHENTICATION] * 2


def test_peer_unconfigured_and_unconfigured(clients: tuple[DfsClient, DfsClient], source: PeerLinkSource) -> None:
    clients[0].set_peer_link(source)
    other = PeerLinkSource.of("10.9.9.1", "10.9.9.2", 2048)
    clients[1].set_peer_link(other)
    clients[1].undo_peer_link(other)
    assert reason(clients[0]).reason == DownReason.PEER_UNCONFIGURED
    assert reason(clients[1]).reason == DownReason.UNCONFIGURED


def test_without_a_group_the_wait_says_unconfigured(clients: tuple[DfsClient, DfsClient]) -> None:
    with pytest.raises(ChannelNotUp) as caught:
        clients[0].wait_until_up(0.1, 0.05)
    assert caught.value.reason == DownReason.UNCONFIGURED
    assert caught.value.state is None


def test_entries_cross_and_converge(configured: Configured) -> None:
    first, second = configured()
    assert first.learn("10.0.0.1", 250, interface="Vlanif10", vlan=10).learned == 250
    assert second.learn("2001:db8:2::1", 3, interface="Vlanif20", vlan=20).learned == 3
    arp, nd = first.wait_until_converged(second, 20, 0.05)
    assert (arp.local_dynamic, arp.from_peer) == (250, 0)
    assert (nd.local_dynamic, nd.from_peer) == (0, 3)
    assert [table.digest for table in second.tables()] == [arp.digest, nd.digest]

    page = second.entries(EntrySelector(type=EntryType.ARP), offset=248, limit=10)
    assert (page.total, page.offset) == (250, 248)
    assert [str(entry.address) for entry in page.entries] == ["10.0.0.249", "10.0.0.250"]
    assert {(entry.origin, entry.kind, entry.interface) for entry in page.entries} == {
        ("peer", EntryKind.DYNAMIC, None)
    }
    assert len(list(first.all_entries(page=100))) == 253

    assert first.age(EntrySelector(start_address=ip_address("10.0.0.1"), count=50)) == 50
    assert first.wait_until_converged(second, 20, 0.05)[0].entries == 200
    assert first.flush(EntrySelector(type=EntryType.ARP, vlan=10, interface="Vlanif10")) == 200
    assert list(first.all_entries(EntrySelector(type=EntryType.ARP))) == []


def test_kinds_and_refusals_of_learn(clients: tuple[DfsClient, DfsClient]) -> None:
    client = clients[0]
    client.learn("10.0.0.1", interface="Vlanif10", vlan=10, kind=EntryKind.STATIC, start_mac="02:aa:00:00:00:01")
    (entry,) = client.entries().entries
    assert (entry.kind, entry.mac, entry.interface, entry.origin) == (
        EntryKind.STATIC, "02:aa:00:00:00:01", "Vlanif10", "local",
    )  # fmt: skip
    with pytest.raises(RpcFailed) as caught:
        client.learn("10.0.0.1", interface="Vlanif10", vlan=5000)
    assert caught.value.tag == "invalid-value"
    assert caught.value.operation == "learn-entries"


@pytest.mark.mlag_agent(table_size=10)
def test_a_full_table(mlag_agent: RunningAgent) -> None:
    result = mlag_agent.client().learn("10.0.0.1", 12, interface="Vlanif10", vlan=10)
    assert (result.learned, result.refused) == (10, 2)


def test_a_cut_channel_is_seen_and_mended(configured: Configured) -> None:
    first, second = configured()
    first.set_fault(Link.CHANNEL, Fault.CUT)
    assert dict(first.snapshot().faults) == {
        Link.CHANNEL: Fault.CUT,
        Link.PEER_LINK: Fault.NONE,
        Link.HEARTBEAT: Fault.NONE,
    }
    for snapshot in first.watch(interval=0.05):
        if snapshot.state is not None and not snapshot.state.channel.up:
            break
    first.learn("10.0.0.1", 5, interface="Vlanif10", vlan=10)
    with pytest.raises(NotConverged, match="5 entries wait"):
        first.wait_until_converged(second, 0.3, 0.05)
    first.set_fault(Link.CHANNEL, Fault.NONE)
    first.wait_until_up(20, 0.05)
    first.wait_until_converged(second, 20, 0.05)


def test_delay_goes_with_its_fault(clients: tuple[DfsClient, DfsClient]) -> None:
    clients[0].set_fault(Link.PEER_LINK, Fault.DELAY, delay=20)
    with pytest.raises(RpcFailed):
        clients[0].set_fault(Link.PEER_LINK, Fault.DROP, delay=20)
