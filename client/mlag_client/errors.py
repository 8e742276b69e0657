# ruff: noqa: N818  # names say what happened, as those of mlag_agent.errors do; the base class alone ends in Error
"""What can go wrong, each carrying its data::

    MlagClientError
    ├── ConnectFailed          no TCP connection, SSH or NETCONF session
    │   ├── HostKeyUnknown     the server's host key is not the one expected, or not known
    │   └── LoginRefused       user, password or key
    ├── SessionLost            the session ended under a call
    ├── ReplyTimeout           no reply in time
    ├── RpcFailed              the agent answered with one or more <rpc-error>
    ├── UnexpectedReply        the reply is not what the YANG module says
    ├── InvalidRequest         a value that XML cannot carry; nothing was sent
    ├── GroupMissing           the DFS group is not configured, so it has no state
    ├── NotConfigured          undo of what is not configured
    ├── UndoMismatch           undo with parameters that are not those configured
    └── NotInTime              a state did not come in time
        ├── ChannelNotUp       with the agent's reason and sentence
        ├── NotConverged       with what still differs
        └── NoEvent            with the last event that came instead

``hint`` is what a person can do next, one line or empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlag_client.model import Difference, GroupState, PeerLinkSource

__all__ = [
    "ChannelNotUp",
    "ConnectFailed",
    "GroupMissing",
    "HostKeyUnknown",
    "InvalidRequest",
    "LoginRefused",
    "MlagClientError",
    "NoEvent",
    "NotConfigured",
    "NotConverged",
    "NotInTime",
    "ReplyTimeout",
    "RpcErrorInfo",
    "RpcFailed",
    "SessionLost",
    "UndoMismatch",
    "UnexpectedReply",
]


class MlagClientError(Exception):
    """Base of all errors of this package."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConnectFailed(MlagClientError):
    """There is no session with ``host`` ``port``."""

    def __init__(self, host: str, port: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.host = host
        self.port = port


class HostKeyUnknown(ConnectFailed):
    """The server's host key is not known, or is another one; nothing was sent to it."""


class LoginRefused(ConnectFailed):
    """The server does not let this user in with these credentials."""


class SessionLost(MlagClientError):
    """The session ended under a call; whether the agent carried the call out is not known."""


class ReplyTimeout(MlagClientError):
    """No reply came in time; whether the agent carries the call out is not known."""


@dataclass(frozen=True, slots=True)
class RpcErrorInfo:
    """One ``<rpc-error>`` (RFC 6241 section 4.3).  ``info`` holds name and text of each leaf in ``<error-info>``."""

    tag: str
    message: str
    type: str = "application"
    severity: str = "error"
    app_tag: str | None = None
    path: str | None = None
    info: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.message or self.tag


class RpcFailed(MlagClientError):
    """The agent refused.  ``errors`` is never empty and in the agent's order, what matters most comes first.

    ncclient makes one exception of several ``<rpc-error>``, whose ``.tag`` then raises AttributeError; here ``tag``,
    ``app_tag`` and ``path`` are those of the first error.
    """

    def __init__(self, errors: Iterable[RpcErrorInfo], operation: str = "") -> None:
        self.errors = tuple(errors)
        self.operation = operation
        super().__init__("; ".join(map(str, self.errors)))

    @property
    def tag(self) -> str:
        """error-tag of the first error."""
        return self.errors[0].tag

    @property
    def app_tag(self) -> str | None:
        """error-app-tag of the first error."""
        return self.errors[0].app_tag

    @property
    def path(self) -> str | None:
        """error-path of the first error."""
        return self.errors[0].path


class UnexpectedReply(MlagClientError):
    """The reply does not follow the YANG module that this client was written for."""


class InvalidRequest(MlagClientError, ValueError):
    """A value with characters that XML 1.0 does not have, such as control characters; nothing was sent."""


class GroupMissing(MlagClientError):
    """The DFS group is not configured."""

    def __init__(self, group: int) -> None:
        super().__init__(f"DFS group {group} is not configured", "peer-link set creates it; it has no state before")
        self.group = group


class NotConfigured(MlagClientError):
    """There is no peer-link source to undo."""


class UndoMismatch(MlagClientError):
    """The undo form repeats every parameter (command page, Format), and these are not the configured ones."""

    def __init__(self, configured: PeerLinkSource, given: PeerLinkSource, differences: Iterable[Difference]) -> None:
        self.configured = configured
        self.given = given
        self.differences = tuple(differences)
        super().__init__(
            f"not undone, the parameters are not those configured: {'; '.join(map(str, self.differences))}",
            f"configured is: {configured}",
        )


class NotInTime(MlagClientError):
    """A state did not come in ``timeout`` seconds."""

    def __init__(self, message: str, timeout: float) -> None:
        super().__init__(message)
        self.timeout = timeout


class ChannelNotUp(NotInTime):
    """The channel is not up; ``reason`` and ``detail`` are the agent's last word, ``state`` all it said.

    Without the DFS group ``state`` is ``None`` and ``reason`` is ``unconfigured``.
    """

    def __init__(self, timeout: float, reason: str, detail: str, state: GroupState | None) -> None:
        super().__init__(
            f"the channel is not up after {timeout:g} s: {reason}" + (f" ({detail})" if detail else ""), timeout
        )
        self.reason = reason
        self.detail = detail
        self.state = state


class NoEvent(NotInTime):
    """An event did not come."""


class NotConverged(NotInTime):
    """Entries still wait to be sent, or the tables of the two devices differ."""
