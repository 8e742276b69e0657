"""Displays of statistics and faults, and the reset commands: to the letter of given state, then on a real pair."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent

import pytest
from lxml import etree

from conftest import TIMERS
from mlag_client.client import DfsClient
from mlag_client.commands.pattern import split_line
from mlag_client.commands.tree import DML, Node
from mlag_client.shell import Shell
from mlag_client.shell.display_statistics import DISPLAYS, RESETS
from mlag_client.testing import pair

STATE = etree.fromstring(
    f"""
<data xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><m-lag xmlns="{DML}"><dfs-groups><dfs-group><state>
  <statistics>
    <dfs-authentication><type>ipv4-heart</type><success>12</success><fail>3</fail><last-mac>02:00:00:00:00:01</last-mac>
    </dfs-authentication>
    <dfs-authentication><type>nd</type><success>0</success><fail>0</fail></dfs-authentication>
    <fwm-authentication><slot-id>1</slot-id><type>arp</type><success>4</success><fail>0</fail></fwm-authentication>
    <dfs-packet>
      <last-send-success><type>arp-sync</type><time>2026-11-24T10:00:01.5Z</time></last-send-success>
      <last-send-fail><type>hello</type><reason>get-peerlink-failed</reason><time>2026-11-24T10:00:02Z</time>
      </last-send-fail>
      <last-receive-fail><type>hello</type><reason>version-mismatch</reason><time>2026-11-24T10:00:02Z</time>
      </last-receive-fail>
      <counter><type>arp-sync</type><send-success>7</send-success><send-fail>1</send-fail>
        <receive-success>9</receive-success><receive-fail>2</receive-fail></counter>
    </dfs-packet>
    <fwm-packet>
      <last-receive-fail><type>nd</type><reason>integrity-check-failed</reason><time>2026-11-24T10:00:02Z</time>
      </last-receive-fail>
      <counter><slot-id>1</slot-id><type>nd</type><send-success>7</send-success><send-fail>1</send-fail>
        <receive-success>9</receive-success><receive-fail>2</receive-fail></counter>
    </fwm-packet>
  </statistics>
  <fault><kind>current</kind><seq>9</seq><time>2026-11-24T10:00:03Z</time><description>nine</description></fault>
  <fault><kind>current</kind><seq>10</seq><time>2026-11-24T10:00:04Z</time><description>ten {"word " * 20}</description>
  </fault>
  <fault><kind>history</kind><seq>1</seq><time>2026-11-24T10:00:01Z</time><description>one</description></fault>
