"""libyang: checks values and constraints, gives canonical forms.  The only file that imports it.

Two steps, as RFC 7950 section 8.3 has them: ``check_payload`` when data comes in (types, unknown nodes),
``validate`` when a datastore must be valid (mandatory, must, when, leafref, unique, ...).  Both find every
violation and give it as ``RpcError`` with the tag and app-tag of RFC 7950 section 15.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, auto
from functools import lru_cache
from pathlib import Path
from typing import Any

import oopt_gnpy_libyang as ly

from mlag_agent.errors import ErrorTag, RpcError, RpcFailure, SchemaError
from mlag_agent.schema.model import ModuleRequest
from mlag_agent.schema.nodes import SchemaNode, SchemaTree

__all__ = ["Contents", "SchemaEngine", "ValueLookup"]

# Keep every error instead of printing or only the last one (ARCHITECTURE section 2).
ly.set_log_options(ly.LogOptions.Store)

_OPTIONS = ly.ContextOptions.NoYangLibrary | ly.ContextOptions.DisableSearchCwd

# Canonical forms asked of libyang are remembered; the bound keeps a hostile client from growing it.
CANONICAL_CACHE_SIZE = 16384

# Values in messages are cut to this: a message is for a person.
MESSAGE_VALUE_LIMIT = 120

ValueLookup = Callable[[str], tuple[SchemaNode, str | None, str] | None]
"""Instance path to (schema node, value, full path); None when there is nothing."""


class Contents(Enum):
    """What a document holds, and so which constraints apply."""

    CONFIG = auto()  # a configuration datastore
    OPERATION = auto()  # the input or output of an rpc, in the operations context


# Texts of libyang 4 for violations whose RFC 7950 section 15 tag cannot be told from its app-tag.
_MANDATORY = re.compile(r'Mandatory (node|choice) "([^"]+)" (?:instance|data) do(?:es)? not exist')
_APP_TAGS: Mapping[str, tuple[ErrorTag, str]] = {
    "instance-required": (ErrorTag.DATA_MISSING, "instance-required"),
    "missing-choice": (ErrorTag.DATA_MISSING, "missing-choice"),
    "data-not-unique": (ErrorTag.OPERATION_FAILED, "data-not-unique"),
    "too-many-elements": (ErrorTag.OPERATION_FAILED, "too-many-elements"),
    "too-few-elements": (ErrorTag.OPERATION_FAILED, "too-few-elements"),
    "must-violation": (ErrorTag.OPERATION_FAILED, "must-violation"),
}


class SchemaEngine:
    """One libyang context.  Not for several threads at once: the agent uses it from its event loop only."""

    def __init__(self, context: Any, tree: SchemaTree) -> None:
        self._context = context
        self._tree = tree
        self.canonical = lru_cache(maxsize=CANONICAL_CACHE_SIZE)(self._canonical)

    @classmethod
    def load(cls, requests: Sequence[ModuleRequest], folders: Iterable[Path], tree: SchemaTree) -> SchemaEngine:
        """A context with the modules of ``requests`` implemented; raises SchemaError with libyang's words."""
        context = ly.Context(":".join(map(str, folders)), _OPTIONS)
        for request in requests:
            try:
                context.load_module(request.name, request.revision, list(request.features))
            except ly.Error as error:
                raise SchemaError(_context_words(context, f"libyang cannot load {request.name}: {error}")) from error
        return cls(context, tree)

    @classmethod
    def load_texts(
        cls, texts: Mapping[str, str], features: Mapping[str, Sequence[str]], folders: Iterable[Path], tree: SchemaTree
    ) -> SchemaEngine:
        """A context of modules given as text (the operations context); the order of ``texts`` must not matter.

        libyang takes a module from its search folders when another imports it, so the variants are offered to it
        in an order in which every import has been parsed before.
        """
        context = ly.Context(":".join(map(str, folders)), _OPTIONS)
        for name in _import_order(texts):
            try:
                context.parse_module(texts[name], ly.SchemaFormat.YANG, list(features.get(name, ())))
            except ly.Error as error:
                raise SchemaError(_context_words(context, f"libyang cannot load the variant of {name}: {error}")) from error
        return cls(context, tree)

    def check_payload(self, document: str, lookup: ValueLookup) -> None:
        """Types, enabled nodes and keys of the data in ``document``; nothing that needs other data.

        Raises RpcFailure with one ``invalid-value`` for each wrong value (RFC 7950 section 8.3.1).
        """
        errors = self._run(
            document, ly.ParseOptions.Strict | ly.ParseOptions.ParseOnly, ly.ValidationOptions.MultiError
        )
        if errors:
            # A list entry whose key has a bad value is reported a second time, as an entry without that key.
            found = [e for e in errors if not e.message.startswith("List instance is missing its key")] or errors
            raise RpcFailure(*dict.fromkeys(_payload_error(error, lookup) for error in found))

    def validate(self, document: str, contents: Contents, lookup: ValueLookup) -> None:
        """Every constraint (RFC 7950 section 8.1); raises RpcFailure with one RpcError for each violation."""
        parse = ly.ParseOptions.Strict
        options = ly.ValidationOptions.MultiError
        if contents is Contents.CONFIG:
            parse |= ly.ParseOptions.NoState
            options |= ly.ValidationOptions.NoState
        else:
            # Only the module of the operation: the data tree is not in this context's documents.
            options |= ly.ValidationOptions.Present
        errors = self._run(document, parse, options)
        if errors:
            raise RpcFailure(*dict.fromkeys(_constraint_error(error, lookup) for error in errors))

    def _canonical(self, node: SchemaNode, value: str, path: str) -> str:
        """The canonical form (RFC 7950 section 9.1) of a value that ``check_payload`` has let pass.

        ``path`` is any instance path of the node (with keys); prefixes in ``value`` are module names.
        """
        self._context.clean_all_errors()
        top = self._context.create(path, value)
        found = [leaf for leaf in top.find(path) if leaf.is_term]
        # find() takes the canonical value of a leaf-list predicate; the last node created is the only one there.
        leaf = found[-1] if found else None
        if leaf is None:
            raise SchemaError(f"libyang made no {path}")
        return _text_of(leaf.print(ly.DataFormat.JSON, ly.PrintFlags.Shrink))

    def _run(self, document: str, parse: Any, validation: Any) -> list[Any]:
        self._context.clean_all_errors()
        try:
            self._context.parse_data(document, ly.DataFormat.XML, parse, validation)
        except ly.Error as error:
            errors = [e for e in self._context.errors() if e.level == ly.LogLevel.Error]
            if not errors:
                raise SchemaError(f"libyang failed without an error record: {error}") from error
            return errors
        finally:
            self._context.clean_all_errors()
        return []


