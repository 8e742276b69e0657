"""The one way in which an operation puts a configuration into a datastore: locks, access, validation, storage.

edit-config, copy-config, delete-config and edit-data share it, so that none of them can forget one of these.
"""

from __future__ import annotations

from collections.abc import Callable

from mlag_agent.data.tree import Container
from mlag_agent.datastore.stores import Datastore
from mlag_agent.features.base import Agent, SessionInfo

__all__ = ["write"]


async def write(
    agent: Agent,
    session: SessionInfo,
    target: Datastore,
    wanted: Callable[[], Container],
    *,
    validate: bool = False,
    check_access: bool = True,
) -> None:
    """Make what ``wanted`` gives the content of ``target``; for running it is called within the transaction.

    Running and startup are always validated, the candidate when ``validate`` says so (RFC 7950 section 8.3.3).
    ``check_access``: whether the session needs rights for what changes.

    Raises RpcFailure: in-use under another session's lock, access-denied, whatever ``wanted`` or validation raise; then
    the datastore is as it was.
    """
    number = session.session_id
    stores = agent.stores
    stores.check_writable(target, number)
    if target is Datastore.RUNNING:

        def protected() -> Container:
            stores.check_writable(target, number)
            return wanted()

        authorise = agent.authorise(session) if check_access else None
        await agent.transactor.apply(protected, authorise=authorise, by=session)
        return
    before = stores.get(target, number)
    after = wanted()
    agent.check_edit(session, target, before, after, check_access=check_access)
    if validate or target is Datastore.STARTUP:
        agent.transactor.validate(after)
    if target is Datastore.CANDIDATE:
        stores.edit_candidate(number, after)
    else:
        agent.store_startup(after, by=session)
