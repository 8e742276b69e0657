"""NETCONF over SSH (RFC 6242) on asyncssh: connections, logins and channels.

One TCP connection may carry several ``netconf`` subsystem channels; each is a NETCONF session of its own.  Nothing
here waits for a peer: a connection that says nothing takes a socket and a timer, and the oldest such connection makes
way when there are too many.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncssh
from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs

from mlag_agent.access.users import Users
from mlag_agent.server.transports.admission import Admission, TransportLimits
from mlag_agent.server.transports.sockets import LISTEN_BACKLOG, Keepalive, cannot_listen, detect_dead_peer
from mlag_agent.server.transports.ssh_channel import SshChannel
from mlag_agent.server.transports.tasks import STOPPING, SessionTasks

__all__ = ["SshTransport"]

log = logging.getLogger(__name__)

WINDOW = 256 * 1024
"""Bytes a client may send on a channel ahead of our reading; asyncssh's 2 MB would be 1 GB for 512 sessions."""


def _available(wanted: Sequence[str], known: Sequence[bytes]) -> list[str]:
    """Those of ``wanted`` that asyncssh has here: some need a recent OpenSSL, or a library that may be missing."""
    return [name for name in wanted if name.encode() in known]


# docs/decisions/048 has the reasons, and what ssh-audit says.
KEX = _available(("mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org"), get_kex_algs())
"""No groups over finite fields: with them a client that does little makes us compute a lot (CVE-2002-20001)."""

CIPHERS = _available(
    ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr"),
    get_encryption_algs(),
)
"""Without chacha20-poly1305, which OpenSSH and asyncssh prefer as clients: in asyncssh it costs 90 us a round trip more
than AES-GCM (docs/decisions/041), and it is one of those that the Terrapin attack is about (CVE-2023-48795)."""

MACS = _available(
    ("umac-128-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com",
     "hmac-sha2-256", "hmac-sha2-512"),  # the last two for libssh2 before 1.11 and JSch
    get_mac_algs(),
)  # fmt: skip
SIGNATURES = (
    "ssh-ed25519", "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
    "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256",
)  # fmt: skip
"""Of users' keys."""

FLUSH_TIMEOUT = 2.0
"""Seconds that clients have at the end to take the last replies and to close their channels."""


