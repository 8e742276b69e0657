"""Consistency check: what two devices have configured, compared (DOMAIN 2.1 rows 17 to 24, 3.2).

Each device tells the other its values over the peer-link while its check is enabled, and judges both sets itself. A
value has a scope (``global``, ``peer-link``, ``m-lag 10``, ``interface Vlanif10``) and an item. Decisions where the
facts leave room: docs/decisions/059-consistency.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from mlag_agent.mlag.config import CheckMode, ConsistencyConfig, ConsistencyValue, GroupConfig
from mlag_agent.mlag.consistency_wire import ConfigurationReceiver, Part, encode_configuration
from mlag_agent.mlag.events import ConsistencyMismatch, ConsistencyResumed, EngineEvent
from mlag_agent.mlag.peerlink import PeerLink
from mlag_agent.mlag.state import ConsistencyRow, ConsistencyState, PairRole

__all__ = ["ITEMS", "SIMULATED", "ConsistencyCheck", "Item", "ItemSpec", "compare"]

SEND_INTERVAL: Final = 10.0
"""Seconds after which all values are told again, since a datagram may be lost; what has changed is told at once."""

MAX_SIMULATED: Final = 4096
"""Values of the simulated device that can be set at once: two for each possible M-LAG."""


class Item(StrEnum):
    """``dfs-m-lag:consistency-item``; the device's own words, in lower case with hyphens."""

    STP_ENABLE = "stp-enable"
    STP_MODE = "stp-mode"
    V_STP = "v-stp"
    STP_VLAN_DISABLE = "stp-vlan-disable"
    ELECTION_MODE = "election-mode"
    VLAN = "vlan"
    VLANIF_IPV4 = "vlanif-ipv4"
    M_LAG_ID = "m-lag-id"
    M_LAG_MODE = "m-lag-mode"
    MEMBER_NUMBER = "m-lag-member-number"
    LACP_SYSTEM_ID = "lacp-m-lag-system-id"
    LACP_PRIORITY = "lacp-m-lag-priority"
    STP_EDGED_PORT = "stp-edged-port"
    LACP_MODE = "lacp-mode"
    EXCLUDE_VLAN = "exclude-vlan"
    M_LAG_IPV4 = "m-lag-ipv4-address"
    M_LAG_IPV6 = "m-lag-ipv6-address"
    M_LAG_LINK_LOCAL = "m-lag-ipv6-link-local-address"


@dataclass(frozen=True, slots=True)
class ItemSpec:
    """``kind``: type 1 or 2; ``whitelist``: module and service-type that take it out; ``code``: of 'failed(n)';
    ``differs``: it fails when it is equal on both devices, as the addresses of an M-LAG do."""

    kind: int
    whitelist: tuple[str, str] | None = None
    code: int | None = None
    differs: bool = False


ITEMS: Final[Mapping[Item, ItemSpec]] = {
    Item.STP_ENABLE: ItemSpec(1, code=2),
    Item.STP_MODE: ItemSpec(1),
    Item.V_STP: ItemSpec(1),
    Item.STP_VLAN_DISABLE: ItemSpec(1),
    Item.ELECTION_MODE: ItemSpec(2, ("m-lag", "m-lag-election-mode")),
    Item.VLAN: ItemSpec(2, ("vlan", "vlan-configuration")),
    Item.VLANIF_IPV4: ItemSpec(2, ("vlanif", "ipv4-address")),
    Item.M_LAG_ID: ItemSpec(2, ("m-lag", "m-lag-id"), code=5),
    Item.M_LAG_MODE: ItemSpec(2, code=10),
    Item.MEMBER_NUMBER: ItemSpec(2, ("m-lag", "m-lag-member-num"), code=6),
    Item.LACP_SYSTEM_ID: ItemSpec(1, code=7),
    Item.LACP_PRIORITY: ItemSpec(1, code=8),
    Item.STP_EDGED_PORT: ItemSpec(1, code=9),
    Item.LACP_MODE: ItemSpec(1, code=4),
    Item.EXCLUDE_VLAN: ItemSpec(2, ("m-lag", "peer-link-exclude-vlan")),
    Item.M_LAG_IPV4: ItemSpec(2, ("m-lag", "m-lag-ipv4-address"), differs=True),
    Item.M_LAG_IPV6: ItemSpec(2, ("m-lag", "m-lag-ipv6-address"), differs=True),
    Item.M_LAG_LINK_LOCAL: ItemSpec(2, differs=True),
}

