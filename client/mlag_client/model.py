"""The values that the client takes and gives: frozen, with the words of ``dfs-m-lag.yang`` and ``mlag-simulator.yang``.

Counters and gauges are plain ``int``, times are aware ``datetime``, addresses ``ipaddress`` objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, Self

__all__ = [
    "BackupRates",
    "ChannelState",
    "Difference",
    "DownReason",
    "ElectionOutcome",
    "ElectionPacket",
    "Entry",
    "EntryKind",
    "EntryPage",
    "EntryPath",
    "EntrySelector",
    "EntryStatistics",
    "EntryType",
    "Fault",
    "GroupState",
    "HeartbeatState",
    "IPAddress",
    "LearnResult",
    "Link",
    "MemberInterface",
    "PairNode",
    "PeerAnnouncement",
    "PeerLinkSource",
    "PeerLinkState",
    "Snapshot",
    "TableState",
]

IPAddress = IPv4Address | IPv6Address


class EntryType(StrEnum):
    """``dfs-m-lag:entry-type``."""

    ARP = "arp"
    ND = "nd"


class EntryKind(StrEnum):
    """``mlag-simulator:entry-kind``."""

    DYNAMIC = "dynamic"
    STATIC = "static"
    INTERFACE = "interface"


class EntryPath(StrEnum):
    """The way that entries take now: ``sync-channel/entry-path``."""

    CHANNEL = "channel"
    PEER_LINK = "peer-link"
    NONE = "none"


class Link(StrEnum):
    """A link of the simulated device that can be broken."""

    CHANNEL = "channel"
    PEER_LINK = "peer-link"
    HEARTBEAT = "heartbeat"


class Fault(StrEnum):
    """``mlag-simulator:fault``."""

    NONE = "none"
    DROP = "drop"
    DELAY = "delay"
    CUT = "cut"
    CORRUPT = "corrupt"


class ElectionPacket(StrEnum):
    """``dfs-m-lag:election-packet``."""

    ARP = "arp"
    ND = "nd"
    IGMP = "igmp"
    DHCP = "dhcp"
    MLD = "mld"


class ElectionOutcome(StrEnum):
    """``receive-election-packet/outcome``: the master member now, or why the packet had no effect."""

    MASTER = "master"
    TYPE_NOT_CONFIGURED = "type-not-configured"
    DUAL_ACTIVE = "dual-active"
    INTERFACE_DOWN = "interface-down"


class DownReason(StrEnum):
    """``dfs-m-lag:channel-down-reason``.  ``ChannelState.down_reason`` may hold a newer word that is not here."""

    UNCONFIGURED = "unconfigured"
    PEER_UNCONFIGURED = "peer-unconfigured"
    CONNECTING = "connecting"
    PEER_UNREACHABLE = "peer-unreachable"
    PORT_MISMATCH = "port-mismatch"
    ADDRESS_MISMATCH = "address-mismatch"
    ADDRESS_FAMILY_MISMATCH = "address-family-mismatch"
    VPN_INSTANCE_UNAVAILABLE = "vpn-instance-unavailable"
    LOCAL_ADDRESS_UNAVAILABLE = "local-address-unavailable"
    PORT_IN_USE = "port-in-use"
    CONNECT_FAILED = "connect-failed"
    AUTHENTICATION_FAILED = "authentication-failed"
    NO_AUTHENTICATION = "no-authentication"
    GROUP_MISMATCH = "group-mismatch"
    VERSION_MISMATCH = "version-mismatch"
    PROTOCOL_ERROR = "protocol-error"
    HOLD_TIMER_EXPIRED = "hold-timer-expired"
    PEER_CLOSED = "peer-closed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One parameter of ``undo peer-link source`` that is not what is configured; ``None``: absent on that side."""

    parameter: str
    configured: str | None
    given: str | None

    def __str__(self) -> str:
        return f"{self.parameter} is {self.configured or 'not set'}, not {self.given or 'absent'}"


