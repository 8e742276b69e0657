"""Virtual time: an event loop that goes straight to the next timer when nothing is ready.

The engine has all of its time from the event loop, so that this loop makes hours of timers pass in milliseconds and,
with ``fabric_memory``, in one order every time.  On any other loop the same code runs in real time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

__all__ = ["START", "VirtualTimeLoop", "wall_clock"]

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""What the wall clock shows when virtual time begins."""


class _JumpingSelector(selectors.BaseSelector):
    """Does not wait: has the clock put forward by the time that it was to wait."""

    def __init__(self, loop_waits: Callable[[], bool], advance: Callable[[float], None]) -> None:
        self._real = selectors.DefaultSelector()
        self._loop_waits = loop_waits
        self._advance = advance

    def register(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """``timeout`` as the loop has it: seconds to the next timer, None when there is none."""
        ready = self._real.select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or self._loop_waits():
            # A thread works for the loop, or nothing but a signal can go on: no virtual time passes meanwhile.
            return self._real.select(None)
        self._advance(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """``time()`` begins at 0 and passes only when every task waits for a timer.

    What sockets bring is taken as it comes, which is no longer in one order: use it with parts that need none.
    """

    def __init__(self) -> None:
        self._virtual = 0.0
        self._threads = 0
        super().__init__(_JumpingSelector(lambda: self._threads > 0, self._pass))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual

    def _pass(self, seconds: float) -> None:
        self._virtual += seconds

    def run_in_executor(  # type: ignore[override]  # typed with a variadic that adds nothing here
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """See ``asyncio``; time stands still until the thread is done."""
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._thread_done)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """See ``asyncio``; its time-out is one of the real world."""
        self._threads += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._threads -= 1

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self._threads -= 1


def wall_clock(loop: asyncio.AbstractEventLoop, start: datetime = START) -> Callable[[], datetime]:
    """Aware UTC that shows ``start`` now and goes on with the loop's time."""
    begin = loop.time()
    return lambda: start + timedelta(seconds=loop.time() - begin)
