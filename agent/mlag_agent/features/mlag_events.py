"""The engine's events as notifications of dfs-m-lag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from mlag_agent.features.base import Agent
from mlag_agent.features.events import publish
from mlag_agent.mlag import Engine
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
    RoleChanged,
)

__all__ = ["EngineEvents"]


class EngineEvents:
    """The engine's events as notifications of the module, from ``attach`` on until the engine is closed."""

    def __init__(self, agent: Agent, engine: Engine) -> None:
        self._agent = agent
        self._engine = engine
        self._group = 1  # the only identifier that there is

    def attach(self) -> None:
        """Listen to the engine."""
        self._engine.subscribe(self.happened)

    def happened(self, event: EngineEvent) -> None:
        """Publish one event, and tell those who watch the state."""
        config = self._engine.config
        if config is not None:
            self._group = config.group_id
        name, values = _notification(event)
        if config is not None and isinstance(event, PeerLinkUp | PeerLinkDown):
            values = {**values, "if-name": config.peer_link_name}
        publish(self._agent, f"dfs-m-lag:{name}", {"dfs-group-id": self._group, **values}, time=event.at)
        self._agent.state_has_changed()


def _notification(event: EngineEvent) -> tuple[str, Mapping[str, Any]]:
    """Name and values, as ``data.build`` takes them."""
    match event:
        case ChannelUp(peer=peer):
            # As the peer announces them, so mirrored.
            ours = {"local-address": peer.peer_address, "peer-address": peer.local_address, "tcp-port": peer.tcp_port}
            return "sync-channel-up", {"peer-device": peer.device, **ours}
        case ChannelDown(reason=reason, detail=detail, was_up=was_up):
            return "sync-channel-down", {"reason": reason, "detail": detail or None, "was-up": was_up}
        case PeerLinkUp(peer=peer):
            return "peer-link-up", {"peer-device": peer.device}
        case PeerLinkDown(detail=detail):
            return "peer-link-down", {"detail": detail or None}
        case EntryLimit(type=kind, capacity=capacity, dropped=dropped):
            return "sync-entry-limit", {"type": kind, "capacity": capacity, "dropped": dropped}
        case AuthenticationFailure(link=link, detail=detail, packet=packet):
            return "authentication-failed", {"link": link, "packet-type": packet, "detail": detail or None}
        case PairingFailed(causation=causation, detail=detail):
            return "dfs-pairing-failed", {"causation": causation, "detail": detail or None}
        case PairingResumed(role=role):
            return "dfs-pairing-resumed", {"role": role}
        case RoleChanged(old=old, new=new):
            return "dfs-role-changed", {"old-role": old, "new-role": new}
        case ConsistencyMismatch() | ConsistencyResumed():
            return _of_consistency(event)
        case _:
            return _of_detection(event)


def _of_consistency(event: ConsistencyMismatch | ConsistencyResumed) -> tuple[str, Mapping[str, Any]]:
    if isinstance(event, ConsistencyResumed):
        return "consistency-resumed", {"type": event.kind}
    values = {"local-value": event.local, "peer-value": event.peer}
    return "consistency-mismatch", {"type": event.kind, "scope": event.scope, "name": event.item, **values}


_DetectionEvent = HeartbeatLost | HeartbeatResumed | DualActiveDetected | MemberPortDown


def _of_detection(event: _DetectionEvent) -> tuple[str, Mapping[str, Any]]:
    match event:
        case HeartbeatLost(local_address=local, peer_address=address, detail=detail):
            ends = {"local-address": local, "peer-address": address}
            return "heartbeat-lost", {**ends, "detail": detail or None}
        case HeartbeatResumed(local_address=local, peer_address=address):
            return "heartbeat-resumed", {"local-address": local, "peer-address": address}
        case DualActiveDetected(gives_way=side):
            return "dual-active-detected", {"error-down-side": side}
        case MemberPortDown(m_lag_id=number, name=name, local_mac=local_mac, remote_mac=remote_mac):
            systems = {"local-system-id": local_mac.hex(":"), "remote-system-id": remote_mac and remote_mac.hex(":")}
            return "member-port-down", {"m-lag-id": number, "if-name": name, **systems}
        case _ as never:
            assert_never(never)
