"""Virtual time: order and amount of it, threads, and two engines that live for half an hour in one test."""

from __future__ import annotations

import asyncio
import random
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from mlag_agent.mlag import (
    ChannelConfig,
    DeviceIdentity,
    DownReason,
    Engine,
    Fault,
    GroupConfig,
    Link,
    MemoryFabric,
    Network,
)
from mlag_agent.mlag.clock import VirtualTimeLoop, wall_clock


def run(main: Any) -> Any:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


class TestLoop:
    def test_timers_in_their_order_at_their_time(self) -> None:
        async def main() -> list[tuple[float, int]]:
            loop, seen = asyncio.get_running_loop(), []
            for at in (3600, 60, 86400):
                loop.call_at(at, lambda at=at: seen.append((loop.time(), at)))
            await asyncio.sleep(100_000)
            return seen

        assert run(main()) == [(60, 60), (3600, 3600), (86400, 86400)]

    def test_no_time_passes_while_something_is_ready(self) -> None:
        async def main() -> float:
            for _ in range(1000):
                await asyncio.sleep(0)
            return asyncio.get_running_loop().time()

        assert run(main()) == 0

    def test_no_time_passes_while_a_thread_works(self) -> None:
        async def main() -> tuple[str, float]:
            loop, go = asyncio.get_running_loop(), threading.Event()
            loop.call_later(1, go.set)  # would end the wait of the thread, if time passed
            ended = await asyncio.to_thread(lambda: "timer" if go.wait(0.05) else "thread")
            return ended, loop.time()

        assert run(main()) == ("thread", 0)

    def test_timeout(self) -> None:
        async def main() -> float:
            try:
                async with asyncio.timeout(7200):
                    await asyncio.Event().wait()
            except TimeoutError:
                return asyncio.get_running_loop().time()
            return -1

        assert run(main()) == 7200

    def test_wall_clock_goes_along(self) -> None:
        async def main() -> list[datetime]:
            wall = wall_clock(asyncio.get_running_loop(), datetime(2026, 5, 1, tzinfo=UTC))
            first = wall()
            await asyncio.sleep(86400)
            return [first, wall()]

        first, second = run(main())
        assert first == datetime(2026, 5, 1, tzinfo=UTC)
        assert second - first == timedelta(days=1)


class TestEngines:
    @staticmethod
    async def _half_an_hour() -> list[Any]:
        """A channel that comes up, is broken for ten minutes without a word, is mended, and lives on."""
        network, loop, chance = Network(), asyncio.get_running_loop(), random.Random(1)
        engines, events = [], []
        for number in (1, 2):
            engine = Engine(
                DeviceIdentity(f"d{number}", system_mac=bytes([2, 0, 0, 0, 0, number])),
                MemoryFabric(network, f"d{number}", "pair"),
                wall=wall_clock(loop),
                random=chance.random,
                nonce=chance.randbytes,
            )
            await engine.start()
            engine.subscribe(lambda event, number=number: events.append((number, event)))
            engines.append(engine)
        addresses = ip_address("10.0.0.1"), ip_address("10.0.0.2")
        for engine, (mine, theirs) in zip(engines, (addresses, addresses[::-1]), strict=True):
            engine.commit(await engine.prepare(GroupConfig(1, None, ChannelConfig(4, mine, theirs, None, 2048))))
        for engine in engines:
            await engine.wait_for(lambda s: s.channel.up, 60)
        learned = await engines[0].learn(addresses[0], 5000, "10GE1/0/1", 10)
        assert learned == (5000, 0)
        await engines[1].wait_for(lambda s: sum(t.from_peer for t in s.tables) == 5000, 60)
        await asyncio.sleep(600)
        engines[0].set_fault(Link.CHANNEL, Fault.DROP)
        await engines[1].wait_for(lambda s: s.channel.down_reason is DownReason.HOLD_TIMER_EXPIRED, 60)
        await asyncio.sleep(600)
        engines[0].set_fault(Link.CHANNEL, Fault.NONE)
        await asyncio.gather(*(engine.wait_for(lambda s: s.channel.up, 60) for engine in engines))
        await asyncio.sleep(600)
        states = [engine.state() for engine in engines]
        assert states[0].tables[0].digest == states[1].tables[0].digest
        for engine in engines:
            await engine.aclose()
        assert not network.listeners
        assert not network.datagrams
        assert not network.owners
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return [*events, *states, loop.time()]

    def test_half_an_hour_of_a_pair_has_one_course_only(self) -> None:
        assert run(self._half_an_hour()) == run(self._half_an_hour())

    def test_a_pair_at_rest_rests(self) -> None:
        """An established session does not have the engine look at everything again and again."""

        async def main() -> int:
            network, loop = Network(), asyncio.get_running_loop()
            engines = [Engine(DeviceIdentity(name), MemoryFabric(network, name, "pair")) for name in "ab"]
            ends = ip_address("10.0.0.1"), ip_address("10.0.0.2")
            for engine, (mine, theirs) in zip(engines, (ends, ends[::-1]), strict=True):
                await engine.start()
                engine.commit(await engine.prepare(GroupConfig(1, None, ChannelConfig(4, mine, theirs, None, 2048))))
            for engine in engines:
                await engine.wait_for(lambda s: s.channel.up, 60)
            looks = 0

            def looked(_: Any) -> bool:
                nonlocal looks
                looks += 1
                return False

            watch = asyncio.ensure_future(engines[0].wait_for(looked))
            began = loop.time()
            await asyncio.sleep(100)
            assert loop.time() == began + 100
            watch.cancel()
            for engine in engines:
                await engine.aclose()
            return looks

        # Each second: a hello out, one in; each three a keepalive out, one in; each two a look at the address.
        assert run(main()) < 600
