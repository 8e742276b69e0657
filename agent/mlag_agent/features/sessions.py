"""close-session and kill-session (RFC 6241 sections 7.8 and 7.9)."""

from __future__ import annotations

from mlag_agent.errors import ErrorTag, ErrorType, RpcError, RpcFailure
from mlag_agent.features.base import OK, Agent, Reply, RpcInput, SessionInfo

__all__ = ["close_session", "kill_session"]


async def close_session(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    session.close_after_reply()
    return OK


async def kill_session(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    wanted = int(rpc.required("session-id"))
    if wanted == session.session_id:
        words = f"session {wanted} is this session; use close-session"
        raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, words, type=ErrorType.PROTOCOL))
    if not await agent.sessions.kill(wanted, by=session.session_id):
        words = f"there is no session {wanted}"
        raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, words, type=ErrorType.PROTOCOL))
    return OK
