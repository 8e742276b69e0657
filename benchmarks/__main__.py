"""``make bench``: what the agent costs, in round trips of an SSH echo server of the same run.

Echo server and agent are processes of their own; one asyncio client drives both, in turn, so that a machine that
slows down slows both.  Times alone say little on another machine: the table gives ratios beside them, and each
target of the issue or of PEERS.md.  Results go to ``benchmarks/results/``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
from rich.console import Console
from rich.table import Table

from benchmarks import bench_engine
from benchmarks.asyncclient import BenchSession, connect
from mlag_agent.datastore.persist import Journal
from mlag_agent.schema.engine import Contents
from mlag_agent.schema.library import SchemaLibrary
from mlag_agent.schema.nodes import ModuleRequest

HERE = Path(__file__).resolve().parent
USER = "bench"

CONFIG = b"""<m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag"><dfs-groups><dfs-group><id>1</id><peer-link-source><ipv6>\
<local-address>2001:db8:1::1</local-address><peer-address>2001:db8:1::2</peer-address><tcp-port>2048</tcp-port>\
</ipv6></peer-link-source></dfs-group></dfs-groups></m-lag>"""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a figure, what it is compared with, and the bound that the issue sets (None: informative)."""

    name: str
    value: float
    unit: str
    ratio: float | None
    against: str
    target: str
    met: bool | None


# --- servers ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def process(*command: str, pattern: str) -> AsyncIterator[int]:
    """A server process; gives the port that its ready line names, and ends the process."""
    running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=HERE.parent)
    assert running.stdout is not None
    try:
        line = (await running.stdout.readline()).decode()
        match = re.search(pattern, line)
        if match is None:
            raise RuntimeError(f"{command[0]} did not start: {line!r}")
        yield int(match[1])
    finally:
        running.terminate()
        await running.wait()


@asynccontextmanager
async def agent(folder: Path, keys: Path, *options: str) -> AsyncIterator[int]:
    """An agent with the bench module, on a state folder of its own."""
    command = [
        sys.executable, "-m", "mlag_agent.cli", "serve", "--port", "0", "--state", str(folder / "state"),
        "--rendezvous", str(folder / "rendezvous"), "--user", USER, "--authorized-keys", str(keys),
        "--yang-dir", str(HERE / "yang"), "--module", "bench-entries", *options,
    ]  # fmt: skip
    async with process(*command, pattern=r"port (\d+)") as port:
        yield port


# --- measuring ----------------------------------------------------------------------------------------------


async def timed(action: Callable[[], Awaitable[object]]) -> float:
    """Seconds that one action takes."""
    before = time.perf_counter()
    await action()
    return time.perf_counter() - before


async def in_turn(
    one: Callable[[], Awaitable[object]], other: Callable[[], Awaitable[object]], rounds: int
) -> tuple[float, float]:
    """Medians of two actions that take turns."""
    ones, others = [], []
    for _ in range(rounds):
        ones.append(await timed(one))
        others.append(await timed(other))
    return statistics.median(ones), statistics.median(others)


async def ok(session: BenchSession, operation: bytes) -> bytes:
    """An rpc that must not fail."""
    reply = await session.rpc(operation)
    if b"<rpc-error>" in reply:
        raise RuntimeError(reply.decode())
    return reply


def edit(config: bytes, target: bytes = b"candidate") -> bytes:
    """An edit-config."""
    return b"<edit-config><target><%b/></target><config>%b</config></edit-config>" % (target, config)


def entries(count: int) -> bytes:
    """The bench list."""
    rows = "".join(
        f"<entry><id>{i}</id><name>entry number {i}</name><local>2001:db8:1::{i:x}</local>"
        f"<peer>2001:db8:2::{i:x}</peer><port>{1025 + i % 60000}</port></entry>"
        for i in range(count)
    )
    return f'<entries xmlns="urn:mlag-agent:yang:bench-entries">{rows}</entries>'.encode()


async def session_rows(echo: int, port: int, key: asyncssh.SSHKey, rounds: int) -> list[Row]:
    """Set-up of a session: TCP, SSH, key, subsystem, hellos."""

    def open_and_close(where: int) -> Callable[[], Awaitable[object]]:
        async def run() -> None:
            async with await connect(where, username=USER, client_keys=[key]):
                pass

        return run

    floor, ours = await in_turn(open_and_close(echo), open_and_close(port), rounds)
    return [
        Row("session set-up, echo server", floor * 1000, "ms", None, "", "", None),
        Row("session set-up", ours * 1000, "ms", ours / floor, "echo server's", "<= 1.5", ours / floor <= 1.5),
    ]


GET = b"<get-config><source><running/></source></get-config>"


async def small_rows(echo: BenchSession, session: BenchSession, rounds: int) -> tuple[list[Row], float]:
    """Small operations against the echo of a message of the same kind."""
    await ok(session, edit(CONFIG))
    await ok(session, b"<commit/>")
    floor, read = await in_turn(lambda: echo.rpc(GET), lambda: ok(session, GET), rounds)
    state, _ = await in_turn(lambda: ok(session, b"<get/>"), lambda: echo.rpc(GET), max(20, rounds // 5))
    rows = [
        Row("echo", floor * 1000, "ms", None, "", "", None),
        Row("small get-config", read * 1000, "ms", read / floor, "echoes", "<= 2", read / floor <= 2),
        Row("get, all state", state * 1000, "ms", state / floor, "echoes", "", None),
        await leaf_row("one-leaf edit + commit, on disk", echo, session, rounds),
    ]
    return rows, floor


async def leaf_row(name: str, echo: BenchSession, session: BenchSession, rounds: int) -> Row:
    """One leaf changed and committed."""
    rate = 0

    async def one_leaf() -> None:
        nonlocal rate
        rate = (rate + 1) % 1000
        leaf = b"<arp-backup-rate>%d</arp-backup-rate>" % (1000 + rate)
        await ok(session, edit(b'<m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag"><global>%b</global></m-lag>' % leaf))
        await ok(session, b"<commit/>")

    floor, write = await in_turn(lambda: echo.rpc(GET), one_leaf, rounds)
    return Row(name, write * 1000, "ms", write / floor, "echoes", "<= 5", write / floor <= 5)


async def load_rows(session: BenchSession, count: int, rounds: int, echo: float) -> list[Row]:
    """A list of many entries: load, read whole, read one, change one leaf."""
    payload = edit(entries(count))
    clear = edit(
        b'<entries xmlns="urn:mlag-agent:yang:bench-entries" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"'
        b' nc:operation="remove"/>'
    )
    loads = []
    for _ in range(rounds):
        await ok(session, clear)
        await ok(session, b"<commit/>")

        async def load() -> None:
            await ok(session, payload)
            await ok(session, b"<commit/>")

        loads.append(await timed(load))
    head = b'<filter><entries xmlns="urn:mlag-agent:yang:bench-entries">'
    whole = b"<get-config><source><running/></source>" + head + b"</entries></filter></get-config>"
    one = (
        b"<get-config><source><running/></source>" + head
        + b"<entry><id>%d</id></entry></entries></filter></get-config>" % (count // 2)
    )  # fmt: skip
    await ok(session, whole)
    full = statistics.median([await timed(lambda: ok(session, whole)) for _ in range(rounds)])
    keyed = statistics.median([await timed(lambda: ok(session, one)) for _ in range(rounds * 10)])
    leafs = []
    for number in range(rounds):
        leaf = (
            b'<entries xmlns="urn:mlag-agent:yang:bench-entries"><entry><id>%d</id><port>%d</port></entry></entries>'
            % (count // 2, 2000 + number)
        )

        async def change(leaf: bytes = leaf) -> None:
            await ok(session, edit(leaf))
            await ok(session, b"<commit/>")

        leafs.append(await timed(change))
    load_time, leaf_time = statistics.median(loads), statistics.median(leafs)
    bound = 0.5 if count == 10_000 else None
    return [
        Row(f"load {count:,} entries", load_time, "s", load_time / echo, "echoes",
            f"<= {bound} s" if bound else "", load_time <= bound if bound else None),
        Row(f"get-config of {count:,} entries", full * 1000, "ms", full / echo, "echoes", "", None),
        Row(f"get-config of one of {count:,}", keyed * 1000, "ms", keyed / echo, "echoes", "", None),
        Row(f"one-leaf edit + commit at {count:,}", leaf_time * 1000, "ms", leaf_time / echo, "echoes", "", None),
    ]  # fmt: skip


def floor_rows(count: int, folder: Path) -> list[Row]:
    """What the building blocks cost alone: libyang for the list, SQLite for one durable commit on this disk."""
    requests = [ModuleRequest("bench-entries")]
    library = SchemaLibrary.load(requests, (HERE / "yang",))
    document = entries(count).decode()
    times = []
    for _ in range(5):
        before = time.perf_counter()
        library.engine.validate(document, Contents.CONFIG, lambda path: None)
        times.append(time.perf_counter() - before)
    journal = Journal.open(folder / "floor.db")
    commits = []
    for _ in range(50):
        before = time.perf_counter()
        with journal.writing("running", b"x" * 300, lambda: b""):
            pass
        commits.append(time.perf_counter() - before)
    journal.close()
    return [
        Row(f"libyang alone, {count:,} entries", statistics.median(times), "s", None, "", "", None),
        Row("SQLite alone, one durable commit", statistics.median(commits) * 1000, "ms", None, "", "", None),
    ]


async def start_row(folder: Path, keys: Path, key: asyncssh.SSHKey, rounds: int) -> Row:
    """From the start of the process to the server's hello."""
    times = []
    for number in range(rounds):
        before = time.perf_counter()
        async with (
            agent(folder / f"start-{number}", keys) as port,
            await connect(port, username=USER, client_keys=[key]),
        ):
            times.append(time.perf_counter() - before)
    value = statistics.median(times)
    return Row("start to first hello", value, "s", None, "", "< 1 s", value < 1)


