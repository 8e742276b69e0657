"""Running, candidate and startup, as the device has them: pointers to frozen trees, and their locks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mlag_agent.data.threeway import Prefer
from mlag_agent.data.tree import Container
from mlag_agent.datastore.candidates import Candidate, PrivateCandidates, SharedCandidate
from mlag_agent.datastore.locks import Datastore, Lock, Locks, lock_denied
from mlag_agent.datastore.partial import LockedNode, PartialLock, PartialLocks
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure

__all__ = ["CandidateMode", "Datastore", "Datastores", "Lock"]

CandidateMode = Literal["shared", "private", "none"]


class Datastores:
    """What each datastore holds, as a session sees it, and which session has locked it.

    ``startup``: what that holds at first; None when the device has none.  ``writable_running``: whether running may be
    edited without a candidate; the schema refuses edit-config, so that ``writable`` alone asks for it.  Numbers of
    sessions are those of RFC 6241 section 8.1.  Methods raise RpcFailure (operation-not-supported) for a datastore that
    is not there.
    """

    def __init__(
        self,
        running: Container,
        startup: Container | None = None,
        *,
        candidate: CandidateMode = "shared",
        writable_running: bool = True,
    ) -> None:
        self._running = running
        self.startup = startup
        self._writable_running = writable_running
        self._candidate: Candidate | None = None
        if candidate != "none":
            self._candidate = SharedCandidate() if candidate == "shared" else PrivateCandidates()
        self._locks = Locks(private_candidate=candidate == "private")
        self.partial_locks = PartialLocks()
        self.confirming: int | None = None
        """The session that has a confirmed commit pending; 0 when that session has ended and the commit persists."""

    @property
    def supported(self) -> tuple[Datastore, ...]:
        """The configuration datastores that there are."""
        found = [Datastore.RUNNING]
        if self._candidate is not None:
            found.append(Datastore.CANDIDATE)
        if self.startup is not None:
            found.append(Datastore.STARTUP)
        return tuple(found)

    @property
    def writable(self) -> tuple[Datastore, ...]:
        """Those that a client may edit directly."""
        return tuple(each for each in self.supported if each is not Datastore.RUNNING or self._writable_running)

    @property
    def running(self) -> Container:
        """The configuration in force."""
        return self._running

    @running.setter
    def running(self, root: Container) -> None:
        self._running = root
        if self.partial_locks:
            self.partial_locks.forget(root)
        if self._candidate is not None:
            self._candidate.running_changed(root)

    def get(self, datastore: Datastore, session_id: int) -> Container:
        """The configuration of a datastore, as that session sees it."""
        if datastore is Datastore.RUNNING:
            return self._running
        if datastore is Datastore.CANDIDATE:
            return self.candidate(session_id)
        if self.startup is None:
            raise _not_there(Datastore.STARTUP, "running is durable: what is committed is what the next start has")
        return self.startup

    # --- the candidate ----------------------------------------------------------------------------------

    def _edited(self) -> Candidate:
        if self._candidate is None:
            raise _not_there(Datastore.CANDIDATE, "edit running instead")
        return self._candidate

    def candidate(self, session_id: int) -> Container:
        """The candidate's configuration."""
        return self._edited().root(session_id, self._running)

    def edit_candidate(self, session_id: int, root: Container) -> None:
        """The candidate's configuration is this from now on."""
        self._edited().edit(session_id, self._running, root)

    def candidate_is_clean(self, session_id: int) -> bool:
        """Whether the candidate has no uncommitted change."""
        return self._edited().is_clean(session_id, self._running)

    def discard(self, session_id: int) -> None:
        """The candidate is as running again."""
        self._edited().discard(session_id)

    def discard_all(self) -> None:
        """No session has uncommitted changes any more (RFC 8808 section 2)."""
        if self._candidate is not None:
            self._candidate.discard_all()

    def to_commit(self, session_id: int) -> Container:
        """What the session's commit makes of running; raises RpcFailure for a conflict with other commits."""
        return self._edited().to_commit(session_id, self._running)

    def committed(self, session_id: int) -> None:
        """``to_commit`` of that session is running now."""
        self._edited().committed(session_id)

    def update(self, session_id: int, prefer: Prefer | None) -> None:
        """Bring a private candidate up to running; None: raises RpcFailure for conflicts."""
        edited = self._edited()
        if not isinstance(edited, PrivateCandidates):
            words = "the candidate is shared: there is nothing to bring up to date"
            raise RpcFailure(RpcError(ErrorTag.OPERATION_NOT_SUPPORTED, words, type=ErrorType.PROTOCOL))
        edited.update(session_id, self._running, prefer)

    # --- locks ------------------------------------------------------------------------------------------

    @property
    def locks(self) -> dict[Datastore, Lock]:
        """The global locks that other sessions run into."""
        return self._locks.shown()

    def lock(self, datastore: Datastore, session_id: int) -> None:
        """Give the session the lock; raises RpcFailure (lock-denied) by RFC 6241 section 7.5."""
        self.get(datastore, session_id)
        if self._locks.holder(datastore, session_id) is None:
            self._check_lockable(datastore, session_id)
        self._locks.lock(datastore, session_id)

    def _check_lockable(self, datastore: Datastore, session_id: int) -> None:
        if datastore is Datastore.RUNNING:
            for partial in self.partial_locks:
                whose = "this session" if partial.session_id == session_id else f"session {partial.session_id}"
                words = f"a part of running is locked by {whose} (partial lock {partial.lock_id})"
                raise lock_denied(words, partial.session_id)
        if datastore is Datastore.CANDIDATE and not self.candidate_is_clean(session_id):
            raise lock_denied("the candidate has uncommitted changes; commit or discard them before locking it", 0)
        confirming = self.confirming
        if datastore is Datastore.RUNNING and confirming is not None and confirming != session_id:
            whose = f"of session {confirming}" if confirming else "that persists after its session"
            raise lock_denied(f"a confirmed commit {whose} is pending", confirming)

    def lock_nodes(self, session_id: int, select: Sequence[str], nodes: Sequence[LockedNode]) -> PartialLock:
        """Give the session a partial lock on running; raises RpcFailure by RFC 5717 section 2.4.1.

        Not under a global lock, whoever has it, nor while a confirmed commit is pending, which may be rolled back.
        """
        holder = self._locks.holder(Datastore.RUNNING, session_id)
        if holder is not None:
            raise lock_denied(f"running as a whole is locked by session {holder}", holder)
        if self.confirming is not None:
            words = "a confirmed commit is pending: its rollback may change what would be locked"
            info = (InfoElement("session-id", str(self.confirming)),)
            error = RpcError(
                ErrorTag.IN_USE, words, type=ErrorType.PROTOCOL, app_tag="outstanding-confirmed-commit", info=info
            )
            raise RpcFailure(error)
        return self.partial_locks.lock(session_id, select, nodes)

    def unlock(self, datastore: Datastore, session_id: int) -> None:
        """Take the lock back; a candidate's changes go with its lock (RFC 6241 section 8.3.5.2)."""
        self._locks.unlock(datastore, session_id)
        if datastore is Datastore.CANDIDATE:
            self.discard(session_id)

    def release(self, session_id: int) -> None:
        """A session has ended: all its locks go, and a candidate of its own."""
        for datastore in self._locks.held_by(session_id):
            self.unlock(datastore, session_id)
        self.partial_locks.release(session_id)
        if self._candidate is not None:
            self._candidate.ended(session_id)

    def check_writable(self, datastore: Datastore, session_id: int) -> None:
        """Raises RpcFailure (in-use) when another session has locked the datastore."""
        self._locks.check_writable(datastore, session_id)


def _not_there(datastore: Datastore, instead: str) -> RpcFailure:
    words = f"this server has no {datastore} datastore; {instead}"
    return RpcFailure(RpcError(ErrorTag.OPERATION_NOT_SUPPORTED, words, type=ErrorType.PROTOCOL))
