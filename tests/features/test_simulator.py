"""The rpcs of mlag-simulator and the tables they fill, with all their errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from mlag_agent.app import Device
from mlag_agent.config import TableSettings
from netconf_client import DML, Client, Reply, channel, group

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]
SIM = "urn:mlag-agent:yang:mlag-simulator"


def operation(name: str, **leafs: object) -> str:
    """An rpc of the module; underscores in names are hyphens."""
    content = "".join(f"<{leaf.replace('_', '-')}>{value}</{leaf.replace('_', '-')}>" for leaf, value in leafs.items())
    return f'<{name} xmlns="{SIM}">{content}</{name}>'


LEARN = {"start_address": "10.1.1.1", "count": 10, "interface": "Eth-Trunk10", "vlan": 10}


async def learn(session: Client, **leafs: object) -> Reply:
    return await session.rpc(operation("learn-entries", **{**LEARN, **leafs}))


class TestLearn:
    async def test_learned(self, session: Client) -> None:
        reply = await learn(session)
        assert (reply.leaf("learned"), reply.leaf("refused")) == ("10", "0")
        assert [child.tag for child in reply.root] == [f"{{{SIM}}}learned", f"{{{SIM}}}refused"]

    async def test_full_table(self, start: Start, connect: Connect) -> None:
        session = await connect(await start(tables=TableSettings(arp=4, nd=4)))
        reply = await learn(session)
        assert (reply.leaf("learned"), reply.leaf("refused")) == ("4", "6")

    @pytest.mark.parametrize(
        ("leafs", "leaf"),
        [
            ({"start_address": "nonsense"}, "start-address"),
            ({"start_address": "10.1.1.1/24"}, "start-address"),
            ({"count": 0}, "count"),
            ({"count": 1000001}, "count"),
            ({"vlan": 0}, "vlan"),
            ({"vlan": 4095}, "vlan"),
            ({"interface": ""}, "interface"),
            ({"interface": "x" * 64}, "interface"),
            ({"kind": "other"}, "kind"),
            ({"start_mac": "02:00"}, "start-mac"),
        ],
    )
    async def test_wrong_values(self, session: Client, leafs: dict[str, object], leaf: str) -> None:
        error = (await learn(session, **leafs)).error
        assert (error.type, error.tag, error.path) == (
            "protocol", "invalid-value", f"/mlag-simulator:learn-entries/{leaf}",
        )  # fmt: skip
        assert error.namespaces["mlag-simulator"] == SIM
        assert error.message.startswith(f'{leaf} "')

    async def test_every_error_in_one_reply(self, session: Client) -> None:
        reply = await session.rpc(operation("learn-entries", start_address="x", count=0, colour="red"))
        assert {"invalid-value", "unknown-element"} <= {error.tag for error in reply.errors}
        assert [error.tag for error in reply.errors].count("invalid-value") == 2

    async def test_missing_parameters(self, session: Client) -> None:
        reply = await session.rpc(operation("learn-entries"))
        assert {(error.tag, error.info["bad-element"]) for error in reply.errors} == {
            ("missing-element", "start-address"), ("missing-element", "interface"), ("missing-element", "vlan"),
        }  # fmt: skip

    async def test_a_range_that_leaves_the_address_space(self, session: Client) -> None:
        error = (await learn(session, start_address="255.255.255.255")).error
        assert error.tag == "invalid-value"

    async def test_parameter_given_twice(self, session: Client) -> None:
        reply = await session.rpc(operation("learn-entries", **LEARN).replace("<vlan>", "<vlan>11</vlan><vlan>", 1))
        assert reply.error.tag == "bad-element"


class TestAgeAndFlush:
    async def test_age(self, session: Client) -> None:
        await learn(session)
        assert (await session.rpc(operation("age-entries", start_address="10.1.1.1", count=3))).leaf("removed") == "3"
        assert (await session.rpc(operation("age-entries", type="nd"))).leaf("removed") == "0"
        assert (await session.rpc(operation("age-entries"))).leaf("removed") == "7"

    async def test_flush(self, session: Client) -> None:
        await learn(session)
        await learn(session, start_address="10.2.1.1", vlan=20)
        assert (await session.rpc(operation("flush-entries", vlan=20))).leaf("removed") == "10"
        assert (await session.rpc(operation("flush-entries", interface="other"))).leaf("removed") == "0"

    @pytest.mark.parametrize("name", ["age-entries", "flush-entries", "list-entries"])
    async def test_count_needs_an_address(self, session: Client, name: str) -> None:
        error = (await session.rpc(operation(name, count=3))).error
        assert (error.app_tag, error.path) == ("start-address-missing", f"/mlag-simulator:{name}/count")

    @pytest.mark.parametrize("name", ["age-entries", "flush-entries", "list-entries"])
    async def test_type_and_address_disagree(self, session: Client, name: str) -> None:
        error = (await session.rpc(operation(name, type="nd", start_address="10.1.1.1"))).error
        assert error.tag == "invalid-value"


class TestList:
    async def test_pages(self, session: Client) -> None:
        await learn(session)
        page = await session.rpc(operation("list-entries", offset=8, limit=5))
        assert page.leaf("total") == "10"
        assert page.leafs("address") == ["10.1.1.9", "10.1.1.10"]
        assert set(page.leafs("kind")) == {"dynamic"}
        assert set(page.leafs("origin")) == {"local"}
        assert page.leafs("mac") == ["02:00:00:00:00:09", "02:00:00:00:00:0a"]

    async def test_empty(self, session: Client) -> None:
        page = await session.rpc(operation("list-entries"))
        assert (page.leaf("total"), page.leafs("entry")) == ("0", [])

    async def test_limits(self, session: Client) -> None:
        for leafs in ({"limit": 0}, {"limit": 10001}, {"offset": -1}):
            assert (await session.rpc(operation("list-entries", **leafs))).error.tag == "invalid-value"


class TestFaults:
    async def test_set_and_shown(self, session: Client) -> None:
        assert (await session.rpc(operation("set-fault", link="peer-link", fault="cut"))).ok
        found = await session.get(f'<simulator xmlns="{SIM}"/>')
        assert (found.leaf("peer-link-fault"), found.leaf("channel-fault")) == ("cut", "none")
        assert (await session.rpc(operation("set-fault", link="peer-link", fault="delay", delay=20))).ok
        assert (await session.rpc(operation("set-fault", link="peer-link", fault="none"))).ok

    async def test_delay_belongs_to_delay(self, session: Client) -> None:
        error = (await session.rpc(operation("set-fault", link="channel", fault="cut", delay=20))).error
        assert error.path == "/mlag-simulator:set-fault/delay"

    async def test_missing(self, session: Client) -> None:
        reply = await session.rpc(operation("set-fault"))
        assert {error.info["bad-element"] for error in reply.errors} == {"link", "fault"}


class TestPair:
    async def test_entries_arrive_at_the_peer(self, start: Start, connect: Connect) -> None:
        """The promise in one: configure both, learn on one, read on the other; get shows the live state."""
        first, second = await start("one"), await start("two")
        one, two = await connect(first), await connect(second)
        mine, theirs = "2001:db8:1::1", "2001:db8:1::2"
        assert (await one.edit(group(channel(mine, theirs), password="secret-12"), "running")).ok
        assert (await two.edit(group(channel(theirs, mine), password="secret-12"), "running")).ok
        await first.engine.wait_for(lambda state: state.channel.up, 30)
        await second.engine.wait_for(lambda state: state.channel.up, 30)
        await learn(one, count=50)
        await second.engine.wait_for(lambda state: state.tables[0].from_peer == 50, 30)
        state = await two.get(f'<m-lag xmlns="{DML}"/><simulator xmlns="{SIM}"/>')
        assert state.leaf("sync-channel", "oper-status") == "up"
        assert state.leaf("peer", "device") == "one"
        assert state.leaf("table", "from-peer") == "50"
        page = await two.rpc(operation("list-entries", limit=1))
        assert (page.leaf("total"), page.leaf("origin")) == ("50", "peer")
        await one.edit(group("<ipv6><tcp-port>3000</tcp-port></ipv6>"), "running")
        for device, session in ((first, one), (second, two)):
            await device.engine.wait_for(lambda state: state.channel.down_reason == "port-mismatch", 30)
            found = await session.get(f'<m-lag xmlns="{DML}"/>')
            assert found.leaf("sync-channel", "down-reason") == "port-mismatch"
