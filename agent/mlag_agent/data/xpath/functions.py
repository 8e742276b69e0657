"""The functions of XPath 1.0 section 4 and of YANG 1.1 (RFC 7950 section 10)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from mlag_agent.data.instance import InstanceNode
from mlag_agent.data.xpath.syntax import Call, XPathError
from mlag_agent.data.xpath.values import TYPE_NAMES, NodeSet, Value, to_number

if TYPE_CHECKING:
    from mlag_agent.data.xpath.evaluate import Evaluation

__all__ = ["FUNCTIONS", "Function", "check_call"]

PATTERN_STEPS = 1_000
"""What a match of a regular expression counts for in nodes looked at."""

Body: TypeAlias = "Callable[[Evaluation, Sequence[Value], InstanceNode, int, int], Value]"


@dataclass(frozen=True, slots=True)
class Function:
    """``node_sets``: which arguments must be node-sets."""

    least: int
    most: int
    body: Body
    node_sets: tuple[int, ...] = ()

    def call(self, run: Evaluation, values: Sequence[Value], node: InstanceNode, position: int, size: int) -> Value:
        """The function's value; raises XPathError for an argument of the wrong kind."""
        for at in self.node_sets:
            if at < len(values) and not isinstance(values[at], list):
                name = next(name for name, function in FUNCTIONS.items() if function is self)
                kind = TYPE_NAMES[type(values[at])]
                raise XPathError(f"argument {at + 1} of {name}() must be a node-set and is a {kind}")
        return self.body(run, values, node, position, size)


def check_call(call: Call) -> None:
    """Whether there is such a function and it takes so many arguments; raises XPathError."""
    function = FUNCTIONS.get(call.name)
    if function is None:
        raise XPathError(f"there is no function {call.name}(); there are {', '.join(sorted(FUNCTIONS))}")
    count = len(call.arguments)
    if not function.least <= count <= function.most:
        takes = str(function.least) if function.least == function.most else f"{function.least} to {function.most}"
        if function.most == _ANY_NUMBER:
            takes = f"{function.least} or more"
        raise XPathError(f"{call.name}() takes {takes} arguments, not {count}")


_ANY_NUMBER = 1_000_000


def _given(values: Sequence[Value], node: InstanceNode) -> Value:
    """The argument, or the context node where there is none."""
    return values[0] if values else [node]


# --- node-sets (section 4.1) --------------------------------------------------------------------------------


def _first(run: Evaluation, values: Sequence[Value], node: InstanceNode) -> InstanceNode | None:
    nodes = cast("NodeSet", _given(values, node))
    return min(nodes, key=lambda each: each.order) if nodes else None


def _name(which: str) -> Body:
    def body(run: Evaluation, values: Sequence[Value], node: InstanceNode, position: int, size: int) -> Value:
        first = _first(run, values, node)
        if first is None:
            return ""
        namespace, name = first.qualified_name
        return namespace if which == "namespace" else name

    return body


def _sum(run: Evaluation, values: Sequence[Value], node: InstanceNode, position: int, size: int) -> Value:
    nodes = cast("NodeSet", values[0])
    run.budget.spend(len(nodes))
    return float(sum(to_number(run.string(each)) for each in run.in_order(nodes)))


# --- strings (section 4.2) ----------------------------------------------------------------------------------


def _concat(run: Evaluation, values: Sequence[Value], node: InstanceNode, position: int, size: int) -> Value:
    made = "".join(run.string(value) for value in values)
    run.budget.spend(len(made) >> 6)
    return made


def _substring(run: Evaluation, values: Sequence[Value], node: InstanceNode, position: int, size: int) -> Value:
    text, start = run.string(values[0]), _round(run.number(values[1]))
    end = math.inf if len(values) < 3 else start + _round(run.number(values[2]))
    if math.isnan(start) or math.isnan(end):
        return ""
    first = max(start, 1.0)
    if first >= end or first > len(text):
        return ""
    last = len(text) + 1 if end > len(text) + 1 else int(end)
    return text[int(first) - 1 : last - 1]


def _translate(run: Evaluation, values: Sequence[Value], node: InstanceNode, position: int, size: int) -> Value:
    text, old, new = (run.string(value) for value in values)
    table: dict[int, str | None] = {}
    for at, char in enumerate(old):
        table.setdefault(ord(char), new[at] if at < len(new) else None)
    run.budget.spend(len(text) >> 6)
    return text.translate(table)


def _normalized(run: Evaluation, values: Sequence[Value], node: InstanceNode, position: int, size: int) -> Value:
    text = run.string(_given(values, node))
    for white in "\t\r\n":
        text = text.replace(white, " ")
    return " ".join(part for part in text.split(" ") if part)


# --- numbers (section 4.4) ----------------------------------------------------------------------------------


def _round(value: float) -> float:
    return value if math.isnan(value) or math.isinf(value) else float(math.floor(value + 0.5))


