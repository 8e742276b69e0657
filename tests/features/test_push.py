"""RFC 8641 over real sockets: periodic and on-change subscriptions to datastores."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from urllib.parse import unquote

import pytest
from lxml import etree

from fake_timers import FakeClock
from mlag_agent.app import Device
from mlag_agent.config import NotificationSettings
from netconf_client import DML, LIMIT, Client, Notification, Reply, channel, group

Start = Callable[..., Awaitable[Device]]
Connect = Callable[..., Awaitable[Client]]

SN = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
YP = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
DS = "urn:ietf:params:xml:ns:yang:ietf-datastores"
NI = "urn:ietf:params:xml:ns:yang:ietf-network-instance"
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
M_LAG = f'<datastore-subtree-filter xmlns="{YP}"><m-lag xmlns="{DML}"/></datastore-subtree-filter>'
INSTANCES = f'<datastore-subtree-filter xmlns="{YP}"><network-instances xmlns="{NI}"/></datastore-subtree-filter>'


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def device(start: Start, time: FakeClock) -> Device:
    return await start(clock=time.clock)


def wanted(trigger: str, *, filter_: str = M_LAG, datastore: str = "running") -> str:
    return f'<datastore xmlns="{YP}" xmlns:ds="{DS}">ds:{datastore}</datastore>{filter_}{trigger}'


def on_change(content: str = "") -> str:
    return f'<on-change xmlns="{YP}">{content}</on-change>'


def periodic(period: int, content: str = "") -> str:
    return f'<periodic xmlns="{YP}"><period>{period}</period>{content}</periodic>'


async def ask(client: Client, parameters: str) -> Reply:
    return await client.rpc(f'<establish-subscription xmlns="{SN}">{parameters}</establish-subscription>')


async def establish(client: Client, parameters: str) -> int:
    reply = await ask(client, parameters)
    assert not reply.errors, reply.text
    return int(reply.root.findtext(f"{{{SN}}}id") or 0)


async def update(client: Client) -> Notification:
    """The next push-update."""
    event = await client.notification()
    assert event.event.tag == f"{{{YP}}}push-update", event.text
    return event


async def patch(client: Client) -> Notification:
    """The next push-change-update."""
    event = await client.notification()
    assert event.event.tag == f"{{{YP}}}push-change-update", event.text
    return event


def edits(event: Notification) -> list[tuple[str, str]]:
    """Operation and target of each edit."""
    rows = event.event.iter(f"{{{YP}}}edit")
    return [(row.findtext(f"{{{YP}}}operation") or "", row.findtext(f"{{{YP}}}target") or "") for row in rows]


def value(event: Notification, at: int = 0) -> etree._Element:
    found = list(event.event.iter(f"{{{YP}}}value"))[at]
    (content,) = found
    return content


def vpn(*names: str, operation: str = "merge") -> str:
    rows = "".join(
        f'<network-instance nc:operation="{operation}"><name>{name}</name></network-instance>' for name in names
    )
    return f'<network-instances xmlns="{NI}" xmlns:nc="{NC}">{rows}</network-instances>'


def names(event: Notification) -> list[str]:
    return [str(row.text) for row in event.event.iter(f"{{{NI}}}name")]


async def nothing_more(client: Client) -> None:
    await client.get_config()
    assert not client.events


class TestPeriodic:
    async def test_at_once_and_then_in_turn(self, device: Device, session: Client, time: FakeClock) -> None:
        await session.edit(group(channel(port=2000)), "running")
        number = await establish(session, wanted(periodic(500)))
        first = await update(session)
        assert first.leaf("id") == str(number)
        assert first.leaf("datastore-contents", "m-lag", "dfs-groups", "dfs-group", "id") == "1"
        assert first.leaf("tcp-port") == "2000"
        await session.edit(group(channel(port=2001)), "running")
        await nothing_more(session)
        time.advance(5)
        assert (await update(session)).leaf("tcp-port") == "2001"
        time.advance(4.9)
        await nothing_more(session)
        time.advance(0.1)
        second = await update(session)
        assert second.time == time.time

    async def test_anchor_time(self, device: Device, session: Client, time: FakeClock) -> None:
        """Noon and the clock stands there; the anchor is 20 seconds off, the period a minute."""
        time.advance(1)
        anchor = "<anchor-time>2026-03-01T13:30:20Z</anchor-time>"
        await establish(session, wanted(periodic(6000, anchor)))
        await nothing_more(session)
        time.advance(19)
        assert (await update(session)).time.isoformat() == "2026-03-01T12:00:20+00:00"
        time.advance(60)
        assert (await update(session)).time.isoformat() == "2026-03-01T12:01:20+00:00"

    async def test_operational_state(self, device: Device, session: Client, time: FakeClock) -> None:
        await session.edit(group(channel()), "running")
        await establish(session, wanted(periodic(100), datastore="operational"))
        assert (await update(session)).leaf("sync-channel", "oper-status") == "down"

    async def test_nothing_selected(self, device: Device, session: Client) -> None:
        await establish(session, wanted(periodic(100)))
        contents = (await update(session)).event.find(f"{{{YP}}}datastore-contents")
        assert contents is not None
        assert len(contents) == 0

    async def test_stop_time(self, device: Device, session: Client, time: FakeClock) -> None:
        await establish(session, wanted(periodic(1000)) + "<stop-time>2026-03-01T12:00:15Z</stop-time>")
        await update(session)
        time.advance(10)
        await update(session)
        time.advance(60)
        await nothing_more(session)
        assert all(alarm.due < time.time + timedelta(seconds=1) for alarm in time.alarms)  # the log's own

    async def test_modified(self, device: Device, session: Client, time: FakeClock) -> None:
        number = await establish(session, wanted(periodic(1000)))
        await update(session)
        await session.rpc(
            f'<modify-subscription xmlns="{SN}"><id>{number}</id>{wanted(periodic(200))}</modify-subscription>'
        )
        await update(session)
        time.advance(2)
        await update(session)


class TestOnChange:
    async def test_whole_and_then_changes(self, device: Device, session: Client) -> None:
        await session.edit(group(channel(port=2000)), "running")
        number = await establish(session, wanted(on_change()))
        assert (await update(session)).leaf("tcp-port") == "2000"
        await session.edit(group(channel(port=2001)), "running")
        changed = await patch(session)
        assert changed.leaf("id") == str(number)
        target = "/dfs-m-lag:m-lag/dfs-groups/dfs-group=1/peer-link-source/ipv6/tcp-port"
        assert edits(changed) == [("replace", target)]
        assert (value(changed).tag, value(changed).text) == (f"{{{DML}}}tcp-port", "2001")
        await session.edit(f'<m-lag xmlns="{DML}" xmlns:nc="{NC}" nc:operation="delete"/>', "running")
        assert edits(await patch(session)) == [("delete", "/dfs-m-lag:m-lag")]

    async def test_by_commit_too(self, device: Device, session: Client) -> None:
        await establish(session, wanted(on_change()))
        await update(session)
        await session.edit(group(channel(port=2000)))
        await nothing_more(session)
        await session.commit()
        assert edits(await patch(session)) == [("create", "/dfs-m-lag:m-lag")]

    async def test_without_synchronisation(self, device: Device, session: Client) -> None:
        await session.edit(vpn("a"), "running")
        number = await establish(session, wanted(on_change("<sync-on-start>false</sync-on-start>"), filter_=INSTANCES))
        await nothing_more(session)
        await session.edit(vpn("b/c d"), "running")
        (one,) = edits(await patch(session))
        instance = "/ietf-network-instance:network-instances/network-instance="
        assert (one[0], unquote(one[1])) == ("create", f"{instance}b/c d")
        assert one[1] == f"{instance}b%2Fc%20d"
        reply = await session.rpc(f'<resync-subscription xmlns="{YP}"><id>{number}</id></resync-subscription>')
        assert reply.error.app_tag == "ietf-yang-push:on-change-sync-unsupported"

    async def test_what_is_not_selected_is_silent(self, device: Device, session: Client) -> None:
        await establish(session, wanted(on_change()))
        await update(session)
        await session.edit(vpn("a"), "running")
        await nothing_more(session)

    async def test_xpath(self, device: Device, session: Client) -> None:
        select = f'<datastore-xpath-filter xmlns="{YP}" xmlns:d="{DML}">//d:tcp-port</datastore-xpath-filter>'
        await session.edit(group(channel(port=2000)), "running")
        await establish(session, wanted(on_change(), filter_=select))
        assert (await update(session)).leaf("tcp-port") == "2000"
        await session.edit(group(channel("2001:db8:1::9", port=2000)), "running")
        await nothing_more(session)
        await session.edit(group(channel(port=2001)), "running")
        assert [operation for operation, _ in edits(await patch(session))] == ["replace"]

    async def test_named_filter(self, device: Device, session: Client) -> None:
        filters = (
            f'<filters xmlns="{SN}"><selection-filter xmlns="{YP}"><filter-id>f</filter-id>{INSTANCES}'
            "</selection-filter></filters>"
        )
        assert (await session.edit(filters, "running")).ok
        named = f'<selection-filter-ref xmlns="{YP}">f</selection-filter-ref>'
        await establish(session, wanted(on_change(), filter_=named))
        await update(session)
        await session.edit(vpn("a"), "running")
        assert len(edits(await patch(session))) == 1

    async def test_dampening(self, device: Device, session: Client, time: FakeClock) -> None:
        """Whatever happens within the period is one update, with the values at its end."""
        await session.edit(vpn("a"), "running")
        damp = "<dampening-period>1000</dampening-period>"
        await establish(session, wanted(on_change(damp), filter_=INSTANCES))
        assert names(await update(session)) == ["a"]
        for name in ("b", "c"):
            await session.edit(vpn(name), "running")
        await session.edit(vpn("b", operation="delete"), "running")
        await nothing_more(session)
        time.advance(10)
        changed = await patch(session)
        assert [(operation, target.rpartition("=")[2]) for operation, target in edits(changed)] == [("create", "c")]
        await session.edit(vpn("d"), "running")
        await session.edit(vpn("d", operation="delete"), "running")
        time.advance(10)
        await nothing_more(session)

    async def test_excluded_changes(self, device: Device, session: Client) -> None:
        excluded = "<excluded-change>create</excluded-change><excluded-change>replace</excluded-change>"
        await establish(session, wanted(on_change(excluded), filter_=INSTANCES))
        await update(session)
        await session.edit(vpn("a", "b"), "running")
        await nothing_more(session)
        await session.edit(vpn("a", operation="delete"), "running")
        assert [operation for operation, _ in edits(await patch(session))] == ["delete"]

    async def test_resync(self, device: Device, session: Client, connect: Connect) -> None:
        number = await establish(session, wanted(on_change(), filter_=INSTANCES))
        await update(session)
        await session.edit(vpn("a"), "running")
        await patch(session)
        resync = f'<resync-subscription xmlns="{YP}"><id>{number}</id></resync-subscription>'
        assert (await session.rpc(resync)).ok
        assert names(await update(session)) == ["a"]
        other = await connect(device)
        reply = await other.rpc(resync)
        assert (reply.error.tag, reply.error.app_tag) == (
            "invalid-value",
            "ietf-yang-push:no-such-subscription-resync",
        )
        assert reply.leaf("resync-subscription-error", "reason") == "no-such-subscription-resync"

    async def test_very_many_changes_are_a_whole_update(self, device: Device, session: Client) -> None:
        await establish(session, wanted(on_change(), filter_=INSTANCES))
        await update(session)
        await session.edit(vpn("x"), "running")
        await patch(session)
        await session.edit(vpn(*(f"v{n}" for n in range(1200))), "running")
        assert len(names(await update(session))) == 1201

    async def test_patches_make_the_datastore(self, device: Device, session: Client) -> None:
        """A client that applies the patches has what the server has, whatever the edits."""
        await establish(session, wanted(on_change(), filter_=INSTANCES))
        mine = set(names(await update(session)))
        steps: Iterable[str] = (
            vpn("a", "b", "c"),
            vpn("b", operation="delete"),
            vpn("b", "d"),
            vpn("a", "c", operation="delete"),
        )
        for step in steps:
            assert (await session.edit(step, "running")).ok
            for operation, target in edits(changed := await patch(session)):
                if target.endswith("network-instances"):
                    mine = set(names(changed)) if operation == "create" else set()
                elif operation == "delete":
                    mine.remove(target.rpartition("=")[2])
                else:
                    mine.add(target.rpartition("=")[2])
            running = await session.get_config("running", f'<network-instances xmlns="{NI}"/>')
            assert mine == set(running.leafs("name"))


class TestOperational:
    """On change: configuration, the engine's state by its events, what is put in from outside; never counters."""

    async def test_state_of_the_engine(self, start: Start, connect: Connect) -> None:
        one, two = await start("one"), await start("two")
        first, second = await connect(one), await connect(two)
        await first.edit(group(channel("2001:db8:1::1", "2001:db8:1::2")), "running")
        await establish(first, wanted(on_change(), datastore="operational"))
        whole = await update(first)
        assert whole.leaf("sync-channel", "oper-status") == "down"
        assert whole.leaf("peer-link", "oper-status") is not None
        assert whole.leaf("hellos-sent") is None
        assert whole.leaf("entry-statistics", "sent") is None
        await second.edit(group(channel("2001:db8:1::2", "2001:db8:1::1")), "running")
        target = "/dfs-m-lag:m-lag/dfs-groups/dfs-group=1/state/sync-channel/oper-status"
        seen: set[tuple[str, str]] = set()
        while ("replace", target) not in seen:
            seen |= set(edits(await patch(first)))
        assert not any("hellos" in where for _, where in seen)

    async def test_configuration(self, device: Device, session: Client) -> None:
        await establish(session, wanted(on_change(), datastore="operational", filter_=INSTANCES))
        await update(session)
        await session.edit(vpn("a"), "running")
        assert len(edits(await patch(session))) == 1

    async def test_what_is_put_in_from_outside(self, device: Device, session: Client) -> None:
        await establish(session, wanted(on_change(), datastore="operational", filter_=INSTANCES))
        await update(session)
        device.foreign.operational(
            f'<network-instances xmlns="{NI}"><network-instance><name>x</name></network-instance></network-instances>'
        )
        assert names(await patch(session)) == ["x"]


