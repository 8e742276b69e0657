"""Which changes can make a ``when`` false, and where (RFC 7950 section 8.3.2): worked out when the modules are loaded.

Whether a node may exist is looked at when something has changed that one of its conditions reads, directly or by way
of a default that is in use or not; and only in the entries of lists in which that has happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlag_agent.schema.nodes import Kind, SchemaNode
from mlag_agent.schema.scope import Constraint, Constraints, UnclearExpressionError, reads

__all__ = ["Conditional", "Conditions", "triggers"]


@dataclass(frozen=True, slots=True)
class Conditional:
    """A node with conditions.

    ``anchor``: the deepest node, itself or one above it, that has all that the conditions look at at or below it: what
    changes in one instance of the anchor decides about that instance alone.  ``reads``: nodes whose change may decide.
    """

    node: SchemaNode
    anchor: SchemaNode
    reads: frozenset[SchemaNode]


@dataclass(frozen=True, slots=True)
class Conditions:
    """``by_anchor``: what to look at when an instance has changed.  ``watched``: of each node that is read, or has
    such nodes below it, which these are; what is not a key here decides about nothing."""

    by_anchor: dict[SchemaNode, tuple[Conditional, ...]]
    watched: dict[SchemaNode, frozenset[SchemaNode]]


@dataclass(slots=True)
class _Found:
    """What the conditions of one node look at; ``around``: nodes that the anchor must have at or below it."""

    reads: set[SchemaNode]
    around: set[SchemaNode]


def triggers(root: SchemaNode, constraints: Constraints) -> Conditions:
    """The conditions of the configuration below ``root``."""
    whens: dict[SchemaNode, list[Constraint]] = {}
    for node, when in constraints.whens:
        whens.setdefault(node, []).append(when)
    own = {node: _read_by(its, root) for node, its in whens.items()}
    rivals = _rivals(root)
    found = {node: _Found(set(mine.reads), set(mine.around)) for node, mine in own.items()}
    for node, mine in found.items():
        _follow(node, mine, own, rivals)
    by_anchor: dict[SchemaNode, tuple[Conditional, ...]] = {}
    for node, mine in found.items():
        if node.parent is None or node in node.parent.key_nodes:
            continue  # keys have no conditions (RFC 7950 section 7.8.2)
        anchor = _anchor(node, mine.around)
        by_anchor[anchor] = (*by_anchor.get(anchor, ()), Conditional(node, anchor, frozenset(mine.reads)))
    everything = frozenset(read for each in by_anchor.values() for conditional in each for read in conditional.reads)
    watched = {node: below for node in root.descendants() if (below := _below(node, everything))}
    return Conditions(by_anchor, watched)


def _read_by(whens: Iterable[Constraint], root: SchemaNode) -> _Found:
    found = _Found(set(), set())
    for when in whens:
        try:
            read = reads(when, root)
        except UnclearExpressionError:  # anything may decide
            return _Found(set(root.descendants()), {root})
        found.reads |= read.entered
        for used in read.used:
            found.reads.update(used.descendants())
        found.around |= read.visited | read.used
    return found


def _follow(
    node: SchemaNode,
    mine: _Found,
    own: dict[SchemaNode, _Found],
    rivals: dict[SchemaNode, frozenset[SchemaNode]],
) -> None:
    """Defaults in what is read are there or not by the conditions of their own, and by what stands in their choice."""
    shared = set(_upwards(node))  # these are there, or the node is not
    seen: set[SchemaNode] = set()
    while pending := mine.reads - seen:
        seen |= pending
        for each in {above for read in pending for above in _upwards(read)} - shared:
            others = rivals.get(each, frozenset())
            mine.reads |= others
            mine.around |= others
            if each in own:
                mine.reads |= own[each].reads
                mine.around |= own[each].around


def _rivals(root: SchemaNode) -> dict[SchemaNode, frozenset[SchemaNode]]:
    """Each node in a case, and the nodes in the same choice."""
    found: dict[SchemaNode, frozenset[SchemaNode]] = {}
    for node in root.descendants():
        if node.cases and node.parent is not None:
            choices = {id(case.choice) for case in node.cases}
            siblings = node.parent.children.values()
            found[node] = frozenset(
                other for other in siblings if any(id(case.choice) in choices for case in other.cases)
            )
    return found


def _anchor(node: SchemaNode, around: set[SchemaNode]) -> SchemaNode:
    ways = [{*_upwards(each)} for each in around]
    here = node
    while here.parent is not None and here.kind is not Kind.ROOT and not all(here in way for way in ways):
        here = here.parent
    return here


def _below(node: SchemaNode, everything: frozenset[SchemaNode]) -> frozenset[SchemaNode]:
    return everything.intersection(node.descendants())


def _upwards(node: SchemaNode) -> Iterator[SchemaNode]:
    """The node and all above it but the root."""
    while node.kind is not Kind.ROOT and node.parent is not None:
        yield node
        node = node.parent
