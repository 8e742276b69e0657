"""``make demo``: a whole M-LAG pair from command lines, against two agents in a process of their own.

The lines go through the shell of ``mlag-client shell``, which turns them into NETCONF (ncclient); states are read
through ``mlag_client``.  Ends with exit code 0, or with 1 and the step that went wrong.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mlag_client import DfsClient, Fault, GroupState, Link, MlagClientError, RpcFailed, connect
from mlag_client.shell import Shell

CONSOLE = Console(highlight=False)
USER = "admin"
ENTRIES = 2000
PORT, WRONG_PORT = 2048, 2049
A, B = "2001:db8:1::1", "2001:db8:1::2"
GROUP_PASSWORD = "Secret-pw1"  # noqa: S105  # of a pair that lives for some seconds
MEMBER, M_LAG = "Eth-Trunk10", 10
PATIENCE = 20.0
"""Seconds that a state may take to come; the longest that is awaited takes about five."""

PAIR = """
system-view
 interface Eth-Trunk0
  peer-link 1
  quit
 dfs-group 1
  priority {priority}
  authentication-mode hmac-sha256 password {password}
  dual-active detection source ipv6 {own} peer {other} udp-port 1025
  dual-active detection delay 500
  m-lag up-delay 2
  peer-link source ipv6 {local} peer {peer} tcp-port {port}
  quit
 interface Eth-Trunk10
  dfs-group 1 m-lag 10
  quit
 commit
 quit
"""
"""One device, with the parameters of ``Side``.  The group comes before what needs it; one commit takes it all."""


class DemoFailed(Exception):  # noqa: N818  # reads as what happened
    """A step did not do what it shows."""


@dataclass(slots=True)
class Side:
    """One device: its addresses, a session to its agent, and a command line on that session."""

    name: str
    priority: int
    local: str
    peer: str
    client: DfsClient
    shell: Shell

    def source(self, port: int = PORT, *, local: str | None = None, peer: str | None = None) -> str:
        """The command page's line."""
        return f"peer-link source ipv6 {local or self.local} peer {peer or self.peer} tcp-port {port}"

    def lines(self) -> list[str]:
        """All that makes this device one of a pair."""
        own, other = ("2001:db8:2::1", "2001:db8:2::2") if self.local == A else ("2001:db8:2::2", "2001:db8:2::1")
        text = PAIR.format(
            priority=self.priority, password=GROUP_PASSWORD, own=own, other=other, local=self.local, peer=self.peer,
            port=PORT,
        )  # fmt: skip
        return [line.strip() for line in text.strip().splitlines()]

    def type(self, *lines: str, show: bool = True) -> None:
        """Give lines to the command line, shown behind its prompt; the first one that is refused ends the demo."""
        for line in lines:
            if show:
                shown = line.replace(GROUP_PASSWORD, "********")
                CONSOLE.print(f"  {self.shell.prompt}{shown}", markup=False, soft_wrap=True)
            answer = self.shell.execute(line)
            if answer.error:
                raise DemoFailed(f"{self.name} refused '{line}': {answer.text.strip()}")
            if answer.text and show:
                CONSOLE.print("\n".join(f"    {row}" for row in answer.text.splitlines()), markup=False, soft_wrap=True)


@contextmanager
def agents(password: str) -> Iterator[list[int]]:
    """The pair, in one process of its own; gives its two ports."""
    command = [sys.executable, "-m", "mlag_agent.cli", "pair", "--port", "0", "--user", USER]
    environment = os.environ | {"MLAG_AGENT_PASSWORD": password}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)  # noqa: S603  # our own
    try:
        assert process.stdout is not None
        ports: list[int] = []
        while len(ports) < 2:
            line = process.stdout.readline()
            if not line:
                raise DemoFailed("the agents did not start")
            match = re.match(r"ready: .* port (\d+)", line)
            if match is not None:
                ports.append(int(match[1]))
        yield ports
    finally:
        process.terminate()
        process.wait(timeout=20)


def step(title: str) -> None:
    """A heading."""
    CONSOLE.print(f"\n[bold cyan]{title}[/]", soft_wrap=True)


