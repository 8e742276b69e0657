"""What clients connect to: the transports of one device, with common limits and a common end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import MappingProxyType

import asyncssh

from mlag_agent.access.cert_to_name import CertToName
from mlag_agent.access.users import Users
from mlag_agent.config import CallHomeSettings, LimitSettings, Settings, TlsSettings, make_name_rules
from mlag_agent.errors import SettingsError
from mlag_agent.server.transports.admission import Admission, TransportLimits
from mlag_agent.server.transports.call_home import CallHome, Serve, Sleep, Station
from mlag_agent.server.transports.connection import SessionHandler
from mlag_agent.server.transports.sockets import Keepalive
from mlag_agent.server.transports.ssh import SshTransport
from mlag_agent.server.transports.tasks import SessionTasks
from mlag_agent.server.transports.tls import TlsIdentity, TlsTransport
from mlag_agent.server.transports.tls_context import TlsFiles, read_certificates, server_context, warn_if_expired

__all__ = ["Endpoints", "transport_limits"]

SSH_CALL_HOME_PORT = 4334
TLS_CALL_HOME_PORT = 4335
"""RFC 8071 section 6."""


class Endpoints:
    """SSH and TLS, as the settings have them; each session is given to ``on_session``."""

    def __init__(
        self,
        settings: Settings,
        *,
        users: Users,
        host_keys: Sequence[asyncssh.SSHKey],
        on_session: SessionHandler,
        admission: Admission,
        sleep: Sleep = asyncio.sleep,
        sockets: Mapping[str, Sequence[socket.socket]] = MappingProxyType({}),
    ) -> None:
        """``sockets`` (``ssh``, ``tls``) are listening already, wherever the settings would have it.  ``sleep`` is
        for the pauses of call home.  Raises SettingsError for what does not go together.
        """
        self._settings = settings
        self.admission = admission
        self._sockets = sockets
        self._sessions = SessionTasks(on_session)
        self._ssh = SshTransport(host_keys=host_keys, users=users, admission=self.admission, sessions=self._sessions)
        self._tls: TlsTransport | None = None
        if settings.tls is not None:
            identify = partial(_identity, settings.tls)
            identify()  # so that what is wrong stops the start
            warn_if_expired(Path(settings.tls.certificate))
            self._tls = TlsTransport(identify, admission=admission, sessions=self._sessions, login_failed=users.failed)
        self.callers = [CallHome(_station(home), self._server_for(home), sleep=sleep) for home in settings.call_home]
        self._calling: list[asyncio.Task[None]] = []
        self._listening: dict[str, tuple[str, str, int]] = {}  # kind -> (name for people, host, port)

    async def start(self) -> None:
        """Accept connections; raises SettingsError for a port or address that cannot be had."""
        listen, tls = self._settings.listen, self._settings.tls
        if listen.ssh:
            given = self._sockets.get("ssh", ())
            await self._ssh.listen(listen.host, listen.port, sockets=given)
            self._listening["ssh"] = ("NETCONF", _host(given, listen.host), self._ssh.port)
        if self._tls is not None and tls is not None and tls.listen:
            given = self._sockets.get("tls", ())
            self._tls.listen(tls.host, tls.port, sockets=given)
            self._listening["tls"] = ("NETCONF over TLS", _host(given, tls.host), self._tls.port)
        loop = asyncio.get_running_loop()
        self._calling = [
            loop.create_task(caller.run(), name=f"call home {caller.station.name}") for caller in self.callers
        ]

    def _server_for(self, home: CallHomeSettings) -> Serve:
        if home.transport == "ssh":
            return self._ssh.serve
        if self._tls is None:
            raise SettingsError(f"call-home {home.name} is by TLS, but there is no [tls]", "give its certificates")
        return self._tls.serve

    @property
    def ssh_port(self) -> int:
        """The TCP port of NETCONF over SSH; raises KeyError if it is not served."""
        return self._listening["ssh"][2]

    @property
    def tls_port(self) -> int:
        """The TCP port of NETCONF over TLS; raises KeyError if it is not served."""
        return self._listening["tls"][2]

    def served(self) -> Iterator[tuple[str, str, int]]:
        """What is served where: name, host, port."""
        yield from self._listening.values()

    def ports(self) -> Mapping[int, str]:
        """The ports that are taken, with what takes them."""
        names = {"ssh": "NETCONF over SSH of this agent", "tls": "NETCONF over TLS of this agent"}
        return {port: names[kind] for kind, (_, _, port) in self._listening.items()}

    async def aclose(self) -> None:
        """Take no more clients, let operations under way finish, and close all connections.

        Raises TimeoutError if a session does not end although it was cancelled; everything else is closed then too.
        """
        transports: list[SshTransport | TlsTransport] = [self._ssh]
        if self._tls is not None:
            transports.append(self._tls)
        async with AsyncExitStack() as last_first:
            for transport in transports:
                last_first.push_async_callback(transport.aclose)
            for transport in transports:
                transport.stop_listening()
            for task in self._calling:
                task.cancel()
            await asyncio.gather(*self._calling, return_exceptions=True)
            await self._sessions.stop(self.admission.limits.stop_timeout)


def _host(given: Sequence[socket.socket], host: str) -> str:
    return str(given[0].getsockname()[0]) if given else host


def _station(home: CallHomeSettings) -> Station:
    port = home.port or (SSH_CALL_HOME_PORT if home.transport == "ssh" else TLS_CALL_HOME_PORT)
    keepalive = Keepalive(home.keepalive_interval, home.keepalive_count)
    return Station(home.name, home.hosts, port, home.source_address, home.reconnect_interval, keepalive)


def transport_limits(limits: LimitSettings) -> TransportLimits:
    """The limits of the settings as the transports have them."""
    return TransportLimits(
        login_timeout=limits.login_timeout,
        hello_timeout=limits.hello_timeout,
        idle_timeout=limits.idle_timeout,
        keepalive_interval=limits.keepalive_interval,
        unread_timeout=limits.unread_timeout,
        stop_timeout=limits.stop_timeout,
        max_unauthenticated=limits.max_unauthenticated,
        max_connections=limits.max_connections,
        max_sessions=limits.max_sessions,
        max_sessions_per_user=limits.max_sessions_per_user,
        max_auth_attempts=limits.max_auth_attempts,
    )


def _identity(tls: TlsSettings) -> TlsIdentity:
    authorities = Path(tls.client_ca)
    files = TlsFiles(Path(tls.certificate), Path(tls.key), authorities, None if tls.crl is None else Path(tls.crl))
    context = server_context(files)
    return TlsIdentity(context, CertToName(make_name_rules(tls), read_certificates(authorities, "client CA")))
