"""Whether what an operation takes or gives, or a notification holds, is as its module says."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlag_agent.data.build import Below
from mlag_agent.data.edit_node import EditNode
from mlag_agent.data.invocation import Invocation
from mlag_agent.data.tree import Container
from mlag_agent.data.values import canonicalise, value_lookup, within
from mlag_agent.features.base import Agent
from mlag_agent.schema.engine import Contents
from mlag_agent.schema.nodes import SchemaNode

__all__ = ["check_invocation"]

_FIRST_STEP = re.compile(r"/([A-Za-z_][\w.-]*):([A-Za-z_][\w.-]*)")


def check_invocation(agent: Agent, invocation: Invocation, *, types_only: bool = False) -> None:
    """Types and, unless ``types_only``, constraints of an invocation; values are canonical afterwards.

    What the constraints refer to is looked up in the operational state, of which running is a part, as RFC 7950
    section 6.4.1 and RFC 8342 section 6.1 have it.  Raises RpcFailure with every violation.
    """
    library = agent.library
    engine = library.operations
    holder = invocation.holder
    nodes = (invocation.top,)
    lookup = value_lookup(nodes)
    document = invocation.document(library.tree.namespaces)
    if types_only:
        engine.check_payload(document, lookup)
        canonicalise(nodes, engine, {})
        return
    refers = invocation.schema.refers
    if holder.schema.points:
        refers |= frozenset(_pointed_to(agent, holder))
    if refers:
        engine.check_payload(document, lookup)
        canonicalise(nodes, engine, {})
        document = invocation.document(library.tree.namespaces, _only(agent.operational(Below(refers)), refers))
        engine.validate(document, Contents.OPERATION, lookup, within=within(invocation.operation))
    elif invocation.top is invocation.operation:
        engine.check_operation(document, lookup)
        canonicalise(holder.children, engine, {})
    else:
        engine.check_operation(document, lookup, within(invocation.operation))
        canonicalise(nodes, engine, {})


def _only(root: Container, tops: frozenset[SchemaNode]) -> Container:
    return Container(root.schema, {node: value for node, value in root.children.items() if node in tops})


def _pointed_to(agent: Agent, node: EditNode) -> Iterator[SchemaNode]:
    """Top-level nodes that values of type instance-identifier lead to."""
    if not node.schema.points:
        return
    for child in node.children:
        kind = child.schema.type
        if kind is None:
            yield from _pointed_to(agent, child)
        elif kind.prefixed and child.value is not None and (step := _FIRST_STEP.match(child.value)):
            namespace = agent.library.tree.namespaces.get(step[1], "")
            found = agent.library.tree.data.children.get((namespace, step[2]))
            if found is not None:
                yield found
