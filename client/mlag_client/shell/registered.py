"""The modules whose display and reset commands the shell knows, one a line; help lists commands in this order."""

from __future__ import annotations

from typing import Final

from mlag_client.shell import display, display_consistency, display_members, display_statistics
from mlag_client.shell.registry import Display, Reset

__all__ = ["DISPLAYS", "RESETS"]

DISPLAYS: Final[tuple[Display, ...]] = (
    *display.DISPLAYS,
    *display_members.DISPLAYS,
    *display_consistency.DISPLAYS,
    *display_statistics.DISPLAYS,
)  # fmt: skip

RESETS: Final[tuple[Reset, ...]] = (
    *display_statistics.RESETS,
)  # fmt: skip
