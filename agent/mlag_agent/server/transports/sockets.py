"""TCP sockets of the transports: listening ones, how dead peers are noticed, and peers that take nothing."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mlag_agent.errors import SettingsError

__all__ = [
    "LISTEN_BACKLOG",
    "USUAL",
    "Keepalive",
    "cannot_listen",
    "detect_dead_peer",
    "listening_sockets",
    "reserve_descriptors",
    "until_writable",
]

log = logging.getLogger(__name__)

LISTEN_BACKLOG = 512
"""Connections the kernel keeps until we accept; with netopeer2's 5, fifty clients at once wait up to 15 s."""

_DESCRIPTORS_OF_OUR_OWN = 128
"""Files, listeners, the sync channel, hooks."""


@dataclass(frozen=True, slots=True)
class Keepalive:
    """A peer that says nothing is asked each ``interval`` seconds (0: never); ``count`` without an answer end it."""

    interval: float
    count: int


USUAL = Keepalive(60, 3)
"""A peer that has gone without a word is noticed after four minutes; the system's own values make it two hours."""


def detect_dead_peer(sock: socket.socket, keepalive: Keepalive = USUAL) -> None:
    """Have the kernel ask a silent peer whether it is still there.  The peer's program sees nothing of it."""
    if not keepalive.interval:
        return
    seconds = max(1, round(keepalive.interval))
    with suppress(OSError):  # it has gone already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, keepalive.count)


def listening_sockets(host: str, port: int, what: str) -> Sequence[socket.socket]:
    """One socket for each address of ``host``, all with the same port; port 0 takes a free one.

    Raises :exc:`~mlag_agent.errors.SettingsError`; ``what`` is the protocol's name in it.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            used = port or (sockets[0].getsockname()[1] if len(sockets) > 1 else 0)
            sock.bind((address[0], used, *address[2:]))
            sock.listen(LISTEN_BACKLOG)
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise cannot_listen(what, host, port, error) from None
    return sockets


def reserve_descriptors(wanted: int) -> None:
    """Raise this process's limit of open files to ``wanted`` and some for itself, as far as it may."""
    needed = wanted + _DESCRIPTORS_OF_OUR_OWN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except OSError:  # a sandbox forbids it
        allowed = soft
    if allowed < needed:
        log.warning(
            "this process may open %d files, but limits.max-connections and limits.max-unauthenticated need %d",
            allowed,
            needed,
        )


def cannot_listen(what: str, host: str, port: int, error: OSError) -> SettingsError:
    """The error of a listener that cannot start."""
    return SettingsError(
        f"cannot listen for {what} on {host} port {port}: {error.strerror or error}",
        "another program uses the port" if error.errno == errno.EADDRINUSE else "check the listen address",
    )


async def until_writable(writable: asyncio.Event, taken: Callable[[], int], limit: float) -> bool:
    """Wait for ``writable``; False if the peer takes nothing for ``limit`` seconds (0: no limit).

    ``taken`` gives the bytes that have left this process so far.  A slow peer is none that takes nothing: a reply of
    many megabytes may take as long as it takes.
    """
    before = taken()
    while True:
        try:
            async with asyncio.timeout(limit or None):
                await writable.wait()
        except TimeoutError:
            now = taken()
            if now == before:
                return False
            before = now
        else:
            return True
