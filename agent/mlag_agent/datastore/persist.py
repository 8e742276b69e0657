"""What must survive a crash, in SQLite (ARCHITECTURE section 2).

Each commit appends its edit, so that a commit's cost does not grow with the datastore; a snapshot is taken when
the edits since the last one outweigh it.  With WAL and ``synchronous=FULL`` a committed transaction is on disk.
The statements run on the event loop: a commit of 300 bytes takes a quarter of a millisecond here, less than two
thread hops and the reordering they would bring.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zlib import crc32

from mlag_agent.errors import ErrorTag, RpcError, RpcFailure, SettingsError

__all__ = ["NOT_WRITABLE", "DamagedError", "Journal", "Stored", "StoredPending"]

_LOG = logging.getLogger(__name__)

SCHEMA_VERSION = 3

NOT_WRITABLE = "state-file-not-writable"
"""error-app-tag of a change that cannot be stored."""

# An agent that is just ending lets go of the file within this.
LOCK_WAIT_SECONDS = 0.5

# A log that is checkpointed soon is written over instead of growing, which spares the file system's own journal:
# 130 us for a durable commit here instead of 225 us with SQLite's 1,000 pages, checkpoints included.
CHECKPOINT_PAGES = 64

# Edits weighing less than this never cause a snapshot: small datastores would be rewritten all the time.
SNAPSHOT_FLOOR_BYTES = 64 * 1024

# What each version of the file added to the one before.
_TABLES = (
    (
        "CREATE TABLE snapshot (datastore TEXT PRIMARY KEY, config BLOB NOT NULL) STRICT",
        "CREATE TABLE edit (id INTEGER PRIMARY KEY, datastore TEXT NOT NULL, config BLOB NOT NULL) STRICT",
    ),
    (
        "CREATE TABLE pending (id INTEGER PRIMARY KEY CHECK (id = 1), config BLOB NOT NULL, persist TEXT, "
        "deadline TEXT NOT NULL) STRICT",
    ),
    # SQLite has no checksum of what is in its pages. NULL: written by a version before this one.
    tuple(f"ALTER TABLE {table} ADD COLUMN crc INTEGER" for table in ("snapshot", "edit", "pending")),
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A datastore as it was stored: a configuration and the edits made to it since, oldest first."""

    snapshot: bytes
    edits: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StoredPending:
    """A confirmed commit that nobody has confirmed: what to go back to, its persist-id, when it was due."""

    config: bytes
    persist: str | None
    deadline: datetime


class DamagedError(Exception):
    """What the file holds is not what was written to it."""


