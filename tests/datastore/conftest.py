"""A transactor over the project's own module, with subscribers that record what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from lxml import etree

from mlag_agent.data.edit import Editor
from mlag_agent.data.encode import encode_children
from mlag_agent.data.tree import Container, empty
from mlag_agent.datastore.payload import PayloadReader
from mlag_agent.datastore.persist import Journal
from mlag_agent.datastore.stores import Datastores
from mlag_agent.datastore.subscriber import ChangeSet
from mlag_agent.datastore.transaction import Transactor
from mlag_agent.schema.library import ModuleRequest, SchemaLibrary


@dataclass
class Recorder:
    """A subscriber that writes down each call; ``steps`` holds what to do instead of nothing."""

    name: str
    log: list[tuple[str, str]]
    paths: tuple[str, ...] = ("/ietf-interfaces:interfaces",)
    steps: dict[str, Callable[[], Any]] = field(default_factory=dict)
    held: int = 0

    async def _step(self, step: str) -> None:
        self.log.append((self.name, step))
        if step in self.steps:
            result = self.steps[step]()
            if asyncio.iscoroutine(result):
                await result

    async def prepare(self, change: ChangeSet) -> str:
        await self._step("prepare")
        self.held += 1
        return f"plan of {self.name}"

    async def commit(self, plan: str) -> None:
        assert plan == f"plan of {self.name}"
        await self._step("commit")

    async def abort(self, plan: str) -> None:
        assert plan == f"plan of {self.name}"
        self.held -= 1
        await self._step("abort")


class Bench:
    """Datastores, a transactor, and configurations by interface name."""

    def __init__(self, library: SchemaLibrary) -> None:
        self.library = library
        self.log: list[tuple[str, str]] = []
        self.subscribers: list[Recorder] = []
        self.stores = Datastores(empty(library.tree.data))

    def subscriber(self, name: str, **steps: Callable[[], Any]) -> Recorder:
        made = Recorder(name, self.log, steps=steps)
        self.subscribers.append(made)
        return made

    def transactor(self, journal: Journal | None = None, deadline: float = 5) -> Transactor:
        return Transactor(
            self.library, self.stores, subscribers=self.subscribers, journal=journal, prepare_deadline=deadline
        )

    def config(self, *names: str, description: str = "x") -> Container:
        rows = "".join(
            f"<interface><name>{name}</name><description>{description}</description>"
            '<type xmlns:t="urn:ietf:params:xml:ns:yang:iana-if-type">t:ethernetCsmacd</type></interface>'
            for name in names
        )
        text = f'<config><interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces">{rows}</interfaces></config>'
        return PayloadReader(self.library).tree(etree.fromstring(text))

    def replay(self, journal: Journal, datastore: str = "running") -> Container:
        """What the journal holds."""
        root = empty(self.library.tree.data)
        stored = journal.load(datastore)
        for document in (stored.snapshot, *stored.edits) if stored is not None else ():
            editor = Editor()
            nodes = PayloadReader(self.library).read(etree.fromstring(b"<config>" + document + b"</config>"))
            root = editor.apply(root, nodes)
            assert not editor.errors
        return root

    def xml(self, root: Container) -> str:
        return encode_children(root, self.library.tree.namespaces).decode()


@pytest.fixture(scope="session")
def library() -> SchemaLibrary:
    return SchemaLibrary.load([ModuleRequest("ietf-interfaces"), ModuleRequest("iana-if-type")])


@pytest.fixture
def bench(library: SchemaLibrary) -> Bench:
    return Bench(library)