def _context_words(context: Any, fallback: str) -> str:
    words = [error.message for error in context.errors() if error.level == ly.LogLevel.Error]
    return f"{fallback} ({'; '.join(words)})" if words else fallback


_IMPORT = re.compile(r'^\s*(?:import|include) "?([A-Za-z_][\w.-]*)"?', re.M)


def _import_order(texts: Mapping[str, str]) -> list[str]:
    order: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in seen or name not in texts:
            return
        seen.add(name)
        for imported in _IMPORT.findall(texts[name]):
            visit(imported)
        order.append(name)

    for name in texts:
        visit(name)
    return order


def _text_of(json_text: str) -> str:
    """The value in ``{"module:leaf":value}``, as the text that XML would carry."""
    value = next(iter(json.loads(json_text).values()))
    while isinstance(value, list):
        value = value[0] if value else ""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def describe(node: SchemaNode, value: str | None) -> str:
    """``tcp-port "80"``: the node and, unless it is a secret, its value, for the beginning of a message.

    Of a container the value is a summary of its leafs.
    """
    if value is None:
        return node.name
    if node.secret:
        return f"{node.name} (value not shown)"
    if node.type is None:
        return f"{node.name} ({value})"
    shown = value if len(value) <= MESSAGE_VALUE_LIMIT else value[: MESSAGE_VALUE_LIMIT - 1] + "…"
    return f'{node.name} "{shown}"'


def _payload_error(error: Any, lookup: ValueLookup) -> RpcError:
    path: str | None = error.data_path
    found = lookup(path) if path else None
    if found is None:
        return RpcError(ErrorTag.INVALID_VALUE, error.message, app_tag=error.app_tag, path=path)
    node, value, path = found
    words = error.message
    if error.app_tag is None and node.type is not None:
        # libyang's sentence repeats the value; ours says what would have been right instead.
        words = f"must be {node.type.allows}"
    return RpcError(ErrorTag.INVALID_VALUE, f"{describe(node, value)}: {words}", app_tag=error.app_tag, path=path)


def _constraint_error(error: Any, lookup: ValueLookup) -> RpcError:
    path: str | None = error.data_path
    found = lookup(path) if path else None
    prefix = f"{describe(found[0], found[1])}: " if found is not None else ""
    mandatory = _MANDATORY.search(error.message)
    if mandatory is not None:
        kind, name = mandatory.groups()
        where = found[0].path if found is not None else (path or "/")
        if kind == "choice":
            return RpcError(
                ErrorTag.DATA_MISSING, f"{where}: a case of the choice {name} is required", app_tag="missing-choice", path=path
            )
        target = f"{path.rstrip('/')}/{name}" if path else f"/{name}"
        return RpcError(ErrorTag.DATA_MISSING, f"{where}: {name} is required and missing", path=target)
    if error.app_tag in _APP_TAGS:
        tag, app_tag = _APP_TAGS[error.app_tag]
        return RpcError(tag, f"{prefix}{error.message}", app_tag=app_tag, path=path)
    if error.validation_code == ly.ValidationErrorCode.Reference:
        return RpcError(ErrorTag.UNKNOWN_ELEMENT, error.message, path=path)
    return RpcError(ErrorTag.OPERATION_FAILED, f"{prefix}{error.message}", app_tag=error.app_tag, path=path)
