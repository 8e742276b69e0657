"""The ARP/ND synchronisation engine of a DFS group: no NETCONF, no YANG, its own wire protocol between two devices."""

from __future__ import annotations

from mlag_agent.mlag.apply import Plan
from mlag_agent.mlag.config import (
    ChannelConfig,
    DetectionConfig,
    DeviceIdentity,
    DownReason,
    DualActiveConfig,
    ElectionPacket,
    EngineTimers,
    EntryKind,
    EntryOrigin,
    EntryPath,
    EntryType,
    Fault,
    GroupConfig,
    HeartbeatConfig,
    Link,
    PeerLinkKind,
    PortConfig,
    PortKind,
    Role,
    TableCapacity,
    Unpaired,
)
from mlag_agent.mlag.device import Selector
from mlag_agent.mlag.engine import Engine
from mlag_agent.mlag.errors import (
    AddressUnavailable,
    EngineClosed,
    EngineRefused,
    FabricSettingsError,
    PlanError,
    PortInUse,
    UdpPortInUse,
    VpnInstanceUnavailable,
)
from mlag_agent.mlag.fabric_host import HostFabric, PeerLinkAddresses
from mlag_agent.mlag.fabric_loopback import LoopbackFabric

__all__ = [
    "AddressUnavailable",
    "ChannelConfig",
    "DetectionConfig",
    "DeviceIdentity",
    "DownReason",
    "DualActiveConfig",
    "ElectionPacket",
    "Engine",
    "EngineClosed",
    "EngineRefused",
    "EngineTimers",
    "EntryKind",
    "EntryOrigin",
    "EntryPath",
    "EntryType",
    "FabricSettingsError",
    "Fault",
    "GroupConfig",
    "HeartbeatConfig",
    "HostFabric",
    "Link",
    "LoopbackFabric",
    "PeerLinkAddresses",
    "PeerLinkKind",
    "Plan",
    "PlanError",
    "PortConfig",
    "PortInUse",
    "PortKind",
    "Role",
    "Selector",
    "TableCapacity",
    "UdpPortInUse",
    "Unpaired",
    "VpnInstanceUnavailable",
]
