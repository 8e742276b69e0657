"""A plain NETCONF client on asyncssh for tests: it sends what it is told, right or wrong, and reads what comes.

It shares the server's framing code and nothing else: replies are parsed with lxml alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncssh
from lxml import etree

from mlag_agent.wire import messages
from mlag_agent.wire.capabilities import BASE_1_0, BASE_1_1
from mlag_agent.wire.framing import FrameDecoder, Framing, encode

__all__ = [
    "DML",
    "EVENT",
    "NC",
    "NI",
    "PASSWORD",
    "USER",
    "Client",
    "Error",
    "Notification",
    "Reply",
    "channel",
    "group",
    "vpn",
]

USER, PASSWORD = "anna", "correct horse"
NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
DML = "urn:mlag-agent:yang:dfs-m-lag"
NI = "urn:ietf:params:xml:ns:yang:ietf-network-instance"
EVENT = "urn:ietf:params:xml:ns:netconf:notification:1.0"
LIMIT = 30.0
"""Seconds after which a missing answer is a failure, on however slow a machine."""


@dataclass(frozen=True)
class Error:
    """One ``<rpc-error>``."""

    type: str
    tag: str
    app_tag: str | None
    path: str | None
    message: str
    info: dict[str, str]
    namespaces: dict[str | None, str]
    """Those that are in force on ``<error-path>``."""


@dataclass(frozen=True)
class Reply:
    """One ``<rpc-reply>``."""

    root: etree._Element
    text: str

    @property
    def ok(self) -> bool:
        return [child.tag for child in self.root] == [f"{{{NC}}}ok"]

    @property
    def data(self) -> etree._Element:
        found = next((child for child in self.root if etree.QName(child).localname == "data"), None)
        assert found is not None, self.text
        return found

    @property
    def errors(self) -> list[Error]:
        found = []
        for element in self.root.findall(f"{{{NC}}}rpc-error"):
            path = element.find(f"{{{NC}}}error-path")
            info = element.find(f"{{{NC}}}error-info")
            assert element.findtext(f"{{{NC}}}error-severity") == "error"
            found.append(
                Error(
                    type=element.findtext(f"{{{NC}}}error-type") or "",
                    tag=element.findtext(f"{{{NC}}}error-tag") or "",
                    app_tag=element.findtext(f"{{{NC}}}error-app-tag"),
                    path=None if path is None else path.text,
                    message=element.findtext(f"{{{NC}}}error-message") or "",
                    info={} if info is None else {etree.QName(child).localname: child.text or "" for child in info},
                    namespaces={} if path is None else dict(path.nsmap),
                )
            )
        return found

    @property
    def error(self) -> Error:
        """The only error."""
        errors = self.errors
        assert len(errors) == 1, self.text
        return errors[0]

    @property
    def tags(self) -> list[tuple[str, str | None]]:
        return [(error.tag, error.app_tag) for error in self.errors]

    def leaf(self, *names: str) -> str | None:
        """Text of the first element with these local names above each other, below ``<data>`` or the reply."""
        path = "//" + "/".join(f"*[local-name()='{name}']" for name in names)
        found = self.root.xpath(path)
        return found[0].text if found else None

    def leafs(self, name: str) -> list[str]:
        return [str(element.text) for element in self.root.iter(f"{{*}}{name}")]


@dataclass(frozen=True)
class Notification:
    """One ``<notification>``."""

    root: etree._Element
    text: str

    @property
    def time(self) -> datetime:
        found = self.root.findtext(f"{{{EVENT}}}eventTime")
        assert found is not None, self.text
        return datetime.fromisoformat(found)

    @property
    def event(self) -> etree._Element:
        """The content."""
        first, content = self.root
        assert first.tag == f"{{{EVENT}}}eventTime"
        return content

    @property
    def name(self) -> str:
        return str(etree.QName(self.event).localname)

    def leaf(self, *names: str) -> str | None:
        """Text of the first element with these local names above each other."""
        found = self.event.xpath(".//" + "/".join(f"*[local-name()='{name}']" for name in names))
        return (found[0].text or "") if found else None


class _TlsConnection:
    """A TLS connection with those names of asyncssh's classes that :class:`Client` uses."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.stdout, self.stdin = reader, writer

    def close(self) -> None:
        self.stdin.close()

    async def wait_closed(self) -> None:
        with contextlib.suppress(OSError):  # the server may have been quicker
            await self.stdin.wait_closed()

    def abort(self) -> None:
        self._transport.abort()

    @property
    def _transport(self) -> asyncio.Transport:
        return self.stdin.transport  # type: ignore[return-value]


