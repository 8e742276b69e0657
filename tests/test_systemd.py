"""What systemd asks of a service: messages, sockets, unit files, and life without privileges on a read-only root."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import HASH
from mlag_agent.errors import SettingsError
from mlag_agent.systemd import Notifier, activated_sockets
from netconf_client import LIMIT, USER, Client, vpn

UNITS = Path(__file__).parents[1] / "examples" / "systemd"
SETTINGS = """
state = "{folder}/state"
listen.port = 0
fabric.rendezvous = "{folder}/rendezvous"

[[users]]
name = "{user}"
password-hash = "{hash}"
"""


def write_settings(folder: Path) -> Path:
    file = folder / "settings.toml"
    file.write_text(SETTINGS.format(folder=folder, user=USER, hash=HASH))
    return file


@dataclass
class Manager:
    """systemd's end of the notification socket."""

    sock: socket.socket
    address: str

    async def message(self) -> str:
        async with asyncio.timeout(LIMIT):
            return (await asyncio.get_running_loop().sock_recv(self.sock, 4096)).decode()


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        address = str(tmp_path / "notify")
        sock.bind(address)
        sock.setblocking(False)
        yield Manager(sock, address)


class TestNotifier:
    async def test_ready_alive_stopping(self, manager: Manager) -> None:
        environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": str(os.getpid())}
        notifier = Notifier(environment)
        assert environment == {}
        async with notifier.serving("all is well"):
            assert await manager.message() == "READY=1\nSTATUS=all is well"
            for _ in range(3):
                assert await manager.message() == "WATCHDOG=1"
        while (last := await manager.message()) == "WATCHDOG=1":
            pass
        assert last.startswith("STOPPING=1")

    async def test_abstract_socket(self) -> None:
        name = f"mlag-agent-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind("\0" + name)
            sock.settimeout(LIMIT)
            Notifier({"NOTIFY_SOCKET": "@" + name}).send("READY=1")
            assert sock.recv(100) == b"READY=1"

    @pytest.mark.parametrize(
        ("environment", "interval"),
        [
            ({}, None),
            ({"WATCHDOG_USEC": "30000000"}, 15.0),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),  # meant for another process
            ({"WATCHDOG_USEC": "x"}, None),
            ({"WATCHDOG_USEC": "0"}, None),
        ],
    )
    def test_watchdog(self, environment: dict[str, str], interval: float | None) -> None:
        assert Notifier(environment).watchdog_interval == interval

    async def test_nobody_listens(self, tmp_path: Path) -> None:
        for address in ("", str(tmp_path / "nobody")):
            async with Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000"}).serving("x"):
                await asyncio.sleep(0)


class TestActivation:
    def test_none(self) -> None:
        assert activated_sockets({}) == {}
        assert activated_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == {}

    def test_several_need_names(self) -> None:
        environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:x"}
        with pytest.raises(SettingsError, match="a socket named 'web'"):
            activated_sockets(environment)


def with_socket(program: list[str], name: str) -> list[str]:
    """``program`` as systemd starts it: the listening socket on standard input becomes descriptor 3."""
    script = 'exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES="$0"; exec "$@"'
    return ["sh", "-c", script, name, *program]


SERVE = [sys.executable, "-m", "mlag_agent.cli", "serve", "--settings"]


