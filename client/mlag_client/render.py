"""What the command line shows: text for a person, one JSON document for a program."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mlag_client.errors import (
    ChannelNotUp,
    ConnectFailed,
    MlagClientError,
    NotInTime,
    RpcFailed,
    UndoMismatch,
)
from mlag_client.model import ChannelState, EntryPage, Fault, IPAddress, PeerLinkSource, Snapshot

__all__ = [
    "as_json",
    "entries_table",
    "error_document",
    "error_text",
    "snapshot_document",
    "snapshot_line",
    "snapshot_text",
]


def as_json(value: object, *, indent: int | None = 2) -> str:
    """One JSON document.  Names are those of the dataclasses, times in RFC 3339, addresses as text."""
    return json.dumps(_plain(value), indent=indent, ensure_ascii=False)


def _plain(value: object) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, IPAddress):
        return str(value)
    if isinstance(value, PeerLinkSource):
        return {"form": value.form, **{name: _plain(item) for name, item in _fields(value)}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(item) for name, item in _fields(value)}
    if isinstance(value, Mapping):
        return {str(_plain(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _fields(value: Any) -> Iterable[tuple[str, Any]]:
    return ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))


# --- errors -------------------------------------------------------------------------------------------------


def error_document(error: MlagClientError, exit_code: int) -> dict[str, Any]:
    """``{"error": {...}}``: kind, message, hint, exit code, and what the kind of error carries."""
    document: dict[str, Any] = {
        "kind": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "exit_code": exit_code,
    }
    if isinstance(error, RpcFailed):
        document["operation"] = error.operation
        document["errors"] = [{**_plain(row), "info": dict(row.info)} for row in error.errors]
    if isinstance(error, UndoMismatch):
        document |= {"configured": error.configured, "given": error.given, "differences": error.differences}
    if isinstance(error, NotInTime):
        document["timeout"] = error.timeout
    if isinstance(error, ChannelNotUp):
        document |= {"reason": error.reason, "detail": error.detail, "state": error.state}
    if isinstance(error, ConnectFailed):
        document |= {"host": error.host, "port": error.port}
    return {"error": document}


def error_text(error: MlagClientError) -> str:
    """One line, further errors of the same reply and the hint on lines of their own."""
    if isinstance(error, RpcFailed):
        lines = [f"refused: {error.errors[0]}", *(f"  also: {row}" for row in error.errors[1:])]
    else:
        lines = [error.message]
    if error.hint:
        lines.append(f"  {error.hint}")
    return "\n".join(lines)


# --- the state ----------------------------------------------------------------------------------------------


def snapshot_document(snapshot: Snapshot) -> dict[str, Any]:
    """The JSON of ``sync show``."""
    return {
        "source": snapshot.source,
        "authenticated": snapshot.authenticated,
        "state": snapshot.state,
        "tables": snapshot.tables,
        "faults": dict(snapshot.faults),
    }


def snapshot_text(snapshot: Snapshot) -> RenderableType:
    """Everything on one screen: the two links, then a table of the entries."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold", no_wrap=True)
    rows.add_column(overflow="fold")
    for name, text in _lines(snapshot):
        rows.add_row(name, text)
    return Group(rows, Text(""), _tables(snapshot))


def snapshot_line(snapshot: Snapshot) -> str:
    """The same for a log: one line that changes when something worth reading does; hellos count all the time."""
    if snapshot.state is None:
        return "channel down: unconfigured (DFS group not configured)"
    channel = snapshot.state.channel
    word = "up" if channel.up else f"down: {channel.down_reason} ({channel.detail})"
    pending = {row.type: row.pending for row in channel.statistics}
    tables = (
        f"{row.type} {row.entries} entries, {row.from_peer} from the peer, {pending.get(row.type, 0)} pending"
        for row in snapshot.tables
    )
    return "; ".join((f"channel {word}", *tables))


def _lines(snapshot: Snapshot) -> Iterable[tuple[str, RenderableType]]:
    yield "configured", escape(str(snapshot.source)) if snapshot.source else "no peer-link source"
    if snapshot.state is None:
        yield "channel", "[yellow]DFS group not configured[/]"
        return
    state, channel = snapshot.state, snapshot.state.channel
    yield "authentication", "hmac-sha256" if snapshot.authenticated else "none"
    yield "channel", _channel_word(channel)
    if channel.detail:
        yield "", escape(channel.detail)
    yield "peer-link", "[green]up[/]" if state.peer_link.up else "[red]down[/]"
    if state.peer is not None:
        yield "peer", escape(f"{state.peer.device or '?'} ({state.peer.model or 'unknown model'})")
    yield "entries go over", _entry_path(channel)
    yield "came up", f"{channel.established} times, {channel.connect_attempts} attempts to connect"
    troubles = {
        "authentication failures": channel.authentication_failures,
        "protocol errors": channel.protocol_errors,
    }
    found = ", ".join(f"{count} {name}" for name, count in troubles.items() if count)
    if found:
        yield "dropped", f"[red]{found}[/]"
    broken = [f"{link}: {fault}" for link, fault in snapshot.faults if fault is not Fault.NONE]
    if broken:
        yield "faults set", f"[red]{', '.join(broken)}[/]"


def _channel_word(channel: ChannelState) -> str:
    since = f" since {channel.last_change:%Y-%m-%d %H:%M:%S %Z}" if channel.last_change else ""
    if channel.up:
        return f"[green]up[/]{since}"
    return f"[red]down[/]: [bold]{escape(str(channel.down_reason))}[/]{since}"


def _entry_path(channel: ChannelState) -> str:
    if channel.entry_path is None:
        return "unknown"
    return "nothing, they wait" if channel.entry_path == "none" else f"the {channel.entry_path}"


def _tables(snapshot: Snapshot) -> Table:
    table = Table(show_edge=False, pad_edge=False, box=None, header_style="bold")
    table.add_column("type")
    for name in ("entries", "of", "local", "from peer", "sent", "received", "withdrawn", "dropped", "pending"):
        table.add_column(name, justify="right")
    table.add_column("digest")
    counters = {row.type: row for row in snapshot.state.channel.statistics} if snapshot.state else {}
    for row in snapshot.tables:
        local = row.local_dynamic + row.local_static + row.local_interface
        cells = [row.type.upper(), row.entries, row.capacity, local, row.from_peer]
        count = counters.get(row.type)
        cells += (
            ["-"] * 5
            if count is None
            else [count.sent, count.received, count.withdrawn, count.dropped_capacity, count.pending]
        )
        # The first characters tell two tables apart; --json has all of it.
        table.add_row(*map(str, cells), row.digest[:12])
    return table


def entries_table(page: EntryPage) -> RenderableType:
    """One page of entries with a line that says which."""
    table = Table(show_edge=False, pad_edge=False, box=None, header_style="bold")
    for name in ("address", "vlan", "mac", "interface", "kind", "origin"):
        table.add_column(name, justify="right" if name == "vlan" else "left")
    for entry in page.entries:
        table.add_row(
            str(entry.address), str(entry.vlan), entry.mac, escape(entry.interface or "-"), entry.kind, entry.origin
        )
    last = page.offset + len(page.entries)
    return Group(table, Text(f"entries {page.offset + 1 if page.entries else 0} to {last} of {page.total}"))
