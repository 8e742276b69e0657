"""NETCONF over SSH (RFC 6242) on asyncssh: listening, logins, limits, and one task per NETCONF session.

One TCP connection may carry several ``netconf`` subsystem channels; each is a NETCONF session of its own.  Nothing
here waits for a peer: a connection that says nothing takes a socket and a timer, and the oldest such connection makes
way when there are too many.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import asyncssh

from mlag_agent.access.users import Users
from mlag_agent.errors import SettingsError
from mlag_agent.server.transports.connection import SessionHandler
from mlag_agent.server.transports.ssh_channel import SshChannel

__all__ = ["SshListener", "SshSettings", "SshTransport"]

log = logging.getLogger(__name__)

LISTEN_BACKLOG = 512
"""Connections the kernel keeps until we accept; with netopeer2's 5, fifty clients at once wait up to 15 s."""

MAX_UNAUTHENTICATED = 256
"""Connections that have not logged in; one more makes the oldest of them go, so that silent ones cannot lock others
out.  OpenSSH refuses from 100."""

MAX_SESSIONS = 512
"""Channels in total: with the connections above they stay below the usual limit of 1024 open files."""

MAX_CONNECTIONS = 512
"""Connections that have logged in, with or without a channel."""

MAX_AUTH_ATTEMPTS = 6
"""Wrong passwords and refused keys together; MaxAuthTries of OpenSSH's server.  An agent may offer some keys first."""

LOGIN_TIMEOUT = 30.0
"""Seconds from the TCP connection to the end of the login; people who type a password need some."""

HELLO_TIMEOUT = 60.0
"""Seconds from the opening of a channel to the client's hello; netopeer2 has the same."""

IDLE_TIMEOUT = 60.0
"""Seconds a connection may stay without any channel, after the login or after its last session."""

CLOSE_TIMEOUT = 5.0
"""Seconds that sessions have at :meth:`SshListener.aclose` to end after they are cancelled, before it is an error."""

WINDOW = 256 * 1024
"""Bytes a client may send on a channel ahead of our reading; asyncssh's 2 MB would be 1 GB for 512 sessions."""


@dataclass(frozen=True, slots=True)
class SshSettings:
    """Times in seconds, and counts."""

    login_timeout: float = LOGIN_TIMEOUT
    hello_timeout: float = HELLO_TIMEOUT
    idle_timeout: float = IDLE_TIMEOUT
    keepalive_interval: float = 0.0
    """Between keepalive messages to a client that says nothing; 0 sends none, three without an answer end the
    connection."""
    max_unauthenticated: int = MAX_UNAUTHENTICATED
    max_connections: int = MAX_CONNECTIONS
    max_sessions: int = MAX_SESSIONS
    max_auth_attempts: int = MAX_AUTH_ATTEMPTS


class SshTransport:
    """Starts listeners with the same settings."""

    def __init__(self, settings: SshSettings | None = None) -> None:
        self.settings = settings or SshSettings()

    async def start(
        self,
        host: str,
        port: int = 0,
        *,
        host_keys: Sequence[asyncssh.SSHKey],
        users: Users,
        on_session: SessionHandler,
    ) -> SshListener:
        """Listen on ``host`` (a name or an address; port 0 takes a free one).

        Raises :exc:`~mlag_agent.errors.SettingsError` if the address or the port cannot be had.
        """
        listener = SshListener(self.settings, users, on_session)
        settings = self.settings
        try:
            acceptor = await asyncssh.listen(
                host,
                port,
                server_factory=lambda: _Server(listener),
                # Key objects: given file names asyncssh reads and checks them again at every login (54 ms, not 6).
                server_host_keys=list(host_keys),
                server_version="mlag-agent",
                backlog=LISTEN_BACKLOG,
                login_timeout=settings.login_timeout,
                keepalive_interval=settings.keepalive_interval,
                authorized_client_keys=None,
                gss_host=None,  # no GSSAPI; the default would look our own name up
                encoding=None,  # bytes, not text
                window=WINDOW,
                allow_pty=True,  # scrapli's system transport asks for one
                line_editor=False,  # with a PTY asyncssh would echo and edit what comes
                agent_forwarding=False,
                x11_forwarding=False,
                allow_scp=False,
            )
        except OSError as error:
            raise SettingsError(
                f"cannot listen for SSH on {host} port {port}: {error.strerror or error}",
                "another program uses the port" if error.errno == errno.EADDRINUSE else "check the listen address",
            ) from None
        listener.opened(acceptor)
        return listener


