"""The notifications of dfs-m-lag come from what two real engines do, and are valid by the module."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import pytest
from lxml import etree

from mlag_agent.app import Device
from mlag_agent.config import TableSettings
from mlag_agent.schema.engine import Contents
from netconf_client import DML, Client, Notification, channel, group

Start = Callable[..., Awaitable[Device]]
Connect = Callable[..., Awaitable[Client]]

SIM = "urn:mlag-agent:yang:mlag-simulator"
NAMES = (
    "sync-channel-up", "sync-channel-down", "peer-link-up", "peer-link-down", "sync-entry-limit",
    "authentication-failed", "dfs-pairing-failed", "dfs-pairing-resumed", "dfs-role-changed",
    "heartbeat-lost", "heartbeat-resumed", "dual-active-detected", "member-port-down",
)  # fmt: skip
Pair = tuple[Client, Client]


@pytest.fixture
async def devices(start: Start) -> tuple[Device, Device]:
    return await start("one", tables=TableSettings(arp=4, nd=16)), await start("two")


@pytest.fixture
async def pair(devices: tuple[Device, Device], connect: Connect) -> Pair:
    """A session with each device; the first one's has subscribed to everything of the module."""
    one, two = await connect(devices[0]), await connect(devices[1])
    wanted = "".join(f'<{name} xmlns="{DML}"/>' for name in NAMES)
    assert (await one.subscribe(f"<filter>{wanted}</filter>")).ok
    return one, two


async def event(devices: tuple[Device, Device], client: Client, name: str, **leafs: str) -> Notification:
    """The next event of that name with these values; each on the way is valid by the module."""
    while True:
        found = await client.notification()
        document = etree.tostring(found.event, encoding="unicode")
        library = devices[0].agent.library
        library.operations.validate(document, Contents.OPERATION, lambda path, message="": None, dangling=True)
        assert found.leaf("dfs-group-id") == "1"
        if found.name == name and all(found.leaf(leaf.replace("_", "-")) == text for leaf, text in leafs.items()):
            return found


class TestChannel:
    async def test_up_and_down(self, devices: tuple[Device, Device], pair: Pair) -> None:
        one, two = pair
        await one.edit(group(channel("2001:db8:1::1", "2001:db8:1::2")), "running")
        await two.edit(group(channel("2001:db8:1::2", "2001:db8:1::1")), "running")
        await event(devices, one, "peer-link-up", peer_device="two")
        up = await event(devices, one, "sync-channel-up")
        assert up.event.tag == f"{{{DML}}}sync-channel-up"
        assert up.leaf("peer-device") == "two"
        assert (up.leaf("local-address"), up.leaf("peer-address")) == ("2001:db8:1::1", "2001:db8:1::2")
        assert up.leaf("tcp-port") == "2048"
        state = await one.get(group())
        assert state.leaf("sync-channel", "last-change") == f"{up.time.isoformat(timespec='milliseconds')[:-6]}Z"
        await one.edit(f'<m-lag xmlns="{DML}" xmlns:x="{NC}" x:operation="delete"/>', "running")
        down = await event(devices, one, "sync-channel-down", was_up="true")
        assert down.leaf("reason") == "unconfigured"

    async def test_reason_of_a_misconfigured_pair(self, devices: tuple[Device, Device], pair: Pair) -> None:
        one, two = pair
        await one.edit(group(channel("10.1.1.1", "10.1.1.2", 2048, family="ipv4")), "running")
        await two.edit(group(channel("10.1.1.2", "10.1.1.1", 2049, family="ipv4")), "running")
        down = await event(devices, one, "sync-channel-down", reason="port-mismatch")
        assert down.leaf("was-up") == "false"
        assert "2049" in (down.leaf("detail") or "")

    async def test_peer_that_leaves(self, devices: tuple[Device, Device], pair: Pair) -> None:
        one, two = pair
        await one.edit(group(channel("2001:db8:1::1", "2001:db8:1::2")), "running")
        await two.edit(group(channel("2001:db8:1::2", "2001:db8:1::1")), "running")
        await event(devices, one, "sync-channel-up")
        await devices[1].aclose()
        await event(devices, one, "sync-channel-down", was_up="true")
        await event(devices, one, "peer-link-down")


