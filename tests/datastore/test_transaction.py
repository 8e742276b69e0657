"""ARCHITECTURE section 5: validate, prepare, store, commit, swap; and every way in which that can fail."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mlag_agent.datastore.persist import Journal
from mlag_agent.datastore.subscriber import ChangeSet
from mlag_agent.errors import ApplyRefused, ErrorTag, RpcError, RpcFailure


def refuse() -> None:
    raise ApplyRefused(RpcError(ErrorTag.OPERATION_FAILED, "the port is taken", app_tag="tcp-port-in-use", path="/x"))


def fail() -> None:
    raise RuntimeError("broken")


async def test_order(bench: Any) -> None:
    bench.subscriber("one")
    bench.subscriber("two")
    transactor = bench.transactor()
    seen: list[ChangeSet] = []
    transactor.published.append(seen.append)
    wanted = bench.config("a")
    await transactor.apply(wanted)
    assert bench.log == [("one", "prepare"), ("two", "prepare"), ("one", "commit"), ("two", "commit")]
    assert bench.stores.running is wanted
    assert [change.new for change in seen] == [wanted]
    assert seen[0].touches("/ietf-interfaces:interfaces/interface")
    assert not seen[0].touches("/ietf-interfaces:interfaces-state")


async def test_nothing_to_do_asks_nobody(bench: Any) -> None:
    bench.subscriber("one")
    transactor = bench.transactor()
    await transactor.apply(bench.config("a"))
    bench.log.clear()
    await transactor.apply(bench.config("a"))
    assert bench.log == []


async def test_only_those_concerned_are_asked(bench: Any) -> None:
    bench.subscriber("other").paths = ("/ietf-interfaces:interfaces-state", "/ietf-interfaces:inter")
    await bench.transactor().apply(bench.config("a"))
    assert bench.log == []


async def test_invalid_is_refused_before_anyone_is_asked(bench: Any) -> None:
    bench.subscriber("one")
    before = bench.stores.running
    bad = bench.config("a")
    interfaces = bench.library.tree.find("/ietf-interfaces:interfaces")
    from mlag_agent.data.build import build  # noqa: PLC0415  # here alone: a tree that no payload can give

    bad = type(bad)(bad.schema, {interfaces: build(interfaces, {"interface": [{"name": "a"}]})})
    with pytest.raises(RpcFailure) as caught:
        await bench.transactor().apply(bad)
    assert caught.value.errors[0].tag is ErrorTag.DATA_MISSING
    assert caught.value.errors[0].path == "/ietf-interfaces:interfaces/interface[name='a']/type"
    assert bench.log == []
    assert bench.stores.running is before


@pytest.mark.parametrize(("step", "words"), [(refuse, "the port is taken"), (fail, "two failed: broken")])
async def test_prepare_refused(bench: Any, step: Any, words: str, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("one", "two", "three"):
        bench.subscriber(name, **({"prepare": step} if name == "two" else {}))
    before = bench.stores.running
    with pytest.raises(ApplyRefused, match=words):
        await bench.transactor().apply(bench.config("a"))
    assert bench.log == [("one", "prepare"), ("two", "prepare"), ("one", "abort")]
    assert bench.stores.running is before
    assert bench.subscribers[0].held == 0


async def test_deadline(bench: Any) -> None:
    bench.subscriber("one")
    bench.subscriber("slow", prepare=lambda: asyncio.sleep(60))
    with pytest.raises(ApplyRefused, match=r"slow did not answer within 0\.02 s"):
        await bench.transactor(deadline=0.02).apply(bench.config("a"))
    assert bench.log[-1] == ("one", "abort")


async def test_commit_fails(bench: Any) -> None:
    for name in ("one", "two", "three"):
        bench.subscriber(name, **({"commit": fail} if name == "two" else {}))
    before = bench.stores.running
    with pytest.raises(RpcFailure, match="taken back: broken"):
        await bench.transactor().apply(bench.config("a"))
    assert bench.log[3:] == [
        ("one", "commit"),
        ("two", "commit"),
        ("three", "abort"),
        ("two", "abort"),
        ("one", "abort"),
    ]
    assert bench.stores.running is before


async def test_abort_fails(bench: Any) -> None:
    bench.subscriber("one")
    bench.subscriber("two", abort=fail)
    bench.subscriber("three", commit=fail)
    transactor = bench.transactor()
    with pytest.raises(RpcFailure):
        await transactor.apply(bench.config("a"))
    assert bench.log[-3:] == [("three", "abort"), ("two", "abort"), ("one", "abort")]
    assert transactor.out_of_sync == {"two": "broken"}


NAMES = ("one", "two", "three")


# commit has no deadline: it must not wait for anything.
FAILURES = [
    ("prepare", "refuses", refuse),
    ("prepare", "fails", fail),
    ("prepare", "hangs", lambda: asyncio.sleep(60)),
    ("commit", "refuses", refuse),
    ("commit", "fails", fail),
    ("store", "fails", fail),
]


class TestEveryFailure:
    """Each phase, each place in the order, each kind of failure, with each ``abort`` that fails as well."""

    @pytest.mark.parametrize("abort", [None, *NAMES])
    @pytest.mark.parametrize("at", range(3))
    @pytest.mark.parametrize("failure", FAILURES, ids=[f"{phase}-{name}" for phase, name, _ in FAILURES])
    async def test_nothing_is_left(
        self, bench: Any, tmp_path: Path, failure: tuple[str, str, Any], at: int, abort: str
    ) -> None:
        phase, _, kind = failure
        journal = Journal.open(tmp_path / "state.db")
        for number, name in enumerate(NAMES):
            steps = {phase: kind} if number == at and phase != "store" else {}
            bench.subscriber(name, **steps, **({"abort": fail} if name == abort else {}))
        transactor = bench.transactor(journal, deadline=0.05)
        told: list[tuple[str, str | None]] = []
        transactor.sync_changed.append(lambda name, error: told.append((name, error)))
        before = bench.stores.running
        if phase == "store":
            journal._connection.execute("PRAGMA query_only=1")
        with pytest.raises(RpcFailure):
            await transactor.apply(bench.config("a"))
        reached = NAMES[:at] if phase == "prepare" else NAMES
        wanted = [(name, "prepare") for name in (*reached, *(NAMES[at : at + 1] if phase == "prepare" else ()))]
        if phase == "commit":
            wanted += [(name, "commit") for name in NAMES[: at + 1]]
        wanted += [(name, "abort") for name in reversed(reached)]
        assert bench.log == wanted
        assert bench.stores.running is before
        assert journal.load("running") is None
        assert [s.held for s in bench.subscribers] == [0, 0, 0]
        out = {abort: "broken"} if abort in reached else {}
        assert transactor.out_of_sync == out
        assert told == list(out.items())
        # Whoever can be reached again gets the next change; who is out of sync gets everything.
        for subscriber in bench.subscribers:
            subscriber.steps.clear()
        journal._connection.execute("PRAGMA query_only=0")
        await transactor.apply(bench.config("a", "b"))
        assert transactor.out_of_sync == {}
        assert told[len(out) :] == [(name, None) for name in out]
        assert bench.replay(journal) == bench.stores.running
        journal.close()


class TestOutOfSync:
    async def test_it_gets_the_whole_configuration(self, bench: Any) -> None:
        seen: dict[str, ChangeSet] = {}

        class Watching(type(bench.subscriber("plain"))):  # type: ignore[misc]
            async def prepare(self, change: ChangeSet) -> str:
                seen[self.name] = change
                return await super().prepare(change)  # type: ignore[no-any-return]

        bench.subscribers[:] = [Watching("one", bench.log), Watching("two", bench.log)]
        transactor = bench.transactor()
        await transactor.apply(bench.config("a"))
        bench.subscribers[0].steps["abort"] = fail
        bench.subscribers[1].steps["commit"] = fail
        with pytest.raises(RpcFailure):
            await transactor.apply(bench.config("a", "b"))
        assert transactor.out_of_sync == {"one": "broken"}
        bench.subscribers[1].steps.clear()
        await transactor.apply(bench.config("a", "c"))
        assert [change.path for change in seen["two"].changes] == ["/ietf-interfaces:interfaces/interface[name='c']"]
        assert [change.path for change in seen["one"].changes] == ["/ietf-interfaces:interfaces"]
        assert seen["one"].new is seen["two"].new is bench.stores.running
        assert transactor.out_of_sync == {}

    async def test_it_stays_so_while_that_fails(self, bench: Any) -> None:
        one = bench.subscriber("one", commit=fail, abort=fail)
        transactor = bench.transactor()
        told: list[tuple[str, str | None]] = []
        transactor.sync_changed += [lambda *_: fail(), lambda name, error: told.append((name, error))]
        for _ in range(2):
            with pytest.raises(RpcFailure):
                await transactor.apply(bench.config("a"))
            assert transactor.out_of_sync == {"one": "broken"}
        one.steps.clear()
        await transactor.apply(bench.config("a"))
        assert told == [("one", "broken"), ("one", "broken"), ("one", None)]


@pytest.mark.parametrize("step", ["prepare", "commit"])
async def test_readers_see_the_old_root_meanwhile(bench: Any, step: str) -> None:
    go = asyncio.Event()
    bench.subscriber("one", **{step: go.wait})
    before = bench.stores.running
    task = asyncio.create_task(bench.transactor().apply(bench.config("a")))
    await asyncio.sleep(0.01)
    assert bench.log[-1] == ("one", step)
    assert bench.stores.running is before
    go.set()
    await task
    assert bench.stores.running is not before


async def test_one_at_a_time(bench: Any) -> None:
    bench.subscriber("one", prepare=lambda: asyncio.sleep(0.01), commit=lambda: asyncio.sleep(0.01))
    transactor = bench.transactor()
    await asyncio.gather(*(transactor.apply(bench.config(name)) for name in "abc"))
    assert bench.log == [("one", "prepare"), ("one", "commit")] * 3
    assert "<name>c</name>" in bench.xml(bench.stores.running)


class TestCancelled:
    """The session's task ends in the middle."""

    async def run(self, bench: Any, transactor: Any, after: tuple[str, str]) -> None:
        task = asyncio.create_task(transactor.apply(bench.config("a")))
        while not bench.log or bench.log[-1] != after:  # noqa: ASYNC110  # the recorder knows no event loop
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # and again, while it is being taken back
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_in_prepare(self, bench: Any) -> None:
        bench.subscriber("one", abort=lambda: asyncio.sleep(0.01))
        bench.subscriber("two", abort=lambda: asyncio.sleep(0.01))
        bench.subscriber("three", prepare=lambda: asyncio.sleep(60))
        before = bench.stores.running
        transactor = bench.transactor()
        await self.run(bench, transactor, ("three", "prepare"))
        assert bench.log[-2:] == [("two", "abort"), ("one", "abort")]
        assert [s.held for s in bench.subscribers] == [0, 0, 0]
        assert bench.stores.running is before
        bench.subscribers[2].steps.clear()
        await transactor.apply(bench.config("b"))  # the lock is free again

    async def test_in_commit(self, bench: Any, tmp_path: Path) -> None:
        """Once it commits, a change is made as a whole: its session's end does not leave half of it."""
        bench.subscriber("one", commit=lambda: asyncio.sleep(0.01))
        bench.subscriber("two", commit=lambda: asyncio.sleep(0.01))
        journal = Journal.open(tmp_path / "state.db")
        await self.run(bench, bench.transactor(journal), ("one", "commit"))
        assert bench.log[-1] == ("two", "commit")
        assert "<name>a</name>" in bench.xml(bench.stores.running)
        assert bench.replay(journal) == bench.stores.running
        journal.close()

    async def test_in_a_commit_that_fails(self, bench: Any) -> None:
        bench.subscriber("one", commit=lambda: asyncio.sleep(0.01))
        bench.subscriber("two", commit=fail)
        before = bench.stores.running
        await self.run(bench, bench.transactor(), ("one", "commit"))
        assert bench.log[-2:] == [("two", "abort"), ("one", "abort")]
        assert bench.stores.running is before