class SshListener:
    """A running listener: its connections, and the tasks of its sessions."""

    def __init__(self, settings: SshSettings, users: Users, on_session: SessionHandler) -> None:
        self.settings = settings
        self.users = users
        self._on_session = on_session
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._unauthenticated: dict[_Server, None] = {}  # in the order of their arrival
        self._authenticated: set[_Server] = set()
        self._channels: set[SshChannel] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leftovers: set[asyncio.Task[None]] = set()  # asyncssh's, of connections that are gone
        self._closing = False

    def opened(self, acceptor: asyncssh.SSHAcceptor) -> None:
        """Take over the sockets; for :class:`SshTransport` only."""
        self._acceptor = acceptor

    @property
    def port(self) -> int:
        """The TCP port, the same for each address of the host."""
        assert self._acceptor is not None
        return int(self._acceptor.get_port())

    @property
    def sessions(self) -> int:
        """Channels that are open."""
        return len(self._channels)

    @property
    def connections(self) -> int:
        """TCP connections, logged in or not."""
        return len(self._unauthenticated) + len(self._authenticated)

    async def aclose(self) -> None:
        """Stop listening, cancel the sessions and wait for them, close the connections.

        When it returns, no task and no socket of this listener is left.  Raises :exc:`TimeoutError` if a session
        does not end within :data:`CLOSE_TIMEOUT` after it was cancelled, with the connections closed all the same.
        """
        self._closing = True
        assert self._acceptor is not None
        self._acceptor.close()
        stubborn: set[asyncio.Task[None]] = set()
        if self._tasks:
            for task in self._tasks:
                task.cancel()
            _, stubborn = await asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT)
        servers = [*self._unauthenticated, *self._authenticated]
        for server in servers:
            server.connection.close()
        for server in servers:
            await server.connection.wait_closed()
        if self._leftovers:
            for task in self._leftovers:
                task.cancel()
            await asyncio.wait(set(self._leftovers))
        await self._acceptor.wait_closed()
        if stubborn:
            raise TimeoutError(f"{len(stubborn)} sessions did not end {CLOSE_TIMEOUT:g} s after they were cancelled")

    # --- called by connections and channels -------------------------------------------------------------------------

    def connection_made(self, server: _Server) -> None:
        """A TCP connection; too many without login make the oldest of them go."""
        if self._closing:
            server.connection.abort()
        self._unauthenticated[server] = None
        if len(self._unauthenticated) > self.settings.max_unauthenticated:
            oldest = next(iter(self._unauthenticated))
            del self._unauthenticated[oldest]
            log.warning(
                "SSH: %d connections without login, closing the oldest, from %s",
                self.settings.max_unauthenticated,
                oldest.peer,
            )
            oldest.connection.abort()

    def login_done(self, server: _Server) -> bool:
        """Count a connection as logged in; False if there are too many."""
        self._unauthenticated.pop(server, None)
        if len(self._authenticated) >= self.settings.max_connections:
            return False
        self._authenticated.add(server)
        return True

    def connection_lost(self, server: _Server) -> None:
        """Forget a connection."""
        self._unauthenticated.pop(server, None)
        self._authenticated.discard(server)
        # asyncssh does not stop the login that is under way when the client leaves; aclose waits for it.
        for task in server.connection._tasks:
            if not task.done():
                self._leftovers.add(task)
                task.add_done_callback(self._leftovers.discard)

    def channel_requested(self, server: _Server) -> SshChannel:
        """A new channel; raises asyncssh.ChannelOpenError with the reason that the client sees."""
        if self._closing:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "the agent is shutting down")
        if len(self._channels) >= self.settings.max_sessions:
            log.warning("SSH: %d sessions are open, refusing one more to %s", len(self._channels), server.peer)
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_RESOURCE_SHORTAGE, f"the limit of {self.settings.max_sessions} sessions is reached"
            )
        channel = SshChannel(server, self.settings.hello_timeout)
        self._channels.add(channel)
        return channel

    def channel_closed(self, channel: SshChannel) -> None:
        """Forget a channel."""
        self._channels.discard(channel)

    def session_started(self, channel: SshChannel) -> None:
        """Give the NETCONF session on ``channel`` its task."""
        if self._closing:
            channel.abort("the agent is shutting down")
            return
        name = f"netconf-ssh {channel.username}@{channel.source_host}:{channel.source_port}"
        task = asyncio.get_running_loop().create_task(self._run(channel), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, channel: SshChannel) -> None:
        try:
            await self._on_session(channel)
        except Exception:
            # The last place that can tell: a handler reports what belongs to the peer itself, so this is a bug of ours.
            log.exception("SSH: the session of %s@%s failed", channel.username, channel.source_host)
            channel.abort("internal error")
        finally:
            channel.close()