SIMULATED: Final = frozenset(
    {
        Item.STP_ENABLE, Item.STP_MODE, Item.V_STP, Item.STP_VLAN_DISABLE, Item.MEMBER_NUMBER, Item.LACP_SYSTEM_ID,
        Item.LACP_PRIORITY, Item.STP_EDGED_PORT, Item.LACP_MODE,
    }
)  # fmt: skip
"""What no module here configures: the simulated device's value is set by ``mlag-simulator:set-configuration-value``."""

Values = Mapping[tuple[str, str], str]


def compare(mine: Values, theirs: Values, whitelist: frozenset[tuple[str, str]]) -> tuple[ConsistencyRow, ...]:
    """Every item that either device has and that is to be checked, in order of scope and item.

    What belongs to one M-LAG is compared where both devices have the M-LAG: that one has it alone is the item
    ``m-lag-id``. Items that this release does not know are left out.
    """
    rows = []
    both = {scope for scope, _ in mine} & {scope for scope, _ in theirs}
    for scope, name in sorted(mine.keys() | theirs.keys()):
        if name not in Item._value2member_map_ or (scope.startswith("m-lag ") and scope not in both):
            continue
        spec = ITEMS[Item(name)]
        if spec.whitelist is not None and spec.whitelist in whitelist:
            continue
        local, peer = mine.get((scope, name)), theirs.get((scope, name))
        consistent = (local is None or peer is None or local != peer) if spec.differs else local == peer
        rows.append(ConsistencyRow(scope, name, spec.kind, local, peer, consistent))
    return tuple(rows)


