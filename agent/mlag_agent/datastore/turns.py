"""Long work on the event loop, in turns with everything else: others wait for one step of it, not for all."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable
from time import perf_counter
from typing import TypeAlias, TypeVar

__all__ = ["TURN_SECONDS", "Steps", "at_once", "collected", "in_turns"]

TURN_SECONDS = 0.005
"""How long one piece of work may keep all others waiting before it lets them go first."""

STEP_ITEMS = 256
"""Items that ``collected`` takes in one step."""

Item = TypeVar("Item")
Result = TypeVar("Result")

Steps: TypeAlias = Generator[None, None, Result]
"""Work that can be interrupted at each ``yield``; what it returns is its result."""


def at_once(steps: Steps[Result]) -> Result:
    """Do all of it now."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


async def in_turns(steps: Steps[Result]) -> Result:
    """Do it step by step, and let others go first whenever it has run for ``TURN_SECONDS``.

    What it reads may be changed by others between two steps.  A cancellation ends it between two steps as well.
    """
    began = perf_counter()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if perf_counter() - began > TURN_SECONDS:
            await asyncio.sleep(0)
            began = perf_counter()


def collected(items: Iterable[Item]) -> Steps[tuple[Item, ...]]:
    """All items of an iterable that works for each of them."""
    found: list[Item] = []
    for item in items:
        found.append(item)
        if len(found) % STEP_ITEMS == 0:
            yield
    return tuple(found)
