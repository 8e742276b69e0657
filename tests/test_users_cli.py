"""``mlag-agent user``: the settings file keeps what people wrote into it."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import asyncssh
import pytest
from click.testing import CliRunner, Result

from mlag_agent.access.users import Users
from mlag_agent.config import load_settings, make_users
from mlag_agent.errors import SettingsError
from mlag_agent.users_cli import PASSWORD_VARIABLE, user_commands

FILE = """\
# Leaf 1 of rack 7: ask Berta before you change anything.
state = "/var/lib/mlag-agent"   # not /tmp

[device]
name = "leaf-1"  # as on the sticker

[[users]]
# the robot
name = "ansible"
password-hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$JmTrnKZ0Ck9Nr7xC9qQ2kQ2D1dcT9l0lLwXhM6hOZ6s"
level = 2

[fabric]
pair = "rack-7"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(FILE)
    path.chmod(0o640)
    return path


def run(file: Path, *arguments: str, text: str | None = None, password: str | None = None) -> Result:
    variables = {PASSWORD_VARIABLE: password}
    return CliRunner().invoke(
        user_commands, [arguments[0], "--settings", str(file), *arguments[1:]], input=text, env=variables
    )


def right(file: Path, name: str, password: str) -> bool:
    async def ask() -> bool:
        users = Users(make_users(load_settings(file)))
        try:
            return await users.verify_password(name, password, "192.0.2.1")
        finally:
            users.close()

    return asyncio.run(ask())


def test_a_user_is_added_and_nothing_else_changes(file: Path) -> None:
    result = run(file, "add", "berta", "--level", "1", "--group", "auditors", "--password-stdin", text="tr0ub4dor&3\n")
    assert result.exit_code == 0, result.output
    assert result.output == f"user berta, level 1, is in {file}\n"
    assert "tr0ub4dor" not in file.read_text()
    lines = file.read_text().splitlines()
    assert [line for line in FILE.splitlines() if line not in lines] == []  # comments too
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    ansible, berta = load_settings(file).users
    assert (ansible.name, ansible.level) == ("ansible", 2)
    assert (berta.name, berta.level, berta.groups) == ("berta", 1, ("auditors",))
    assert right(file, "berta", "tr0ub4dor&3")
    assert os.listdir(file.parent) == ["settings.toml"]


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    assert run(file, "add", "anna", password="correct horse").exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert right(file, "anna", "correct horse")
    assert load_settings(file).users[0].level == 3


def test_the_password_is_asked_for_twice(tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    assert run(file, "add", "anna", text="one\none\n").exit_code == 0
    assert right(file, "anna", "one")
    assert run(file, "add", "berta", text="one\ntwo\n").exit_code != 0
    assert [user.name for user in load_settings(file).users] == ["anna"]


def test_keys_and_principals(file: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_public_key())
    assert run(file, "add", "berta", "--key", str(keys)).exit_code == 0
    assert run(file, "add", "clara", "--principal", "ops", "--principal", "clara").exit_code == 0
    berta, clara = make_users(load_settings(file))[1:]
    assert berta.password_hash is None
    assert len(berta.authorized_keys) == 1
    assert clara.principals == ("ops", "clara")
    output = run(file, "list").output
    assert output == (
        f"ansible  level 2  password\nberta    level 3  keys of {keys}\nclara    level 3  certificates for ops, clara\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "ansible", "--password-stdin"), "has a user ansible already"),
        (("add", "berta", "--key", "/no/such/file"), "cannot read the authorized keys"),
        (("add", "berta", "--principal", "a*"), "principal 'a\\*'"),
        (("add", "berta", "--password-stdin"), "must not be empty"),
        (("remove", "berta"), "has no user berta \\(it has: ansible\\)"),
    ],
)
def test_what_is_refused_leaves_the_file_alone(file: Path, arguments: tuple[str, ...], words: str) -> None:
    result = run(file, *arguments, text="x\n" if "ansible" in arguments else "\n")
    assert isinstance(result.exception, SettingsError)
    with pytest.raises(SettingsError, match=words):
        raise result.exception
    assert file.read_text() == FILE
    assert sorted(os.listdir(file.parent)) == ["settings.toml"]


def test_replace_and_remove(file: Path) -> None:
    assert run(file, "add", "ansible", "--replace", "--level", "3", password="new").exit_code == 0
    assert right(file, "ansible", "new")
    assert [user.name for user in load_settings(file).users] == ["ansible"]
    assert run(file, "remove", "ansible").exit_code == 0
    assert load_settings(file).users == ()
    assert 'pair = "rack-7"' in file.read_text()
    assert run(file, "add", "berta", password="again").exit_code == 0
    assert [user.name for user in load_settings(file).users] == ["berta"]


def test_a_link_to_the_file_stays_one(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    assert run(link, "add", "berta", password="x").exit_code == 0
    assert link.is_symlink()
    assert len(load_settings(file).users) == 2


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("[[users]\n")
    result = run(file, "add", "berta", password="x")
    assert isinstance(result.exception, SettingsError)
    assert "is not TOML" in str(result.exception)


def test_a_file_that_the_agent_would_not_take(file: Path) -> None:
    file.write_text(FILE.replace("[fabric]", "[fabrik]"))
    result = run(file, "add", "berta", password="x")
    assert isinstance(result.exception, SettingsError)
    assert str(file) in str(result.exception)
    assert "berta" not in file.read_text()
