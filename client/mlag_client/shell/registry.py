"""What a module with display or reset commands exports: ``DISPLAYS`` and ``RESETS``, listed in ``registered.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lxml import etree

from mlag_client.commands.pattern import Pattern
from mlag_client.commands.tree import Node

__all__ = ["Display", "Reset"]


@dataclass(frozen=True, slots=True)
class Display:
    """A display command, valid in every view.

    ``show`` makes its text from the running configuration, the ``<data>`` of a ``<get>`` of everything below ``m-lag``,
    and the parameters of the line by the names that ``pattern`` gives them.
    """

    pattern: Pattern
    show: Callable[[Node, etree._Element, Mapping[str, str]], str]


@dataclass(frozen=True, slots=True)
class Reset:
    """A reset command: ``rpc`` makes the operation to call from the parameters of the line; nothing waits for a commit.

    Some are valid in the user view alone, some ``everywhere`` (DOMAIN.md section 3.4).
    """

    pattern: Pattern
    rpc: Callable[[Mapping[str, str]], etree._Element]
    everywhere: bool = False
