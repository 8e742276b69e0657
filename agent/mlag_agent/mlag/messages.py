"""Bodies of the protocol's messages: announcements (both hellos), entries, withdrawals, markers, close.

Everything here is a pure function of bytes and values. ``decode_*`` raise ``ProtocolViolation`` and nothing else.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mlag_agent.mlag.config import (
    MAX_NAME_BYTES,
    ChannelConfig,
    DetectionConfig,
    DownReason,
    ElectionPacket,
    EntryType,
    PeerLinkKind,
)
from mlag_agent.mlag.wire import ProtocolViolation

__all__ = [
    "BATCH_RECORDS",
    "NONCE_SIZE",
    "NO_NONCE",
    "RECORD",
    "RECORD_SIZE",
    "Announcement",
    "CloseCause",
    "CloseNotice",
    "MemberAnnouncement",
    "decode_announcement",
    "decode_close",
    "decode_entries",
    "decode_marker",
    "decode_withdrawals",
    "encode_announcement",
    "encode_close",
    "encode_marker",
    "encode_records",
]

NONCE_SIZE: Final = 16
NO_NONCE: Final = bytes(NONCE_SIZE)
BATCH_RECORDS: Final = 500
"""Records per message: large enough that header and digest cost little, small enough that a keepalive waits for no
more than a few of them, and 500 ND records stay below ``MAX_BODY``."""
MAX_DETAIL: Final = 512
"""Bytes of the sentence in a close message."""

# An entry travels as address + VLAN (the key) and MAC: fixed size, so that iter_unpack feeds a dict at C speed.
KEY_SIZE: Final = {EntryType.ARP: 6, EntryType.ND: 18}
RECORD: Final = {EntryType.ARP: struct.Struct(">6s6s"), EntryType.ND: struct.Struct(">18s6s")}
RECORD_SIZE: Final = {kind: record.size for kind, record in RECORD.items()}
_KEY: Final = {EntryType.ARP: struct.Struct(">6s"), EntryType.ND: struct.Struct(">18s")}
_RECORD_VLAN: Final = {EntryType.ARP: struct.Struct(">4xH6x"), EntryType.ND: struct.Struct(">16xH6x")}
_KEY_VLAN: Final = {EntryType.ARP: struct.Struct(">4xH"), EntryType.ND: struct.Struct(">16xH")}
_TYPE_CODE: Final = {EntryType.ARP: b"\x01", EntryType.ND: b"\x02"}
_TYPE_OF_CODE: Final = {1: EntryType.ARP, 2: EntryType.ND}

_ANNOUNCEMENT: Final = struct.Struct(">16s16sBB6sIBH16s16sBB16s")
_MEMBER: Final = struct.Struct(">HB")
_UP: Final = 1
_MASTER: Final = 2
_STANDBY: Final = 4
_TERM_SIZE: Final = 3
_ELECTION_BIT: Final = {kind: 1 << number for number, kind in enumerate(ElectionPacket)}
MAX_M_LAG_ID: Final = 2048
"""Highest M-LAG ID; so many records of 3 bytes and terms of 3 bytes leave room for the rest of a hello."""
_LINK_CODE: Final = {None: 0, PeerLinkKind.PHYSICAL: 1, PeerLinkKind.VIRTUAL: 2}
_LINK_OF_CODE: Final = {code: kind for kind, code in _LINK_CODE.items()}


class CloseCause(StrEnum):
    """Causes of a close beyond the down-reasons."""

    SHUTDOWN = "shutdown"
    RECONFIGURED = "reconfigured"
    COLLISION = "collision"


@dataclass(frozen=True, slots=True)
class MemberAnnouncement:
    """A member interface of the sender: whether it is up, and takes itself for the master member.

    ``active_standby``: it is configured so, and ``term`` is that of its claim (``election``), below 2**24.
    """

    m_lag_id: int
    up: bool
    master: bool
    active_standby: bool = False
    term: int = 0


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a hello says: the device, its group, and the parameters of its channel (``None``: it has none).

    ``family`` and ``version`` decide on whether two devices can pair, ``peer_link`` and ``detection`` are the sender's
    configuration of that name, ``members`` its member interfaces in ascending order of M-LAG ID, ``election`` the
    packets that elect the master of active/standby ones.  ``hold_ms`` is the sender's hold time in milliseconds.
    ``nonce`` is fresh for each session (TCP hello) or start of the agent (DFS hello); ``echo`` is the nonce last heard
    from the other side, all zero when none was.
    """

    device: str
    model: str
    group_id: int
    priority: int
    system_mac: bytes
    hold_ms: int
    channel: ChannelConfig | None
    nonce: bytes = NO_NONCE
    echo: bytes = NO_NONCE
    family: str = "mlag-agent"
    version: str = "V300R023C00"
    peer_link: PeerLinkKind | None = None
    detection: DetectionConfig | None = None
    members: tuple[MemberAnnouncement, ...] = ()
    election: frozenset[ElectionPacket] = frozenset()