def paired(side: int, more: str = "") -> str:
    """A DFS group with a source of dual-active detection, and an Eth-Trunk that is the peer-link."""
    source = f"<ipv4><local-address>192.0.2.{side}</local-address></ipv4>"
    content = f"{more}<dual-active-detection>{source}</dual-active-detection>"
    return (
        f'<m-lag xmlns="{DML}"><dfs-groups><dfs-group><id>1</id>{content}</dfs-group></dfs-groups></m-lag>'
        '<interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"><interface><name>Eth-Trunk0</name>'
        '<type xmlns:t="urn:ietf:params:xml:ns:yang:iana-if-type">t:ieee8023adLag</type>'
        f'<m-lag xmlns="{DML}-interfaces"><peer-link/></m-lag></interface></interfaces>'
    )


class TestPairing:
    async def test_a_pair_its_roles_and_its_end(self, devices: tuple[Device, Device], pair: Pair) -> None:
        one, two = pair
        assert (await one.edit(paired(1), "running")).ok
        assert (await two.edit(paired(2, "<priority>150</priority>"), "running")).ok
        await event(devices, one, "peer-link-up", if_name="Eth-Trunk0")
        await event(devices, one, "dfs-pairing-resumed", role="backup")
        state = await one.get(group())
        nodes = {
            node.findtext(f"{{{DML}}}sys-name"): {etree.QName(leaf).localname: leaf.text for leaf in node}
            for node in state.root.iter(f"{{{DML}}}node")
        }
        assert state.leaf("pair-state") == "paired"
        link = [state.leaf("peer-link", leaf) for leaf in ("id", "if-name", "link-type")]
        assert link == ["1", "Eth-Trunk0", "physical"]
        assert {name: (node["role"], node["priority"], node["is-local"]) for name, node in nodes.items()} == {
            "one": ("backup", "100", "true"),
            "two": ("master", "150", "false"),
        }
        assert nodes["one"]["causation"] == "none"
        assert nodes["two"]["dual-active-address"] == "192.0.2.2"
        assert nodes["one"]["system-id"] == state.leaf("system-id")
        assert (await one.edit(paired(1, "<priority>200</priority>"), "running")).ok
        changed = await event(devices, one, "dfs-role-changed", old_role="backup")
        assert changed.leaf("new-role") == "master"
        await devices[1].aclose()
        failed = await event(devices, one, "dfs-pairing-failed")
        # The hello that cannot be sent, and the one that does not come: whichever is noticed first.
        assert failed.leaf("causation") in ("peer-link-down", "timeout")

    async def test_an_interface_alone_reaches_the_engine(self, devices: tuple[Device, Device], pair: Pair) -> None:
        """The peer-link is configured in another module than the group."""
        one, two = pair
        for client, side in ((one, 1), (two, 2)):
            assert (await client.edit(paired(side).partition("<interfaces")[0], "running")).ok
        failed = await event(devices, one, "dfs-pairing-failed")
        assert failed.leaf("causation") == "no-peer-link"
        for client, side in ((one, 1), (two, 2)):
            assert (await client.edit("<interfaces" + paired(side).partition("<interfaces")[2], "running")).ok
        await event(devices, one, "dfs-pairing-resumed")


def beating(side: int, more: str = "") -> str:
    """A heartbeat between mirrored addresses that is lost after 3 s."""
    ends = f"<local-address>192.0.2.{side}</local-address><peer-address>192.0.2.{3 - side}</peer-address>"
    content = f"<dual-active-detection><ipv4>{ends}{more}<timeout>3</timeout></ipv4></dual-active-detection>"
    return f'<m-lag xmlns="{DML}"><dfs-groups><dfs-group><id>1</id>{content}</dfs-group></dfs-groups></m-lag>'