class SshTransport:
    """NETCONF over SSH for connections from wherever they come: a listener's, or those that the agent makes itself.

    ``host_keys`` are key objects: given file names asyncssh reads and checks them again at every login (54 ms, not 6).
    """

    def __init__(
        self, *, host_keys: Sequence[asyncssh.SSHKey], users: Users, admission: Admission, sessions: SessionTasks
    ) -> None:
        self.users = users
        self.admission = admission
        self._sessions = sessions
        self._host_keys = tuple(host_keys)
        self._acceptors: list[asyncssh.SSHAcceptor] = []
        self._servers: dict[_Server, None] = {}
        self._leftovers: set[asyncio.Task[None]] = set()  # asyncssh's, of connections that are gone
        self._channels: set[SshChannel] = set()
        self._quiet = asyncio.Event()  # no channel is open
        self._quiet.set()
        self._closing = False

    @property
    def limits(self) -> TransportLimits:
        """Those in force."""
        return self.admission.limits

    @property
    def port(self) -> int:
        """The TCP port of the listener, the same for each address of its host."""
        assert self._acceptors, "not listening"
        return int(self._acceptors[0].get_port())

    async def listen(self, host: str, port: int = 0, *, sockets: Sequence[socket.socket] = ()) -> None:
        """Listen on ``host`` (a name or an address; port 0 takes a free one), or on ``sockets`` that others opened.

        Raises :exc:`~mlag_agent.errors.SettingsError` if the address or the port cannot be had.
        """
        try:
            for sock in sockets:
                self._acceptors.append(await asyncssh.listen(sock=sock, backlog=LISTEN_BACKLOG, **self._options()))
            if not sockets:
                self._acceptors.append(await asyncssh.listen(host, port, backlog=LISTEN_BACKLOG, **self._options()))
        except OSError as error:
            raise cannot_listen("SSH", host, port, error) from None

    async def serve(self, sock: socket.socket, keepalive: Keepalive) -> None:
        """Be the server on a connected socket until it is closed (RFC 8071).

        Raises :exc:`OSError` or :exc:`asyncssh.Error` if no login comes about on it.
        """
        try:
            connection = await asyncssh.run_server(
                sock,
                **self._options() | {"keepalive_interval": keepalive.interval, "keepalive_count_max": keepalive.count},
            )
        except BaseException:
            sock.close()  # asyncssh does, but not if it was cancelled before it began
            raise
        await connection.wait_closed()

    def _options(self) -> dict[str, Any]:
        return {
            "server_factory": lambda: _Server(self),
            "server_host_keys": list(self._host_keys),
            "server_version": "mlag-agent",
            "kex_algs": KEX,
            "encryption_algs": CIPHERS,
            "mac_algs": MACS,
            "signature_algs": list(SIGNATURES),
            # A packet of 35 KB can hold 35 MB of compressed nothing.
            "compression_algs": None,
            "login_timeout": self.limits.login_timeout,
            "keepalive_interval": self.limits.keepalive_interval,
            "authorized_client_keys": None,
            "gss_host": None,  # no GSSAPI; the default would look our own name up
            "encoding": None,  # bytes, not text
            "window": WINDOW,
            "allow_pty": True,  # scrapli's system transport asks for one
            "line_editor": False,  # with a PTY asyncssh would echo and edit what comes
            "agent_forwarding": False,
            "x11_forwarding": False,
            "allow_scp": False,
        }

    def stop_listening(self) -> None:
        """Take no more connections."""
        self._closing = True
        for acceptor in self._acceptors:
            acceptor.close()

    async def aclose(self) -> None:
        """Stop listening and close the connections, whose sessions have ended before.

        When it returns, no task and no socket of this transport is left.
        """
        self.stop_listening()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_TIMEOUT):
                await self._quiet.wait()
        servers = tuple(self._servers)
        for server in servers:
            server.connection.disconnect(asyncssh.DISC_BY_APPLICATION, STOPPING)
        for server in servers:
            await server.connection.wait_closed()
        if self._leftovers:
            for task in self._leftovers:
                task.cancel()
            await asyncio.wait(set(self._leftovers))
        for acceptor in self._acceptors:
            await acceptor.wait_closed()

    # --- called by connections and channels -------------------------------------------------------------------------

    def connection_made(self, server: _Server) -> None:
        """A TCP connection."""
        self._servers[server] = None
        if self._closing:
            server.connection.abort()
        self.admission.arrived(server)

    def connection_lost(self, server: _Server) -> None:
        """Forget a connection."""
        self._servers.pop(server, None)
        self.admission.left(server)
        # asyncssh does not stop the login that is under way when the client leaves; aclose waits for it.
        for task in server.connection._tasks:
            if not task.done():
                self._leftovers.add(task)
                task.add_done_callback(self._leftovers.discard)

    def channel_requested(self, server: _Server) -> SshChannel:
        """A new channel; raises asyncssh.ChannelOpenError with the reason that the client sees."""
        channel = SshChannel(server, self.limits)
        refusal = STOPPING if self._closing else self.admission.session_opened(channel, server.username)
        if refusal is not None:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, refusal)
        self._channels.add(channel)
        self._quiet.clear()
        return channel

    def channel_closed(self, channel: SshChannel) -> None:
        """Forget a channel."""
        self.admission.session_closed(channel)
        self._channels.discard(channel)
        if not self._channels:
            self._quiet.set()

    def session_started(self, channel: SshChannel) -> None:
        """Give the NETCONF session on ``channel`` its task."""
        self._sessions.start(channel)


