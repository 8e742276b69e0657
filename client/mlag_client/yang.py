"""Validation against the modules that a server advertises, by a YANG implementation that is not the server's.

The agent checks with libyang; this file uses yangson, which shares no code with it, so that the two can disagree.  The
list of modules with features and deviations is the server's ietf-yang-library (RFC 8525, or the older tree of RFC
7895), the modules are what its ``<get-schema>`` (RFC 6022) returns: nothing is taken from this package or the disk.

Known bounds of yangson: addresses are compared as they are spelt, so a ``must`` about an address holds for canonical
data only (what the agent returns is canonical); ``ietf-yang-schema-mount`` is a mere extension, mounted data below a
mount point is not described by the outer schema and would be reported.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Self
from xml.etree import ElementTree

from lxml import etree

from mlag_client.background import RunningAgent
from mlag_client.client import DfsClient
from mlag_client.errors import UnexpectedReply
from mlag_client.session import Manager, Session

__all__ = ["Content", "YangModules", "assert_yang_valid"]

Content = Literal["auto", "config", "all"]

BASE: Final = "urn:ietf:params:xml:ns:netconf:base:1.0"
MONITORING: Final = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
YANG_LIBRARY: Final = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
NOTIFICATION: Final = "urn:ietf:params:xml:ns:netconf:notification:1.0"

_ENVELOPES: Final = frozenset({f"{{{BASE}}}data", f"{{{BASE}}}config", "config", "data"})


@dataclass(frozen=True, slots=True)
class _Listed:
    """One module of the server's yang-library; ``submodules`` are pairs of name and revision."""

    name: str
    revision: str
    namespace: str
    implemented: bool
    features: tuple[str, ...]
    deviations: tuple[str, ...]
    submodules: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class YangModules:
    """A server's modules as a yangson data model.

    ``content_id`` is that of the server's yang-library; ``texts`` holds the modules by name, as ``<get-schema>`` gave
    them.
    """

    content_id: str
    texts: Mapping[str, str] = field(repr=False)
    _model: Any = field(repr=False)

    @classmethod
    def fetch(cls, source: Manager | DfsClient | RunningAgent) -> Self:
        """Ask a server for its modules; the same modules are fetched and compiled once per process.

        Raises UnexpectedReply when the server has no yang-library or its modules do not compile, RpcFailed when it
        refuses, ImportError without yangson (extra ``testing``).
        """
        if isinstance(source, RunningAgent):
            with source.client() as client:
                return cls.fetch(client)
        session = source.session if isinstance(source, DfsClient) else Session(source)
        content_id, listed = _read_library(session)
        key = (content_id, listed)
        if key not in _CACHE:
            texts = _fetch_texts(session, listed)
            _CACHE[key] = cls(content_id, texts, _compile(content_id, listed, texts))
        cached = _CACHE[key]
        assert isinstance(cached, cls)
        return cached

    def violations(
        self, data: object, *, content: Content = "auto", complete: bool = False, rpc: str | None = None
    ) -> tuple[str, ...]:
        """What is wrong with ``data``, each with its path; the arguments are those of ``assert_yang_valid``."""
        root = _element(data)
        if root.tag == f"{{{BASE}}}rpc-reply":
            errors = root.findall(f"{{{BASE}}}rpc-error")
            if errors:
                messages = [error.findtext(f"{{{BASE}}}error-message") or "no message" for error in errors]
                return tuple(f"the reply is an error: {message}" for message in messages)
            if rpc is not None:
                return self._operation(rpc, "output", root)
            if root.find(f"{{{BASE}}}ok") is not None:
                return ()
            envelope = root.find(f"{{{BASE}}}data")
            if envelope is None:
                return ("the reply holds no <data>; name the rpc whose output it is (rpc=)",)
            root = envelope
        if root.tag == f"{{{NOTIFICATION}}}notification":
            return self._notification(root)
        if root.tag in _ENVELOPES:
            return self._data(list(root), content=content, complete=complete)
        if self._is_rpc(root):
            return self._operation(self._qualified(root), "input", root)
        return self._data([root], content=content, complete=complete)

    # --- how ------------------------------------------------------------------------------------------------

    def _data(self, nodes: Sequence[etree._Element], *, content: Content, complete: bool) -> tuple[str, ...]:
        from yangson.enumerations import ContentType  # noqa: PLC0415  # extra testing

        instance, found = self._instance(f"{{{BASE}}}data", nodes, None)
        if instance is None:
            return found
        everything = content == "all" or (content == "auto" and _has_state(instance))
        kind = ContentType.all if everything else ContentType.config
        if complete:
            return _violations_of(partial(instance.validate, ctype=kind))
        # Replies are filtered more often than not: what is there is checked, not what else there might be.
        return tuple(
            violation
            for name in instance.value
            for violation in _violations_of(partial(instance[name].validate, ctype=kind))
        )

    def _operation(self, rpc: str, way: Literal["input", "output"], element: etree._Element) -> tuple[str, ...]:
        """yangson takes the children of an rpc within an element named ``input`` or ``output``."""
        from yangson.enumerations import ContentType  # noqa: PLC0415  # extra testing

        module, _, name = rpc.partition(":")
        if self._model.schema.get_child(name, module) is None:
            return (f"the server's modules have no rpc {rpc}; write it as module:name",)
        namespace = self._model.schema_data.modules_by_name[module].xml_namespace
        instance, found = self._instance(f"{{{namespace}}}{way}", list(element), rpc)
        if instance is None:
            return found
        return tuple(
            violation
            for member in instance.value
            for violation in _violations_of(partial(instance[member].validate, ctype=ContentType.all))
        )

    def _notification(self, element: etree._Element) -> tuple[str, ...]:
        """The notification below ``eventTime`` (RFC 5277 section 2.2.1)."""
        from yangson.enumerations import ContentType  # noqa: PLC0415  # extra testing

        events = [child for child in element if child.tag != f"{{{NOTIFICATION}}}eventTime"]
        if len(events) != 1:
            return (f"a notification holds eventTime and one event, this one {len(events)}",)
        name = self._qualified(events[0])
        instance, found = self._instance(str(events[0].tag), list(events[0]), name)
        if instance is None:
            return found
        # yangson reads the members of a notification without their module, and looks for them with it.
        module = name.partition(":")[0]
        members = {key if ":" in key else f"{module}:{key}": value for key, value in instance.value.items()}
        instance = instance.update(type(instance.value)(members))
        return _violations_of(partial(instance.validate, ctype=ContentType.all))

    def _instance(
        self, tag: str, nodes: Sequence[etree._Element], subschema: str | None
    ) -> tuple[Any, tuple[str, ...]]:
        """yangson's instance of an element ``tag`` with ``nodes`` in it, or what is wrong with their shape.

        The nodes stay where they are: lxml drops namespace declarations that look redundant when it moves a node.
        """
        from yangson.exceptions import YangsonException  # noqa: PLC0415  # extra testing

        bare = [child for node in nodes for child in node.iter("{}*")]
        if bare:
            return None, tuple(f"<{child.tag}> has no namespace" for child in bare)
        root = ElementTree.Element(tag)
        root.extend(map(_for_yangson, nodes))
        try:
            return self._model.from_xml(root, subschema), ()
        except YangsonException as error:
            return None, (_described(error),)

    def _is_rpc(self, element: etree._Element) -> bool:
        from yangson.schemanode import RpcActionNode  # noqa: PLC0415  # extra testing

        module, _, name = self._qualified(element).partition(":")
        return isinstance(self._model.schema.get_child(name, module), RpcActionNode)

    def _qualified(self, element: etree._Element) -> str:
        name = etree.QName(element)
        known = self._model.schema_data.modules_by_ns
        module = known[name.namespace].main_module[0] if name.namespace in known else ""
        return f"{module}:{name.localname}"


