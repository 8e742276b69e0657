"""State of member interfaces and unpaired ports over NETCONF, of two devices that are configured over NETCONF."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from lxml import etree

from mlag_agent.app import Device
from mlag_agent.mlag.state import EngineState
from netconf_client import DML, Client, Reply, group

Start = Callable[..., Awaitable[Device]]
Connect = Callable[..., Awaitable[Client]]
Devices = tuple[Device, Device]
Clients = tuple[Client, Client]

SIM = "urn:mlag-agent:yang:mlag-simulator"
CUT = f'<set-fault xmlns="{SIM}"><link>peer-link</link><fault>cut</fault></set-fault>'
LIMIT = 10.0


def interface(name: str, kind: str, m_lag: str) -> str:
    return (
        f'<interface><name>{name}</name><type xmlns:t="urn:ietf:params:xml:ns:yang:iana-if-type">t:{kind}</type>'
        f'<m-lag xmlns="{DML}-interfaces">{m_lag}</m-lag></interface>'
    )


def member(number: int, more: str = "") -> str:
    content = f"<member><dfs-group-id>1</dfs-group-id><m-lag-id>{number}</m-lag-id>{more}</member>"
    return interface(f"Eth-Trunk{number}", "ieee8023adLag", content)


def configuration(side: int, settings: str = "", *interfaces: str) -> str:
    """Device 1 is the Master."""
    ends = f"<local-address>192.0.2.{side}</local-address><peer-address>192.0.2.{3 - side}</peer-address>"
    detection = f"<dual-active-detection><ipv4>{ends}</ipv4><delay>0</delay></dual-active-detection>"
    content = f"<id>1</id><priority>{200 - side}</priority>{settings}{detection}"
    ports = "".join((interface("Eth-Trunk0", "ieee8023adLag", "<peer-link/>"), *interfaces))
    return (
        f'<m-lag xmlns="{DML}"><dfs-groups><dfs-group>{content}</dfs-group></dfs-groups></m-lag>'
        f'<interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces">{ports}</interfaces>'
    )


@pytest.fixture
async def devices(start: Start) -> Devices:
    return await start("one"), await start("two")


@pytest.fixture
async def clients(devices: Devices, connect: Connect) -> Clients:
    return await connect(devices[0]), await connect(devices[1])


async def configure(devices: Devices, clients: Clients, settings: str, *interfaces: str) -> None:
    """Both alike, until they are a pair and each knows the other's interfaces and heartbeat."""
    for side, client in enumerate(clients, 1):
        reply = await client.edit(configuration(side, settings, *interfaces), "running")
        assert reply.ok, reply.text
    for device in devices:
        await device.engine.wait_for(_ready, LIMIT)


def _ready(state: EngineState) -> bool:
    heard = state.heartbeat is not None and state.heartbeat.ok
    return heard and bool(state.members) and all(row.peer_up for row in state.members)


async def rows(client: Client, path: str) -> list[dict[str, str | None]]:
    """Instances of a list below state, each with its leafs, those of containers in it with the container's name."""
    root = (await client.get(group())).root
    found = []
    for row in root.iterfind(".//" + "/".join(f"{{{DML}}}{name}" for name in f"state/{path}".split("/"))):
        leafs = {}
        for child in row:
            name = etree.QName(child).localname
            leafs.update({f"{name}/{etree.QName(leaf).localname}": leaf.text for leaf in child})
            leafs[name] = child.text
        found.append(leafs)
    return found


class TestLacp:
    @pytest.mark.parametrize(("delay", "switches"), [("immediately", True), ("3600", False), ("0", False)])
    async def test_switch_delay(self, devices: Devices, clients: Clients, delay: str, switches: bool) -> None:
        await configure(devices, clients, f"<lacp-switch-delay>{delay}</lacp-switch-delay>", member(10))
        (ours, _), (theirs, _) = [await rows(client, "m-lags/m-lag") for client in clients]
        assert "lacp/remote-system-id" not in ours
        assert theirs["lacp/remote-system-id"] == ours["lacp/local-system-id"] != theirs["lacp/local-system-id"]
        assert theirs["lacp/remote-priority"] == ours["lacp/local-priority"] == "32768"
        assert "lacp/switch-countdown" not in theirs
        assert (await clients[0].rpc(CUT)).ok
        await devices[1].engine.wait_for(lambda s: s.pairing is not None and not s.pairing.paired, LIMIT)
        theirs, *_ = await rows(clients[1], "m-lags/m-lag")
        assert ("lacp/remote-system-id" not in theirs) is switches
        assert ("lacp/switch-countdown" in theirs) is (delay == "3600")
        assert (theirs["lacp/sent-remote"], theirs["lacp/received-remote"]) == ("1", "1")


