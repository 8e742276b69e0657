"""``mlag-agent user``: the users of a settings file, which keeps its comments and its order."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT

from mlag_agent.access.levels import LEVELS
from mlag_agent.access.users import MANAGEMENT, hash_password
from mlag_agent.config import Settings, load_settings, make_users, read_authorized_keys
from mlag_agent.errors import SettingsError

__all__ = ["PASSWORD_VARIABLE", "user_commands"]

PASSWORD_VARIABLE = "MLAG_AGENT_PASSWORD"  # noqa: S105  # the variable's name

_FILE = click.option(
    "--settings",
    "file",
    required=True,
    type=click.Path(path_type=Path),
    help="The settings file; it is made when there is none.",
)


@click.group("user")
def user_commands() -> None:
    """Add, list and remove the users of a settings file.  A running agent reads it again on SIGHUP."""


@user_commands.command("add")
@click.argument("name")
@_FILE
@click.option(
    "--level", type=click.IntRange(LEVELS[0], LEVELS[-1]), default=MANAGEMENT, show_default=True, help="Level."
)
@click.option("--group", "groups", multiple=True, help="One more group of access control.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input: its first line.")
@click.option("--key", "key_file", type=click.Path(path_type=Path), help="File with his public keys.")
@click.option("--principal", "principals", multiple=True, help="A name that his certificates may have.")
@click.option("--replace", is_flag=True, help="Take the place of the user of that name.")
def add(  # noqa: PLR0917  # click gives them by name
    name: str,
    file: Path,
    level: int,
    groups: tuple[str, ...],
    password_stdin: bool,
    key_file: Path | None,
    principals: tuple[str, ...],
    replace: bool,
) -> None:
    """Add a user: with a password, with keys, with both, or with neither for one who comes with a certificate.

    Without --password-stdin the password is that of MLAG_AGENT_PASSWORD, or is asked for when neither --key nor
    --principal is given.
    """
    password = _password(password_stdin, asked=key_file is None and not principals)
    if key_file is not None and not read_authorized_keys(key_file):
        raise SettingsError(f"{key_file} has no public key")
    entry = tomlkit.table()
    entry["name"] = name
    if password is not None:
        entry["password-hash"] = hash_password(password)
    if key_file is not None:
        entry["authorized-keys"] = str(key_file.absolute())
    entry["level"] = level
    if groups:
        entry["groups"] = list(groups)
    if principals:
        entry["principals"] = list(principals)
    with _edited(file) as document:
        users = _users(document)
        at = _place(users, name)
        if at is not None and not replace:
            raise SettingsError(f"{file} has a user {name} already", "give --replace to put this one in his place")
        if at is None:
            users.append(entry)
        else:
            users[at] = entry
    click.echo(f"user {name}, level {level}, is in {file}")


@user_commands.command("list")
@_FILE
def list_users(file: Path) -> None:
    """Show the users: level, how they log in, groups."""
    users = load_settings(file).users
    width = max((len(user.name) for user in users), default=0)
    for user in users:
        ways = [
            *(["password"] if user.password_hash is not None else []),
            *([f"keys of {user.authorized_keys}"] if user.authorized_keys is not None else []),
            *([f"certificates for {', '.join(user.principals)}"] if user.principals else []),
        ]
        groups = f", groups {', '.join(user.groups)}" if user.groups else ""
        click.echo(f"{user.name:{width}}  level {user.level}  {', '.join(ways) or 'certificates only'}{groups}")


@user_commands.command("remove")
@click.argument("name")
@_FILE
def remove(name: str, file: Path) -> None:
    """Remove a user."""
    if not file.exists():
        raise SettingsError(f"there is no settings file {file}")
    with _edited(file) as document:
        users = _users(document)
        at = _place(users, name)
        if at is None:
            known = ", ".join(str(user.get("name")) for user in users) or "none"
            raise SettingsError(f"{file} has no user {name} (it has: {known})")
        del users[at]
        if not len(users):
            del document["users"]
    click.echo(f"user {name} is no longer in {file}")


def _password(from_stdin: bool, *, asked: bool) -> str | None:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if (given := os.environ.get(PASSWORD_VARIABLE)) is not None:
        return given
    if not asked:
        return None
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _users(document: tomlkit.TOMLDocument) -> AoT:
    users = document.get("users")
    if users is None:
        users = tomlkit.aot()
        document["users"] = users
        return users
    if not isinstance(users, AoT):
        raise SettingsError("users is written as an inline array", "write each user as a [[users]] table")
    return users


def _place(users: AoT, name: str) -> int | None:
    return next((at for at, user in enumerate(users) if user.get("name") == name), None)


@contextlib.contextmanager
def _edited(file: Path) -> Iterator[tomlkit.TOMLDocument]:
    """The document to change; then it is checked as the agent would read it, and takes the old one's place at once.

    Raises SettingsError, and then the file is as it was.
    """
    target = file.resolve()
    try:
        text = target.read_bytes().decode() if target.exists() else ""
        document = tomlkit.parse(text)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the settings file {file}: {error}") from error
    except TOMLKitError as error:
        raise SettingsError(f"{file} is not TOML: {error}") from error
    yield document
    _replace(target, tomlkit.dumps(document))


def _replace(target: Path, text: str) -> None:
    """A new file under a name of its own, checked, on disk, then renamed: nobody ever sees half of one."""
    before: os.stat_result | None = None
    with contextlib.suppress(FileNotFoundError):
        before = target.stat()
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise SettingsError(f"cannot write beside {target}: {error.strerror}") from error
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        _check(load_settings(fresh))
        if before is not None:  # mkstemp gives 0600: the file has password hashes
            fresh.chmod(stat.S_IMODE(before.st_mode))
            if (before.st_uid, before.st_gid) != (os.getuid(), os.getgid()):
                os.chown(fresh, before.st_uid, before.st_gid)
        fresh.replace(target)
    except SettingsError as error:  # in the words of the file that the user knows
        raise SettingsError(str(error).replace(str(fresh), str(target)), error.hint) from error
    except OSError as error:
        raise SettingsError(f"cannot write {target}: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)


def _check(settings: Settings) -> None:
    """What the agent would refuse at its start; raises SettingsError."""
    if settings.users:
        make_users(settings)
