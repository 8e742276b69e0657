"""Call home (RFC 8071): the agent connects to a management station, and is the SSH or TLS *server* on that connection.

One connection at a time for each station, kept up for ever: when it is lost, or none comes about, the station's
addresses are tried again in their order, after a pause that grows.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

import asyncssh

from mlag_agent.server.transports.sockets import Keepalive

__all__ = ["DOUBLINGS", "CallHome", "Serve", "Sleep", "Station", "pauses"]

log = logging.getLogger(__name__)

DOUBLINGS = 5
"""The pause between attempts is doubled so often, then it starts small again (DOMAIN.md 5.2)."""

MAX_PAUSE = 300.0
"""Seconds; likewise."""

JITTER = 0.25
"""A pause is shorter by up to this part of it: a hundred agents that lost one station do not come back as one."""

CONNECT_TIMEOUT = 10.0
"""Seconds for the TCP connection to one address; the kernel's own limit is two minutes."""

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Station:
    """Where to connect to: ``hosts`` are tried in this order.  ``pause`` is the first one between attempts."""

    name: str
    hosts: Sequence[str]
    port: int
    source: str | None
    pause: float
    keepalive: Keepalive


Serve = Callable[[socket.socket, Keepalive], Awaitable[None]]
"""Is the server on a connected socket until that is closed; raises OSError or asyncssh.Error if nobody logs in."""


def pauses(first: float, chance: Callable[[], float] = random.random) -> Iterator[float]:
    """Seconds to wait before each attempt, for ever; ``chance`` gives numbers from 0 to 1."""
    while True:
        for doubled in range(DOUBLINGS + 1):
            yield min(first * 2**doubled, MAX_PAUSE) * (1 - JITTER * chance())


class CallHome:
    """Keeps one station connected."""

    def __init__(self, station: Station, serve: Serve, *, sleep: Sleep = asyncio.sleep) -> None:
        self.station = station
        self.connected = False
        """Whether there is a TCP connection."""
        self._serve = serve
        self._sleep = sleep

    async def run(self) -> None:
        """For ever; cancel it to stop.  A connection that is open then is left to the transport."""
        waits = pauses(self.station.pause)
        quiet = False  # one complaint for a series of failures; the rest is for who wants to know
        while True:
            if await self._once(logging.INFO if quiet else logging.WARNING):
                waits, quiet = pauses(self.station.pause), False
            else:
                quiet = True
            pause = next(waits)
            log.debug("call home %s: next attempt in %.1f s", self.station.name, pause)
            await self._sleep(pause)

    async def _once(self, level: int) -> bool:
        """One round over the addresses, up to the first with which a session comes about; whether one did."""
        station = self.station
        for host in station.hosts:
            try:
                sock = await self._connect(host)
            except OSError as error:
                log.log(level, "call home %s: no connection to %s port %d: %s", station.name, host, station.port, error)
                continue
            log.info("call home %s: connected to %s port %d", station.name, host, station.port)
            self.connected = True
            try:
                await self._serve(sock, station.keepalive)
            except (OSError, asyncssh.Error) as error:
                log.log(level, "call home %s: no login from %s: %s", station.name, host, error)
                continue
            finally:
                self.connected = False
            log.info("call home %s: the connection to %s is closed", station.name, host)
            return True
        return False

    async def _connect(self, host: str) -> socket.socket:
        """The first address of ``host`` that takes a connection; raises OSError, that of the last one."""
        loop = asyncio.get_running_loop()
        station = self.station
        problem = OSError("the name has no address")
        for family, kind, protocol, _, address in await loop.getaddrinfo(host, station.port, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.setblocking(False)
                if station.source is not None:
                    sock.bind((station.source, 0))
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await loop.sock_connect(sock, address)
            except TimeoutError:
                sock.close()
                problem = TimeoutError(f"no answer within {CONNECT_TIMEOUT:g} s")
            except OSError as error:
                sock.close()
                problem = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise problem
