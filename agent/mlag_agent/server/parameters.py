"""The input of an rpc: matched with its schema, checked in the operations context, given to the handler.

In that context the parameters stand below ``/module:rpc/input``, in the client's message directly below the operation;
errors name them as the client sent them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lxml import etree

from mlag_agent.data.decode import Decoder, EditNode, OnLeniency
from mlag_agent.data.values import canonicalise, check_document, value_lookup
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure, SchemaError
from mlag_agent.features.base import RpcInput
from mlag_agent.schema.library import SchemaLibrary
from mlag_agent.schema.nodes import SchemaNode
from mlag_agent.schema.violations import ValueLookup

__all__ = ["read_parameters"]


def read_parameters(
    library: SchemaLibrary, schema: SchemaNode, element: etree._Element, *, strict: bool, on_leniency: OnLeniency
) -> RpcInput:
    """The parameters in an operation's element, in canonical form.

    Raises RpcFailure with every unknown element and wrong value; when there is none, with every constraint that does
    not hold.  Errors are of the protocol layer (RFC 6241 section 4.3).
    """
    declared = schema.child("input")
    if declared is None:
        raise SchemaError(f"{schema.path} has no input")  # pyang gives every rpc one
    decoder = Decoder(library.tree, config_only=False, strict=strict, on_leniency=on_leniency)
    nodes = decoder.decode(element, declared)
    errors = list(decoder.errors)
    if declared.children:
        body = check_document(nodes, library.tree.namespaces)
        document = f'<{schema.name} xmlns="{schema.namespace}"><input>{body}</input></{schema.name}>'
        lookup = _lookup(schema, nodes)
        try:
            if errors:  # what was left out of the document would be missed: types only
                library.operations.check_payload(document, lookup)
            else:
                library.operations.check_operation(document, lookup)
                canonicalise(nodes, library.operations, {})
        except RpcFailure as failure:
            errors += failure.errors
    if errors:
        raise RpcFailure(*dict.fromkeys(_as_sent(error, schema) for error in errors))
    return RpcInput(declared, nodes)


def _lookup(schema: SchemaNode, nodes: Sequence[EditNode]) -> ValueLookup:
    """Finds the parameters, whose own paths know nothing of the operation, by the paths of the operations context."""
    head = f"/{schema.module.name}:{schema.name}/input/"
    find = value_lookup(nodes)

    def lookup(path: str, message: str = "", /) -> tuple[SchemaNode, str | None, str] | None:
        if not path.startswith(head):
            return find(path, message)
        rest = path.removeprefix(head)
        own = ":" not in re.split(r"[\[/]", rest, maxsplit=1)[0]
        return find(f"/{schema.module.name}:{rest}" if own else f"/{rest}", message)

    return lookup


def _as_sent(error: RpcError, schema: SchemaNode) -> RpcError:
    """A parameter's error with the path that the client knows; a missing parameter as RFC 6241 names it."""
    operation = f"/{schema.module.name}:{schema.name}"
    path = operation if error.path in (None, "/") else str(error.path)
    if _below(path, f"{operation}/input"):
        path = operation + path.removeprefix(f"{operation}/input")
    elif not _below(path, operation):
        path = f"{operation}/{path.removeprefix('/').removeprefix(f'{schema.module.name}:')}"
    words = error.message.replace(f"{operation}/input", schema.name)
    found = replace(error, type=ErrorType.PROTOCOL, path=path, message=words)
    if error.tag is ErrorTag.DATA_MISSING and error.app_tag in (None, "missing-choice"):
        name = path.rpartition("/")[2].rpartition(":")[2]
        return replace(found, tag=ErrorTag.MISSING_ELEMENT, info=(*_without_choice(error.info), _bad_element(name)))
    return found


def _below(path: str, ancestor: str) -> bool:
    return path == ancestor or path.startswith(f"{ancestor}/")


def _bad_element(name: str) -> InfoElement:
    return InfoElement("bad-element", name)


def _without_choice(info: Iterable[InfoElement]) -> Sequence[InfoElement]:
    """``missing-choice`` belongs to data-missing (RFC 7950 section 15.6)."""
    return [element for element in info if element.name != "missing-choice"]