class _Server(asyncssh.SSHServer):
    """One TCP connection: its login, and the channels it asks for."""

    connection: asyncssh.SSHServerConnection

    def __init__(self, listener: SshListener) -> None:
        self._listener = listener
        self._attempts = 0
        self._channels: set[SshChannel] = set()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._socket_full = False
        self.username = ""
        self.source_host = ""
        self.source_port = 0

    @property
    def peer(self) -> str:
        """Address and port of the peer, for the log."""
        return f"{self.source_host}:{self.source_port}"

    # --- connection -------------------------------------------------------------------------------------------------

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn
        peer = conn.get_extra_info("peername")
        if peer:  # None if the peer has gone already
            self.source_host, self.source_port = str(peer[0]), int(peer[1])
        # asyncssh ignores that the kernel takes no more: then a client with a huge window that does not read makes
        # the transport's buffer grow without bound.  asyncio calls these two by name, so they can be given here.
        conn.pause_writing = self._pause_writing  # type: ignore[method-assign]
        conn.resume_writing = self._resume_writing  # type: ignore[method-assign]
        self._listener.connection_made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_idle_timer()
        self._listener.connection_lost(self)
        if exc is not None and not self.username:
            log.info("SSH: connection from %s ended before the login: %s", self.peer, exc)

    def _pause_writing(self) -> None:
        self._set_socket_full(True)

    def _resume_writing(self) -> None:
        self._set_socket_full(False)

    def _set_socket_full(self, full: bool) -> None:
        self._socket_full = full
        for channel in self._channels:
            channel.socket_full(full)

    # --- login ------------------------------------------------------------------------------------------------------

    def begin_auth(self, username: str) -> bool:
        return True  # for every name, known or not: nobody comes in without proof

    def password_auth_supported(self) -> bool:
        return self._listener.users.passwords_in_use

    def public_key_auth_supported(self) -> bool:
        return self._listener.users.keys_in_use

    async def validate_password(self, username: str, password: str) -> bool:
        if await self._listener.users.verify_password(username, password):
            return True
        log.warning("SSH: wrong password for %r from %s", username, self.peer)
        self._count_failure()
        return False

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        if self._listener.users.verify_key(username, key):
            return True
        log.info("SSH: key %s is not one of %r, from %s", key.get_fingerprint(), username, self.peer)
        self._count_failure()
        return False

    def _count_failure(self) -> None:
        self._attempts += 1
        if self._attempts >= self._listener.settings.max_auth_attempts:
            raise asyncssh.DisconnectError(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "too many failed logins")

    def auth_completed(self) -> None:
        self.username = str(self.connection.get_extra_info("username"))
        if not self._listener.login_done(self):
            log.warning("SSH: too many connections, closing that of %s@%s", self.username, self.peer)
            self.connection.disconnect(asyncssh.DISC_TOO_MANY_CONNECTIONS, "too many connections")
            return
        self._start_idle_timer()

    # --- channels ---------------------------------------------------------------------------------------------------

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        channel = self._listener.channel_requested(self)
        channel.socket_full(self._socket_full)
        self._channels.add(channel)
        self._stop_idle_timer()
        return channel

    def session_started(self, channel: SshChannel) -> None:
        """A channel has become a NETCONF session."""
        self._listener.session_started(channel)

    def channel_closed(self, channel: SshChannel) -> None:
        """A channel is gone; without any, the connection may stay for a while only."""
        self._channels.discard(channel)
        self._listener.channel_closed(channel)
        if not self._channels:
            self._start_idle_timer()

    def _start_idle_timer(self) -> None:
        self._stop_idle_timer()
        loop = asyncio.get_running_loop()
        self._idle_timer = loop.call_later(self._listener.settings.idle_timeout, self._idle_too_long)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _idle_too_long(self) -> None:
        log.info("SSH: closing the connection of %s@%s: no session on it", self.username, self.peer)
        self.connection.close()
