"""Behaviour for YANG modules that have no code: what a hook file (``--hooks FILE.py``) imports.

::

    from mlag_agent.hooks import Call, Device, action, fail, rpc, state, subscriber

    @rpc("acme-system:reboot")
    async def reboot(call: Call):
        if call.input["delay"] > 60:
            fail("too long", app_tag="delay-too-long", path="delay")
        call.device.publish("acme-system:rebooting", {"by": call.username})

    @action("/acme-system:system/slot/reset")
    def reset(call: Call):
        return {"was": "up", "number": call.keys["slot"]["number"]}

    @state("/acme-system:system")
    def system(device: Device):
        return {"uptime": 12, "slot": [{"number": 1, "temperature": 40}]}

    @subscriber("/acme-system:system")
    class System:
        def prepare(self, change): ...   # may refuse: fail("...")
        def commit(self, plan): ...
        def abort(self, plan): ...

Names and values: mappings with local names, as ``{"leaf": 1, "container": {...}, "list": [{...}], "leaf-list": [1]}``.
Numbers are int or Decimal, ``boolean`` is bool, ``empty`` is True, everything else is str in canonical form with module
names as prefixes.  A reply can also be XML: the elements of the output, as text.

An ``async`` function runs in the agent's event loop, any other in a thread of its own; both have ``hook-timeout``
seconds.  Functions for ``state`` run in the event loop and must not wait: they return what is known.
docs/foreign-modules.md has a complete example.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn, Protocol, TypeVar

from mlag_agent.errors import ErrorTag, ErrorType, RpcError, RpcFailure

__all__ = [
    "Call",
    "Change",
    "Device",
    "ErrorTag",
    "Hook",
    "RpcError",
    "RpcFailure",
    "action",
    "collected",
    "fail",
    "rpc",
    "state",
    "subscriber",
]

Function = TypeVar("Function", bound=Callable[..., Any])
Thing = TypeVar("Thing")


class Device(Protocol):
    """The agent, as hooks may use it, from any thread."""

    @property
    def name(self) -> str:
        """The device's name."""

    def config(self, path: str = "/") -> Any:
        """The running configuration at an instance path (``/module:a/list[key='v']``), as plain values.

        A container or entry is a dict, a list a list of dicts; None when there is nothing.  Defaults are not filled in.
        Raises ValueError for what is no path of the served modules.
        """

    def publish(
        self,
        event: str,
        values: Mapping[str, Any] | None = None,
        *,
        at: str | None = None,
        time: datetime | None = None,
    ) -> None:
        """Send a notification to stream NETCONF: ``module:name``, or a path as ``/module:a/list/name``.

        ``at``: the instance path of the data node that it belongs to, for one that stands in the data tree.
        Raises RpcFailure for what the module does not allow, KeyError for a notification that there is not.
        """

    def operational(self, xml: str | bytes) -> None:
        """Replace operational state, as ``mlag-agent ctl operational`` does; raises RpcFailure."""


@dataclass(frozen=True, slots=True)
class Call:
    """One rpc or action.  ``input``: the parameters with their defaults.

    ``path``: the instance path of the data node that an action belongs to, None for an rpc; ``keys``: the keys of each
    list entry on that path, by the list's name.
    """

    device: Device
    name: str
    input: Mapping[str, Any]
    session_id: int
    username: str
    path: str | None = None
    keys: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Change(Protocol):
    """A transaction on running, before it is made."""

    @property
    def changed(self) -> Sequence[str]:
        """Instance paths of the nodes that are created, changed or deleted."""

    @property
    def restoring(self) -> bool:
        """Whether a configuration comes back that was in force before: at start, or when a commit was not confirmed.

        What cannot be had now is then better shown as state than refused: a refusal at start ends it.
        """

    def old(self, path: str) -> Any:
        """What is at an instance path before, as ``Device.config`` gives it."""

    def new(self, path: str) -> Any:
        """What is there after it."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One registered function or class: ``kind`` is rpc, action, state or subscriber."""

    kind: str
    target: str
    function: Any
    where: str
    origin: str = "ietf-origin:system"


_collecting: ContextVar[list[Hook] | None] = ContextVar("hooks", default=None)


@contextmanager
def collected() -> Iterator[list[Hook]]:
    """What is registered meanwhile: for the agent, and for tests of hook files."""
    found: list[Hook] = []
    token = _collecting.set(found)
    try:
        yield found
    finally:
        _collecting.reset(token)


def _register(kind: str, target: str, thing: Thing, origin: str = "ietf-origin:system") -> Thing:
    found = _collecting.get()
    if found is not None:
        frame = sys._getframe(2)  # where the decorator stands, for messages
        found.append(Hook(kind, target, thing, f"{frame.f_code.co_filename}:{frame.f_lineno}", origin))
    return thing


def rpc(name: str) -> Callable[[Function], Function]:
    """Answers the rpc ``module:name``: ``f(call)`` returns None (ok), the output, or NotImplemented to pass it on."""
    return lambda function: _register("rpc", f"/{name.removeprefix('/')}", function)


def action(path: str) -> Callable[[Function], Function]:
    """Answers the action at a schema path, ``/module:container/list/action``, as ``rpc`` does."""
    return lambda function: _register("action", path, function)


def state(path: str, *, origin: str = "ietf-origin:system") -> Callable[[Function], Function]:
    """Gives operational state below a container that stands in no list: ``f(device)`` returns its content.

    ``origin``: an identity of RFC 8342, ``ietf-origin:learned`` for instance.
    """
    return lambda function: _register("state", path, function, origin)


def subscriber(*paths: str) -> Callable[[Thing], Thing]:
    """Takes part in transactions that change something below one of the schema paths.

    Of a class (one instance is made) or an object: ``prepare(change)`` may refuse and returns a plan, ``commit(plan)``
    makes it so and must not fail, ``abort(plan)`` takes it back, before ``commit`` and after it.  Each may be missing.
    """
    return lambda thing: _register("subscriber", " ".join(paths), thing)


def fail(
    message: str,
    *,
    tag: str | ErrorTag = ErrorTag.OPERATION_FAILED,
    app_tag: str | None = None,
    path: str | None = None,
) -> NoReturn:
    """End the call with an rpc-error.  ``path``: absolute (``/module:a``), or relative to the operation."""
    raise RpcFailure(RpcError(ErrorTag(tag), message, type=ErrorType.APPLICATION, app_tag=app_tag, path=path))
