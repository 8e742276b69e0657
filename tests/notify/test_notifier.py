"""Streams: who hears of what, in which order, and what a subscriber that fails does to the others."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mlag_agent.notify.notification import Notification, event_time
from mlag_agent.notify.notifier import NETCONF_STREAM, Notifier, UnknownStream
from mlag_agent.schema.nodes import Kind, Module, SchemaNode

MODULE = Module("m", "", "urn:m", "m", "1.1", implemented=True, path="")
SCHEMA = SchemaNode("happened", MODULE, Kind.NOTIFICATION, None)
TIME = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def event(text: str = "") -> Notification:
    return Notification(SCHEMA, f'<happened xmlns="urn:m">{text}</happened>'.encode(), TIME)


class TestNotifier:
    def test_default_stream_has_every_event(self) -> None:
        """RFC 5277 section 3.2.3."""
        notifier = Notifier()
        notifier.add_stream("links", "What happens to links.")
        every: list[Notification] = []
        links: list[Notification] = []
        notifier.subscribe(NETCONF_STREAM, lambda event, number: every.append(event))
        notifier.subscribe("links", lambda event, number: links.append(event))
        one, two = event("1"), event("2")
        notifier.publish("links", one)
        notifier.publish(NETCONF_STREAM, two)
        assert (every, links) == ([one, two], [one])

    def test_ended_subscription_hears_nothing(self) -> None:
        notifier = Notifier()
        heard: list[Notification] = []
        end = notifier.subscribe(NETCONF_STREAM, lambda event, number: heard.append(event))
        assert notifier.wanted()
        end()
        end()
        notifier.publish(NETCONF_STREAM, event())
        assert heard == []
        assert not notifier.wanted()

    def test_subscriber_that_fails_keeps_nothing_from_others(self, caplog: pytest.LogCaptureFixture) -> None:
        notifier = Notifier()
        heard: list[int] = []

        def fails(notification: Notification, number: int) -> None:
            raise RuntimeError("no room")

        notifier.subscribe(NETCONF_STREAM, fails)
        notifier.subscribe(NETCONF_STREAM, lambda event, number: heard.append(number))
        notifier.publish(NETCONF_STREAM, event())
        notifier.publish(NETCONF_STREAM, event())
        assert heard == [1, 2]
        assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2

    def test_unknown_stream_is_named_with_those_there_are(self) -> None:
        notifier = Notifier()
        with pytest.raises(UnknownStream, match="no stream links; this server has: NETCONF"):
            notifier.publish("links", event())
        with pytest.raises(UnknownStream):
            notifier.subscribe("links", lambda event, number: None)
        with pytest.raises(ValueError, match="already"):
            notifier.add_stream(NETCONF_STREAM, "")


class TestNotification:
    def test_content_is_made_when_wanted_and_once(self) -> None:
        made: list[int] = []

        def make() -> bytes:
            made.append(1)
            return b'<happened xmlns="urn:m"><a>1</a></happened>'

        notification = Notification(SCHEMA, make, TIME)
        assert made == []
        assert notification.content == notification.content
        assert notification.element.findtext("{urn:m}a") == "1"
        assert made == [1]

    def test_event_time_is_utc(self) -> None:
        assert event().event_time == "2026-01-02T03:04:05.678901Z"
        assert event_time(TIME.astimezone(timezone(timedelta(hours=5, minutes=30)))) == "2026-01-02T03:04:05.678901Z"
