"""``DfsClient``: the calls for the DFS group and the simulated device, on one NETCONF session."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from lxml import etree

from mlag_client import documents
from mlag_client.errors import (
    ChannelNotUp,
    GroupMissing,
    NoEvent,
    NotConfigured,
    NotConverged,
    NotInTime,
    UndoMismatch,
)
from mlag_client.events import COMPLETE, Event
from mlag_client.model import (
    BackupRates,
    DownReason,
    ElectionOutcome,
    ElectionPacket,
    Entry,
    EntryKind,
    EntryPage,
    EntrySelector,
    Fault,
    GroupState,
    IPAddress,
    LearnResult,
    Link,
    PeerLinkSource,
    Snapshot,
    TableState,
)
from mlag_client.session import Manager, Session, open_manager

__all__ = ["DfsClient", "connect"]

INTERVAL = 0.25
"""Seconds between two looks at the state; a look itself takes about 0.1 s (see ``session``)."""

PAGE = 1000
"""Entries per ``list-entries``: the module's default; at most 10000."""


def connect(
    host: str,
    port: int,
    username: str,
    password: str | None = None,
    key_filename: str | Path | None = None,
    *,
    timeout: float = 30.0,
    hostkey_verify: bool | None = None,
    known_hosts: str | Path | None = None,
    device_name: str = "default",
) -> DfsClient:
    """Open a session; ``with connect(...) as client:`` ends it.

    Arguments and errors are those of ``mlag_client.session.open_manager``; ``device_name`` is ncclient's device
    handler, ``huaweiyang`` for programs that talk to the real device with the same code.
    """
    return DfsClient(
        open_manager(
            host,
            port,
            username,
            password,
            key_filename,
            timeout=timeout,
            hostkey_verify=hostkey_verify,
            known_hosts=known_hosts,
            device_name=device_name,
        )
    )


