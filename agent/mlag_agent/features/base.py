"""What a feature is, and what its rpc handlers get and give."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lxml import etree

from mlag_agent.access.audit import AuditLog
from mlag_agent.access.control import AccessControl
from mlag_agent.data.build import EVERYTHING, Selection, build, from_nodes
from mlag_agent.data.conditions import Excluded
from mlag_agent.data.decode import EditNode, OnLeniency
from mlag_agent.data.defaults import Defaults, Mode
from mlag_agent.data.edit_defaults import DefaultRules
from mlag_agent.data.encode import encode_children
from mlag_agent.data.invocation import Instance
from mlag_agent.data.lexical import matching_text
from mlag_agent.data.tree import Container, empty, merge, without_counters
from mlag_agent.data.xpath import Expressions
from mlag_agent.datastore.confirmed import ConfirmedCommits
from mlag_agent.datastore.payload import PayloadReader
from mlag_agent.datastore.persist import Journal
from mlag_agent.datastore.stores import Datastore, Datastores
from mlag_agent.datastore.subscriber import Actor, ChangeSet
from mlag_agent.datastore.transaction import Authorise, Transactor
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure
from mlag_agent.notify.notifier import Notifier
from mlag_agent.notify.outbox import Outbox
from mlag_agent.remote.urls import Urls
from mlag_agent.schema.engine import matches
from mlag_agent.schema.library import SchemaLibrary
from mlag_agent.schema.nodes import ModuleRequest, SchemaNode

__all__ = [
    "LEARNED",
    "OK",
    "SYSTEM",
    "UNKNOWN",
    "Agent",
    "Checked",
    "Data",
    "Feature",
    "Handler",
    "Output",
    "Reply",
    "RpcInput",
    "SessionInfo",
    "Sessions",
    "StatePart",
    "StateProvider",
    "StateSource",
    "missing_parameter",
]


@dataclass(frozen=True, slots=True)
class Ok:
    """``<ok/>``."""


OK = Ok()


@dataclass(frozen=True, slots=True)
class Data:
    """``<data>`` with this content; its namespace is the NETCONF base unless given."""

    content: bytes
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """The output of an rpc or action (RFC 7950 section 7.14.4): names and values as ``data.build`` takes them."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """Output that ``features.checking.read_output`` has given."""

    content: bytes


Reply = Ok | Data | Output | Checked


class RpcInput:
    """The input of an rpc or action, or a part of it: checked against its schema, in canonical form.

    Names are local.  ``instance``: the data node that the action belongs to; None for an rpc.
    """

    def __init__(
        self,
        schema: SchemaNode,
        nodes: Sequence[EditNode],
        leafs: Mapping[SchemaNode, str] | None = None,
        *,
        instance: Instance | None = None,
    ) -> None:
        self.instance = instance
        self._schema = schema
        self._nodes: dict[str, list[EditNode]] = {}
        for node in nodes:
            self._nodes.setdefault(node.schema.name, []).append(node)
        self._leafs = {node.name: value for node, value in (leafs or {}).items()}

    def leaf(self, name: str) -> str | None:
        """A leaf's canonical value, its default, or None.  Raises KeyError for a name that the schema does not have."""
        if name in self._leafs:
            return self._leafs[name]
        given = self._nodes.get(name)
        if given is not None:
            return given[0].value
        schema = self._schema.child(name)
        if schema is None:
            raise KeyError(f"{self._schema.path} has no leaf {name}")
        return schema.defaults[0] if schema.defaults else None

    def required(self, name: str) -> str:
        """A leaf that the schema makes mandatory or gives a default."""
        value = self.leaf(name)
        if value is None:
            raise RpcFailure(missing_parameter(name))
        return value

    def values(self, name: str) -> Sequence[str]:
        """A leaf-list's canonical values, in the order they were given."""
        return [node.value or "" for node in self._nodes.get(name, ())]

    def container(self, name: str) -> RpcInput | None:
        """A container's content."""
        given = self._nodes.get(name)
        return None if given is None else RpcInput(given[0].schema, given[0].children)

    def entries(self, name: str) -> Sequence[RpcInput]:
        """The entries of a list, in the order they were given."""
        return [RpcInput(node.schema, node.children, node.leafs) for node in self._nodes.get(name, ())]

    def element(self, name: str) -> etree._Element | None:
        """The element of a parameter: the content of anydata and anyxml, the namespaces in scope of a leaf."""
        given = self._nodes.get(name)
        return None if given is None else given[0].element

    def elements(self, name: str) -> Sequence[etree._Element]:
        """Those of a leaf-list, in the order they were given."""
        return [node.element for node in self._nodes.get(name, ()) if node.element is not None]

    def __contains__(self, name: str) -> bool:
        return name in self._nodes or name in self._leafs

    def tree(self) -> Container:
        """All parameters as a frozen tree below the schema's ``input``."""
        return from_nodes(self._schema, [node for nodes in self._nodes.values() for node in nodes])

    def names(self) -> Iterable[str]:
        """Names of the parameters that were given."""
        return (*self._leafs, *self._nodes)


