"""The engine: composes the sans-IO parts, the fabric and the tables, and is the only thing that other layers use.

It owns one timer, one coalesced refresh, and the tasks of its parts; ``aclose`` ends them all.
"""

from __future__ import annotations

import asyncio
import os
import random as _random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from mlag_agent.mlag.alarms import AuthenticationAlarms
from mlag_agent.mlag.apply import Applier, Plan
from mlag_agent.mlag.config import (
    DeviceIdentity,
    DownReason,
    ElectionPacket,
    EngineTimers,
    EntryKind,
    EntryType,
    Fault,
    GroupConfig,
    IPAddress,
    Link,
    PortConfig,
    Role,
    TableCapacity,
)
from mlag_agent.mlag.consistency import ConsistencyCheck, Item
from mlag_agent.mlag.detection import DualActiveDetection
from mlag_agent.mlag.device import Selector, SimulatedDevice
from mlag_agent.mlag.election import ElectionOutcome
from mlag_agent.mlag.errors import EngineClosed
from mlag_agent.mlag.events import ChannelDown, ChannelUp, EngineEvent
from mlag_agent.mlag.fabric import Connection, Fabric
from mlag_agent.mlag.heartbeat import Heartbeat
from mlag_agent.mlag.history import FaultHistory
from mlag_agent.mlag.hub import EventHub
from mlag_agent.mlag.lacp import Lacp, lacp_facts
from mlag_agent.mlag.link import EntryLink, LinkSettings
from mlag_agent.mlag.messages import NONCE_SIZE, Announcement, CloseCause
from mlag_agent.mlag.pairing import PairingFacts, PairingTracker
from mlag_agent.mlag.peerlink import PeerLink
from mlag_agent.mlag.peerlink_end import PeerLinkEnd
from mlag_agent.mlag.reasons import Cause, ChannelFacts, channel_mismatch, derive_reason
from mlag_agent.mlag.session import SessionEvent
from mlag_agent.mlag.snapshot import COUNTER32, announcement_of, channel_state, peer_state, standing
from mlag_agent.mlag.state import ChannelState, EngineState, EntryPage, TableState
from mlag_agent.mlag.statistics import Statistics
from mlag_agent.mlag.sync import Synchroniser
from mlag_agent.mlag.wire import PROTOCOL_VERSION

__all__ = ["Engine"]


def _no_ports() -> Mapping[int, str]:
    return {}


