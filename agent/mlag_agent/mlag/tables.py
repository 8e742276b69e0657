"""One neighbour table (ARP or ND) with the ownership rules of the vendor's guide (DOMAIN 1.4).

Entries are kept compact, as the wire has them: key = packed address + VLAN (6 or 18 bytes, so that byte order is the
order of addresses), MAC = 6 bytes; a local value is MAC + 2 bytes of interface number. No object per entry exists.

A key may be known from both devices. The local entry is the one in use; the peer's is kept in the shade and comes back
into use when the local one goes, without anything being sent. Both devices then know both, so their digests agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from mlag_agent.mlag.config import EntryKind, EntryType

__all__ = ["KEY_BYTES", "MAX_INTERFACES", "NeighbourTable", "Outbox", "PeerInstall"]

MAC_BYTES: Final = 6
KEY_BYTES: Final = {EntryType.ARP: 6, EntryType.ND: 18}
MAX_INTERFACES: Final = 65535
"""Interface numbers have two bytes."""


class Outbox(Protocol):
    """Told by the table what the peer has to learn."""

    def changed(self, key: bytes, *, traffic: bool) -> None:
        """The local entry came, changed or went; ``traffic``: it was refreshed, so a peer that dropped it gets it."""

    def left(self, key: bytes) -> None:
        """The entry is neither sent any more nor withdrawn (ND, dynamic to static)."""


@dataclass(frozen=True, slots=True)
class PeerInstall:
    """What became of a batch of the peer's entries: ``installed`` are new or changed, ``dropped`` found no room."""

    installed: int
    dropped: int


