"""Pure views: what the engine says of itself to the peer, and how its parts become the state's dataclasses."""

from __future__ import annotations

from mlag_agent.mlag.config import ChannelConfig, DeviceIdentity, GroupConfig
from mlag_agent.mlag.messages import Announcement
from mlag_agent.mlag.state import PeerState

__all__ = ["announcement_of", "peer_state", "standing"]


def standing(config: GroupConfig | None) -> tuple[int, str | None, ChannelConfig | None] | None:
    """What sessions stand on: all but the rates."""
    return None if config is None else (config.group_id, config.password, config.channel)


def announcement_of(device: DeviceIdentity, config: GroupConfig | None, hold: float) -> Announcement | None:
    """What a hello says, without nonces; ``hold`` is the session's hold time in seconds."""
    if config is None:
        return None
    return Announcement(
        device=device.name,
        model=device.model,
        group_id=config.group_id,
        priority=config.priority,
        system_mac=device.system_mac,
        hold_ms=int(hold * 1000),
        channel=config.channel,
        family=device.family,
        version=device.version,
        peer_link=config.peer_link,
        detection=config.detection,
    )


def peer_state(peer: Announcement) -> PeerState:
    """The peer's hello as the state shows it."""
    channel = peer.channel
    return PeerState(
        device=peer.device,
        model=peer.model,
        group_id=peer.group_id,
        local_address=None if channel is None else channel.local_address,
        peer_address=None if channel is None else channel.peer_address,
        tcp_port=None if channel is None else channel.tcp_port,
        vpn_instance=None if channel is None else channel.vpn_instance,
    )