_CACHE: dict[tuple[str, tuple[_Listed, ...]], YangModules] = {}


def assert_yang_valid(
    data: object,
    source: Manager | DfsClient | RunningAgent | YangModules,
    *,
    content: Content = "auto",
    complete: bool = False,
    rpc: str | None = None,
) -> None:
    """Raise AssertionError with path and reason of everything in ``data`` that the server's own modules refuse.

    ``data``: an ncclient reply, an lxml element or XML text that is ``<rpc-reply>``, ``<data>``, ``<config>``, a
    ``<notification>``, the element of an rpc (its input is checked), or one top-level data node.

    ``source``: whom to ask for the modules, or ``YangModules.fetch`` of it.

    ``content``: ``config`` refuses state nodes, ``all`` demands mandatory state nodes; ``auto`` is ``all`` when a state
    node is there.

    ``complete``: also demand what the modules make mandatory in top-level trees that are not there; for unfiltered
    replies.  A leafref into a tree that a filter has left out is reported in either case.

    ``rpc``: for the output of an rpc its name with the module, e.g. ``mlag-simulator:learn-entries``.
    """
    __tracebackhide__ = True
    modules = source if isinstance(source, YangModules) else YangModules.fetch(source)
    found = modules.violations(data, content=content, complete=complete, rpc=rpc)
    if found:
        raise AssertionError("not valid by the server's YANG modules:\n" + "\n".join(f"  {line}" for line in found))


