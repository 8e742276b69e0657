"""Pure views: what the engine says of itself to the peer, and how its parts become the state's dataclasses."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from mlag_agent.mlag.config import ChannelConfig, DeviceIdentity, EntryPath, GroupConfig
from mlag_agent.mlag.link import EntryLink
from mlag_agent.mlag.messages import Announcement
from mlag_agent.mlag.reasons import Cause
from mlag_agent.mlag.state import ChannelState, EntryStatistics, PeerState

__all__ = ["COUNTER32", "announcement_of", "channel_state", "peer_state", "standing"]

COUNTER32: Final = 1 << 32


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
        election=config.election,
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


def channel_state(
    config: GroupConfig | None,
    cause: Cause,
    *,
    channel: EntryLink,
    stream: EntryLink,
    changed: datetime,
    established: int,
    hello_failures: int,
    statistics: tuple[EntryStatistics, ...],
) -> ChannelState:
    """The channel as the state shows it; ``cause`` says why it is down, ``stream`` is the peer-link's."""
    ends = None if config is None else config.channel
    up = channel.active is not None
    path = EntryPath.PEER_LINK if stream.active is not None else EntryPath.NONE
    failures = hello_failures + channel.authentication_failures + stream.authentication_failures
    return ChannelState(
        up=up,
        down_reason=None if up else cause.reason,
        detail="the channel is established" if up else cause.detail,
        role=None if ends is None else ends.role,
        local_address=None if ends is None else ends.local_address,
        peer_address=None if ends is None else ends.peer_address,
        tcp_port=None if ends is None else ends.tcp_port,
        vpn_instance=None if ends is None else ends.vpn_instance,
        entry_path=EntryPath.CHANNEL if up else path,
        last_change=changed,
        established=established,
        connect_attempts=channel.connect_attempts % COUNTER32,
        authentication_failures=failures % COUNTER32,
        protocol_errors=(channel.protocol_errors + stream.protocol_errors) % COUNTER32,
        statistics=statistics,
    )
