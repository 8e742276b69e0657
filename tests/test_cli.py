"""The command ``mlag-agent`` as a process: what it prints, how it ends, what its exit codes are."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest

from mlag_agent import __version__
from mlag_agent.access.users import hash_password
from mlag_agent.cli import main
from netconf_client import LIMIT, PASSWORD, USER, Client, channel, group


@dataclass
class Command:
    """A running ``mlag-agent``."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)

    async def line(self, pattern: str) -> re.Match[str]:
        """The next line of its output that matches."""
        assert self.process.stdout is not None
        async with asyncio.timeout(LIMIT):
            while text := (await self.process.stdout.readline()).decode():
                self.lines.append(text)
                if found := re.search(pattern, text):
                    return found
        assert self.process.stderr is not None
        raise AssertionError(f"it ended without {pattern}: {self.lines} {await self.process.stderr.read()!r}")

    async def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Exit code and standard error after a signal."""
        self.process.send_signal(number)
        _, errors = await asyncio.wait_for(self.process.communicate(), LIMIT)
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()


Run = Callable[..., Awaitable[Command]]


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    """Starts the command in a folder of its own; what still runs after the test is killed."""
    running: list[Command] = []

    async def begin(*arguments: str, password: str | None = PASSWORD, **variables: str) -> Command:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MLAG_")} | variables
        if password is not None:
            environment["MLAG_AGENT_PASSWORD"] = password
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-m", "mlag_agent.cli", *arguments, cwd=tmp_path, env=environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        running.append(Command(process))
        return running[-1]

    yield begin
    for command in running:
        if command.process.returncode is None:
            command.process.kill()
            await command.process.communicate()


Fails = Callable[..., tuple[int, str]]


@pytest.fixture
def fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fails:
    """Runs the command in this process, for it is to end by itself: exit code and standard error."""
    monkeypatch.chdir(tmp_path)

    def begin(*arguments: str, password: str | None = PASSWORD) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["mlag-agent", *arguments])
        monkeypatch.delenv("MLAG_AGENT_PASSWORD", raising=False)
        if password is not None:
            monkeypatch.setenv("MLAG_AGENT_PASSWORD", password)
        with pytest.raises(SystemExit) as ended:
            main()
        out, errors = capsys.readouterr()
        assert out == ""
        assert isinstance(ended.value.code, int)
        return ended.value.code, errors

    return begin


SERVE = ("serve", "--port", "0", "--rendezvous", "meet")


class TestServe:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_ready_serve_stop(self, run: Run, number: signal.Signals) -> None:
        command = await run(*SERVE, "--user", USER, "--name", "left")
        ready = await command.line(r"^ready: left serves NETCONF on 127\.0\.0\.1 port (\d+)$")
        session = await Client.connect(int(ready[1]))
        assert (await session.edit(group(channel()), "running")).ok
        code, errors = await command.end(number)
        assert (code, errors) == (0, "")
        await session.ended()
        await session.aclose()

    @pytest.mark.parametrize(
        ("options", "code"),
        [((), "ok"), (("--level", "1"), "access-denied"), (("--level", "1", "--no-nacm"), "ok")],
    )
    async def test_level_of_the_user_and_the_flag(self, run: Run, options: tuple[str, ...], code: str) -> None:
        command = await run(*SERVE, "--user", USER, *options)
        session = await Client.connect(int((await command.line(r"port (\d+)"))[1]))
        reply = await session.edit(group(channel()), "running")
        assert ("ok" if reply.ok else reply.error.tag) == code
        await session.aclose()
        assert (await command.end())[0] == 0

    async def test_users_are_read_again(self, run: Run, tmp_path: Path) -> None:
        """On SIGHUP: a new level counts for an open session, a new user can log in, a wrong file changes nothing."""
        file = tmp_path / "settings.toml"
        text = f'[[users]]\nname = "{USER}"\npassword-hash = "{hash_password(PASSWORD)}"\nlevel = {{}}\n'
        file.write_text(text.format(3))
        command = await run("-v", *SERVE, "--settings", str(file))
        assert command.process.stderr is not None
        port = int((await command.line(r"port (\d+)"))[1])
        session = await Client.connect(port)
        assert (await session.edit(group(channel()), "running")).ok

        async def reread(content: str) -> None:
            file.write_text(content)
            command.process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(LIMIT):
                while b"the users" not in await command.process.stderr.readline():  # type: ignore[union-attr]
                    pass

        other = text.format(3).replace(USER, "berta")
        await reread(text.format(1) + other)
        assert (await session.edit(group(channel()), "running")).error.tag == "access-denied"
        second = await Client.connect(port, username="berta")
        await reread("[[users]]\nname = 7\n")
        assert (await second.edit(group(channel()), "running")).ok
        await reread(other)
        with pytest.raises(asyncssh.PermissionDenied):
            await Client.connect(port)
        for client in (session, second):
            await client.aclose()
        assert (await command.end())[0] == 0

    def test_a_level_without_a_user(self, fails: Fails) -> None:
        assert fails(*SERVE, "--level", "1") == (2, "mlag-agent: --level needs --user NAME\n")

    async def test_restart(self, run: Run) -> None:
        for expected in (None, "2048"):
            command = await run(*SERVE, "--user", USER, "--state", "kept")
            session = await Client.connect(int((await command.line(r"port (\d+)"))[1]))
            assert (await session.get_config()).leaf("tcp-port") == expected
            assert (await session.edit(group(channel()), "running")).ok
            await session.aclose()
            assert await command.end() == (0, "")

    async def test_killed_at_any_time(self, run: Run) -> None:
        """What was acknowledged is there after a kill -9."""
        command = await run(*SERVE, "--user", USER, "--state", "kept")
        session = await Client.connect(int((await command.line(r"port (\d+)"))[1]))
        assert (await session.edit(group(channel()), "running")).ok
        await command.end(signal.SIGKILL)
        session.abort()
        command = await run(*SERVE, "--user", USER, "--state", "kept")
        session = await Client.connect(int((await command.line(r"port (\d+)"))[1]))
        assert (await session.get_config()).leaf("tcp-port") == "2048"
        await session.aclose()

    async def test_verbose_log(self, run: Run) -> None:
        command = await run("-v", *SERVE, "--user", USER)
        session = await Client.connect(int((await command.line(r"port (\d+)"))[1]))
        await session.get()
        await session.aclose()
        code, errors = await command.end()
        assert code == 0
        assert f"{USER}@127.0.0.1" in errors
        assert PASSWORD not in errors

    async def test_strict(self, run: Run) -> None:
        command = await run(*SERVE, "--user", USER, "--strict")
        session = await Client.connect(int((await command.line(r"port (\d+)"))[1]))
        session.send_message('<rpc message-id="1"><get/></rpc>')
        assert (await session.receive()).error.tag == "unknown-namespace"
        await session.aclose()


class TestSettings:
    async def test_options_over_file(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "agent.toml").write_text(
            f'state = "from-file"\nstartup = true\n[device]\nname = "from-file"\nmodel = "CE6885-LL:low-latency"\n'
            f'[listen]\nport = 1\n[fabric]\nrendezvous = "meet"\n'
            f"[[users]]\nname = \"{USER}\"\npassword-hash = '{hash_password(PASSWORD)}'\n"
        )
        command = await run("serve", "--settings", "agent.toml", "--port", "0", "--name", "option", password=None)
        ready = await command.line(r"^ready: (\S+) serves .* port (\d+)$")
        assert ready[1] == "option"
        session = await Client.connect(int(ready[2]))
        assert any(":startup:" in uri for uri in session.capabilities)
        assert (await session.edit(group(channel()))).error.tag == "unknown-element"
        await session.aclose()
        assert (tmp_path / "from-file").is_dir()

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('colour = "red"', "colour"),
            ("[listen]\nport = -1", "listen.port"),
            ("[listen]\nport = 70000", "listen.port"),
            ('[listen]\nport = "8300"', "listen.port"),
            ("[tables]\narp = 0", "tables.arp"),
            ('[fabric]\nkind = "other"', "fabric.kind"),
            ("[[users]]\nname = ''", "users"),
            ("strict = 1", "strict"),
            ("port = = 1", "not TOML"),
            ("[device]\nname = ''", "device.name"),
            ("[[users]]\nname = 'a'\npassword-hash = 'in clear'", "not an argon2 hash"),
            ("[[users]]\nname = 'a'\nauthorized-keys = 'no-such-file'", "no-such-file"),
            ("[[users]]\nname = 'a'\n[[users]]\nname = 'a'", "twice"),
        ],
    )
    def test_wrong(self, fails: Fails, tmp_path: Path, text: str, words: str) -> None:
        (tmp_path / "agent.toml").write_text(text)
        code, errors = fails(*SERVE, "--settings", "agent.toml")
        assert code == 2
        assert errors.startswith("mlag-agent: ")
        assert words in errors

    def test_no_file(self, fails: Fails) -> None:
        code, errors = fails("serve", "--settings", "no-such.toml")
        assert (code, "no-such.toml" in errors) == (2, True)


class TestWrong:
    @pytest.mark.parametrize(
        ("arguments", "password", "words"),
        [
            ((), PASSWORD, "--user"),
            (("--user", USER), None, "MLAG_AGENT_PASSWORD"),
            (("--user", USER), "", "must not be empty"),
            (("--authorized-keys", "file"), None, "--user"),
            (("--user", USER, "--authorized-keys", "no-such-file"), None, "no-such-file"),
            (("--user", USER, "--model", "CE9999"), PASSWORD, "CE6866"),
            (("--user", USER, "--state", "/proc/no/such"), PASSWORD, "state folder"),
            (("--user", USER, "--state", "/dev/null"), PASSWORD, "state folder"),
            (("--user", USER, "--name", ""), PASSWORD, "device.name"),
            (("--user", USER, "--name", "x" * 256), PASSWORD, "device.name"),
            (("--user", USER, "--name", "€" * 200), PASSWORD, "255 bytes"),
            (("--user", "", "--name", "x"), PASSWORD, "name"),
            (("--user", USER, "--module", "a b"), PASSWORD, "NAME:FEATURE"),
            (("--user", USER, "--host", "192.0.2.1"), PASSWORD, "192.0.2.1"),
            (("--port", "-1"), PASSWORD, "--port"),
            (("--port", "65536"), PASSWORD, "--port"),
            (("--port", "http"), PASSWORD, "--port"),
            (("--no-such-option",), PASSWORD, "--no-such-option"),
        ],
    )
    def test_exit_code_2(self, fails: Fails, arguments: tuple[str, ...], password: str | None, words: str) -> None:
        code, errors = fails(*SERVE, *arguments, password=password)
        assert code == 2
        assert words in errors

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("module broken { namespace urn:b; prefix b; leaf x", "cut off"),
            ("module broken { namespace urn:b; prefix b; leaf x { type no-such-type; } }", "no-such-type"),
            ("module other { namespace urn:b; prefix b; }", "broken"),
        ],
    )
    def test_bad_module_is_exit_code_3(self, fails: Fails, tmp_path: Path, text: str, words: str) -> None:
        (tmp_path / "yang").mkdir()
        (tmp_path / "yang" / "broken.yang").write_text(text)
        code, errors = fails(*SERVE, "--user", USER, "--yang-dir", "yang", "--module", "broken")
        assert code == 3
        assert words in errors

    def test_module_that_is_nowhere(self, fails: Fails) -> None:
        code, errors = fails(*SERVE, "--user", USER, "--module", "no-such-module")
        assert (code, "no-such-module" in errors) == (3, True)

    async def test_port_is_taken(self, run: Run) -> None:
        first = await run(*SERVE, "--user", USER, "--state", "one")
        port = (await first.line(r"port (\d+)"))[1]
        second = await run("serve", "--port", port, "--user", USER, "--state", "two", "--rendezvous", "meet")
        out, errors = await asyncio.wait_for(second.process.communicate(), LIMIT)
        assert (second.process.returncode, out) == (2, b"")
        assert errors.decode().startswith(f"mlag-agent: cannot listen for SSH on 127.0.0.1 port {port}")
        assert b"Traceback" not in errors


class TestPair:
    async def test_how_to_connect(self, run: Run) -> None:
        command = await run("pair", "--port", "0", password=None)
        ports = [int((await command.line(rf"^ready: device-{n} serves .* port (\d+)$"))[1]) for n in (1, 2)]
        user, password = (await command.line(r"^user (\S+), password (\S+) \(made for this run\)$")).groups()
        assert user == "admin"
        await command.line(rf"ssh -p {ports[0]} admin@127\.0\.0\.1 -s netconf")
        await command.line(rf"manager\.connect\(host='127\.0\.0\.1', port={ports[0]}, username='admin'")
        await command.line(rf"mlag-client .*--port {ports[0]}")
        sessions = [await Client.connect(port, username=user, password=password) for port in ports]
        mine, theirs = "2001:db8:1::1", "2001:db8:1::2"
        assert (await sessions[0].edit(group(channel(mine, theirs)), "running")).ok
        assert (await sessions[1].edit(group(channel(theirs, mine)), "running")).ok
        async with asyncio.timeout(LIMIT):
            # In another process nothing can be awaited: its state is asked for until it is there.
            while (await sessions[0].get()).leaf("sync-channel", "oper-status") != "up":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        for session in sessions:
            await session.aclose()
        assert await command.end() == (0, "")

    async def test_password_of_the_environment_is_not_shown(self, run: Run) -> None:
        command = await run("pair", "--port", "0", "--user", USER)
        port = int((await command.line(r"port (\d+)$"))[1])
        await command.line("mlag-client")
        await (await Client.connect(port)).aclose()
        assert not any(PASSWORD in line or "made for this run" in line for line in command.lines)

    async def test_state_is_kept(self, run: Run, tmp_path: Path) -> None:
        command = await run("pair", "--port", "0", "--state", "both")
        await command.line("mlag-client")
        assert await command.end() == (0, "")
        assert sorted(path.name for path in (tmp_path / "both").iterdir()) == ["device-1", "device-2", "rendezvous"]

    async def test_without_state_nothing_is_left(self, run: Run, tmp_path: Path) -> None:
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        command = await run("pair", "--port", "0", TMPDIR=str(scratch))
        await command.line("mlag-client")
        assert await command.end() == (0, "")
        assert list(scratch.iterdir()) == []


class TestOther:
    async def output(self, command: Command) -> tuple[int | None, str]:
        out, _ = await asyncio.wait_for(command.process.communicate(), LIMIT)
        return command.process.returncode, out.decode()

    async def test_hash_password(self, run: Run) -> None:
        code, out = await self.output(await run("hash-password", "--password", "secret-12"))
        assert code == 0
        assert out.startswith("$argon2id$")

    def test_hash_of_nothing(self, fails: Fails) -> None:
        code, errors = fails("hash-password", "--password", "")
        assert code == 2
        assert "empty" in errors

    async def test_models(self, run: Run) -> None:
        code, out = await self.output(await run("models"))
        assert code == 0
        assert re.search(r"^CE6866 +IPv4 and IPv6  vxlan port-group virtual-peer-link vlanif-bypass$", out, re.M)
        assert re.search(r"^CE6885-LL:low-latency +IPv4 only$", out, re.M)

    async def test_version_and_help(self, run: Run) -> None:
        code, out = await self.output(await run("--version"))
        assert (code, __version__ in out) == (0, True)
        code, out = await self.output(await run("serve", "--help"))
        assert (code, "--yang-dir" in out) == (0, True)
