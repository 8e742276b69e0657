"""``mlag-agent ctl``: put events, replies and operational state into a running agent, and see what it was asked."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from mlag_agent.config import Settings
from mlag_agent.control.client import ControlClient, ControlError
from mlag_agent.control.protocol import MAX_MESSAGE, Request

__all__ = ["ctl_commands"]

_FILE = click.argument("file", type=click.Path(path_type=Path, allow_dash=True))


@click.group("ctl")
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    default=Settings().state,
    show_default=True,
    help="State folder of the agent.",
)
@click.pass_context
def ctl_commands(context: click.Context, state: Path) -> None:
    """Act on a running agent: events, canned replies, operational state, and the record of operations.

    FILE is XML; - is standard input.
    """
    context.obj = state


@ctl_commands.command()
@_FILE
@click.pass_obj
def notify(state: Path, file: Path) -> None:
    """Send the notification in FILE to all who have subscribed."""
    answer = _ask(state, Request("notify", content=_read(file)))
    click.echo(f"sent: {answer}")


@ctl_commands.command()
@click.argument("path")
@_FILE
@click.pass_obj
def reply(state: Path, path: str, file: Path) -> None:
    """Answer the rpc or action at PATH with FILE from now on.

    PATH is /module:rpc or /module:path/to/action; FILE holds <ok/>, <output>, <rpc-error>, <reply> or an <rpc-reply>.
    """
    answer = _ask(state, Request("reply", path=path, content=_read(file)))
    click.echo(f"{path} has {answer} more {'reply' if answer == 1 else 'replies'}")


@ctl_commands.command()
@_FILE
@click.option(
    "--origin", default="", help="Where the data comes from: an identity of RFC 8342, e.g. ietf-origin:learned."
)
@click.pass_obj
def operational(state: Path, file: Path, origin: str) -> None:
    """Have the data in FILE in the operational state, in place of what was put in for its top-level nodes."""
    answer = _ask(state, Request("operational", content=_read(file), origin=origin))
    click.echo(f"replaced: {', '.join(answer) or 'nothing'}")


@ctl_commands.command()
@click.option("-f", "--follow", is_flag=True, help="Go on until it is interrupted.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def log(state: Path, *, follow: bool, as_json: bool) -> None:
    """Show the operations that the agent has answered, the oldest first."""
    with ControlClient(state) as client:
        if not follow:
            for entry in client.request(Request("log")).result:
                _show(entry, as_json=as_json)
            return
        client.request(Request("log", follow=True))
        for answer in client.entries():
            if answer.lost:
                click.echo(f"({answer.lost} operations came too fast and are not shown)", err=True)
            if answer.entry is not None:
                _show(answer.entry, as_json=as_json)


@ctl_commands.command()
@click.option("--config", is_flag=True, help="The configuration too: it is that of the factory then.")
@click.pass_obj
def reset(state: Path, *, config: bool) -> None:
    """Forget what was put in, the replies that were given, and the record of operations."""
    _ask(state, Request("reset", config=config))
    click.echo("reset")


@ctl_commands.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--datastore", default="running", show_default=True, help="Or candidate, startup, operational.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of XML.")
@click.pass_obj
def save(state: Path, file: Path, datastore: str, *, as_json: bool) -> None:
    """Write what a datastore holds to FILE, as instance data (RFC 9195)."""
    text = _ask(state, Request("save", datastore=datastore, json=as_json))
    if str(file) == "-":
        click.echo(text, nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ControlError(f"cannot write {file}: {error.strerror}") from error
    click.echo(f"{datastore} saved to {file}")


@ctl_commands.command()
@_FILE
@click.option("--datastore", default="", help="running or startup.  [default: the one that FILE names]")
@click.pass_obj
def load(state: Path, file: Path, datastore: str) -> None:
    """Replace what a datastore holds by the instance data (RFC 9195) in FILE, XML or JSON."""
    answer = _ask(state, Request("load", content=_read(file), datastore=datastore))
    click.echo(f"{answer} is as {file} has it")


def _ask(state: Path, request: Request) -> Any:
    with ControlClient(state) as client:
        return client.request(request).result


def _read(file: Path) -> str:
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise ControlError(f"cannot read {file}: {error.strerror}") from error
    if len(content) > MAX_MESSAGE // 2:
        raise ControlError(f"{file} has {len(content)} bytes", f"no more than {MAX_MESSAGE // 2} are taken")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ControlError(f"{file} is not UTF-8", "save it as UTF-8") from error


def _show(entry: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(entry))
    else:
        datastore = f" {entry['datastore']}" if entry["datastore"] else ""
        who = f"{entry['time']}  {entry['session']:>4} {entry['user']:<10}"
        click.echo(f"{who} {entry['operation']}{datastore}: {entry['result']}")
        for error in entry["errors"]:
            click.echo(f"        {error['path'] or ''} {error['message']}".rstrip())
        if entry["leniencies"]:
            click.echo(f"        leniencies: {', '.join(entry['leniencies'])}")
    sys.stdout.flush()