@dataclass(frozen=True, slots=True)
class CloseNotice:
    """Why the peer closes: a down-reason or a cause of its own, and a sentence as the peer words it."""

    cause: DownReason | CloseCause
    detail: str


def _broken(detail: str) -> ProtocolViolation:
    return ProtocolViolation(DownReason.PROTOCOL_ERROR, detail)


def encode_announcement(announcement: Announcement) -> bytes:
    """Fixed part; device, model, family, version and both VPN instances, each with a length of one byte; members.

    Then a byte with a bit for each packet of the election, and the term of each active/standby member.
    """
    channel = announcement.channel
    family, port, local, peer, vpn = 0, 0, b"", b"", b""
    if channel is not None:
        family, port = channel.family, channel.tcp_port
        local, peer = channel.local_address.packed, channel.peer_address.packed
        vpn = (channel.vpn_instance or "").encode()
    detection = announcement.detection
    fixed = _ANNOUNCEMENT.pack(
        announcement.nonce,
        announcement.echo,
        announcement.group_id,
        announcement.priority,
        announcement.system_mac,
        announcement.hold_ms,
        family,
        port,
        local,
        peer,
        _LINK_CODE[announcement.peer_link],
        0 if detection is None else detection.family,
        b"" if detection is None else detection.local_address.packed,
    )
    texts = (
        announcement.device.encode(),
        announcement.model.encode(),
        announcement.family.encode(),
        announcement.version.encode(),
        vpn,
        b"" if detection is None else (detection.vpn_instance or "").encode(),
    )
    count = len(announcement.members).to_bytes(2, "big")
    members = b"".join(
        _MEMBER.pack(member.m_lag_id, member.up * _UP | member.master * _MASTER | member.active_standby * _STANDBY)
        for member in announcement.members
    )
    election = bytes([sum(_ELECTION_BIT[kind] for kind in announcement.election)])
    terms = b"".join(
        member.term.to_bytes(_TERM_SIZE, "big") for member in announcement.members if member.active_standby
    )
    return fixed + b"".join(bytes([len(text)]) + text for text in texts) + count + members + election + terms


def decode_announcement(body: bytes) -> Announcement:
    """The reverse of ``encode_announcement``."""
    if len(body) < _ANNOUNCEMENT.size:
        raise _broken(f"a hello of {len(body)} bytes is too short")
    fields = _ANNOUNCEMENT.unpack_from(body)
    nonce, echo, group, priority, mac, hold, ip_version, port, local, peer, link, detection_ip, source = fields
    (device, model, family, version, vpn, detection_vpn), rest = _decode_texts(body[_ANNOUNCEMENT.size :])
    if not (device and model and family and version):
        raise _broken("a hello names no device, model, family or version")
    if not 1 <= priority <= 254:
        raise _broken(f"priority {priority} in a hello is outside 1..254")
    if link not in _LINK_OF_CODE:
        raise _broken(f"kind {link} of the peer-link in a hello is unknown")
    members, rest = _decode_members(rest)
    election, members, rest = _decode_election(members, rest)
    if rest:
        raise _broken(f"a hello has {len(rest)} bytes too many")
    return Announcement(
        device,
        model,
        group,
        priority,
        mac,
        hold,
        _decode_channel(ip_version, port, local, peer, vpn),
        nonce,
        echo,
        family,
        version,
        _LINK_OF_CODE[link],
        _decode_detection(detection_ip, source, detection_vpn),
        members,
        election,
    )