@dataclass(frozen=True, slots=True)
class PeerLinkSource:
    """The parameters of ``peer-link source { ip | ipv6 } LOCAL [ vpn-instance V ] peer PEER tcp-port N``.

    The address family decides on the form.  Only what cannot be written as a request is refused here (two families,
    ValueError); every rule of the command page is the agent's to check, in its words.  ``vpn_instance`` is
    case-sensitive, ``None`` is the public network.
    """

    local: IPAddress
    peer: IPAddress
    tcp_port: int
    vpn_instance: str | None = None

    def __post_init__(self) -> None:
        if self.local.version != self.peer.version:
            raise ValueError(f"{self.local} and {self.peer} are of different address families")

    @classmethod
    def of(cls, local: str | IPAddress, peer: str | IPAddress, tcp_port: int, vpn_instance: str | None = None) -> Self:
        """From texts; raises ValueError for what is no address."""
        return cls(ip_address(local), ip_address(peer), tcp_port, vpn_instance)

    @property
    def form(self) -> Literal["ipv4", "ipv6"]:
        """The container of ``dfs-m-lag:peer-link-source`` that holds it."""
        return "ipv4" if self.local.version == 4 else "ipv6"

    def mirrored(self) -> Self:
        """What the peer device has to be given."""
        return type(self)(self.peer, self.local, self.tcp_port, self.vpn_instance)

    def differences(self, given: PeerLinkSource) -> tuple[Difference, ...]:
        """What ``given`` names otherwise than this, the configured one: addresses as addresses, the name as it is."""
        pairs = (
            ("local address", str(self.local), str(given.local)),
            ("vpn-instance", self.vpn_instance, given.vpn_instance),
            ("peer", str(self.peer), str(given.peer)),
            ("tcp-port", str(self.tcp_port), str(given.tcp_port)),
        )
        return tuple(Difference(name, ours, theirs) for name, ours, theirs in pairs if ours != theirs)

    def __str__(self) -> str:
        word = "ip" if self.form == "ipv4" else "ipv6"
        vpn = f" vpn-instance {self.vpn_instance}" if self.vpn_instance is not None else ""
        return f"peer-link source {word} {self.local}{vpn} peer {self.peer} tcp-port {self.tcp_port}"


@dataclass(frozen=True, slots=True)
class EntryStatistics:
    """Counters of one type of entry; ``pending`` entries and withdrawals wait to be sent."""

    type: EntryType
    sent: int
    received: int
    withdrawn: int
    withdrawals_received: int
    dropped_capacity: int
    throttled: int
    pending: int


@dataclass(frozen=True, slots=True)
class ChannelState:
    """The TCP channel: ``down_reason`` is ``None`` when up, ``detail`` is one sentence of the agent or empty."""

    up: bool
    down_reason: DownReason | str | None
    detail: str
    role: str | None
    local_address: IPAddress | None
    peer_address: IPAddress | None
    tcp_port: int | None
    vpn_instance: str | None
    entry_path: EntryPath | None
    last_change: datetime | None
    established: int
    connect_attempts: int
    authentication_failures: int
    protocol_errors: int
    statistics: tuple[EntryStatistics, ...]

    @property
    def pending(self) -> int:
        """Entries and withdrawals of all types that wait to be sent."""
        return sum(row.pending for row in self.statistics)


@dataclass(frozen=True, slots=True)
class PeerLinkState:
    """The link that carries the DFS hello."""

    up: bool
    last_change: datetime | None
    hellos_sent: int
    hellos_received: int


@dataclass(frozen=True, slots=True)
class PeerAnnouncement:
    """What the peer's last valid hello announced."""

    device: str | None
    model: str | None
    group_id: int | None
    local_address: IPAddress | None
    peer_address: IPAddress | None
    tcp_port: int | None


