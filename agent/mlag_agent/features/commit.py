"""commit and cancel-commit (RFC 6241 sections 8.3.4.1 and 8.4), the list of commits; update of a private candidate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlag_agent.data.threeway import Prefer
from mlag_agent.datastore.confirmed import CommitRequest
from mlag_agent.datastore.stores import Datastore
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure
from mlag_agent.features.base import OK, Agent, Reply, RpcInput, SessionInfo

__all__ = ["cancel_commit", "commit", "list_of_commits", "update"]


async def commit(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 6241 sections 8.3.4.1 and 8.4.5.1; what others edit meanwhile stays in the candidate."""
    confirmed = "confirmed" in rpc
    for name in ("confirm-timeout", "persist"):
        if name in rpc and not confirmed:
            # What was meant to be taken back by itself must not become permanent because an element is missing.
            words = f"{name} is for a confirmed commit; give <confirmed/> as well, or leave it out"
            info = (InfoElement("bad-element", "confirmed"),)
            raise RpcFailure(RpcError(ErrorTag.MISSING_ELEMENT, words, type=ErrorType.PROTOCOL, info=info))
    label, description = rpc.leaf("label"), rpc.leaf("description")
    if agent.audit is not None and (label or description):
        agent.audit.remarked(session, label=label, description=description)
    await agent.commits.commit(
        CommitRequest(
            session_id=session.session_id,
            confirmed=confirmed,
            timeout=int(rpc.required("confirm-timeout")),
            persist=_text(rpc, "persist"),
            persist_id=_text(rpc, "persist-id"),
            label=label,
            description=description,
        ),
        authorise=agent.authorise(session),
        by=session,
    )
    return OK


async def cancel_commit(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 6241 section 8.4.4.1."""
    await agent.commits.cancel(
        session.session_id, _text(rpc, "persist-id"), authorise=agent.authorise(session), by=session
    )
    return OK


def _text(rpc: RpcInput, name: str) -> str | None:
    """A string that may be empty; None when it was not given."""
    return (rpc.leaf(name) or "") if name in rpc else None


def list_of_commits(agent: Agent) -> Mapping[str, Any]:
    """``/mlag-agent-commit:commits``."""
    rows = [
        {
            "number": number,
            "time": commit.time,
            "session-id": commit.session_id,
            "username": commit.username,
            "kind": commit.kind,
            "label": commit.label,
            "description": commit.description,
        }
        for number, commit in agent.commits.log.numbered()
    ]
    return {"commit": rows}


_PREFERENCES = {"revert-on-conflict": None, "ignore": Prefer.MINE, "overwrite": Prefer.THEIRS}


async def update(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """mlag-agent-candidate: this session's changes on top of running, without committing them."""
    number = session.session_id
    agent.stores.check_writable(Datastore.CANDIDATE, number)
    agent.stores.update(number, _PREFERENCES[rpc.required("resolution-mode")])
    return OK
