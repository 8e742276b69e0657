"""Displays of member interfaces and unpaired ports, of two real agents that are configured line by line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from mlag_agent.mlag import EngineTimers
from mlag_client import DfsClient, ElectionOutcome, ElectionPacket, Fault, Link, RpcFailed
from mlag_client.shell import Shell
from mlag_client.testing import RunningPair, pair

FAST = EngineTimers(hello_interval=0.05, hello_hold=0.5, heartbeat_interval=0.05)
LIMIT = 20.0
Shells = tuple[Shell, Shell]
Found = TypeVar("Found")


def lines(side: int) -> list[str]:
    """Device 1 is the Master."""
    return [
        "system-view", "dfs-group 1", f"priority {200 - side}",
        f"dual-active detection source ip 192.0.2.{side} peer 192.0.2.{3 - side}", "dual-active detection delay 0",
        "set lacp system-id switch-delay 3600", "m-lag active-standby election arp", "quit",
        "interface Eth-Trunk0", "peer-link 1", "quit",
        "interface Eth-Trunk10", "dfs-group 1 m-lag 10", "quit",
        "interface Eth-Trunk20", "dfs-group 1 m-lag 20 active-standby", "quit",
        "interface 10GE1/0/1", "m-lag unpaired-port suspend", "quit",
        "interface 10GE1/0/2", "m-lag unpaired-port reserved", "quit", "commit",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def running() -> Iterator[RunningPair]:
    with pair(timers=FAST) as found:
        yield found


@pytest.fixture(scope="module")
def clients(running: RunningPair) -> tuple[DfsClient, DfsClient]:
    return running.first.client(), running.second.client()


@pytest.fixture(scope="module")
def shells(clients: tuple[DfsClient, DfsClient]) -> Shells:
    """Both devices configured."""
    made = Shell(clients[0].session, "a"), Shell(clients[1].session, "b")
    for side, shell in enumerate(made, 1):
        for line in lines(side):
            result = shell.execute(line)
            assert not result.error, (line, result.text)
    return made


def shown(shell: Shell, line: str) -> dict[str, str]:
    """Labels and values of a display."""
    result = shell.execute(line)
    assert not result.error, result.text
    return {
        label.strip(): value.strip() for label, colon, value in (row.partition(":") for row in result.text.splitlines())
    }


def until(shell: Shell, line: str, label: str, wanted: str) -> dict[str, str]:
    """The display once it shows that."""
    return awaited(lambda: shown(shell, line), lambda found: found.get(label) == wanted)


def awaited(read: Callable[[], Found], fits: Callable[[Found], bool]) -> Found:
    """What is read once it fits."""
    deadline = time.monotonic() + LIMIT
    while not fits(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)  # a display has no event to wait for
    return found


LACP = "display dfs-group 1 lacp system-id m-lag 10"


class TestLacp:
    def test_of_both(self, shells: Shells) -> None:
        theirs = until(shells[1], LACP, "Receive system id from remote", "1")
        ours = until(shells[0], LACP, "Receive system id from remote", "1")
        assert list(ours) == [
            "Local effective system id", "Local effective system priority",
            "Remote global system id", "Remote global system priority",
            "Send system id to remote", "Receive system id from remote", "Send system id to IFM",
        ]  # fmt: skip
        assert (ours["Remote global system id"], ours["Remote global system priority"]) == ("0000-0000-0000", "0")
        assert theirs["Remote global system id"] == ours["Local effective system id"]
        assert theirs["Remote global system id"] != theirs["Local effective system id"]
        assert theirs["Remote global system priority"] == "32768"

    def test_no_such_m_lag(self, shells: Shells) -> None:
        assert shells[0].execute(LACP.replace("10", "11")).text == "Info: M-LAG 11 has no interface on this device."

    def test_an_identifier_out_of_range(self, shells: Shells) -> None:
        assert shells[0].execute(LACP.replace("10", "2049")).error


def brief(shell: Shell, number: str) -> list[str]:
    """Port state and status of an M-LAG in ``display dfs-group 1 m-lag brief``."""
    cells = [row.split() for row in shell.execute("display dfs-group 1 m-lag brief").text.splitlines()]
    return next((row[2:4] for row in cells if row[:1] == [number]), [])


def until_brief(shell: Shell, number: str, *wanted: str) -> None:
    awaited(lambda: brief(shell, number), lambda found: found == list(wanted))


class TestSimulated:
    """The client's calls for ports and packets, as the displays show what they do."""

    def test_election(self, shells: Shells, clients: tuple[DfsClient, DfsClient]) -> None:
        assert clients[0].receive_election_packet(20, ElectionPacket.DHCP) is ElectionOutcome.TYPE_NOT_CONFIGURED
        assert clients[0].receive_election_packet(10, ElectionPacket.ARP) is ElectionOutcome.DUAL_ACTIVE
        for first, second in ((0, 1), (1, 0)):
            assert clients[first].receive_election_packet(20, ElectionPacket.ARP) is ElectionOutcome.MASTER
            until_brief(shells[first], "20", "Up", "active(*)-inactive")
            until_brief(shells[second], "20", "Up", "inactive(*)-active")
        with pytest.raises(RpcFailed, match="no interface of this device is in M-LAG 30"):
            clients[0].receive_election_packet(30, ElectionPacket.ARP)

    def test_port_state(self, shells: Shells, clients: tuple[DfsClient, DfsClient]) -> None:
        assert clients[1].receive_election_packet(20, ElectionPacket.ARP) is ElectionOutcome.MASTER
        clients[0].set_port_state("Eth-Trunk20", up=False)
        until_brief(shells[0], "20", "Down", "inactive(*)-active")
        assert clients[0].receive_election_packet(20, ElectionPacket.ARP) is ElectionOutcome.INTERFACE_DOWN
        clients[0].set_port_state("Eth-Trunk20", up=True)
        until_brief(shells[0], "20", "Up", "inactive(*)-active")


def test_unpaired_ports(shells: Shells, clients: tuple[DfsClient, DfsClient]) -> None:
    suspended, reserved = (f"display m-lag unpaired-port {kind}" for kind in ("suspend", "reserved"))
    wanted = ["* : errordown", "M-LAG unpaired-port suspend:", "10GE1/0/1"]
    assert shells[1].execute(suspended).text.splitlines() == wanted
    until(shells[1], LACP, "Receive system id from remote", "1")
    heard = "display dfs-group 1 heartbeat"
    until(shells[1], heard, "Heart beat status", "OK")
    clients[0].set_fault(Link.PEER_LINK, Fault.CUT)
    until(shells[1], suspended, "*10GE1/0/1", "")
    assert shells[1].execute(reserved).text.splitlines()[2:] == ["10GE1/0/2"]
    assert shells[0].execute(suspended).text.splitlines()[2:] == ["10GE1/0/1"]
    clients[0].set_fault(Link.PEER_LINK, Fault.NONE)
    until(shells[1], suspended, "10GE1/0/1", "")
