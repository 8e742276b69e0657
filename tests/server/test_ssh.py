"""The SSH transport over real sockets, with asyncssh, ncclient and OpenSSH as clients.

The pump here is an example of one: bytes in, events, replies in order, bytes out.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import shutil
import socket
import struct
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from mlag_agent.access.users import User, Users, hash_password
from mlag_agent.errors import SettingsError
from mlag_agent.server.transports.admission import Admission, TransportLimits
from mlag_agent.server.transports.connection import Connection
from mlag_agent.server.transports.hostkey import load_or_create_host_key
from mlag_agent.server.transports.ssh import SshTransport
from mlag_agent.server.transports.tasks import SessionTasks
from mlag_agent.wire import messages
from mlag_agent.wire.capabilities import BASE_1_0, BASE_1_1
from mlag_agent.wire.framing import FrameDecoder, Framing, encode
from mlag_agent.wire.messages import BASE_NAMESPACE
from mlag_agent.wire.session import Event, HelloReceived, PeerMisused, RpcReceived, Session, SessionEnded

USER, PASSWORD = "anna", "correct horse"
HASH = hash_password(PASSWORD)
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
USER_KEY = asyncssh.generate_private_key("ssh-ed25519")
NC = f"{{{BASE_NAMESPACE}}}"
MARK = b"]]>]]>"
HELLO = messages.hello([BASE_1_0, BASE_1_1]) + MARK
CLIENT_HELLO_1_1 = messages.hello([BASE_1_1]) + MARK


@dataclass
class Pump:
    """An example of a session pump, which records what it saw; ``<big>N</big>`` asks for N bytes."""

    started: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    rpcs: int = 0
    session_ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, connection: Connection) -> None:
        self.started.append(connection.username)
        session = Session(session_id=next(self.session_ids), capabilities=[BASE_1_0, BASE_1_1])
        reason = "cancelled"
        try:
            reason = await self.run(session, connection)
        except ConnectionResetError as error:
            reason = f"lost: {error}"
        finally:
            self.ended.append(connection.close_reason or reason)
            self.changed.set()

    async def run(self, session: Session, connection: Connection) -> str:
        connection.write(session.data_to_send())
        while True:
            data = await connection.read()
            for event in session.receive_data(data) if data else session.receive_eof():
                reason = self.handle(event, session, connection)
                # After each reply, not after each read: one read may hold hundreds of requests for large replies.
                if output := session.data_to_send():
                    connection.write(output)
                    await connection.drain()
                if reason:
                    return reason

    def handle(self, event: Event, session: Session, connection: Connection) -> str:
        """Act on one event; the reason if the session is over."""
        match event:
            case HelloReceived():
                connection.established()
            case PeerMisused():
                session.send(event.reply)
            case RpcReceived():
                self.rpcs += 1
                session.send(messages.reply(event.attributes, self.answer(event)))
                if event.operation.tag == f"{NC}close-session":
                    session.close()
                    return "close-session"
            case SessionEnded():
                return event.reason
        return ""

    @staticmethod
    def answer(event: RpcReceived) -> bytes:
        operation = event.operation
        if operation.tag == f"{NC}big":
            return messages.data(b"x" * int(operation.text or "0"))
        return messages.OK if operation.tag != f"{NC}get" else messages.data()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await self.changed.wait()
                self.changed.clear()


class Listener(SshTransport):
    """A transport that listens, and whose end is the whole agent's: sessions first."""

    def __init__(self, on_session: Callable[[Connection], Awaitable[None]], users: Users, limits: TransportLimits):
        self.tasks = SessionTasks(on_session)
        super().__init__(host_keys=[HOST_KEY], users=users, admission=Admission(limits), sessions=self.tasks)

    @property
    def sessions(self) -> int:
        return self.admission.sessions

    @property
    def connections(self) -> int:
        return self.admission.connections

    async def aclose(self) -> None:
        self.stop_listening()
        await self.tasks.stop(self.limits.stop_timeout)
        await super().aclose()


