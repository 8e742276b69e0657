"""The terminal's side: keys in, a screen out, without a terminal."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from mlag_agent.app import Device
from mlag_client import connect
from mlag_client.client import DfsClient
from mlag_client.shell import Shell
from mlag_client.shell.terminal import interact
from netconf_client import PASSWORD, USER


@pytest.fixture
def client(agent_thread: Callable[..., Device]) -> Iterator[DfsClient]:
    with connect("127.0.0.1", agent_thread("leaf-2").port, USER, PASSWORD) as client:
        yield client
        client.manager.discard_changes()
        client.manager.edit_config("<config/>", target="running", default_operation="replace")


def typed(client: DfsClient, keys: str) -> tuple[Shell, str]:
    """The shell after these keys, and all that was written to the screen."""
    screen = io.StringIO()
    sink = Vt100_Output(screen, lambda: Size(rows=40, columns=120), enable_cpr=False)
    shell = Shell(client.session, "leaf-2")
    with create_pipe_input() as source:
        source.send_text(keys)
        with create_app_session(input=source, output=sink):
            interact(shell, source=source, sink=sink)
    return shell, screen.getvalue()


QUIT = "return\rquit\r"


def test_lines(client: DfsClient) -> None:
    _, screen = typed(client, "system-view\rarp remote-backup-rate limit 7\rcommit\rdisplay this\r" + QUIT)
    assert "arp remote-backup-rate limit 7\r\n#\r\nreturn" in screen


def test_tab_completes(client: DfsClient) -> None:
    _, screen = typed(client, "sys\t\rar\t remo\t li\t 9\rcommit\rdisplay this\r" + QUIT)
    assert "arp remote-backup-rate limit 9\r\n#\r\nreturn" in screen


def test_question_mark_helps_and_keeps_the_line(client: DfsClient) -> None:
    shell, screen = typed(client, "system-view\rdfs-group 1\rpriority ?150\rcommit\rdisplay this\r" + QUIT)
    assert "INTEGER<1-254>" in screen
    assert " priority 150\r\n" in screen
    assert shell.prompt == "<leaf-2>"


def test_a_question_mark_within_quotes_is_a_character(client: DfsClient) -> None:
    _, screen = typed(client, 'system-view\rip vpn-instance "why?"\rcommit\rdisplay current-configuration\r' + QUIT)
    assert "ip vpn-instance why?" in screen


def test_history_and_interrupt(client: DfsClient) -> None:
    up, interrupt = "\x1b[A", "\x03"
    _, screen = typed(client, f"system-view\rarp remote-backup-rate limit 5\rnonsense{interrupt}{up}\rcommit\r" + QUIT)
    assert screen.count("limit 5") >= 2
    assert "unrecognized" not in screen


def test_the_end_of_input_ends_it(client: DfsClient) -> None:
    shell, _ = typed(client, "system-view\r\x04")
    assert shell.prompt == "[~leaf-2]"


class TestProgram:
    @staticmethod
    def shell(port: int, script: str, *options: str, file: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mlag_client.cli", "--port", str(port), "--user", USER, "shell", *options]
        if file is not None:
            file.write_text(script)
            command += ["--file", str(file)]
        return subprocess.run(
            command, input=script, capture_output=True, text=True, check=False, timeout=60,
            env={"MLAG_CLIENT_PASSWORD": PASSWORD, "PYTHONPATH": ":".join(sys.path)},
        )  # fmt: skip

    def test_script(self, client: DfsClient, agent_thread: Callable[..., Device], tmp_path: Path) -> None:
        script = "system-view\ndfs-group 1\npriority 9\ncommit\ndisplay this\n"
        port = agent_thread("leaf-2").port
        for file in (None, tmp_path / "script"):
            done = self.shell(port, script, file=file)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.endswith("#\ndfs-group 1\n priority 9\n#\nreturn\n")

    def test_an_error_ends_it_with_code_1(self, client: DfsClient, agent_thread: Callable[..., Device]) -> None:
        port = agent_thread("leaf-2").port
        done = self.shell(port, "system-view\nnonsense\nvlan 5\n")
        assert done.returncode == 1
        assert "vlan 5" not in done.stdout
        assert self.shell(port, "system-view\nnonsense\nvlan 5\n", "--keep-going").stdout.endswith("vlan 5\n")
