"""ietf-interfaces: the simulated device's interfaces are those that are configured.

They work unless they are shut down, ``mlag-simulator:set-port-state`` says otherwise, or the engine holds them
error-down.

``ietf-network-instance`` augments this module, so it is served; the state here is what RFC 8343 makes mandatory.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mlag_agent.data.build import Rows
from mlag_agent.data.tree import Container, Keys, ListNode
from mlag_agent.features.base import Agent, Feature, StateProvider
from mlag_agent.features.ports import port_of
from mlag_agent.mlag import Engine
from mlag_agent.schema.nodes import ModuleRequest

__all__ = ["feature"]


def feature(engine: Engine) -> Feature:
    """The module on this engine's ports; counters are discontinuous since the agent's start."""
    since = datetime.now(UTC)

    def row(entry: Container) -> Mapping[str, Any]:
        port = port_of(entry)
        state: dict[str, Any] = {
            "name": port.name,
            "oper-status": "up" if engine.port_up(port) else "down",
            "statistics": {"discontinuity-time": since},
        }
        if engine.error_down(port):
            state["m-lag"] = {"error-down": True}
        return state

    def read(agent: Agent) -> Mapping[str, Any]:
        top = agent.stores.running.named("interfaces")
        configured = top.named("interface") if isinstance(top, Container) else None
        if not isinstance(configured, ListNode):
            return {}

        def one(keys: Keys) -> Mapping[str, Any] | None:
            entry = configured.get(keys)
            return None if entry is None else row(entry)

        return {"interface": Rows(every=lambda: map(row, configured), one=one)}

    return Feature(
        name="interfaces",
        modules=(ModuleRequest("ietf-interfaces"), ModuleRequest("iana-if-type"), ModuleRequest("ietf-ip")),
        state=(StateProvider("/ietf-interfaces:interfaces", read),),
    )