class Engine:
    """Synchronisation engine of one device.

    ``reserved_ports`` gives the TCP ports that the agent itself uses, by port with the owner's name: they are refused
    whatever the fabric says. ``wall`` gives aware UTC, ``random`` numbers in 0..1 for jitter, ``nonce`` that many
    unpredictable bytes. The monotonic clock is the event loop's. Must be made inside of a running loop.
    """

    def __init__(
        self,
        device: DeviceIdentity,
        fabric: Fabric,
        *,
        timers: EngineTimers | None = None,
        capacity: TableCapacity | None = None,
        reserved_ports: Callable[[], Mapping[int, str]] = _no_ports,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Callable[[], float] = _random.random,
        nonce: Callable[[int], bytes] = os.urandom,
        protocol_version: int = PROTOCOL_VERSION,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        self._device = device
        self._fabric = fabric
        self._timers = timers or EngineTimers()
        self._wall = wall
        self._started = self._closed = False
        self._hub = EventHub(self.state)
        self._emit = self._hub.emit
        self._sync = Synchroniser(capacity or TableCapacity(), self._now, wall, self._emit)
        self.statistics = Statistics(wall)
        """Packets sent and received; whoever resets them does so here."""
        self._alarms = AuthenticationAlarms(wall, self._emit)
        self._simulated = SimulatedDevice(self._sync.tables, self._touch)
        self._hello = PeerLink(
            nonce(NONCE_SIZE), self._timers.hello_interval, self._timers.hello_hold, protocol_version,
            self.statistics.hello,
        )  # fmt: skip
        self._end = PeerLinkEnd(fabric, self._hello, self.statistics, self._alarms, wall=wall, emit=self._emit)
        self.consistency = ConsistencyCheck(wall)
        """What both devices have configured, compared; the simulated device's values are set here."""
        self._detection = DualActiveDetection(
            device,
            Heartbeat(nonce(NONCE_SIZE), self._timers.heartbeat_interval, protocol_version, self.statistics.heartbeat),
            now=self._now,
            wall=wall,
            emit=self._emit,
            touched=self._touch,
            consistency=self.consistency,
        )
        self.history = FaultHistory(self._detection.works)
        """Faults of the pair, current and past."""
        self._hub.subscribe(self.history.record)
        self._links = {
            kind: EntryLink(
                kind, self, self._timers, counters, now=self._now, random=random, nonce=nonce, version=protocol_version
            )
            for kind, counters in self.statistics.of_links.items()
        }
        self._channel = self._links[Link.CHANNEL]
        self._stream = self._links[Link.PEER_LINK]
        self._applier = Applier(
            fabric,
            reserved_ports=reserved_ports,
            accepted=self._channel.incoming,
            refused=self._channel.refuse,
            switched=self._switched,
            now=self._now,
        )
        self._timer: asyncio.TimerHandle | None = None
        self._refresh_handle: asyncio.Handle | None = None
        self._probe_task: asyncio.Task[None] | None = None
        self._next_probe = 0.0
        self._grace_end: tuple[Plan, float] | None = None
        self._established = 0
        self._channel_change = wall()
        self._pairing = PairingTracker(wall, self._timers.hello_hold)
        self._lacp = Lacp()
        self._cause = Cause(DownReason.UNCONFIGURED, "no peer-link source is configured on this device")

    # -- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the fabric. Raises ``FabricSettingsError``."""
        if self._started:
            raise EngineClosed("the engine has been started before")
        await self._fabric.open()
        self._started = True
        if self._fabric.peer_link is not None:
            self._fabric.peer_link.set_receiver(self._hello_received)
            self._fabric.peer_link.listener.set_handler(self._stream.incoming)
        self._touch()

    async def aclose(self) -> None:
        """End sessions (the peer is told), give back sockets and claims, leave no task; harmless when repeated."""
        if self._closed or not self._started:
            self._closed = True
            return
        self._closed = True
        for handle in (self._timer, self._refresh_handle):
            if handle is not None:
                handle.cancel()
        if self._probe_task is not None:
            self._probe_task.cancel()
            await asyncio.gather(self._probe_task, return_exceptions=True)
        await self._applier.aclose()
        await asyncio.gather(*(link.aclose() for link in self._links.values()))
        await self._fabric.aclose()
        self._hub.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # -- configuration (ARCHITECTURE section 5) ----------------------------------------------------------------------

    @property
    def config(self) -> GroupConfig | None:
        """The configuration in force."""
        return self._applier.config

    async def prepare(self, new: GroupConfig | None, *, lenient: bool = False) -> Plan:
        """Take what ``new`` needs: its TCP port on its local address, really bound. ``None``: no group.

        Raises ``PortInUse``, ``AddressUnavailable`` or ``VpnInstanceUnavailable``, and then nothing has changed.
        With ``lenient`` (the start with a configuration that was accepted before) the plan is made all the same; the
        channel is then down for that reason, and the engine tries again every ``address_check`` seconds.
        """
        self._require_running()
        return await self._applier.prepare(new, lenient=lenient)

    def commit(self, plan: Plan) -> None:
        """Put a prepared plan in force. Fails only when used out of turn (``PlanError``)."""
        self._require_running()
        self._applier.commit(plan)
        self._grace_end = (plan, self._now() + self._timers.plan_grace)

    async def abort(self, plan: Plan) -> None:
        """Give back what ``prepare`` took or, after the commit, go back to the previous configuration, port and all.

        Harmless when repeated. ``PlanError`` when a later plan has been committed, or when, after ``finish`` or the
        grace time, the previous port has meanwhile been taken by others (the previous configuration is then in force
        all the same, and the state shows the reason).
        """
        self._require_running()
        await self._applier.abort(plan)
        self._touch()

    def finish(self, plan: Plan) -> None:
        """The transaction is through: what the plan replaced is given back now rather than after the grace time."""
        self._applier.finish(plan)

    # -- simulated device --------------------------------------------------------------------------------------------

    async def learn(  # noqa: PLR0917 - the order of the leaves of learn-entries
        self,
        start_address: IPAddress,
        count: int,
        interface: str,
        vlan: int,
        kind: EntryKind = EntryKind.DYNAMIC,
        start_mac: str = "02:00:00:00:00:01",
    ) -> tuple[int, int]:
        """``learn-entries``: returns (learned, refused). ``ValueError`` for an impossible range; nothing is learned."""
        self._require_running()
        learned, refused = await self._simulated.learn(start_address, count, interface, vlan, kind, start_mac)
        if refused and kind is EntryKind.DYNAMIC:
            self._sync.limit_reached(EntryType.ARP if start_address.version == 4 else EntryType.ND, refused)
        return learned, refused

    async def age(self, selector: Selector | None = None) -> int:
        """``age-entries``: local dynamic entries go and are withdrawn at the peer; returns how many."""
        self._require_running()
        return await self._simulated.age(selector or Selector())

    async def flush(self, selector: Selector | None = None) -> int:
        """``flush-entries``: dynamic entries go, the peer's too; returns how many."""
        self._require_running()
        return await self._simulated.flush(selector or Selector())

    async def list_entries(self, selector: Selector | None = None, offset: int = 0, limit: int = 1000) -> EntryPage:
        """``list-entries``: a page in ascending order of address, ARP first. ``ValueError`` for an impossible page."""
        self._require_running()
        return await self._simulated.list_entries(selector or Selector(), offset, limit)

    def set_fault(self, link: Link, fault: Fault, delay_ms: int = 500) -> None:
        """``set-fault``: acts on what this device sends, ``cut`` on both directions; ``delay_ms`` in milliseconds."""
        self._require_running()
        self._fabric.set_fault(link, fault, delay_ms)
        self._touch()

    def set_port_state(self, name: str, *, up: bool) -> None:
        """``set-port-state``: a port of the simulated device stops or begins to work. ``ValueError`` for too many."""
        self._require_running()
        self._detection.set_port(name, works=up)
        self._touch()

    def set_configuration_value(self, scope: str, item: Item, value: str | None) -> None:
        """``set-configuration-value``: what the simulated device has configured beyond the modules. ``ValueError``."""
        self._require_running()
        self.consistency.set_value(scope, item, value)
        self._touch()

    def receive_election_packet(self, m_lag_id: int, packet: ElectionPacket) -> ElectionOutcome:
        """``receive-election-packet``. ``ValueError`` for an M-LAG that this device has no interface in."""
        self._require_running()
        outcome = self._detection.receive_election_packet(m_lag_id, packet)
        self._touch()
        return outcome

    def port_up(self, port: PortConfig) -> bool:
        """Whether an interface is up: enabled, working, not error-down."""
        return self._detection.port_up(port)

    def error_down(self, port: PortConfig) -> bool:
        """Whether an interface is error-down because of dual-active detection."""
        return self._detection.error_down(port)

    # -- state and events --------------------------------------------------------------------------------------------

    def tables(self) -> tuple[TableState, ...]:
        """The tables' summary."""
        return self._sync.table_states()

    def state(self) -> EngineState:
        """A snapshot of everything."""
        config, peer = self._applier.config, self._hello.peer
        return EngineState(
            group_id=None if config is None else config.group_id,
            peer_link=self._end.state(configured=config is not None),
            peer=None if peer is None else peer_state(peer),
            pairing=self._pairing.state(),
            channel=self._channel_state(),
            tables=self.tables(),
            faults=tuple(faults.state() for faults in self._fabric.faults.values()),
            heartbeat=self._detection.state(),
            dual_active=self._detection.dual_active(),
            members=self._detection.members(),
            lacp=self._lacp.state(self._now()),
            unpaired=self._detection.unpaired(),
            consistency=None if config is None else self.consistency.state(),
            election=self._detection.election(),
        )

    def subscribe(self, callback: Callable[[EngineEvent], None]) -> Callable[[], None]:
        """Have ``callback`` called with each event from the event loop; returns what ends the subscription.

        An exception of a callback goes to the loop's exception handler and disturbs nobody else.
        """
        return self._hub.subscribe(callback)

    async def wait_for(
        self,
        predicate: Callable[[EngineState], bool],
        timeout: float | None = None,  # noqa: ASYNC109 - the error names the last state, which asyncio.timeout cannot
    ) -> EngineState:
        """Wait for a state; ``timeout`` in seconds. ``TimeoutError`` names the last state; ``EngineClosed``."""
        self._require_running()
        return await self._hub.wait_for(predicate, timeout)

    # -- LinkOwner ---------------------------------------------------------------------------------------------------

    def session_up(self, link: EntryLink, peer: Announcement) -> None:
        """See ``LinkOwner``."""
        self._alarms.ended(link.kind)
        assert link.active is not None
        self._sync.attach(link.active)
        if link is self._channel:
            self._established = (self._established + 1) % COUNTER32
            self._channel_change = self._wall()
            self._emit(ChannelUp(self._channel_change, peer_state(peer)))

    def session_event(self, link: EntryLink, event: SessionEvent) -> None:
        """See ``LinkOwner``."""
        self._sync.received(event)

    def session_down(self, link: EntryLink, cause: Cause) -> None:
        """See ``LinkOwner``."""
        self._sync.detach()
        if link is self._channel:
            self._channel_change = self._wall()
            # The link says how the session ended; the engine may know better why (a new configuration, the hello).
            self._cause = self._derive()
            self._emit(ChannelDown(self._channel_change, self._cause.reason, self._cause.detail, was_up=True))

    def link_touched(self) -> None:
        """See ``LinkOwner``."""
        self._touch()

    # -- refresh -----------------------------------------------------------------------------------------------------

    def _require_running(self) -> None:
        if not self._started or self._closed:
            raise EngineClosed("the engine is not running")

    def _touch(self) -> None:
        """Something changed: one refresh follows, however much changes before it."""
        if self._refresh_handle is None and not self._closed:
            self._refresh_handle = self._loop.call_soon(self._refresh)

    def _refresh(self) -> None:
        self._refresh_handle = None
        self._hello.tick(self._now())
        self._end.send_hellos()
        self._tick_probe()
        self._gate()
        for link in self._links.values():
            link.tick()
        self._end.update()
        self._update_pairing()
        for event in self.consistency.tick(self._hello, self._now(), self._pairing.role, self._end.send_configuration):
            self._emit(event)
        self._detection.tick(self._hello.peer, paired=self._pairing.paired, link_down=self._end.is_down)
        self._update_lacp()
        self._hello.tell(self._detection.announced(), self._now())
        self._end.send_hellos()
        self._update_reason()
        self._raise_alarms()
        if self._sync.pump():
            self._touch()
        self._arm()
        self._hub.changed()

    def _arm(self) -> None:
        """Set the one timer to the nearest deadline of any part."""
        now = self._now()
        due = [self._hello.next_deadline(), self._sync.next_deadline(now), self._pairing.next_deadline()]
        due += [self._detection.next_deadline(), self._lacp.next_deadline(), self.consistency.next_deadline()]
        due += [link.next_deadline() for link in self._links.values()]
        if self._grace_end is not None:
            due.append(self._grace_end[1])
        # Times at which the answer to "why" may change by itself; those that are past have been looked at.
        passive = [self._next_probe]
        if self._channel.active is None:
            passive.append(self._channel.waiting_since + self._timers.hello_hold)
            if self._channel.failure is not None:
                passive.append(self._channel.failure.at + self._failure_memory)
        times = [at for at in due if at is not None] + [at for at in passive if at > now]
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(times), self._touch) if times else None

    def _hello_received(self, datagram: bytes) -> None:
        self._hello.receive(datagram, self._now())
        self._touch()

    def _tick_probe(self) -> None:
        now = self._now()
        if self._grace_end is not None and now >= self._grace_end[1]:
            plan, self._grace_end = self._grace_end[0], None
            self._applier.finish(plan)
        if now < self._next_probe or self._probe_task is not None:
            return
        self._next_probe = now + self._timers.address_check
        config = self._applier.config
        if config is not None and (config.channel is not None or config.detection is not None):
            self._probe_task = self._loop.create_task(self._probe())

    async def _probe(self) -> None:
        try:
            await self._applier.probe()
        except Exception as error:  # noqa: BLE001 - a bug of a fabric: reported, and looked at again next time
            self._loop.call_exception_handler(
                {"message": "looking after the local address failed unexpectedly", "exception": error}
            )
        finally:
            self._probe_task = None
        block = self._applier.block
        if block is not None:
            self._channel.stop_sessions(block.reason, block.detail)
        self._touch()

    def _gate(self) -> None:
        """Which link may try to connect; only a valid hello can keep a link from it."""
        config, peer = self._applier.config, self._hello.peer
        mine = self._announced(config)
        configured = mine is not None and mine.channel is not None
        fits = mine is not None and (peer is None or channel_mismatch(mine, peer) is None)
        self._channel.allow(configured and self._applier.block is None and fits)
        entries_here = fits and not configured and peer is not None and peer.channel is None
        self._stream.allow(entries_here)
        if not entries_here:
            self._stream.stop_sessions(CloseCause.RECONFIGURED, "the peer-link does not carry entries now")

    def _update_pairing(self) -> None:
        mine = self._announced(self._applier.config)
        facts = None
        if mine is not None:
            hello = self._hello
            facts = PairingFacts(mine, hello.peer, hello.violation, hello.unheard, self._end.is_down)
        for event in self._pairing.update(facts, self._now()):
            self._emit(event)

    def _update_lacp(self) -> None:
        config = self._applier.config
        partner = self._hello.peer if self._pairing.paired else None
        self._lacp.update(lacp_facts(self._announced(config), config, partner), self._now())

    def _update_reason(self) -> None:
        if self._channel.active is not None:
            return
        cause = self._derive()
        changed = (cause.reason, cause.detail) != (self._cause.reason, self._cause.detail)
        if changed:
            other_reason = cause.reason is not self._cause.reason
            self._cause = cause
            if other_reason:
                self._emit(ChannelDown(self._wall(), cause.reason, cause.detail, was_up=False))

    @property
    def _failure_memory(self) -> float:
        """Seconds after which a failure says nothing any more if no hello speaks for the peer: the next attempt, or
        the next one of the peer, should have come by then."""
        return 2 * (self._timers.retry_cap + self._timers.connect_timeout)

    def _derive(self) -> Cause:
        now = self._now()
        config, peer = self._applier.config, self._hello.peer
        mine = self._announced(config)
        failure = self._channel.failure
        if failure is not None and peer is None and now >= failure.at + self._failure_memory:
            failure = None
        return derive_reason(
            ChannelFacts(
                configured=mine is not None and mine.channel is not None,
                local_block=self._applier.block,
                hello_violation=self._hello.violation,
                peer_alive=peer is not None,
                hello_mismatch=None if peer is None or mine is None else channel_mismatch(mine, peer),
                failure=failure,
                waiting=now - self._channel.waiting_since,
                patience=self._timers.hello_hold,
            )
        )

    def _raise_alarms(self) -> None:
        hello, heartbeat = self._hello, self._detection.heartbeat
        self._alarms.look(Link.CHANNEL, self._channel, self._channel.failure)
        self._alarms.look(Link.PEER_LINK, hello, hello.violation)
        self._alarms.look(Link.PEER_LINK, self._stream, self._stream.failure)
        self._alarms.look(Link.HEARTBEAT, heartbeat, heartbeat.violation)

    # -- configuration changes ---------------------------------------------------------------------------------------

    def _announced(self, config: GroupConfig | None) -> Announcement | None:
        return announcement_of(self._device, config, self._timers.session_hold)

    def _switched(self, old: GroupConfig | None, new: GroupConfig | None) -> None:
        """The configuration in force has changed; sessions go on if nothing that they stand on has."""
        for entry_type in EntryType:
            self._sync.set_rate(entry_type, None if new is None else new.rate(entry_type))
        mine = self._announced(new)
        if standing(old) != standing(new):
            detail = "the peer's configuration has been changed"
            password = None if new is None else new.password
            self._configure_channel(new, mine, CloseCause.RECONFIGURED, detail)
            self._configure_stream(mine, password)
        if mine != self._announced(old) or standing(old) != standing(new):
            self._hello.configure(mine, None if new is None else new.password, self._now())
            self._end.send_hellos()
        held = self._applier.heartbeat
        self._detection.configure(new, held.port, held.block)
        self.consistency.configure(new)
        if new is None:
            self._sync.forget_peer()
        self._next_probe = self._now() + self._timers.address_check
        self._touch()

    def _configure_channel(
        self, new: GroupConfig | None, mine: Announcement | None, cause: CloseCause, detail: str
    ) -> None:
        if new is None or mine is None or new.channel is None:
            self._channel.configure(None, cause, detail)
            return
        channel = new.channel

        async def connect() -> Connection:
            return await self._fabric.connect(
                channel.vpn_instance, channel.local_address, channel.peer_address, channel.tcp_port
            )

        settings = LinkSettings(mine, new.password, channel.role is Role.CONNECTS, connect)
        self._channel.configure(settings, cause, detail)

    def _configure_stream(self, mine: Announcement | None, password: str | None) -> None:
        peer_link = self._fabric.peer_link
        if mine is None or mine.channel is not None or peer_link is None:
            self._stream.configure(None, CloseCause.RECONFIGURED, "the device's configuration has been changed")
        else:
            settings = LinkSettings(mine, password, peer_link.initiates, peer_link.connect)
            self._stream.configure(settings, CloseCause.RECONFIGURED, "the device's configuration has been changed")

    # -- snapshot ----------------------------------------------------------------------------------------------------

    def _channel_state(self) -> ChannelState:
        return channel_state(
            self._applier.config,
            self._cause,
            channel=self._channel,
            stream=self._stream,
            changed=self._channel_change,
            established=self._established,
            hello_failures=self._hello.authentication_failures,
            statistics=self._sync.statistics(),
        )
