"""dfs-m-lag: applies the DFS group to the synchronisation engine and shows the engine's state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, Literal

from mlag_agent.access.sealing import Sealer, SealError
from mlag_agent.data.tree import Container, LeafList
from mlag_agent.datastore.payload import Transforms
from mlag_agent.datastore.subscriber import ChangeSet
from mlag_agent.errors import ApplyRefused, ErrorTag, RpcError, RpcFailure
from mlag_agent.features.base import Agent, Feature, StateProvider
from mlag_agent.features.mlag_consistency import COMPARED_PATHS, consistency_config, consistency_state
from mlag_agent.features.mlag_members import member_state, peer_link_identity
from mlag_agent.features.mlag_statistics import fault_rows, reset_handlers, statistics_state
from mlag_agent.features.ports import configured_ports, interface_rows
from mlag_agent.mlag import (
    ChannelConfig,
    DetectionConfig,
    DualActiveConfig,
    ElectionPacket,
    Engine,
    EngineRefused,
    GroupConfig,
    HeartbeatConfig,
    PeerLinkKind,
    Plan,
)
from mlag_agent.mlag.config import DEFAULT_HEARTBEAT_TIMEOUT, DEFAULT_PRIORITY, DEFAULT_RATE
from mlag_agent.mlag.state import ChannelState, DualActiveState, EngineState, HeartbeatEnd, HeartbeatState, PairingState
from mlag_agent.models import DeviceModel
from mlag_agent.schema.nodes import ModuleRequest, SchemaTree

__all__ = ["EngineSubscriber", "feature", "group_config", "password_transforms"]

GROUP = "/dfs-m-lag:m-lag/dfs-groups/dfs-group"
PASSWORD = f"{GROUP}/authentication/password"


def password_transforms(tree: SchemaTree, sealer: Sealer) -> Transforms:
    """The group's password becomes cipher text on its way into a datastore; cipher text is taken back as it is."""

    def seal(value: str) -> str:
        try:
            return sealer.sealed(value)
        except SealError as error:
            raise RpcFailure(
                RpcError(
                    ErrorTag.INVALID_VALUE,
                    f"password (value not shown): {error}",
                    app_tag="password-cipher-text",
                    path=f"{GROUP}[id='1']/authentication/password",
                )
            ) from error

    return {tree.find(PASSWORD): seal}


def group_config(root: Container, sealer: Sealer) -> GroupConfig | None:
    """What the engine is to do by a configuration; None when it has no DFS group."""
    m_lag = root.named("m-lag")
    groups = m_lag.container("dfs-groups") if isinstance(m_lag, Container) else None
    group = next(iter(groups.entries("dfs-group")), None) if groups is not None else None
    if group is None or not isinstance(m_lag, Container):
        return None
    authentication = group.container("authentication")
    sealed = authentication.leaf("password") if authentication is not None else None
    rates: dict[str, int] = {}
    overall = m_lag.container("global")
    for argument, leaf in (("arp_rate", "arp-backup-rate"), ("nd_rate", "nd-backup-rate")):
        value = overall.leaf(leaf) if overall is not None and overall.schema.child(leaf) is not None else None
        if value is not None:
            rates[argument] = int(value)
    return GroupConfig(
        group_id=int(group.leaf("id") or 0),
        password=None if sealed is None else sealer.opened(sealed),
        channel=_channel(group),
        arp_rate=rates.get("arp_rate", DEFAULT_RATE),
        nd_rate=rates.get("nd_rate", DEFAULT_RATE),
        priority=int(group.leaf("priority") or DEFAULT_PRIORITY),
        peer_link=_peer_link(root),
        detection=_detection(group),
        heartbeat=_heartbeat(group),
        dual_active=_dual_active(group),
        ports=tuple(configured_ports(root)),
        consistency=consistency_config(root, group),
        lacp_switch_delay=_switch_delay(group.leaf("lacp-switch-delay")),
        election=_election(group),
    )


def _election(group: Container) -> frozenset[ElectionPacket]:
    packets = group.named("active-standby-election")
    return frozenset(map(ElectionPacket, packets.values)) if isinstance(packets, LeafList) else frozenset()


def _switch_delay(value: str | None) -> float | None:
    """Seconds; the command's 0 is never, and 'immediately' is no delay."""
    if value == "immediately":
        return 0.0
    return float(value or 0) or None


def _peer_link(root: Container) -> PeerLinkKind | None:
    """What the interface that is the peer-link is; the model allows one."""
    for row in interface_rows(root):
        m_lag = row.named("m-lag")
        link = m_lag.container("peer-link") if isinstance(m_lag, Container) else None
        if link is not None:
            virtual = link.schema.child("virtual-link") is not None and link.leaf("virtual-link") is not None
            return PeerLinkKind.VIRTUAL if virtual else PeerLinkKind.PHYSICAL
    return None


