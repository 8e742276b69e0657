"""The ownership rules of DOMAIN 1.4, each with its name, and the tables against a plain model."""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mlag_agent.mlag.config import EntryKind, EntryType
from mlag_agent.mlag.ratelimit import TokenBucket
from mlag_agent.mlag.replicate import Outgoing, Replicator
from mlag_agent.mlag.tables import MAX_INTERFACES, NeighbourTable

ARP, ND = EntryType.ARP, EntryType.ND
DYNAMIC, STATIC, INTERFACE = EntryKind.DYNAMIC, EntryKind.STATIC, EntryKind.INTERFACE


def key(entry_type: EntryType, number: int, vlan: int = 10) -> bytes:
    address = IPv4Address(number) if entry_type is ARP else IPv6Address(number)
    return address.packed + vlan.to_bytes(2, "big")


def mac(number: int) -> bytes:
    return number.to_bytes(6, "big")


class Side:
    """A table with its replicator; ``sent`` applies what goes out to another side."""

    def __init__(self, entry_type: EntryType, capacity: int = 8, configured: int = 8) -> None:
        self.type = entry_type
        self.table = NeighbourTable(entry_type, capacity, configured)
        self.out = Replicator(self.table, None, 0.0)
        self.eth = self.table.interface_number("eth0")

    def learn(self, number: int, kind: EntryKind = DYNAMIC, link: int = 1) -> bool:
        learned, refused = self.table.learn([(key(self.type, number), mac(link))], self.eth, kind)
        assert learned + refused == 1
        return learned == 1

    def age(self, number: int) -> int:
        return self.table.remove_local([key(self.type, number)])

    def drain(self) -> list[Outgoing]:
        steps = []
        while (step := self.out.next_outgoing(0.0)) is not None:
            steps.append(step)
        return steps

    def send(self, other: Side) -> int:
        """Returns how many the other one dropped."""
        dropped = 0
        size = len(key(self.type, 0))
        for step in self.drain():
            records, keys = step.records, step.withdrawals
            other.table.withdraw_peer([keys[i : i + size] for i in range(0, len(keys), size)])
            batch = {records[i : i + size]: records[i + size : i + size + 6] for i in range(0, len(records), size + 6)}
            if batch:
                dropped += other.table.install_peer(batch).dropped
            if step.end_of_batch:
                other.table.end_batch()
        return dropped

    def kinds(self, number: int) -> EntryKind | str | None:
        found = self.table.lookup(key(self.type, number))
        return None if found is None else found[1] or "peer"


def linked(entry_type: EntryType, capacity: int = 8) -> tuple[Side, Side]:
    a, b = Side(entry_type, capacity), Side(entry_type, capacity)
    open_session(a, b)
    return a, b


def open_session(a: Side, b: Side) -> None:
    for side in (a, b):
        side.out.start()
        side.table.begin_batch()
    a.send(b)
    b.send(a)


@pytest.mark.parametrize("entry_type", [ARP, ND])
def test_rule_an_entry_of_the_peer_counts_as_dynamic_and_shares_the_capacity(entry_type: EntryType) -> None:
    a, b = linked(entry_type, capacity=3)
    a.learn(1), a.learn(2)
    a.send(b)
    assert b.learn(3)
    assert not b.learn(4)
    assert (b.table.from_peer, b.table.local_dynamic, b.table.full) == (2, 1, True)


@pytest.mark.parametrize("entry_type", [ARP, ND])
def test_rule_a_full_table_drops_the_peers_entry_and_nobody_retries(entry_type: EntryType) -> None:
    a, b = linked(entry_type, capacity=2)
    b.learn(8), b.learn(9)
    a.learn(1)
    assert a.send(b) == 1
    b.age(8)
    assert a.send(b) == 0
    assert b.kinds(1) is None
    a.learn(1)  # traffic arrives again: relearned, and sent although nothing about it is new
    a.send(b)
    assert b.kinds(1) == "peer"


