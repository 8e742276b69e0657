"""Timers that a test fires: no test of a time-out waits for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["FakeTimer", "FakeTimers"]


@dataclass(eq=False)
class FakeTimer:
    """One call of ``call_later``."""

    delay: float
    callback: Callable[[], None]
    timers: list[FakeTimer]

    def cancel(self) -> None:
        if self in self.timers:
            self.timers.remove(self)


@dataclass
class FakeTimers:
    """In place of the event loop's ``call_later``."""

    running: list[FakeTimer] = field(default_factory=list)

    def call_later(self, delay: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(delay, callback, self.running)
        self.running.append(timer)
        return timer

    @property
    def delays(self) -> list[float]:
        """Of those that still run."""
        return [timer.delay for timer in self.running]

    def fire(self) -> None:
        """The only one that runs is due."""
        (timer,) = self.running
        self.running.clear()
        timer.callback()