Start = Callable[..., Awaitable[Listener]]


@pytest.fixture
def pump() -> Pump:
    return Pump()


@pytest.fixture
async def start(pump: Pump) -> AsyncIterator[Start]:
    """Starts listeners; after the test each is closed and nothing of it may be left."""
    before = asyncio.all_tasks()
    users = Users([User(USER, HASH, (USER_KEY.convert_to_public(),))])
    listeners: list[Listener] = []

    async def begin(on_session: Callable[[Connection], Awaitable[None]] = pump, **limits: float) -> Listener:
        listener = Listener(on_session, users, TransportLimits(**limits))  # type: ignore[arg-type]
        await listener.listen("127.0.0.1")
        listeners.append(listener)
        return listener

    yield begin
    for listener in listeners:
        await listener.aclose()
        assert len(listener.tasks) == 0
        assert listener.sessions == 0
        assert listener.connections == 0
    users.close()
    # The task that runs this line is pytest-asyncio's.
    assert asyncio.all_tasks() - before == {asyncio.current_task()}


@contextlib.asynccontextmanager
async def client(listener: Listener, **options: object) -> AsyncIterator[asyncssh.SSHClientConnection]:
    merged = {"username": USER, "password": PASSWORD, "client_keys": None, "known_hosts": None, "agent_path": None}
    connection = await asyncssh.connect("127.0.0.1", listener.port, config=None, **(merged | options))  # type: ignore[arg-type]
    async with connection:
        yield connection


