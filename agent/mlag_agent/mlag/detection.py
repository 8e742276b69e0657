"""Dual-active detection of one engine: the heartbeat on its port, what it says of the peer, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from mlag_agent.mlag.config import DeviceIdentity, ElectionPacket, GroupConfig, PortConfig
from mlag_agent.mlag.consistency import ConsistencyCheck
from mlag_agent.mlag.election import ElectionOutcome
from mlag_agent.mlag.events import EngineEvent, HeartbeatLost, HeartbeatResumed, MemberPortDown
from mlag_agent.mlag.fabric_datagram import HeartbeatPort
from mlag_agent.mlag.heartbeat import Beat, Heartbeat
from mlag_agent.mlag.members import Members, is_active_standby
from mlag_agent.mlag.messages import Announcement, MemberAnnouncement
from mlag_agent.mlag.pairing import elect
from mlag_agent.mlag.splitbrain import SplitBrain, SplitFacts, uplink_up
from mlag_agent.mlag.state import (
    DualActiveState,
    ElectionState,
    HeartbeatEnd,
    HeartbeatState,
    MemberRole,
    MemberState,
    PairRole,
    UnpairedPort,
)
from mlag_agent.mlag.statistics import PacketType

__all__ = ["DualActiveDetection"]

MAX_DOWN: Final = 4096
"""Ports that ``set-port-state`` can have down at once: more than a switch has."""


class DualActiveDetection:
    """The owner ticks it; ``emit`` gets its events, ``touched`` is called when a datagram has come.

    ``now`` is the monotonic clock in seconds, ``wall`` aware UTC.
    """

    def __init__(
        self,
        device: DeviceIdentity,
        heartbeat: Heartbeat,
        *,
        now: Callable[[], float],
        wall: Callable[[], datetime],
        emit: Callable[[EngineEvent], None],
        touched: Callable[[], None],
        consistency: ConsistencyCheck,
    ) -> None:
        self._device = device
        self._consistency = consistency
        self.heartbeat = heartbeat
        self._now = now
        self._wall = wall
        self._emit = emit
        self._touched = touched
        self._config: GroupConfig | None = None
        self._port: HeartbeatPort | None = None
        self._block = ""
        self._was_ok = False
        self._changed = wall()
        self._sent = 0
        self._split = SplitBrain()
        self._port_works: dict[str, bool] = {}
        self._members_up: dict[str, bool] = {}
        self._remote_mac: bytes | None = None
        self._members = Members()
        self._partner: Announcement | None = None
        self._partners: dict[int, MemberAnnouncement] = {}

    def configure(self, config: GroupConfig | None, port: HeartbeatPort | None, block: str) -> None:
        """The configuration in force and the port it has; ``block`` says why it has none."""
        self._block = block
        before, self._config = self._config, config
        if port is not None:
            port.set_receiver(self._received)
        if _standing(before) == _standing(config) and port is self._port:
            return
        self._port = port
        mine = None
        if config is not None and port is not None:
            port.set_peer(config.heartbeat.peer_address)
            if config.heartbeat.peer_address is not None:
                mine = replace(self._beat(config), udp_port=port.port)
            if config.detection is not None and config.detection.family == 6:
                self.heartbeat.packet_type = PacketType.IPV6_HEART
            else:
                self.heartbeat.packet_type = PacketType.IPV4_HEART
        timeout = 0.0 if config is None else config.heartbeat.timeout
        self.heartbeat.configure(mine, None if config is None else config.password, timeout, self._now())
        self._send()

    def tick(self, peer: Announcement | None, *, paired: bool, link_down: bool) -> None:
        """Timers, packets that are due, and what has changed.

        ``peer``: its last hello, None when none arrives; ``link_down``: this end of the peer-link is known to be.
        """
        now, config = self._now(), self._config
        facts = None
        if config is not None:
            mine = self._beat(config)
            self.heartbeat.update(uplink_up=mine.uplink_up, now=now)
            self.heartbeat.tick(now)
            link_up = peer is not None and not link_down
            facts = SplitFacts(paired, link_up, mine, self.heartbeat.peer, config.dual_active, config.ports)
        quick, found = self._split.update(facts, now, self._wall())
        if quick:
            self.heartbeat.hurry(now)
            self.heartbeat.tick(now)
        self._send()
        self._tell()
        if found is not None:
            self._emit(found)
        self._remote_mac = None if peer is None else peer.system_mac
        self._look_at_members()
        partner = self._partner = peer if paired else None
        self._partners = {} if partner is None else {member.m_lag_id: member for member in partner.members}
        ports = () if config is None else config.ports
        self._members.update(
            [(port, self.port_up(port)) for port in ports if port.m_lag_id is not None],
            self._partners.values(),
            PairRole.MASTER if partner is None or config is None else elect(self._beat(config), partner),
        )

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do next."""
        times = (self.heartbeat.next_deadline(), self._split.next_deadline())
        return min((at for at in times if at is not None), default=None)

    # -- ports -----------------------------------------------------------------------------------------------------

    def set_port(self, name: str, *, works: bool) -> None:
        """The simulated device's port works or not. ``ValueError`` when too many do not."""
        if works:
            self._port_works.pop(name, None)
        elif len(self._port_works) >= MAX_DOWN and name not in self._port_works:
            raise ValueError(f"{MAX_DOWN} ports are down already")
        else:
            self._port_works[name] = False
        self._look_at_members()  # at once: the port may be back before the next tick

    def error_down(self, port: PortConfig) -> bool:
        """Whether dual-active detection or the consistency check holds the port down."""
        return self._split.is_down(port, self._now()) or (port.m_lag_id is not None and self._consistency.holds)

    def port_up(self, port: PortConfig) -> bool:
        """Whether a port is up: not shut down, working, and not error-down."""
        return port.enabled and self._port_works.get(port.name, True) and not self.error_down(port)

    def works(self, name: str) -> bool:
        """Whether a port is up, by its name; one that is not configured has no fault."""
        ports = () if self._config is None else self._config.ports
        return all(self.port_up(port) for port in ports if port.name == name)

    def receive_election_packet(self, m_lag_id: int, packet: ElectionPacket) -> ElectionOutcome:
        """A packet of the server comes over a member interface. ``ValueError`` for an M-LAG that is not configured."""
        config = self._config
        port = next((port for port in (() if config is None else config.ports) if port.m_lag_id == m_lag_id), None)
        if config is None or port is None:
            raise ValueError(f"no interface of this device is in M-LAG {m_lag_id}")
        if not is_active_standby(port, self._partners.get(m_lag_id)):
            return ElectionOutcome.DUAL_ACTIVE
        if packet not in config.election:
            return ElectionOutcome.TYPE_NOT_CONFIGURED
        if not self.port_up(port):
            return ElectionOutcome.INTERFACE_DOWN
        self._members.receive(m_lag_id)
        return ElectionOutcome.MASTER

    def election(self) -> ElectionState | None:
        """For the snapshot; None without a group."""
        if self._config is None:
            return None
        return ElectionState(self._config.election, None if self._partner is None else self._partner.election)

    def announced(self) -> tuple[MemberAnnouncement, ...]:
        """What the hello says of the member interfaces."""
        return self._members.announced()

    def members(self) -> tuple[MemberState, ...]:
        """The member interfaces in ascending order of their M-LAG ID."""
        config, now = self._config, self._now()
        rows = [
            MemberState(
                port.m_lag_id,
                port.name,
                self.port_up(port),
                self.error_down(port),
                _later(self._split.countdown(port.name, now), self._consistency.countdown(now)),
                self._members.role(port.m_lag_id),
                is_active_standby(port, self._partners.get(port.m_lag_id)),
                *_of_partner(self._partners.get(port.m_lag_id)),
                self._consistency.result(port.m_lag_id),
            )
            for port in (() if config is None else config.ports)
            if port.m_lag_id is not None
        ]
        return tuple(sorted(rows, key=lambda row: row.m_lag_id))

    def unpaired(self) -> tuple[UnpairedPort, ...]:
        """Reserved and suspended ports, in the order of the configuration."""
        ports = () if self._config is None else self._config.ports
        return tuple(
            UnpairedPort(port.unpaired, port.name, self.error_down(port)) for port in ports if port.unpaired is not None
        )

    def dual_active(self) -> DualActiveState | None:
        """For the snapshot; None without a group."""
        return None if self._config is None else self._split.state()

    def _look_at_members(self) -> None:
        before, self._members_up = self._members_up, {}
        for port in () if self._config is None else self._config.ports:
            if port.m_lag_id is None:
                continue
            up = self._members_up[port.name] = self.port_up(port)
            if before.get(port.name, False) and not up:
                macs = self._device.system_mac, self._remote_mac
                self._emit(MemberPortDown(self._wall(), port.m_lag_id, port.name, *macs))

    # -- heartbeat -------------------------------------------------------------------------------------------------

    def state(self) -> HeartbeatState | None:
        """For the snapshot; None without a source of dual-active detection."""
        config = self._config
        source = None if config is None else config.detection
        if config is None or source is None:
            return None
        peer = self.heartbeat.peer
        role = None if peer is None else elect(self._beat(config), peer)
        local = HeartbeatEnd(
            config.group_id,
            config.priority,
            self._port.port if self._port is not None else config.heartbeat.udp_port,
            source.local_address,
            source.vpn_instance,
            self._device.system_mac,
            role,
        )
        remote = None
        if peer is not None:
            remote = HeartbeatEnd(
                peer.group_id,
                peer.priority,
                peer.udp_port,
                config.heartbeat.peer_address,
                source.vpn_instance,
                peer.system_mac,
                elect(peer, self._beat(config)),
            )
        return HeartbeatState(
            self.heartbeat.ok, self._detail(), self._changed, local, remote, self._sent, self.heartbeat.received
        )

    def _beat(self, config: GroupConfig) -> Beat:
        works = uplink_up(config.ports, self._port_works)
        return Beat(config.group_id, config.priority, self._device.system_mac, 0, works)

    def _detail(self) -> str:
        """Why the heartbeat is lost; empty while it is not."""
        if self.heartbeat.ok:
            return ""
        if self._port is None:
            return self._block
        if self._config is not None and self._config.heartbeat.peer_address is None:
            return "no peer address is configured: no heartbeats are sent"
        if self.heartbeat.violation is not None:
            return self.heartbeat.violation.detail
        if self._port.send_error is not None:
            return f"the heartbeat cannot be sent: {self._port.send_error}"
        return "no heartbeat of the peer arrives"

    def _received(self, datagram: bytes) -> None:
        self.heartbeat.receive(datagram, self._now())
        self._touched()

    def _send(self) -> None:
        for datagram in self.heartbeat.datagrams_to_send():
            if self._port is not None:
                error = self._port.send(datagram)
                self._sent += error is None
                self.heartbeat.counters.count_sent((self.heartbeat.packet_type,), error)

    def _tell(self) -> None:
        ok = self.heartbeat.ok
        if ok == self._was_ok:
            return
        self._was_ok = ok
        self._changed = self._wall()
        config = self._config
        source = None if config is None else config.detection
        local = None if source is None else source.local_address
        peer = None if config is None else config.heartbeat.peer_address
        if ok:
            self._emit(HeartbeatResumed(self._changed, local, peer))
        else:
            self._emit(HeartbeatLost(self._changed, local, peer, self._detail()))


def _later(one: float | None, other: float | None) -> float | None:
    return max((at for at in (one, other) if at is not None), default=None)


def _of_partner(member: MemberAnnouncement | None) -> tuple[bool | None, MemberRole | None]:
    if member is None:
        return None, None
    if not member.up:
        return False, MemberRole.INVALID
    return True, MemberRole.MASTER if member.master else MemberRole.BACKUP


def _standing(config: GroupConfig | None) -> tuple[object, ...] | None:
    """What the heartbeat stands on."""
    if config is None:
        return None
    return config.group_id, config.priority, config.password, config.detection, config.heartbeat
