"""Member interfaces of the two devices: who is master member of each M-LAG (DOMAIN 1.1 step 3), a pure function."""

from __future__ import annotations

from collections.abc import Iterable

from mlag_agent.mlag.config import PortConfig
from mlag_agent.mlag.messages import MemberAnnouncement
from mlag_agent.mlag.state import MemberRole, PairRole

__all__ = ["Members", "member_role"]


def member_role(before: MemberRole, *, up: bool, peer: MemberAnnouncement | None, device: PairRole) -> MemberRole:
    """Role of a member interface in dual-active mode.

    The first of the two that comes up is the master and stays it, whatever the other one does. Where both claim to be,
    or none, the device that is Master has it.  ``peer``: what the partner says of its own, None without one.
    """
    if not up:
        return MemberRole.INVALID
    if peer is None or not peer.up:
        return MemberRole.MASTER
    mine = before is MemberRole.MASTER
    if mine == peer.master:
        mine = device is PairRole.MASTER
    return MemberRole.MASTER if mine else MemberRole.BACKUP


class Members:
    """The roles over time, and what the hello says of them."""

    def __init__(self) -> None:
        self._roles: dict[int, MemberRole] = {}
        self._up: dict[int, bool] = {}

    def update(
        self, ports: Iterable[tuple[PortConfig, bool]], peer: Iterable[MemberAnnouncement], device: PairRole
    ) -> None:
        """Take the ports with whether each is up, and what the partner says (nothing without one)."""
        theirs = {member.m_lag_id: member for member in peer}
        before = self._roles
        self._up = {port.m_lag_id: up for port, up in ports if port.m_lag_id is not None}
        self._roles = {
            number: member_role(before.get(number, MemberRole.INVALID), up=up, peer=theirs.get(number), device=device)
            for number, up in self._up.items()
        }

    def role(self, m_lag_id: int) -> MemberRole:
        """As of the last update."""
        return self._roles.get(m_lag_id, MemberRole.INVALID)

    def announced(self) -> tuple[MemberAnnouncement, ...]:
        """In ascending order of the M-LAG ID."""
        return tuple(
            MemberAnnouncement(number, up, self._roles[number] is MemberRole.MASTER)
            for number, up in sorted(self._up.items())
        )
