"""Capability URIs (RFC 6241 section 8 and the RFCs of each) and their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

__all__ = [
    "BASE_1_0",
    "BASE_1_1",
    "CANDIDATE",
    "CONFIRMED_COMMIT_1_0",
    "CONFIRMED_COMMIT_1_1",
    "INTERLEAVE",
    "NOTIFICATION",
    "PARTIAL_LOCK",
    "ROLLBACK_ON_ERROR",
    "STARTUP",
    "URL",
    "VALIDATE_1_0",
    "VALIDATE_1_1",
    "WITH_DEFAULTS",
    "WITH_OPERATIONAL_DEFAULTS",
    "WRITABLE_RUNNING",
    "XPATH",
    "YANG_LIBRARY_1_0",
    "YANG_LIBRARY_1_1",
    "Capability",
    "common_base",
]

BASE_1_0 = "urn:ietf:params:netconf:base:1.0"
BASE_1_1 = "urn:ietf:params:netconf:base:1.1"
WRITABLE_RUNNING = "urn:ietf:params:netconf:capability:writable-running:1.0"
CANDIDATE = "urn:ietf:params:netconf:capability:candidate:1.0"
CONFIRMED_COMMIT_1_0 = "urn:ietf:params:netconf:capability:confirmed-commit:1.0"
CONFIRMED_COMMIT_1_1 = "urn:ietf:params:netconf:capability:confirmed-commit:1.1"
ROLLBACK_ON_ERROR = "urn:ietf:params:netconf:capability:rollback-on-error:1.0"
VALIDATE_1_0 = "urn:ietf:params:netconf:capability:validate:1.0"
VALIDATE_1_1 = "urn:ietf:params:netconf:capability:validate:1.1"
STARTUP = "urn:ietf:params:netconf:capability:startup:1.0"
URL = "urn:ietf:params:netconf:capability:url:1.0"
XPATH = "urn:ietf:params:netconf:capability:xpath:1.0"
NOTIFICATION = "urn:ietf:params:netconf:capability:notification:1.0"
INTERLEAVE = "urn:ietf:params:netconf:capability:interleave:1.0"
WITH_DEFAULTS = "urn:ietf:params:netconf:capability:with-defaults:1.0"
WITH_OPERATIONAL_DEFAULTS = "urn:ietf:params:netconf:capability:with-operational-defaults:1.0"
PARTIAL_LOCK = "urn:ietf:params:netconf:capability:partial-lock:1.0"
YANG_LIBRARY_1_0 = "urn:ietf:params:netconf:capability:yang-library:1.0"
YANG_LIBRARY_1_1 = "urn:ietf:params:netconf:capability:yang-library:1.1"

# What stands as it is in a value: commas join the lists of features and of also-supported.
_KEPT_IN_PARAMETERS = ":/,.-_~+"


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability: a URI and the parameters after ``?`` as (name, value) pairs in their order.

    ``str()`` gives the text for the hello; parsing it again gives an equal capability.
    """

    uri: str
    parameters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Capability:
        """Take ``text`` from a hello apart; white space around it is ignored.  Never fails, whatever the text."""
        uri, _, query = text.strip().partition("?")
        pairs = (pair.partition("=") for pair in query.split("&") if pair)
        return cls(uri, tuple((unquote(name), unquote(value)) for name, _, value in pairs))

    @classmethod
    def build(cls, uri: str, parameters: Mapping[str, str]) -> Capability:
        """A capability of ours, for instance ``build(WITH_DEFAULTS, {"basic-mode": "explicit"})``."""
        return cls(uri, tuple(parameters.items()))

    def parameter(self, name: str) -> str | None:
        """The value of the first parameter called ``name``."""
        return next((value for key, value in self.parameters if key == name), None)

    def __str__(self) -> str:
        if not self.parameters:
            return self.uri
        return f"{self.uri}?{'&'.join(f'{_escaped(name)}={_escaped(value)}' for name, value in self.parameters)}"


def _escaped(text: str) -> str:
    return quote(text, safe=_KEPT_IN_PARAMETERS)


def common_base(ours: Iterable[str], theirs: Iterable[str]) -> str | None:
    """:data:`BASE_1_1` if both sides offer exactly that, else :data:`BASE_1_0` likewise, else ``None``.

    RFC 6241 section 8.1.  The comparison is exact: the capability ``urn:ietf:params:xml:ns:netconf:base:1.0`` that
    ncclient's nexus handler offers names no version of the protocol.
    """
    common = set(ours) & set(theirs)
    return next((version for version in (BASE_1_1, BASE_1_0) if version in common), None)
