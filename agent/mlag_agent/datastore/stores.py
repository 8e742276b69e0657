"""Running, candidate and (where the device has it) startup: pointers to frozen trees, and their locks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from mlag_agent.data.tree import Container, same
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure

__all__ = ["Datastore", "Datastores", "Lock"]


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


class Datastores:
    """What each datastore holds, and which session has locked it (RFC 6241 section 7.5).

    A clean candidate follows running (INTEROP decision 2): it is a pointer of its own only once it was edited.
    """

    def __init__(self, running: Container, startup: Container | None = None) -> None:
        self._running = running
        self.startup = startup
        self._candidate: Container | None = None
        self._locks: dict[Datastore, Lock] = {}
        self.confirming: int | None = None
        """The session that has a confirmed commit pending; 0 when that session has ended and the commit persists."""

    @property
    def running(self) -> Container:
        """The configuration in force."""
        return self._running

    @running.setter
    def running(self, root: Container) -> None:
        self._running = root
        if self._candidate is not None and same(self._candidate, root):
            self._candidate = None  # nothing is left to commit: it may be locked, and follows running again

    def candidate(self, session_id: int) -> Container:
        """The candidate's configuration."""
        return self.running if self._candidate is None else self._candidate

    def edit_candidate(self, session_id: int, root: Container) -> None:
        """The candidate's configuration is this from now on."""
        self._candidate = None if same(root, self.running) else root

    def candidate_is_clean(self, session_id: int) -> bool:
        """Whether the candidate has no uncommitted change."""
        return self._candidate is None

    def discard(self, session_id: int) -> None:
        """The candidate is as running again."""
        self._candidate = None

    def get(self, datastore: Datastore, session_id: int) -> Container:
        """The configuration of a datastore, as that session sees it."""
        if datastore is Datastore.CANDIDATE:
            return self.candidate(session_id)
        if datastore is Datastore.RUNNING:
            return self.running
        if self.startup is None:
            raise RpcFailure(RpcError(ErrorTag.OPERATION_NOT_SUPPORTED, "this server has no startup datastore"))
        return self.startup

    # --- locks ------------------------------------------------------------------------------------------

    @property
    def locks(self) -> dict[Datastore, Lock]:
        """The locks that are held."""
        return dict(self._locks)

    def _holder(self, datastore: Datastore) -> int | None:
        lock = self._locks.get(datastore)
        return None if lock is None else lock.session_id

    def lock(self, datastore: Datastore, session_id: int) -> None:
        """Give the session the lock; raises RpcFailure (lock-denied) by RFC 6241 section 7.5."""
        self.get(datastore, session_id)
        holder = self._holder(datastore)
        if holder is not None:
            whose = "this session" if holder == session_id else f"session {holder}"
            raise _lock_denied(f"the lock of {datastore} is held by {whose}", holder)
        if datastore is Datastore.CANDIDATE and not self.candidate_is_clean(session_id):
            raise _lock_denied("the candidate has uncommitted changes; commit or discard them before locking it", 0)
        confirming = self.confirming
        if datastore is Datastore.RUNNING and confirming is not None and confirming != session_id:
            whose = f"of session {confirming}" if confirming else "that persists after its session"
            raise _lock_denied(f"a confirmed commit {whose} is pending", confirming)
        self._locks[datastore] = Lock(session_id, datetime.now(UTC))

    def unlock(self, datastore: Datastore, session_id: int) -> None:
        """Take the lock back; a candidate's changes go with its lock (RFC 6241 section 8.3.5.2)."""
        holder = self._holder(datastore)
        if holder != session_id:
            words = "is not locked" if holder is None else f"is locked by session {holder}"
            raise RpcFailure(RpcError(ErrorTag.OPERATION_FAILED, f"{datastore} {words}", type=ErrorType.PROTOCOL))
        del self._locks[datastore]
        if datastore is Datastore.CANDIDATE:
            self.discard(session_id)

    def release(self, session_id: int) -> None:
        """A session has ended: all its locks go."""
        for datastore in [d for d, lock in self._locks.items() if lock.session_id == session_id]:
            self.unlock(datastore, session_id)

    def check_writable(self, datastore: Datastore, session_id: int) -> None:
        """Raises RpcFailure (in-use) when another session has locked the datastore."""
        holder = self._holder(datastore)
        if holder is not None and holder != session_id:
            raise RpcFailure(
                RpcError(
                    ErrorTag.IN_USE,
                    f"{datastore} is locked by session {holder}",
                    type=ErrorType.PROTOCOL,
                    info=(InfoElement("session-id", str(holder)),),
                )
            )


def _lock_denied(words: str, holder: int) -> RpcFailure:
    return RpcFailure(
        RpcError(ErrorTag.LOCK_DENIED, words, type=ErrorType.PROTOCOL, info=(InfoElement("session-id", str(holder)),))
    )
