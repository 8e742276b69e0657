"""What applies configuration: the interface between datastores and the device (ARCHITECTURE section 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from mlag_agent.data.diff import Change
from mlag_agent.data.tree import Container

__all__ = ["Actor", "ChangeSet", "Subscriber"]

Plan = TypeVar("Plan")


class Actor(Protocol):
    """Who asked for something: a session."""

    session_id: int
    username: str
    source_host: str


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """One transaction: running before and after, and each difference.

    ``restoring``: a configuration that was accepted before comes back, at start or after a confirmed commit that
    nobody confirmed; what the device cannot do now is shown as state instead of being refused.  ``by``: the session
    that asked for it; None: the server itself.
    """

    old: Container
    new: Container
    changes: tuple[Change, ...]
    restoring: bool = False
    by: Actor | None = None
    schema_paths: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        # Thousands of changes are of few kinds, and each subscriber asks.
        nodes = {change.schema for change in self.changes}
        object.__setattr__(self, "schema_paths", frozenset(node.path for node in nodes))

    def touches(self, path: str) -> bool:
        """Whether anything at, below or above a schema path (``/module:a/b``) changes."""
        return any(_related(changed, path) for changed in self.schema_paths)


def _related(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    return longer == shorter or longer.startswith(shorter + "/")


class Subscriber(Protocol[Plan]):
    """Applies the configuration below its ``paths`` in two phases.

    ``prepare`` takes all that can be refused (ports, addresses) and may raise ``ApplyRefused``; ``commit``
    makes it so and must not fail; ``abort`` gives everything back, before ``commit`` and after it, once or twice.
    """

    @property
    def name(self) -> str:
        """For messages and the log."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Schema paths."""

    async def prepare(self, change: ChangeSet) -> Plan:
        """Take what the change needs; raises ApplyRefused, and then holds nothing."""

    async def commit(self, plan: Plan) -> None:
        """Apply."""

    async def abort(self, plan: Plan) -> None:
        """Back to how it was before ``prepare``."""
