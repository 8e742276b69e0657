"""Consistency check: the comparison as a pure function, parts on the wire, and the course over time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.mlag.config import CheckMode, ConsistencyConfig, ConsistencyValue, GroupConfig
from mlag_agent.mlag.consistency import ITEMS, MAX_SIMULATED, ConsistencyCheck, Item, compare
from mlag_agent.mlag.consistency_wire import (
    PART_SIZE,
    ConfigurationReceiver,
    decode_part,
    encode_configuration,
)
from mlag_agent.mlag.events import ConsistencyMismatch, ConsistencyResumed
from mlag_agent.mlag.state import PairRole
from mlag_agent.mlag.wire import ProtocolViolation

WALL = datetime(2026, 1, 1, tzinfo=UTC)
Values = Mapping[tuple[str, str], str]
Whitelist = frozenset[tuple[str, str]]
NOTHING: Whitelist = frozenset()

scopes = st.sampled_from(["global", "peer-link", "m-lag 1", "m-lag 2", "interface Vlanif10"])
items = st.sampled_from([str(item) for item in Item])
values = st.dictionaries(st.tuples(scopes, items), st.sampled_from(["a", "b"]), max_size=20)
lists = st.frozensets(st.sampled_from([spec.whitelist for spec in ITEMS.values() if spec.whitelist is not None]))


class TestCompare:
    @given(values, values, lists)
    def test_both_devices_find_the_same(
        self,
        mine: Values,
        theirs: Values,
        out: Whitelist,
    ) -> None:
        here, there = compare(mine, theirs, out), compare(theirs, mine, out)
        assert [(row.scope, row.item, row.consistent, row.local, row.peer) for row in here] == [
            (row.scope, row.item, row.consistent, row.peer, row.local) for row in there
        ]

    @given(values)
    def test_equal_configurations_are_consistent_but_for_addresses(self, both: Values) -> None:
        wrong = [row.item for row in compare(both, both, NOTHING) if not row.consistent]
        assert all(ITEMS[Item(item)].differs for item in wrong)
        assert len(wrong) == sum(ITEMS[Item(item)].differs for _, item in both)

    @given(values, values, lists)
    def test_a_whitelist_takes_out_its_items_and_no_other(
        self,
        mine: Values,
        theirs: Values,
        out: Whitelist,
    ) -> None:
        everything = compare(mine, theirs, NOTHING)
        assert list(compare(mine, theirs, out)) == [
            row for row in everything if ITEMS[Item(row.item)].whitelist not in out
        ]

    def test_an_m_lag_that_one_device_has_alone_is_one_difference(self) -> None:
        mine = {("global", "m-lag-id"): "1,2", ("m-lag 2", "m-lag-mode"): "dual-active"}
        (row,) = compare(mine, {("global", "m-lag-id"): "1"}, NOTHING)
        assert (row.item, row.local, row.peer, row.consistent) == ("m-lag-id", "1,2", "1", False)

    def test_what_a_newer_peer_has_more_is_left_alone(self) -> None:
        assert compare({}, {("global", "colour"): "red"}, NOTHING) == ()

    def test_type_1_cannot_be_on_a_whitelist(self) -> None:
        assert all(spec.whitelist is None for spec in ITEMS.values() if spec.kind == 1)


texts = st.text(max_size=40).filter(lambda text: len(text.encode()) <= 255)


records = st.builds(ConsistencyValue, texts, texts, texts)


class TestWire:
    @given(st.lists(records, max_size=120), st.sampled_from(CheckMode), st.data())
    def test_parts_in_any_order_give_the_whole(
        self, sent: list[ConsistencyValue], mode: CheckMode, data: st.DataObject
    ) -> None:
        bodies = encode_configuration(7, mode, tuple(sent))
        assert all(len(body) <= PART_SIZE + 16 for body in bodies)
        receiver = ConfigurationReceiver()
        got = [receiver.take(decode_part(body)) for body in data.draw(st.permutations(bodies))]
        assert got[:-1] == [None] * (len(bodies) - 1)
        assert got[-1] == (mode, tuple(sent))

    def test_parts_of_an_older_generation_are_forgotten(self) -> None:
        values = tuple(ConsistencyValue("global", str(number), "x" * 200) for number in range(12))
        old, new = (encode_configuration(number, CheckMode.LOOSE, values) for number in (1, 2))
        receiver = ConfigurationReceiver()
        receiver.take(decode_part(old[0]))
        assert [receiver.take(decode_part(body)) for body in new][-1] == (CheckMode.LOOSE, values)

    def test_more_than_can_be_told_is_refused(self) -> None:
        many = tuple(ConsistencyValue("global", str(number), "x" * 250) for number in range(20_000))
        with pytest.raises(ValueError, match="at most 4096"):
            encode_configuration(1, CheckMode.LOOSE, many)

    @given(st.binary(max_size=60))
    def test_broken_parts_are_violations_and_nothing_else(self, body: bytes) -> None:
        try:
            decode_part(body)
        except ProtocolViolation:
            pass
        else:
            assert len(body) >= 9


def check(mode: CheckMode, *values: ConsistencyValue) -> ConsistencyCheck:
    made = ConsistencyCheck(lambda: WALL)
    made.configure(GroupConfig(1, consistency=ConsistencyConfig(mode, NOTHING, values)))
    return made


def exchange(one: ConsistencyCheck, other: ConsistencyCheck, now: float) -> None:
    for sender, receiver in ((one, other), (other, one)):
        for body in sender.outgoing(now, paired=True):
            receiver.received(decode_part(body))


class TestCourse:
    def test_strict_holds_the_backup_until_the_up_delay_is_over(self) -> None:
        master, backup = check(CheckMode.STRICT), check(CheckMode.STRICT)
        master.set_value("global", Item.STP_MODE, "rstp")
        exchange(master, backup, 0)
        events = backup.update(0, paired=True, role=PairRole.BACKUP, up_delay=60)
        assert events == [ConsistencyMismatch(WALL, 1, "global", "stp-mode", None, "rstp")]
        master.update(0, paired=True, role=PairRole.MASTER, up_delay=60)
        assert (backup.holds, master.holds) == (True, False)
        backup.set_value("global", Item.STP_MODE, "rstp")
        assert backup.update(100, paired=True, role=PairRole.BACKUP, up_delay=60) == [ConsistencyResumed(WALL, 1)]
        assert (backup.holds, backup.countdown(130)) == (True, 30)
        backup.update(160, paired=True, role=PairRole.BACKUP, up_delay=60)
        assert not backup.holds

    def test_loose_and_type_2_hold_nothing(self) -> None:
        for mode, value in ((CheckMode.LOOSE, "stp-mode"), (CheckMode.STRICT, "vlan")):
            master, backup = check(mode, ConsistencyValue("global", value, "1")), check(mode)
            exchange(master, backup, 0)
            assert len(backup.update(0, paired=True, role=PairRole.BACKUP, up_delay=0)) == 1
            assert not backup.holds

    def test_nothing_is_compared_while_one_device_does_not_check(self) -> None:
        master, backup = check(CheckMode.DISABLE), check(CheckMode.STRICT, ConsistencyValue("global", "vlan", "1"))
        exchange(master, backup, 0)
        assert backup.update(0, paired=True, role=PairRole.BACKUP, up_delay=0) == []
        assert (backup.state().compared, backup.state().peer_mode) == (False, CheckMode.DISABLE)

    def test_the_end_of_the_pair_ends_it_all(self) -> None:
        master, backup = check(CheckMode.STRICT), check(CheckMode.STRICT)
        master.set_value("global", Item.STP_MODE, "rstp")
        exchange(master, backup, 0)
        backup.update(0, paired=True, role=PairRole.BACKUP, up_delay=60)
        backup.update(1, paired=False, role=PairRole.MASTER, up_delay=60)
        assert not backup.holds
        assert backup.state().peer_mode is None

    def test_unchanged_values_are_told_again_each_interval(self) -> None:
        one = check(CheckMode.LOOSE, ConsistencyValue("global", "vlan", "1"))
        told = [bool(one.outgoing(now, paired=True)) for now in (0.0, 1.0, 9.9, 10.0, 11.0)]
        assert told == [True, False, False, True, False]
        assert one.state().sent == {"vlan": 2}

    def test_configured_items_cannot_be_set_and_the_rest_has_a_limit(self) -> None:
        one = check(CheckMode.LOOSE)
        with pytest.raises(ValueError, match="comes from the configuration"):
            one.set_value("global", Item.VLAN, "1")
        for number in range(MAX_SIMULATED):
            one.set_value(f"m-lag {number}", Item.LACP_PRIORITY, "1")
        with pytest.raises(ValueError, match=f"{MAX_SIMULATED} values"):
            one.set_value("global", Item.LACP_MODE, "1")
