"""``make bench``: what the agent costs, in round trips of an SSH echo server of the same run, beside its peers.

Every server is a process of its own; one asyncio client drives all of them, in turn.  Results go to
``benchmarks/results/``: ``latest.json`` and ``latest.md``.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console

from benchmarks import jobs, servers, workload
from benchmarks.asyncclient import BenchSession
from benchmarks.jobs import Run
from benchmarks.results import OURS, Results
from benchmarks.servers import HERE, Login, Server, ok
from benchmarks.start import module_names
from mlag_agent.server.spare_memory import AFTER_SECONDS

TABLE_WIDTH = 190
"""Columns; a log has more than a terminal."""


async def measure(seconds: float, counts: list[int], *, with_peers: bool) -> Results:
    """All figures but the engine's, in about ``seconds``."""
    results = Results()
    jobs.clean_environment()
    with tempfile.TemporaryDirectory(prefix="mlag-bench-") as scratch:
        folder = Path(scratch)
        login = Login.make(folder)
        async with (
            servers.echo(login) as echo,
            servers.echo(login, cipher=servers.AGENT_CIPHER) as gcm,
            await echo.session() as floor,
            await gcm.session() as same_cipher,
        ):
            run = Run(results, folder, login, seconds, echo, floor, same_cipher)
            jobs.blocks(run)
            async with servers.agent(folder / "first", login):
                pass  # the schema cache is warm from here on: an agent that must load modules has pyang in its memory
            await _start(run)
            async with AsyncExitStack() as stack:
                await _small(run, stack, with_peers=with_peers, long_list=10_000 in counts)
            async with AsyncExitStack() as stack:
                await _lists(run, stack, counts)
    return results


async def _start(run: Run) -> None:
    """With the default modules and with 60, each with a schema cache of its own, which the first start fills."""
    sixty = [part for name in module_names() for part in ("--module", name)]
    for key, modules, share in (("start", [], 0.04), ("start-60", sixty, 0.06)):
        options = ["--schema-cache", str(run.folder / f"{key}-cache"), *modules]
        await jobs.start(run, key, options, run.seconds * share)


async def _opened(stack: AsyncExitStack, server: Server) -> BenchSession:
    return await stack.enter_async_context(await server.session())


async def _fill(session: BenchSession, config: bytes) -> None:
    await ok(session, config)
    await ok(session, workload.COMMIT)


async def _peers(run: Run, stack: AsyncExitStack) -> list[Server]:
    """Those that are installed."""
    found = {
        "the PyPI package netconf": await stack.enter_async_context(servers.netconf_package(run.login)),
        "Yuma123 (netconfd)": await stack.enter_async_context(servers.netconfd(run.folder / "yuma", run.login)),
    }
    for name, server in found.items():
        if server is None:
            run.results.notes.append(f"{name} is not installed: make bench-peers")
    return [server for server in found.values() if server is not None]


async def _small(run: Run, stack: AsyncExitStack, *, with_peers: bool, long_list: bool) -> None:
    """What costs little each time, beside the peers."""
    ours = await stack.enter_async_context(servers.agent(run.folder / "small", run.login))
    peers = await _peers(run, stack) if with_peers else []
    session = await _opened(stack, ours)
    run.results.add("memory-0", ours.resident)
    small = workload.edit(workload.entries(workload.SMALL_ENTRIES))
    await _fill(session, small)
    opened = {peer.name: await _opened(stack, peer) for peer in peers}
    yuma = next((peer for peer in peers if peer.password is None), None)
    if yuma is not None:
        run.results.add("memory-0", yuma.resident, server=yuma.name)
        await _fill(opened[yuma.name], small)
    await jobs.set_up(run, (ours, *peers), run.seconds * 0.06)
    await jobs.small(run, {OURS: session, **opened}, run.seconds * 0.14)
    await jobs.together(run, (ours, *peers), run.seconds * 0.1)
    if yuma is None:
        return
    peer = opened[yuma.name]
    await _fill(peer, workload.edit(workload.entries(10)))
    await jobs.peer_leaf(run, yuma.name, peer, run.seconds * 0.04)
    if long_list:
        await jobs.peer_long_list(run, yuma, peer, 10_000)


async def _lists(run: Run, stack: AsyncExitStack, counts: list[int]) -> None:
    """What may depend on how much is configured: agents with 10, 10,000 and 50,000 entries take turns."""
    by_count: dict[int, BenchSession] = {}
    for count in (10, *counts):
        server = await stack.enter_async_context(servers.agent(run.folder / f"list-{count}", run.login))
        session = by_count[count] = await _opened(stack, server)
        if count == 10:
            await _fill(session, workload.edit(workload.entries(count)))
            continue
        await jobs.loads(run, OURS, session, count, run.seconds * 0.1)
        await jobs.full_reads(run, OURS, session, count, run.seconds * 0.03)
        await asyncio.sleep(1.5 * AFTER_SECONDS)  # what the load left behind is then given back
        run.results.add(f"memory-{count}", server.resident)
        if count == max(counts):
            await jobs.stall(run, server, count)
    leafs = {f"leaf-{count}": session for count, session in by_count.items()}
    volatile = await stack.enter_async_context(servers.agent(run.folder / "volatile", run.login, "--startup"))
    leafs["leaf-10-volatile"] = await _opened(stack, volatile)
    await _fill(leafs["leaf-10-volatile"], workload.edit(workload.entries(10)))
    engine = await stack.enter_async_context(servers.agent(run.folder / "m-lag", run.login))
    leafs["leaf-m-lag"] = await _opened(stack, engine)
    await _fill(leafs["leaf-m-lag"], workload.M_LAG)
    await jobs.leafs(run, leafs, run.seconds * 0.2)
    await jobs.one_by_key(run, by_count, run.seconds * 0.06)


def main() -> None:
    """Measure, print, store.  Missing a target is shown and is no failure: machines differ."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="about how long to measure (default %(default)s)")
    parser.add_argument("--entries", type=int, nargs="*", default=[10_000, 50_000], help="list sizes (default both)")
    parser.add_argument("--engine-entries", type=int, default=200_000)
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out")
    arguments = parser.parse_args()
    results = asyncio.run(measure(arguments.seconds, arguments.entries, with_peers=not arguments.no_peers))
    jobs.engines(results, arguments.engine_entries)
    results.show(Console(width=TABLE_WIDTH))
    for path in results.store(HERE / "results"):
        print(f"written to {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
