"""RFC 5277 over real sockets: create-subscription, streams, filters, replay, and readers that are slow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from lxml import etree

from fake_timers import FakeClock
from mlag_agent.app import Device
from mlag_agent.config import NotificationSettings
from mlag_agent.features.events import publish
from mlag_agent.notify.notifier import NETCONF_STREAM
from mlag_agent.wire.capabilities import BASE_1_0, BASE_1_1
from netconf_client import DML, LIMIT, NC, Client, Notification, Reply, channel, group

Start = Callable[..., Awaitable[Device]]
Connect = Callable[..., Awaitable[Client]]

STREAMS = "urn:ietf:params:xml:ns:netmod:notification"
NCN = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
STATE = "urn:mlag-agent:yang:mlag-agent-state"


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def device(start: Start, time: FakeClock) -> Device:
    return await start(clock=time.clock)


def happen(device: Device, number: int, *, size: int = 0) -> None:
    """An event that nothing else in these tests causes, with a number in it."""
    values = {"username": f"event {number}{'.' * size}", "session-id": 0}
    publish(device.agent, "ietf-netconf-notifications:netconf-session-start", values)


def number(notification: Notification) -> int | None:
    """The number that ``happen`` gave it; None for another event."""
    text = notification.leaf("username") or ""
    return int(text.removeprefix("event ").rstrip(".")) if text.startswith("event ") else None


async def numbers(client: Client, count: int) -> list[int | None]:
    return [number(await client.notification()) for _ in range(count)]


async def numbered(client: Client, count: int) -> list[int | None]:
    """The next few of ``happen``'s, whatever else comes."""
    found: list[int | None] = []
    while len(found) < count:
        if (one := number(await client.notification())) is not None:
            found.append(one)
    return found


class TestCapabilities:
    async def test_both_are_offered(self, session: Client) -> None:
        for name in ("notification", "interleave"):
            assert f"urn:ietf:params:netconf:capability:{name}:1.0" in session.capabilities


class TestSubscription:
    @pytest.mark.parametrize("base", [BASE_1_0, BASE_1_1])
    async def test_event_has_the_envelope(self, device: Device, connect: Connect, time: FakeClock, base: str) -> None:
        client = await connect(device, versions=[base])
        assert (await client.subscribe()).ok
        time.advance(1.5)
        happen(device, 7)
        event = await client.notification()
        assert event.time == time.time
        assert event.text.startswith(f'<notification xmlns="{"urn:ietf:params:xml:ns:netconf:notification:1.0"}">')
        assert event.event.tag == f"{{{NCN}}}netconf-session-start"
        assert number(event) == 7

    async def test_no_event_without_a_subscription(self, device: Device, session: Client) -> None:
        happen(device, 1)
        await session.get_config()
        assert not session.events

    async def test_past_events_are_not_sent(self, device: Device, session: Client) -> None:
        happen(device, 1)
        await session.subscribe()
        happen(device, 2)
        assert await numbers(session, 1) == [2]

    async def test_reply_comes_before_the_first_event(self, device: Device, session: Client) -> None:
        """RFC 5277 section 2.1.1: also when events are published while it is worked on, and with a replay."""
        for n in range(100):
            happen(device, n)
        session.send(
            '<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0">'
            "<startTime>2020-01-01T00:00:00Z</startTime></create-subscription>"
        )
        first = await session.receive_any()
        assert isinstance(first, Reply)
        assert first.ok
        assert await numbered(session, 100) == list(range(100))

    async def test_events_are_in_order(self, device: Device, session: Client) -> None:
        await session.subscribe()
        for n in range(500):
            happen(device, n)
        assert await numbers(session, 500) == list(range(500))

    async def test_rpcs_go_on(self, device: Device, session: Client) -> None:
        """RFC 5277 section 6 (interleave): every operation works, and replies keep their order."""
        await session.subscribe()
        for n in range(50):
            happen(device, n)
            assert (await session.edit(group(channel(port=2000 + n)))).ok
            assert (await session.get_config("candidate")).leaf("tcp-port") == str(2000 + n)
        assert await numbers(session, 50) == list(range(50))

    @pytest.mark.parametrize("base", [BASE_1_0, BASE_1_1])
    async def test_messages_do_not_tear_each_other(self, device: Device, connect: Connect, base: str) -> None:
        """Large replies and many events at once, each a whole message."""
        client = await connect(device, versions=[base])
        await client.subscribe()
        for n in range(20):
            client.send("<get/>")
            happen(device, n, size=30_000)
        seen: list[int | None] = []
        replies = 0
        while len(seen) < 20 or replies < 20:
            message = await client.receive_any()
            if isinstance(message, Reply):
                assert message.data is not None
                replies += 1
            else:
                seen.append(number(message))
        assert seen == list(range(20))

    async def test_one_to_a_session(self, device: Device, session: Client, connect: Connect) -> None:
        assert (await session.subscribe()).ok
        error = (await session.subscribe()).error
        assert (error.type, error.tag) == ("protocol", "in-use")
        other = await connect(device)
        assert (await other.subscribe()).ok

    async def test_ends_with_its_session(self, device: Device, session: Client, connect: Connect) -> None:
        await session.subscribe()
        other = await connect(device)
        await other.subscribe()
        session.abort()
        while (await other.notification()).name != "netconf-session-end":
            pass
        assert len(device.agent.notifier._receivers[NETCONF_STREAM]) == 1
        happen(device, 5)
        assert await numbers(other, 1) == [5]

    async def test_counted(self, device: Device, session: Client) -> None:
        """RFC 6022: out-notifications of the session and in total."""
        await session.subscribe()
        for n in range(3):
            happen(device, n)
        await numbers(session, 3)
        found = await session.get('<netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"/>')
        assert found.leaf("sessions", "session", "out-notifications") == "3"
        assert found.leaf("statistics", "out-notifications") == "3"


