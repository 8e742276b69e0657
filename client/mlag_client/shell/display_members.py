"""Displays of member interfaces and unpaired ports: LACP system identifiers, and which ports are error-down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lxml import etree

from mlag_client.commands.pattern import Pattern
from mlag_client.commands.tree import DML, Node
from mlag_client.shell.display import entries_of, mac, table, text_of
from mlag_client.shell.registry import Display

__all__ = ["DISPLAYS"]

_COLUMNS: Final = 4
_WIDTH: Final = 20


def _lacp(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display dfs-group 1 lacp system-id m-lag M``: zeros stand for a remote identifier that is not in force."""
    for row in entries_of(data, "m-lags", "m-lag"):
        if (text_of(row, "node-id"), text_of(row, "id")) != ("1", given["id"]):
            continue
        lacp = row.find(f"{{{DML}}}lacp")
        remote = lacp is not None and lacp.find(f"{{{DML}}}remote-system-id") is not None
        return table(
            {
                "Local effective system id": mac(text_of(lacp, "local-system-id")),
                "Local effective system priority": text_of(lacp, "local-priority"),
                "Remote global system id": mac(text_of(lacp, "remote-system-id")) if remote else "0000-0000-0000",
                "Remote global system priority": text_of(lacp, "remote-priority") if remote else "0",
                "Send system id to remote": text_of(lacp, "sent-remote"),
                "Receive system id from remote": text_of(lacp, "received-remote"),
                "Send system id to IFM": text_of(lacp, "sent-ifm"),
            }
        )
    return f"Info: M-LAG {given['id']} has no interface on this device."


def _unpaired(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display m-lag unpaired-port { reserved | suspend }``."""
    names = []
    for row in entries_of(data, "unpaired-port"):
        if text_of(row, "kind") == given["kind"]:
            star = "*" if text_of(row, "error-down") == "true" else ""
            names.append(star + text_of(row, "if-name"))
    lines = [
        "".join(f"{name:<{_WIDTH}}" for name in names[at : at + _COLUMNS]).rstrip()
        for at in range(0, len(names), _COLUMNS)
    ]
    return "\n".join(["* : errordown", f"M-LAG unpaired-port {given['kind']}:", *lines])


DISPLAYS: Final = (
    Display(Pattern("display dfs-group 1 lacp system-id m-lag <id:1-2048>"), _lacp),
    Display(Pattern("display m-lag unpaired-port <kind:=reserved|suspend>"), _unpaired),
)
