# ruff: noqa: ASYNC240  # nothing else runs on this event loop while servers are started
"""The servers that are measured, each a process of its own on 127.0.0.1: echo, agent, and the peers that are installed.

Peers are other people's NETCONF servers, as the package registries have them; ``make bench-peers`` installs them.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from benchmarks import workload
from benchmarks.asyncclient import BenchSession, connect
from benchmarks.echo_server import PASSWORD

__all__ = ["AGENT_CIPHER", "HERE", "USER", "Login", "Server", "agent", "echo", "netconf_package", "netconfd", "ok"]

HERE = Path(__file__).resolve().parent
USER = "bench"
START_TIMEOUT = 60.0

PEERS_ENVIRONMENT = HERE / "peers" / ".venv"
"""Where ``benchmarks/peers/install.sh`` puts the PyPI package ``netconf``."""

AGENT_CIPHER = "aes256-gcm@openssh.com"
"""What the bench's client and the agent agree on; with the echo server it is chacha20-poly1305."""

SSHD = "/usr/sbin/sshd"


@dataclass(frozen=True, slots=True)
class Login:
    """The client's key, made for one run, and the file that servers read it from."""

    key: asyncssh.SSHKey
    keys_file: Path

    @classmethod
    def make(cls, folder: Path) -> Login:
        """A new key in ``folder``."""
        key = asyncssh.generate_private_key("ssh-ed25519")
        file = folder / "authorized_keys"
        file.write_bytes(key.export_public_key())
        return cls(key, file)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it listens, whose memory counts, and how to log in."""

    name: str
    port: int
    pid: int
    login: Login
    user: str = USER
    password: str | None = None

    async def session(self) -> BenchSession:
        """A new connection with one session."""
        keys = None if self.password is not None else [self.login.key]
        return await connect(self.port, username=self.user, password=self.password, client_keys=keys)

    @property
    def resident(self) -> float:
        """MB resident (VmRSS), as PEERS.md counts memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024

    @property
    def processor_time(self) -> float:
        """Seconds that the process's first thread has run, in which a server of ours does everything."""
        ran, *_ = Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text().split()
        return int(ran) / 1e9


async def ok(session: BenchSession, operation: bytes) -> bytes:
    """An rpc that must not fail."""
    reply = await session.rpc(operation)
    if b"rpc-error>" in reply:
        raise RuntimeError(reply.decode())
    return reply


@asynccontextmanager
async def _process(*command: str, pattern: str, cwd: Path) -> AsyncIterator[tuple[int, int]]:
    """A server process; gives its pid and the port that its ready line names, and ends it."""
    running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=cwd)
    assert running.stdout is not None
    try:
        line = (await asyncio.wait_for(running.stdout.readline(), START_TIMEOUT)).decode()
        match = re.search(pattern, line)
        if match is None:
            raise RuntimeError(f"{command[0]} did not start: {line!r}")
        yield running.pid, int(match[1])
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()


@asynccontextmanager
async def echo(login: Login, *, cipher: str | None = None) -> AsyncIterator[Server]:
    """The floor: an asyncssh subsystem that sends each message back; with asyncssh's own ciphers or with one."""
    chosen = () if cipher is None else ("--cipher", cipher)
    command = (sys.executable, "-m", "benchmarks.echo_server", "--authorized-keys", str(login.keys_file), *chosen)
    async with _process(*command, pattern=r"port (\d+)", cwd=HERE.parent) as (pid, port):
        yield Server("echo", port, pid, login)


@asynccontextmanager
async def agent(
    folder: Path, login: Login, *options: str, name: str = "mlag-agent", checkout: Path | None = None
) -> AsyncIterator[Server]:
    """An agent with the bench module, on a state folder of its own; of another checkout if one is given."""
    command = [
        sys.executable, "-m", "mlag_agent.cli", "serve", "--port", "0", "--state", str(folder / "state"),
        "--rendezvous", str(folder / "rendezvous"), "--user", USER, "--authorized-keys", str(login.keys_file),
        "--yang-dir", str(HERE / "yang"), "--module", "bench-entries", *options,
    ]  # fmt: skip
    if checkout is not None:
        command = ["env", f"PYTHONPATH={checkout}/agent:{checkout}/client", *command]
    async with _process(*command, pattern=r"port (\d+)", cwd=checkout or HERE.parent) as (pid, port):
        yield Server(name, port, pid, login)


# --- peers --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def netconf_package(login: Login) -> AsyncIterator[Server | None]:
    """The PyPI package ``netconf`` with a constant reply; None where it is not installed."""
    python = PEERS_ENVIRONMENT / "bin" / "python"
    if not python.exists():
        yield None
        return
    reply = login.keys_file.with_name("constant.xml")
    reply.write_bytes(workload.entries(workload.SMALL_ENTRIES))
    script = HERE / "peers" / "netconf_package_server.py"
    command = (str(python), str(script), USER, PASSWORD, str(reply))
    async with _process(*command, pattern=r"port (\d+)", cwd=HERE.parent) as (pid, port):
        yield Server("netconf (PyPI)", port, pid, login, password=PASSWORD)


@asynccontextmanager
async def netconfd(folder: Path, login: Login) -> AsyncIterator[Server | None]:
    """Yuma123's ``netconfd`` behind an ``sshd`` of its own, as Debian packages both; None where they are missing.

    Nothing of the system is used or changed: configuration, keys and sockets are in ``folder``.
    """
    if shutil.which("netconfd") is None or not Path(SSHD).exists():
        yield None
        return
    (folder / ".yuma").mkdir(parents=True, exist_ok=True)
    user = pwd.getpwuid(os.getuid()).pw_name
    port = _free_port()
    unix = folder / "ncx.sock"
    sshd = await _sshd(folder, login, port, f"/usr/sbin/netconf-subsystem --ncxserver-sockname={port}@{unix}")
    server = await asyncio.create_subprocess_exec(
        "netconfd", f"--ncxserver-sockname={unix}", f"--port={port}", f"--superuser={user}", "--access-control=off",
        f"--modpath={HERE / 'yang'}:/usr/share/yuma/modules", "--module=bench-entries", "--no-startup",
        "--log-level=error", f"--log={folder / 'netconfd.log'}", "--max-sessions=200",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, env=os.environ | {"HOME": str(folder)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(START_TIMEOUT):
            while not unix.exists():  # another program's socket: no event says so
                if server.returncode is not None:
                    raise RuntimeError(f"netconfd ended: {(folder / 'netconfd.log').read_text()}")
                await asyncio.sleep(0.05)
        yield Server("Yuma123", port, server.pid, login, user=user)
    finally:
        for running in (server, sshd):
            if running.returncode is None:
                running.terminate()
            await running.wait()


async def _sshd(folder: Path, login: Login, port: int, subsystem: str) -> asyncio.subprocess.Process:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(folder / "host_key")
    (folder / "host_key").chmod(0o600)
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host_key'}\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {login.keys_file}\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\n"
        f"UseDNS no\nMaxStartups 200\nMaxSessions 200\nLogLevel ERROR\nSubsystem netconf {subsystem}\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's own privilege separation asks for it
    sshd = await asyncio.create_subprocess_exec(SSHD, "-D", "-E", str(folder / "sshd.log"), "-f", str(config))
    async with asyncio.timeout(START_TIMEOUT):
        while not await _listens(port):  # another program's socket: no event says so
            if sshd.returncode is not None:
                raise RuntimeError(f"sshd ended: {(folder / 'sshd.log').read_text()}")
            await asyncio.sleep(0.05)
    return sshd


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


def _free_port() -> int:
    """sshd cannot be given port 0: one that is free now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
