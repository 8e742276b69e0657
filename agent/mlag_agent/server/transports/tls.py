"""NETCONF over TLS (RFC 7589, updated by RFC 9918): accepting, handshakes, and who the client is.

Each TLS connection is one NETCONF session.  Handshakes run side by side: a client that says nothing takes a socket and
a timer, and counts with the SSH connections that have not logged in.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from cryptography import x509

from mlag_agent.access.cert_to_name import CertToName
from mlag_agent.errors import SettingsError
from mlag_agent.server.transports.admission import Admission, TransportLimits
from mlag_agent.server.transports.sockets import USUAL, Keepalive, detect_dead_peer, listening_sockets
from mlag_agent.server.transports.tasks import STOPPING, SessionTasks
from mlag_agent.server.transports.tls_context import verified_chain
from mlag_agent.server.transports.tls_stream import TlsStream

__all__ = ["TlsIdentity", "TlsTransport"]

log = logging.getLogger(__name__)

SHUTDOWN_TIMEOUT = 30.0
"""Seconds a client has, after we have closed, to take the last reply and to answer the close_notify."""

FLUSH_TIMEOUT = 2.0
"""The same when the agent stops."""

ACCEPT_PAUSE = 1.0
"""Seconds without accepting when the process has no file descriptor left; asyncio's own servers wait as long."""


LoginFailed = Callable[[str, str, str], None]
"""User (or the subject of his certificate, or nothing if that could not be trusted), source address, method."""

METHOD = "certificate"

