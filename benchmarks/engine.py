"""Entries per second from the table of one engine into the table of another, against a plain-socket floor.

Both engines run in this process over the loopback fabric's real TCP sockets, with a password (HMAC-SHA256 on every
message) and without rate limits. Timed is the batch at session start: from the moment the second device is configured
until the last entry is in its table, so hello, connection and opening count too. The floor moves the same number of
bytes, in messages of the same size, between two asyncio streams over a socket pair, without tables or digests.

Usage: python -m benchmarks.engine --entries 200000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import tempfile
import time
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Literal

from mlag_agent.mlag import (
    ChannelConfig,
    DeviceIdentity,
    Engine,
    EntryType,
    GroupConfig,
    LoopbackFabric,
    TableCapacity,
)
from mlag_agent.mlag.messages import BATCH_RECORDS, RECORD_SIZE

__all__ = ["run"]

PASSWORD = "bench-secret"
START: dict[EntryType, IPv4Address | IPv6Address] = {
    EntryType.ARP: IPv4Address("10.0.0.0"),
    EntryType.ND: IPv6Address("2001:db8:1::"),
}
MESSAGE_OVERHEAD = 20 + 1 + 32


def _group(local: str, peer: str, family: Literal[4, 6] = 4) -> GroupConfig:
    ends = ChannelConfig(family, ip_address(local), ip_address(peer), None, 2048)
    return GroupConfig(1, PASSWORD, ends, arp_rate=None, nd_rate=None)


async def _arrived(engine: Engine, entry_type: EntryType, entries: int) -> None:
    """Until the table is complete; looks without a digest, which would be part of what is timed."""
    table = engine._sync.tables[entry_type]
    # No event says this, and a snapshot for each look would be timed too.
    while table.from_peer < entries:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def _sync(entries: int, entry_type: EntryType) -> dict[str, float]:
    capacity = TableCapacity(arp=entries, nd=entries)
    with tempfile.TemporaryDirectory() as folder:
        fabrics = [LoopbackFabric(Path(folder), name, "pair") for name in "ab"]
        async with (
            Engine(DeviceIdentity("a"), fabrics[0], capacity=capacity) as a,
            Engine(DeviceIdentity("b"), fabrics[1], capacity=capacity) as b,
        ):
            a.commit(await a.prepare(_group("192.0.2.1", "192.0.2.2")))
            before = time.perf_counter()
            await a.learn(START[entry_type], entries, "eth0", 10)
            learned = time.perf_counter() - before
            before = time.perf_counter()
            b.commit(await b.prepare(_group("192.0.2.2", "192.0.2.1")))
            await _arrived(b, entry_type, entries)
            moved = time.perf_counter() - before
            before = time.perf_counter()
            digests = a.state().table(entry_type).digest, b.state().table(entry_type).digest
            hashed = time.perf_counter() - before
            assert digests[0] == digests[1]
    return {"entries/s": entries / moved, "learned/s": entries / learned, "two digests, s": hashed}


async def _floor(entries: int, entry_type: EntryType) -> float:
    message = bytes(MESSAGE_OVERHEAD + BATCH_RECORDS * RECORD_SIZE[entry_type])
    count = -(-entries // BATCH_RECORDS)
    ends = socket.socketpair()
    reader, closing = await asyncio.open_connection(sock=ends[0])
    _, writer = await asyncio.open_connection(sock=ends[1])
    before = time.perf_counter()

    async def send() -> None:
        for _ in range(count):
            writer.write(message)
            await writer.drain()

    sending = asyncio.create_task(send())
    for _ in range(count):
        await reader.readexactly(len(message))
    took = time.perf_counter() - before
    await sending
    for end in (writer, closing):
        end.close()
        await end.wait_closed()
    return entries / took


def run(entries: int) -> dict[str, float]:
    """Figures by name: entries per second for ARP and ND, the floor, and ``of floor`` as a fraction of it."""
    figures: dict[str, float] = {}
    for entry_type in EntryType:
        floor = asyncio.run(_floor(entries, entry_type))
        measured = asyncio.run(_sync(entries, entry_type))
        figures |= {f"{entry_type} {name}": value for name, value in measured.items()}
        figures[f"{entry_type} floor entries/s"] = floor
        figures[f"{entry_type} of floor"] = measured["entries/s"] / floor
    return figures


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=200_000, help="entries to synchronise (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    figures = run(arguments.entries)
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:24} {value:14,.3f}" if value < 100 else f"{name:24} {value:14,.0f}")


if __name__ == "__main__":
    main()
