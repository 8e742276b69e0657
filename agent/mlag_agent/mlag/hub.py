"""Who is told of events, and who waits for a state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from mlag_agent.mlag.errors import EngineClosed
from mlag_agent.mlag.events import EngineEvent
from mlag_agent.mlag.state import EngineState

__all__ = ["EventHub"]

WAKE_INTERVAL: Final = 0.01
"""Seconds between two looks of ``wait_for``: a batch of entries changes the state thousands of times."""


class EventHub:
    """Subscribers and waiters of one engine; ``snapshot`` gives the state to look at."""

    def __init__(self, snapshot: Callable[[], EngineState]) -> None:
        self._loop = asyncio.get_running_loop()
        self._snapshot = snapshot
        self._subscribers: list[Callable[[EngineEvent], None]] = []
        self._waiters: set[asyncio.Future[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def subscribe(self, callback: Callable[[EngineEvent], None]) -> Callable[[], None]:
        """See ``Engine.subscribe``."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def emit(self, event: EngineEvent) -> None:
        """Tell all subscribers; one that fails is reported to the loop's exception handler and disturbs nobody."""
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(event)
            except Exception as error:  # noqa: BLE001 - handed to the loop: a subscriber must not stop the engine
                self._loop.call_exception_handler(
                    {"message": f"a subscriber failed on {type(event).__name__}", "exception": error}
                )

    def changed(self) -> None:
        """The state may have changed: those who wait look at it soon."""
        if self._waiters and self._timer is None:
            self._timer = self._loop.call_later(WAKE_INTERVAL, self._wake)

    async def wait_for(
        self,
        predicate: Callable[[EngineState], bool],
        timeout: float | None,  # noqa: ASYNC109 - the error names the last state, which asyncio.timeout cannot
    ) -> EngineState:
        """See ``Engine.wait_for``."""
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                while not predicate(state := self._snapshot()):
                    waiter: asyncio.Future[None] = self._loop.create_future()
                    self._waiters.add(waiter)
                    try:
                        await waiter
                    finally:
                        self._waiters.discard(waiter)
        except TimeoutError:
            if not limit.expired():
                raise  # the predicate's own
            raise TimeoutError(f"not within {timeout} s; the last state was {self._snapshot()}") from None
        return state

    def close(self) -> None:
        """Nobody is told any more, and those who wait get ``EngineClosed``."""
        if self._timer is not None:
            self._timer.cancel()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(EngineClosed("the engine was closed while its state was waited for"))
        self._subscribers.clear()

    def _wake(self) -> None:
        self._timer = None
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