def refused(side: Side, *lines: str) -> None:
    """Show that the commit of these lines is refused, in the agent's own words, and leaves nothing behind."""
    before = side.client.manager.get_config("running").data_xml
    side.type("system-view", "dfs-group 1", *lines[:-1], show=False)
    CONSOLE.print(f"  {side.shell.prompt}{lines[-1]}", markup=False, soft_wrap=True)
    answers = [side.shell.execute(line) for line in (lines[-1], "commit")]
    if not any(answer.error for answer in answers):
        raise DemoFailed(f"'{lines[-1]}' was accepted")
    for row in (row for answer in answers for row in answer.text.splitlines()):
        CONSOLE.print(f"     {row.strip()}", style="yellow", markup=False, soft_wrap=True)
    side.type("clear configuration candidate", "return", show=False)
    if side.client.manager.get_config("running").data_xml != before:
        raise DemoFailed("a refused change has altered running")


def show_states(sides: list[Side]) -> list[GroupState]:
    """Both devices' channel, side by side."""
    table = Table(box=None, padding=(0, 1, 0, 2))
    for column in ("device", "channel", "reason", "detail"):
        table.add_column(column, style="" if column == "detail" else "bold")
    states = [side.client.state() for side in sides]
    for side, state in zip(sides, states, strict=True):
        channel = state.channel
        colour = "green" if channel.up else "red"
        table.add_row(
            side.name, f"[{colour}]{'up' if channel.up else 'down'}[/]", str(channel.down_reason or "-"), channel.detail
        )
    CONSOLE.print(table)
    return states


def await_both(sides: list[Side], wanted: Callable[[GroupState], bool], what: str) -> None:
    """Until the state of the group is so on both devices."""
    for side in sides:
        side.client.wait_until(wanted, f"{what} on {side.name}", PATIENCE, 0.1)


def member_is_up(state: GroupState) -> bool:
    """The device's own interface of the M-LAG."""
    member = state.member(M_LAG)
    return member is not None and member.up


def both_active(state: GroupState) -> bool:
    """Traffic of the M-LAG is reached over either device."""
    member = state.member(M_LAG)
    return member is not None and member.active and member.other_active


