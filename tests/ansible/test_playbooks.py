"""The playbooks of ``examples/ansible`` with the real ansible-playbook, against a pair of agents."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlag_client import DfsClient, PeerLinkSource
from mlag_client.testing import RunningPair, assert_yang_valid, pair

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "ansible"
SOURCE = PeerLinkSource.of("2001:db8:1::1", "2001:db8:1::2", 2048)
SECRET = "Secret-12"


def find_ansible() -> str | None:
    """ansible-playbook: the one named in MLAG_ANSIBLE_PLAYBOOK, beside this Python, or on the path."""
    named = os.environ.get("MLAG_ANSIBLE_PLAYBOOK")
    beside = Path(sys.executable).with_name("ansible-playbook")
    return named or (str(beside) if beside.exists() else shutil.which("ansible-playbook"))


ANSIBLE = find_ansible()
pytestmark = [
    pytest.mark.skipif(ANSIBLE is None, reason="ansible-playbook is not installed (extra 'ansible')"),
    pytest.mark.timeout(300),
]


@dataclass(frozen=True)
class Play:
    code: int
    text: str

    def recap(self, host: str) -> dict[str, int]:
        """The counters of a host's line in the recap."""
        line = next(line for line in self.text.splitlines() if re.match(rf"{host}\s+: ok=", line))
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line)}

    def changed(self) -> list[int]:
        return [self.recap(host)["changed"] for host in ("device-1", "device-2")]


Playbook = Callable[..., Play]


@pytest.fixture
def running() -> Iterator[RunningPair]:
    with pair() as made:
        yield made
        # What the playbooks send holds for a server that forgives nothing.
        assert [dict(each.leniencies) for each in made] == [{}, {}]


@pytest.fixture
def clients(running: RunningPair) -> tuple[DfsClient, DfsClient]:
    return running.first.client(), running.second.client()


