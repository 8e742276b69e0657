"""Composition root: from settings to a running agent, and back to nothing.  The only file that knows every layer."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self

from mlag_agent.access.audit import AuditLog
from mlag_agent.access.logins import LoginDelays
from mlag_agent.access.sealing import Sealer
from mlag_agent.access.users import Users
from mlag_agent.assembly import all_features, load_library, make_agent, open_replay_log
from mlag_agent.config import (
    Settings,
    make_audit,
    make_ca_keys,
    make_fabric,
    make_users,
)
from mlag_agent.control.server import ControlServer
from mlag_agent.datastore.confirmed import CallLater
from mlag_agent.datastore.persist import Journal
from mlag_agent.datastore.restore import Restorer
from mlag_agent.errors import SettingsError
from mlag_agent.features import (
    agent_state,
    mlag_events,
    netconf_events,
)
from mlag_agent.features.base import UNKNOWN, Agent, Feature
from mlag_agent.foreign.log import Operation
from mlag_agent.foreign.service import Foreign
from mlag_agent.mlag import DeviceIdentity, Engine, EngineTimers, TableCapacity
from mlag_agent.mlag.fabric import Fabric
from mlag_agent.mlag.wire import PROTOCOL_VERSION
from mlag_agent.models import DeviceModel, find_model
from mlag_agent.notify.clock import Clock
from mlag_agent.notify.log import ReplayLog
from mlag_agent.notify.notifier import Notifier
from mlag_agent.server.dispatcher import Dispatcher
from mlag_agent.server.endpoints import Endpoints, transport_limits
from mlag_agent.server.registry import Registry
from mlag_agent.server.session import NetconfSession
from mlag_agent.server.spare_memory import SpareMemory
from mlag_agent.server.transports.admission import Admission
from mlag_agent.server.transports.call_home import Sleep
from mlag_agent.server.transports.connection import Connection
from mlag_agent.server.transports.hostkey import load_or_create_host_keys
from mlag_agent.wire.session import Limits, Session

if TYPE_CHECKING:
    from mlag_agent.server.metrics_http import MetricsServer

__all__ = ["Device", "identity_of"]

# After a start from the cache the operations context is loaded this much later, when the hellos are through.
WARM_UP_SECONDS = 1.0


class Device:
    """One simulated switch with its agent.  ``async with`` starts and ends it.

    ``timers`` are the engine's, ``features`` behaviour for more modules than the agent's own, ``call_later`` measures
    the time-out of confirmed commits instead of the event loop, ``clock`` gives events their time and measures that of
    subscriptions, ``sleep`` the pauses of call home, ``sockets`` are listening ones to use (systemd's).  ``identity``,
    ``fabric`` and ``protocol_version`` are the engine's, in place of what the settings say.  Raises SettingsError or
    SchemaError when it cannot start; then nothing is left behind.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        timers: EngineTimers | None = None,
        features: Sequence[Feature] = (),
        call_later: CallLater | None = None,
        sleep: Sleep = asyncio.sleep,
        clock: Clock | None = None,
        sockets: Mapping[str, Sequence[socket.socket]] = MappingProxyType({}),
        identity: DeviceIdentity | None = None,
        fabric: Fabric | None = None,
        protocol_version: int = PROTOCOL_VERSION,
    ) -> None:
        self.settings = settings
        self._identity = identity
        self._fabric = fabric
        self._protocol_version = protocol_version
        self._sockets = sockets
        self._sleep = sleep
        self._timers = timers
        self._features = tuple(features)
        self._call_later = call_later
        self._clock = clock or Clock()
        self._endpoints: Endpoints | None = None
        self._users: Users | None = None
        self._journal: Journal | None = None
        self._audit: AuditLog | None = None
        self._log: ReplayLog | None = None
        self._engine: Engine | None = None
        self._agent: Agent | None = None
        self._foreign: Foreign | None = None
        self._control: ControlServer | None = None
        self._metrics_server: MetricsServer | None = None
        self._warm_up: asyncio.TimerHandle | None = None
        self._spare_memory = SpareMemory()
        self.registry = Registry()

    # --- what the outside may know ----------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The TCP port that NETCONF over SSH is served on."""
        return self.endpoints.ssh_port

    @property
    def endpoints(self) -> Endpoints:
        """What clients connect to."""
        assert self._endpoints is not None, "the device is not started"
        return self._endpoints

    @property
    def metrics_port(self) -> int:
        """The TCP port of metrics and health, if the settings have one."""
        assert self._metrics_server is not None, "there are no metrics"
        return self._metrics_server.port

    @property
    def engine(self) -> Engine:
        """The synchronisation engine."""
        assert self._engine is not None, "the device is not started"
        return self._engine

    @property
    def users(self) -> Users:
        """Who may log in."""
        assert self._users is not None, "the device is not started"
        return self._users

    def reload_users(self, settings: Settings) -> None:
        """Have the users of these settings from now on; raises SettingsError, and then nothing changes.

        Open sessions stay; what they may do is by the new level and groups with their next request.
        """
        self.users.replace(make_users(settings))
        self.agent.access.users_changed()

    @property
    def agent(self) -> Agent:
        """Datastores, transactor and schema."""
        assert self._agent is not None, "the device is not started"
        return self._agent

    # --- behaviour from outside (docs/foreign-modules.md) -------------------------------------------------

    @property
    def foreign(self) -> Foreign:
        """Hooks, canned replies and injected state."""
        assert self._foreign is not None, "the device is not started"
        return self._foreign

    @property
    def log(self) -> Sequence[Operation]:
        """The last operations that were answered, the oldest first."""
        return tuple(self.foreign.log)

    def notify(self, xml: str | bytes, time: datetime | None = None) -> str:
        """Publish a notification; returns its schema path.

        Raises CannedError for what is no XML, RpcFailure for what no module allows.
        """
        return self.foreign.notify(xml, time)

    def reply(self, path: str, xml: str | bytes) -> int:
        """Answer the rpc or action at ``path`` with a canned reply; returns how many there are in ``xml``.

        Raises CannedError.
        """
        return self.foreign.reply(path, xml)

    def operational(self, xml: str | bytes, origin: str = UNKNOWN) -> Sequence[str]:
        """Replace operational state, by top-level node; returns their paths.  Raises CannedError or RpcFailure."""
        return self.foreign.operational(xml, origin)

    async def reset(self, *, config: bool = False) -> None:
        """Forget what was put in, the replies and the log; ``config``: the configuration too."""
        await self.foreign.reset(config=config)

    # --- life -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start everything; the device accepts sessions when this returns."""
        try:
            await self._start()
        except BaseException:
            await self.aclose()
            raise

    async def _start(self) -> None:
        settings = self.settings
        folder = _state_folder(settings)
        model = find_model(settings.device.model)
        audit = self._audit = make_audit(settings)
        self._users = Users(
            make_users(settings),
            ca_keys=make_ca_keys(settings),
            delays=LoginDelays(first_delay=settings.access.login_delay),
            on_failure=None if audit is None else audit.login_failed,
        )
        host_keys = load_or_create_host_keys(folder, settings.listen.host_keys)
        sealer = Sealer.load_or_create(folder / "sealing.key")
        engine = self._engine = Engine(
            self._identity or identity_of(settings.device.name, model),
            self._fabric or make_fabric(settings),
            protocol_version=self._protocol_version,
            timers=self._timers,
            capacity=TableCapacity(settings.tables.arp, settings.tables.nd),
            reserved_ports=self._own_ports,
        )
        await engine.start()
        foreign = self._foreign = Foreign(
            settings.device.name,
            hooks=tuple(map(Path, settings.hooks)),
            replies=tuple(map(Path, settings.replies)),
            hook_timeout=settings.hook_timeout,
            log_length=settings.log_length,
        )
        features = all_features(settings, engine, model, foreign.feature, self._features)
        library = load_library(settings, features)
        self._journal = Journal.open(folder / "state.db")
        self._log = open_replay_log(settings, library, folder, self._clock)
        agent = self._agent = make_agent(
            settings,
            library,
            features,
            engine=engine,
            sealer=sealer,
            foreign=foreign,
            users=self._users,
            journal=self._journal,
            sessions=self.registry,
            notifier=Notifier(clock=self._clock, log=self._log),
            audit=audit,
            call_later=self._call_later,
        )
        foreign.attach(agent)
        if self._log is not None:
            agent.on_factory_reset.append(self._log.clear)
        await Restorer(library, agent.stores, agent.transactor, agent.reader, self._journal, agent.factory).restore()
        events = netconf_events.NetconfEvents(agent)
        events.attach()
        agent_state.tell_sync_changes(agent)
        mlag_events.EngineEvents(agent, engine).attach()
        admission = Admission(transport_limits(settings.limits))
        dispatcher = await self._make_dispatcher(agent, engine, admission)
        limits = settings.limits
        wire_limits = Limits(limits.message_size, limits.hello_size, limits.depth)

        async def on_session(connection: Connection) -> None:
            wire = Session(
                session_id=self.registry.take_number(),
                capabilities=agent.capabilities,
                limits=wire_limits,
                strict=settings.strict,
            )
            session = NetconfSession(
                connection,
                wire,
                dispatcher=dispatcher,
                registry=self.registry,
                stores=agent.stores,
                commits=agent.commits,
                watch=events,
                queue_length=settings.notifications.queue_length,
                queue_bytes=settings.notifications.queue_bytes,
                spare_memory=self._spare_memory,
            )
            if audit is None:
                await session.run()
                return
            audit.session_started(session, connection.transport)
            try:
                await session.run()
            finally:
                audit.session_ended(session)

        self._endpoints = Endpoints(
            settings,
            users=self._users,
            host_keys=host_keys,
            on_session=on_session,
            admission=admission,
            sleep=self._sleep,
            sockets=self._sockets,
        )
        if settings.control:
            self._control = ControlServer(folder, foreign)
            await self._control.start()
        await self._endpoints.start()
        # What the first rpc with parameters would wait for, unless it comes earlier.
        self._warm_up = asyncio.get_running_loop().call_later(WARM_UP_SECONDS, lambda: library.operations)

    async def _make_dispatcher(self, agent: Agent, engine: Engine, admission: Admission) -> Dispatcher:
        wanted = self.settings.metrics
        if wanted is None:
            return Dispatcher(agent)
        # Few want it, and the library takes 50 to 80 ms to import.
        from mlag_agent.server.metrics import MeasuredDispatcher, Metrics  # noqa: PLC0415
        from mlag_agent.server.metrics_http import MetricsServer  # noqa: PLC0415

        metrics = Metrics(agent, engine, self.registry, admission)
        self._metrics_server = MetricsServer(metrics)
        await self._metrics_server.start(wanted.host, wanted.port)
        return MeasuredDispatcher(agent, metrics)

    def _own_ports(self) -> Mapping[int, str]:
        return {} if self._endpoints is None else self._endpoints.ports()

    async def aclose(self) -> None:
        """End sessions, engine and files; nothing runs on after this, even if one of them fails to end."""
        if self._warm_up is not None:
            self._warm_up.cancel()
        async with AsyncExitStack() as last_first:
            last_first.callback(self._spare_memory.close)
            if self._users is not None:
                last_first.callback(self._users.close)
            if self._audit is not None:
                last_first.callback(self._audit.close)
            if self._journal is not None:
                last_first.callback(self._journal.close)
            if self._log is not None:
                last_first.callback(self._log.close)
            if self._engine is not None:
                last_first.push_async_callback(self._engine.aclose)
            if self._agent is not None:
                last_first.push_async_callback(self._agent.commits.aclose)
            if self._metrics_server is not None:
                last_first.push_async_callback(self._metrics_server.aclose)
            if self._control is not None:
                last_first.push_async_callback(self._control.aclose)
            if self._endpoints is not None:
                last_first.push_async_callback(self._endpoints.aclose)
            self._endpoints = self._engine = self._journal = self._users = self._audit = self._log = None
            self._metrics_server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _state_folder(settings: Settings) -> Path:
    folder = Path(settings.state)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(
            f"cannot make the state folder {folder}: {error.strerror}", "give --state FOLDER"
        ) from error
    return folder


def identity_of(name: str, model: DeviceModel, *, mac: str | None = None, release: str | None = None) -> DeviceIdentity:
    """What a device says of itself; unless given, its MAC address is a locally administered one that differs with the
    device's name.  Raises SettingsError."""
    octets = (
        b"\x02" + hashlib.sha256(name.encode()).digest()[:5] if mac is None else bytes.fromhex(mac.replace(":", ""))
    )
    try:
        identity = DeviceIdentity(name, model.name, octets, family=model.family)
        return identity if release is None else replace(identity, version=release)
    except ValueError as error:
        raise SettingsError(f"{error}, and {name!r} has not", "give another --name") from error
