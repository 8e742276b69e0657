"""RFC 8639 and 8640 over real sockets: dynamic subscriptions to streams."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fake_timers import FakeClock
from mlag_agent.app import Device
from mlag_agent.config import NotificationSettings
from mlag_agent.features.events import publish
from mlag_agent.features.subscriptions import MAX_PER_SESSION
from mlag_agent.notify.notifier import NETCONF_STREAM
from netconf_client import LIMIT, Client, Notification, Reply

Start = Callable[..., Awaitable[Device]]
Connect = Callable[..., Awaitable[Client]]

SN = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
NCN = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
STREAM = "<stream>NETCONF</stream>"


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def device(start: Start, time: FakeClock) -> Device:
    return await start(clock=time.clock)


async def establish(client: Client, parameters: str = STREAM) -> int:
    reply = await client.rpc(f'<establish-subscription xmlns="{SN}">{parameters}</establish-subscription>')
    assert not reply.errors, reply.text
    found = reply.root.findtext(f"{{{SN}}}id")
    assert found is not None, reply.text
    return int(found)


async def refused(client: Client, parameters: str) -> Reply:
    reply = await client.rpc(f'<establish-subscription xmlns="{SN}">{parameters}</establish-subscription>')
    assert reply.errors, reply.text
    return reply


async def change(client: Client, operation: str, number: int, parameters: str = "") -> Reply:
    return await client.rpc(
        f'<{operation}-subscription xmlns="{SN}"><id>{number}</id>{parameters}</{operation}-subscription>'
    )


def happen(device: Device, number: int, *, size: int = 0) -> None:
    values = {"username": f"event {number}{'.' * size}", "session-id": 0}
    publish(device.agent, "ietf-netconf-notifications:netconf-session-start", values)


def number_of(event: Notification) -> int:
    return int((event.leaf("username") or "").removeprefix("event ").rstrip("."))


async def numbers(client: Client, count: int) -> list[int]:
    return [number_of(await client.notification()) for _ in range(count)]


async def nothing_more(client: Client) -> None:
    await client.get_config()
    assert not client.events


def only(n: int) -> str:
    return (
        f'<stream-subtree-filter><netconf-session-start xmlns="{NCN}"><username>event {n}</username>'
        "</netconf-session-start></stream-subtree-filter>"
    )


class TestEstablish:
    async def test_events_come_after_the_reply(self, device: Device, session: Client) -> None:
        for n in range(50):
            happen(device, n)
        session.send(
            f'<establish-subscription xmlns="{SN}">{STREAM}'
            "<replay-start-time>2026-01-01T00:00:00Z</replay-start-time></establish-subscription>"
        )
        assert isinstance(await session.receive_any(), Reply)
        assert (await session.notification()).leaf("username") == "anna"

    async def test_several_in_one_session(self, device: Device, session: Client) -> None:
        one, two = await establish(session, STREAM + only(1)), await establish(session, STREAM + only(2))
        assert one != two
        for n in range(3):
            happen(device, n)
        assert await numbers(session, 2) == [1, 2]

    async def test_filters(self, device: Device, session: Client) -> None:
        await establish(session, STREAM + only(2))
        await establish(
            session,
            f"{STREAM}<stream-xpath-filter xmlns:x=\"{NCN}\">/x:netconf-session-start[x:username='event 3']"
            "</stream-xpath-filter>",
        )
        await establish(
            session,
            f"{STREAM}<stream-xpath-filter>/ietf-netconf-notifications:netconf-session-start"
            "[starts-with(ietf-netconf-notifications:username, 'event 4')]</stream-xpath-filter>",
        )
        for n in range(6):
            happen(device, n)
        assert await numbers(session, 3) == [2, 3, 4]

    async def test_named_filter(self, device: Device, session: Client) -> None:
        filters = f'<filters xmlns="{SN}"><stream-filter><name>two</name>{only(2)}</stream-filter></filters>'
        assert (await session.edit(filters, "running")).ok
        number = await establish(session, f"{STREAM}<stream-filter-name>two</stream-filter-name>")
        for n in range(4):
            happen(device, n)
        assert await numbers(session, 1) == [2]
        assert (await session.edit(filters.replace("event 2", "event 3"), "running")).ok
        event = await session.notification()
        assert (event.name, event.leaf("id")) == ("subscription-modified", str(number))
        assert event.leaf("stream-filter-name") == "two"
        for n in range(4):
            happen(device, n)
        assert await numbers(session, 1) == [3]
        gone = f'<filters xmlns="{SN}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="delete"/>'
        assert (await session.edit(gone, "running")).ok
        event = await session.notification()
        assert event.name == "subscription-terminated"
        assert event.leaf("reason") in ("filter-unavailable", "ietf-subscribed-notifications:filter-unavailable")
        await nothing_more(session)

    async def test_replay(self, device: Device, session: Client, time: FakeClock) -> None:
        happen(device, 0)
        time.advance(10)
        begin = time.time
        happen(device, 1)
        time.advance(10)
        number = await establish(session, f"{STREAM}<replay-start-time>{begin.isoformat()}</replay-start-time>")
        happen(device, 2)
        assert await numbers(session, 1) == [1]
        event = await session.notification()
        assert (event.event.tag, event.leaf("id")) == (f"{{{SN}}}replay-completed", str(number))
        assert await numbers(session, 1) == [2]

    async def test_replay_from_before_the_log(self, start: Start, connect: Connect, time: FakeClock) -> None:
        """``replay-start-time-revision`` says since when there are events."""
        device = await start("other", clock=time.clock, notifications=NotificationSettings(replay_length=2))
        for n in range(4):
            happen(device, n)
            time.advance(10)
        session = await connect(device)
        reply = await session.rpc(
            f'<establish-subscription xmlns="{SN}">{STREAM}<replay-start-time>2020-01-01T00:00:00Z</replay-start-time>'
            "</establish-subscription>"
        )
        assert reply.leaf("replay-start-time-revision") == "2026-03-01T12:00:10.000Z"
        assert await numbers(session, 2) == [2, 3]

    async def test_stop_time(self, device: Device, session: Client, time: FakeClock) -> None:
        await establish(session, f"{STREAM}<stop-time>2026-03-01T12:01:00Z</stop-time>")
        happen(device, 1)
        time.advance(60)
        happen(device, 2)
        assert await numbers(session, 1) == [1]
        await nothing_more(session)
        assert "<subscription>" not in (await session.get(f'<subscriptions xmlns="{SN}"/>')).text

    async def test_ends_with_its_session(self, device: Device, session: Client, connect: Connect) -> None:
        other = await connect(device)
        await establish(other)
        (server,) = (one for one in device.registry if one.session_id == other.session_id)
        other.abort()
        await asyncio.wait_for(server.wait_over(), LIMIT)
        assert not device.agent.notifier._receivers[NETCONF_STREAM]
        assert "<subscription>" not in (await session.get(f'<subscriptions xmlns="{SN}"/>')).text


class TestNothingGrows:
    async def test_with_subscriptions_that_come_and_go(self, device: Device, session: Client, time: FakeClock) -> None:
        (server,) = device.registry
        for _ in range(5):
            assert (await change(session, "delete", await establish(session))).ok
        for _ in range(5):
            past = "<startTime>2026-01-01T00:00:00Z</startTime><stopTime>2026-01-02T00:00:00Z</stopTime>"
            assert (await session.subscribe(past)).ok
            while (await session.notification()).name != "notificationComplete":
                pass
        assert server._at_end == []
        assert not device.agent.notifier._receivers[NETCONF_STREAM]

    async def test_others_hear_of_a_change_that_ends_a_subscription(self, device: Device, session: Client) -> None:
        """A filter that goes takes its subscription out of those that are told, while they are told."""
        filters = f'<filters xmlns="{SN}"><stream-filter><name>two</name>{only(2)}</stream-filter></filters>'
        assert (await session.edit(filters, "running")).ok
        await establish(session, f"{STREAM}<stream-filter-name>two</stream-filter-name>")
        heard: list[object] = []
        device.agent.transactor.published.append(heard.append)
        gone = f'<filters xmlns="{SN}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="delete"/>'
        assert (await session.edit(gone, "running")).ok
        assert len(heard) == 1


class TestRefused:
    """RFC 8640 section 7: the tag of each identity, the identity as app-tag, and the structure with the hint."""

    async def test_replay_without_a_log(self, start: Start, connect: Connect) -> None:
        session = await connect(await start("other", notifications=NotificationSettings(replay_length=0)))
        parameters = f"{STREAM}<replay-start-time>2020-01-01T00:00:00Z</replay-start-time>"
        reply = await refused(session, parameters)
        assert (reply.error.type, reply.error.tag) == ("application", "operation-not-supported")
        assert reply.error.app_tag == "ietf-subscribed-notifications:replay-unsupported"
        assert reply.leaf("error-info", "establish-subscription-stream-error-info", "reason") == "replay-unsupported"

    async def test_filter_that_is_none(self, session: Client) -> None:
        reply = await refused(session, f"{STREAM}<stream-xpath-filter>/[</stream-xpath-filter>")
        assert reply.error.tag == "invalid-value"
        reply = await refused(session, f"{STREAM}<stream-xpath-filter>$x</stream-xpath-filter>")
        assert (reply.error.tag, reply.error.app_tag) == (
            "invalid-value",
            "ietf-subscribed-notifications:filter-unsupported",
        )
        hint = reply.leaf("establish-subscription-stream-error-info", "filter-failure-hint")
        assert hint is not None
        assert "variables" in hint

    async def test_too_many(self, session: Client) -> None:
        for _ in range(MAX_PER_SESSION):
            await establish(session)
        error = (await refused(session, STREAM)).error
        assert (error.tag, error.app_tag) == (
            "resource-denied",
            "ietf-subscribed-notifications:insufficient-resources",
        )

    @pytest.mark.parametrize(
        ("parameters", "tag"),
        [
            ("<stream>LINKS</stream>", "invalid-value"),
            (f"{STREAM}<stop-time>2026-03-01T12:00:00Z</stop-time>", "invalid-value"),
            (f"{STREAM}<replay-start-time>2026-03-01T12:00:00Z</replay-start-time>", "invalid-value"),
            (
                f"{STREAM}<replay-start-time>2026-02-01T12:00:00Z</replay-start-time>"
                "<stop-time>2026-01-01T12:00:00Z</stop-time>",
                "invalid-value",
            ),
            (f"{STREAM}<stream-filter-name>none</stream-filter-name>", "data-missing"),
            (f"{STREAM}<encoding>encode-json</encoding>", "invalid-value"),
        ],
    )
    async def test_parameters(self, session: Client, parameters: str, tag: str) -> None:
        assert (await refused(session, parameters)).errors[0].tag == tag

    async def test_not_together_with_create_subscription(
        self, device: Device, session: Client, connect: Connect
    ) -> None:
        """RFC 8640 section 4, in both orders; when the one has gone the other is possible."""
        await session.subscribe()
        assert (await refused(session, STREAM)).error.tag == "operation-not-supported"
        other = await connect(device)
        number = await establish(other)
        assert (await other.subscribe()).error.tag == "operation-not-supported"
        assert (await change(other, "delete", number)).ok
        assert (await other.subscribe()).ok


class TestModify:
    async def test_filter_and_stop_time(self, device: Device, session: Client, time: FakeClock) -> None:
        number = await establish(session, STREAM + only(1))
        reply = await change(session, "modify", number, only(2) + "<stop-time>2026-03-01T12:01:00Z</stop-time>")
        assert reply.ok
        for n in range(4):
            happen(device, n)
        assert await numbers(session, 1) == [2]
        time.advance(60)
        happen(device, 2)
        await nothing_more(session)

    async def test_refused_it_stays_as_it_was(self, device: Device, session: Client) -> None:
        number = await establish(session, STREAM + only(1))
        reply = await change(session, "modify", number, "<stream-xpath-filter>$x</stream-xpath-filter>")
        assert reply.error.app_tag == "ietf-subscribed-notifications:filter-unsupported"
        assert reply.leaf("modify-subscription-stream-error-info", "reason") == "filter-unsupported"
        for n in range(3):
            happen(device, n)
        assert await numbers(session, 1) == [1]

    async def test_of_another_session(self, device: Device, session: Client, connect: Connect) -> None:
        number = await establish(session)
        other = await connect(device)
        reply = await change(other, "modify", number, only(1))
        assert (reply.error.tag, reply.error.app_tag) == (
            "invalid-value",
            "ietf-subscribed-notifications:no-such-subscription",
        )


class TestDelete:
    async def test_own(self, device: Device, session: Client) -> None:
        number = await establish(session)
        assert (await change(session, "delete", number)).ok
        happen(device, 1)
        await nothing_more(session)
        reply = await change(session, "delete", number)
        assert reply.error.app_tag == "ietf-subscribed-notifications:no-such-subscription"
        assert reply.leaf("delete-subscription-error-info", "reason") == "no-such-subscription"

    async def test_of_another_session(self, device: Device, session: Client, connect: Connect) -> None:
        number = await establish(session)
        other = await connect(device)
        assert (await change(other, "delete", number)).error.tag == "invalid-value"
        happen(device, 1)
        assert (await session.notification()).name == "netconf-session-start"

    async def test_kill(self, device: Device, session: Client, connect: Connect) -> None:
        """By anybody who may; the subscriber is told, and its session goes on."""
        number = await establish(session, STREAM + only(1))
        other = await connect(device)
        assert (await change(other, "kill", number)).ok
        event = await session.notification()
        assert (event.name, event.leaf("id")) == ("subscription-terminated", str(number))
        assert event.leaf("reason") == "ietf-subscribed-notifications:no-such-subscription"
        happen(device, 1)
        await nothing_more(session)
        assert (await change(other, "kill", number)).error.tag == "invalid-value"


class TestState:
    async def test_streams(self, session: Client) -> None:
        found = await session.get(f'<streams xmlns="{SN}"/>')
        assert found.leaf("stream", "name") == "NETCONF"
        assert found.leaf("stream", "replay-support") is not None or "<replay-support/>" in found.text
        assert found.leaf("stream", "replay-log-creation-time") == "2026-03-01T12:00:00.000Z"

    async def test_subscription(self, device: Device, session: Client) -> None:
        number = await establish(session, f"{STREAM}{only(1)}<stop-time>2026-03-01T13:00:00Z</stop-time>")
        for n in range(3):
            happen(device, n)
        await numbers(session, 1)
        found = await session.get(f'<subscriptions xmlns="{SN}"/>')
        assert found.leaf("subscription", "id") == str(number)
        assert found.leaf("subscription", "stream") == "NETCONF"
        assert found.leaf("stream-subtree-filter", "netconf-session-start", "username") == "event 1"
        assert found.leaf("subscription", "stop-time") == "2026-03-01T13:00:00.000Z"
        assert found.leaf("receiver", "state") == "active"
        assert found.leaf("receiver", "sent-event-records") == "1"
        assert found.leaf("receiver", "excluded-event-records") == "2"

    async def test_cannot_be_configured(self, session: Client) -> None:
        """The feature ``configured`` is not supported: a deviation makes the list state."""
        reply = await session.edit(
            f'<subscriptions xmlns="{SN}"><subscription><id>1</id></subscription></subscriptions>', "running"
        )
        assert reply.errors


class TestSlowReader:
    async def test_gap_is_between_suspended_and_resumed(self, start: Start, connect: Connect, time: FakeClock) -> None:
        bounds = NotificationSettings(queue_length=20, replay_length=50)
        device = await start("other", clock=time.clock, notifications=bounds)
        session = await connect(device)
        await establish(session)
        session.process.channel.pause_reading()
        for n in range(400):
            happen(device, n, size=50_000)
            time.advance(1)
        session.process.channel.resume_reading()
        seen: list[int] = []
        gaps: list[int] = []
        while not seen or seen[-1] != 399:
            event = await session.notification()
            if event.name == "subscription-suspended":
                gaps.append(len(seen))
                assert (await session.notification()).name == "subscription-resumed"
            else:
                seen.append(number_of(event))
        assert gaps
        assert seen == sorted(set(seen))
        missing_at = [at for at in range(1, len(seen)) if seen[at] != seen[at - 1] + 1]
        assert set(missing_at) <= set(gaps)
