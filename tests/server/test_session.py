"""Sessions that misbehave: a clear error or a clean close, a log line, and every other session untouched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from mlag_agent.app import Device
from mlag_agent.config import LimitSettings
from mlag_agent.wire.capabilities import BASE_1_0
from netconf_client import LIMIT, NC, Client, channel, group

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]


async def others_gone(device: Device, session: Client) -> None:
    """Wait until all sessions but one are over."""
    for other in device.registry:
        if other.session_id != session.session_id:
            await asyncio.wait_for(other.wait_over(), LIMIT)


@pytest.fixture
async def witness(device: Device, connect: Connect) -> AsyncIterator[Client]:
    """A session that minds its own business; after the test it works as before, and is the only one left."""
    session = await connect(device)
    await session.rpc("<lock><target><running/></target></lock>")
    yield session
    assert (await session.edit(group(channel()), "running")).ok
    assert (await session.rpc("<unlock><target><running/></target></unlock>")).ok
    await others_gone(device, session)
    assert {other.session_id for other in device.registry} == {session.session_id}


@pytest.fixture
async def rogue(device: Device, connect: Connect, witness: Client) -> AsyncIterator[Client]:
    """The session that misbehaves; it leaves before the witness looks."""
    session = await connect(device)
    yield session
    session.abort()


@pytest.fixture
async def rogue_1_0(device: Device, connect: Connect, witness: Client) -> AsyncIterator[Client]:
    """The same with base:1.0 and its end-of-message framing."""
    session = await connect(device, versions=[BASE_1_0])
    yield session
    session.abort()


def rpc(operation: str) -> str:
    return f'<rpc xmlns="{NC}" message-id="7">{operation}</rpc>'


MALFORMED = {
    "not closed": rpc("<get>"),
    "no XML": "hello there",
    "entity that is not declared": rpc("<get>&x;</get>"),
    "two roots": rpc("<get/>") + rpc("<get/>"),
    "prefix that is not bound": rpc("<x:get/>"),
    "control character": rpc("<get>\x01</get>"),
    "document type": '<!DOCTYPE rpc SYSTEM "http://127.0.0.1:1/x.dtd">' + rpc("<get/>"),
    "entity bomb": '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + rpc("<get>&b;</get>"),
    "external entity": '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + rpc("<get>&a;</get>"),
    "too deep": rpc("<get><filter>" + "<a>" * 200 + "</a>" * 200 + "</filter></get>"),
    "far too deep": rpc("<get>" + "<a>" * 100_000 + "</a>" * 100_000 + "</get>"),
    "another encoding": '<?xml version="1.0" encoding="UTF-16"?>' + rpc("<get/>"),
    "empty": " ",
}


class TestMalformed:
    @pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED)
    async def test_answered_in_1_1(self, rogue: Client, message: str, caplog: pytest.LogCaptureFixture) -> None:
        rogue.send_message(message)
        reply = await rogue.receive()
        assert (reply.error.type, reply.error.tag) == ("rpc", "malformed-message")
        assert "root:" not in reply.text
        assert "bad message" in caplog.text
        assert (await rogue.get_config()).data is not None

    @pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED)
    async def test_closed_in_1_0(self, rogue_1_0: Client, message: str, caplog: pytest.LogCaptureFixture) -> None:
        """There is no malformed-message in base:1.0 (RFC 6241 appendix A)."""
        rogue_1_0.send_message(message)
        await rogue_1_0.ended()
        assert "malformed" in caplog.text
        assert any(record.levelno == logging.WARNING for record in caplog.records)

    async def test_message_id_of_a_broken_message(self, rogue: Client) -> None:
        rogue.send_message(rpc("<get>"))
        assert (await rogue.receive()).root.get("message-id") == "7"

    @pytest.mark.parametrize(
        ("message", "tag"),
        [
            (f'<hello xmlns="{NC}"/>', "unknown-element"),
            (f'<rpc-reply xmlns="{NC}" message-id="1"><ok/></rpc-reply>', "unknown-element"),
            (f'<rpc xmlns="{NC}" message-id="1"/>', "missing-element"),
            (f'<rpc xmlns="{NC}"><get/></rpc>', "missing-attribute"),
            (f'<rpc xmlns="{NC}" message-id="1"><get/><get/></rpc>', "unknown-element"),
            ('<rpc xmlns="urn:other" message-id="1"><get/></rpc>', "unknown-namespace"),
        ],
    )
    async def test_no_rpc(self, rogue: Client, message: str, tag: str) -> None:
        rogue.send_message(message)
        assert (await rogue.receive()).error.tag == tag
        assert (await rogue.get_config()).data is not None


class TestFraming:
    @pytest.mark.parametrize(
        "data",
        [b"<rpc/>", b"\n#x\n", b"\n#0\n", b"\n#-1\n", b"\n##\n", b"\n#99999999999\n", b"\n#4294967295\n" + b"x" * 9],
    )
    async def test_wrong_chunks_end_the_session(
        self, rogue: Client, data: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        rogue.send_bytes(data)
        if data.startswith(b"\n#4294967295"):
            return  # allowed by RFC 6242, and more is to come: the client leaves inside of the message
        await rogue.ended()
        assert any(record.levelno == logging.WARNING for record in caplog.records)

    async def test_too_big(self, rogue: Client) -> None:
        """What is too big is not kept: the session ends while the message still comes."""
        async with asyncio.timeout(60):
            try:
                for _ in range(200):
                    rogue.send_bytes(b"\n#1048576\n" + b"x" * 1048576)
                    await rogue.process.stdin.drain()
            except (BrokenPipeError, ConnectionError):
                pass
            await rogue.ended()

    async def test_newlines_between_frames(self, rogue: Client) -> None:
        rogue.send_bytes(b"\n\n")
        assert (await rogue.get_config()).data is not None


class TestHello:
    @pytest.mark.parametrize(
        "data",
        [
            b"<hello/>]]>]]>",
            b"nonsense]]>]]>",
            b'<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="1"><get/></rpc>]]>]]>',
            b'<hello xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><capabilities/></hello>]]>]]>',
            b'<hello xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><capabilities><capability>'
            b"urn:ietf:params:netconf:base:1.1</capability></capabilities><session-id>4</session-id></hello>]]>]]>",
            b"\n#4\n<get\n##\n" * 300_000,
        ],
        ids=["no namespace", "no XML", "rpc", "no capabilities", "session-id", "too big"],
    )
    async def test_bad(
        self, device: Device, connect: Connect, witness: Client, data: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        rogue = await connect(device, say_hello=False)
        rogue.send_bytes(data)
        await rogue.ended()
        assert any(record.levelno == logging.WARNING for record in caplog.records)
        assert device.registry.in_bad_hellos == 1

    async def test_none(self, start: Start, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
        device = await start("impatient", limits=LimitSettings(hello_timeout=0.2))
        with caplog.at_level(logging.INFO, "mlag_agent"):
            rogue = await connect(device, say_hello=False)
            await rogue.ended()
        assert "no hello within" in caplog.text
        assert (device.registry.in_bad_hellos, device.registry.dropped_sessions) == (0, 1)

    async def test_none_and_the_agent_stops(self, start: Start, connect: Connect) -> None:
        device = await start("stopped")
        await connect(device, say_hello=False)
        await device.aclose()
        assert len(device.registry) == 0


class TestLeaving:
    @pytest.mark.parametrize("data", [b"\n#100\n<rpc", b"\n#", b"\n#3\nabc\n#"])
    async def test_inside_of_a_message(self, rogue: Client, device: Device, witness: Client, data: bytes) -> None:
        rogue.send_bytes(data)
        await rogue.process.stdin.drain()
        rogue.abort()
        await others_gone(device, witness)
        assert device.registry.dropped_sessions == 1

    async def test_half_closed_after_its_requests(self, rogue: Client) -> None:
        """A client that sends all and closes its side still gets its answers."""
        for _ in range(10):
            rogue.send("<get-config><source><running/></source></get-config>")
        rogue.process.stdin.write_eof()
        for _ in range(10):
            assert (await rogue.receive()).data is not None
        await rogue.ended()

    async def test_while_its_rpc_runs(self, device: Device, rogue: Client, witness: Client) -> None:
        async with device.agent.transactor.quiet():
            rogue.send("<commit/>")
            await witness.get_config()
            rogue.abort()
            await witness.get_config()

    async def test_with_replies_not_read(self, rogue: Client, witness: Client) -> None:
        rogue.connection._transport.pause_reading()  # type: ignore[union-attr]
        for _ in range(50):
            rogue.send("<get/>")
        await witness.get_config()
        rogue.abort()

    async def test_many_at_once(self, device: Device, witness: Client) -> None:
        async def come_and_go(number: int) -> None:
            client = await Client.connect(device.port, say_hello=number % 2 == 0)
            if number % 2 == 0:
                client.send("<get/>")
            client.abort()

        await asyncio.gather(*map(come_and_go, range(20)))


class TestStop:
    async def test_with_sessions_of_every_kind(self, start: Start, connect: Connect) -> None:
        device = await start()
        idle, busy, silent = await connect(device), await connect(device), await connect(device, say_hello=False)
        busy.send("<get/>")
        port = device.port
        await device.aclose()
        await idle.ended()
        await silent.ended()
        assert len(device.registry) == 0
        with pytest.raises(ConnectionRefusedError):
            await Client.connect(port)
