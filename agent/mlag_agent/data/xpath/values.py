"""Values of XPath 1.0, and what they may cost."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

from mlag_agent.data.instance import InstanceNode

__all__ = [
    "ARITHMETIC",
    "RELATIONS",
    "TYPE_NAMES",
    "Budget",
    "NodeSet",
    "TooCostlyError",
    "Value",
    "number_text",
    "to_number",
]

NodeSet: TypeAlias = list[InstanceNode]
Value: TypeAlias = "bool | float | str | NodeSet"
"""XPath 1.0 section 1; a node-set is a list of different nodes, in no particular order."""

TYPE_NAMES = {str: "string", float: "number", bool: "boolean", list: "node-set"}


class TooCostlyError(Exception):
    """The evaluation has come to the end of its budget."""


class Budget:
    """How much an evaluation may cost: ``steps`` nodes looked at, and for as long as ``expired`` does not say stop."""

    __slots__ = ("_expired", "_unchecked", "left")

    CHECK_EVERY = 2_000

    def __init__(self, steps: int, expired: Callable[[], bool] | None = None) -> None:
        self.left = steps
        self._expired = expired
        self._unchecked = 0

    def spend(self, steps: int = 1) -> None:
        """Take some; raises TooCostlyError when nothing is left."""
        self.left -= steps
        self._unchecked += steps
        if self.left < 0:
            raise TooCostlyError
        if self._unchecked >= self.CHECK_EVERY:
            self._unchecked = 0
            if self._expired is not None and self._expired():
                raise TooCostlyError


_NUMBER = re.compile(r"[ \t\r\n]*-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[ \t\r\n]*\Z")


def to_number(text: str) -> float:
    """XPath 1.0 section 4.4."""
    return float(text) if _NUMBER.match(text) else math.nan


def number_text(value: float) -> str:
    """XPath 1.0 section 4.2: no exponents, and integers without a point."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == int(value):
        return str(int(value))
    return format(Decimal(repr(value)), "f")


def _divide(one: float, other: float) -> float:
    if other != 0:
        return one / other
    if one == 0 or math.isnan(one):
        return math.nan
    return math.copysign(math.inf, one) * math.copysign(1.0, other)


def _remainder(one: float, other: float) -> float:
    return math.nan if other == 0 or math.isinf(one) else math.fmod(one, other)


ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "div": _divide,
    "mod": _remainder,
}
RELATIONS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}
