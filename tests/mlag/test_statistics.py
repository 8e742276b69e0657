"""What is counted: sans-IO sessions and hellos against what was really exchanged, then two engines."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.mlag import DetectionConfig, Fault, GroupConfig, HeartbeatConfig, Link
from mlag_agent.mlag.config import ChannelConfig, EntryType
from mlag_agent.mlag.events import AuthenticationFailure
from mlag_agent.mlag.heartbeat import Beat, Heartbeat
from mlag_agent.mlag.messages import BATCH_RECORDS, RECORD_SIZE, Announcement
from mlag_agent.mlag.peerlink import PeerLink
from mlag_agent.mlag.session import Session, SessionParameters, SessionState
from mlag_agent.mlag.state import EngineState
from mlag_agent.mlag.statistics import (
    FWM_TYPES,
    AuthenticationCount,
    ModuleStatistics,
    PacketCounters,
    PacketType,
    SendFailure,
    packet_type,
)
from mlag_agent.mlag.wire import PROTOCOL_VERSION, Encoder, Message, MessageType, ReceiveFailure

if TYPE_CHECKING:
    from tests.mlag.conftest import Lab

PASSWORD = "secret-123"
MACS = (b"\x02\0\0\0\0\x0a", b"\x02\0\0\0\0\x0b")
ENDS = (ip_address("10.1.1.2"), ip_address("10.1.1.1"))


class Wall:
    """A clock that shows another second each time."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def announcement(side: int) -> Announcement:
    ends = ChannelConfig(4, ENDS[side], ENDS[1 - side], None, 2048)
    return Announcement("ab"[side], "m", 1, 100, MACS[side], 900, ends, nonce=bytes([side + 1]) * 16)


def session(
    side: int, password: str | None = PASSWORD, version: int = PROTOCOL_VERSION
) -> tuple[Session, PacketCounters]:
    counters = PacketCounters(Wall())
    made = SessionParameters(announcement(side), password, side == 0, Link.CHANNEL, 3.0, 9.0, 5.0, version)
    return Session(made, 0.0, counters), counters


def carry(source: Session, sink: Session) -> list[PacketType]:
    data, types = source.packets_to_send()
    sink.receive(data, 0.0)
    return types


def opened(password: str | None = PASSWORD) -> tuple[Session, Session, PacketCounters]:
    """Two sessions that are established, and what the second one counted."""
    (a, _), (b, counters) = session(0, password), session(1, password)
    while carry(a, b) + carry(b, a):
        pass
    assert a.state is b.state is SessionState.ESTABLISHED
    return a, b, counters