async def test_publisher_fails(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The change is in force; the reply must say so, and the other publishers hear of it."""
    transactor = bench.transactor()
    seen: list[ChangeSet] = []

    def broken(change: ChangeSet) -> None:
        raise RuntimeError("queue")

    transactor.published += [broken, seen.append]
    with caplog.at_level(logging.ERROR):
        await transactor.apply(bench.config("a"))
    assert len(seen) == 1
    assert "publishing a change failed" in caplog.text


class TestJournalFails:
    @pytest.fixture
    def journal(self, tmp_path: Path) -> Journal:
        return Journal.open(tmp_path / "state.db")

    async def check(self, bench: Any, journal: Journal) -> None:
        bench.subscriber("one")
        transactor = bench.transactor(journal)
        before = bench.stores.running
        with pytest.raises(RpcFailure, match="cannot be stored") as caught:
            await transactor.apply(bench.config(*(f"e{n}" for n in range(500))))
        assert caught.value.errors[0].app_tag == "state-file-not-writable"
        assert bench.stores.running is before
        assert bench.log[-1] == ("one", "abort")
        assert bench.subscribers[0].held == 0

    async def test_full(self, bench: Any, journal: Journal) -> None:
        transactor = bench.transactor(journal)
        await transactor.apply(bench.config("a"))
        pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
        journal._connection.execute(f"PRAGMA max_page_count={pages}")
        await self.check(bench, journal)
        journal._connection.execute("PRAGMA max_page_count=100000")
        await bench.transactor(journal).apply(bench.config("b"))
        assert bench.replay(journal) == bench.stores.running
        journal.close()

    async def test_read_only(self, bench: Any, journal: Journal) -> None:
        journal._connection.execute("PRAGMA query_only=1")
        await self.check(bench, journal)
        journal.close()

    async def test_closed(self, bench: Any, journal: Journal) -> None:
        journal.close()
        await self.check(bench, journal)

    async def test_at_the_commit(self, bench: Any, tmp_path: Path) -> None:
        """The subscribers have committed already: they are taken back."""

        class Failing:
            def __init__(self, real: sqlite3.Connection) -> None:
                self.real = real
                self.fails = True

            def execute(self, sql: str, *arguments: Any) -> Any:
                if sql == "COMMIT" and self.fails:
                    raise sqlite3.OperationalError("disk I/O error")
                return self.real.execute(sql, *arguments)

            def __getattr__(self, name: str) -> Any:
                return getattr(self.real, name)

        journal = Journal.open(tmp_path / "state.db")
        failing = Failing(journal._connection)
        journal._connection = failing  # type: ignore[assignment]
        await self.check(bench, journal)
        assert bench.log == [("one", "prepare"), ("one", "commit"), ("one", "abort")]
        failing.fails = False
        await bench.transactor(journal).apply(bench.config("b"))
        assert bench.replay(journal) == bench.stores.running
        journal.close()


async def test_running_is_not_stored_beside_a_startup_datastore(bench: Any, tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "state.db")
    bench.stores.startup = bench.stores.running
    await bench.transactor(journal).apply(bench.config("a"))
    assert journal.load("running") is None
    journal.close()


async def test_restoring_writes_nothing(bench: Any, tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "state.db")
    await bench.transactor(journal).apply(bench.config("a"), restoring=True, store=False)
    assert journal.load("running") is None
    journal.close()
