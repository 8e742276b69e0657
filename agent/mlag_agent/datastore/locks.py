"""Who has locked which datastore (RFC 6241 section 7.5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure

__all__ = ["Datastore", "Lock", "Locks"]


class Datastore(StrEnum):
    """Configuration datastores of RFC 6241 section 5.1."""

    RUNNING = "running"
    CANDIDATE = "candidate"
    STARTUP = "startup"


@dataclass(frozen=True, slots=True)
class Lock:
    """A global lock: who holds it, and since when."""

    session_id: int
    since: datetime


class Locks:
    """The locks that sessions hold.  ``private_candidate``: each session has a candidate, and a lock, of its own."""

    def __init__(self, *, private_candidate: bool = False) -> None:
        self._private = private_candidate
        self._locks: dict[tuple[Datastore, int], Lock] = {}

    def _key(self, datastore: Datastore, session_id: int) -> tuple[Datastore, int]:
        own = self._private and datastore is Datastore.CANDIDATE
        return datastore, session_id if own else 0

    def shown(self) -> dict[Datastore, Lock]:
        """The locks that concern more than the session that holds them."""
        return {datastore: lock for (datastore, own), lock in self._locks.items() if not own}

    def holder(self, datastore: Datastore, session_id: int) -> int | None:
        """The session that has locked the datastore that this session sees."""
        lock = self._locks.get(self._key(datastore, session_id))
        return None if lock is None else lock.session_id

    def lock(self, datastore: Datastore, session_id: int) -> None:
        """Give the session the lock; raises RpcFailure (lock-denied) when a session has it."""
        holder = self.holder(datastore, session_id)
        if holder is not None:
            whose = "this session" if holder == session_id else f"session {holder}"
            raise lock_denied(f"the lock of {datastore} is held by {whose}", holder)
        self._locks[self._key(datastore, session_id)] = Lock(session_id, datetime.now(UTC))

    def unlock(self, datastore: Datastore, session_id: int) -> None:
        """Take the lock back; raises RpcFailure (operation-failed) when the session has it not (section 7.6)."""
        holder = self.holder(datastore, session_id)
        if holder != session_id:
            words = "is not locked" if holder is None else f"is locked by session {holder}"
            raise RpcFailure(RpcError(ErrorTag.OPERATION_FAILED, f"{datastore} {words}", type=ErrorType.PROTOCOL))
        del self._locks[self._key(datastore, session_id)]

    def held_by(self, session_id: int) -> list[Datastore]:
        """What the session has locked."""
        return [datastore for (datastore, _), lock in self._locks.items() if lock.session_id == session_id]

    def check_writable(self, datastore: Datastore, session_id: int) -> None:
        """Raises RpcFailure (in-use) when another session has locked the datastore."""
        holder = self.holder(datastore, session_id)
        if holder is not None and holder != session_id:
            raise in_use(f"{datastore} is locked by session {holder}", holder)


def lock_denied(words: str, holder: int) -> RpcFailure:
    """``holder``: 0 for what is no session (RFC 6241 appendix A)."""
    return RpcFailure(
        RpcError(ErrorTag.LOCK_DENIED, words, type=ErrorType.PROTOCOL, info=(InfoElement("session-id", str(holder)),))
    )


def in_use(words: str, holder: int) -> RpcFailure:
    """With the session that uses it, for a client that wants to wait for it or to end it."""
    info = (InfoElement("session-id", str(holder)),)
    return RpcFailure(RpcError(ErrorTag.IN_USE, words, type=ErrorType.PROTOCOL, info=info))
