"""This device's end of the peer-link: the hello protocol on its port, and whether the link is up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mlag_agent.mlag.alarms import AuthenticationAlarms
from mlag_agent.mlag.config import Fault, Link
from mlag_agent.mlag.events import EngineEvent, PeerLinkDown, PeerLinkUp
from mlag_agent.mlag.fabric import Fabric
from mlag_agent.mlag.peerlink import PeerLink
from mlag_agent.mlag.snapshot import peer_state
from mlag_agent.mlag.state import PeerLinkState
from mlag_agent.mlag.statistics import PacketType, Statistics

__all__ = ["PeerLinkEnd"]


class PeerLinkEnd:
    """Sends what ``hello`` has to say; ``wall`` gives aware UTC, ``emit`` gets the events.

    The port is the fabric's, which has one once it is open, or none at all.
    """

    def __init__(
        self,
        fabric: Fabric,
        hello: PeerLink,
        statistics: Statistics,
        alarms: AuthenticationAlarms,
        *,
        wall: Callable[[], datetime],
        emit: Callable[[EngineEvent], None],
    ) -> None:
        self.hello = hello
        self._fabric = fabric
        self._statistics = statistics
        self._alarms = alarms
        self._wall = wall
        self._emit = emit
        self._sent = 0
        self._up = False
        self._changed = wall()

    @property
    def is_cut(self) -> bool:
        """Whether there is no link, or the fault ``cut`` is on it."""
        return self._fabric.peer_link is None or self._fabric.faults[Link.PEER_LINK].fault is Fault.CUT

    @property
    def is_down(self) -> bool:
        """Whether this end is known to be down."""
        port = self._fabric.peer_link
        return self.is_cut or (port is not None and port.send_error is not None)

    def send_hellos(self) -> None:
        """What the protocol has queued."""
        for datagram in self.hello.datagrams_to_send():
            error = self._send(datagram)
            self._sent += error is None
            self._statistics.count_hello(error, no_link=self.is_cut)

    def send_configuration(self, datagram: bytes) -> None:
        """A part of what the consistency check compares."""
        self._statistics.hello.count_sent((PacketType.SYNC_CONFIG,), self._send(datagram))

    def _send(self, datagram: bytes) -> str | None:
        port = self._fabric.peer_link
        return "this device has no peer-link" if port is None else port.send(datagram)

    def update(self) -> None:
        """Look whether the peer is there; what has changed becomes an event."""
        peer = self.hello.peer
        if (peer is not None) == self._up:
            return
        self._up = peer is not None
        self._changed = self._wall()
        if peer is not None:
            self._alarms.ended(Link.PEER_LINK)
            self._emit(PeerLinkUp(self._changed, peer_state(peer)))
        else:
            violation = self.hello.violation
            detail = "no valid hello has arrived for the hold time" if violation is None else violation.detail
            self._emit(PeerLinkDown(self._changed, detail))

    def state(self, *, configured: bool) -> PeerLinkState:
        """For the snapshot; ``configured``: there is a group, so that hellos are sent."""
        return PeerLinkState(
            up=self._up,
            last_change=self._changed,
            hellos_sent=self._sent,
            hellos_received=self.hello.hellos_received,
            hellos_refused=self.hello.hellos_refused,
            detail=self._detail(configured=configured),
        )

    def _detail(self, *, configured: bool) -> str:
        """Why hellos are refused or not sent; empty when nothing is known to be wrong."""
        if self.hello.violation is not None:
            return self.hello.violation.detail
        port = self._fabric.peer_link
        if port is not None and port.send_error is not None and configured:
            return f"the hello cannot be sent: {port.send_error}"
        return ""
