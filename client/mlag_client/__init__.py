"""Typed client of the DFS group's management agent, on ncclient.

``connect`` opens a session, ``DfsClient`` holds the calls; ``docs/client.md`` shows them.  The names below are loaded
when they are first used: pytest imports this package in every run (entry point ``pytest11``), and ncclient with its
SSH library takes a good part of a second.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlag_client.client import DfsClient, connect
    from mlag_client.errors import (
        ChannelNotUp,
        ConnectFailed,
        GroupMissing,
        HostKeyUnknown,
        InvalidRequest,
        LoginRefused,
        MlagClientError,
        NoEvent,
        NotConfigured,
        NotConverged,
        NotInTime,
        ReplyTimeout,
        RpcErrorInfo,
        RpcFailed,
        SessionLost,
        UndoMismatch,
        UnexpectedReply,
    )
    from mlag_client.events import Event
    from mlag_client.model import (
        BackupRates,
        ChannelState,
        Difference,
        DownReason,
        ElectionOutcome,
        ElectionPacket,
        Entry,
        EntryKind,
        EntryPage,
        EntryPath,
        EntrySelector,
        EntryStatistics,
        EntryType,
        Fault,
        GroupState,
        HeartbeatState,
        LearnResult,
        Link,
        MemberInterface,
        PairNode,
        PeerAnnouncement,
        PeerLinkSource,
        PeerLinkState,
        Snapshot,
        TableState,
    )

__all__ = [
    "BackupRates",
    "ChannelNotUp",
    "ChannelState",
    "ConnectFailed",
    "DfsClient",
    "Difference",
    "DownReason",
    "ElectionOutcome",
    "ElectionPacket",
    "Entry",
    "EntryKind",
    "EntryPage",
    "EntryPath",
    "EntrySelector",
    "EntryStatistics",
    "EntryType",
    "Event",
    "Fault",
    "GroupMissing",
    "GroupState",
    "HeartbeatState",
    "HostKeyUnknown",
    "InvalidRequest",
    "LearnResult",
    "Link",
    "LoginRefused",
    "MemberInterface",
    "MlagClientError",
    "NoEvent",
    "NotConfigured",
    "NotConverged",
    "NotInTime",
    "PairNode",
    "PeerAnnouncement",
    "PeerLinkSource",
    "PeerLinkState",
    "ReplyTimeout",
    "RpcErrorInfo",
    "RpcFailed",
    "SessionLost",
    "Snapshot",
    "TableState",
    "UndoMismatch",
    "UnexpectedReply",
    "connect",
]

_MODULES = ("mlag_client.model", "mlag_client.errors", "mlag_client.events", "mlag_client.client")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for module_name in _MODULES:
        module = import_module(module_name)
        if name in module.__all__:
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