class TestSession:
    def test_what_opens_it(self) -> None:
        _, _, counters = opened()
        assert counters.received == {**dict.fromkeys(PacketType, 0), PacketType.SESSION: 2}
        assert counters.verified[PacketType.SESSION] == 2
        assert counters.macs == {PacketType.SESSION: MACS[0]}
        assert counters.last_received is not None
        assert counters.last_received.type is PacketType.SESSION

    def test_without_a_password_nothing_is_authenticated(self) -> None:
        _, _, counters = opened(None)
        assert counters.received[PacketType.SESSION] == 2
        assert sum(counters.verified.values()) == sum(counters.unverified.values()) == 0
        assert counters.macs == {}

    @given(st.lists(st.tuples(st.sampled_from(["entries", "withdrawals", "marker"]), st.sampled_from(EntryType))))
    def test_what_arrives_is_what_was_sent(self, sends: list[tuple[str, EntryType]]) -> None:
        a, b, counters = opened()
        before = Counter(counters.received)
        for what, kind in sends:
            size = RECORD_SIZE[kind]
            if what == "entries":
                a.send_entries(kind, b"\x01".rjust(size - 6, b"\0") + bytes(6), 0.0)
            elif what == "withdrawals":
                a.send_withdrawals(kind, b"\x01".rjust(size - 6, b"\0"), 0.0)
            else:
                a.send_end_of_batch(kind, 0.0)
        types = carry(a, b)
        expected = Counter(PacketType(kind.value) for _, kind in sends)
        assert Counter(types) == expected
        assert Counter(counters.received) - before == expected
        assert sum(counters.receive_failed.values()) == 0

    def test_another_password(self) -> None:
        (a, _), (b, counters) = session(0, "another-1"), session(1)
        carry(a, b)
        assert counters.unverified[PacketType.SESSION] == counters.receive_failed[PacketType.SESSION] == 1
        assert counters.last_unverified is PacketType.SESSION
        assert counters.last_receive_failure is not None
        assert counters.last_receive_failure.reason is ReceiveFailure.INTEGRITY
        assert "password" in counters.last_receive_failure.detail
        assert sum(counters.received.values()) == sum(counters.verified.values()) == 0

    @pytest.mark.parametrize("sides", [(PASSWORD, None), (None, PASSWORD)])
    def test_a_password_on_one_side(self, sides: tuple[str | None, str | None]) -> None:
        (a, _), (b, counters) = session(0, sides[0]), session(1, sides[1])
        carry(a, b)
        assert counters.unverified[PacketType.SESSION] == 1
        assert counters.last_receive_failure is not None
        assert counters.last_receive_failure.reason is ReceiveFailure.INTEGRITY

    def test_another_version(self) -> None:
        (a, _), (b, counters) = session(0, version=PROTOCOL_VERSION + 1), session(1)
        carry(a, b)
        assert counters.last_receive_failure is not None
        assert counters.last_receive_failure.reason is ReceiveFailure.VERSION
        assert sum(counters.unverified.values()) == 0

    def test_a_replay(self) -> None:
        a, b, counters = opened()
        verified = counters.verified[PacketType.ARP]
        a.send_end_of_batch(EntryType.ARP, 0.0)
        data = a.data_to_send()
        b.receive(data + data, 0.0)
        assert counters.received[PacketType.ARP] == 1
        assert counters.receive_failed[PacketType.ARP] == 1
        assert counters.verified[PacketType.ARP] == verified + 2, "the digest of a replay is right"
        assert counters.last_receive_failure is not None
        assert counters.last_receive_failure.reason is ReceiveFailure.SERIAL_NUMBER

    def test_a_corrupted_packet_of_entries_counts_by_its_type(self) -> None:
        a, b, counters = opened()
        a.send_entries(EntryType.ND, bytes(RECORD_SIZE[EntryType.ND]), 0.0)
        data = bytearray(a.data_to_send())
        data[-1] ^= 1
        b.receive(bytes(data), 0.0)
        assert counters.unverified[PacketType.ND] == 1

    def test_a_checksum(self) -> None:
        a, b, counters = opened(None)
        a.send_end_of_batch(EntryType.ARP, 0.0)
        data = bytearray(a.data_to_send())
        data[-1] ^= 1
        b.receive(bytes(data), 0.0)
        assert counters.last_receive_failure is not None
        assert counters.last_receive_failure.reason is ReceiveFailure.INTEGRITY
        assert sum(counters.unverified.values()) == 0, "a checksum is no authentication"

    def test_contents(self) -> None:
        a, b, counters = opened()
        a._emit(MessageType.END_OF_BATCH, b"\x01more", 0.0)  # what only a faulty peer sends
        carry(a, b)
        assert counters.receive_failed[PacketType.ARP] == counters.verified[PacketType.ARP] == 1
        assert counters.last_receive_failure is not None
        assert counters.last_receive_failure.reason is ReceiveFailure.CONTENT


def test_what_cannot_be_told_is_the_sessions() -> None:
    assert packet_type(None) is PacketType.SESSION
    assert packet_type(Message(MessageType.ENTRIES, b"\x09", 0, authenticated=False)) is PacketType.SESSION
    assert packet_type(Message(MessageType.ENTRIES, b"", 0, authenticated=False)) is PacketType.SESSION


