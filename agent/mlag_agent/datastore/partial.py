"""Partial locks (RFC 5717): parts of running that one session alone may change.

A lock is a set of nodes; the expressions that found them are evaluated once.  A change runs into a lock of another
session when a locked node is not, after the change, what it was before: compared as data, so that it does not matter
which operation, on which node above or below, brings the change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mlag_agent.data.tree import Container, Keys, LeafList, ListNode, Node, same
from mlag_agent.datastore.locks import lock_denied
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure
from mlag_agent.schema.nodes import SchemaNode

__all__ = ["LOCKED", "LockedNode", "PartialLock", "PartialLocks"]

LOCKED = "locked"
"""error-app-tag of an operation that would change what another session has locked (RFC 5717 section 2.5)."""

# Of all sessions together. Every commit compares each locked node of others, which costs a microsecond.
MAX_LOCKED_NODES = 20_000

MAX_LOCKS = 1_000

MAX_LOCK_ID = 2**32 - 1
"""lock-id-type is a uint32."""

Step = tuple[SchemaNode, Keys]


@dataclass(frozen=True, slots=True)
class LockedNode:
    """A data node: the way to it, with the keys of entries (a leaf-list's value), and its path for messages."""

    steps: tuple[Step, ...]
    path: str

    def find(self, root: Container) -> Node | None:
        """The node's data; None when it is not there."""
        here: Node | None = root
        for schema, keys in self.steps:
            if not isinstance(here, Container):
                return None
            here = here.get(schema)
            if isinstance(here, ListNode):
                here = here.get(keys)
            elif isinstance(here, LeafList):
                here = keys[0] if keys[0] in here.values else None
        return here


@dataclass(frozen=True, slots=True)
class PartialLock:
    """What one ``<partial-lock>`` was granted."""

    lock_id: int
    session_id: int
    since: datetime
    select: tuple[str, ...]
    nodes: tuple[LockedNode, ...]


class PartialLocks:
    """The partial locks on running."""

    def __init__(self) -> None:
        self._locks: dict[int, PartialLock] = {}
        self._next = 1

    def __iter__(self) -> Iterator[PartialLock]:
        return iter(tuple(self._locks.values()))

    def __bool__(self) -> bool:
        return bool(self._locks)

    def lock(self, session_id: int, select: Sequence[str], nodes: Sequence[LockedNode]) -> PartialLock:
        """Grant a lock, or nothing of it.

        A session may hold several on the same node (section 2.4.1).  Raises RpcFailure: lock-denied when a part is
        locked by another session, resource-denied when there are too many.
        """
        for other in self._locks.values():
            if other.session_id == session_id:
                continue
            clash = _clash(nodes, other.nodes)
            if clash is not None:
                words = f"{clash.path} is locked by session {other.session_id} (partial lock {other.lock_id})"
                raise lock_denied(words, other.session_id)
        held = sum(len(lock.nodes) for lock in self._locks.values())
        if held + len(nodes) > MAX_LOCKED_NODES or len(self._locks) >= MAX_LOCKS:
            words = (
                f"{len(nodes)} nodes more cannot be locked: this server holds at most {MAX_LOCKS} partial locks on "
                f"{MAX_LOCKED_NODES} nodes together; lock a node above them instead"
            )
            raise RpcFailure(RpcError(ErrorTag.RESOURCE_DENIED, words, type=ErrorType.PROTOCOL))
        made = PartialLock(self._take_number(), session_id, datetime.now(UTC), tuple(select), tuple(nodes))
        self._locks[made.lock_id] = made
        return made

    def _take_number(self) -> int:
        while self._next in self._locks:
            self._next = self._next % MAX_LOCK_ID + 1
        number = self._next
        self._next = number % MAX_LOCK_ID + 1
        return number

    def unlock(self, session_id: int, lock_id: int) -> None:
        """Give a lock back; raises RpcFailure (invalid-value) when it is not this session's (section 2.4.2)."""
        lock = self._locks.get(lock_id)
        if lock is None or lock.session_id != session_id:
            mine = ", ".join(str(each.lock_id) for each in self._locks.values() if each.session_id == session_id)
            words = f"this session has no partial lock {lock_id}; it has {mine or 'none'}"
            info = (InfoElement("bad-element", "lock-id"),)
            raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, words, type=ErrorType.PROTOCOL, info=info))
        del self._locks[lock_id]

    def release(self, session_id: int) -> None:
        """The session has ended, and its locks with it (section 3)."""
        self._locks = {number: lock for number, lock in self._locks.items() if lock.session_id != session_id}

    def check(self, session_id: int, old: Container, new: Container) -> None:
        """Raises RpcFailure (in-use) for a change of what another session has locked (section 2.5)."""
        for lock in self._locks.values():
            if lock.session_id == session_id:
                continue
            for node in lock.nodes:
                before = node.find(old)
                # A node that its owner has deleted is not covered any more: anybody may make it again.
                if before is not None and not same(before, node.find(new)):
                    raise _locked(lock, node)

    def forget(self, running: Container) -> None:
        """Running is this now: nodes that are gone are not covered any more (section 2.4.1)."""
        for number, lock in self._locks.items():
            kept = tuple(node for node in lock.nodes if node.find(running) is not None)
            if len(kept) != len(lock.nodes):
                self._locks[number] = PartialLock(lock.lock_id, lock.session_id, lock.since, lock.select, kept)


def _clash(nodes: Sequence[LockedNode], others: Sequence[LockedNode]) -> LockedNode | None:
    """The first node that another one overlaps; by prefixes, since both sides may be thousands."""
    whole = {other.steps for other in others}
    above = {other.steps[:depth] for other in others for depth in range(len(other.steps))}
    for node in nodes:
        if node.steps in above or any(node.steps[:depth] in whole for depth in range(len(node.steps) + 1)):
            return node
    return None


def _locked(lock: PartialLock, node: LockedNode) -> RpcFailure:
    words = f"{node.path} is locked by session {lock.session_id} (partial lock {lock.lock_id})"
    info = (InfoElement("session-id", str(lock.session_id)),)
    error = RpcError(ErrorTag.IN_USE, words, type=ErrorType.PROTOCOL, app_tag=LOCKED, path=node.path, info=info)
    return RpcFailure(error)
