"""Time, as tests can have it run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["CallLater", "Clock", "Timer"]


class Timer(Protocol):
    """What ``call_later`` gives."""

    def cancel(self) -> None:
        """It does not fire any more."""


CallLater = Callable[[float, Callable[[], None]], Timer]


def _now() -> datetime:
    return datetime.now(UTC)


def _call_later(delay: float, callback: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(delay, callback)


@dataclass(frozen=True, slots=True)
class Clock:
    """``now`` gives aware UTC; ``call_later`` calls after so many seconds.  The system's and the event loop's."""

    now: Callable[[], datetime] = _now
    call_later: CallLater = _call_later
