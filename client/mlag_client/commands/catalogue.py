"""The commands, view by view: the 24 of the DFS group view and those that they depend on (DOMAIN.md section 2).

Each command says what it does to the configuration, below the node of its view: leafs of one container that its
parameters give, constants, or values of a leaf-list.  ``translate`` needs no more to go both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mlag_client.commands.pattern import Pattern

__all__ = ["COMMANDS", "SAME", "SYSTEM", "VIEWS", "Command", "View"]

Path = tuple[str, ...]
"""Names of nodes below the node of the view."""

SAME: Final = "same"
"""The undo form repeats the whole command."""


@dataclass(frozen=True, slots=True)
class View:
    """A view: what its prompt adds, and the node that its commands configure.

    ``path`` is from the root; the entry of the list at its end is the one whose key is the parameter of ``enter``.
    """

    name: str
    path: Path
    enter: Pattern | None = None
    help: str = ""


SYSTEM: Final = View("system", ())

VIEWS: Final[Mapping[str, View]] = {
    view.name: view
    for view in (
        SYSTEM,
        View("vpn-instance", ("network-instances", "network-instance"), Pattern("ip vpn-instance <name:name>"),
             "VPN instance"),
        View("vlan", ("m-lag", "vlans", "vlan"), Pattern("vlan <vlan:vlan>"), "VLAN"),
        View("dfs-group", ("m-lag", "dfs-groups", "dfs-group"), Pattern("dfs-group <group:1-1>"),
             "Dynamic fabric service group"),
        View("interface", ("interfaces", "interface"), Pattern("interface <interface:word>"), "Interface"),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a view.

    ``node``: path of the container that the leafs stand in, below the view's node.  ``leafs``: leaf to parameter;
    ``fixed``: leaf to constant, an empty one for the type empty.  ``values``: leaf to what the words of its parameter
    mean, where these are no values of the leaf.  ``whole``: the command gives the container as a whole, so that what it
    leaves out goes, and its undo deletes it; ``holder``: its undo deletes it, but other commands write into it as well.
    ``repeats``: the leaf is a leaf-list, to which each command adds.
    ``off``: the value that undo gives instead of deleting, for a leaf that is on by default.  ``undo``: pattern of the
    undo form, SAME, or None where there is none.
    """

    view: str
    pattern: Pattern
    help: str
    node: Path = ()
    leafs: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    whole: bool = False
    holder: bool = False
    repeats: bool = False
    off: str | None = None
    undo: Pattern | None = None


def _command(
    view: str,
    text: str,
    help_: str,
    *,
    node: str = "",
    leafs: Mapping[str, str] | None = None,
    fixed: Mapping[str, str] | None = None,
    values: Mapping[str, Mapping[str, str]] | None = None,
    whole: bool = False,
    holder: bool = False,
    repeats: bool = False,
    off: str | None = None,
    undo: str | None = SAME,
) -> Command:
    pattern = Pattern(text)
    undone = pattern if undo == SAME else None if undo is None else Pattern(undo)
    return Command(
        view, pattern, help_, tuple(filter(None, node.split("/"))), leafs or {}, fixed or {}, values or {}, whole,
        holder, repeats, off, undone,
    )  # fmt: skip


def _flag(view: str, text: str, help_: str, leaf: str, value: str = "true", *, node: str = "") -> Command:
    return _command(view, text, help_, node=node, fixed={leaf: value})


_ENDS = {"local-address": "local", "peer-address": "peer", "vpn-instance": "vpn"}
_CHANNEL = {**_ENDS, "tcp-port": "port"}
_DETECTION = {**_ENDS, "udp-port": "udp", "timeout": "timeout"}
_WHITELIST: Final[Mapping[str, str]] = {
    "arp": "arp-aging-time|static-arp",
    "m-lag": "m-lag-member-num|m-lag-id|peer-link-exclude-vlan|m-lag-ipv4-address|m-lag-ipv6-address|"
    "m-lag-election-mode",
    "mac": "mac-aging-time|static-mac",
    "stp": "stp-m-lag-priority",
    "vlan": "vlan-configuration|port-vlan-relation",
    "vlanif": "vlanif-configuration|ipv4-address|ipv6-address|vrrp4|virtual-mac|vlanif-status|vlanif-bypass|"
    "arp-timeout",
    "vxlan": "bd-configuration|vbdif-configuration|ipv4-address|ipv6-address|virtual-mac|vbdif-status",
}


