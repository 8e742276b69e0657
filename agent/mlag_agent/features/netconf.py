"""ietf-netconf: the operations of RFC 6241 section 7, and those of its capabilities.

These are candidate (8.3), confirmed-commit (8.4) and validate (8.6).
"""

from __future__ import annotations

from mlag_agent.data.build import EVERYTHING
from mlag_agent.data.decode import Operation
from mlag_agent.data.edit import Editor
from mlag_agent.data.tree import Container, empty, merge
from mlag_agent.datastore.confirmed import CommitRequest
from mlag_agent.datastore.stores import Datastore
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure
from mlag_agent.features.base import OK, Agent, Feature, Reply, RpcInput, SessionInfo, missing_parameter
from mlag_agent.features.reading import read_filter, read_reply
from mlag_agent.schema.model import ModuleRequest

__all__ = ["feature"]

_DATASTORES = frozenset(datastore.value for datastore in Datastore)
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
            "ietf-netconf:edit-config": _edit_config,
            "ietf-netconf:copy-config": _copy_config,
            "ietf-netconf:delete-config": _delete_config,
            "ietf-netconf:lock": _lock,
            "ietf-netconf:unlock": _unlock,
            "ietf-netconf:close-session": _close_session,
            "ietf-netconf:kill-session": _kill_session,
            "ietf-netconf:commit": _commit,
            "ietf-netconf:cancel-commit": _cancel_commit,
            "ietf-netconf:discard-changes": _discard_changes,
            "ietf-netconf:validate": _validate,
        },
        capabilities=tuple(capabilities),
    )


# --- reading ------------------------------------------------------------------------------------------------