def missing_parameter(name: str) -> RpcError:
    """``missing-element`` for an rpc parameter."""
    return RpcError(
        ErrorTag.MISSING_ELEMENT,
        f"the parameter {name} is required",
        type=ErrorType.PROTOCOL,
        info=(InfoElement("bad-element", name),),
    )


class SessionInfo(Hashable, Protocol):
    """What a handler may know and ask of the session that sent the rpc."""

    session_id: int
    username: str
    source_host: str
    outbox: Outbox
    """Notifications for this session."""

    def close_after_reply(self) -> None:
        """End the session once the reply is sent."""

    def after_reply(self, callback: Callable[[], None]) -> None:
        """Call this once the reply is on its way: notifications that are queued then come after it."""

    def at_end(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call this when the session has ended, however it does; returns what takes that back."""

    def leniencies_taken(self) -> Sequence[str]:
        """Those used since this was asked last."""

    @property
    def on_leniency(self) -> OnLeniency:
        """Notes that a leniency was used."""


class Sessions(Protocol):
    """The open sessions."""

    @property
    def leniencies(self) -> Mapping[str, int]:
        """How often each leniency was used since the start."""

    async def kill(self, session_id: int, by: int) -> bool:
        """End a session; when this returns it holds nothing any more.  False when there is none of that number."""

    def describe(self) -> Sequence[Mapping[str, Any]]:
        """Each session as ietf-netconf-monitoring's ``session`` list has it."""

    def statistics(self) -> Mapping[str, Any]:
        """Counters as ietf-netconf-monitoring's ``statistics`` has them."""


@dataclass(slots=True)
class Agent:
    """What features work with: made by ``app``, given to each handler."""

    library: SchemaLibrary
    stores: Datastores
    transactor: Transactor
    commits: ConfirmedCommits
    reader: PayloadReader
    journal: Journal | None
    sessions: Sessions
    notifier: Notifier
    access: AccessControl
    factory: Container
    strict: bool
    urls: Urls | None = None
    audit: AuditLog | None = None
    capabilities: tuple[str, ...] = ()
    features: tuple[Feature, ...] = ()
    handlers: Mapping[SchemaNode, Handler] = field(default_factory=dict)
    """What runs an rpc or action, as the features say."""
    overrides: dict[SchemaNode, Handler] = field(default_factory=dict)
    """What runs it instead, or where no feature does: hooks and canned replies (``mlag_agent.foreign``)."""
    record: Callable[[SessionInfo, str, str | None, Sequence[RpcError], Sequence[str]], None] | None = None
    """Takes note of each operation: session, what, datastore, errors, leniencies used."""
    on_factory_reset: list[Callable[[], None]] = field(default_factory=list)
    """Called when the datastores have been reset, by whom something else is kept (RFC 8808 section 2)."""
    startup_changed: list[Callable[[Container, Container, Actor | None], None]] = field(default_factory=list)
    """Called when startup has been replaced, with what it held before, what it holds now, and who asked."""
    state_changed: list[Callable[[], None]] = field(default_factory=list)
    """Called when operational state of a source that tells has changed."""
    basic_mode: Mode = Mode.EXPLICIT
    """What replies show of defaults when nothing else is asked for (RFC 6243 section 2)."""
    expressions: Expressions = field(init=False)
    """XPath on the data of this schema."""
    defaults: Defaults = field(init=False)
    evaluating: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a costly expression is evaluated in a thread: one at a time."""
    _fixed: dict[StateProvider, StatePart] = field(default_factory=dict)
    """What providers of fixed state have given."""

    def __post_init__(self) -> None:
        self.expressions = Expressions(self.library.tree, matching_text, matches)
        self.defaults = Defaults(self.expressions, self.library.engine.canonical, self.library.tree.namespaces)
        self.reader.rules = DefaultRules(self.defaults, self.basic_mode)
        self.access.excluded = lambda before, after: Excluded(before, after, self.defaults)

    def authorise(self, session: SessionInfo) -> Authorise:
        """What a transaction on running asks before it makes the session's change: partial locks, access control."""

        def check(change: ChangeSet) -> None:
            if self.audit is not None:
                self.audit.changing(session, Datastore.RUNNING, change.changes)
            if self.stores.partial_locks:
                self.stores.partial_locks.check(session.session_id, change.old, change.new)
            if self.access.active:
                self.access.check_change(session, change.old, change.new)

        return check

    def check_edit(
        self, session: SessionInfo, target: Datastore, before: Container, after: Container, *, check_access: bool = True
    ) -> None:
        """The same for a datastore that no transaction protects: candidate, startup.  Raises RpcFailure."""
        if self.audit is not None:
            self.audit.replacing(session, target, before, after)
        if check_access and self.access.active:
            self.access.check_change(session, before, after)

    def store_startup(self, root: Container, *, by: Actor | None = None) -> None:
        """Replace the startup datastore; durable when this returns.  ``by``: the session that asks for it."""
        if self.journal is not None:
            document = encode_children(root, self.library.tree.namespaces)
            self.journal.replace(Datastore.STARTUP, document)
        old, self.stores.startup = self.stores.startup, root
        for callback in self.startup_changed:
            callback(old or empty(self.library.tree.data), root, by)

    def operational(self, wanted: Selection = EVERYTHING) -> Container:
        """Running and the operational state in one; state that is not ``wanted`` may be left out."""
        return merge(self.stores.running, self.state(wanted))

    def state(self, wanted: Selection = EVERYTHING) -> Container:
        """Operational state from all sources, as a root; what is not ``wanted`` may be left out.

        Without the configuration that is in use, which is state as well (RFC 8342 section 5.3): that is running.
        """
        root = Container(self.library.tree.data, {})
        for part in self.state_parts(wanted):
            root = merge(root, part.root)
        return root

    def told_state(self, wanted: Selection = EVERYTHING) -> Container:
        """As ``state``, from those sources alone that tell when they change, and without counters and gauges."""
        root = Container(self.library.tree.data, {})
        for feature in self.features:
            for provider in feature.state:
                node = self.library.tree.find(provider.top)
                mine = _at(node, wanted) if provider.tells else None
                made = None if mine is None else without_counters(build(node, provider.read(self), mine))
                if made is not None and made.children:
                    root = merge(root, _below_root(made))
            for source in feature.telling_sources:
                for part in source(self, wanted):
                    root = merge(root, without_counters(part.root))
        return root

    def state_has_changed(self) -> None:
        """A source that tells has changed."""
        for callback in tuple(self.state_changed):
            callback()

    def state_parts(self, wanted: Selection = EVERYTHING) -> Iterator[StatePart]:
        """The state of each source with its origin; where two give the same leaf the later one holds."""
        for feature in self.features:
            for provider in feature.state:
                node = self.library.tree.find(provider.top)
                mine = _at(node, wanted)
                if mine is None:
                    continue
                if provider.fixed:
                    yield self._fixed_part(provider, node)
                    continue
                made = build(node, provider.read(self), mine)
                if made.children:
                    yield StatePart(provider.origin, _below_root(made))
            for source in feature.state_sources:
                yield from source(self, wanted)

    def _fixed_part(self, provider: StateProvider, node: SchemaNode) -> StatePart:
        """Made whole by the first who asks; its lists then keep the bytes that they are sent as (``data.encode``)."""
        part = self._fixed.get(provider)
        if part is None:
            made = build(node, provider.read(self))
            root = _below_root(made) if made.children else Container(self.library.tree.data, {})
            part = self._fixed[provider] = StatePart(provider.origin, root)
        return part


def _at(node: SchemaNode, wanted: Selection) -> Selection | None:
    """What is wanted of a container that stands in no list."""
    if node.parent is None:
        return wanted
    above = _at(node.parent, wanted)
    return None if above is None else above.below(node)


def _below_root(container: Container) -> Container:
    """A container that stands in no list, below the root."""
    while (parent := container.schema.parent) is not None:
        container = Container(parent, {container.schema: container})
    return container


Handler = Callable[[Agent, SessionInfo, RpcInput], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class StatePart:
    """What one source knows: a root, and the origin of the nodes in it (RFC 8342 section 5.3.4, ``module:identity``).

    Nodes that are configured as well keep the origin of the configuration.
    """

    origin: str
    root: Container


SYSTEM = "ietf-origin:system"
LEARNED = "ietf-origin:learned"
UNKNOWN = "ietf-origin:unknown"


@dataclass(frozen=True, slots=True)
class StateProvider:
    """Gives the state below one container that stands in no list, as ``data.build`` takes it.

    What is dear to make should be a function or ``Rows``: it is made when somebody asks for it.  ``tells``: the feature
    calls ``Agent.state_has_changed`` when anything in it changes but counters.  ``fixed``: it does not change while the
    agent runs, and is read once.
    """

    top: str
    read: Callable[[Agent], Mapping[str, Any]]
    origin: str = SYSTEM
    tells: bool = False
    fixed: bool = False


StateSource = Callable[[Agent, Selection], Iterable[StatePart]]
"""Gives state as trees; it may give more than is selected."""


@dataclass(frozen=True, slots=True)
class Feature:
    """Behaviour for YANG modules (ARCHITECTURE section 3).

    ``rpcs`` maps ``module:rpc`` to its handler, ``actions`` ``/module:path/of/schema/nodes/action``; at start the
    agent checks that each rpc and action of ``modules`` has one and that there is no other, unless ``data_only``:
    then the modules are served for their data, and their operations answer operation-not-supported.
    ``capabilities`` are URIs for ``<hello>``.

    ``refusals``: what the settings of this server take away, as ``/module:rpc`` or ``/module:rpc/parameter``, with what
    to do instead; it is answered with operation-not-supported.
    """

    name: str
    modules: tuple[ModuleRequest, ...]
    rpcs: Mapping[str, Handler] = field(default_factory=dict)
    actions: Mapping[str, Handler] = field(default_factory=dict)
    state: tuple[StateProvider, ...] = ()
    state_sources: tuple[StateSource, ...] = ()
    telling_sources: tuple[StateSource, ...] = ()
    """Those of ``state_sources`` that call ``Agent.state_has_changed``."""
    capabilities: tuple[str, ...] = ()
    refusals: Mapping[str, str] = field(default_factory=dict)
    data_only: bool = False
