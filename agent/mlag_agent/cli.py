"""``mlag-agent``: start an agent, or a pair of them."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from mlag_agent import __version__
from mlag_agent.access.users import hash_password
from mlag_agent.app import Device
from mlag_agent.config import (
    DEFAULT_PORT,
    DeviceSettings,
    FabricSettings,
    ListenSettings,
    Settings,
    UserSettings,
    checked,
    load_settings,
    user_with_password,
)
from mlag_agent.control.client import ControlError
from mlag_agent.ctl_cli import ctl_commands
from mlag_agent.errors import AgentError, SchemaError, SettingsError
from mlag_agent.models import DEFAULT_MODEL, MODELS
from mlag_agent.scenario_cli import scenario_command
from mlag_agent.server.transports.sockets import reserve_descriptors
from mlag_agent.systemd import Notifier, activated_sockets
from mlag_agent.users_cli import PASSWORD_VARIABLE, user_commands

__all__ = ["main"]

_LOG = logging.getLogger(__name__)

EXIT_SETTINGS = 2
EXIT_SCHEMA = 3
EXIT_CONTROL = 4


def main() -> NoReturn:
    """Entry point: 0 after an ordinary stop, 2 for wrong settings, 3 for a module that cannot be served.

    4: ``ctl`` cannot reach the agent, or is refused.
    """
    try:
        cli.main(prog_name="mlag-agent", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except AgentError as error:
        hint = error.hint if isinstance(error, SettingsError | ControlError) else ""
        click.echo(f"mlag-agent: {error}" + (f"\n  {hint}" if hint else ""), err=True)
        codes = {SchemaError: EXIT_SCHEMA, ControlError: EXIT_CONTROL}
        sys.exit(codes.get(type(error), EXIT_SETTINGS))
    sys.exit(0)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "-V", "--version", prog_name="mlag-agent")
@click.option("-v", "--verbose", count=True, help="Log sessions and errors; twice: everything.")
def cli(verbose: int) -> None:
    """NETCONF/YANG management agent for the DFS group of an M-LAG switch pair."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    # asyncssh logs each packet at debug and each login at info: ours says what matters.
    logging.getLogger("asyncssh").setLevel(max(level, logging.WARNING))


