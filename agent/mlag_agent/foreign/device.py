"""What hooks see of the agent: its configuration, changes of it, and what they may put in; from any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Protocol, TypeVar

from mlag_agent.data.path import InstancePathError, find, steps
from mlag_agent.data.tree import Container, ListNode
from mlag_agent.datastore.subscriber import ChangeSet
from mlag_agent.errors import ApplyRefused, RpcFailure
from mlag_agent.foreign.hook_file import Caller
from mlag_agent.foreign.plain import plain
from mlag_agent.hooks import Hook
from mlag_agent.schema.nodes import SchemaTree

__all__ = ["HookChange", "HookDevice", "HookSubscriber", "Powers"]

_Result = TypeVar("_Result")

CALL_SECONDS = 60.0
"""For which a thread of a hook waits for the event loop, which is busy for milliseconds at a time."""


class Powers(Protocol):
    """What ``foreign.service`` gives; all of it belongs to the agent's event loop."""

    @property
    def tree(self) -> SchemaTree:
        """The served schema."""

    @property
    def running(self) -> Container:
        """The configuration in force."""

    def publish(self, event: str, values: Mapping[str, Any], at: str | None, time: datetime | None) -> None:
        """Send a notification."""

    def operational(self, xml: str | bytes) -> Sequence[str]:
        """Put operational state in."""


def read(root: Container, path: str, tree: SchemaTree) -> Any:
    """Plain values at an instance path; raises ValueError for what is none."""
    if path == "/":
        return plain(tree.data, root)
    try:
        schema = steps(path, tree)[-1][0]
        found = find(root, path, tree)
    except InstancePathError as error:
        raise ValueError(str(error)) from error
    return None if found is None else plain(found.schema if isinstance(found, Container | ListNode) else schema, found)


class HookDevice:
    """``hooks.Device``: calls from other threads are made in the event loop."""

    def __init__(self, name: str, powers: Powers) -> None:
        self.name = name
        self._powers = powers
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def bind(self) -> None:
        """The event loop is the one that runs now."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def _in_loop(self, function: Callable[[], _Result]) -> _Result:
        if self._loop is None:
            raise RuntimeError(
                "the agent has not started: this can be called from hooks, not while their file is loaded"
            )
        if threading.get_ident() == self._thread:
            return function()
        done: Future[_Result] = Future()

        def run() -> None:
            try:
                done.set_result(function())
            except BaseException as error:  # noqa: BLE001  # carried over to the thread that asked
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(CALL_SECONDS)

    def config(self, path: str = "/") -> Any:
        """Running, as plain values."""
        return read(self._powers.running, path, self._powers.tree)

    def publish(
        self,
        event: str,
        values: Mapping[str, Any] | None = None,
        *,
        at: str | None = None,
        time: datetime | None = None,
    ) -> None:
        """Send a notification."""
        self._in_loop(lambda: self._powers.publish(event, values or {}, at, time))

    def operational(self, xml: str | bytes) -> None:
        """Put operational state in."""
        self._in_loop(lambda: self._powers.operational(xml))


class HookChange:
    """``hooks.Change``, of a ``ChangeSet``."""

    def __init__(self, change: ChangeSet, tree: SchemaTree) -> None:
        self._change = change
        self._tree = tree

    @property
    def changed(self) -> Sequence[str]:
        """Instance paths."""
        return [change.path for change in self._change.changes]

    @property
    def restoring(self) -> bool:
        """Whether a configuration comes back that was in force before: at start, or when a commit was not confirmed."""
        return self._change.restoring

    def old(self, path: str) -> Any:
        """Before."""
        return read(self._change.old, path, self._tree)

    def new(self, path: str) -> Any:
        """After."""
        return read(self._change.new, path, self._tree)


class HookSubscriber:
    """A hook's class or object as a ``datastore.subscriber.Subscriber``."""

    def __init__(self, hook: Hook, caller: Caller, tree: SchemaTree) -> None:
        """Raises TypeError where the class cannot be made without arguments."""
        self.paths: tuple[str, ...] = tuple(hook.target.split())
        self._tree = tree
        self._caller = caller
        self._thing = hook.function() if isinstance(hook.function, type) else hook.function
        self.name = f"hook {getattr(hook.function, '__name__', hook.target)}"

    async def _call(self, method: str, *arguments: Any) -> Any:
        function = getattr(self._thing, method, None)
        return None if function is None else await self._caller.call(f"{self.name}: {method}", function, *arguments)

    async def prepare(self, change: ChangeSet) -> Any:
        """May refuse: RpcFailure out of a hook is the reply to the commit."""
        try:
            return await self._call("prepare", HookChange(change, self._tree))
        except RpcFailure as failure:
            raise ApplyRefused(*failure.errors) from failure

    async def commit(self, plan: Any) -> None:
        """Make it so."""
        await self._call("commit", plan)

    async def abort(self, plan: Any) -> None:
        """Take it back."""
        await self._call("abort", plan)
