"""The audit log: who did what, from where, to which nodes, and what came of it; one line of JSON for each.

A line tells paths, never values; of a path below a secret node it tells no keys.  docs/decisions/046-audit-log.md says
why this is a file and no table of the state file.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from time import time
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

import msgspec

from mlag_agent.data.diff import Change, changes
from mlag_agent.data.tree import Container
from mlag_agent.errors import RpcError, SettingsError

__all__ = ["MAX_PATHS", "AuditFile", "AuditLog", "Session"]

_LOG = logging.getLogger(__name__)

MAX_PATHS: Final = 50
"""Changed nodes that a line names; a bulk load has thousands, and a line is for reading."""

MAX_PATH: Final = 500
"""Characters of a path that a line shows; keys may be long."""

MAX_ERRORS: Final = 10
"""Errors that a line names."""

READING: Final = frozenset(
    {
        "ietf-netconf:get",
        "ietf-netconf:get-config",
        "ietf-netconf-nmda:get-data",
        "ietf-netconf-monitoring:get-schema",
        "ietf-nmda-compare:compare",
    }
)
"""Operations that change nothing: a setting leaves those that succeed out."""


class Session(Protocol):
    """What a line says of the session."""

    @property
    def session_id(self) -> int:
        """Its number."""

    @property
    def username(self) -> str:
        """Its user."""


class AuditFile:
    """Appends lines to a file of mode 0600, and begins a new one when it has reached its size.

    ``audit.jsonl`` becomes ``audit.jsonl.1``, that ``.2`` and so on; ``keep`` old ones stay.  Each line goes to the
    system at once (``O_APPEND``): what was written before a crash of the agent is there.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int) -> None:
        """Raises SettingsError when the file cannot be opened."""
        self.path = path
        self._max_bytes = max_bytes
        self._keep = keep
        try:
            self._open()
        except OSError as error:
            raise SettingsError(
                f"cannot write the audit log {path}: {error.strerror}", 'set audit.file, or "off" to have none'
            ) from error

    def _open(self) -> None:
        self._descriptor = os.open(
            self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        self._size = os.fstat(self._descriptor).st_size

    def write(self, line: bytes) -> None:
        """One line, its end included; raises OSError."""
        if self._size and self._size + len(line) > self._max_bytes:
            self._rotate()
        written = os.write(self._descriptor, line)
        self._size += written
        if written < len(line):
            raise OSError(f"{written} of {len(line)} bytes were written")

    def _rotate(self) -> None:
        """The old file stays open, and in use, until the new one is."""
        if self._keep == 0:
            os.ftruncate(self._descriptor, 0)
            self._size = 0
            return
        for number in range(self._keep - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        self.path.replace(self._numbered(1))
        before = self._descriptor
        self._open()
        os.close(before)

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def close(self) -> None:
        """No line is written after this."""
        os.close(self._descriptor)


@dataclass(slots=True)
class _Noted:
    datastore: str | None = None
    paths: list[str] = field(default_factory=list)
    more: bool = False
    remarks: dict[str, str] = field(default_factory=dict)


class AuditLog:
    """Makes the lines.  A line that cannot be written is an error in the ordinary log, and counted; work goes on."""

    def __init__(
        self,
        file: AuditFile,
        *,
        reads: bool = True,
        now: Callable[[], float] = time,
    ) -> None:
        """``reads``: whether operations that read and succeed have a line; ``now``: seconds since the epoch."""
        self._file = file
        self._reads = reads
        self._now = now
        self._second = -1
        self._second_as_text = ""
        self._noted: WeakKeyDictionary[Session, _Noted] = WeakKeyDictionary()
        self._encoder = msgspec.json.Encoder()
        self._failing = False
        self.lost = 0
        """Lines that could not be written."""

    # --- what an operation does ---------------------------------------------------------------------------------

    def changing(self, session: Session, datastore: str, found: Iterable[Change]) -> None:
        """The operation that the session has sent makes these changes, or would."""
        noted = self._noted.setdefault(session, _Noted())
        noted.datastore = datastore
        for change in islice(found, MAX_PATHS + 1 - len(noted.paths)):
            if len(noted.paths) == MAX_PATHS:
                noted.more = True
                break
            path = change.schema.path if change.schema.secret else change.path
            noted.paths.append(f"{change.kind} {path if len(path) <= MAX_PATH else path[: MAX_PATH - 1] + '…'}")

    def replacing(self, session: Session, datastore: str, before: Container, after: Container) -> None:
        """As ``changing``, from the two trees."""
        self.changing(session, datastore, changes(before, after))

    def remarked(self, session: Session, *, label: str | None, description: str | None) -> None:
        """The commit that the session has sent comes with these words, which are meant to be written down."""
        noted = self._noted.setdefault(session, _Noted())
        noted.remarks = {name: text for name, text in (("label", label), ("description", description)) if text}

    def operation(
        self, session: Session, name: str, *, datastore: str | None, errors: Sequence[RpcError] | None
    ) -> None:
        """The operation is over.

        ``name``: module and name of an rpc, the path of an action; ``errors`` None: nobody got an answer, since the
        session was ended meanwhile.
        """
        noted = self._noted.pop(session, None)
        if not self._reads and errors is not None and not errors and name in READING:
            return
        line = self._session("operation", session)
        line["operation"] = name[:MAX_PATH]
        if datastore is None and noted is not None:
            datastore = noted.datastore
        if datastore is not None:
            line["datastore"] = datastore
        if noted is not None and noted.paths:
            line["changes"] = noted.paths
            if noted.more:
                line["more-changes"] = True
        if noted is not None and noted.remarks:
            line |= noted.remarks
        line["result"] = "aborted" if errors is None else "error" if errors else "ok"
        if errors:
            line["errors"] = [_error(error) for error in errors[:MAX_ERRORS]]
        self.write(line)

    def _session(self, event: str, session: Session) -> dict[str, Any]:
        return {
            "time": self._time(),
            "event": event,
            "user": session.username,
            "source": getattr(session, "source_host", ""),
            "session": session.session_id,
        }

    def _time(self) -> str:
        """RFC 3339, in UTC, to the millisecond; all but the milliseconds is written once a second."""
        now = self._now()
        second = int(now)
        if second != self._second:
            self._second = second
            self._second_as_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._second_as_text}.{int((now - second) * 1000):03d}Z"

    # --- sessions and logins --------------------------------------------------------------------------------------

    def session_started(self, session: Session, transport: str) -> None:
        """A user has logged in and opened a session."""
        self.write({**self._session("session-start", session), "transport": transport})

    def session_ended(self, session: Session) -> None:
        """It is over."""
        self.write(self._session("session-end", session))

    def login_failed(self, user: str, source: str, method: str) -> None:
        """Somebody could not show that he is ``user``."""
        line = {"event": "login-failed", "user": user[:MAX_PATH], "source": source, "method": method}
        self.write({"time": self._time(), **line})

    # --- the file -----------------------------------------------------------------------------------------------

    def write(self, line: dict[str, Any]) -> None:
        """One line; never raises."""
        try:
            self._file.write(self._encoder.encode(line) + b"\n")
        except OSError as error:
            self.lost += 1
            if not self._failing:
                self._failing = True
                _LOG.error("the audit log %s cannot be written: %s", self._file.path, error)
            return
        if self._failing:
            self._failing = False
            _LOG.warning("the audit log %s is written again; %d lines are missing", self._file.path, self.lost)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _error(error: RpcError) -> dict[str, str]:
    """Tag, app-tag and path; the message may quote a value."""
    found = {"tag": str(error.tag)}
    if error.app_tag is not None:
        found["app-tag"] = error.app_tag
    if error.path is not None:
        found["path"] = error.path[:MAX_PATH]
    return found