def _element(data: object) -> etree._Element:
    """The XML of whatever a test has in its hands; a copy, the original stays as it is."""
    if isinstance(data, etree._Element):
        text = etree.tostring(data)
    elif isinstance(data, str):
        text = data.strip().encode()
    elif isinstance(data, bytes):
        text = data.strip()
    elif isinstance(xml := getattr(data, "notification_xml", None) or getattr(data, "xml", None), str):
        text = xml.strip().encode()
    else:
        raise TypeError(f"neither XML nor a reply: {type(data).__name__}")
    return etree.fromstring(text, etree.XMLParser(remove_comments=True, resolve_entities=False, huge_tree=True))


def _for_yangson(element: etree._Element) -> ElementTree.Element:
    """The element as yangson reads it: ElementTree loses the namespaces of prefixes in values (identityref, RFC 7950
    section 9.10.3), and yangson looks for them in an attribute spelt ``xmlns:prefix``.
    """
    plain = ElementTree.Element(str(element.tag))
    plain.text = element.text
    prefix, colon, _ = (element.text or "").partition(":")
    namespace = element.nsmap.get(prefix.strip()) if colon and not len(element) else None
    if namespace is not None:
        plain.set(f"xmlns:{prefix.strip()}", namespace)
    plain.extend(_for_yangson(child) for child in element)
    return plain


def _violations_of(validate: Any) -> tuple[str, ...]:
    """yangson stops at the first violation; there is none or one."""
    from yangson.enumerations import ValidationScope  # noqa: PLC0415  # extra testing
    from yangson.exceptions import YangsonException  # noqa: PLC0415  # extra testing

    try:
        validate(ValidationScope.all)
    except YangsonException as error:
        return (_described(error),)
    return ()


def _described(error: Any) -> str:
    """Path and reason; yangson writes the path in braces, as a JSON pointer or as an instance identifier."""
    kind = type(error).__name__
    if kind == "MissingModuleNamespace":  # its str() fails without a namespace
        return f"no module has namespace {error.ns}" if error.ns else "the prefix of a value is not declared"
    text = str(error)
    if kind == "RawMemberError":
        return f"{text}: no such node in the server's modules"
    if text.startswith("{"):
        path, _, reason = text[1:].partition("} ")
        return f"{path or '/'}: {reason}"
    return f"{text or '/'}: {kind}"


def _has_state(instance: Any) -> bool:
    """Whether a ``config false`` node is in the tree."""
    if not instance.schema_node.config:
        return True
    value = instance.value
    if isinstance(value, dict):
        return any(_has_state(instance[name]) for name in value)
    if isinstance(value, list):
        return any(_has_state(instance[index]) for index in range(len(value)))
    return False


# --- fetching -----------------------------------------------------------------------------------------------


