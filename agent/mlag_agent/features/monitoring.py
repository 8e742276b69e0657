"""ietf-netconf-monitoring (RFC 6022): get-schema, and the state of datastores, schemas, sessions and counters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlag_agent.data.encode import escape
from mlag_agent.datastore.partial import PartialLock
from mlag_agent.datastore.stores import Datastore
from mlag_agent.errors import ErrorTag, InfoElement, RpcError, RpcFailure
from mlag_agent.features.base import Agent, Data, Feature, Reply, RpcInput, SessionInfo, StateProvider
from mlag_agent.features.partial_lock import instance_identifier
from mlag_agent.schema.library import Form
from mlag_agent.schema.nodes import ModuleRequest

__all__ = ["FEATURE"]

NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
PREFIX = "ietf-netconf-monitoring:"


async def _get_schema(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    """The text of a module or submodule (RFC 6022 section 3.1).

    YIN goes as text, like YANG: clients (ncclient among them) read the text of ``<data>``.
    """
    identifier = rpc.required("identifier")
    version = rpc.leaf("version")
    asked = (rpc.leaf("format") or f"{PREFIX}yang").removeprefix(PREFIX)
    if asked not in Form._value2member_map_:
        words = f"schemas are served as {' and '.join(Form)}, not as {asked}"
        raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, words, info=(InfoElement("bad-element", "format"),)))
    known = {schema.revision: schema for schema in agent.library.schemas.values() if schema.name == identifier}
    found = [schema for revision, schema in known.items() if version in (None, revision)]
    if not found:
        words = f"no schema {identifier}" + (f' of revision "{version}"' if version is not None else "")
        if known:
            words += f"; this server has revision {', '.join(sorted(known))}"
        bad = "version" if known else "identifier"
        raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, words, info=(InfoElement("bad-element", bad),)))
    if len(found) > 1:
        words = f"{identifier} is here in revisions {', '.join(sorted(known))}; give one as version"
        raise RpcFailure(RpcError(ErrorTag.OPERATION_FAILED, words, app_tag="data-not-unique"))
    text = agent.library.text(found[0], Form(asked))
    return Data(escape(text).encode(), namespace=NAMESPACE)


def _schemas(agent: Agent) -> Iterator[dict[str, Any]]:
    for schema in agent.library.schemas.values():
        for form in Form:
            yield {
                "identifier": schema.name,
                "version": schema.revision,
                "format": f"{PREFIX}{form}",
                "namespace": schema.namespace,
                "location": ["NETCONF"],
            }


def _served(agent: Agent) -> Mapping[str, Any]:
    """What is announced: the longest part, and the same from start to end."""
    return {"capabilities": {"capability": agent.capabilities}, "schemas": {"schema": list(_schemas(agent))}}


def _state(agent: Agent) -> Mapping[str, Any]:
    locks = agent.stores.locks
    datastores = []
    for datastore in agent.stores.supported:
        lock = locks.get(datastore)
        row: dict[str, Any] = {"name": datastore.value}
        if lock is not None:
            row["locks"] = {"global-lock": {"locked-by-session": lock.session_id, "locked-time": lock.since}}
        elif datastore is Datastore.RUNNING and agent.stores.partial_locks:
            row["locks"] = {"partial-lock": [_partial_lock(partial) for partial in agent.stores.partial_locks]}
        datastores.append(row)
    return {
        "datastores": {"datastore": datastores},
        "sessions": {"session": agent.sessions.describe},
        "statistics": agent.sessions.statistics,
    }


def _partial_lock(lock: PartialLock) -> Mapping[str, Any]:
    return {
        "lock-id": lock.lock_id,
        "locked-by-session": lock.session_id,
        "locked-time": lock.since,
        "select": lock.select,
        "locked-node": [instance_identifier(node) for node in lock.nodes],
    }


FEATURE = Feature(
    name="monitoring",
    modules=(ModuleRequest("ietf-netconf-monitoring"),),
    rpcs={"ietf-netconf-monitoring:get-schema": _get_schema},
    state=(
        StateProvider("/ietf-netconf-monitoring:netconf-state", _served, fixed=True),
        StateProvider("/ietf-netconf-monitoring:netconf-state", _state),
    ),
)
