"""Agents in a background thread of this process, for tests: ``agent()`` and ``pair()`` of ``mlag_client.testing``.

One thread with an event loop of its own holds all agents of one call.  When the context manager is left, sessions
opened through it are closed first, then the agents; no thread, socket or file stays.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mlag_client.client import DfsClient
from mlag_client.session import Manager, Session, open_manager

if TYPE_CHECKING:
    from mlag_agent.app import Device
    from mlag_agent.config import Settings
    from mlag_agent.foreign.log import Operation
    from mlag_agent.mlag import Engine, EngineTimers

__all__ = ["RunningAgent", "RunningPair", "agent", "pair"]

HOST = "127.0.0.1"
USER = "admin"
START_LIMIT = 60.0
"""Seconds until the agents have to serve; loading the schema takes one to two on a slow machine."""

_Result = TypeVar("_Result")


class _Loop:
    """A thread that runs an event loop with devices in it."""

    def __init__(self, settings: Sequence[Settings], timers: EngineTimers | None) -> None:
        self._settings = settings
        self._timers = timers
        self._ready: Future[list[Device]] = Future()
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="mlag-agent", daemon=True)
        self._failure: BaseException | None = None

    def start(self) -> list[Device]:
        """The devices, once they serve; raises what kept them from it."""
        self._thread.start()
        return self._ready.result(START_LIMIT)

    def stop(self) -> None:
        """End devices, loop and thread; raises what went wrong in them."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def call(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        """Run a coroutine in the loop and wait for it."""
        assert self._loop is not None, "the agents are not started"
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001  # carried over to the thread that waits for the result
            if self._ready.done():
                self._failure = error
            else:
                self._ready.set_exception(error)

    async def _main(self) -> None:
        from mlag_agent.app import Device  # noqa: PLC0415  # the server's packages are loaded when one is started

        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            devices = [
                await stack.enter_async_context(Device(settings, timers=self._timers)) for settings in self._settings
            ]
            self._ready.set_result(devices)
            await self._stop.wait()


def _content(xml: str | bytes | Path) -> str | bytes:
    return xml.read_bytes() if isinstance(xml, Path) else xml


@dataclass(frozen=True, slots=True)
class RunningAgent:
    """An agent that serves on ``host`` ``port`` and lets ``username`` in with ``password``, made for this run."""

    name: str
    host: str
    port: int
    username: str
    password: str = field(repr=False)
    device: Device = field(repr=False)
    _loop: _Loop = field(repr=False)
    _sessions: list[Session] = field(default_factory=list, repr=False)

    def connect(self, device_name: str = "default", timeout: float = 30.0) -> Manager:
        """An ncclient Manager; ``device_name`` is ncclient's device handler.  Closed with the agent at the latest."""
        connected = open_manager(
            self.host, self.port, self.username, self.password, timeout=timeout, device_name=device_name
        )
        self._sessions.append(Session(connected))
        return connected

    def client(self, device_name: str = "default", timeout: float = 30.0) -> DfsClient:
        """A ``DfsClient``; closed with the agent at the latest."""
        return DfsClient(self.connect(device_name, timeout))

    @property
    def leniencies(self) -> Mapping[str, int]:
        """What the agent let pass that a strict server refuses, by name, with how often: a real device would not."""
        return dict(self.device.registry.leniencies)

    @property
    def engine(self) -> Engine:
        """The synchronisation engine; its coroutines go through ``run``, as it lives in another thread."""
        return self.device.engine

    def run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        """Run a coroutine where the agent lives, and wait for its result."""
        return self._loop.call(coroutine)

    # --- behaviour from outside (docs/foreign-modules.md): the errors are those of ``mlag_agent.app.Device`` ----

    def notify(self, xml: str | bytes | Path) -> str:
        """Send the notification in ``xml``, or in the file, to all who have subscribed; returns its schema path."""
        return self._do(lambda: self.device.notify(_content(xml)))

    def reply(self, path: str, xml: str | bytes | Path) -> int:
        """Answer the rpc or action at ``path`` (``/module:rpc``) with ``xml`` from now on; returns how many replies."""
        return self._do(lambda: self.device.reply(path, _content(xml)))

    def operational(self, xml: str | bytes | Path) -> Sequence[str]:
        """Have this data in the operational state; returns the paths of its top-level nodes."""
        return self._do(lambda: self.device.operational(_content(xml)))

    @property
    def log(self) -> Sequence[Operation]:
        """The last operations that the agent has answered, the oldest first."""
        return self._do(lambda: self.device.log)

    def reset(self, *, config: bool = False) -> None:
        """Forget what was put in, the replies that were given and the log; ``config``: the configuration too."""
        self.run(self.device.reset(config=config))

    def _do(self, function: Callable[[], _Result]) -> _Result:
        async def call() -> _Result:
            return function()

        return self.run(call())

    def close_sessions(self) -> None:
        """End the sessions that ``connect`` and ``client`` have opened."""
        while self._sessions:
            self._sessions.pop().close()