class DfsClient:
    """Typed calls on a connected ncclient ``Manager``, which stays usable as ``client.manager``.

    Every call raises RpcFailed when the agent refuses, SessionLost and ReplyTimeout when there is no answer, and
    UnexpectedReply when the answer does not follow the module.  Not safe for several threads at a time, as the
    candidate datastore is one.
    """

    def __init__(self, connected: Manager) -> None:
        self.session = Session(connected)

    @property
    def manager(self) -> Manager:
        """ncclient's Manager, for what this class has no call for."""
        return self.session.manager

    def close(self) -> None:
        """End the session."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- configuration --------------------------------------------------------------------------------------

    def peer_link(self, *, group: int = 1, datastore: str = "running") -> PeerLinkSource | None:
        """The configured peer-link source, ``None`` when there is none."""
        return documents.read_source(self.session.get_config(datastore, documents.group_filter(group)), group)

    def set_peer_link(self, source: PeerLinkSource, *, group: int = 1, password: str | None = None) -> None:
        """``peer-link source``: all parameters at once, in one commit.

        The group is made when it is missing.  The same form (IPv4 or IPv6) is overwritten as a whole; while the other
        form is configured the agent refuses, as the command page demands: undo that first.  ``password`` sets the
        group's authentication in the same commit, ``None`` leaves it as it is.  The VPN instance has to exist
        (``add_vpn_instance``).  Nothing stays behind when the agent refuses.
        """
        self.session.change(lambda: documents.config_set_source(source, group, password))

    def undo_peer_link(self, source: PeerLinkSource, *, group: int = 1) -> None:
        """``undo peer-link source``: every parameter is given again and has to be the configured one (command page).

        Addresses are compared as addresses, the VPN instance's name with its case.  Raises NotConfigured, and
        UndoMismatch with every parameter that differs; then nothing is changed.
        """

        def checked() -> etree._Element:
            configured = self.peer_link(group=group, datastore="candidate")
            if configured is None:
                raise NotConfigured(f"DFS group {group} has no peer-link source")
            differences = configured.differences(source)
            if differences:
                raise UndoMismatch(configured, source, differences)
            return documents.config_delete_source(configured.form, group)

        self.session.change(checked)

    def undo_authentication(self, *, group: int = 1) -> None:
        """Send and accept packets without a digest; no error when that is so already."""
        self._need_group(group, lambda: documents.config_delete_authentication(group))

    def undo_group(self, *, group: int = 1) -> None:
        """``undo dfs-group``: the group and all in it; no error when it is not there."""
        self.session.change(lambda: documents.config_delete_group(group))

    def rates(self) -> BackupRates:
        """The configured backup rates in entries per second."""
        return documents.read_rates(self.session.get_config("running", documents.group_filter(1)))

    def set_rates(self, *, arp: int | None = None, nd: int | None = None) -> None:
        """``arp remote-backup-rate limit`` and ``ipv6 nd remote-backup-rate limit``; ``None`` leaves one as it is."""
        if arp is None and nd is None:
            raise ValueError("give at least one rate")
        self.session.change(lambda: documents.config_rates(BackupRates(arp, nd), reset=False))

    def undo_rates(self) -> None:
        """Both rates back to the device's default."""
        self.session.change(lambda: documents.config_rates(BackupRates(None, None), reset=True))

    def add_vpn_instance(self, name: str) -> None:
        """Make a VPN instance, as network instance of RFC 8529; no error when it exists."""
        self.session.change(lambda: documents.config_vpn_instance(name, "merge"))

    def remove_vpn_instance(self, name: str) -> None:
        """Remove a VPN instance; refused while a peer-link source refers to it."""
        self.session.change(lambda: documents.config_vpn_instance(name, "delete"))

    def _need_group(self, group: int, make: Callable[[], etree._Element]) -> None:
        """Change within a group that has to be there: a merge would make it."""

        def checked() -> etree._Element:
            if not documents.has_group(self.session.get_config("candidate", documents.group_filter(group)), group):
                raise GroupMissing(group)
            return make()

        self.session.change(checked)

    # --- state ----------------------------------------------------------------------------------------------

    def state(self, *, group: int = 1) -> GroupState:
        """The group's state; raises GroupMissing when the group is not configured."""
        state = documents.read_state(self.session.get(documents.group_filter(group)), group)
        if state is None:
            raise GroupMissing(group)
        return state

    def snapshot(self, *, group: int = 1) -> Snapshot:
        """Configuration, state, tables and faults, read with one ``<get>``."""
        return documents.read_snapshot(self.session.get(documents.snapshot_filter(group)), group)

    def tables(self) -> tuple[TableState, ...]:
        """The tables of the simulated device."""
        return documents.read_snapshot(self.session.get(documents.simulator_filter()), 1).tables

    def watch(self, *, interval: float = INTERVAL, group: int = 1) -> Iterator[Snapshot]:
        """A snapshot now and then every ``interval`` seconds, without end."""
        while True:
            yield self.snapshot(group=group)
            time.sleep(interval)

    def wait_until_up(self, timeout: float = 30.0, interval: float = INTERVAL, *, group: int = 1) -> GroupState:
        """The state once the channel is up; raises ChannelNotUp with the agent's last reason after ``timeout`` s.

        A reason such as port-mismatch does not end the wait: the other device may be about to be configured.
        """
        deadline = time.monotonic() + timeout
        for snapshot in self.watch(interval=interval, group=group):
            state = snapshot.state
            if state is not None and state.channel.up:
                return state
            if time.monotonic() + interval > deadline:
                raise not_up(timeout, state, group)
        raise AssertionError("watch has no end")

    def wait_until(
        self,
        wanted: Callable[[GroupState], bool],
        what: str,
        timeout: float = 30.0,
        interval: float = INTERVAL,
        *,
        group: int = 1,
    ) -> GroupState:
        """The state once ``wanted`` holds of it; raises NotInTime with ``what`` after ``timeout`` seconds.

        ``client.wait_until(lambda state: state.role == "master", "this device to be Master")``.
        """
        deadline = time.monotonic() + timeout
        for snapshot in self.watch(interval=interval, group=group):
            if snapshot.state is not None and wanted(snapshot.state):
                return snapshot.state
            if time.monotonic() + interval > deadline:
                without = "" if snapshot.state is not None else f"; DFS group {group} is not configured"
                raise NotInTime(f"waited {timeout:g} s in vain for {what}{without}", timeout)
        raise AssertionError("watch has no end")

    def wait_until_converged(
        self, peer: DfsClient, timeout: float = 30.0, interval: float = INTERVAL, *, group: int = 1
    ) -> tuple[TableState, ...]:
        """The tables once nothing waits to be sent on either device and both show the same digests.

        Raises NotConverged with what is still missing after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        for ours in self.watch(interval=interval, group=group):
            missing = not_converged(ours, peer.snapshot(group=group))
            if not missing:
                return ours.tables
            if time.monotonic() + interval > deadline:
                raise NotConverged(f"not converged after {timeout:g} s: {missing}", timeout)
        raise AssertionError("watch has no end")

    # --- events -----------------------------------------------------------------------------------------------

    def subscribe(
        self,
        *,
        stream: str | None = None,
        filter_element: etree._Element | None = None,
        start: datetime | None = None,
        stop: datetime | None = None,
    ) -> None:
        """Have events sent on this session, past ones since ``start`` first, until ``stop`` (RFC 5277).

        Other calls go on meanwhile.  One subscription to a session; ``filter_element``: a ``<filter>`` whose children
        are those of a subtree filter (RFC 6241 section 6).  Raises RpcFailed.
        """
        self.session.subscribe(stream=stream, filter_element=filter_element, start=start, stop=stop)

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """Each event as it arrives, until the subscription has ended or none has come for ``timeout`` seconds."""
        while (event := self.session.next_event(timeout)) is not None:
            if event.name == COMPLETE:
                return
            yield event

    def wait_for_event(self, name: str, timeout: float = 30.0, **leaves: str) -> Event:
        """The next event of that name with these leaves; those before it are passed over.

        ``wait_for_event("sync-channel-down", reason="port-mismatch")``.  Subscribe first.  Raises NoEvent after
        ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        last: Event | None = None
        while (event := self.session.next_event(max(0.0, deadline - time.monotonic()))) is not None:
            if event.name == name and event.matches(**leaves):
                return event
            last = event
        wanted = " ".join((name, *(f"{leaf}={text}" for leaf, text in leaves.items())))
        raise NoEvent(f"no {wanted} in {timeout:g} s; the last event was: {last or 'none at all'}", timeout)

    # --- the simulated device -------------------------------------------------------------------------------

    def learn(
        self,
        start_address: IPAddress | str,
        count: int = 1,
        *,
        interface: str,
        vlan: int,
        kind: EntryKind = EntryKind.DYNAMIC,
        start_mac: str | None = None,
    ) -> LearnResult:
        """Make the device learn ``count`` consecutive addresses; IPv4 makes ARP, IPv6 ND entries."""
        reply = self._simulator(
            "learn-entries",
            ("start-address", start_address),
            ("count", count),
            ("interface", interface),
            ("vlan", vlan),
            ("kind", kind),
            ("start-mac", start_mac),
        )
        return LearnResult(documents.read_number(reply, "learned"), documents.read_number(reply, "refused"))

    def age(self, selector: EntrySelector | None = None) -> int:
        """Local dynamic entries age out; how many did."""
        return documents.read_number(self._simulator("age-entries", *documents.selector_leaves(selector)), "removed")

    def flush(self, selector: EntrySelector | None = None) -> int:
        """Dynamic entries leave the table, those of the peer too; how many did."""
        return documents.read_number(self._simulator("flush-entries", *documents.selector_leaves(selector)), "removed")

    def entries(self, selector: EntrySelector | None = None, *, offset: int = 0, limit: int = PAGE) -> EntryPage:
        """One page of entries, at most ``limit`` (1 to 10000)."""
        leaves = documents.selector_leaves(selector)
        reply = self._simulator("list-entries", *leaves, ("offset", offset), ("limit", limit))
        return documents.read_entries(reply, offset)

    def all_entries(self, selector: EntrySelector | None = None, *, page: int = PAGE) -> Iterator[Entry]:
        """Every entry, page by page; the table may change between two pages."""
        offset = 0
        while True:
            found = self.entries(selector, offset=offset, limit=page)
            yield from found.entries
            offset += len(found.entries)
            if not found.entries or offset >= found.total:
                return

    def set_fault(self, link: Link, fault: Fault, *, delay: int | None = None) -> None:
        """Break a link, or mend it with ``Fault.NONE``; ``delay`` in milliseconds goes with ``Fault.DELAY`` only."""
        self._simulator("set-fault", ("link", link), ("fault", fault), ("delay", delay))

    def set_port_state(self, name: str, *, up: bool) -> None:
        """A port of the device stops to work, as when its cable is pulled, or works again."""
        self._simulator("set-port-state", ("name", name), ("state", "up" if up else "down"))

    def receive_election_packet(self, m_lag_id: int, packet: ElectionPacket) -> ElectionOutcome:
        """A packet of the server arrives over this device's interface of an active/standby M-LAG.

        The interface becomes the master member, or the outcome says why not.  Raises RpcFailed when no interface of the
        device is in that M-LAG.
        """
        reply = self._simulator("receive-election-packet", ("m-lag-id", m_lag_id), ("packet-type", packet))
        return documents.read_outcome(reply)

    def _simulator(self, name: str, *leaves: tuple[str, object]) -> etree._Element:
        return self.session.rpc(documents.rpc_with_leaves(name, leaves))


def not_up(timeout: float, state: GroupState | None, group: int) -> ChannelNotUp:
    """The error of a wait that has ended with this state."""
    if state is None:
        return ChannelNotUp(timeout, DownReason.UNCONFIGURED, f"DFS group {group} is not configured", None)
    channel = state.channel
    return ChannelNotUp(timeout, str(channel.down_reason or "unknown"), channel.detail, state)


def not_converged(ours: Snapshot, theirs: Snapshot) -> str:
    """What keeps two devices from having converged, one sentence; empty when they have."""
    for snapshot, name in ((ours, "this device"), (theirs, "the peer")):
        if snapshot.state is None:
            return f"{name} has no DFS group"
        if snapshot.state.channel.pending:
            return f"{snapshot.state.channel.pending} entries wait to be sent on {name}"
    digests = {table.type: table.digest for table in theirs.tables}
    different = [str(table.type) for table in ours.tables if digests.get(table.type) != table.digest]
    return f"the tables differ: {', '.join(different)}" if different else ""
