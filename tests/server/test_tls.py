"""NETCONF over TLS (RFC 7589, RFC 9918) over real sockets: Python's ssl, OpenSSL's tool and ncclient as clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
import socket
import ssl
import struct
import subprocess
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from mlag_agent.app import Device
from mlag_agent.config import LimitSettings, ListenSettings, TlsSettings
from mlag_agent.errors import SettingsError
from netconf_client import LIMIT, Client
from pki import DAY, LOOPBACK, Authority, Credential, Pki

Start = Callable[..., Awaitable[Device]]
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
SESSIONS = f'<netconf-state xmlns="{MONITORING}"><sessions/></netconf-state>'
BAD_PEM = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


@pytest.fixture
async def begin(start: Start, pki: Pki) -> Start:
    async def begin(tls: TlsSettings | None = None, **options: Any) -> Device:
        return await start(tls=tls or pki.settings(), **options)

    return begin


@contextlib.asynccontextmanager
async def session(device: Device, context: ssl.SSLContext, **options: Any) -> Any:
    client = await Client.connect_tls(device.endpoints.tls_port, context, **options)
    try:
        yield client
    finally:
        await client.aclose()


async def refused(device: Device, context: ssl.SSLContext) -> None:
    """The client gets no hello."""
    with pytest.raises((OSError, EOFError)):
        async with asyncio.timeout(LIMIT):
            await Client.connect_tls(device.endpoints.tls_port, context)


class TestLogin:
    @pytest.mark.parametrize("version", VERSIONS)
    async def test_good(self, begin: Start, pki: Pki, version: ssl.TLSVersion) -> None:
        device = await begin()
        async with session(device, pki.context(pki.anna, version)) as client:
            assert (await client.get_config()).data is not None
            [row] = device.registry.describe()
            assert (row["username"], row["source-host"]) == ("anna", "127.0.0.1")
            reply = await client.get(SESSIONS)
            assert reply.leaf("session", "username") == "anna"
            assert (reply.leaf("session", "transport") or "").endswith("netconf-tls")
            assert (await client.rpc("<close-session/>")).ok
            await client.ended()
        assert len(device.registry) == 0

    async def test_tls_1_3_is_preferred(self, begin: Start, pki: Pki) -> None:
        async with session(await begin(), pki.context(pki.anna)) as client:
            assert client.connection.stdin.get_extra_info("ssl_object").version() == "TLSv1.3"

    @pytest.mark.parametrize(
        ("which", "words"),
        [
            ("nobody", "did not return a certificate"),
            ("other", "unable to get local issuer certificate"),
            ("expired", "certificate has expired"),
            ("future", "certificate is not yet valid"),
            ("server", "unsuitable certificate purpose"),
            ("forged", "certificate signature failure"),
        ],
    )
    async def test_bad_certificates(
        self, begin: Start, pki: Pki, caplog: pytest.LogCaptureFixture, which: str, words: str
    ) -> None:
        namesake = Authority(pki.root.certificate, Authority.make("root").key)  # the CA's name, but not its key
        clients: dict[str, Credential | None] = {
            "nobody": None,
            "other": Authority.make("other").issue(common_name="anna"),
            "expired": pki.root.issue(common_name="anna", valid=(-2 * DAY, -DAY)),
            "future": pki.root.issue(common_name="anna", valid=(DAY, 2 * DAY)),
            "server": pki.root.issue_server(LOOPBACK),
            "forged": namesake.issue(common_name="anna", claimed=pki.root),
        }
        device = await begin()
        with caplog.at_level(logging.WARNING):
            for version in VERSIONS:
                await refused(device, pki.context(clients[which], version))
        assert "TLS: no session for 127.0.0.1" in caplog.text
        assert caplog.text.count(words) == len(VERSIONS)
        assert device.registry.in_sessions == 0
        async with session(device, pki.context(pki.anna)) as client:
            assert (await client.get_config()).data is not None

    async def test_nobody_by_that_certificate(self, begin: Start, pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
        device = await begin(pki.settings(cert_to_name=(pki.rule(how="san-dns-name"),)))
        await refused(device, pki.context(pki.anna))
        assert "no cert-to-name entry gives a user for CN=anna" in caplog.text
        assert device.registry.in_sessions == 0

    async def test_refusals_are_in_the_audit_log(self, begin: Start, pki: Pki) -> None:
        device = await begin(pki.settings(cert_to_name=(pki.rule(how="san-rfc822-name"),)))
        nameless = pki.root.issue(common_name="nameless")
        for client in (None, Authority.make("other").issue(common_name="anna"), nameless):
            await refused(device, pki.context(client))
        await device.aclose()
        lines = [json.loads(line) for line in (Path(device.settings.state) / "audit.jsonl").read_text().splitlines()]
        failed = [line for line in lines if line["event"] == "login-failed"]
        assert [(line["user"], line["method"], line["source"]) for line in failed] == [
            ("", "certificate", "127.0.0.1"),
            ("", "certificate", "127.0.0.1"),
            ("CN=nameless", "certificate", "127.0.0.1"),
        ]

    async def test_revoked(self, begin: Start, pki: Pki, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        bob = pki.root.issue(common_name="bob")
        crl = tmp_path / "crl.pem"
        crl.write_bytes(pki.root.revocations(bob))
        device = await begin(pki.settings(crl=str(crl)))
        async with session(device, pki.context(pki.anna)) as client:
            assert (await client.get_config()).data is not None
        await refused(device, pki.context(bob))
        assert "certificate revoked" in caplog.text

    @pytest.mark.parametrize("which", ["expired", "another CA's"])
    async def test_without_a_valid_list_of_revocations_nobody_comes_in(
        self, begin: Start, pki: Pki, tmp_path: Path, which: str
    ) -> None:
        crl = tmp_path / "crl.pem"
        crl.write_bytes(pki.root.revocations(until=-DAY) if which == "expired" else Authority.make("x").revocations())
        await refused(await begin(pki.settings(crl=str(crl))), pki.context(pki.anna))

    async def test_an_intermediate_authority(self, begin: Start, pki: Pki) -> None:
        carl = Authority.make("middle", pki.root).issue(common_name="carl")
        device = await begin()
        async with session(device, pki.context(carl)) as client:
            assert (await client.get(SESSIONS)).leafs("username") == ["carl"]

    async def test_one_pinned_certificate(self, begin: Start, pki: Pki, tmp_path: Path) -> None:
        """No CA at all: the client's own certificate is what is trusted."""
        dora = Authority.make("elsewhere").issue(common_name="x")
        trusted = dora.write(tmp_path, "dora")[0]
        rule = pki.rule(of=dora, how="specified", name="dora")
        device = await begin(pki.settings(client_ca=str(trusted), cert_to_name=(rule,)))
        async with session(device, pki.context(dora)) as client:
            assert (await client.get(SESSIONS)).leafs("username") == ["dora"]
        await refused(device, pki.context(pki.anna))

    async def test_no_resumption(self, begin: Start, pki: Pki) -> None:
        """A later connection shows its certificate again, whatever became of it meanwhile."""
        device = await begin()
        port = device.endpoints.tls_port

        def connect(
            context: ssl.SSLContext, session: ssl.SSLSession | None
        ) -> tuple[bool | None, ssl.SSLSession | None]:
            raw = socket.create_connection(("127.0.0.1", port), timeout=20)
            with context.wrap_socket(raw, server_hostname="127.0.0.1", session=session) as wrapped:
                wrapped.recv(4096)  # the hello: what a server has to say about sessions has come by then
                return wrapped.session_reused, wrapped.session

        for version in VERSIONS:
            context = pki.context(pki.anna, version)
            _, session = await asyncio.to_thread(connect, context, None)
            assert session is not None
            reused, _ = await asyncio.to_thread(connect, context, session)
            assert not reused

    async def test_renewed_files_hold_from_the_next_connection_on(
        self, begin: Start, pki: Pki, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        crl = tmp_path / "crl.pem"
        crl.write_bytes(pki.root.revocations())
        device = await begin(pki.settings(crl=str(crl)))
        async with session(device, pki.context(pki.anna)) as client:
            crl.write_bytes(pki.root.revocations(pki.anna))
            await refused(device, pki.context(pki.anna))
            crl.write_bytes(b"half a fi")
            await refused(device, pki.context(pki.anna))
            assert "holds no revocation list" in caplog.text
            crl.write_bytes(pki.root.revocations())
            async with session(device, pki.context(pki.anna)) as again:
                assert (await again.get_config()).data is not None
            assert (await client.get_config()).data is not None

    async def test_no_early_data(self, begin: Start, pki: Pki) -> None:
        """RFC 9918 section 3: without a ticket a client has nothing to send early data with."""
        openssl = shutil.which("openssl")
        assert openssl is not None
        device = await begin()
        certificate, key = pki.anna.write(pki.folder, "client")
        found = await asyncio.to_thread(
            subprocess.run,
            [openssl, "s_client", "-connect", f"127.0.0.1:{device.endpoints.tls_port}", "-tls1_3",
             "-CAfile", str(pki.root_file), "-cert", str(certificate), "-key", str(key)],
            input=b"", capture_output=True, timeout=30, check=False,
        )  # fmt: skip
        assert b"Early data was not sent" in found.stdout
        assert b"Verify return code: 0" in found.stdout
        assert b"New Session Ticket" not in found.stdout


class TestOffered:
    """Which versions and suites are taken: OpenSSL's own client tries each."""

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
    async def test_no_old_versions(self, begin: Start, pki: Pki, version: ssl.TLSVersion) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context = pki.context(pki.anna, version)
        context.set_ciphers("ALL:@SECLEVEL=0")
        await refused(await begin(), context)

    async def test_suites(self, begin: Start, pki: Pki) -> None:
        """TLS 1.2: each suite that OpenSSL knows is tried by itself."""
        device = await begin()
        everything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        everything.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
        names = [row["name"] for row in everything.get_ciphers() if row["protocol"] != "TLSv1.3"]
        assert len(names) > 50
        taken = set()
        for name in names:
            context = pki.context(pki.anna, ssl.TLSVersion.TLSv1_2)
            try:
                context.set_ciphers(f"{name}:@SECLEVEL=0")
            except ssl.SSLError:
                continue
            with contextlib.suppress(OSError, EOFError):
                async with session(device, context):
                    taken.add(name)
        assert taken == {
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
        }


class TestSettings:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"certificate": "/nowhere"}, "No such file"),
            ({"key": "/nowhere"}, "the TLS key /nowhere cannot be read"),
            ({"client_ca": "/nowhere"}, "the client CA /nowhere cannot be read"),
            ({"crl": "/nowhere"}, "the revocation list /nowhere cannot be read"),
        ],
    )
    async def test_files_that_are_missing(self, begin: Start, pki: Pki, options: dict[str, str], words: str) -> None:
        settings = pki.settings()
        changed = TlsSettings(**({name: getattr(settings, name) for name in settings.__struct_fields__} | options))
        with pytest.raises(SettingsError, match=words):
            await begin(changed)

    async def test_a_key_of_another_certificate(self, begin: Start, pki: Pki, tmp_path: Path) -> None:
        other = pki.root.issue_server(LOOPBACK).write(tmp_path, "other")[1]
        settings = pki.settings()
        with pytest.raises(SettingsError, match=r"(?i)key.values.mismatch"):
            await begin(TlsSettings(settings.certificate, str(other), settings.client_ca))

    async def test_a_key_that_all_can_read(self, begin: Start, pki: Pki) -> None:
        pki.server_files[1].chmod(0o604)
        with pytest.raises(SettingsError, match="mode 0604") as caught:
            await begin()
        assert "chmod o=" in caught.value.hint

    async def test_an_encrypted_key_does_not_wait_for_a_password(self, begin: Start, pki: Pki) -> None:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

        pki.server_files[1].write_bytes(
            pki.server.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
        with pytest.raises(SettingsError, match="cannot be used"):
            await begin()

    @pytest.mark.parametrize("content", [b"", b"garbage", BAD_PEM])
    async def test_damaged_authorities(self, begin: Start, pki: Pki, content: bytes) -> None:
        pki.root_file.write_bytes(content)
        with pytest.raises(SettingsError, match="holds no certificate that can be read"):
            await begin()

    @pytest.mark.parametrize("content", [b"", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"])
    async def test_damaged_revocations(self, begin: Start, pki: Pki, tmp_path: Path, content: bytes) -> None:
        crl = tmp_path / "crl.pem"
        crl.write_bytes(content)
        with pytest.raises(SettingsError, match="revocation list"):
            await begin(pki.settings(crl=str(crl)))

    async def test_tls_alone(self, begin: Start, pki: Pki) -> None:
        device = await begin(listen=ListenSettings(ssh=False), users=())
        assert [what for what, _, _ in device.endpoints.served()] == ["NETCONF over TLS"]
        async with session(device, pki.context(pki.anna)) as client:
            assert (await client.get_config()).data is not None

    async def test_the_port_is_in_use(self, begin: Start, pki: Pki, start: Start) -> None:
        first = await begin()
        with pytest.raises(SettingsError, match="cannot listen for TLS") as caught:
            await start("second", tls=pki.settings(port=first.endpoints.tls_port))
        assert "another program" in caught.value.hint

    async def test_an_expired_certificate_of_ours_is_warned_of(
        self, begin: Start, pki: Pki, caplog: pytest.LogCaptureFixture
    ) -> None:
        pki.root.issue(common_name="server", usage=None, valid=(-2 * DAY, -DAY)).write(pki.folder, "server")
        await begin()
        assert "clients will refuse it" in caplog.text


class TestSilence:
    async def test_silent_connections_delay_nobody(self, begin: Start, pki: Pki) -> None:
        device = await begin()
        port = device.endpoints.tls_port
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        silent[0][1].write(b"\x16\x03\x01")
        async with asyncio.timeout(5), session(device, pki.context(pki.anna)) as client:
            await client.get_config()
        for _, writer in silent:
            writer.close()
            await writer.wait_closed()

    async def test_too_slow(self, begin: Start, caplog: pytest.LogCaptureFixture) -> None:
        device = await begin(limits=LimitSettings(login_timeout=0.2))
        reader, writer = await asyncio.open_connection("127.0.0.1", device.endpoints.tls_port)
        writer.write(b"\x16\x03\x01\x02\x00")  # the start of a ClientHello
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        assert device.endpoints.admission.connections == 0

    async def test_the_oldest_silent_connection_makes_way(self, begin: Start, pki: Pki) -> None:
        device = await begin(limits=LimitSettings(max_unauthenticated=3))
        port = device.endpoints.tls_port
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        async with session(device, pki.context(pki.anna)) as client:
            await client.get_config()
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(silent[0][0].read(), 10) == b""
            assert not silent[1][0].at_eof()
        for _, writer in silent:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def test_no_tls_at_all(self, begin: Start, caplog: pytest.LogCaptureFixture) -> None:
        device = await begin()
        reader, writer = await asyncio.open_connection("127.0.0.1", device.endpoints.tls_port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        assert "the handshake failed: http request" in caplog.text

    async def test_no_hello(self, begin: Start, pki: Pki) -> None:
        device = await begin(limits=LimitSettings(hello_timeout=0.2))
        async with session(device, pki.context(pki.anna), say_hello=False) as client:
            client.send_bytes(b"<hello")
            await client.ended()

    async def test_fifty_clients_at_once(self, begin: Start, pki: Pki) -> None:
        device = await begin()
        context = pki.context(pki.anna)

        async def one() -> None:
            async with session(device, context) as client:
                assert (await client.rpc("<close-session/>")).ok

        async with asyncio.timeout(60):
            await asyncio.gather(*(one() for _ in range(50)))
        assert device.registry.in_sessions == 50


class TestLimits:
    async def test_sessions_of_all_transports_count_together(
        self, begin: Start, pki: Pki, caplog: pytest.LogCaptureFixture
    ) -> None:
        device = await begin(limits=LimitSettings(max_sessions=2))
        ssh = await Client.connect(device.port)
        async with session(device, pki.context(pki.anna)):
            await refused(device, pki.context(pki.anna))
            assert "the limit of 2 sessions is reached" in caplog.text
            await ssh.aclose()
            await asyncio.sleep(0)
            async with asyncio.timeout(LIMIT):
                while device.endpoints.admission.sessions > 1:  # noqa: ASYNC110  # the server sees the end a little later
                    await asyncio.sleep(0.01)
            async with session(device, pki.context(pki.anna)) as client:
                assert (await client.get_config()).data is not None

    async def test_one_user_leaves_room_for_others(self, begin: Start, pki: Pki) -> None:
        device = await begin(limits=LimitSettings(max_sessions_per_user=1))
        bob = pki.root.issue(common_name="bob")
        anna, bobs = pki.context(pki.anna), pki.context(bob)
        async with session(device, anna), session(device, bobs):
            await refused(device, anna)


class TestLeaving:
    @pytest.mark.parametrize("sent", [b"", b"<hello", b"\n#100\n<rpc", b"\n#"])
    @pytest.mark.parametrize("how", ["reset", "fin", "notify"])
    async def test_a_client_that_vanishes(self, begin: Start, pki: Pki, sent: bytes, how: str) -> None:
        device = await begin()
        client = await Client.connect_tls(device.endpoints.tls_port, pki.context(pki.anna), say_hello=sent[:1] != b"<")
        client.send_bytes(sent)
        transport = client.connection.stdin.transport
        if how == "notify":
            transport.close()
        else:
            sock: Any = transport.get_extra_info("socket")
            if how == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        async with asyncio.timeout(LIMIT):
            while device.endpoints.admission.connections:  # noqa: ASYNC110  # the server sees the end a little later
                await asyncio.sleep(0.01)
        assert device.endpoints.admission.sessions == 0

    async def test_the_server_says_that_it_closes(self, begin: Start, pki: Pki) -> None:
        """RFC 7589 section 4: a close_notify, which Python's blocking socket reports as an ordinary end."""
        device = await begin()
        context = pki.context(pki.anna)
        port = device.endpoints.tls_port

        def talk() -> bytes:
            raw = socket.create_connection(("127.0.0.1", port), timeout=20)
            with context.wrap_socket(raw, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as wrapped:
                wrapped.sendall(
                    b'<hello xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><capabilities><capability>'
                    b"urn:ietf:params:netconf:base:1.0</capability></capabilities></hello>]]>]]>"
                    b'<rpc message-id="1" xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><close-session/></rpc>]]>]]>'
                    b'<rpc message-id="2" xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><get/></rpc>]]>]]>'
                )
                got = b""
                while piece := wrapped.recv(4096):
                    got += piece
                return got

        got = await asyncio.to_thread(talk)
        assert b'message-id="1"><ok/>' in got
        assert b'message-id="2"' not in got  # nothing after close-session is processed


class TestBackPressure:
    async def test_a_client_that_does_not_read_holds_only_itself(self, begin: Start, pki: Pki) -> None:
        device = await begin()
        async with session(device, pki.context(pki.anna)) as stuck, session(device, pki.context(pki.anna)) as brisk:
            names = "".join(f"<network-instance><name>i-{n:05}</name></network-instance>" for n in range(20000))
            space = "urn:ietf:params:xml:ns:yang:ietf-network-instance"
            assert (await brisk.edit(f'<network-instances xmlns="{space}">{names}</network-instances>', "running")).ok
            stuck.connection.stdin.transport.pause_reading()
            for _ in range(100):
                stuck.send("<get-config><source><running/></source></get-config>")
            for _ in range(20):
                assert (await brisk.rpc("<lock><target><running/></target></lock>")).ok
                assert (await brisk.rpc("<unlock><target><running/></target></unlock>")).ok
            handled = {row["session-id"]: row["in-rpcs"] for row in device.registry.describe()}
            assert handled[stuck.session_id] < 50  # the rest waits unasked at the client
            stuck.connection.stdin.transport.resume_reading()
            for _ in range(100):
                assert (await stuck.receive()).data is not None

    async def test_unread_replies_end_the_session(
        self, begin: Start, pki: Pki, caplog: pytest.LogCaptureFixture
    ) -> None:
        device = await begin(limits=LimitSettings(unread_timeout=0.3))
        async with session(device, pki.context(pki.anna)) as client:
            names = "".join(f"<network-instance><name>i-{n:05}</name></network-instance>" for n in range(20000))
            space = "urn:ietf:params:xml:ns:yang:ietf-network-instance"
            await client.edit(f'<network-instances xmlns="{space}">{names}</network-instances>', "running")
            [open_] = device.registry
            client.connection.stdin.transport.pause_reading()
            with caplog.at_level(logging.INFO):
                for _ in range(100):
                    client.send("<get-config><source><running/></source></get-config>")
                await asyncio.wait_for(open_.wait_over(), LIMIT)
            assert "taken nothing of what waits for it for 0.3 s" in caplog.text
            client.abort()


class TestStop:
    async def test_open_sessions_end_at_once(self, begin: Start, pki: Pki) -> None:
        device = await begin()
        async with session(device, pki.context(pki.anna)) as client:
            await client.get_config()
            silent = await asyncio.open_connection("127.0.0.1", device.endpoints.tls_port)
            await device.aclose()
            await client.ended()
            silent[1].close()
            with contextlib.suppress(ConnectionError):
                await silent[1].wait_closed()


class TestNcclient:
    """An implementation that is not ours."""

    def test_connect_tls(self, agent_thread: Callable[..., Device], tmp_path: Path) -> None:
        pki = Pki(tmp_path)
        device = agent_thread(tls=pki.settings())
        certificate, key = pki.anna.write(tmp_path, "client")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            from ncclient import manager  # noqa: PLC0415 - imported where its warnings are caught

            with manager.connect_tls(
                host="127.0.0.1",
                port=device.endpoints.tls_port,
                certfile=str(certificate),
                keyfile=str(key),
                ca_certs=str(pki.root_file),
                protocol=ssl.PROTOCOL_TLS_CLIENT,
            ) as netconf:
                assert "urn:ietf:params:netconf:base:1.1" in netconf.server_capabilities
                data = etree.fromstring(netconf.get(("subtree", SESSIONS)).data_xml.encode())
                assert data.findtext(f".//{{{MONITORING}}}username") == "anna"
                assert netconf.get_config("running").data is not None