def _decode_texts(rest: bytes) -> tuple[tuple[str, ...], bytes]:
    texts: list[str] = []
    for _ in range(6):
        if not rest or len(rest) < 1 + rest[0]:
            raise _broken("a text in a hello is cut short")
        try:
            texts.append(rest[1 : 1 + rest[0]].decode())
        except UnicodeDecodeError:
            raise _broken("a text in a hello is not UTF-8") from None
        rest = rest[1 + rest[0] :]
    return tuple(texts), rest


def _decode_members(rest: bytes) -> tuple[tuple[MemberAnnouncement, ...], bytes]:
    count = int.from_bytes(rest[:2], "big")
    end = 2 + count * _MEMBER.size
    if len(rest) < end:
        raise _broken(f"{len(rest)} bytes follow the texts of a hello, not its {count} member interfaces")
    records, rest = rest[2:end], rest[end:]
    members = []
    last = 0
    for number, flags in _MEMBER.iter_unpack(records):
        if not last < number <= MAX_M_LAG_ID:
            raise _broken(f"M-LAG ID {number} in a hello is outside 1..{MAX_M_LAG_ID} or out of order")
        if flags & ~(_UP | _MASTER | _STANDBY):
            raise _broken(f"flags {flags:#04x} of a member interface in a hello are unknown")
        members.append(MemberAnnouncement(number, bool(flags & _UP), bool(flags & _MASTER), bool(flags & _STANDBY)))
        last = number
    return tuple(members), rest


def _decode_election(
    members: tuple[MemberAnnouncement, ...], rest: bytes
) -> tuple[frozenset[ElectionPacket], tuple[MemberAnnouncement, ...], bytes]:
    """The packets of the election, the members with their terms, and what follows."""
    end = 1 + _TERM_SIZE * sum(member.active_standby for member in members)
    if len(rest) < end:
        raise _broken(f"{len(rest)} bytes follow the member interfaces of a hello, not {end} of the election")
    if rest[0] >= 1 << len(_ELECTION_BIT):
        raise _broken(f"packets {rest[0]:#04x} of the election in a hello are unknown")
    election = frozenset(kind for kind, bit in _ELECTION_BIT.items() if rest[0] & bit)
    terms = (int.from_bytes(rest[at : at + _TERM_SIZE], "big") for at in range(1, end, _TERM_SIZE))
    found = tuple(replace(member, term=next(terms)) if member.active_standby else member for member in members)
    return election, found, rest[end:]


def _decode_detection(family: int, source: bytes, vpn: str) -> DetectionConfig | None:
    if family == 0:
        if any(source) or vpn:
            raise _broken("a hello announces no dual-active detection and yet parameters of it")
        return None
    if family == 4 and not any(source[4:]):
        return DetectionConfig(4, IPv4Address(source[:4]), vpn or None)
    if family == 6:
        return DetectionConfig(6, IPv6Address(source), vpn or None)
    raise _broken("the source of dual-active detection in a hello is impossible")


