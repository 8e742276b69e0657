"""What the display commands print: labels as the device has them (DOMAIN.md section 3), values as the agent gives them.

What the agent does not know is ``--``, as on the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from lxml import etree

from mlag_client.commands.pattern import Pattern
from mlag_client.commands.render import to_lines
from mlag_client.commands.tree import DML, Node
from mlag_client.shell.labels import CHECKED_ITEMS, FAILED_CODES
from mlag_client.shell.registry import Display

__all__ = [
    "COMMIT",
    "DISPLAYS",
    "NONE",
    "PUBLIC",
    "both_sides",
    "changes",
    "columns",
    "commits",
    "filter_of",
    "mac",
    "members_of",
    "state_of",
    "table",
    "text_of",
]

NONE: Final = "--"
PUBLIC: Final = "public net"
COMMIT: Final = "urn:mlag-agent:yang:mlag-agent-commit"


def filter_of(namespace: str, name: str) -> etree._Element:
    """The subtree filter for all of a top-level node."""
    element = etree.Element("{urn:ietf:params:xml:ns:netconf:base:1.0}filter", type="subtree")
    etree.SubElement(element, f"{{{namespace}}}{name}")
    return element


def changes(old: Node, new: Node) -> Iterator[str]:
    """Lines of one and not of the other, each below the line that enters its view."""
    before, after = _by_view(old), _by_view(new)
    for heading in dict.fromkeys((*before, *after)):
        mine, its = before.get(heading), after.get(heading)
        gone = [line for line in mine or () if line not in (its or ())]
        come = [line for line in its or () if line not in (mine or ())]
        if heading and (gone or come or (mine is None) != (its is None)):
            yield f"{'-' if its is None else '+' if mine is None else ' '}{heading}"
        yield from (f"-{line}" for line in gone)
        yield from (f"+{line}" for line in come)


def _by_view(root: Node) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {"": []}
    heading = ""
    for line in to_lines(root)[0]:
        if line == "#":
            heading = ""
        elif not heading and not line.startswith(" ") and _enters(line):
            heading = line
            found[heading] = []
        else:
            found[heading].append(line)
    return found


def _enters(line: str) -> bool:
    return line.startswith(("dfs-group ", "interface ", "vlan ", "ip vpn-instance "))


def commits(data: etree._Element) -> str:
    """``display configuration commit list``: the newest first."""
    rows: list[tuple[str, ...]] = [("No.", "Time", "User", "Kind", "Label", "Description")]
    leafs = ("number", "time", "username", "kind", "label", "description")
    for row in reversed(data.findall(f"{{{COMMIT}}}commits/{{{COMMIT}}}commit")):
        found = {name: row.findtext(f"{{{COMMIT}}}{name}") or NONE for name in leafs}
        found["time"] = found["time"].replace("T", " ")[:19]
        rows.append(tuple(found.values()))
    widths = [max(len(row[at]) for row in rows) + 2 for at in range(len(leafs))]
    return "\n".join(columns(widths, rows))


# --- display dfs-group ----------------------------------------------------------------------------------------------


def _leaf(node: Node | None, *names: str, default: str = NONE) -> str:
    found = None if node is None else node.find((name, "") for name in names)
    return default if found is None or not found.value else found.value


def _group_node(root: Node) -> Node | None:
    return root.find((("m-lag", ""), ("dfs-groups", ""), ("dfs-group", "1")))


def state_of(data: etree._Element) -> etree._Element | None:
    """``dfs-group/state``; None without a group."""
    return next(data.iter(f"{{{DML}}}state"), None)


def text_of(state: etree._Element | None, *names: str, default: str = NONE) -> str:
    """The value below ``state`` by names of ``dfs-m-lag``; ``default`` when there is none."""
    found = None if state is None else state.find("/".join(f"{{{DML}}}{name}" for name in names))
    return default if found is None or not found.text else found.text


def table(rows: Mapping[str, str]) -> str:
    """A label and its value in each line."""
    return "\n".join(f"{label:<40}: {value}" for label, value in rows.items())


def _inconsistent(data: etree._Element, kind: str) -> str:
    """What the consistency check finds wrong of one type, one a line."""
    names = [
        f"{CHECKED_ITEMS.get(text_of(row, 'name'), text_of(row, 'name'))} ({text_of(row, 'scope')})"
        for row in entries_of(data, "consistency", "item")
        if text_of(row, "type") == kind and text_of(row, "consistent") == "false"
    ]
    return f"\n{'':<42}".join(names) or NONE


def _group(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display dfs-group 1``."""
    group = _group_node(running)
    if group is None:
        return "Info: the DFS group does not exist."
    forms = ("ipv4", "ipv6")
    form = next((f for f in forms if group.find((("dual-active-detection", ""), (f, "")))), "ipv4")
    up_delay = _leaf(group, "up-delay", "delay", default="240")
    interval = _leaf(group, "up-delay", "recovery-interval", default="0")
    state = state_of(data)
    return table(
        {
            "Dfs-Group ID": "1",
            "Priority": _leaf(group, "priority", default="100"),
            "Dual-active Address": _leaf(group, "dual-active-detection", form, "local-address"),
            "VPN-Instance": _leaf(group, "dual-active-detection", form, "vpn-instance", default=PUBLIC),
            "System ID": mac(text_of(state_of(data), "system-id")),
            "SysName": text_of(state_of(data), "sys-name"),
            "Up-delay/Interval(s)": f"{up_delay}/{interval}",
            "Switch-delay": _leaf(group, "lacp-switch-delay", default="0"),
            "Configuration consistency check": text_of(state, "consistency", "result"),
            "  Type 1 configuration": _inconsistent(data, "1"),
            "  Type 2 configuration": _inconsistent(data, "2"),
        }
    )


