"""The open NETCONF sessions: their numbers, limits and counters (RFC 6022)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlag_agent.server.session import NetconfSession

__all__ = ["Counters", "Registry"]

MAX_SESSION_ID = 2**32 - 1


@dataclass(slots=True)
class Counters:
    """Per session and in total, as ietf-netconf-monitoring names them; they wrap at 2**32 like any counter32."""

    in_rpcs: int = 0
    in_bad_rpcs: int = 0
    out_rpc_errors: int = 0
    out_notifications: int = 0

    def as_state(self) -> dict[str, int]:
        """The common counters of RFC 6022."""
        return {
            "in-rpcs": self.in_rpcs % 2**32,
            "in-bad-rpcs": self.in_bad_rpcs % 2**32,
            "out-rpc-errors": self.out_rpc_errors % 2**32,
            "out-notifications": self.out_notifications % 2**32,
        }


@dataclass(slots=True)
class Registry:
    """Sessions by number, which are not used again before they wrap; counters as RFC 6022 section 2.1.5 has them.

    ``in_sessions``: server hellos sent; ``in_bad_hellos``: sessions ended for what came instead of a usable hello;
    ``dropped_sessions``: sessions that ended neither by close-session nor by kill-session.
    """

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    totals: Counters = field(default_factory=Counters)
    leniencies: Counter[str] = field(default_factory=Counter)
    in_sessions: int = 0
    in_bad_hellos: int = 0
    dropped_sessions: int = 0
    _sessions: dict[int, NetconfSession] = field(default_factory=dict)
    _next: int = 1

    def __iter__(self) -> Iterator[NetconfSession]:
        return iter(tuple(self._sessions.values()))

    def __contains__(self, session: object) -> bool:
        return any(open_ is session for open_ in self._sessions.values())

    def __len__(self) -> int:
        return len(self._sessions)

    def take_number(self) -> int:
        """A session-id for a new session."""
        while self._next in self._sessions:
            self._next = self._next % MAX_SESSION_ID + 1
        number = self._next
        self._next = self._next % MAX_SESSION_ID + 1
        return number

    def add(self, session: NetconfSession) -> None:
        """A session that has exchanged hellos."""
        self._sessions[session.session_id] = session

    def remove(self, session: NetconfSession) -> None:
        """A session that has ended."""
        self._sessions.pop(session.session_id, None)

    async def kill(self, session_id: int, by: int) -> bool:
        """End a session; when this returns it holds nothing any more.  False when there is none of that number."""
        session = self._sessions.get(session_id)
        if session is None:
            return False
        await session.kill(by)
        return True

    def describe(self) -> Sequence[Mapping[str, Any]]:
        """The rows of ``/netconf-state/sessions``."""
        return [
            {
                "session-id": session.session_id,
                "transport": f"ietf-netconf-monitoring:{session.transport}",
                "username": session.username,
                "source-host": session.source_host,
                "login-time": session.login_time,
                **session.counters.as_state(),
            }
            for session in self
        ]

    def statistics(self) -> Mapping[str, Any]:
        """``/netconf-state/statistics``."""
        return {
            "netconf-start-time": self.started,
            "in-bad-hellos": self.in_bad_hellos,
            "in-sessions": self.in_sessions,
            "dropped-sessions": self.dropped_sessions,
            **self.totals.as_state(),
        }
