"""The parameters that the operations of RFC 6241 and RFC 8526 have in common: which datastore, which configuration."""

from __future__ import annotations

from mlag_agent.data.tree import Container
from mlag_agent.datastore.stores import Datastore
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure
from mlag_agent.features.base import Agent, RpcInput, SessionInfo, missing_parameter

__all__ = ["FACTORY_DEFAULT", "conventional", "datastore", "datastore_tree", "source_tree", "writable"]

FACTORY_DEFAULT = "ietf-factory-default:factory-default"

_BY_NAME = {datastore.value: datastore for datastore in Datastore}
_BY_IDENTITY = {f"ietf-datastores:{datastore}": datastore for datastore in Datastore}


def datastore(agent: Agent, rpc: RpcInput, parameter: str) -> Datastore:
    """The datastore that a ``source`` or ``target`` names, by an element or by the ``datastore`` leaf of RFC 8526."""
    holder = rpc.container(parameter)
    for name in holder.names() if holder is not None else ():
        if name in _BY_NAME:
            return _BY_NAME[name]
        if name == "datastore" and holder is not None:
            return conventional(agent, holder.required(name))
    raise RpcFailure(missing_parameter(parameter))


def conventional(agent: Agent, identity: str) -> Datastore:
    """The writable configuration datastore of an identity (``module:name``); raises RpcFailure (invalid-value)."""
    found = _BY_IDENTITY.get(identity)
    if found is None or found not in agent.stores.supported:
        known = ", ".join(f"ietf-datastores:{each}" for each in agent.stores.supported)
        raise _not_a_datastore(identity, known)
    return found


def writable(agent: Agent, identity: str) -> Datastore:
    """The datastore that edit-data may edit (RFC 8526 section 3.1.2); raises RpcFailure (invalid-value)."""
    found = _BY_IDENTITY.get(identity)
    if found is None or found not in agent.stores.writable:
        known = ", ".join(f"ietf-datastores:{each}" for each in agent.stores.writable)
        raise _not_a_datastore(identity, f"{known} to be edited")
    return found


def datastore_tree(agent: Agent, session: SessionInfo, identity: str) -> Container:
    """What a configuration datastore holds, read-only ones included; raises RpcFailure (invalid-value)."""
    if identity == FACTORY_DEFAULT:
        return agent.factory
    found = _BY_IDENTITY.get(identity)
    if found is None or found not in agent.stores.supported:
        known = [*(f"ietf-datastores:{each}" for each in agent.stores.supported), FACTORY_DEFAULT]
        raise _not_a_datastore(identity, ", ".join(known))
    return agent.stores.get(found, session.session_id)


def _not_a_datastore(identity: str, known: str) -> RpcFailure:
    """RFC 8526 section 3: the error of an operation that does not support the datastore."""
    words = f"{identity} cannot be used here; this server has {known}"
    info = (InfoElement("bad-element", "datastore"),)
    return RpcFailure(RpcError(ErrorTag.INVALID_VALUE, words, type=ErrorType.PROTOCOL, info=info))


def source_tree(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Container:
    """The configuration of a ``source`` that names a datastore."""
    source = rpc.container("source")
    if source is not None and "datastore" in source:
        return datastore_tree(agent, session, source.required("datastore"))
    return agent.stores.get(datastore(agent, rpc, "source"), session.session_id)