def _forms(holder: Container | None) -> Iterator[tuple[Literal[4, 6], Container]]:
    """The container of an address family: the model allows one of them."""
    families: tuple[tuple[str, Literal[4, 6]], ...] = (("ipv4", 4), ("ipv6", 6))
    for name, family in families if holder is not None else ():
        assert holder is not None
        form = holder.container(name) if holder.schema.child(name) is not None else None
        if form is not None:
            yield family, form


def _detection(group: Container) -> DetectionConfig | None:
    for family, form in _forms(group.container("dual-active-detection")):
        return DetectionConfig(family, ip_address(form.leaf("local-address") or ""), form.leaf("vpn-instance"))
    return None


def _dual_active(group: Container) -> DualActiveConfig:
    detection, up_delay = group.container("dual-active-detection"), group.container("up-delay")
    standard = DualActiveConfig()
    if up_delay is not None:
        standard = replace(
            standard,
            up_delay=float(up_delay.leaf("delay") or 0),
            interval=float(up_delay.leaf("recovery-interval") or 0),
        )
    if detection is None:
        return standard
    return replace(
        standard,
        delay=int(detection.leaf("delay") or 0) / 1000,
        hold=int(detection.leaf("hold-time") or 0) / 1000,
        error_down_disabled=detection.leaf("error-down-disable") is not None,
        error_down_delay=float(detection.leaf("error-down-delay") or 0),
        routing_switch=detection.leaf("error-down-routing-switch") == "true",
    )


def _heartbeat(group: Container) -> HeartbeatConfig:
    for _, form in _forms(group.container("dual-active-detection")):
        peer, port = form.leaf("peer-address"), form.leaf("udp-port")
        return HeartbeatConfig(
            None if peer is None else ip_address(peer),
            None if port is None else int(port),
            float(form.leaf("timeout") or DEFAULT_HEARTBEAT_TIMEOUT),
        )
    return HeartbeatConfig()


def _channel(group: Container) -> ChannelConfig | None:
    for family, form in _forms(group.container("peer-link-source")):
        return ChannelConfig(
            family=family,
            local_address=ip_address(form.leaf("local-address") or ""),
            peer_address=ip_address(form.leaf("peer-address") or ""),
            vpn_instance=form.leaf("vpn-instance"),
            tcp_port=int(form.leaf("tcp-port") or 0),
        )
    return None


class EngineSubscriber:
    """Two phases of the engine as those of a transaction (ARCHITECTURE section 5)."""

    name: str = "synchronisation engine"
    paths: tuple[str, ...] = (
        GROUP,
        "/dfs-m-lag:m-lag/global",
        "/ietf-interfaces:interfaces/interface/dfs-m-lag-interfaces:m-lag",
        "/ietf-interfaces:interfaces/interface/enabled",
        *COMPARED_PATHS,
    )

    def __init__(self, engine: Engine, sealer: Sealer) -> None:
        self._engine = engine
        self._sealer = sealer
        self._committed: Plan | None = None

    async def prepare(self, change: ChangeSet) -> Plan:
        """Bind the port, look the address up; raises ApplyRefused with the leaf that is to blame."""
        wanted = group_config(change.new, self._sealer)
        try:
            return await self._engine.prepare(wanted, lenient=change.restoring)
        except EngineRefused as refusal:
            path = f"{GROUP}[id='1']/{refusal.container}/ipv{refusal.address.version}/{refusal.leaf}"
            raise ApplyRefused(
                RpcError(ErrorTag.OPERATION_FAILED, str(refusal), app_tag=refusal.app_tag, path=path)
            ) from refusal

    async def commit(self, plan: Plan) -> None:
        """Put the plan in force."""
        self._engine.commit(plan)
        self._committed = plan

    async def abort(self, plan: Plan) -> None:
        """Back to the configuration before."""
        self._committed = None
        await self._engine.abort(plan)

    def applied(self, change: ChangeSet) -> None:
        """The transaction is through (``Transactor.published``): the port and address it replaced are free at once."""
        if self._committed is not None:
            self._engine.finish(self._committed)
            self._committed = None


