"""``mlag-client``: the DFS group from the command line.

Exit codes: 0 done; 1 refused by the agent; 2 wrong use of the command; 3 no connection or login; 4 a state did not come
in time; 5 what is configured is not what the command assumes (undo, or no DFS group), nothing changed; 6 the session
ended or no reply came, so that the outcome is not known; 130 interrupted.

With ``--json`` stdout holds one JSON document, also for an error: ``{"error": {...}}``, on one line.  ``sync watch``
prints one document per line, an error as the last.
"""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final, NoReturn, TextIO

import click
from rich.console import Console, RenderableType
from rich.live import Live

from mlag_client import render
from mlag_client.client import INTERVAL, DfsClient, connect, not_converged, not_up
from mlag_client.commands.cli import translate_command
from mlag_client.errors import (
    ConnectFailed,
    GroupMissing,
    InvalidRequest,
    MlagClientError,
    NotConfigured,
    NotConverged,
    NotInTime,
    ReplyTimeout,
    RpcFailed,
    SessionLost,
    UndoMismatch,
    UnexpectedReply,
)
from mlag_client.model import (
    EntryKind,
    EntrySelector,
    EntryType,
    Fault,
    IPAddress,
    Link,
    PeerLinkSource,
    Snapshot,
)
from mlag_client.shell.cli import open_shell
from mlag_client.watching import watch_command

__all__ = ["EXIT_CODES", "main"]

PASSWORD_VARIABLE: Final = "MLAG_CLIENT_PASSWORD"  # noqa: S105  # the variable's name
DEFAULT_PORT: Final = 8300
"""The port that ``mlag-agent serve`` takes."""

EXIT_REFUSED, EXIT_USAGE, EXIT_CONNECT, EXIT_TIME, EXIT_DIFFERENT, EXIT_LOST, EXIT_INTERRUPTED = 1, 2, 3, 4, 5, 6, 130

EXIT_CODES: Final[tuple[tuple[type[MlagClientError], int], ...]] = (
    (RpcFailed, EXIT_REFUSED),
    (ConnectFailed, EXIT_CONNECT),
    (InvalidRequest, EXIT_USAGE),
    (NotInTime, EXIT_TIME),
    (UndoMismatch, EXIT_DIFFERENT),
    (NotConfigured, EXIT_DIFFERENT),
    (GroupMissing, EXIT_DIFFERENT),
    (SessionLost, EXIT_LOST),
    (ReplyTimeout, EXIT_LOST),
    (UnexpectedReply, EXIT_LOST),
)
"""First class that fits."""


