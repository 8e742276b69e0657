"""When a wrong or missing digest is told: once for each run of failures on a link, however many packets it has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from mlag_agent.mlag.config import Link
from mlag_agent.mlag.events import AuthenticationFailure, EngineEvent
from mlag_agent.mlag.reasons import Cause
from mlag_agent.mlag.statistics import PacketCounters

__all__ = ["AuthenticationAlarms", "Watched"]


class Watched(Protocol):
    """A part of the engine that checks digests; its number of failures is never reset."""

    counters: PacketCounters
    authentication_failures: int


class AuthenticationAlarms:
    """``wall`` gives aware UTC; ``emit`` gets the events."""

    def __init__(self, wall: Callable[[], datetime], emit: Callable[[EngineEvent], None]) -> None:
        self._wall = wall
        self._emit = emit
        self._raised: set[Link] = set()
        self._seen: dict[PacketCounters, int] = {}

    def look(self, link: Link, part: Watched, cause: Cause | None) -> None:
        """Tell of failures since the last look; ``cause``: why the newest packet was refused."""
        if part.authentication_failures == self._seen.get(part.counters, 0):
            return
        self._seen[part.counters] = part.authentication_failures
        if link not in self._raised:
            self._raised.add(link)
            detail = "" if cause is None else cause.detail
            self._emit(AuthenticationFailure(self._wall(), link, detail, part.counters.last_unverified))

    def ended(self, link: Link) -> None:
        """Packets of the link are right again: the next failure is told again."""
        self._raised.discard(link)