def _system() -> tuple[Command, ...]:
    view, node = "system", "m-lag/global"
    return (
        _command(view, "arp remote-backup-rate limit <rate:1-2000>", "Rate of ARP entries sent to the peer",
                 node=node, leafs={"arp-backup-rate": "rate"}, undo="arp remote-backup-rate limit [<rate:1-2000>]"),
        _command(view, "ipv6 nd remote-backup-rate limit <rate:1-2000>", "Rate of ND entries sent to the peer",
                 node=node, leafs={"nd-backup-rate": "rate"}),
        _flag(view, "m-lag forward layer-2 overlay enhanced enable", "Enhanced Layer 2 forwarding of overlay traffic",
              "layer2-overlay-enhanced-enable", node=node),
        _command(view, "m-lag forward layer-3 enhanced <state:=enable|disable>", "Enhanced Layer 3 forwarding",
                 node=node, leafs={"layer3-enhanced-enable": "state"},
                 values={"layer3-enhanced-enable": {"enable": "true", "disable": "false"}}),
        _flag(view, "m-lag forward route convergence enhanced enable", "Enhanced route convergence",
              "route-convergence-enhanced-enable", node=node),
        *(_flag(view, f"mac-address m-lag notification {what} disable", f"No MAC addresses of {what} to the peer",
                f"mac-notify-{what}-disable", node=node) for what in ("vlanif", "vbdif", "evpn")),
    )  # fmt: skip


def _channel(family: str, kind: str, container: str) -> Command:
    return _command(
        "dfs-group",
        f"peer-link source {family} <local:{kind}> [vpn-instance <vpn:name>] peer <peer:{kind}>"
        " tcp-port <port:1-65535>",
        "Addresses and port of the TCP channel for synchronisation packets",
        node=f"peer-link-source/{container}",
        leafs=_CHANNEL,
        whole=True,
    )


def _detection(family: str, kind: str, container: str) -> Command:
    rest = f"[peer <peer:{kind}> [udp-port <udp:1025-2048>]] [timeout <timeout:3-60>]"
    return _command(
        "dfs-group",
        f"dual-active detection source {family} <local:{kind}> [vpn-instance <vpn:name>] {rest}",
        "Addresses of the heartbeat",
        node=f"dual-active-detection/{container}",
        leafs=_DETECTION,
        whole=True,
        undo=f"dual-active detection source {family} <local:{kind}> [vpn-instance [<vpn:name>]] {rest}",
    )


def _dfs_group() -> tuple[Command, ...]:
    view, dad, check = "dfs-group", "dual-active-detection", "consistency-check"
    return (
        _command(view, "priority <value:1-254>", "Priority in the election of the Master",
                 leafs={"priority": "value"}, undo="priority [<value:1-254>]"),
        _detection("ip", "ipv4", "ipv4"),
        _detection("ipv6", "ipv6", "ipv6"),
        _command(view, "dual-active detection delay <delay:0-10000>", "Delay of the quick heartbeats, ms",
                 node=dad, leafs={"delay": "delay"}),
        _command(view, "dual-active detection hold-time <time:100-10000>", "Hold time of the heartbeat's state, ms",
                 node=dad, leafs={"hold-time": "time"}),
        _flag(view, "dual-active detection error-down disable", "No port goes error-down", "error-down-disable", "",
              node=dad),
        _command(view, "dual-active detection error-down delay <delay:0-7200>", "Ports go error-down after a time, s",
                 node=dad, leafs={"error-down-delay": "delay"},
                 undo="dual-active detection error-down delay [<delay:0-7200>]"),
        _flag(view, "dual-active detection error-down mode routing-switch", "Only logical interfaces and members",
              "error-down-routing-switch", node=dad),
        _command(view, "authentication-mode hmac-sha256 password <password:password>",
                 "Authentication of synchronisation packets", node="authentication",
                 leafs={"password": "password"}, whole=True, undo=None),
        _channel("ip", "ipv4", "ipv4"),
        _channel("ipv6", "ipv6", "ipv6"),
        _command(view, "set lacp system-id switch-delay <delay:delay>", "Delay of the switch of the LACP system ID, s",
                 leafs={"lacp-switch-delay": "delay"}, undo="set lacp system-id switch-delay [<delay:delay>]"),
        _command(view, "m-lag up-delay <delay:0-3600> [auto-recovery interval <interval:0-180>]",
                 "Delay until member interfaces come up, s", node="up-delay",
                 leafs={"delay": "delay", "recovery-interval": "interval"}, whole=True),
        _command(view, "m-lag active-standby election <type:=arp|nd|igmp|dhcp|mld>",
                 "Packets that elect the master member interface", leafs={"active-standby-election": "type"},
                 repeats=True),
        *(_command(view, f"peer-link mac-address remain enable {port}", "MAC addresses stay when the peer-link fails",
                   node="peer-link-mac-remain", fixed={port: "true"}, off="false")
          for port in ("unpaired-port", "paired-port")),
        _command(view, "consistency-check enable mode <mode:=loose|strict>", "Compare the configurations",
                 node=check, leafs={"mode": "mode"}, undo="consistency-check [enable mode <mode:=loose|strict>]"),
        _flag(view, "consistency-check disable", "Do not compare the configurations", "mode", "disable", node=check),
        *(_command(view, f"consistency-check whitelist module {module} service-type <items:={items}>+",
                   "Items that are not compared", node=f"{check}/whitelist", leafs={module: "items"}, repeats=True)
          for module, items in _WHITELIST.items()),
    )  # fmt: skip


