"""What a session pump sees of a transport: one authenticated byte stream per NETCONF session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

__all__ = ["READ_SIZE", "Connection", "SessionHandler"]

READ_SIZE = 64 * 1024
"""Bytes one read returns at most unless told otherwise: parsing them takes about a millisecond."""


class Connection(Protocol):
    """One authenticated byte stream.

    A pump reads until the end, writes whole messages and awaits :meth:`drain` after each: then at most one message
    and the transport's own small buffer wait for a peer that does not read.  While the pump does not read, the peer is
    held back.  When the pump returns, the transport closes the stream.
    """

    @property
    def username(self) -> str:
        """The authenticated user."""

    @property
    def source_host(self) -> str:
        """The address the peer connects from, in text form."""

    @property
    def source_port(self) -> int:
        """The peer's port."""

    @property
    def transport(self) -> str:
        """The identity of ietf-netconf-monitoring (RFC 6022 section 2.1.3), for instance ``netconf-ssh``."""

    @property
    def close_reason(self) -> str | None:
        """Why the transport ended the stream, once it has; ``None`` if the peer or the pump did."""

    @property
    def timed_out(self) -> bool:
        """Whether the transport ended the stream because the peer was silent for too long."""

    async def read(self, size: int = READ_SIZE) -> bytes:
        """At least one byte and at most ``size``, or ``b""`` at the end of the peer's bytes or of the connection."""

    def write(self, data: bytes) -> None:
        """Send ``data``; after the connection is lost it is dropped, and the next :meth:`drain` says so."""

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was written.

        Raises :exc:`ConnectionResetError` once the connection is lost; a peer that takes nothing for too long loses it.
        """

    def established(self) -> None:
        """Tell the transport that the peer has sent its hello: the hello time limit ends."""

    def end_input(self, reason: str) -> None:
        """Read no more: what the peer sends from now on, or has sent, is dropped, and reads return ``b""``.

        Replies still go out.  ``reason`` goes to :attr:`close_reason`.
        """

    def close(self) -> None:
        """End the stream after what was written; reads return ``b""`` from now on."""

    def abort(self, reason: str) -> None:
        """End the stream at once and drop what was not sent; ``reason`` goes to the log and :attr:`close_reason`."""


SessionHandler = Callable[[Connection], Awaitable[None]]
"""Runs one NETCONF session; the transport gives it a task, and cancels the task when the transport is closed."""
