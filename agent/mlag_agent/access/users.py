"""The agent's users: password hashes (argon2id) and public keys.

There is no default user and no default password.  Checking a password takes some 20 ms of CPU, so it runs in a small
thread pool of its own: the event loop never waits for it, and a flood of logins queues there instead of taking memory.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import argon2
import asyncssh

from mlag_agent.access.levels import group_of_level
from mlag_agent.access.logins import LoginDelays
from mlag_agent.errors import SettingsError

__all__ = ["MANAGEMENT", "User", "Users", "hash_password", "parse_authorized_keys"]

# The second recommendation of OWASP's password storage cheat sheet: 19 MiB, two passes, one lane; about 20 ms.
_TIME_COST = 2
_MEMORY_COST = 19 * 1024  # KiB
_PARALLELISM = 1
_HASHER = argon2.PasswordHasher(time_cost=_TIME_COST, memory_cost=_MEMORY_COST, parallelism=_PARALLELISM)

MANAGEMENT = 3
"""The level that may do everything: of a user whose settings name none."""

MAX_PASSWORD = 1024
"""Characters of a password that are looked at; nobody types more, and the SSH client chooses what it sends."""

_PRINCIPAL = re.compile(r"[\w.@+:/=-]+", re.ASCII)
"""What has no meaning in the pattern lists of OpenSSH, as ``*`` and ``!`` have."""

VERIFY_THREADS = 2
"""Passwords checked at the same time: bounds the memory (19 MiB each) and leaves CPU for the sessions that are open."""


OnFailure = Callable[[str, str, str], None]
"""User name, source address, method: of a login that has failed."""


@dataclass(frozen=True, slots=True)
class User:
    """One user; without ``password_hash`` only the keys let him in.

    ``level`` is one of the device's (``access.levels``), ``groups`` are more groups of access control that he is in,
    ``principals`` the names of which a certificate must have one, his own unless others are given.

    Raises :exc:`~mlag_agent.errors.SettingsError` for a hash that is not argon2's, as a password in the clear.
    """

    name: str
    password_hash: str | None = field(default=None, repr=False)
    authorized_keys: tuple[asyncssh.SSHKey, ...] = ()
    level: int = MANAGEMENT
    groups: frozenset[str] = frozenset()
    principals: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            raise SettingsError("a user needs a name")
        for principal in self.principals:
            if not _PRINCIPAL.fullmatch(principal):
                raise SettingsError(
                    f"the principal {principal!r} of user {self.name} cannot be used",
                    "a principal has letters, digits, and any of . _ @ + : / = -",
                )
        if self.password_hash is None:
            return
        try:
            argon2.extract_parameters(self.password_hash)
        except argon2.exceptions.InvalidHashError:
            raise SettingsError(
                f"the password of user {self.name} is not an argon2 hash",
                "make one with mlag_agent.access.users.hash_password; passwords in the clear are not accepted",
            ) from None


def hash_password(password: str) -> str:
    """An argon2id hash of ``password`` in the usual ``$argon2id$...`` form; takes about 20 ms.

    Raises :exc:`~mlag_agent.errors.SettingsError` for a password that is empty or too long.
    """
    if not password:
        raise SettingsError("a password must not be empty", "leave the hash out for a user who has only keys")
    if len(password) > MAX_PASSWORD:
        raise SettingsError(f"a password has at most {MAX_PASSWORD} characters")
    return _HASHER.hash(password.encode("utf-8", "surrogatepass"))


def parse_authorized_keys(text: str, *, source: str) -> tuple[asyncssh.SSHKey, ...]:
    """The public keys of ``text``: one a line in the form of OpenSSH, empty lines and ``#`` comments apart.

    Options in front of a key are refused rather than ignored, since they restrict what it may do.  ``source`` names
    the text in errors.  Raises :exc:`~mlag_agent.errors.SettingsError`.
    """
    keys = []
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        try:
            keys.append(asyncssh.import_public_key(entry))
        except asyncssh.KeyImportError as error:
            raise SettingsError(
                f"line {number} of {source} is no public key: {error}",
                "write 'ssh-ed25519 AAAA... comment' without options in front",
            ) from None
    return tuple(keys)


class Users:
    """All users of one agent; each is unchanging, ``replace`` has others.

    A password found right is remembered as a keyed hash in memory (the key is random and never leaves the process), so
    that automation, which opens many sessions, pays for argon2 once.  Wrong passwords always cost the full price.
    """

    def __init__(
        self,
        users: Iterable[User],
        *,
        ca_keys: Sequence[asyncssh.SSHKey] = (),
        delays: LoginDelays | None = None,
        on_failure: OnFailure | None = None,
    ) -> None:
        """``ca_keys``: of authorities that sign users' certificates.  ``on_failure`` hears of each failed login.

        Raises :exc:`~mlag_agent.errors.SettingsError` if two users have one name.
        """
        self._ca_keys = tuple(ca_keys)
        self.delays = delays if delays is not None else LoginDelays()
        self._on_failure = on_failure
        self._memory_key = secrets.token_bytes(32)
        self.replace(users)
        self._threads = ThreadPoolExecutor(VERIFY_THREADS, thread_name_prefix="password")

    def replace(self, users: Iterable[User]) -> None:
        """Have these users from now on; raises SettingsError if two have one name, and then nothing changes."""
        by_name: dict[str, User] = {}
        for user in users:
            if user.name in by_name:
                raise SettingsError(f"user {user.name} is listed twice")
            by_name[user.name] = user
        self._by_name = by_name
        self._no_such_user_hash = _hash_that_fits_nothing(by_name.values())
        self._remembered: dict[str, bytes] = {}  # user name -> keyed hash of the password found right

    def get(self, name: str) -> User | None:
        """The user called ``name``."""
        return self._by_name.get(name)

    def groups(self, name: str) -> frozenset[str]:
        """The groups that a user is in by the settings: that of his level, and others; none for an unknown user."""
        user = self._by_name.get(name)
        return frozenset() if user is None else user.groups | {group_of_level(user.level)}

    @property
    def passwords_in_use(self) -> bool:
        """Whether any user has a password; if none has, SSH need not offer the method."""
        return any(user.password_hash is not None for user in self._by_name.values())

    @property
    def keys_in_use(self) -> bool:
        """Whether any user has a public key, or may have a certificate."""
        return bool(self._ca_keys) or any(user.authorized_keys for user in self._by_name.values())

    async def verify_password(self, name: str, password: str, source: str) -> bool:
        """Whether ``password`` is that of ``name``; ``source`` is the address that it comes from.

        An unknown user, and one without password, costs the same time as a wrong password.  After failures the answer
        waits (``access.logins``); when too many wait already, it is no.
        """
        clock = asyncio.get_running_loop().time
        wait = self.delays.wait(clock(), source, name)
        if wait is None:
            self.failed(name, source, "password, not looked at: too many failed before")
            return False
        if wait:
            await asyncio.sleep(wait)
        if await self._is_password(name, password):
            self.delays.succeeded(name)
            return True
        self.delays.failed(clock(), source, name)
        self.failed(name, source, "password")
        return False

    def failed(self, name: str, source: str, method: str) -> None:
        """Say that a login has failed."""
        if self._on_failure is not None:
            self._on_failure(name, source, method)

    async def _is_password(self, name: str, password: str) -> bool:
        user = self._by_name.get(name)
        digest = self._digest(name, password)
        remembered = self._remembered.get(name)
        if remembered is not None and hmac.compare_digest(remembered, digest):
            return True
        stored = None if user is None else user.password_hash
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(self._threads, _verify, stored or self._no_such_user_hash, password)
        if right and stored is not None and self._by_name.get(name) is user:  # he may be another one meanwhile
            self._remembered[name] = digest
            return True
        return False

    def verify_key(self, name: str, key: asyncssh.SSHKey) -> bool:
        """Whether ``key`` is one of ``name``; that its owner signed with it is asyncssh's part."""
        user = self._by_name.get(name)
        if user is None:
            return False
        offered = key.public_data
        return any(hmac.compare_digest(offered, known.public_data) for known in user.authorized_keys)

    def trusted_certificates(self, name: str) -> asyncssh.SSHAuthorizedKeys | None:
        """The authorities whose certificates let ``name`` in, with the principals they must name; None: no one's.

        asyncssh checks with it the signature, the kind, the time and the source addresses of a certificate.  One
        without principals is nobody's, as with OpenSSH's TrustedUserCAKeys.
        """
        user = self._by_name.get(name)
        if user is None or not self._ca_keys:
            return None
        principals = user.principals or ((user.name,) if _PRINCIPAL.fullmatch(user.name) else ())
        if not principals:
            return None
        options = f'cert-authority,principals="{",".join(principals)}"'
        keys = (key.export_public_key("openssh").decode().strip() for key in self._ca_keys)
        return asyncssh.import_authorized_keys("\n".join(f"{options} {key}" for key in keys))

    def close(self) -> None:
        """End the threads; checks under way are finished first.  The object must not be used afterwards."""
        self._threads.shutdown(wait=True)

    def _digest(self, name: str, password: str) -> bytes:
        text = f"{name}\0{password}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._memory_key).digest()


def _verify(stored: str, password: str) -> bool:
    if not password or len(password) > MAX_PASSWORD:
        return False
    try:
        return _HASHER.verify(stored, password.encode("utf-8", "surrogatepass"))
    except argon2.exceptions.VerifyMismatchError:
        return False


def _hash_that_fits_nothing(users: Iterable[User]) -> str:
    """A hash that is as costly to check as those of ``users``, made of random bytes: no password leads to it."""
    cost = argon2.Parameters(
        argon2.Type.ID, argon2.low_level.ARGON2_VERSION, 16, 32, _TIME_COST, _MEMORY_COST, _PARALLELISM
    )
    for user in users:
        if user.password_hash is not None:
            cost = argon2.extract_parameters(user.password_hash)
            break
    salt, digest = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    variant = {argon2.Type.ID: "argon2id", argon2.Type.I: "argon2i", argon2.Type.D: "argon2d"}[cost.type]
    settings = f"m={cost.memory_cost},t={cost.time_cost},p={cost.parallelism}"
    return f"${variant}$v={cost.version}${settings}${salt}${digest}"
