"""mlag-agent-state: what the agent itself is doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlag_agent import __version__
from mlag_agent.features.base import Agent, Feature, StateProvider
from mlag_agent.features.events import publish
from mlag_agent.models import DeviceModel
from mlag_agent.schema.nodes import ModuleRequest

__all__ = ["feature", "tell_sync_changes"]


def feature(device: str, model: DeviceModel) -> Feature:
    """The module, for the device of that name and model."""

    def read(agent: Agent) -> Mapping[str, Any]:
        return {
            "version": __version__,
            "device": device,
            "model": model.name,
            "strict": agent.strict,
            "leniency": [
                {"name": name, "count": count % 2**32} for name, count in sorted(agent.sessions.leniencies.items())
            ],
            "confirmed-commit": _confirmed_commit(agent),
            "out-of-sync": [
                {"subscriber": name, "error": error} for name, error in agent.transactor.out_of_sync.items()
            ],
        }

    return Feature(
        name="mlag-agent-state",
        modules=(ModuleRequest("mlag-agent-state"),),
        state=(StateProvider("/mlag-agent-state:agent", read),),
    )


def _confirmed_commit(agent: Agent) -> Mapping[str, Any] | None:
    """What is pending, without its token: who knows that may confirm."""
    pending = agent.commits.pending
    if pending is None:
        return None
    return {
        "session-id": pending.owner,
        "persistent": pending.persist is not None,
        "rollback-at": pending.deadline,
        "rollback-error": agent.commits.rollback_error,
    }


def tell_sync_changes(agent: Agent) -> None:
    """From now on, a subscriber that comes out of sync, or is in sync again, is a notification."""

    def changed(subscriber: str, error: str | None) -> None:
        values = {"subscriber": subscriber, "in-sync": error is None, "error": error}
        publish(agent, "mlag-agent-state:subscriber-sync-change", values)

    agent.transactor.sync_changed.append(changed)
