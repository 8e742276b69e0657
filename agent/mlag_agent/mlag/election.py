"""The master member of an active/standby M-LAG (DOMAIN 1.1 step 3): the side that got the last election packet.

Each side has a claim with a term. A packet gives it a term above all that it knows; whoever hears of a higher term has
been superseded, so that both agree although their clocks do not. Pure functions; where the facts leave room:
docs/decisions/061-active-standby.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mlag_agent.mlag.state import PairRole

__all__ = ["MAX_TERM", "Claim", "ElectionOutcome", "elected", "heard", "lapsed"]

MAX_TERM: Final = (1 << 24) - 1
"""Three bytes of a hello. At that many switches the term stays, and of two claims the Master device's counts."""


class ElectionOutcome(StrEnum):
    """``receive-election-packet/output/outcome``."""

    MASTER = "master"
    TYPE_NOT_CONFIGURED = "type-not-configured"
    DUAL_ACTIVE = "dual-active"
    INTERFACE_DOWN = "interface-down"


@dataclass(frozen=True, slots=True)
class Claim:
    """What one side holds of an M-LAG: the highest term it knows of, and whether that is its own."""

    term: int = 0
    master: bool = False


def elected(mine: Claim) -> Claim:
    """An election packet has come: nothing new for a master, else a term above all that are known."""
    return mine if mine.master else Claim(min(mine.term + 1, MAX_TERM), True)


def heard(mine: Claim, peer: Claim, device: PairRole) -> Claim:
    """After what the partner says; two that claim the same term were elected at the same time: the Master has it."""
    if peer.term > mine.term:
        return Claim(peer.term, False)
    both = mine.master and peer.master and peer.term == mine.term
    return Claim(mine.term, False) if both and device is PairRole.BACKUP else mine


def lapsed(mine: Claim) -> Claim:
    """The interface is down: it is elected again, or the other one is."""
    return Claim(mine.term, False) if mine.master else mine
