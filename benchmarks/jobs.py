"""What is measured, job by job; each puts its figures into ``Results``.

Every job that compares with echoes measures them in its own rounds.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import engine, servers, workload
from benchmarks.asyncclient import BenchSession
from benchmarks.results import OURS, Results
from benchmarks.sampling import Action, Samples, quiet_collector, take_turns, timed
from benchmarks.servers import HERE, Login, Server, ok
from mlag_agent.datastore.persist import Journal
from mlag_agent.schema.engine import Contents
from mlag_agent.schema.library import SchemaLibrary
from mlag_agent.schema.nodes import ModuleRequest

__all__ = [
    "blocks", "clean_environment", "engines", "full_reads", "leafs", "loads", "one_by_key",
    "peer_leaf", "peer_long_list", "set_up", "small", "stall", "start", "together",
]  # fmt: skip

SESSIONS = 50


@dataclass(frozen=True, slots=True)
class Run:
    """What every job works with: ``floor`` is a session of the echo server ``echo``; ``seconds`` are for all jobs."""

    results: Results
    folder: Path
    login: Login
    seconds: float
    echo: Server
    floor: BenchSession
    same_cipher: BenchSession
    """Of an echo server with the cipher that the agent has."""

    async def echoed(self) -> None:
        """One echo, as an action that takes turns with others."""
        await self.floor.rpc(workload.GET)

    async def echoes(self, count: int) -> Samples:
        """So many echoes in a row."""
        return Samples([await timed(self.echoed) for _ in range(count)])


def read(session: BenchSession, operation: bytes) -> Action:
    """An operation that takes turns with others."""
    return lambda: ok(session, operation)


class Leaf:
    """One leaf of one entry, changed and committed: another value each time."""

    def __init__(self, session: BenchSession, number: int) -> None:
        self._session = session
        self._number = number
        self._port = 0

    async def __call__(self) -> None:
        self._port = self._port % 60000 + 1
        await ok(self._session, workload.leaf(self._number, self._port))
        await ok(self._session, workload.COMMIT)


class EngineLeaf:
    """The same for a leaf that the synchronisation engine subscribes to."""

    def __init__(self, session: BenchSession) -> None:
        self._session = session
        self._rate = 0

    async def __call__(self) -> None:
        self._rate = (self._rate + 1) % 1000
        await ok(self._session, workload.m_lag_leaf(1000 + self._rate))
        await ok(self._session, workload.COMMIT)


def in_echoes(results: Results, keys: Mapping[str, Samples], echo: Samples, *, server: str = OURS) -> None:
    """Medians in ms, and in echoes of the same rounds."""
    for key, samples in keys.items():
        results.add(key, samples.median * 1000, ratio=samples.median / echo.median, server=server)


# --- sessions -----------------------------------------------------------------------------------------------


async def set_up(run: Run, others: Sequence[Server], seconds: float) -> None:
    """TCP, SSH, key or password, subsystem, hellos."""

    def open_and_close(server: Server) -> Action:
        async def opened() -> None:
            async with await server.session():
                pass

        return opened

    turns = await take_turns({server.name: open_and_close(server) for server in (run.echo, *others)}, seconds, least=5)
    floor = turns[run.echo.name].median
    for name, samples in turns.items():
        run.results.add("set-up", samples.median * 1000, ratio=samples.median / floor, server=name)


async def together(run: Run, others: Sequence[Server], seconds: float) -> None:
    """Many sessions at once, each sending its next request when it has its reply; servers in turn, slice by slice."""
    slices = 4
    rates: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        sessions = {
            server: [await stack.enter_async_context(await server.session()) for _ in range(SESSIONS)]
            for server in (run.echo, *others)
        }
        with quiet_collector():
            for _ in range(slices):
                for server, opened in sessions.items():
                    rate = await _rate(opened, seconds / slices / len(sessions))
                    rates.setdefault(server.name, []).append(rate)
    floor = statistics.median(rates[run.echo.name])
    for name, found in rates.items():
        run.results.add("sessions-50", statistics.median(found), ratio=statistics.median(found) / floor, server=name)


async def _rate(sessions: Sequence[BenchSession], seconds: float) -> float:
    """Replies per second of all sessions together."""
    end = time.perf_counter() + seconds

    async def one(session: BenchSession) -> int:
        count = 0
        while time.perf_counter() < end:
            await session.rpc(workload.GET)
            count += 1
        return count

    before = time.perf_counter()
    counts = await asyncio.gather(*map(one, sessions))
    return sum(counts) / (time.perf_counter() - before)


# --- small operations ---------------------------------------------------------------------------------------


async def small(run: Run, others: Mapping[str, BenchSession], seconds: float) -> None:
    """Get-config of a small configuration, the same for all; get of everything for our own state."""
    actions: dict[str, Action] = {"echo": run.echoed, "echo-gcm": read(run.same_cipher, workload.GET)}
    actions |= {name: read(session, workload.GET) for name, session in others.items()}
    turns = await take_turns(actions, seconds)
    floor, same_cipher = turns.pop("echo"), turns.pop("echo-gcm")
    run.results.add("echo", floor.median * 1000, server="echo")
    in_echoes(run.results, {"echo-gcm": same_cipher}, floor, server="echo")
    for name, samples in turns.items():
        in_echoes(run.results, {"small": samples}, floor, server=name)
    get: dict[str, Action] = {"echo": run.echoed, "get": read(others[OURS], workload.GET_ALL)}
    turns = await take_turns(get, seconds / 10)
    in_echoes(run.results, {"get": turns["get"]}, turns["echo"])


async def leafs(run: Run, sessions: Mapping[str, BenchSession], seconds: float) -> None:
    """One-leaf edit + commit: ``sessions`` by figure; all take turns, so that they can be compared with each other."""
    actions: dict[str, Action] = {"echo": run.echoed}
    for key, session in sessions.items():
        number = 5 if "-10" in key and "0000" not in key else 5000
        actions[key] = EngineLeaf(session) if key == "leaf-m-lag" else Leaf(session, number)
    turns = await take_turns(actions, seconds)
    floor = turns.pop("echo")
    in_echoes(run.results, turns, floor)
    largest, ten = turns.get("leaf-50000"), turns.get("leaf-10")
    if largest is not None and ten is not None:
        run.results.add("leaf-flat", largest.median / ten.median, ratio=largest.median / ten.median)
        worst = largest.quantile(0.99)
        run.results.add("leaf-worst", worst * 1000, ratio=worst / floor.median)


async def peer_leaf(run: Run, peer: str, session: BenchSession, seconds: float) -> None:
    """One-leaf edit + commit of a peer at 10 entries."""
    turns = await take_turns({"echo": run.echoed, "leaf-10": Leaf(session, 5)}, seconds)
    in_echoes(run.results, {"leaf-10": turns["leaf-10"]}, turns["echo"], server=peer)


async def peer_long_list(run: Run, server: Server, session: BenchSession, count: int) -> None:
    """A peer's load, full read, read by key, one-leaf commit and memory: once where it takes seconds."""
    await loads(run, server.name, session, count, 1)
    await full_reads(run, server.name, session, count, 1)
    actions: dict[str, Action] = {
        "echo": run.echoed,
        f"one-{count}": read(session, workload.one(count // 2)),
    }
    turns = await take_turns(actions, 1)
    in_echoes(run.results, {f"one-{count}": turns[f"one-{count}"]}, turns["echo"], server=server.name)
    run.results.add(f"memory-{count}", server.resident, server=server.name)
    echoes = await run.echoes(50)
    once = await timed(Leaf(session, count // 2))
    run.results.add(f"leaf-{count}", once * 1000, ratio=once / echoes.median, server=server.name)


async def one_by_key(run: Run, sessions: Mapping[int, BenchSession], seconds: float) -> None:
    """Get-config of one entry by its key among so many; all take turns."""
    actions: dict[str, Action] = {"echo": run.echoed}
    actions |= {f"one-{count}": read(session, workload.one(count // 2)) for count, session in sessions.items()}
    turns = await take_turns(actions, seconds)
    floor = turns.pop("echo")
    in_echoes(run.results, turns, floor)
    if "one-50000" in turns:
        flat = turns["one-50000"].median / turns["one-10"].median
        run.results.add("one-flat", flat, ratio=flat)


# --- long lists ---------------------------------------------------------------------------------------------


async def loads(run: Run, server: str, session: BenchSession, count: int, seconds: float) -> None:
    """An edit-config with so many entries into an empty list, and its commit; leaves the list loaded."""
    payload = workload.edit(workload.entries(count))
    loaded, echoes = Samples(), Samples()

    async def load() -> None:
        await ok(session, payload)
        await ok(session, workload.COMMIT)

    end = time.perf_counter() + seconds
    with quiet_collector():
        while not loaded.times or (time.perf_counter() < end and len(loaded.times) < 20):
            await ok(session, workload.CLEAR)
            await ok(session, workload.COMMIT)
            echoes.times += (await run.echoes(25)).times
            loaded.times.append(await timed(load))
            echoes.times += (await run.echoes(25)).times
    run.results.add(f"load-{count}", loaded.median, ratio=loaded.median / echoes.median, server=server)


async def full_reads(run: Run, server: str, session: BenchSession, count: int, seconds: float) -> None:
    """Get-config of all entries."""
    actions: dict[str, Action] = {"echo": run.echoed, "full": read(session, workload.WHOLE)}
    turns = await take_turns(actions, seconds)
    in_echoes(run.results, {f"full-{count}": turns["full"]}, turns["echo"], server=server)


async def stall(run: Run, server: Server, count: int) -> None:
    """What others wait at most while one session loads a long list: they are served by the same event loop."""
    echoes = await run.echoes(200)
    async with await server.session() as loading, await server.session() as other:
        await ok(loading, workload.CLEAR)
        await ok(loading, workload.COMMIT)

        async def load() -> None:
            await ok(loading, workload.edit(workload.entries(count)))
            await ok(loading, workload.COMMIT)

        waits = Samples()
        task = asyncio.create_task(load())
        while not task.done():
            waits.times.append(await timed(lambda: ok(other, workload.one(1))))
        await task
    run.results.add("stall", waits.worst * 1000, ratio=waits.worst / echoes.median)


# --- start, building blocks, engine -------------------------------------------------------------------------


async def start(run: Run, key: str, options: Sequence[str], seconds: float) -> None:
    """From the start of the process to the server's hello, each time on the same state folder.

    The first start, which finds nothing cached, is a figure of its own.
    """
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 4 or (time.perf_counter() < end and len(times) < 20):
        before = time.perf_counter()
        async with servers.agent(run.folder / key, run.login, *options) as server, await server.session():
            times.append(time.perf_counter() - before)
    run.results.add(f"{key}-first", times[0])
    run.results.add(key, statistics.median(times[1:]))


def blocks(run: Run) -> None:
    """What the building blocks cost alone: libyang for the list, SQLite for one durable commit on this disk."""
    library = SchemaLibrary.load([ModuleRequest("bench-entries")], (HERE / "yang",))
    document = workload.entries(10_000).decode()
    times = []
    for _ in range(5):
        before = time.perf_counter()
        library.engine.validate(document, Contents.CONFIG, lambda path, message="": None)
        times.append(time.perf_counter() - before)
    run.results.add("libyang", statistics.median(times) * 1000)
    journal = Journal.open(run.folder / "floor.db")
    times.clear()
    for _ in range(200):
        before = time.perf_counter()
        with journal.writing("running", b"x" * 300, lambda: b""):
            pass
        times.append(time.perf_counter() - before)
    journal.close()
    run.results.add("sqlite", statistics.median(times) * 1000)


def engines(results: Results, count: int) -> None:
    """The synchronisation engine, table to table."""
    figures = engine.run(count)
    for kind in ("arp", "nd"):
        results.add(f"engine-{kind}", figures[f"{kind} entries/s"], ratio=figures[f"{kind} of floor"])


def clean_environment() -> None:
    """What an agent would take from the environment of whoever runs the bench."""
    os.environ.pop("MLAG_AGENT_PASSWORD", None)
