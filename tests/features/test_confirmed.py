"""Confirmed commits over real sockets (RFC 6241 section 8.4).  Time-outs are fired, not waited for."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from ncclient import manager

from fake_timers import FakeTimers
from mlag_agent.app import Device
from mlag_client.testing import RunningAgent, assert_yang_valid
from netconf_client import DML, LIMIT, PASSWORD, USER, Client, Error, channel, group, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]

STATE = '<agent xmlns="urn:mlag-agent:yang:mlag-agent-state"/>'
LOCK = "<lock><target><{}/></target></lock>"
IPV4 = ("10.1.1.1", "10.1.1.2")


def confirmed(*, timeout: int | None = None, persist: str | None = None, persist_id: str | None = None) -> str:
    """``<commit><confirmed/>``."""
    parts = {"confirm-timeout": timeout, "persist": persist, "persist-id": persist_id}
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in parts.items() if value is not None)
    return f"<commit><confirmed/>{inner}</commit>"


def with_id(operation: str, persist_id: str) -> str:
    return f"<{operation}><persist-id>{persist_id}</persist-id></{operation}>"


@pytest.fixture
def timers() -> FakeTimers:
    return FakeTimers()


@pytest.fixture
async def device(start: Start, timers: FakeTimers) -> Device:
    """An agent with ``old`` configured, whose time-outs the test fires."""
    device = await start(call_later=timers.call_later)
    session = await Client.connect(device.port)
    assert (await session.edit(vpn("old"), "running")).ok
    await session.aclose()
    return device


@pytest.fixture
async def pair(device: Device, connect: Connect) -> tuple[Client, Client]:
    """Two sessions with the agent."""
    return await connect(device), await connect(device)


Pair = tuple[Client, Client]


async def names(session: Client, source: str = "running") -> list[str]:
    """The configured VPN instances."""
    return (await session.get_config(source)).leafs("name")


async def add(session: Client, name: str, commit: str) -> None:
    """Add a VPN instance to the candidate and commit."""
    assert (await session.edit(vpn(name))).ok
    assert (await session.rpc(commit)).ok


async def due(device: Device, timers: FakeTimers) -> None:
    """The time-out fires; returns when the rollback has ended."""
    timers.fire()
    await asyncio.gather(*device.agent.commits._tasks)


async def over(device: Device, client: Client) -> None:
    """Wait until the agent has done all that the end of a session brings."""
    for session in device.registry:
        if session.session_id == client.session_id:
            await asyncio.wait_for(session.wait_over(), LIMIT)


def brief(error: Error) -> tuple[str, str, dict[str, str]]:
    return error.tag, error.type, error.info


BAD_ID = ("invalid-value", "protocol", {"bad-element": "persist-id"})


class TestOneSession:
    async def test_confirmed_in_time(
        self, device: Device, session: Client, connect: Connect, timers: FakeTimers
    ) -> None:
        await add(session, "new", confirmed())
        assert timers.delays == [600]
        assert await names(session) == ["new", "old"]
        assert (await session.commit()).ok
        assert timers.delays == []
        await session.rpc("<close-session/>")
        await over(device, session)
        assert device.agent.commits.pending is None
        again = await connect(device)
        assert await names(again) == ["new", "old"]

    async def test_not_confirmed(self, device: Device, session: Client, timers: FakeTimers) -> None:
        await add(session, "new", confirmed(timeout=30))
        assert timers.delays == [30]
        await session.edit(vpn("newer"))
        await due(device, timers)
        assert await names(session) == ["old"]
        # DOMAIN 5.5: the candidate goes as well, and the session is not ended.
        assert await names(session, "candidate") == ["old"]
        assert (await session.commit()).ok
        assert await names(session) == ["old"]

    async def test_extended(self, device: Device, session: Client, timers: FakeTimers) -> None:
        await add(session, "one", confirmed(timeout=30))
        await add(session, "two", confirmed(timeout=40))
        assert timers.delays == [40]
        await due(device, timers)
        assert await names(session) == ["old"]

    async def test_extended_and_confirmed(self, session: Client, timers: FakeTimers) -> None:
        await add(session, "one", confirmed(timeout=30))
        await add(session, "two", confirmed(timeout=40))
        await add(session, "three", "<commit/>")
        assert timers.delays == []
        assert await names(session) == ["old", "one", "three", "two"]

    async def test_cancelled(self, session: Client, timers: FakeTimers) -> None:
        await add(session, "new", confirmed())
        await session.edit(vpn("newer"))
        assert (await session.rpc("<cancel-commit/>")).ok
        assert (await names(session), await names(session, "candidate")) == (["old"], ["old"])
        assert timers.delays == []
        error = (await session.rpc("<cancel-commit/>")).error
        assert (error.tag, error.message) == ("operation-failed", "no confirmed commit is pending")

    async def test_nothing_to_commit_arms_all_the_same(
        self, device: Device, session: Client, timers: FakeTimers
    ) -> None:
        assert (await session.rpc(confirmed())).ok
        assert timers.delays == [600]
        await session.edit(vpn("later"), "running")
        await due(device, timers)
        assert await names(session) == ["old"]

    async def test_edits_of_running_meanwhile_go_with_it(self, device: Device, pair: Pair, timers: FakeTimers) -> None:
        one, two = pair
        await add(one, "new", confirmed())
        assert (await two.edit(vpn("other"), "running")).ok
        copy = (
            f"<copy-config><target><running/></target><source><config>{vpn('copied')}</config></source></copy-config>"
        )
        assert (await two.rpc(copy)).ok
        await due(device, timers)
        assert await names(two) == ["old"]

    async def test_a_real_second(self, start: Start, connect: Connect) -> None:
        """Once with the event loop's own timer."""
        device = await start("timed")
        session = await connect(device)
        await add(session, "new", confirmed(timeout=1))
        rolled_back = asyncio.Event()
        device.agent.transactor.published.append(lambda _: rolled_back.set())
        await asyncio.wait_for(rolled_back.wait(), LIMIT)
        assert await names(session) == []
        assert device.agent.commits.pending is None


