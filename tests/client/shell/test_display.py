"""What the display commands print, to the letter: of a real pair, and of state that a pair shows only for moments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent

import pytest
from lxml import etree

from conftest import TIMERS
from mlag_client import Fault, Link
from mlag_client.client import DfsClient
from mlag_client.commands.pattern import split_line
from mlag_client.commands.tree import Node
from mlag_client.shell import Shell
from mlag_client.shell.registered import DISPLAYS
from mlag_client.shell.registry import Display
from mlag_client.testing import RunningPair, pair

CHANNEL = "peer-link source ipv6 2001:db8:1::{own} peer 2001:db8:1::{other} tcp-port 2048"
LINES = """
    system-view
    interface Eth-Trunk0
    peer-link 1
    quit
    dfs-group 1
    priority {priority}
    authentication-mode hmac-sha256 password Secret-pw1
    dual-active detection source ip 192.0.2.{own} peer 192.0.2.{other} udp-port 1025
    dual-active detection delay 0
    m-lag up-delay 300 auto-recovery interval 5
    quit
    interface Eth-Trunk10
    dfs-group 1 m-lag 10
    quit
    {more}
    commit
    return
"""
ALONE = "interface Eth-Trunk7\ndfs-group 1 m-lag 7\nquit"
"""A member interface that the peer has none for."""


class Side:
    """A device, its shell, and the state that its displays are made of."""

    def __init__(self, client: DfsClient, name: str, number: int) -> None:
        self.client = client
        self.shell = Shell(client.session, name)
        lines = LINES.format(own=number, other=3 - number, priority=200 - 50 * number, more=ALONE * (number == 1))
        for line in lines.splitlines():
            answer = self.shell.execute(line)
            assert not answer.error, (line, answer.text)

    def until(self, pattern: str, line: str) -> str:
        """What the command prints once it has the pattern."""
        for _ in self.client.watch(interval=0.05):
            shown = self.shell.execute(line).text
            if re.search(pattern, shown):
                return shown
        raise AssertionError("the watch ended")

    def shown(self, line: str) -> str:
        """Text with the identifiers that differ from run to run put in order of their appearance."""
        answer = self.shell.execute(line)
        assert not answer.error, answer.text
        found: dict[str, str] = {}
        for name in re.findall(r"[0-9a-f]{4}(?:-[0-9a-f]{4}){2}", answer.text):
            found.setdefault(name, f"<system {len(found) + 1}>")
        text = answer.text
        for name, shown in found.items():
            text = text.replace(name, shown)
        return text


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Side, Side]]:
    """Paired, heartbeats on both, member interfaces up on both."""
    with pair(timers=TIMERS) as running:
        yield ready(running)


def ready(running: RunningPair) -> tuple[Side, Side]:
    first, second = (Side(device.client(), device.name, number) for number, device in enumerate(running, 1))
    for side in (first, second):
        side.until(r"active\(\*\)-active", "display dfs-group 1 m-lag brief")
        side.until(": OK", "display dfs-group 1 heartbeat")
    return first, second


def text(block: str) -> str:
    return dedent(block).strip("\n")


def test_nodes(sides: tuple[Side, Side]) -> None:
    """DOMAIN.md 3.1, second row: the legend, the heartbeat, and a block for each node, the star at this device."""
    first, second = sides
    assert first.shown("display dfs-group 1 m-lag") == text(
        """
        *                    : Local node
        Heart beat state     : OK
        Node 1 *
          Dfs-Group ID       : 1
          Priority           : 150
          Dual-active Address: 192.0.2.1
          VPN-Instance       : public net
          State              : Master
          Causation          : -
          System ID          : <system 1>
          SysName            : device-1
          Version            : V300R023C00
          Device Type        : CE6866
        Node 2
          Dfs-Group ID       : 1
          Priority           : 100
          Dual-active Address: 192.0.2.2
          VPN-Instance       : public net
          State              : Backup
          Causation          : -
          System ID          : <system 2>
          SysName            : device-2
          Version            : V300R023C00
          Device Type        : CE6866
        """
    )
    assert second.shown("display dfs-group 1 m-lag").splitlines()[2:4] == ["Node 1 *", "  Dfs-Group ID       : 1"]
    assert "  Priority           : 100" in second.shown("display dfs-group 1 m-lag").partition("Node 2")[0]


def test_heartbeat(sides: tuple[Side, Side]) -> None:
    """The example of DOMAIN.md 3.3's end, with the same seven labels in both blocks."""
    assert sides[0].shown("display dfs-group 1 heartbeat") == text(
        """
        Heart beat status     : OK
        Local:
          Dfs-Group ID        : 1
          Priority            : 150
          Udp port            : 1025
          Dual-active Address : 192.0.2.1
          VPN-Instance        : public net
          System ID           : <system 1>
          Heart beat state    : Master
        Peer:
          Dfs-Group ID        : 1
          Priority            : 100
          Udp port            : 1025
          Dual-active Address : 192.0.2.2
          VPN-Instance        : public net
          System ID           : <system 2>
          Heart beat state    : Backup
        """
    )


