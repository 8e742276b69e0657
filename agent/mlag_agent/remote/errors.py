"""What can be wrong with a URL, or on the way to what it names."""

from __future__ import annotations

__all__ = ["BadUrlError", "RemoteError", "TooLargeError"]


class RemoteError(Exception):
    """It cannot be read or written; the message says why, without credentials."""


class BadUrlError(RemoteError):
    """The URL itself is not one that this server takes."""


class TooLargeError(RemoteError):
    """It is larger than the limit."""
