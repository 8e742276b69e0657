"""A pair of engines that is ready to be split, and interfaces of each kind."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from mlag_agent.mlag import (
    DetectionConfig,
    DualActiveConfig,
    Engine,
    GroupConfig,
    HeartbeatConfig,
    PeerLinkKind,
    PortConfig,
    PortKind,
    Unpaired,
)

if TYPE_CHECKING:
    from tests.mlag.conftest import Lab

__all__ = [
    "ALL",
    "MEMBER",
    "OTHER_MEMBER",
    "PEER_LINK",
    "PHYSICAL",
    "RESERVED",
    "SETTINGS",
    "SUSPENDED",
    "UPLINK",
    "VLANIF",
    "group",
    "master_and_backup",
]

PHYSICAL = PortConfig("10GE1/0/1")
MEMBER = PortConfig("Eth-Trunk10", m_lag_id=10)
OTHER_MEMBER = PortConfig("Eth-Trunk5", m_lag_id=5)
PEER_LINK = PortConfig("Eth-Trunk0", peer_link=True)
UPLINK = PortConfig("10GE1/0/9", uplink=True)
RESERVED = PortConfig("10GE1/0/2", unpaired=Unpaired.RESERVED)
SUSPENDED = PortConfig("10GE1/0/3", unpaired=Unpaired.SUSPEND)
MANAGEMENT = PortConfig("MEth0/0/0", PortKind.MANAGEMENT)
VLANIF = PortConfig("Vlanif10", PortKind.LOGICAL)
LOOPBACK = PortConfig("LoopBack0", PortKind.LOGICAL, unpaired=Unpaired.RESERVED)
TUNNEL = PortConfig("Tunnel1", PortKind.OTHER)
ALL = (PHYSICAL, MEMBER, PEER_LINK, UPLINK, RESERVED, SUSPENDED, MANAGEMENT, VLANIF, LOOPBACK, TUNNEL)


SETTINGS = DualActiveConfig(delay=0.1, hold=0.1, up_delay=0.3, interval=0.1)


def group(lab: Lab, side: int, settings: DualActiveConfig = SETTINGS, *ports: PortConfig) -> GroupConfig:
    ours, theirs = (ip_address(f"192.0.2.{number}") for number in (side + 1, 2 - side))
    return replace(
        lab.group(None),
        priority=150 - 50 * side,
        peer_link=PeerLinkKind.PHYSICAL,
        detection=DetectionConfig(4, ours),
        heartbeat=HeartbeatConfig(theirs, timeout=0.6),
        dual_active=settings,
        ports=(MEMBER, OTHER_MEMBER, PEER_LINK, *ports),
    )


async def master_and_backup(
    lab: Lab, settings: DualActiveConfig = SETTINGS, *ports: PortConfig
) -> tuple[Engine, Engine]:
    a, b = await lab.pair()
    for side, engine in enumerate((a, b)):
        await lab.apply(engine, group(lab, side, settings, *ports))
    for engine in (a, b):
        await engine.wait_for(
            lambda s: s.pairing is not None and s.pairing.paired and s.heartbeat is not None and s.heartbeat.ok,
            lab.limit,
        )
    return a, b
