"""Engines with short timers on a rendezvous folder of the test's own, and a check that they leave nothing behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from mlag_agent.mlag import (
    ChannelConfig,
    DeviceIdentity,
    DownReason,
    Engine,
    EngineTimers,
    GroupConfig,
    LoopbackFabric,
    TableCapacity,
)

LIMIT = 10.0
"""Seconds that a state may take to come on a loaded machine; nothing asserts how long it took."""

TIMERS = EngineTimers(
    hello_interval=0.05,
    hello_hold=0.4,
    heartbeat_interval=0.05,
    keepalive=0.1,
    session_hold=0.6,
    open_timeout=0.6,
    connect_timeout=0.3,
    retry_first=0.02,
    retry_cap=0.2,
    address_check=0.1,
    plan_grace=0.3,
    close_timeout=0.3,
)

V4 = ("10.1.1.1", "10.1.1.2")
V6 = ("2001:db8::1", "2001:db8::2")


def channel(local: str, peer: str, port: int = 2048, vpn: str | None = None) -> ChannelConfig:
    mine, theirs = ip_address(local), ip_address(peer)
    return ChannelConfig(mine.version, mine, theirs, vpn, port)


@dataclass
class Lab:
    """Makes devices in one folder and the words of the tests."""

    folder: Path
    engines: list[Engine] = field(default_factory=list)
    events: dict[str, list[Any]] = field(default_factory=dict)
    limit: float = LIMIT
    timers: EngineTimers = TIMERS

    async def device(self, name: str, pair: str | None = "pair", **options: Any) -> Engine:
        fabric = options.pop("fabric", None) or LoopbackFabric(
            self.folder, name, pair, addresses=options.pop("addresses", None), vpn_instances=options.pop("vpns", None)
        )
        options.setdefault("timers", self.timers)
        options.setdefault("capacity", TableCapacity())
        mac = b"\x02" + name.encode()[:5].rjust(5, b"\0")
        engine = Engine(DeviceIdentity(name, system_mac=mac), fabric, **options)
        self.engines.append(engine)
        await engine.start()
        engine.subscribe(self.events.setdefault(name, []).append)
        return engine

    async def pair(self, **options: Any) -> tuple[Engine, Engine]:
        return await self.device("a", **options), await self.device("b", **options)

    async def apply(self, engine: Engine, config: GroupConfig | None) -> Any:
        plan = await engine.prepare(config)
        engine.commit(plan)
        return plan

    def group(
        self,
        side: int | None,
        *,
        addresses: tuple[str, str] = V4,
        port: int = 2048,
        password: str | None = None,
        vpn: str | None = None,
        group_id: int = 1,
        rate: int | None = None,
    ) -> GroupConfig:
        """Side 0 or 1 of the mirrored addresses, ``None``: no channel."""
        ends = None if side is None else channel(addresses[side], addresses[1 - side], port, vpn)
        return GroupConfig(group_id, password, ends, arp_rate=rate, nd_rate=rate)

    async def up(self, *engines: Engine) -> None:
        await asyncio.gather(*(engine.wait_for(lambda s: s.channel.up, self.limit) for engine in engines))

    async def down(self, engine: Engine, reason: DownReason) -> Any:
        return await engine.wait_for(lambda s: s.channel.down_reason is reason, self.limit)

    async def linked(self, *engines: Engine) -> None:
        """The peer-link carries entries."""
        await asyncio.gather(
            *(engine.wait_for(lambda s: s.channel.entry_path == "peer-link", self.limit) for engine in engines)
        )

    async def equal(self, a: Engine, b: Engine) -> None:
        """Nothing waits on either side, and both show the same digests."""
        async with asyncio.timeout(self.limit):
            while True:
                state = await a.wait_for(lambda s: not any(entry.pending for entry in s.channel.statistics))
                other = await b.wait_for(lambda s: not any(entry.pending for entry in s.channel.statistics))
                if [table.digest for table in state.tables] == [table.digest for table in other.tables]:
                    return
                await next_change(a, b)

    @staticmethod
    def sockets() -> int:
        """Sockets that this process has open."""
        return len(open_sockets())

    async def close(self) -> None:
        await asyncio.gather(*(engine.aclose() for engine in self.engines))


async def next_change(*engines: Engine) -> None:
    """Until the state of one of the engines may have changed."""
    waits = []
    for engine in engines:
        looks = iter((False, True))
        waits.append(asyncio.ensure_future(engine.wait_for(lambda _, looks=looks: next(looks, True))))
    _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in pending:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


def open_sockets() -> set[str]:
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """Devices that are closed at the end; fails the test when a task or a socket is left."""
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    made = Lab(tmp_path / "meet")
    yield made
    await made.close()
    assert asyncio.all_tasks() - {asyncio.current_task()} <= tasks
    assert open_sockets() <= sockets
