"""libyang: checks values and constraints, gives canonical forms.  The only file that imports it.

Two steps, as RFC 7950 section 8.3 has them: ``check_payload`` when data comes in (types, unknown nodes),
``validate`` when a datastore must be valid (mandatory, must, when, leafref, unique, ...).  Both find every
violation and give it as ``RpcError`` with the tag and app-tag of RFC 7950 section 15; what libyang says becomes an
``RpcError`` in ``schema.violations``.
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
from mlag_agent.schema.nodes import Kind, ModuleRequest, SchemaNode, SchemaTree
from mlag_agent.schema.operations import OUTPUT_SUFFIX
from mlag_agent.schema.violations import ValueLookup, bounded, constraint_error, payload_error

__all__ = ["Contents", "SchemaEngine", "ValueLookup", "matches"]

# Keep every error instead of printing or only the last one (ARCHITECTURE section 2).
ly.set_log_options(ly.LogOptions.Store)

_OPTIONS = ly.ContextOptions.NoYangLibrary | ly.ContextOptions.DisableSearchCwd

# Canonical forms asked of libyang are remembered; the bound keeps a hostile client from growing it.
CANONICAL_CACHE_SIZE = 16384

# Inputs of operations that have passed: clients ask the same few again and again. Long ones are not worth keeping.
PASSED_OPERATIONS = 256
PASSED_OPERATION_LENGTH = 1024


class Contents(Enum):
    """What a document holds, and so which constraints apply."""

    CONFIG = auto()  # a configuration datastore
    OPERATION = auto()  # the input or output of an rpc, in the operations context


class SchemaEngine:
    """One libyang context.  Not for several threads at once: the agent uses it from its event loop only."""

    def __init__(self, context: Any, tree: SchemaTree) -> None:
        self._context = context
        self.namespaces: Mapping[str, str] = tree.namespaces
        self._canonical: dict[tuple[SchemaNode, str], str] = {}
        self._passed: set[str] = set()

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

    def check_payload(
        self,
        document: str,
        lookup: ValueLookup,
        *,
        every: bool = False,
        keyless: bool = False,
    ) -> None:
        """Types, enabled nodes and keys of the data in ``document``; nothing that needs other data.

        Raises RpcFailure with one ``invalid-value`` for each wrong value (RFC 7950 section 8.3.1), no more than
        ``violations.MAX_ERRORS`` unless ``every`` is asked for.  ``keyless``: list entries may lack their keys.
        """
        errors = self._run(
            document, ly.ParseOptions.Strict | ly.ParseOptions.ParseOnly, ly.ValidationOptions.MultiError
        )
        if keyless:
            errors = [error for error in errors if not error.message.startswith("List instance is missing its key")]
        if errors:
            # A list entry whose key has a bad value is reported a second time, as an entry without that key.
            found = [e for e in errors if not e.message.startswith("List instance is missing its key")] or errors
            raise RpcFailure(*bounded(found, lambda error: payload_error(error, lookup), every=every))

    def validate(
        self,
        document: str,
        contents: Contents,
        lookup: ValueLookup,
        *,
        alone: bool = False,
        within: Callable[[str], bool] | None = None,
        dangling: bool = False,
    ) -> None:
        """Every constraint (RFC 7950 section 8.1); raises RpcFailure with one RpcError for each violation.

        ``alone``: but those of modules that have no top-level node in the document.  ``within``: of which nodes, by
        libyang's paths, violations count; None: of all.  ``dangling``: what a leafref or instance-identifier refers
        to need not be there, as in an event that tells of its end.
        """
        parse = ly.ParseOptions.Strict
        options = ly.ValidationOptions.MultiError
        if contents is Contents.CONFIG:
            parse |= ly.ParseOptions.NoState
            options |= ly.ValidationOptions.NoState
            if alone:
                options |= ly.ValidationOptions.Present
        else:
            # Only the module of the operation: the data tree is not in this context's documents.
            options |= ly.ValidationOptions.Present
        errors = self._run(document, parse, options)
        if within is not None:
            errors = [error for error in errors if error.data_path is None or within(error.data_path)]
        if dangling:
            errors = [error for error in errors if error.app_tag != "instance-required"]
        if errors:
            raise RpcFailure(*bounded(errors, lambda error: constraint_error(error, lookup)))

    def check_operation(self, document: str, lookup: ValueLookup, within: Callable[[str], bool] | None = None) -> None:
        """``check_payload`` and ``validate`` of an operation's data, for the operations context.

        Nothing but the document decides there, so one that has passed is remembered and passes again.
        """
        if document in self._passed:
            return
        self.check_payload(document, lookup)
        self.validate(document, Contents.OPERATION, lookup, within=within)
        if len(document) <= PASSED_OPERATION_LENGTH:
            if len(self._passed) >= PASSED_OPERATIONS:
                self._passed.clear()
            self._passed.add(document)

    def canonical(self, node: SchemaNode, value: str, document: Callable[[], str], /) -> str:
        """The canonical form (RFC 7950 section 9.1) of a value of the leaf or leaf-list ``node``.

        ``document`` gives an instance of the node with that value, below its ancestors and their keys, for libyang
        to read; it is asked for when the value has not been met before.  Prefixes of the result are module names.
        Raises ValueError when the type does not allow the value.
        """
        known = self._canonical.get((node, value))
        if known is None:
            if len(self._canonical) >= CANONICAL_CACHE_SIZE:
                self._canonical.clear()
            known = self._canonical[(node, value)] = self._ask(node, document())
        return known

    def _ask(self, node: SchemaNode, document: str) -> str:
        self._context.clean_all_errors()
        try:
            data = self._context.parse_data(
                document, ly.DataFormat.XML, ly.ParseOptions.Strict | ly.ParseOptions.ParseOnly, None
            )
        except ly.Error as error:
            raise ValueError(f"{node.path} does not allow this value") from error
        finally:
            self._context.clean_all_errors()
        found = json.loads(data.print(ly.DataFormat.JSON, ly.PrintFlags.Shrink))
        ancestry = _ancestry(node)
        giving = {step.parent for step in ancestry if step.kind is Kind.OUTPUT}
        for step in ancestry:
            if step.kind in (Kind.INPUT, Kind.OUTPUT):
                continue  # no nodes of their own in the operations context
            parent = step.parent
            own = parent is None or parent.kind is Kind.ROOT or parent.module is not step.module
            name = f"{step.name}{OUTPUT_SUFFIX}" if step in giving else step.name
            found = found[f"{step.module.name}:{name}" if own else name]
            if step.kind in (Kind.LIST, Kind.LEAF_LIST):
                found = found[0]
        text = _text_of(found)
        return prefixed_path(text) if node.type is not None and node.type.prefixed and text[:1] == "/" else text

    def to_json(self, document: str) -> dict[str, Any]:
        """Data in the encoding of RFC 7951.  The document is this agent's own; raises SchemaError when it is wrong."""
        if not document:
            return {}
        self._context.clean_all_errors()
        try:
            data = self._context.parse_data(
                document, ly.DataFormat.XML, ly.ParseOptions.Strict | ly.ParseOptions.ParseOnly, None
            )
        except ly.Error as error:
            raise SchemaError(
                _context_words(self._context, f"libyang cannot read what is to be JSON: {error}")
            ) from error
        finally:
            self._context.clean_all_errors()
        found: dict[str, Any] = json.loads(data.print(ly.DataFormat.JSON, ly.PrintFlags.WithSiblings))
        return found

    def from_json(self, text: str) -> str:
        """Configuration in the encoding of RFC 7951 as XML; raises RpcFailure with libyang's words for what is none."""
        self._context.clean_all_errors()
        options = ly.ParseOptions.Strict | ly.ParseOptions.ParseOnly | ly.ParseOptions.NoState
        try:
            data = self._context.parse_data(text, ly.DataFormat.JSON, options, None)
            return "" if data is None else str(data.print(ly.DataFormat.XML, ly.PrintFlags.WithSiblings) or "")
        except ly.Error as error:
            found = [e for e in self._context.errors() if e.level == ly.LogLevel.Error]
            words = "; ".join(f"{e.data_path or '/'}: {e.message}" for e in found) or str(error)
            raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, words)) from error
        finally:
            self._context.clean_all_errors()

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


