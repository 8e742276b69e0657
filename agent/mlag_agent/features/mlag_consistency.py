"""The consistency check of dfs-m-lag: which values of a configuration are compared, and the state of the check."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from mlag_agent.data.tree import Container, LeafList
from mlag_agent.features.ports import interface_rows, m_lag_addresses
from mlag_agent.mlag.config import CheckMode, ConsistencyConfig, ConsistencyValue
from mlag_agent.mlag.consistency import Item
from mlag_agent.mlag.consistency_wire import MAX_COMPARED, MAX_VALUE
from mlag_agent.mlag.state import ConsistencyState

__all__ = ["COMPARED_PATHS", "consistency_config", "consistency_state"]

COMPARED_PATHS: Final = (
    "/dfs-m-lag:m-lag/dfs-m-lag-interfaces:vlans",
    "/ietf-interfaces:interfaces/interface/ietf-ip:ipv4/address",
)
"""What the check looks at beyond what the engine looks at anyway."""


_ADDRESS_ITEMS: Final = {
    "ipv4/address": Item.M_LAG_IPV4,
    "ipv6-address": Item.M_LAG_IPV6,
    "ipv6-link-local-address": Item.M_LAG_LINK_LOCAL,
}


def consistency_config(root: Container, group: Container) -> ConsistencyConfig:
    """The check of a group, and the values of the whole configuration that it compares."""
    check = group.container("consistency-check")
    mode = CheckMode.DISABLE if check is None else CheckMode(check.leaf("mode") or CheckMode.DISABLE)
    if mode is CheckMode.DISABLE:
        return ConsistencyConfig()
    whitelist = check.container("whitelist") if check is not None else None
    out = frozenset(
        (node.name, service)
        for node, services in (whitelist.children.items() if whitelist is not None else ())
        if isinstance(services, LeafList)
        for service in services.values
    )
    # Two interfaces whose names differ behind the 245th byte would share a scope: the last one counts.
    found = {(value.scope, value.item): value for value in islice(_values(root, group), MAX_COMPARED)}
    return ConsistencyConfig(mode, out, tuple(sorted(found.values())))


def _values(root: Container, group: Container) -> Iterator[ConsistencyValue]:
    election = group.named("active-standby-election")
    yield _value("global", Item.ELECTION_MODE, sorted(election.values) if isinstance(election, LeafList) else ())
    m_lag = root.named("m-lag")
    vlans = m_lag.named("vlans") if isinstance(m_lag, Container) else None
    if isinstance(vlans, Container):
        yield _value("global", Item.VLAN, (row.leaf("vlan-id") or "" for row in vlans.entries("vlan")))
    members: list[str] = []
    for row in interface_rows(root):
        yield from _of_interface(row, members)
    if members:
        yield _value("global", Item.M_LAG_ID, sorted(members, key=int))


def _of_interface(row: Container, members: list[str]) -> Iterator[ConsistencyValue]:
    name = row.leaf("name") or ""
    if (row.leaf("type") or "").endswith("l3ipvlan"):
        ipv4 = row.named("ipv4")
        addresses = ipv4.entries("address") if isinstance(ipv4, Container) else ()
        texts = [f"{entry.leaf('ip')}/{entry.leaf('prefix-length')}" for entry in addresses]
        if texts:
            yield _value(f"interface {name}"[:MAX_VALUE], Item.VLANIF_IPV4, texts)
    m_lag = row.named("m-lag")
    if not isinstance(m_lag, Container):
        return
    member, link = m_lag.container("member"), m_lag.container("peer-link")
    if member is not None:
        number = member.leaf("m-lag-id") or ""
        members.append(number)
        mode = "dual-active" if member.leaf("active-standby") is None else "active-standby"
        yield _value(f"m-lag {number}", Item.M_LAG_MODE, (mode,))
    excluded = link.named("exclude-vlan") if link is not None else None
    if isinstance(excluded, LeafList):
        yield _value("peer-link", Item.EXCLUDE_VLAN, sorted(excluded.values, key=int))
    for leaf, address in m_lag_addresses(m_lag):
        yield _value(f"interface {name}"[:MAX_VALUE], _ADDRESS_ITEMS[leaf], (address,))


def _value(scope: str, item: Item, texts: Iterable[str]) -> ConsistencyValue:
    """Joined; what is longer than a datagram can say ends with a digest of the whole, so that it still compares."""
    whole = ",".join(texts)
    if len(whole.encode()) > MAX_VALUE:
        digest = hashlib.sha256(whole.encode()).hexdigest()[:16]
        whole = whole.encode()[: MAX_VALUE - 32].decode(errors="ignore") + f",... (digest {digest})"
    return ConsistencyValue(scope, str(item), whole)


def consistency_state(state: ConsistencyState | None) -> dict[str, Any] | None:
    """``dfs-group/state/consistency``."""
    if state is None:
        return None
    failed = [row for row in state.rows if not row.consistent]
    return {
        "local-mode": state.mode,
        "peer-mode": state.peer_mode,
        "send-enabled": state.mode is not CheckMode.DISABLE,
        "receive-enabled": state.mode is not CheckMode.DISABLE,
        "result": None if not state.compared else "failed" if failed else "success",
        "item": [
            {
                "scope": row.scope,
                "name": row.item,
                "type": row.kind,
                "local-value": row.local,
                "peer-value": row.peer,
                "consistent": row.consistent,
            }
            for row in state.rows
        ],
        "item-statistics": [
            {"name": item, "sent": state.sent.get(item, 0), "failed": state.failures.get(item, 0)}
            for item in sorted(state.sent.keys() | state.failures.keys())
        ],
    }
