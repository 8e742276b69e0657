"""Timers that a test fires: no test of a time-out waits for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mlag_agent.notify.clock import Clock

__all__ = ["FakeClock", "FakeTimer", "FakeTimers"]


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


@dataclass(eq=False)
class _Alarm:
    due: datetime
    callback: Callable[[], None]
    alarms: list[_Alarm]

    def cancel(self) -> None:
        if self in self.alarms:
            self.alarms.remove(self)


@dataclass
class FakeClock:
    """A clock that stands still until it is told to go on."""

    time: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)
    alarms: list[_Alarm] = field(default_factory=list)

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.time, self.call_later)

    def call_later(self, delay: float, callback: Callable[[], None]) -> _Alarm:
        alarm = _Alarm(self.time + timedelta(seconds=delay), callback, self.alarms)
        self.alarms.append(alarm)
        return alarm

    def advance(self, seconds: float) -> None:
        """Let time pass; what falls due is called in turn, at its time."""
        end = self.time + timedelta(seconds=seconds)
        while due := [alarm for alarm in self.alarms if alarm.due <= end]:
            alarm = min(due, key=lambda each: each.due)
            alarm.cancel()
            self.time = max(self.time, alarm.due)
            alarm.callback()
        self.time = end
