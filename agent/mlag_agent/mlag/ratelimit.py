"""Token bucket of the backup rates, sans-IO."""

from __future__ import annotations

from typing import Final

__all__ = ["TokenBucket"]

BURST_SECONDS: Final = 0.1
"""The bucket holds a tenth of a second's entries: within any second at most a tenth more than the rate goes out, and
batches stay large enough (200 entries at the default of 2000/s)."""


class TokenBucket:
    """Lets ``rate`` entries per second through; ``None`` lets everything through.

    ``throttled`` counts how often entries had to wait.
    """

    def __init__(self, rate: int | None, now: float) -> None:
        self._rate = rate
        self._burst = self._burst_of(rate)
        self._tokens = self._burst
        self._updated = now
        self._held = False
        self.throttled = 0

    @staticmethod
    def _burst_of(rate: int | None) -> float:
        return 0.0 if rate is None else max(1.0, rate * BURST_SECONDS)

    def set_rate(self, rate: int | None, now: float) -> None:
        """Change the rate; tokens saved up so far are kept as far as the new bucket holds them."""
        self._refill(now)
        self._rate = rate
        self._burst = self._burst_of(rate)
        self._tokens = min(self._tokens, self._burst)

    def take(self, wanted: int, now: float) -> int:
        """How many of ``wanted`` entries (at least 1) may go now: 0 to ``wanted``."""
        if self._rate is None:
            return wanted
        self._refill(now)
        granted = min(wanted, int(self._tokens))
        self._tokens -= granted
        if granted == 0 and not self._held:
            self.throttled += 1
        self._held = granted == 0
        return granted

    def give_back(self, count: int) -> None:
        """Return tokens taken for entries that did not need to be sent."""
        if self._rate is not None:
            self._tokens = min(self._burst, self._tokens + count)

    def next_time(self, now: float, wanted: int) -> float:
        """When tokens for ``wanted`` entries are there, or half a bucket: enough that few small messages are sent."""
        if self._rate is None:
            return now
        self._refill(now)
        missing = max(1.0, min(wanted, self._burst / 2)) - self._tokens
        return now + max(0.0, missing / self._rate)

    def _refill(self, now: float) -> None:
        if self._rate is not None:
            self._tokens = min(self._burst, self._tokens + max(0.0, now - self._updated) * self._rate)
        self._updated = now
