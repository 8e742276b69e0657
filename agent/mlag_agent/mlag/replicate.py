"""What the peer still has to be told of one table: a batch at session start, increments afterwards, sans-IO.

Only keys are queued. What is sent is decided when it goes out, by comparing the table with ``announced``, what this
session has told the peer: so an entry that comes and goes while it waits costs nothing, and the queue is bounded by
the number of entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Final, cast

from mlag_agent.mlag.config import EntryType
from mlag_agent.mlag.messages import BATCH_RECORDS
from mlag_agent.mlag.ratelimit import TokenBucket
from mlag_agent.mlag.tables import NeighbourTable

__all__ = ["Outgoing", "Replicator"]

_MARKER_ONLY: Final = (b"", b"")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One step of sending: records (key + MAC) and keys to withdraw, either may be empty; whether the batch ends."""

    records: bytes
    withdrawals: bytes
    end_of_batch: bool


class Replicator:
    """Queue of one table towards the peer; implements ``tables.Outbox``."""

    def __init__(self, table: NeighbourTable, rate: int | None, now: float) -> None:
        self.table = table
        self.bucket = TokenBucket(rate, now)
        self.sent = 0
        self.withdrawn = 0
        self._active = False
        self._announced: dict[bytes, bytes] = {}
        self._left: dict[bytes, bytes] = {}
        self._left_revision = 0
        self._queue: list[bytes] = []
        self._position = 0
        self._batch = False
        self._marker_due = False
        self._dirty: dict[bytes, bool] = {}
        self._forced: dict[bytes, bool] = {}
        table.connect_outbox(self)

    @property
    def type(self) -> EntryType:
        """The table's type."""
        return self.table.type

    @property
    def active(self) -> bool:
        """A session takes what is queued."""
        return self._active

    @property
    def pending(self) -> int:
        """Entries and withdrawals that wait; without a session, all that the next one has to send."""
        if not self._active:
            return self.table.synced_count
        return len(self._queue) - self._position + len(self._dirty)

    @property
    def digest(self) -> str:
        """Digest of the shared entries, see ``NeighbourTable.digest``."""
        return self.table.digest(self._left, self._left_revision)

    def start(self) -> None:
        """A session is up: the whole table is to be sent."""
        self._active = True
        self._announced.clear()
        self._set_left({})
        self._dirty.clear()
        self._forced = {}
        self._queue = self.table.synced_keys()
        self._position = 0
        self._batch = self._marker_due = True

    def stop(self) -> None:
        """The session is gone; what was told is remembered for the digest only."""
        self._active = False
        self._dirty.clear()
        self._queue = []
        self._position = 0
        self._batch = self._marker_due = False

    def forget(self) -> None:
        """The peer is gone for good, and with it what it was left with."""
        self.stop()
        self._announced.clear()
        self._set_left({})

    def changed(self, key: bytes, *, traffic: bool) -> None:
        """See ``Outbox``."""
        mac = self._left.pop(key, None)
        if mac is not None:
            self._left_revision += 1
            self._announced[key] = mac  # the peer has it still, so it can be withdrawn again
        if self._active:
            self._dirty[key] = traffic or self._dirty.get(key, False)

    def left(self, key: bytes) -> None:
        """See ``Outbox``."""
        mac = self._announced.pop(key, None)
        self._dirty.pop(key, None)
        if mac is not None:
            self._left[key] = mac
            self._left_revision += 1

    def next_outgoing(self, now: float) -> Outgoing | None:
        """What may be sent now, ``None`` when nothing waits or the rate holds it back (see ``wake_time``)."""
        while self._active:
            if self._position >= len(self._queue):
                if self._marker_due:
                    self._marker_due = self._batch = False
                    return Outgoing(*_MARKER_ONLY, end_of_batch=True)
                if not self._dirty:
                    return None
                self._forced, self._dirty = self._dirty, {}
                self._queue, self._position = list(self._forced), 0
            waiting = len(self._queue) - self._position
            granted = self.bucket.take(min(BATCH_RECORDS, waiting), now)
            if granted == 0:
                return None
            outgoing, used = self._compare(self._queue[self._position : self._position + granted])
            self._position += granted
            self.bucket.give_back(granted - used)
            if used:
                return outgoing
        return None

    def wake_time(self, now: float) -> float | None:
        """When ``next_outgoing`` is worth another call; ``None`` when nothing waits."""
        if not self._active or not (self.pending or self._marker_due):
            return None
        return self.bucket.next_time(now, max(1, self.pending))

    def _compare(self, keys: list[bytes]) -> tuple[Outgoing, int]:
        announced = self._announced
        macs = self.table.synced_macs(keys)
        # The usual case of a batch at C speed: all are still there, and none has been told.
        if self._batch and None not in macs and announced.keys().isdisjoint(keys):
            pairs = cast("list[tuple[bytes, bytes]]", list(zip(keys, macs, strict=True)))
            announced.update(pairs)
            self.sent += len(pairs)
            return Outgoing(b"".join(chain.from_iterable(pairs)), b"", end_of_batch=False), len(pairs)
        records: list[bytes] = []
        withdrawals: list[bytes] = []
        forced = {} if self._batch else self._forced
        for key, mac in zip(keys, macs, strict=True):
            if mac is not None:
                if announced.get(key) != mac or forced.get(key, False):
                    announced[key] = mac
                    records += (key, mac)
            elif announced.pop(key, None) is not None:
                withdrawals.append(key)
        count = len(records) // 2
        self.sent += count
        self.withdrawn += len(withdrawals)
        outgoing = Outgoing(b"".join(records), b"".join(withdrawals), end_of_batch=False)
        return outgoing, count + len(withdrawals)

    def _set_left(self, left: dict[bytes, bytes]) -> None:
        if left or self._left:
            self._left = left
            self._left_revision += 1
