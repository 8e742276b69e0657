"""A URL of a request: which scheme, which limits, and errors in words that hold no credentials."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure
from mlag_agent.remote.errors import BadUrlError, RemoteError, TooLargeError
from mlag_agent.remote.file import Jail
from mlag_agent.remote.sftp import Sftp, SftpPlace

if TYPE_CHECKING:
    from mlag_agent.remote.https import Https

__all__ = ["UrlLimits", "Urls"]

T = TypeVar("T")
Work = Callable[[str, SplitResult], Awaitable[T]]

# What schemes and browsers agree on as the longest that is of use.
MAX_URL_LENGTH = 2_000

SFTP_PORT = 22


@dataclass(frozen=True, slots=True)
class UrlLimits:
    """``max_bytes`` of a document; ``timeout`` of an operation, in seconds; ``hosts`` that may be named, empty: any."""

    max_bytes: int
    timeout: float
    hosts: tuple[str, ...] = ()


class Urls:
    """The schemes that are enabled.  All methods raise RpcFailure, with the URL less its user and password."""

    def __init__(
        self, limits: UrlLimits, *, folder: Path | None = None, https: Https | None = None, sftp: Sftp | None = None
    ) -> None:
        self._limits = limits
        self._jail = None if folder is None else Jail(folder, limits.max_bytes)
        self._https = https
        self._sftp = sftp

    @property
    def schemes(self) -> tuple[str, ...]:
        """As the capability lists them."""
        found = (("file", self._jail), ("https", self._https), ("sftp", self._sftp))
        return tuple(name for name, scheme in found if scheme is not None)

    async def read(self, url: str) -> bytes:
        """The document; invalid-value, resource-denied (too large) or operation-failed."""
        return await self._do(url, self._read)

    async def write(self, url: str, content: bytes) -> None:
        """Make this the document."""
        if len(content) > self._limits.max_bytes:
            raise _failure(url, TooLargeError(f"the document is larger than {self._limits.max_bytes} bytes"))
        await self._do(url, lambda text, parts: self._write(text, parts, content))

    async def delete(self, url: str) -> None:
        """Take the document away."""
        await self._do(url, self._delete)

    async def _do(self, url: str, work: Work[T]) -> T:
        try:
            parts = self._parsed(url)
            async with asyncio.timeout(self._limits.timeout):
                return await work(url, parts)
        except TimeoutError as error:
            late = RemoteError(f"no end within {self._limits.timeout:g} s")
            raise _failure(url, late) from error
        except RemoteError as error:
            raise _failure(url, error) from error

    def _parsed(self, url: str) -> SplitResult:
        if len(url) > MAX_URL_LENGTH:
            raise BadUrlError(f"it is longer than {MAX_URL_LENGTH} characters")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise BadUrlError(str(error)) from error
        if parts.scheme not in self.schemes:
            raise BadUrlError(f"this server takes {', '.join(self.schemes)}")
        if parts.query and parts.scheme != "https":
            raise BadUrlError("a query means nothing there")
        if parts.fragment:
            raise BadUrlError("a fragment means nothing there")
        if parts.scheme == "file":
            if parts.netloc not in ("", "localhost"):
                raise BadUrlError("a file URL names no host: file:///folder/file")
        elif not parts.hostname or port == 0:
            raise BadUrlError("it names no host")
        elif self._limits.hosts and parts.hostname not in self._limits.hosts:
            raise BadUrlError(f"the host is not among those of the setting url.hosts: {', '.join(self._limits.hosts)}")
        return parts

    async def _read(self, url: str, parts: SplitResult) -> bytes:
        if parts.scheme == "file" and self._jail is not None:
            return await asyncio.to_thread(self._jail.read, _names(parts))
        if parts.scheme == "https" and self._https is not None:
            return await self._https.read(url)
        assert self._sftp is not None
        return await self._sftp.read(_place(parts))

    async def _write(self, url: str, parts: SplitResult, content: bytes) -> None:
        if parts.scheme == "file" and self._jail is not None:
            await asyncio.to_thread(self._jail.write, _names(parts), content)
        elif parts.scheme == "https" and self._https is not None:
            await self._https.write(url, content)
        else:
            assert self._sftp is not None
            await self._sftp.write(_place(parts), content)

    async def _delete(self, url: str, parts: SplitResult) -> None:
        if parts.scheme == "file" and self._jail is not None:
            await asyncio.to_thread(self._jail.delete, _names(parts))
        elif parts.scheme == "https" and self._https is not None:
            await self._https.delete(url)
        else:
            assert self._sftp is not None
            await self._sftp.delete(_place(parts))


def _names(parts: SplitResult) -> Sequence[str]:
    """The steps of a file URL's path: unquoted after they have been cut, so that %2F separates nothing."""
    return [unquote(name) for name in parts.path.removeprefix("/").split("/")]


def _place(parts: SplitResult) -> SftpPlace:
    if not parts.username:
        raise BadUrlError("an sftp URL needs a user: sftp://user@host/path")
    path = unquote(parts.path)
    if path in ("", "/") or path.endswith("/") or "\0" in path:
        raise BadUrlError("it names no file")
    assert parts.hostname is not None
    password = None if parts.password is None else unquote(parts.password)
    return SftpPlace(parts.hostname, parts.port or SFTP_PORT, unquote(parts.username), password, path)


def _shown(url: str) -> str:
    """Without user, password and query."""
    head, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host = authority.rpartition("@")[2]
    shown = f"{head}{separator}{host}{slash}{path}".partition("?")[0]
    return shown[:200] + ("..." if len(shown) > 200 else "")


def _failure(url: str, error: RemoteError) -> RpcFailure:
    tag = ErrorTag.OPERATION_FAILED
    info: tuple[InfoElement, ...] = ()
    if isinstance(error, BadUrlError):
        tag, info = ErrorTag.INVALID_VALUE, (InfoElement("bad-element", "url"),)
    elif isinstance(error, TooLargeError):
        tag = ErrorTag.RESOURCE_DENIED
    words = str(error)
    if "@" in url.partition("://")[2].partition("/")[0]:
        words = words.replace(url, _shown(url))
    return RpcFailure(RpcError(tag, f"{_shown(url)}: {words}", type=ErrorType.PROTOCOL, info=info))
