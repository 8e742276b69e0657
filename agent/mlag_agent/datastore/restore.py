"""What a start begins with: the configuration as it was stored, else that of the factory."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from lxml import etree

from mlag_agent.data.decode import Operation
from mlag_agent.data.edit import Editor
from mlag_agent.data.encode import encode_children
from mlag_agent.data.tree import Container, empty
from mlag_agent.datastore.payload import PayloadReader
from mlag_agent.datastore.persist import DamagedError, Journal, Stored
from mlag_agent.datastore.stores import Datastore, Datastores
from mlag_agent.datastore.transaction import Transactor
from mlag_agent.errors import RpcFailure, SettingsError
from mlag_agent.schema.library import SchemaLibrary

__all__ = ["Restorer"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Restorer:
    """Puts the stored configuration in force.  ``factory``: what there is before anything was stored."""

    library: SchemaLibrary
    stores: Datastores
    transactor: Transactor
    reader: PayloadReader
    journal: Journal
    factory: Container

    async def restore(self) -> None:
        """Running as it was last committed; with a startup datastore, as that says.

        A commit that was to be confirmed and was not is taken back at once, whatever is left of its time: a restart
        undoes it (RFC 6241 section 8.4.1).  A file that is damaged is set aside and reported.  Raises SettingsError
        for a configuration that these modules or the device cannot have.
        """
        try:
            stored, pending = self._stored()
            root = self.factory if stored is None else self._replay(stored)
        except (DamagedError, etree.XMLSyntaxError) as damage:
            self.journal.start_over(str(damage))
            stored, pending, root = None, False, self.factory
        except RpcFailure as problem:
            raise self._unusable(problem) from problem
        try:
            if self.stores.startup is not None:
                self.stores.startup = root
            await self.transactor.apply(root, restoring=True, store=False)
        except RpcFailure as problem:
            raise self._unusable(problem) from problem
        if pending or (root.children if stored is None else stored.edits):
            self._compact(root, first=stored is None, pending=pending)

    def _compact(self, root: Container, *, first: bool, pending: bool) -> None:
        """So that the next start has one document to read."""
        document = encode_children(root, self.library.tree.namespaces)
        try:
            self.journal.replace(self._source, document, disarm=pending)
        except RpcFailure as problem:
            if first:
                # Nothing can be stored on top of what is not there.
                raise SettingsError(f"the factory default cannot be stored: {problem}") from problem
            # Nothing is lost: the next start reads the same again.
            self.journal.outrun = pending
            _LOG.warning("the state file is left as it is: %s", problem)

    @property
    def _source(self) -> Datastore:
        return Datastore.RUNNING if self.stores.startup is None else Datastore.STARTUP

    def _stored(self) -> tuple[Stored | None, bool]:
        """What to begin with, and whether a confirmed commit was pending."""
        stored = self.journal.load(self._source)
        # With a startup datastore, running is not what comes back: there is nothing to take out of it.
        pending = self.journal.pending() if self.stores.startup is None else None
        if pending is None:
            return stored, False
        _LOG.warning("a confirmed commit, due at %s, was not confirmed: it is rolled back", pending.deadline)
        return Stored(pending.config, ()), True

    def _replay(self, stored: Stored) -> Container:
        """The configuration that a snapshot and the edits after it give."""
        root = empty(self.library.tree.data)
        for document in (stored.snapshot, *stored.edits):
            editor = Editor()
            root = editor.apply(root, self.reader.read(_parse(document)), Operation.MERGE)
            if editor.errors:
                raise RpcFailure(*editor.errors)
        return root

    def _unusable(self, problem: RpcFailure) -> SettingsError:
        folder = self.journal.path.parent
        return SettingsError(
            f"the stored configuration cannot be used: {problem}",
            f"start with the model and modules it was made with, or with another state folder than {folder}",
        )


# What this agent has written itself may be larger than any message.
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True)


def _parse(document: bytes) -> etree._Element:
    return etree.fromstring(b"<config>" + document + b"</config>", _PARSER)
