"""Dual-active detection of one engine: the heartbeat on its port, what it says of the peer, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mlag_agent.mlag.config import DeviceIdentity, GroupConfig
from mlag_agent.mlag.fabric_datagram import HeartbeatPort
from mlag_agent.mlag.heartbeat import Beat, Heartbeat
from mlag_agent.mlag.pairing import elect
from mlag_agent.mlag.state import EngineEvent, HeartbeatEnd, HeartbeatLost, HeartbeatResumed, HeartbeatState

__all__ = ["DualActiveDetection"]


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
    ) -> None:
        self._device = device
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
                mine = Beat(config.group_id, config.priority, self._device.system_mac, port.port)
        timeout = 0.0 if config is None else config.heartbeat.timeout
        self.heartbeat.configure(mine, None if config is None else config.password, timeout, self._now())
        self._send()

    def tick(self) -> None:
        """Timers, packets that are due, and what has changed."""
        self.heartbeat.tick(self._now())
        self._send()
        self._tell()

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do next."""
        return self.heartbeat.next_deadline()

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
        return Beat(config.group_id, config.priority, self._device.system_mac, 0)

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
                self._port.send(datagram)
                self._sent += self._port.send_error is None

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


def _standing(config: GroupConfig | None) -> tuple[object, ...] | None:
    """What the heartbeat stands on."""
    if config is None:
        return None
    return config.group_id, config.priority, config.password, config.detection, config.heartbeat