@dataclass
class Client:
    """One session; replies come in the order of the requests, notifications in that in which they arrive."""

    process: asyncssh.SSHClientProcess[bytes]
    connection: asyncssh.SSHClientConnection
    decoder: FrameDecoder = field(default_factory=lambda: FrameDecoder(max_message_size=2**30))
    framing: Framing = Framing.END_OF_MESSAGE
    hello: etree._Element | None = None
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    events: deque[Notification] = field(default_factory=deque)
    """Those that have arrived while a reply was waited for."""

    @classmethod
    async def connect(
        cls,
        port: int,
        *,
        versions: Sequence[str] = (BASE_1_0, BASE_1_1),
        username: str = USER,
        password: str | None = PASSWORD,
        say_hello: bool = True,
    ) -> Client:
        """Log in, open the subsystem and exchange hellos, or only read the server's without ``say_hello``."""
        connection = await asyncssh.connect(
            "127.0.0.1", port, username=username, password=password, client_keys=None, known_hosts=None,
            agent_path=None, config=None, gss_host=None,
        )  # fmt: skip
        return await cls._over(connection, versions, say_hello=say_hello)

    @classmethod
    async def called_by_ssh(cls, sock: socket.socket) -> Client:
        """The client's part on a connection that the agent has made."""
        connection = await asyncssh.run_client(
            sock, username=USER, password=PASSWORD, client_keys=None, known_hosts=None, agent_path=None, config=None,
            gss_host=None,
        )  # fmt: skip
        return await cls._over(connection, (BASE_1_0, BASE_1_1), say_hello=True)

    @classmethod
    async def called_by_tls(cls, sock: socket.socket, context: ssl.SSLContext) -> Client:
        """The same by TLS."""
        streams = await asyncio.open_connection(sock=sock, ssl=context, server_hostname="127.0.0.1")
        return await cls._over_tls(streams, (BASE_1_0, BASE_1_1), say_hello=True)

    @classmethod
    async def _over_tls(
        cls, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], versions: Sequence[str], *, say_hello: bool
    ) -> Client:
        connection = _TlsConnection(*streams)
        try:
            return await cls(connection, connection)._begin(versions, say_hello=say_hello)  # type: ignore[arg-type]
        except BaseException:
            connection.abort()
            await connection.wait_closed()
            raise

    @classmethod
    async def _over(
        cls, connection: asyncssh.SSHClientConnection, versions: Sequence[str], *, say_hello: bool
    ) -> Client:
        process = await connection.create_process(subsystem="netconf", encoding=None)
        return await cls(process, connection)._begin(versions, say_hello=say_hello)

    @classmethod
    async def connect_tls(
        cls,
        port: int,
        context: ssl.SSLContext,
        *,
        versions: Sequence[str] = (BASE_1_0, BASE_1_1),
        say_hello: bool = True,
    ) -> Client:
        """The same over TLS; ``context`` has the client's certificate."""
        return await cls._over_tls(
            await asyncio.open_connection("127.0.0.1", port, ssl=context), versions, say_hello=say_hello
        )

    async def _begin(self, versions: Sequence[str], *, say_hello: bool) -> Client:
        client = self
        client.hello = etree.fromstring(await client.receive_bytes())
        if say_hello:
            client.process.stdin.write(encode(messages.hello(versions), Framing.END_OF_MESSAGE))
            if BASE_1_1 in versions and BASE_1_1 in client.capabilities:
                client.framing = client.decoder.framing = Framing.CHUNKED
        return client

    @property
    def capabilities(self) -> list[str]:
        assert self.hello is not None
        return [str(element.text) for element in self.hello.iter(f"{{{NC}}}capability")]

    @property
    def session_id(self) -> int:
        assert self.hello is not None
        return int(self.hello.findtext(f"{{{NC}}}session-id") or 0)

    # --- sending --------------------------------------------------------------------------------------------

    def send_bytes(self, data: bytes) -> None:
        """Bytes as they stand, without framing."""
        self.process.stdin.write(data)

    def send_message(self, message: str) -> None:
        """One framed message, whatever is in it."""
        self.send_bytes(encode(message.encode(), self.framing))

    def send(self, operation: str) -> None:
        """One rpc, without waiting for its reply."""
        self.send_message(f'<rpc xmlns="{NC}" message-id="{next(self.ids)}">{operation}</rpc>')

    # --- receiving ------------------------------------------------------------------------------------------

    async def receive_bytes(self) -> bytes:
        """The next message; EOFError when the server has closed the session."""
        async with asyncio.timeout(LIMIT):
            while (message := self.decoder.next_message()) is None:
                data = await self.process.stdout.read(1 << 16)
                if not data:
                    raise EOFError
                self.decoder.feed(data)
            return message

    async def receive_any(self) -> Reply | Notification:
        """The next message, whatever it is."""
        message = await self.receive_bytes()
        root = etree.fromstring(message, etree.XMLParser(huge_tree=True))
        return (Notification if root.tag == f"{{{EVENT}}}notification" else Reply)(root, message.decode())

    async def receive(self) -> Reply:
        """The next reply; notifications before it are kept for ``notification``."""
        while isinstance(message := await self.receive_any(), Notification):
            self.events.append(message)
        return message

    async def notification(self) -> Notification:
        """The next notification."""
        if self.events:
            return self.events.popleft()
        message = await self.receive_any()
        assert isinstance(message, Notification), message.text
        return message

    async def rpc(self, operation: str) -> Reply:
        self.send(operation)
        return await self.receive()

    async def ended(self) -> None:
        """Wait until the server has closed the session, with nothing more said."""
        async with asyncio.timeout(LIMIT):
            try:
                message = await self.receive_bytes()
            except (EOFError, ConnectionError, asyncssh.Error):
                return
        raise AssertionError(f"the session is not closed but says {message!r}")

    async def aclose(self) -> None:
        self.connection.close()
        await self.connection.wait_closed()

    def abort(self) -> None:
        """Leave without a word, as a client that crashes."""
        self.connection.abort()

    def stop_reading(self) -> None:
        """Take nothing off the socket any more."""
        assert self.connection._transport is not None
        self.connection._transport.pause_reading()

    async def subscribe(self, parameters: str = "") -> Reply:
        """create-subscription of RFC 5277."""
        return await self.rpc(f'<create-subscription xmlns="{EVENT}">{parameters}</create-subscription>')

    # --- operations -----------------------------------------------------------------------------------------

    async def edit(self, config: str, target: str = "candidate", options: str = "") -> Reply:
        return await self.rpc(
            f"<edit-config><target><{target}/></target>{options}<config>{config}</config></edit-config>"
        )

    async def commit(self) -> Reply:
        return await self.rpc("<commit/>")

    async def get_config(self, source: str = "running", select: str = "") -> Reply:
        filter_ = f'<filter type="subtree">{select}</filter>' if select else ""
        return await self.rpc(f"<get-config><source><{source}/></source>{filter_}</get-config>")

    async def get(self, select: str = "") -> Reply:
        return await self.rpc(f'<get><filter type="subtree">{select}</filter></get>' if select else "<get/>")