def feature(engine: Engine, model: DeviceModel) -> Feature:
    """The module with the features of the device's model."""

    def groups(agent: Agent, state: Mapping[str, Any]) -> Mapping[str, Any]:
        m_lag = agent.stores.running.named("m-lag")
        holder = m_lag.container("dfs-groups") if isinstance(m_lag, Container) else None
        rows = holder.entries("dfs-group") if holder is not None else ()
        return {"dfs-groups": {"dfs-group": [{"id": row.leaf("id"), "state": state} for row in rows]}}

    def read(agent: Agent) -> Mapping[str, Any]:
        state = _state(engine.state())
        state["peer-link"].update(peer_link_identity(engine.config))
        return groups(agent, {**state, "fault": lambda: fault_rows(engine)})

    def read_statistics(agent: Agent) -> Mapping[str, Any]:
        return groups(agent, {"statistics": lambda: statistics_state(engine)})

    return Feature(
        name="dfs-m-lag",
        modules=(
            ModuleRequest("dfs-m-lag", model.features),
            ModuleRequest("dfs-m-lag-interfaces"),
            ModuleRequest("dfs-m-lag-deviations"),
            ModuleRequest(model.deviations),
            ModuleRequest("ietf-network-instance"),
        ),
        rpcs=reset_handlers(engine),
        state=(
            StateProvider("/dfs-m-lag:m-lag", read, tells=True),
            StateProvider("/dfs-m-lag:m-lag", read_statistics),
        ),
    )


def _state(state: EngineState) -> dict[str, Any]:
    link, peer = state.peer_link, state.peer
    return {
        **_pairing_state(state.pairing),
        "peer-link": {
            "oper-status": _status(up=link.up),
            "last-change": link.last_change,
            "hellos-sent": link.hellos_sent,
            "hellos-received": link.hellos_received,
        },
        "peer": None
        if peer is None
        else {
            "device": peer.device,
            "model": peer.model,
            "dfs-group-id": peer.group_id,
            "local-address": peer.local_address,
            "peer-address": peer.peer_address,
            "tcp-port": peer.tcp_port,
        },
        "heartbeat": _heartbeat_state(state.heartbeat),
        "dual-active": _dual_active_state(state.dual_active),
        **member_state(state),
        "consistency": consistency_state(state.consistency),
        "sync-channel": _channel_state(state.channel),
    }


def _pairing_state(pairing: PairingState | None) -> dict[str, Any]:
    if pairing is None:
        return {}
    local = pairing.nodes[0]
    return {
        "system-id": local.system_mac.hex(":"),
        "sys-name": local.name,
        "pair-state": "paired" if pairing.paired else "unpaired",
        "last-change": pairing.last_change,
        "nodes": {
            "node": [
                {
                    "node-id": number,
                    "is-local": node.is_local,
                    "dfs-group-id": node.group_id,
                    "priority": node.priority,
                    "dual-active-address": node.dual_active_address,
                    "vpn-instance": node.vpn_instance,
                    "role": node.role,
                    "causation": node.causation,
                    "detail": (pairing.detail or None) if node.is_local else None,
                    "system-id": node.system_mac.hex(":"),
                    "sys-name": node.name,
                    "version": node.version,
                    "device-type": node.model,
                }
                for number, node in enumerate(pairing.nodes, 1)
            ]
        },
    }


def _heartbeat_state(heartbeat: HeartbeatState | None) -> dict[str, Any] | None:
    if heartbeat is None:
        return None
    ends = (("local", heartbeat.local), ("peer", heartbeat.peer))
    return {
        "status": "ok" if heartbeat.ok else "lost",
        "detail": heartbeat.detail or None,
        "last-change": heartbeat.last_change,
        "sent": heartbeat.sent,
        "received": heartbeat.received,
        "end": [_heartbeat_end(side, end) for side, end in ends if end is not None],
    }


def _dual_active_state(split: DualActiveState | None) -> dict[str, Any] | None:
    if split is None:
        return None
    return {"status": split.phase, "error-down-side": split.gives_way, "error-down-ports": split.scope}


def _heartbeat_end(side: str, end: HeartbeatEnd) -> dict[str, Any]:
    return {
        "side": side,
        "dfs-group-id": end.group_id,
        "priority": end.priority,
        "udp-port": end.udp_port,
        "dual-active-address": end.address,
        "vpn-instance": end.vpn_instance,
        "system-id": end.system_mac.hex(":"),
        "hb-role": end.role,
    }


def _channel_state(channel: ChannelState) -> dict[str, Any]:
    return {
        "oper-status": _status(up=channel.up),
        "down-reason": channel.down_reason,
        "detail": channel.detail or None,
        "role": channel.role,
        "local-address": channel.local_address,
        "peer-address": channel.peer_address,
        "tcp-port": channel.tcp_port,
        "vpn-instance": channel.vpn_instance,
        "entry-path": channel.entry_path,
        "last-change": channel.last_change,
        "established": channel.established,
        "connect-attempts": channel.connect_attempts,
        "authentication-failures": channel.authentication_failures,
        "protocol-errors": channel.protocol_errors,
        "entry-statistics": [
            {
                "type": row.type,
                "sent": row.sent,
                "received": row.received,
                "withdrawn": row.withdrawn,
                "withdrawals-received": row.withdrawals_received,
                "dropped-capacity": row.dropped_capacity,
                "throttled": row.throttled,
                "pending": row.pending,
            }
            for row in channel.statistics
        ],
    }


def _status(*, up: bool) -> str:
    return "up" if up else "down"