def _ancestry(node: SchemaNode) -> Sequence[SchemaNode]:
    """The node and those above it, the top-level one first."""
    steps = [node]
    while (parent := steps[-1].parent) is not None and parent.kind is not Kind.ROOT:
        steps.append(parent)
    return steps[::-1]


def _text_of(value: Any) -> str:
    """A value of libyang's JSON (RFC 7951 section 6), as the text that XML would carry."""
    if isinstance(value, list):  # [null]: the type empty
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_PATH_TOKEN = re.compile(
    r"'[^']*'|\"[^\"]*\"|\$[\w.:-]+|(?:(?P<module>[A-Za-z_][\w.-]*):)?(?P<name>[A-Za-z_][\w.-]*)|.", re.DOTALL
)


def prefixed_path(path: str) -> str:
    """An instance-identifier of JSON (RFC 7951 section 6.11) with a module name at each node name, as XML wants it
    (RFC 7950 section 9.13.2)."""
    out: list[str] = []
    module = ""
    depth = 0
    for token in _PATH_TOKEN.finditer(path):
        text = token[0]
        depth += (text == "[") - (text == "]")
        if token["name"] is not None:
            if token["module"] is not None and not depth:
                module = token["module"]
            out.append(text if token["module"] is not None or not module else f"{module}:{text}")
        else:
            out.append(text)
    return "".join(out)


# --- patterns -----------------------------------------------------------------------------------------------

# A context of its own takes 1 ms and 170 kB.
PATTERNS_KEPT = 32


@lru_cache(maxsize=PATTERNS_KEPT)
def _pattern_context(pattern: str) -> Any:
    for char, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t")):
        pattern = pattern.replace(char, escaped)
    module = f'module p {{ namespace "urn:p"; prefix p; leaf v {{ type string {{ pattern "{pattern}"; }} }} }}'
    context = ly.Context("", _OPTIONS)
    try:
        context.parse_module(module, ly.SchemaFormat.YANG)
    except ly.Error as error:
        words = "; ".join(e.message for e in context.errors() if e.level == ly.LogLevel.Error)
        raise ValueError(f"no regular expression of XML Schema: {words or error}") from error
    finally:
        context.clean_all_errors()
    return context


def matches(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern as a ``pattern`` statement would have it (RFC 7950 sections 9.4.5, 10.2.1).

    PCRE2's own limit bounds the time that a hostile pattern takes.  Raises ValueError for what is no pattern.
    """
    context = _pattern_context(pattern)
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    try:
        context.parse_data(
            f'<v xmlns="urn:p">{escaped}</v>',
            ly.DataFormat.XML,
            ly.ParseOptions.Strict | ly.ParseOptions.ParseOnly,
            None,
        )
    except ly.Error:
        return False
    finally:
        context.clean_all_errors()
    return True
