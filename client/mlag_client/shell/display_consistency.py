"""Displays of the consistency check (DOMAIN.md section 3.2): what both devices have configured, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from lxml import etree

from mlag_client.commands.pattern import Pattern
from mlag_client.commands.tree import DML, Node
from mlag_client.shell.display import NONE, columns, entries_of, state_of, text_of
from mlag_client.shell.labels import CHECKED_ITEMS
from mlag_client.shell.registry import Display

__all__ = ["DISPLAYS"]

_LIST: Final = 16
"""Values of a list that are shown, as on the device."""

_WHITELIST: Final[Mapping[str, tuple[str, ...]]] = {
    "m-lag": ("m-lag-member-num", "m-lag-id", "peer-link-exclude-vlan", "m-lag-ipv4-address", "m-lag-ipv6-address",
              "m-lag-election-mode"),
    "vlan": ("vlan-configuration", "port-vlan-relation"),
    "stp": ("stp-m-lag-priority",),
    "mac": ("mac-aging-time", "static-mac"),
    "arp": ("arp-aging-time", "static-arp"),
    "vlanif": ("vlanif-configuration", "ipv4-address", "ipv6-address", "vrrp4", "virtual-mac", "vlanif-status",
               "vlanif-bypass", "arp-timeout"),
    "vxlan": ("bd-configuration", "vbdif-configuration", "ipv4-address", "ipv6-address", "virtual-mac",
              "vbdif-status"),
}  # fmt: skip


def _check(data: etree._Element) -> etree._Element | None:
    state = state_of(data)
    return None if state is None else state.find(f"{{{DML}}}consistency")


def _shown(value: str) -> str:
    values = value.split(",")
    return value if len(values) <= _LIST else ",".join(values[:_LIST]) + ",..."


def _table_of(rows: Iterable[etree._Element]) -> str:
    head = ("Configuration", "Type", "Local value", "Peer value")
    return "\n".join(columns((26, 6, 30, 0), [head, *map(_cells, rows)], ruler_width=90))


def _cells(row: etree._Element) -> tuple[str, ...]:
    name = text_of(row, "name")
    values = (_shown(text_of(row, leaf)) for leaf in ("local-value", "peer-value"))
    return (CHECKED_ITEMS.get(name, name), text_of(row, "type"), *values)


def _global(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display dfs-group consistency-check global``: interfaces of VLANs belong to it as on the device."""
    rows = entries_of(data, "consistency", "item")
    return _table_of(row for row in rows if text_of(row, "scope").startswith(("global", "interface ")))


def _interface(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display dfs-group consistency-check interface { m-lag M | peer-link 1 }``."""
    scope = f"m-lag {given['id']}" if "id" in given else "peer-link"
    return _table_of(row for row in entries_of(data, "consistency", "item") if text_of(row, "scope") == scope)


def _status(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display dfs-group consistency-check status``."""
    check = _check(data)
    modes = {label: text_of(check, leaf) for label, leaf in (("Local", "local-mode"), ("Peer", "peer-mode"))}
    heads = [
        f"{label + ' Status':<15}: {mode if mode == NONE else 'Disable' if mode == 'disable' else 'Enable'}"
        for label, mode in modes.items()
    ]
    rows = [("Configuration", "Send times", "Failed times")]
    rows += [
        (CHECKED_ITEMS.get(text_of(row, "name"), ""), text_of(row, "sent"), text_of(row, "failed"))
        for row in entries_of(data, "consistency", "item-statistics")
    ]
    return "\n".join([*heads, *columns((30, 16, 0), rows, ruler_width=60)])


def _packets(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display dfs-group consistency-check packet configuration``."""
    check = _check(data)
    words = {"true": "Enable", "false": "Disable"}
    labels = (("Receive", "receive-enabled"), ("Send", "send-enabled"))
    return "\n".join(f"{label:<8}: {words.get(text_of(check, leaf), NONE)}" for label, leaf in labels)


def _whitelist(running: Node, data: etree._Element, given: Mapping[str, str]) -> str:
    """``display m-lag consistency-check whitelist status``: Y is not compared."""
    path = (("m-lag", ""), ("dfs-groups", ""), ("dfs-group", "1"), ("consistency-check", ""), ("whitelist", ""))
    listed = running.find(path)
    there = {(leaf, value) for leaf, value in (listed.children if listed is not None else {})}
    rows = [("module", "service-type", "whitelist")]
    rows += [
        (module if number == 0 else "", service, "Y" if (module, service) in there else "N")
        for module, services in _WHITELIST.items()
        for number, service in enumerate(services)
    ]
    return "\n".join(columns((12, 28, 0), rows, ruler_width=50))


DISPLAYS: Final = (
    Display(Pattern("display dfs-group consistency-check global"), _global),
    Display(Pattern("display dfs-group consistency-check interface m-lag <id:1-2048>"), _interface),
    Display(Pattern("display dfs-group consistency-check interface peer-link 1"), _interface),
    Display(Pattern("display dfs-group consistency-check status"), _status),
    Display(Pattern("display dfs-group consistency-check packet configuration"), _packets),
    Display(Pattern("display m-lag consistency-check whitelist status"), _whitelist),
)
