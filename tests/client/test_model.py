from __future__ import annotations

import dataclasses

import pytest

from mlag_client import PeerLinkSource


def test_the_text_is_the_command_of_the_page() -> None:
    source = PeerLinkSource.of("2001:DB8:1:0::1", "2001:db8:1::2", 2048)
    assert str(source) == "peer-link source ipv6 2001:db8:1::1 peer 2001:db8:1::2 tcp-port 2048"
    in_vpn = PeerLinkSource.of("10.1.1.1", "10.1.1.2", 2049, "Blue")
    assert str(in_vpn) == "peer-link source ip 10.1.1.1 vpn-instance Blue peer 10.1.1.2 tcp-port 2049"


def test_two_families_are_no_source() -> None:
    with pytest.raises(ValueError, match="different address families"):
        PeerLinkSource.of("10.1.1.1", "2001:db8::1", 2048)


def test_mirrored_twice_is_the_same() -> None:
    source = PeerLinkSource.of("10.1.1.1", "10.1.1.2", 2048, "Blue")
    assert source.mirrored() == PeerLinkSource.of("10.1.1.2", "10.1.1.1", 2048, "Blue")
    assert source.mirrored().mirrored() == source


def test_it_is_frozen() -> None:
    source = PeerLinkSource.of("10.1.1.1", "10.1.1.2", 2048)
    with pytest.raises(dataclasses.FrozenInstanceError):
        source.tcp_port = 2049  # type: ignore[misc]


def test_differences_compare_addresses_as_addresses_and_names_with_their_case() -> None:
    configured = PeerLinkSource.of("2001:db8:1::1", "2001:db8:1::2", 2048, "Blue")
    assert not configured.differences(PeerLinkSource.of("2001:0DB8:1:0:0:0:0:1", "2001:db8:1::2", 2048, "Blue"))
    (found,) = configured.differences(PeerLinkSource.of("2001:db8:1::1", "2001:db8:1::2", 2048, "blue"))
    assert (found.parameter, found.configured, found.given) == ("vpn-instance", "Blue", "blue")
    assert str(found) == "vpn-instance is Blue, not blue"
