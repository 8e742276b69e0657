"""The fixtures as a user's project sees them, and that nothing stays of them."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mlag_agent.errors import SettingsError
from mlag_client.testing import RunningAgent, RunningPair, agent, pair


def test_one_line_gives_an_agent(mlag_agent: RunningAgent) -> None:
    assert mlag_agent.host == "127.0.0.1"
    assert mlag_agent.port > 1024
    with mlag_agent.connect() as manager:
        assert ":candidate" in manager.server_capabilities
    assert mlag_agent.password not in repr(mlag_agent)
    assert mlag_agent.engine.state().tables[0].entries == 0


def test_a_pair_meets(mlag_pair: RunningPair) -> None:
    first, second = mlag_pair
    assert (first.name, second.name) == ("device-1", "device-2")
    assert first.port != second.port


def test_leniencies_are_counted(mlag_agent: RunningAgent) -> None:
    manager = mlag_agent.connect()
    assert mlag_agent.leniencies == {}
    manager.edit_config(target="candidate", config="<config><m-lag xmlns='urn:mlag-agent:yang:dfs-m-lag'/></config>")
    assert sum(mlag_agent.leniencies.values()) >= 1


def test_a_coroutine_runs_where_the_agent_lives(mlag_agent: RunningAgent) -> None:
    async def name() -> str:
        return threading.current_thread().name

    assert mlag_agent.run(name()) == "mlag-agent"


def sockets() -> int:
    """Open sockets, pipes and selectors."""
    # ncclient never closes the selector of a session, it goes with the session's last reference.
    gc.collect()
    numbers = os.listdir("/proc/self/fd")
    return sum(os.path.realpath(f"/proc/self/fd/{number}").startswith("/proc") for number in numbers)


def test_nothing_stays_behind() -> None:
    with agent() as warm:
        warm.client()
    threads, open_before = set(threading.enumerate()), sockets()
    passwords = set()
    for _ in range(2):
        with pair() as running:
            for each in running:
                each.client().peer_link()
                # Left open on purpose; the fixture closes what it has opened.
                each.connect()
                passwords.add(each.password)
            folder = Path(running.first.device.settings.state)
            assert folder.exists()
        assert not folder.exists()
    assert set(threading.enumerate()) <= threads
    assert sockets() <= open_before
    assert len(passwords) == 2, "a new password for every start"


def test_a_failing_test_ends_the_agent_too() -> None:
    threads = set(threading.enumerate())

    def test() -> None:
        with agent() as running:
            running.client()
            raise RuntimeError("the test failed")

    with pytest.raises(RuntimeError, match="the test failed"):
        test()
    assert set(threading.enumerate()) <= threads


def test_what_keeps_it_from_starting_is_raised() -> None:
    threads = set(threading.enumerate())
    with pytest.raises(SettingsError, match="no device model CE1"), agent(model="CE1"):
        pass
    assert set(threading.enumerate()) <= threads


def test_a_state_folder_is_kept(tmp_path: Path) -> None:
    with agent(state=tmp_path) as running:
        running.client().add_vpn_instance("Blue")
    with agent(state=tmp_path) as running:
        assert "<name>Blue</name>" in running.client().manager.get_config("running").data_xml


def test_the_plugin_is_light() -> None:
    """Every run of pytest with the package installed imports it."""
    code = (
        "import sys, mlag_client.pytest_plugin, mlag_client\n"
        "heavy = {'ncclient', 'paramiko', 'lxml', 'yangson', 'asyncssh', 'mlag_agent', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert mlag_client.connect is not None\n"
        "assert all(hasattr(mlag_client, name) for name in mlag_client.__all__)\n"
        "assert not hasattr(mlag_client, 'nothing')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_in_a_project_of_a_user(tmp_path: Path) -> None:
    """The example of docs/client.md in a fresh pytest, with nothing of ours but the installed package."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "client.md").read_text(encoding="utf-8")
    _, _, after = text.partition("runs this block. -->\n```python\n")
    example, _, _ = after.partition("```")
    (tmp_path / "test_mine.py").write_text(example, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "--strict-markers", "-W", "error", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 passed" in run.stdout