class TestParameters:
    @pytest.mark.parametrize(
        ("parameters", "tag", "element"),
        [
            ("<stopTime>2030-01-01T00:00:00Z</stopTime>", "missing-element", "startTime"),
            (
                "<startTime>2026-01-02T00:00:00Z</startTime><stopTime>2026-01-01T00:00:00Z</stopTime>",
                "bad-element",
                "stopTime",
            ),
            ("<startTime>2026-03-01T12:00:01Z</startTime>", "bad-element", "startTime"),
            ("<startTime>2026-03-01T13:00:01+01:00</startTime>", "bad-element", "startTime"),
            ("<stream>LINKS</stream>", "invalid-value", "stream"),
            ("<startTime>yesterday</startTime>", "invalid-value", None),
            ("<startTime>0001-01-01T00:00:00+12:00</startTime>", "invalid-value", "startTime"),
        ],
    )
    async def test_errors(self, session: Client, parameters: str, tag: str, element: str | None) -> None:
        """RFC 5277 section 2.1.1; the clock stands at 2026-03-01T12:00:00Z."""
        error = (await session.subscribe(parameters)).error
        assert (error.type, error.tag) == ("protocol", tag)
        if element is not None:
            assert error.info == {"bad-element": element}
        assert (await session.subscribe()).ok

    async def test_unknown_stream_is_told_which_there_are(self, session: Client) -> None:
        assert "this server has: NETCONF" in (await session.subscribe("<stream>LINKS</stream>")).error.message

    async def test_replay_without_a_log(self, start: Start, connect: Connect) -> None:
        bounds = NotificationSettings(replay_length=0)
        session = await connect(await start(notifications=bounds))
        error = (await session.subscribe("<startTime>2026-01-01T00:00:00Z</startTime>")).error
        assert (error.type, error.tag) == ("protocol", "operation-failed")
        assert (await session.get(f'<netconf xmlns="{STREAMS}"/>')).leaf("replaySupport") == "false"
        assert (await session.subscribe("<stream>NETCONF</stream>")).ok

    @pytest.mark.parametrize("kind", ["regexp", ""])
    async def test_filter_types(self, session: Client, kind: str) -> None:
        error = (await session.subscribe(f'<filter type="{kind}"/>')).error
        assert (error.tag, error.info) == ("bad-attribute", {"bad-attribute": "type", "bad-element": "filter"})


