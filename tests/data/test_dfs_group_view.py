"""Every rule of docs/model.md: a configuration that keeps it, one that breaks it, and what a client is told then.

The rules of the synchronisation channel are in ``test_dfs_m_lag.py`` and, over SSH, ``tests/test_command_page.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlag_agent.datastore.stores import Datastores
from mlag_agent.datastore.transaction import Transactor
from mlag_agent.errors import RpcFailure
from mlag_agent.models import DEFAULT_MODEL, MODELS, deviation_texts
from mlag_agent.schema.library import yang_folder

DOCUMENT = Path(__file__).parents[2] / "docs" / "model.md"

Violation = tuple[str, str | None, str | None]
BenchOf = Callable[[str], Any]

DML = "/dfs-m-lag:m-lag"
GROUP = f"{DML}/dfs-groups/dfs-group[id='1']"
DAD = f"{GROUP}/dual-active-detection"
LOW_LATENCY = "CE6885-LL:low-latency"


def m_lag(*parts: str) -> str:
    return f'<m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag">{"".join(parts)}</m-lag>'


def global_(inner: str) -> str:
    return m_lag(f"<global>{inner}</global>")


def group(inner: str = "", *more: str) -> str:
    """The DFS group, and what stands beside ``dfs-groups``."""
    return m_lag(f"<dfs-groups><dfs-group><id>1</id>{inner}</dfs-group></dfs-groups>", *more)


def dad(inner: str) -> str:
    return group(f"<dual-active-detection>{inner}</dual-active-detection>")


def port(name: str, inner: str, kind: str = "ianaift:ieee8023adLag", more: str = "") -> str:
    """One interface with its part in M-LAG."""
    return (
        '<interface xmlns:ianaift="urn:ietf:params:xml:ns:yang:iana-if-type"'
        f' xmlns:dmli="urn:mlag-agent:yang:dfs-m-lag-interfaces"><name>{name}</name><type>{kind}</type>{more}'
        f'<m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag-interfaces">{inner}</m-lag></interface>'
    )


def ports(*rows: str) -> str:
    return f'<interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces">{"".join(rows)}</interfaces>'


def path(name: str, node: str) -> str:
    return f"/ietf-interfaces:interfaces/interface[name='{name}']/dfs-m-lag-interfaces:m-lag/{node}"


def member(number: int = 1, more: str = "") -> str:
    return f"<member><dfs-group-id>1</dfs-group-id><m-lag-id>{number}</m-lag-id>{more}</member>"


def vlan(number: int, reserved: str = "true") -> str:
    return f"<vlan><vlan-id>{number}</vlan-id><peer-link-reserved>{reserved}</peer-link-reserved></vlan>"


def vlans(*rows: str) -> str:
    return f'<vlans xmlns="urn:mlag-agent:yang:dfs-m-lag-interfaces">{"".join(rows)}</vlans>'


VLANIF = "ianaift:l3ipvlan"
IP4 = (
    '<ipv4 xmlns="urn:ietf:params:xml:ns:yang:ietf-ip"><address><ip>192.0.2.1</ip><prefix-length>24</prefix-length>'
    "</address></ipv4>"
)
IP6 = '<ipv6 xmlns="urn:ietf:params:xml:ns:yang:ietf-ip"/>'


def m_lag_ip(address: str = "192.0.2.254", length: str = "24") -> str:
    return f"<ipv4><address>{address}</address><prefix-length>{length}</prefix-length></ipv4>"


def v6(**leafs: str) -> str:
    return (
        "<ipv6>" + "".join(f"<{k.replace('_', '-')}>{v}</{k.replace('_', '-')}>" for k, v in leafs.items()) + "</ipv6>"
    )


def v4(**leafs: str) -> str:
    return v6(**leafs).replace("ipv6>", "ipv4>")


@dataclass(frozen=True)
class Rule:
    """``good`` keeps it, ``bad`` breaks it and nothing else."""

    good: tuple[str, ...]
    bad: str
    errors: tuple[Violation, ...]
    model: str = DEFAULT_MODEL


def out_of_range(good: tuple[str, ...], bad: str, where: str, model: str = DEFAULT_MODEL) -> Rule:
    return Rule(good, bad, (("invalid-value", None, where),), model)


def must(good: tuple[str, ...], bad: str, app_tag: str, *where: str) -> Rule:
    return Rule(good, bad, tuple(("operation-failed", app_tag, each) for each in where))


def unknown(bad: str, where: str, good: tuple[str, ...] = (), model: str = LOW_LATENCY) -> Rule:
    """A node that the model does not have."""
    return Rule(good, bad, (("unknown-element", None, where),), model)


V4, V6 = "192.0.2.1", "2001:db8::1"
TRUNK = "Eth-Trunk1"

RULES: dict[str, Rule] = {
    # --- system view
    "arp-rate": out_of_range(
        (global_("<arp-backup-rate>1</arp-backup-rate>"), global_("<arp-backup-rate>2000</arp-backup-rate>")),
        global_("<arp-backup-rate>2001</arp-backup-rate>"),
        f"{DML}/global/arp-backup-rate",
    ),
    "nd-rate": out_of_range(
        (global_("<nd-backup-rate>1</nd-backup-rate>"),),
        global_("<nd-backup-rate>0</nd-backup-rate>"),
        f"{DML}/global/nd-backup-rate",
    ),
    "nd-rate-models": unknown(global_("<nd-backup-rate>1</nd-backup-rate>"), f"{DML}/global"),
    "layer2-overlay-models": unknown(
        global_("<layer2-overlay-enhanced-enable>true</layer2-overlay-enhanced-enable>"),
        f"{DML}/global",
        model="CE6866",
    ),
    "route-convergence-models": unknown(
        global_("<route-convergence-enhanced-enable>true</route-convergence-enhanced-enable>"),
        f"{DML}/global",
        model="CE6866",
    ),
    "route-convergence-needs-layer3": Rule(
        (
            global_(
                "<layer3-enhanced-enable>true</layer3-enhanced-enable>"
                "<route-convergence-enhanced-enable>true</route-convergence-enhanced-enable>"
            ),
        ),
        global_("<route-convergence-enhanced-enable>true</route-convergence-enhanced-enable>"),
        (("operation-failed", "layer3-enhanced-required", f"{DML}/global/route-convergence-enhanced-enable"),),
        "CE6863H",
    ),
    "mac-notify-models": unknown(
        global_("<mac-notify-vbdif-disable>true</mac-notify-vbdif-disable>"), f"{DML}/global", model="CE6820H"
    ),
    # --- DFS group view
    "priority": out_of_range(
        (group("<priority>1</priority>"), group("<priority>254</priority>")),
        group("<priority>255</priority>"),
        f"{GROUP}/priority",
    ),
    "dad-exclusive": must(
        (dad(v4(local_address=V4)), dad(v6(local_address=V6))),
        dad(v4(local_address=V4) + v6(local_address=V6)),
        "dual-active-source-exclusive",
        f"{DAD}/ipv4",
        f"{DAD}/ipv6",
    ),
    "dad-ends-differ-ipv4": must(
        (dad(v4(local_address=V4, peer_address="192.0.2.2")),),
        dad(v4(local_address=V4, peer_address=V4)),
        "peer-address-equals-local-address",
        f"{DAD}/ipv4",
    ),
    "dad-ends-differ-ipv6": must(
        (dad(v6(local_address=V6, peer_address="2001:db8::2")),),
        dad(v6(local_address=V6, peer_address="2001:DB8:0:0::1")),
        "peer-address-equals-local-address",
        f"{DAD}/ipv6",
    ),
    "dad-class": must(
        (dad(v4(local_address="1.0.0.1")), dad(v4(local_address="223.255.255.1"))),
        dad(v4(local_address="224.0.0.1")),
        "address-class",
        f"{DAD}/ipv4/local-address",
    ),
    "dad-peer-class": must(
        (dad(v4(local_address=V4, peer_address="1.0.0.1")),),
        dad(v4(local_address=V4, peer_address="0.0.0.1")),
        "address-class",
        f"{DAD}/ipv4/peer-address",
    ),
    "dad-loopback-ipv4": must(
        (dad(v4(local_address="126.0.0.1")),),
        dad(v4(local_address="127.0.0.1")),
        "address-loopback",
        f"{DAD}/ipv4/local-address",
    ),
    "dad-link-local": must(
        (dad(v6(local_address="fec0::1")),),
        dad(v6(local_address="fe80::1")),
        "address-link-local",
        f"{DAD}/ipv6/local-address",
    ),
    "dad-multicast": must(
        (dad(v6(local_address=V6, peer_address="ff::1")),),
        dad(v6(local_address=V6, peer_address="ff02::1")),
        "address-multicast",
        f"{DAD}/ipv6/peer-address",
    ),
    "dad-unspecified": must(
        (dad(v6(local_address="::2")),),
        dad(v6(local_address="::")),
        "address-unspecified",
        f"{DAD}/ipv6/local-address",
    ),
    "dad-loopback-ipv6": must(
        (dad(v6(local_address="::2")),),
        dad(v6(local_address="0:0:0:0:0:0:0:1")),
        "address-loopback",
        f"{DAD}/ipv6/local-address",
    ),
    "dad-ipv6-models": unknown(dad(v6(local_address=V6)), DAD, (dad(v4(local_address=V4)),)),
    "dad-udp-port": out_of_range(
        (
            dad(v4(local_address=V4, peer_address="192.0.2.2", udp_port="1025")),
            dad(v4(local_address=V4, peer_address="192.0.2.2", udp_port="2048")),
        ),
        dad(v4(local_address=V4, peer_address="192.0.2.2", udp_port="2049")),
        f"{DAD}/ipv4/udp-port",
    ),
    "dad-udp-port-needs-peer": must(
        (dad(v4(local_address=V4, peer_address="192.0.2.2", udp_port="1025")),),
        dad(v4(local_address=V4, udp_port="1025")),
        "udp-port-without-peer",
        f"{DAD}/ipv4/udp-port",
    ),
    "dad-timeout": out_of_range(
        (dad(v4(local_address=V4, timeout="3")), dad(v4(local_address=V4, timeout="60"))),
        dad(v4(local_address=V4, timeout="61")),
        f"{DAD}/ipv4/timeout",
    ),
    "dad-local-address-mandatory": Rule(
        (dad(v4(local_address=V4)),),
        dad(v4(peer_address=V4)),
        (("data-missing", None, f"{DAD}/ipv4/local-address"),),
    ),
    "dad-vpn-instance-exists": Rule(
        (dad(v4(local_address=V4)),),
        dad(v4(local_address=V4, vpn_instance="red")),
        (("data-missing", "instance-required", f"{DAD}/ipv4/vpn-instance"),),
    ),
    "dad-delay": out_of_range(
        (dad("<delay>0</delay>"), dad("<delay>10000</delay>")), dad("<delay>10100</delay>"), f"{DAD}/delay"
    ),
    "dad-delay-step": must((dad("<delay>100</delay>"),), dad("<delay>150</delay>"), "delay-step", f"{DAD}/delay"),
    "dad-hold-time": out_of_range(
        (dad("<hold-time>150</hold-time>"), dad("<hold-time>10000</hold-time>")),
        dad("<hold-time>99</hold-time>"),
        f"{DAD}/hold-time",
    ),
    "error-down-delay": out_of_range(
        (dad("<error-down-delay>0</error-down-delay>"), dad("<error-down-delay>7200</error-down-delay>")),
        dad("<error-down-delay>7201</error-down-delay>"),
        f"{DAD}/error-down-delay",
    ),
    "error-down-one-action": Rule(
        (dad("<error-down-disable/>"),),
        dad("<error-down-disable/><error-down-delay>1</error-down-delay>"),
        (("bad-element", None, DAD),),
    ),
    "election-types": out_of_range(
        (
            group("<active-standby-election>arp</active-standby-election>"),
            group("<active-standby-election>nd</active-standby-election>"),
        ),
        group("<active-standby-election>vrrp</active-standby-election>"),
        f"{GROUP}/active-standby-election[.='vrrp']",
    ),
    "election-types-models": out_of_range(
        (group("<active-standby-election>dhcp</active-standby-election>"),),
        group("<active-standby-election>mld</active-standby-election>"),
        f"{GROUP}/active-standby-election[.='mld']",
        LOW_LATENCY,
    ),
    "up-delay": out_of_range(
        (group("<up-delay><delay>3600</delay></up-delay>"),),
        group("<up-delay><delay>3601</delay></up-delay>"),
        f"{GROUP}/up-delay/delay",
    ),
    "recovery-interval": out_of_range(
        (group("<up-delay><delay>0</delay><recovery-interval>180</recovery-interval></up-delay>"),),
        group("<up-delay><delay>0</delay><recovery-interval>181</recovery-interval></up-delay>"),
        f"{GROUP}/up-delay/recovery-interval",
    ),
    "recovery-interval-needs-delay": Rule(
        (group("<up-delay><delay>0</delay><recovery-interval>1</recovery-interval></up-delay>"),),
        group("<up-delay><recovery-interval>1</recovery-interval></up-delay>"),
        (("data-missing", None, f"{GROUP}/up-delay/delay"),),
    ),
    "lacp-switch-delay": out_of_range(
        (
            group("<lacp-switch-delay>0</lacp-switch-delay>"),
            group("<lacp-switch-delay>3600</lacp-switch-delay>"),
            group("<lacp-switch-delay>immediately</lacp-switch-delay>"),
        ),
        group("<lacp-switch-delay>3601</lacp-switch-delay>"),
        f"{GROUP}/lacp-switch-delay",
    ),
    "consistency-mode": out_of_range(
        tuple(
            group(f"<consistency-check><mode>{mode}</mode></consistency-check>")
            for mode in ("disable", "loose", "strict")
        ),
        group("<consistency-check><mode>on</mode></consistency-check>"),
        f"{GROUP}/consistency-check/mode",
    ),
    "whitelist-items": out_of_range(
        (group("<consistency-check><whitelist><arp>static-arp</arp></whitelist></consistency-check>"),),
        group("<consistency-check><whitelist><arp>static-mac</arp></whitelist></consistency-check>"),
        f"{GROUP}/consistency-check/whitelist/arp[.='static-mac']",
    ),
    "whitelist-vxlan-models": unknown(
        group("<consistency-check><whitelist><vxlan>virtual-mac</vxlan></whitelist></consistency-check>"),
        f"{GROUP}/consistency-check/whitelist",
        model="CE6820S",
    ),
    "whitelist-vlanif-bypass-models": out_of_range(
        (group("<consistency-check><whitelist><vlanif>vrrp4</vlanif></whitelist></consistency-check>"),),
        group("<consistency-check><whitelist><vlanif>vlanif-bypass</vlanif></whitelist></consistency-check>"),
        f"{GROUP}/consistency-check/whitelist/vlanif[.='vlanif-bypass']",
        "CE6820H-K",
    ),
    "whitelist-ipv6-models": out_of_range(
        (group("<consistency-check><whitelist><m-lag>m-lag-id</m-lag></whitelist></consistency-check>"),),
        group("<consistency-check><whitelist><m-lag>m-lag-ipv6-address</m-lag></whitelist></consistency-check>"),
        f"{GROUP}/consistency-check/whitelist/m-lag[.='m-lag-ipv6-address']",
        LOW_LATENCY,
    ),
    # --- interfaces
    "member-eth-trunk": must(
        (group() + ports(port(TRUNK, member())),),
        group() + ports(port("10GE1/0/1", member(), "ianaift:ethernetCsmacd")),
        "member-not-eth-trunk",
        path("10GE1/0/1", "member"),
    ),
    "member-needs-group": Rule(
        (group() + ports(port(TRUNK, member())),),
        ports(port(TRUNK, member())),
        (("data-missing", "instance-required", path(TRUNK, "member/dfs-group-id")),),
    ),
    "member-id": out_of_range(
        (group() + ports(port(TRUNK, member(2048))),),
        group() + ports(port(TRUNK, member(2049))),
        path(TRUNK, "member/m-lag-id"),
    ),
    "member-id-once": must(
        (group() + ports(port(TRUNK, member(1)), port("Eth-Trunk2", member(2))),),
        group() + ports(port(TRUNK, member(1)), port("Eth-Trunk2", member(1))),
        "m-lag-id-in-use",
        path(TRUNK, "member/m-lag-id"),
        path("Eth-Trunk2", "member/m-lag-id"),
    ),
    "member-active-standby": must(
        (
            group("<active-standby-election>arp</active-standby-election>")
            + ports(port(TRUNK, member(1, "<active-standby/>"))),
        ),
        group() + ports(port(TRUNK, member(1, "<active-standby/>"))),
        "election-required",
        path(TRUNK, "member/active-standby"),
    ),
    "member-not-peer-link": must(
        (group() + ports(port("Eth-Trunk0", "<peer-link/>"), port(TRUNK, member())),),
        group() + ports(port(TRUNK, member() + "<peer-link/>")),
        "member-is-peer-link",
        path(TRUNK, "member"),
    ),
    "port-group-exclusive": must(
        (group() + ports(port(TRUNK, "<port-group-id>1</port-group-id>")),),
        group() + ports(port(TRUNK, member() + "<port-group-id>1</port-group-id>")),
        "port-group-exclusive",
        path(TRUNK, "port-group-id"),
    ),
    "port-group-eth-trunk": must(
        (ports(port(TRUNK, "<port-group-id>1024</port-group-id>")),),
        ports(port("10GE1/0/1", "<port-group-id>1</port-group-id>", "ianaift:ethernetCsmacd")),
        "port-group-not-eth-trunk",
        path("10GE1/0/1", "port-group-id"),
    ),
    "port-group-id": out_of_range(
        (ports(port(TRUNK, "<port-group-id>1</port-group-id>")),),
        ports(port(TRUNK, "<port-group-id>1025</port-group-id>")),
        path(TRUNK, "port-group-id"),
    ),
    "port-group-models": unknown(
        ports(port(TRUNK, "<port-group-id>1</port-group-id>")), path(TRUNK, "").rstrip("/"), model="CE6885"
    ),
    "peer-link-id": Rule(
        (group() + ports(port(TRUNK, "<peer-link><id>1</id></peer-link>")),),
        group() + ports(port(TRUNK, "<peer-link><id>2</id></peer-link>")),
        (("invalid-value", "peer-link-id", path(TRUNK, "peer-link/id")),),
    ),
    "peer-link-needs-group": must(
        (group() + ports(port(TRUNK, "<peer-link/>")),),
        ports(port(TRUNK, "<peer-link/>")),
        "dfs-group-required",
        path(TRUNK, "peer-link"),
    ),
    "peer-link-eth-trunk": must(
        (group() + ports(port(TRUNK, "<peer-link/>")),),
        group() + ports(port("10GE1/0/1", "<peer-link/>", "ianaift:ethernetCsmacd")),
        "peer-link-not-eth-trunk",
        path("10GE1/0/1", "peer-link"),
    ),
    "peer-link-once": must(
        (group() + ports(port(TRUNK, "<peer-link/>")),),
        group() + ports(port(TRUNK, "<peer-link/>"), port("Eth-Trunk2", "<peer-link/>")),
        "one-peer-link",
        path(TRUNK, "peer-link"),
        path("Eth-Trunk2", "peer-link"),
    ),
    "virtual-link-models": unknown(
        group() + ports(port(TRUNK, "<peer-link><virtual-link/></peer-link>")),
        path(TRUNK, "peer-link"),
        model="CE6863H",
    ),
    "virtual-link-exclude-vlan": must(
        (group() + ports(port(TRUNK, "<peer-link><virtual-link/></peer-link>")),),
        group() + ports(port(TRUNK, "<peer-link><virtual-link/><exclude-vlan>5</exclude-vlan></peer-link>")),
        "virtual-link-exclude-vlan",
        path(TRUNK, "peer-link/virtual-link"),
    ),
    "exclude-vlan": out_of_range(
        (group() + ports(port(TRUNK, "<peer-link><exclude-vlan>4094</exclude-vlan></peer-link>")),),
        group() + ports(port(TRUNK, "<peer-link><exclude-vlan>4095</exclude-vlan></peer-link>")),
        path(TRUNK, "peer-link/exclude-vlan[.='4095']"),
    ),
    "exclude-vlan-models": out_of_range(
        (group() + ports(port(TRUNK, "<peer-link><exclude-vlan>1023</exclude-vlan></peer-link>")),),
        group() + ports(port(TRUNK, "<peer-link><exclude-vlan>1024</exclude-vlan></peer-link>")),
        path(TRUNK, "peer-link/exclude-vlan[.='1024']"),
        LOW_LATENCY,
    ),
    "unpaired-port-exclusive": must(
        (ports(port("10GE1/0/1", "<unpaired-port>suspend</unpaired-port>", "ianaift:ethernetCsmacd")),),
        group() + ports(port(TRUNK, member() + "<unpaired-port>reserved</unpaired-port>")),
        "unpaired-port-exclusive",
        path(TRUNK, "unpaired-port"),
    ),
    "unpaired-port-reserved-limit": must(
        (ports(*(port(f"p{n}", "<unpaired-port>reserved</unpaired-port>") for n in range(1024))),),
        ports(*(port(f"p{n}", "<unpaired-port>reserved</unpaired-port>") for n in range(1025))),
        "too-many-reserved-ports",
        "/ietf-interfaces:interfaces",
    ),
    "unpaired-port-suspend-limit": must(
        (ports(*(port(f"p{n}", "<unpaired-port>suspend</unpaired-port>") for n in range(1024))),),
        ports(*(port(f"p{n}", "<unpaired-port>suspend</unpaired-port>") for n in range(1025))),
        "too-many-suspended-ports",
        "/ietf-interfaces:interfaces",
    ),
    "uplink-port-exclusive": must(
        (ports(port("10GE1/0/1", "<uplink-port/>", "ianaift:ethernetCsmacd")),),
        group() + ports(port(TRUNK, "<peer-link/><uplink-port/>")),
        "uplink-port-exclusive",
        path(TRUNK, "uplink-port"),
    ),
    "uplink-port-limit": must(
        (ports(*(port(f"p{n}", "<uplink-port/>") for n in range(256))),),
        ports(*(port(f"p{n}", "<uplink-port/>") for n in range(257))),
        "too-many-uplink-ports",
        "/ietf-interfaces:interfaces",
    ),
    "m-lag-ip-interface": must(
        (ports(port("Vlanif10", m_lag_ip(), VLANIF, IP4)), ports(port("Vbdif10", m_lag_ip(), "dmli:vbdif", IP4))),
        ports(port(TRUNK, m_lag_ip(), more=IP4)),
        "m-lag-address-interface",
        path(TRUNK, "ipv4"),
    ),
    "m-lag-ip-primary": must(
        (ports(port("Vlanif10", m_lag_ip(), VLANIF, IP4)),),
        ports(port("Vlanif10", m_lag_ip(), VLANIF)),
        "m-lag-address-needs-primary",
        path("Vlanif10", "ipv4"),
    ),
    "m-lag-ip-class": must(
        (ports(port("Vlanif10", m_lag_ip("223.255.255.254"), VLANIF, IP4)),),
        ports(port("Vlanif10", m_lag_ip("240.0.0.1"), VLANIF, IP4)),
        "address-class",
        path("Vlanif10", "ipv4/address"),
    ),
    "m-lag-ip-loopback": must(
        (ports(port("Vlanif10", m_lag_ip("126.0.0.1"), VLANIF, IP4)),),
        ports(port("Vlanif10", m_lag_ip("127.0.0.1"), VLANIF, IP4)),
        "address-loopback",
        path("Vlanif10", "ipv4/address"),
    ),
    "m-lag-ip-length": out_of_range(
        (ports(port("Vlanif10", m_lag_ip(length="32"), VLANIF, IP4)),),
        ports(port("Vlanif10", m_lag_ip(length="33"), VLANIF, IP4)),
        path("Vlanif10", "ipv4/prefix-length"),
    ),
    "m-lag-ipv6-interface": must(
        (ports(port("Vlanif10", "<ipv6-address>2001:db8::1</ipv6-address>", VLANIF, IP6)),),
        ports(port(TRUNK, "<ipv6-address>2001:db8::1</ipv6-address>", more=IP6)),
        "m-lag-address-interface",
        path(TRUNK, "ipv6-address"),
    ),
    "m-lag-ipv6-enabled": must(
        (ports(port("Vlanif10", "<ipv6-address>2001:db8::1</ipv6-address>", VLANIF, IP6)),),
        ports(port("Vlanif10", "<ipv6-address>2001:db8::1</ipv6-address>", VLANIF)),
        "ipv6-required",
        path("Vlanif10", "ipv6-address"),
    ),
    "m-lag-ipv6-link-local": must(
        (ports(port("Vlanif10", "<ipv6-address>fd00::1</ipv6-address>", VLANIF, IP6)),),
        ports(port("Vlanif10", "<ipv6-address>fe80::1</ipv6-address>", VLANIF, IP6)),
        "address-link-local",
        path("Vlanif10", "ipv6-address"),
    ),
    "m-lag-ipv6-multicast": must(
        (ports(port("Vlanif10", "<ipv6-address>fd00::1</ipv6-address>", VLANIF, IP6)),),
        ports(port("Vlanif10", "<ipv6-address>ff02::1</ipv6-address>", VLANIF, IP6)),
        "address-multicast",
        path("Vlanif10", "ipv6-address"),
    ),
    "m-lag-ipv6-unspecified": must(
        (ports(port("Vlanif10", "<ipv6-address>::2</ipv6-address>", VLANIF, IP6)),),
        ports(port("Vlanif10", "<ipv6-address>::</ipv6-address>", VLANIF, IP6)),
        "address-unspecified",
        path("Vlanif10", "ipv6-address"),
    ),
    "m-lag-ipv6-loopback": must(
        (ports(port("Vlanif10", "<ipv6-address>::2</ipv6-address>", VLANIF, IP6)),),
        ports(port("Vlanif10", "<ipv6-address>::1</ipv6-address>", VLANIF, IP6)),
        "address-loopback",
        path("Vlanif10", "ipv6-address"),
    ),
    "m-lag-link-local-only": must(
        (ports(port("Vlanif10", "<ipv6-link-local-address>fe80::1</ipv6-link-local-address>", VLANIF, IP6)),),
        ports(port("Vlanif10", "<ipv6-link-local-address>2001:db8::1</ipv6-link-local-address>", VLANIF, IP6)),
        "address-not-link-local",
        path("Vlanif10", "ipv6-link-local-address"),
    ),
    "m-lag-ipv6-models": unknown(
        ports(port("Vlanif10", "<ipv6-address>2001:db8::1</ipv6-address>", VLANIF, IP6)),
        path("Vlanif10", "").rstrip("/"),
    ),
    # --- VLAN view
    "vlan-id": out_of_range(
        (m_lag(vlans(vlan(1))), m_lag(vlans(vlan(4094)))),
        m_lag(vlans(vlan(4095))),
        f"{DML}/dfs-m-lag-interfaces:vlans/vlan[vlan-id='4095']/vlan-id",
    ),
    "vlan-reserved-limit": must(
        (m_lag(vlans(*map(vlan, range(1, 1025)))),),
        m_lag(vlans(*map(vlan, range(1, 1026)))),
        "too-many-reserved-vlans",
        f"{DML}/dfs-m-lag-interfaces:vlans",
    ),
    "vlan-reserved-excluded": must(
        (group("", vlans(vlan(6))) + ports(port(TRUNK, "<peer-link><exclude-vlan>5</exclude-vlan></peer-link>")),),
        group("", vlans(vlan(5))) + ports(port(TRUNK, "<peer-link><exclude-vlan>5</exclude-vlan></peer-link>")),
        "reserved-vlan-excluded",
        f"{DML}/dfs-m-lag-interfaces:vlans/vlan[vlan-id='5']/peer-link-reserved",
    ),
}  # fmt: skip


def violations(bench: Any, payload: str) -> list[Violation]:
    try:
        root = bench.load(payload)
        Transactor(bench.library, Datastores(bench.empty)).validate(root)
    except RpcFailure as failure:
        return [(e.tag.value, e.app_tag, e.path) for e in failure.errors]
    return []


@pytest.mark.parametrize("name", RULES)
def test_rule(name: str, bench_of: BenchOf) -> None:
    rule = RULES[name]
    bench = bench_of(rule.model)
    assert [violations(bench, good) for good in rule.good] == [[]] * len(rule.good)
    assert violations(bench, rule.bad) == list(rule.errors)


def test_the_document_names_these_rules_and_no_others() -> None:
    named = re.findall(r"^\| `([a-z0-9-]+)` \|.*`test_rule`", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert named == list(RULES)


@pytest.mark.parametrize(
    ("model", "default"),
    [("CE6866", "true"), ("CE6863H", "false"), ("CE6820S", "false"), (LOW_LATENCY, "true"), ("CE8855", "true")],
)
def test_the_default_of_layer3_enhanced_is_the_models(bench_of: BenchOf, model: str, default: str) -> None:
    leaf = bench_of(model).tree.find("/dfs-m-lag:m-lag/global/layer3-enhanced-enable")
    assert leaf.defaults == (default,)


def test_the_deviation_modules_are_those_of_the_table() -> None:
    folder = yang_folder() / "models"
    written = {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.yang")}
    assert written == dict(deviation_texts())


@pytest.mark.parametrize("name", MODELS)
def test_every_model_loads(bench_of: BenchOf, name: str) -> None:
    assert violations(bench_of(name), group("<priority>150</priority>")) == []