</state></dfs-group></dfs-groups></m-lag></data>
"""
)


def shown(line: str) -> str:
    """What the display of that line makes of the state above."""
    words = split_line(line)
    for command in DISPLAYS:
        match, _ = command.pattern.match(words)
        if match is not None:
            return command.show(Node(), STATE, match.bindings)
    raise AssertionError(line)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "display dfs authentication status",
            """
            -----------------------------------------------------------
            Type          Success       Fail          Last received MAC
            -----------------------------------------------------------
            IPV4_HEART    12            3             0200-0000-0001
            ND            0             0             --
            -----------------------------------------------------------
            """,
        ),
        (
            "display fwm dfs authentication status slot 1",
            """
            -----------------------------------------------------------------
            Slot  Type          Success       Fail          Last received MAC
            -----------------------------------------------------------------
            1     ARP           4             0             --
            -----------------------------------------------------------------
            """,
        ),
        (
            "display fwm dfs authentication status slot 2",
            """
            -----------------------------------------------------------------
            Slot  Type          Success       Fail          Last received MAC
            -----------------------------------------------------------------
            -----------------------------------------------------------------
            """,
        ),
        (
            "display dfs packet statistics",
            """
            Last send success type      : ARP_SYNC
            Last send success time      : 2026-11-24 10:00:01
            Last send fail type         : HELLO
            Last send fail reason       : GET PEERLINK FAILED
            Last send fail time         : 2026-11-24 10:00:02
            Last receive type           : --
            Last receive time           : 0000-00-00 00:00:00
            -------------------------------------------------
            Type          Send success  Send fail     Receive
            -------------------------------------------------
            ARP_SYNC      7             1             9
            -------------------------------------------------
            """,
        ),
        (
            "display fwm m-lag synchronization packet statistics",
            """
            Last send success type      : --
            Last send success time      : 0000-00-00 00:00:00
            Last send fail type         : --
            Last send fail reason       : --
            Last send fail time         : 0000-00-00 00:00:00
            Last receive success type   : --
            Last receive success time   : 0000-00-00 00:00:00
            Last receive fail type      : ND
            Last receive fail reason    : INTEGRITY CHECK FAILED
            Last receive fail time      : 2026-11-24 10:00:02
            -----------------------------------------------------------------------
            Slot  Type      Send success  Send fail   Receive success  Receive fail
            -----------------------------------------------------------------------
            1     ND        7             1           9                2
            -----------------------------------------------------------------------
            """,
        ),
        (
            "display m-lag troubleshooting current",
            f"""
            Total : 2
            {"-" * 87}
            Seq     Time                 Event Description
            {"-" * 87}
            10      2026-11-24 10:00:04  ten word word word word word word word word word word word
                                         word word word word word word word word word
            9       2026-11-24 10:00:03  nine
            {"-" * 87}
            """,
        ),
    ],
)
def test_to_the_letter(line: str, expected: str) -> None:
    assert shown(line) == dedent(expected).strip("\n")


CONFIGURED = "system-view", "dfs-group 1", "authentication-mode hmac-sha256 password Secret-pw1", "commit", "return"


@pytest.fixture(scope="module")
def sides() -> Iterator[list[tuple[DfsClient, Shell]]]:
    """A pair whose entries go over the peer-link, which no interface is configured as: they are no pair."""
    with pair(timers=TIMERS) as running:
        made = [(device.client(), device.name) for device in running]
        found = [(client, Shell(client.session, name)) for client, name in made]
        for _, shell in found:
            for line in CONFIGURED:
                answer = shell.execute(line)
                assert not answer.error, (line, answer.text)
        yield found


def until(side: tuple[DfsClient, Shell], line: str, pattern: str) -> str:
    """What the command prints once it has the pattern."""
    client, shell = side
    for _ in client.watch(interval=0.05):
        text = shell.execute(line).text
        if re.search(pattern, text):
            return text
    raise AssertionError("the watch ended")


def count(text: str, kind: str, column: int) -> int:
    row = next(line.split() for line in text.splitlines() if kind in line.split()[:2] and "Last" not in line)
    return int(row[column])


def test_counters_and_their_resets(sides: list[tuple[DfsClient, Shell]]) -> None:
    """No entries are learned, so that the packets that end a whole table are the last of their type."""
    side, shell = sides[0], sides[0][1]
    for kind in ("ARP", "ND"):
        until(side, "display fwm dfs authentication status", rf"{kind} +[1-9]")
        until(side, "display fwm m-lag synchronization packet statistics", rf"{kind} +[1-9]\d* +0 +[1-9]")
    assert shell.execute("reset fwm dfs authentication status").text == ""
    assert count(shell.execute("display fwm dfs authentication status").text, "ARP", 2) == 0
    assert not shell.execute("reset fwm m-lag synchronization packet statistics").error
    assert count(shell.execute("display fwm m-lag synchronization packet statistics").text, "ND", 2) == 0
    for _ in range(2):
        hellos = until(side, "display dfs packet statistics", r"HELLO +[1-9]\d* +\d+ +[1-9]")
        assert "Last receive time           : 2" in hellos
        assert not shell.execute("reset dfs packet statistics").error
    until(side, "display dfs authentication status", r"HELLO +[1-9]\d* +\d+ +[0-9a-f]{4}-")
    assert not shell.execute("reset dfs authentication status").error


def test_history_and_its_reset(sides: list[tuple[DfsClient, Shell]]) -> None:
    shell = sides[0][1]
    assert "Total : 0" not in shell.execute("display m-lag troubleshooting history").text
    assert not shell.execute("reset m-lag troubleshooting history").error
    assert shell.execute("display m-lag troubleshooting history").text.startswith("Total : 0\n")
    current = shell.execute("display m-lag troubleshooting current").text
    assert "DFS pairing failed, no-peer-link" in " ".join(current.split())


def test_where_resets_are_commands(sides: list[tuple[DfsClient, Shell]]) -> None:
    shell = sides[0][1]
    shell.execute("system-view")
    try:
        for command in RESETS:
            line = command.pattern.text.partition(" [")[0]
            assert bool(shell.execute(line).error) is not command.everywhere, line
    finally:
        shell.execute("return")
    answer = shell.execute("reset fwm dfs authentication status slot 3")
    assert answer.error
    assert "no slot 3" in answer.text
