"""Call home (RFC 8071): who connects, in which order, how often; by SSH and TLS; ncclient as a station."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.app import Device
from mlag_agent.config import CallHomeSettings, ListenSettings, checked
from mlag_agent.errors import SettingsError
from mlag_agent.mlag import Plan
from mlag_agent.server.transports.call_home import DOUBLINGS, CallHome, Station, pauses
from mlag_agent.server.transports.sockets import Keepalive
from netconf_client import LIMIT, PASSWORD, USER, Client, channel, group
from pki import Pki

Start = Callable[..., Awaitable[Device]]


class TestPauses:
    def test_of_the_device(self) -> None:
        """DOMAIN.md 5.2: 5 s, doubled up to five times, then from the start."""
        assert list(itertools.islice(pauses(5, lambda: 0), 8)) == [5, 10, 20, 40, 80, 160, 5, 10]

    def test_capped(self) -> None:
        assert list(itertools.islice(pauses(60, lambda: 0), 7)) == [60, 120, 240, 300, 300, 300, 60]

    @given(st.floats(5, 300), st.floats(0, 1))
    def test_jitter_never_makes_them_longer_nor_much_shorter(self, first: float, chance: float) -> None:
        exact = pauses(first, lambda: 0)
        for pause, full in itertools.islice(zip(pauses(first, lambda: chance), exact, strict=True), 2 * DOUBLINGS):
            assert 0.75 * full <= pause <= full <= 300


@dataclass
class Time:
    """Pauses that end when the test says so."""

    pauses: list[float] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.asked.set()
        await self.go.wait()
        self.go.clear()

    async def next_pause(self) -> float:
        """Wait until the agent waits; how long it means to."""
        await asyncio.wait_for(self.asked.wait(), LIMIT)
        self.asked.clear()
        return self.pauses[-1]


class Stations:
    """Listening sockets of management stations."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []

    def open(self) -> socket.socket:
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        self.sockets.append(sock)
        return sock


@pytest.fixture
def stations() -> Iterator[Stations]:
    opened = Stations()
    yield opened
    for sock in opened.sockets:
        sock.close()


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return port_of(sock)


async def accepted(sock: socket.socket) -> socket.socket:
    async with asyncio.timeout(LIMIT):
        connection, _ = await asyncio.get_running_loop().sock_accept(sock)
    return connection


def home(sock: socket.socket | int, **options: object) -> CallHomeSettings:
    port = sock if isinstance(sock, int) else port_of(sock)
    merged = {"name": "station", "hosts": ("127.0.0.1",), "port": port} | options
    return CallHomeSettings(**merged)  # type: ignore[arg-type]


class TestOrder:
    """The loop itself, with a server that is a fake."""

    @staticmethod
    def caller(time: Time, serve: Callable[..., Awaitable[None]], hosts: Sequence[str], port: int) -> CallHome:
        station = Station("x", hosts, port, None, 5, Keepalive(0, 3))
        return CallHome(station, serve, sleep=time.sleep)

    async def test_addresses_in_turn_until_one_serves(
        self, stations: Stations, caplog: pytest.LogCaptureFixture
    ) -> None:
        sock, time, served = stations.open(), Time(), []

        async def serve(connected: socket.socket, keepalive: Keepalive) -> None:
            served.append(connected.getpeername()[0])
            connected.close()
            if len(served) == 1:
                raise asyncssh.PermissionDenied("nobody")

        hosts = ("nowhere.invalid", "127.0.0.1", "localhost", "127.0.0.1")
        task = asyncio.create_task(self.caller(time, serve, hosts, port_of(sock)).run())
        await time.next_pause()
        assert served == ["127.0.0.1", "127.0.0.1"]  # refused by the first, served by the second; no third
        assert "no connection to nowhere.invalid" in caplog.text
        assert "no login from 127.0.0.1" in caplog.text
        task.cancel()

    async def test_pauses_grow_and_a_session_resets_them(self, stations: Stations) -> None:
        sock, time = stations.open(), Time()
        works = iter([False, False, True, True, False, False])

        async def serve(connected: socket.socket, keepalive: Keepalive) -> None:
            connected.close()
            if not next(works):
                raise ConnectionResetError

        task = asyncio.create_task(self.caller(time, serve, ["127.0.0.1"], port_of(sock)).run())
        found = []
        for _ in range(6):
            found.append(await time.next_pause())
            time.go.set()
        for pause, full in zip(found, [5, 10, 5, 5, 10, 20], strict=True):
            assert 0.75 * full <= pause <= full
        task.cancel()

    async def test_one_complaint_for_many_failures(self, caplog: pytest.LogCaptureFixture) -> None:
        time = Time()

        async def serve(connected: socket.socket, keepalive: Keepalive) -> None:
            raise AssertionError

        task = asyncio.create_task(self.caller(time, serve, ["127.0.0.1"], free_port()).run())
        with caplog.at_level(logging.INFO):
            for _ in range(4):
                await time.next_pause()
                time.go.set()
            await time.next_pause()
        levels = [record.levelno for record in caplog.records if "no connection" in record.message]
        assert levels == [logging.WARNING, *[logging.INFO] * 4]
        task.cancel()


