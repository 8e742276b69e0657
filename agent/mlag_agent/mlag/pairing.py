"""Whether the two devices are a pair, as which roles, and why not: pure functions of what the hellos say.

Facts are DOMAIN.md sections 1.1 and 3.1, decisions where they leave room docs/decisions/053-pairing.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mlag_agent.mlag.config import DownReason
from mlag_agent.mlag.events import EngineEvent, PairingFailed, PairingResumed, RoleChanged
from mlag_agent.mlag.messages import Announcement
from mlag_agent.mlag.reasons import Cause
from mlag_agent.mlag.state import Causation, NodeState, PairingState, PairRole

__all__ = ["Candidate", "Pairing", "PairingFacts", "PairingTracker", "derive_pairing", "elect"]

_OF_REFUSAL = {
    DownReason.AUTHENTICATION_FAILED: Causation.AUTHENTICATION_FAILED,
    DownReason.NO_AUTHENTICATION: Causation.NO_AUTHENTICATION,
    DownReason.VERSION_MISMATCH: Causation.VERSION_MISMATCH,
}

# With these the pair forms: what they name matters when something else fails.
_HARMLESS = frozenset({Causation.NONE, Causation.NO_ADDRESS, Causation.SAME_MAC})


@dataclass(frozen=True, slots=True)
class PairingFacts:
    """What is known.  ``mine``: what this device announces; ``peer``: the peer's last valid hello, not older than the
    hold time; ``violation``: why the newest hello was refused; ``unheard``: hellos arrive whose sender shows no sign of
    having heard this device; ``link_down``: this device's end of the peer-link is known to be down."""

    mine: Announcement
    peer: Announcement | None
    violation: Cause | None = None
    unheard: bool = False
    link_down: bool = False


@dataclass(frozen=True, slots=True)
class Pairing:
    """The outcome; ``detail`` is one sentence for a person."""

    paired: bool
    causation: Causation
    detail: str
    role: PairRole


class Candidate(Protocol):
    """What the election looks at: a hello, or a heartbeat."""

    @property
    def priority(self) -> int:
        """Of the DFS group."""

    @property
    def system_mac(self) -> bytes:
        """Six bytes."""


def elect(mine: Candidate, peer: Candidate) -> PairRole:
    """The higher priority is Master; of equal ones the smaller system MAC; of equal ones both."""
    if mine.priority != peer.priority:
        return PairRole.MASTER if mine.priority > peer.priority else PairRole.BACKUP
    return PairRole.MASTER if mine.system_mac <= peer.system_mac else PairRole.BACKUP


def derive_pairing(facts: PairingFacts) -> Pairing:
    """Pairing, role and causation.  A device without a partner acts as Master (DOMAIN.md 1.1)."""
    causation, detail = _causation(facts)
    peer = facts.peer
    if causation not in _HARMLESS or peer is None:
        return Pairing(False, causation, detail, PairRole.MASTER)
    return Pairing(True, causation, detail, elect(facts.mine, peer))


def _causation(facts: PairingFacts) -> tuple[Causation, str]:
    mine, peer, violation = facts.mine, facts.peer, facts.violation
    if mine.peer_link is None:
        return Causation.NO_PEER_LINK, "no interface of this device is configured as the peer-link"
    if violation is not None and violation.reason in _OF_REFUSAL:
        return _OF_REFUSAL[violation.reason], violation.detail
    if facts.link_down:
        return Causation.PEER_LINK_DOWN, "the peer-link is down on this device"
    if peer is None:
        if facts.unheard:
            return Causation.DETECT, "hellos of the peer arrive, but it does not hear this device"
        return Causation.TIMEOUT, "no hello of the peer arrives over the peer-link"
    if peer.group_id != mine.group_id:
        return Causation.TIMEOUT, f"the peer {peer.device} is in DFS group {peer.group_id}, not in {mine.group_id}"
    if peer.peer_link is None:
        return Causation.TIMEOUT, f"the peer {peer.device} has no interface configured as the peer-link"
    if peer.family != mine.family:
        words = f"this device is a {mine.model}, the peer a {peer.model}; they are not of one class"
        return Causation.DEVICE_TYPE_MISMATCH, words
    if _release(peer.version) != _release(mine.version):
        return Causation.VERSION_MISMATCH, f"this device runs {mine.version}, the peer {peer.version}"
    if peer.peer_link is not mine.peer_link:
        words = f"the peer-link is {mine.peer_link} on this device and {peer.peer_link} on the peer"
        return Causation.PEER_LINK_TYPE_MISMATCH, words
    return _of_a_pair(mine, peer)


