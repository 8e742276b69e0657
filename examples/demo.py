"""``make demo``: the main job from beginning to end, against two agents in a process of their own.

Everything is configured through ncclient, as any program would; the states are read through ``mlag_client``, which
stands on ncclient too.  Ends with exit code 0, or with 1 and the step that went wrong.
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

from mlag_client import DfsClient, GroupState, MlagClientError, RpcFailed, connect

CONSOLE = Console(highlight=False)
USER = "admin"
ENTRIES = 2000
PORT, WRONG_PORT = 2048, 2049
A, B = "2001:db8:1::1", "2001:db8:1::2"

GROUP = """<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
  <m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag"><dfs-groups><dfs-group><id>1</id>
    <authentication><password>{password}</password></authentication>
    <peer-link-source><ipv6>
      <local-address>{local}</local-address><peer-address>{peer}</peer-address><tcp-port>{port}</tcp-port>
    </ipv6></peer-link-source>
  </dfs-group></dfs-groups></m-lag>
</config>"""

PORT_ONLY = """<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
  <m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag"><dfs-groups><dfs-group><id>1</id>
    <peer-link-source><ipv6><tcp-port>{port}</tcp-port></ipv6></peer-link-source>
  </dfs-group></dfs-groups></m-lag>
</config>"""


class DemoFailed(Exception):  # noqa: N818  # reads as what happened
    """A step did not do what it shows."""


@dataclass(slots=True)
class Side:
    """One device: its command line in the page's words, and a session to its agent."""

    name: str
    local: str
    peer: str
    client: DfsClient

    def command(self, port: int = PORT) -> str:
        """The command page's line."""
        return f"peer-link source ipv6 {self.local} peer {self.peer} tcp-port {port}"

    def configure(self, config: str) -> None:
        """edit-config into the candidate, and commit; a refused change leaves nothing behind."""
        manager = self.client.manager
        with manager.locked("candidate"):
            manager.edit_config(target="candidate", config=config)
            manager.commit()


@contextmanager
def agents(password: str) -> Iterator[list[int]]:
    """The pair, in one process of its own; gives its two ports."""
    command = [sys.executable, "-m", "mlag_agent.cli", "pair", "--port", "0", "--user", USER]
    environment = os.environ | {"MLAG_AGENT_PASSWORD": password}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)  # noqa: S603  # our own
    try:
        assert process.stdout is not None
        ports = []
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


def refused(side: Side, what: str, config: str) -> None:
    """Show that a change is refused, with the agent's own words."""
    before = side.client.manager.get_config("running").data_xml
    try:
        side.configure(config)
    except Exception as error:  # ncclient's RPCError; anything else is shown below
        errors = getattr(error, "errors", None) or [error]
        CONSOLE.print(f"  [yellow]refused[/] {what}")
        for item in errors:
            tag = getattr(item, "app_tag", None) or getattr(item, "tag", "?")
            CONSOLE.print(f"     [red]{tag}[/]: {getattr(item, 'message', item)}", soft_wrap=True)
        if side.client.manager.get_config("running").data_xml != before:
            raise DemoFailed("a refused change has altered running") from error
        return
    raise DemoFailed(f"{what} was accepted")


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


def await_both(sides: list[Side], wanted: Callable[[GroupState], bool], what: str, timeout: float = 15.0) -> None:
    """Until both devices show it."""
    deadline = time.monotonic() + timeout
    for side in sides:
        for snapshot in side.client.watch(interval=0.1):
            if snapshot.state is not None and wanted(snapshot.state):
                break
            if time.monotonic() > deadline:
                raise DemoFailed(f"{side.name} did not show {what} within {timeout:g} s")


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


def run(password: str) -> None:
    """The demo."""
    started = time.monotonic()
    with ExitStack() as stack:
        step("1  two agents, each the management agent of one switch of an M-LAG pair")
        ports = stack.enter_context(agents(password))
        sides = []
        for number, (port, local, peer) in enumerate(zip(ports, (A, B), (B, A), strict=True), 1):
            client = stack.enter_context(connect("127.0.0.1", port, USER, password, hostkey_verify=False))
            sides.append(Side(f"device-{number}", local, peer, client))
            CONSOLE.print(f"  device-{number}: NETCONF over SSH on 127.0.0.1 port {port}")
        first, second = sides

        step("2  what the command page refuses, the agent refuses, and says why")
        good = {"password": "Secret-pw1", "local": A, "peer": B, "port": PORT}
        bad = good | {"local": "FE80::1", "port": 80}
        refused(first, "a link-local source and a well-known port", GROUP.format(**bad))
        refused(first, "one address twice, in two spellings", GROUP.format(**good | {"peer": "2001:DB8:1:0:0:0:0:1"}))
        refused(first, "a port that is in use (the agent's own)", GROUP.format(**good | {"port": ports[0]}))

        step("3  the example of the command page, and its mirror")
        for side in sides:
            side.configure(GROUP.format(password="Secret-pw1", local=side.local, peer=side.peer, port=PORT))  # noqa: S106
            CONSOLE.print(f"  [~{side.name}-dfs-group-1] {side.command()}", soft_wrap=True)
        await_both(sides, lambda state: state.channel.up, "the channel up")
        show_states(sides)

        step(f"4  each device learns {ENTRIES:,} ARP and ND entries; they cross the channel (limit 2,000/s each)")
        learn_and_synchronise(sides)
        show_tables(sides)

        step("5  a wrong port on one side is named on both")
        second.configure(PORT_ONLY.format(port=WRONG_PORT))
        CONSOLE.print(f"  [~{second.name}-dfs-group-1] {second.command(WRONG_PORT)}", soft_wrap=True)
        await_both(sides, lambda state: state.channel.down_reason == "port-mismatch", "port-mismatch")
        show_states(sides)

        step("6  repaired")
        second.configure(PORT_ONLY.format(port=PORT))
        await_both(sides, lambda state: state.channel.up, "the channel up again")
        show_states(sides)
        show_tables(sides)
    CONSOLE.print(
        Panel.fit(
            f"3 refusals, 1 channel, 2 x {ENTRIES:,} entries synchronised, 1 mismatch named on both sides and mended\n"
            f"in {time.monotonic() - started:.1f} s.  Next: [bold]make run[/] leaves a pair running for you.",
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