@pytest.mark.parametrize("entry_type", [ARP, ND])
def test_rule_a_withdrawn_entry_makes_room(entry_type: EntryType) -> None:
    a, b = linked(entry_type, capacity=1)
    a.learn(1)
    a.send(b)
    assert not b.learn(2)
    a.age(1)
    a.send(b)
    assert b.learn(2)


@pytest.mark.parametrize("entry_type", [ARP, ND])
def test_rule_static_entries_are_never_synchronised(entry_type: EntryType) -> None:
    a, b = linked(entry_type)
    a.learn(1, STATIC)
    assert a.drain() == []
    open_session(a, b)
    assert b.kinds(1) is None
    assert a.table.synced_count == 0


def test_rule_arp_interface_entries_are_synchronised() -> None:
    a, b = linked(ARP)
    a.learn(1, INTERFACE)
    a.send(b)
    assert b.kinds(1) == "peer"
    assert a.out.digest == b.out.digest


def test_rule_nd_interface_entries_are_not_synchronised() -> None:
    a, b = linked(ND)
    a.learn(1, INTERFACE)
    a.send(b)
    assert b.kinds(1) is None
    assert a.out.digest == b.out.digest


def test_rule_nd_dynamic_to_static_is_neither_sent_any_more_nor_withdrawn() -> None:
    a, b = linked(ND)
    a.learn(1)
    a.send(b)
    a.learn(1, STATIC, link=7)
    assert a.drain() == []
    assert a.kinds(1) is STATIC
    assert b.kinds(1) == "peer"
    assert a.out.digest == b.out.digest  # a knows what it has left at b
    open_session(a, b)  # a new batch does not name it, so it is stale at b
    assert b.kinds(1) is None
    assert a.out.digest == b.out.digest


def test_rule_nd_dynamic_to_static_before_it_was_sent_is_never_sent() -> None:
    a, b = linked(ND)
    a.learn(1)
    a.learn(1, STATIC)
    assert a.drain() == []
    assert a.out.digest == b.out.digest


def test_rule_nd_static_configured_again_is_still_not_withdrawn() -> None:
    a, b = linked(ND)
    a.learn(1)
    a.send(b)
    a.learn(1, STATIC)
    a.learn(1, STATIC, link=9)
    a.send(b)
    assert b.kinds(1) == "peer"


def test_nd_entry_left_at_the_peer_that_becomes_an_interface_entry_is_withdrawn() -> None:
    a, b = linked(ND)
    a.learn(1)
    a.send(b)
    a.learn(1, STATIC)
    a.learn(1, INTERFACE)
    a.send(b)
    assert b.kinds(1) is None


def test_arp_dynamic_to_static_is_withdrawn() -> None:
    a, b = linked(ARP)
    a.learn(1)
    a.send(b)
    a.learn(1, STATIC)
    a.send(b)
    assert b.kinds(1) is None


@pytest.mark.parametrize("entry_type", [ARP, ND])
def test_static_entries_do_not_count_as_dynamic(entry_type: EntryType) -> None:
    a = Side(entry_type, capacity=1)
    assert a.learn(1)
    assert a.learn(2, STATIC)
    assert a.learn(1, STATIC)  # the dynamic one gives its place back
    assert a.learn(3)


def test_static_and_interface_entries_are_bounded() -> None:
    a = Side(ARP, configured=2)
    assert a.learn(1, STATIC)
    assert a.learn(2, INTERFACE)
    assert not a.learn(3, STATIC)
    assert a.learn(2, STATIC)


@pytest.mark.parametrize("kind", [STATIC, INTERFACE])
def test_dynamic_never_replaces_what_is_configured(kind: EntryKind) -> None:
    a = Side(ARP)
    a.learn(1, kind, link=5)
    assert a.learn(1, link=6)
    assert a.table.lookup(key(ARP, 1)) == (mac(5) + b"\0\0", kind)


