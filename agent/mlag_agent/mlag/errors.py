"""What the engine refuses, with the data that the subscriber needs for its ``<rpc-error>``.

::

    AgentError
    ├── EngineRefused               a prepare is refused: nothing was changed
    │   ├── PortInUse               app_tag tcp-port-in-use, leaf tcp-port
    │   ├── UdpPortInUse            app_tag udp-port-in-use, leaf udp-port
    │   ├── AddressUnavailable      app_tag local-address-unavailable, leaf local-address
    │   └── VpnInstanceUnavailable  app_tag vpn-instance-unavailable, leaf vpn-instance
    ├── EngineClosed                used before ``start`` or after ``aclose``
    ├── PlanError                   a plan was committed twice, or after another one
    └── SettingsError
        └── FabricSettingsError     the rendezvous folder, the pair or an address of the fabric cannot be used
"""

from __future__ import annotations

from typing import ClassVar

from mlag_agent.errors import AgentError, SettingsError
from mlag_agent.mlag.config import DownReason, IPAddress

__all__ = [
    "AddressUnavailable",
    "EngineClosed",
    "EngineRefused",
    "FabricSettingsError",
    "PlanError",
    "PortInUse",
    "UdpPortInUse",
    "VpnInstanceUnavailable",
]


class EngineRefused(AgentError):  # noqa: N818 - as ApplyRefused, which it becomes
    """Resources of a new configuration cannot be had; everything stays as it was.

    ``app_tag``: the error-app-tag of the YANG module; ``leaf``: the leaf that is to blame, below the address family's
    container; ``reason``: the same fact as a channel-down-reason; ``container``: where the family's container is.
    """

    container: str = "peer-link-source"
    address: IPAddress
    app_tag: ClassVar[str]
    leaf: ClassVar[str]
    reason: ClassVar[DownReason]


def _in_vpn(vpn_instance: str | None) -> str:
    return "" if vpn_instance is None else f" in VPN instance {vpn_instance}"


class PortInUse(EngineRefused):
    """Another module of the device or another process holds the TCP port (command page, parameter portnum)."""

    app_tag = "tcp-port-in-use"
    leaf = "tcp-port"
    reason = DownReason.PORT_IN_USE

    def __init__(self, vpn_instance: str | None, address: IPAddress, port: int, holder_hint: str) -> None:
        super().__init__(f"TCP port {port} on {address}{_in_vpn(vpn_instance)} is in use by {holder_hint}")
        self.vpn_instance = vpn_instance
        self.address = address
        self.port = port
        self.holder_hint = holder_hint


class UdpPortInUse(EngineRefused):
    """Another process holds the UDP port of the heartbeat, or every port of the range."""

    app_tag = "udp-port-in-use"
    leaf = "udp-port"
    reason = DownReason.PORT_IN_USE
    container = "dual-active-detection"

    def __init__(self, vpn_instance: str | None, address: IPAddress, port: int | None) -> None:
        which = "every UDP port of 1025..2048" if port is None else f"UDP port {port}"
        super().__init__(f"{which} on {address}{_in_vpn(vpn_instance)} is in use by another process")
        self.vpn_instance = vpn_instance
        self.address = address
        self.port = port


def _for_port(protocol: str, port: int | None) -> str:
    return protocol if port is None else f"{protocol} port {port}"


class AddressUnavailable(EngineRefused):
    """The local address is held by no interface of this device in the VPN instance, or by another device."""

    app_tag = "local-address-unavailable"
    leaf = "local-address"
    reason = DownReason.LOCAL_ADDRESS_UNAVAILABLE

    def __init__(
        self, vpn_instance: str | None, address: IPAddress, port: int | None, why: str, protocol: str = "TCP"
    ) -> None:
        where = f"local address {address}{_in_vpn(vpn_instance)}"
        super().__init__(f"{where} cannot be used for {_for_port(protocol, port)}: {why}")
        self.vpn_instance = vpn_instance
        self.address = address
        self.port = port
        self.why = why


class VpnInstanceUnavailable(EngineRefused):
    """The VPN instance has no forwarding instance on this device."""

    app_tag = "vpn-instance-unavailable"
    leaf = "vpn-instance"
    reason = DownReason.VPN_INSTANCE_UNAVAILABLE

    def __init__(
        self, vpn_instance: str, address: IPAddress, port: int | None, why: str, protocol: str = "TCP"
    ) -> None:
        which = _for_port(protocol, port)
        super().__init__(f"VPN instance {vpn_instance} cannot be used for local address {address} and {which}: {why}")
        self.vpn_instance = vpn_instance
        self.address = address
        self.port = port
        self.why = why


class EngineClosed(AgentError):  # noqa: N818 - named after the state, as asyncio.QueueShutDown
    """The engine has not been started, or has been closed."""


class PlanError(AgentError):
    """A plan is used out of turn: committed twice, after its abort, or after another plan took its place."""


class FabricSettingsError(SettingsError):
    """The rendezvous folder, the pair name or an address given to the fabric cannot be used."""
