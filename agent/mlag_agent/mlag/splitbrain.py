"""Split brain: when both devices are active, which of them gives way, with which ports, and when they come back.

Pure functions for the decisions (DOMAIN 1.1), and their course over time with time as an argument. Where the facts
leave room: docs/decisions/055-split-brain.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mlag_agent.mlag.config import DualActiveConfig, PortConfig, PortKind, Unpaired
from mlag_agent.mlag.events import DualActiveDetected
from mlag_agent.mlag.heartbeat import Beat
from mlag_agent.mlag.pairing import elect
from mlag_agent.mlag.state import DualActiveState, GivesWay, PairRole, Scope, SplitPhase

__all__ = [
    "LOGICAL_RECOVERY",
    "SplitBrain",
    "SplitFacts",
    "gives_way",
    "goes_down",
    "recovery_times",
    "scope_of",
    "uplink_up",
]

LOGICAL_RECOVERY: Final = 6.0
"""Seconds after pairing until logical interfaces come up in routing-switch mode, so that ARP can be synchronised."""


def uplink_up(ports: Iterable[PortConfig], works: Mapping[str, bool]) -> bool:
    """Whether an uplink port works; a device without one counts as if it had. ``works`` by name, else it does."""
    uplinks = [port for port in ports if port.uplink]
    return not uplinks or any(port.enabled and works.get(port.name, True) for port in uplinks)


def gives_way(mine: Beat, peer: Beat) -> GivesWay:
    """Who goes error-down: the device whose uplink ports are all down while the other has one, else the Backup.

    Of two Masters (equal priority and system MAC) nobody does. The throughput, which the device looks at in between, is
    not simulated.
    """
    if mine.uplink_up != peer.uplink_up:
        return GivesWay.PEER if mine.uplink_up else GivesWay.LOCAL
    if elect(mine, peer) is PairRole.BACKUP:
        return GivesWay.LOCAL
    return GivesWay.PEER if elect(peer, mine) is PairRole.BACKUP else GivesWay.NONE


def scope_of(config: DualActiveConfig, ports: Iterable[PortConfig]) -> Scope:
    """Which ports are affected: a suspended port decides before the routing-switch mode."""
    if any(port.unpaired is Unpaired.SUSPEND for port in ports):
        return Scope.SUSPENDED
    return Scope.ROUTING_SWITCH if config.routing_switch else Scope.PHYSICAL


def goes_down(port: PortConfig, scope: Scope) -> bool:
    """Whether a port goes error-down on the device that gives way."""
    if port.peer_link or port.kind is PortKind.MANAGEMENT:
        return False
    if port.m_lag_id is not None or port.unpaired is Unpaired.SUSPEND:
        return True
    if scope is Scope.SUSPENDED or port.unpaired is Unpaired.RESERVED:
        return False
    return port.kind is (PortKind.LOGICAL if scope is Scope.ROUTING_SWITCH else PortKind.PHYSICAL)


def recovery_times(ports: Iterable[PortConfig], config: DualActiveConfig, at: float) -> dict[str, float]:
    """When each member interface comes up after the pair has recovered: ascending M-LAG ID, the interval between."""
    members = sorted((port.m_lag_id, port.name) for port in ports if port.m_lag_id is not None)
    return {name: at + config.up_delay + number * config.interval for number, (_, name) in enumerate(members)}


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """What is known. ``paired``: the devices are a pair; ``link_up``: hellos arrive; ``mine``/``peer``: as of the last
    heartbeat, ``peer`` None when it is lost."""

    paired: bool
    link_up: bool
    mine: Beat
    peer: Beat | None
    config: DualActiveConfig
    ports: tuple[PortConfig, ...] = ()


class SplitBrain:
    """The course of a split; every time is in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.phase = SplitPhase.NONE
        self._was_paired = False
        self._was_ok = False
        self._since = 0.0
        self._due: float | None = None
        self._side = GivesWay.NONE
        self._scope: Scope | None = None
        self._down = False
        self._members_up: dict[str, float] = {}
        self._logical_up: float | None = None
        self._last: Beat | None = None

    def update(self, facts: SplitFacts | None, now: float, wall: datetime) -> tuple[bool, DualActiveDetected | None]:
        """Take the facts (None: no group); whether the quick heartbeats are due, and what has been found."""
        if facts is None:
            self._reset()
            return False, None
        self._count_down(now)
        if facts.paired:
            self._recover(facts, now)
            self._was_paired = True
            return False, None
        if facts.link_up or not self._was_paired:
            return False, None  # no pair for another reason than the peer-link: not a split
        return self._split(facts, now, wall)

    def _split(self, facts: SplitFacts, now: float, wall: datetime) -> tuple[bool, DualActiveDetected | None]:
        config = facts.config
        if self.phase is SplitPhase.NONE:
            self.phase, self._since, self._due = SplitPhase.DELAY, now, now + config.delay
            self._was_ok = facts.peer is not None
            self._last = None
        if facts.peer is not None:
            self._last = facts.peer
        if self.phase is SplitPhase.DELAY and self._is_due(now):
            self.phase, self._due = SplitPhase.QUICK, now + config.quick_time
            return True, None
        if self.phase is SplitPhase.QUICK and self._is_due(now):
            self._due = None
            held = self._was_ok and now < self._since + config.hold
            self.phase = SplitPhase.ALONE
            if facts.peer is not None or held:
                return False, self._detected(facts, now, wall)
            self._end_recovery()  # as in a double fault: nobody else forwards
        elif self.phase is SplitPhase.ALONE and facts.peer is not None:
            return False, self._detected(facts, now, wall)
        elif self.phase is SplitPhase.DUAL_ACTIVE:
            self._go_on(facts, now)
        return False, None

    def _detected(self, facts: SplitFacts, now: float, wall: datetime) -> DualActiveDetected:
        peer = facts.peer or self._last
        assert peer is not None
        self.phase = SplitPhase.DUAL_ACTIVE
        self._side = gives_way(facts.mine, peer)
        if self._side is GivesWay.LOCAL and not facts.config.error_down_disabled:
            self._due = now + facts.config.error_down_delay
            self._go_on(facts, now)
        return DualActiveDetected(wall, self._side)

    def _go_on(self, facts: SplitFacts, now: float) -> None:
        if facts.peer is None and now >= self._since + facts.config.hold:
            # Double fault: the device that went on is dead too, and this one takes over at once.
            self.phase, self._due = SplitPhase.ALONE, None
            self._side = GivesWay.NONE
            self._down = False
            self._scope = None
            self._end_recovery()
        elif self._is_due(now):
            self._due = None
            self._down = True
            self._scope = scope_of(facts.config, facts.ports)
            self._end_recovery()

    def _recover(self, facts: SplitFacts, now: float) -> None:
        self.phase, self._due, self._side = SplitPhase.NONE, None, GivesWay.NONE
        if self._down:
            self._down = False
            self._members_up = recovery_times(facts.ports, facts.config, now)
            self._logical_up = now + LOGICAL_RECOVERY if self._scope is Scope.ROUTING_SWITCH else None

    def _count_down(self, now: float) -> None:
        """Whatever the pair does meanwhile: who has waited long enough waits no more, and is no deadline."""
        self._members_up = {name: at for name, at in self._members_up.items() if at > now}
        if self._logical_up is not None and now >= self._logical_up:
            self._logical_up = None

    def _end_recovery(self) -> None:
        """Nothing waits for the up-delay any more: it comes up now, or is down for another reason."""
        self._members_up.clear()
        self._logical_up = None

    def _is_due(self, now: float) -> bool:
        return self._due is not None and now >= self._due

    def next_deadline(self) -> float | None:
        """When ``update`` has something to do next."""
        times = list(self._members_up.values())
        times += [at for at in (self._due, self._logical_up) if at is not None]
        return min(times, default=None)

    def is_down(self, port: PortConfig, now: float) -> bool:
        """Whether a port is error-down now."""
        if self._down:
            return self._scope is not None and goes_down(port, self._scope)
        if port.m_lag_id is not None:
            return now < self._members_up.get(port.name, now)
        waits = self._logical_up is not None and now < self._logical_up
        return waits and goes_down(port, Scope.ROUTING_SWITCH) and port.kind is PortKind.LOGICAL

    def countdown(self, name: str, now: float) -> float | None:
        """Seconds until a member interface comes up again; None when it does not wait for that."""
        at = self._members_up.get(name)
        return None if self._down or at is None or at <= now else at - now

    def state(self) -> DualActiveState:
        """For the snapshot."""
        return DualActiveState(self.phase, self._side, self._scope if self._down else None)
