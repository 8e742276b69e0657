"""A device's compared configuration as datagrams of the peer-link: parts that fit a frame, put together again.

Body of a part, behind the nonces that every datagram has::

    generation (4) | mode (1) | part (2) | parts (2) | records: length (1) scope, length (1) item, length (1) value
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from mlag_agent.mlag.config import CheckMode, ConsistencyValue, DownReason
from mlag_agent.mlag.wire import ProtocolViolation

__all__ = [
    "MAX_COMPARED",
    "MAX_PARTS",
    "MAX_VALUE",
    "ConfigurationReceiver",
    "Part",
    "decode_part",
    "encode_configuration",
]

_HEAD: Final = struct.Struct(">IBHH")
_MODES: Final = tuple(CheckMode)
PART_SIZE: Final = 1200
"""Bytes of a part: with all headers it fits an Ethernet frame."""
MAX_PARTS: Final = 4096
"""About five megabytes: more than ``MAX_COMPARED`` values and those of the simulated device can be."""
MAX_COMPARED: Final = 10_000
"""Values of a configuration that are compared: more interfaces of VLANs than there are VLANs."""
MAX_VALUE: Final = 255
"""Bytes of a text; longer values are cut to a prefix and a digest by who makes them."""


def encode_configuration(generation: int, mode: CheckMode, values: tuple[ConsistencyValue, ...]) -> list[bytes]:
    """The bodies, in order. ``ValueError`` for more than fits ``MAX_PARTS`` of them."""
    parts = [b""]
    for value in values:
        texts = (value.scope.encode(), value.item.encode(), value.value.encode())
        record = b"".join(bytes([len(text)]) + text for text in texts)
        if len(parts[-1]) + len(record) > PART_SIZE:
            parts.append(b"")
        parts[-1] += record
    if len(parts) > MAX_PARTS:
        raise ValueError(f"the compared configuration needs {len(parts)} datagrams, at most {MAX_PARTS} are possible")
    head = (generation & 0xFFFFFFFF, _MODES.index(mode))
    return [_HEAD.pack(*head, number, len(parts)) + part for number, part in enumerate(parts)]


@dataclass(frozen=True, slots=True)
class Part:
    """One datagram, decoded: part ``number`` of ``count``."""

    generation: int
    mode: CheckMode
    number: int
    count: int
    values: tuple[ConsistencyValue, ...]


def decode_part(body: bytes) -> Part:
    """The reverse of one of ``encode_configuration``. Raises ``ProtocolViolation``."""
    if len(body) < _HEAD.size:
        raise _broken("a part of a configuration is too short")
    generation, mode, number, count = _HEAD.unpack_from(body)
    if mode >= len(_MODES) or not number < count:
        raise _broken(f"part {number} of {count} of a configuration, mode {mode}")
    return Part(generation, _MODES[mode], number, count, tuple(_records(body[_HEAD.size :])))


class ConfigurationReceiver:
    """Collects the parts of the newest generation."""

    def __init__(self) -> None:
        self._newest: Part | None = None
        self._parts: dict[int, Part] = {}

    def clear(self) -> None:
        """Forget parts of what is not whole: their sender may be another one from now on."""
        self._newest, self._parts = None, {}

    def take(self, part: Part) -> tuple[CheckMode, tuple[ConsistencyValue, ...]] | None:
        """One part; the whole once all of its parts are there."""
        newest = self._newest
        if newest is None or (part.generation, part.count) != (newest.generation, newest.count):
            self._parts = {}
        self._newest = part
        self._parts[part.number] = part
        if len(self._parts) < part.count:
            return None
        values = tuple(value for at in sorted(self._parts) for value in self._parts[at].values)
        self._parts = {}
        return part.mode, values


def _records(part: bytes) -> list[ConsistencyValue]:
    found = []
    at = 0
    while at < len(part):
        texts = []
        for _ in range(3):
            end = at + 1 + part[at] if at < len(part) else at
            if end > len(part) or end == at:
                raise _broken("a value of a configuration is cut short")
            texts.append(part[at + 1 : end])
            at = end
        try:
            found.append(ConsistencyValue(*(text.decode() for text in texts)))
        except UnicodeDecodeError:
            raise _broken("a value of a configuration is not UTF-8") from None
    return found


def _broken(detail: str) -> ProtocolViolation:
    return ProtocolViolation(DownReason.PROTOCOL_ERROR, detail)