class TestStreams:
    async def test_listed(self, device: Device, session: Client, time: FakeClock) -> None:
        """RFC 5277 section 3.2.5."""
        device.agent.notifier.add_stream("links", "What happens to links.")
        found = (await session.get(f'<netconf xmlns="{STREAMS}"><streams/></netconf>')).root
        rows = {
            row.findtext(f"{{{STREAMS}}}name"): {etree.QName(child).localname: child.text for child in row}
            for row in found.iter(f"{{{STREAMS}}}stream")
        }
        assert set(rows) == {"NETCONF", "links"}
        assert rows["links"]["description"] == "What happens to links."
        assert rows["NETCONF"]["replaySupport"] == "true"
        assert rows["NETCONF"]["replayLogCreationTime"] == "2026-03-01T12:00:00.000Z"
        assert "replayLogAgedTime" not in rows["NETCONF"]

    async def test_subscription_to_one(self, device: Device, session: Client, connect: Connect) -> None:
        """The default stream has every event, another one its own; replay and what follows alike."""
        notifier = device.agent.notifier
        notifier.add_stream("links", "What happens to links.")
        every = await connect(device)
        await every.subscribe()

        def link(n: int) -> None:
            heard: list[Any] = []
            end = notifier.subscribe(NETCONF_STREAM, lambda event, place: heard.append(event))
            happen(device, n)
            end()
            notifier.publish("links", heard[0])

        link(1)
        happen(device, 2)
        await session.subscribe("<stream>links</stream><startTime>2026-01-01T00:00:00Z</startTime>")
        assert await numbered(session, 1) == [1]
        assert (await session.notification()).name == "replayComplete"
        happen(device, 3)
        link(4)
        assert await numbered(session, 1) == [4]
        assert await numbered(every, 6) == [1, 1, 2, 3, 4, 4]