def _read_library(session: Session) -> tuple[str, tuple[_Listed, ...]]:
    wanted = etree.Element(f"{{{BASE}}}filter", {"type": "subtree"})
    for name in ("yang-library", "modules-state"):
        etree.SubElement(wanted, f"{{{YANG_LIBRARY}}}{name}")
    data = session.get(wanted)
    library = data.find(f"{{{YANG_LIBRARY}}}yang-library")
    if library is not None:
        return _leaf(library, "content-id") or "", tuple(sorted(_listed_8525(library), key=lambda row: row.name))
    older = data.find(f"{{{YANG_LIBRARY}}}modules-state")
    if older is None:
        raise UnexpectedReply("the server has no ietf-yang-library, so its modules are not known")
    return _leaf(older, "module-set-id") or "", tuple(sorted(_listed_7895(older), key=lambda row: row.name))


def _listed_8525(library: etree._Element) -> Iterator[_Listed]:
    for module_set in _rows(library, "module-set"):
        for row in _rows(module_set, "module"):
            yield _listed(row, implemented=True)
        for row in _rows(module_set, "import-only-module"):
            yield _listed(row, implemented=False)


def _listed_7895(older: etree._Element) -> Iterator[_Listed]:
    for row in _rows(older, "module"):
        yield _listed(row, implemented=_leaf(row, "conformance-type") == "implement")


def _listed(row: etree._Element, *, implemented: bool) -> _Listed:
    deviations = (_leaf(item, "name") or (item.text or "").strip() for item in _rows(row, "deviation"))
    return _Listed(
        name=_leaf(row, "name") or "",
        revision=_leaf(row, "revision") or "",
        namespace=_leaf(row, "namespace") or "",
        implemented=implemented,
        features=tuple((item.text or "").strip() for item in _rows(row, "feature")),
        deviations=tuple(deviations),
        submodules=tuple(
            (_leaf(item, "name") or "", _leaf(item, "revision") or "") for item in _rows(row, "submodule")
        ),
    )


def _rows(parent: etree._Element, name: str) -> list[etree._Element]:
    return parent.findall(f"{{{YANG_LIBRARY}}}{name}")


def _leaf(parent: etree._Element, name: str) -> str | None:
    text = parent.findtext(f"{{{YANG_LIBRARY}}}{name}")
    return None if text is None else text.strip()


def _fetch_texts(session: Session, listed: tuple[_Listed, ...]) -> dict[str, str]:
    wanted = [(row.name, row.revision) for row in listed]
    wanted += [submodule for row in listed for submodule in row.submodules]
    calls = [
        partial(session.manager.get_schema, identifier=name, version=revision or None) for name, revision in wanted
    ]
    texts = {}
    for (name, _), reply in zip(wanted, session.pipelined(calls, "get-schema"), strict=True):
        text = reply.findtext(f"{{{MONITORING}}}data")
        if text is None:
            raise UnexpectedReply(f"the server lists module {name}, and get-schema returns nothing for it")
        texts[name] = text
    return texts


def _compile(content_id: str, listed: tuple[_Listed, ...], texts: Mapping[str, str]) -> Any:
    """A yangson DataModel; it reads the older form of yang-library only."""
    try:
        from yangson import DataModel  # noqa: PLC0415  # extra testing
        from yangson.exceptions import YangsonException  # noqa: PLC0415  # extra testing
    except ImportError as error:
        raise ImportError("assert_yang_valid needs yangson: pip install 'mlag-agent[testing]'") from error

    library = {"ietf-yang-library:modules-state": {"module-set-id": content_id, "module": list(map(_row, listed))}}
    with tempfile.TemporaryDirectory(prefix="mlag-yang-") as folder:
        revisions = [(row.name, row.revision) for row in listed]
        revisions += [submodule for row in listed for submodule in row.submodules]
        for name, revision in revisions:
            file = Path(folder) / (f"{name}@{revision}.yang" if revision else f"{name}.yang")
            file.write_text(texts[name], encoding="utf-8")
        try:
            return DataModel(json.dumps(library), (folder,))
        except YangsonException as error:
            raise UnexpectedReply(f"the server's modules do not compile: {type(error).__name__}: {error}") from error


def _row(row: _Listed) -> dict[str, Any]:
    return {
        "name": row.name,
        "revision": row.revision,
        "namespace": row.namespace,
        "conformance-type": "implement" if row.implemented else "import",
        "feature": list(row.features),
        "deviation": [{"name": name, "revision": ""} for name in row.deviations],
        "submodule": [{"name": name, "revision": revision} for name, revision in row.submodules],
    }
