"""Snapshots that the engine gives out: frozen, complete for the YANG state trees, without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mlag_agent.mlag.config import (
    CheckMode,
    DownReason,
    ElectionPacket,
    EntryKind,
    EntryOrigin,
    EntryPath,
    EntryType,
    Fault,
    IPAddress,
    Link,
    Role,
    Unpaired,
)

__all__ = [
    "Causation",
    "ChannelState",
    "ConsistencyRow",
    "ConsistencyState",
    "DualActiveState",
    "ElectionState",
    "EngineState",
    "Entry",
    "EntryPage",
    "EntryStatistics",
    "FaultState",
    "GivesWay",
    "HeartbeatEnd",
    "HeartbeatState",
    "LacpState",
    "MemberRole",
    "MemberState",
    "NodeState",
    "PairRole",
    "PairingState",
    "PeerLinkState",
    "PeerState",
    "Scope",
    "SplitPhase",
    "TableState",
    "UnpairedPort",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a table as ``list-entries`` shows it; ``mac`` as six pairs of hexadecimal digits with colons."""

    address: IPAddress
    vlan: int
    mac: str
    interface: str | None
    kind: EntryKind
    origin: EntryOrigin


@dataclass(frozen=True, slots=True)
class EntryPage:
    """``total`` entries match; ``entries`` are those of the page asked for, in ascending order of address."""

    total: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class TableState:
    """``/mlag-simulator:simulator/table``; all numbers are entries."""

    type: EntryType
    capacity: int
    entries: int
    local_dynamic: int
    local_static: int
    local_interface: int
    from_peer: int
    digest: str


@dataclass(frozen=True, slots=True)
class EntryStatistics:
    """``sync-channel/entry-statistics``; counters since the engine's start."""

    type: EntryType
    sent: int
    received: int
    withdrawn: int
    withdrawals_received: int
    dropped_capacity: int
    throttled: int
    pending: int


@dataclass(frozen=True, slots=True)
class PeerState:
    """``dfs-group/state/peer``: the peer's last valid hello."""

    device: str
    model: str
    group_id: int
    local_address: IPAddress | None
    peer_address: IPAddress | None
    tcp_port: int | None
    vpn_instance: str | None


@dataclass(frozen=True, slots=True)
class PeerLinkState:
    """``dfs-group/state/peer-link``; ``last_change`` is aware UTC, ``detail`` says why hellos are refused."""

    up: bool
    last_change: datetime
    hellos_sent: int
    hellos_received: int
    hellos_refused: int
    detail: str


@dataclass(frozen=True, slots=True)
class ChannelState:
    """``dfs-group/state/sync-channel``; ``down_reason`` is ``None`` exactly when ``up``."""

    up: bool
    down_reason: DownReason | None
    detail: str
    role: Role | None
    local_address: IPAddress | None
    peer_address: IPAddress | None
    tcp_port: int | None
    vpn_instance: str | None
    entry_path: EntryPath
    last_change: datetime
    established: int
    connect_attempts: int
    authentication_failures: int
    protocol_errors: int
    statistics: tuple[EntryStatistics, ...]


@dataclass(frozen=True, slots=True)
class FaultState:
    """The fault on one link; ``delay_ms`` in milliseconds, 0 unless the fault is ``delay``."""

    link: Link
    fault: Fault
    delay_ms: int


class PairRole(StrEnum):
    """``dfs-m-lag:pair-role``."""

    MASTER = "master"
    BACKUP = "backup"


class Causation(StrEnum):
    """``dfs-m-lag:causation``: the values of 'display dfs-group 1 m-lag'."""

    NONE = "none"
    NO_PEER_LINK = "no-peer-link"
    NO_ADDRESS = "no-address"
    SAME_MAC = "same-mac"
    TYPE_MISMATCH = "type-mismatch"
    TIMEOUT = "timeout"
    PEER_LINK_DOWN = "peer-link-down"
    DETECT = "detect"
    AUTHENTICATION_FAILED = "authentication-failed"
    VERSION_MISMATCH = "version-mismatch"
    NO_AUTHENTICATION = "no-authentication"
    DEVICE_TYPE_MISMATCH = "device-type-mismatch"
    PEER_LINK_TYPE_MISMATCH = "peer-link-type-mismatch"


@dataclass(frozen=True, slots=True)
class NodeState:
    """One device of the pair: ``dfs-group/state/nodes/node``.  ``causation`` is known of the local one only."""

    is_local: bool
    group_id: int
    priority: int
    dual_active_address: IPAddress | None
    vpn_instance: str | None
    role: PairRole
    causation: Causation | None
    system_mac: bytes
    name: str
    version: str
    model: str


@dataclass(frozen=True, slots=True)
class PairingState:
    """Whether the two devices are a pair; ``nodes``: the local one first, the peer while its hellos arrive."""

    paired: bool
    causation: Causation
    detail: str
    role: PairRole
    nodes: tuple[NodeState, ...]
    last_change: datetime


@dataclass(frozen=True, slots=True)
class HeartbeatEnd:
    """One end of the heartbeat: ``dfs-group/state/heartbeat/end``. ``role``: by the heartbeats, None without them."""

    group_id: int
    priority: int
    udp_port: int | None
    address: IPAddress | None
    vpn_instance: str | None
    system_mac: bytes
    role: PairRole | None


