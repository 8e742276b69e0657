"""A commit checks what it can invalidate (ARCHITECTURE section 6), and reports what a check of the whole reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from mlag_agent.data.edit import Editor
from mlag_agent.data.tree import Container, empty
from mlag_agent.datastore.payload import PayloadReader
from mlag_agent.datastore.stores import Datastores
from mlag_agent.datastore.transaction import Transactor
from mlag_agent.errors import RpcFailure
from mlag_agent.schema.engine import Contents
from mlag_agent.schema.library import ModuleRequest, SchemaLibrary

MODULE = """
module rows {
  yang-version 1.1; namespace "urn:test:rows"; prefix r;
  container rows {
    list row {
      key "id"; must "not(low > high)";
      leaf id { type uint16; } leaf low { type uint8; } leaf high { type uint8; }
    }
    leaf enabled { type empty; must "../other"; }
    list other { key "id"; leaf id { type uint8; } }
    container needs { leaf it { type uint8; mandatory true; } }
  }
  container apart { leaf-list value { type uint8; max-elements 2; } }
}
"""


@dataclass
class Recorder:
    """An engine that writes down what it is asked to check."""

    engine: Any
    documents: list[str] = field(default_factory=list)

    def validate(self, document: str, contents: Contents, lookup: Any, *, alone: bool = False) -> None:
        self.documents.append(document)
        self.engine.validate(document, contents, lookup, alone=alone)


@dataclass
class Bench:
    """A transactor on the module above."""

    library: SchemaLibrary
    reader: PayloadReader
    recorder: Recorder
    stores: Datastores
    transactor: Transactor

    def edited(self, text: str) -> Container:
        """Running with an edit."""
        head = '<config xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">'
        nodes = self.reader.read(etree.fromstring(f"{head}{text}</config>"))
        return Editor().apply(self.stores.running, nodes)

    async def commit(self, text: str) -> list[str]:
        """What libyang has checked."""
        self.recorder.documents.clear()
        await self.transactor.apply(self.edited(text))
        return list(self.recorder.documents)


def rows(*content: str) -> str:
    return f'<rows xmlns="urn:test:rows">{"".join(content)}</rows>'


def row(number: int, low: int = 1, high: int = 2) -> str:
    return f"<row><id>{number}</id><low>{low}</low><high>{high}</high></row>"


NEEDS = "<needs><it>1</it></needs>"


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Bench]:
    folder: Path = tmp_path_factory.mktemp("yang")
    (folder / "rows.yang").write_text(MODULE)
    library = SchemaLibrary.load([ModuleRequest("rows")], [folder])

    def made() -> Bench:
        recorder = Recorder(library.engine)
        stores = Datastores(empty(library.tree.data))
        transactor = Transactor(replace(library, engine=recorder), stores)  # type: ignore[arg-type]
        return Bench(library, PayloadReader(library), recorder, stores, transactor)

    return made


@pytest.fixture
def bench(make: Callable[[], Bench]) -> Bench:
    return make()


async def test_only_the_entry_that_changes_is_checked(bench: Bench) -> None:
    many = rows(*map(row, range(2000)), NEEDS)
    assert len(await bench.commit(many)) == 2  # the first 1,024 entries, and the others
    (document,) = await bench.commit(rows(row(77, 0)))
    assert document == rows(row(77, 0), NEEDS)
    (document,) = await bench.commit(rows('<row nc:operation="remove"><id>77</id></row>'))
    assert document == rows(NEEDS)


async def test_other_top_level_nodes_are_left_out(bench: Bench) -> None:
    await bench.commit(rows(*map(row, range(10)), NEEDS))
    value = '<apart xmlns="urn:test:rows"><value>1</value></apart>'
    (document,) = await bench.commit(value)
    assert document == rows(NEEDS) + value


async def test_violations_are_those_of_the_whole(bench: Bench) -> None:
    await bench.commit(rows(row(1), row(2), NEEDS))
    running = bench.stores.running
    bad = bench.edited(rows(row(1, 9), row(3, 8)))
    with pytest.raises(RpcFailure) as whole:
        bench.transactor.validate(bad)
    with pytest.raises(RpcFailure) as scoped:
        await bench.transactor.apply(bad)
    assert scoped.value.errors == whole.value.errors
    assert [error.path for error in scoped.value.errors] == ["/rows:rows/row[id='1']", "/rows:rows/row[id='3']"]
    assert bench.stores.running is running


async def test_a_violation_of_the_part_alone_is_none(bench: Bench) -> None:
    """The must of ``enabled`` needs a list that is left out around the changed row."""
    await bench.commit(rows(row(1), "<enabled/><other><id>1</id></other>", NEEDS))
    part, whole = await bench.commit(rows(row(1, 0)))
    assert "<other>" not in part
    assert "<other>" in whole
    assert bench.stores.running == bench.edited(rows(row(1, 0)))


async def test_what_was_not_checked_before_is_checked_entirely(bench: Bench) -> None:
    """Nobody knows whether what is in the datastore at first is valid."""
    await bench.commit(rows(row(1), NEEDS))
    bench.stores.running = bench.edited(rows(row(2, 9)))
    with pytest.raises(RpcFailure, match="low"):
        await bench.transactor.apply(bench.edited(rows(row(1, 0))))
    assert len(bench.recorder.documents) == 2
    await bench.commit(rows(row(2)))
    assert await bench.commit(rows(row(2, 0))) == [rows(row(2, 0), NEEDS)]


async def test_a_private_candidate_that_was_overtaken(bench: Bench) -> None:
    """What it puts on top of running is checked, not what others have committed meanwhile, nor what was there."""
    await bench.commit(rows(*map(row, range(2000)), NEEDS))
    stores = bench.stores = Datastores(bench.stores.running, candidate="private")
    transactor = bench.transactor = Transactor(bench.transactor._library, stores)
    await transactor.apply(bench.edited(rows(row(1, 0))))
    stores.edit_candidate(1, bench.edited(rows(row(77, 0))))
    await transactor.apply(bench.edited(rows(row(78, 0), row(1500, 0))))
    bench.recorder.documents.clear()
    await transactor.apply(lambda: stores.to_commit(1))
    assert bench.recorder.documents == [rows(row(77, 0), NEEDS)]
    assert stores.running == bench.edited(rows(*(row(number, 0) for number in (1, 77, 78, 1500))))
