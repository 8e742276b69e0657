"""Every error that can end in a NETCONF ``<rpc-error>``, as plain data and one small tree of exceptions.

::

    AgentError                      never raised itself
    ├── RpcFailure                  carries one or more RpcError; the dispatcher turns it into <rpc-error>s
    │   └── ApplyRefused            a subscriber's ``prepare`` says no (ARCHITECTURE section 5)
    ├── SettingsError               the settings file, an argument, the state folder: ends the start, exit code 2
    ├── SchemaError                 a YANG module cannot be loaded: ends the start, exit code 3
    └── WireError                   the peer broke framing or sent what is no NETCONF message

The layers below raise; only ``server.dispatcher`` writes the reply.  Tags and types are those of RFC 6241
appendix A, app-tags those of RFC 7950 section 15 or of the YANG module that states the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = [
    "AgentError",
    "ApplyRefused",
    "ErrorTag",
    "ErrorType",
    "InfoElement",
    "RpcError",
    "RpcFailure",
    "SchemaError",
    "SettingsError",
    "WireError",
]


class ErrorType(StrEnum):
    """The layer an error belongs to (RFC 6241 section 4.3)."""

    TRANSPORT = "transport"
    RPC = "rpc"
    PROTOCOL = "protocol"
    APPLICATION = "application"


class ErrorTag(StrEnum):
    """RFC 6241 appendix A, without ``partial-operation``, which is deprecated and never sent."""

    IN_USE = "in-use"
    INVALID_VALUE = "invalid-value"
    TOO_BIG = "too-big"
    MISSING_ATTRIBUTE = "missing-attribute"
    BAD_ATTRIBUTE = "bad-attribute"
    UNKNOWN_ATTRIBUTE = "unknown-attribute"
    MISSING_ELEMENT = "missing-element"
    BAD_ELEMENT = "bad-element"
    UNKNOWN_ELEMENT = "unknown-element"
    UNKNOWN_NAMESPACE = "unknown-namespace"
    ACCESS_DENIED = "access-denied"
    LOCK_DENIED = "lock-denied"
    RESOURCE_DENIED = "resource-denied"
    ROLLBACK_FAILED = "rollback-failed"
    DATA_EXISTS = "data-exists"
    DATA_MISSING = "data-missing"
    OPERATION_NOT_SUPPORTED = "operation-not-supported"
    OPERATION_FAILED = "operation-failed"
    MALFORMED_MESSAGE = "malformed-message"


@dataclass(frozen=True, slots=True)
class InfoElement:
    """One child of ``<error-info>``: a name in a namespace (default: the NETCONF base) with text, or with children.

    ``prefixes``: namespaces that the text refers to, as (prefix, namespace).
    """

    name: str
    text: str
    namespace: str | None = None
    children: tuple[InfoElement, ...] = ()
    prefixes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RpcError:
    """One ``<rpc-error>`` (RFC 6241 section 4.3); the severity is always ``error``: warnings break clients.

    ``path`` is an absolute instance path whose every step carries a module name as prefix
    (``/dfs-m-lag:m-lag/dfs-groups/...`` in the form of RFC 7951 section 6.11); ``server.dispatcher`` declares
    the prefixes where it writes the element.
    """

    tag: ErrorTag
    message: str
    type: ErrorType = ErrorType.APPLICATION
    app_tag: str | None = None
    path: str | None = None
    info: tuple[InfoElement, ...] = field(default=())


class AgentError(Exception):
    """Root of the tree; never raised itself."""


class RpcFailure(AgentError):  # noqa: N818  # one failure holds several errors
    """An operation failed; ``errors`` holds every violation found, the one that matters most first."""

    def __init__(self, *errors: RpcError) -> None:
        if not errors:
            raise ValueError("an RpcFailure carries at least one RpcError")
        super().__init__("; ".join(error.message for error in errors))
        self.errors: Sequence[RpcError] = errors


class ApplyRefused(RpcFailure):
    """A subscriber cannot take the change: nothing has been applied, everything stays as it was."""


class SettingsError(AgentError):
    """A setting or argument is wrong; ``hint`` says what would be right."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class SchemaError(AgentError):
    """A YANG module cannot be found, parsed or served."""


class WireError(AgentError):
    """The peer broke the framing or sent something that is not a NETCONF message."""