class TestRefused:
    @pytest.mark.parametrize(
        ("parameters", "tag", "identity"),
        [
            (wanted(on_change(), datastore="candidate"), "invalid-value", "datastore-not-subscribable"),
            (wanted(periodic(1)), "invalid-value", "period-unsupported"),
            (
                wanted(
                    on_change(),
                    datastore="operational",
                    filter_=f'<datastore-subtree-filter xmlns="{YP}"><netconf-state xmlns="{MONITORING}"/>'
                    "</datastore-subtree-filter>",
                ),
                "operation-not-supported",
                "on-change-unsupported",
            ),
        ],
    )
    async def test_identities(self, session: Client, parameters: str, tag: str, identity: str) -> None:
        reply = await ask(session, parameters)
        assert (reply.error.tag, reply.error.app_tag) == (tag, f"ietf-yang-push:{identity}")
        assert reply.leaf("establish-subscription-datastore-error-info", "reason") == identity

    async def test_hint_of_a_period(self, session: Client) -> None:
        reply = await ask(session, wanted(periodic(1)))
        assert reply.leaf("establish-subscription-datastore-error-info", "period-hint") == "10"

    async def test_filter_that_gives_no_nodes(self, session: Client) -> None:
        """An identity of another module than the structure's carries its prefix."""
        select = f'<datastore-xpath-filter xmlns="{YP}">1 + 1</datastore-xpath-filter>'
        reply = await ask(session, wanted(on_change(), filter_=select))
        assert reply.error.app_tag == "ietf-subscribed-notifications:filter-unsupported"
        reason = next(reply.root.iter(f"{{{YP}}}reason"))
        prefix, _, name = (reason.text or "").partition(":")
        assert (reason.nsmap[prefix], name) == (SN, "filter-unsupported")

    @pytest.mark.parametrize("trigger", ["", periodic(100) + on_change()])
    async def test_neither_or_both_triggers(self, session: Client, trigger: str) -> None:
        assert (await ask(session, wanted(trigger))).errors[0].tag in ("invalid-value", "bad-element")