def engine_rows(count: int) -> list[Row]:
    """The synchronisation engine, table to table."""
    figures = bench_engine.run(count)
    rows = []
    for kind in ("arp", "nd"):
        rate = figures[f"{kind} entries/s"]
        rows.append(
            Row(f"engine, {kind} entries", rate, "/s", figures[f"{kind} of floor"], "plain socket",
                ">= 500,000 /s", rate >= 500_000)
        )  # fmt: skip
    return rows


async def measure(rounds: int, counts: list[int]) -> list[Row]:
    """All rows."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    with tempfile.TemporaryDirectory(prefix="mlag-bench-") as scratch:
        folder = Path(scratch)
        keys = folder / "authorized_keys"
        keys.write_bytes(key.export_public_key())
        os.environ.pop("MLAG_AGENT_PASSWORD", None)
        rows = [*floor_rows(10_000, folder), await start_row(folder, keys, key, 5)]
        echo_command = (sys.executable, "-m", "benchmarks.echo_server", "--authorized-keys", str(keys))
        async with process(*echo_command, pattern=r"port (\d+)") as echo_port, agent(folder, keys) as port:
            rows += await session_rows(echo_port, port, key, max(10, rounds // 10))
            async with (
                await connect(echo_port, username=USER, client_keys=[key]) as echo,
                await connect(port, username=USER, client_keys=[key]) as session,
            ):
                small, floor = await small_rows(echo, session, rounds)
                rows += small
                async with (
                    agent(folder / "volatile", keys, "--startup") as other_port,
                    await connect(other_port, username=USER, client_keys=[key]) as other,
                ):
                    await ok(other, edit(CONFIG))
                    await ok(other, b"<commit/>")
                    rows.append(await leaf_row("the same, running not on disk (--startup)", echo, other, rounds))
                for count in counts:
                    rows += await load_rows(session, count, 5, floor)
    return rows


def show(rows: list[Row]) -> None:
    """The table."""
    table = Table(title="mlag-agent bench (medians)")
    for name, justify in (("figure", "left"), ("value", "right"), ("ratio", "right"), ("target", "left"), ("", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        value = f"{row.value:,.0f} {row.unit}" if row.value >= 1000 else f"{row.value:,.3f} {row.unit}"
        ratio = f"{row.ratio:.2f} x {row.against}" if row.ratio is not None else ""
        met = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[row.met]
        table.add_row(row.name, value, ratio, row.target, met)
    Console(width=110).print(table)


def main() -> None:
    """Measure, print, store.  Missing a target is shown and is no failure: machines differ."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="rounds of small operations (default %(default)s)")
    parser.add_argument("--entries", type=int, nargs="*", default=[10_000], help="list sizes (default 10000)")
    parser.add_argument("--engine-entries", type=int, default=200_000)
    arguments = parser.parse_args()
    rows = asyncio.run(measure(arguments.rounds, arguments.entries))
    rows += engine_rows(arguments.engine_entries)
    show(rows)
    stamp = datetime.now(UTC)
    document = {
        "when": stamp.isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "rows": [asdict(row) for row in rows],
    }
    target = HERE / "results" / "latest.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written to {target.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