@pytest.fixture
def play(running: RunningPair, tmp_path: Path) -> Playbook:
    """Runs a playbook in the folder of the examples, told of the lab by the environment as a user would."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MLAG_"))}
    environment |= {
        "MLAG_PORT_1": str(running.first.port),
        "MLAG_PORT_2": str(running.second.port),
        "MLAG_CLIENT_PASSWORD": running.first.password,
        "MLAG_GROUP_PASSWORD": SECRET,
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "temp"),
        "ANSIBLE_NOCOLOR": "1",
        # The agent under test is imported by this process only.
        "PYTHONPATH": "",
    }

    def run(name: str, *arguments: str) -> Play:
        assert ANSIBLE is not None
        done = subprocess.run(
            [ANSIBLE, name, *arguments], cwd=EXAMPLES, env=environment, capture_output=True, text=True, timeout=200,
            check=False,
        )  # fmt: skip
        return Play(done.returncode, done.stdout + done.stderr)

    return run


def configuration(client: DfsClient) -> str:
    """Running, after a look that the candidate is the same and nobody holds a lock."""
    running, candidate = (client.manager.get_config(name).data_xml for name in ("running", "candidate"))
    assert running == candidate
    with client.manager.locked("candidate"), client.manager.locked("running"):
        return str(running)


def test_pair_is_idempotent(play: Playbook, clients: tuple[DfsClient, DfsClient]) -> None:
    first = play("pair.yml")
    assert first.code == 0, first.text
    assert first.changed() == [1, 1]
    assert clients[0].peer_link() == SOURCE
    assert clients[1].peer_link() == SOURCE.mirrored()
    for client in clients:
        assert client.snapshot().authenticated
        assert client.state().channel.up
        assert_yang_valid(client.manager.get(), client)
    before = [configuration(client) for client in clients]

    second = play("pair.yml", "--diff")
    assert second.code == 0, second.text
    assert second.changed() == [0, 0]
    assert "+++ after" not in second.text
    assert [configuration(client) for client in clients] == before


def test_check_and_diff_show_and_change_nothing(play: Playbook, clients: tuple[DfsClient, DfsClient]) -> None:
    before = [configuration(client) for client in clients]
    checked = play("pair.yml", "--check", "--diff")
    assert checked.code == 0, checked.text
    assert checked.changed() == [1, 1]
    added = [line for line in checked.text.splitlines() if line.startswith("+<data")]
    assert len(added) == 2
    assert all("<tcp-port>2048</tcp-port>" in line for line in added)
    assert SECRET not in checked.text, "the difference shows cipher text"
    assert [configuration(client) for client in clients] == before

    clients[0].set_peer_link(SOURCE, password=SECRET)
    half = play("pair.yml", "--check", "--diff")
    assert half.changed() == [0, 1], half.text

    changed = play("pair.yml", "--check", "--diff", "--limit", "device-1", "-e", "mlag_tcp_port=2049")
    assert changed.recap("device-1")["changed"] == 1
    removed, added_line = (
        next(line for line in changed.text.splitlines() if line.startswith(f"{sign}<data")) for sign in "-+"
    )
    assert "<tcp-port>2048<" in removed
    assert "<tcp-port>2049<" in added_line
    assert clients[0].peer_link() == SOURCE


def test_the_vpn_instance_and_what_is_not_named_goes(play: Playbook, clients: tuple[DfsClient, DfsClient]) -> None:
    for client in clients:
        client.add_vpn_instance("Blue")
    assert play("pair.yml", "-e", "mlag_vpn_instance=Blue").changed() == [1, 1]
    assert clients[0].peer_link() == PeerLinkSource.of("2001:db8:1::1", "2001:db8:1::2", 2048, "Blue")
    assert play("pair.yml").changed() == [1, 1]
    assert clients[0].peer_link() == SOURCE


def test_a_refused_value_fails_the_task_and_leaves_nothing(
    play: Playbook, clients: tuple[DfsClient, DfsClient]
) -> None:
    client = clients[0]
    client.set_peer_link(SOURCE)
    before = configuration(client)
    refused = play("refused.yml")
    assert refused.code == 2, refused.text
    assert refused.recap("device-1")["failed"] == 1
    assert 'tcp-port "22": TCP ports 1 to 1024 are well-known ports; use 1025 to 65535.' in refused.text
    assert configuration(client) == before

    # Several at once: all of them are in the task's message.
    both = play("refused.yml", "-e", "mlag_local_address=fe80::1")
    assert both.code == 2
    assert "A link-local address (fe80::/10) cannot carry the channel." in both.text
    assert "TCP ports 1 to 1024 are well-known ports" in both.text
    assert configuration(client) == before

    # Refused by the edit already, not by the commit.
    unknown = play("refused.yml", "-e", "mlag_local_address=nowhere")
    assert unknown.code == 2
    assert "local-address" in unknown.text
    assert configuration(client) == before


def test_read_shows_both_devices(play: Playbook, clients: tuple[DfsClient, DfsClient]) -> None:
    clients[0].set_peer_link(SOURCE)
    clients[1].set_peer_link(PeerLinkSource.of("2001:db8:1::2", "2001:db8:1::1", 2049))
    with pytest.raises(Exception, match="port-mismatch"):
        clients[0].wait_until_up(8, 0.5)
    read = play("read.yml")
    assert read.code == 0, read.text
    assert read.changed() == [0, 0]
    assert "channel down port-mismatch this device uses tcp-port 2048, the peer 2049" in " ".join(read.text.split())


def test_learn_calls_the_rpc_and_the_peer_gets_them(play: Playbook, clients: tuple[DfsClient, DfsClient]) -> None:
    assert play("pair.yml").code == 0
    checked = play("learn.yml", "--check")
    assert checked.code == 0, checked.text
    assert clients[0].entries().total == 0
    learned = play("learn.yml")
    assert learned.code == 0, learned.text
    assert learned.changed() == [1, 0]
    assert "<learned>20</learned>" in learned.text
    assert clients[1].entries().total == 20


def test_undo_is_idempotent_and_keeps_the_group(play: Playbook, clients: tuple[DfsClient, DfsClient]) -> None:
    assert play("pair.yml").code == 0
    assert play("undo.yml").changed() == [1, 1]
    assert [client.peer_link() for client in clients] == [None, None]
    assert all(client.snapshot().authenticated for client in clients)
    again = play("undo.yml")
    assert (again.code, again.changed()) == (0, [0, 0])


def test_a_wrong_login_is_unreachable(play: Playbook) -> None:
    refused = play("read.yml", "-e", "ansible_password=wrong")
    assert refused.code != 0
    assert "device-1" in refused.text
