"""The precedence of down-reasons, step by step."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from mlag_agent.mlag.config import DownReason
from mlag_agent.mlag.reasons import Cause, ChannelFacts, derive_reason

NOTHING = ChannelFacts(
    configured=True,
    local_block=None,
    hello_violation=None,
    peer_alive=False,
    hello_mismatch=None,
    failure=None,
    waiting=0.0,
    patience=3.0,
)

# Each step adds a fact that outranks those before it.
LADDER: list[tuple[dict[str, object], DownReason]] = [
    ({}, DownReason.CONNECTING),
    ({"waiting": 3.0}, DownReason.PEER_UNREACHABLE),
    ({"hello_violation": Cause(DownReason.PROTOCOL_ERROR, "")}, DownReason.PROTOCOL_ERROR),
    ({"failure": Cause(DownReason.HOLD_TIMER_EXPIRED, "")}, DownReason.HOLD_TIMER_EXPIRED),
    ({"hello_mismatch": Cause(DownReason.PORT_MISMATCH, "")}, DownReason.PORT_MISMATCH),
    ({"hello_violation": Cause(DownReason.AUTHENTICATION_FAILED, "")}, DownReason.AUTHENTICATION_FAILED),
    ({"local_block": Cause(DownReason.PORT_IN_USE, "")}, DownReason.PORT_IN_USE),
    ({"configured": False}, DownReason.UNCONFIGURED),
]


def test_each_fact_outranks_those_below() -> None:
    facts = NOTHING
    reasons = []
    for added, expected in LADDER:
        facts = replace(facts, **added)  # type: ignore[arg-type]
        reasons.append(derive_reason(facts).reason)
        assert reasons[-1] is expected
    assert all(one is not other for one, other in pairwise(reasons))


def test_a_failed_connection_means_unreachable_only_without_a_hello() -> None:
    failed = replace(NOTHING, failure=Cause(DownReason.CONNECT_FAILED, "Connection refused"))
    cause = derive_reason(failed)
    assert cause.reason is DownReason.PEER_UNREACHABLE
    assert "Connection refused" in cause.detail
    assert derive_reason(replace(failed, peer_alive=True)).reason is DownReason.CONNECT_FAILED


@pytest.mark.parametrize("waiting", [0.0, 1e6])
def test_a_peer_that_is_heard_is_not_unreachable(waiting: float) -> None:
    assert derive_reason(replace(NOTHING, peer_alive=True, waiting=waiting)).reason is DownReason.CONNECTING
