"""How many connections and sessions the agent takes, over all transports together, and how long it waits for them."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Admission", "Newcomer", "TransportLimits"]

log = logging.getLogger(__name__)

MAX_UNAUTHENTICATED = 256
"""Connections that have not logged in; one more makes one of them go, so that silent ones cannot lock others out.
OpenSSH refuses from 100."""

MAX_SESSIONS = 512
"""Sessions in total: with the connections above they stay below the usual limit of 1024 open files."""

MAX_SESSIONS_PER_USER = 256
"""One user, and whoever has his password, leaves half of them to the others."""

MAX_CONNECTIONS = 512
"""Connections that have logged in, with or without a session."""

MAX_AUTH_ATTEMPTS = 6
"""Wrong passwords and refused keys together; MaxAuthTries of OpenSSH's server.  An agent may offer some keys first."""

LOGIN_TIMEOUT = 30.0
"""Seconds from the TCP connection to the end of the login or TLS handshake; people who type a password need some."""

HELLO_TIMEOUT = 60.0
"""Seconds from the start of a session to the client's hello; netopeer2 has the same."""

IDLE_TIMEOUT = 60.0
"""Seconds an SSH connection may stay without any channel, after the login or after its last session."""

UNREAD_TIMEOUT = 600.0
"""Seconds in which a client takes not one byte of what waits for it: then it is not slow but gone."""

STOP_TIMEOUT = 10.0
"""Seconds that operations under way have when the agent stops; systemd's own limit is 90."""


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """Times in seconds, and counts; the same for all transports."""

    login_timeout: float = LOGIN_TIMEOUT
    hello_timeout: float = HELLO_TIMEOUT
    idle_timeout: float = IDLE_TIMEOUT
    keepalive_interval: float = 0.0
    """Between SSH keepalive messages to a client that says nothing; 0 sends none, three without an answer end the
    connection.  TCP's own keepalive, which no client sees, is always on."""
    unread_timeout: float = UNREAD_TIMEOUT
    """0: none."""
    stop_timeout: float = STOP_TIMEOUT
    max_unauthenticated: int = MAX_UNAUTHENTICATED
    max_connections: int = MAX_CONNECTIONS
    max_sessions: int = MAX_SESSIONS
    max_sessions_per_user: int = MAX_SESSIONS_PER_USER
    max_auth_attempts: int = MAX_AUTH_ATTEMPTS


class Newcomer(Protocol):
    """A TCP connection, before and after its login."""

    @property
    def source_host(self) -> str:
        """The address it comes from."""

    @property
    def peer(self) -> str:
        """Address and port, for the log."""

    def turn_away(self) -> None:
        """Close it at once."""


class Admission:
    """Who is here.  Everything that is taken in is handed back by the same object, once or more often."""

    def __init__(self, limits: TransportLimits | None = None) -> None:
        self.limits = limits or TransportLimits()
        self.refused: Counter[str] = Counter()
        """How often each limit, by its name in the settings, was reached."""
        self._waiting: dict[Newcomer, None] = {}  # in the order of their arrival
        self._logged_in: set[Newcomer] = set()
        self._sessions: dict[object, str] = {}
        self._per_user: Counter[str] = Counter()

    @property
    def unauthenticated(self) -> int:
        """Connections that have not logged in."""
        return len(self._waiting)

    @property
    def connections(self) -> int:
        """Connections, logged in or not."""
        return len(self._waiting) + len(self._logged_in)

    @property
    def sessions(self) -> int:
        """Sessions that are open."""
        return len(self._sessions)

    # --- connections ------------------------------------------------------------------------------------------------

    def arrived(self, newcomer: Newcomer) -> None:
        """A TCP connection.

        Too many without login make one of them go: the oldest of the address that has most of them, so that a host
        which opens thousands pushes out its own and not somebody else's login.
        """
        self._waiting[newcomer] = None
        if len(self._waiting) <= self.limits.max_unauthenticated:
            return
        per_host = Counter(waiting.source_host for waiting in self._waiting)
        host, most = per_host.most_common(1)[0]
        oldest = next(waiting for waiting in self._waiting if waiting.source_host == host)
        del self._waiting[oldest]
        self._refuse("max-unauthenticated", f"closing the oldest of {most} without login from {host}: {oldest.peer}")
        oldest.turn_away()

    def logged_in(self, newcomer: Newcomer) -> str | None:
        """A connection has logged in; why it must go if there are too many."""
        self._waiting.pop(newcomer, None)
        if len(self._logged_in) >= self.limits.max_connections:
            words = f"the limit of {self.limits.max_connections} connections is reached"
            self._refuse("max-connections", f"{words}: closing {newcomer.peer}")
            return words
        self._logged_in.add(newcomer)
        return None

    def left(self, newcomer: Newcomer) -> None:
        """A connection has gone."""
        self._waiting.pop(newcomer, None)
        self._logged_in.discard(newcomer)

    # --- sessions ---------------------------------------------------------------------------------------------------

    def session_opened(self, session: object, username: str) -> str | None:
        """A user wants a session; why it is refused if there are too many."""
        limits = self.limits
        if len(self._sessions) >= limits.max_sessions:
            words = f"the limit of {limits.max_sessions} sessions is reached"
            self._refuse("max-sessions", f"{words}: refusing one to {username}")
            return words
        if self._per_user[username] >= limits.max_sessions_per_user:
            words = f"the limit of {limits.max_sessions_per_user} sessions of one user is reached"
            self._refuse("max-sessions-per-user", f"{words}: refusing one to {username}")
            return words
        self._sessions[session] = username
        self._per_user[username] += 1
        return None

    def session_closed(self, session: object) -> None:
        """A session is over."""
        username = self._sessions.pop(session, None)
        if username is not None:
            self._per_user[username] -= 1
            if not self._per_user[username]:
                del self._per_user[username]

    def _refuse(self, limit: str, words: str) -> None:
        self.refused[limit] += 1
        log.warning("%s (limits.%s)", words, limit)
