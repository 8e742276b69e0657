"""``file:`` URLs, kept within one folder.

Each step of the path is opened from the folder before it, without following links, so that neither ``..`` nor a
symbolic link, not even one that comes into being meanwhile, leads out of it.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mlag_agent.remote.errors import BadUrlError, RemoteError, TooLargeError

__all__ = ["Jail"]

# What Linux allows for one name.
MAX_NAME = 255


class Jail:
    """Files below ``folder``; blocking, for a thread."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def read(self, names: Sequence[str]) -> bytes:
        """A file's content."""
        with self._parent(names) as parent:
            # Without blocking: a FIFO would wait for somebody who writes to it.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with _named(names):
                descriptor = os.open(names[-1], flags, dir_fd=parent)
            try:
                _regular(os.fstat(descriptor), names)
                with _named(names), open(descriptor, "rb", closefd=False) as file:
                    content = file.read(self._max_bytes + 1)
            finally:
                os.close(descriptor)
        if len(content) > self._max_bytes:
            raise TooLargeError(f"/{'/'.join(names)} is larger than {self._max_bytes} bytes")
        return content

    def write(self, names: Sequence[str], content: bytes) -> None:
        """Make the file hold this: as it was or entirely new at any moment, and on disk when this returns."""
        with self._parent(names) as parent, _named(names):
            with suppress(FileNotFoundError):
                _regular(os.stat(names[-1], dir_fd=parent, follow_symlinks=False), names)
            temporary = f".{secrets.token_hex(8)}.part"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o600, dir_fd=parent)
            try:
                with open(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(descriptor)
                os.rename(temporary, names[-1], src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException:
                os.unlink(temporary, dir_fd=parent)
                raise
            os.fsync(parent)

    def delete(self, names: Sequence[str]) -> None:
        """Take the file away."""
        with self._parent(names) as parent, _named(names):
            _regular(os.stat(names[-1], dir_fd=parent, follow_symlinks=False), names)
            os.unlink(names[-1], dir_fd=parent)
            os.fsync(parent)

    @contextmanager
    def _parent(self, names: Sequence[str]) -> Iterator[int]:
        """The folder that the last name is in."""
        _check(names)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            here = os.open(self._folder, flags)
        except OSError as error:
            raise RemoteError(f"the folder for file URLs cannot be opened: {error.strerror}") from error
        try:
            for name in names[:-1]:
                with _named(names):
                    below = os.open(name, flags | os.O_NOFOLLOW, dir_fd=here)
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)


def _check(names: Sequence[str]) -> None:
    if not names:
        raise BadUrlError("the path names no file")
    for name in names:
        if name in ("", ".", "..") or "/" in name or "\0" in name or len(os.fsencode(name)) > MAX_NAME:
            raise BadUrlError(f"{name!r} cannot be a part of the path of a file URL")


def _regular(found: os.stat_result, names: Sequence[str]) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise RemoteError(f"/{'/'.join(names)} is no regular file")


@contextmanager
def _named(names: Sequence[str]) -> Iterator[None]:
    """OSError in words about the URL's path, not about where the folder is."""
    try:
        yield
    except OSError as error:
        why = "a symbolic link is on the way" if error.errno == errno.ELOOP else error.strerror
        raise RemoteError(f"/{'/'.join(names)}: {why}") from error
