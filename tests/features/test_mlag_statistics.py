"""Statistics, faults and their resets over NETCONF: two devices, several levels, state that is valid by the module."""

from __future__ import annotations

import pytest
from lxml import etree

from conftest import HASH, Connect, MakeSettings, Start
from mlag_agent.app import Device
from mlag_agent.config import UserSettings
from mlag_agent.data.encode import encode_children
from netconf_client import DML, Client, channel, group

SIM = "urn:mlag-agent:yang:mlag-simulator"
RESETS = (
    "reset-dfs-authentication-status", "reset-fwm-dfs-authentication-status", "reset-dfs-packet-statistics",
    "reset-fwm-sync-packet-statistics", "reset-troubleshooting-history",
)  # fmt: skip
PASSWORD = "Tr0ub4dor-3xyz"
Pair = tuple[Client, Client]


@pytest.fixture
async def devices(start: Start, make_settings: MakeSettings) -> tuple[Device, Device]:
    users = tuple(UserSettings(name=f"level{level}", password_hash=HASH, level=level) for level in range(4))
    return await start("one", settings=make_settings("one", users=users)), await start("two")


@pytest.fixture
async def pair(devices: tuple[Device, Device], connect: Connect) -> Pair:
    return await connect(devices[0], username="level3"), await connect(devices[1])


def reset(name: str, content: str = "") -> str:
    return f'<{name} xmlns="{DML}">{content}</{name}>'


async def rows(client: Client, name: str) -> dict[str, dict[str, str]]:
    """The entries of a list of the statistics by their type."""
    reply = await client.get(group())
    found = {}
    for row in reply.root.iter(f"{{{DML}}}{name}"):
        leafs = {etree.QName(leaf).localname: leaf.text or "" for leaf in row}
        found[leafs["type"]] = leafs
    return found


async def channel_up(devices: tuple[Device, Device], pair: Pair) -> None:
    one, two = pair
    assert (await one.edit(group(channel("10.1.1.1", "10.1.1.2", family="ipv4"), password=PASSWORD), "running")).ok
    assert (await two.edit(group(channel("10.1.1.2", "10.1.1.1", family="ipv4"), password=PASSWORD), "running")).ok
    for device in devices:
        await device.engine.wait_for(lambda state: state.channel.up, 10)


async def learn(client: Client, address: str, count: int = 1) -> None:
    content = f"<start-address>{address}</start-address><count>{count}</count><interface>GE1/0/1</interface>"
    reply = await client.rpc(f'<learn-entries xmlns="{SIM}">{content}<vlan>10</vlan></learn-entries>')
    assert reply.leaf("learned") == str(count), reply.text


