"""mlag-simulator: rpcs that drive the simulated device, and its tables."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from mlag_agent.errors import ErrorTag, RpcError, RpcFailure
from mlag_agent.features.base import OK, Agent, Feature, Output, Reply, RpcInput, SessionInfo, StateProvider
from mlag_agent.mlag import ElectionPacket, Engine, EntryKind, EntryType, Fault, Link, Selector
from mlag_agent.mlag.consistency import Item
from mlag_agent.schema.nodes import ModuleRequest

__all__ = ["feature"]


class _Simulator:
    """The handlers, bound to one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def learn(self, agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        """learn-entries."""
        try:
            learned, refused = await self._engine.learn(
                ip_address(rpc.required("start-address")),
                int(rpc.required("count")),
                rpc.required("interface"),
                int(rpc.required("vlan")),
                EntryKind(rpc.required("kind")),
                rpc.required("start-mac"),
            )
        except ValueError as error:
            raise _invalid(error) from error
        return Output({"learned": learned, "refused": refused})

    async def age(self, agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        """age-entries."""
        return Output({"removed": await self._engine.age(_selector(rpc))})

    async def flush(self, agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        """flush-entries."""
        return Output({"removed": await self._engine.flush(_selector(rpc))})

    async def list(self, agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        """list-entries."""
        page = await self._engine.list_entries(_selector(rpc), int(rpc.required("offset")), int(rpc.required("limit")))
        entries = [
            {
                "address": entry.address,
                "vlan": entry.vlan,
                "mac": entry.mac,
                "interface": entry.interface,
                "kind": entry.kind,
                "origin": entry.origin,
            }
            for entry in page.entries
        ]
        return Output({"total": page.total, "entry": entries})

    async def set_fault(self, agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        """set-fault."""
        self._engine.set_fault(Link(rpc.required("link")), Fault(rpc.required("fault")), int(rpc.leaf("delay") or 0))
        return OK

    async def set_port_state(self, agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        """set-port-state."""
        try:
            self._engine.set_port_state(rpc.required("name"), up=rpc.required("state") == "up")
        except ValueError as error:
            raise _invalid(error) from error
        return OK

    async def set_configuration_value(self, agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        """set-configuration-value."""
        item = Item(rpc.required("item"))
        try:
            self._engine.set_configuration_value(rpc.required("scope"), item, rpc.leaf("value"))
        except ValueError as error:
            raise _invalid(error) from error
        return OK

    async def receive_election_packet(self, agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        """receive-election-packet."""
        packet = ElectionPacket(rpc.required("packet-type"))
        try:
            outcome = self._engine.receive_election_packet(int(rpc.required("m-lag-id")), packet)
        except ValueError as error:
            raise _invalid(error) from error
        return Output({"outcome": outcome})

    def state(self, agent: Agent) -> Mapping[str, Any]:
        """The tables and faults."""
        state = self._engine.state()
        faults = {fault.link: fault.fault for fault in state.faults}
        return {
            "table": [
                {
                    "type": table.type,
                    "capacity": table.capacity,
                    "entries": table.entries,
                    "local-dynamic": table.local_dynamic,
                    "local-static": table.local_static,
                    "local-interface": table.local_interface,
                    "from-peer": table.from_peer,
                    "digest": table.digest,
                }
                for table in state.tables
            ],
            "channel-fault": faults[Link.CHANNEL],
            "peer-link-fault": faults[Link.PEER_LINK],
            "heartbeat-fault": faults[Link.HEARTBEAT],
        }


def _selector(rpc: RpcInput) -> Selector:
    kind, start = rpc.leaf("type"), rpc.leaf("start-address")
    count, vlan = rpc.leaf("count"), rpc.leaf("vlan")
    try:
        return Selector(
            type=None if kind is None else EntryType(kind),
            start_address=None if start is None else ip_address(start),
            count=None if count is None else int(count),
            interface=rpc.leaf("interface"),
            vlan=None if vlan is None else int(vlan),
        )
    except ValueError as error:
        raise _invalid(error) from error


def _invalid(error: ValueError) -> RpcFailure:
    return RpcFailure(RpcError(ErrorTag.INVALID_VALUE, str(error)))


def feature(engine: Engine) -> Feature:
    """The module, on this engine."""
    simulator = _Simulator(engine)
    return Feature(
        name="mlag-simulator",
        modules=(ModuleRequest("mlag-simulator"),),
        rpcs={
            "mlag-simulator:learn-entries": simulator.learn,
            "mlag-simulator:age-entries": simulator.age,
            "mlag-simulator:flush-entries": simulator.flush,
            "mlag-simulator:list-entries": simulator.list,
            "mlag-simulator:set-fault": simulator.set_fault,
            "mlag-simulator:set-port-state": simulator.set_port_state,
            "mlag-simulator:set-configuration-value": simulator.set_configuration_value,
            "mlag-simulator:receive-election-packet": simulator.receive_election_packet,
        },
        state=(StateProvider("/mlag-simulator:simulator", simulator.state),),
    )