def main() -> NoReturn:
    """Entry point; see the module for the exit codes."""
    as_json = "--json" in sys.argv[1:]
    try:
        cli.main(prog_name="mlag-client", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        if as_json:
            problem = MlagClientError(error.format_message())
            click.echo(render.as_json(render.error_document(problem, EXIT_USAGE), indent=None))
        else:
            error.show()
        sys.exit(EXIT_USAGE)
    except MlagClientError as error:
        code = next((code for kind, code in EXIT_CODES if isinstance(error, kind)), EXIT_LOST)
        if as_json:
            click.echo(render.as_json(render.error_document(error, code), indent=None))
        else:
            click.echo(f"mlag-client: {render.error_text(error)}", err=True)
        sys.exit(code)
    sys.exit(0)


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> IPAddress | None:
    """An IPv4 or IPv6 address, in any spelling."""
    if value is None:
        return None
    try:
        return ip_address(value)
    except ValueError as error:
        raise click.BadParameter(f"{value} is neither an IPv4 nor an IPv6 address") from error


PORT: Final = click.IntRange(1, 65535)
SECONDS: Final = click.FloatRange(min=0)


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect and how to print; what the global options say."""

    host: str
    port: int
    user: str
    password: str | None
    key: str | None
    known_hosts: str | None
    hostkey_verify: bool | None
    timeout: float
    json: bool

    def client(self, host: str | None = None, port: int | None = None) -> DfsClient:
        """Connect, to another agent with the same credentials where one is given."""
        return connect(
            host or self.host,
            port or self.port,
            self.user,
            self.password,
            self.key,
            timeout=self.timeout,
            hostkey_verify=self.hostkey_verify,
            known_hosts=self.known_hosts,
        )

    @contextmanager
    def session(self) -> Iterator[DfsClient]:
        """A connected client, closed at the end."""
        with self.client() as client:
            yield client

    def show(self, document: object, text: RenderableType) -> None:
        """Print a result for a program or for a person."""
        if self.json:
            click.echo(render.as_json(document))
        else:
            _console().print(text)


def _console() -> Console:
    # Into a pipe or a file nothing has to fit a screen.
    return Console(highlight=False, **({} if sys.stdout.isatty() else {"width": 160}))  # type: ignore[arg-type]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(None, "-V", "--version", package_name="mlag-agent", prog_name="mlag-client")
@click.option("--host", default="127.0.0.1", show_default=True, help="The agent's address.")
@click.option("--port", type=PORT, default=DEFAULT_PORT, show_default=True, help="The agent's NETCONF port.")
@click.option("--user", default="admin", show_default=True, help="User name.")
@click.option(
    "--password-env",
    default=PASSWORD_VARIABLE,
    show_default=True,
    metavar="VARIABLE",
    help="Environment variable that holds the password; asked for on a terminal when it is not set.",
)
@click.option("--key", type=click.Path(exists=True, dir_okay=False), help="Private key to log in with.")
@click.option(
    "--known-hosts",
    type=click.Path(exists=True, dir_okay=False),
    help="File of host keys to trust.  [default: ~/.ssh/known_hosts; loopback addresses are not verified]",
)
@click.option("--insecure", is_flag=True, help="Do not verify the host key.")
@click.option("--timeout", type=SECONDS, default=30.0, show_default=True, help="Seconds for connection and reply.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, errors too.")
@click.pass_context
def cli(
    context: click.Context,
    *,
    host: str,
    port: int,
    user: str,
    password_env: str,
    key: str | None,
    known_hosts: str | None,
    insecure: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Configure and watch the DFS group of an M-LAG device.

    Exit codes: 0 done, 1 refused by the agent, 2 wrong use, 3 no connection or login, 4 not in time, 5 configured
    otherwise than assumed, 6 outcome not known, 130 interrupted.
    """
    if insecure and known_hosts is not None:
        raise click.UsageError("--insecure and --known-hosts exclude each other")
    password = os.environ.get(password_env)
    offline = context.invoked_subcommand == translate_command.name
    if password is None and key is None and not offline and sys.stdin.isatty() and sys.stderr.isatty():
        password = getpass.getpass(f"Password of {user} on {host} port {port}: ")
    context.obj = Target(host, port, user, password, key, known_hosts, False if insecure else None, timeout, as_json)


cli.add_command(translate_command)
cli.add_command(watch_command)


@cli.command("shell")
@click.option("--file", type=click.File("r"), help="Run the lines of a file; standard input that is no terminal too.")
@click.option("--keep-going", is_flag=True, help="Go on behind a line of a script that is refused.")
@click.pass_obj
def shell_command(target: Target, file: TextIO | None, *, keep_going: bool) -> None:
    """The device's command line: views, commit, display, ? for help.  A script ends at its first error, with code 1."""
    with target.session() as client:
        done = open_shell(client.session, target.host, file, keep_going=keep_going)
    if not done:
        sys.exit(EXIT_REFUSED)


# --- peer-link ----------------------------------------------------------------------------------------------


@cli.group("peer-link")
def peer_link() -> None:
    """The TCP channel for ARP and ND synchronisation."""


def _source_options(command: Any) -> Any:
    for decorate in (
        click.option("--vpn-instance", metavar="NAME", help="VPN instance of both addresses, case-sensitive."),
        click.option("--tcp-port", type=PORT, required=True, help="Destination TCP port, equal on both devices."),
        click.argument("peer", callback=_address),
        click.argument("local", callback=_address),
    ):
        command = decorate(command)
    return command


def _source(local: IPAddress, peer: IPAddress, tcp_port: int, vpn_instance: str | None) -> PeerLinkSource:
    try:
        return PeerLinkSource(local, peer, tcp_port, vpn_instance)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


@peer_link.command("set")
@_source_options
@click.option(
    "--password",
    "group_password",
    metavar="TEXT",
    help="Shared secret of the group, 8 to 16 characters; '-' asks for it.",
)
@click.pass_obj
def peer_link_set(
    target: Target,
    *,
    local: IPAddress,
    peer: IPAddress,
    tcp_port: int,
    vpn_instance: str | None,
    group_password: str | None,
) -> None:
    """Set the peer-link source; LOCAL and PEER are both IPv4 or both IPv6 addresses."""
    source = _source(local, peer, tcp_port, vpn_instance)
    if group_password == "-":  # noqa: S105  # the word that asks for one
        group_password = click.prompt("Shared secret of the DFS group", hide_input=True, confirmation_prompt=True)
    with target.session() as client:
        client.set_peer_link(source, password=group_password)
    target.show({"set": source, "password_set": group_password is not None}, f"set: {source}")


@peer_link.command("undo")
@_source_options
@click.pass_obj
def peer_link_undo(
    target: Target, *, local: IPAddress, peer: IPAddress, tcp_port: int, vpn_instance: str | None
) -> None:
    """Undo the peer-link source; every parameter has to be the configured one."""
    source = _source(local, peer, tcp_port, vpn_instance)
    with target.session() as client:
        client.undo_peer_link(source)
    target.show({"undone": source}, f"undone: {source}")


@peer_link.command("show")
@click.pass_obj
def peer_link_show(target: Target) -> None:
    """Show the configured peer-link source."""
    with target.session() as client:
        source = client.peer_link()
    target.show({"source": source}, "no peer-link source is configured" if source is None else str(source))


# --- sync ---------------------------------------------------------------------------------------------------


@cli.group()
def sync() -> None:
    """State of the channel and of the tables."""


@sync.command("show")
@click.pass_obj
def sync_show(target: Target) -> None:
    """Show channel, peer-link, counters and tables."""
    with target.session() as client:
        snapshot = client.snapshot()
    target.show(render.snapshot_document(snapshot), render.snapshot_text(snapshot))


def _peer_agent(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str | None, int] | None:
    """``[HOST:]PORT`` of the other agent; an IPv6 address stands in brackets."""
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise click.BadParameter(f"{value} does not end in a port, 1 to 65535")
    return host.removeprefix("[").removesuffix("]") or None, int(port)


@sync.command("watch")
@click.option("--until", type=click.Choice(["up", "converged"]), help="End when this is so.")
@click.option("--timeout", "limit", type=SECONDS, help="With --until: seconds to wait.  [default: for ever]")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.05),
    default=INTERVAL * 2,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option(
    "--peer",
    callback=_peer_agent,
    metavar="[HOST:]PORT",
    help="The other agent, to compare tables with for '--until converged'.",
)
@click.pass_obj
def sync_watch(
    target: Target, *, until: str | None, limit: float | None, interval: float, peer: tuple[str | None, int] | None
) -> None:
    """Follow the state until Ctrl-C, or until it is as wanted.

    'converged': the channel is up and nothing waits to be sent; with --peer also: nothing waits there and the digests
    of the tables are equal.
    """
    if limit is not None and until is None:
        raise click.UsageError("--timeout goes with --until")
    if peer is not None and until != "converged":
        raise click.UsageError("--peer goes with '--until converged'")
    try:
        with target.session() as client:
            if peer is None:
                _follow(target, client, None, until=until, limit=limit, interval=interval)
            else:
                with target.client(*peer) as other:
                    _follow(target, client, other, until=until, limit=limit, interval=interval)
    except KeyboardInterrupt:
        # Without --until there is no other end.
        if until is not None:
            raise