def _decode_channel(family: int, port: int, local: bytes, peer: bytes, vpn: str) -> ChannelConfig | None:
    if family == 0:
        if port or any(local) or any(peer) or vpn:
            raise _broken("a hello announces no channel and yet parameters of one")
        return None
    try:
        if family == 4:
            if any(local[4:]) or any(peer[4:]):
                raise _broken("an IPv4 address in a hello is longer than 4 bytes")
            return ChannelConfig(4, IPv4Address(local[:4]), IPv4Address(peer[:4]), vpn or None, port)
        if family == 6:
            return ChannelConfig(6, IPv6Address(local), IPv6Address(peer), vpn or None, port)
    except ValueError as error:
        raise _broken(f"the channel in a hello is impossible: {error}") from None
    raise _broken(f"address family {family} in a hello is unknown")


def encode_records(entry_type: EntryType, records: bytes) -> bytes:
    """Body of an entries message (records of key and MAC) or a withdrawal (keys)."""
    return _TYPE_CODE[entry_type] + records


def decode_entries(body: bytes) -> tuple[EntryType, dict[bytes, bytes]]:
    """Type and, by key (address + VLAN), the MAC of each record; a key that comes twice has its last MAC."""
    entry_type, records = _decode_body(body, RECORD_SIZE)
    _check_vlans(_RECORD_VLAN[entry_type], records)
    return entry_type, dict(RECORD[entry_type].iter_unpack(records))


def decode_withdrawals(body: bytes) -> tuple[EntryType, list[bytes]]:
    """Type and the keys to withdraw."""
    entry_type, records = _decode_body(body, KEY_SIZE)
    _check_vlans(_KEY_VLAN[entry_type], records)
    return entry_type, [key for (key,) in _KEY[entry_type].iter_unpack(records)]


def _check_vlans(layout: struct.Struct, records: bytes) -> None:
    lowest, highest = min(layout.iter_unpack(records))[0], max(layout.iter_unpack(records))[0]
    if lowest < 1 or highest > 4094:
        raise _broken(f"VLAN {highest if highest > 4094 else lowest} in an entry is outside 1..4094")


def _decode_body(body: bytes, sizes: dict[EntryType, int]) -> tuple[EntryType, bytes]:
    entry_type = _decode_type(body)
    size = sizes[entry_type]
    count, rest = divmod(len(body) - 1, size)
    if rest or not 1 <= count <= BATCH_RECORDS:
        raise _broken(f"{len(body) - 1} bytes of entries are not 1 to {BATCH_RECORDS} records of {size} bytes")
    return entry_type, body[1:]


def _decode_type(body: bytes) -> EntryType:
    entry_type = _TYPE_OF_CODE.get(body[0]) if body else None
    if entry_type is None:
        raise _broken("the type of entries is unknown")
    return entry_type


def encode_marker(entry_type: EntryType) -> bytes:
    """Body of an end-of-batch marker."""
    return _TYPE_CODE[entry_type]


def decode_marker(body: bytes) -> EntryType:
    """The table whose batch is complete."""
    if len(body) != 1:
        raise _broken(f"an end-of-batch marker has 1 byte, not {len(body)}")
    return _decode_type(body)


def encode_close(notice: CloseNotice) -> bytes:
    """Cause with a length of one byte, then the sentence, cut at ``MAX_DETAIL`` bytes."""
    cause = notice.cause.value.encode()
    # Cut between characters, not inside of one.
    detail = notice.detail.encode()[:MAX_DETAIL].decode(errors="ignore").encode()
    return bytes([len(cause)]) + cause + detail


def decode_close(body: bytes) -> CloseNotice:
    """The reverse of ``encode_close``."""
    if not body or len(body) < 1 + body[0] or len(body) > 1 + MAX_NAME_BYTES + MAX_DETAIL:
        raise _broken("a close message is cut short or too long")
    try:
        cause, detail = body[1 : 1 + body[0]].decode(), body[1 + body[0] :].decode()
    except UnicodeDecodeError:
        raise _broken("a text in a close message is not UTF-8") from None
    for causes in (DownReason, CloseCause):
        if cause in causes._value2member_map_:
            return CloseNotice(causes(cause), detail)
    raise _broken("the cause in a close message is unknown")
