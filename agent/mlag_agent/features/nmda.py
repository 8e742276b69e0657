"""ietf-netconf-nmda: get-data and the operational datastore (RFC 8526, RFC 8342 section 5.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlag_agent.data.build import EVERYTHING
from mlag_agent.data.defaults import Mode
from mlag_agent.data.encode import encode_children
from mlag_agent.data.origin import INTENDED, Sources, config_nodes, encode_with_origins, with_origins
from mlag_agent.data.tree import Container, merge
from mlag_agent.features.base import Agent, Data, Feature, Reply, RpcInput, SessionInfo, StatePart
from mlag_agent.features.editing import edit_data
from mlag_agent.features.parameters import datastore_tree
from mlag_agent.features.reading import Filter, read_mode, read_subtree, read_tree, xpath_filter
from mlag_agent.schema.nodes import ModuleRequest

__all__ = ["NAMESPACE", "OPERATIONAL", "feature", "filter_spec", "operational"]

NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
OPERATIONAL = "ietf-datastores:operational"
OPERATIONAL_DEFAULTS = "urn:ietf:params:netconf:capability:with-operational-defaults:1.0"


def feature() -> Feature:
    """get-data for every datastore, edit-data for those that can be written."""
    # What is in use is given unless something else is asked for (RFC 8342 section 5.3), which is report-all.
    also = (Mode.EXPLICIT, Mode.REPORT_ALL_TAGGED, Mode.TRIM)
    return Feature(
        name="nmda",
        modules=(
            ModuleRequest("ietf-netconf-nmda", ("origin", "with-defaults")),
            ModuleRequest("ietf-datastores"),
            ModuleRequest("ietf-origin"),
        ),
        rpcs={"ietf-netconf-nmda:get-data": _get_data, "ietf-netconf-nmda:edit-data": edit_data},
        capabilities=(f"{OPERATIONAL_DEFAULTS}?basic-mode={Mode.REPORT_ALL}&also-supported={','.join(also)}",),
    )


# --- get-data (RFC 8526 section 3.1.1) ------------------------------------------------------------------------


async def _get_data(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    identity = rpc.required("datastore")
    given = rpc.leaf("max-depth")
    depth = None if given in (None, "unbounded") else int(given or 0)
    spec = filter_spec(agent, session, rpc)
    if identity == OPERATIONAL:
        return await _get_operational(agent, session, rpc, spec, depth)
    root = datastore_tree(agent, session, identity)
    found = await read_tree(agent, session, root, spec, read_mode(agent, rpc), config_only=True, depth=depth)
    if rpc.leaf("config-filter") == "false":
        found = Container(root.schema, {})  # there is no state in a configuration datastore
    return Data(encode_children(found, agent.library.tree.namespaces), NAMESPACE)


def filter_spec(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Filter | None:
    """The choice filter-spec, which other operations have as well; None when everything is wanted."""
    subtree = rpc.element("subtree-filter")
    if subtree is not None:
        return read_subtree(agent, session, subtree)
    xpath = rpc.element("xpath-filter")
    # As it was sent: in its canonical form the prefixes are module names.
    return None if xpath is None else xpath_filter(agent, session, (xpath.text or "").strip(), xpath, "xpath-filter")


async def _get_operational(
    agent: Agent, session: SessionInfo, rpc: RpcInput, spec: Filter | None, depth: int | None
) -> Data:
    parts = list(agent.state_parts(EVERYTHING if spec is None else spec.selection))
    # Values in use are given whoever has set them, so explicit is report-all, and what equals the default is tagged
    # as by the trim mode (RFC 8526 section 3.1.1.2).
    mode = Mode.REPORT_ALL if "with-defaults" not in rpc else Mode(rpc.required("with-defaults"))
    mode = Mode.REPORT_ALL if mode is Mode.EXPLICIT else mode
    root = operational(agent, parts)
    config = rpc.leaf("config-filter")
    origins = rpc.values("origin-filter"), rpc.values("negated-origin-filter")
    # Depth is of what all filters select, and with several filters what that is is known at the end.
    found = await read_tree(agent, session, root, spec, mode, basic=Mode.TRIM, depth=depth)
    sources = Sources(((INTENDED, agent.stores.running), *((part.origin, part.root) for part in reversed(parts))))
    if any(origins):
        found = with_origins(found, sources, _origin_test(agent, *origins))
    if config is not None:
        found = config_nodes(found, config == "true")
    namespaces = agent.library.tree.namespaces
    if "with-origin" in rpc:
        return Data(encode_with_origins(found, sources, namespaces), NAMESPACE)
    return Data(encode_children(found, namespaces), NAMESPACE)


def operational(agent: Agent, parts: list[StatePart]) -> Container:
    """The configuration in force with the state of all sources, without defaults in use."""
    root = agent.stores.running
    for part in parts:
        root = merge(root, part.root)
    return root


def _origin_test(agent: Agent, wanted: Sequence[str], unwanted: Sequence[str]) -> Callable[[str], bool]:
    """Whether an origin is, or is derived from, one that is asked for; or none of those that are excluded."""
    derived = agent.library.tree.derived

    def among(origin: str, names: Sequence[str]) -> bool:
        return any(origin == name or origin in derived.get(name, ()) for name in names)

    if wanted:
        return lambda origin: among(origin, wanted)
    return lambda origin: not among(origin, unwanted)
