"""Memory that long messages have left behind goes back to the system.

libxml2 and libyang take and free megabytes in small pieces; glibc keeps them for later, 31 of 167 MB after 50,000
entries were loaded and committed.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

__all__ = ["AFTER_SECONDS", "LONG_MESSAGE", "SpareMemory"]

LONG_MESSAGE = 1024 * 1024
"""Bytes; shorter ones leave little behind."""

AFTER_SECONDS = 2.0
"""The commit that makes use of a long edit-config comes first, mostly."""


def _trim() -> Callable[[], object] | None:
    """glibc's malloc_trim(3); other C libraries have none."""
    function = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return None if function is None else lambda: function(0)


class SpareMemory:
    """Waits until a long message has been worked on for a while; ``trim`` gives the memory back (None: glibc's)."""

    def __init__(self, trim: Callable[[], object] | None = None, *, after: float = AFTER_SECONDS) -> None:
        self._trim = trim or _trim()
        self._after = after
        self._timer: asyncio.TimerHandle | None = None

    def long_message(self) -> None:
        """One has come."""
        if self._timer is None and self._trim is not None:
            self._timer = asyncio.get_running_loop().call_later(self._after, self._due)

    def _due(self) -> None:
        self._timer = None
        assert self._trim is not None
        self._trim()

    def close(self) -> None:
        """Nothing is given back after this."""
        if self._timer is not None:
            self._timer.cancel()
        self._trim = None
