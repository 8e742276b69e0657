"""The log that replay reads (RFC 5277 section 3.3, RFC 8639 section 2.4.2.1): bounded, and there after a restart.

It is a file of its own beside the datastores'.  SQLite has one transaction at a time on a connection, so in one file an
event would have to wait for a commit or become a part of it.  Events are written a little later, many at a time and
without waiting for the disk: a crash of the agent costs the last ``FLUSH_SECONDS``, a power failure a little more, and
no commit ever waits for an event.  docs/decisions/036-notification-log.md has the figures.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

from mlag_agent.notify.clock import Clock, Timer
from mlag_agent.notify.notification import Notification
from mlag_agent.schema.nodes import SchemaNode

__all__ = ["Logged", "ReplayLog"]

_LOG = logging.getLogger(__name__)

FLUSH_SECONDS = 0.25
"""How long an event may be in memory only."""

FLUSH_EVENTS = 500
"""Written at once when so many wait: a few milliseconds of work."""

READ_EVENTS = 100
"""How many events a replay takes at a time."""

# A crash between two batches loses nothing that was written; the file system is not waited for (synchronous=NORMAL
# asks for the disk at a checkpoint only).
_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "locking_mode=EXCLUSIVE")
_TABLES = (
    "CREATE TABLE IF NOT EXISTS event (number INTEGER PRIMARY KEY, time INTEGER NOT NULL, stream TEXT NOT NULL, "
    "schema TEXT NOT NULL, content BLOB NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Logged:
    """An event with its place in the log and the stream that it was published to."""

    number: int
    stream: str
    notification: Notification


class ReplayLog:
    """The last events of all streams, oldest first.

    ``length`` events and ``size`` bytes of content are kept, and what is written in one go more.  ``find`` gives the
    schema node for a path, or None for one that this agent does not serve any more: such events are passed over.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        length: int,
        size: int,
        find: Callable[[str], SchemaNode | None],
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._length = length
        self._size = size
        self._find = find
        self._clock = clock
        self._timer: Timer | None = None
        self._pending: deque[Logged] = deque()
        self._failing = False
        meta = dict(connection.execute("SELECT name, value FROM meta").fetchall())
        if "created" not in meta:
            meta["created"] = _microseconds(clock.now())
            connection.execute("INSERT INTO meta VALUES ('created', ?)", (meta["created"],))
        self.created = _time(meta["created"])
        """When the log was made (replayLogCreationTime)."""
        self.aged: datetime | None = _time(meta["aged"]) if "aged" in meta else None
        """The time of the last event that has been dropped for want of room (replayLogAgedTime)."""
        rows = connection.execute("SELECT number, length(content) FROM event ORDER BY number").fetchall()
        self._sizes: deque[tuple[int, int]] = deque((int(number), int(size)) for number, size in rows)
        self._bytes = sum(size for _, size in self._sizes)
        self.last = max(int(meta.get("last", 0)), self._sizes[-1][0] if self._sizes else 0)
        """The number of the last event."""
        self._dropped = int(meta.get("dropped", 0))

    @classmethod
    def open(
        cls,
        path: Path | None,
        *,
        length: int,
        size: int,
        find: Callable[[str], SchemaNode | None],
        clock: Clock,
    ) -> ReplayLog:
        """The log in a file (mode 0600), or in memory; a file that cannot be used is set aside and begun anew."""

        def made(connection: sqlite3.Connection) -> ReplayLog:
            return cls(connection, length=length, size=size, find=find, clock=clock)

        if path is None:
            return made(_connect(None))
        try:
            return made(_connect(path))
        except (sqlite3.DatabaseError, OSError) as error:
            aside = path.with_name(f"{path.name}.damaged")
            _LOG.error("notification log %s cannot be used (%s); set aside as %s", path, error, aside.name)
            try:
                path.with_name(f"{path.name}-wal").unlink(missing_ok=True)
                path.replace(aside)
                return made(_connect(path))
            except (sqlite3.DatabaseError, OSError) as again:
                _LOG.error("no notification log can be made at %s (%s); events are kept in memory only", path, again)
                return made(_connect(None))

    # --- writing ----------------------------------------------------------------------------------------

    def append(self, stream: str, notification: Notification) -> int:
        """Take an event; returns its number, which is one more than that of the event before."""
        self.last += 1
        self._pending.append(Logged(self.last, stream, notification))
        if len(self._pending) >= FLUSH_EVENTS:
            self.flush()
        elif self._timer is None:
            self._timer = self._clock.call_later(FLUSH_SECONDS, self._due)
        return self.last

    def _due(self) -> None:
        self._timer = None
        self.flush()

    def flush(self) -> None:
        """Write what is in memory only.  A file that cannot be written is reported once; memory stays bounded."""
        self._stop_timer()
        if not self._pending:
            return
        rows = [
            (item.number, _microseconds(item.notification.time), item.stream, item.notification.schema.path, content)
            for item in self._pending
            if (content := _content(item.notification)) is not None
        ]
        gone = self._too_many(rows)
        try:
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", rows)
            aged = self._drop(gone[-1][0]) if gone else None
            self._put("last", self.last)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                self._connection.execute("ROLLBACK")
            self._failed(error)
            return
        self._failing = False
        self._pending.clear()
        self._sizes.extend((row[0], len(row[4])) for row in rows)
        self._bytes += sum(len(row[4]) for row in rows) - sum(size for _, size in gone)
        for _ in gone:
            self._sizes.popleft()
        if aged is not None:
            self.aged, self._dropped = aged, gone[-1][0]

    def _too_many(self, rows: Sequence[tuple[int, int, str, str, bytes]]) -> Sequence[tuple[int, int]]:
        """Number and size of the oldest events that there is no room for, once ``rows`` are written."""
        count = len(self._sizes) + len(rows)
        size = self._bytes + sum(len(row[4]) for row in rows)
        gone: list[tuple[int, int]] = []
        for item in chain(self._sizes, ((row[0], len(row[4])) for row in rows)):
            if count - len(gone) <= self._length and size <= self._size:
                break
            gone.append(item)
            size -= item[1]
        return gone

    def _drop(self, number: int) -> datetime:
        """Delete all events up to this one; returns its time."""
        (time,) = self._connection.execute("SELECT time FROM event WHERE number = ?", (number,)).fetchone()
        self._connection.execute("DELETE FROM event WHERE number <= ?", (number,))
        self._put("aged", time)
        self._put("dropped", number)
        return _time(time)

    def _put(self, name: str, value: int) -> None:
        self._connection.execute("REPLACE INTO meta VALUES (?, ?)", (name, value))

    def _failed(self, error: sqlite3.Error) -> None:
        if not self._failing:
            self._failing = True
            _LOG.error("the notification log cannot be written (%s); events are kept in memory meanwhile", error)
        while len(self._pending) > FLUSH_EVENTS:
            lost = self._pending.popleft()
            self.aged, self._dropped = lost.notification.time, lost.number
        self._timer = self._clock.call_later(FLUSH_SECONDS, self._due)

    def clear(self) -> None:
        """Forget every event, also what is left in free pages (RFC 8808 section 2); numbers go on.

        To readers it is as if all of them had been dropped for want of room.
        """
        self.flush()
        if self._pending:  # could not be written
            self.aged, self._dropped = self._pending[-1].notification.time, self._pending[-1].number
            self._pending.clear()
        try:
            if self._sizes:
                newest = self._sizes[-1][0]
                self._connection.execute("BEGIN")
                aged = self._drop(newest)
                self._connection.execute("COMMIT")
                self.aged, self._dropped = max(aged, self.aged or aged), max(newest, self._dropped)
                self._sizes.clear()
                self._bytes = 0
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):  # there may be no transaction
                self._connection.execute("ROLLBACK")
            _LOG.error("the notification log could not be wiped: %s", error)

    # --- reading ----------------------------------------------------------------------------------------

    @property
    def dropped(self) -> int:
        """The number of the last event that is not in the log any more; 0 while all are."""
        return self._dropped

    def read(self, after: int, *, limit: int = READ_EVENTS) -> Sequence[Logged]:
        """The next events after a number, oldest first, at most ``limit``; none: the end is reached."""
        query = "SELECT number, time, stream, schema, content FROM event WHERE number > ? ORDER BY number LIMIT ?"
        rows = self._connection.execute(query, (after, limit)).fetchall()
        found = [
            Logged(number, stream, Notification(schema, bytes(content), _time(time)))
            for number, time, stream, path, content in rows
            if (schema := self._find(path)) is not None
        ]
        if rows and not found:
            return self.read(int(rows[-1][0]), limit=limit)
        if len(rows) < limit:
            last = int(rows[-1][0]) if rows else after
            found += [item for item in self._pending if item.number > last][: limit - len(rows)]
        return found

    def before(self, time: datetime) -> datetime | None:
        """The time of the last event before a time; None when the log has none."""
        query = "SELECT time FROM event WHERE time < ? ORDER BY number DESC LIMIT 1"
        row = self._connection.execute(query, (_microseconds(time),)).fetchone()
        times = [_time(int(row[0]))] if row is not None else []
        times += [item.notification.time for item in self._pending if item.notification.time < time]
        return times[-1] if times else None

    # --- the end ----------------------------------------------------------------------------------------

    def close(self) -> None:
        """Write what is left and close the file."""
        self.flush()
        self._stop_timer()
        self._connection.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _connect(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        path.touch(mode=0o600, exist_ok=True)
    connection = sqlite3.connect(":memory:" if path is None else path, isolation_level=None, timeout=0.5)
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchone()
        for table in _TABLES:
            connection.execute(table)
    except BaseException:
        connection.close()
        raise
    return connection


def _content(notification: Notification) -> bytes | None:
    try:
        return notification.content
    except Exception:  # noqa: BLE001  # one event that cannot be written must not keep the others from the log
        _LOG.exception("%r cannot be logged", notification)
        return None


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
