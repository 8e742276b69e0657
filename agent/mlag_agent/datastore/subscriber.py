"""What applies configuration: the interface between datastores and the device (ARCHITECTURE section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from mlag_agent.data.diff import Change
from mlag_agent.data.tree import Container

__all__ = ["ChangeSet", "Subscriber"]

Plan = TypeVar("Plan")


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """One transaction: running before and after, and each difference.

    ``restoring``: a configuration that was accepted before comes back at start; what the device cannot do now is
    shown as state instead of being refused.
    """

    old: Container
    new: Container
    changes: tuple[Change, ...]
    restoring: bool = False

    def touches(self, path: str) -> bool:
        """Whether anything at, below or above a schema path (``/module:a/b``) changes."""
        return any(_related(change.schema.path, path) for change in self.changes)


def _related(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    return longer == shorter or longer.startswith(shorter + "/")


class Subscriber(Protocol[Plan]):
    """Applies the configuration below its ``paths`` in two phases.

    ``prepare`` takes all that can be refused (ports, addresses) and may raise ``ApplyRefused``; ``commit``
    makes it so and must not fail; ``abort`` gives everything back, before ``commit`` and after it, once or twice.
    """

    name: str
    paths: tuple[str, ...]

    async def prepare(self, change: ChangeSet) -> Plan:
        """Take what the change needs; raises ApplyRefused, and then holds nothing."""

    async def commit(self, plan: Plan) -> None:
        """Apply."""

    async def abort(self, plan: Plan) -> None:
        """Back to how it was before ``prepare``."""
