"""The ``source`` and ``target`` parameters that the operations of RFC 6241 have in common."""

from __future__ import annotations

from mlag_agent.data.tree import Container
from mlag_agent.datastore.stores import Datastore
from mlag_agent.errors import RpcFailure
from mlag_agent.features.base import Agent, RpcInput, SessionInfo, missing_parameter

__all__ = ["datastore", "source_tree"]

_DATASTORES = frozenset(datastore.value for datastore in Datastore)


def datastore(rpc: RpcInput, parameter: str) -> Datastore:
    """The datastore that a ``source`` or ``target`` names."""
    holder = rpc.container(parameter)
    for name in holder.names() if holder is not None else ():
        if name in _DATASTORES:
            return Datastore(name)
    raise RpcFailure(missing_parameter(parameter))


def source_tree(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Container:
    """The configuration of a ``source``: a datastore or an inline ``<config>``."""
    source = rpc.container("source")
    config = source.element("config") if source is not None else None
    if config is not None:
        return agent.reader.tree(config, strict=agent.strict, on_leniency=session.on_leniency)
    return agent.stores.get(datastore(rpc, "source"), session.session_id)
