"""RFC 6470 over real sockets: what happens to the server, told when it is in force, and valid by its module."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from lxml import etree

from fake_timers import FakeTimers
from mlag_agent.app import Device
from mlag_agent.config import LimitSettings, NotificationSettings
from mlag_agent.data.diff import Change, ChangeKind
from mlag_agent.data.tree import LeafList
from mlag_agent.features.netconf_events import MAX_EDITS, edits
from mlag_agent.notify.notification import Notification as Event
from mlag_agent.notify.notifier import NETCONF_STREAM
from mlag_agent.schema.engine import Contents
from mlag_agent.schema.nodes import Kind, Module, SchemaNode
from netconf_client import DML, LIMIT, NC, Client, Notification, channel, group

Start = Callable[..., Awaitable[Device]]
Connect = Callable[..., Awaitable[Client]]

NCN = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
GROUP = "/dfs-m-lag:m-lag/dfs-groups/dfs-group[id='1']"


@pytest.fixture
async def watcher(device: Device, session: Client, connect: Connect) -> Client:
    """A subscriber to these notifications that is there after ``session``."""
    return await subscriber(device, connect)


async def subscriber(device: Device, connect: Connect) -> Client:
    client = await connect(device)
    names = ("config-change", "session-start", "session-end", "confirmed-commit", "capability-change")
    wanted = "".join(f'<netconf-{name} xmlns="{NCN}"/>' for name in names)
    assert (await client.subscribe(f'<filter type="subtree">{wanted}</filter>')).ok
    return client


def valid(device: Device, event: Notification) -> Notification:
    """The event, after libyang has checked it against its module."""
    document = etree.tostring(event.event, encoding="unicode")
    device.agent.library.operations.validate(document, Contents.OPERATION, lambda path, message="": None, dangling=True)
    return event


def edits_of(event: Notification) -> list[tuple[str | None, str | None]]:
    """Target, with module names as its prefixes wherever the module changes, and operation."""
    found = []
    for row in event.event.iter(f"{{{NCN}}}edit"):
        target = row.find(f"{{{NCN}}}target")
        if target is not None:
            assert all(uri for uri in target.nsmap.values())
        text = None if target is None else (target.text or "").replace("/dfs-m-lag:", "/").replace("[dfs-m-lag:", "[")
        found.append((None if text is None else "/dfs-m-lag:" + text[1:], row.findtext(f"{{{NCN}}}operation")))
    return found


class TestConfigChange:
    async def test_running_by_edit(self, device: Device, session: Client, watcher: Client) -> None:
        assert (await session.edit(group(channel()), "running")).ok
        event = valid(device, await watcher.notification())
        assert event.event.tag == f"{{{NCN}}}netconf-config-change"
        assert event.leaf("changed-by", "username") == "anna"
        assert event.leaf("changed-by", "session-id") == str(session.session_id)
        assert event.leaf("changed-by", "source-host") == "127.0.0.1"
        assert event.leaf("changed-by", "server") is None
        assert event.leaf("datastore") == "running"
        assert edits_of(event) == [("/dfs-m-lag:m-lag", "create")]

    async def test_running_by_commit(self, device: Device, session: Client, watcher: Client) -> None:
        """Each kind of edit; every name of a target has its prefix (RFC 7950 section 9.13)."""
        await session.edit(group(channel()), "running")
        await watcher.notification()
        await session.edit(
            f'<m-lag xmlns="{DML}" xmlns:nc="{NC}"><global><arp-backup-rate>100</arp-backup-rate></global><dfs-groups>'
            "<dfs-group><id>1</id><peer-link-source><ipv6><tcp-port>2049</tcp-port></ipv6>"
            "</peer-link-source></dfs-group></dfs-groups></m-lag>"
        )
        await session.commit()
        event = valid(device, await watcher.notification())
        assert edits_of(event) == [
            ("/dfs-m-lag:m-lag/global", "create"),
            (f"{GROUP}/peer-link-source/ipv6/tcp-port", "replace"),
        ]
        assert "/dml" not in event.text
        target = event.leaf("target")
        assert target == "/dfs-m-lag:m-lag/dfs-m-lag:global"
        await session.edit(f'<m-lag xmlns="{DML}" xmlns:nc="{NC}"><global nc:operation="delete"/></m-lag>', "running")
        assert edits_of(await watcher.notification()) == [("/dfs-m-lag:m-lag/global", "delete")]

    async def test_in_force_when_it_is_told(self, device: Device, session: Client) -> None:
        seen: list[str | None] = []

        def look(event: Event, number: int) -> None:
            running = device.agent.stores.running.named("m-lag")
            seen.append(None if running is None else "there")

        end = device.agent.notifier.subscribe(NETCONF_STREAM, look)
        await session.edit(group(channel()), "running")
        end()
        assert seen[0] == "there"

    async def test_no_change_no_event(self, device: Device, session: Client, watcher: Client) -> None:
        await session.edit(group(channel()), "running")
        await watcher.notification()
        await session.edit(group(channel()), "running")
        await session.commit()
        assert (await session.edit(group(channel(port=80)), "running")).errors
        await watcher.get_config()
        assert not watcher.events

    async def test_startup(self, start: Start, connect: Connect) -> None:
        device = await start(startup=True)
        session = await connect(device)
        watcher = await subscriber(device, connect)
        await session.edit(group(channel()), "running")
        assert (await watcher.notification()).leaf("datastore") == "running"
        copy = "<copy-config><target><startup/></target><source><running/></source></copy-config>"
        assert (await session.rpc(copy)).ok
        event = valid(device, await watcher.notification())
        assert event.leaf("datastore") == "startup"
        assert event.leaf("changed-by", "session-id") == str(session.session_id)
        assert edits_of(event) == [("/dfs-m-lag:m-lag", "create")]
        assert (await session.rpc(copy)).ok
        assert (await session.rpc("<delete-config><target><startup/></target></delete-config>")).ok
        assert edits_of(await watcher.notification()) == [("/dfs-m-lag:m-lag", "delete")]

    async def test_not_made_when_nobody_hears(
        self, start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        device = await start(notifications=NotificationSettings(replay_length=0))
        session = await connect(device)
        published: list[object] = []
        monkeypatch.setattr(device.agent.notifier, "publish", lambda *event: published.append(event))
        await session.edit(group(channel()), "running")
        assert published == []
        assert (await session.subscribe()).ok
        await session.edit(group(channel(port=2049)), "running")
        assert len(published) == 1


MODULE = Module("m", "", "urn:m", "m", "1.1", implemented=True, path="")
ROOT = SchemaNode("", MODULE, Kind.ROOT, None)
LIST = SchemaNode("row", MODULE, Kind.LIST, ROOT)


def created(path: str) -> Change:
    return Change(ChangeKind.CREATE, path, LIST, None, None)


class TestEdits:
    def leaf_list(self, *, secret: bool = False) -> Change:
        node = SchemaNode("tag", MODULE, Kind.LEAF_LIST, ROOT, user_ordered=True, secret=secret)
        old, new = LeafList(node, ["a", "b", "c"]), LeafList(node, ["c", "it's", "a"])
        return Change(ChangeKind.REPLACE, "/m:a/tag", node, old, new)

    def test_values_of_a_leaf_list_are_nodes(self) -> None:
        assert edits([self.leaf_list()]) == [
            {"target": "/m:a/m:tag[.='b']", "operation": "delete"},
            {"target": '/m:a/m:tag[.="it\'s"]', "operation": "create"},
        ]

    def test_order_is_a_change_of_what_is_above(self) -> None:
        change = self.leaf_list()
        assert isinstance(change.old, LeafList)
        turned = replace(change, new=LeafList(change.schema, change.old.values[::-1]))
        assert edits([turned]) == [{"target": "/m:a", "operation": "merge"}]

    def test_secret_values_are_in_no_target(self) -> None:
        """A value with nacm:default-deny-all stands in no event and in no log."""
        assert edits([self.leaf_list(secret=True)]) == [{"target": "/m:a", "operation": "merge"}]


class TestManyEdits:
    def test_as_many_as_fit_stand_alone(self) -> None:
        rows = edits([created(f"/m:a/row[k='{n}']") for n in range(MAX_EDITS)])
        assert len(rows) == MAX_EDITS
        assert rows[3] == {"target": "/m:a/m:row[m:k='3']", "operation": "create"}

    def test_more_become_a_merge_of_what_is_above(self) -> None:
        deep = [created(f"/m:a/b[k='{n % 2}']/row[k='x/{n}']") for n in range(MAX_EDITS + 1)]
        rows = edits([created("/m:c/row[k='1']"), *deep])
        assert rows == [
            {"target": "/m:c/m:row[m:k='1']", "operation": "create"},
            {"target": "/m:a/m:b[m:k='0']", "operation": "merge"},
            {"target": "/m:a/m:b[m:k='1']", "operation": "merge"},
        ]

    def test_top_level_lists_leave_the_target_out(self) -> None:
        assert edits([created(f"/m:row[k='{n}']") for n in range(5)], limit=2) == [
            {"target": None, "operation": "merge"}
        ]

    async def test_ten_thousand_entries_are_one_event(self, device: Device, session: Client, watcher: Client) -> None:
        ni = "urn:ietf:params:xml:ns:yang:ietf-network-instance"
        rows = "".join(f"<network-instance><name>v{n}</name></network-instance>" for n in range(2000))
        await session.edit(
            f'<network-instances xmlns="{ni}"><network-instance><name>x</name></network-instance></network-instances>',
            "running",
        )
        await watcher.notification()
        await session.edit(f'<network-instances xmlns="{ni}">{rows}</network-instances>', "running")
        event = valid(device, await watcher.notification())
        assert [row.findtext(f"{{{NCN}}}operation") for row in event.event.iter(f"{{{NCN}}}edit")] == ["merge"]
        assert event.leaf("target") == "/ietf-network-instance:network-instances"


class TestSessions:
    async def test_start(self, device: Device, watcher: Client, connect: Connect) -> None:
        session = await connect(device)
        event = valid(device, await watcher.notification())
        assert event.name == "netconf-session-start"
        assert event.leaf("username") == "anna"
        assert event.leaf("session-id") == str(session.session_id)
        assert event.leaf("source-host") == "127.0.0.1"

    async def ended(self, device: Device, watcher: Client, session: Client) -> Notification:
        """Its netconf-session-end."""
        while True:
            event = valid(device, await watcher.notification())
            if event.name == "netconf-session-end" and event.leaf("session-id") == str(session.session_id):
                return event

    async def test_closed(self, device: Device, session: Client, watcher: Client) -> None:
        await session.rpc("<close-session/>")
        event = await self.ended(device, watcher, session)
        assert event.leaf("termination-reason") == "closed"
        assert event.leaf("killed-by") is None

    async def test_killed(self, device: Device, session: Client, watcher: Client, connect: Connect) -> None:
        killer = await connect(device)
        await killer.rpc(f"<kill-session><session-id>{session.session_id}</session-id></kill-session>")
        event = await self.ended(device, watcher, session)
        assert event.leaf("termination-reason") == "killed"
        assert event.leaf("killed-by") == str(killer.session_id)

    async def test_dropped(self, device: Device, session: Client, watcher: Client) -> None:
        session.abort()
        assert (await self.ended(device, watcher, session)).leaf("termination-reason") == "dropped"

    async def test_timeout(self, start: Start, connect: Connect) -> None:
        device = await start(limits=LimitSettings(hello_timeout=0.2))
        watcher = await subscriber(device, connect)
        silent = await connect(device, say_hello=False)
        assert (await self.ended(device, watcher, silent)).leaf("termination-reason") == "timeout"

    async def test_server_that_stops(self, start: Start, connect: Connect) -> None:
        """Read from the log after the restart."""
        device = await start()
        session = await connect(device)
        await device.aclose()
        device = await start()
        watcher = await connect(device)
        await watcher.subscribe("<startTime>2020-01-01T00:00:00Z</startTime>")
        assert (await self.ended(device, watcher, session)).leaf("termination-reason") == "other"

    async def test_bad_hello(self, device: Device, session: Client, watcher: Client, connect: Connect) -> None:
        bad = await connect(device, say_hello=False)
        bad.send_message("<nonsense/>")
        assert (await self.ended(device, watcher, bad)).leaf("termination-reason") == "bad-hello"

    async def test_told_when_its_locks_are_free(
        self, device: Device, session: Client, watcher: Client, connect: Connect
    ) -> None:
        await session.rpc("<lock><target><running/></target></lock>")
        session.abort()
        await self.ended(device, watcher, session)
        assert (await watcher.rpc("<lock><target><running/></target></lock>")).ok


CONFIRMED = "<commit><confirmed/><confirm-timeout>30</confirm-timeout></commit>"


class TestConfirmedCommit:
    @pytest.fixture
    def timers(self) -> FakeTimers:
        return FakeTimers()

    @pytest.fixture
    async def device(self, start: Start, timers: FakeTimers) -> Device:
        return await start(call_later=timers.call_later)

    async def confirm_event(self, device: Device, watcher: Client) -> Notification:
        while True:
            event = valid(device, await watcher.notification())
            if event.name == "netconf-confirmed-commit":
                return event

    async def test_start_extend_complete(self, device: Device, session: Client, watcher: Client) -> None:
        await session.edit(group(channel()))
        await session.rpc(CONFIRMED)
        event = await self.confirm_event(device, watcher)
        assert (event.leaf("confirm-event"), event.leaf("timeout")) == ("start", "30")
        assert event.leaf("session-id") == str(session.session_id)
        await session.rpc(CONFIRMED.replace("30", "40"))
        event = await self.confirm_event(device, watcher)
        assert (event.leaf("confirm-event"), event.leaf("timeout")) == ("extend", "40")
        await session.commit()
        event = await self.confirm_event(device, watcher)
        assert (event.leaf("confirm-event"), event.leaf("timeout")) == ("complete", None)
        assert event.leaf("username") == "anna"

    async def test_timeout(self, device: Device, session: Client, watcher: Client, timers: FakeTimers) -> None:
        """The session is not named, and it is the server that changes running."""
        await session.edit(group(channel()))
        await session.rpc(CONFIRMED)
        await self.confirm_event(device, watcher)
        assert (await watcher.notification()).leaf("changed-by", "session-id") == str(session.session_id)
        timers.fire()
        event = await self.confirm_event(device, watcher)
        assert event.leaf("confirm-event") == "timeout"
        assert event.leaf("username") is None
        back = valid(device, await watcher.notification())
        assert back.leaf("changed-by", "server") == ""
        assert edits_of(back) == [("/dfs-m-lag:m-lag", "delete")]

    async def test_cancelled(self, device: Device, session: Client, watcher: Client) -> None:
        await session.edit(group(channel()))
        await session.rpc(CONFIRMED)
        await self.confirm_event(device, watcher)
        await watcher.notification()
        assert (await session.rpc("<cancel-commit/>")).ok
        event = await self.confirm_event(device, watcher)
        assert (event.leaf("confirm-event"), event.leaf("session-id")) == ("cancel", str(session.session_id))
        assert (await watcher.notification()).leaf("changed-by", "session-id") == str(session.session_id)

    async def test_session_ends(self, device: Device, session: Client, watcher: Client) -> None:
        await session.edit(group(channel()))
        await session.rpc(CONFIRMED)
        await self.confirm_event(device, watcher)
        (server,) = (one for one in device.registry if one.session_id == session.session_id)
        session.abort()
        event = await self.confirm_event(device, watcher)
        assert (event.leaf("confirm-event"), event.leaf("session-id")) == ("cancel", str(session.session_id))
        await asyncio.wait_for(server.wait_over(), LIMIT)

    async def test_plain_commit_is_none(self, device: Device, session: Client, watcher: Client) -> None:
        await session.edit(group(channel()))
        await session.commit()
        assert (await watcher.notification()).name == "netconf-config-change"
        await watcher.get_config()
        assert not watcher.events