class TestFilter:
    async def test_subtree(self, device: Device, session: Client) -> None:
        """RFC 5277 section 3.6: the event is sent whole, or not at all."""
        await session.subscribe(
            f'<filter type="subtree"><netconf-session-start xmlns="{NCN}"><username>event 2</username>'
            "</netconf-session-start></filter>"
        )
        for n in range(4):
            happen(device, n)
        event = await session.notification()
        assert number(event) == 2
        assert event.leaf("session-id") == "0"
        await session.get_config()
        assert not session.events

    @pytest.mark.parametrize(
        "content",
        [
            f'<netconf-session-end xmlns="{NCN}"/><netconf-session-start xmlns="{NCN}"/>',
            f'<netconf-session-start xmlns="{NCN}"><session-id/></netconf-session-start>',
            f'<netconf-session-start xmlns="{NCN}"><session-id>00</session-id></netconf-session-start>',
            '<netconf-session-start xmlns=""/>',
        ],
    )
    async def test_subtree_that_matches(self, device: Device, session: Client, content: str) -> None:
        """Any of several nodes, selections, values in another form, and no namespace (RFC 6241 section 6.2.1)."""
        await session.subscribe(f'<filter type="subtree">{content}</filter>')
        happen(device, 1)
        assert await numbers(session, 1) == [1]

    @pytest.mark.parametrize(
        "content",
        [
            "",
            '<netconf-session-start xmlns="urn:other"/>',
            f'<netconf-session-end xmlns="{NCN}"/>',
            f'<netconf-session-start xmlns="{NCN}"><source-host/></netconf-session-start>',
            f'<notification><netconf-session-start xmlns="{NCN}"/></notification>',
        ],
    )
    async def test_subtree_that_does_not_match(self, device: Device, session: Client, content: str) -> None:
        """An empty filter selects nothing (RFC 6241 section 6.4.2); the envelope is no part of the content."""
        assert (await session.subscribe(f'<filter type="subtree">{content}</filter>')).ok
        happen(device, 1)
        await session.get_config()
        assert not session.events

    @pytest.mark.parametrize(
        "select",
        [
            "/n:netconf-session-start[n:username='event 1']",
            "//n:username[starts-with(., 'event')]",
            "/n:netconf-session-start/n:session-id = 0",
            "count(/n:*) = 1",
            "/n:netconf-session-end | /n:netconf-session-start",
            "/netconf-session-start",
            "not(/n:netconf-config-change)",
        ],
    )
    async def test_xpath_that_matches(self, device: Device, session: Client, select: str) -> None:
        """The value counts as a boolean; names without a prefix match any module."""
        assert (await session.subscribe(f'<filter type="xpath" xmlns:n="{NCN}" select="{select}"/>')).ok
        happen(device, 1)
        assert await numbers(session, 1) == [1]

    @pytest.mark.parametrize(
        "select",
        [
            "/n:netconf-session-start[n:username='event 2']",
            "/n:netconf-session-start/n:source-host",
            "/n:netconf-session-start/n:session-id = 1",
            "/n:netconf-session-end",
            "false()",
            "''",
        ],
    )
    async def test_xpath_that_does_not_match(self, device: Device, session: Client, select: str) -> None:
        assert (await session.subscribe(f'<filter type="xpath" xmlns:n="{NCN}" select="{select}"/>')).ok
        happen(device, 1)
        await session.get_config()
        assert not session.events

    @pytest.mark.parametrize(
        ("attributes", "tag", "attribute"),
        [
            ("", "missing-attribute", "select"),
            ('select="/["', "invalid-value", "select"),
            ('select="/x:y"', "invalid-value", "select"),
            ('select="no-such-function()"', "invalid-value", "select"),
        ],
    )
    async def test_xpath_errors(self, session: Client, attributes: str, tag: str, attribute: str) -> None:
        error = (await session.subscribe(f'<filter type="xpath" {attributes}/>')).error
        assert (error.tag, error.info["bad-attribute"]) == (tag, attribute)

    async def test_xpath_too_costly_for_an_event(
        self, device: Device, session: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The event is left out, the log says so, and everybody goes on."""
        select = "*"
        for _ in range(14):
            select = f"*[count(../{select}) = 1 or true()]"
        assert (await session.subscribe(f'<filter type="xpath" select="//{select}"/>')).ok
        happen(device, 1)
        await session.get_config()
        assert not session.events
        assert "cannot be evaluated" in caplog.text

    async def test_strict_wants_prefixes(self, start: Start, connect: Connect) -> None:
        session = await connect(await start("other", strict=True))
        error = (await session.subscribe('<filter type="xpath" select="/netconf-session-start"/>')).error
        assert (error.tag, error.info["bad-attribute"]) == ("invalid-value", "select")
        assert (await session.subscribe(f'<filter type="xpath" xmlns:n="{NCN}" select="/n:netconf-session-end"/>')).ok

    async def test_filter_holds_for_a_replay(self, device: Device, session: Client) -> None:
        for n in range(3):
            happen(device, n)
        await session.subscribe(
            f'<filter><netconf-session-start xmlns="{NCN}"><username>event 1</username></netconf-session-start>'
            "</filter><startTime>2026-01-01T00:00:00Z</startTime>"
        )
        assert await numbers(session, 1) == [1]
        assert (await session.notification()).name == "replayComplete"


class TestReplay:
    async def test_then_complete_then_live(self, device: Device, session: Client, time: FakeClock) -> None:
        """RFC 5277 section 3.3."""
        happen(device, 0)
        time.advance(10)
        begin = time.time
        for n in (1, 2):
            happen(device, n)
            time.advance(10)
        await session.subscribe(f"<startTime>{begin.isoformat()}</startTime>")
        happen(device, 3)
        one, two, complete, live = [await session.notification() for _ in range(4)]
        assert [number(one), number(two), number(live)] == [1, 2, 3]
        assert (one.time, two.time) == (begin, begin + timedelta(seconds=10))
        assert complete.event.tag == f"{{{STREAMS}}}replayComplete"
        assert len(complete.event) == 0

    async def test_stop_in_the_past(self, device: Device, session: Client, time: FakeClock) -> None:
        """Replay, replayComplete, notificationComplete, and then nothing; the session goes on."""
        for n in range(4):
            happen(device, n)
            time.advance(10)
        await session.subscribe("<startTime>2026-03-01T12:00:10Z</startTime><stopTime>2026-03-01T12:00:20Z</stopTime>")
        assert await numbers(session, 2) == [1, 2]
        assert [(await session.notification()).event.tag for _ in range(2)] == [
            f"{{{STREAMS}}}replayComplete",
            f"{{{STREAMS}}}notificationComplete",
        ]
        happen(device, 9)
        assert (await session.get_config()).data is not None
        assert not session.events
        assert (await session.subscribe()).ok

    async def test_stop_in_the_future(self, device: Device, session: Client, time: FakeClock) -> None:
        await session.subscribe("<startTime>2026-03-01T12:00:00Z</startTime><stopTime>2026-03-01T12:01:00Z</stopTime>")
        while (await session.notification()).name != "replayComplete":
            pass
        time.advance(59)
        happen(device, 1)
        assert await numbers(session, 1) == [1]
        time.advance(1)
        assert (await session.notification()).name == "notificationComplete"
        happen(device, 2)
        await session.get_config()
        assert not session.events
        assert (await session.subscribe()).ok

    async def test_timer_goes_with_the_session(self, device: Device, session: Client, time: FakeClock) -> None:
        await session.subscribe("<startTime>2026-03-01T12:00:00Z</startTime><stopTime>2026-03-01T12:01:00Z</stopTime>")
        (only,) = device.registry
        session.abort()
        await asyncio.wait_for(only.wait_over(), LIMIT)
        assert all(alarm.due < time.time + timedelta(seconds=30) for alarm in time.alarms)

    async def test_survives_a_restart(self, start: Start, connect: Connect, time: FakeClock) -> None:
        """The log is kept in the state folder; what is older than it begins with the first event there is."""
        device = await start(clock=time.clock)
        happen(device, 1)
        await device.aclose()
        time.advance(3600)
        device = await start(clock=time.clock)
        happen(device, 2)
        session = await connect(device)
        await session.subscribe("<startTime>1999-12-31T23:59:59Z</startTime>")
        assert await numbered(session, 2) == [1, 2]
        found = await session.get(f'<netconf xmlns="{STREAMS}"/>')
        assert found.leaf("replayLogCreationTime") == "2026-03-01T12:00:00.000Z"

    async def test_log_that_has_aged(self, start: Start, connect: Connect, time: FakeClock) -> None:
        device = await start(clock=time.clock, notifications=NotificationSettings(replay_length=3))
        for n in range(6):
            happen(device, n)
            time.advance(10)
        session = await connect(device)
        found = await session.get(f'<netconf xmlns="{STREAMS}"/>')
        assert found.leaf("replayLogAgedTime") == "2026-03-01T12:00:20.000Z"
        await session.subscribe("<startTime>2026-01-01T00:00:00Z</startTime>")
        assert await numbers(session, 3) == [3, 4, 5]

    async def test_many_events(self, device: Device, session: Client) -> None:
        """More than a queue holds: the replay waits for the reader, and live events come after it, in order."""
        for n in range(3000):
            happen(device, n)
        await session.subscribe("<startTime>2026-01-01T00:00:00Z</startTime>")
        for n in range(3000, 3010):
            happen(device, n)
        seen: list[int] = []
        complete = 0
        while len(seen) < 3010:
            event = await session.notification()
            if (one := number(event)) is not None:
                seen.append(one)
            elif event.name == "replayComplete":
                complete = len(seen)
        assert seen == list(range(3010))
        assert complete == 3000


class TestSlowReader:
    """A reader that takes nothing costs what its queue may hold, and nobody else notices."""

    @pytest.fixture
    async def device(self, start: Start, time: FakeClock) -> Device:
        return await start(
            clock=time.clock,
            notifications=NotificationSettings(queue_length=50, queue_bytes=500_000, replay_length=200),
        )

    async def test_never_reads(self, device: Device, session: Client, connect: Connect) -> None:
        deaf = await connect(device)
        await deaf.subscribe()
        await session.subscribe()
        deaf.process.channel.pause_reading()
        (server,) = (one for one in device.registry if one.session_id == deaf.session_id)
        for n in range(1000):
            happen(device, n, size=5_000)
            if n % 20 == 19:
                assert (await session.edit(group(channel(port=2000 + n)), "running")).ok
                assert await numbered(session, 20) == list(range(n - 19, n + 1))
            assert len(server.outbox) <= 50
            assert server.outbox.size <= 500_000
        assert len(server.outbox) == 50

    async def test_loses_nothing_that_the_log_has(self, device: Device, session: Client) -> None:
        await session.subscribe()
        session.process.channel.pause_reading()
        for n in range(150):
            happen(device, n, size=50_000)
        session.process.channel.resume_reading()
        assert await numbers(session, 150) == list(range(150))
        happen(device, 150)
        assert await numbers(session, 1) == [150]

    async def test_told_of_what_it_missed(self, device: Device, session: Client, time: FakeClock) -> None:
        await session.subscribe()
        session.process.channel.pause_reading()
        for n in range(1000):
            time.advance(1)
            happen(device, n, size=20_000)
            if n % 100 == 0:
                await asyncio.sleep(0)  # the delivery's turn
        session.process.channel.resume_reading()
        place, gaps = 0, 0
        while place < 1000:
            event = await session.notification()
            if event.event.tag == f"{{{STATE}}}notifications-lost":
                gaps += 1
                place += int(event.leaf("count") or 0)
                # Event number 0 happened one second after noon, and each one second after the one before.
                last = datetime.fromisoformat(event.leaf("last") or "")
                assert last == FakeClock().time + timedelta(seconds=place)
            else:
                assert number(event) == place
                place += 1
        assert place == 1000
        assert gaps > 0

    async def test_without_a_log(self, start: Start, connect: Connect) -> None:
        bounds = NotificationSettings(queue_length=10, replay_length=0)
        device = await start("other", notifications=bounds)
        session = await connect(device)
        await session.subscribe()
        session.process.channel.pause_reading()
        for n in range(300):
            happen(device, n, size=50_000)
        session.process.channel.resume_reading()
        seen: list[int] = []
        while (event := await session.notification()).name != "notifications-lost":
            seen.append(number(event) or 0)
        assert int(event.leaf("count") or 0) + len(seen) == 300
        happen(device, 300)
        assert await numbers(session, 1) == [300]

    async def test_leaves_in_the_middle(self, device: Device, session: Client, connect: Connect) -> None:
        deaf = await connect(device)
        await deaf.subscribe()
        deaf.process.channel.pause_reading()
        (server,) = (one for one in device.registry if one.session_id == deaf.session_id)
        for n in range(200):
            happen(device, n, size=20_000)
        deaf.abort()
        await asyncio.wait_for(server.wait_over(), LIMIT)
        assert len(server.outbox) == 0
        assert not device.agent.notifier._receivers[NETCONF_STREAM]

    async def test_killed(self, device: Device, session: Client, connect: Connect) -> None:
        deaf = await connect(device)
        await deaf.subscribe()
        deaf.process.channel.pause_reading()
        for n in range(200):
            happen(device, n, size=20_000)
        assert (await session.rpc(f"<kill-session><session-id>{deaf.session_id}</session-id></kill-session>")).ok
        assert [one.session_id for one in device.registry] == [session.session_id]


def test_namespaces_used_here() -> None:
    """The constants are those of the modules that tests elsewhere use."""
    assert DML.startswith("urn:mlag-agent:")
    assert NC.endswith("base:1.0")
