"""ietf-netconf: which of the operations of RFC 6241 sections 7 and 8 this server has, by its settings; get, get-config.

The capabilities are candidate (8.3), confirmed-commit (8.4), rollback-on-error (8.5), validate (8.6), startup (8.7).
"""

from __future__ import annotations

from mlag_agent.data.build import EVERYTHING
from mlag_agent.data.tree import merge
from mlag_agent.features import commit, editing, locks, sessions
from mlag_agent.features.base import Agent, Feature, Reply, RpcInput, SessionInfo
from mlag_agent.features.parameters import datastore
from mlag_agent.features.reading import read_filter, read_reply
from mlag_agent.schema.nodes import ModuleRequest

__all__ = ["feature"]

BASE = "urn:ietf:params:netconf:capability:"


def feature(*, startup: bool) -> Feature:
    """The operations, with or without the startup datastore."""
    enabled = ["candidate", "confirmed-commit", "rollback-on-error", "validate", "writable-running"]
    capabilities = [
        f"{BASE}writable-running:1.0",
        f"{BASE}candidate:1.0",
        f"{BASE}confirmed-commit:1.0",
        f"{BASE}confirmed-commit:1.1",
        f"{BASE}rollback-on-error:1.0",
        f"{BASE}validate:1.0",
        f"{BASE}validate:1.1",
    ]
    if startup:
        enabled.append("startup")
        capabilities.append(f"{BASE}startup:1.0")
    return Feature(
        name="netconf",
        modules=(ModuleRequest("ietf-netconf", tuple(enabled)),),
        rpcs={
            "ietf-netconf:get": _get,
            "ietf-netconf:get-config": _get_config,
            "ietf-netconf:edit-config": editing.edit_config,
            "ietf-netconf:copy-config": editing.copy_config,
            "ietf-netconf:delete-config": editing.delete_config,
            "ietf-netconf:lock": locks.lock,
            "ietf-netconf:unlock": locks.unlock,
            "ietf-netconf:close-session": sessions.close_session,
            "ietf-netconf:kill-session": sessions.kill_session,
            "ietf-netconf:commit": commit.commit,
            "ietf-netconf:cancel-commit": commit.cancel_commit,
            "ietf-netconf:discard-changes": editing.discard_changes,
            "ietf-netconf:validate": editing.validate,
        },
        capabilities=tuple(capabilities),
    )


async def _get(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    wanted = read_filter(agent, session, rpc)
    state = agent.state(EVERYTHING if wanted is None else wanted.selection)
    return read_reply(agent, session, merge(agent.stores.running, state), wanted)


async def _get_config(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    root = agent.stores.get(datastore(rpc, "source"), session.session_id)
    return read_reply(agent, session, root, read_filter(agent, session, rpc))