def _follow(
    target: Target,
    client: DfsClient,
    peer: DfsClient | None,
    *,
    until: str | None,
    limit: float | None,
    interval: float,
) -> None:
    deadline = None if limit is None else time.monotonic() + limit
    with _display(target) as show:
        for snapshot in client.watch(interval=interval):
            show(snapshot)
            missing = "" if until is None else _missing(until, snapshot, None if peer is None else peer.snapshot())
            if until is not None and not missing:
                return
            if deadline is not None and time.monotonic() + interval > deadline:
                assert limit is not None
                if snapshot.state is None or not snapshot.state.channel.up:
                    raise not_up(limit, snapshot.state, 1)
                raise NotConverged(f"not converged after {limit:g} s: {missing}", limit)


def _missing(until: str, snapshot: Snapshot, theirs: Snapshot | None) -> str:
    """What is not yet as wanted; empty when all is."""
    if snapshot.state is None or not snapshot.state.channel.up:
        return "the channel is down"
    if until == "up":
        return ""
    if theirs is not None:
        return not_converged(snapshot, theirs)
    pending = snapshot.state.channel.pending
    return f"{pending} entries wait to be sent" if pending else ""


@contextmanager
def _display(target: Target) -> Iterator[Callable[[Snapshot], None]]:
    """Called with each snapshot: a live screen, a line of JSON, or into a pipe a line of text when it changed."""
    if target.json:
        yield lambda snapshot: click.echo(render.as_json(render.snapshot_document(snapshot), indent=None))
        return
    console = _console()
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda snapshot: live.update(render.snapshot_text(snapshot), refresh=True)
        return
    last = ""

    def changed(snapshot: Snapshot) -> None:
        nonlocal last
        line = render.snapshot_line(snapshot)
        if line != last:
            click.echo(line)
        last = line

    yield changed