class Journal:
    """One device's state file.  Opened once; ``close`` ends it."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path
        self._weights: dict[str, tuple[int, int]] = {}  # datastore: bytes of its snapshot, of its edits
        self.outrun = False
        """Running has gone back to what ``pending`` holds and that could not be stored: a start does the same, but an
        edit would follow on the wrong configuration.  The next one is stored as a whole snapshot."""

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open or make the file (mode 0600).

        A file that is damaged is set aside as ``NAME.damaged-N`` and reported in the log; raises SettingsError
        when another agent uses the file, the folder cannot be written or the file is of a newer version.
        """
        try:
            return cls(cls._connect(path), path)
        except OSError as error:
            raise SettingsError(f"cannot open the state file {path}: {error}", "is the folder writable?") from error
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                words = f"another agent uses the state file {path}"
                raise SettingsError(words, "end it, or give this one a state folder of its own") from error
            raise SettingsError(f"cannot open the state file {path}: {error}", "is the folder writable?") from error
        except sqlite3.DatabaseError as error:
            _set_aside(path, str(error))
            return cls(cls._connect(path), path)

    def start_over(self, damage: str) -> None:
        """The file cannot be read: set it aside, report that, and begin a new one."""
        self._connection.close()
        _set_aside(self.path, damage)
        self._connection = self._connect(self.path)
        self._weights.clear()

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, timeout=LOCK_WAIT_SECONDS)
        try:
            # One agent, one state file: a second agent on it would undo the first one's commits.  Asked for before WAL,
            # so that there is no shared memory file.
            connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchone()
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            connection.execute("BEGIN EXCLUSIVE")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version < 0:
                raise sqlite3.DatabaseError(f"version {version}")
            if version < SCHEMA_VERSION:
                for statements in _TABLES[version:]:
                    for statement in statements:
                        connection.execute(statement)
                connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            connection.execute("COMMIT")
            if version > SCHEMA_VERSION:
                raise SettingsError(f"the state file {path} is of version {version}; this agent knows {SCHEMA_VERSION}")
            problem = connection.execute("PRAGMA quick_check").fetchone()[0]
            if problem != "ok":
                raise sqlite3.DatabaseError(problem)
        except BaseException:
            connection.close()
            raise
        return connection

    def load(self, datastore: str) -> Stored | None:
        """What is stored of a datastore; None when there never was anything.  Raises DamagedError."""
        try:
            row = self._connection.execute(
                "SELECT config, crc FROM snapshot WHERE datastore = ?", (datastore,)
            ).fetchone()
            rows = self._connection.execute(
                "SELECT config, crc FROM edit WHERE datastore = ? ORDER BY id", (datastore,)
            )
            edits = tuple(_intact(config, crc) for config, crc in rows)
        except sqlite3.DatabaseError as error:
            raise DamagedError(str(error)) from error
        if row is None and not edits:
            return None
        snapshot = _intact(*row) if row is not None else b""
        self._weights[datastore] = (len(snapshot), sum(map(len, edits)))
        return Stored(snapshot, edits)

    @contextmanager
    def writing(self, datastore: str, edit: bytes, whole: Callable[[], bytes]) -> Iterator[None]:
        """An open transaction that holds the edit: durable when the block ends, gone when it raises.

        ``whole`` gives the datastore's configuration when a snapshot is due.  Raises RpcFailure when the file
        cannot be written (full disk, read-only folder): then nothing is stored.
        """
        snapshot_size, edits_size = self._weights.get(datastore, (0, 0))
        edits_size += len(edit)
        outrun = self.outrun
        snapshot = whole() if outrun or edits_size > max(snapshot_size, SNAPSHOT_FLOOR_BYTES) else None
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            if snapshot is not None:
                self._connection.execute(_SNAPSHOT, (datastore, snapshot, crc32(snapshot)))
                self._connection.execute("DELETE FROM edit WHERE datastore = ?", (datastore,))
                snapshot_size, edits_size = len(snapshot), 0
                if outrun:
                    self._connection.execute("DELETE FROM pending")
            else:
                self._connection.execute(_EDIT, (datastore, edit, crc32(edit)))
        except sqlite3.Error as error:
            self._rollback()
            raise _cannot_store(self.path, error) from error
        try:
            yield
        except BaseException:
            self._rollback()
            raise
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._rollback()
            raise _cannot_store(self.path, error) from error
        self._weights[datastore] = (snapshot_size, edits_size)
        self.outrun = False

    def replace(self, datastore: str, config: bytes, *, disarm: bool = False) -> None:
        """Store a whole configuration; durable when this returns, and never half.  Raises RpcFailure.

        ``disarm``: together with it, forget the confirmed commit that was pending.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(_SNAPSHOT, (datastore, config, crc32(config)))
            self._connection.execute("DELETE FROM edit WHERE datastore = ?", (datastore,))
            if disarm:
                self._connection.execute("DELETE FROM pending")
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._rollback()
            raise _cannot_store(self.path, error) from error
        self._weights[datastore] = (len(config), 0)

    def reset(self, datastore: str, config: bytes) -> None:
        """Hold this and nothing else, not even in free pages (RFC 8808 section 2).  Raises RpcFailure."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for table in ("snapshot", "edit", "pending"):
                self._connection.execute(f"DELETE FROM {table}")  # noqa: S608  # our own three
            self._connection.execute(_SNAPSHOT, (datastore, config, crc32(config)))
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._rollback()
            raise _cannot_store(self.path, error) from error
        self._weights = {datastore: (len(config), 0)}
        self.outrun = False
        try:
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            # What it should hold it holds; the free pages are written over in time.
            _LOG.error("state file %s: what was deleted is still in free pages: %s", self.path, error)

    # --- the pending confirmed commit (RFC 6241 section 8.4) ------------------------------------------------
    # Within ``writing`` each of these belongs to its transaction; alone, it is one of its own.

    def pending(self) -> StoredPending | None:
        """The confirmed commit that was pending when the file was last written.  Raises DamagedError."""
        try:
            row = self._connection.execute("SELECT config, persist, deadline, crc FROM pending").fetchone()
            if row is None:
                return None
            return StoredPending(_intact(row[0], row[3]), row[1], datetime.fromisoformat(row[2]))
        except (sqlite3.DatabaseError, ValueError) as error:
            raise DamagedError(str(error)) from error

    def arm(self, pending: StoredPending) -> None:
        """A confirmed commit is pending from now on.  Raises RpcFailure."""
        values = (pending.config, pending.persist, pending.deadline.isoformat(), crc32(pending.config))
        self._execute("REPLACE INTO pending (id, config, persist, deadline, crc) VALUES (1, ?, ?, ?, ?)", values)

    def extend(self, persist: str | None, deadline: datetime) -> None:
        """The pending one has another persist-id or deadline; what to go back to stays.  Raises RpcFailure."""
        self._execute("UPDATE pending SET persist = ?, deadline = ?", (persist, deadline.isoformat()))

    def disarm(self) -> None:
        """None is pending any more.  Raises RpcFailure."""
        self._execute("DELETE FROM pending")

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> None:
        try:
            self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise _cannot_store(self.path, error) from error

    def _rollback(self) -> None:
        """After an error: SQLite has rolled back by itself after some (a full disk), and the file may be gone."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            _LOG.exception("state file %s: the transaction cannot be rolled back; it ends with the agent", self.path)

    def close(self) -> None:
        """Close the file; what was acknowledged is in it."""
        self._connection.close()


_SNAPSHOT = "REPLACE INTO snapshot (datastore, config, crc) VALUES (?, ?, ?)"
_EDIT = "INSERT INTO edit (datastore, config, crc) VALUES (?, ?, ?)"


def _intact(config: bytes, crc: int | None) -> bytes:
    if crc is not None and crc32(config) != crc:
        raise DamagedError("a stored configuration has another checksum than when it was written")
    return bytes(config)


def _set_aside(path: Path, damage: str) -> None:
    """Give a damaged file, and the log that belongs to it, another name."""
    aside = next(p for n in range(1, 10_000) if not (p := path.with_name(f"{path.name}.damaged-{n}")).exists())
    for suffix in ("", "-wal"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(aside.with_name(aside.name + suffix))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    _LOG.error("state file %s is damaged (%s); set aside as %s, starting without it", path, damage, aside.name)


def _cannot_store(path: Path, error: sqlite3.Error) -> RpcFailure:
    words = f"the change cannot be stored in {path}: {error}; nothing was applied"
    return RpcFailure(RpcError(ErrorTag.OPERATION_FAILED, words, app_tag=NOT_WRITABLE))