@dataclass(frozen=True, slots=True)
class HeartbeatState:
    """``dfs-group/state/heartbeat``; ``detail`` says why it is lost, ``peer`` is known while it is not."""

    ok: bool
    detail: str
    last_change: datetime
    local: HeartbeatEnd
    peer: HeartbeatEnd | None
    sent: int
    received: int


class MemberRole(StrEnum):
    """``m-lag/member-port-role``; ``INVALID``: the interface is down."""

    MASTER = "master"
    BACKUP = "backup"
    INVALID = "invalid"


class SplitPhase(StrEnum):
    """``dual-active/status``: how far the reaction to a failed peer-link has come."""

    NONE = "none"
    DELAY = "delay"
    QUICK = "checking"
    DUAL_ACTIVE = "dual-active"
    ALONE = "peer-lost"


class GivesWay(StrEnum):
    """``dual-active/error-down-side``."""

    NONE = "none"
    LOCAL = "local"
    PEER = "peer"


class Scope(StrEnum):
    """``dual-active/error-down-ports``: which ports of the device that gives way go error-down."""

    PHYSICAL = "physical"
    ROUTING_SWITCH = "routing-switch"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class DualActiveState:
    """``dfs-group/state/dual-active``; ``scope`` None: no ports are error-down for it."""

    phase: SplitPhase
    gives_way: GivesWay
    scope: Scope | None


@dataclass(frozen=True, slots=True)
class MemberState:
    """``dfs-group/state/m-lags/m-lag`` of this device; ``countdown`` in seconds, None when it waits for nothing.

    ``active_standby``: the mode in force. ``peer_up``, ``peer_role``: of the interface of the same M-LAG on the peer,
    None when there is no partner, or it has no such interface.
    """

    m_lag_id: int
    name: str
    up: bool
    error_down: bool
    countdown: float | None
    role: MemberRole = MemberRole.INVALID
    active_standby: bool = False
    peer_up: bool | None = None
    peer_role: MemberRole | None = None
    consistency: tuple[bool, tuple[int, ...]] | None = None
    """Whether the M-LAG is consistent, and the codes of what is not; None when nothing is compared."""

    @property
    def active(self) -> bool:
        """Whether traffic goes over it: a standby one is up and does not forward."""
        return self.up and (not self.active_standby or self.role is MemberRole.MASTER)

    @property
    def peer_active(self) -> bool | None:
        """The same of the interface on the peer."""
        if self.peer_up is None:
            return None
        return self.peer_up and (not self.active_standby or self.peer_role is MemberRole.MASTER)


@dataclass(frozen=True, slots=True)
class ElectionState:
    """``state/active-standby-election``; ``peer`` None: there is no partner."""

    local: frozenset[ElectionPacket]
    peer: frozenset[ElectionPacket] | None


@dataclass(frozen=True, slots=True)
class LacpState:
    """``m-lag/lacp`` of this device; identifiers are six bytes.

    ``remote``: the partner's identifier while it is in force in place of ``local``, else None. ``switches_in``: seconds
    until the local one is. The counters count changes, not the hellos that repeat them.
    """

    m_lag_id: int
    local: bytes
    remote: bytes | None
    priority: int
    switches_in: float | None
    sent: int
    received: int
    sent_ifm: int


@dataclass(frozen=True, slots=True)
class UnpairedPort:
    """``dfs-group/state/unpaired-port``."""

    kind: Unpaired
    name: str
    error_down: bool


@dataclass(frozen=True, slots=True)
class ConsistencyRow:
    """One compared item; ``kind`` is its type, 1 or 2; a value is None where the device has none."""

    scope: str
    item: str
    kind: int
    local: str | None
    peer: str | None
    consistent: bool


@dataclass(frozen=True, slots=True)
class ConsistencyState:
    """``dfs-group/state/consistency``; ``compared``: both devices check, and the peer has told its values.

    ``peer_mode``: None while the peer has not told; ``sent`` and ``failures`` by item, since the engine's start.
    """

    mode: CheckMode
    peer_mode: CheckMode | None
    compared: bool
    rows: tuple[ConsistencyRow, ...]
    sent: Mapping[str, int]
    failures: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class EngineState:
    """Everything at one moment. ``group_id`` is ``None`` and ``peer`` empty while no group is configured."""

    group_id: int | None
    peer_link: PeerLinkState
    peer: PeerState | None
    pairing: PairingState | None
    channel: ChannelState
    tables: tuple[TableState, ...]
    faults: tuple[FaultState, ...]
    heartbeat: HeartbeatState | None = None
    dual_active: DualActiveState | None = None
    members: tuple[MemberState, ...] = ()
    lacp: tuple[LacpState, ...] = ()
    unpaired: tuple[UnpairedPort, ...] = ()
    consistency: ConsistencyState | None = None
    election: ElectionState | None = None

    def table(self, entry_type: EntryType) -> TableState:
        """The table of one type."""
        return next(table for table in self.tables if table.type is entry_type)

    def statistics(self, entry_type: EntryType) -> EntryStatistics:
        """The counters of one type."""
        return next(entry for entry in self.channel.statistics if entry.type is entry_type)
