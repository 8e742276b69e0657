"""What a change can invalidate (ARCHITECTURE section 6): worked out once, when the modules are loaded.

Each constraint of configuration has a context and reads some schema nodes.  From that follow

* the *local* lists: all that is read from within an entry lies within that entry, and nobody outside reads, counts
  or compares the entries; a changed entry can be checked alone;
* the *groups* of top-level nodes that refer to each other; a change in one group leaves the others valid.

An expression that is not understood to the last step makes every list not local and leaves one group: the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlag_agent.schema.nodes import Kind, SchemaNode

__all__ = ["Constraint", "Constraints", "Reads", "Scopes", "UnclearExpressionError", "classify", "reads"]

# Functions of XPath 1.0 and RFC 7950 section 10 whose result depends on nothing but their arguments, or on the
# context node when they have none.  deref() and id() are not among them: they go where data leads them.
_OF_ARGUMENTS = frozenset(
    {
        "bit-is-set", "boolean", "ceiling", "concat", "contains", "count", "derived-from", "derived-from-or-self",
        "enum-value", "false", "floor", "last", "local-name", "name", "namespace-uri", "normalize-space", "not",
        "number", "position", "re-match", "round", "starts-with", "string", "string-length", "substring",
        "substring-after", "substring-before", "sum", "translate", "true",
    }
)  # fmt: skip


class UnclearExpressionError(Exception):
    """What the expression reads cannot be told from the schema."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A must, a when, or the path of a leafref; ``expression`` is pyang's syntax tree of it, None if unreadable."""

    context: SchemaNode
    expression: Any


@dataclass(frozen=True, slots=True)
class Constraints:
    """Every constraint of the data tree that needs other data.

    ``counted``: lists with unique, min-elements or max-elements; ``conditional``: nodes whose existence depends on a
    when, their own or that of a uses, an augment, a choice or a case (RFC 7950 section 7.21.5); ``referring``: leafs
    and leaf-lists that are leafrefs.
    """

    expressions: tuple[Constraint, ...]
    counted: frozenset[SchemaNode]
    conditional: frozenset[SchemaNode]
    referring: frozenset[SchemaNode]
    whens: tuple[tuple[SchemaNode, Constraint], ...] = ()
    """Each conditional node with each of its conditions, which are among ``expressions`` as well."""


@dataclass(frozen=True, slots=True)
class Reads:
    """Schema nodes on the way of an expression's paths, and those whose whole content is used, at the ends.

    ``entered``: those visited that a step leads down to; the others are there whenever the context node is.
    """

    visited: frozenset[SchemaNode]
    used: frozenset[SchemaNode]
    entered: frozenset[SchemaNode]


@dataclass(frozen=True, slots=True)
class Scopes:
    """``local``: lists whose entries can be checked one by one.  ``groups``: top-level node to all of its group.

    ``optional``: nodes that can be left out where they only surround what is checked.
    """

    local: frozenset[SchemaNode]
    groups: dict[SchemaNode, frozenset[SchemaNode]]
    optional: frozenset[SchemaNode]


def reads(constraint: Constraint, root: SchemaNode) -> Reads:
    """What the constraint depends on; raises UnclearExpressionError when that is not certain.

    Prefixes are not looked at: a step goes to every child of that name, which is more than it may reach.
    """
    reader = _Reader(constraint.context, root)
    reader.use(constraint.expression, frozenset({constraint.context}))
    return Reads(frozenset(reader.visited), frozenset(reader.used), frozenset(reader.entered))


class _Reader:
    """Evaluates an expression on the schema instead of on data."""

    def __init__(self, context: SchemaNode, root: SchemaNode) -> None:
        self._context = context
        self._root = root
        self.visited: set[SchemaNode] = {context}
        self.used: set[SchemaNode] = set()
        self.entered: set[SchemaNode] = set()

    def use(self, expression: Any, at: frozenset[SchemaNode]) -> None:
        """An expression whose value, and not only its nodes, is wanted."""
        self.used |= self._nodes(expression, at)

    def _nodes(self, expression: Any, at: frozenset[SchemaNode]) -> frozenset[SchemaNode]:
        """The node set that the expression selects; empty for strings, numbers and booleans."""
        if isinstance(expression, list):  # pyang: a filter expression with steps behind it
            return self._steps(expression[1:], self._nodes(expression[0], at))
        match expression:
            case ("relative", steps):
                return self._steps(steps, at)
            case ("absolute", steps):
                self.visited.add(self._root)
                return self._steps(steps, frozenset({self._root}))
            case ("path_expr", inner):
                return self._nodes(inner, at)
            case ("path", "filter", inner, predicate):
                nodes = self._nodes(inner, at)
                self.use(predicate, nodes)
                return nodes
            case ("union", [one, other]):
                return self._nodes(one, at) | self._nodes(other, at)
            case ("bool" | "comp" | "arith", _, one, other):
                self.use(one, at)
                self.use(other, at)
            case ("negative", inner):
                self.use(inner, at)
            case ("function_call", name, arguments):
                return self._function(name, arguments, at)
            case ("literal" | "number", _):
                pass
            case _:
                raise UnclearExpressionError(repr(expression))
        return frozenset()

    def _function(self, name: str, arguments: Sequence[Any], at: frozenset[SchemaNode]) -> frozenset[SchemaNode]:
        if name == "current" and not arguments:
            return frozenset({self._context})
        if name not in _OF_ARGUMENTS:
            raise UnclearExpressionError(f"{name}()")
        if not arguments:
            self.used |= at
        for argument in arguments:
            self.use(argument, at)
        return frozenset()

    def _steps(self, steps: Iterable[Any], at: frozenset[SchemaNode]) -> frozenset[SchemaNode]:
        for step in steps:
            match step:
                case ("step", "self", _, predicates):
                    pass
                case ("step", "parent", _, predicates):
                    at = frozenset(parent for node in at if (parent := _above(node)) is not None)
                case ("step", "child", test, predicates):
                    at = frozenset(child for node in at for child in _children(node, test))
                    self.entered |= at
                case _:  # attributes, and the axes that lead to many nodes: descendants, ancestors, siblings
                    raise UnclearExpressionError(repr(step))
            self.visited |= at
            for predicate in predicates:
                self.use(predicate, at)
        return at