def _other_views() -> tuple[Command, ...]:
    view, lag = "interface", "m-lag"
    return (
        _flag("vlan", "m-lag peer-link reserved", "Reserve the VLAN for the peer-link", "peer-link-reserved"),
        _command(view, "ip address <address:ipv4> <length:mask>", "The interface's own address", node="ipv4/address",
                 leafs={"ip": "address", "prefix-length": "length"}, whole=True),
        _command(view, "ipv6 enable", "IPv6 on the interface", node="ipv6", whole=True),
        _command(view, "dfs-group 1 m-lag <id:1-2048> [<mode:=active-standby>]",
                 "Make the interface a member of an M-LAG", node=f"{lag}/member",
                 leafs={"m-lag-id": "id", "active-standby": "mode"}, fixed={"dfs-group-id": "1"},
                 values={"active-standby": {"active-standby": ""}}, whole=True,
                 undo="dfs-group [1 [m-lag <id:1-2048> [<mode:=active-standby>]]]"),
        _command(view, "dfs-group 1 port-group <id:1-1024>", "Put the interface in a port group", node=lag,
                 leafs={"port-group-id": "id"}),
        _command(view, "peer-link 1 [<kind:=virtual-link>]", "Make the interface the peer-link",
                 node=f"{lag}/peer-link", leafs={"virtual-link": "kind"}, values={"virtual-link": {"virtual-link": ""}},
                 holder=True, undo="peer-link [1 [<kind:=virtual-link>]]"),
        _command(view, "port vlan exclude <vlans:vlan>+", "VLANs that the peer-link does not carry",
                 node=f"{lag}/peer-link", leafs={"exclude-vlan": "vlans"}, repeats=True),
        _command(view, "m-lag unpaired-port <kind:=reserved|suspend>", "A port without a counterpart on the peer",
                 node=lag, leafs={"unpaired-port": "kind"}),
        _flag(view, "uplink-port enable", "The port leads to the network above", "uplink-port", "", node=lag),
        _command(view, "m-lag ip address <address:ipv4> <length:mask>", "M-LAG IPv4 address", node=f"{lag}/ipv4",
                 leafs={"address": "address", "prefix-length": "length"}, whole=True),
        _command(view, "m-lag ipv6 address <address:ipv6>", "M-LAG IPv6 address", node=lag,
                 leafs={"ipv6-address": "address"}),
        _command(view, "m-lag ipv6 address <address:ipv6> link-local", "M-LAG link-local address", node=lag,
                 leafs={"ipv6-link-local-address": "address"}),
    )  # fmt: skip


COMMANDS: Final[tuple[Command, ...]] = (*_system(), *_dfs_group(), *_other_views())
"""In the order in which a configuration is written."""
