"""Hook files: loaded once at start, checked against the schema, called with a deadline."""

from __future__ import annotations

import asyncio
import inspect
import logging
import runpy
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mlag_agent.errors import ErrorTag, RpcError, RpcFailure, SettingsError
from mlag_agent.hooks import Hook, collected
from mlag_agent.schema.nodes import Kind, SchemaNode, SchemaTree

__all__ = ["MAX_THREADS", "Caller", "load_hooks", "resolve_hooks"]

_LOG = logging.getLogger(__name__)

MAX_THREADS = 64
"""Hooks that run in threads at once, those included that did not come back: far more than one device has to do."""

_Result = TypeVar("_Result")


def load_hooks(files: Sequence[Path]) -> Sequence[Hook]:
    """Run hook files and take what they register; raises SettingsError with file and line of what goes wrong."""
    found: list[Hook] = []
    for file in files:
        if not file.is_file():
            raise SettingsError(f"there is no hook file {file}", "give --hooks FILE.py")
        with collected() as hooks:
            try:
                runpy.run_path(str(file))
            except (Exception, SystemExit) as error:
                raise SettingsError(f"the hook file {file} fails: {_where(error, file)}") from error
        if not hooks:
            raise SettingsError(
                f"the hook file {file} registers nothing", "see `python -m pydoc mlag_agent.hooks` for what it can"
            )
        found.extend(hooks)
    return found


def _where(error: BaseException, file: Path) -> str:
    """The last line of the file itself that the error went through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    words = f"{type(error).__name__}: {error}"
    return f"line {lines[-1]}: {words}" if lines else words


def resolve_hooks(hooks: Sequence[Hook], tree: SchemaTree) -> Mapping[tuple[str, SchemaNode], Hook]:
    """Hooks for rpcs, actions and state by kind and node.

    Raises SettingsError for a target that no module has, for one that two hooks are for, and for one of another kind.
    """
    found: dict[tuple[str, SchemaNode], Hook] = {}
    for hook in hooks:
        if hook.kind == "subscriber":
            for path in hook.target.split():
                _node(hook, path, tree)
            continue
        node = _node(hook, hook.target, tree)
        key = (hook.kind, node)
        if key in found:
            raise SettingsError(f"{hook.where}: {hook.target} has a hook already, at {found[key].where}")
        found[key] = hook
    return found


def _node(hook: Hook, path: str, tree: SchemaTree) -> SchemaNode:
    wanted = {"rpc": Kind.RPC, "action": Kind.ACTION}.get(hook.kind)
    try:
        node = tree.find(path) if wanted is None else tree.operation(path)
    except (KeyError, ValueError):
        node = None
    if node is None or (wanted is not None and node.kind is not wanted):
        raise SettingsError(
            f"{hook.where}: no module that is served has the {hook.kind if wanted else 'data node'} {path}",
            "write it as module:rpc, /module:path/to/action or /module:container; serve its module with --module",
        )
    if hook.kind == "state" and (node.kind is not Kind.CONTAINER or _in_list(node)):
        raise SettingsError(f"{hook.where}: state is given for a container that stands in no list, which {path} is not")
    return node


def _in_list(node: SchemaNode) -> bool:
    return node.kind is Kind.LIST or (node.parent is not None and _in_list(node.parent))


class Caller:
    """Calls functions of hooks: an ``async`` one in the event loop, any other in a thread, each for ``deadline`` s."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._running = 0

    async def call(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the function returns.

        Raises RpcFailure: its own, operation-failed with the text of any other exception, or for the deadline.
        """
        try:
            async with asyncio.timeout(self._deadline) as limit:
                if inspect.iscoroutinefunction(function):
                    return await function(*arguments)
                result = await self._in_thread(function, *arguments)
                return await result if inspect.isawaitable(result) else result
        except RpcFailure:
            raise
        except TimeoutError as error:
            if limit.expired():
                _LOG.error("%s did not answer within %g s", what, self._deadline)
                words = f"{what} did not answer within {self._deadline:g} s"
                raise RpcFailure(RpcError(ErrorTag.OPERATION_FAILED, words)) from error
            raise self._failed(what, error) from error
        except Exception as error:
            raise self._failed(what, error) from error

    @staticmethod
    def _failed(what: str, error: Exception) -> RpcFailure:
        _LOG.error("%s failed", what, exc_info=error)
        return RpcFailure(RpcError(ErrorTag.OPERATION_FAILED, f"{what} failed: {str(error) or type(error).__name__}"))

    async def _in_thread(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """In a daemon thread, so that a function which never returns keeps neither the agent nor its stop waiting."""
        if self._running >= MAX_THREADS:
            words = f"{MAX_THREADS} functions of hooks are running already"
            raise RpcFailure(RpcError(ErrorTag.RESOURCE_DENIED, words))
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_Result] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            self._running -= 1
            if done.done():
                return  # nobody waits any more
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        def run() -> None:
            result, problem = None, None
            try:
                result = function(*arguments)
            except BaseException as error:  # noqa: BLE001  # carried over to the one who waits
                problem = error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
            try:
                loop.call_soon_threadsafe(settle, result, problem)
            except RuntimeError:  # the loop is closed: the agent has stopped
                _LOG.warning("a function of a hook came back after the agent had stopped")

        self._running += 1
        threading.Thread(target=run, name="mlag-agent hook", daemon=True).start()
        return await done