class TestCounters:
    async def test_they_move_and_are_reset(self, devices: tuple[Device, Device], pair: Pair) -> None:
        one, two = pair
        await channel_up(devices, pair)
        await learn(one, "10.9.9.1", 5)
        await devices[1].engine.wait_for(lambda state: state.tables[0].from_peer == 5, 10)
        sent = await rows(one, "counter")
        assert int(sent["arp-sync"]["send-success"]) >= 1
        assert int(sent["hello"]["send-success"]) >= 1
        assert int(sent["hello"]["receive-success"]) >= 1
        assert {"arp", "nd", "session"} <= set(sent), "those of the forwarding module"
        proofs = await rows(one, "dfs-authentication")
        assert set(proofs) == {"hello", "ipv4-heart", "ipv6-heart", "arp", "nd", "session", "sync-config"}
        assert int(proofs["hello"]["success"]) >= 1
        assert proofs["arp"]["last-mac"] == (await two.get(group())).leaf("system-id")
        before = await one.get(group())
        assert before.leaf("last-receive-success", "time")
        assert before.leaf("dfs-packet", "reset-time") is None
        for name in RESETS[:4]:
            assert (await one.rpc(reset(name))).ok
        after = await one.get(group())
        assert after.leaf("dfs-packet", "reset-time")
        assert after.leaf("dfs-authentication-reset-time")
        assert (await rows(one, "counter"))["arp-sync"]["send-success"] == "0"
        assert (await rows(one, "dfs-authentication"))["arp"]["success"] == "0"
        assert after.leaf("sync-channel", "established") == before.leaf("sync-channel", "established") == "1"

    async def test_entries_over_the_peer_link(self, devices: tuple[Device, Device], pair: Pair) -> None:
        one, two = pair
        for client in pair:
            assert (await client.edit(group(password=PASSWORD), "running")).ok
        for device in devices:
            await device.engine.wait_for(lambda state: state.channel.entry_path == "peer-link", 10)
        await learn(one, "2001:db8::1", 3)
        await devices[1].engine.wait_for(lambda state: state.tables[1].from_peer == 3, 10)
        proofs = await rows(two, "fwm-authentication")
        assert (proofs["nd"]["slot-id"], proofs["nd"]["fail"]) == ("1", "0")
        assert int(proofs["nd"]["success"]) >= 1
        assert (await rows(two, "dfs-authentication"))["nd"]["success"] == "0"
        assert (await two.rpc(reset(RESETS[1], "<slot-id>1</slot-id>"))).ok
        assert (await rows(two, "fwm-authentication"))["nd"]["success"] == "0"

    async def test_a_wrong_password(self, devices: tuple[Device, Device], pair: Pair) -> None:
        one, two = pair
        assert (await one.subscribe(f'<filter><authentication-failed xmlns="{DML}"/></filter>')).ok
        assert (await one.edit(group(password=PASSWORD), "running")).ok
        assert (await two.edit(group(password="another-1-Xyz"), "running")).ok
        event = await one.notification()
        assert (event.leaf("link"), event.leaf("packet-type")) == ("peer-link", "hello")
        assert int((await rows(one, "dfs-authentication"))["hello"]["fail"]) >= 1
        state = await one.get(group())
        assert state.leaf("dfs-packet", "last-receive-fail", "reason") == "integrity-check-failed"
        faults = [node.text for node in state.root.iter(f"{{{DML}}}description")]
        assert any("failed authentication" in (fault or "") for fault in faults)

    async def test_watchers_are_told_of_faults_and_not_of_packets(
        self, devices: tuple[Device, Device], pair: Pair
    ) -> None:
        """On-change subscriptions (RFC 8641) look at what tells; a hello each second is no change."""
        assert (await pair[0].edit(group(password=PASSWORD), "running")).ok
        await devices[0].engine.wait_for(lambda _: bool(devices[0].engine.history.current()), 10)
        agent = devices[0].agent
        told = encode_children(agent.told_state(), agent.library.tree.namespaces).decode()
        assert "<fault>" in told
        assert "statistics" not in told.replace("entry-statistics", "")

    async def test_nothing_without_a_group(self, pair: Pair) -> None:
        assert list((await pair[0].get(group())).root.iter(f"{{{DML}}}statistics")) == []


class TestRefusals:
    @pytest.mark.parametrize("name", RESETS)
    async def test_levels(self, devices: tuple[Device, Device], connect: Connect, name: str) -> None:
        for level in (0, 1):
            client = await connect(devices[0], username=f"level{level}")
            assert (await client.rpc(reset(name))).error.tag == "access-denied"
        assert (await (await connect(devices[0], username="level2")).rpc(reset(name))).ok

    async def test_slots(self, pair: Pair) -> None:
        reply = await pair[0].rpc(reset(RESETS[1], "<slot-id>2</slot-id>"))
        assert (reply.error.tag, reply.error.app_tag) == ("invalid-value", "slot-absent")
        assert "only slot is 1" in reply.error.message
        assert (await pair[0].rpc(reset(RESETS[1], "<slot-id>50</slot-id>"))).error.tag == "invalid-value"


class TestFaults:
    async def test_current_and_history(self, devices: tuple[Device, Device], pair: Pair) -> None:
        one, _ = pair
        await channel_up(devices, pair)
        await devices[1].aclose()
        await devices[0].engine.wait_for(lambda state: not state.channel.up and not state.peer_link.up, 10)
        state = await one.get(group())
        kinds = [row.findtext(f"{{{DML}}}kind") for row in state.root.iter(f"{{{DML}}}fault")]
        words = " ".join(row.text or "" for row in state.root.iter(f"{{{DML}}}description"))
        assert "The peer-link is down" in words
        assert "The synchronisation channel is down" in words
        assert {"current", "history"} == set(kinds)
        assert (await one.rpc(reset(RESETS[4]))).ok
        state = await one.get(group())
        left = [row.findtext(f"{{{DML}}}kind") for row in state.root.iter(f"{{{DML}}}fault")]
        assert left
        assert set(left) == {"current"}, "what lasts stays current"