def learn_and_synchronise(sides: list[Side]) -> None:
    """Each device learns entries; a bar follows what arrives at the other one."""
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=CONSOLE) as progress:
        tasks = {}
        for number, side in enumerate(sides, 1):
            side.client.learn(f"10.{number}.0.1", ENTRIES // 2, interface="Eth-Trunk10", vlan=10)
            side.client.learn(f"2001:db8:{number}0::1", ENTRIES // 2, interface="Eth-Trunk10", vlan=10)
            tasks[side.name] = progress.add_task(f"{side.name} from its peer", total=ENTRIES)
        deadline = time.monotonic() + 20
        arrived: dict[str, int] = dict.fromkeys(tasks, 0)
        while min(arrived.values()) < ENTRIES:
            if time.monotonic() > deadline:
                raise DemoFailed(f"entries did not arrive in time: {arrived}")
            for side in sides:
                arrived[side.name] = sum(table.from_peer for table in side.client.tables())
                progress.update(tasks[side.name], completed=arrived[side.name])
    sides[0].client.wait_until_converged(sides[1].client, timeout=10)


def show_tables(sides: list[Side]) -> None:
    """Both devices' tables: equal digests mean equal tables."""
    table = Table(box=None, padding=(0, 1, 0, 2))
    for column in ("device", "table", "own", "from peer", "digest"):
        table.add_column(column, justify="right" if column in ("own", "from peer") else "left")
    digests: dict[str, set[str]] = {}
    for side in sides:
        for row in side.client.tables():
            digests.setdefault(row.type, set()).add(row.digest)
            table.add_row(side.name, row.type, str(row.local_dynamic), str(row.from_peer), row.digest[:16])
    CONSOLE.print(table)
    if any(len(found) != 1 for found in digests.values()):
        raise DemoFailed("the tables differ")
    CONSOLE.print("  both tables are equal")


def refusals(side: Side, busy_port: int) -> None:
    """What the command page refuses."""
    refused(side, side.source(80, local="FE80::1"))
    refused(side, side.source(peer="2001:DB8:1:0:0:0:0:1"))
    refused(side, side.source(busy_port))


def bring_up(first: Side, second: Side) -> None:
    """The whole pair from command lines: the first device shown, the second mirrored."""
    first.type(*first.lines())
    CONSOLE.print(f"  ... and {second.name}, mirrored, with priority {second.priority}")
    second.type(*second.lines(), show=False)
    sides = [first, second]
    await_both(sides, lambda state: state.channel.up, "the channel up")
    await_both([first], lambda state: state.role == "master", "the role of Master")
    await_both([second], lambda state: state.role == "backup", "the role of Backup")
    await_both(sides, lambda state: state.heartbeat is not None and state.heartbeat.ok, "the peer's heartbeats")
    await_both(sides, both_active, "the M-LAG active on both devices")
    first.type("display dfs-group 1 m-lag", "display dfs-group 1 m-lag brief")
    show_states(sides)


def break_and_mend(master: Side, backup: Side) -> None:
    """The peer-link is cut while heartbeats arrive: the Backup's ports go error-down; mended, they come back."""
    master.client.set_fault(Link.PEER_LINK, Fault.CUT)
    await_both([backup], lambda state: any(m.error_down for m in state.members), "its member interface error-down")
    if not member_is_up(master.client.state()):
        raise DemoFailed("the Master's member interface went down too")
    backup.type("display dfs-group 1 heartbeat", "display dfs-group 1 m-lag up-delay")
    CONSOLE.print(f"  {MEMBER}: up on the Master, error-down on the Backup")

    step("8  the peer-link is mended: they pair again, and the ports come back after the up-delay")
    master.client.set_fault(Link.PEER_LINK, Fault.NONE)
    await_both([master, backup], both_active, "the M-LAG active on both devices again")
    await_both([master], lambda state: state.role == "master", "the role of Master as before")
    await_both([backup], lambda state: state.role == "backup", "the role of Backup as before")
    await_both([master, backup], lambda state: state.channel.up, "the channel up")
    backup.type("display dfs-group 1 m-lag brief", "display m-lag troubleshooting history")
    show_tables([master, backup])


def run(password: str) -> None:
    """The demo."""
    started = time.monotonic()
    with ExitStack() as stack:
        step("1  two agents, each the management agent of one switch of an M-LAG pair")
        ports = stack.enter_context(agents(password))
        sides = []
        for number, (port, local, peer) in enumerate(zip(ports, (A, B), (B, A), strict=True), 1):
            client = stack.enter_context(connect("127.0.0.1", port, USER, password, hostkey_verify=False))
            name = f"device-{number}"
            sides.append(Side(name, (150, 100)[number - 1], local, peer, client, Shell(client.session, name)))
            CONSOLE.print(f"  {name}: NETCONF over SSH on 127.0.0.1 port {port}")
        first, second = sides

        step("2  what the command page refuses, the agent refuses, and says why")
        refusals(first, ports[0])

        step("3  the pair, line by line: peer-link, priority, authentication, heartbeat, channel, a member")
        bring_up(first, second)

        step(f"4  each device learns {ENTRIES:,} ARP and ND entries; they cross the channel (limit 2,000/s each)")
        learn_and_synchronise(sides)
        show_tables(sides)

        step("5  a wrong port on one side is named on both")
        second.type("system-view", "dfs-group 1", show=False)
        second.type(second.source(WRONG_PORT), "commit")
        await_both(sides, lambda state: state.channel.down_reason == "port-mismatch", "port-mismatch")
        show_states(sides)

        step("6  repaired")
        second.type(second.source(), "commit")
        second.type("return", show=False)
        await_both(sides, lambda state: state.channel.up, "the channel up again")
        show_states(sides)
        show_tables(sides)

        step("7  the peer-link is cut while heartbeats arrive: split brain")
        break_and_mend(first, second)
    CONSOLE.print(
        Panel.fit(
            f"3 refusals, 1 pair from command lines, 2 x {ENTRIES:,} entries synchronised,\n"
            "1 mismatch named on both sides and mended, 1 split brain and its recovery,\n"
            f"in {time.monotonic() - started:.1f} s.  Next: [bold]make run[/] leaves a pair running for you,\n"
            "and [bold]mlag-client shell[/] is its command line.",
            border_style="green",
        )
    )


def main() -> int:
    """Exit code: 0, or 1 when a step failed."""
    try:
        run(secrets.token_urlsafe(12))
    except RpcFailed as error:
        CONSOLE.print(f"[red]the agent refused: {error}[/]")
        return 1
    except (DemoFailed, MlagClientError) as error:
        CONSOLE.print(f"[red]demo failed: {error}[/]")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
