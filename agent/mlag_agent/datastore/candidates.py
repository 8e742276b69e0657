"""The candidate (RFC 6241 section 8.3): one that all sessions share, or one for each session.

Either follows running as long as nobody has edited it (INTEROP decision 2).  A private one then keeps the running
that it was made from; its changes since are what a commit puts on top of the running of that moment, so that no
session undoes what another one has committed (docs/decisions/028-private-candidate.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mlag_agent.data.threeway import Conflict, Prefer, three_way
from mlag_agent.data.tree import Container, same
from mlag_agent.errors import ErrorTag, RpcError, RpcFailure
from mlag_agent.schema.violations import MAX_ERRORS, more_errors

__all__ = ["CONFLICT", "Candidate", "PrivateCandidates", "SharedCandidate"]

CONFLICT = "candidate-conflict"
"""error-app-tag of a node that was changed in a private candidate and in running."""

# A value longer than this says no more in an error message.
SHOWN_LENGTH = 60


class Candidate(Protocol):
    """What sessions have edited and not committed.  ``running`` is what running holds when it is asked."""

    shared: bool
    """Whether what one session edits is what the others see, and lock."""

    def root(self, session_id: int, running: Container) -> Container:
        """The candidate as that session sees it."""

    def edit(self, session_id: int, running: Container, root: Container) -> None:
        """This is its candidate from now on."""

    def is_clean(self, session_id: int, running: Container) -> bool:
        """Whether it has no uncommitted change."""

    def discard(self, session_id: int) -> None:
        """It is as running again (RFC 6241 section 8.3.4.2)."""

    def discard_all(self) -> None:
        """Everybody's is as running again."""

    def to_commit(self, session_id: int, running: Container) -> Container:
        """What a commit makes of running; raises RpcFailure with each node that others have changed as well."""

    def committed(self, session_id: int) -> None:
        """``to_commit`` of that session is running now."""

    def running_changed(self, running: Container) -> None:
        """Running is this from now on."""

    def ended(self, session_id: int) -> None:
        """The session is over."""


class SharedCandidate:
    """One for all; its changes outlive the session that made them, unless that had it locked."""

    shared = True

    def __init__(self) -> None:
        self._root: Container | None = None

    def root(self, session_id: int, running: Container) -> Container:
        """The candidate, whoever asks."""
        return running if self._root is None else self._root

    def edit(self, session_id: int, running: Container, root: Container) -> None:
        """Everybody's candidate is this from now on."""
        self._root = None if same(root, running) else root

    def is_clean(self, session_id: int, running: Container) -> bool:
        """Whether nobody's change is uncommitted."""
        return self._root is None

    def discard(self, session_id: int) -> None:
        """Everybody's changes are gone."""
        self._root = None

    def discard_all(self) -> None:
        """The same."""
        self._root = None

    def to_commit(self, session_id: int, running: Container) -> Container:
        """The candidate as it is: a commit makes it running, whoever has made its changes."""
        return self.root(session_id, running)

    def committed(self, session_id: int) -> None:
        """What others have edited while the commit was under way stays."""

    def running_changed(self, running: Container) -> None:
        """With nothing left to commit it may be locked, and follows running again."""
        if self._root is not None and same(self._root, running):
            self._root = None

    def ended(self, session_id: int) -> None:
        """Nothing of it belongs to a session."""


@dataclass(frozen=True, slots=True)
class _Branch:
    """A private candidate: the running that it was made from, and what it is now."""

    base: Container
    root: Container


class PrivateCandidates:
    """One for each session, seen by no other; it ends with the session.

    There are no more of them than sessions, and each shares with running all that it has not changed.
    """

    shared = False

    def __init__(self) -> None:
        self._branches: dict[int, _Branch] = {}

    def root(self, session_id: int, running: Container) -> Container:
        """The session's own."""
        branch = self._branches.get(session_id)
        return running if branch is None else branch.root

    def edit(self, session_id: int, running: Container, root: Container) -> None:
        """The session's own is this from now on; the first edit takes running as its base."""
        branch = self._branches.get(session_id)
        base = running if branch is None else branch.base
        if same(root, base):
            self._branches.pop(session_id, None)
        else:
            self._branches[session_id] = _Branch(base, root)

    def is_clean(self, session_id: int, running: Container) -> bool:
        """Whether the session has changed nothing, or nothing that running has not got as well."""
        branch = self._branches.get(session_id)
        return branch is None or same(branch.root, running)

    def discard(self, session_id: int) -> None:
        """The session's changes are gone."""
        self._branches.pop(session_id, None)

    def discard_all(self) -> None:
        """No session has changes any more."""
        self._branches.clear()

    def to_commit(self, session_id: int, running: Container) -> Container:
        """The session's changes on top of running."""
        branch = self._branches.get(session_id)
        if branch is None:
            return running
        merged = three_way(branch.base, branch.root, running)
        if merged.conflicts:
            raise _refused(merged.conflicts)
        return merged.root

    def update(self, session_id: int, running: Container, prefer: Prefer | None) -> None:
        """Running becomes the base; nodes in conflict as preferred.  None: raises RpcFailure if there are any."""
        branch = self._branches.get(session_id)
        if branch is None:
            return
        merged = three_way(branch.base, branch.root, running, prefer or Prefer.THEIRS)
        if merged.conflicts and prefer is None:
            raise _refused(merged.conflicts)
        del self._branches[session_id]
        self.edit(session_id, running, merged.root)

    def committed(self, session_id: int) -> None:
        """The session's changes are in running: nothing is left of them here."""
        self.discard(session_id)

    def running_changed(self, running: Container) -> None:
        """Nothing: what has changed is found out when the candidate is committed."""

    def ended(self, session_id: int) -> None:
        """Its candidate goes with it."""
        self.discard(session_id)


def _refused(conflicts: tuple[Conflict, ...]) -> RpcFailure:
    errors = [_conflict(conflict) for conflict in conflicts[:MAX_ERRORS]]
    if len(conflicts) > MAX_ERRORS:
        errors.append(more_errors(len(conflicts) - MAX_ERRORS, errors[-1]))
    return RpcFailure(*errors)


def _conflict(conflict: Conflict) -> RpcError:
    mine, theirs = _shown(conflict, conflict.mine), _shown(conflict, conflict.theirs)
    words = (
        f"{conflict.path} was changed in this candidate ({mine}) and meanwhile in running ({theirs}); nothing was "
        "committed; discard-changes, or update with a resolution-mode, and commit again"
    )
    return RpcError(ErrorTag.OPERATION_FAILED, words, app_tag=CONFLICT, path=conflict.path)


def _shown(conflict: Conflict, value: object) -> str:
    if value is None:
        return "deleted"
    if isinstance(value, str) and not conflict.schema.secret:
        short = value if len(value) <= SHOWN_LENGTH else f"{value[:SHOWN_LENGTH]}..."
        return f'"{short}"'
    return "set" if isinstance(value, str) else "changed"
