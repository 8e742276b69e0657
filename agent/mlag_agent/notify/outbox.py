"""What waits to be sent to one session: bounded, so that a reader who is slow, or reads nothing, costs a fixed amount.

Nobody waits for room.  Who has no room for an event remembers where it stood and asks to be called (``when_room``):
the queue itself never drops anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from mlag_agent.notify.notification import Notification

__all__ = ["QUEUE_BYTES", "QUEUE_LENGTH", "Outbox"]

QUEUE_LENGTH = 1000
"""Notifications that may wait for one session: some seconds of a busy device."""

QUEUE_BYTES = 4 * 1024 * 1024
"""Bytes of them: with two hundred sessions that read nothing, less than a gigabyte."""


class Outbox:
    """A queue of notifications for one session.

    ``length``: events that may wait; ``size``: bytes of their content.  ``wake`` is called when there is something to
    take and was nothing before.  One event is taken whatever its size, or it could never be sent.
    """

    def __init__(self, wake: Callable[[], None], *, length: int = QUEUE_LENGTH, size: int = QUEUE_BYTES) -> None:
        self._length = length
        self._size = size
        self._wake = wake
        self._waiting: deque[Notification] = deque()
        self._bytes = 0
        self._for_room: list[Callable[[], None]] = []
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._bytes

    def put(self, notification: Notification) -> bool:
        """Queue an event; False when there is no room for it, or the session has ended."""
        if self._closed or self._full(len(notification.content)):
            return False
        self._append(notification)
        return True

    def put_anyway(self, notification: Notification) -> None:
        """Queue what a subscriber must hear whatever else it missed: the end of a subscription, a gap.

        There is at most one of them for each time that room was found, so that they are bounded too.
        """
        if not self._closed:
            self._append(notification)

    def take(self) -> Notification | None:
        """The next one, or None.  Those who waited for room are called when the queue is half empty."""
        if not self._waiting:
            return None
        notification = self._waiting.popleft()
        self._bytes -= len(notification.content)
        if self._for_room and len(self._waiting) <= self._length // 2 and self._bytes <= self._size // 2:
            callbacks, self._for_room = self._for_room, []
            for callback in callbacks:
                callback()
        return notification

    def when_room(self, callback: Callable[[], None]) -> None:
        """Call this once, when half of the queue has been taken."""
        if not self._closed:
            self._for_room.append(callback)

    def close(self) -> None:
        """Nothing is queued from now on, and nobody is called."""
        self._closed = True
        self._waiting.clear()
        self._for_room.clear()
        self._bytes = 0

    def _full(self, more: int) -> bool:
        return bool(self._waiting) and (len(self._waiting) >= self._length or self._bytes + more > self._size)

    def _append(self, notification: Notification) -> None:
        self._waiting.append(notification)
        self._bytes += len(notification.content)
        if len(self._waiting) == 1:
            self._wake()
