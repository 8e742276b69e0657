"""The replay log: order, bounds, restarts, and what happens when the file cannot be used."""

from __future__ import annotations

import logging
import sqlite3
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fake_timers import FakeClock
from mlag_agent.notify.log import FLUSH_EVENTS, ReplayLog
from mlag_agent.notify.notification import Notification
from mlag_agent.schema.nodes import Kind, Module, SchemaNode

MODULE = Module("m", "", "urn:m", "m", "1.1", implemented=True, path="")
SCHEMA = SchemaNode("e", MODULE, Kind.NOTIFICATION, None)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def time() -> FakeClock:
    return FakeClock(START)


def opened(path: Path | None, time: FakeClock, *, length: int = 100, size: int = 10_000) -> ReplayLog:
    return ReplayLog.open(path, length=length, size=size, find={SCHEMA.path: SCHEMA}.get, clock=time.clock)


def event(text: str, time: datetime = START, schema: SchemaNode = SCHEMA) -> Notification:
    return Notification(schema, text.encode(), time)


def texts(log: ReplayLog, after: int = 0, limit: int = 1000) -> list[str]:
    return [item.notification.content.decode() for item in log.read(after, limit=limit)]


class TestClear:
    def test_nothing_is_left(self, tmp_path: Path, time: FakeClock) -> None:
        path = tmp_path / "log"
        log = opened(path, time)
        log.append("NETCONF", event("a-word-to-look-for"))
        log.flush()
        log.append("NETCONF", event("a-word-in-memory", START + timedelta(seconds=1)))
        log.clear()
        assert texts(log) == []
        assert all(b"a-word" not in file.read_bytes() for file in tmp_path.iterdir())
        assert log.aged == START + timedelta(seconds=1)
        assert log.dropped == 2
        assert log.append("NETCONF", event("next")) == 3
        assert texts(log) == ["next"]

    def test_after_a_restart(self, tmp_path: Path, time: FakeClock) -> None:
        log = opened(tmp_path / "log", time)
        log.append("NETCONF", event("gone"))
        log.clear()
        log.append("NETCONF", event("kept"))
        log.close()
        log = opened(tmp_path / "log", time)
        assert texts(log) == ["kept"]
        assert (log.last, log.dropped, log.aged) == (2, 1, START)

    def test_empty(self, time: FakeClock) -> None:
        log = opened(None, time)
        log.clear()
        assert (log.dropped, log.aged) == (0, None)


