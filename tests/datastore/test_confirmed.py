"""The rules of RFC 6241 section 8.4 without a session: who may do what, what is pending then, what the file holds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fake_timers import FakeTimers
from mlag_agent.datastore.confirmed import (
    RETRY_SECONDS,
    CommitRequest,
    ConfirmedCommits,
    Pending,
    after_commit,
    authorise,
)
from mlag_agent.datastore.persist import Journal, StoredPending
from mlag_agent.errors import ApplyRefused, ErrorTag, RpcError, RpcFailure

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def refuse() -> None:
    raise ApplyRefused(RpcError(ErrorTag.OPERATION_FAILED, "the port is taken"))


@pytest.fixture
def bound(bench: Any) -> Pending:
    """Pending, bound to session 1."""
    return Pending(bench.config("before"), 1, None, NOW)


@pytest.fixture
def persistent(bench: Any) -> Pending:
    """Pending, with a token."""
    return Pending(bench.config("before"), 1, "token", NOW)


class TestAuthorise:
    def test_nothing_pending(self) -> None:
        authorise(None, 1, None)

    def test_own_session(self, bound: Pending) -> None:
        authorise(bound, 1, None)

    @pytest.mark.parametrize("session", [1, 2])
    def test_token(self, persistent: Pending, session: int) -> None:
        authorise(persistent, session, "token")

    @pytest.mark.parametrize(
        ("which", "session", "persist_id", "expected"),
        [
            (None, 1, "token", (ErrorTag.INVALID_VALUE, "bad-element", "persist-id")),
            ("bound", 1, "token", (ErrorTag.INVALID_VALUE, "bad-element", "persist-id")),
            ("bound", 2, None, (ErrorTag.IN_USE, "session-id", "1")),
            ("persistent", 1, None, (ErrorTag.IN_USE, "session-id", "1")),
            ("persistent", 2, None, (ErrorTag.IN_USE, "session-id", "1")),
            ("persistent", 1, "Token", (ErrorTag.INVALID_VALUE, "bad-element", "persist-id")),
            ("persistent", 2, "", (ErrorTag.INVALID_VALUE, "bad-element", "persist-id")),
            ("persistent", 2, "tökén", (ErrorTag.INVALID_VALUE, "bad-element", "persist-id")),
        ],
    )
    def test_refused(
        self,
        request: pytest.FixtureRequest,
        which: str | None,
        session: int,
        persist_id: str | None,
        expected: tuple[ErrorTag, str, str],
    ) -> None:
        pending = None if which is None else request.getfixturevalue(which)
        with pytest.raises(RpcFailure) as caught:
            authorise(pending, session, persist_id)
        (error,) = caught.value.errors
        assert (error.tag, error.info[0].name, error.info[0].text) == expected
        assert error.type == "protocol"
        assert "token" not in error.message


class TestAfterCommit:
    def test_plain(self, bench: Any, bound: Pending, persistent: Pending) -> None:
        running = bench.config("now")
        assert after_commit(None, CommitRequest(1), running, NOW) is None
        assert after_commit(bound, CommitRequest(1), running, NOW) is None
        assert after_commit(persistent, CommitRequest(2, persist_id="token"), running, NOW) is None

    def test_first(self, bench: Any) -> None:
        running = bench.config("now")
        made = after_commit(None, CommitRequest(1, confirmed=True), running, NOW)
        assert made == Pending(running, 1, None, NOW + timedelta(seconds=600))

    def test_follow_up_keeps_the_way_back(self, bench: Any, bound: Pending) -> None:
        made = after_commit(bound, CommitRequest(1, confirmed=True, timeout=5), bench.config("now"), NOW)
        assert made == Pending(bound.before, 1, None, NOW + timedelta(seconds=5))

    def test_follow_up_gives_a_token(self, bench: Any, bound: Pending) -> None:
        made = after_commit(bound, CommitRequest(1, confirmed=True, persist="new"), bench.config(), NOW)
        assert made is not None
        assert (made.before, made.persist) == (bound.before, "new")

    @pytest.mark.parametrize(("persist", "expected"), [(None, "token"), ("new", "new"), ("", "")])
    def test_follow_up_by_token(self, bench: Any, persistent: Pending, persist: str | None, expected: str) -> None:
        request = CommitRequest(2, confirmed=True, persist=persist, persist_id="token")
        made = after_commit(persistent, request, bench.config(), NOW)
        assert made is not None
        assert (made.before, made.persist, made.owner) == (persistent.before, expected, 2)

    def test_the_largest_time_out(self, bench: Any) -> None:
        made = after_commit(None, CommitRequest(1, confirmed=True, timeout=2**32 - 1), bench.config(), NOW)
        assert made is not None
        assert made.deadline.year == 2162


class Commits:
    """ConfirmedCommits on the bench, with a file and timers to fire."""

    def __init__(self, bench: Any, path: Path) -> None:
        self.bench = bench
        self.journal = Journal.open(path)
        self.transactor = bench.transactor(self.journal)
        self.timers = FakeTimers()
        self.commits = ConfirmedCommits(
            self.transactor, bench.stores, bench.library.tree.namespaces, call_later=self.timers.call_later
        )

    async def commit(self, *names: str, session: int = 1, **options: Any) -> None:
        self.bench.stores.edit_candidate(0, self.bench.config(*names))
        await self.commits.commit(CommitRequest(session, **options))

    async def fire(self) -> None:
        self.timers.fire()
        await asyncio.gather(*self.commits._tasks)

    @property
    def running(self) -> Any:
        return self.bench.stores.running

    def consistent(self) -> bool:
        """File and memory agree: on running, on what is pending, on the timer."""
        assert self.bench.replay(self.journal) == self.running
        stored, pending = self.journal.pending(), self.commits.pending
        if pending is None:
            return stored is None and self.timers.running == [] and self.bench.stores.confirming is None
        expected = StoredPending(self.commits.document(pending.before), pending.persist, pending.deadline)
        return stored == expected and len(self.timers.running) == 1


@pytest.fixture
async def one(bench: Any, tmp_path: Path) -> Any:
    """With a subscriber and a configuration ``a`` in force."""
    bench.subscriber("sub")
    commits = Commits(bench, tmp_path / "state.db")
    await commits.commit("a")
    yield commits
    await commits.commits.aclose()
    assert commits.timers.running == []
    commits.journal.close()


class TestInForce:
    async def test_confirmed(self, one: Commits) -> None:
        await one.commit("a", "b", confirmed=True)
        assert one.timers.delays == [600]
        assert one.consistent()
        await one.commit("a", "b", "c")
        assert one.running == one.bench.config("a", "b", "c")
        assert one.commits.pending is None
        assert one.consistent()

    async def test_due(self, one: Commits, caplog: pytest.LogCaptureFixture) -> None:
        before = one.running
        await one.commit("b", confirmed=True, timeout=7)
        one.bench.stores.edit_candidate(0, one.bench.config("b", "c"))
        await one.fire()
        assert one.running is before
        assert one.bench.stores.candidate_is_clean(0)
        assert one.consistent()
        assert "not confirmed within 7 s; the candidate's changes are discarded" in caplog.text

    async def test_extended(self, one: Commits) -> None:
        before = one.running
        await one.commit("b", confirmed=True)
        await one.commit("c", confirmed=True, timeout=30)
        assert one.timers.delays == [30]
        assert one.consistent()
        await one.fire()
        assert one.running is before
        assert one.consistent()

    async def test_nothing_changes(self, one: Commits) -> None:
        one.bench.log.clear()
        await one.commit("a", confirmed=True)
        assert one.bench.log == []
        assert one.timers.delays == [600]
        assert one.consistent()
        await one.fire()
        assert one.bench.log == []
        assert one.consistent()

    async def test_refused_arms_nothing(self, one: Commits) -> None:
        one.bench.subscribers[0].steps["prepare"] = refuse
        with pytest.raises(ApplyRefused):
            await one.commit("b", confirmed=True)
        assert one.commits.pending is None
        assert one.consistent()

    @pytest.mark.parametrize("confirmed", [True, False])
    async def test_refused_leaves_the_earlier_one(self, one: Commits, confirmed: bool) -> None:
        await one.commit("b", confirmed=True, timeout=7)
        pending, timers = one.commits.pending, list(one.timers.running)
        one.bench.subscribers[0].steps["prepare"] = refuse
        with pytest.raises(ApplyRefused):
            await one.commit("c", confirmed=confirmed)
        assert one.commits.pending is pending
        assert one.timers.running == timers
        assert one.consistent()

    async def test_a_commit_that_fails_leaves_the_earlier_one(self, one: Commits) -> None:
        """The file has it already when the subscriber fails: its transaction is taken back."""
        await one.commit("b", confirmed=True, timeout=7)
        pending = one.commits.pending
        one.bench.subscribers[0].steps["commit"] = lambda: 1 / 0
        with pytest.raises(RpcFailure):
            await one.commit("c", confirmed=True, persist="x")
        assert one.commits.pending is pending
        assert one.consistent()

    @pytest.mark.parametrize("names", [("a",), ("b",)])
    async def test_a_file_that_cannot_be_written_arms_nothing(self, one: Commits, names: tuple[str, ...]) -> None:
        one.journal._connection.execute("PRAGMA query_only=1")
        with pytest.raises(RpcFailure, match="cannot be stored"):
            await one.commit(*names, confirmed=True)
        one.journal._connection.execute("PRAGMA query_only=0")
        assert one.commits.pending is None
        assert one.consistent()

    async def test_extended_while_the_rollback_waits(self, one: Commits) -> None:
        """The follow-up came first: it counts."""
        await one.commit("b", confirmed=True)
        async with one.transactor.quiet():
            follow_up = asyncio.create_task(one.commit("c", confirmed=True))
            await asyncio.sleep(0)
            one.timers.fire()
        await follow_up
        await asyncio.gather(*one.commits._tasks)
        assert one.running == one.bench.config("c")
        assert one.consistent()

    async def test_confirmed_while_the_rollback_runs(self, one: Commits) -> None:
        """The time-out came first: the commit finds the old configuration and nothing pending."""
        before = one.running
        await one.commit("b", confirmed=True, persist="x")
        go = asyncio.Event()
        one.bench.subscribers[0].steps["prepare"] = go.wait
        one.timers.fire()
        await asyncio.sleep(0.01)
        late = asyncio.create_task(one.commits.commit(CommitRequest(1, persist_id="x")))
        await asyncio.sleep(0)
        go.set()
        with pytest.raises(RpcFailure, match="rolled back"):
            await late
        assert one.running is before
        assert one.consistent()

    async def test_rollback_fails_and_is_tried_again(self, one: Commits, caplog: pytest.LogCaptureFixture) -> None:
        before = one.running
        await one.commit("b", confirmed=True)
        one.bench.subscribers[0].steps["prepare"] = refuse
        await one.fire()
        assert one.running == one.bench.config("b")
        assert one.commits.rollback_error == "the port is taken"
        assert "rollback failed, again in 5 s" in caplog.text
        assert one.timers.delays == [RETRY_SECONDS]
        assert one.consistent()
        with pytest.raises(RpcFailure, match="a rollback is due") as caught:
            await one.commits.commit(CommitRequest(1))
        assert caught.value.errors[0].tag is ErrorTag.IN_USE
        await one.fire()
        assert one.timers.delays == [RETRY_SECONDS]
        del one.bench.subscribers[0].steps["prepare"]
        await one.fire()
        assert one.running is before
        assert one.commits.rollback_error is None
        assert one.consistent()

    @pytest.mark.parametrize("names", [("a",), ("b",)])
    async def test_rollback_is_not_stored(
        self, one: Commits, names: tuple[str, ...], caplog: pytest.LogCaptureFixture
    ) -> None:
        before = one.running
        await one.commit(*names, confirmed=True)
        one.journal._connection.execute("PRAGMA query_only=1")
        await one.fire()
        assert "the rollback is not stored" in caplog.text
        assert one.running is before
        assert one.commits.pending is None
        stored = one.journal.pending()
        assert stored is not None
        assert stored.config == one.commits.document(before)
        one.journal._connection.execute("PRAGMA query_only=0")
        await one.commit("c", confirmed=True)
        assert one.consistent()
        await one.fire()
        assert one.consistent()

    async def test_cancel_fails(self, one: Commits) -> None:
        """The client is told, and the commit is pending as before."""
        await one.commit("b", confirmed=True)
        timers = list(one.timers.running)
        one.bench.subscribers[0].steps["prepare"] = refuse
        with pytest.raises(ApplyRefused):
            await one.commits.cancel(1, None)
        assert one.timers.running == timers
        assert one.commits.rollback_error is None
        assert one.consistent()

    async def test_end_of_a_session(self, one: Commits) -> None:
        before = one.running
        await one.commit("b", confirmed=True)
        await one.commits.session_ended(2)
        assert one.commits.pending is not None
        await one.commits.session_ended(1)
        assert one.running is before
        assert one.consistent()

    async def test_end_of_a_session_that_is_cancelled_meanwhile(self, one: Commits) -> None:
        before = one.running
        await one.commit("b", confirmed=True)
        go = asyncio.Event()
        one.bench.subscribers[0].steps["prepare"] = go.wait
        ending = asyncio.create_task(one.commits.session_ended(1))
        await asyncio.sleep(0.01)
        ending.cancel()
        await asyncio.sleep(0.01)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await ending
        assert one.running is before
        assert one.consistent()

    async def test_closed_while_pending(self, bench: Any, tmp_path: Path) -> None:
        """The timer ends; the file remembers."""
        one = Commits(bench, tmp_path / "closed.db")
        await one.commit("a", confirmed=True, persist="x")
        (timer,) = one.timers.running
        await one.commits.aclose()
        timer.callback()
        assert one.timers.running == []
        assert not one.commits._tasks
        stored = one.journal.pending()
        assert stored is not None
        assert (stored.config, stored.persist) == (b"", "x")
        one.journal.close()

    async def test_the_event_loop_measures_the_time(self, bench: Any) -> None:
        commits = ConfirmedCommits(bench.transactor(), bench.stores, bench.library.tree.namespaces)
        await commits.commit(CommitRequest(1, confirmed=True, timeout=2**32 - 1))
        handle = commits._timer
        assert isinstance(handle, asyncio.TimerHandle)
        assert handle.when() - asyncio.get_running_loop().time() == pytest.approx(2**32 - 1, abs=60)
        await commits.aclose()
        assert handle.cancelled()
