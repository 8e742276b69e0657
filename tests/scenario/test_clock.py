"""Virtual time: timers in order, hours at once, sockets as ever; and an engine that has nothing to do rests."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from pathlib import Path

from mlag_agent.mlag import DeviceIdentity, Engine, GroupConfig, LoopbackFabric
from mlag_agent.mlag.config import ChannelConfig
from mlag_agent.scenario import VirtualLoop


def run(main: object) -> object:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)  # type: ignore[arg-type]


def test_timers_are_due_in_order_and_take_no_time() -> None:
    async def main() -> list[tuple[str, int]]:
        loop, seen = asyncio.get_running_loop(), []
        for name, delay in (("day", 86400.0), ("second", 1.0), ("hour", 3600.0)):
            loop.call_later(delay, lambda name=name: seen.append((name, round(loop.time()))))
        await asyncio.sleep(86401)
        return seen

    assert run(main()) == [("second", 1), ("hour", 3600), ("day", 86400)]


def test_what_was_sent_comes_before_any_timer() -> None:
    async def main() -> list[str]:
        ours, theirs = socket.socketpair()
        seen: list[str] = []
        loop = asyncio.get_running_loop()
        ours.setblocking(False)
        theirs.setblocking(False)
        loop.call_later(0.001, seen.append, "timer")
        theirs.send(b"data")
        seen.append((await loop.sock_recv(ours, 10)).decode())
        await asyncio.sleep(1)
        ours.close()
        theirs.close()
        return seen

    assert run(main()) == ["data", "timer"]


def test_an_engine_with_an_open_channel_rests_between_its_timers(tmp_path: Path) -> None:
    """It once looked again and again at sessions that had nothing to say: a whole CPU for each pair."""
    looks = 0

    class Counting(Engine):
        def _refresh(self) -> None:
            nonlocal looks
            looks += 1
            if looks > 5000:
                raise AssertionError("the engine does not come to rest")
            super()._refresh()

    async def main() -> None:
        ends = ip_address("10.1.1.1"), ip_address("10.1.1.2")
        engines = [
            Counting(
                DeviceIdentity(name, system_mac=bytes([2, 0, 0, 0, 0, at])), LoopbackFabric(tmp_path, name, "pair")
            )
            for at, name in enumerate(("a", "b"))
        ]
        for at, engine in enumerate(engines):
            await engine.start()
            engine.commit(
                await engine.prepare(GroupConfig(1, channel=ChannelConfig(4, ends[at], ends[1 - at], None, 2048)))
            )
        for engine in engines:
            await engine.wait_for(lambda state: state.channel.up, 60)
        before = looks
        await asyncio.sleep(60)
        # Hellos of both sides, keepalives, looks at the address: some four a second and device.
        assert 60 < looks - before < 1000
        for engine in engines:
            await engine.aclose()

    run(main())
