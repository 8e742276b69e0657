"""Users: passwords and keys."""

import asyncio
from collections.abc import Iterator

import argon2
import asyncssh
import pytest

from mlag_agent.access import users as users_module
from mlag_agent.access.logins import LoginDelays
from mlag_agent.access.users import MAX_PASSWORD, User, Users, hash_password, parse_authorized_keys
from mlag_agent.errors import SettingsError

PASSWORD = "correct horse"
SOURCE = "192.0.2.1"
AT_ONCE = LoginDelays(first_delay=0)
HASH = hash_password(PASSWORD)
KEY = asyncssh.generate_private_key("ssh-ed25519", comment="anna@example")
OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture
def users() -> Iterator[Users]:
    found = Users([User("anna", HASH), User("keys-only", None, (KEY,))], delays=AT_ONCE)
    yield found
    found.close()


async def test_right_and_wrong(users: Users) -> None:
    assert await users.verify_password("anna", PASSWORD, SOURCE)
    assert await users.verify_password("anna", PASSWORD, SOURCE)  # from memory
    assert not await users.verify_password("anna", PASSWORD + "x", SOURCE)
    assert not await users.verify_password("anna", "", SOURCE)
    assert not await users.verify_password("anna", "x" * (MAX_PASSWORD + 1), SOURCE)
    assert not await users.verify_password("anna", "\ud800", SOURCE)
    assert not await users.verify_password("nobody", PASSWORD, SOURCE)
    assert not await users.verify_password("keys-only", "", SOURCE)
    assert not await users.verify_password("keys-only", PASSWORD, SOURCE)


async def test_what_is_remembered_belongs_to_one_user() -> None:
    users = Users([User("a", hash_password("one")), User("b", hash_password("two"))], delays=AT_ONCE)
    assert await users.verify_password("a", "one", SOURCE)
    assert not await users.verify_password("b", "one", SOURCE)
    assert await users.verify_password("b", "two", SOURCE)
    users.close()


async def test_the_event_loop_does_not_wait(users: Users) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticker = asyncio.create_task(tick())
    await asyncio.gather(*(users.verify_password("anna", f"wrong {number}", SOURCE) for number in range(4)))
    ticker.cancel()
    assert ticks > 20


@pytest.mark.parametrize("cost", [(2, 19456, 1), (1, 8192, 2)])
async def test_an_unknown_user_costs_the_same(monkeypatch: pytest.MonkeyPatch, cost: tuple[int, int, int]) -> None:
    # What is hashed is compared, not how long it takes: the machine that runs the tests is busy with others.
    checked: list[str] = []

    def record(stored: str, password: str) -> bool:
        checked.append(stored)
        return verify(stored, password)

    verify = users_module._verify
    monkeypatch.setattr(users_module, "_verify", record)
    stored = argon2.PasswordHasher(*cost).hash(PASSWORD)
    users = Users([User("anna", stored), User("keys-only", None, (KEY,))], delays=AT_ONCE)
    for name in ("anna", "nobody", "keys-only"):
        assert not await users.verify_password(name, "wrong", SOURCE)
    users.close()
    assert checked[0] == stored
    assert len(checked) == 3
    assert checked[1] == checked[2] != stored
    assert all(argon2.extract_parameters(each) == argon2.extract_parameters(stored) for each in checked)


def test_keys(users: Users) -> None:
    public = KEY.convert_to_public()
    assert users.verify_key("keys-only", public)
    assert not users.verify_key("keys-only", OTHER_KEY.convert_to_public())
    assert not users.verify_key("anna", public)
    assert not users.verify_key("nobody", public)


def test_methods_in_use(users: Users) -> None:
    assert users.passwords_in_use
    assert users.keys_in_use
    empty = Users([])
    assert not empty.passwords_in_use
    assert not empty.keys_in_use
    empty.close()


def test_settings_that_are_wrong() -> None:
    with pytest.raises(SettingsError, match="not an argon2 hash") as caught:
        User("anna", "in the clear")
    assert "hash_password" in caught.value.hint
    with pytest.raises(SettingsError, match="needs a name"):
        User("")
    with pytest.raises(SettingsError, match="listed twice"):
        Users([User("a"), User("a")])
    with pytest.raises(SettingsError, match="empty"):
        hash_password("")
    with pytest.raises(SettingsError, match="at most"):
        hash_password("x" * (MAX_PASSWORD + 1))


def test_a_hash_does_not_show_in_logs() -> None:
    assert "argon2" not in repr(User("anna", HASH))
    assert HASH.startswith("$argon2id$")
    assert hash_password(PASSWORD) != HASH


def test_authorized_keys() -> None:
    text = f"# comment\n\n{KEY.export_public_key().decode()}\n  {OTHER_KEY.export_public_key().decode()}"
    keys = parse_authorized_keys(text, source="the file")
    assert [key.public_data for key in keys] == [KEY.public_data, OTHER_KEY.public_data]
    for bad in ("ssh-ed25519 nonsense", 'no-pty,command="x" ' + KEY.export_public_key().decode(), "password"):
        with pytest.raises(SettingsError, match="line 2 of the file"):
            parse_authorized_keys(f"#\n{bad}", source="the file")


async def test_a_password_that_is_changed_while_it_is_checked(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old one, found right a moment too late, must not be remembered as that of the user who is there now."""
    verify = users_module._verify

    def slow(stored: str, password: str) -> bool:
        users.replace([User("anna", hash_password("new"))])
        return verify(stored, password)

    monkeypatch.setattr(users_module, "_verify", slow)
    assert not await users.verify_password("anna", PASSWORD, SOURCE)
    monkeypatch.setattr(users_module, "_verify", verify)
    assert not await users.verify_password("anna", PASSWORD, SOURCE)
    assert await users.verify_password("anna", "new", SOURCE)


def test_users_that_cannot_be_used_change_nothing(users: Users) -> None:
    with pytest.raises(SettingsError, match="anna is listed twice"):
        users.replace([User("anna", HASH), User("anna", HASH)])
    assert users.get("keys-only") is not None
    assert users.groups("anna") == {"level-3"}