def _of_a_pair(mine: Announcement, peer: Announcement) -> tuple[Causation, str]:
    ours, theirs = mine.detection, peer.detection
    if ours is not None and theirs is not None and ours.family != theirs.family:
        words = f"dual-active detection is IPv{ours.family} on this device and IPv{theirs.family} on the peer"
        return Causation.TYPE_MISMATCH, words
    if mine.system_mac == peer.system_mac:
        return Causation.SAME_MAC, f"both devices have the system MAC {mine.system_mac.hex(':')}"
    if ours is None:
        return Causation.NO_ADDRESS, "no source of dual-active detection is configured on this device"
    return Causation.NONE, ""


def _release(version: str) -> str:
    """``V300`` of ``V300R023C00``: what two devices must have in common."""
    return version.partition("R")[0]


class PairingTracker:
    """The pairing over time: what changes becomes an event.

    ``patience``: seconds that a causation must last to be told of, unless it ends a pair: neither a start nor a link
    that comes back is a failure.
    """

    def __init__(self, wall: Callable[[], datetime], patience: float) -> None:
        self._wall = wall
        self._patience = patience
        self._since = 0.0
        self._mine: Announcement | None = None
        self._peer: Announcement | None = None
        self._pairing: Pairing | None = None
        self._told: tuple[bool, Causation] | None = None
        self._changed = wall()

    def update(self, facts: PairingFacts | None, now: float) -> list[EngineEvent]:
        """Take the facts (None: no group is configured) at a monotonic time; the events that follow."""
        if facts is None:
            self._mine = self._peer = self._pairing = self._told = None
            return []
        before, self._pairing = self._pairing, derive_pairing(facts)
        self._mine, self._peer = facts.mine, facts.peer
        if before is None or _essence(before) != _essence(self._pairing):
            self._changed = self._wall()
            self._since = now
        return [*self._about_pair(self._pairing, now), *self._about_role(before, self._pairing)]

    def next_deadline(self) -> float | None:
        """When a failure has lasted long enough to be told of."""
        pairing = self._pairing
        if pairing is None or pairing.paired or self._told == (False, pairing.causation):
            return None
        return self._since + self._patience

    def _about_pair(self, pairing: Pairing, now: float) -> list[EngineEvent]:
        news = (pairing.paired, pairing.causation)
        was_paired = self._told is not None and self._told[0]
        if self._told == news or not (pairing.paired or was_paired or now >= self._since + self._patience):
            return []
        self._told = news
        if not pairing.paired:
            return [PairingFailed(self._changed, pairing.causation, pairing.detail)]
        # Another causation of a pair that goes on is state, not an event.
        return [] if was_paired else [PairingResumed(self._changed, pairing.role)]

    def _about_role(self, before: Pairing | None, after: Pairing) -> list[EngineEvent]:
        if before is None or before.role is after.role:
            return []
        return [RoleChanged(self._changed, before.role, after.role)]

    @property
    def paired(self) -> bool:
        """Whether the devices are a pair now."""
        return self._pairing is not None and self._pairing.paired

    @property
    def role(self) -> PairRole | None:
        """This device's role in the pair; None while there is none."""
        return self._pairing.role if self._pairing is not None and self._pairing.paired else None

    def state(self) -> PairingState | None:
        """For the snapshot; None without a group."""
        if self._pairing is None or self._mine is None:
            return None
        pairing, peer = self._pairing, self._peer
        nodes = [_node(self._mine, pairing.role, pairing.causation, is_local=True)]
        if peer is not None:
            theirs = elect(peer, self._mine) if pairing.paired else PairRole.MASTER
            nodes.append(_node(peer, theirs, None, is_local=False))
        return PairingState(
            pairing.paired, pairing.causation, pairing.detail, pairing.role, tuple(nodes), self._changed
        )


def _essence(pairing: Pairing) -> tuple[bool, Causation, PairRole]:
    return pairing.paired, pairing.causation, pairing.role


def _node(device: Announcement, role: PairRole, causation: Causation | None, *, is_local: bool) -> NodeState:
    detection = device.detection
    return NodeState(
        is_local=is_local,
        group_id=device.group_id,
        priority=device.priority,
        dual_active_address=None if detection is None else detection.local_address,
        vpn_instance=None if detection is None else detection.vpn_instance,
        role=role,
        causation=causation,
        system_mac=device.system_mac,
        name=device.device,
        version=device.version,
        model=device.model,
    )