class TestHeartbeat:
    async def test_lost_and_resumed(self, devices: tuple[Device, Device], pair: Pair) -> None:
        one, two = pair
        assert (await one.edit(beating(1), "running")).ok
        assert (await two.edit(beating(2), "running")).ok
        found = await event(devices, one, "heartbeat-resumed")
        assert (found.leaf("local-address"), found.leaf("peer-address")) == ("192.0.2.1", "192.0.2.2")
        state = await one.get(group())
        assert state.leaf("heartbeat", "status") == "ok"
        ends = {
            end.findtext(f"{{{DML}}}side"): {etree.QName(leaf).localname: leaf.text for leaf in end}
            for end in state.root.iter(f"{{{DML}}}end")
        }
        assert ends["peer"]["dual-active-address"] == "192.0.2.2"
        assert ends["peer"]["udp-port"] == ends["local"]["udp-port"] == "1025"
        assert {ends["local"]["hb-role"], ends["peer"]["hb-role"]} == {"master", "backup"}
        cut = f'<set-fault xmlns="{SIM}"><link>heartbeat</link><fault>cut</fault></set-fault>'
        assert (await one.rpc(cut)).ok
        lost = await event(devices, one, "heartbeat-lost")
        assert lost.leaf("detail")

    async def test_a_busy_port(self, pair: Pair) -> None:
        one, _ = pair
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
            holder.bind(("0.0.0.0", 1999))
            refused = await one.edit(beating(1, "<udp-port>1999</udp-port>"), "running")
        assert (refused.error.tag, refused.error.app_tag) == ("operation-failed", "udp-port-in-use")
        assert refused.error.path == (
            "/dfs-m-lag:m-lag/dfs-groups/dfs-group[id='1']/dual-active-detection/ipv4/udp-port"
        )


IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
PORTS = "".join(
    f'<interface><name>{name}</name><type xmlns:t="urn:ietf:params:xml:ns:yang:iana-if-type">t:{kind}</type>'
    f'<m-lag xmlns="{DML}-interfaces">{part}</m-lag></interface>'
    for name, kind, part in (
        ("Eth-Trunk10", "ieee8023adLag", "<member><dfs-group-id>1</dfs-group-id><m-lag-id>10</m-lag-id></member>"),
        ("10GE1/0/1", "ethernetCsmacd", ""),
        ("10GE1/0/2", "ethernetCsmacd", "<unpaired-port>reserved</unpaired-port>"),
        ("Vlanif10", "l3ipvlan", ""),
    )
)


async def operational(client: Client) -> tuple[dict[str | None, str | None], set[str | None]]:
    """oper-status by name, and the interfaces that are error-down."""
    found = (await client.get(f'<interfaces xmlns="{IF}"/>')).root
    rows = list(found.iter(f"{{{IF}}}interface"))
    names = {row.findtext(f"{{{IF}}}name"): row.findtext(f"{{{IF}}}oper-status") for row in rows}
    down = {
        row.findtext(f"{{{IF}}}name")
        for row in rows
        if row.findtext(f"{{{DML}-interfaces}}m-lag/{{{DML}-interfaces}}error-down") == "true"
    }
    return names, down


