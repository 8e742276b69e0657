"""What changes a datastore: edit-config, edit-data, copy-config, delete-config, discard-changes; and validate."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from mlag_agent.data.conditions import without_excluded
from mlag_agent.data.decode import Operation
from mlag_agent.data.edit import Editor
from mlag_agent.data.tree import Container, empty
from mlag_agent.datastore.stores import Datastore
from mlag_agent.datastore.turns import in_turns
from mlag_agent.errors import ErrorTag, ErrorType, RpcError, RpcFailure
from mlag_agent.features.base import OK, Agent, Reply, RpcInput, SessionInfo, missing_parameter
from mlag_agent.features.parameters import datastore, source_tree, writable
from mlag_agent.features.reading import read_mode, with_defaults
from mlag_agent.features.url import delete_document, given_config, url_of, write_document
from mlag_agent.features.writing import write

__all__ = ["copy_config", "delete_config", "discard_changes", "edit_config", "edit_data", "validate"]


@dataclass(frozen=True, slots=True)
class _Edit:
    """An edit of a datastore; ``test`` is the test-option, ``keep_going`` continue-on-error."""

    target: Datastore
    config: etree._Element
    default: Operation
    test: str | None = None
    keep_going: bool = False


async def edit_config(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 6241 section 7.2.

    An absent test-option leaves the constraints of the candidate to commit and validate: clients build a
    configuration in steps.  Running is always checked.  stop-on-error is treated as rollback-on-error (INTEROP 8).
    """
    target = datastore(agent, rpc, "target")
    agent.stores.check_writable(target, session.session_id)
    edit = _Edit(
        target,
        await _content(agent, rpc),
        Operation(rpc.required("default-operation")),
        rpc.leaf("test-option") if "test-option" in rpc else None,
        keep_going=rpc.leaf("error-option") == "continue-on-error",
    )
    return await _edited(agent, session, edit)


async def edit_data(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 8526 section 3.1.2: as edit-config with rollback-on-error, on every datastore that can be written."""
    target = writable(agent, rpc.required("datastore"))
    agent.stores.check_writable(target, session.session_id)
    edit = _Edit(target, await _content(agent, rpc), Operation(rpc.required("default-operation")))
    return await _edited(agent, session, edit)


async def _content(agent: Agent, rpc: RpcInput) -> etree._Element:
    config = await given_config(agent, rpc)
    if config is None:
        raise RpcFailure(missing_parameter("config"))
    return config


async def _edited(agent: Agent, session: SessionInfo, edit: _Edit) -> Reply:
    problems: list[RpcError] = []
    number, target = session.session_id, edit.target
    nodes = await in_turns(
        agent.reader.steps(
            edit.config,
            strict=agent.strict,
            on_leniency=session.on_leniency,
            problems=problems if edit.keep_going else None,
        )
    )

    if agent.access.active:
        agent.access.check_named(session, nodes)

    def edited() -> Container:
        editor = Editor(agent.reader.rules)
        before = agent.stores.get(target, number)
        after = editor.apply(before, nodes, edit.default)
        problems.extend(editor.errors)
        if problems and not edit.keep_going:
            raise RpcFailure(*problems)
        if edit.default is Operation.REPLACE:
            return after  # all that is there is what the request asks for: there is nothing that it does not set
        return without_excluded(before, after, agent.library.conditions, agent.defaults)

    try:
        if edit.test == "test-only":
            after = edited()
            agent.check_edit(session, target, agent.stores.get(target, number), after)
            agent.transactor.validate(after)
        else:
            await write(agent, session, target, edited, validate=edit.test == "test-then-set")
    except RpcFailure as failure:
        # With continue-on-error the wrong values left out before count as well.
        raise RpcFailure(*dict.fromkeys((*problems, *failure.errors))) from failure
    if problems:
        raise RpcFailure(*problems)
    return OK


async def copy_config(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 6241 section 7.3.  The candidate is only checked for types, as by edit-config; the others entirely.

    Between datastores with-defaults means nothing (RFC 6243 section 4.5.1).
    """
    url = url_of(rpc.container("target"))
    if url is not None:
        return await _copy_to_url(agent, session, rpc, url)
    target = datastore(agent, rpc, "target")
    agent.stores.check_writable(target, session.session_id)
    source = rpc.container("source")
    if _names(source, target):
        words = f"source and target are both {target}"
        raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, words, type=ErrorType.PROTOCOL))
    root = await _given_tree(agent, session, source)
    if root is not None:
        await write(agent, session, target, lambda: root)
        return OK
    # To save running needs the right to copy alone; any other copy is a read and a write (RFC 8341 section 3.2.6).
    saving = target is Datastore.STARTUP and _names(source, Datastore.RUNNING)

    def copied() -> Container:
        found = source_tree(agent, session, rpc)
        return agent.access.readable(session, found) if not saving and agent.access.active else found

    await write(agent, session, target, copied, check_access=not saving)
    return OK


async def _given_tree(agent: Agent, session: SessionInfo, source: RpcInput | None) -> Container | None:
    """The configuration of an inline ``<config>`` or of a URL; None when the source is a datastore."""
    config = await given_config(agent, source)
    if config is None:
        return None
    return agent.reader.tree(config, strict=agent.strict, on_leniency=session.on_leniency)


async def _copy_to_url(agent: Agent, session: SessionInfo, rpc: RpcInput, url: str) -> Reply:
    """RFC 6241 section 8.8.5.2: what the session may read; the document is replaced as a whole."""
    source = rpc.container("source")
    mode = read_mode(agent, rpc)
    if url_of(source) == url:
        words = "source and target are the same URL"
        raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, words, type=ErrorType.PROTOCOL))
    root = await _given_tree(agent, session, source)
    if root is None:
        root = source_tree(agent, session, rpc)
        if agent.access.active:
            root = agent.access.readable(session, root)
    await write_document(agent, url, with_defaults(agent, root, mode))
    return OK


def _names(source: RpcInput | None, wanted: Datastore) -> bool:
    """Whether a source is this datastore, by its element or by its identity."""
    if source is None:
        return False
    identity = source.leaf("datastore") if "datastore" in source else None
    return wanted in source.names() or identity == f"ietf-datastores:{wanted}"


async def delete_config(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 6241 section 7.4; of the datastores, the module allows startup alone."""
    url = url_of(rpc.container("target"))
    if url is not None:
        await delete_document(agent, url)
        return OK
    target = datastore(agent, rpc, "target")
    agent.stores.check_writable(target, session.session_id)
    nothing = empty(agent.library.tree.data)
    agent.check_edit(session, target, agent.stores.get(target, session.session_id), nothing)
    agent.store_startup(nothing, by=session)
    return OK


async def discard_changes(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 6241 section 8.3.4.2."""
    agent.stores.check_writable(Datastore.CANDIDATE, session.session_id)
    agent.stores.discard(session.session_id)
    return OK


async def validate(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 6241 section 8.6.4.1."""
    root = await _given_tree(agent, session, rpc.container("source"))
    agent.transactor.validate(source_tree(agent, session, rpc) if root is None else root)
    return OK
