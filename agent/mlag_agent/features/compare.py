"""ietf-nmda-compare: the differences of two datastores as a YANG Patch (RFC 9144)."""

from __future__ import annotations

from typing import Any

from mlag_agent.data.build import EVERYTHING
from mlag_agent.data.defaults import Mode
from mlag_agent.data.encode import encode
from mlag_agent.data.origin import INTENDED, Sources, config_nodes, encode_with_origins
from mlag_agent.data.patch import PatchEdit, Value, patch
from mlag_agent.data.tree import Container, Node
from mlag_agent.features.base import Agent, Feature, Output, Reply, RpcInput, SessionInfo
from mlag_agent.features.nmda import OPERATIONAL, filter_spec, operational
from mlag_agent.features.parameters import datastore_tree
from mlag_agent.features.reading import Filter, read_tree
from mlag_agent.schema.nodes import Kind, ModuleRequest

__all__ = ["FEATURE"]

NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-nmda-compare"


async def _compare(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """RFC 9144 section 3.

    Without ``all``: nodes that both datastores can have, which are those of the configuration as it was set.  State and
    defaults in use are in the operational datastore alone.
    """
    wanted = filter_spec(agent, session, rpc)
    source = await _side(agent, session, rpc, "source", wanted)
    target = await _side(agent, session, rpc, "target", wanted)
    if wanted is not None and not source.root.children and not target.root.children:
        return Output({"no-matches": ""})
    origins = "report-origin" in rpc
    edits = [
        _edit(agent, number, edit, source if origins else None, target if origins else None)
        for number, edit in enumerate(patch(source.root, target.root), 1)
    ]
    about = f"from {rpc.required('source')} to {rpc.required('target')}"
    return Output({"differences": {"yang-patch": {"patch-id": "compare", "comment": about, "edit": edits}}})


class _Side:
    """One datastore as it is compared; ``sources`` are those of the origins of an operational one."""

    def __init__(self, root: Container, sources: Sources | None) -> None:
        self.root = root
        self.sources = sources


async def _side(agent: Agent, session: SessionInfo, rpc: RpcInput, name: str, wanted: Filter | None) -> _Side:
    identity = rpc.required(name)
    everything = "all" in rpc
    if identity != OPERATIONAL:
        root = datastore_tree(agent, session, identity)
        return _Side(await read_tree(agent, session, root, wanted, Mode.EXPLICIT, config_only=True), None)
    parts = list(agent.state_parts(EVERYTHING if wanted is None else wanted.selection))
    mode = Mode.REPORT_ALL if everything else Mode.EXPLICIT
    found = await read_tree(agent, session, operational(agent, parts), wanted, mode)
    sources = Sources(((INTENDED, agent.stores.running), *((part.origin, part.root) for part in reversed(parts))))
    return _Side(found if everything else config_nodes(found, config=True), sources)


def _edit(agent: Agent, number: int, edit: PatchEdit, source: _Side | None, target: _Side | None) -> dict[str, Any]:
    return {
        "edit-id": str(number),
        "operation": edit.operation,
        "target": edit.target,
        "point": edit.point,
        "where": edit.where,
        "value": None if edit.value is None else _element(agent, "value", edit.value, target),
        "source-value": None if edit.source is None else _element(agent, "source-value", edit.source, source),
    }


def _element(agent: Agent, name: str, value: Value, side: _Side | None) -> bytes:
    """The anydata that holds one instance, which stands in it as at the top level."""
    namespaces = agent.library.tree.namespaces
    sources = None if side is None else side.sources
    for instance in value.above[1:] if sources is not None else ():
        assert sources is not None
        sources = sources.entry(instance) if instance.schema.kind is Kind.LIST else sources.below(instance.schema)

    def encoded(node: Node) -> bytes:
        if sources is None:
            return encode([(value.schema, node)], namespaces)
        return encode_with_origins(Container(value.above[-1].schema, {value.schema: node}), sources, namespaces)

    return f'<{name} xmlns="{NAMESPACE}">'.encode() + value.elements(encoded) + f"</{name}>".encode()


FEATURE = Feature(
    name="compare",
    modules=(ModuleRequest("ietf-nmda-compare"),),
    rpcs={"ietf-nmda-compare:compare": _compare},
)