@dataclass(frozen=True, slots=True)
class PairNode:
    """A device of the pair as ``display dfs-group 1 m-lag`` has it; ``role`` is ``master``, ``backup`` or ``None``.

    ``causation`` is ``none`` when all is well, and known of this device alone; ``detail`` is a sentence about it.
    """

    node_id: int
    is_local: bool
    group_id: int | None
    priority: int | None
    dual_active_address: IPAddress | None
    vpn_instance: str | None
    role: str | None
    causation: str | None
    detail: str
    system_id: str | None
    name: str | None
    version: str | None
    device_type: str | None


@dataclass(frozen=True, slots=True)
class HeartbeatState:
    """The heartbeat of dual-active detection; ``roles`` by ``local`` and, while it arrives, ``peer``."""

    ok: bool
    detail: str
    last_change: datetime | None
    sent: int
    received: int
    roles: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class MemberInterface:
    """A member interface of one device (``node_id``), whose name is known of this device alone.

    ``active``: traffic is reached over it; ``other_active``: over the other device's interface of this M-LAG.
    ``recovery_countdown``: seconds until it comes up again, ``None`` when no delay runs.
    """

    node_id: int
    m_lag_id: int
    interface: str | None
    up: bool
    active: bool
    other_active: bool
    role: str | None
    error_down: bool
    recovery_countdown: int | None


@dataclass(frozen=True, slots=True)
class GroupState:
    """``dfs-group/state``; ``peer`` is ``None`` while no hello arrives, ``heartbeat`` without a source of it."""

    group_id: int
    peer_link: PeerLinkState
    peer: PeerAnnouncement | None
    channel: ChannelState
    paired: bool
    nodes: tuple[PairNode, ...]
    heartbeat: HeartbeatState | None
    members: tuple[MemberInterface, ...]

    @property
    def local(self) -> PairNode | None:
        """This device; ``None`` while the agent does not say."""
        return next((node for node in self.nodes if node.is_local), None)

    @property
    def role(self) -> str | None:
        """``master`` or ``backup``; ``None`` when this device has none."""
        return None if self.local is None else self.local.role

    def member(self, m_lag_id: int) -> MemberInterface | None:
        """This device's interface of that M-LAG."""
        here = 1 if self.local is None else self.local.node_id
        return next((m for m in self.members if (m.node_id, m.m_lag_id) == (here, m_lag_id)), None)


@dataclass(frozen=True, slots=True)
class TableState:
    """One table of the simulated device, in entries; ``digest`` is equal on both devices when they have converged."""

    type: EntryType
    capacity: int
    entries: int
    local_dynamic: int
    local_static: int
    local_interface: int
    from_peer: int
    digest: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that ``sync show`` shows, read with one ``<get>``; ``state`` is ``None`` without the DFS group."""

    source: PeerLinkSource | None
    authenticated: bool
    state: GroupState | None
    tables: tuple[TableState, ...]
    faults: tuple[tuple[Link, Fault], ...]


@dataclass(frozen=True, slots=True)
class BackupRates:
    """Rates in entries per second; ``None``: not configured, the device's default of 2000 holds."""

    arp: int | None
    nd: int | None


@dataclass(frozen=True, slots=True)
class LearnResult:
    """``refused`` entries were not learned because the table was full."""

    learned: int
    refused: int


@dataclass(frozen=True, slots=True)
class EntrySelector:
    """Selects entries; what is ``None`` matches all.  ``count`` addresses from ``start_address`` on."""

    type: EntryType | None = None
    start_address: IPAddress | None = None
    count: int | None = None
    interface: str | None = None
    vlan: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; ``interface`` is ``None`` in an entry of the peer, ``origin`` is ``local`` or ``peer``."""

    address: IPAddress
    vlan: int
    mac: str
    interface: str | None
    kind: EntryKind
    origin: str


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Entries ``offset`` to ``offset + len(entries)`` of the ``total`` that match, ascending by address."""

    total: int
    offset: int
    entries: tuple[Entry, ...]
