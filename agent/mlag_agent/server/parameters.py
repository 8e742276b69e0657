"""The input of an rpc or action: matched with its schema, checked in the operations context, given to the handler."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lxml import etree

from mlag_agent.data.decode import Decoder, OnLeniency
from mlag_agent.data.invocation import Instance, Invocation, find_nested, invocation_of, missing_instance
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure
from mlag_agent.features.base import Agent, RpcInput
from mlag_agent.features.checking import check_invocation
from mlag_agent.schema.nodes import Kind, SchemaNode

__all__ = ["NamedAction", "check_exists", "find_action", "read_action", "read_parameters"]


def read_parameters(agent: Agent, schema: SchemaNode, element: etree._Element, *, on_leniency: OnLeniency) -> RpcInput:
    """The parameters in an rpc's element, in canonical form.

    Raises RpcFailure with every unknown element and wrong value; when there is none, with every constraint that does
    not hold.  Errors are of the protocol layer (RFC 6241 section 4.3).
    """
    invocation = invocation_of(schema)
    decoder = Decoder(agent.library.tree, config_only=False, strict=agent.strict, on_leniency=on_leniency)
    return _read(agent, invocation, element, decoder)


@dataclass(frozen=True, slots=True)
class NamedAction:
    """An action, with the data node that it belongs to, and the element that holds its parameters."""

    invocation: Invocation
    instance: Instance
    element: etree._Element


def find_action(agent: Agent, element: etree._Element, *, on_leniency: OnLeniency) -> NamedAction:
    """The action that an ``<action>`` names (RFC 7950 section 7.15.2), with canonical keys on the way to it.

    Raises RpcFailure for what leads to no action or to several, and for wrong values of keys.
    """
    decoder = Decoder(agent.library.tree, config_only=False, strict=agent.strict, on_leniency=on_leniency)
    try:
        found = find_nested(element, agent.library.tree, decoder, Kind.ACTION, strict=agent.strict)
        check_invocation(agent, found.invocation, types_only=True)
    except RpcFailure as failure:
        raise RpcFailure(*(replace(error, type=ErrorType.PROTOCOL) for error in failure.errors)) from failure
    instance = found.invocation.instance
    assert instance is not None  # RFC 7950 section 7.15: no action stands at the top level
    return NamedAction(found.invocation, instance, found.element)


def check_exists(agent: Agent, action: SchemaNode, instance: Instance) -> None:
    """Raises RpcFailure (data-missing) where the action's data node is not: neither configured nor state.

    RFC 8342 section 6.2 has it be in the operational state datastore; no RFC names a tag.
    """
    missing = missing_instance(agent.stores.running, instance)
    if missing is not None:
        missing = missing_instance(agent.operational(instance.selection), instance)
    if missing is not None:
        words = f"{missing} does not exist, so it has no {action.name}"
        raise RpcFailure(RpcError(ErrorTag.DATA_MISSING, words, path=missing))


def read_action(agent: Agent, action: NamedAction, *, on_leniency: OnLeniency) -> RpcInput:
    """The parameters of an action, as those of an rpc."""
    decoder = Decoder(agent.library.tree, config_only=False, strict=agent.strict, on_leniency=on_leniency)
    return _read(agent, action.invocation, action.element, decoder, action.instance)


def _read(
    agent: Agent,
    invocation: Invocation,
    element: etree._Element,
    decoder: Decoder,
    instance: Instance | None = None,
) -> RpcInput:
    declared = invocation.holder.schema
    decoder.decode(element, declared, invocation.holder)
    errors = list(decoder.errors)
    try:
        if errors:  # what was left out of the document would be missed: types only
            check_invocation(agent, invocation, types_only=True)
        elif declared.children:
            check_invocation(agent, invocation)
    except RpcFailure as failure:
        errors += failure.errors
    if errors:
        raise RpcFailure(*dict.fromkeys(_as_sent(error, invocation) for error in errors))
    return RpcInput(declared, invocation.holder.children, instance=instance)


_CONDITION = "derived-from-or-self("
_GET_DATA = "/ietf-netconf-nmda:get-data"


def _as_sent(error: RpcError, invocation: Invocation) -> RpcError:
    """A parameter's error in terms that the client knows; a missing parameter as RFC 6241 names it."""
    operation = invocation.operation.path
    words = error.message.replace(f"{invocation.schema.path}/input", invocation.schema.name)
    path = error.path or operation
    found = replace(error, type=ErrorType.PROTOCOL, path=operation if path == "/" else path, message=words)
    if error.tag is ErrorTag.UNKNOWN_ELEMENT and operation == _GET_DATA and _CONDITION in words:
        return replace(found, tag=ErrorTag.INVALID_VALUE)  # RFC 8526 section 3.1.1: with-origin, with another datastore
    if error.tag is ErrorTag.DATA_MISSING and error.app_tag in (None, "missing-choice"):
        name = path.rpartition("/")[2].rpartition(":")[2]
        info = (*_without_choice(error.info), _bad_element(name))
        return replace(found, tag=ErrorTag.MISSING_ELEMENT, app_tag=None, info=info)
    return found


def _bad_element(name: str) -> InfoElement:
    return InfoElement("bad-element", name)


def _without_choice(info: Iterable[InfoElement]) -> Sequence[InfoElement]:
    """``missing-choice`` belongs to data-missing (RFC 7950 section 15.6)."""
    return [element for element in info if element.name != "missing-choice"]