class _Server(asyncssh.SSHServer):
    """One TCP connection: its login, and the channels it asks for."""

    connection: asyncssh.SSHServerConnection

    def __init__(self, transport: SshTransport) -> None:
        self._transport = transport
        self._attempts = 0
        self._claimed = ""  # the name that the client wants to log in by
        self._keys_refused = False
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

    @property
    def socket_buffered(self) -> int:
        """Bytes that the kernel has not taken yet."""
        transport = self.connection._transport
        return 0 if transport is None else transport.get_write_buffer_size()

    def turn_away(self) -> None:
        """Close the connection at once."""
        self.connection.abort()

    # --- connection -------------------------------------------------------------------------------------------------

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn
        peer = conn.get_extra_info("peername")
        if peer:  # None if the peer has gone already
            self.source_host, self.source_port = str(peer[0]), int(peer[1])
        sock = conn.get_extra_info("socket")
        if sock is not None:
            detect_dead_peer(sock)
        # asyncssh ignores that the kernel takes no more: then a client with a huge window that does not read makes
        # the transport's buffer grow without bound.  asyncio calls these two by name, so they can be given here.
        conn.pause_writing = self._pause_writing  # type: ignore[method-assign]
        conn.resume_writing = self._resume_writing  # type: ignore[method-assign]
        self._transport.connection_made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_idle_timer()
        self._transport.connection_lost(self)
        if self._keys_refused and not self.username:
            # Said once: an agent offers one key after the other until one is the right one.
            self._transport.users.failed(self._claimed, self.source_host, "publickey")
        if isinstance(exc, asyncssh.KeyExchangeFailed):
            log.warning("SSH: %s and this agent have no algorithm in common (listen.host-keys?): %s", self.peer, exc)
        elif exc is not None and not self.username:
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
        self._claimed = username
        trusted = self._transport.users.trusted_certificates(username)
        if trusted is not None:
            self.connection.set_authorized_keys(trusted)
        return True  # for every name, known or not: nobody comes in without proof

    def password_auth_supported(self) -> bool:
        return self._transport.users.passwords_in_use

    def public_key_auth_supported(self) -> bool:
        return self._transport.users.keys_in_use

    async def validate_password(self, username: str, password: str) -> bool:
        if await self._transport.users.verify_password(username, password, self.source_host):
            return True
        log.warning("SSH: wrong password for %r from %s", username, self.peer)
        self._count_failure()
        return False

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        if self._transport.users.verify_key(username, key):
            return True
        self._keys_refused = True
        log.info("SSH: key %s is not one of %r, from %s", key.get_fingerprint(), username, self.peer)
        self._count_failure()
        return False

    def _count_failure(self) -> None:
        self._attempts += 1
        if self._attempts >= self._transport.limits.max_auth_attempts:
            raise asyncssh.DisconnectError(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "too many failed logins")

    def auth_completed(self) -> None:
        self.username = str(self.connection.get_extra_info("username"))
        if self.connection.get_certificate_option("force-command") is not None:
            # A certificate for one command alone; to run something else for it would give more than it was meant to.
            log.warning("SSH: the certificate of %r from %s forces a command", self.username, self.peer)
            self._transport.users.failed(self.username, self.source_host, "certificate with force-command")
            self.connection.disconnect(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "the certificate forces a command")
            return
        refusal = self._transport.admission.logged_in(self)
        if refusal is not None:
            self.connection.disconnect(asyncssh.DISC_TOO_MANY_CONNECTIONS, refusal)
            return
        self._start_idle_timer()

    # --- channels ---------------------------------------------------------------------------------------------------

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        channel = self._transport.channel_requested(self)
        channel.socket_full(self._socket_full)
        self._channels.add(channel)
        self._stop_idle_timer()
        return channel

    def session_started(self, channel: SshChannel) -> None:
        """A channel has become a NETCONF session."""
        self._transport.session_started(channel)

    def channel_closed(self, channel: SshChannel) -> None:
        """A channel is gone; without any, the connection may stay for a while only."""
        self._channels.discard(channel)
        self._transport.channel_closed(channel)
        if not self._channels:
            self._start_idle_timer()

    def _start_idle_timer(self) -> None:
        self._stop_idle_timer()
        loop = asyncio.get_running_loop()
        self._idle_timer = loop.call_later(self._transport.limits.idle_timeout, self._idle_too_long)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _idle_too_long(self) -> None:
        log.info("SSH: closing the connection of %s@%s: no session on it", self.username, self.peer)
        self.connection.close()
