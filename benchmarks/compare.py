"""Two checkouts in one run, in turn: what a change costs or saves.

Usage: ``python -m benchmarks.compare BEFORE AFTER [--seconds 30] [--entries 50000]``; each is a folder with ``agent/``
in it, for instance one of ``git worktree add``.  Printed are medians of interleaved blocks, in ms and in echoes of the
same blocks, the processor time that the server's event loop took for each call, and AFTER divided by BEFORE.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import jobs, servers, workload
from benchmarks.asyncclient import BenchSession
from benchmarks.jobs import EngineLeaf, Leaf, read
from benchmarks.sampling import Action, take_turns
from benchmarks.servers import Login, Server, ok

__all__ = ["compare"]

BEFORE, AFTER, ECHO = "before", "after", "echo"


class _Load:
    """The list taken away and loaded again: both count."""

    def __init__(self, session: BenchSession, count: int) -> None:
        self._session = session
        self._payload = workload.edit(workload.entries(count))

    async def __call__(self) -> None:
        for operation in (workload.CLEAR, workload.COMMIT, self._payload, workload.COMMIT):
            await ok(self._session, operation)


class _Counted:
    """An action that knows how often it was called."""

    def __init__(self, action: Action) -> None:
        self._action = action
        self.calls = 0

    async def __call__(self) -> None:
        self.calls += 1
        await self._action()


@dataclass(frozen=True, slots=True)
class _Pair:
    """An agent of each checkout, with a session to each and one to the echo server."""

    servers: Mapping[str, Server]
    sessions: Mapping[str, BenchSession]
    echo: BenchSession
    seconds: float

    async def fill(self, config: bytes) -> None:
        """The same configuration for both."""
        for session in self.sessions.values():
            await ok(session, config)
            await ok(session, workload.COMMIT)

    def resident(self, title: str) -> None:
        """Print what both hold of memory."""
        before, after = self.servers[BEFORE].resident, self.servers[AFTER].resident
        print(f"{title:32} {before:9.1f} MB -> {after:9.1f} MB   x {after / before:.3f}")

    async def turns(self, title: str, action: Callable[[BenchSession], Action], share: float) -> None:
        """Let both do the same, and print it."""
        actions = {name: _Counted(action(session)) for name, session in self.sessions.items()}
        spent = {name: server.processor_time for name, server in self.servers.items()}
        found = await take_turns({**actions, ECHO: read(self.echo, workload.GET)}, self.seconds * share)
        before, after, echo = found[BEFORE], found[AFTER], found[ECHO]
        cpu = [(self.servers[name].processor_time - spent[name]) / actions[name].calls * 1e6 for name in actions]
        print(
            f"{title:32} {before.median * 1000:9.3f} ms ({before.median / echo.median:8.2f} echoes) -> "
            f"{after.median * 1000:9.3f} ms ({after.median / echo.median:8.2f})   x {after.median / before.median:.3f}"
            f"   processor {cpu[0]:.0f} -> {cpu[1]:.0f} us  x {cpu[1] / cpu[0]:.3f}"
            f"   99 of 100: {before.quantile(0.99) * 1000:.2f} -> {after.quantile(0.99) * 1000:.2f} ms,"
            f" {len(after.times)} samples",
            flush=True,
        )


async def _small(pair: _Pair) -> None:
    pair.resident("resident, empty")
    await pair.fill(workload.edit(workload.entries(workload.SMALL_ENTRIES)))
    await pair.turns("small get-config", lambda session: read(session, workload.GET), 0.15)
    await pair.fill(workload.edit(workload.entries(10)))
    await pair.turns("get-config by key, 10", lambda session: read(session, workload.one(5)), 0.1)
    await pair.turns("one-leaf edit + commit, 10", lambda session: Leaf(session, 5), 0.2)
    await pair.fill(workload.M_LAG)
    await pair.turns("one-leaf through the engine", EngineLeaf, 0.1)


async def _large(pair: _Pair, entries: int) -> None:
    at = entries // 2
    await pair.turns(f"clear + load, {entries:,}", lambda session: _Load(session, entries), 0.15)
    await pair.turns(f"full get-config, {entries:,}", lambda session: read(session, workload.WHOLE), 0.05)
    pair.resident(f"resident, {entries:,}")
    await pair.turns(f"get-config by key, {entries:,}", lambda session: read(session, workload.one(at)), 0.05)
    await pair.turns(f"one-leaf edit + commit, {entries:,}", lambda session: Leaf(session, at), 0.2)


async def compare(before: Path, after: Path, seconds: float, entries: int) -> None:
    """Start an agent of each checkout for the small figures, then for the long list, and let them take turns."""
    jobs.clean_environment()
    with tempfile.TemporaryDirectory(prefix="mlag-compare-") as scratch:
        login = Login.make(Path(scratch))
        async with servers.echo(login) as echo_server, await echo_server.session() as echo:
            for name, checkout in ((BEFORE, before), (AFTER, after)):  # both schema caches are warm from here on
                async with servers.agent(Path(scratch, f"first-{name}"), login, checkout=checkout):
                    pass
            for part in ("small", "large") if entries else ("small",):
                async with AsyncExitStack() as stack:
                    started, sessions = {}, {}
                    for name, checkout in ((BEFORE, before), (AFTER, after)):
                        folder = Path(scratch, f"{part}-{name}")
                        server = await stack.enter_async_context(servers.agent(folder, login, checkout=checkout))
                        started[name] = server
                        sessions[name] = await stack.enter_async_context(await server.session())
                    pair = _Pair(started, sessions, echo, seconds)
                    await (_small(pair) if part == "small" else _large(pair, entries))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--seconds", type=float, default=30, help="about how long (default %(default)s)")
    parser.add_argument("--entries", type=int, default=50_000, help="of the long list; 0: none (default %(default)s)")
    arguments = parser.parse_args()
    asyncio.run(compare(arguments.before.resolve(), arguments.after.resolve(), arguments.seconds, arguments.entries))


if __name__ == "__main__":
    main()