# --- documents ----------------------------------------------------------------------------------------------


def channel(
    local: str = "2001:db8:1::1",
    peer: str = "2001:db8:1::2",
    port: str | int = 2048,
    *,
    family: str = "ipv6",
    vpn_instance: str | None = None,
) -> str:
    """One form of peer-link source; the defaults are the command page's example."""
    instance = "" if vpn_instance is None else f"<vpn-instance>{vpn_instance}</vpn-instance>"
    return (
        f"<{family}><local-address>{local}</local-address><peer-address>{peer}</peer-address>{instance}"
        f"<tcp-port>{port}</tcp-port></{family}>"
    )


def group(source: str = "", *, password: str | None = None, id_: str | int = 1, more: str = "") -> str:
    """The DFS group with this content of peer-link-source."""
    secret = "" if password is None else f"<authentication><password>{password}</password></authentication>"
    inner = f"<peer-link-source>{source}</peer-link-source>" if source else ""
    return (
        f'<m-lag xmlns="{DML}"><dfs-groups><dfs-group><id>{id_}</id>{secret}{inner}</dfs-group>{more}'
        "</dfs-groups></m-lag>"
    )


def vpn(name: str, content: str = "") -> str:
    """A network instance."""
    return (
        f'<network-instances xmlns="{NI}"><network-instance><name>{name}</name>{content}'
        "</network-instance></network-instances>"
    )
