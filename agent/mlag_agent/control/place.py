"""Where the control socket is, whatever the length of its path.

A Unix socket's address holds 107 bytes.  A longer path is reached through an open folder: ``/proc/self/fd/N/name``.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlag_agent.control.protocol import SOCKET_NAME

__all__ = ["MAX_ADDRESS", "address", "peer_uid"]

MAX_ADDRESS = 107
"""sizeof(sun_path) less the NUL at its end (unix(7))."""

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


@contextmanager
def address(folder: Path) -> Iterator[str]:
    """What to bind or to connect to; raises OSError when the folder is not there."""
    path = str(folder / SOCKET_NAME)
    if len(os.fsencode(path)) <= MAX_ADDRESS:
        yield path
        return
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


def peer_uid(connection: socket.socket) -> int:
    """The user at the other end (SO_PEERCRED, unix(7))."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[1])
