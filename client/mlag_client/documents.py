"""Requests as XML and replies as values: pure functions between ``model`` and the two YANG modules.

Requests name every namespace, so that they hold for a strict server and for every device handler of ncclient
(docs/client.md).  The filters are complete ``<filter>`` elements: all releases of ncclient take those as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lxml import etree

from mlag_client import pair_state
from mlag_client.errors import InvalidRequest, UnexpectedReply
from mlag_client.model import (
    BackupRates,
    ChannelState,
    DownReason,
    ElectionOutcome,
    Entry,
    EntryKind,
    EntryPage,
    EntryPath,
    EntrySelector,
    EntryStatistics,
    EntryType,
    Fault,
    GroupState,
    Link,
    PeerAnnouncement,
    PeerLinkSource,
    PeerLinkState,
    Snapshot,
    TableState,
)
from mlag_client.reply_node import ReplyNode

__all__ = [
    "BASE",
    "MLAG",
    "NETWORK_INSTANCE",
    "SIMULATOR",
    "config_delete_authentication",
    "config_delete_group",
    "config_delete_source",
    "config_rates",
    "config_set_source",
    "config_vpn_instance",
    "filter_of",
    "group_filter",
    "has_group",
    "read_entries",
    "read_number",
    "read_outcome",
    "read_rates",
    "read_snapshot",
    "read_source",
    "read_state",
    "rpc_with_leaves",
    "selector_leaves",
    "simulator_filter",
    "snapshot_filter",
]

BASE: Final = "urn:ietf:params:xml:ns:netconf:base:1.0"
MLAG: Final = "urn:mlag-agent:yang:dfs-m-lag"
SIMULATOR: Final = "urn:mlag-agent:yang:mlag-simulator"
NETWORK_INSTANCE: Final = "urn:ietf:params:xml:ns:yang:ietf-network-instance"

# lxml takes None as the prefix of the default namespace, its stubs know text only.
_DEFAULT: Final[Any] = None
_OPERATION: Final = f"{{{BASE}}}operation"

Leaves = Sequence[tuple[str, object]]


# --- requests -----------------------------------------------------------------------------------------------


def _add(parent: etree._Element, name: str, text: object = None, operation: str | None = None) -> etree._Element:
    """A child in the parent's namespace."""
    child = etree.SubElement(parent, f"{{{etree.QName(parent).namespace}}}{name}")
    if text is not None:
        try:
            child.text = str(text)
        except ValueError as error:
            raise InvalidRequest(f"{name} {str(text)!r} holds characters that cannot be sent") from error
    if operation is not None:
        child.set(_OPERATION, operation)
    return child


def _config(name: str, namespace: str) -> tuple[etree._Element, etree._Element]:
    """``<config>`` and its one child."""
    config = etree.Element(f"{{{BASE}}}config", nsmap={"nc": BASE})
    return config, etree.SubElement(config, f"{{{namespace}}}{name}", nsmap={_DEFAULT: namespace})


def _group(group: int, operation: str | None = None) -> tuple[etree._Element, etree._Element]:
    config, m_lag = _config("m-lag", MLAG)
    row = _add(_add(m_lag, "dfs-groups"), "dfs-group", operation=operation)
    _add(row, "id", group)
    return config, row


def config_set_source(source: PeerLinkSource, group: int, password: str | None) -> etree._Element:
    """The form as a whole: ``replace``, so that a VPN instance set before and not named now goes."""
    config, row = _group(group)
    if password is not None:
        _add(_add(row, "authentication"), "password", password)
    form = _add(_add(row, "peer-link-source"), source.form, operation="replace")
    _add(form, "local-address", source.local)
    _add(form, "peer-address", source.peer)
    if source.vpn_instance is not None:
        _add(form, "vpn-instance", source.vpn_instance)
    _add(form, "tcp-port", source.tcp_port)
    return config


def config_delete_source(form: str, group: int) -> etree._Element:
    """Delete one form; the agent answers data-missing when it is not there."""
    config, row = _group(group)
    _add(_add(row, "peer-link-source"), form, operation="delete")
    return config


def config_delete_authentication(group: int) -> etree._Element:
    """No authentication of the packets any more; no error when there was none."""
    config, row = _group(group)
    _add(row, "authentication", operation="remove")
    return config


def config_delete_group(group: int) -> etree._Element:
    """``undo dfs-group``; no error when there was none."""
    return _group(group, operation="remove")[0]