# --- the simulated device -----------------------------------------------------------------------------------


@cli.command()
@click.argument("start", callback=_address)
@click.argument("count", type=click.IntRange(1, 1_000_000), default=1)
@click.option("--interface", required=True, metavar="NAME", help="Interface that learns them.")
@click.option("--vlan", required=True, type=click.IntRange(1, 4094), help="VLAN that they are in.")
@click.option("--kind", type=click.Choice([kind.value for kind in EntryKind]), default="dynamic", show_default=True)
@click.option("--start-mac", metavar="MAC", help="Link-layer address of the first.  [default: the agent's]")
@click.pass_obj
def learn(
    target: Target, *, start: IPAddress, count: int, interface: str, vlan: int, kind: str, start_mac: str | None
) -> None:
    """Make the device learn COUNT addresses from START on: IPv4 gives ARP, IPv6 ND entries."""
    with target.session() as client:
        result = client.learn(start, count, interface=interface, vlan=vlan, kind=EntryKind(kind), start_mac=start_mac)
    refused = f", {result.refused} refused: the table is full" if result.refused else ""
    target.show(result, f"{result.learned} learned{refused}")


def _selector_options(command: Any) -> Any:
    for decorate in (
        click.option("--vlan", type=click.IntRange(1, 4094)),
        click.option("--interface", metavar="NAME"),
        click.option("--count", type=click.IntRange(1, 1_000_000), help="Addresses from --start on."),
        click.option("--start", "start_address", callback=_address, metavar="ADDRESS", help="First address."),
        click.option("--type", "entry_type", type=click.Choice([kind.value for kind in EntryType])),
    ):
        command = decorate(command)
    return command


def _selector(
    entry_type: str | None,
    start_address: IPAddress | None,
    count: int | None,
    interface: str | None,
    vlan: int | None,
) -> EntrySelector:
    return EntrySelector(None if entry_type is None else EntryType(entry_type), start_address, count, interface, vlan)


@cli.command()
@_selector_options
@click.pass_obj
def age(target: Target, /, **selector: Any) -> None:
    """Let entries that this device learned age out; without an option all of them."""
    with target.session() as client:
        removed = client.age(_selector(**selector))
    target.show({"removed": removed}, f"{removed} removed")


@cli.command()
@_selector_options
@click.pass_obj
def flush(target: Target, /, **selector: Any) -> None:
    """Remove dynamic entries, those of the peer too; without an option all of them."""
    with target.session() as client:
        removed = client.flush(_selector(**selector))
    target.show({"removed": removed}, f"{removed} removed")


@cli.command()
@_selector_options
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Entries to skip.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Entries to show.")
@click.pass_obj
def entries(target: Target, /, offset: int, limit: int, **selector: Any) -> None:
    """List entries in ascending order of address."""
    with target.session() as client:
        page = client.entries(_selector(**selector), offset=offset, limit=limit)
    target.show(page, render.entries_table(page))


@cli.command()
@click.argument("link", type=click.Choice([link.value for link in Link]))
@click.argument("what", type=click.Choice([fault.value for fault in Fault]))
@click.option("--delay", type=click.IntRange(1, 60_000), help="Milliseconds, with 'delay'.  [default: 500]")
@click.pass_obj
def fault(target: Target, link: str, what: str, delay: int | None) -> None:
    """Break a link of the simulated device, or mend it with 'none'."""
    if delay is not None and what != "delay":
        raise click.UsageError("--delay goes with the fault 'delay'")
    with target.session() as client:
        client.set_fault(Link(link), Fault(what), delay=delay)
    target.show({"link": link, "fault": what}, f"{link}: {what}")


if __name__ == "__main__":
    main()
