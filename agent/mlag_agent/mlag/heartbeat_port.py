"""Who holds the UDP port of the heartbeat when: the two phases of ``apply`` for that one socket.

``take`` binds, ``switch`` only swaps, and what was replaced stays bound until ``drop``, so that an abort after the
commit gets its port back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mlag_agent.mlag.config import GroupConfig
from mlag_agent.mlag.errors import EngineRefused
from mlag_agent.mlag.fabric import Fabric
from mlag_agent.mlag.fabric_datagram import HeartbeatPort

__all__ = ["HeartbeatHold", "HeartbeatHolder"]

_Socket = tuple[str | None, object, int | None]


@dataclass(slots=True)
class HeartbeatHold:
    """The part of a plan: the port of the new configuration, or why it has none."""

    socket: _Socket | None = None
    port: HeartbeatPort | None = field(default=None, repr=False)
    block: str = ""


def _socket_of(config: GroupConfig | None) -> _Socket | None:
    source = None if config is None else config.detection
    return None if config is None or source is None else (
        source.vpn_instance, source.local_address, config.heartbeat.udp_port
    )  # fmt: skip


class HeartbeatHolder:
    """The port in force; ``block`` says why there is none although a source is configured."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._force = HeartbeatHold()
        self._retired: HeartbeatHold | None = None

    @property
    def port(self) -> HeartbeatPort | None:
        """The port in force."""
        return self._force.port

    @property
    def block(self) -> str:
        """Why there is none."""
        return self._force.block

    async def take(self, config: GroupConfig | None, *, lenient: bool) -> HeartbeatHold:
        """What a configuration needs: the port in force, the one just replaced, or a new one.

        Raises ``EngineRefused`` unless ``lenient``.
        """
        wanted = _socket_of(config)
        for held in (self._force, self._retired):
            if held is not None and held.socket == wanted and (wanted is None or _alive(held)):
                return HeartbeatHold(wanted, held.port)
        if wanted is None:
            return HeartbeatHold()
        vpn_instance, _, port = wanted
        assert config is not None
        assert config.detection is not None
        try:
            made = await self._fabric.heartbeat(vpn_instance, config.detection.local_address, port)
        except EngineRefused as refusal:
            refusal.container = "dual-active-detection"
            if not lenient:
                raise
            return HeartbeatHold(wanted, None, str(refusal))
        return HeartbeatHold(wanted, made)

    def switch(self, hold: HeartbeatHold) -> HeartbeatHold:
        """Put a hold in force; returns the one before, which stays bound until it is dropped."""
        before, self._force = self._force, hold
        if before.port is not None and before.port is not hold.port:
            before.port.set_receiver(None)
        self._retired = before
        return before

    def drop(self, hold: HeartbeatHold, keep: HeartbeatHold | None = None) -> None:
        """Give a hold's port back, unless it is in force, just replaced, or that of ``keep``."""
        if self._retired is hold:
            self._retired = None
        retired = None if self._retired is None else self._retired.port
        kept = (self._force.port, retired, None if keep is None else keep.port)
        if hold.port is not None and not any(hold.port is port for port in kept):
            hold.port.close()

    async def retry(self, config: GroupConfig | None) -> bool:
        """Try again to get what was not to be had; whether it was."""
        if self._force.port is not None or self._force.socket is None:
            return False
        self._force = await self.take(config, lenient=True)
        return self._force.port is not None

    def close(self) -> None:
        """Give back everything."""
        for hold in (self._force, self._retired):
            if hold is not None and hold.port is not None:
                hold.port.close()
        self._force, self._retired = HeartbeatHold(), None


def _alive(hold: HeartbeatHold) -> bool:
    return hold.port is not None and not hold.port.closed
