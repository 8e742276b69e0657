"""Measuring in turn: a machine that slows down, or runs something else for a moment, slows all that is compared."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

__all__ = ["Action", "Samples", "quiet_collector", "take_turns", "timed"]

Action = Callable[[], Awaitable[object]]
Name = TypeVar("Name")

WARM_UP_CALLS = 3
"""Calls of each action that do not count: caches and code paths of both sides are cold in them."""

BLOCK = 16
"""Calls of one action before it is another one's turn."""

BLOCK_SECONDS = 0.1
"""An action that takes longer has fewer calls in its block."""


@dataclass(slots=True)
class Samples:
    """Times of one action, in seconds."""

    times: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median: one round that something else disturbed does not move it."""
        return statistics.median(self.times)

    @property
    def worst(self) -> float:
        """The longest."""
        return max(self.times)

    def quantile(self, part: float) -> float:
        """The time below which ``part`` of the samples lie."""
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


async def timed(action: Action) -> float:
    """Seconds that one call takes."""
    before = time.perf_counter()
    await action()
    return time.perf_counter() - before


@contextmanager
def quiet_collector() -> Iterator[None]:
    """The client's own garbage collector stays out of what is measured."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def take_turns(
    actions: Mapping[Name, Action], seconds: float, *, least: int = 3, most: int = 2000
) -> dict[Name, Samples]:
    """Call the actions one after another, block by block, until ``seconds`` are over.

    A block is :data:`BLOCK` calls of one action, or fewer if they take long; the first of a block does not count when
    there are more, because the other servers have had the processor's caches meanwhile.  At least ``least`` rounds, no
    more than ``most`` samples each; every second round runs backwards, so that no action always follows the same one.
    """
    order = list(actions.items())
    for _ in range(WARM_UP_CALLS):
        for _, action in order:
            await action()
    samples: dict[Name, Samples] = {name: Samples() for name in actions}
    with quiet_collector():
        end = time.perf_counter() + seconds
        number = 0
        while number < least or (time.perf_counter() < end and len(samples[order[0][0]].times) < most):
            for name, action in order if number % 2 == 0 else reversed(order):
                samples[name].times += await _block(action)
            number += 1
    return samples


async def _block(action: Action) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + BLOCK_SECONDS
    while not times or (len(times) < BLOCK and time.perf_counter() < end):
        times.append(await timed(action))
    return times[1:] or times
