"""The record of the operations that came in: bounded, in memory, for tests to assert on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time
from typing import Any

from mlag_agent.errors import RpcError

__all__ = ["Operation", "OperationLog"]

MAX_ERRORS = 20
"""Errors of one operation that are kept."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.  ``number`` counts from 1 since the start or the last ``clear``.

    ``operation``: ``module:name`` of an rpc, the instance path of an action's data node and its name for an action;
    ``datastore``: the one that it names; ``errors``: tag, app-tag, path and message of each, nothing when it went well;
    ``leniencies``: what a strict server would have refused.
    """

    number: int
    time: datetime
    session_id: int
    username: str
    operation: str
    datastore: str | None
    errors: tuple[RpcError, ...]
    leniencies: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return not self.errors

    def as_json(self) -> dict[str, Any]:
        """For JSON lines."""
        return {
            "number": self.number,
            "time": self.time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "session": self.session_id,
            "user": self.username,
            "operation": self.operation,
            "datastore": self.datastore,
            "result": "ok" if self.ok else self.errors[0].tag.value,
            "errors": [
                {"tag": error.tag.value, "app-tag": error.app_tag, "path": error.path, "message": error.message}
                for error in self.errors
            ],
            "leniencies": list(self.leniencies),
        }


_Row = tuple[int, float, int, str, str, str | None, Sequence[RpcError], Sequence[str]]


class OperationLog:
    """The last ``length`` operations; more forget the oldest.

    ``clock`` gives seconds since the epoch.  An operation costs little until somebody looks: it is kept as it comes.
    """

    def __init__(self, length: int, *, clock: Callable[[], float] = time) -> None:
        self._kept: deque[_Row] = deque(maxlen=length)
        self._number = 0
        self._clock = clock
        self._followers: list[Callable[[Operation], None]] = []

    def add(  # noqa: PLR0917  # what one operation is
        self,
        session_id: int,
        username: str,
        operation: str,
        datastore: str | None,
        errors: Sequence[RpcError],
        leniencies: Sequence[str],
    ) -> None:
        """An operation has been answered."""
        self._number += 1
        if len(errors) > MAX_ERRORS:
            errors = errors[:MAX_ERRORS]
        row = (self._number, self._clock(), session_id, username, operation, datastore, errors, leniencies)
        self._kept.append(row)
        if self._followers:
            made = _operation(row)
            for follow in tuple(self._followers):
                follow(made)

    def __iter__(self) -> Iterator[Operation]:
        return iter([_operation(row) for row in self._kept])

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Forget everything; numbers begin again."""
        self._kept.clear()
        self._number = 0

    def follow(self, callback: Callable[[Operation], None]) -> Callable[[], None]:
        """Have a function called with each operation from now on; returns what ends that."""
        self._followers.append(callback)

        def end() -> None:
            if callback in self._followers:
                self._followers.remove(callback)

        return end


def _operation(row: _Row) -> Operation:
    number, seconds, session_id, username, operation, datastore, errors, leniencies = row
    when = datetime.fromtimestamp(seconds, UTC)
    return Operation(number, when, session_id, username, operation, datastore, tuple(errors), tuple(leniencies))