class TestDatagrams:
    @staticmethod
    def ends() -> tuple[PeerLink, PeerLink]:
        made = tuple(PeerLink(bytes([side + 1]) * 16, 1.0, 3.0, counters=PacketCounters(Wall())) for side in (0, 1))
        for side, link in enumerate(made):
            link.configure(announcement(side), PASSWORD, 0.0)
        return made[0], made[1]

    def test_hellos(self) -> None:
        a, b = self.ends()
        [hello] = a.datagrams_to_send()
        b.receive(hello, 0.0)
        assert b.hellos_received == 0, "it proves nothing yet"
        assert b.counters.received[PacketType.HELLO] == b.counters.verified[PacketType.HELLO] == 1
        assert b.counters.macs == {PacketType.HELLO: MACS[0]}
        [answer] = b.datagrams_to_send()
        a.receive(answer, 0.0)
        a.receive(answer, 0.0)
        assert a.counters.received[PacketType.HELLO] == 1
        assert a.counters.last_receive_failure is not None
        assert a.counters.last_receive_failure.reason is ReceiveFailure.SERIAL_NUMBER
        assert a.counters.verified[PacketType.HELLO] == 2

    def test_rubbish(self) -> None:
        a, _ = self.ends()
        a.receive(b"rubbish", 0.0)
        assert a.counters.receive_failed[PacketType.HELLO] == 1
        assert a.counters.last_receive_failure is not None
        assert a.counters.last_receive_failure.reason is ReceiveFailure.CONTENT

    def test_heartbeats(self) -> None:
        one, two = (Heartbeat(bytes([number]) * 16, 1.0, counters=PacketCounters(Wall())) for number in (1, 2))
        one.packet_type = PacketType.IPV6_HEART
        one.configure(Beat(1, 100, MACS[0], 1025), PASSWORD, 3.0, 0.0)
        two.configure(Beat(2, 100, MACS[1], 1025), PASSWORD, 3.0, 0.0)
        [beat] = two.datagrams_to_send()
        one.receive(beat, 0.0)
        assert one.counters.receive_failed[PacketType.IPV6_HEART] == 1
        assert one.counters.last_receive_failure is not None
        assert one.counters.last_receive_failure.reason is ReceiveFailure.PAIRING
        assert one.counters.verified[PacketType.IPV6_HEART] == 1


class TestModule:
    def test_wires_are_added_up(self) -> None:
        wall = Wall()
        one, two = PacketCounters(wall), PacketCounters(wall)
        module = ModuleStatistics(tuple(PacketType), (one, two), wall)
        one.count_sent([PacketType.HELLO], None)
        two.count_sent([PacketType.ARP, PacketType.ND], None)
        two.count_sent([PacketType.ARP], "no", SendFailure.REFUSED)
        two.count_sent([], "nothing at all")
        packets = module.packets()
        assert {row.type: (row.sent, row.send_failed) for row in packets.counts if row.sent} == {
            PacketType.HELLO: (1, 0), PacketType.ARP: (1, 1), PacketType.ND: (1, 0),
        }  # fmt: skip
        assert packets.last_sent is not None
        assert packets.last_sent.type is PacketType.ND
        assert packets.last_send_failure is not None
        assert packets.last_send_failure.detail == "no"
        assert packets.reset is None

    def test_each_reset_leaves_the_other_counters(self) -> None:
        wall = Wall()
        wire = PacketCounters(wall)
        module = ModuleStatistics(FWM_TYPES, (wire,), wall)
        wire.count_sent([PacketType.ARP], None)
        wire.count_received(PacketType.ARP, MACS[0], authenticated=True)
        module.reset_packets()
        assert module.packets().last_sent is None
        assert all(row.sent == row.received == 0 for row in module.packets().counts)
        assert module.authentication()[0] == AuthenticationCount(PacketType.ARP, 1, 0, MACS[0])
        module.reset_authentication()
        assert module.authentication()[0] == AuthenticationCount(PacketType.ARP, 0, 0, None)
        assert module.packets().reset is not None
        assert module.authentication_reset == wall.now


def beating(lab: Lab, side: int, password: str | None = PASSWORD, *, channel: bool = True) -> GroupConfig:
    addresses = (ip_address("192.0.2.1"), ip_address("192.0.2.2"))
    return replace(
        lab.group(side if channel else None, password=password),
        detection=DetectionConfig(4, addresses[side], None),
        heartbeat=HeartbeatConfig(addresses[1 - side], 1025, 3.0),
    )


