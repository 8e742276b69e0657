"""ietf-factory-default (RFC 8808): factory-reset, and the factory-default datastore.

docs/decisions/029-factory-reset.md says what a reset takes away and what it leaves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from lxml import etree

from mlag_agent.data.encode import encode_children
from mlag_agent.data.tree import Container, empty
from mlag_agent.datastore.payload import PayloadReader
from mlag_agent.datastore.persist import Journal
from mlag_agent.datastore.stores import Datastore
from mlag_agent.datastore.subscriber import ChangeSet
from mlag_agent.datastore.transaction import Authorise, Transactor
from mlag_agent.errors import RpcFailure, SettingsError
from mlag_agent.features.base import OK, Agent, Feature, Reply, RpcInput, SessionInfo
from mlag_agent.schema.library import SchemaLibrary
from mlag_agent.schema.nodes import ModuleRequest

__all__ = ["FEATURE", "factory_configuration", "reset_configuration"]

_LOG = logging.getLogger(__name__)

# The content of an instance-data file (RFC 9195) is in the last of these, of a NETCONF message in one of the others.
_WRAPPERS = ("config", "data", "content-data")
_INSTANCE_DATA = "instance-data-set"

# The administrator's own file: larger than any message, and still no DTD and no network.
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True)


def factory_configuration(
    path: str | None, library: SchemaLibrary, reader: PayloadReader, transactor: Transactor
) -> Container:
    """The configuration in a file: XML in ``<config>``, ``<data>`` or an instance-data set; None: nothing.

    Raises SettingsError for a file that cannot be read or that these modules do not allow.
    """
    nothing = empty(library.tree.data)
    if path is None:
        return nothing
    hint = "an XML file whose outermost element is <config>, <data> or <instance-data-set>"
    try:
        outermost = etree.fromstring(Path(path).read_bytes(), _PARSER)
    except (OSError, etree.XMLSyntaxError) as error:
        raise SettingsError(f"cannot read the factory default {path}: {error}", f"it is {hint}") from error
    if outermost.getroottree().docinfo.doctype:  # type: ignore[union-attr]  # the stubs make it a union with Any
        raise SettingsError(f"the factory default {path} has a document type", f"it is {hint}, without a DTD")
    content = outermost
    if etree.QName(outermost).localname == _INSTANCE_DATA:
        content = next((child for child in outermost if etree.QName(child).localname == "content-data"), outermost)
    if etree.QName(content).localname not in _WRAPPERS:
        raise SettingsError(
            f"the factory default {path} begins with <{etree.QName(content).localname}>", f"it is {hint}"
        )
    try:
        root = reader.tree(content)
        transactor.validate(root)
    except RpcFailure as failure:
        words = "; ".join(f"{error.path}: {error.message}" for error in failure.errors)
        raise SettingsError(f"the factory default {path} is no valid configuration: {words}") from failure
    return root


class _Reset:
    """Together with running, or not at all: no confirmed commit is pending any more."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def store(self, journal: Journal) -> None:
        """In the transaction of running."""
        journal.disarm()

    def done(self) -> None:
        """What was going to be rolled back is gone, and so is what anybody was going to commit."""
        self._agent.commits.become(None)
        self._agent.stores.discard_all()


async def reset_configuration(
    agent: Agent,
    wanted: Callable[[], Container],
    *,
    authorise: Authorise | None = None,
    by: SessionInfo | None = None,
) -> None:
    """Running and startup as they were at first; what the device cannot have now is shown as state."""
    await agent.transactor.apply(wanted, restoring=True, companion=_Reset(agent), authorise=authorise, by=by)
    if agent.stores.startup is not None:
        agent.store_startup(agent.factory, by=by)


async def _factory_reset(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 8808 section 2.  What the device cannot have now is shown as state: a reset is not refused for a port."""
    number = session.session_id
    stores = agent.stores

    def wanted() -> Container:
        for datastore in stores.supported:
            stores.check_writable(datastore, number)
        return agent.factory

    def unlocked(change: ChangeSet) -> None:
        stores.partial_locks.check(number, change.old, change.new)

    await reset_configuration(agent, wanted, authorise=unlocked, by=session)
    if agent.journal is not None:
        kept = Datastore.RUNNING if stores.startup is None else Datastore.STARTUP
        agent.journal.reset(kept, encode_children(agent.factory, agent.library.tree.namespaces))
    for forget in agent.on_factory_reset:
        forget()
    _LOG.warning("session %d (%s): factory reset", number, session.username)
    return OK


FEATURE = Feature(
    name="factory default",
    modules=(
        ModuleRequest("ietf-factory-default", ("factory-default-datastore",)),
        ModuleRequest("mlag-agent-factory"),
    ),
    rpcs={"ietf-factory-default:factory-reset": _factory_reset},
)
