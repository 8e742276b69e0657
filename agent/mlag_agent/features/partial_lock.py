"""ietf-netconf-partial-lock (RFC 5717): locks on parts of running; ``datastore.partial`` holds and enforces them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from lxml import etree

from mlag_agent.data.instance import InstanceNode, InstanceTree, OpaqueNode, TextNode
from mlag_agent.data.path import child_path, quoted
from mlag_agent.data.tree import Container
from mlag_agent.data.xpath import Budget, Scope, XPathError, XPathFilter
from mlag_agent.datastore.partial import LockedNode, Step
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure
from mlag_agent.features.base import OK, Agent, Feature, Output, Reply, RpcInput, SessionInfo
from mlag_agent.features.reading import within_budget
from mlag_agent.schema.nodes import Kind, ModuleRequest, SchemaNode

__all__ = ["FEATURE", "instance_identifier"]

# Expressions of one request; each costs as much as a filter.
MAX_SELECT = 100

# Running may change while the expressions are evaluated, which is done without keeping commits off.
ATTEMPTS = 3


async def _partial_lock(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 5717 section 2.4.1: all of the nodes, or nothing."""
    elements = rpc.elements("select")
    if len(elements) > MAX_SELECT:
        raise _refused(ErrorTag.RESOURCE_DENIED, f"{len(elements)} select expressions are more than {MAX_SELECT}")
    expressions = [_compiled(agent, session, element) for element in elements]
    for _ in range(ATTEMPTS):
        running = agent.stores.running
        # Only what the session may read can be locked by it: an expression must not tell what else there is.
        visible = agent.access.readable(session, running) if agent.access.active else running
        nodes = await within_budget(agent, partial(_nodes, visible, expressions))
        if not nodes:
            words = "no select expression gives a node of running"
            raise _refused(ErrorTag.OPERATION_FAILED, words, app_tag="no-matches")
        async with agent.transactor.quiet():
            if agent.stores.running is running:
                lock = agent.stores.lock_nodes(session.session_id, [text for text, _ in expressions], nodes)
                found = [instance_identifier(node) for node in lock.nodes]
                return Output({"lock-id": lock.lock_id, "locked-node": found})
    words = f"running has changed {ATTEMPTS} times while the expressions were evaluated; try again"
    raise RpcFailure(RpcError(ErrorTag.IN_USE, words, type=ErrorType.PROTOCOL))


async def _partial_unlock(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 5717 section 2.4.2."""
    agent.stores.partial_locks.unlock(session.session_id, int(rpc.required("lock-id")))
    return OK


def _compiled(agent: Agent, session: SessionInfo, element: etree._Element) -> tuple[str, XPathFilter]:
    """An expression with the namespaces in scope on its element; unprefixed names as in filters (INTEROP 2.2)."""
    text = (element.text or "").strip()
    prefixes = {prefix: namespace for prefix, namespace in element.nsmap.items() if prefix is not None}
    try:
        made = XPathFilter(text, Scope(prefixes, None, agent.library.tree.namespaces), agent.expressions)
    except XPathError as error:
        raise _refused(ErrorTag.INVALID_VALUE, f'select "{text}": {error}') from error
    if made.unprefixed:
        if agent.strict:
            names = ", ".join(sorted(made.unprefixed))
            words = f'select "{text}": names without a prefix are of no namespace in XPath: {names}'
            raise _refused(ErrorTag.INVALID_VALUE, words)
        session.on_leniency("xpath-name-without-prefix")
    return text, made


def _nodes(root: Container, expressions: Iterable[tuple[str, XPathFilter]], budget: Budget) -> Sequence[LockedNode]:
    """What the expressions give, less what stands below something else of it."""
    tree = InstanceTree(root)
    found: dict[tuple[Step, ...], LockedNode] = {}
    for text, expression in expressions:
        try:
            nodes = expression.nodes(tree, budget)
        except XPathError as error:
            words = f'select "{text}": {error}'
            raise _refused(ErrorTag.INVALID_VALUE, words, app_tag="not-a-node-set") from error
        for node in _data_nodes(nodes):
            locked = _locked_node(node)
            found.setdefault(locked.steps, locked)
    return [node for steps, node in found.items() if not any(steps[:depth] in found for depth in range(1, len(steps)))]


def _data_nodes(nodes: Iterable[InstanceNode]) -> Iterable[InstanceNode]:
    """Text is its leaf, what is in anydata the anydata, and the root all there is."""
    for node in nodes:
        here = node
        while isinstance(here, TextNode | OpaqueNode) and here.parent is not None:
            here = here.parent
        if here.schema.kind is Kind.ROOT:
            yield from here.children()
        else:
            yield here


def _locked_node(node: InstanceNode) -> LockedNode:
    steps: list[Step] = []
    here = node
    while here.parent is not None:
        keys: tuple[str, ...] = ()
        if isinstance(here.value, Container) and here.schema.kind is Kind.LIST:
            keys = here.value.keys
        elif here.schema.kind is Kind.LEAF_LIST:
            keys = (str(here.value),)
        steps.append((here.schema, keys))
        here = here.parent
    steps.reverse()
    path, parent = "/", here.schema
    for schema, keys in steps:
        path, parent = child_path(path, parent, schema, keys), schema
    return LockedNode(tuple(steps), path)


def instance_identifier(node: LockedNode) -> str:
    """RFC 7950 section 9.13.2: every name with a prefix, which is the module's name here."""
    return "".join(f"/{schema.module.name}:{schema.name}{_predicates(schema, keys)}" for schema, keys in node.steps)


def _predicates(schema: SchemaNode, keys: Sequence[str]) -> str:
    if schema.kind is Kind.LEAF_LIST:
        return f"[.={quoted(keys[0])}]"
    pairs = zip(schema.key_nodes, keys, strict=True) if keys else ()
    return "".join(f"[{key.module.name}:{key.name}={quoted(value)}]" for key, value in pairs)


def _refused(tag: ErrorTag, words: str, *, app_tag: str | None = None) -> RpcFailure:
    info = (InfoElement("bad-element", "select"),) if tag is ErrorTag.INVALID_VALUE else ()
    return RpcFailure(RpcError(tag, words, type=ErrorType.PROTOCOL, app_tag=app_tag, info=info))


FEATURE = Feature(
    name="partial lock",
    modules=(ModuleRequest("ietf-netconf-partial-lock"),),
    rpcs={
        "ietf-netconf-partial-lock:partial-lock": _partial_lock,
        "ietf-netconf-partial-lock:partial-unlock": _partial_unlock,
    },
    capabilities=("urn:ietf:params:netconf:capability:partial-lock:1.0",),
)
