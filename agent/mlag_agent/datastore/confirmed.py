"""Confirmed commits (RFC 6241 section 8.4): who may confirm, extend or cancel one, and the way back.

The rules are pure functions of what is pending and what is asked (``authorise``, ``after_commit``);
``ConfirmedCommits`` evaluates them inside of the transaction, stores the outcome with it and owns the timer.
docs/decisions/010-confirmed-commit.md has the choices where the RFC leaves room.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from secrets import compare_digest
from typing import Protocol

from mlag_agent.data.encode import encode_children
from mlag_agent.data.tree import Container
from mlag_agent.datastore.commit_log import Commit, CommitKind, CommitLog
from mlag_agent.datastore.locks import in_use
from mlag_agent.datastore.persist import NOT_WRITABLE, Journal, StoredPending
from mlag_agent.datastore.stores import Datastore, Datastores
from mlag_agent.datastore.subscriber import Actor
from mlag_agent.datastore.transaction import Authorise, Transactor, to_the_end
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure

__all__ = [
    "DEFAULT_TIMEOUT",
    "RETRY_SECONDS",
    "CallLater",
    "CommitRequest",
    "ConfirmEvent",
    "ConfirmStep",
    "ConfirmedCommits",
    "Pending",
    "Timer",
    "after_commit",
    "authorise",
]

_LOG = logging.getLogger(__name__)

DEFAULT_TIMEOUT = 600
"""Seconds (RFC 6241 section 8.4.1)."""

RETRY_SECONDS = 5.0
"""After a rollback that failed: soon enough to matter, seldom enough for the log."""


class Timer(Protocol):
    """What ``call_later`` gives."""

    def cancel(self) -> None:
        """It does not fire any more."""


CallLater = Callable[[float, Callable[[], None]], Timer]


class ConfirmStep(StrEnum):
    """What can happen to a confirmed commit (RFC 6470, ``confirm-event``)."""

    START = "start"
    CANCEL = "cancel"
    TIMEOUT = "timeout"
    EXTEND = "extend"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class ConfirmEvent:
    """It has happened.  ``by``: the session that did it, or whose end did; ``timeout`` in seconds."""

    step: ConfirmStep
    by: Actor | None = None
    timeout: int | None = None


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """The parameters of ``<commit>``, with the session that sent it.  ``timeout`` in seconds.

    ``label`` and ``description`` say what it is for; they change nothing.
    """

    session_id: int
    confirmed: bool = False
    timeout: int = DEFAULT_TIMEOUT
    persist: str | None = None
    persist_id: str | None = None
    label: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """A confirmed commit that waits for its confirmation.

    ``before``: the configuration to go back to, as it was before the first of a series.  ``owner``: the session of
    the last of them.  ``persist``: the token; None when the commit is bound to its session.
    """

    before: Container
    owner: int
    persist: str | None
    deadline: datetime


# --- the rules ----------------------------------------------------------------------------------------------


def authorise(pending: Pending | None, session_id: int, persist_id: str | None) -> None:
    """Whether a session may commit or cancel now (RFC 6241 sections 8.4.1 and 8.4.5.1).

    Raises RpcFailure: invalid-value for a persist-id that is not the pending one's, in-use when the session has
    not issued what is pending and names no persist-id.
    """
    if persist_id is not None:
        if pending is None:
            raise _bad_persist_id("no confirmed commit is pending; it was confirmed, cancelled or rolled back")
        if pending.persist is None:
            raise _bad_persist_id("the pending confirmed commit has no persist-id; only its own session may act on it")
        if not compare_digest(pending.persist.encode(), persist_id.encode()):
            raise _bad_persist_id("this is not the persist-id of the pending confirmed commit")
        return
    if pending is None:
        return
    if pending.persist is not None:
        raise in_use("a confirmed commit with a persist-id is pending; give that persist-id", pending.owner)
    if pending.owner != session_id:
        raise in_use(f"a confirmed commit of session {pending.owner} is pending", pending.owner)


def after_commit(pending: Pending | None, request: CommitRequest, running: Container, now: datetime) -> Pending | None:
    """What is pending after a commit; None when it is final.  Raises RpcFailure as ``authorise`` does.

    A follow-up starts the time again and keeps what to go back to.  Without a new token it keeps the old one as
    well: the token is set "on the ongoing confirmed commit", which the follow-up extends.
    """
    authorise(pending, request.session_id, request.persist_id)
    if not request.confirmed:
        return None
    persist = request.persist
    if persist is None and pending is not None:
        persist = pending.persist
    return Pending(
        before=running if pending is None else pending.before,
        owner=request.session_id,
        persist=persist,
        deadline=now + timedelta(seconds=request.timeout),
    )


def _bad_persist_id(words: str) -> RpcFailure:
    info = (InfoElement("bad-element", "persist-id"),)
    return RpcFailure(RpcError(ErrorTag.INVALID_VALUE, words, type=ErrorType.PROTOCOL, info=info))


# --- in force -----------------------------------------------------------------------------------------------


class ConfirmedCommits:
    """Commits of one agent, with the one confirmed commit that can be pending.

    ``call_later`` is the event loop's unless given.  ``aclose`` ends the timer; what is pending then stays in the
    file, and the next start goes back to the configuration before it.
    """

    def __init__(
        self,
        transactor: Transactor,
        stores: Datastores,
        namespaces: Mapping[str, str],
        *,
        call_later: CallLater | None = None,
    ) -> None:
        self._transactor = transactor
        self._stores = stores
        self._namespaces = namespaces
        self._call_later: CallLater = call_later or _loop_call_later
        self._timer: Timer | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self.pending: Pending | None = None
        self.rollback_error: str | None = None
        """Why the rollback that is due has failed; it is tried again every ``RETRY_SECONDS``."""
        self.log = CommitLog()
        """What has been committed."""
        self.told: list[Callable[[ConfirmEvent], None]] = []
        """Called with each event once it is in force."""

    async def commit(
        self, request: CommitRequest, *, authorise: Authorise | None = None, by: Actor | None = None
    ) -> None:
        """RFC 6241 section 8.4.5.1.

        Raises RpcFailure (locks, ``authorise``, whatever the change is refused for): then nothing is armed or
        confirmed, and what was pending before is so still, with its deadline.
        """
        step = _Commit(self, request, by)
        await self._transactor.apply(step.wanted, companion=step, authorise=authorise, by=by)

    async def cancel(
        self,
        session_id: int,
        persist_id: str | None,
        *,
        authorise: Authorise | None = None,
        by: Actor | None = None,
    ) -> None:
        """Go back now (RFC 6241 section 8.4.4.1).

        Raises RpcFailure: operation-failed when nothing is pending, in-use when another session has locked running, and
        what the rules above and ``authorise`` raise.
        """
        event = ConfirmEvent(ConfirmStep.CANCEL, by)
        step = _RollBack(self, None, f"cancelled by session {session_id}", event, by=(session_id, persist_id))
        await self._transactor.apply(step.wanted, restoring=True, companion=step, authorise=authorise, by=by)

    async def session_ended(self, session_id: int, *, by: Actor | None = None) -> None:
        """Roll back what was bound to the session (RFC 6241 section 8.4.1); when this returns it is done.

        A rollback that fails is logged, shown and tried again, not raised.
        """
        pending = self.pending
        if pending is None or pending.owner != session_id:
            return
        if pending.persist is not None:
            self._stores.confirming = 0
            return
        event = ConfirmEvent(ConfirmStep.CANCEL, by)
        await to_the_end(self._go_back(pending, f"session {session_id} has ended", event))

    async def aclose(self) -> None:
        """No timer fires after this; a rollback under way is through."""
        self._closed = True
        self._stop_timer()
        await asyncio.gather(*self._tasks)

    # --- steps ------------------------------------------------------------------------------------------

    @property
    def stores(self) -> Datastores:
        """The datastores."""
        return self._stores

    def document(self, root: Container) -> bytes:
        """A configuration as it is stored."""
        return encode_children(root, self._namespaces)

    def tell(self, event: ConfirmEvent) -> None:
        """It is in force."""
        for callback in self.told:
            try:
                callback(event)
            except Exception:  # noqa: BLE001  # as for a change that is published: what is in force does not fail for it
                _LOG.exception("telling of a confirmed commit failed")

    def become(self, pending: Pending | None, timeout: float = 0) -> None:
        """This is pending from now on; ``timeout`` in seconds."""
        self._stop_timer()
        self.pending = pending
        self.rollback_error = None
        self._stores.confirming = None if pending is None else pending.owner
        if pending is not None:
            words = f"not confirmed within {timeout:g} s"
            event = ConfirmEvent(ConfirmStep.TIMEOUT)
            self._timer = self._call_later(timeout, partial(self._due, pending, words, event))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self, pending: Pending, why: str, event: ConfirmEvent) -> None:
        if self._closed or self.pending is not pending:
            return
        task = asyncio.get_running_loop().create_task(self._go_back(pending, why, event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _go_back(self, pending: Pending, why: str, event: ConfirmEvent) -> None:
        step = _RollBack(self, pending, why, event)
        try:
            try:
                await self._transactor.apply(step.wanted, restoring=True, companion=step)
            except RpcFailure as failure:
                if failure.errors[0].app_tag != NOT_WRITABLE:
                    raise
                await self._go_back_unstored(step, failure)
        except _SettledError:
            _LOG.debug("nothing to roll back any more (%s)", why)
        except Exception as problem:
            if self.pending is not pending:
                raise  # the rollback was through when this happened: the event loop reports it
            _LOG.exception("confirmed commit: %s; rollback failed, again in %g s", why, RETRY_SECONDS)
            self.rollback_error = str(problem)
            self._stop_timer()
            if not self._closed:
                self._timer = self._call_later(RETRY_SECONDS, partial(self._due, pending, why, event))

    async def _go_back_unstored(self, step: _RollBack, failure: RpcFailure) -> None:
        """The device must not keep what nobody confirmed because a disk is full: a start does what the file says."""
        journal = self._transactor.durable
        assert journal is not None
        step.outruns = journal
        await self._transactor.apply(step.wanted, restoring=True, store=False, companion=step)
        _LOG.error("the rollback is not stored (%s); until the next change is, a start rolls back again", failure)


def _loop_call_later(delay: float, callback: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(delay, callback)


class _SettledError(Exception):
    """It was confirmed, extended or rolled back before the transaction's turn came."""