def config_rates(rates: BackupRates, *, reset: bool) -> etree._Element:
    """Set the rates that are not ``None``; with ``reset`` remove the others, so that the default holds."""
    config, m_lag = _config("m-lag", MLAG)
    overall = _add(m_lag, "global")
    for leaf, value in (("arp-backup-rate", rates.arp), ("nd-backup-rate", rates.nd)):
        if value is not None:
            _add(overall, leaf, value)
        elif reset:
            _add(overall, leaf, operation="remove")
    return config


def config_vpn_instance(name: str, operation: str) -> etree._Element:
    """A VPN instance as RFC 8529 network instance; ``operation`` as in RFC 6241 section 7.2."""
    config, instances = _config("network-instances", NETWORK_INSTANCE)
    _add(_add(instances, "network-instance", operation=operation), "name", name)
    return config


def filter_of(*subtrees: etree._Element) -> etree._Element:
    """A subtree filter with the given top-level elements."""
    element = etree.Element(f"{{{BASE}}}filter", {"type": "subtree"}, nsmap={"nc": BASE})
    element.extend(subtrees)
    return element


def _m_lag_subtree(group: int) -> etree._Element:
    m_lag = etree.Element(f"{{{MLAG}}}m-lag", nsmap={_DEFAULT: MLAG})
    _add(_add(_add(m_lag, "dfs-groups"), "dfs-group"), "id", group)
    _add(m_lag, "global")
    return m_lag


def _simulator_subtree() -> etree._Element:
    return etree.Element(f"{{{SIMULATOR}}}simulator", nsmap={_DEFAULT: SIMULATOR})


def group_filter(group: int) -> etree._Element:
    """The group's row and the global rates."""
    return filter_of(_m_lag_subtree(group))


def simulator_filter() -> etree._Element:
    """Tables and faults."""
    return filter_of(_simulator_subtree())


def snapshot_filter(group: int) -> etree._Element:
    """All that ``read_snapshot`` wants, in one ``<get>``."""
    return filter_of(_m_lag_subtree(group), _simulator_subtree())


def rpc_with_leaves(name: str, leaves: Leaves) -> etree._Element:
    """An rpc of ``mlag-simulator``; leaves that are ``None`` are left out."""
    rpc = etree.Element(f"{{{SIMULATOR}}}{name}", nsmap={_DEFAULT: SIMULATOR})
    for leaf, value in leaves:
        if value is not None:
            _add(rpc, leaf, value)
    return rpc


def selector_leaves(selector: EntrySelector | None) -> Leaves:
    """The leaves of grouping ``selector``."""
    if selector is None:
        return ()
    return (
        ("type", selector.type),
        ("start-address", selector.start_address),
        ("count", selector.count),
        ("interface", selector.interface),
        ("vlan", selector.vlan),
    )


# --- replies ------------------------------------------------------------------------------------------------


def _top(data: etree._Element, name: str, namespace: str) -> ReplyNode | None:
    found = data.find(f"{{{namespace}}}{name}")
    return None if found is None else ReplyNode(found, namespace)


def _group_row(data: etree._Element, group: int) -> ReplyNode | None:
    m_lag = _top(data, "m-lag", MLAG)
    groups = m_lag.child("dfs-groups") if m_lag is not None else None
    rows = groups.children("dfs-group") if groups is not None else iter(())
    return next((row for row in rows if row.number("id") == group), None)


def has_group(data: etree._Element, group: int) -> bool:
    """Whether the group is in ``<data>``."""
    return _group_row(data, group) is not None


def read_number(reply: etree._Element, name: str) -> int:
    """A number in the output of an rpc of ``mlag-simulator``."""
    return ReplyNode(reply, SIMULATOR).number(name)


def read_outcome(reply: etree._Element) -> ElectionOutcome:
    """What an election packet did, in the output of ``receive-election-packet``."""
    return ReplyNode(reply, SIMULATOR).word("outcome", ElectionOutcome)


def read_source(data: etree._Element, group: int) -> PeerLinkSource | None:
    """The peer-link source of a group in ``<data>``."""
    row = _group_row(data, group)
    return None if row is None else _source(row)


def _source(row: ReplyNode) -> PeerLinkSource | None:
    form = row.child("peer-link-source", "ipv4") or row.child("peer-link-source", "ipv6")
    if form is None:
        return None
    return PeerLinkSource(
        form.address("local-address"),
        form.address("peer-address"),
        form.number("tcp-port"),
        form.text("vpn-instance"),
    )


def read_rates(data: etree._Element) -> BackupRates:
    """The configured rates."""
    m_lag = _top(data, "m-lag", MLAG)
    overall = m_lag.child("global") if m_lag is not None else None
    if overall is None:
        return BackupRates(None, None)
    return BackupRates(overall.optional_number("arp-backup-rate"), overall.optional_number("nd-backup-rate"))