class TestState:
    async def test_subscription(self, device: Device, session: Client, time: FakeClock) -> None:
        await establish(session, wanted(periodic(500)))
        await update(session)
        found = await session.get(f'<subscriptions xmlns="{SN}"/>')
        assert found.leaf("subscription", "datastore") == "ietf-datastores:running"
        assert found.leaf("subscription", "periodic", "period") == "500"
        assert found.leaf("receiver", "sent-event-records") == "1"

    async def test_nothing_is_left_when_the_session_ends(
        self, device: Device, session: Client, connect: Connect, time: FakeClock
    ) -> None:
        before = len(device.agent.transactor.published)
        other = await connect(device)
        await establish(other, wanted(periodic(500)))
        await establish(other, wanted(on_change()))
        (server,) = (one for one in device.registry if one.session_id == other.session_id)
        other.abort()
        await asyncio.wait_for(server.wait_over(), LIMIT)
        assert all(alarm.due < time.time + timedelta(seconds=1) for alarm in time.alarms)  # the log's own
        # The registry of subscriptions itself listens from the first one on.
        assert len(device.agent.transactor.published) == before + 1


class TestSlowReader:
    async def test_catches_up_with_one_update(self, start: Start, connect: Connect, time: FakeClock) -> None:
        """What could not be sent is one difference in the end; commits go on meanwhile."""
        bounds = NotificationSettings(queue_length=2, queue_bytes=1024)
        device = await start("other", clock=time.clock, notifications=bounds)
        reader, writer = await connect(device), await connect(device)
        await establish(reader, wanted(on_change(), filter_=INSTANCES))
        mine = set(names(await update(reader)))
        reader.process.channel.pause_reading()
        long = "x" * 200
        for n in range(300):
            assert (await writer.edit(vpn(f"{long}{n}"), "running")).ok
        reader.process.channel.resume_reading()
        while len(mine) < 300:
            changed = await reader.notification()
            mine |= set(names(changed))
        assert len(mine) == 300
