"""Limits of the whole agent, and its graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
from collections.abc import Awaitable, Callable

import asyncssh
import pytest

from mlag_agent.app import Device
from mlag_agent.config import LimitSettings
from mlag_agent.mlag import Engine, Plan
from mlag_agent.server.transports.sockets import reserve_descriptors
from netconf_client import LIMIT, NC, Client, channel, group, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]


class TestLimits:
    async def test_sessions_of_one_user(self, start: Start, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
        device = await start(limits=LimitSettings(max_sessions_per_user=2))
        first, second = await connect(device), await connect(device)
        with pytest.raises(asyncssh.ChannelOpenError, match="the limit of 2 sessions of one user is reached"):
            await connect(device)
        assert "limits.max-sessions-per-user" in caplog.text
        assert (await first.rpc("<close-session/>")).ok
        await first.ended()
        assert (await (await connect(device)).get_config()).data is not None
        assert (await second.get_config()).data is not None

    async def test_a_message_that_is_too_big(self, start: Start, connect: Connect) -> None:
        device = await start(limits=LimitSettings(message_size=16 * 1024))
        other, client = await connect(device), await connect(device)
        client.send("<get-config><source><running/></source></get-config>")
        client.send("<get>" + "<a/>" * 5000 + "</get>")
        assert (await client.receive()).data is not None
        await client.ended()
        assert (await other.get_config()).data is not None

    async def test_elements_nested_too_deeply(self, start: Start, connect: Connect) -> None:
        device = await start(limits=LimitSettings(depth=40))
        client = await connect(device)
        error = (await client.rpc("<get>" + "<a>" * 50 + "</a>" * 50 + "</get>")).error
        assert error.tag == "malformed-message"
        assert "40 elements" in error.message
        assert (await client.get_config()).data is not None

    async def test_a_hello_that_never_ends(self, start: Start, connect: Connect) -> None:
        """Byte by byte: each is input, and none of them moves the time limit."""
        device = await start(limits=LimitSettings(hello_timeout=0.5))
        client = await connect(device, say_hello=False)
        drip = asyncio.create_task(self._drip(client, b"<hello>" + b" " * 10_000))
        await client.ended()
        drip.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await drip

    @staticmethod
    async def _drip(client: Client, data: bytes) -> None:
        for byte in data:
            client.send_bytes(bytes([byte]))
            await asyncio.sleep(0.005)  # the attack itself, not waiting

    async def test_an_rpc_byte_by_byte_delays_nobody(self, device: Device, connect: Connect) -> None:
        slow, brisk = await connect(device), await connect(device)
        drip = asyncio.create_task(self._drip(slow, f'\n#200\n<rpc xmlns="{NC}"'.encode() + b" " * 100))
        for _ in range(50):
            assert (await brisk.get_config()).data is not None
        assert not drip.done()
        drip.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await drip


class TestFairness:
    async def test_ten_thousand_requests_in_one_go(self, device: Device, connect: Connect) -> None:
        """They are answered in order, and another session is answered in between."""
        greedy, other = await connect(device), await connect(device)
        for _ in range(10_000):
            greedy.send("<get-config><source><running/></source></get-config>")
        for _ in range(5):
            assert (await other.get_config()).data is not None
        handled = {row["session-id"]: row["in-rpcs"] for row in device.registry.describe()}
        assert handled[greedy.session_id] < 10_000
        for number in range(1, 10_001):
            assert (await greedy.receive()).root.get("message-id") == str(number)

    async def test_costly_requests_from_one_read(self, device: Device, connect: Connect) -> None:
        """Replies are small, so that nothing but the turn makes the greedy one wait."""
        greedy, other = await connect(device), await connect(device)
        names = "".join(vpn(f"vpn-{number:04}").partition(">")[2].rpartition("<")[0] for number in range(3000))
        space = "urn:ietf:params:xml:ns:yang:ietf-network-instance"
        config = f'<network-instances xmlns="{space}">{names}</network-instances>'
        assert (await other.edit(config, "running")).ok
        request = (
            f'<network-instances xmlns="{space}"><network-instance><vrf-root/><enabled>false</enabled>'
            "</network-instance></network-instances>"
        )
        for _ in range(300):
            greedy.send(
                f'<get-config><source><running/></source><filter type="subtree">{request}</filter></get-config>'
            )
        await greedy.receive()
        assert (await other.rpc("<lock><target><running/></target></lock>")).ok
        [handled] = [row["in-rpcs"] for row in device.registry.describe() if row["session-id"] == greedy.session_id]
        assert handled < 300
        for _ in range(299):
            await greedy.receive()


class Gate:
    """Holds an engine's prepare until told otherwise."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered, self.open = asyncio.Event(), asyncio.Event()
        prepare = engine.prepare

        async def slow(*args: object, **options: object) -> Plan:
            self.entered.set()
            await self.open.wait()
            return await prepare(*args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(engine, "prepare", slow)


class TestStop:
    async def test_an_operation_under_way_is_finished_and_answered(
        self, start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        device = await start()
        busy, idle = await connect(device), await connect(device)
        gate = Gate(device.engine, monkeypatch)
        await busy.edit(group(channel()))
        busy.send("<commit/>")
        busy.send("<get/>")  # comes too late
        await gate.entered.wait()
        stopping = asyncio.create_task(device.aclose())
        await idle.ended()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", device.settings.listen.port or 1)
        assert not stopping.done()
        gate.open.set()
        assert (await busy.receive()).ok
        await stopping
        again = await start()
        assert (await (await connect(again)).get_config()).leaf("tcp-port") == "2048"

    async def test_an_operation_that_takes_too_long_is_cancelled(
        self, start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        device = await start(limits=LimitSettings(stop_timeout=0.2))
        client = await connect(device)
        gate = Gate(device.engine, monkeypatch)
        await client.edit(group(channel()))
        client.send("<commit/>")
        await gate.entered.wait()
        await asyncio.wait_for(device.aclose(), LIMIT)
        assert "1 sessions are still busy" in caplog.text
        again = await start()
        assert (await (await connect(again)).get_config()).leaf("tcp-port") is None

    async def test_what_comes_while_it_stops_is_refused(
        self, start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        device = await start()
        busy = await connect(device)
        gate = Gate(device.engine, monkeypatch)
        await busy.edit(group(channel()))
        busy.send("<commit/>")
        await gate.entered.wait()
        stopping = asyncio.create_task(device.aclose())
        await asyncio.sleep(0)
        with pytest.raises(asyncssh.ChannelOpenError, match="shutting down"):
            await busy.connection.create_process(subsystem="netconf", encoding=None)
        gate.open.set()
        await stopping


def test_the_limit_of_open_files_is_raised_as_far_as_needed(caplog: pytest.LogCaptureFixture) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
        reserve_descriptors(400)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (528, hard)
        reserve_descriptors(100)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (528, hard)
        if hard != resource.RLIM_INFINITY:
            with caplog.at_level(logging.WARNING):
                reserve_descriptors(hard)
            assert "limits.max-connections" in caplog.text
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
