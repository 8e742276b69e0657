"""Expressions that can crash libyang, and with it the agent, whatever the client (docs/decisions/021).

libyang 4.5 crashes on some data for certain paths in must and when.  Such a module is not served: it would let any
user who may write bring the agent down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

__all__ = ["hazard"]

# Axes that look backwards: crashes were seen with each of them, most often with several lists beside each other.
_BACKWARDS = frozenset({"preceding", "preceding-sibling", "ancestor", "ancestor-or-self"})
_PLAIN = frozenset({"child", "parent", "self", "attribute"})


def hazard(syntax: Any, depth: int) -> str | None:
    """What libyang may crash on in an expression, pyang's syntax tree of it; None when nothing is known.

    ``depth``: how many nodes stand from the top level to the context node, both included.
    """
    for steps, absolute in _paths(syntax):
        axes = [step[1] for step in steps]
        backwards = next((axis for axis in axes if axis in _BACKWARDS), None)
        if backwards is not None:
            return f"the axis {backwards}"
        if sum(axis not in _PLAIN for axis in axes) > 1:
            return "a path with more than one // or other axis than child, parent, self and attribute"
        if any(one == "descendant-or-self" and two in ("self", "parent") for one, two in pairwise(axes)):
            return "// before . or .."
        if absolute and axes[:1] in (["self"], ["parent"]):
            return "/. or /.."
    if any(_at_the_root(argument, depth) for argument in _arguments(syntax)):
        return "the root of the data as an argument of a function"
    return None


def _parts(syntax: Any) -> Iterable[Any]:
    """The tuples and lists directly within one."""
    return (part for part in syntax if isinstance(part, tuple | list)) if isinstance(syntax, tuple | list) else ()


def _paths(syntax: Any) -> Iterable[tuple[Sequence[Any], bool]]:
    """The steps of every location path at any depth, and whether it begins at the root."""
    match syntax:
        case ("absolute" | "relative" as kind, [*steps]):
            yield steps, kind == "absolute"
        case [_, ("step", *_), *_] if isinstance(syntax, list):  # a function or expression, with steps behind it
            yield syntax[1:], False
    for part in _parts(syntax):
        yield from _paths(part)


def _arguments(syntax: Any) -> Iterable[Any]:
    match syntax:
        case ("function_call", str(name), [*arguments]) if name not in ("not", "boolean", "count"):
            yield from arguments
    for part in _parts(syntax):
        yield from _arguments(part)


def _at_the_root(syntax: Any, depth: int) -> bool:
    match syntax:
        case ("relative", [*steps]):
            return len(steps) >= depth and all(step[1] == "parent" for step in steps)
        case ("absolute", []):
            return True
        case ("path_expr", inner):
            return _at_the_root(inner, depth)
    return False