class TestParameters:
    @pytest.mark.parametrize("value", ["0", "4294967296", "-1", "soon"])
    async def test_time_out(self, session: Client, timers: FakeTimers, value: str) -> None:
        reply = await session.rpc(f"<commit><confirmed/><confirm-timeout>{value}</confirm-timeout></commit>")
        assert reply.error.tag == "invalid-value"
        assert timers.delays == []

    @pytest.mark.parametrize("given", ["<confirm-timeout>60</confirm-timeout>", "<persist>x</persist>"])
    async def test_without_confirmed(self, session: Client, timers: FakeTimers, given: str) -> None:
        """It would be final, which is not what was meant."""
        await session.edit(vpn("new"))
        reply = await session.rpc(f"<commit>{given}</commit>")
        assert brief(reply.error) == ("missing-element", "protocol", {"bad-element": "confirmed"})
        assert await names(session) == ["old"]

    async def test_nothing_is_pending(self, session: Client) -> None:
        for request in (confirmed(persist_id="x"), with_id("commit", "x"), with_id("cancel-commit", "x")):
            assert brief((await session.rpc(request)).error) == BAD_ID


class TestTwoSessions:
    async def test_bound_to_its_session(self, pair: Pair, timers: FakeTimers) -> None:
        one, two = pair
        await add(one, "new", confirmed())
        in_use = ("in-use", "protocol", {"session-id": str(one.session_id)})
        for request in ("<commit/>", confirmed(), "<cancel-commit/>"):
            assert brief((await two.rpc(request)).error) == in_use
        for session in pair:
            for request in (with_id("commit", "x"), confirmed(persist_id="x"), with_id("cancel-commit", "x")):
                assert brief((await session.rpc(request)).error) == BAD_ID
        assert timers.delays == [600]
        assert (await one.commit()).ok

    async def test_token(self, pair: Pair, timers: FakeTimers) -> None:
        one, two = pair
        await add(one, "new", confirmed(persist="secret-token"))
        for session in pair:
            for request in ("<commit/>", confirmed(), "<cancel-commit/>"):
                error = (await session.rpc(request)).error
                assert brief(error) == ("in-use", "protocol", {"session-id": str(one.session_id)})
                assert "secret-token" not in error.message
            for request in (with_id("commit", "x"), confirmed(persist_id="x"), with_id("cancel-commit", "x")):
                assert brief((await session.rpc(request)).error) == BAD_ID
        assert (await two.rpc(with_id("commit", "secret-token"))).ok
        assert timers.delays == []
        assert await names(two) == ["new", "old"]

    async def test_extended_by_token(self, device: Device, pair: Pair, timers: FakeTimers) -> None:
        """The token stays, or is replaced by a new one; the follow-up's session is the owner from then on."""
        one, two = pair
        await add(one, "new", confirmed(persist="x"))
        await add(two, "newer", confirmed(timeout=20, persist_id="x"))
        assert (await two.rpc(LOCK.format("running"))).ok
        assert (await two.rpc("<unlock><target><running/></target></unlock>")).ok
        assert brief((await two.commit()).error)[0] == "in-use"
        await add(one, "newest", confirmed(timeout=10, persist_id="x", persist="y"))
        assert timers.delays == [10]
        assert brief((await two.rpc(with_id("commit", "x"))).error) == BAD_ID
        await one.rpc("<close-session/>")
        await over(device, one)
        assert await names(two) == ["new", "newer", "newest", "old"]
        await due(device, timers)
        assert await names(two) == ["old"]

    async def test_cancelled_by_token(self, pair: Pair, timers: FakeTimers) -> None:
        one, two = pair
        await add(one, "new", confirmed(persist="x"))
        assert (await two.rpc(with_id("cancel-commit", "x"))).ok
        assert await names(two) == ["old"]
        assert timers.delays == []

    async def test_lock_of_running(self, device: Device, pair: Pair) -> None:
        one, two = pair
        await add(one, "new", confirmed())
        denied = ("lock-denied", "protocol", {"session-id": str(one.session_id)})
        assert brief((await two.rpc(LOCK.format("running"))).error) == denied
        assert (await two.rpc(LOCK.format("candidate"))).ok
        assert (await two.rpc("<unlock><target><candidate/></target></unlock>")).ok
        assert (await one.rpc(LOCK.format("running"))).ok
        assert (await one.commit()).ok
        assert (await one.rpc("<unlock><target><running/></target></unlock>")).ok
        assert (await two.rpc(LOCK.format("running"))).ok

    async def test_lock_of_running_after_the_owner_has_gone(self, device: Device, pair: Pair) -> None:
        one, two = pair
        await add(one, "new", confirmed(persist="x"))
        one.abort()
        await over(device, one)
        error = (await two.rpc(LOCK.format("running"))).error
        assert brief(error) == ("lock-denied", "protocol", {"session-id": "0"})
        # Taken over, it may be locked.
        assert (await two.rpc(confirmed(persist_id="x"))).ok
        assert (await two.rpc(LOCK.format("running"))).ok
        assert (await two.rpc(with_id("commit", "x"))).ok

    async def test_locks_keep_others_from_confirming(self, pair: Pair, timers: FakeTimers) -> None:
        one, two = pair
        assert (await one.rpc(LOCK.format("running"))).ok
        await add(one, "new", confirmed(persist="x"))
        for request in (with_id("commit", "x"), with_id("cancel-commit", "x")):
            assert brief((await two.rpc(request)).error)[0] == "in-use"
        assert timers.delays == [600]

    async def test_a_lock_does_not_keep_the_rollback_off(self, device: Device, pair: Pair, timers: FakeTimers) -> None:
        """The candidate that another session has locked was made on what is taken back: it goes as well."""
        one, two = pair
        await add(one, "new", confirmed())
        assert (await one.rpc(LOCK.format("running"))).ok
        assert (await two.rpc(LOCK.format("candidate"))).ok
        await two.edit(vpn("theirs"))
        await due(device, timers)
        assert (await names(two), await names(two, "candidate")) == (["old"], ["old"])