@cli.command()
@click.option("--settings", "settings_file", type=click.Path(path_type=Path), help="TOML file; options override it.")
@click.option("--state", type=click.Path(path_type=Path), help="Folder for keys and configuration.")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help=f"TCP port; 0 takes a free one.  [default: {DEFAULT_PORT}]")
@click.option("--name", help="Name of the device.")
@click.option("--model", help=f"Device model; decides on YANG features.  [default: {DEFAULT_MODEL}]")
@click.option("--user", help=f"A user who may log in; the password is taken from {PASSWORD_VARIABLE}.")
@click.option("--authorized-keys", type=click.Path(path_type=Path), help="Public keys that let the user in.")
@click.option(
    "--level",
    type=click.IntRange(0, 3),
    help="The user's level: 0 nothing, 1 reads, 2 configures, 3 everything (default).",
)
@click.option(
    "--nacm/--no-nacm", default=None, help="Access control (RFC 8341); without it everybody may do everything."
)
@click.option("--rendezvous", type=click.Path(path_type=Path), help="Folder where agents of this machine meet.")
@click.option("--pair", help="Name of the pair in the rendezvous folder.")
@click.option(
    "--yang-dir",
    "yang_dirs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder of YANG modules for --module.",
)
@click.option("--module", "modules", multiple=True, help="Serve one more module: NAME, NAME:FEATURE,FEATURE or NAME:*.")
@click.option("--hooks", multiple=True, type=click.Path(), help="Python file with behaviour for modules.")
@click.option("--replies", multiple=True, type=click.Path(), help="XML file with canned replies for rpcs and actions.")
@click.option("--control/--no-control", default=None, help="Whether `mlag-agent ctl` is answered.")
@click.option("--schema-cache", help="Folder where loaded modules are kept, or off.  [default: the user's cache]")
@click.option(
    "--candidate", type=click.Choice(["shared", "private", "none"]), help="The candidate datastore.  [default: shared]"
)
@click.option(
    "--writable-running/--no-writable-running", default=None, help="Whether running can be edited without a candidate."
)
@click.option("--startup/--no-startup", default=None, help="Have a startup datastore; running is then not durable.")
@click.option(
    "--strict/--no-strict", default=None, help="Refuse what RFC 6241 does not allow, e.g. missing namespaces."
)
def serve(settings_file: Path | None, **options: object) -> None:
    """Run one agent until it is told to stop (SIGTERM, SIGINT).  SIGHUP: read the users of the settings file again."""

    def read() -> Settings:
        return _with_options(load_settings(settings_file) if settings_file is not None else Settings(), options)

    asyncio.run(_serve((read(),), reread=read))


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65534),
    default=8301,
    show_default=True,
    help="TCP port of the first agent; the second takes the next one; 0 takes free ones.",
)
@click.option("--state", type=click.Path(path_type=Path), help="Folder for both; without it nothing is kept.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Device model of both.")
@click.option(
    "--user",
    default="admin",
    show_default=True,
    help=f"The user who may log in; the password is taken from {PASSWORD_VARIABLE}, or made and shown.",
)
@click.option("--authorized-keys", type=click.Path(path_type=Path), help="Public keys that let the user in.")
def pair(*, host: str, port: int, state: Path | None, model: str, user: str, authorized_keys: Path | None) -> None:
    """Run two agents in one process: an M-LAG pair, ready to be configured."""
    password = os.environ.get(PASSWORD_VARIABLE)
    shown = password is None and authorized_keys is None
    if shown:
        password = secrets.token_urlsafe(12)
    who = UserSettings(
        name=user,
        password_hash=None if password is None else hash_password(password),
        authorized_keys=None if authorized_keys is None else str(authorized_keys),
    )
    with tempfile.TemporaryDirectory(prefix="mlag-pair-") as scratch:
        base = state or Path(scratch)
        both = tuple(
            Settings(
                state=str(base / name),
                device=DeviceSettings(name=name, model=model),
                listen=ListenSettings(host=host, port=port + offset if port else 0),
                users=(who,),
                fabric=FabricSettings(rendezvous=str(base / "rendezvous")),
            )
            for offset, name in enumerate(("device-1", "device-2"))
        )
        asyncio.run(_serve(both, password=password if shown else None))


cli.add_command(user_commands)
cli.add_command(ctl_commands)
cli.add_command(scenario_command)


@cli.command("hash-password")
@click.password_option(help="The password; asked for when not given.")
def hash_password_command(password: str) -> None:
    """Print the argon2 hash of a password, for password-hash in the settings file."""
    click.echo(hash_password(password))


@cli.command()
def models() -> None:
    """List the device models, with the features of dfs-m-lag that each has."""
    for model in MODELS.values():
        more = " ".join(feature for feature in model.features if feature != "ipv6")
        click.echo(f"{model.name:24} {'IPv4 and IPv6' if model.ipv6 else 'IPv4 only':14} {more}".rstrip())