@dataclass(frozen=True, slots=True)
class RunningPair:
    """Two agents of one M-LAG pair; unpacks to ``first, second``."""

    first: RunningAgent
    second: RunningAgent

    def __iter__(self) -> Iterator[RunningAgent]:
        return iter((self.first, self.second))


@contextmanager
def agent(
    *,
    name: str = "device-1",
    model: str | None = None,
    strict: bool = False,
    startup: bool = False,
    modules: Sequence[str] = (),
    yang_dirs: Sequence[str | Path] = (),
    hooks: Sequence[str | Path] = (),
    replies: Sequence[str | Path] = (),
    table_size: int | None = None,
    state: str | Path | None = None,
    timers: EngineTimers | None = None,
) -> Iterator[RunningAgent]:
    """One agent on a free port, without a peer.

    ``model``: device model, decides on YANG features.  ``strict``: refuse what RFC 6241 does not allow.  ``startup``:
    with a startup datastore.  ``modules``: more YANG modules to serve, ``name`` or ``name:feature,feature``, found in
    ``yang_dirs`` or among the standard ones.  ``hooks``: Python files with behaviour for them (``mlag_agent.hooks``).
    ``replies``: XML files with canned replies for their rpcs and actions.  ``table_size``: entries per table.
    ``state``: a folder that is kept, to start again from.  ``timers``: of the engine.

    Raises the agent's SettingsError or SchemaError.
    """
    with _agents(
        (name,), model=model, strict=strict, startup=startup, modules=modules, yang_dirs=yang_dirs,
        hooks=hooks, replies=replies, table_size=table_size, state=state, timers=timers,
    ) as (running,):  # fmt: skip
        yield running


@contextmanager
def pair(
    *,
    names: tuple[str, str] = ("device-1", "device-2"),
    model: str | None = None,
    strict: bool = False,
    startup: bool = False,
    modules: Sequence[str] = (),
    yang_dirs: Sequence[str | Path] = (),
    hooks: Sequence[str | Path] = (),
    replies: Sequence[str | Path] = (),
    table_size: int | None = None,
    state: str | Path | None = None,
    timers: EngineTimers | None = None,
) -> Iterator[RunningPair]:
    """Two agents of one pair, ready to be configured; the arguments are those of ``agent``."""
    with _agents(
        names, model=model, strict=strict, startup=startup, modules=modules, yang_dirs=yang_dirs,
        hooks=hooks, replies=replies, table_size=table_size, state=state, timers=timers,
    ) as (first, second):  # fmt: skip
        yield RunningPair(first, second)


@contextmanager
def _agents(
    names: tuple[str, ...], *, state: str | Path | None, timers: EngineTimers | None, **options: Any
) -> Iterator[list[RunningAgent]]:
    password = secrets.token_urlsafe(12)
    with tempfile.TemporaryDirectory(prefix="mlag-agent-test-") as scratch:
        base = Path(scratch) if state is None else Path(state)
        rendezvous = Path(scratch) / "rendezvous"
        loop = _Loop(_settings(names, base, rendezvous, password, **options), timers)
        try:
            running = [
                RunningAgent(name, HOST, device.port, USER, password, device, loop)
                for name, device in zip(names, loop.start(), strict=True)
            ]
            try:
                yield running
            finally:
                for each in running:
                    each.close_sessions()
        finally:
            loop.stop()


def _settings(
    names: tuple[str, ...],
    base: Path,
    rendezvous: Path,
    password: str,
    *,
    model: str | None,
    strict: bool,
    startup: bool,
    modules: Sequence[str],
    yang_dirs: Sequence[str | Path],
    hooks: Sequence[str | Path],
    replies: Sequence[str | Path],
    table_size: int | None,
) -> list[Settings]:
    from mlag_agent.config import (  # noqa: PLC0415  # loaded when an agent is started
        DeviceSettings,
        FabricSettings,
        ListenSettings,
        Settings,
        TableSettings,
        user_with_password,
    )
    from mlag_agent.models import DEFAULT_MODEL  # noqa: PLC0415  # as above

    user = user_with_password(USER, password)
    tables = TableSettings() if table_size is None else TableSettings(arp=table_size, nd=table_size)
    return [
        Settings(
            state=str(base / name),
            device=DeviceSettings(name=name, model=model or DEFAULT_MODEL),
            listen=ListenSettings(host=HOST, port=0),
            users=(user,),
            fabric=FabricSettings(rendezvous=str(rendezvous)),
            tables=tables,
            strict=strict,
            startup=startup,
            modules=tuple(modules),
            yang_dirs=tuple(map(str, yang_dirs)),
            hooks=tuple(map(str, hooks)),
            replies=tuple(map(str, replies)),
        )
        for name in names
    ]
