"""Bodies of messages: round trips, and every malformed one a ProtocolViolation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.mlag.config import ChannelConfig, DetectionConfig, DownReason, ElectionPacket, EntryType
from mlag_agent.mlag.messages import (
    BATCH_RECORDS,
    RECORD_SIZE,
    Announcement,
    CloseCause,
    CloseNotice,
    MemberAnnouncement,
    decode_announcement,
    decode_close,
    decode_entries,
    decode_marker,
    decode_withdrawals,
    encode_announcement,
    encode_close,
    encode_marker,
    encode_records,
)
from mlag_agent.mlag.wire import MAX_BODY, ProtocolViolation

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


@st.composite
def channels(draw: st.DrawFn) -> ChannelConfig:
    cls = draw(st.sampled_from([IPv4Address, IPv6Address]))
    bits = 32 if cls is IPv4Address else 128
    local, peer = draw(st.lists(st.integers(0, 2**bits - 1), min_size=2, max_size=2, unique=True))
    vpn = draw(st.none() | TEXT)
    return ChannelConfig(4 if bits == 32 else 6, cls(local), cls(peer), vpn, draw(st.integers(1, 65535)))


ANNOUNCEMENTS = st.builds(
    Announcement,
    device=TEXT,
    model=TEXT,
    group_id=st.integers(0, 255),
    priority=st.integers(1, 254),
    system_mac=st.binary(min_size=6, max_size=6),
    hold_ms=st.integers(0, 2**32 - 1),
    channel=st.none() | channels(),
    nonce=st.binary(min_size=16, max_size=16),
    echo=st.binary(min_size=16, max_size=16),
    members=st.dictionaries(
        st.integers(1, 2048),
        st.tuples(st.booleans(), st.booleans(), st.just(True), st.integers(0, 2**24 - 1))
        | st.tuples(st.booleans(), st.booleans()),
        max_size=20,
    ).map(lambda found: tuple(MemberAnnouncement(number, *found[number]) for number in sorted(found))),
    election=st.frozensets(st.sampled_from(ElectionPacket)),
)


@given(ANNOUNCEMENTS)
def test_announcement_round_trip(announcement: Announcement) -> None:
    assert decode_announcement(encode_announcement(announcement)) == announcement


@given(ANNOUNCEMENTS, st.integers(0, 400), st.binary(max_size=8))
def test_cut_or_longer_announcement_is_refused(announcement: Announcement, cut: int, more: bytes) -> None:
    body = encode_announcement(announcement)
    for wrong in (body[: cut % len(body)], body + b"!" + more):
        with pytest.raises(ProtocolViolation):
            decode_announcement(wrong)


@pytest.mark.parametrize(
    "decode", [decode_announcement, decode_close, decode_entries, decode_marker, decode_withdrawals]
)
@given(noise=st.binary(max_size=300))
def test_noise_raises_nothing_but_a_violation(decode: Callable[[bytes], Any], noise: bytes) -> None:
    with suppress(ProtocolViolation):
        decode(noise)


@given(ANNOUNCEMENTS, st.data())
def test_changed_announcement_raises_nothing_but_a_violation(announcement: Announcement, data: st.DataObject) -> None:
    body = bytearray(encode_announcement(announcement))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ProtocolViolation):
        decode_announcement(bytes(body))


def test_the_longest_announcement_fits() -> None:
    name = "n" * 255
    members = tuple(MemberAnnouncement(number, True, False, True, 2**24 - 1) for number in range(1, 2049))
    ends = ChannelConfig(6, IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2"), name, 2048)
    source = DetectionConfig(6, IPv6Address("2001:db8::1"), name)
    longest = Announcement(
        name, name, 1, 100, bytes(6), 1000, ends, family=name, version=name, detection=source, members=members
    )
    body = encode_announcement(longest)
    assert len(body) <= MAX_BODY
    assert decode_announcement(body) == longest


def test_an_unknown_packet_of_the_election_is_refused() -> None:
    body = encode_announcement(Announcement("a", "m", 1, 100, bytes(6), 1000, None))
    with pytest.raises(ProtocolViolation, match="packets 0x20 of the election"):
        decode_announcement(body[:-1] + b"\x20")


@pytest.mark.parametrize("entry_type", list(EntryType))
def test_entries_and_withdrawals(entry_type: EntryType) -> None:
    size = RECORD_SIZE[entry_type] - 6
    keys = [n.to_bytes(size - 2, "big") + (10).to_bytes(2, "big") for n in range(BATCH_RECORDS)]
    body = encode_records(entry_type, b"".join(key + b"\x02\0\0\0\0\1" for key in keys))
    assert len(body) <= MAX_BODY
    assert decode_entries(body) == (entry_type, dict.fromkeys(keys, b"\x02\0\0\0\0\1"))
    assert decode_withdrawals(encode_records(entry_type, b"".join(keys))) == (entry_type, keys)
    assert decode_marker(encode_marker(entry_type)) is entry_type
    for wrong in (body + b"\0" * RECORD_SIZE[entry_type], body[:-1], body[:1]):
        with pytest.raises(ProtocolViolation):
            decode_entries(wrong)


@pytest.mark.parametrize("vlan", [0, 4095, 65535])
@pytest.mark.parametrize("entry_type", list(EntryType))
def test_vlan_outside_the_range_is_refused(entry_type: EntryType, vlan: int) -> None:
    key = bytes(RECORD_SIZE[entry_type] - 8) + vlan.to_bytes(2, "big")
    with pytest.raises(ProtocolViolation, match=f"VLAN {vlan}"):
        decode_entries(encode_records(entry_type, key + bytes(6)))
    with pytest.raises(ProtocolViolation, match=f"VLAN {vlan}"):
        decode_withdrawals(encode_records(entry_type, key))


@given(st.sampled_from([*DownReason, *CloseCause]), st.text(st.characters(codec="utf-8"), max_size=600))
def test_close_round_trip(cause: DownReason | CloseCause, detail: str) -> None:
    notice = decode_close(encode_close(CloseNotice(cause, detail)))
    assert notice.cause is cause
    assert detail.startswith(notice.detail)
    assert notice.detail == detail or len(notice.detail.encode()) > 508
