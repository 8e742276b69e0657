"""Interfaces of ``ietf-interfaces`` as the engine's ports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mlag_agent.data.tree import Container
from mlag_agent.mlag import PortConfig, PortKind, Unpaired

__all__ = ["configured_ports", "interface_rows", "m_lag_addresses", "port_of"]

_KINDS = {
    "ethernetCsmacd": PortKind.PHYSICAL,
    "gigabitEthernet": PortKind.PHYSICAL,
    "ieee8023adLag": PortKind.PHYSICAL,
    "l3ipvlan": PortKind.LOGICAL,
    "softwareLoopback": PortKind.LOGICAL,
    "vbdif": PortKind.LOGICAL,
}
_MANAGEMENT = "MEth"
"""Management interfaces of the device are named MEth0/0/0; there is no type for them."""


def interface_rows(root: Container) -> Iterable[Container]:
    """The interfaces of a configuration."""
    interfaces = root.named("interfaces")
    return interfaces.entries("interface") if isinstance(interfaces, Container) else ()


def m_lag_addresses(m_lag: Container) -> Iterator[tuple[str, str]]:
    """The M-LAG addresses of an interface: the leaf below its ``m-lag``, as a path, and the value."""
    ipv4 = m_lag.container("ipv4") if m_lag.schema.child("ipv4") is not None else None
    if ipv4 is not None:
        yield "ipv4/address", ipv4.leaf("address") or ""
    for leaf in ("ipv6-address", "ipv6-link-local-address"):
        value = m_lag.leaf(leaf) if m_lag.schema.child(leaf) is not None else None
        if value is not None:
            yield leaf, value


def configured_ports(root: Container) -> Iterator[PortConfig]:
    """Interfaces of a configuration that have a part in M-LAG."""
    for entry in interface_rows(root):
        if isinstance(entry.named("m-lag"), Container):
            yield port_of(entry)


def port_of(entry: Container) -> PortConfig:
    """One interface."""
    name = entry.leaf("name") or ""
    kind = _KINDS.get((entry.leaf("type") or "").rpartition(":")[2], PortKind.OTHER)
    if name.startswith(_MANAGEMENT):
        kind = PortKind.MANAGEMENT
    enabled = entry.leaf("enabled") == "true"
    m_lag = entry.named("m-lag")
    if not isinstance(m_lag, Container):
        return PortConfig(name, kind, enabled=enabled)
    member = m_lag.container("member")
    unpaired = m_lag.leaf("unpaired-port")
    return PortConfig(
        name,
        kind,
        m_lag_id=None if member is None else int(member.leaf("m-lag-id") or 0),
        peer_link=m_lag.container("peer-link") is not None,
        uplink=m_lag.leaf("uplink-port") is not None,
        unpaired=None if unpaired is None else Unpaired(unpaired),
        enabled=enabled,
        active_standby=member is not None and member.leaf("active-standby") is not None,
    )
