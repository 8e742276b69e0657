"""The commits that there were: who, when, and what for in his words (mlag-agent-commit)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

__all__ = ["MAX_COMMITS", "Commit", "CommitKind", "CommitLog"]

MAX_COMMITS: Final = 100
"""Commits that are remembered, as the module says; with the longest remarks below 60 kB."""


class CommitKind(StrEnum):
    """What a commit was (RFC 6241 section 8.4)."""

    COMMIT = "commit"
    CONFIRMED = "confirmed"
    EXTENDING = "extending"
    CONFIRMING = "confirming"


@dataclass(frozen=True, slots=True)
class Commit:
    """One that came into force."""

    kind: CommitKind
    time: datetime
    session_id: int
    username: str | None
    label: str | None
    description: str | None


class CommitLog:
    """The last of them, each with its number; of this run of the agent, since the audit log is what lasts."""

    def __init__(self) -> None:
        self._last: deque[Commit] = deque(maxlen=MAX_COMMITS)
        self._count = 0

    def note(self, commit: Commit) -> None:
        """It is in force."""
        self._last.append(commit)
        self._count += 1

    def numbered(self) -> list[tuple[int, Commit]]:
        """With their numbers, the oldest first."""
        return list(enumerate(self._last, self._count - len(self._last) + 1))