class TestSsh:
    async def test_sessions_one_after_the_other(self, start: Start, stations: Stations) -> None:
        sock, time = stations.open(), Time()
        device = await start(call_home=(home(sock),), sleep=time.sleep)
        key = None
        for _ in range(3):
            client = await Client.called_by_ssh(await accepted(sock))
            shown = client.connection.get_server_host_key()
            assert shown is not None
            key = key or shown.public_data
            assert shown.public_data == key  # RFC 8071 section 3.1: the station knows the agent by its key
            assert (await client.get_config()).data is not None
            [row] = device.registry.describe()
            assert (row["username"], row["source-host"]) == (USER, "127.0.0.1")
            with pytest.raises(BlockingIOError):
                sock.accept()  # never two at once
            await client.aclose()
            assert 3.75 <= await time.next_pause() <= 5
            time.go.set()
        listener = await asyncssh.connect("127.0.0.1", device.port, username=USER, password=PASSWORD, known_hosts=None)
        same = listener.get_server_host_key()
        assert same is not None
        assert same.public_data == key
        listener.close()
        await listener.wait_closed()

    async def test_a_station_that_does_not_log_in(self, start: Start, stations: Stations) -> None:
        sock, time = stations.open(), Time()
        device = await start(call_home=(home(sock),), sleep=time.sleep)
        for data in (b"", b"GET / HTTP/1.0\r\n\r\n"):
            connection = await accepted(sock)
            connection.sendall(data)
            connection.close()
            await time.next_pause()
            assert device.endpoints.admission.connections == 0
            time.go.set()
        (await accepted(sock)).close()
        await time.next_pause()

    async def test_a_station_that_vanishes_is_noticed(self, start: Start, stations: Stations) -> None:
        sock, time = stations.open(), Time()
        await start(call_home=(home(sock, keepalive_interval=0.05, keepalive_count=2),), sleep=time.sleep)
        client = await Client.called_by_ssh(await accepted(sock))
        assert (await client.get_config()).data is not None
        client.stop_reading()
        await time.next_pause()
        client.abort()

    async def test_without_ssh_of_its_own(self, start: Start, stations: Stations) -> None:
        sock = stations.open()
        device = await start(call_home=(home(sock),), listen=ListenSettings(ssh=False))
        assert list(device.endpoints.served()) == []
        client = await Client.called_by_ssh(await accepted(sock))
        assert (await client.get_config()).data is not None
        await client.aclose()

    async def test_two_stations_at_once(self, start: Start, stations: Stations) -> None:
        one, two = stations.open(), stations.open()
        await start(call_home=(home(one, name="one"), home(two, name="two")))
        clients = [await Client.called_by_ssh(await accepted(sock)) for sock in (one, two)]
        for client in clients:
            assert (await client.get_config()).data is not None
            await client.aclose()

    async def test_stop_lets_the_operation_finish(
        self, start: Start, stations: Stations, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sock = stations.open()
        device = await start(call_home=(home(sock),))
        client = await Client.called_by_ssh(await accepted(sock))
        entered, open_ = asyncio.Event(), asyncio.Event()
        prepare = device.engine.prepare

        async def slow(*args: object, **options: object) -> Plan:
            entered.set()
            await open_.wait()
            return await prepare(*args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(device.engine, "prepare", slow)
        await client.edit(group(channel()))
        client.send("<commit/>")
        await entered.wait()
        stopping = asyncio.create_task(device.aclose())
        await asyncio.sleep(0)
        open_.set()
        assert (await client.receive()).ok
        await stopping
        await client.ended()
        with pytest.raises(BlockingIOError):
            sock.accept()
        await client.aclose()

    async def test_stop_while_it_connects(self, start: Start, stations: Stations) -> None:
        sock = stations.open()
        device = await start(call_home=(home(sock),))
        connection = await accepted(sock)  # no SSH on it
        await device.aclose()
        connection.settimeout(LIMIT)
        with contextlib.suppress(ConnectionError):
            while await asyncio.to_thread(connection.recv, 4096):
                pass
        connection.close()


class TestTls:
    async def test_sessions_one_after_the_other(self, start: Start, stations: Stations, tmp_path: Path) -> None:
        pki, sock, time = Pki(tmp_path), stations.open(), Time()
        device = await start(tls=pki.settings(listen=False), call_home=(home(sock, transport="tls"),), sleep=time.sleep)
        for _ in range(2):
            client = await Client.called_by_tls(await accepted(sock), pki.context(pki.anna))
            assert (await client.get_config()).data is not None
            [row] = device.registry.describe()
            assert (row["username"], row["transport"]) == ("anna", "ietf-netconf-monitoring:netconf-tls")
            await client.aclose()
            await time.next_pause()
            time.go.set()
        assert [what for what, _, _ in device.endpoints.served()] == ["NETCONF"]

    async def test_a_station_without_certificate(
        self, start: Start, stations: Stations, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        pki, sock, time = Pki(tmp_path), stations.open(), Time()
        device = await start(tls=pki.settings(), call_home=(home(sock, transport="tls"),), sleep=time.sleep)
        with pytest.raises((OSError, EOFError)):
            await Client.called_by_tls(await accepted(sock), pki.context(None))
        await time.next_pause()
        assert "no login from 127.0.0.1" in caplog.text
        assert device.endpoints.admission.connections == 0

    async def test_a_station_that_is_nobody(self, start: Start, stations: Stations, tmp_path: Path) -> None:
        pki, sock, time = Pki(tmp_path), stations.open(), Time()
        tls = pki.settings(cert_to_name=(pki.rule(how="san-dns-name"),))
        await start(tls=tls, call_home=(home(sock, transport="tls"),), sleep=time.sleep)
        with pytest.raises((OSError, EOFError)):
            await Client.called_by_tls(await accepted(sock), pki.context(pki.anna))
        await time.next_pause()


class TestSettings:
    async def test_tls_needs_certificates(self, start: Start) -> None:
        with pytest.raises(SettingsError, match=r"call-home station is by TLS, but there is no \[tls\]"):
            await start(call_home=(home(4335, transport="tls"),))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"reconnect_interval": 4},
            {"reconnect_interval": 301},
            {"keepalive_count": 0},
            {"hosts": ()},
            {"port": 65536},
        ],
    )
    def test_ranges(self, make_settings: Callable[..., object], wrong: dict[str, object]) -> None:
        with pytest.raises(SettingsError, match="call-home"):
            checked(make_settings(call_home=(home(1, **wrong),)))  # type: ignore[arg-type]


class TestNcclient:
    """A station that is not ours."""

    def test_call_home(self, agent_thread: Callable[..., Device]) -> None:
        port, found = free_port(), []

        def station() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from ncclient import manager  # noqa: PLC0415 - imported where its warnings are caught

                with manager.call_home(
                    host="127.0.0.1",
                    port=port,
                    username=USER,
                    password=PASSWORD,
                    hostkey_verify=False,
                    allow_agent=False,
                    look_for_keys=False,
                    timeout=60,
                ) as netconf:
                    found.append(netconf.get_config("running").data_xml)

        waiting = threading.Thread(target=station)
        waiting.start()
        agent_thread(call_home=(home(port),))  # if it comes before the station listens, it comes again after 5 s
        waiting.join(90)
        assert len(found) == 1
        assert "data" in found[0]