class TestUnpaired:
    async def test_what_is_error_down(self, devices: Devices, clients: Clients) -> None:
        ports = [
            interface(f"10GE1/0/{number}", "ethernetCsmacd", f"<unpaired-port>{kind}</unpaired-port>")
            for number, kind in ((1, "suspend"), (2, "reserved"))
        ]
        await configure(devices, clients, "", member(10), *ports)
        await self.shows(clients[1], {"10GE1/0/1": ("suspend", "false"), "10GE1/0/2": ("reserved", "false")})
        assert (await clients[0].rpc(CUT)).ok
        await devices[1].engine.wait_for(lambda s: any(port.error_down for port in s.unpaired), LIMIT)
        await self.shows(clients[1], {"10GE1/0/1": ("suspend", "true"), "10GE1/0/2": ("reserved", "false")})

    async def shows(self, client: Client, wanted: dict[str, tuple[str, str]]) -> None:
        found = await rows(client, "unpaired-port")
        assert {row["if-name"]: (row["kind"], row["error-down"]) for row in found} == wanted


class TestElection:
    STANDBY = member(20, "<active-standby/>")
    ARP = "<active-standby-election>arp</active-standby-election>"

    async def packet(self, client: Client, number: int, kind: str) -> Reply:
        leafs = f"<m-lag-id>{number}</m-lag-id><packet-type>{kind}</packet-type>"
        return await client.rpc(f'<receive-election-packet xmlns="{SIM}">{leafs}</receive-election-packet>')

    async def test_the_side_of_the_packet_is_master(self, devices: Devices, clients: Clients) -> None:
        await configure(devices, clients, self.ARP, self.STANDBY, member(10))
        assert (await self.packet(clients[1], 20, "arp")).leaf("outcome") == "master"
        await devices[0].engine.wait_for(lambda s: any(row.peer_role == "master" for row in s.members), LIMIT)
        found = {(row["node-id"], row["id"]): row for row in await rows(clients[0], "m-lags/m-lag")}
        shown = {
            key: (row["mode"], row["member-port-role"], row["local-status"], row["peer-status"])
            for key, row in found.items()
        }
        assert shown["1", "20"] == ("active-standby", "backup", "inactive", "active")
        assert shown["2", "20"] == ("active-standby", "master", "active", "inactive")
        assert shown["1", "10"][0] == "dual-active"
        assert shown["1", "10"][2:] == ("active", "active")

    async def test_packets_without_effect(self, devices: Devices, clients: Clients) -> None:
        await configure(devices, clients, self.ARP, self.STANDBY, member(10))
        assert (await self.packet(clients[0], 20, "dhcp")).leaf("outcome") == "type-not-configured"
        assert (await self.packet(clients[0], 10, "arp")).leaf("outcome") == "dual-active"
        refused = (await self.packet(clients[0], 30, "arp")).error
        assert (refused.tag, refused.message) == ("invalid-value", "no interface of this device is in M-LAG 30")
        assert (await self.packet(clients[0], 2049, "arp")).error.path == (
            "/mlag-simulator:receive-election-packet/m-lag-id"
        )

    async def test_other_packets_on_the_peer(self, devices: Devices, clients: Clients) -> None:
        await configure(devices, clients, self.ARP, self.STANDBY)
        place = ("active-standby-election", "consistent")
        assert (await clients[0].get(group())).leaf(*place) == "true"
        assert (await clients[1].edit(configuration(2, self.ARP.replace("arp", "mld")), "running")).ok
        await devices[0].engine.wait_for(lambda s: s.election is not None and len(s.election.peer or ()) == 2, LIMIT)
        state = await clients[0].get(group())
        assert state.leaf(*place) == "false"
        root = state.root.find(f".//{{{DML}}}state/{{{DML}}}active-standby-election")
        assert root is not None
        assert [leaf.text for leaf in root.iter(f"{{{DML}}}peer-type")] == ["arp", "mld"]

    async def test_without_types_there_is_no_state(self, devices: Devices, clients: Clients) -> None:
        await configure(devices, clients, "", member(10))
        state = (await clients[0].get(group())).root
        assert state.find(f".//{{{DML}}}state/{{{DML}}}active-standby-election") is None
