"""Who holds a TCP port: a hint for a person, read from /proc, never relied upon."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

__all__ = ["describe_port_holder"]

_LISTEN: Final = "0A"
_UNKNOWN: Final = "another process"


def describe_port_holder(address: str, port: int) -> str:
    """A phrase such as ``process 4711 (nginx)``; ``another process`` when /proc does not tell (not ours, no /proc)."""
    inodes = set(_listening_inodes(address, port))
    if not inodes:
        return _UNKNOWN
    links = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        if _holds(process, links):
            try:
                name = (process / "comm").read_text().strip()
            except OSError:
                return _UNKNOWN
            return f"process {process.name} ({name})" if int(process.name) != os.getpid() else "this process"
    return _UNKNOWN


def _holds(process: Path, links: set[str]) -> bool:
    try:
        return any(os.readlink(process / "fd" / name) in links for name in os.listdir(process / "fd"))
    except OSError:
        return False  # ended meanwhile, or of another user: the hint stays vague


def _listening_inodes(address: str, port: int) -> Iterator[str]:
    wanted = ip_address(address)
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue  # no IPv6, or no /proc
        for line in lines:
            fields = line.split()
            held_address, _, held_port = fields[1].partition(":")
            if int(held_port, 16) == port and fields[3] == _LISTEN and _covers(_parse(held_address), wanted):
                yield fields[9]


def _parse(text: str) -> IPv4Address | IPv6Address:
    """/proc prints addresses as 32-bit words in host order."""
    words = [socket.htonl(int(text[i : i + 8], 16)) for i in range(0, len(text), 8)]
    packed = b"".join(word.to_bytes(4, "big") for word in words)
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)


def _covers(held: IPv4Address | IPv6Address, wanted: IPv4Address | IPv6Address) -> bool:
    return held.is_unspecified or held == wanted
