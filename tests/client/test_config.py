"""set, undo and get of the configuration, with a real agent and two of ncclient's device handlers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from mlag_client import (
    BackupRates,
    DfsClient,
    GroupMissing,
    InvalidRequest,
    NotConfigured,
    PeerLinkSource,
    RpcFailed,
    UndoMismatch,
)
from mlag_client.testing import RunningAgent, agent, assert_yang_valid

VPN = PeerLinkSource.of("2001:db8:1::1", "2001:db8:1::2", 2048, "Blue")


@pytest.fixture(params=["default", "huaweiyang"])
def client(request: pytest.FixtureRequest, mlag_agent: RunningAgent) -> Iterator[DfsClient]:
    with mlag_agent.client(request.param) as connected:
        yield connected
    # What we send holds for a server that forgives nothing.
    assert mlag_agent.leniencies == {}


def datastores(client: DfsClient) -> tuple[str, str]:
    running, candidate = (client.manager.get_config(name).data_xml for name in ("running", "candidate"))
    return running, candidate


def assert_clean(client: DfsClient, running_before: str) -> None:
    """Neither an edit nor a lock has stayed behind, and running is what it was."""
    running, candidate = datastores(client)
    assert running == candidate == running_before
    with client.manager.locked("candidate"), client.manager.locked("running"):
        pass


def test_set_makes_the_group_and_get_returns_it(client: DfsClient, source: PeerLinkSource) -> None:
    assert client.peer_link() is None
    client.set_peer_link(source)
    assert client.peer_link() == source
    assert_clean(client, datastores(client)[0])
    assert_yang_valid(client.manager.get_config("running"), client)


def test_the_ipv4_form(client: DfsClient) -> None:
    source = PeerLinkSource.of("10.1.1.1", "10.1.1.2", 2048)
    client.set_peer_link(source)
    assert client.peer_link() == source
    client.undo_peer_link(source)
    assert client.peer_link() is None


def test_set_overwrites_the_form_as_a_whole(client: DfsClient, source: PeerLinkSource) -> None:
    client.add_vpn_instance("Blue")
    client.set_peer_link(VPN, password="Secret-12")
    client.set_peer_link(replace(source, tcp_port=2049))
    assert client.peer_link() == replace(source, tcp_port=2049)
    # The password is not part of the command: it stays.
    assert client.snapshot().authenticated


def test_the_other_form_is_refused_as_the_page_says(client: DfsClient, source: PeerLinkSource) -> None:
    client.set_peer_link(source)
    before = datastores(client)[0]
    with pytest.raises(RpcFailed, match="Either the IPv4 or the IPv6 form") as caught:
        client.set_peer_link(PeerLinkSource.of("10.1.1.1", "10.1.1.2", 2048))
    assert caught.value.app_tag == "peer-link-source-exclusive"
    assert_clean(client, before)


def test_all_that_is_wrong_comes_at_once_and_nothing_stays(client: DfsClient) -> None:
    before = datastores(client)[0]
    with pytest.raises(RpcFailed) as caught:
        client.set_peer_link(PeerLinkSource.of("fe80::1", "ff02::2", 22))
    assert {error.app_tag for error in caught.value.errors} == {
        "address-link-local",
        "address-multicast",
        "tcp-port-well-known",
    }
    assert caught.value.operation == "commit"
    for error in caught.value.errors:
        assert error.tag == "operation-failed"
        assert error.path is not None
        assert "peer-link-source/ipv6" in error.path
    # ncclient's exception for several errors has no tag; ours has the first's.
    assert caught.value.tag == "operation-failed"
    assert_clean(client, before)


def test_one_error_is_unwrapped_too(client: DfsClient, source: PeerLinkSource) -> None:
    with pytest.raises(RpcFailed) as caught:
        client.set_peer_link(source, password="short")
    (error,) = caught.value.errors
    assert error.app_tag == "password-length"
    assert "short" not in str(error), "a password is not repeated"


def test_a_vpn_instance_has_to_exist(client: DfsClient) -> None:
    with pytest.raises(RpcFailed) as caught:
        client.set_peer_link(VPN)
    assert caught.value.app_tag == "instance-required"
    client.add_vpn_instance("Blue")
    client.add_vpn_instance("Blue")
    client.set_peer_link(VPN)
    assert client.peer_link() == VPN
    with pytest.raises(RpcFailed):
        client.remove_vpn_instance("Blue")
    client.undo_peer_link(VPN)
    client.remove_vpn_instance("Blue")
    with pytest.raises(RpcFailed) as caught:
        client.remove_vpn_instance("Blue")
    assert caught.value.tag == "data-missing"


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        (replace(VPN, local=ip_address("2001:db8:1::11")), "local address"),
        (replace(VPN, peer=ip_address("2001:db8:1::22")), "peer"),
        (replace(VPN, tcp_port=2049), "tcp-port"),
        (replace(VPN, vpn_instance="Red"), "vpn-instance"),
        (replace(VPN, vpn_instance="blue"), "vpn-instance"),
        (replace(VPN, vpn_instance=None), "vpn-instance"),
    ],
)
def test_undo_compares_every_parameter(mlag_agent: RunningAgent, given: PeerLinkSource, parameter: str) -> None:
    client = mlag_agent.client()
    client.add_vpn_instance("Blue")
    client.set_peer_link(VPN)
    before = datastores(client)[0]
    with pytest.raises(UndoMismatch) as caught:
        client.undo_peer_link(given)
    assert [difference.parameter for difference in caught.value.differences] == [parameter]
    assert (caught.value.configured, caught.value.given) == (VPN, given)
    assert str(VPN) in caught.value.hint
    assert_clean(client, before)


def test_undo_of_the_other_family_names_both_addresses(mlag_agent: RunningAgent, source: PeerLinkSource) -> None:
    client = mlag_agent.client()
    client.set_peer_link(source)
    with pytest.raises(UndoMismatch) as caught:
        client.undo_peer_link(PeerLinkSource.of("10.1.1.1", "10.1.1.2", 2048))
    assert [difference.parameter for difference in caught.value.differences] == ["local address", "peer"]


def test_undo_takes_any_spelling_of_an_address(client: DfsClient, source: PeerLinkSource) -> None:
    client.set_peer_link(source, password="Secret-12")
    client.undo_peer_link(PeerLinkSource.of("2001:0DB8:0001:0000:0:0:0:1", "2001:DB8:1:0::2", 2048))
    assert client.peer_link() is None
    # The undo is that of one command: group and password stay.
    assert client.snapshot().authenticated


def test_undo_without_a_source(client: DfsClient, source: PeerLinkSource) -> None:
    with pytest.raises(NotConfigured):
        client.undo_peer_link(source)
    assert_clean(client, datastores(client)[0])


def test_authentication_and_group_can_be_undone(client: DfsClient, source: PeerLinkSource) -> None:
    with pytest.raises(GroupMissing):
        client.undo_authentication()
    client.set_peer_link(source, password="Secret-12")
    client.undo_authentication()
    client.undo_authentication()
    assert not client.snapshot().authenticated
    assert client.peer_link() == source
    client.undo_group()
    client.undo_group()
    assert client.peer_link() is None
    with pytest.raises(GroupMissing):
        client.state()


def test_rates(client: DfsClient) -> None:
    assert client.rates() == BackupRates(None, None)
    client.set_rates(arp=500)
    client.set_rates(nd=700)
    assert client.rates() == BackupRates(500, 700)
    with pytest.raises(RpcFailed) as caught:
        client.set_rates(arp=2001)
    assert caught.value.tag == "invalid-value"
    assert client.rates() == BackupRates(500, 700)
    client.undo_rates()
    assert client.rates() == BackupRates(None, None)
    with pytest.raises(ValueError, match="at least one"):
        client.set_rates()


def test_what_xml_cannot_carry_is_not_sent(client: DfsClient) -> None:
    with pytest.raises(InvalidRequest, match="vpn-instance"):
        client.set_peer_link(replace(VPN, vpn_instance="Bl\x07ue"))
    assert_clean(client, datastores(client)[0])


def test_a_name_outside_of_ascii_is_carried(client: DfsClient) -> None:
    source = replace(VPN, vpn_instance="Grün & <Rot>")
    client.add_vpn_instance("Grün & <Rot>")
    client.set_peer_link(source)
    assert client.peer_link() == source
    client.undo_peer_link(source)


def test_somebody_elses_lock_is_respected(mlag_agent: RunningAgent, source: PeerLinkSource) -> None:
    client, other = mlag_agent.client(), mlag_agent.client()
    with other.manager.locked("candidate"):
        with pytest.raises(RpcFailed) as caught:
            client.set_peer_link(source)
        assert (caught.value.tag, caught.value.operation) == ("lock-denied", "lock")
        assert ("session-id", other.manager.session_id) in caught.value.errors[0].info
    client.set_peer_link(source)


def test_somebody_elses_edit_is_not_committed_along(mlag_agent: RunningAgent, source: PeerLinkSource) -> None:
    client, other = mlag_agent.client(), mlag_agent.client()
    rates = '<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag"><global><arp-backup-rate>9</arp-backup-rate></global></m-lag></config>'  # noqa: E501
    other.manager.edit_config(config=rates, target="candidate")
    with pytest.raises(RpcFailed) as caught:
        client.set_peer_link(source)
    assert caught.value.tag == "lock-denied"
    other.manager.commit()
    assert client.rates().arp == 9


def test_a_strict_agent_takes_all_that_we_send(source: PeerLinkSource) -> None:
    with agent(strict=True) as running, running.client() as client:
        client.add_vpn_instance("Blue")
        client.set_peer_link(VPN, password="Secret-12")
        client.set_rates(arp=100, nd=100)
        client.learn("10.0.0.1", 3, interface="Vlanif10", vlan=10)
        assert client.entries().total == 3
        assert client.snapshot().source == VPN
        client.undo_peer_link(VPN)


@pytest.mark.mlag_agent(model="CE6885-LL:low-latency")
def test_a_model_without_ipv6(mlag_agent: RunningAgent, source: PeerLinkSource) -> None:
    client = mlag_agent.client()
    with pytest.raises(RpcFailed) as caught:
        client.set_peer_link(source)
    assert caught.value.tag == "unknown-element"
    client.set_peer_link(PeerLinkSource.of("10.1.1.1", "10.1.1.2", 2048))