class _Commit:
    """One ``<commit>``: decided when no other transaction runs, stored and armed with the change."""

    def __init__(self, commits: ConfirmedCommits, request: CommitRequest, by: Actor | None) -> None:
        self._commits = commits
        self._request = request
        self._by = by
        self._before: Pending | None = None
        self._after: Pending | None = None

    def wanted(self) -> Container:
        """The candidate, if the session may commit it."""
        commits, request = self._commits, self._request
        stores = commits.stores
        stores.check_writable(Datastore.RUNNING, request.session_id)
        stores.check_writable(Datastore.CANDIDATE, request.session_id)
        self._before = commits.pending
        self._after = after_commit(commits.pending, request, stores.running, datetime.now(UTC))
        if self._before is not None and commits.rollback_error is not None:
            raise in_use(f"a rollback is due and not through: {commits.rollback_error}", self._before.owner)
        return stores.to_commit(request.session_id)

    def store(self, journal: Journal) -> None:
        """What to go back to is written once, with the first of a series."""
        before, after = self._before, self._after
        if after is None:
            if before is not None:
                journal.disarm()
        elif before is None:
            document = self._commits.document(after.before)
            journal.arm(StoredPending(document, after.persist, after.deadline))
        else:
            journal.extend(after.persist, after.deadline)

    def done(self) -> None:
        """Armed, or final."""
        self._commits.stores.committed(self._request.session_id)
        self._commits.become(self._after, self._request.timeout)
        self._commits.log.note(self._record())
        number, timeout = self._request.session_id, self._request.timeout
        if self._after is not None:
            step = ConfirmStep.START if self._before is None else ConfirmStep.EXTEND
            self._commits.tell(ConfirmEvent(step, self._by, timeout))
        elif self._before is not None:
            self._commits.tell(ConfirmEvent(ConfirmStep.COMPLETE, self._by))
        if self._after is not None:
            _LOG.info("session %d: confirmed commit, to be confirmed within %d s", number, timeout)
        elif self._before is not None:
            _LOG.info("session %d: confirmed commit is confirmed", number)

    def _record(self) -> Commit:
        request = self._request
        first, final = self._before is None, self._after is None
        kinds = {
            (True, True): CommitKind.COMMIT,
            (True, False): CommitKind.CONFIRMED,
            (False, False): CommitKind.EXTENDING,
            (False, True): CommitKind.CONFIRMING,
        }
        return Commit(
            kinds[first, final],
            datetime.now(UTC),
            request.session_id,
            None if self._by is None else self._by.username,
            request.label,
            request.description,
        )


