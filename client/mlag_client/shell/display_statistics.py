"""Displays of packet statistics and faults, and the commands that reset them (DOMAIN.md sections 3.1, 3.3, 3.4)."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from lxml import etree

from mlag_client.commands.pattern import Pattern
from mlag_client.commands.tree import DML, Node
from mlag_client.shell.display import NONE, columns, entries_of, mac, state_of, text_of
from mlag_client.shell.registry import Display, Reset

__all__ = ["DISPLAYS", "RESETS"]

NEVER: Final = "0000-00-00 00:00:00"
"""A time that is not set."""

DESCRIPTION_WIDTH: Final = 60
"""Characters of an event in a line; the device wraps too."""


def _of_slot(data: etree._Element, given: Mapping[str, str], *path: str) -> Iterator[etree._Element]:
    for row in entries_of(data, *path):
        if given.get("slot", text_of(row, "slot-id")) == text_of(row, "slot-id"):
            yield row


def _name(text: str) -> str:
    """Types as the device writes them: IPV4_HEART."""
    return text.replace("-", "_").upper()


def _reason(text: str) -> str:
    """Reasons as the device writes them: INTEGRITY CHECK FAILED."""
    return text if text == NONE else text.replace("-", " ").upper()


def _time(text: str) -> str:
    return NEVER if text == NONE else text[:19].replace("T", " ")


def _proof(row: etree._Element) -> tuple[str, str, str, str]:
    counts = text_of(row, "success"), text_of(row, "fail")
    return (_name(text_of(row, "type")), *counts, mac(text_of(row, "last-mac")))


def _dfs_authentication(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display dfs authentication status``."""
    rows = [("Type", "Success", "Fail", "Last received MAC")]
    rows += [_proof(row) for row in entries_of(data, "statistics", "dfs-authentication")]
    return "\n".join(columns((14, 14, 14, 0), rows))


def _fwm_authentication(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display fwm dfs authentication status [slot S]``."""
    rows = [("Slot", "Type", "Success", "Fail", "Last received MAC")]
    found = _of_slot(data, given, "statistics", "fwm-authentication")
    rows += [(text_of(row, "slot-id"), *_proof(row)) for row in found]
    return "\n".join(columns((6, 14, 14, 14, 0), rows))


def _lasts(data: etree._Element, module: str, kinds: Mapping[str, str]) -> Iterator[str]:
    """The head: of each kind of event type, reason where it has one, and time."""
    state = state_of(data)
    for kind, words in kinds.items():
        at = ("statistics", module, kind)
        kind_type = text_of(state, *at, "type")
        yield f"{f'Last {words} type':<28}: {kind_type if kind_type == NONE else _name(kind_type)}"
        if kind.endswith("-fail"):
            yield f"{f'Last {words} reason':<28}: {_reason(text_of(state, *at, 'reason'))}"
        yield f"{f'Last {words} time':<28}: {_time(text_of(state, *at, 'time'))}"


_DFS_LASTS: Final = {
    "last-send-success": "send success",
    "last-send-fail": "send fail",
    "last-receive-success": "receive",
}
_FWM_LASTS: Final = {**_DFS_LASTS, "last-receive-success": "receive success", "last-receive-fail": "receive fail"}


def _dfs_packets(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display dfs packet statistics``; packets that are refused are in the state alone, as the device has it."""
    rows = [("Type", "Send success", "Send fail", "Receive")]
    for row in entries_of(data, "statistics", "dfs-packet", "counter"):
        sent, unsent, received = (text_of(row, leaf) for leaf in ("send-success", "send-fail", "receive-success"))
        rows.append((_name(text_of(row, "type")), sent, unsent, received))
    return "\n".join([*_lasts(data, "dfs-packet", _DFS_LASTS), *columns((14, 14, 14, 10), rows)])


def _fwm_packets(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display fwm m-lag synchronization packet statistics [slot S]``."""
    rows = [("Slot", "Type", "Send success", "Send fail", "Receive success", "Receive fail")]
    for row in _of_slot(data, given, "statistics", "fwm-packet", "counter"):
        leafs = ("send-success", "send-fail", "receive-success", "receive-fail")
        sent, unsent, received, refused = (text_of(row, leaf) for leaf in leafs)
        rows.append((text_of(row, "slot-id"), _name(text_of(row, "type")), sent, unsent, received, refused))
    return "\n".join([*_lasts(data, "fwm-packet", _FWM_LASTS), *columns((6, 10, 14, 12, 17, 12), rows)])


def _faults(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display m-lag troubleshooting { current | history }``: the newest first."""
    faults = [fault for fault in entries_of(data, "fault") if text_of(fault, "kind") == given["kind"]]
    faults.sort(key=lambda fault: int(text_of(fault, "seq")), reverse=True)
    rows = [("Seq", "Time", "Event Description")]
    for fault in faults:
        first, *more = textwrap.wrap(text_of(fault, "description"), DESCRIPTION_WIDTH) or [""]
        rows.append((text_of(fault, "seq"), _time(text_of(fault, "time")), first))
        rows += [("", "", line) for line in more]
    return "\n".join([f"Total : {len(faults)}", *columns((8, 21, DESCRIPTION_WIDTH), rows)])


DISPLAYS: Final = (
    Display(Pattern("display dfs authentication status"), _dfs_authentication),
    Display(Pattern("display dfs packet statistics"), _dfs_packets),
    Display(Pattern("display fwm dfs authentication status [slot <slot:1-49>]"), _fwm_authentication),
    Display(Pattern("display fwm m-lag synchronization packet statistics [slot <slot:1-49>]"), _fwm_packets),
    Display(Pattern("display m-lag troubleshooting <kind:=current|history>"), _faults),
)


def _calling(name: str) -> Callable[[Mapping[str, str]], etree._Element]:
    """An rpc of the module; ``slot`` is the only parameter that a reset has."""

    def rpc(given: Mapping[str, str]) -> etree._Element:
        element = etree.Element(f"{{{DML}}}{name}")
        if "slot" in given:
            etree.SubElement(element, f"{{{DML}}}slot-id").text = given["slot"]
        return element

    return rpc


RESETS: Final = (
    Reset(Pattern("reset dfs authentication status"), _calling("reset-dfs-authentication-status")),
    Reset(
        Pattern("reset fwm dfs authentication status [slot <slot:1-49>]"),
        _calling("reset-fwm-dfs-authentication-status"),
    ),
    Reset(Pattern("reset dfs packet statistics"), _calling("reset-dfs-packet-statistics")),
    Reset(
        Pattern("reset fwm m-lag synchronization packet statistics"),
        _calling("reset-fwm-sync-packet-statistics"),
        everywhere=True,
    ),
    Reset(Pattern("reset m-lag troubleshooting history"), _calling("reset-troubleshooting-history")),
)
