"""The :url capability (RFC 6241 section 8.8) over real files, a real https server and a real sftp server."""

from __future__ import annotations

import asyncio
import base64
import datetime
import ipaddress
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mlag_agent.app import Device
from mlag_agent.config import UrlSettings
from mlag_agent.errors import SettingsError
from netconf_client import NC, Client, Reply, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]


def document(content: str) -> str:
    return f'<config xmlns="{NC}">{content}</config>'


def edit(url: str, target: str = "running") -> str:
    return f"<edit-config><target><{target}/></target><url>{url}</url></edit-config>"


def copy(target: str, source: str) -> str:
    return f"<copy-config><target>{target}</target><source>{source}</source></copy-config>"


def at(url: str) -> str:
    return f"<url>{url}</url>"


def refused(reply: Reply, tag: str) -> str:
    error = reply.error
    assert (error.tag, error.type) == (tag, "protocol"), reply.text
    return error.message


async def names(session: Client, source: str = "running") -> list[str]:
    return (await session.get_config(source)).leafs("name")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "jail"
    made.mkdir()
    return made


class TestCapability:
    async def test_off_by_default(self, session: Client) -> None:
        assert not any(":url:" in uri for uri in session.capabilities)
        assert (await session.rpc(edit("file:///x"))).errors[0].tag == "unknown-element"

    async def test_the_schemes_are_announced(self, start: Start, connect: Connect, folder: Path) -> None:
        device = await start(url=UrlSettings(schemes=("https", "file"), folder=str(folder)))
        session = await connect(device)
        assert "urn:ietf:params:netconf:capability:url:1.0?scheme=file,https" in session.capabilities
        assert any("module=ietf-netconf&" in uri and "url" in uri for uri in session.capabilities)
        assert "file, https" in refused(await session.rpc(edit("ftp://h/x")), "invalid-value")

    @pytest.mark.parametrize(
        "url",
        [
            UrlSettings(schemes=("file",)),
            UrlSettings(schemes=("file",), folder="/nowhere"),
            UrlSettings(schemes=("sftp",)),
            UrlSettings(schemes=("sftp",), known_hosts="/nowhere"),
            UrlSettings(schemes=("https",), ca_file="/nowhere"),
        ],
    )
    async def test_settings(self, start: Start, url: UrlSettings) -> None:
        with pytest.raises(SettingsError, match="url"):
            await start(url=url)


