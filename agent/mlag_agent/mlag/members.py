"""Member interfaces of the two devices: who is master member of each M-LAG (DOMAIN 1.1 step 3), a pure function."""

from __future__ import annotations

from collections.abc import Iterable

from mlag_agent.mlag.config import PortConfig
from mlag_agent.mlag.election import Claim, elected, heard, lapsed
from mlag_agent.mlag.messages import MemberAnnouncement
from mlag_agent.mlag.state import MemberRole, PairRole

__all__ = ["Members", "is_active_standby", "member_role"]


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


def is_active_standby(port: PortConfig, peer: MemberAnnouncement | None) -> bool:
    """The mode in force: active/standby unless the partner's interface is dual-active, so that both have the same."""
    return port.active_standby and (peer is None or peer.active_standby)


class Members:
    """The roles over time, and what the hello says of them."""

    def __init__(self) -> None:
        self._roles: dict[int, MemberRole] = {}
        self._ports: dict[int, tuple[PortConfig, bool]] = {}
        self._claims: dict[int, Claim] = {}
        self._seen: tuple[object, ...] = ()
        self._announced: tuple[MemberAnnouncement, ...] | None = ()

    def update(
        self, ports: Iterable[tuple[PortConfig, bool]], peer: Iterable[MemberAnnouncement], device: PairRole
    ) -> None:
        """Take the ports with whether each is up, and what the partner says (nothing without one)."""
        seen = (tuple(ports), tuple(peer), device)
        if seen == self._seen:
            return  # the same again would change nothing, and is what comes with most datagrams
        self._seen, self._announced = seen, None
        theirs = {member.m_lag_id: member for member in seen[1]}
        before = self._roles
        self._ports = {port.m_lag_id: (port, up) for port, up in seen[0] if port.m_lag_id is not None}
        self._claims = {number: claim for number, claim in self._claims.items() if number in self._ports}
        self._roles = {}
        for number, (port, up) in self._ports.items():
            partner = theirs.get(number)
            if port.active_standby:
                self._hear(number, partner, device)
            if is_active_standby(port, partner):
                self._roles[number] = self._by_claim(number, up=up)
            else:
                self._lapse(number)
                self._roles[number] = member_role(
                    before.get(number, MemberRole.INVALID), up=up, peer=partner, device=device
                )

    def receive(self, m_lag_id: int) -> None:
        """An election packet has come over a member interface that is up and active/standby."""
        self._claims[m_lag_id] = elected(self._claims.get(m_lag_id, Claim()))
        self._roles[m_lag_id] = MemberRole.MASTER
        self._announced = None

    def _hear(self, number: int, partner: MemberAnnouncement | None, device: PairRole) -> None:
        if partner is not None and partner.active_standby:  # a dual-active partner's term is none
            theirs = Claim(partner.term, partner.master)
            self._claims[number] = heard(self._claims.get(number, Claim()), theirs, device)

    def _by_claim(self, number: int, *, up: bool) -> MemberRole:
        if not up:
            self._lapse(number)
            return MemberRole.INVALID
        return MemberRole.MASTER if self._claims.get(number, Claim()).master else MemberRole.BACKUP

    def _lapse(self, number: int) -> None:
        if number in self._claims:
            self._claims[number] = lapsed(self._claims[number])

    def role(self, m_lag_id: int) -> MemberRole:
        """As of the last update."""
        return self._roles.get(m_lag_id, MemberRole.INVALID)

    def announced(self) -> tuple[MemberAnnouncement, ...]:
        """In ascending order of the M-LAG ID."""
        if self._announced is None:
            self._announced = self._announce()
        return self._announced

    def _announce(self) -> tuple[MemberAnnouncement, ...]:
        return tuple(
            MemberAnnouncement(
                number,
                up,
                self._roles[number] is MemberRole.MASTER,
                port.active_standby,
                self._claims.get(number, Claim()).term if port.active_standby else 0,
            )
            for number, (port, up) in sorted(self._ports.items())
        )
