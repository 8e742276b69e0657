"""Rules of the DFS group that a commit checks: a dictionary, arithmetic on addresses, and time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.app import Device
from mlag_agent.config import DeviceSettings, Settings
from mlag_agent.errors import SettingsError
from mlag_agent.features import mlag_checks
from mlag_agent.features.mlag_checks import MAX_DICTIONARY, load_weak_passwords
from netconf_client import DML, Client, group

Start = Callable[..., Awaitable[Device]]
Connect = Callable[..., Awaitable[Client]]
IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
IP = "urn:ietf:params:xml:ns:yang:ietf-ip"
DMLI = "urn:mlag-agent:yang:dfs-m-lag-interfaces"


def vlanif(number: int, own: str, *addresses: str) -> str:
    ip, _, length = own.partition("/")
    return f"""<interfaces xmlns="{IF}"><interface><name>Vlanif{number}</name>
      <type xmlns:i="urn:ietf:params:xml:ns:yang:iana-if-type">i:l3ipvlan</type>
      <ipv4 xmlns="{IP}"><address><ip>{ip}</ip><prefix-length>{length}</prefix-length></address></ipv4>
      <ipv6 xmlns="{IP}"><enabled>true</enabled>
        <address><ip>fe80::1</ip><prefix-length>10</prefix-length></address></ipv6>
      <m-lag xmlns="{DMLI}">{"".join(addresses)}</m-lag></interface></interfaces>"""


def ipv4(address: str) -> str:
    return f"<ipv4><address>{address}</address><prefix-length>24</prefix-length></ipv4>"


async def commit(session: Client, config: str) -> str:
    """The reply to the commit of a configuration; the candidate is clean afterwards."""
    edited = await session.edit(config)
    assert edited.errors == []
    reply = await session.commit()
    await session.rpc("<discard-changes/>")
    return reply.text


class TestAddresses:
    @pytest.mark.parametrize(
        ("own", "address", "app_tag"),
        [
            ("10.1.1.1/24", "10.1.1.9", None),
            ("10.1.1.1/24", "10.1.2.9", "m-lag-address-subnet"),
            ("10.1.1.1/24", "10.1.1.0", "m-lag-address-subnet"),
            ("10.1.1.1/24", "10.1.1.255", "m-lag-address-subnet"),
            ("10.1.1.1/24", "10.1.1.1", "m-lag-address-own"),
            ("10.1.1.2/31", "10.1.1.3", None),
        ],
    )
    async def test_ipv4(self, session: Client, own: str, address: str, app_tag: str | None) -> None:
        reply = await commit(session, vlanif(10, own, ipv4(address)))
        assert (app_tag or "<ok/>") in reply
        if app_tag is not None:
            assert "name='Vlanif10'" in reply
            assert address in reply

    async def test_ipv6_link_local(self, session: Client) -> None:
        text = "<ipv6-link-local-address>{}</ipv6-link-local-address>"
        assert "m-lag-address-own" in await commit(session, vlanif(10, "10.1.1.1/24", text.format("FE80::1")))
        assert "<ok/>" in await commit(session, vlanif(10, "10.1.1.1/24", text.format("fe80::2")))

    async def test_once_on_the_device_and_all_at_once(self, session: Client) -> None:
        three = (
            vlanif(10, "10.1.1.1/16", ipv4("10.1.1.9"))
            + vlanif(11, "10.1.1.2/16", ipv4("10.1.1.9"))
            + vlanif(12, "10.9.1.2/16", ipv4("10.1.1.10"))
        )
        reply = await commit(session, three.replace(f'</interfaces><interfaces xmlns="{IF}">', ""))
        assert "m-lag-address-in-use" in reply
        assert "m-lag-address-subnet" in reply

    @given(st.ip_addresses(v=4), st.integers(1, 32), st.ip_addresses(v=4))
    def test_against_ipaddress(self, own: IPv4Address, length: int, address: IPv4Address) -> None:
        interface = IPv4Interface(f"{own}/{length}")
        wrong = [error.app_tag for error in mlag_checks._ipv4_errors(str(address), (interface,), "/x")]
        hosts = interface.network.hosts() if length > 24 else None
        usable = address in interface.network and (hosts is None or address in set(hosts))
        if length <= 24:
            edges = (interface.network.network_address, interface.network.broadcast_address)
            usable = address in interface.network and address not in edges
        assert wrong == (["m-lag-address-own"] if address == own else [] if usable else ["m-lag-address-subnet"])


class TestWeakPassword:
    @pytest.fixture
    async def session(
        self, start: Start, connect: Connect, make_settings: Callable[..., Settings], tmp_path: Path
    ) -> Client:
        words = tmp_path / "weak.txt"
        words.write_text("Password1\nChangeme_123\n\n")
        settings = make_settings("device")
        device = msgspec.structs.replace(settings.device, weak_passwords=str(words))
        return await connect(await start(settings=msgspec.structs.replace(settings, device=device)))

    async def test_an_exact_match_is_refused_and_not_shown(self, session: Client) -> None:
        reply = await commit(session, group(password="Changeme_123"))
        assert "weak-password" in reply
        assert "Changeme_123" not in reply
        assert "<ok/>" in await commit(session, group(password="Changeme_1234"))

    async def test_a_change_of_something_else_is_no_occasion(self, session: Client) -> None:
        assert "<ok/>" in await commit(session, group(password="Good-pass1"))
        assert "<ok/>" in await commit(session, group().replace("</dfs-group>", "<priority>7</priority></dfs-group>"))

    def test_byte_order_mark_and_line_ends(self, tmp_path: Path) -> None:
        words = tmp_path / "weak.txt"
        words.write_bytes(b"\xef\xbb\xbfPassword1\r\nChangeme_123\r\n")
        assert load_weak_passwords(words) == {"Password1", "Changeme_123"}

    def test_files(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="cannot read"):
            load_weak_passwords(tmp_path / "none")
        large = tmp_path / "large"
        large.touch()
        with large.open("r+b") as file:
            file.truncate(MAX_DICTIONARY + 1)
        with pytest.raises(SettingsError, match="at most"):
            load_weak_passwords(large)


class TestGuard:
    async def test_can_be_switched_off(self, start: Start, connect: Connect) -> None:
        device = DeviceSettings(name="device", switch_guard=0)
        session = await connect(await start(device=device))
        for value in ("false", "true", "false"):
            leaf = f"<layer3-enhanced-enable>{value}</layer3-enhanced-enable>"
            assert "<ok/>" in await commit(session, f'<m-lag xmlns="{DML}"><global>{leaf}</global></m-lag>')

    async def test_says_how_long(self, session: Client) -> None:
        def switch(value: str) -> str:
            leaf = f"<layer3-enhanced-enable>{value}</layer3-enhanced-enable>"
            return f'<m-lag xmlns="{DML}"><global>{leaf}</global></m-lag>'

        assert "<ok/>" in await commit(session, switch("true"))  # the default of the model: nothing was switched
        assert "<ok/>" in await commit(session, switch("false"))
        reply = await commit(session, switch("true"))
        assert "switched-too-soon" in reply
        assert "it can be switched again in 300 s" in reply or "in 299 s" in reply
        assert "<ok/>" in await commit(session, switch("false"))
