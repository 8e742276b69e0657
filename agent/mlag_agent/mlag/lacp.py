"""The LACP system identifier of each M-LAG, sans-IO: the server must see the two devices as one (DOMAIN 2.1 row 13).

While the devices are a pair both present the identifier of the Master. A Backup that loses its partner goes on with the
Master's, so that the server's aggregation stays up, until 'set lacp system-id switch-delay' is over. Where the facts
leave room: docs/decisions/060-lacp-system-id.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mlag_agent.mlag.config import GroupConfig
from mlag_agent.mlag.messages import Announcement
from mlag_agent.mlag.pairing import elect
from mlag_agent.mlag.state import LacpState, PairRole

__all__ = ["LACP_PRIORITY", "Lacp", "LacpFacts", "lacp_facts"]

LACP_PRIORITY: Final = 32768
"""Default of 'lacp m-lag priority', a command outside of the chapter that is not modelled."""


@dataclass(frozen=True, slots=True)
class LacpFacts:
    """What is known. ``own``: this device's system identifier, six bytes; ``members``: M-LAG IDs configured here.

    ``remote`` and ``remote_members`` are the partner's, None and empty without one. ``backup``: this device is the
    Backup of the pair. ``switch_delay``: seconds, 0.0 at once, None never.
    """

    own: bytes
    members: frozenset[int]
    remote: bytes | None = None
    remote_members: frozenset[int] = frozenset()
    backup: bool = False
    switch_delay: float | None = None


def lacp_facts(mine: Announcement | None, config: GroupConfig | None, partner: Announcement | None) -> LacpFacts | None:
    """The facts of a device: what it announces, and what the other device of the pair does (None without a pair)."""
    if mine is None or config is None:
        return None
    return LacpFacts(
        mine.system_mac,
        frozenset(port.m_lag_id for port in config.ports if port.m_lag_id is not None),
        None if partner is None else partner.system_mac,
        frozenset() if partner is None else frozenset(member.m_lag_id for member in partner.members),
        partner is not None and elect(mine, partner) is PairRole.BACKUP,
        config.lacp_switch_delay,
    )


class _MLag:
    """One M-LAG. ``remote``: the partner's identifier while that is in force."""

    __slots__ = ("heard", "in_force", "received", "remote", "sent", "sent_ifm", "told")

    def __init__(self) -> None:
        self.remote: bytes | None = None
        self.in_force: bytes | None = None
        self.told: bytes | None = None
        self.heard: bytes | None = None
        self.sent = self.received = self.sent_ifm = 0

    def exchange(self, told: bytes | None, heard: bytes | None) -> None:
        """Count what is news; the hellos that repeat it are not."""
        self.sent += told is not None and told != self.told
        self.received += heard is not None and heard != self.heard
        self.told, self.heard = told, heard

    def use(self, own: bytes, remote: bytes | None) -> None:
        """From now on the partner's identifier, or the own one; interface management (IFM) is told of another one."""
        self.remote = remote
        in_force = own if remote is None else remote
        self.sent_ifm += in_force != self.in_force
        self.in_force = in_force


class Lacp:
    """The identifiers over time; every time is in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._m_lags: dict[int, _MLag] = {}
        self._own = b""
        self._paired = False
        self._split_at: float | None = None
        self._switch_delay: float | None = None

    def update(self, facts: LacpFacts | None, now: float) -> None:
        """Take the facts (None: no group)."""
        if facts is None:
            self._m_lags = {}
            self._paired, self._split_at = False, None
            return
        paired = facts.remote is not None
        if paired:
            self._split_at = None
        elif self._paired:
            self._split_at = now
        self._paired, self._own, self._switch_delay = paired, facts.own, facts.switch_delay
        at = self._switch_at()
        switches = at is not None and now >= at
        self._m_lags = {number: self._m_lags.get(number) or _MLag() for number in sorted(facts.members)}
        for number, m_lag in self._m_lags.items():
            # What only one device has is no multi-chassis aggregation: its own identifier will do.
            heard = facts.remote if number in facts.remote_members else None
            m_lag.exchange(facts.own if paired else None, heard)
            if paired:
                m_lag.use(facts.own, heard if facts.backup else None)
            else:
                m_lag.use(facts.own, None if switches else m_lag.remote)

    def _switch_at(self) -> float | None:
        if self._split_at is None or self._switch_delay is None:
            return None
        return self._split_at + self._switch_delay

    def next_deadline(self) -> float | None:
        """When ``update`` has something to do next."""
        borrowed = any(m_lag.remote is not None for m_lag in self._m_lags.values())
        return self._switch_at() if borrowed else None

    def state(self, now: float) -> tuple[LacpState, ...]:
        """For the snapshot, in ascending order of the M-LAG ID."""
        at = self._switch_at()
        return tuple(
            LacpState(
                number,
                self._own,
                m_lag.remote,
                LACP_PRIORITY,
                None if at is None or m_lag.remote is None else max(0.0, at - now),
                m_lag.sent,
                m_lag.received,
                m_lag.sent_ifm,
            )
            for number, m_lag in self._m_lags.items()
        )