class _RollBack:
    """The way back.  ``pending``: what is rolled back; with ``by``, what is pending if that session may cancel it."""

    def __init__(
        self,
        commits: ConfirmedCommits,
        pending: Pending | None,
        why: str,
        event: ConfirmEvent,
        *,
        by: tuple[int, str | None] | None = None,
    ) -> None:
        self._commits = commits
        self._pending = pending
        self._why = why
        self._event = event
        self._by = by
        self.outruns: Journal | None = None
        """The file that cannot be written, when running goes back without it."""

    def wanted(self) -> Container:
        """The configuration before.  Locks do not keep a rollback off that no session asked for."""
        current = self._commits.pending
        if self._by is not None:
            session_id, persist_id = self._by
            self._commits.stores.check_writable(Datastore.RUNNING, session_id)
            authorise(current, session_id, persist_id)
            if current is None:
                words = "no confirmed commit is pending"
                raise RpcFailure(RpcError(ErrorTag.OPERATION_FAILED, words, type=ErrorType.PROTOCOL))
            self._pending = current
        elif current is not self._pending:
            raise _SettledError
        assert self._pending is not None
        return self._pending.before

    def store(self, journal: Journal) -> None:
        """With the configuration itself."""
        journal.disarm()

    def done(self) -> None:
        """The candidate goes as well (DOMAIN 5.5): it was made on top of what has just been taken back."""
        if self.outruns is not None:
            self.outruns.outrun = True
        stores = self._commits.stores
        assert self._pending is not None
        owner = self._pending.owner
        lost = "" if stores.candidate_is_clean(owner) else "; the candidate's changes are discarded"
        stores.discard(owner)
        self._commits.become(None)
        self._commits.tell(self._event)
        _LOG.warning("confirmed commit is rolled back: %s%s", self._why, lost)
