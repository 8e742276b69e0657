"""How long a login has to wait after failed ones, so that passwords cannot be tried out at speed.

Pure: time comes in as an argument, in seconds of a clock that only goes forward.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Final

__all__ = ["FIRST_DELAY", "LoginDelays"]

FIRST_DELAY: Final = 0.25
"""Seconds after the first failure; who mistypes hardly notices it."""

LONGEST_DELAY: Final = 10.0
"""Seconds between two attempts of a source at most, however many have failed."""

LONGEST_WAIT: Final = 20.0
"""Seconds that an attempt waits for its turn; one that would wait longer is refused unseen.  Below the time that a
login may take (``server.transports``), or waiting would look like a broken server."""

USER_FAILURES: Final = 10
"""Failures for one name, from wherever, before its logins are slowed down."""

USER_DELAY: Final = 2.0
"""Seconds by which they are: enough to stop many sources from guessing, too little to lock the owner out."""

FORGET_SECONDS: Final = 900.0
"""After this long without a failure a source or name starts afresh."""

MAX_ENTRIES: Final = 4096
"""Sources, and names, that are remembered; the one that failed longest ago goes first."""


@dataclass(slots=True)
class _Record:
    failures: int = 0
    last: float = 0.0
    free_at: float = 0.0


class LoginDelays:
    """Failed logins by source address and by user name.

    Attempts of a source that has failed take turns, each ``FIRST_DELAY`` doubled with each failure after the one
    before: to open many connections at once gains nothing.  IPv6 sources count by their /64, which one host has.
    """

    def __init__(self, *, first_delay: float = FIRST_DELAY, max_entries: int = MAX_ENTRIES) -> None:
        self._first_delay = first_delay
        self._max_entries = max_entries
        self._sources: OrderedDict[str, _Record] = OrderedDict()
        self._users: OrderedDict[str, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sources) + len(self._users)

    def wait(self, now: float, source: str, user: str) -> float | None:
        """Seconds before an attempt may be judged, its turn being kept for it; None: refuse it unseen."""
        by_name = self._known(self._users, user, now)
        slowed = USER_DELAY if by_name is not None and by_name.failures >= USER_FAILURES else 0.0
        record = self._known(self._sources, _network(source), now)
        if record is None:
            return slowed
        turn = max(now, record.free_at)
        if turn - now > LONGEST_WAIT:
            return None
        record.free_at = turn + self._delay(record.failures)
        return max(turn - now, slowed)

    def failed(self, now: float, source: str, user: str) -> None:
        """The attempt was wrong."""
        record = self._noted(self._sources, _network(source), now)
        record.free_at = max(record.free_at, now + self._delay(record.failures))
        self._noted(self._users, user, now)

    def succeeded(self, user: str) -> None:
        """The name's owner is there.  Failures of the source are not forgotten: it may have other names in mind."""
        self._users.pop(user, None)

    def _delay(self, failures: int) -> float:
        return min(LONGEST_DELAY, self._first_delay * 2.0 ** min(failures - 1, 16))

    def _known(self, records: OrderedDict[str, _Record], key: str, now: float) -> _Record | None:
        record = records.get(key)
        if record is not None and now - record.last > FORGET_SECONDS:
            del records[key]
            return None
        return record

    def _noted(self, records: OrderedDict[str, _Record], key: str, now: float) -> _Record:
        record = self._known(records, key, now)
        if record is None:
            record = records[key] = _Record()
        record.failures += 1
        record.last = now
        records.move_to_end(key)
        while len(records) > self._max_entries:
            records.popitem(last=False)
        return record


def _network(source: str) -> str:
    try:
        address = ip_address(source.partition("%")[0])
    except ValueError:
        return source
    if isinstance(address, IPv4Address):
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped) if mapped is not None else str(ip_network((address, 64), strict=False))
