"""Long work lets others go first, and gives what it gives at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from lxml import etree

from mlag_agent.data import decode
from mlag_agent.data.edit import Editor
from mlag_agent.data.encode import encode_children
from mlag_agent.data.tree import Container, empty
from mlag_agent.datastore import payload, turns
from mlag_agent.datastore.payload import PayloadReader
from mlag_agent.datastore.stores import Datastores
from mlag_agent.datastore.transaction import Transactor
from mlag_agent.datastore.turns import Steps, at_once, collected, in_turns
from mlag_agent.errors import RpcFailure
from mlag_agent.schema.library import ModuleRequest, SchemaLibrary

MODULE = """
module long {
  yang-version 1.1; namespace "urn:test:long"; prefix l;
  container rows {
    list row {
      key "id"; must "not(low > high)";
      leaf id { type uint16; } leaf low { type uint8; } leaf high { type uint8; }
      container inner { list deep { key "id"; leaf id { type uint16; } leaf of { type identityref { base b; } } } }
    }
    leaf-list word { type string { length "1..3"; } ordered-by user; }
    choice one { leaf a { type uint8; } container c { list x { key "k"; leaf k { type uint8; } } } }
  }
  list top { key "k"; leaf k { type uint16; } leaf v { type string; } }
  identity b; identity one { base b; }
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> SchemaLibrary:
    folder: Path = tmp_path_factory.mktemp("yang")
    (folder / "long.yang").write_text(MODULE)
    return SchemaLibrary.load([ModuleRequest("long")], [folder])


def config(text: str) -> etree._Element:
    nc = "urn:ietf:params:xml:ns:netconf:base:1.0"
    return etree.fromstring(f'<config xmlns="urn:test:long" xmlns:nc="{nc}" xmlns:o="urn:test:long">{text}</config>')


def rows(number: int, extra: str = "") -> str:
    listed = "".join(f"<row><id>{n}</id><low>1</low><high>2</high></row>" for n in range(number))
    return f"<rows>{listed}{extra}</rows>"


@asynccontextmanager
async def others() -> AsyncIterator[Callable[[], int]]:
    """Somebody else on the event loop; gives how often it had its turn."""
    had = 0

    async def run() -> None:
        nonlocal had
        while True:
            had += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(run())
    try:
        yield lambda: had
    finally:
        task.cancel()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is long."""
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.0)


def steps(number: int) -> Steps[int]:
    for _ in range(number):
        yield
    return number


def test_at_once() -> None:
    assert at_once(steps(3)) == 3


@pytest.mark.usefixtures("impatient")
async def test_others_go_first() -> None:
    async with others() as had:
        assert await in_turns(steps(5)) == 5
        assert had() >= 5


async def test_a_short_step_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 1000.0)
    async with others() as had:
        await in_turns(steps(100))
        assert had() == 0


@pytest.mark.usefixtures("impatient")
async def test_a_cancellation_ends_it_between_two_steps() -> None:
    under_way = asyncio.Event()

    def endless() -> Steps[None]:
        while True:
            under_way.set()
            yield

    task = asyncio.create_task(in_turns(endless()))
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_collected() -> None:
    made = collected(range(1000))
    assert sum(1 for _ in made) == 1000 // turns.STEP_ITEMS
    assert at_once(collected(range(1000))) == tuple(range(1000))


# --- a long payload -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
async def test_others_have_their_turn_while_a_long_payload_is_read_and_committed(library: SchemaLibrary) -> None:
    stores = Datastores(empty(library.tree.data))
    transactor = Transactor(library, stores)
    reader = PayloadReader(library)
    entries = 6 * decode.BATCH
    async with others() as had:
        nodes = await in_turns(reader.steps(config(rows(entries))))
        assert had() >= 3 * 6  # matched, checked, made canonical
        before = had()
        await transactor.apply(Editor().apply(stores.running, nodes))
        assert had() - before >= 3  # checked in pieces of four chunks
    assert encode_children(stores.running, {}).count(b"<row>") == entries


LONG = [
    rows(9),
    rows(9, "<word>a</word><word>b</word><a>1</a>"),
    rows(9, "<a>1</a>").replace("<a>", '<a nc:operation="remove">'),
    '<rows nc:operation="replace"><row><id>1</id></row><row><id>2</id></row>'
    '<row nc:operation="delete"><id>3</id></row></rows>',
    "<rows><c><x><k>1</k></x><x><k>2</k></x><x><k>3</k></x></c></rows>",
    "<rows><row><id>+7</id><inner>"
    + "".join(f"<deep><id>0{n}</id><of>o:one</of></deep>" for n in range(7))
    + "</inner></row></rows>",
    "".join(f"<top><k>{n}</k><v>x</v></top>" for n in range(7)),
    # wrong ones
    rows(9, "<row><id>x</id></row><row><id>1000000</id></row>"),
    rows(9, "<row><low>1</low></row>"),
    rows(9, "<unknown/><word>long</word>"),
    rows(9, "<a>1</a><c><x><k>1</k></x></c>"),
    rows(9, "text"),
    "<rows><c><x><k>1</k></x><x><k>2</k></x><x><k>300</k></x></c></rows>",
    "<rows><row><id>7</id><inner>" + "".join(f"<deep><id>x{n}</id></deep>" for n in range(7)) + "</inner></row></rows>",
    "".join(f"<top><k>{n}</k><v>x</v></top>" for n in range(7)) + "<top><k>z</k></top>",
]  # fmt: skip


def outcome(library: SchemaLibrary, text: str) -> object:
    """What the payload makes of a datastore, or what is wrong with it."""
    seed = PayloadReader(library).read(config("<rows><row><id>3</id></row><a>7</a></rows>"))
    root: Container = Editor().apply(empty(library.tree.data), seed)
    try:
        nodes = PayloadReader(library).read(config(text))
    except RpcFailure as failure:
        return {(error.tag, error.path, error.message) for error in failure.errors}
    editor = Editor()
    after = editor.apply(root, nodes)
    return encode_children(after, library.tree.namespaces), tuple(editor.errors)


@pytest.mark.parametrize("text", LONG)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_in_batches_as_at_once(library: SchemaLibrary, monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
    whole = outcome(library, text)
    monkeypatch.setattr(decode, "BATCH", size)
    monkeypatch.setattr(payload, "BATCH", size)
    assert outcome(library, text) == whole
