"""The one way in which running changes (ARCHITECTURE section 5): validate, prepare, store, commit, swap."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from mlag_agent.data.diff import changes, edit_document
from mlag_agent.data.encode import encode_children
from mlag_agent.data.path import InstancePathError, find, steps
from mlag_agent.data.scoped import Part, pieces, to_check
from mlag_agent.data.tree import AnyData, Container, LeafList, ListNode, empty, same
from mlag_agent.datastore.persist import Journal
from mlag_agent.datastore.stores import Datastore, Datastores
from mlag_agent.datastore.subscriber import Actor, ChangeSet, Subscriber
from mlag_agent.datastore.turns import Steps, collected, in_turns
from mlag_agent.errors import ApplyRefused, ErrorTag, RpcError, RpcFailure
from mlag_agent.schema.engine import Contents
from mlag_agent.schema.library import SchemaLibrary
from mlag_agent.schema.nodes import Kind, SchemaNode
from mlag_agent.schema.violations import ValueLookup

__all__ = ["Authorise", "Companion", "Transactor", "to_the_end"]

_LOG = logging.getLogger(__name__)

# A service that does not answer within this refuses the change; the device's own limit is 32 s (DOMAIN 5.2).
PREPARE_DEADLINE_SECONDS = 32.0

# Of a long list that libyang checks in one go: 1,024 entries, some 15 ms, before others have their turn.
PIECE_CHUNKS = 4

Published = Callable[[ChangeSet], None]

SyncChanged = Callable[[str, str | None], None]

Authorise = Callable[[ChangeSet], None]
"""Raises RpcFailure for a change that whoever asked for it may not make (ARCHITECTURE section 5, step 3)."""


class Companion(Protocol):
    """What is stored and comes into force together with a change, or not at all."""

    def store(self, journal: Journal) -> None:
        """Within the open transaction of the file; raises RpcFailure, and then the change is taken back."""

    def done(self) -> None:
        """The change is in force; no other transaction has run since.  Must not fail."""


@dataclass(slots=True)
class _Prepared:
    subscriber: Subscriber[Any]
    plan: Any


class Transactor:
    """Applies changes to running, one at a time; readers use the old root meanwhile and never wait."""

    def __init__(
        self,
        library: SchemaLibrary,
        stores: Datastores,
        *,
        subscribers: Sequence[Subscriber[Any]] = (),
        journal: Journal | None = None,
        prepare_deadline: float = PREPARE_DEADLINE_SECONDS,
    ) -> None:
        self._library = library
        self._stores = stores
        self._subscribers = tuple(subscribers)
        self._journal = journal
        self._deadline = prepare_deadline
        self._lock = asyncio.Lock()
        # The last root that was checked entirely, or from one that was; what is in a datastore at first may be invalid.
        self._valid: Container | None = None
        self.out_of_sync: dict[str, str] = {}
        """Subscribers whose state is unknown since ``abort`` failed, with the error.

        The next change of their paths gives them the whole configuration; if they apply that they are in sync again.
        """
        self.sync_changed: list[SyncChanged] = []
        """Called when a subscriber has come out of sync, with the error, or is in sync again, with None."""
        self.published: list[Published] = []
        """Called with each change set after it has been applied."""

    def validate(self, root: Container) -> None:
        """Every constraint of RFC 7950 section 8.1; raises RpcFailure with each violation."""
        self._check(root, root)

    async def _validate_change(self, old: Container, root: Container) -> None:
        """As ``validate``, at the cost of what has changed since ``old``; the violations are those of the whole."""
        part = to_check(old, root, self._library.scopes) if old is self._valid else Part(root, alone=False)
        try:
            await in_turns(self._check_pieces(part, root))
        except RpcFailure:
            if next(pieces(part.root, self._library.scopes, PIECE_CHUNKS)) is root:
                raise  # it was the whole
            # Of this change, or of what is left out around it: the whole decides, and has the messages.
            self.validate(root)

    def _check_pieces(self, part: Part, root: Container) -> Steps[None]:
        for piece in pieces(part.root, self._library.scopes, PIECE_CHUNKS):
            self._check(piece, root, alone=part.alone)
            yield

    def _check(self, part: Container, root: Container, *, alone: bool = False) -> None:
        document = encode_children(part, self._library.tree.namespaces).decode()
        self._library.engine.validate(document, Contents.CONFIG, self._lookup(root), alone=alone)

    async def apply(
        self,
        wanted: Container | Callable[[], Container],
        *,
        restoring: bool = False,
        store: bool = True,
        companion: Companion | None = None,
        authorise: Authorise | None = None,
        by: Actor | None = None,
    ) -> None:
        """Make ``wanted`` the running configuration.

        A function is called when no other transaction runs: what it derives from the datastores cannot undo a change
        that was under way when it was asked for, and the locks that it checks still hold when it is applied.

        Raises RpcFailure (violations, a refusal, a file that cannot be written): then running, the subscribers
        and the file are as they were.  ``restoring``: the configuration was in force before, and what the device
        cannot do now is shown as state.  ``store=False``: it comes from the file itself, or that cannot be written.
        ``companion``: goes along, also when there is nothing to change.  ``authorise``: may refuse what is different.
        ``by``: the session that asks; None: the server itself.
        """
        async with self._lock:
            root = wanted() if callable(wanted) else wanted
            old = self._stores.running
            if same(old, root):
                if companion is not None:
                    self._accompany(companion, root, self.durable if store else None)
                return
            await self._validate_change(old, root)
            found = await in_turns(collected(changes(old, root)))
            change = ChangeSet(old, root, found, restoring, by)
            if authorise is not None:
                authorise(change)
            prepared = await self._prepare(change)
            # From here on the change is made or taken back as a whole, whatever becomes of the session that asked.
            steps = self._commit(change, prepared, self.durable if store else None, companion)
            if prepared:
                await to_the_end(steps)
            else:
                await steps  # waits for nobody, so that it cannot be cancelled: no need of a task of its own

    @property
    def durable(self) -> Journal | None:
        """The file, if running is kept there.

        With a startup datastore, running is what the next start forgets (RFC 6241 section 8.7).
        """
        return self._journal if self._stores.startup is None else None

    def _accompany(self, companion: Companion, running: Container, journal: Journal | None) -> None:
        """There is nothing to change."""
        if journal is not None and journal.outrun:
            with self._writing(journal, running, running):
                companion.store(journal)
        elif journal is not None:
            companion.store(journal)
        companion.done()

    async def _commit(
        self,
        change: ChangeSet,
        prepared: Sequence[_Prepared],
        journal: Journal | None,
        companion: Companion | None,
    ) -> None:
        """Store, commit, swap, publish."""
        try:
            with ExitStack() as stack:
                if journal is not None:
                    stack.enter_context(self._writing(journal, change.old, change.new))
                    if companion is not None:
                        companion.store(journal)
                for item in prepared:
                    await item.subscriber.commit(item.plan)
        except BaseException as problem:
            left = await self._abort(prepared)
            if left and isinstance(problem, Exception):
                words = f"the change could not be applied ({problem}), nor taken back by {', '.join(left)}"
                raise RpcFailure(RpcError(ErrorTag.ROLLBACK_FAILED, words)) from problem
            if isinstance(problem, RpcFailure) or not isinstance(problem, Exception):
                raise
            _LOG.exception("a subscriber failed to commit; the change is taken back")
            words = f"the change could not be applied and was taken back: {problem}"
            raise RpcFailure(RpcError(ErrorTag.OPERATION_FAILED, words)) from problem
        self._stores.running = self._valid = change.new
        self._in_sync(prepared)
        if companion is not None:
            companion.done()
        for callback in tuple(self.published):  # one may take itself, or another, out
            try:
                callback(change)
            except Exception:  # noqa: BLE001  # the change is in force: an error here must not tell the client that it is not
                _LOG.exception("publishing a change failed")

    @asynccontextmanager
    async def quiet(self) -> AsyncIterator[None]:
        """While this is held no transaction runs."""
        async with self._lock:
            yield

    def _writing(self, journal: Journal, old: Container, new: Container) -> Any:
        namespaces = self._library.tree.namespaces
        edit = edit_document(old, new, namespaces)
        return journal.writing(Datastore.RUNNING, edit, lambda: encode_children(new, namespaces))

    async def _prepare(self, change: ChangeSet) -> list[_Prepared]:
        prepared: list[_Prepared] = []
        for subscriber in self._subscribers:
            if not any(change.touches(path) for path in subscriber.paths):
                continue
            mine = self._everything(change) if subscriber.name in self.out_of_sync else change
            try:
                async with asyncio.timeout(self._deadline):
                    plan = await subscriber.prepare(mine)
            except BaseException as problem:
                await to_the_end(self._abort(prepared))
                raise self._refusal(subscriber, problem) from problem
            prepared.append(_Prepared(subscriber, plan))
        return prepared

    def _everything(self, change: ChangeSet) -> ChangeSet:
        """For a subscriber of which nobody knows what it has: the whole configuration, as if there had been none."""
        nothing = empty(self._library.tree.data)
        return ChangeSet(nothing, change.new, tuple(changes(nothing, change.new)), change.restoring, change.by)

    def _in_sync(self, prepared: Sequence[_Prepared]) -> None:
        """Whoever was out of sync and has applied the whole configuration is not any more."""
        for item in prepared:
            if self.out_of_sync.pop(item.subscriber.name, None) is not None:
                _LOG.warning("subscriber %s is in sync again", item.subscriber.name)
                self._tell_sync(item.subscriber.name, None)

    def _tell_sync(self, name: str, error: str | None) -> None:
        for callback in self.sync_changed:
            try:
                callback(name, error)
            except Exception:  # noqa: BLE001  # whether the change is in force does not depend on who hears of it
                _LOG.exception("telling that %s is out of sync, or in sync again, failed", name)

    def _refusal(self, subscriber: Subscriber[Any], problem: BaseException) -> BaseException:
        if isinstance(problem, ApplyRefused) or not isinstance(problem, Exception):
            return problem
        if isinstance(problem, TimeoutError):
            words = f"{subscriber.name} did not answer within {self._deadline:g} s; nothing was applied"
        else:
            _LOG.error("subscriber %s failed in prepare", subscriber.name, exc_info=problem)
            words = f"{subscriber.name} failed: {problem}; nothing was applied"
        return ApplyRefused(RpcError(ErrorTag.OPERATION_FAILED, words))

    async def _abort(self, prepared: Sequence[_Prepared]) -> Sequence[str]:
        """Take back in reverse order; what cannot be taken back is out of sync from then on: their names."""
        left = []
        for item in reversed(prepared):
            try:
                await item.subscriber.abort(item.plan)
            except Exception as problem:  # noqa: BLE001  # recorded: the others must be taken back all the same
                _LOG.exception("subscriber %s is out of sync", item.subscriber.name)
                self.out_of_sync[item.subscriber.name] = str(problem)
                self._tell_sync(item.subscriber.name, str(problem))
                left.append(item.subscriber.name)
        return left

    def _lookup(self, root: Container) -> ValueLookup:
        def lookup(path: str, message: str = "", /) -> tuple[SchemaNode, str | None, str] | None:
            try:
                schema = steps(path, self._library.tree)[-1][0]
                value = find(root, path, self._library.tree)
            except (InstancePathError, ValueError):
                return None
            if isinstance(value, str):
                return schema, value, path
            if isinstance(value, Container) and schema.kind is Kind.CONTAINER:
                return schema, _summary(value), path
            return schema, None, path

        return lookup


async def to_the_end(steps: Coroutine[Any, Any, object]) -> None:
    """Run to the end even when the caller is cancelled meanwhile; the cancellation is then passed on."""
    task = asyncio.ensure_future(steps)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as problem:
            cancelled = problem
    if cancelled is not None:
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("a change failed after its session had ended", exc_info=task.exception())
        raise cancelled
    task.result()


def _summary(value: Container) -> str | None:
    """The leafs of a container, for a message about all of them together."""
    leafs = [
        f"{node.name} {child}"
        for node, child in value.children.items()
        if not isinstance(child, Container | ListNode | LeafList | AnyData) and not node.secret
    ]
    return ", ".join(leafs) or None