class TestEndOfSession:
    @pytest.mark.parametrize("how", ["close", "abort", "kill"])
    async def test_bound(self, device: Device, pair: Pair, timers: FakeTimers, how: str) -> None:
        one, two = pair
        assert (await one.rpc(LOCK.format("running"))).ok
        await add(one, "new", confirmed())
        if how == "kill":
            two.send(f"<kill-session><session-id>{one.session_id}</session-id></kill-session>")
            two.send(LOCK.format("running"))
            assert (await two.receive()).ok
            assert (await two.receive()).ok
        elif how == "close":
            assert (await one.rpc("<close-session/>")).ok
        else:
            one.abort()
        await over(device, one)
        assert await names(two) == ["old"]
        assert timers.delays == []

    @pytest.mark.parametrize("how", ["close", "abort", "kill"])
    async def test_persistent(self, device: Device, pair: Pair, timers: FakeTimers, how: str) -> None:
        one, two = pair
        await add(one, "new", confirmed(persist="x"))
        if how == "kill":
            assert (await two.rpc(f"<kill-session><session-id>{one.session_id}</session-id></kill-session>")).ok
        elif how == "close":
            assert (await one.rpc("<close-session/>")).ok
        else:
            one.abort()
        await over(device, one)
        assert await names(two) == ["new", "old"]
        assert timers.delays == [600]
        assert (await two.rpc(with_id("commit", "x"))).ok

    async def test_killed_while_it_commits(self, device: Device, pair: Pair, timers: FakeTimers) -> None:
        """Whatever is armed when the session is gone, is taken back."""
        one, two = pair
        await one.edit(vpn("new"))
        async with device.agent.transactor.quiet():
            one.send(confirmed())
            await two.get_config()
        assert (await two.rpc(f"<kill-session><session-id>{one.session_id}</session-id></kill-session>")).ok
        assert await names(two) == ["old"]
        assert timers.delays == []