class ConsistencyCheck:
    """One device's check; times are seconds of a monotonic clock, ``wall`` gives aware UTC."""

    def __init__(self, wall: Callable[[], datetime]) -> None:
        self._wall = wall
        self._config = ConsistencyConfig()
        self._simulated: dict[tuple[str, str], str] = {}
        self._receiver = ConfigurationReceiver()
        self._mine: dict[tuple[str, str], str] = {}
        self._peer_mode: CheckMode | None = None
        self._theirs: Values | None = None
        self._rows: tuple[ConsistencyRow, ...] | None = ()
        """The last comparison; None: something has changed since, and it is made again when somebody looks."""
        self._looked_at: tuple[ConsistencyRow, ...] = ()
        self._codes: _Codes | None = None
        self._failed: frozenset[tuple[str, str]] = frozenset()
        self._generation = 0
        self._news = True
        self._next_tell: float | None = None
        self._sent: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._holding = False
        self._up_at: float | None = None
        self._up_delay = 0.0

    def configure(self, config: GroupConfig | None) -> None:
        """The check and the values of the configuration in force; None: no group."""
        self._config = ConsistencyConfig() if config is None else config.consistency
        self._up_delay = 0.0 if config is None else config.dual_active.up_delay
        self._collect()

    def set_value(self, scope: str, item: Item, value: str | None) -> None:
        """A value of the simulated device that no module configures; None: it has none. ``ValueError``."""
        if item not in SIMULATED:
            raise ValueError(f"{item} comes from the configuration, it cannot be set")
        if value is None:
            self._simulated.pop((scope, item), None)
        elif len(self._simulated) >= MAX_SIMULATED and (scope, str(item)) not in self._simulated:
            raise ValueError(f"{MAX_SIMULATED} values are set already")
        else:
            self._simulated[scope, str(item)] = value
        self._collect()

    def _collect(self) -> None:
        configured = {(value.scope, value.item): value.value for value in self._config.values}
        self._mine = {**configured, **self._simulated}
        self._rows = None
        self._news = True

    @property
    def enabled(self) -> bool:
        """Whether this device checks."""
        return self._config.mode is not CheckMode.DISABLE

    def outgoing(self, now: float, *, paired: bool) -> list[bytes]:
        """Bodies of the datagrams that tell the peer what there is, when that is due."""
        if not paired:
            self._news = True
            self._next_tell = None
            return []
        if not self._news and (self._next_tell is None or now < self._next_tell):
            return []
        self._generation += self._news
        self._news = False
        told = self._mine if self.enabled else {}
        self._next_tell = now + SEND_INTERVAL
        self._sent.update(item for _, item in told)
        values = (ConsistencyValue(scope, item, value) for (scope, item), value in sorted(told.items()))
        return encode_configuration(self._generation, self._config.mode, tuple(values))

    def tick(
        self, hello: PeerLink, now: float, role: PairRole | None, send: Callable[[bytes], None]
    ) -> Sequence[EngineEvent]:
        """Take what has arrived, look at it, tell the peer; ``role``: this device's in the pair, None without one."""
        while hello.configurations:
            self.received(hello.configurations.popleft())
        events = self.update(now, paired=role is not None, role=role or PairRole.MASTER, up_delay=self._up_delay)
        for body in self.outgoing(now, paired=role is not None):
            send(hello.configuration(body))
        return events

    def received(self, part: Part) -> None:
        """A part of the peer's configuration, in good order (``PeerLink`` has seen to that)."""
        whole = self._receiver.take(part)
        if whole is None:
            return
        self._peer_mode, values = whole
        self._theirs = {(value.scope, value.item): value.value for value in values}
        self._rows = None
        self._failures.update(row.item for row in self._judged() if not row.consistent)

    @property
    def _compares(self) -> bool:
        return self.enabled and self._theirs is not None and self._peer_mode is not CheckMode.DISABLE

    def _judged(self) -> tuple[ConsistencyRow, ...]:
        if self._rows is None:
            theirs = self._theirs or {}
            self._rows = compare(self._mine, theirs, self._config.whitelist) if self._compares else ()
        return self._rows

    def update(self, now: float, *, paired: bool, role: PairRole, up_delay: float) -> list[EngineEvent]:
        """Look at what is known now; the events that follow."""
        if not paired:
            self._receiver.clear()
            if self._theirs is not None:
                self._peer_mode = self._theirs = self._rows = None
        events: list[EngineEvent] = []
        rows = self._judged()
        if rows is not self._looked_at:
            self._looked_at = rows
            events = self._events({(row.scope, row.item): row for row in rows if not row.consistent})
        held = paired and role is PairRole.BACKUP and self._config.mode is CheckMode.STRICT
        holding = held and any(ITEMS[Item(item)].kind == 1 for _, item in self._failed)
        if self._holding and not holding:
            self._up_at = now + up_delay if paired else None
        elif holding or (self._up_at is not None and now >= self._up_at):
            self._up_at = None
        self._holding = holding
        return events

    def _events(self, failed: Mapping[tuple[str, str], ConsistencyRow]) -> list[EngineEvent]:
        before, self._failed = self._failed, frozenset(failed)
        at = self._wall()
        events: list[EngineEvent] = [
            ConsistencyMismatch(at, row.kind, row.scope, row.item, row.local, row.peer)
            for key, row in failed.items()
            if key not in before
        ]
        kinds = {ITEMS[Item(item)].kind for _, item in before} - {row.kind for row in failed.values()}
        return events + [ConsistencyResumed(at, kind) for kind in sorted(kinds)]

    def next_deadline(self) -> float | None:
        """When ``outgoing`` or ``update`` has something to do next."""
        return min((at for at in (self._next_tell, self._up_at) if at is not None), default=None)

    @property
    def holds(self) -> bool:
        """Whether the member interfaces of this device are error-down for it, or wait to come up again."""
        return self._holding or self._up_at is not None

    def countdown(self, now: float) -> float | None:
        """Seconds until they come up; None when they wait for nothing."""
        return None if self._up_at is None or self._up_at <= now else self._up_at - now

    def state(self) -> ConsistencyState:
        """For the snapshot."""
        return ConsistencyState(
            mode=self._config.mode,
            peer_mode=self._peer_mode,
            compared=self._compares,
            rows=self._judged(),
            sent=dict(self._sent),
            failures=dict(self._failures),
        )

    def result(self, m_lag_id: int) -> tuple[bool, tuple[int, ...]] | None:
        """Of one M-LAG: whether it is consistent, and the codes of what is not; None when nothing is compared."""
        if not self._compares:
            return None
        rows = self._judged()
        if self._codes is None or self._codes.rows is not rows:
            self._codes = _Codes(rows)
        codes = self._codes.of(m_lag_id)
        return not codes, codes


class _Codes:
    """The codes of 'failed(n)' by M-LAG, of one comparison: each of thousands of M-LAGs is asked for."""

    def __init__(self, rows: tuple[ConsistencyRow, ...]) -> None:
        self.rows = rows
        self._of_scope: dict[str, set[int]] = {}
        self._here_alone: int | None = None
        self._of_peer: frozenset[str] = frozenset()
        for row in rows:
            code = ITEMS[Item(row.item)].code
            if row.consistent or code is None:
                continue
            self._of_scope.setdefault(row.scope, set()).add(code)
            if row.item == Item.M_LAG_ID:
                self._here_alone, self._of_peer = code, frozenset((row.peer or "").split(","))

    def of(self, m_lag_id: int) -> tuple[int, ...]:
        """Of one M-LAG of this device, ascending."""
        codes = set(self._of_scope.get(f"m-lag {m_lag_id}", ()))
        if self._here_alone is not None and str(m_lag_id) not in self._of_peer:
            codes.add(self._here_alone)
        return tuple(sorted(codes))