def _above(node: SchemaNode) -> SchemaNode | None:
    """``input`` and ``output`` stand for their operation: they are no nodes of an instance."""
    if node.kind in (Kind.INPUT, Kind.OUTPUT) and node.parent is not None:
        return node.parent.parent
    return node.parent


def _children(node: SchemaNode, test: Any) -> Iterator[SchemaNode]:
    match test:
        case ("name", _, str(name)):
            yield from (child for child in node.children.values() if child.name == name)
        case "wildcard" | ("has_namespace", _) | ("node_type", "node"):
            yield from node.children.values()
        case _:
            raise UnclearExpressionError(repr(test))


def classify(root: SchemaNode, constraints: Constraints) -> Scopes:
    """Local lists and groups of the data tree below ``root``."""
    tops = list(root.children.values())
    optional = frozenset(node for node in root.descendants() if _optional(node, constraints))
    try:
        known = [(constraint.context, reads(constraint, root)) for constraint in constraints.expressions]
    except UnclearExpressionError:
        return Scopes(frozenset(), dict.fromkeys(tops, frozenset(tops)), optional)
    lists = {node for node in root.descendants() if _may_be_local(node, constraints)}
    for context, read in known:
        lists.difference_update(_disturbed(context, read))
    return Scopes(frozenset(lists), _groups(tops, known), optional)


def _may_be_local(node: SchemaNode, constraints: Constraints) -> bool:
    """A list of configuration whose entries are not counted or compared, and do not come and go with other data.

    Entries of a list in a case decide about the other cases and about a mandatory choice (RFC 7950 section 7.9).
    """
    if node.kind is not Kind.LIST or not node.config or not node.keys or node.cases or node in constraints.counted:
        return False
    return not any(above in constraints.conditional for above in _upwards(node))


def _disturbed(context: SchemaNode, read: Reads) -> Iterator[SchemaNode]:
    """Lists that are not local since a constraint crosses the border of an entry."""
    around = set(_upwards(context))
    visited = [set(_upwards(node)) for node in read.visited]
    for above in around:  # read from within: all must stay within
        if not all(above in upwards for upwards in visited):
            yield above
    for upwards in visited:  # read from outside
        yield from upwards - around
    for node in read.used:  # the value of a container or an entry is all that is in it
        yield from (below for below in node.descendants() if below not in around)


def _groups(
    tops: Sequence[SchemaNode], known: Sequence[tuple[SchemaNode, Reads]]
) -> dict[SchemaNode, frozenset[SchemaNode]]:
    groups: dict[SchemaNode, frozenset[SchemaNode]] = {node: frozenset({node}) for node in tops}

    def join(nodes: Iterable[SchemaNode]) -> None:
        joined: frozenset[SchemaNode] = frozenset().union(*(groups[node] for node in nodes))
        groups.update(dict.fromkeys(joined, joined))

    by_choice: dict[Any, list[SchemaNode]] = {}
    for node in tops:
        for case in node.cases:
            by_choice.setdefault(case.choice, []).append(node)
    for together in by_choice.values():
        join(together)
    for context, read in known:
        if any(node.kind is Kind.ROOT for node in read.used):
            join(tops)
        join({_top(node) for node in (context, *read.visited) if node.kind is not Kind.ROOT})
    return groups


def _optional(node: SchemaNode, constraints: Constraints) -> bool:
    """Not needed around an entry that is checked alone, and likely not to be valid without what is left out there."""
    if node.kind is Kind.CONTAINER:
        return node in constraints.conditional
    if node.kind is not Kind.LEAF:
        return True
    return not node.mandatory and (node in constraints.conditional or node in constraints.referring)


def _upwards(node: SchemaNode) -> Iterator[SchemaNode]:
    """The node and all above it but the root."""
    while node.kind is not Kind.ROOT and node.parent is not None:
        yield node
        node = node.parent


def _top(node: SchemaNode) -> SchemaNode:
    return list(_upwards(node))[-1]