class TestRefused:
    async def test_arms_nothing(self, device: Device, session: Client, timers: FakeTimers) -> None:
        await session.edit(group(channel(port=device.port)))
        assert (await session.rpc(confirmed())).error.app_tag == "tcp-port-in-use"
        assert timers.delays == []
        assert device.agent.commits.pending is None

    @pytest.mark.parametrize("request_", [confirmed(timeout=5), "<commit/>"])
    async def test_leaves_the_earlier_one(
        self, device: Device, session: Client, timers: FakeTimers, request_: str
    ) -> None:
        await add(session, "new", confirmed(timeout=30))
        await session.edit(group(channel(port=device.port)))
        assert (await session.rpc(request_)).errors
        assert timers.delays == [30]
        await due(device, timers)
        assert await names(session) == ["old"]

    async def test_rollback_to_a_port_that_is_busy_now(
        self, device: Device, session: Client, timers: FakeTimers
    ) -> None:
        """Running goes back all the same; the channel is down for the reason it has, and comes up by itself."""
        with socket.socket() as holder:
            holder.bind(("0.0.0.0", 0))
            port = holder.getsockname()[1]
        assert (await session.edit(group(channel(*IPV4, port, family="ipv4")), "running")).ok
        await session.edit(group("<ipv4><tcp-port>3000</tcp-port></ipv4>"))
        assert (await session.rpc(confirmed())).ok
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("0.0.0.0", port))
            holder.listen()
            await due(device, timers)
            assert (await session.get_config()).leaf("tcp-port") == str(port)
            found = await session.get(f'<m-lag xmlns="{DML}"/>')
            assert found.leaf("sync-channel", "down-reason") == "port-in-use"
            assert device.agent.commits.pending is None
        await device.engine.wait_for(lambda state: state.channel.down_reason != "port-in-use", 30)

    async def test_rollback_that_fails(
        self, device: Device, session: Client, timers: FakeTimers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is shown, commits are refused, and it is tried again."""

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("broken")

        await add(session, "new", confirmed())
        with monkeypatch.context() as patch:
            patch.setattr(device.agent.library.engine, "validate", fail)
            await due(device, timers)
        assert await names(session) == ["new", "old"]
        assert (await session.get(STATE)).leaf("rollback-error") == "broken"
        assert (await session.commit()).error.tag == "in-use"
        await due(device, timers)
        assert await names(session) == ["old"]
        assert (await session.get(STATE)).leaf("confirmed-commit") is None

    @pytest.mark.parametrize("then", ["restart", "edit", "empty"])
    async def test_rollback_that_cannot_be_stored(
        self, start: Start, connect: Connect, device: Device, timers: FakeTimers, then: str
    ) -> None:
        """Running goes back all the same, and whatever comes next, the file agrees."""
        session = await connect(device)
        journal = device.agent.journal
        assert journal is not None
        await add(session, "new", confirmed())
        journal._connection.execute("PRAGMA query_only=1")
        await due(device, timers)
        assert await names(session) == ["old"]
        assert device.agent.commits.pending is None
        assert journal.outrun
        assert (await session.edit(vpn("later"), "running")).error.app_tag == "state-file-not-writable"
        journal._connection.execute("PRAGMA query_only=0")
        if then == "edit":
            assert (await session.edit(vpn("later"), "running")).ok
        elif then == "empty":
            assert (await session.rpc(confirmed())).ok
            assert (await session.commit()).ok
        expected = await names(session)
        await device.aclose()
        assert await names(await connect(await start())) == expected


class TestRestart:
    @pytest.mark.parametrize("persist", [None, "x"])
    async def test_before_the_confirmation(
        self, start: Start, connect: Connect, device: Device, persist: str | None, timers: FakeTimers
    ) -> None:
        session = await connect(device)
        await add(session, "new", confirmed(persist=persist))
        await device.aclose()
        assert timers.delays == []
        for _ in range(2):
            again = await start()
            session = await connect(again)
            assert await names(session) == ["old"]
            assert again.agent.commits.pending is None
            assert brief((await session.rpc(with_id("commit", "x"))).error) == BAD_ID
            await again.aclose()

    async def test_after_the_confirmation(
        self, start: Start, connect: Connect, device: Device, timers: FakeTimers
    ) -> None:
        session = await connect(device)
        await add(session, "one", confirmed(persist="x"))
        await add(session, "two", with_id("commit", "x"))
        await device.aclose()
        assert await names(await connect(await start())) == ["old", "one", "two"]

    async def test_edits_after_a_rollback_are_kept(
        self, start: Start, connect: Connect, device: Device, timers: FakeTimers
    ) -> None:
        session = await connect(device)
        await add(session, "new", confirmed())
        await due(device, timers)
        await session.edit(vpn("later"), "running")
        await device.aclose()
        assert await names(await connect(await start())) == ["later", "old"]

    async def test_with_a_startup_datastore(self, start: Start, connect: Connect, timers: FakeTimers) -> None:
        """Running is not stored there; what was saved to startup is what the next start has."""
        device = await start("saved", startup=True, call_later=timers.call_later)
        session = await connect(device)
        await add(session, "new", confirmed(persist="x"))
        await due(device, timers)
        assert await names(session) == []
        await add(session, "new", confirmed(persist="x"))
        assert device.agent.journal is not None
        assert device.agent.journal.pending() is None
        await device.aclose()
        assert await names(await connect(await start("saved", startup=True))) == []

    async def test_killed(self, tmp_path: Path) -> None:
        """kill -9 between the confirmed commit and its confirmation."""
        async with serve(tmp_path) as session:
            assert (await session.edit(vpn("old"), "running")).ok
            await add(session, "one", confirmed(persist="x"))
            await add(session, "two", confirmed(persist_id="x"))
        for expected in (["old"], ["later", "old"]):
            async with serve(tmp_path) as session:
                assert await names(session) == expected
                assert (await session.edit(vpn("later"), "running")).ok


@asynccontextmanager
async def serve(folder: Path) -> AsyncIterator[Client]:
    """A session with a process that has its state in ``folder`` and ends by kill -9."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mlag_agent.cli", "serve", "--port", "0", "--rendezvous", "meet", "--state", "kept",
        "--user", USER, cwd=folder, env={**os.environ, "MLAG_AGENT_PASSWORD": PASSWORD},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        ready = (await asyncio.wait_for(process.stdout.readline(), LIMIT)).decode()
        found = re.search(r"port (\d+)", ready)
        assert found is not None, ready
        session = await Client.connect(int(found[1]))
        try:
            yield session
        finally:
            process.kill()
            session.abort()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def test_ncclient_and_the_state_that_is_shown(mlag_agent: RunningAgent) -> None:
    shown = ("subtree", STATE)

    def leafs(session: manager.Manager) -> dict[str, str]:
        reply = session.get(shown)
        assert_yang_valid(reply, mlag_agent)
        (state,) = reply.data.iter("{*}confirmed-commit")
        return {child.tag.rpartition("}")[2]: child.text for child in state}

    def running(session: manager.Manager) -> list[str]:
        return [element.text for element in session.get_config("running").data.iter("{*}name")]

    with mlag_agent.connect() as session, mlag_agent.connect() as other:
        session.edit_config(target="candidate", config=f"<config>{vpn('new')}</config>")
        session.commit(confirmed=True, timeout="300", persist="secret-token")
        state = leafs(session)
        assert (state["session-id"], state["persistent"]) == (session.session_id, "true")
        assert state["rollback-at"]
        assert "secret-token" not in str(session.get(shown))
        other.cancel_commit(persist_id="secret-token")
        assert running(other) == []
        session.edit_config(target="candidate", config=f"<config>{vpn('new')}</config>")
        session.commit(confirmed=True, timeout="300")
        assert leafs(session)["persistent"] == "false"
        session.commit()
        assert running(other) == ["new"]
        assert not list(session.get(shown).data.iter("{*}confirmed-commit"))