def _whole(how: Callable[[float], float]) -> Body:
    def body(run: Evaluation, values: Sequence[Value], node: InstanceNode, position: int, size: int) -> Value:
        value = run.number(values[0])
        return value if math.isnan(value) or math.isinf(value) else float(how(value))

    return body


# --- YANG 1.1 (RFC 7950 section 10) -------------------------------------------------------------------------


def _re_match(run: Evaluation, values: Sequence[Value], node: InstanceNode, position: int, size: int) -> Value:
    text, pattern = run.string(values[0]), run.string(values[1])
    run.budget.spend(PATTERN_STEPS + len(text))
    return run.matches(pattern, text)


def _deref(run: Evaluation, values: Sequence[Value], node: InstanceNode, position: int, size: int) -> Value:
    first = _first(run, values, node)
    return [] if first is None else run.referred(first)


def _derived(run: Evaluation, values: Sequence[Value], *, itself: bool) -> Value:
    identity = run.identity(run.string(values[1]))
    wanted = run.compiled.tree.derived.get(identity)
    if wanted is None:
        raise XPathError(f"there is no identity {identity}")
    for node in cast("NodeSet", values[0]):
        run.budget.spend()
        if node.schema.type is not None and node.schema.type.prefixed:
            found = run.string(node)
            if found in wanted or (itself and found == identity):
                return True
    return False


def _enum_value(run: Evaluation, values: Sequence[Value], node: InstanceNode, position: int, size: int) -> Value:
    first = _first(run, values, node)
    kind = None if first is None else first.schema.type
    if first is None or kind is None:
        return math.nan
    return float(dict(kind.enums).get(run.string(first), math.nan))


def _bit_is_set(run: Evaluation, values: Sequence[Value], node: InstanceNode, position: int, size: int) -> Value:
    first = _first(run, values, node)
    kind = None if first is None else first.schema.type
    if first is None or kind is None or kind.base not in ("bits", "union"):
        return False
    return run.string(values[1]) in run.string(first).split()


FUNCTIONS: dict[str, Function] = {
    "last": Function(0, 0, lambda run, values, node, position, size: float(size)),
    "position": Function(0, 0, lambda run, values, node, position, size: float(position)),
    "count": Function(1, 1, lambda run, values, *rest: float(len(cast("NodeSet", values[0]))), (0,)),
    "id": Function(1, 1, lambda run, values, *rest: []),  # no data has an attribute of the type ID
    "local-name": Function(0, 1, _name("local"), (0,)),
    "namespace-uri": Function(0, 1, _name("namespace"), (0,)),
    "name": Function(0, 1, _name("local"), (0,)),  # replies declare default namespaces, no prefixes
    "string": Function(0, 1, lambda run, values, node, *rest: run.string(_given(values, node))),
    "concat": Function(2, _ANY_NUMBER, _concat),
    "starts-with": Function(2, 2, lambda run, values, *rest: run.string(values[0]).startswith(run.string(values[1]))),
    "contains": Function(2, 2, lambda run, values, *rest: run.string(values[1]) in run.string(values[0])),
    "substring-before": Function(
        2,
        2,
        lambda run, values, *rest: (
            run.string(values[0]).partition(run.string(values[1]))[0]
            if run.string(values[1]) and run.string(values[1]) in run.string(values[0])
            else ""
        ),
    ),
    "substring-after": Function(
        2,
        2,
        lambda run, values, *rest: (
            run.string(values[0]).partition(run.string(values[1]))[2]
            if run.string(values[1])
            else run.string(values[0])
        ),
    ),
    "substring": Function(2, 3, _substring),
    "string-length": Function(0, 1, lambda run, values, node, *rest: float(len(run.string(_given(values, node))))),
    "normalize-space": Function(0, 1, _normalized),
    "translate": Function(3, 3, _translate),
    "boolean": Function(1, 1, lambda run, values, *rest: run.boolean(values[0])),
    "not": Function(1, 1, lambda run, values, *rest: not run.boolean(values[0])),
    "true": Function(0, 0, lambda *given: True),
    "false": Function(0, 0, lambda *given: False),
    "lang": Function(1, 1, lambda *given: False),  # no data has xml:lang
    "number": Function(0, 1, lambda run, values, node, *rest: run.number(_given(values, node))),
    "sum": Function(1, 1, _sum, (0,)),
    "floor": Function(1, 1, _whole(math.floor)),
    "ceiling": Function(1, 1, _whole(math.ceil)),
    "round": Function(1, 1, _whole(lambda value: math.floor(value + 0.5))),
    "current": Function(0, 0, lambda run, *rest: [run.current]),
    "re-match": Function(2, 2, _re_match),
    "deref": Function(1, 1, _deref, (0,)),
    "derived-from": Function(2, 2, lambda run, values, *rest: _derived(run, values, itself=False), (0,)),
    "derived-from-or-self": Function(2, 2, lambda run, values, *rest: _derived(run, values, itself=True), (0,)),
    "enum-value": Function(1, 1, _enum_value, (0,)),
    "bit-is-set": Function(2, 2, _bit_is_set, (0,)),
}
