"""``python -m tests.crash``: kill -9 an agent at random moments, start it again, and compare with what it promised.

In each round a client sends operations one after the other until the agent is killed; sometimes the agent that starts
next is killed as well while it starts.  What the agent then holds must be exactly what the last acknowledged operation
left, or what the one that was under way would have.  Ends with exit code 1 at the first round where it is not.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random, SystemRandom

sys.path.insert(0, str(Path(__file__).parent.parent))

import asyncssh

from netconf_client import Client

from .child import Child, warm_up
from .model import Mode, Rows, Step, Steps, World

# A round's operations take 2 to 10 ms each: up to some ten of them, or none.
LONGEST_LIFE = 0.06
LONGEST_START = 0.03
KILLED_WHILE_STARTING = 0.2

# The other way to die, behind one of the statements to the state file: three for a commit.
KILLED_BETWEEN_STATEMENTS = 0.5
MOST_STATEMENTS = 40
LONGEST_WAIT = 5.0  # for that many

MODES = (Mode(), Mode("private"), Mode("none"), Mode("shared", startup=True), Mode("private", startup=True))


class WrongError(Exception):
    """The agent holds something else than it promised."""


class Harness:
    """One agent's state folder through all its lives."""

    def __init__(self, folder: Path, mode: Mode, random: Random) -> None:
        self._folder = folder
        self._mode = mode
        self._random = random
        self._steps = Steps(mode, random)
        self._world = World.started({})
        self.operations = 0
        self.in_flight = 0
        self.kept = 0
        """Rounds in which the operation under way had been stored."""

    def round(self) -> None:
        """One life and what is found after it; raises WrongError."""
        last = self._random.randint(1, MOST_STATEMENTS) if self._random.random() < KILLED_BETWEEN_STATEMENTS else None
        child = Child.fork(self._folder, self._mode, last_statement=last)
        life = self._random.uniform(0, LONGEST_LIFE) if last is None else LONGEST_WAIT
        under_way = asyncio.run(self._live(child, life))
        child.reap()
        while self._random.random() < KILLED_WHILE_STARTING:
            self._kill_while_starting()
        allowed = [self._world.survives(self._mode)]
        if under_way is not None:
            self.in_flight += 1
            allowed.append(under_way.after.survives(self._mode))
        child = Child.fork(self._folder, self._mode)
        try:
            found = asyncio.run(self._look(child))
        finally:
            child.kill()
            child.reap()
        self._judge(found, allowed, under_way)
        self._world = World.started(found)

    def _kill_while_starting(self) -> None:
        child = Child.fork(self._folder, self._mode)
        time.sleep(self._random.uniform(0, LONGEST_START))
        child.kill()
        child.reap()

    async def _live(self, child: Child, life: float) -> Step | None:
        """Operations until the agent is killed; the one that has no answer."""
        client = await Client.connect(child.port())
        killer = asyncio.get_running_loop().call_later(life, child.kill)
        step: Step | None = None
        try:
            while True:
                step = self._steps.next(self._world)
                reply = await client.rpc(step.operation)
                if not reply.ok:
                    raise WrongError(f"{step.operation[:200]} was refused: {reply.text[:500]}")
                self.operations += 1
                self._world, step = step.after, None
        except (EOFError, OSError, asyncssh.Error):
            return step
        finally:
            killer.cancel()
            client.abort()
            await client.connection.wait_closed()

    async def _look(self, child: Child) -> Rows:
        """What the agent holds; the datastores that must be alike are."""
        client = await Client.connect(child.port())
        found = [rows_of(await client.get_config("running"))]
        if self._mode.startup:
            found.append(rows_of(await client.get_config("startup")))
        if self._mode.candidate != "none":
            found.append(rows_of(await client.get_config("candidate")))
        await client.aclose()
        if any(rows != found[0] for rows in found):
            raise WrongError(f"after the start the datastores differ: {[shown(rows) for rows in found]}")
        return found[0]

    def _judge(self, found: Rows, allowed: Sequence[Rows], under_way: Step | None) -> None:
        aside = sorted(self._folder.glob("state/*.damaged-*"))
        if aside:
            raise WrongError(f"a state file was set aside: {aside}")
        if found not in allowed:
            operation = "none" if under_way is None else under_way.operation[:200]
            wanted = " or ".join(shown(rows) for rows in allowed)
            raise WrongError(f"found {shown(found)}, expected {wanted}; under way: {operation}")
        self.kept += len(allowed) == 2 and allowed[0] != allowed[1] and found == allowed[1]


def rows_of(reply: object) -> Rows:
    """The rows of a reply to get-config."""
    instances = reply.data.iter("{*}network-instance")  # type: ignore[attr-defined]
    return {str(row.findtext("{*}name")): str(row.findtext("{*}description")) for row in instances}


def shown(rows: Rows) -> str:
    """Rows without the padding."""
    return "{" + ", ".join(f"{name}={text.partition(':')[0]}" for name, text in sorted(rows.items())) + "}"


def run(rounds: int, seed: int, folder: Path) -> None:
    """All modes in turn; raises WrongError."""
    harnesses = []
    for number, mode in enumerate(MODES):
        below = folder / str(number)
        below.mkdir()
        asyncio.run(warm_up(below, mode))
        harnesses.append((mode, Harness(below, mode, Random(f"{seed}/{number}"))))
    began = time.monotonic()
    for number in range(rounds):
        mode, harness = harnesses[number % len(harnesses)]
        try:
            harness.round()
        except WrongError as problem:
            raise WrongError(f"round {number + 1} ({mode}): {problem}") from problem
    rate = rounds / (time.monotonic() - began)
    operations = sum(harness.operations for _, harness in harnesses)
    in_flight = sum(harness.in_flight for _, harness in harnesses)
    kept = sum(harness.kept for _, harness in harnesses)
    print(
        f"{rounds} rounds, {rate:.1f} a second: {operations} operations acknowledged, {in_flight} kills with one under "
        f"way, {kept} of which had stored it; every start found what had been promised"
    )


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="tests.crash", description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=None, help="of the operations; the moments are never the same")
    options = parser.parse_args()
    seed = SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mlag-crash-") as folder:
        try:
            run(options.rounds, seed, Path(folder))
        except WrongError as problem:
            print(f"FAILED: {problem}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
