"""Fixtures for tests that talk to a whole agent over real sockets.

``start`` makes agents inside of the test's own event loop; ``agent_thread`` runs one in a thread, for clients that
block.
Both see to it that nothing is left running.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# pytest's importlib mode puts no folder of tests on the path; the client is shared by several of them.
sys.path.insert(0, str(Path(__file__).parent))

from mlag_agent.access.users import hash_password
from mlag_agent.app import Device
from mlag_agent.config import (
    DeviceSettings,
    FabricSettings,
    ListenSettings,
    Settings,
    UserSettings,
)
from mlag_agent.mlag import EngineTimers
from mlag_agent.server.dispatcher import Dispatcher
from netconf_client import PASSWORD, USER, Client

HASH = hash_password(PASSWORD)

# What the agent's own handlers give is checked against their modules, in all tests.
Dispatcher.checks_output = True

TIMERS = EngineTimers(
    hello_interval=0.05, hello_hold=0.4, keepalive=0.1, session_hold=0.6, open_timeout=0.6, connect_timeout=0.3,
    retry_first=0.02, retry_cap=0.2, address_check=0.1, plan_grace=0.3, close_timeout=0.3,
)  # fmt: skip
"""Short, so that states come soon; no test asserts how soon."""


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Agents of a test run share their schema cache with each other, not with the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("CACHE_DIRECTORY", raising=False)
        yield


MakeSettings = Callable[..., Settings]
Start = Callable[..., Awaitable[Device]]
Connect = Callable[..., Awaitable[Client]]


def settings_in(folder: Path, name: str = "device", **options: Any) -> Settings:
    """Settings of an agent on a free port with one user, its state and rendezvous below ``folder``."""
    model = options.pop("model", None)
    device = DeviceSettings(name=name, model=model) if model else DeviceSettings(name=name)
    return Settings(
        **{
            "state": str(folder / name),
            "device": device,
            "listen": ListenSettings(port=0),
            "users": (UserSettings(name=USER, password_hash=HASH),),
            "fabric": FabricSettings(rendezvous=str(folder / "rendezvous")),
            **options,
        }
    )


@pytest.fixture
def make_settings(tmp_path: Path) -> MakeSettings:
    """``make_settings(name, model=..., strict=...)``."""

    def make(name: str = "device", **options: Any) -> Settings:
        return settings_in(tmp_path, name, **options)

    return make


@pytest.fixture
async def start(make_settings: MakeSettings) -> AsyncIterator[Start]:
    """Starts agents; after the test they are closed and no task may be left."""
    before = asyncio.all_tasks()
    devices: list[Device] = []

    async def begin(name: str = "device", *, settings: Settings | None = None, **options: Any) -> Device:
        extra = {key: options.pop(key) for key in ("features", "call_later", "clock", "sleep") if key in options}
        device = Device(settings or make_settings(name, **options), timers=TIMERS, **extra)
        await device.start()
        devices.append(device)
        return device

    yield begin
    for device in devices:
        await device.aclose()
        assert len(device.registry) == 0
    left = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
    assert left == set()


@pytest.fixture
async def device(start: Start) -> Device:
    """One agent with the default settings."""
    return await start()


@pytest.fixture
async def connect(start: Start) -> AsyncIterator[Connect]:
    """Opens sessions to a device; they are closed after the test, before the agents are."""
    clients: list[Client] = []

    async def begin(device: Device, **options: Any) -> Client:
        client = await Client.connect(device.port, **options)
        clients.append(client)
        return client

    yield begin
    for client in clients:
        await client.aclose()


@pytest.fixture
async def session(device: Device, connect: Connect) -> Client:
    """One session with the agent of ``device``."""
    return await connect(device)


class AgentThread:
    """An agent in a thread with an event loop of its own, for tests whose client blocks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ready: Future[Device] = Future()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="agent", daemon=True)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        device = Device(self._settings, timers=TIMERS)
        try:
            await device.start()
        except BaseException as error:
            self._ready.set_exception(error)
            raise
        self._ready.set_result(device)
        await self._stop.wait()
        await device.aclose()

    def __enter__(self) -> Device:
        self._thread.start()
        return self._ready.result(timeout=60)

    def __exit__(self, *exc: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()


@pytest.fixture(scope="module")
def agent_thread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Device]]:
    """``agent_thread(model=...)`` gives the module's agent with these options, started on first use."""
    running: dict[str, tuple[AgentThread, Device]] = {}

    def begin(name: str = "device", **options: Any) -> Device:
        key = repr((name, sorted(options.items())))
        if key not in running:
            thread = AgentThread(settings_in(tmp_path_factory.mktemp("agent"), name, **options))
            running[key] = (thread, thread.__enter__())
        return running[key][1]

    yield begin
    for thread, _ in running.values():
        thread.__exit__()


FUZZ_FACTOR = int(os.environ.get("MLAG_FUZZ_FACTOR", "0"))
"""``make fuzz``: only the tests of random input, with so many times their examples."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not FUZZ_FACTOR:
        return
    chosen = []
    for item in items:
        function = getattr(item, "function", None)
        if getattr(function, "is_hypothesis_test", False):
            assert function is not None
            own = getattr(function, "_hypothesis_internal_use_settings", None) or settings()
            changed = settings(own, max_examples=own.max_examples * FUZZ_FACTOR, deadline=None)
            function._hypothesis_internal_use_settings = changed  # there is no public way to say it
            chosen.append(item)
        elif "fuzz" in item.path.stem:
            chosen.append(item)
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen
