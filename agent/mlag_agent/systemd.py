"""What systemd asks of a service: ready, stopping and watchdog messages (sd_notify), and sockets that it has opened.

Both are a few bytes and three environment variables, documented in sd_notify(3) and sd_listen_fds(3); the package
``sdnotify`` has not moved since 2017 and ``systemd-python`` needs a C library.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, MutableMapping, Sequence

from mlag_agent.errors import SettingsError

__all__ = ["Notifier", "activated_sockets"]

_FIRST_FD = 3
"""SD_LISTEN_FDS_START."""


class Notifier:
    """Tells systemd how the service is; does nothing where there is no systemd that listens."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        """Takes the variables out of ``environment``: they are for this process, not for its children."""
        self._address = environment.pop("NOTIFY_SOCKET", "")
        period = environment.pop("WATCHDOG_USEC", "")
        of = environment.pop("WATCHDOG_PID", "")
        meant = not of or of == str(os.getpid())
        self.watchdog_interval = int(period) / 2_000_000 if period.isdecimal() and int(period) and meant else None
        """Seconds between signs of life, half of what systemd waits; None if it does not."""

    def send(self, message: str) -> None:
        """Send one message, for instance ``READY=1``.  That it cannot be sent is no reason to stop."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.connect(address)
            sock.sendall(message.encode())

    @contextlib.asynccontextmanager
    async def serving(self, status: str) -> AsyncIterator[None]:
        """While the service serves: READY at the start, WATCHDOG now and then, STOPPING at the end."""
        self.send(f"READY=1\nSTATUS={status}")
        watchdog = None
        if self.watchdog_interval is not None:
            watchdog = asyncio.get_running_loop().create_task(self._live(self.watchdog_interval), name="watchdog")
        try:
            yield
        finally:
            self.send("STOPPING=1\nSTATUS=finishing what is under way")
            if watchdog is not None:
                watchdog.cancel()
                await asyncio.wait({watchdog})

    async def _live(self, interval: float) -> None:
        """From the event loop: a loop that hangs sends nothing, and systemd starts the service anew."""
        while True:
            self.send("WATCHDOG=1")
            await asyncio.sleep(interval)


def activated_sockets(environment: MutableMapping[str, str] = os.environ) -> dict[str, Sequence[socket.socket]]:
    """The listening sockets that systemd has opened for us, by the name that ``FileDescriptorName=`` gives them.

    Names are ``ssh`` and ``tls``; a single socket without either is ``ssh``.  Raises
    :exc:`~mlag_agent.errors.SettingsError` for what is no listening stream socket.
    """
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdecimal():
        return {}
    found: dict[str, list[socket.socket]] = {}
    for offset in range(int(count)):
        name = names[offset] if offset < len(names) else ""
        if name not in {"ssh", "tls"}:
            if int(count) > 1:
                raise SettingsError(
                    f"systemd passes a socket named {name!r}", "FileDescriptorName= in the socket unit is ssh or tls"
                )
            name = "ssh"
        found.setdefault(name, []).append(_listening(_FIRST_FD + offset))
    return dict(found)


def _listening(descriptor: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=descriptor)
        if sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.set_inheritable(False)
            sock.setblocking(False)
            return sock
    except OSError as error:
        raise SettingsError(f"the socket {descriptor} of systemd cannot be used: {error.strerror}") from None
    raise SettingsError(f"the socket {descriptor} of systemd does not listen", "ListenStream= in the socket unit")
