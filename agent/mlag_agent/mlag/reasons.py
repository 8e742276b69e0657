"""Why the channel is down: one pure function of known facts, so that the precedence stands in one place.

Precedence, first that applies (a person repairs from the top; what stands below cannot be judged before):

1.  ``unconfigured``: this device has no channel.
2.  what this device itself lacks: ``vpn-instance-unavailable``, ``local-address-unavailable``, ``port-in-use``.
3.  a last hello that cannot be accepted: ``version-mismatch``, ``no-authentication``, ``authentication-failed``.
4.  an accepted hello that does not fit: ``group-mismatch``, ``peer-unconfigured``, ``address-family-mismatch``,
    ``address-mismatch``, ``port-mismatch``.
5.  how the last attempt or session ended: ``connect-failed``, ``hold-timer-expired``, ``peer-closed``,
    ``protocol-error`` and, learned over TCP while the peer-link is down, those of 3 and 4. Without a hello a failed
    connection means ``peer-unreachable``.
6.  no acceptable hello for the hold time: ``protocol-error`` if broken ones arrive, else ``peer-unreachable``.
7.  ``connecting``.

The VPN instance's name is not compared: it is local to a device (RFC 8529 section 3).
"""

from __future__ import annotations

from dataclasses import dataclass

from mlag_agent.mlag.config import DownReason
from mlag_agent.mlag.messages import Announcement

__all__ = ["Cause", "ChannelFacts", "channel_mismatch", "derive_reason", "group_mismatch"]

_HELLO_REFUSALS = frozenset(
    {DownReason.VERSION_MISMATCH, DownReason.NO_AUTHENTICATION, DownReason.AUTHENTICATION_FAILED}
)


@dataclass(frozen=True, slots=True)
class Cause:
    """A down-reason with its sentence; ``at`` is the engine's monotonic time in seconds."""

    reason: DownReason
    detail: str
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """What is known while the channel is down.

    ``failure``: end of the last attempt or session, ``None`` when it is too old to tell anything. ``waiting``: seconds
    since the channel began to wait; ``patience``: after how many of them silence means that the peer is unreachable.
    """

    configured: bool
    local_block: Cause | None
    hello_violation: Cause | None
    peer_alive: bool
    hello_mismatch: Cause | None
    failure: Cause | None
    waiting: float
    patience: float


def group_mismatch(local: Announcement, peer: Announcement) -> Cause | None:
    """Pairing succeeds when the group of the hello equals the own one (DOMAIN 1.1 step 1)."""
    if local.group_id == peer.group_id:
        return None
    return Cause(
        DownReason.GROUP_MISMATCH, f"this device is in DFS group {local.group_id}, the peer in {peer.group_id}"
    )


def channel_mismatch(local: Announcement, peer: Announcement) -> Cause | None:
    """The first difference in group and channel parameters; ``None`` when they fit or this device has no channel."""
    wrong_group = group_mismatch(local, peer)
    if wrong_group is not None:
        return wrong_group
    mine, theirs = local.channel, peer.channel
    if mine is None:
        return None
    if theirs is None:
        return Cause(DownReason.PEER_UNCONFIGURED, f"the peer {peer.device} has no peer-link source configured")
    if mine.family != theirs.family:
        return Cause(
            DownReason.ADDRESS_FAMILY_MISMATCH,
            f"this device has the IPv{mine.family} form of peer-link source, the peer the IPv{theirs.family} form",
        )
    if (mine.local_address, mine.peer_address) != (theirs.peer_address, theirs.local_address):
        return Cause(
            DownReason.ADDRESS_MISMATCH,
            f"this device uses local address {mine.local_address} and peer address {mine.peer_address},"
            f" the peer local address {theirs.local_address} and peer address {theirs.peer_address}",
        )
    if mine.tcp_port != theirs.tcp_port:
        return Cause(DownReason.PORT_MISMATCH, f"this device uses tcp-port {mine.tcp_port}, the peer {theirs.tcp_port}")
    return None


def derive_reason(facts: ChannelFacts) -> Cause:
    """The down-reason to show, by the precedence in the module's docstring."""
    if not facts.configured:
        return Cause(DownReason.UNCONFIGURED, "no peer-link source is configured on this device")
    if facts.local_block is not None:
        return facts.local_block
    violation = facts.hello_violation
    if violation is not None and violation.reason in _HELLO_REFUSALS:
        return violation
    if facts.hello_mismatch is not None:
        return facts.hello_mismatch
    failure = facts.failure
    if failure is not None:
        if failure.reason is DownReason.CONNECT_FAILED and not facts.peer_alive:
            return Cause(
                DownReason.PEER_UNREACHABLE, f"no hello arrives over the peer-link, and on TCP: {failure.detail}"
            )
        return failure
    if violation is not None and not facts.peer_alive:
        return violation
    if not facts.peer_alive and facts.waiting >= facts.patience:
        return Cause(
            DownReason.PEER_UNREACHABLE, "no hello arrives over the peer-link and no TCP connection has been made"
        )
    return Cause(DownReason.CONNECTING, "the TCP connection is being made or the session is being opened")