class TestFile:
    @pytest.fixture
    async def device(self, start: Start, folder: Path) -> Device:
        return await start(
            url=UrlSettings(schemes=("file",), folder=str(folder), max_bytes=10_000, timeout=20), startup=True
        )

    async def test_edit_config(self, session: Client, folder: Path) -> None:
        (folder / "red.xml").write_text(document(vpn("red")))
        assert (await session.rpc(edit("file:///red.xml"))).ok
        assert (await session.rpc(edit("file:///red.xml", "candidate"))).ok
        assert await names(session) == ["red"]

    async def test_operations_in_the_document(self, session: Client, folder: Path) -> None:
        await session.edit(vpn("red"), "running")
        deleted = vpn("red").replace("<network-instance>", f'<network-instance xmlns:nc="{NC}" nc:operation="delete">')
        (folder / "del.xml").write_text(f"<?xml version='1.0' encoding='UTF-8'?><!-- by hand -->{document(deleted)}")
        assert (await session.rpc(edit("file:///del.xml"))).ok
        assert await names(session) == []

    @pytest.mark.parametrize("target", ["running", "candidate", "startup"])
    async def test_copy_from(self, session: Client, folder: Path, target: str) -> None:
        await session.edit(vpn("old"), "running")
        (folder / "sub").mkdir()
        (folder / "sub" / "a b.xml").write_text(document(vpn("red")))
        assert (await session.rpc(copy(f"<{target}/>", at("file:///sub/a%20b.xml")))).ok
        assert await names(session, target) == ["red"]

    async def test_there_and_back(self, session: Client, folder: Path) -> None:
        await session.edit(vpn("red", "<description>é &lt; ]]&gt;</description>"), "running")
        before = (await session.get_config()).text.partition(">")[2]
        assert (await session.rpc(copy(at("file:///x.xml"), "<running/>"))).ok
        assert (folder / "x.xml").stat().st_mode & 0o777 == 0o600
        await session.edit(vpn("blue"), "running")
        assert (await session.rpc(copy("<running/>", at("file:///x.xml")))).ok
        assert (await session.get_config()).text.partition(">")[2] == before
        assert (await session.rpc(copy(at("file:///y.xml"), at("file:///x.xml")))).ok
        assert (folder / "y.xml").read_bytes() == (folder / "x.xml").read_bytes()
        refused(await session.rpc(copy(at("file:///y.xml"), at("file:///y.xml"))), "invalid-value")
        assert sorted(os.listdir(folder)) == ["x.xml", "y.xml"]

    async def test_inline_config_to_a_url(self, session: Client, folder: Path) -> None:
        assert (await session.rpc(copy(at("file:///i.xml"), f"<config>{vpn('red')}</config>"))).ok
        assert b"red" in (folder / "i.xml").read_bytes()

    async def test_validate(self, session: Client, folder: Path) -> None:
        (folder / "good.xml").write_text(document(vpn("red")))
        (folder / "bad.xml").write_text(document('<m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag"><x/></m-lag>'))
        validate = "<validate><source><url>file:///{}.xml</url></source></validate>"
        assert (await session.rpc(validate.format("good"))).ok
        assert (await session.rpc(validate.format("bad"))).error.tag == "unknown-element"
        assert await names(session) == []

    async def test_delete(self, session: Client, folder: Path) -> None:
        (folder / "x.xml").write_text("x")
        delete = "<delete-config><target><url>file:///x.xml</url></target></delete-config>"
        assert (await session.rpc(delete)).ok
        assert os.listdir(folder) == []
        assert "No such file" in refused(await session.rpc(delete), "operation-failed")

    @pytest.mark.parametrize(
        ("path", "tag"),
        [
            ("/../secret.xml", "invalid-value"),
            ("/%2e%2e/secret.xml", "invalid-value"),
            ("/..%2fsecret.xml", "invalid-value"),
            ("/sub/../../secret.xml", "invalid-value"),
            ("/link.xml", "operation-failed"),
            ("/linked/secret.xml", "operation-failed"),
            ("//secret.xml", "invalid-value"),
            ("", "invalid-value"),
            ("/", "invalid-value"),
            ("/./x", "invalid-value"),
            ("/sub", "operation-failed"),
            ("/sub/", "invalid-value"),
            ("/fifo", "operation-failed"),
            ("/a%00b", "invalid-value"),
            ("/" + "x" * 256, "invalid-value"),
            ("/" + "x/" * 1200, "invalid-value"),
            ("/none.xml", "operation-failed"),
            ("/x?y", "invalid-value"),
            ("/x#y", "invalid-value"),
        ],
    )
    async def test_nothing_leads_out_of_the_folder(
        self, session: Client, folder: Path, tmp_path: Path, path: str, tag: str
    ) -> None:
        secret = tmp_path / "secret.xml"
        secret.write_text(document(vpn("secret")))
        (folder / "sub").mkdir()
        (folder / "link.xml").symlink_to(secret)
        (folder / "linked").symlink_to(tmp_path)
        os.mkfifo(folder / "fifo")
        url = f"file://{path}"
        operations = [edit(url), copy("<running/>", at(url))]
        if path != "/none.xml":  # which may be made
            operations.append(copy(at(url), "<running/>"))
            operations.append(f"<delete-config><target><url>{url}</url></target></delete-config>")
        for operation in operations:
            message = refused(await session.rpc(operation), tag)
            assert str(tmp_path) not in message
        assert secret.read_text() == document(vpn("secret"))
        assert (folder / "link.xml").is_symlink()
        assert await names(session) == []

    async def test_a_host(self, session: Client) -> None:
        assert "names no host" in refused(await session.rpc(edit("file://elsewhere/x")), "invalid-value")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "no XML"),
            ("<config>", "no XML"),
            ("<data/>", "begins with <data>"),
            ("<config xmlns='urn:x'/>", "begins with <config>"),
            ("<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><config>&e;</config>", "no XML"),
        ],
    )
    async def test_what_is_no_document(self, session: Client, folder: Path, text: str, words: str) -> None:
        (folder / "x.xml").write_text(text)
        assert words in refused(await session.rpc(edit("file:///x.xml")), "operation-failed")

    async def test_too_large(self, session: Client, folder: Path) -> None:
        (folder / "x.xml").write_text(document(f"<!--{'x' * 10_000}-->"))
        assert "10000 bytes" in refused(await session.rpc(edit("file:///x.xml")), "resource-denied")
        await session.edit(vpn("red", f"<description>{'x' * 10_000}</description>"), "running")
        refused(await session.rpc(copy(at("file:///y.xml"), "<running/>")), "resource-denied")
        assert not (folder / "y.xml").exists()

    async def test_a_folder_that_is_gone(self, session: Client, folder: Path) -> None:
        os.rmdir(folder)
        refused(await session.rpc(edit("file:///x.xml")), "operation-failed")


