"""The axes of XPath 1.0 section 2.2, each in its own order; what is looked at is paid for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mlag_agent.data.instance import InstanceNode, TextNode
from mlag_agent.data.xpath.syntax import KindTest, NameTest
from mlag_agent.data.xpath.values import Budget

__all__ = ["AXES", "passes"]


def passes(node: InstanceNode, test: NameTest | KindTest) -> bool:
    """Whether a node test lets the node pass."""
    if isinstance(test, NameTest):
        return node.is_named(test.namespace, test.name)
    return test.kind == "node" or (test.kind == "text" and isinstance(node, TextNode))


def _below(node: InstanceNode, budget: Budget) -> Iterator[InstanceNode]:
    text = node.text()
    if text is not None:
        yield text
    for child in node.children():
        budget.spend()
        yield child
        yield from _below(child, budget)


def _self_and_below(node: InstanceNode, budget: Budget) -> Iterator[InstanceNode]:
    yield node
    yield from _below(node, budget)


def _above(node: InstanceNode, budget: Budget) -> Iterator[InstanceNode]:
    while node.parent is not None:
        budget.spend()
        node = node.parent
        yield node


def _siblings(node: InstanceNode, budget: Budget) -> Iterator[InstanceNode]:
    """All children of the parent; the text of a leaf has no siblings."""
    if node.parent is not None and not isinstance(node, TextNode):
        for other in node.parent.children():
            budget.spend()
            yield other


def _siblings_after(node: InstanceNode, budget: Budget) -> Iterator[InstanceNode]:
    return (other for other in _siblings(node, budget) if other.place > node.place)


def _siblings_before(node: InstanceNode, budget: Budget) -> Iterator[InstanceNode]:
    return reversed([other for other in _siblings(node, budget) if other.place < node.place])


def _after(node: InstanceNode, budget: Budget) -> Iterator[InstanceNode]:
    here: InstanceNode | None = node
    while here is not None:
        for other in _siblings_after(here, budget):
            yield from _self_and_below(other, budget)
        here = here.parent


def _before(node: InstanceNode, budget: Budget) -> Iterator[InstanceNode]:
    here: InstanceNode | None = node
    while here is not None:
        for other in _siblings_before(here, budget):
            yield from reversed(list(_self_and_below(other, budget)))
        here = here.parent


def _self(node: InstanceNode, budget: Budget) -> Iterable[InstanceNode]:
    return (node,)


def _self_and_above(node: InstanceNode, budget: Budget) -> Iterable[InstanceNode]:
    return (node, *_above(node, budget))


def _parent(node: InstanceNode, budget: Budget) -> Iterable[InstanceNode]:
    return () if node.parent is None else (node.parent,)


def _none(node: InstanceNode, budget: Budget) -> Iterable[InstanceNode]:
    """YANG data has no attributes."""
    return ()


AXES: dict[str, Callable[[InstanceNode, Budget], Iterable[InstanceNode]]] = {
    "ancestor": _above,
    "ancestor-or-self": _self_and_above,
    "attribute": _none,
    "descendant": _below,
    "descendant-or-self": _self_and_below,
    "following": _after,
    "following-sibling": _siblings_after,
    "parent": _parent,
    "preceding": _before,
    "preceding-sibling": _siblings_before,
    "self": _self,
}
