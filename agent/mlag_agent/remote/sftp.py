"""``sftp:`` URLs (the server's host key is checked against a file of known hosts)."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from mlag_agent.remote.errors import RemoteError, TooLargeError

__all__ = ["Sftp", "SftpPlace"]


@dataclass(frozen=True, slots=True, repr=False)
class SftpPlace:
    """Where a file is.  ``path`` is absolute."""

    host: str
    port: int
    username: str
    password: str | None
    path: str


class Sftp:
    """``key_file``: a private key to log in with when the URL has no password."""

    def __init__(self, known_hosts: Path, key_file: Path | None, max_bytes: int) -> None:
        self._known_hosts = known_hosts
        self._key_file = key_file
        self._max_bytes = max_bytes

    @asynccontextmanager
    async def _client(self, place: SftpPlace) -> AsyncIterator[asyncssh.SFTPClient]:
        keys = [str(self._key_file)] if self._key_file is not None and place.password is None else None
        try:
            async with (
                asyncssh.connect(
                    place.host,
                    place.port,
                    username=place.username,
                    password=place.password,
                    client_keys=keys,
                    known_hosts=str(self._known_hosts),
                    agent_path=None,
                    config=None,
                    gss_host=None,
                ) as connection,
                connection.start_sftp_client() as client,
            ):
                yield client
        except (asyncssh.Error, OSError, ValueError) as error:
            raise RemoteError(_why(error)) from error

    async def read(self, place: SftpPlace) -> bytes:
        """A file's content."""
        async with self._client(place) as client, client.open(place.path, "rb") as file:
            content: bytes = await file.read(self._max_bytes + 1)
        if len(content) > self._max_bytes:
            raise TooLargeError(f"the file is larger than {self._max_bytes} bytes")
        return content

    async def write(self, place: SftpPlace, content: bytes) -> None:
        """A new file beside the old one, which it then replaces."""
        folder, _, name = place.path.rpartition("/")
        temporary = f"{folder}/.{name}.{secrets.token_hex(4)}.part"
        async with self._client(place) as client:
            try:
                async with client.open(temporary, "xb") as file:
                    await file.write(content)
                await client.posix_rename(temporary, place.path)
            except BaseException:
                if await client.exists(temporary):
                    await client.remove(temporary)
                raise

    async def delete(self, place: SftpPlace) -> None:
        """Take the file away."""
        async with self._client(place) as client:
            await client.remove(place.path)


def _why(error: Exception) -> str:
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return f"the server's host key is not among the known hosts: {error}"
    if isinstance(error, asyncssh.PermissionDenied):
        return "the server refuses the login"
    return str(error) or type(error).__name__
