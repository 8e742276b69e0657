"""Whether what an operation takes or gives, or a notification holds, is as its module says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lxml import etree

from mlag_agent.data.build import Below, from_nodes
from mlag_agent.data.decode import Decoder, EditNode
from mlag_agent.data.encode import encode
from mlag_agent.data.invocation import Instance, Invocation, invocation_of
from mlag_agent.data.tree import Container
from mlag_agent.data.values import canonicalise, value_lookup, within
from mlag_agent.errors import ErrorTag, ErrorType, RpcError, RpcFailure
from mlag_agent.features.base import Agent
from mlag_agent.schema.engine import Contents
from mlag_agent.schema.nodes import Kind, SchemaNode

__all__ = ["check_invocation", "check_types", "not_supported", "parse_output", "read_output"]

_FIRST_STEP = re.compile(r"/([A-Za-z_][\w.-]*):([A-Za-z_][\w.-]*)")


def check_invocation(agent: Agent, invocation: Invocation, *, types_only: bool = False, dangling: bool = False) -> None:
    """Types and, unless ``types_only``, constraints of an invocation; values are canonical afterwards.

    ``dangling``: what a leafref refers to need not be there.

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
    refers = holder.schema.refers
    if holder.schema.points:
        refers |= frozenset(_pointed_to(agent, holder))
    if refers or dangling:
        engine.check_payload(document, lookup)
        canonicalise(nodes, engine, {})
        document = invocation.document(library.tree.namespaces, _only(agent.operational(Below(refers)), refers))
        inside = within(invocation.operation)
        engine.validate(document, Contents.OPERATION, lookup, within=inside, dangling=dangling)
    elif invocation.top is invocation.operation:
        engine.check_operation(document, lookup)
        canonicalise(holder.children, engine, {})
    else:
        engine.check_operation(document, lookup, within(invocation.operation))
        canonicalise(nodes, engine, {})


def read_output(
    agent: Agent,
    schema: SchemaNode,
    elements: Iterable[etree._Element],
    instance: Instance | None,
    *,
    strict: bool = False,
) -> bytes:
    """The output of an rpc, or of the action of ``instance``, from its elements: checked, canonical, in schema order.

    ``strict``: names without a namespace are not taken.  Raises RpcFailure with every violation.
    """
    invocation = invocation_of(schema, Kind.OUTPUT, instance)
    decoder = Decoder(agent.library.tree, config_only=False, strict=strict)
    nodes = decoder.decode(elements, invocation.holder.schema, invocation.holder)
    if decoder.errors:
        raise RpcFailure(*decoder.errors)
    check_invocation(agent, invocation)
    try:
        made = from_nodes(invocation.holder.schema, nodes)
    except ValueError as error:
        raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, str(error))) from error
    return encode(made.children.items(), agent.library.tree.namespaces)


def check_types(agent: Agent, schema: SchemaNode, direction: Kind, elements: Iterable[etree._Element]) -> None:
    """Names and types of the input or output of an operation, of an action wherever it will stand.

    Values are not made canonical.  Raises RpcFailure.
    """
    invocation = invocation_of(schema, direction, Instance.nowhere(schema))
    decoder = Decoder(agent.library.tree, config_only=False)
    decoder.decode(elements, invocation.holder.schema, invocation.holder)
    if decoder.errors:
        raise RpcFailure(*decoder.errors)
    document = invocation.document(agent.library.tree.namespaces)
    lookup = value_lookup((invocation.top,))
    agent.library.operations.check_payload(document, lookup, keyless=True)


def not_supported(schema: SchemaNode) -> RpcError:
    """No code, hook or canned reply answers the operation."""
    path = schema.path
    words = (
        f"{path} has no code behind it on this server; give it some with --hooks FILE.py, or a reply with "
        f"--replies FILE or `mlag-agent ctl reply {path} FILE`"
    )
    return RpcError(ErrorTag.OPERATION_NOT_SUPPORTED, words, type=ErrorType.PROTOCOL)


def parse_output(content: bytes) -> etree._Element:
    """Elements of ours below one root."""
    return etree.fromstring(b"<output>" + content + b"</output>", _PARSER)


_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True)


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
