"""How long an agent takes from its start to its first hello: ``python -m benchmarks.start``.

Each round starts ``mlag-agent serve`` as a process of its own, with the modules of ``modules60.txt``, and connects when
it says that it is ready.  "off" has no schema cache, "first" an empty one, "kept" what the one before left there.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import asyncssh

__all__ = ["main", "module_names", "start_to_hello"]

USER, PASSWORD = "bench", "bench-password-1"
LIST = Path(__file__).parent / "modules60.txt"
END = b"]]>]]>"
HELLO = (
    b'<hello xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><capabilities>'
    b"<capability>urn:ietf:params:netconf:base:1.0</capability></capabilities></hello>" + END
)


def module_names() -> Sequence[str]:
    """The modules of ``modules60.txt``, each as ``--module`` takes it."""
    lines = (line.partition("#")[0].strip() for line in LIST.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


async def start_to_hello(modules: Sequence[str], folder: Path, cache: str) -> tuple[float, float, float]:
    """Seconds from the start of the process to "ready", and to the end of the first hello; the processor's seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    arguments = [argument for name in modules for argument in ("--module", name)]
    environment = {**os.environ, "MLAG_AGENT_PASSWORD": PASSWORD}
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mlag_agent.cli", "serve", "--port", "0", "--state", str(folder / "state"),
        "--rendezvous", str(folder / "meet"), "--user", USER, "--schema-cache", cache, *arguments,
        env=environment, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        ready = time.perf_counter() - began
        port = int(line.rpartition(" ")[2])
        async with asyncssh.connect(
            "127.0.0.1", port, username=USER, password=PASSWORD, known_hosts=None, client_keys=None, agent_path=None,
            config=None,
        ) as connection:  # fmt: skip
            channel = await connection.create_process(subsystem="netconf", encoding=None)
            hello = await channel.stdout.readuntil(END)
            assert b"<hello" in hello
            hello_at = time.perf_counter() - began
            channel.stdin.write(HELLO)
    finally:
        process.terminate()
        await process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return ready, hello_at, used


async def _measure(rounds: int, modules: Sequence[str]) -> None:
    print(f"{len(modules)} modules beside the agent's own; median of {rounds}, seconds")
    print(f"{'cache':8} {'ready':>7} {'hello':>7} {'cpu':>7}")
    found: dict[str, list[tuple[float, float, float]]] = {"off": [], "first": [], "kept": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as scratch:
            base = Path(scratch)
            for kind, times in found.items():
                cache = "off" if kind == "off" else str(base / "cache")
                times.append(await start_to_hello(modules, base / kind, cache))
    for kind, times in found.items():
        print(f"{kind:8}", *(f"{statistics.median(column):7.2f}" for column in zip(*times, strict=True)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-modules", action="store_true", help="the agent's own modules only")
    options = parser.parse_args()
    asyncio.run(_measure(options.rounds, () if options.no_modules else module_names()))


if __name__ == "__main__":
    main()
