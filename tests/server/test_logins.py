"""Logins over real sockets: certificates of users, delays after failures, and what the audit log says of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from conftest import HASH, MakeSettings, Start
from mlag_agent.app import Device
from mlag_agent.config import AccessSettings, UserSettings
from mlag_agent.wire import messages
from mlag_agent.wire.capabilities import BASE_1_0
from mlag_agent.wire.framing import Framing, encode
from netconf_client import LIMIT, PASSWORD, Client

CA = asyncssh.generate_private_key("ssh-ed25519", comment="our CA")
KEY = asyncssh.generate_private_key("ssh-ed25519")

Login = Callable[..., Awaitable[bool]]


def certificate(*principals: str, ca: asyncssh.SSHKey = CA, **options: Any) -> asyncssh.SSHCertificate:
    return ca.generate_user_certificate(KEY, "test", principals=principals, **options)


@pytest.fixture
async def device(start: Start, make_settings: MakeSettings, tmp_path: Path) -> Device:
    (tmp_path / "ca.pub").write_bytes(CA.export_public_key())
    users = (
        UserSettings(name="anna", password_hash=HASH),
        UserSettings(name="clara", principals=("ops", "net"), level=1),
    )
    access = AccessSettings(user_ca_keys=str(tmp_path / "ca.pub"), login_delay=0.05)
    return await start(settings=make_settings(users=users, access=access))


@pytest.fixture
def login(device: Device) -> Login:
    """Whether a client with this certificate gets a NETCONF session as ``name``."""

    async def attempt(name: str, cert: asyncssh.SSHCertificate | None) -> bool:
        keys: Any = [(KEY, cert)] if cert is not None else [KEY]
        try:
            async with asyncssh.connect(
                "127.0.0.1", device.port, username=name, client_keys=keys, known_hosts=None, agent_path=None,
                config=None, gss_host=None, preferred_auth="publickey",
            ) as connection:  # fmt: skip
                process = await connection.create_process(subsystem="netconf", encoding=None)
                hello = await process.stdout.readuntil(b"]]>]]>")
                return b"session-id" in hello
        except (asyncssh.PermissionDenied, asyncssh.DisconnectError, asyncssh.ChannelOpenError, ConnectionError):
            return False

    return attempt


def audited(device: Device) -> list[dict[str, Any]]:
    file = Path(device.settings.state) / "audit.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


class TestCertificates:
    """OpenSSH's certificates (PROTOCOL.certkeys)."""

    async def test_one_of_a_trusted_authority(self, login: Login) -> None:
        assert await login("anna", certificate("anna"))
        assert await login("anna", certificate("berta", "anna"))
        assert await login("clara", certificate("ops"))

    @pytest.mark.parametrize(
        ("name", "principals"), [("anna", ["clara"]), ("clara", ["clara"]), ("anna", []), ("nobody", ["nobody"])]
    )
    async def test_principals(self, login: Login, name: str, principals: list[str]) -> None:
        """The user must be named: a certificate without principals is nobody's, as with TrustedUserCAKeys."""
        assert not await login(name, certificate(*principals))

    async def test_one_of_another_authority(self, login: Login) -> None:
        assert not await login("anna", certificate("anna", ca=asyncssh.generate_private_key("ssh-ed25519")))

    async def test_the_bare_key(self, login: Login) -> None:
        assert not await login("anna", None)

    async def test_validity(self, login: Login) -> None:
        now, hour = datetime.now(UTC), timedelta(hours=1)
        assert await login("anna", certificate("anna", valid_after=now - hour, valid_before=now + hour))
        assert not await login("anna", certificate("anna", valid_after=now - 2 * hour, valid_before=now - hour))
        assert not await login("anna", certificate("anna", valid_after=now + hour, valid_before=now + 2 * hour))

    async def test_source_address(self, login: Login) -> None:
        assert await login("anna", certificate("anna", source_address=["127.0.0.0/8"]))
        assert not await login("anna", certificate("anna", source_address=["192.0.2.0/24"]))

    async def test_force_command_is_refused(self, login: Login, device: Device) -> None:
        assert not await login("anna", certificate("anna", force_command="/bin/true"))
        assert audited(device)[-1]["method"] == "certificate with force-command"

    async def test_a_host_certificate_is_none_of_a_user(self, login: Login) -> None:
        assert not await login("anna", CA.generate_host_certificate(KEY, "host", principals=["anna"]))

    async def test_a_user_of_a_certificate_has_his_level(self, device: Device) -> None:
        async with asyncssh.connect(
            "127.0.0.1", device.port, username="clara", client_keys=[(KEY, certificate("net"))], known_hosts=None,
            agent_path=None, config=None, gss_host=None,
        ) as connection:  # fmt: skip
            process = await connection.create_process(subsystem="netconf", encoding=None)
            client = Client(process, connection)
            await client.receive_bytes()
            client.send_bytes(encode(messages.hello((BASE_1_0,)), Framing.END_OF_MESSAGE))
            assert (await client.rpc("<discard-changes/>")).error.tag == "access-denied"


class TestFailures:
    async def test_they_are_delayed_and_logged(self, device: Device, caplog: pytest.LogCaptureFixture) -> None:
        """That attempts take turns is shown in tests/access/test_logins.py; here, that logins go through it."""
        waits: list[float | None] = []
        wait = device.users.delays.wait

        def record(now: float, source: str, user: str) -> float | None:
            waits.append(wait(now, source, user))
            return waits[-1]

        device.users.delays.wait = record  # type: ignore[method-assign]
        for _ in range(3):
            with pytest.raises(asyncssh.PermissionDenied):
                await Client.connect(device.port, password="guess")
        client = await Client.connect(device.port)
        await client.aclose()
        assert waits[0] == 0.0
        assert all(later is not None and later > 0.0 for later in waits[1:])
        assert "wrong password for 'anna' from 127.0.0.1" in caplog.text
        failures = [line for line in audited(device) if line["event"] == "login-failed"]
        assert len(failures) == 3
        assert failures[0]["user"] == "anna"
        assert failures[0]["source"] == "127.0.0.1"
        assert failures[0]["method"] == "password"
        for text in (caplog.text, json.dumps(audited(device))):
            assert "guess" not in text
            assert PASSWORD not in text

    async def test_a_key_that_nobody_knows(self, device: Device, login: Login) -> None:
        said = asyncio.Event()
        failed = device.users.failed

        def note(*words: str) -> None:
            failed(*words)
            said.set()

        device.users.failed = note  # type: ignore[method-assign]
        assert not await login("anna", None)
        async with asyncio.timeout(LIMIT):
            await said.wait()
        assert [line["method"] for line in audited(device) if line["event"] == "login-failed"] == ["publickey"]
