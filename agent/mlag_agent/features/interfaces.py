"""ietf-interfaces: the simulated device's interfaces are those that are configured, and they work.

``ietf-network-instance`` augments this module, so it is served; the state here is what RFC 8343 makes mandatory.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mlag_agent.data.build import Rows
from mlag_agent.data.tree import Container, Keys, ListNode
from mlag_agent.features.base import Agent, Feature, StateProvider
from mlag_agent.schema.nodes import ModuleRequest

__all__ = ["feature"]


def feature() -> Feature:
    """The module; counters are discontinuous since the agent's start."""
    since = datetime.now(UTC)

    def row(entry: Container) -> Mapping[str, Any]:
        return {
            "name": entry.leaf("name"),
            "oper-status": "up" if entry.leaf("enabled") == "true" else "down",
            "statistics": {"discontinuity-time": since},
        }

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