class TestOrder:
    def test_read_from_file_and_memory_alike(self, tmp_path: Path, time: FakeClock) -> None:
        log = opened(tmp_path / "log", time)
        assert [log.append("NETCONF", event(str(n))) for n in range(3)] == [1, 2, 3]
        log.flush()
        log.append("NETCONF", event("3"))
        assert texts(log) == ["0", "1", "2", "3"]
        assert texts(log, after=2) == ["2", "3"]
        assert texts(log, limit=2) == ["0", "1"]
        assert texts(log, after=2, limit=1) == ["2"]
        assert texts(log, after=4) == []
        log.close()

    def test_what_is_read_is_what_was_logged(self, tmp_path: Path, time: FakeClock) -> None:
        log = opened(tmp_path / "log", time)
        moment = START + timedelta(microseconds=123457)
        log.append("links", event("<e/>", moment))
        for _ in range(2):
            (item,) = log.read(0)
            assert (item.number, item.stream) == (1, "links")
            assert item.notification.time == moment
            assert item.notification.schema is SCHEMA
            log.flush()
        log.close()

    def test_content_is_not_made_before_it_is_written(self, time: FakeClock) -> None:
        log = opened(None, time)
        made: list[int] = []

        def make() -> bytes:
            made.append(1)
            return b"<e/>"

        log.append("NETCONF", Notification(SCHEMA, make, START))
        assert made == []
        time.advance(1)
        assert made == [1]
        log.close()

    def test_event_that_cannot_be_made_keeps_nothing_from_the_log(
        self, time: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        log = opened(None, time)

        def fail() -> bytes:
            raise RuntimeError("no such thing")

        log.append("NETCONF", Notification(SCHEMA, fail, START))
        log.append("NETCONF", event("after"))
        log.flush()
        assert texts(log) == ["after"]
        assert "cannot be logged" in caplog.text
        log.close()

    def test_time_of_the_event_before(self, time: FakeClock) -> None:
        log = opened(None, time)
        assert log.before(START) is None
        log.append("NETCONF", event("0", START))
        log.append("NETCONF", event("1", START + timedelta(seconds=1)))
        for _ in range(2):
            assert log.before(START + timedelta(seconds=1)) == START
            assert log.before(START + timedelta(seconds=9)) == START + timedelta(seconds=1)
            log.flush()
        log.close()


class TestBounds:
    def test_length(self, time: FakeClock) -> None:
        log = opened(None, time, length=3)
        for n in range(5):
            log.append("NETCONF", event(str(n), START + timedelta(seconds=n)))
        assert (log.aged, log.dropped) == (None, 0)
        log.flush()
        assert texts(log) == ["2", "3", "4"]
        assert (log.aged, log.dropped) == (START + timedelta(seconds=1), 2)
        log.close()

    def test_size(self, time: FakeClock) -> None:
        log = opened(None, time, size=100)
        for letter in "abcd":
            log.append("NETCONF", event(letter * 40))
            log.flush()
        assert texts(log) == ["c" * 40, "d" * 40]
        log.append("NETCONF", event("e" * 200))
        log.flush()
        assert texts(log) == []
        assert log.dropped == 5
        log.close()

    def test_bounds_hold_after_a_restart(self, tmp_path: Path, time: FakeClock) -> None:
        log = opened(tmp_path / "log", time)
        for n in range(10):
            log.append("NETCONF", event(str(n)))
        log.close()
        again = opened(tmp_path / "log", time, length=4)
        again.append("NETCONF", event("10"))
        again.flush()
        assert texts(again) == ["7", "8", "9", "10"]
        again.close()

    def test_many_are_written_without_waiting_for_the_timer(self, tmp_path: Path, time: FakeClock) -> None:
        log = opened(tmp_path / "log", time, length=10**6, size=10**9)
        for n in range(FLUSH_EVENTS):
            log.append("NETCONF", event(str(n)))
        assert time.alarms == []
        log.close()


class TestRestart:
    def test_all_is_there_and_numbers_go_on(self, tmp_path: Path, time: FakeClock) -> None:
        log = opened(tmp_path / "log", time, length=2)
        for n in range(3):
            log.append("NETCONF", event(str(n)))
        log.close()
        time.advance(60)
        again = opened(tmp_path / "log", time, length=2)
        assert texts(again) == ["1", "2"]
        assert (again.created, again.aged, again.dropped, again.last) == (START, START, 1, 3)
        assert again.append("NETCONF", event("3")) == 4
        again.close()
        assert time.alarms == []

    def test_numbers_go_on_when_all_has_been_dropped(self, tmp_path: Path, time: FakeClock) -> None:
        log = opened(tmp_path / "log", time, size=1)
        log.append("NETCONF", event("too long"))
        log.close()
        again = opened(tmp_path / "log", time)
        assert again.append("NETCONF", event("next")) == 2
        again.close()

    def test_without_close_only_the_last_moment_is_lost(self, tmp_path: Path, time: FakeClock) -> None:
        """As after kill -9: the file is opened again as the first agent has left it."""
        log = opened(tmp_path / "log", time)
        log.append("NETCONF", event("0"))
        time.advance(1)
        log.append("NETCONF", event("1"))
        for suffix in ("", "-wal"):
            (tmp_path / f"copy{suffix}").write_bytes((tmp_path / f"log{suffix}").read_bytes())
        again = opened(tmp_path / "copy", time)
        assert texts(again) == ["0"]
        again.close()
        log.close()

    def test_events_of_modules_that_are_gone_are_passed_over(self, tmp_path: Path, time: FakeClock) -> None:
        other = SchemaNode("gone", MODULE, Kind.NOTIFICATION, None)
        log = opened(tmp_path / "log", time)
        for n in range(5):
            log.append("NETCONF", event(f"gone {n}", schema=other))
        log.append("NETCONF", event("stays"))
        log.close()
        again = opened(tmp_path / "log", time)
        assert texts(again, limit=2) == ["stays"]
        again.close()


class TestFile:
    def test_is_the_owners_alone(self, tmp_path: Path, time: FakeClock) -> None:
        opened(tmp_path / "log", time).close()
        assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600

    def test_damaged_file_is_set_aside(self, tmp_path: Path, time: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "log").write_bytes(b"no database at all" * 100)
        log = opened(tmp_path / "log", time)
        log.append("NETCONF", event("0"))
        log.flush()
        assert texts(log) == ["0"]
        log.close()
        assert (tmp_path / "log.damaged").read_bytes().startswith(b"no database")
        assert "set aside as log.damaged" in caplog.text

    def test_no_file_at_all(self, tmp_path: Path, time: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        log = opened(tmp_path / "no folder" / "log", time)
        log.append("NETCONF", event("0"))
        log.flush()
        assert texts(log) == ["0"]
        assert "in memory only" in caplog.text
        log.close()

    def test_full_disk_is_reported_once_and_memory_is_bounded(
        self, tmp_path: Path, time: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        log = opened(tmp_path / "log", time, length=10**6, size=10**9)
        log.append("NETCONF", event("kept"))
        log.flush()
        full(log, lambda: log._connection.execute("PRAGMA max_page_count=1"))
        for n in range(FLUSH_EVENTS + 10):
            log.append("NETCONF", event(str(n) * 200, START + timedelta(seconds=n)))
        time.advance(5)
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert len(log._pending) == FLUSH_EVENTS
        assert log.dropped == 11
        assert texts(log, after=11, limit=1) == ["10" * 200]
        full(log, lambda: log._connection.execute("PRAGMA max_page_count=1000000"))
        time.advance(5)
        assert len(log._pending) == 0
        assert len(log.read(11, limit=10**6)) == FLUSH_EVENTS
        log.close()


def full(log: ReplayLog, change: Callable[[], sqlite3.Cursor]) -> None:
    """SQLite refuses to grow the file, with the error of a full disk."""
    change().fetchone()
