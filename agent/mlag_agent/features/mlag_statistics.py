"""Packet statistics and faults of dfs-m-lag, and the rpcs that reset them (DOMAIN 3.3, 3.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from mlag_agent.errors import ErrorTag, RpcError, RpcFailure
from mlag_agent.features.base import OK, Agent, Handler, Reply, RpcInput, SessionInfo
from mlag_agent.mlag import Engine
from mlag_agent.mlag.history import FaultRecord
from mlag_agent.mlag.statistics import (
    AuthenticationCount,
    LastPacket,
    ModuleStatistics,
    PacketStatistics,
    PacketType,
)

__all__ = ["SLOT", "fault_rows", "reset_handlers", "statistics_state"]

SLOT: Final = 1
"""The simulated device is a box with one slot."""

# 'display dfs packet statistics' has other names for entries than all other displays (DOMAIN 3.3).
_DFS_NAMES: Final = {PacketType.ARP: "arp-sync", PacketType.ND: "nd-sync"}


def statistics_state(engine: Engine) -> Mapping[str, Any]:
    """``state/statistics``: counters, and times that change with them; nobody is told of changes."""
    dfs, fwm = engine.statistics.dfs, engine.statistics.fwm
    slot = {"slot-id": SLOT}
    return {
        "dfs-authentication-reset-time": dfs.authentication_reset,
        "dfs-authentication": [_authentication(row) for row in dfs.authentication()],
        "fwm-authentication-reset-time": fwm.authentication_reset,
        "fwm-authentication": [{**slot, **_authentication(row)} for row in fwm.authentication()],
        "dfs-packet": _packets(dfs.packets(), {}, _DFS_NAMES),
        "fwm-packet": _packets(fwm.packets(), slot, {}),
    }


def fault_rows(engine: Engine) -> list[dict[str, Any]]:
    """``state/fault``."""
    return [*_faults("current", engine.history.current()), *_faults("history", engine.history.history())]


def _authentication(row: AuthenticationCount) -> dict[str, Any]:
    mac = None if row.last_mac is None else row.last_mac.hex(":")
    return {"type": row.type, "success": row.success, "fail": row.fail, "last-mac": mac}


def _packets(packets: PacketStatistics, keys: Mapping[str, Any], names: Mapping[PacketType, str]) -> dict[str, Any]:
    return {
        "reset-time": packets.reset,
        "last-send-success": _last(packets.last_sent, names),
        "last-send-fail": _last(packets.last_send_failure, names),
        "last-receive-success": _last(packets.last_received, names),
        "last-receive-fail": _last(packets.last_receive_failure, names),
        "counter": [
            {
                **keys,
                "type": names.get(row.type, row.type),
                "send-success": row.sent,
                "send-fail": row.send_failed,
                "receive-success": row.received,
                "receive-fail": row.receive_failed,
            }
            for row in packets.counts
        ],
    }


def _last(last: LastPacket | None, names: Mapping[PacketType, str]) -> dict[str, Any] | None:
    if last is None:
        return None
    values = {"type": names.get(last.type, last.type), "time": last.at}
    return values if last.reason is None else {**values, "reason": last.reason, "detail": last.detail or None}


def _faults(kind: str, faults: Iterable[FaultRecord]) -> list[dict[str, Any]]:
    return [{"kind": kind, "seq": fault.seq, "time": fault.at, "description": fault.description} for fault in faults]


def reset_handlers(engine: Engine) -> Mapping[str, Handler]:
    """The reset rpcs; levels 2 and 3 may run them (``access.levels``)."""

    def resetting(reset: Callable[[], None]) -> Handler:
        async def handle(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
            _check_slot(rpc)
            reset()
            agent.state_has_changed()
            return OK

        return handle

    dfs: ModuleStatistics = engine.statistics.dfs
    fwm: ModuleStatistics = engine.statistics.fwm
    return {
        "dfs-m-lag:reset-dfs-authentication-status": resetting(dfs.reset_authentication),
        "dfs-m-lag:reset-fwm-dfs-authentication-status": resetting(fwm.reset_authentication),
        "dfs-m-lag:reset-dfs-packet-statistics": resetting(dfs.reset_packets),
        "dfs-m-lag:reset-fwm-sync-packet-statistics": resetting(fwm.reset_packets),
        "dfs-m-lag:reset-troubleshooting-history": resetting(engine.history.clear),
    }


def _check_slot(rpc: RpcInput) -> None:
    slot = rpc.leaf("slot-id") if "slot-id" in rpc else None
    if slot is not None and int(slot) != SLOT:
        raise RpcFailure(
            RpcError(
                ErrorTag.INVALID_VALUE,
                f"this device has no slot {slot}; its only slot is {SLOT}",
                app_tag="slot-absent",
                path="/dfs-m-lag:reset-fwm-dfs-authentication-status/slot-id",
            )
        )