class Dialogue:
    """A NETCONF client on asyncssh's streams."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self.process = process
        self.decoder = FrameDecoder(max_message_size=2**30)

    @classmethod
    async def open(cls, connection: asyncssh.SSHClientConnection, **options: object) -> Dialogue:
        process = await connection.create_process(subsystem="netconf", encoding=None, **options)  # type: ignore[arg-type]
        dialogue = cls(process)
        assert b"<session-id>" in await dialogue.receive()
        process.stdin.write(CLIENT_HELLO_1_1)
        dialogue.decoder.framing = Framing.CHUNKED
        return dialogue

    def send(self, operation: str, message_id: int = 1) -> None:
        request = f'<rpc xmlns="{BASE_NAMESPACE}" message-id="{message_id}">{operation}</rpc>'
        self.process.stdin.write(encode(request.encode(), Framing.CHUNKED))

    async def receive(self) -> bytes:
        async with asyncio.timeout(30):
            while (message := self.decoder.next_message()) is None:
                data = await self.process.stdout.read(1 << 16)
                if not data:
                    raise EOFError
                self.decoder.feed(data)
            return message

    async def rpc(self, operation: str) -> etree._Element:
        self.send(operation)
        return etree.fromstring(await self.receive(), etree.XMLParser(huge_tree=True))


async def end_of(connection: asyncssh.SSHClientConnection) -> None:
    async with asyncio.timeout(10):
        await connection.wait_closed()


class TestLogin:
    async def test_password(self, start: Start, pump: Pump) -> None:
        async with client(await start()) as connection:
            reply = await (await Dialogue.open(connection)).rpc("<get/>")
        assert reply.get("message-id") == "1"
        assert pump.started == [USER]

    async def test_key(self, start: Start, pump: Pump) -> None:
        async with client(await start(), password=None, client_keys=[USER_KEY]) as connection:
            await (await Dialogue.open(connection)).rpc("<get/>")
        assert pump.started == [USER]

    @pytest.mark.parametrize(
        "options",
        [
            {"password": "wrong"},
            {"password": ""},
            {"username": "nobody"},
            {"username": "nobody", "password": None, "client_keys": [USER_KEY]},
            {"password": None, "client_keys": [asyncssh.generate_private_key("ssh-ed25519")]},
            {"password": None},
        ],
    )
    async def test_refused(self, start: Start, pump: Pump, options: dict[str, object]) -> None:
        listener = await start()
        with pytest.raises(asyncssh.PermissionDenied):
            async with client(listener, **options):
                pytest.fail("logged in")
        assert pump.started == []

    async def test_guessing_ends(self, start: Start, caplog: pytest.LogCaptureFixture) -> None:
        guesses = itertools.count()

        class Guesser(asyncssh.SSHClient):
            def password_auth_requested(self) -> str:
                return f"guess {next(guesses)}"

        listener = await start(max_auth_attempts=4)
        with caplog.at_level(logging.WARNING), pytest.raises(asyncssh.DisconnectError):
            async with client(listener, client_factory=Guesser, password=None):
                pytest.fail("logged in")
        assert next(guesses) <= 4
        assert caplog.text.count("wrong password for 'anna'") == 4
        assert "guess" not in caplog.text

    async def test_too_slow(self, start: Start) -> None:
        listener = await start(login_timeout=0.2)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"SSH-2.0-mlag-agent")
        writer.close()
        await writer.wait_closed()


class TestChannels:
    async def test_pty_is_granted_and_changes_nothing(self, start: Start) -> None:
        async with client(await start()) as connection:
            dialogue = await Dialogue.open(connection, request_pty="force", term_type="xterm")
            assert (await dialogue.rpc("<get/>")).tag == f"{NC}rpc-reply"
            await dialogue.rpc("<get>" + "\x7f\n" * 3 + "</get>")  # what a line editor would act on

    @pytest.mark.parametrize("command", [None, "ls", "xml-mode netconf need-trailer"])
    async def test_shell_and_commands_are_told_what_this_is(
        self, start: Start, pump: Pump, command: str | None
    ) -> None:
        async with client(await start()) as connection:
            result = await connection.run(command, stdin=asyncssh.DEVNULL)
            assert result.exit_status == 1
            assert "ssh -s" in str(result.stderr)
            await (await Dialogue.open(connection)).rpc("<get/>")
        assert len(pump.started) == 1

    async def test_other_subsystems_are_refused(self, start: Start) -> None:
        async with client(await start()) as connection:
            for name in ("sftp", "netconf2"):
                with pytest.raises(asyncssh.ChannelOpenError):
                    await connection.create_process(subsystem=name, encoding=None)

    async def test_no_forwarding(self, start: Start) -> None:
        listener = await start()
        async with client(listener) as connection:
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_connection("127.0.0.1", listener.port)
            with pytest.raises(asyncssh.ChannelListenError):
                await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 9)
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_unix_connection("/run/x")

    async def test_several_sessions_on_one_connection(self, start: Start, pump: Pump) -> None:
        listener = await start()
        async with client(listener) as connection:
            dialogues = [await Dialogue.open(connection) for _ in range(5)]
            assert listener.connections == 1
            assert listener.sessions == 5
            for dialogue in dialogues:
                await dialogue.rpc("<get/>")
            await dialogues[0].rpc("<close-session/>")
            await dialogues[0].process.wait_closed()
            await dialogues[1].rpc("<get/>")
        assert pump.ended[0] == "close-session"
        assert len(pump.started) == 5

    async def test_the_exit_status_of_a_session_is_0(self, start: Start) -> None:
        async with client(await start()) as connection:
            dialogue = await Dialogue.open(connection)
            await dialogue.rpc("<close-session/>")
            await dialogue.process.wait_closed()
            assert dialogue.process.exit_status == 0

    async def test_too_many_sessions(self, start: Start) -> None:
        async with client(await start(max_sessions=2)) as connection:
            first = await Dialogue.open(connection)
            await Dialogue.open(connection)
            with pytest.raises(asyncssh.ChannelOpenError, match="limit of 2 sessions"):
                await Dialogue.open(connection)
            await first.rpc("<close-session/>")
            await first.process.wait_closed()
            await Dialogue.open(connection)

    async def test_too_many_connections(self, start: Start) -> None:
        listener = await start(max_connections=1)
        async with client(listener):
            with pytest.raises((asyncssh.DisconnectError, asyncssh.ChannelOpenError, OSError)):
                async with client(listener) as second:
                    await Dialogue.open(second)
        async with client(listener) as third:
            await Dialogue.open(third)

    async def test_a_connection_without_session_is_closed(self, start: Start) -> None:
        async with client(await start(idle_timeout=0.2)) as connection:
            dialogue = await Dialogue.open(connection)
            await asyncio.sleep(0.4)  # longer than a connection without session may stay
            await dialogue.rpc("<close-session/>")
            await end_of(connection)


class TestSilence:
    async def test_silent_connections_delay_nobody(self, start: Start) -> None:
        listener = await start()
        silent = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(100)]
        async with asyncio.timeout(2):  # netopeer2 needs 10 s after three of them
            async with client(listener) as connection:
                await (await Dialogue.open(connection)).rpc("<get/>")
        assert listener.connections >= 100
        for _, writer in silent:
            writer.close()
            await writer.wait_closed()

    async def test_the_oldest_silent_connection_makes_way(self, start: Start) -> None:
        listener = await start(max_unauthenticated=3)
        silent = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(3)]
        for reader, _ in silent:
            await reader.readline()
        async with client(listener) as connection:
            await (await Dialogue.open(connection)).rpc("<get/>")
            async with asyncio.timeout(5):
                assert await silent[0][0].read() == b""
            assert not silent[1][0].at_eof()
        for _, writer in silent:
            writer.close()
            with contextlib.suppress(ConnectionError):  # the first was reset
                await writer.wait_closed()

    async def test_fifty_clients_at_once(self, start: Start, pump: Pump) -> None:
        listener = await start()

        async def one() -> None:
            async with client(listener) as connection:
                await (await Dialogue.open(connection)).rpc("<close-session/>")

        async with asyncio.timeout(30):
            await asyncio.gather(*(one() for _ in range(50)))
        assert len(pump.started) == 50

    async def test_no_hello(self, start: Start, pump: Pump, caplog: pytest.LogCaptureFixture) -> None:
        listener = await start(hello_timeout=0.2)
        with caplog.at_level(logging.INFO, "mlag_agent"):
            async with client(listener) as connection:
                process = await connection.create_process(subsystem="netconf", encoding=None)
                process.stdin.write(b"<hello")
                await asyncio.wait_for(process.wait_closed(), 10)
                await pump.until(lambda: bool(pump.ended))
        assert pump.ended == ["no hello within 0.2 s"]
        assert "no hello within 0.2 s" in caplog.text

    async def test_a_channel_that_never_becomes_a_session(self, start: Start) -> None:
        listener = await start(hello_timeout=0.2, idle_timeout=0.1)
        async with client(listener) as connection:
            # asyncssh sends the request right after the opening, so a bare opening takes its inside.
            channel, _ = await connection.create_session(asyncssh.SSHClientSession, "x", encoding=None)
            await asyncio.wait_for(channel.wait_closed(), 10)
            await end_of(connection)

    async def test_keepalive_ends_a_connection_that_is_dead(self, start: Start, pump: Pump) -> None:
        listener = await start(keepalive_interval=0.1)
        async with client(listener) as alive, client(listener) as dead:
            dialogue = await Dialogue.open(alive)
            await (await Dialogue.open(dead)).rpc("<get/>")
            transport = dead._transport  # a machine that has gone: it takes nothing and answers nothing
            assert transport is not None
            transport.pause_reading()
            await pump.until(lambda: bool(pump.ended))
            await dialogue.rpc("<get/>")
            assert len(pump.ended) == 1
            transport.resume_reading()

    async def test_after_the_hello_silence_is_allowed(self, start: Start) -> None:
        async with client(await start(hello_timeout=0.2)) as connection:
            dialogue = await Dialogue.open(connection)
            await dialogue.rpc("<get/>")
            await asyncio.sleep(0.4)  # longer than the limit that no longer applies
            await dialogue.rpc("<get/>")


class TestLeaving:
    @pytest.mark.parametrize("sent", [b"", b"<hello", HELLO, HELLO + b"\n#100\n<rpc", HELLO + b"\n#"])
    async def test_a_client_that_vanishes(self, start: Start, pump: Pump, sent: bytes) -> None:
        listener = await start()
        async with client(listener) as connection:
            process = await connection.create_process(subsystem="netconf", encoding=None)
            await process.stdout.read(1)
            process.stdin.write(sent)
            await process.stdin.drain()
            reset(connection)
        await pump.until(lambda: bool(pump.ended))
        assert len(pump.ended) == 1

    async def test_a_client_that_closes_its_channel_inside_a_message(self, start: Start, pump: Pump) -> None:
        async with client(await start()) as connection:
            dialogue = await Dialogue.open(connection)
            dialogue.process.stdin.write(b"\n#100\n<rpc")
            dialogue.process.channel.close()
            await pump.until(lambda: bool(pump.ended))
        assert pump.ended == ["the peer closed its side inside a message"]

    async def test_half_closed_clients_get_their_replies(self, start: Start, pump: Pump) -> None:
        async with client(await start()) as connection:
            dialogue = await Dialogue.open(connection)
            for number in range(3):
                dialogue.send("<get/>", number)
            dialogue.process.stdin.write_eof()
            ids = [etree.fromstring(await dialogue.receive()).get("message-id") for _ in range(3)]
            assert ids == ["0", "1", "2"]
            with pytest.raises(EOFError):
                await dialogue.receive()
        assert pump.ended == ["the peer closed its side"]

    async def test_bad_framing_closes_the_channel_after_the_replies(self, start: Start, pump: Pump) -> None:
        async with client(await start()) as connection:
            dialogue = await Dialogue.open(connection)
            dialogue.send("<get/>", 7)
            dialogue.process.stdin.write(b"\n#0\n")
            assert etree.fromstring(await dialogue.receive()).get("message-id") == "7"
            with pytest.raises(EOFError):
                await dialogue.receive()
        assert "chunk size" in pump.ended[0]

    async def test_malformed_xml_does_not_end_the_session(self, start: Start) -> None:
        async with client(await start()) as connection:
            dialogue = await Dialogue.open(connection)
            reply = await dialogue.rpc("<get>")
            assert reply.findtext(f"{NC}rpc-error/{NC}error-tag") == "malformed-message"
            assert reply.get("message-id") == "1"
            assert (await dialogue.rpc("<get/>"))[0].tag == f"{NC}data"


def reset(connection: asyncssh.SSHClientConnection) -> None:
    """Drop the TCP connection as a machine that loses power does: nothing more is sent but a reset."""
    sock = connection.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.abort()


class TestBackPressure:
    async def test_large_messages_both_ways(self, start: Start) -> None:
        async with client(await start()) as connection:
            dialogue = await Dialogue.open(connection)
            reply = await dialogue.rpc("<big>8000000</big>")
            assert len(reply[0].text or "") == 8_000_000
            await dialogue.rpc("<put>" + "<a>b</a>" * 500_000 + "</put>")

    async def test_a_client_that_does_not_read_holds_only_itself(self, start: Start, pump: Pump) -> None:
        listener = await start()
        async with client(listener) as connection, client(listener) as other:
            stuck = await Dialogue.open(connection, window=64 * 1024)
            stuck.process.channel.pause_reading()
            for number in range(50):
                stuck.send("<big>100000</big>", number)
            brisk = await Dialogue.open(other)
            for _ in range(20):
                await brisk.rpc("<get/>")
            # Some replies have gone into the window and the buffers; the rest waits unasked at the client.
            assert pump.rpcs < 20 + 10
            stuck.process.channel.resume_reading()
            for number in range(50):
                assert etree.fromstring(await stuck.receive()).get("message-id") == str(number)

    async def test_a_busy_session_holds_its_client_back(self, start: Start) -> None:
        release = asyncio.Event()
        received = 0

        async def slow(connection: Connection) -> None:
            nonlocal received
            await release.wait()
            while data := await connection.read():
                received += len(data)

        listener = await start(slow)
        async with client(listener) as connection:
            process = await connection.create_process(subsystem="netconf", encoding=None)
            process.stdin.write(b"x" * 4_000_000)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(process.stdin.drain(), 0.5)
            release.set()
            await asyncio.wait_for(process.stdin.drain(), 10)
            process.stdin.write_eof()
            await asyncio.wait_for(process.wait_closed(), 10)
        assert received == 4_000_000

    async def test_a_full_socket_holds_the_session_even_with_a_huge_window(self, start: Start) -> None:
        sent = 0
        stalled = asyncio.Event()

        async def flood(connection: Connection) -> None:
            nonlocal sent
            while True:
                connection.write(b"x" * 100_000)
                try:
                    await asyncio.wait_for(connection.drain(), 1)
                except TimeoutError:
                    stalled.set()
                    return
                sent += 100_000
                assert sent < 200_000_000

        listener = await start(flood)
        async with client(listener) as connection:
            process = await connection.create_process(subsystem="netconf", encoding=None, window=2**31)
            transport = connection._transport  # the client stops reading at TCP, which its SSH cannot be told
            assert transport is not None
            transport.pause_reading()
            await asyncio.wait_for(stalled.wait(), 30)
            transport.resume_reading()
            process.channel.abort()


class TestClosing:
    async def test_sessions_are_cancelled_and_connections_closed(self, start: Start, pump: Pump) -> None:
        listener = await start()
        async with client(listener) as one, client(listener) as two:
            for connection in (one, two):
                await (await Dialogue.open(connection)).rpc("<get/>")
            silent = await asyncio.open_connection("127.0.0.1", listener.port)
            await silent[0].readline()
            await listener.aclose()
            assert pump.ended == ["the agent is shutting down"] * 2
            await end_of(one)
            await end_of(two)
            with contextlib.suppress(ConnectionError):  # reset or end: both are closed
                await asyncio.wait_for(silent[0].read(), 10)
            silent[1].close()
            with contextlib.suppress(ConnectionError):
                await silent[1].wait_closed()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", listener.port)

    async def test_in_the_middle_of_logins(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        listener = await start()
        checking = asyncio.Event()
        check = listener.users.verify_password

        async def slow_check(name: str, password: str, source: str) -> bool:
            checking.set()
            await asyncio.sleep(3600)
            return await check(name, password, source)

        async def login() -> None:
            async with client(listener) as connection:
                await end_of(connection)

        monkeypatch.setattr(listener.users, "verify_password", slow_check)
        logins = [asyncio.create_task(login()) for _ in range(10)]
        await asyncio.wait_for(checking.wait(), 10)  # the others are somewhere in their handshakes
        await listener.aclose()
        results = await asyncio.gather(*logins, return_exceptions=True)
        assert all(isinstance(result, OSError | asyncssh.Error) for result in results)

    async def test_a_session_that_fails(self, start: Start, caplog: pytest.LogCaptureFixture) -> None:
        async def broken(connection: Connection) -> None:
            await connection.read(1)
            raise LookupError("a bug")

        async with client(await start(broken)) as connection:
            process = await connection.create_process(subsystem="netconf", encoding=None)
            process.stdin.write(b"x")
            await asyncio.wait_for(process.wait_closed(), 10)
        assert "a bug" in caplog.text

    async def test_the_port_is_in_use(self, start: Start) -> None:
        listener = await start()
        other = Listener(Pump(), listener.users, TransportLimits())
        with pytest.raises(SettingsError, match=f"port {listener.port}") as caught:
            await other.listen("127.0.0.1", listener.port)
        assert "another program" in caught.value.hint
        await other.aclose()


class TestOtherClients:
    async def test_ncclient(self, start: Start, pump: Pump) -> None:
        listener = await start()

        def talk() -> str:
            with warnings.catch_warnings():
                # paramiko and ncclient are not ours: what they deprecate does not fail our tests.
                warnings.simplefilter("ignore", DeprecationWarning)
                from ncclient import manager  # noqa: PLC0415 - imported where its warnings are caught

                with manager.connect(
                    host="127.0.0.1",
                    port=listener.port,
                    username=USER,
                    password=PASSWORD,
                    hostkey_verify=False,
                    allow_agent=False,
                    look_for_keys=False,
                    timeout=20,
                ) as netconf:
                    assert BASE_1_1 in netconf.server_capabilities
                    for _ in range(3):
                        reply = netconf.get()
                    return str(reply.data_xml)

        assert "data" in await asyncio.to_thread(talk)
        assert pump.rpcs == 4
        assert pump.ended == ["close-session"]

    @pytest.mark.skipif(shutil.which("ssh") is None, reason="needs the OpenSSH client")
    @pytest.mark.parametrize("pty", [[], ["-tt"]])
    async def test_openssh(self, start: Start, tmp_path: Path, pty: list[str]) -> None:
        listener = await start()
        key = tmp_path / "key"
        key.write_bytes(USER_KEY.export_private_key())
        key.chmod(0o600)
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "LogLevel=ERROR"]
        arguments = [word for option in options for word in ("-o", option)]
        process = await asyncio.create_subprocess_exec(
            *("ssh", "-F", "/dev/null", *pty, *arguments, "-i", str(key), "-p", str(listener.port)),
            *("-s", f"{USER}@127.0.0.1", "netconf"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        request = f'<rpc xmlns="{BASE_NAMESPACE}" message-id="x"><close-session/></rpc>'
        sent = b"\n" + CLIENT_HELLO_1_1 + b"\n" + encode(request.encode(), Framing.CHUNKED)
        async with asyncio.timeout(30):
            output, error = await process.communicate(sent)
        assert process.returncode == 0, error
        assert f'<rpc-reply xmlns="{BASE_NAMESPACE}" message-id="x"><ok/></rpc-reply>'.encode() in output


class TestHostKey:
    def test_made_once_and_loaded_again(self, tmp_path: Path) -> None:
        path = tmp_path / "host_key"
        key = load_or_create_host_key(path)
        assert key.get_algorithm() == "ssh-ed25519"
        assert path.stat().st_mode & 0o777 == 0o600
        assert load_or_create_host_key(path).public_data == key.public_data
        assert list(tmp_path.iterdir()) == [path]

    def test_another_algorithm(self, tmp_path: Path) -> None:
        key = load_or_create_host_key(tmp_path / "ecdsa", "ecdsa-sha2-nistp256")
        assert key.get_algorithm() == "ecdsa-sha2-nistp256"

    def test_too_open(self, tmp_path: Path) -> None:
        path = tmp_path / "host_key"
        load_or_create_host_key(path)
        path.chmod(0o640)
        with pytest.raises(SettingsError, match="mode 0640") as caught:
            load_or_create_host_key(path)
        assert "chmod 600" in caught.value.hint

    @pytest.mark.parametrize("content", [b"", b"garbage", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", b"\xff\0"])
    def test_damaged(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "host_key"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(SettingsError, match="no usable private key") as caught:
            load_or_create_host_key(path)
        assert "move the file away" in caught.value.hint
        assert path.read_bytes() == content

    def test_encrypted(self, tmp_path: Path) -> None:
        path = tmp_path / "host_key"
        path.write_bytes(USER_KEY.export_private_key(passphrase="secret"))
        path.chmod(0o600)
        with pytest.raises(SettingsError, match="no usable private key"):
            load_or_create_host_key(path)

    def test_not_a_file(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="regular file"):
            load_or_create_host_key(tmp_path)
        dangling = tmp_path / "dangling"
        dangling.symlink_to(tmp_path / "nowhere")
        with pytest.raises(SettingsError, match="cannot be opened"):
            load_or_create_host_key(dangling)

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="cannot be made") as caught:
            load_or_create_host_key(tmp_path / "no" / "host_key")
        assert "folder" in caught.value.hint