def read_state(data: etree._Element, group: int) -> GroupState | None:
    """The state of a group; ``None`` when the group is not configured."""
    row = _group_row(data, group)
    state = row.child("state") if row is not None else None
    if state is None:
        return None
    link, channel = state.child("peer-link"), state.child("sync-channel")
    if link is None or channel is None:
        raise UnexpectedReply("the reply has no peer-link or sync-channel in the group's state")
    return GroupState(
        group_id=group,
        peer_link=PeerLinkState(
            up=link.required("oper-status") == "up",
            last_change=link.time("last-change"),
            hellos_sent=link.count("hellos-sent"),
            hellos_received=link.count("hellos-received"),
        ),
        peer=_peer(state.child("peer")),
        channel=_channel(channel),
        paired=state.text("pair-state") == "paired",
        nodes=pair_state.read_nodes(state),
        heartbeat=pair_state.read_heartbeat(state),
        members=pair_state.read_members(state),
    )


def _peer(peer: ReplyNode | None) -> PeerAnnouncement | None:
    if peer is None:
        return None
    return PeerAnnouncement(
        device=peer.text("device"),
        model=peer.text("model"),
        group_id=peer.optional_number("dfs-group-id"),
        local_address=peer.optional_address("local-address"),
        peer_address=peer.optional_address("peer-address"),
        tcp_port=peer.optional_number("tcp-port"),
    )


def _channel(channel: ReplyNode) -> ChannelState:
    return ChannelState(
        up=channel.required("oper-status") == "up",
        down_reason=_reason(channel.text("down-reason")),
        detail=channel.text("detail") or "",
        role=channel.text("role"),
        local_address=channel.optional_address("local-address"),
        peer_address=channel.optional_address("peer-address"),
        tcp_port=channel.optional_number("tcp-port"),
        vpn_instance=channel.text("vpn-instance"),
        entry_path=channel.optional_word("entry-path", EntryPath),
        last_change=channel.time("last-change"),
        established=channel.count("established"),
        connect_attempts=channel.count("connect-attempts"),
        authentication_failures=channel.count("authentication-failures"),
        protocol_errors=channel.count("protocol-errors"),
        statistics=tuple(map(_statistics, channel.children("entry-statistics"))),
    )


def _reason(text: str | None) -> DownReason | str | None:
    """A newer agent may have more reasons: its word is worth more than an error about it."""
    return DownReason(text) if text in set(DownReason) else text


def _statistics(row: ReplyNode) -> EntryStatistics:
    return EntryStatistics(
        type=row.word("type", EntryType),
        sent=row.count("sent"),
        received=row.count("received"),
        withdrawn=row.count("withdrawn"),
        withdrawals_received=row.count("withdrawals-received"),
        dropped_capacity=row.count("dropped-capacity"),
        throttled=row.count("throttled"),
        pending=row.count("pending"),
    )


def read_snapshot(data: etree._Element, group: int) -> Snapshot:
    """Everything about the group and the tables."""
    row = _group_row(data, group)
    simulator = _top(data, "simulator", SIMULATOR)
    tables: tuple[TableState, ...] = ()
    faults: tuple[tuple[Link, Fault], ...] = ()
    if simulator is not None:
        tables = tuple(map(_table, simulator.children("table")))
        faults = tuple(
            (link, simulator.word(f"{link}-fault", Fault)) for link in Link if simulator.text(f"{link}-fault")
        )
    return Snapshot(
        source=None if row is None else _source(row),
        authenticated=row is not None and row.child("authentication") is not None,
        state=read_state(data, group),
        tables=tables,
        faults=faults,
    )


def _table(row: ReplyNode) -> TableState:
    return TableState(
        type=row.word("type", EntryType),
        capacity=row.number("capacity"),
        entries=row.number("entries"),
        local_dynamic=row.count("local-dynamic"),
        local_static=row.count("local-static"),
        local_interface=row.count("local-interface"),
        from_peer=row.count("from-peer"),
        digest=row.required("digest"),
    )


def read_entries(reply: etree._Element, offset: int) -> EntryPage:
    """The output of ``list-entries``."""
    output = ReplyNode(reply, SIMULATOR)
    return EntryPage(
        total=output.number("total"),
        offset=offset,
        entries=tuple(
            Entry(
                address=row.address("address"),
                vlan=row.number("vlan"),
                mac=row.required("mac"),
                interface=row.text("interface"),
                kind=row.word("kind", EntryKind),
                origin=row.required("origin"),
            )
            for row in output.children("entry")
        ),
    )
