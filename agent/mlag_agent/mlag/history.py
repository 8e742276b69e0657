"""Faults of the pair, as 'display m-lag troubleshooting { current | history }' lists them: made of the engine's events.

Current are those that last; the history has every one since it was last cleared, at most 100 (DOMAIN 3.1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mlag_agent.mlag.config import DownReason
from mlag_agent.mlag.events import (
    AuthenticationFailure,
    ChannelDown,
    ChannelUp,
    ConsistencyMismatch,
    ConsistencyResumed,
    DualActiveDetected,
    EngineEvent,
    EntryLimit,
    HeartbeatLost,
    HeartbeatResumed,
    MemberPortDown,
    PairingFailed,
    PairingResumed,
    PeerLinkDown,
    PeerLinkUp,
)

__all__ = ["MAX_FAULTS", "FaultHistory", "FaultRecord"]

MAX_FAULTS: Final = 100
"""The device lists no more (DOMAIN 3.1); of each kind the oldest go first."""


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """One fault; ``seq`` rises with each since the start and is the same in both lists, ``at`` is aware UTC."""

    seq: int
    at: datetime
    description: str


class FaultHistory:
    """Takes the engine's events. ``works`` says whether a port is up again: no event tells it."""

    def __init__(self, works: Callable[[str], bool]) -> None:
        self._works = works
        self._seq = 0
        self._history: deque[FaultRecord] = deque(maxlen=MAX_FAULTS)
        self._lasting: dict[str, FaultRecord] = {}
        self._ports: dict[str, FaultRecord] = {}

    def record(self, event: EngineEvent) -> None:
        """An event of the engine: a fault begins or ends, or it is none."""
        match event:
            case PeerLinkDown(detail=detail):
                self._begin("peer-link", event.at, f"The peer-link is down: {detail}")
            case PeerLinkUp():
                self._end("peer-link")
            case ChannelDown(reason=DownReason.UNCONFIGURED) | ChannelUp():
                self._end("channel")
            case ChannelDown(reason=DownReason.CONNECTING, was_up=False):
                return  # no fault by itself, and no end of the one before
            case ChannelDown(reason=reason, detail=detail):
                self._begin("channel", event.at, f"The synchronisation channel is down, {reason}: {detail}")
            case PairingFailed(causation=causation, detail=detail):
                self._begin("pairing", event.at, f"DFS pairing failed, {causation}: {detail}")
            case PairingResumed():
                self._end("pairing")
                self._end("dual-active")
            case HeartbeatLost(detail=detail):
                self._begin("heartbeat", event.at, f"The heartbeat is lost: {detail}")
            case HeartbeatResumed():
                self._end("heartbeat")
            case ConsistencyMismatch(kind=kind, scope=scope, item=item, local=local, peer=peer):
                words = f"{item} of {scope} is {local or 'absent'} here and {peer or 'absent'} on the peer"
                self._begin(f"consistency {kind}", event.at, f"Configurations differ, type {kind}: {words}")
            case ConsistencyResumed(kind=kind):
                self._end(f"consistency {kind}")
            case _:
                self._record_moment(event)

    def _record_moment(self, event: EngineEvent) -> None:
        """Faults whose end no event tells."""
        match event:
            case DualActiveDetected(gives_way=side):
                words = f"Both devices are active; the side whose ports go error-down: {side}"
                self._begin("dual-active", event.at, words)
            case MemberPortDown(name=name, m_lag_id=number):
                self._settle()
                self._ports[name] = self._add(event.at, f"{name}, the member interface of M-LAG {number}, is down")
                _limit(self._ports)
            case EntryLimit(type=kind, capacity=capacity):
                self._add(event.at, f"The {kind.upper()} table is full with {capacity} entries")
            case AuthenticationFailure(link=link, detail=detail):
                self._add(event.at, f"A packet of the {link} failed authentication: {detail}")
            case _:
                return  # a change of role is none, and what is new is none until it is said to be one

    def current(self) -> tuple[FaultRecord, ...]:
        """Faults that last, the newest first."""
        self._settle()
        lasting = [*self._lasting.values(), *self._ports.values()]
        return tuple(sorted(lasting, key=lambda fault: fault.seq, reverse=True))[:MAX_FAULTS]

    def history(self) -> tuple[FaultRecord, ...]:
        """Faults since the history was cleared, the newest first."""
        return tuple(reversed(self._history))

    def clear(self) -> None:
        """``reset-troubleshooting-history``: faults that last stay current."""
        self._history.clear()

    def _begin(self, what: str, at: datetime, description: str) -> None:
        self._lasting[what] = self._add(at, description)

    def _end(self, what: str) -> None:
        self._lasting.pop(what, None)

    def _add(self, at: datetime, description: str) -> FaultRecord:
        self._seq += 1
        fault = FaultRecord(self._seq, at, description)
        self._history.append(fault)
        return fault

    def _settle(self) -> None:
        self._ports = {name: fault for name, fault in self._ports.items() if not self._works(name)}


def _limit(faults: dict[str, FaultRecord]) -> None:
    while len(faults) > MAX_FAULTS:
        del faults[next(iter(faults))]
