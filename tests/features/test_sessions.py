"""close-session and kill-session (RFC 6241 sections 7.8 and 7.9)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mlag_agent.app import Device
from mlag_agent.mlag import Engine, Plan
from netconf_client import Client, channel, group, vpn

Connect = Callable[..., Awaitable[Client]]
KILL = "<kill-session><session-id>{}</session-id></kill-session>"


class TestClose:
    async def test_reply_then_end(self, device: Device, session: Client) -> None:
        assert (await session.rpc("<close-session/>")).ok
        await session.ended()
        assert len(device.registry) == 0

    async def test_what_follows_is_not_answered(self, session: Client) -> None:
        session.send("<close-session/>")
        session.send("<get/>")
        assert (await session.receive()).ok
        await session.ended()

    async def test_requests_before_it_are_answered(self, session: Client) -> None:
        for _ in range(20):
            session.send("<get-config><source><running/></source></get-config>")
        session.send("<close-session/>")
        for _ in range(20):
            assert (await session.receive()).data is not None
        assert (await session.receive()).ok
        await session.ended()


class TestKill:
    async def test_target_dies_caller_lives(self, device: Device, connect: Connect) -> None:
        one, two, three = [await connect(device) for _ in range(3)]
        assert (await one.rpc(KILL.format(two.session_id))).ok
        await two.ended()
        assert (await one.get_config()).data is not None
        assert (await three.get_config()).data is not None
        assert {session.session_id for session in device.registry} == {one.session_id, three.session_id}

    async def test_oneself(self, session: Client) -> None:
        error = (await session.rpc(KILL.format(session.session_id))).error
        assert (error.tag, error.type) == ("invalid-value", "protocol")
        assert (await session.get_config()).data is not None

    @pytest.mark.parametrize("number", ["4000000000", "0", "-1", "x", ""])
    async def test_no_such_session(self, session: Client, number: str) -> None:
        assert (await session.rpc(KILL.format(number))).error.tag == "invalid-value"

    async def test_no_number(self, session: Client) -> None:
        error = (await session.rpc("<kill-session/>")).error
        assert (error.tag, error.info) == ("missing-element", {"bad-element": "session-id"})
        assert error.path == "/ietf-netconf:kill-session/session-id"

    async def test_twice(self, device: Device, connect: Connect) -> None:
        one, two = await connect(device), await connect(device)
        assert (await one.rpc(KILL.format(two.session_id))).ok
        assert (await one.rpc(KILL.format(two.session_id))).error.tag == "invalid-value"

    async def test_each_other(self, device: Device, connect: Connect) -> None:
        """Both ask at once: at least one of them dies, and nobody waits for ever."""
        one, two, three = [await connect(device) for _ in range(3)]
        one.send(KILL.format(two.session_id))
        two.send(KILL.format(one.session_id))
        assert (await three.get_config()).data is not None
        left = {session.session_id for session in device.registry} - {three.session_id}
        assert len(left) <= 1

    async def test_target_that_does_not_read(self, device: Device, connect: Connect) -> None:
        """Its session waits in drain, with more to send than the client takes."""
        names = "".join(f"<network-instance><name>instance-{n:05}</name></network-instance>" for n in range(20000))
        namespace = "urn:ietf:params:xml:ns:yang:ietf-network-instance"
        one, two = await connect(device), await connect(device)
        await one.edit(f'<network-instances xmlns="{namespace}">{names}</network-instances>', "running")
        two.connection._transport.pause_reading()  # a client that takes nothing off its socket
        for _ in range(20):
            two.send("<get-config><source><running/></source></get-config>")
        await one.rpc("<lock><target><running/></target></lock>")
        assert (await one.rpc(KILL.format(two.session_id))).ok
        assert {session.session_id for session in device.registry} == {one.session_id}
        two.abort()


class Gate:
    """Holds an engine's prepare until told otherwise, and counts aborts."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.aborts = 0
        prepare, abort = engine.prepare, engine.abort

        async def slow(*args: object, **options: object) -> Plan:
            plan = await prepare(*args, **options)  # type: ignore[arg-type]
            self.entered.set()
            try:
                await self.open.wait()
            except BaseException:
                await abort(plan)
                self.aborts += 1
                raise
            return plan

        monkeypatch.setattr(engine, "prepare", slow)


class TestInTransaction:
    async def test_killed_in_prepare(self, device: Device, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
        one, two = await connect(device), await connect(device)
        gate = Gate(device.engine, monkeypatch)
        await two.edit(group(channel()))
        two.send("<commit/>")
        await gate.entered.wait()
        assert (await one.rpc(KILL.format(two.session_id))).ok
        await two.ended()
        assert gate.aborts == 1
        assert device.engine.config is None
        assert (await one.get_config("running")).data[:] == []
        assert (await one.get_config("candidate")).leaf("tcp-port") == "2048"
        gate.open.set()
        assert (await one.commit()).ok
        assert device.engine.config is not None

    async def test_killed_while_it_waits_for_a_transaction(self, device: Device, connect: Connect) -> None:
        one, two = await connect(device), await connect(device)
        async with device.agent.transactor.quiet():
            two.send(f"<edit-config><target><running/></target><config>{vpn('red')}</config></edit-config>")
            await one.get_config()
            assert (await one.rpc(KILL.format(two.session_id))).ok
        assert (await one.edit(vpn("blue"), "running")).ok
        assert (await one.get_config("running")).leafs("name") == ["blue"]

    async def test_the_client_leaves_in_prepare(
        self, device: Device, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The commit is carried through, as if the reply had been lost on its way."""
        one, two = await connect(device), await connect(device)
        gate = Gate(device.engine, monkeypatch)
        applied = asyncio.Event()
        device.agent.transactor.published.append(lambda change: applied.set())
        await two.edit(group(channel()))
        two.send("<commit/>")
        await gate.entered.wait()
        two.abort()
        gate.open.set()
        await asyncio.wait_for(applied.wait(), 30)
        assert (await one.get_config("running")).leaf("tcp-port") == "2048"
        assert device.engine.config is not None

    async def test_the_server_stops_in_prepare(
        self, start: Callable[..., Awaitable[Device]], connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        device = await start()
        session = await connect(device)
        gate = Gate(device.engine, monkeypatch)
        await session.edit(group(channel()))
        session.send("<commit/>")
        await gate.entered.wait()
        await device.aclose()
        assert gate.aborts == 1
