"""What an agent may hold after it was killed: the operations of a crash test, and what each of them promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

NI = "urn:ietf:params:xml:ns:yang:ietf-network-instance"
NC = "urn:ietf:params:xml:ns:netconf:base:1.0"

Rows = Mapping[str, str]
"""VPN instance: description."""

CandidateMode = Literal["shared", "private", "none"]


@dataclass(frozen=True)
class Mode:
    """The settings that decide on what survives."""

    candidate: CandidateMode = "shared"
    startup: bool = False

    def __str__(self) -> str:
        return f"candidate {self.candidate}, {'with' if self.startup else 'without'} startup"


@dataclass(frozen=True)
class World:
    """Everything that the agent holds.

    ``base``: running when the candidate was edited first; ``before``: what a confirmed commit that is pending goes back
    to.
    """

    running: Rows
    startup: Rows
    candidate: Rows | None = None
    base: Rows | None = None
    before: Rows | None = None

    def survives(self, mode: Mode) -> Rows:
        """What a start after a crash has: RFC 6241 sections 8.4.1 and 8.7."""
        if mode.startup:
            return self.startup
        return self.running if self.before is None else self.before

    @classmethod
    def started(cls, rows: Rows) -> World:
        """After a start that had ``rows``; startup is the same, where there is one."""
        return cls(rows, rows)


@dataclass(frozen=True)
class Step:
    """An operation, and what it makes of the world if it is answered with ok."""

    operation: str
    after: World


def config(rows: Rows, *, operation: str = "") -> str:
    """The rows as configuration."""
    inner = "".join(
        f"<network-instance><name>{name}</name><description>{text}</description></network-instance>"
        for name, text in rows.items()
    )
    return f'<network-instances xmlns="{NI}"{operation}>{inner}</network-instances>' if rows else ""


def removal(name: str) -> str:
    """Takes one row away."""
    return (
        f'<network-instances xmlns="{NI}"><network-instance xmlns:nc="{NC}" nc:operation="remove"><name>{name}</name>'
        "</network-instance></network-instances>"
    )


def _target(name: str) -> str:
    return f"<target><{name}/></target>"


class Steps:
    """Draws operations that the agent must accept."""

    def __init__(self, mode: Mode, random: Random) -> None:
        self._mode = mode
        self._random = random
        self._count = 0

    def next(self, world: World) -> Step:
        """An operation that fits what the world holds."""
        choices: list[tuple[int, Callable[[World], Step]]] = [(4, self._edit_running)]
        if self._mode.candidate != "none":
            choices += [(4, self._edit_candidate), (5, self._commit), (3, self._confirmed), (1, self._discard)]
            if world.before is not None:
                choices += [(3, self._commit), (2, self._cancel)]
        if self._mode.startup:
            choices += [(4, self._save), (2, self._replace_startup), (1, self._delete_startup)]
        weights, makers = zip(*choices, strict=True)
        return self._random.choices(makers, weights)[0](world)

    def _changed(self, rows: Rows) -> tuple[Rows, str]:
        """Rows with a change, and the edit that makes it; now and then a large one, which makes a snapshot due."""
        self._count += 1
        if rows and self._random.random() < 0.25:
            name = self._random.choice(sorted(rows))
            return {key: text for key, text in rows.items() if key != name}, removal(name)
        size = 30_000 if self._random.random() < 0.3 else self._random.randint(0, 200)
        row = {f"vpn-{self._random.randint(1, 12)}": f"{self._count}:" + "x" * size}
        return {**rows, **row}, config(row)

    def _edit_running(self, world: World) -> Step:
        rows, edit = self._changed(world.running)
        operation = f"<edit-config>{_target('running')}<config>{edit}</config></edit-config>"
        # A shared candidate that was edited stays what it is; so does a private one, which follows at its commit.
        return Step(operation, replace(world, running=rows))

    def _edit_candidate(self, world: World) -> Step:
        rows, edit = self._changed(world.running if world.candidate is None else world.candidate)
        operation = f"<edit-config>{_target('candidate')}<config>{edit}</config></edit-config>"
        base = world.running if world.base is None else world.base
        return Step(operation, replace(world, candidate=rows, base=base))

    def _committed(self, world: World) -> Rows | None:
        """Running after a commit; None: it would be refused for a conflict."""
        if world.candidate is None or world.base is None:
            return world.running
        if self._mode.candidate == "shared":
            return world.candidate
        changed = {k for k in {*world.base, *world.candidate} if world.base.get(k) != world.candidate.get(k)}
        for name in changed:
            if world.running.get(name) not in (world.base.get(name), world.candidate.get(name)):
                return None
        kept = {name: text for name, text in world.running.items() if name not in changed}
        return {**kept, **{name: world.candidate[name] for name in changed if name in world.candidate}}

    def _commit(self, world: World) -> Step:
        return self._with_candidate(world, "<commit/>", None)

    def _confirmed(self, world: World) -> Step:
        before = world.running if world.before is None else world.before
        return self._with_candidate(world, "<commit><confirmed/></commit>", before)

    def _with_candidate(self, world: World, operation: str, before: Rows | None) -> Step:
        rows = self._committed(world)
        if rows is None:
            return self._discard(world)
        return Step(operation, replace(world, running=rows, candidate=None, base=None, before=before))

    def _cancel(self, world: World) -> Step:
        assert world.before is not None
        after = replace(world, running=world.before, before=None, candidate=None, base=None)
        return Step("<cancel-commit/>", after)

    def _discard(self, world: World) -> Step:
        return Step("<discard-changes/>", replace(world, candidate=None, base=None))

    def _save(self, world: World) -> Step:
        source = "running"
        rows = world.running
        if self._mode.candidate != "none" and self._random.random() < 0.5:
            source, rows = "candidate", world.running if world.candidate is None else world.candidate
        operation = f"<copy-config>{_target('startup')}<source><{source}/></source></copy-config>"
        return Step(operation, replace(world, startup=rows))

    def _replace_startup(self, world: World) -> Step:
        rows, _ = self._changed(world.startup)
        operation = f"<copy-config>{_target('startup')}<source><config>{config(rows)}</config></source></copy-config>"
        return Step(operation, replace(world, startup=rows))

    def _delete_startup(self, world: World) -> Step:
        return Step(f"<delete-config>{_target('startup')}</delete-config>", replace(world, startup={}))