_NO_CERTIFICATE = "PEER_DID_NOT_RETURN_A_CERTIFICATE"
"""OpenSSL's name for a client that shows none."""


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Who we are and whom we let in."""

    context: ssl.SSLContext
    names: CertToName


class TlsTransport:
    """NETCONF over TLS for connections from wherever they come: a listener's, or those that the agent makes itself."""

    def __init__(
        self,
        identify: Callable[[], TlsIdentity],
        *,
        admission: Admission,
        sessions: SessionTasks,
        login_failed: LoginFailed = lambda user, source, method: None,
    ) -> None:
        """``identify`` is asked for each connection, and may raise :exc:`~mlag_agent.errors.SettingsError`.

        ``login_failed`` hears of each client whose certificate does not let it in.
        """
        self._login_failed = login_failed
        self._identify = identify
        self._names: dict[TlsStream, CertToName] = {}  # of handshakes under way
        self.admission = admission
        self._sessions = sessions
        self._sockets: Sequence[socket.socket] = ()
        self._acceptors: list[asyncio.Task[None]] = []
        self._handshakes: dict[TlsStream, asyncio.Task[None]] = {}
        self._streams: dict[TlsStream, None] = {}  # after the handshake
        self._closing = False

    @property
    def limits(self) -> TransportLimits:
        """Those in force."""
        return self.admission.limits

    @property
    def port(self) -> int:
        """The TCP port of the listener."""
        assert self._sockets, "not listening"
        return int(self._sockets[0].getsockname()[1])

    def listen(self, host: str, port: int = 0, *, sockets: Sequence[socket.socket] = ()) -> None:
        """Listen on ``host`` (a name or an address; port 0 takes a free one), or on ``sockets`` that others opened.

        Raises :exc:`~mlag_agent.errors.SettingsError` if the address or the port cannot be had.
        """
        self._sockets = sockets or listening_sockets(host, port, "TLS")
        loop = asyncio.get_running_loop()
        self._acceptors = [loop.create_task(self._accept(sock), name="netconf-tls accept") for sock in self._sockets]

    async def serve(self, sock: socket.socket, keepalive: Keepalive) -> None:
        """Be the server on a connected socket until it is closed (RFC 8071).

        TLS has no message of its own that asks whether the peer is there: TCP does.  Raises :exc:`OSError` if no
        session comes about on it.
        """
        stream, handshake = self._begin(sock, keepalive)
        try:
            await asyncio.wait({handshake})
        finally:
            handshake.cancel()
        if handshake.cancelled():
            raise ConnectionAbortedError("turned away")
        handshake.result()
        await stream.gone.wait()
        if not stream.username:
            raise ConnectionRefusedError("no user")

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except ConnectionError:
                continue  # the client has gone before we came to it
            except OSError as error:
                log.error("TLS: cannot accept: %s", error)  # noqa: TRY400  # the trace says nothing more
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            stream, handshake = self._begin(sock)
            handshake.add_done_callback(partial(_report, stream))

    def _begin(self, sock: socket.socket, keepalive: Keepalive = USUAL) -> tuple[TlsStream, asyncio.Task[None]]:
        try:
            host, port = sock.getpeername()[:2]
        except OSError:
            host, port = "", 0  # gone already
        detect_dead_peer(sock, keepalive)
        stream = TlsStream(self, str(host), int(port))
        handshake = asyncio.get_running_loop().create_task(
            self._handshake(stream, sock), name=f"netconf-tls handshake {stream.peer}"
        )
        self._handshakes[stream] = handshake
        handshake.add_done_callback(lambda _: self._handshake_over(stream, sock))
        self.admission.arrived(stream)
        return stream, handshake

    async def _handshake(self, stream: TlsStream, sock: socket.socket) -> None:
        """Until the client has authenticated; raises OSError if it does not."""
        try:
            identity = self._identify()
        except SettingsError as error:
            log.error("TLS: %s", error)  # noqa: TRY400  # the trace says nothing more
            raise ConnectionAbortedError("the agent's own files cannot be used") from None
        self._names[stream] = identity.names
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: stream,
            sock,
            ssl=identity.context,
            ssl_handshake_timeout=self.limits.login_timeout,
            ssl_shutdown_timeout=SHUTDOWN_TIMEOUT,
        )

    def _handshake_over(self, stream: TlsStream, sock: socket.socket) -> None:
        handshake = self._handshakes.pop(stream)
        self._names.pop(stream, None)
        problem = None if handshake.cancelled() else handshake.exception()
        if isinstance(problem, ssl.SSLCertVerificationError) or getattr(problem, "reason", None) == _NO_CERTIFICATE:
            self._login_failed("", stream.source_host, METHOD)
        if not stream.connected:
            sock.close()  # asyncio does, but not if it was cancelled before it began
            self.admission.left(stream)
            stream.gone.set()

    def stop_listening(self) -> None:
        """Take no more connections."""
        self._closing = True
        for task in self._acceptors:
            task.cancel()
        for sock in self._sockets:
            sock.close()

    async def aclose(self) -> None:
        """Stop listening and close the connections, whose sessions have ended before.

        When it returns, no task and no socket of this transport is left.
        """
        self.stop_listening()
        tasks = [*self._acceptors, *self._handshakes.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        streams = tuple(self._streams)
        for stream in streams:
            stream.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_TIMEOUT):
                for stream in streams:
                    await stream.gone.wait()
        for stream in streams:
            stream.turn_away()
            await stream.gone.wait()

    # --- called by streams ------------------------------------------------------------------------------------------

    def handshake_done(self, stream: TlsStream, connection: ssl.SSLObject) -> str:
        """RFC 7589 section 7: without a name there is no session."""
        self._streams[stream] = None
        chain = verified_chain(connection)
        name = self._names[stream].username(chain)
        if name is None:
            log.warning("TLS: no cert-to-name entry gives a user for %s, from %s", _subject(chain[0]), stream.peer)
            self._login_failed(_subject(chain[0]), stream.source_host, METHOD)
            return ""
        refusal = STOPPING if self._closing else self.admission.logged_in(stream)
        refusal = refusal or self.admission.session_opened(stream, name)
        if refusal is not None:
            log.warning("TLS: no session for %s, from %s: %s", name, stream.peer, refusal)
            return ""
        return name

    def session_started(self, stream: TlsStream) -> None:
        """Give the session its task."""
        self._sessions.start(stream)

    def turn_away(self, stream: TlsStream) -> None:
        """End a handshake."""
        handshake = self._handshakes.get(stream)
        if handshake is not None:
            handshake.cancel()

    def connection_lost(self, stream: TlsStream) -> None:
        """Forget a connection."""
        self._streams.pop(stream, None)
        self.admission.session_closed(stream)
        self.admission.left(stream)


def _report(stream: TlsStream, handshake: asyncio.Task[None]) -> None:
    """Failed handshakes are failed logins: in the log with where they came from."""
    if handshake.cancelled():
        return  # said by whoever did it
    problem = handshake.exception()
    if isinstance(problem, OSError):
        log.warning("TLS: no session for %s: %s", stream.peer, _why(problem))
    elif problem is not None:
        log.error("TLS: the handshake with %s failed", stream.peer, exc_info=problem)


def _why(problem: OSError) -> str:
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"the client's certificate is refused: {problem.verify_message}"
    if isinstance(problem, ssl.SSLError):
        return f"the handshake failed: {(problem.reason or str(problem)).lower().replace('_', ' ')}"
    return str(problem) or type(problem).__name__


def _subject(certificate: bytes) -> str:
    return x509.load_der_x509_certificate(certificate).subject.rfc4514_string() or "a certificate without subject"
