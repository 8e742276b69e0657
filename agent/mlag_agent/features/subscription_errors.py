"""Refusals of subscriptions, as RFC 8640 section 7 has them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mlag_agent.errors import ErrorTag, InfoElement, RpcError, RpcFailure

__all__ = ["PUSH", "PUSH_NS", "SUBSCRIBED", "SUBSCRIBED_NS", "bad_parameter", "refusal"]

SUBSCRIBED: Final = "ietf-subscribed-notifications"
SUBSCRIBED_NS: Final = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
PUSH: Final = "ietf-yang-push"
PUSH_NS: Final = "urn:ietf:params:xml:ns:yang:ietf-yang-push"

_IDENTITIES: Final[Mapping[str, tuple[str, ErrorTag]]] = MappingProxyType(
    {
        "filter-unsupported": (SUBSCRIBED, ErrorTag.INVALID_VALUE),
        "insufficient-resources": (SUBSCRIBED, ErrorTag.RESOURCE_DENIED),
        "no-such-subscription": (SUBSCRIBED, ErrorTag.INVALID_VALUE),
        "replay-unsupported": (SUBSCRIBED, ErrorTag.OPERATION_NOT_SUPPORTED),
        "datastore-not-subscribable": (PUSH, ErrorTag.INVALID_VALUE),
        "no-such-subscription-resync": (PUSH, ErrorTag.INVALID_VALUE),
        "on-change-unsupported": (PUSH, ErrorTag.OPERATION_NOT_SUPPORTED),
        "on-change-sync-unsupported": (PUSH, ErrorTag.OPERATION_NOT_SUPPORTED),
        "period-unsupported": (PUSH, ErrorTag.INVALID_VALUE),
    }
)
"""Identity of the problem, with its module, to the error-tag that goes with it."""


def refusal(identity: str, words: str, structure: str, **hints: object) -> RpcFailure:
    """The error for a problem that RFC 8639 or 8641 has an identity for.

    ``structure``: the yang-data container that holds the reason and the ``hints`` (names with ``_`` for ``-``).
    """
    module, tag = _IDENTITIES[identity]
    namespace = PUSH_NS if "datastore" in structure or "resync" in structure else SUBSCRIBED_NS
    its = PUSH_NS if module == PUSH else SUBSCRIBED_NS
    reason = InfoElement("reason", identity)
    if its != namespace:
        reason = InfoElement("reason", f"{module}:{identity}", prefixes=((module, its),))
    given = (InfoElement(name.replace("_", "-"), str(value)) for name, value in hints.items() if value is not None)
    info = InfoElement(structure, "", namespace, children=(reason, *given))
    return RpcFailure(RpcError(tag, words, app_tag=f"{module}:{identity}", info=(info,)))


def bad_parameter(name: str, words: str, tag: ErrorTag = ErrorTag.INVALID_VALUE) -> RpcFailure:
    """A parameter with a value for which the RFCs have no identity."""
    return RpcFailure(RpcError(tag, words, info=(InfoElement("bad-element", name),)))