# --- https --------------------------------------------------------------------------------------------------------


@dataclass
class Web:
    """A small https server that keeps what it is given."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    stall: asyncio.Event | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(" ", 2)
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head.split("\r\n")[1:])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append((method, path, headers.get("authorization", "")))
        if self.stall is not None:
            await self.stall.wait()
        status, answer = self.answer(method, path, body)
        more = "Location: /red.xml\r\n" if status == "302 Found" else ""
        writer.write(f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(answer)}\r\nConnection: close\r\n\r\n".encode())
        writer.write(answer)
        await writer.drain()
        writer.close()

    def answer(self, method: str, path: str, body: bytes) -> tuple[str, bytes]:
        if path == "/moved":
            return "302 Found", b""
        if method == "PUT":
            self.files[path] = body
            return "201 Created", b""
        if path not in self.files:
            return "404 Not Found", b"no such thing"
        if method == "DELETE":
            del self.files[path]
            return "204 No Content", b""
        return "200 OK", self.files[path]


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed one for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@asynccontextmanager
async def web_server(folder: Path) -> AsyncIterator[Web]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder))
    web = Web()
    server = await asyncio.start_server(web.serve, "127.0.0.1", 0, ssl=context)
    web.port = server.sockets[0].getsockname()[1]
    try:
        yield web
    finally:
        if web.stall is not None:
            web.stall.set()
        server.close()


class TestHttps:
    @pytest.fixture
    async def web(self, tmp_path: Path) -> AsyncIterator[Web]:
        async with web_server(tmp_path) as web:
            web.files["/red.xml"] = document(vpn("red")).encode()
            yield web

    @pytest.fixture
    async def device(self, start: Start, web: Web, tmp_path: Path) -> Device:
        url = UrlSettings(
            schemes=("https",), ca_file=str(tmp_path / "cert.pem"), max_bytes=10_000, timeout=10, hosts=("127.0.0.1",)
        )
        return await start(url=url)

    async def test_read(self, session: Client, web: Web) -> None:
        assert (await session.rpc(edit(f"https://127.0.0.1:{web.port}/red.xml"))).ok
        assert await names(session) == ["red"]

    async def test_write_and_delete(self, session: Client, web: Web) -> None:
        await session.edit(vpn("blue"), "running")
        url = at(f"https://127.0.0.1:{web.port}/out.xml?version=1")
        assert (await session.rpc(copy(url, "<running/>"))).ok
        assert b"blue" in web.files["/out.xml?version=1"]
        assert (await session.rpc(f"<delete-config><target>{url}</target></delete-config>")).ok
        assert "/out.xml?version=1" not in web.files

    async def test_credentials_are_sent_and_not_shown(self, session: Client, web: Web) -> None:
        url = f"https://anna:hidden-word@127.0.0.1:{web.port}"
        assert (await session.rpc(edit(f"{url}/red.xml"))).ok
        assert web.requests[0][2] == "Basic " + base64.b64encode(b"anna:hidden-word").decode()
        reply = await session.rpc(edit(f"{url}/none.xml?token=hidden-word"))
        message = refused(reply, "operation-failed")
        assert f"https://127.0.0.1:{web.port}/none.xml: " in message
        assert "404 Not Found" in message
        assert "hidden-word" not in reply.text

    async def test_redirects_are_not_followed(self, session: Client, web: Web) -> None:
        message = refused(await session.rpc(edit(f"https://127.0.0.1:{web.port}/moved")), "operation-failed")
        assert "redirects" in message
        assert [path for _, path, _ in web.requests] == ["/moved"]

    async def test_too_large(self, session: Client, web: Web) -> None:
        web.files["/large"] = b"x" * 20_000
        refused(await session.rpc(edit(f"https://127.0.0.1:{web.port}/large")), "resource-denied")

    async def test_a_certificate_that_nobody_vouches_for(self, start: Start, connect: Connect, web: Web) -> None:
        session = await connect(await start("other", url=UrlSettings(schemes=("https",))))
        message = refused(await session.rpc(edit(f"https://127.0.0.1:{web.port}/red.xml")), "operation-failed")
        assert "certificate" in message
        assert web.requests == []

    async def test_another_name_than_the_certificate_has(
        self, start: Start, connect: Connect, web: Web, tmp_path: Path
    ) -> None:
        url = UrlSettings(schemes=("https",), ca_file=str(tmp_path / "cert.pem"))
        session = await connect(await start("other", url=url))
        refused(await session.rpc(edit(f"https://localhost:{web.port}/red.xml")), "operation-failed")
        assert web.requests == []

    async def test_hosts(self, session: Client, web: Web) -> None:
        message = refused(await session.rpc(edit(f"https://localhost:{web.port}/red.xml")), "invalid-value")
        assert "127.0.0.1" in message
        refused(await session.rpc(edit("https:///x")), "invalid-value")
        refused(await session.rpc(edit("https://127.0.0.1:99999/x")), "invalid-value")

    async def test_nobody_listens(self, session: Client) -> None:
        refused(await session.rpc(edit("https://127.0.0.1:1/x")), "operation-failed")

    async def test_others_go_on_meanwhile(self, device: Device, connect: Connect, web: Web) -> None:
        one, two = await connect(device), await connect(device)
        web.stall = asyncio.Event()
        one.send(edit(f"https://127.0.0.1:{web.port}/red.xml"))
        assert (await two.edit(vpn("blue"), "running")).ok
        web.stall.set()
        assert (await one.receive()).ok
        assert await names(two) == ["blue", "red"]

    async def test_time_out(self, start: Start, connect: Connect, web: Web, tmp_path: Path) -> None:
        url = UrlSettings(schemes=("https",), ca_file=str(tmp_path / "cert.pem"), timeout=0.2)
        session = await connect(await start("other", url=url))
        web.stall = asyncio.Event()
        message = refused(await session.rpc(edit(f"https://127.0.0.1:{web.port}/red.xml")), "operation-failed")
        assert "0.2 s" in message or "Timeout" in message


# --- sftp ---------------------------------------------------------------------------------------------------------


class _Login(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("anna", "hidden-word")


class TestSftp:
    @pytest.fixture
    async def server(self, tmp_path: Path, folder: Path) -> AsyncIterator[asyncssh.SSHAcceptor]:
        key, client = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
        client.write_private_key(str(tmp_path / "id"))
        (tmp_path / "authorized").write_bytes(client.export_public_key())
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=_Login, server_host_keys=[key],
            authorized_client_keys=str(tmp_path / "authorized"),
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(folder).encode()),
        )  # fmt: skip
        port = server.get_port()
        text = f"[127.0.0.1]:{port} {key.export_public_key().decode()}"
        (tmp_path / "known_hosts").write_text(text)
        yield server
        server.close()
        await server.wait_closed()

    @pytest.fixture
    async def device(self, start: Start, server: asyncssh.SSHAcceptor, tmp_path: Path) -> Device:
        url = UrlSettings(
            schemes=("sftp",),
            known_hosts=str(tmp_path / "known_hosts"),
            key_file=str(tmp_path / "id"),
            max_bytes=10_000,
        )
        return await start(url=url)

    @pytest.mark.parametrize("user", ["anna", "anna:hidden-word"])
    async def test_there_and_back(self, session: Client, server: asyncssh.SSHAcceptor, folder: Path, user: str) -> None:
        url = at(f"sftp://{user}@127.0.0.1:{server.get_port()}/out.xml")
        await session.edit(vpn("red"), "running")
        (folder / "out.xml").write_text("old")
        assert (await session.rpc(copy(url, "<running/>"))).ok
        assert os.listdir(folder) == ["out.xml"]
        await session.edit(vpn("blue"), "running")
        assert (await session.rpc(copy("<running/>", url))).ok
        assert await names(session) == ["red"]
        assert (await session.rpc(f"<delete-config><target>{url}</target></delete-config>")).ok
        assert os.listdir(folder) == []

    async def test_refused(self, session: Client, server: asyncssh.SSHAcceptor, folder: Path) -> None:
        head = f"@127.0.0.1:{server.get_port()}"
        reply = await session.rpc(edit(f"sftp://anna:wrong-hidden{head}/x"))
        assert "refuses the login" in refused(reply, "operation-failed")
        assert "hidden" not in reply.text
        assert "No such file" in refused(await session.rpc(edit(f"sftp://anna{head}/x")), "operation-failed")
        refused(await session.rpc(edit(f"sftp://{head[1:]}/x")), "invalid-value")
        refused(await session.rpc(edit(f"sftp://anna{head}/")), "invalid-value")
        (folder / "large").write_bytes(b"x" * 20_000)
        refused(await session.rpc(edit(f"sftp://anna{head}/large")), "resource-denied")

    async def test_a_host_key_that_is_not_known(
        self, session: Client, server: asyncssh.SSHAcceptor, tmp_path: Path
    ) -> None:
        (tmp_path / "known_hosts").write_text("")
        message = refused(await session.rpc(edit(f"sftp://anna@127.0.0.1:{server.get_port()}/x")), "operation-failed")
        assert "host key" in message