class TestSplitBrain:
    """Everything configured over NETCONF: the Backup's ports go down and come back."""

    async def test_error_down_and_recovery(self, devices: tuple[Device, Device], pair: Pair) -> None:
        one, two = pair
        for client, side, priority in ((one, 1, 100), (two, 2, 150)):
            more = f"<priority>{priority}</priority><up-delay><delay>1</delay></up-delay>"
            whole = paired(side, more).replace("</interfaces>", f"{PORTS}</interfaces>")
            ends = f"<peer-address>192.0.2.{3 - side}</peer-address><timeout>3</timeout></ipv4><delay>100</delay>"
            reply = await client.edit(whole.replace("</ipv4>", ends), "running")
            assert reply.ok, reply.text
        await event(devices, one, "heartbeat-resumed")
        if (await one.get(group())).leaf("pair-state") != "paired":
            await event(devices, one, "dfs-pairing-resumed")
        cut = '<set-fault xmlns="{}"><link>peer-link</link><fault>{}</fault></set-fault>'
        assert (await one.rpc(cut.format(SIM, "cut"))).ok
        found = await event(devices, one, "dual-active-detected")
        assert found.leaf("error-down-side") == "local"
        down = await event(devices, one, "member-port-down")
        assert (down.leaf("m-lag-id"), down.leaf("if-name")) == ("10", "Eth-Trunk10")
        status, error_down = await operational(one)
        assert error_down == {"Eth-Trunk10", "10GE1/0/1"}
        assert {name for name, state in status.items() if state == "down"} == error_down
        assert status["Eth-Trunk0"] == status["10GE1/0/2"] == status["Vlanif10"] == "up"
        assert (await operational(two))[1] == set()
        state = await one.get(group())
        assert state.leaf("dual-active", "status") == "dual-active"
        assert state.leaf("dual-active", "error-down-ports") == "physical"
        assert (await one.rpc(cut.format(SIM, "none"))).ok
        await event(devices, one, "dfs-pairing-resumed")
        _, error_down = await operational(one)
        assert error_down <= {"Eth-Trunk10"}
        await devices[0].engine.wait_for(lambda s: all(member.up for member in s.members), 10)
        assert (await operational(one))[1] == set()

    async def test_a_port_of_the_simulator(self, devices: tuple[Device, Device], pair: Pair) -> None:
        one, _ = pair
        reply = await one.edit(paired(1).replace("</interfaces>", f"{PORTS}</interfaces>"), "running")
        assert reply.ok, reply.text
        for state in ("down", "up"):
            rpc = f'<set-port-state xmlns="{SIM}"><name>Eth-Trunk10</name><state>{state}</state></set-port-state>'
            assert (await one.rpc(rpc)).ok
            assert (await operational(one))[0]["Eth-Trunk10"] == state
            row = ("m-lags", "m-lag")
            wanted = "active" if state == "up" else "inactive"
            await devices[0].engine.wait_for(lambda s, up=state == "up": (s.members[0].role != "invalid") is up, 10)
            shown = await one.get(group())
            assert (shown.leaf(*row, "port-state"), shown.leaf(*row, "local-status")) == (state, wanted)
            assert shown.leaf(*row, "member-port-role") == ("master" if state == "up" else "invalid")
        down = await event(devices, one, "member-port-down")
        assert down.leaf("if-name") == "Eth-Trunk10"


class TestAlarms:
    async def test_authentication(self, devices: tuple[Device, Device], pair: Pair) -> None:
        one, two = pair
        await one.edit(group(channel("2001:db8:1::1", "2001:db8:1::2"), password="Secret-12"), "running")
        await two.edit(group(channel("2001:db8:1::2", "2001:db8:1::1"), password="Secret-13"), "running")
        alarm = await event(devices, one, "authentication-failed", link="peer-link")
        assert "Secret" not in alarm.text

    async def test_full_table(self, devices: tuple[Device, Device], pair: Pair) -> None:
        one, _ = pair
        learned = await one.rpc(
            f'<learn-entries xmlns="{SIM}"><start-address>10.0.0.1</start-address><count>9</count>'
            "<interface>Eth-Trunk1</interface><vlan>10</vlan></learn-entries>"
        )
        assert learned.leaf("refused") == "5"
        limit = await event(devices, one, "sync-entry-limit")
        assert (limit.leaf("type"), limit.leaf("capacity"), limit.leaf("dropped")) == ("arp", "4", "5")


NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