def test_members_of_a_node(sides: tuple[Side, Side]) -> None:
    """Of the peer's interfaces the hello tells no name; one without a partner is reached over one device alone."""
    first, _ = sides
    role = first.shown("display dfs-group 1 node 1 m-lag")
    own = "Master(*)-Backup" if "Master(*)-Backup" in role else "Backup(*)-Master"
    assert role == text(
        f"""
        * - Local node

        M-Lag ID             : 7
        Interface            : Eth-Trunk7
        Port State           : Up
        Status               : active(*)-inactive
        Member Port Role     : Master(*)-Invalid

        M-Lag ID             : 10
        Interface            : Eth-Trunk10
        Port State           : Up
        Status               : active(*)-active
        Member Port Role     : {own}
        """
    )
    assert first.shown("display dfs-group 1 node 2 m-lag") == text(
        f"""
        * - Local node

        M-Lag ID             : 10
        Interface            : --
        Port State           : Up
        Status               : active-active(*)
        Member Port Role     : {own[10:]}-{own[:6]}(*)
        """
    )
    assert "must be an integer from 1 to 2" in first.shell.execute("display dfs-group 1 node 3 m-lag").text


def test_brief(sides: tuple[Side, Side]) -> None:
    first, second = sides
    lines = first.shown("display dfs-group 1 m-lag brief").splitlines()
    assert lines[0] == "* - Local node"
    assert set(lines[1]) == set(lines[3]) == {"-"}
    assert [line.split()[:4] for line in lines[4:6]] == [
        ["7", "Eth-Trunk7", "Up", "active(*)-inactive"], ["10", "Eth-Trunk10", "Up", "active(*)-active"],
    ]  # fmt: skip
    assert re.split(r"  +", lines[2]) == ["M-Lag ID", "Interface", "Port State", "Status", "Consistency-check"]
    assert first.shown("display dfs-group 1 node 1 m-lag brief").splitlines() == lines
    other = first.shown("display dfs-group 1 node 2 m-lag brief").splitlines()
    assert other[4].split()[:4] == ["10", "--", "Up", "active-active(*)"]
    assert second.shown("display dfs-group 1 m-lag brief").splitlines()[4].split()[:2] == ["10", "Eth-Trunk10"]


def test_peer_link(sides: tuple[Side, Side]) -> None:
    assert sides[0].shown("display dfs-group 1 peer-link") == text(
        """
        Total Interface(s) : 1
        ---------------------------------------------------------------
        Peer-link Id  Port Name               Port State  Link Type
        ---------------------------------------------------------------
        1             Eth-Trunk0              Up          Physical link
        ---------------------------------------------------------------
        """
    )


def test_group(sides: tuple[Side, Side]) -> None:
    labels = [line.partition(":")[0].rstrip() for line in sides[0].shown("display dfs-group 1").splitlines()]
    assert labels[:8] == [
        "Dfs-Group ID", "Priority", "Dual-active Address", "VPN-Instance", "System ID", "SysName",
        "Up-delay/Interval(s)", "Switch-delay",
    ]  # fmt: skip


def test_split_brain_and_its_end() -> None:
    """The Backup's interface is error-down; once the peer-link is back, the delay before it comes up is counted."""
    with pair(timers=TIMERS) as running:
        first, second = ready(running)
        line = "display dfs-group 1 m-lag up-delay"
        assert second.shown(line) == text(
            """
            -------------------------------------------------------------------------------------
            M-LAG ID    Interface               Port State    Error-Down    Recovery Countdown(s)
            -------------------------------------------------------------------------------------
            10          Eth-Trunk10             Up            No            --
            -------------------------------------------------------------------------------------
            """
        )
        first.client.set_fault(Link.PEER_LINK, Fault.CUT)
        down = second.until(r"Down +Yes", line).splitlines()
        assert down[3].split() == ["10", "Eth-Trunk10", "Down", "Yes", "--"]
        second.until("Status +: inactive", "display dfs-group 1 node 1 m-lag")
        assert second.shown("display dfs-group 1 node 2 m-lag") == "* - Local node"
        alone = second.until("Causation +: (?!-)", "display dfs-group 1 m-lag")
        assert "Heart beat state     : OK" in alone
        first.client.set_fault(Link.PEER_LINK, Fault.NONE)
        counted = second.until(r"Yes +\d+", line).splitlines()
        assert 0 < int(counted[3].split()[4]) <= 300


def example(command: Display) -> dict[str, str]:
    """A value for each parameter."""
    return {param.name: param.choices[0] if param.choices else "1" for param in command.pattern.params}


EACH = pytest.mark.parametrize("command", DISPLAYS, ids=lambda command: command.pattern.text)


@EACH
def test_lines_of_different_commands_do_not_meet(command: Display) -> None:
    """Each registered command is what its own words give, whatever else is registered."""
    words = split_line(command.pattern.format(example(command)))
    matches = {other.pattern.text: other.pattern.match(words)[0] for other in DISPLAYS}
    exact = [text for text, match in matches.items() if match is not None and match.shortened == 0]
    assert exact == [command.pattern.text]


@EACH
def test_nothing_is_known_yet(command: Display) -> None:
    """A device without a group, or a user who may not read its state: an answer, and no error."""
    data = etree.fromstring(b'<data xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"/>')
    assert command.show(Node(), data, example(command))