def _peer_link(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display dfs-group 1 peer-link``."""
    interfaces = running.find((("interfaces", ""),))
    rows = [("Peer-link Id", "Port Name", "Port State", "Link Type")]
    for (name, key), node in (interfaces.children if interfaces else {}).items():
        link = node.find((("m-lag", ""), ("peer-link", "")))
        if name == "interface" and link is not None:
            kind = "Virtual link" if link.find((("virtual-link", ""),)) else "Physical link"
            rows.append(("1", key, text_of(state_of(data), "peer-link", "oper-status").capitalize(), kind))
    return "\n".join([f"Total Interface(s) : {len(rows) - 1}", *columns((14, 24, 12, 0), rows)])


_CAUSATIONS: Final = {
    "none": "-",
    "no-peer-link": "NOPEERLINK",
    "no-address": "NOADDRESS",
    "same-mac": "SAMEMAC",
    "type-mismatch": "TYPEMISMATCH",
    "timeout": "TIMEOUT",
    "peer-link-down": "PEERLINKDOWN",
    "detect": "DETECT",
    "authentication-failed": "AUTHENTICATION FAILED",
    "version-mismatch": "VERSIONMISMATCH",
    "no-authentication": "NOAUTHENTICATION",
    "device-type-mismatch": "DEVICETYPEMISMATCH",
    "peer-link-type-mismatch": "PEERLINKTYPEMISMATCH",
}


def mac(text: str) -> str:
    """``hhhh-hhhh-hhhh``, as the device writes it."""
    digits = text.replace(":", "")
    return "-".join(digits[at : at + 4] for at in (0, 4, 8)) if len(digits) == 12 else text


def _nodes(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display dfs-group 1 m-lag``."""
    state = state_of(data)
    blocks = [f"{'*':<21}: Local node", f"{'Heart beat state':<21}: {_heartbeat_status(state)}"]
    for node in entries_of(data, "nodes", "node"):
        local = text_of(node, "is-local") == "true"
        causation = text_of(node, "causation")
        vpn = text_of(node, "vpn-instance")
        rows = {
            "Dfs-Group ID": text_of(node, "dfs-group-id"),
            "Priority": text_of(node, "priority"),
            "Dual-active Address": text_of(node, "dual-active-address"),
            "VPN-Instance": PUBLIC if vpn == NONE else vpn,
            "State": text_of(node, "role").capitalize(),
            "Causation": _CAUSATIONS.get(causation, "-"),
            "System ID": mac(text_of(node, "system-id")),
            "SysName": text_of(node, "sys-name"),
            "Version": text_of(node, "version"),
            "Device Type": text_of(node, "device-type"),
        }
        blocks.append(f"Node {text_of(node, 'node-id')}{' *' if local else ''}")
        blocks += [f"  {label:<19}: {value}" for label, value in rows.items()]
    return "\n".join(blocks)


def entries_of(data: etree._Element, *names: str) -> list[etree._Element]:
    """The entries of a list below ``state``, by names of ``dfs-m-lag``; none without a group."""
    state = state_of(data)
    return [] if state is None else state.findall("/".join(f"{{{DML}}}{name}" for name in names))


def members_of(data: etree._Element, node: str) -> list[etree._Element]:
    """The rows of ``m-lags/m-lag`` of a node of the pair, as the agent orders them."""
    return [row for row in entries_of(data, "m-lags", "m-lag") if text_of(row, "node-id") == node]


def _local_node(data: etree._Element) -> str:
    """The number of this device in the pair; 1 while there is no pair."""
    nodes = entries_of(data, "nodes", "node")
    return next((text_of(n, "node-id") for n in nodes if text_of(n, "is-local") == "true"), "1")


def both_sides(own: str, other: str, *, local: bool) -> str:
    """``OWN(*)-OTHER``: the node of the row comes first, the star is on this device's side (DOMAIN.md 3.1)."""
    return f"{own}(*)-{other}" if local else f"{own}-{other}(*)"


def _status(row: etree._Element, *, local: bool) -> str:
    """Traffic is not reachable over a device that is no partner, or has no interface in this M-LAG."""
    other = text_of(row, "peer-status")
    return both_sides(text_of(row, "local-status"), "inactive" if other == NONE else other, local=local)


def _members(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display dfs-group 1 node N m-lag``: one block for each member interface of that node."""
    local = given["node"] == _local_node(data)
    others = {text_of(row, "id"): row for row in members_of(data, "2" if given["node"] == "1" else "1")}
    blocks = ["* - Local node"]
    for row in members_of(data, given["node"]):
        role = text_of(row, "member-port-role").capitalize()
        other = text_of(others.get(text_of(row, "id")), "member-port-role", default="invalid").capitalize()
        rows = {
            "M-Lag ID": text_of(row, "id"),
            "Interface": text_of(row, "if-name"),
            "Port State": text_of(row, "port-state").capitalize(),
            "Status": _status(row, local=local),
            "Member Port Role": both_sides(role, other, local=local),
        }
        blocks += ["", *(f"{label:<21}: {value}" for label, value in rows.items())]
    return "\n".join(blocks)


def columns(widths: Sequence[int], rows: Sequence[tuple[str, ...]], ruler_width: int = 0) -> list[str]:
    """Lines of a table: the head between two rulers, the rows, a ruler; rulers are as wide as the longest line, or as
    given."""
    lines = ["".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    ruler = "-" * (ruler_width or max(map(len, lines)))
    return [ruler, lines[0], ruler, *lines[1:], ruler]


def _up_delay(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display dfs-group 1 m-lag up-delay``."""
    rows = [("M-LAG ID", "Interface", "Port State", "Error-Down", "Recovery Countdown(s)")]
    for row in members_of(data, _local_node(data)):
        down = "Yes" if text_of(row, "error-down") == "true" else "No"
        port = text_of(row, "port-state").capitalize()
        rows.append((text_of(row, "id"), text_of(row, "if-name"), port, down, text_of(row, "recovery-countdown")))
    return "\n".join(columns((12, 24, 14, 14, 0), rows))


def _brief(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display dfs-group 1 [node N] m-lag brief``: of this device unless a node is named."""
    here = _local_node(data)
    node = given.get("node", here)
    rows = [("M-Lag ID", "Interface", "Port State", "Status", "Consistency-check")]
    for row in members_of(data, node):
        port = text_of(row, "port-state").capitalize()
        status = _status(row, local=node == here)
        rows.append((text_of(row, "id"), text_of(row, "if-name"), port, status, _consistency(row)))
    used = sorted({int(code.text or 0) for row in members_of(data, node) for code in row.iterfind(_FAILED)})
    legend = [f"  {code:<3}: {FAILED_CODES[code]}" for code in used]
    lines = ["* - Local node", *columns((12, 24, 14, 26, 0), rows)]
    return "\n".join([*lines, "Failed reason:", *legend] if legend else lines)


_FAILED: Final = f"{{{DML}}}failed-code"


def _consistency(row: etree._Element) -> str:
    """``success``, ``failed(n,n)``, or dashes while nothing is compared."""
    codes = ",".join(code.text or "" for code in row.iterfind(_FAILED))
    return f"failed({codes})" if codes else text_of(row, "consistency")


_END_LABELS: Final = {
    "Dfs-Group ID": "dfs-group-id",
    "Priority": "priority",
    "Udp port": "udp-port",
    "Dual-active Address": "dual-active-address",
    "VPN-Instance": "vpn-instance",
    "System ID": "system-id",
    "Heart beat state": "hb-role",
}


def _heartbeat_status(state: etree._Element | None) -> str:
    status = text_of(state, "heartbeat", "status")
    return NONE if status == NONE else "OK" if status == "ok" else "Lost"


def _heartbeat(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display dfs-group 1 heartbeat``; the peer's values are known while its heartbeats arrive."""
    state = state_of(data)
    lines = [f"{'Heart beat status':<22}: {_heartbeat_status(state)}"]
    found = {text_of(end, "side"): end for end in entries_of(data, "heartbeat", "end")}
    for side in ("local", "peer"):
        lines.append(f"{side.capitalize()}:")
        for label, leaf in _END_LABELS.items():
            value = text_of(found.get(side), leaf)
            if leaf == "vpn-instance" and side in found and value == NONE:
                value = PUBLIC
            value = mac(value) if leaf == "system-id" else value.capitalize() if leaf == "hb-role" else value
            lines.append(f"  {label:<20}: {value}")
    return "\n".join(lines)


_CHANNEL_LABELS: Final = {
    "Status": "oper-status",
    "Reason": "down-reason",
    "Detail": "detail",
    "Role": "role",
    "Local Address": "local-address",
    "Peer Address": "peer-address",
    "TCP Port": "tcp-port",
    "VPN-Instance": "vpn-instance",
    "Entries go over": "entry-path",
    "Last change": "last-change",
}


def _sync_channel(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """The project's own: no display command of the device shows the channel (DOMAIN.md 1.2)."""
    state = state_of(data)
    text = table({label: text_of(state, "sync-channel", leaf) for label, leaf in _CHANNEL_LABELS.items()})
    head = f"{'Type':<6}{'Sent':>12}{'Received':>12}{'Withdrawn':>12}{'Dropped':>12}{'Pending':>12}"
    rows = []
    for row in entries_of(data, "sync-channel", "entry-statistics"):
        leafs = [text_of(row, leaf) for leaf in ("sent", "received", "withdrawn", "dropped-capacity", "pending")]
        rows.append(f"{text_of(row, 'type').upper():<6}" + "".join(f"{leaf:>12}" for leaf in leafs))
    return "\n".join([text, "-" * 66, head, "-" * 66, *rows, "-" * 66])


DISPLAYS: Final = (
    Display(Pattern("display dfs-group [1]"), _group),
    Display(Pattern("display dfs-group 1 m-lag"), _nodes),
    Display(Pattern("display dfs-group 1 node <node:1-2> m-lag"), _members),
    Display(Pattern("display dfs-group 1 [node <node:1-2>] m-lag brief"), _brief),
    Display(Pattern("display dfs-group 1 m-lag up-delay"), _up_delay),
    Display(Pattern("display dfs-group 1 peer-link"), _peer_link),
    Display(Pattern("display dfs-group 1 heartbeat"), _heartbeat),
    Display(Pattern("display dfs-group 1 sync-channel"), _sync_channel),
)