class NeighbourTable:
    """Entries of one type; not thread-safe, no I/O.

    ``capacity`` bounds dynamic entries, local and of the peer together; ``configured_capacity`` bounds static and
    interface entries together.
    """

    def __init__(self, entry_type: EntryType, capacity: int, configured_capacity: int) -> None:
        self.type = entry_type
        self.capacity = capacity
        self._configured_capacity = configured_capacity
        self._dynamic: dict[bytes, bytes] = {}
        self._static: dict[bytes, bytes] = {}
        self._interface: dict[bytes, bytes] = {}
        self._active: dict[bytes, bytes] = {}
        self._shaded: dict[bytes, bytes] = {}
        self._refreshed: set[bytes] | None = None
        self._interface_names: list[str] = []
        self._interface_numbers: dict[str, int] = {}
        self._outbox: Outbox | None = None
        self.revision = 0
        self._digest: tuple[object, str] = (None, "")
        self._sorted: tuple[int, list[bytes]] = (-1, [])

    def connect_outbox(self, outbox: Outbox) -> None:
        """Whom to tell of local changes."""
        self._outbox = outbox

    # -- counts ------------------------------------------------------------------------------------------------

    @property
    def local_dynamic(self) -> int:
        """Dynamic entries learned on this device."""
        return len(self._dynamic)

    @property
    def local_static(self) -> int:
        """Static entries."""
        return len(self._static)

    @property
    def local_interface(self) -> int:
        """Interface entries."""
        return len(self._interface)

    @property
    def from_peer(self) -> int:
        """Entries of the peer that are in use."""
        return len(self._active)

    @property
    def entries(self) -> int:
        """Entries of every kind and origin that are in use."""
        return len(self._dynamic) + len(self._static) + len(self._interface) + len(self._active)

    @property
    def full(self) -> bool:
        """No dynamic entry finds room."""
        return len(self._dynamic) + len(self._active) >= self.capacity

    @property
    def synced_count(self) -> int:
        """Local entries that the peer is to have."""
        return len(self._dynamic) + (len(self._interface) if self.type is EntryType.ARP else 0)

    # -- what is synchronised ----------------------------------------------------------------------------------

    def synced_keys(self) -> list[bytes]:
        """Keys of the local entries to send: dynamic ones, and interface entries of ARP (DOMAIN 1.3)."""
        keys = list(self._dynamic)
        if self.type is EntryType.ARP:
            keys += self._interface
        return keys

    def synced_macs(self, keys: list[bytes]) -> list[bytes | None]:
        """For each key the MAC of the local entry that the peer is to have, ``None`` when it is to have none."""
        values = list(map(self._dynamic.get, keys))
        if self.type is EntryType.ARP and self._interface:
            values = [value or self._interface.get(key) for key, value in zip(keys, values, strict=True)]
        return [None if value is None else value[:MAC_BYTES] for value in values]

    # -- local entries -----------------------------------------------------------------------------------------

    def interface_number(self, name: str) -> int:
        """Number under which the table keeps an interface name. ``ValueError`` beyond ``MAX_INTERFACES`` names."""
        number = self._interface_numbers.get(name)
        if number is None:
            number = len(self._interface_names)
            if number >= MAX_INTERFACES:
                raise ValueError(f"the {self.type} table knows {MAX_INTERFACES} interface names and takes no more")
            self._interface_names.append(name)
            self._interface_numbers[name] = number
        return number

    def find_interface(self, name: str) -> int | None:
        """Number of a name if the table has ever had it."""
        return self._interface_numbers.get(name)

    def interface_name(self, value: bytes) -> str:
        """Interface of a local entry's value."""
        return self._interface_names[int.from_bytes(value[MAC_BYTES:], "big")]

    def learn(self, pairs: Iterable[tuple[bytes, bytes]], interface: int, kind: EntryKind) -> tuple[int, int]:
        """Learn ``(key, mac)`` pairs; returns how many were added or refreshed and how many found no room.

        A dynamic entry never replaces a static or interface entry: that one stays and counts as refreshed.
        """
        suffix = interface.to_bytes(2, "big")
        add = self._add_dynamic if kind is EntryKind.DYNAMIC else self._adder(kind)
        learned = refused = 0
        for key, mac in pairs:
            if add(key, mac + suffix):
                learned += 1
            else:
                refused += 1
        self.revision += 1
        return learned, refused

    def _add_dynamic(self, key: bytes, value: bytes) -> bool:
        dynamic = self._dynamic
        if key in dynamic:
            dynamic[key] = value
        elif key in self._static or key in self._interface:
            return True
        else:
            mac = self._active.pop(key, None)
            if mac is not None:
                self._shaded[key] = mac  # takes over the place of the peer's entry, so a full table has room for it
            elif len(dynamic) + len(self._active) >= self.capacity:
                return False
            dynamic[key] = value
        if self._outbox is not None:
            self._outbox.changed(key, traffic=True)
        return True

    def _adder(self, kind: EntryKind) -> Callable[[bytes, bytes], bool]:
        table, other = self._static, self._interface
        if kind is EntryKind.INTERFACE:
            table, other = other, table

        def add(key: bytes, value: bytes) -> bool:
            if key not in table and key not in other and len(table) + len(other) >= self._configured_capacity:
                return False
            again = key in table
            was_dynamic = self._dynamic.pop(key, None) is not None
            other.pop(key, None)
            table[key] = value
            mac = self._active.pop(key, None)
            if mac is not None:
                self._shaded[key] = mac
            # A static entry that is configured again must not withdraw what it was left with at the peer.
            if self._outbox is not None and not (again and kind is EntryKind.STATIC):
                if was_dynamic and kind is EntryKind.STATIC and self.type is EntryType.ND:
                    self._outbox.left(key)  # DOMAIN 1.4: neither sent any more nor withdrawn
                else:
                    self._outbox.changed(key, traffic=True)
            return True

        return add

    def remove_local(self, keys: Iterable[bytes]) -> int:
        """Age out local dynamic entries; a shaded entry of the peer comes back into use. Returns how many went."""
        removed = 0
        for key in keys:
            if self._dynamic.pop(key, None) is None:
                continue
            removed += 1
            mac = self._shaded.pop(key, None)
            if mac is not None:
                self._active[key] = mac
            if self._outbox is not None:
                self._outbox.changed(key, traffic=False)
        self.revision += 1
        return removed

    def flush(self, keys: Iterable[bytes]) -> int:
        """Remove dynamic entries of either device, those in the shade too; returns how many in use went."""
        removed = 0
        for key in keys:
            if self._dynamic.pop(key, None) is not None:
                removed += 1
                self._shaded.pop(key, None)
                if self._outbox is not None:
                    self._outbox.changed(key, traffic=False)
            elif self._active.pop(key, None) is not None:
                removed += 1
        self.revision += 1
        return removed

    # -- entries of the peer -----------------------------------------------------------------------------------

    def begin_batch(self) -> None:
        """The peer is about to send its whole table: from now on its entries are marked when they arrive."""
        self._refreshed = set()

    def end_batch(self) -> int:
        """The whole table has arrived: entries of the peer that it did not name are stale and go."""
        if self._refreshed is None:
            return 0
        stale = (self._active.keys() | self._shaded.keys()) - self._refreshed
        self._refreshed = None
        return self.withdraw_peer(stale)

    def install_peer(self, batch: dict[bytes, bytes]) -> PeerInstall:
        """Entries of the peer (MAC by key). They count as dynamic and share the capacity (DOMAIN 1.4)."""
        self.revision += 1
        if self._refreshed is not None:
            self._refreshed.update(batch)
        active = self._active
        # The usual case at C speed: no key is local, and all find room.
        if len(self._dynamic) + len(active) + len(batch) <= self.capacity and not self._touches_local(batch):
            active.update(batch)
            return PeerInstall(len(batch), 0)
        installed = dropped = 0
        for key, mac in batch.items():
            if key in self._dynamic or key in self._static or key in self._interface:
                self._shaded[key] = mac
            elif key in active or len(self._dynamic) + len(active) < self.capacity:
                active[key] = mac
            else:
                dropped += 1
                continue
            installed += 1
        return PeerInstall(installed, dropped)

    def _touches_local(self, batch: dict[bytes, bytes]) -> bool:
        return not (
            self._dynamic.keys().isdisjoint(batch)
            and self._static.keys().isdisjoint(batch)
            and self._interface.keys().isdisjoint(batch)
        )

    def withdraw_peer(self, keys: Iterable[bytes]) -> int:
        """The peer no longer has these entries; returns how many were known here."""
        removed = 0
        for key in keys:
            if self._active.pop(key, None) is not None or self._shaded.pop(key, None) is not None:
                removed += 1
            if self._refreshed is not None:
                self._refreshed.discard(key)
        self.revision += 1
        return removed

    def clear_peer(self) -> int:
        """Forget the peer: the group is gone."""
        removed = len(self._active) + len(self._shaded)
        self._active.clear()
        self._shaded.clear()
        self._refreshed = None
        self.revision += 1
        return removed

    # -- reading -----------------------------------------------------------------------------------------------

    def lookup(self, key: bytes) -> tuple[bytes, EntryKind | None] | None:
        """Value and kind of the entry in use; kind ``None`` marks an entry of the peer, whose value is its MAC."""
        for table, kind in (
            (self._dynamic, EntryKind.DYNAMIC),
            (self._static, EntryKind.STATIC),
            (self._interface, EntryKind.INTERFACE),
            (self._active, None),
        ):
            value = table.get(key)
            if value is not None:
                return value, kind
        return None

    def sorted_keys(self) -> list[bytes]:
        """Keys of all entries in use in ascending order; a list of its own that later changes do not touch."""
        if self._sorted[0] != self.revision:
            keys = [*self._dynamic, *self._static, *self._interface, *self._active]
            keys.sort()
            self._sorted = (self.revision, keys)
        return self._sorted[1]

    def dynamic_keys(self) -> list[bytes]:
        """Keys of local dynamic entries."""
        return list(self._dynamic)

    def peer_keys(self) -> list[bytes]:
        """Keys of the peer's entries in use."""
        return list(self._active)

    def peer_entries(self) -> dict[bytes, bytes]:
        """A copy of what the peer has sent, shaded entries too."""
        return {**self._active, **self._shaded}

    def digest(self, left_at_peer: dict[bytes, bytes], left_revision: int) -> str:
        """SHA-256, in hexadecimal, over the shared entries: key + MAC in ascending order, each once.

        Shared are the local entries that are synchronised, the peer's, and ``left_at_peer``: entries that this device
        stopped sending without withdrawing them.
        """
        version = (self.revision, left_revision)
        if self._digest[0] != version:
            records = [key + value[:MAC_BYTES] for key, value in self._dynamic.items()]
            if self.type is EntryType.ARP:
                records += [key + value[:MAC_BYTES] for key, value in self._interface.items()]
            for table in (self._active, self._shaded, left_at_peer):
                records += [key + mac for key, mac in table.items()]
            # Tables are mostly filled in order, and sorting runs that are in order costs little.
            ordered = sorted(dict.fromkeys(records))
            self._digest = (version, hashlib.sha256(b"".join(ordered)).hexdigest())
        return self._digest[1]
