"""lock and unlock of whole datastores (RFC 6241 sections 7.5 and 7.6)."""

from __future__ import annotations

from mlag_agent.features.base import OK, Agent, Reply, RpcInput, SessionInfo
from mlag_agent.features.parameters import datastore

__all__ = ["lock", "unlock"]


async def lock(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 6241 section 7.5.  It waits for the transaction under way, which would change what the lock protects."""
    target = datastore(agent, rpc, "target")
    async with agent.transactor.quiet():
        agent.stores.lock(target, session.session_id)
    return OK


async def unlock(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    agent.stores.unlock(datastore(agent, rpc, "target"), session.session_id)
    return OK
