"""``dfs-group/state``: the devices of the pair, the heartbeat and the member interfaces, from a reply to values."""

from __future__ import annotations

from collections.abc import Iterator

from mlag_client.model import HeartbeatState, MemberInterface, PairNode
from mlag_client.reply_node import ReplyNode

__all__ = ["read_heartbeat", "read_members", "read_nodes"]


def _rows(state: ReplyNode, container: str, name: str) -> Iterator[ReplyNode]:
    holder = state.child(container)
    return iter(()) if holder is None else holder.children(name)


def read_nodes(state: ReplyNode) -> tuple[PairNode, ...]:
    """This device and, while it is known, its partner."""
    return tuple(
        PairNode(
            node_id=row.number("node-id"),
            is_local=row.text("is-local") == "true",
            group_id=row.optional_number("dfs-group-id"),
            priority=row.optional_number("priority"),
            dual_active_address=row.optional_address("dual-active-address"),
            vpn_instance=row.text("vpn-instance"),
            role=row.text("role"),
            causation=row.text("causation"),
            detail=row.text("detail") or "",
            system_id=row.text("system-id"),
            name=row.text("sys-name"),
            version=row.text("version"),
            device_type=row.text("device-type"),
        )
        for row in _rows(state, "nodes", "node")
    )


def read_heartbeat(state: ReplyNode) -> HeartbeatState | None:
    """None without a source of heartbeats."""
    row = state.child("heartbeat")
    if row is None or row.text("status") is None:
        return None
    return HeartbeatState(
        ok=row.required("status") == "ok",
        detail=row.text("detail") or "",
        last_change=row.time("last-change"),
        sent=row.count("sent"),
        received=row.count("received"),
        roles={end.required("side"): end.text("hb-role") for end in row.children("end")},
    )


def read_members(state: ReplyNode) -> tuple[MemberInterface, ...]:
    """Of both devices, in the order of their nodes and M-LAGs."""
    return tuple(
        MemberInterface(
            node_id=row.number("node-id"),
            m_lag_id=row.number("id"),
            interface=row.text("if-name"),
            up=row.required("port-state") == "up",
            active=row.text("local-status") == "active",
            other_active=row.text("peer-status") == "active",
            role=row.text("member-port-role"),
            error_down=row.text("error-down") == "true",
            recovery_countdown=row.optional_number("recovery-countdown"),
        )
        for row in _rows(state, "m-lags", "m-lag")
    )