def _with_options(settings: Settings, given: dict[str, object]) -> Settings:
    """The settings with the command line's options on top."""
    options = {name: value for name, value in given.items() if value is not None and value != ()}

    def text(name: str) -> str | None:
        return str(options[name]) if name in options else None

    replace = msgspec.structs.replace
    device = {key: text(key) for key in ("name", "model") if key in options}
    listen = {key: options[key] for key in ("host", "port") if key in options}
    fabric = {key: text(key) for key in ("rendezvous", "pair") if key in options}
    top: dict[str, object] = {
        key: options[key] for key in ("strict", "startup", "writable_running", "control") if key in options
    }
    top |= {key: text(key) for key in ("state", "schema_cache", "candidate") if key in options}
    for name in ("hooks", "replies"):
        if name in options:
            top[name] = given[name]
    if "yang_dirs" in options:
        top["yang_dirs"] = tuple(map(str, given["yang_dirs"]))  # type: ignore[call-overload]
    if "modules" in options:
        top["modules"] = given["modules"]
    if "nacm" in options:
        top["access"] = replace(settings.access, nacm=bool(options["nacm"]))
    if "user" in options:
        user = _user(str(options["user"]), text("authorized_keys"))
        top["users"] = (*settings.users, replace(user, level=options["level"]) if "level" in options else user)
    elif alone := {"authorized_keys", "level"} & options.keys():
        raise SettingsError(f"--{min(alone).replace('_', '-')} needs --user NAME")
    return checked(
        replace(
            settings,
            device=replace(settings.device, **device),
            listen=replace(settings.listen, **listen),
            fabric=replace(settings.fabric, **fabric),
            **top,
        )
    )


def _user(name: str, authorized_keys: str | None) -> UserSettings:
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None and authorized_keys is None:
        raise SettingsError(
            f"user {name} has neither a password nor keys",
            f"set {PASSWORD_VARIABLE} in the environment, or give --authorized-keys FILE",
        )
    if password is None:
        return UserSettings(name=name, authorized_keys=authorized_keys)
    return msgspec.structs.replace(user_with_password(name, password), authorized_keys=authorized_keys)


async def _serve(
    all_settings: Sequence[Settings], password: str | None = None, *, reread: Callable[[], Settings] | None = None
) -> None:
    """Start, say so on stdout, and run until a signal comes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    reserve_descriptors(sum(s.limits.max_connections + s.limits.max_unauthenticated for s in all_settings))
    notifier = Notifier()
    sockets = activated_sockets() if len(all_settings) == 1 else {}  # two agents cannot share them
    async with AsyncExitStack() as stack:
        devices = [await stack.enter_async_context(Device(settings, sockets=sockets)) for settings in all_settings]
        for device in devices:
            for what, host, port in device.endpoints.served():
                click.echo(f"ready: {device.settings.device.name} serves {what} on {host} port {port}")
            if device.settings.metrics is not None:
                where = f"{device.settings.metrics.host} port {device.metrics_port}"
                click.echo(f"ready: {device.settings.device.name} serves metrics on {where}")
        if len(devices) > 1:
            _how_to_connect(devices, password)
        sys.stdout.flush()
        # Schema and code stay until the end: each full collection would look at them again, for 9 ms here.
        gc.collect()
        gc.freeze()
        if reread is not None:
            loop.add_signal_handler(signal.SIGHUP, _reload_users, devices[0], reread)
        async with notifier.serving("serving NETCONF"):
            await stop.wait()


def _reload_users(device: Device, reread: Callable[[], Settings]) -> None:
    """What is wrong with the file leaves the users as they are."""
    try:
        device.reload_users(reread())
    except SettingsError as error:
        _LOG.error("the users stay as they are: %s", error)
        return
    _LOG.info("the users were read again")


def _how_to_connect(devices: Sequence[Device], password: str | None) -> None:
    first = devices[0]
    user, host = first.settings.users[0].name, first.settings.listen.host
    if password is not None:
        click.echo(f"user {user}, password {password} (made for this run)")
    click.echo(f"  ssh -p {first.port} {user}@{host} -s netconf")
    click.echo(
        f"  ncclient: manager.connect(host={host!r}, port={first.port}, username={user!r}, password=..., "
        "hostkey_verify=False)"
    )
    click.echo(f"  mlag-client --host {host} --port {first.port} --user {user} peer-link show")
    click.echo(f"  mlag-agent ctl --state {first.settings.state} log -f")


if __name__ == "__main__":
    main()
