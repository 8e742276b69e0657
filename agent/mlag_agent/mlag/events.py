"""Events that the engine gives out: frozen, without secrets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mlag_agent.mlag.config import DownReason, EntryType, IPAddress, Link
from mlag_agent.mlag.state import Causation, GivesWay, PairRole, PeerState
from mlag_agent.mlag.statistics import PacketType

__all__ = [
    "AuthenticationFailure",
    "ChannelDown",
    "ChannelUp",
    "ConsistencyMismatch",
    "ConsistencyResumed",
    "DualActiveDetected",
    "EngineEvent",
    "EntryLimit",
    "HeartbeatLost",
    "HeartbeatResumed",
    "MemberPortDown",
    "PairingFailed",
    "PairingResumed",
    "PeerLinkDown",
    "PeerLinkUp",
    "RoleChanged",
]


@dataclass(frozen=True, slots=True)
class ChannelUp:
    """The channel is established and carries entries."""

    at: datetime
    peer: PeerState


@dataclass(frozen=True, slots=True)
class ChannelDown:
    """The channel went down, or it stays down for another reason than before (``was_up`` false)."""

    at: datetime
    reason: DownReason
    detail: str
    was_up: bool


@dataclass(frozen=True, slots=True)
class PeerLinkUp:
    """Valid hellos of the peer arrive."""

    at: datetime
    peer: PeerState


@dataclass(frozen=True, slots=True)
class PeerLinkDown:
    """No valid hello arrived for the hold time, or hellos are refused."""

    at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class EntryLimit:
    """A table was full and refused entries, of the first message ``dropped``; given once until there is room again.

    ``capacity`` in entries.
    """

    at: datetime
    type: EntryType
    capacity: int
    dropped: int


@dataclass(frozen=True, slots=True)
class AuthenticationFailure:
    """A packet was dropped for its digest; given once for each run of failures on a link.

    ``packet`` is the type of the last of them, as it says itself.
    """

    at: datetime
    link: Link
    detail: str
    packet: PacketType | None


@dataclass(frozen=True, slots=True)
class PairingFailed:
    """The devices are no pair, or are none for another reason than before."""

    at: datetime
    causation: Causation
    detail: str


@dataclass(frozen=True, slots=True)
class PairingResumed:
    """The devices are a pair; ``role`` is this device's."""

    at: datetime
    role: PairRole


@dataclass(frozen=True, slots=True)
class RoleChanged:
    """This device has another role."""

    at: datetime
    old: PairRole
    new: PairRole


@dataclass(frozen=True, slots=True)
class HeartbeatLost:
    """No heartbeat has arrived for the time-out, or none can any more."""

    at: datetime
    local_address: IPAddress | None
    peer_address: IPAddress | None
    detail: str


@dataclass(frozen=True, slots=True)
class HeartbeatResumed:
    """Heartbeats of the peer arrive."""

    at: datetime
    local_address: IPAddress | None
    peer_address: IPAddress | None


@dataclass(frozen=True, slots=True)
class DualActiveDetected:
    """The peer-link has failed and both devices live; ``gives_way`` says whose ports go error-down."""

    at: datetime
    gives_way: GivesWay


@dataclass(frozen=True, slots=True)
class MemberPortDown:
    """A member interface of this device went down; ``remote_mac``: the peer's, None while there is none."""

    at: datetime
    m_lag_id: int
    name: str
    local_mac: bytes
    remote_mac: bytes | None


@dataclass(frozen=True, slots=True)
class ConsistencyMismatch:
    """An item is not consistent any more; ``kind`` is its type."""

    at: datetime
    kind: int
    scope: str
    item: str
    local: str | None
    peer: str | None


@dataclass(frozen=True, slots=True)
class ConsistencyResumed:
    """No item of a type is inconsistent any more."""

    at: datetime
    kind: int


EngineEvent = (
    ChannelUp
    | ChannelDown
    | PeerLinkUp
    | PeerLinkDown
    | EntryLimit
    | AuthenticationFailure
    | PairingFailed
    | PairingResumed
    | RoleChanged
    | HeartbeatLost
    | HeartbeatResumed
    | DualActiveDetected
    | MemberPortDown
    | ConsistencyMismatch
    | ConsistencyResumed
)
