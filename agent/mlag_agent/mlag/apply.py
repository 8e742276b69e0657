"""Two-phase apply of the group's configuration (ARCHITECTURE section 5): who holds which listening socket when.

``prepare`` binds, ``commit`` only swaps, ``abort`` swaps back. A replaced listener stays bound, refusing connections,
until the next prepare, ``finish``, or the grace time, so that an abort after the commit gets its port back for certain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from mlag_agent.mlag.config import ChannelConfig, GroupConfig
from mlag_agent.mlag.errors import EngineRefused, PlanError, PortInUse
from mlag_agent.mlag.fabric import Connection, Fabric, Listener
from mlag_agent.mlag.heartbeat_port import HeartbeatHold, HeartbeatHolder
from mlag_agent.mlag.reasons import Cause

__all__ = ["Applier", "Plan", "PlanState"]

_Socket = tuple[str | None, object, int]


class PlanState(Enum):
    """Life of a plan."""

    PREPARED = auto()
    COMMITTED = auto()
    FINISHED = auto()
    ABORTED = auto()


@dataclass(slots=True)
class Plan:
    """A prepared change; opaque to the caller. ``state`` says how far it has come."""

    new: GroupConfig | None
    base: int
    state: PlanState = PlanState.PREPARED
    listener: Listener | None = field(default=None, repr=False)
    block: Cause | None = None
    previous: GroupConfig | None = None
    previous_listener: Listener | None = field(default=None, repr=False)
    previous_block: Cause | None = None
    heartbeat: HeartbeatHold = field(default_factory=HeartbeatHold)
    previous_heartbeat: HeartbeatHold | None = None


def _socket_of(config: GroupConfig | None) -> _Socket | None:
    channel = None if config is None else config.channel
    return None if channel is None else (channel.vpn_instance, channel.local_address, channel.tcp_port)


class Applier:
    """Holds the configuration in force, its listener, and why it has none although a channel is configured.

    ``refused`` gets connections to a port that is bound and not, or no longer, in force. ``switched`` is called with
    the old and the new configuration whenever the one in force changes.
    """

    def __init__(
        self,
        fabric: Fabric,
        *,
        reserved_ports: Callable[[], Mapping[int, str]],
        accepted: Callable[[Connection], None],
        refused: Callable[[Connection], None],
        switched: Callable[[GroupConfig | None, GroupConfig | None], None],
        now: Callable[[], float],
    ) -> None:
        self._fabric = fabric
        self._reserved_ports = reserved_ports
        self._accepted = accepted
        self._refused = refused
        self._switched = switched
        self._now = now
        self._lock = asyncio.Lock()
        self._generation = 0
        self._last: Plan | None = None
        self._prepared: Plan | None = None
        self._old_listeners: set[asyncio.Task[None]] = set()
        self.config: GroupConfig | None = None
        self.listener: Listener | None = None
        self.block: Cause | None = None
        self.heartbeat = HeartbeatHolder(fabric)

    @property
    def unfinished(self) -> bool:
        """A committed plan still keeps what it replaced."""
        return self._last is not None

    async def prepare(self, new: GroupConfig | None, *, lenient: bool) -> Plan:
        """See ``Engine.prepare``."""
        async with self._lock:
            plan = Plan(new, self._generation)
            channel = None if new is None else new.channel
            if channel is not None:
                try:
                    plan.listener = await self._acquire(channel)
                except EngineRefused as refusal:
                    if not lenient:
                        raise
                    plan.block = Cause(refusal.reason, str(refusal), self._now())
            try:
                plan.heartbeat = await self.heartbeat.take(new, lenient=lenient)
            except BaseException:
                self._discard(plan.listener, keep=(self.listener, self._retired))
                raise
            self._prepared = plan
            return plan

    def commit(self, plan: Plan) -> None:
        """See ``Engine.commit``."""
        if plan.state is not PlanState.PREPARED or plan.base != self._generation:
            raise PlanError(f"a plan in state {plan.state.name} of an older configuration cannot be committed")
        if self._last is not None:
            self.finish(self._last, keep=plan.listener)
        self._prepared = None
        plan.previous, plan.previous_listener, plan.previous_block = self.config, self.listener, self.block
        plan.state = PlanState.COMMITTED
        self._last = plan
        plan.previous_heartbeat = self.heartbeat.switch(plan.heartbeat)
        self._switch(plan.new, plan.listener, plan.block)

    async def abort(self, plan: Plan) -> None:
        """See ``Engine.abort``."""
        async with self._lock:
            state, plan.state = plan.state, PlanState.ABORTED
            if self._prepared is plan:
                self._prepared = None
            if state is PlanState.ABORTED:
                return
            if state is PlanState.PREPARED:
                self._discard(plan.listener, keep=(self.listener, self._retired))
                self.heartbeat.drop(plan.heartbeat)
                return
            if plan.base + 1 != self._generation:
                plan.state = state
                raise PlanError("a later configuration has been committed; this plan can no longer be aborted")
            replaced = self.listener
            listener, block = plan.previous_listener, plan.previous_block
            if (listener is None or listener.closed) and block is None and _socket_of(plan.previous) is not None:
                listener, block = await self._reacquire(plan.previous)
            self._last = None
            hold = await self._heartbeat_before(plan)
            self.heartbeat.switch(hold)
            self._switch(plan.previous, listener, block)
            self.heartbeat.drop(plan.heartbeat)
            self._discard(replaced, keep=(listener,))
            if hold.block and not (plan.previous_heartbeat is not None and plan.previous_heartbeat.block):
                raise PlanError(f"the previous configuration is back, but not its UDP port: {hold.block}")
            if block is not None and plan.previous_block is None:
                raise PlanError(f"the previous configuration is back, but not its port: {block.detail}")

    def finish(self, plan: Plan, keep: Listener | None = None) -> None:
        """See ``Engine.finish``."""
        if plan.state is not PlanState.COMMITTED:
            return
        plan.state = PlanState.FINISHED
        if self._last is plan:
            self._last = None
        if plan.previous_listener is not None and plan.previous_listener is not self.listener:
            # A plan that is prepared meanwhile may have taken it over again.
            prepared = None if self._prepared is None else self._prepared.listener
            self._discard(plan.previous_listener, keep=(keep, prepared))
            plan.previous_listener = None
        if plan.previous_heartbeat is not None:
            wanted = None if self._prepared is None else self._prepared.heartbeat
            self.heartbeat.drop(plan.previous_heartbeat, keep=wanted)

    async def probe(self) -> None:
        """Look whether the local address is still there, and try again to get what was not to be had."""
        async with self._lock:
            config = self.config
            channel = None if config is None else config.channel
            if self._prepared is None and await self.heartbeat.retry(config):
                self._switched(config, config)
            if channel is None or self._prepared is not None:
                return  # nothing to look after, or a prepared plan may be counting on the listener
            try:
                if self.listener is None:
                    listener: Listener | None = await self._acquire(channel)
                else:
                    listener = self.listener
                    await self._fabric.check(channel.vpn_instance, channel.local_address, channel.tcp_port)
                block = None
            except EngineRefused as refusal:
                listener, block = None, Cause(refusal.reason, str(refusal), self._now())
            old = self.listener
            self.listener, self.block = listener, block
            if listener is not None:
                listener.set_handler(self._accepted)
            self._discard(old, keep=(listener,))

    async def aclose(self) -> None:
        """Close every listener."""
        async with self._lock:
            if self._last is not None:
                self.finish(self._last)
            if self._prepared is not None:
                self._discard(self._prepared.listener, keep=(self.listener,))
                self.heartbeat.drop(self._prepared.heartbeat)
            self.heartbeat.close()
            self._generation += 1
            self.config, listener, self.listener = None, self.listener, None
            self._discard(listener, keep=())
            await asyncio.gather(*self._old_listeners)

    @property
    def _retired(self) -> Listener | None:
        return None if self._last is None else self._last.previous_listener

    async def _acquire(self, channel: ChannelConfig) -> Listener:
        """The listener of a channel: the one in force, the one just replaced, or a new one."""
        wanted: _Socket = (channel.vpn_instance, channel.local_address, channel.tcp_port)
        if self.listener is not None and _socket_of(self.config) == wanted:
            return self.listener
        owner = self._reserved_ports().get(channel.tcp_port)
        if owner is not None:
            raise PortInUse(channel.vpn_instance, channel.local_address, channel.tcp_port, owner)
        if self._last is not None and self._retired is not None and _socket_of(self._last.previous) == wanted:
            return self._retired
        return await self._fabric.listen(channel.vpn_instance, channel.local_address, channel.tcp_port)

    async def _heartbeat_before(self, plan: Plan) -> HeartbeatHold:
        hold = plan.previous_heartbeat
        if hold is None or (hold.port is not None and hold.port.closed):
            return await self.heartbeat.take(plan.previous, lenient=True)
        return hold

    async def _reacquire(self, config: GroupConfig | None) -> tuple[Listener | None, Cause | None]:
        assert config is not None
        assert config.channel is not None
        try:
            return await self._acquire(config.channel), None
        except EngineRefused as refusal:
            return None, Cause(refusal.reason, str(refusal), self._now())

    def _switch(self, config: GroupConfig | None, listener: Listener | None, block: Cause | None) -> None:
        old_config, old_listener = self.config, self.listener
        self._generation += 1
        self.config, self.listener, self.block = config, listener, block
        if old_listener is not None and old_listener is not listener:
            old_listener.set_handler(self._refused)
        if listener is not None:
            listener.set_handler(self._accepted)
        self._switched(old_config, config)

    def _discard(self, listener: Listener | None, *, keep: tuple[Listener | None, ...]) -> None:
        if listener is None or any(listener is other for other in keep):
            return
        listener.close()
        task = asyncio.get_running_loop().create_task(listener.aclose())
        self._old_listeners.add(task)
        task.add_done_callback(self._old_listeners.discard)
