"""An event loop whose time is not that of the world: when nothing is to be done, the next timer is due at once.

Everything in the engine measures time by its loop, so that this loop is all that it takes to run hours of timers in
seconds.  Sockets work as ever: what is sent to this machine is readable before the loop looks again, since the kernel
delivers it within the call that sends it, and only a loop with nothing to read jumps.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Final

__all__ = ["VirtualLoop"]


LATE: Final = 1e-6
"""Seconds that every timer is late, as on a real clock: a sum of floating-point numbers may fall short of the time that
was asked for, and whoever asked would ask again for ever."""


class _Selector(selectors.DefaultSelector):
    """Tells of sockets at once, and counts the time that it would have waited as waited."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See ``selectors``; ``None`` waits in real time, since only a socket or a thread can end it."""
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(None if timeout is None else 0)
        if not ready and timeout is not None and timeout > 0:
            self.elapsed += timeout + LATE
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """For ``asyncio.Runner(loop_factory=VirtualLoop)``; its time begins at 0.  Not for code that waits for threads
    with a time-out: the time-out is due before the thread has begun."""

    def __init__(self) -> None:
        self._waited = _Selector()
        super().__init__(self._waited)

    def time(self) -> float:
        """Seconds that have been waited for."""
        return self._waited.elapsed

    def __repr__(self) -> str:
        return f"<VirtualLoop at {self.time():.3f} s>"