class TestProcess:
    async def test_a_whole_life(self, tmp_path: Path, manager: Manager) -> None:
        environment = os.environ | {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"}
        process = await asyncio.create_subprocess_exec(
            *SERVE, str(write_settings(tmp_path)), env=environment, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert (await manager.message()).startswith("READY=1")
        ready = (await asyncio.wait_for(process.stdout.readline(), LIMIT)).decode()
        client = await Client.connect(int(ready.rpartition(" ")[2]))
        assert (await client.get_config()).data is not None
        assert await manager.message() == "WATCHDOG=1"
        process.terminate()
        while (last := await manager.message()) == "WATCHDOG=1":
            pass
        assert last.startswith("STOPPING=1")
        await client.ended()
        assert await asyncio.wait_for(process.wait(), LIMIT) == 0
        await client.aclose()

    @pytest.mark.parametrize("name", ["ssh", "mlag-agent.socket"])
    async def test_a_socket_that_is_open_already(self, tmp_path: Path, name: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]
            # A client may come before the agent: the kernel keeps it.
            early = asyncio.create_task(Client.connect(port))
            process = await asyncio.create_subprocess_exec(
                *with_socket([*SERVE, str(write_settings(tmp_path))], name),
                stdin=sock.fileno(),
                stdout=asyncio.subprocess.PIPE,
            )
        assert process.stdout is not None
        ready = (await asyncio.wait_for(process.stdout.readline(), LIMIT)).decode()
        assert ready.endswith(f"serves NETCONF on 127.0.0.1 port {port}\n")
        client = await asyncio.wait_for(early, LIMIT)
        assert (await client.get_config()).data is not None
        await client.aclose()
        process.terminate()
        assert await asyncio.wait_for(process.wait(), LIMIT) == 0

    async def test_a_socket_that_does_not_listen(self, tmp_path: Path) -> None:
        with socket.socket() as sock:
            process = await asyncio.create_subprocess_exec(
                *with_socket([*SERVE, str(write_settings(tmp_path))], "ssh"),
                stdin=sock.fileno(),
                stderr=asyncio.subprocess.PIPE,
            )
            _, error = await asyncio.wait_for(process.communicate(), LIMIT)
        assert process.returncode == 2
        assert b"does not listen" in error


def can_unshare() -> bool:
    return (
        os.geteuid() == 0 and not subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode
    )


READ_ONLY_ROOT = """
set -e
mount --make-rprivate /
# Python itself may lie where only root can go.
if [ -n "$HIDDEN" ]; then
    mkdir "$FOLDER/python" && mount --bind "$PYTHON" "$FOLDER/python"
    mount -t tmpfs -o mode=0755 tmpfs "$HIDDEN" && mkdir -p "$PYTHON" && mount --bind "$FOLDER/python" "$PYTHON"
fi
mount -t tmpfs -o mode=0700,uid=65534,gid=65534 tmpfs "$FOLDER/state"
mount -o remount,ro,bind /
exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""


@pytest.mark.skipif(
    not (shutil.which("unshare") and shutil.which("setpriv") and can_unshare()), reason="needs root and namespaces"
)
async def test_an_ordinary_user_on_a_read_only_root(tmp_path: Path) -> None:
    """As the unit file has it: user nobody, no capability, one folder to write in."""
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if str(folder).startswith("/tmp/pytest"):
            folder.chmod(0o755)
    (tmp_path / "state").mkdir()
    settings = write_settings(tmp_path)
    settings.write_text(settings.read_text().replace("/rendezvous", "/state/rendezvous"))
    python = Path(sys.base_prefix)
    hidden = next((str(part) for part in reversed(python.parents) if not part.stat().st_mode & 0o001), "")
    environment = os.environ | {"FOLDER": str(tmp_path), "PYTHON": str(python), "HIDDEN": hidden, "HOME": "/"}
    environment["TMPDIR"] = str(tmp_path / "state")  # PrivateTmp= of the unit: asyncssh wants one when it is loaded
    process = await asyncio.create_subprocess_exec(
        *("unshare", "-m", "sh", "-c", READ_ONLY_ROOT, "sh", *SERVE, str(settings)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        ready = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        client = await Client.connect(int(ready.rpartition(" ")[2]))
        status = Path(f"/proc/{process.pid}/status").read_text()  # noqa: ASYNC240  # no file that one waits for
        assert re.search(r"^Uid:\s+65534\s+65534", status, re.M)
        assert re.search(r"^CapEff:\s+0+$", status, re.M)
        assert (await client.edit(vpn("red"), "running")).ok
        assert (await client.get_config()).leafs("name") == ["red"]
        await client.aclose()
    finally:
        process.terminate()
    assert await asyncio.wait_for(process.wait(), LIMIT) == 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
class TestUnits:
    @pytest.fixture
    def units(self, tmp_path: Path) -> list[str]:
        """Copies whose program exists."""
        for unit in UNITS.glob("mlag-agent.*"):
            text = unit.read_text().replace("/opt/mlag-agent/bin/mlag-agent", "/bin/true")
            (tmp_path / unit.name).write_text(text)
        return [str(path) for path in sorted(tmp_path.glob("mlag-agent.*"))]

    def test_verify(self, units: list[str]) -> None:
        assert len(units) == 2
        found = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *units], check=False, capture_output=True, text=True
        )
        assert (found.returncode, [line for line in found.stderr.splitlines() if "mlag-agent" in line]) == (0, [])

    def test_security(self, units: list[str]) -> None:
        service = next(path for path in units if path.endswith(".service"))
        found = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", service],
            check=False,
            capture_output=True,
            text=True,
        )
        if "offline" in found.stderr:
            pytest.skip("systemd is too old to look at a file")
        assert found.returncode == 0, found.stdout