@pytest.mark.parametrize("entry_type", [ARP, ND])
def test_local_entry_beats_the_peers_which_comes_back_when_it_goes(entry_type: EntryType) -> None:
    a, b = linked(entry_type, capacity=1)
    a.learn(1, link=1)
    a.send(b)
    assert b.learn(1, link=2)  # takes over the place, although the table is full
    assert b.table.entries == 1
    b.send(a)
    assert (a.kinds(1), b.kinds(1)) == (DYNAMIC, DYNAMIC)
    assert a.out.digest == b.out.digest
    b.age(1)
    b.send(a)
    assert b.kinds(1) == "peer"
    assert a.out.digest == b.out.digest


def test_a_withdrawal_reaches_an_entry_in_the_shade() -> None:
    a, b = linked(ARP)
    a.learn(1)
    a.send(b)
    b.learn(1)
    b.send(a)
    a.age(1)
    a.send(b)
    assert (a.kinds(1), b.kinds(1)) == ("peer", DYNAMIC)
    b.age(1)
    b.send(a)
    assert (a.kinds(1), b.kinds(1)) == (None, None)


def test_entries_of_the_peer_stay_while_the_session_is_down_and_stale_ones_go_with_the_next_batch() -> None:
    a, b = linked(ARP)
    a.learn(1), a.learn(2)
    a.send(b)
    a.out.stop(), b.out.stop()
    a.age(1)
    a.learn(3)
    assert b.table.from_peer == 2
    assert a.out.pending == 2
    open_session(a, b)
    assert [b.kinds(n) for n in (1, 2, 3)] == [None, "peer", "peer"]


def test_an_entry_that_comes_and_goes_while_it_waits_costs_nothing() -> None:
    a, _ = linked(ARP)
    for _ in range(100):
        a.learn(1)
        a.age(1)
    assert a.out.pending == 1
    assert a.drain() == []
    assert (a.out.sent, a.out.withdrawn) == (0, 0)


def test_withdrawals_during_the_batch_are_not_lost() -> None:
    a, b = Side(ARP, 2000), Side(ARP, 2000)
    for number in range(600):
        a.learn(number)
    a.out.start()
    b.table.begin_batch()
    step = a.out.next_outgoing(0.0)
    assert step is not None
    assert len(step.records) == 500 * 12
    b.table.install_peer({step.records[i : i + 6]: step.records[i + 6 : i + 12] for i in range(0, 6000, 12)})
    a.age(1), a.age(599)  # one that is out, one that waits
    a.learn(7000)
    a.send(b)
    assert b.table.from_peer == 599
    assert a.out.digest == b.out.digest


def test_flush_takes_both_origins_and_the_shade() -> None:
    a, b = linked(ARP)
    a.learn(1), a.learn(2)
    a.send(b)
    b.learn(1), b.learn(3)
    assert b.table.flush([key(ARP, n) for n in (1, 2, 3, 4)]) == 3
    assert b.table.entries == 0
    assert b.table.peer_entries() == {}


def test_forgetting_the_peer() -> None:
    a, b = linked(ARP)
    a.learn(1)
    a.send(b)
    b.out.forget()
    assert b.table.clear_peer() == 1
    assert b.table.entries == 0


def test_digest_is_that_of_the_yang_module() -> None:
    a = Side(ARP)
    a.learn(2, link=5), a.learn(1, link=6)
    a.table.install_peer({key(ARP, 3): mac(7)})
    expected = hashlib.sha256(key(ARP, 1) + mac(6) + key(ARP, 2) + mac(5) + key(ARP, 3) + mac(7)).hexdigest()
    assert a.out.digest == expected


def test_interface_names_are_bounded() -> None:
    table = NeighbourTable(ARP, 1, 1)
    for number in range(MAX_INTERFACES):
        table.interface_number(str(number))
    assert table.interface_number("0") == 0
    with pytest.raises(ValueError, match="takes no more"):
        table.interface_number("one more")


def test_token_bucket_keeps_the_rate() -> None:
    bucket = TokenBucket(2000, 0.0)
    sent, now = 0, 0.0
    while now < 10.0:
        granted = bucket.take(500, now)
        sent += granted
        if not granted:
            now = max(now + 1e-6, bucket.next_time(now, 500))
    assert 19_900 <= sent <= 20_400
    assert bucket.throttled > 50
    bucket.set_rate(None, now)
    assert bucket.take(500, now) == 500