class TestEngines:
    async def test_every_packet_over_the_channel(self, lab: Lab) -> None:
        a, b = await lab.pair()
        await lab.apply(a, beating(lab, 0))
        await lab.apply(b, beating(lab, 1))
        await lab.up(a, b)
        await a.learn(ip_address("10.9.0.1"), 3 * BATCH_RECORDS, "Eth-Trunk1", 10)
        await lab.equal(a, b)
        sent, received = a.statistics.channel.sent, b.statistics.channel.received
        assert received[PacketType.ARP] == sent[PacketType.ARP] >= 4, "packets, and the marker: not entries"
        assert sent[PacketType.ARP] < 3 * BATCH_RECORDS
        assert sum(a.statistics.stream.sent.values()) == 0, "nothing over the peer-link"

        def beats(state: EngineState) -> bool:
            return all(
                module.authentication()[list(PacketType).index(kind)].success > 0
                for module in (a.statistics.dfs, b.statistics.dfs)
                for kind in (PacketType.HELLO, PacketType.IPV4_HEART, PacketType.SESSION)
            )

        await a.wait_for(beats, lab.limit)
        rows = {row.type: row for row in b.statistics.dfs.authentication()}
        assert rows[PacketType.ARP].success == received[PacketType.ARP]
        assert rows[PacketType.HELLO].last_mac == rows[PacketType.ARP].last_mac == b"\x02\0\0\0\0a"
        assert all(row.fail == 0 for row in rows.values())
        assert rows[PacketType.IPV6_HEART].success == 0

    async def test_entries_over_the_peer_link_are_the_forwarding_modules(self, lab: Lab) -> None:
        a, b = await lab.pair()
        await lab.apply(a, lab.group(None, password=PASSWORD))
        await lab.apply(b, lab.group(None, password=PASSWORD))
        await lab.linked(a, b)
        await a.learn(ip_address("2001:db8::1"), 7, "Eth-Trunk1", 10)
        await lab.equal(a, b)
        count = {row.type: row for row in b.statistics.fwm.packets().counts}[PacketType.ND]
        assert count.received == a.statistics.stream.sent[PacketType.ND] > 0
        assert {row.type: row.received for row in b.statistics.dfs.packets().counts}[PacketType.ND] == 0

    async def test_a_cut_link_is_a_send_failure(self, lab: Lab) -> None:
        a, b = await lab.pair()
        await lab.apply(a, beating(lab, 0))
        await lab.apply(b, beating(lab, 1))
        await lab.up(a, b)
        for link in (Link.PEER_LINK, Link.HEARTBEAT):
            a.set_fault(link, Fault.CUT)

        def details() -> list[tuple[object, str]]:
            lasts = (a.statistics.hello.last_send_failure, a.statistics.heartbeat.last_send_failure)
            return [("", "") if last is None else (last.reason, last.detail) for last in lasts]

        # Before that: the peer was not there yet.
        await a.wait_for(lambda _: all("is cut" in detail for _, detail in details()), lab.limit)
        assert details() == [
            (SendFailure.NO_PEER_LINK, "the peer-link is cut"),
            (SendFailure.REFUSED, "the heartbeat is cut"),
        ]
        sent = a.state().peer_link.hellos_sent
        failures = a.statistics.hello.send_failed[PacketType.HELLO]
        await a.wait_for(lambda _: a.statistics.hello.send_failed[PacketType.HELLO] > failures, lab.limit)
        assert a.state().peer_link.hellos_sent == sent

    async def test_a_peer_that_is_not_there(self, lab: Lab) -> None:
        a = await lab.device("a")
        await lab.apply(a, lab.group(None, password=PASSWORD))
        await a.wait_for(lambda _: a.statistics.hello.last_send_failure is not None, lab.limit)
        failure = a.statistics.hello.last_send_failure
        assert failure is not None
        assert failure.reason is SendFailure.REFUSED
        assert failure.detail

    async def test_the_alarm_names_the_packet_and_a_reset_leaves_it(self, lab: Lab) -> None:
        a, b = await lab.pair()
        await lab.apply(a, beating(lab, 0, channel=False))
        await lab.apply(b, beating(lab, 1, "another-1", channel=False))

        def refused(state: EngineState) -> bool:
            rows = {row.type: row.fail for row in a.statistics.dfs.authentication()}
            return bool(rows[PacketType.HELLO] and rows[PacketType.IPV4_HEART])

        await a.wait_for(refused, lab.limit)
        alarms = {event.link: event.packet for event in lab.events["a"] if isinstance(event, AuthenticationFailure)}
        assert alarms == {Link.PEER_LINK: PacketType.HELLO, Link.HEARTBEAT: PacketType.IPV4_HEART}
        failures = a.state().channel.authentication_failures
        a.statistics.dfs.reset_authentication()
        a.statistics.dfs.reset_packets()
        assert a.state().channel.authentication_failures == failures > 0
        assert all(row.fail == 0 for row in a.statistics.dfs.authentication())
        await a.wait_for(refused, lab.limit)
        alarms_now = [event for event in lab.events["a"] if isinstance(event, AuthenticationFailure)]
        assert len(alarms_now) == 2, "a reset is no new run of failures"


def test_versions_and_keys_of_an_encoder_do_not_matter_to_the_types() -> None:
    """The types are those of the first bytes of a body, which the encoder writes."""
    key = b"k" * 32
    data = Encoder(key).encode(MessageType.WITHDRAW, b"\x02")
    (_, _), (b, counters) = session(0), session(1)
    b.receive(data, 0.0)
    assert counters.unverified[PacketType.ND] == 1
