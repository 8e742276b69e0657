"""The engine's parameters and the words it shares with the YANG modules, as frozen values.

The string values of the enumerations are those of ``dfs-m-lag.yang`` and ``mlag-simulator.yang``; the engine knows
nothing else of YANG.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

__all__ = [
    "DEFAULT_CAPACITY",
    "DEFAULT_HEARTBEAT_TIMEOUT",
    "DEFAULT_PRIORITY",
    "DEFAULT_RATE",
    "MAX_NAME_BYTES",
    "ChannelConfig",
    "CheckMode",
    "ConsistencyConfig",
    "ConsistencyValue",
    "DetectionConfig",
    "DeviceIdentity",
    "DownReason",
    "DualActiveConfig",
    "ElectionPacket",
    "EngineTimers",
    "EntryKind",
    "EntryOrigin",
    "EntryPath",
    "EntryType",
    "Fault",
    "GroupConfig",
    "HeartbeatConfig",
    "IPAddress",
    "Link",
    "PeerLinkKind",
    "PortConfig",
    "PortKind",
    "Role",
    "TableCapacity",
    "Unpaired",
]

IPAddress = IPv4Address | IPv6Address

DEFAULT_RATE = 2000
"""Entries per second; default and maximum of 'arp remote-backup-rate limit' and 'ipv6 nd remote-backup-rate limit'."""

DEFAULT_PRIORITY = 100
"""Of 'priority'."""

DEFAULT_HEARTBEAT_TIMEOUT = 45.0
"""Seconds; of 'dual-active detection source ... timeout'."""

DEFAULT_CAPACITY = 16384
"""Dynamic entries of one table: a usual size of the software tables of this class of switch, and a setting."""

MAX_NAME_BYTES = 255
"""Device and model names travel with a length of one byte."""


class EntryType(StrEnum):
    """``dfs-m-lag:entry-type``."""

    ARP = "arp"
    ND = "nd"

    @property
    def family(self) -> Literal[4, 6]:
        """IP version of the addresses in this table."""
        return 4 if self is EntryType.ARP else 6


class EntryKind(StrEnum):
    """``mlag-simulator:entry-kind``: how an entry came into the table."""

    DYNAMIC = "dynamic"
    STATIC = "static"
    INTERFACE = "interface"


class EntryOrigin(StrEnum):
    """``mlag-simulator:entry-origin``: which device an entry came from."""

    LOCAL = "local"
    PEER = "peer"


class DownReason(StrEnum):
    """``dfs-m-lag:channel-down-reason``."""

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


class Role(StrEnum):
    """Which side of the TCP connection a device takes."""

    CONNECTS = "connects"
    LISTENS = "listens"


class EntryPath(StrEnum):
    """The way that ARP and ND entries take now."""

    CHANNEL = "channel"
    PEER_LINK = "peer-link"
    NONE = "none"


class Link(StrEnum):
    """The wires between the devices, as ``mlag-simulator:set-fault`` names them."""

    CHANNEL = "channel"
    PEER_LINK = "peer-link"
    HEARTBEAT = "heartbeat"


class PeerLinkKind(StrEnum):
    """'peer-link 1 [ virtual-link ]': what the interface that is configured as the peer-link is."""

    PHYSICAL = "physical"
    VIRTUAL = "virtual"


class Fault(StrEnum):
    """``mlag-simulator:fault``; acts on what this device sends, ``cut`` on both directions."""

    NONE = "none"
    DROP = "drop"
    DELAY = "delay"
    CUT = "cut"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """The form 'peer-link source ip' (family 4) or 'peer-link source ipv6' (family 6) of the command page.

    Raises ``ValueError`` when the addresses are not of ``family``, are equal, or the port is outside 1..65535; the
    finer address rules are YANG ``must`` statements and were checked before the engine is asked.
    """

    family: Literal[4, 6]
    local_address: IPAddress
    peer_address: IPAddress
    vpn_instance: str | None
    tcp_port: int

    def __post_init__(self) -> None:
        if self.local_address.version != self.family or self.peer_address.version != self.family:
            raise ValueError(f"both addresses of the channel must be IPv{self.family} addresses")
        if self.local_address == self.peer_address:
            raise ValueError("the local and the peer address of the channel must differ")
        if not 1 <= self.tcp_port <= 65535:
            raise ValueError(f"tcp-port {self.tcp_port} is outside 1..65535")
        if self.vpn_instance is not None and not 1 <= len(self.vpn_instance.encode()) <= MAX_NAME_BYTES:
            raise ValueError(f"a VPN instance name has 1 to {MAX_NAME_BYTES} bytes")

    @property
    def role(self) -> Role:
        """The device with the numerically higher address connects, the other one listens.

        BGP settles its collisions in favour of the higher identifier (RFC 4271 section 6.8); here the same comparison
        is made beforehand, so that as a rule there is no collision.
        """
        return Role.CONNECTS if int(self.local_address) > int(self.peer_address) else Role.LISTENS


@dataclass(frozen=True, slots=True)
class DetectionConfig:
    """'dual-active detection source ip(v6)': the addresses of the heartbeat, of IP version ``family``."""

    family: Literal[4, 6]
    local_address: IPAddress
    vpn_instance: str | None = None

    def __post_init__(self) -> None:
        if self.local_address.version != self.family:
            raise ValueError(f"the source of dual-active detection must be an IPv{self.family} address")


@dataclass(frozen=True, slots=True)
class HeartbeatConfig:
    """What goes with the source of dual-active detection. ``peer_address`` None: no heartbeats are sent.

    ``udp_port`` None: the lowest idle one of 1025..2048. ``timeout``: seconds without a heartbeat after which the peer
    counts as lost.
    """

    peer_address: IPAddress | None = None
    udp_port: int | None = None
    timeout: float = DEFAULT_HEARTBEAT_TIMEOUT

    def __post_init__(self) -> None:
        if self.udp_port is not None and not 1025 <= self.udp_port <= 2048:
            raise ValueError(f"udp-port {self.udp_port} is outside 1025..2048")
        if self.timeout <= 0:
            raise ValueError(f"a time-out of {self.timeout} s is none")


class ElectionPacket(StrEnum):
    """'m-lag active-standby election': packets of the server that make their receiver the master member."""

    ARP = "arp"
    ND = "nd"
    IGMP = "igmp"
    DHCP = "dhcp"
    MLD = "mld"


class Unpaired(StrEnum):
    """'m-lag unpaired-port': what becomes of a port without a counterpart on the peer."""

    RESERVED = "reserved"
    SUSPEND = "suspend"


class PortKind(StrEnum):
    """What an interface is to an error-down: an Eth-Trunk counts as the ports that it is made of."""

    PHYSICAL = "physical"
    LOGICAL = "logical"
    MANAGEMENT = "management"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class PortConfig:
    """An interface's part in M-LAG; ``m_lag_id`` and ``active_standby`` of a member interface.

    ``enabled``: not shut down by configuration.
    """

    name: str
    kind: PortKind = PortKind.PHYSICAL
    m_lag_id: int | None = None
    peer_link: bool = False
    uplink: bool = False
    unpaired: Unpaired | None = None
    enabled: bool = True
    active_standby: bool = False


@dataclass(frozen=True, slots=True)
class DualActiveConfig:
    """'dual-active detection delay, hold-time, error-down' and 'm-lag up-delay'; all times in seconds.

    ``quick_time``: from the first of the three quick heartbeats until the answer is known.
    """

    delay: float = 3.0
    hold: float = 3.0
    error_down_disabled: bool = False
    error_down_delay: float = 0.0
    routing_switch: bool = False
    up_delay: float = 240.0
    interval: float = 0.0
    quick_time: float = 0.4


class CheckMode(StrEnum):
    """'consistency-check { enable mode { loose | strict } | disable }'."""

    DISABLE = "disable"
    LOOSE = "loose"
    STRICT = "strict"


@dataclass(frozen=True, slots=True, order=True)
class ConsistencyValue:
    """One compared value: its scope and item as ``mlag.consistency`` has them, each text at most 255 bytes."""

    scope: str
    item: str
    value: str


@dataclass(frozen=True, slots=True)
class ConsistencyConfig:
    """The check; ``whitelist``: module and service-type of what is not compared."""

    mode: CheckMode = CheckMode.DISABLE
    whitelist: frozenset[tuple[str, str]] = frozenset()
    values: tuple[ConsistencyValue, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupConfig:
    """The DFS group as the engine sees it.

    ``password``: clear text, ``None`` without authentication; never in ``repr``. ``arp_rate`` and ``nd_rate`` are in
    entries per second; ``None`` is unlimited (benches; YANG cannot say it).  ``peer_link``: None when no interface is
    configured as the peer-link, which the simulated device has all the same. ``lacp_switch_delay``: seconds from the
    end of the pair until a Backup takes its own LACP system identifier, None never.
    """

    group_id: int
    password: str | None = field(default=None, repr=False)
    channel: ChannelConfig | None = None
    arp_rate: int | None = DEFAULT_RATE
    nd_rate: int | None = DEFAULT_RATE
    priority: int = DEFAULT_PRIORITY
    peer_link: PeerLinkKind | None = None
    detection: DetectionConfig | None = None
    heartbeat: HeartbeatConfig = HeartbeatConfig()
    dual_active: DualActiveConfig = DualActiveConfig()
    ports: tuple[PortConfig, ...] = ()
    lacp_switch_delay: float | None = None
    consistency: ConsistencyConfig = ConsistencyConfig()
    election: frozenset[ElectionPacket] = frozenset()

    def __post_init__(self) -> None:
        peer = self.heartbeat.peer_address
        if peer is not None and (self.detection is None or peer.version != self.detection.family):
            raise ValueError("the peer address of the heartbeat needs a source of its address family")
        if not 0 <= self.group_id <= 255:
            raise ValueError(f"group id {self.group_id} is outside 0..255")
        if not 1 <= self.priority <= 254:
            raise ValueError(f"priority {self.priority} is outside 1..254")
        for name, rate in (("arp_rate", self.arp_rate), ("nd_rate", self.nd_rate)):
            if rate is not None and rate < 1:
                raise ValueError(f"{name} {rate} is below 1 entry per second")

    @property
    def peer_link_name(self) -> str | None:
        """The interface that is configured as the peer-link."""
        return next((port.name for port in self.ports if port.peer_link), None)

    def rate(self, entry_type: EntryType) -> int | None:
        """Entries per second of one table."""
        return self.arp_rate if entry_type is EntryType.ARP else self.nd_rate


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """What a device says of itself in its hello.

    ``system_mac`` is six bytes; ``family``: the class of device and chips, of which both of a pair are.
    """

    name: str
    model: str = "mlag-agent"
    system_mac: bytes = b"\x02\x00\x00\x00\x00\x01"
    family: str = "mlag-agent"
    version: str = "V300R023C00"

    def __post_init__(self) -> None:
        if len(self.system_mac) != 6:
            raise ValueError("a system MAC has six bytes")
        texts = (("name", self.name), ("model", self.model), ("family", self.family), ("version", self.version))
        for name, text in texts:
            if not 1 <= len(text.encode()) <= MAX_NAME_BYTES:
                raise ValueError(f"a device {name} has 1 to {MAX_NAME_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class TableCapacity:
    """Sizes of the two tables in entries; ``configured`` bounds static and interface entries, per table."""

    arp: int = DEFAULT_CAPACITY
    nd: int = DEFAULT_CAPACITY
    configured: int = DEFAULT_CAPACITY

    def dynamic(self, entry_type: EntryType) -> int:
        """Dynamic entries that one table can hold; entries of the peer count as dynamic."""
        return self.arp if entry_type is EntryType.ARP else self.nd


@dataclass(frozen=True, slots=True)
class EngineTimers:
    """All intervals in seconds. None is documented for the device; these are the project's own.

    The DFS hello goes out each second like the heartbeat of DOMAIN 1.1, and three lost ones are taken as a dead link,
    the usual ratio of keepalive to hold time (RFC 4271 section 10). ``plan_grace`` is how long a replaced listener
    stays bound so that ``abort`` after ``commit`` gets its port back for certain.
    """

    hello_interval: float = 1.0
    hello_hold: float = 3.0
    heartbeat_interval: float = 1.0
    keepalive: float = 3.0
    session_hold: float = 9.0
    open_timeout: float = 5.0
    connect_timeout: float = 3.0
    retry_first: float = 0.1
    retry_cap: float = 5.0
    address_check: float = 2.0
    plan_grace: float = 5.0
    close_timeout: float = 1.0

    def __post_init__(self) -> None:
        if not self.hello_interval < self.hello_hold:
            raise ValueError("hello_interval must be below hello_hold")
        if not self.keepalive < self.session_hold:
            raise ValueError("keepalive must be below session_hold")