def test_token_bucket_of_one_per_second() -> None:
    bucket = TokenBucket(1, 0.0)
    assert [bucket.take(5, t) for t in (0.0, 0.5, 1.0, 1.5, 2.0)] == [1, 0, 1, 0, 1]
    assert bucket.throttled == 2
    assert bucket.next_time(2.0, 5) == pytest.approx(3.0)


class PairModel(RuleBasedStateMachine):
    """Two sides against plain dicts: one of local entries for each, from which all the rest must follow."""

    @initialize(entry_type=st.sampled_from([ARP, ND]))
    def make(self, entry_type: EntryType) -> None:
        self.type = entry_type
        self.sides = (Side(entry_type, 1000, 1000), Side(entry_type, 1000, 1000))
        self.local: tuple[dict[int, tuple[int, EntryKind]], ...] = ({}, {})
        self.left: tuple[dict[int, int], ...] = ({}, {})
        self.told: tuple[dict[int, int], ...] = ({}, {})
        self.open = False

    def synced(self, side: int) -> dict[int, int]:
        kinds = (DYNAMIC, INTERFACE) if self.type is ARP else (DYNAMIC,)
        return {n: link for n, (link, kind) in self.local[side].items() if kind in kinds}

    @rule(side=st.integers(0, 1), n=st.integers(0, 5), link=st.integers(1, 3), kind=st.sampled_from(list(EntryKind)))
    def learn(self, side: int, n: int, link: int, kind: EntryKind) -> None:
        assert self.sides[side].learn(n, kind, link)
        old = self.local[side].get(n)
        if kind is DYNAMIC and old is not None and old[1] is not DYNAMIC:
            return
        if self.type is ND and kind is STATIC and old is not None and old[1] is DYNAMIC:
            if n in self.told[side]:
                self.left[side][n] = self.told[side].pop(n)
        elif n in self.left[side] and kind is not STATIC:
            self.told[side][n] = self.left[side].pop(n)
        self.local[side][n] = (link, kind)

    @rule(side=st.integers(0, 1), n=st.integers(0, 5))
    def age(self, side: int, n: int) -> None:
        expected = self.local[side].get(n, (0, None))[1] is DYNAMIC
        assert self.sides[side].age(n) == int(expected)
        if expected:
            del self.local[side][n]

    @rule()
    def cut(self) -> None:
        for side in self.sides:
            side.out.stop()
        self.open = False

    @rule()
    def reconnect(self) -> None:
        open_session(*self.sides)
        self.open = True
        for side in (0, 1):
            self.left[side].clear()
            self.told[side].clear()
            self.told[side].update(self.synced(side))

    @rule()
    def deliver(self) -> None:
        if self.open:
            self.sides[0].send(self.sides[1])
            self.sides[1].send(self.sides[0])
            for side in (0, 1):
                self.told[side].clear()
                self.told[side].update(self.synced(side))
            self.check_converged()

    def check_converged(self) -> None:
        for side in (0, 1):
            table, other = self.sides[side].table, 1 - side
            theirs = self.synced(other) | self.left[other]
            assert table.peer_entries() == {key(self.type, n): mac(link) for n, link in theirs.items()}
        assert self.sides[0].out.digest == self.sides[1].out.digest

    @invariant()
    def local_entries_are_as_in_the_model(self) -> None:
        for side in (0, 1):
            table = self.sides[side].table
            for n in range(6):
                expected = self.local[side].get(n)
                found = table.lookup(key(self.type, n))
                if expected is not None:
                    assert found == (mac(expected[0]) + b"\0\0", expected[1])
                else:
                    assert found is None or found[1] is None
            assert table.entries == len(table.sorted_keys()) == len(set(table.sorted_keys()))


PairModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestPairModel = PairModel.TestCase
