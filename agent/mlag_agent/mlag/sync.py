"""Moves entries between the tables and the session that is active: batches out with back-pressure, entries in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from mlag_agent.mlag.config import DEFAULT_RATE, EntryType, TableCapacity
from mlag_agent.mlag.events import EngineEvent, EntryLimit
from mlag_agent.mlag.link import Runner
from mlag_agent.mlag.replicate import Outgoing, Replicator
from mlag_agent.mlag.session import BatchEnded, EntriesReceived, SessionEvent, SessionState, WithdrawalsReceived
from mlag_agent.mlag.state import EntryStatistics, TableState
from mlag_agent.mlag.tables import NeighbourTable

__all__ = ["Synchroniser"]

STEPS_PER_TURN: Final = 8
"""Messages of each table sent before other tasks get their turn: 4,000 entries, some milliseconds."""


class Synchroniser:
    """The tables of one device and what the peer still has to be told of them."""

    def __init__(
        self,
        capacity: TableCapacity,
        now: Callable[[], float],
        wall: Callable[[], datetime],
        emit: Callable[[EngineEvent], None],
    ) -> None:
        self._now = now
        self._wall = wall
        self._emit = emit
        self._runner: Runner | None = None
        self.tables = {
            entry_type: NeighbourTable(entry_type, capacity.dynamic(entry_type), capacity.configured)
            for entry_type in EntryType
        }
        self._replicators = {
            entry_type: Replicator(table, DEFAULT_RATE, now()) for entry_type, table in self.tables.items()
        }
        self._received = dict.fromkeys(EntryType, 0)
        self._withdrawals_received = dict.fromkeys(EntryType, 0)
        self._dropped = dict.fromkeys(EntryType, 0)
        self._limited: set[EntryType] = set()

    def set_rate(self, entry_type: EntryType, rate: int | None) -> None:
        """Entries per second to the peer, ``None``: no limit."""
        self._replicators[entry_type].bucket.set_rate(rate, self._now())

    def attach(self, runner: Runner) -> None:
        """A session is active: both sides send their whole tables.

        Entries of the peer from before stay in use until it has named its own again: forwarding goes on while the
        devices find each other, and what is no longer true goes when the batch ends.
        """
        self._runner = runner
        for entry_type, replicator in self._replicators.items():
            replicator.start()
            self.tables[entry_type].begin_batch()

    def detach(self) -> None:
        """The session is gone. Entries of the peer stay until the next batch: the peer-link learns nothing by itself
        (DOMAIN 1.1), so dropping them would cut traffic for hosts that are still there."""
        self._runner = None
        for replicator in self._replicators.values():
            replicator.stop()

    def forget_peer(self) -> None:
        """The group is gone: no peer, no entries of it."""
        for entry_type, replicator in self._replicators.items():
            replicator.forget()
            self.tables[entry_type].clear_peer()

    def received(self, event: SessionEvent) -> None:
        """Entries, withdrawals and markers of the peer."""
        if isinstance(event, EntriesReceived):
            self._received[event.type] += len(event.entries)
            result = self.tables[event.type].install_peer(event.entries)
            if result.dropped:
                self._dropped[event.type] += result.dropped
                self.limit_reached(event.type, result.dropped)
        elif isinstance(event, WithdrawalsReceived):
            self._withdrawals_received[event.type] += len(event.keys)
            self.tables[event.type].withdraw_peer(event.keys)
        elif isinstance(event, BatchEnded):
            self.tables[event.type].end_batch()

    def limit_reached(self, entry_type: EntryType, dropped: int) -> None:
        """``dropped`` entries found no room; said once until there is room again."""
        if entry_type not in self._limited:
            self._limited.add(entry_type)
            self._emit(EntryLimit(self._wall(), entry_type, self.tables[entry_type].capacity, dropped))

    def pump(self) -> bool:
        """Send what may be sent now; true when more could be sent at once after others had their turn."""
        self._limited = {entry_type for entry_type in self._limited if self.tables[entry_type].full}
        runner = self._runner
        if runner is None:
            return False
        more = False
        for replicator in self._replicators.values():
            more = self._pump_one(runner, replicator) or more
        return more

    def next_deadline(self, now: float) -> float | None:
        """When the rate lets more through; ``None`` when nothing waits or the connection is the one that holds back."""
        if self._runner is None or not self._runner.connection.can_send:
            return None
        times = [at for replicator in self._replicators.values() if (at := replicator.wake_time(now)) is not None]
        return min(times, default=None)

    def table_states(self) -> tuple[TableState, ...]:
        """Summaries for the snapshot."""
        return tuple(
            TableState(
                type=entry_type,
                capacity=table.capacity,
                entries=table.entries,
                local_dynamic=table.local_dynamic,
                local_static=table.local_static,
                local_interface=table.local_interface,
                from_peer=table.from_peer,
                digest=self._replicators[entry_type].digest,
            )
            for entry_type, table in self.tables.items()
        )

    def statistics(self) -> tuple[EntryStatistics, ...]:
        """Counters for the snapshot."""
        return tuple(
            EntryStatistics(
                type=entry_type,
                sent=replicator.sent,
                received=self._received[entry_type],
                withdrawn=replicator.withdrawn,
                withdrawals_received=self._withdrawals_received[entry_type],
                dropped_capacity=self._dropped[entry_type],
                throttled=replicator.bucket.throttled,
                pending=replicator.pending,
            )
            for entry_type, replicator in self._replicators.items()
        )

    def _pump_one(self, runner: Runner, replicator: Replicator) -> bool:
        now = self._now()
        for _ in range(STEPS_PER_TURN):
            if not runner.connection.can_send or runner.session.state is not SessionState.ESTABLISHED:
                runner.flush()
                return False
            outgoing = replicator.next_outgoing(now)
            if outgoing is None:
                runner.flush()
                return False
            self._send(runner, replicator.type, outgoing, now)
        runner.flush()
        return True

    @staticmethod
    def _send(runner: Runner, entry_type: EntryType, outgoing: Outgoing, now: float) -> None:
        if outgoing.withdrawals:
            runner.session.send_withdrawals(entry_type, outgoing.withdrawals, now)
        if outgoing.records:
            runner.session.send_entries(entry_type, outgoing.records, now)
        if outgoing.end_of_batch:
            runner.session.send_end_of_batch(entry_type, now)
