"""The simulated device: learns, ages out, flushes and lists entries, in chunks that hold the event loop only shortly.

``ValueError`` is raised for what a caller asks wrongly, before anything is changed.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mlag_agent.mlag.config import EntryKind, EntryOrigin, EntryType, IPAddress
from mlag_agent.mlag.state import Entry, EntryPage
from mlag_agent.mlag.tables import MAC_BYTES, NeighbourTable

__all__ = ["MAX_COUNT", "MAX_PAGE", "Selector", "SimulatedDevice", "parse_mac"]

CHUNK: Final = 2000
"""Entries handled before other tasks get their turn: one to two milliseconds."""
MAX_COUNT: Final = 1_000_000
"""``count`` of ``learn-entries`` and of the selector."""
MAX_PAGE: Final = 10_000
"""``limit`` of ``list-entries``."""
_MAX_MAC: Final = (1 << 48) - 1


@dataclass(frozen=True, slots=True)
class Selector:
    """Selects entries; what is ``None`` matches all. ``count`` addresses from ``start_address`` (default 1).

    Raises ``ValueError`` for a count without an address, a range beyond the family's end, a type that does not agree
    with the address, or a VLAN outside 1..4094.
    """

    type: EntryType | None = None
    start_address: IPAddress | None = None
    count: int | None = None
    interface: str | None = None
    vlan: int | None = None

    def __post_init__(self) -> None:
        if self.vlan is not None:
            _check_vlan(self.vlan)
        if self.start_address is None:
            if self.count is not None:
                raise ValueError("count needs a start-address")
            return
        _check_range(self.start_address, 1 if self.count is None else self.count)
        if self.type is not None and self.type.family != self.start_address.version:
            raise ValueError(f"start-address {self.start_address} does not agree with type {self.type}")

    @property
    def types(self) -> tuple[EntryType, ...]:
        """The tables to look into."""
        if self.start_address is not None:
            return (EntryType.ARP if self.start_address.version == 4 else EntryType.ND,)
        return (self.type,) if self.type is not None else tuple(EntryType)

    def key_range(self) -> tuple[bytes, bytes] | None:
        """Lowest and highest key of the range of addresses, both included."""
        if self.start_address is None:
            return None
        size = len(self.start_address.packed)
        first = int(self.start_address)
        last = first + (1 if self.count is None else self.count) - 1
        return first.to_bytes(size, "big") + b"\0\0", last.to_bytes(size, "big") + b"\xff\xff"


_ALL: Final = Selector()


def _check_vlan(vlan: int) -> None:
    if not 1 <= vlan <= 4094:
        raise ValueError(f"VLAN {vlan} is outside 1..4094")


def _check_range(start: IPAddress, count: int) -> None:
    if not 1 <= count <= MAX_COUNT:
        raise ValueError(f"count {count} is outside 1..{MAX_COUNT}")
    if int(start) + count - 1 >= 1 << start.max_prefixlen:
        raise ValueError(f"{count} addresses from {start} run past the end of the IPv{start.version} addresses")


def parse_mac(text: str) -> int:
    """A link-layer address as number, from six pairs of hexadecimal digits with colons. Raises ``ValueError``."""
    parts = text.split(":")
    if len(parts) != 6 or any(len(part) != 2 for part in parts):
        raise ValueError(f"{text!r} is no MAC address")
    return int.from_bytes(bytes(int(part, 16) for part in parts), "big")


class SimulatedDevice:
    """Operations on the two tables. ``touched`` is called after each chunk that changed something."""

    def __init__(self, tables: Mapping[EntryType, NeighbourTable], touched: Callable[[], None]) -> None:
        self._tables = tables
        self._touched = touched

    async def learn(  # noqa: PLR0917 - the order of the leaves of learn-entries
        self, start_address: IPAddress, count: int, interface: str, vlan: int, kind: EntryKind, start_mac: str
    ) -> tuple[int, int]:
        """Consecutive addresses with consecutive link-layer addresses (the last is followed by 00:...:00).

        Returns how many were added or refreshed and how many were refused because the table was full.
        """
        _check_range(start_address, count)
        _check_vlan(vlan)
        mac = parse_mac(start_mac)
        table = self._tables[EntryType.ARP if start_address.version == 4 else EntryType.ND]
        number = table.interface_number(interface)
        learned = refused = 0
        first, size, suffix = int(start_address), len(start_address.packed), vlan.to_bytes(2, "big")
        for offset in range(0, count, CHUNK):
            pairs = [
                ((first + i).to_bytes(size, "big") + suffix, ((mac + i) & _MAX_MAC).to_bytes(MAC_BYTES, "big"))
                for i in range(offset, min(count, offset + CHUNK))
            ]
            more_learned, more_refused = table.learn(pairs, number, kind)
            learned += more_learned
            refused += more_refused
            self._touched()
            await asyncio.sleep(0)  # lets other tasks in between chunks
        return learned, refused

    async def age(self, selector: Selector = _ALL) -> int:
        """Local dynamic entries age out; returns how many."""
        removed = 0
        for entry_type in selector.types:
            table = self._tables[entry_type]
            removed += await self._remove(table, selector, table.dynamic_keys(), table.remove_local)
        return removed

    async def flush(self, selector: Selector = _ALL) -> int:
        """Dynamic entries of both origins go; returns how many. An entry of the peer has no interface to match."""
        removed = 0
        for entry_type in selector.types:
            table = self._tables[entry_type]
            keys = [*table.dynamic_keys(), *table.peer_keys()]
            removed += await self._remove(table, selector, keys, table.flush)
        return removed

    async def list_entries(self, selector: Selector = _ALL, offset: int = 0, limit: int = 1000) -> EntryPage:
        """A page of the entries that match, ARP first, each table in ascending order of address."""
        if offset < 0 or not 1 <= limit <= MAX_PAGE:
            raise ValueError(f"a page of {limit} entries from {offset}: limit is 1..{MAX_PAGE}, offset not below 0")
        total = 0
        found: list[Entry] = []
        for entry_type in selector.types:
            table = self._tables[entry_type]
            keys = _in_range(table.sorted_keys(), selector)
            if selector.interface is not None or selector.vlan is not None:
                keys = [key for chunk in _chunks(keys) for key in await _matching(table, selector, chunk)]
            start = min(len(keys), max(0, offset - total))
            room = limit - len(found)
            total += len(keys)
            for chunk in _chunks(keys[start : start + room]):
                found += [entry for key in chunk if (entry := _entry(table, key)) is not None]
                await asyncio.sleep(0)
        return EntryPage(total, tuple(found))

    async def _remove(
        self, table: NeighbourTable, selector: Selector, keys: list[bytes], remove: Callable[[list[bytes]], int]
    ) -> int:
        if selector.start_address is not None:
            keys = _in_range(sorted(keys), selector)
        removed = 0
        for chunk in _chunks(keys):
            removed += remove(await _matching(table, selector, chunk))
            self._touched()
        return removed


def _chunks(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for offset in range(0, len(keys), CHUNK):
        yield keys[offset : offset + CHUNK]


def _in_range(keys: list[bytes], selector: Selector) -> list[bytes]:
    bounds = selector.key_range()
    if bounds is None:
        return keys
    lowest, highest = bounds
    start = bisect_left(keys, lowest)
    return keys[start : bisect_left(keys, highest, lo=start)]


async def _matching(table: NeighbourTable, selector: Selector, keys: Sequence[bytes]) -> list[bytes]:
    """Those of ``keys`` that match VLAN and interface; other tasks get their turn before."""
    await asyncio.sleep(0)
    chosen = list(keys)
    if selector.vlan is not None:
        suffix = selector.vlan.to_bytes(2, "big")
        chosen = [key for key in chosen if key.endswith(suffix)]
    if selector.interface is not None:
        number = table.find_interface(selector.interface)
        if number is None:
            return []
        wanted = number.to_bytes(2, "big")
        chosen = [
            key
            for key in chosen
            if (found := table.lookup(key)) is not None and found[1] is not None and found[0][MAC_BYTES:] == wanted
        ]
    return chosen


def _entry(table: NeighbourTable, key: bytes) -> Entry | None:
    found = table.lookup(key)
    if found is None:
        return None  # went while the page was being made
    value, kind = found
    address = IPv4Address(key[:-2]) if table.type is EntryType.ARP else IPv6Address(key[:-2])
    return Entry(
        address=address,
        vlan=int.from_bytes(key[-2:], "big"),
        mac=value[:MAC_BYTES].hex(":"),
        interface=None if kind is None else table.interface_name(value),
        kind=EntryKind.DYNAMIC if kind is None else kind,
        origin=EntryOrigin.PEER if kind is None else EntryOrigin.LOCAL,
    )
