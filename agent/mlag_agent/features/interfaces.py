"""ietf-interfaces: the simulated device's interfaces are those that are configured, and they work.

``ietf-network-instance`` augments this module, so it is served; the state here is what RFC 8343 makes mandatory.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mlag_agent.data.tree import Container
from mlag_agent.features.base import Agent, Feature, StateProvider
from mlag_agent.schema.nodes import ModuleRequest

__all__ = ["feature"]


def feature() -> Feature:
    """The module; counters are discontinuous since the agent's start."""
    since = datetime.now(UTC)

    def read(agent: Agent) -> Mapping[str, Any]:
        configured = agent.stores.running.named("interfaces")
        rows = configured.entries("interface") if isinstance(configured, Container) else ()
        return {
            "interface": [
                {
                    "name": row.leaf("name"),
                    "oper-status": "up" if row.leaf("enabled") == "true" else "down",
                    "statistics": {"discontinuity-time": since},
                }
                for row in rows
            ]
        }

    return Feature(
        name="interfaces",
        modules=(ModuleRequest("ietf-interfaces"), ModuleRequest("iana-if-type"), ModuleRequest("ietf-ip")),
        state=(StateProvider("/ietf-interfaces:interfaces", read),),
    )