async def _get(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    wanted = read_filter(agent, session, rpc)
    state = agent.state(EVERYTHING if wanted is None else wanted.selection)
    return read_reply(agent, session, merge(agent.stores.running, state), wanted)


async def _get_config(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    root = agent.stores.get(_datastore(rpc, "source"))
    return read_reply(agent, session, root, read_filter(agent, session, rpc))


def _datastore(rpc: RpcInput, parameter: str) -> Datastore:
    """The datastore that a ``source`` or ``target`` names."""
    holder = rpc.container(parameter)
    for name in holder.names() if holder is not None else ():
        if name in _DATASTORES:
            return Datastore(name)
    raise RpcFailure(missing_parameter(parameter))


# --- writing ------------------------------------------------------------------------------------------------


async def _edit_config(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 6241 section 7.2.

    An absent test-option leaves the constraints of the candidate to commit and validate: clients build a
    configuration in steps.  Running is always checked.  stop-on-error is treated as rollback-on-error (INTEROP 8).
    """
    target = _datastore(rpc, "target")
    agent.stores.check_writable(target, session.session_id)
    default = Operation(rpc.required("default-operation"))
    test = rpc.leaf("test-option") if "test-option" in rpc else None
    keep_going = rpc.leaf("error-option") == "continue-on-error"
    config = rpc.element("config")
    if config is None:
        raise RpcFailure(missing_parameter("config"))
    problems: list[RpcError] = []
    nodes = agent.reader.read(
        config,
        strict=agent.strict,
        on_leniency=session.on_leniency,
        problems=problems if keep_going else None,
    )

    def edited() -> Container:
        agent.stores.check_writable(target, session.session_id)
        editor = Editor()
        after = editor.apply(agent.stores.get(target), nodes, default)
        problems.extend(editor.errors)
        if problems and not keep_going:
            raise RpcFailure(*problems)
        return after

    try:
        if test == "test-only":
            agent.transactor.validate(edited())
        elif target is Datastore.RUNNING:
            await agent.transactor.apply(edited)
        else:
            after = edited()
            if test == "test-then-set":
                agent.transactor.validate(after)
            agent.stores.candidate = after
    except RpcFailure as failure:
        # With continue-on-error the wrong values left out before count as well.
        raise RpcFailure(*dict.fromkeys((*problems, *failure.errors))) from failure
    if problems:
        raise RpcFailure(*problems)
    return OK


async def _copy_config(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 6241 section 7.3.  The candidate is only checked for types, as by edit-config; the others entirely."""
    target = _datastore(rpc, "target")
    agent.stores.check_writable(target, session.session_id)
    source = rpc.container("source")
    if source is not None and target in source.names():
        words = f"source and target are both {target}"
        raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, words, type=ErrorType.PROTOCOL))
    if target is Datastore.RUNNING:
        inline = source.element("config") if source is not None else None
        root = None if inline is None else _source(agent, session, rpc)

        def copied() -> Container:
            agent.stores.check_writable(target, session.session_id)
            return agent.stores.get(_datastore(rpc, "source")) if root is None else root

        await agent.transactor.apply(copied)
        return OK
    found = _source(agent, session, rpc)
    if target is Datastore.CANDIDATE:
        agent.stores.candidate = found
    else:
        agent.transactor.validate(found)
        agent.store_startup(found)
    return OK


def _source(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Container:
    """The configuration of a ``source``: a datastore or an inline ``<config>``."""
    source = rpc.container("source")
    config = source.element("config") if source is not None else None
    if config is not None:
        return agent.reader.tree(config, strict=agent.strict, on_leniency=session.on_leniency)
    return agent.stores.get(_datastore(rpc, "source"))


async def _delete_config(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    target = _datastore(rpc, "target")
    agent.stores.check_writable(target, session.session_id)
    agent.store_startup(empty(agent.library.tree.data))
    return OK


async def _commit(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 6241 sections 8.3.4.1 and 8.4.5.1; what others edit meanwhile stays in the candidate."""
    confirmed = "confirmed" in rpc
    for name in ("confirm-timeout", "persist"):
        if name in rpc and not confirmed:
            # What was meant to be taken back by itself must not become permanent because an element is missing.
            words = f"{name} is for a confirmed commit; give <confirmed/> as well, or leave it out"
            info = (InfoElement("bad-element", "confirmed"),)
            raise RpcFailure(RpcError(ErrorTag.MISSING_ELEMENT, words, type=ErrorType.PROTOCOL, info=info))
    await agent.commits.commit(
        CommitRequest(
            session_id=session.session_id,
            confirmed=confirmed,
            timeout=int(rpc.required("confirm-timeout")),
            persist=_text(rpc, "persist"),
            persist_id=_text(rpc, "persist-id"),
        )
    )
    return OK


async def _cancel_commit(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 6241 section 8.4.4.1."""
    await agent.commits.cancel(session.session_id, _text(rpc, "persist-id"))
    return OK


def _text(rpc: RpcInput, name: str) -> str | None:
    """A string that may be empty; None when it was not given."""
    return (rpc.leaf(name) or "") if name in rpc else None


async def _discard_changes(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    agent.stores.check_writable(Datastore.CANDIDATE, session.session_id)
    agent.stores.discard()
    return OK


async def _validate(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    agent.transactor.validate(_source(agent, session, rpc))
    return OK


# --- locks and sessions -------------------------------------------------------------------------------------


async def _lock(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 6241 section 7.5.  It waits for the transaction under way, which would change what the lock protects."""
    target = _datastore(rpc, "target")
    async with agent.transactor.quiet():
        agent.stores.lock(target, session.session_id)
    return OK


async def _unlock(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    agent.stores.unlock(_datastore(rpc, "target"), session.session_id)
    return OK


async def _close_session(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    session.close_after_reply()
    return OK


async def _kill_session(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    wanted = int(rpc.required("session-id"))
    if wanted == session.session_id:
        words = f"session {wanted} is this session; use close-session"
        raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, words, type=ErrorType.PROTOCOL))
    if not await agent.sessions.kill(wanted, by=session.session_id):
        words = f"there is no session {wanted}"
        raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, words, type=ErrorType.PROTOCOL))
    return OK
