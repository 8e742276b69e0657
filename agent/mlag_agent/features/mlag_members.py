"""State of member interfaces, the peer-link's interface and unpaired ports, as ``dfs-m-lag`` has it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from mlag_agent.mlag.config import GroupConfig
from mlag_agent.mlag.state import ElectionState, EngineState, LacpState, MemberState

__all__ = ["member_state", "peer_link_identity"]

_COUNTER32 = 1 << 32


def member_state(state: EngineState) -> dict[str, Any]:
    """The containers of ``dfs-group/state`` that are about them."""
    lacp = {row.m_lag_id: _lacp(row) for row in state.lacp}
    return {
        "m-lags": {"m-lag": [row for member in state.members for row in _rows(member, lacp.get(member.m_lag_id))]},
        "unpaired-port": [
            {"kind": port.kind, "if-name": port.name, "error-down": port.error_down} for port in state.unpaired
        ],
        "active-standby-election": _election(state.election),
    }


def peer_link_identity(config: GroupConfig | None) -> dict[str, Any]:
    """Which interface is the peer-link; empty without one.  Its ID can only be 1 (command page 'peer-link')."""
    if config is None or config.peer_link is None:
        return {}
    return {"id": 1, "if-name": config.peer_link_name, "link-type": config.peer_link}


def _rows(member: MemberState, lacp: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """This device's row of an M-LAG, and the partner's."""
    here = _activity(active=member.active)
    there = None if member.peer_active is None else _activity(active=member.peer_active)
    mode = "active-standby" if member.active_standby else "dual-active"
    yield {
        "node-id": 1,
        "id": member.m_lag_id,
        "if-name": member.name,
        "local-status": here,
        "peer-status": there,
        "mode": mode,
        "member-port-role": member.role,
        "port-state": _status(up=member.up),
        "error-down": member.error_down,
        "recovery-countdown": None if member.countdown is None else math.ceil(member.countdown),
        "lacp": lacp,
        **_consistency(member),
    }
    if member.peer_up is not None:
        yield {
            "node-id": 2,
            "id": member.m_lag_id,
            "port-state": _status(up=member.peer_up),
            "local-status": there,
            "peer-status": here,
            "mode": mode,
            "member-port-role": member.peer_role,
        }


def _consistency(member: MemberState) -> dict[str, Any]:
    if member.consistency is None:
        return {}
    consistent, codes = member.consistency
    return {"consistency": "success" if consistent else "failed", "failed-code": list(codes)}


def _election(election: ElectionState | None) -> dict[str, Any] | None:
    if election is None or not (election.local or election.peer):
        return None
    return {
        "local-type": sorted(election.local),
        "peer-type": sorted(election.peer or ()),
        "consistent": None if election.peer is None else election.local == election.peer,
    }


def _activity(*, active: bool) -> str:
    return "active" if active else "inactive"


def _status(*, up: bool) -> str:
    return "up" if up else "down"


def _lacp(row: LacpState) -> dict[str, Any]:
    return {
        "local-system-id": row.local.hex(":"),
        "local-priority": row.priority,
        "remote-system-id": None if row.remote is None else row.remote.hex(":"),
        # The partner is of the same release and has no LACP configuration either.
        "remote-priority": None if row.remote is None else row.priority,
        "switch-countdown": None if row.switches_in is None else math.ceil(row.switches_in),
        "sent-remote": row.sent % _COUNTER32,
        "received-remote": row.received % _COUNTER32,
        "sent-ifm": row.sent_ifm % _COUNTER32,
    }
