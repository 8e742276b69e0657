"""All that comes from outside of the code, for one agent: what `mlag-agent ctl` and the Python API act on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from lxml import etree

from mlag_agent.data.build import Selection, build
from mlag_agent.data.encode import encode, encode_children
from mlag_agent.data.tree import Container
from mlag_agent.datastore.subscriber import Subscriber
from mlag_agent.errors import ErrorTag, RpcError, RpcFailure, SettingsError
from mlag_agent.features.base import OK, UNKNOWN, Agent, Checked, Feature, Reply, RpcInput, SessionInfo, StatePart
from mlag_agent.features.checking import not_supported, parse_output, read_output
from mlag_agent.features.factory import reset_configuration
from mlag_agent.foreign.canned import Canned, CannedError, read_replies, read_reply_to
from mlag_agent.foreign.device import HookDevice, HookSubscriber
from mlag_agent.foreign.happening import from_values, from_xml
from mlag_agent.foreign.hook_file import Caller, load_hooks, resolve_hooks
from mlag_agent.foreign.injected import Injected, data_elements
from mlag_agent.foreign.log import OperationLog
from mlag_agent.foreign.plain import plain, value
from mlag_agent.hooks import Call, Hook
from mlag_agent.notify.notifier import NETCONF_STREAM
from mlag_agent.schema.nodes import Kind, SchemaNode, SchemaTree
from mlag_agent.wire.xml import MalformedMessage, parse_message

__all__ = ["MAX_REPLIES", "Foreign", "parse"]

_LOG = logging.getLogger(__name__)

MAX_REPLIES = 10_000
"""Canned replies that are kept: a test that gives more has a loop in it."""


def parse(xml: str | bytes, source: str = "the document") -> etree._Element:
    """A document from outside; raises CannedError with the line of what is wrong."""
    try:
        return parse_message(xml.encode() if isinstance(xml, str) else xml)
    except MalformedMessage as error:
        where = f"{source}:{error.line}: " if error.line else f"{source}: "
        raise CannedError(f"{where}{error.reason}") from error


class Foreign:
    """Hooks and canned replies, injected state and events, and the record of operations.

    Made before the agent, since the agent is made of its ``feature`` and ``subscribers``; ``attach`` joins the two.
    Everything is called in the agent's event loop.
    """

    def __init__(
        self, name: str, *, hooks: Sequence[Path], replies: Sequence[Path], hook_timeout: float, log_length: int
    ) -> None:
        """Loads the hook files; raises SettingsError."""
        self._hooks = load_hooks(hooks)
        self._reply_files = replies
        self._caller = Caller(hook_timeout)
        self._device = HookDevice(name, self)
        self._by_node: Mapping[tuple[str, SchemaNode], Hook] = {}
        self._agent: Agent | None = None
        self._injected: Injected | None = None
        self._from_files: tuple[Canned, ...] = ()
        self._given: list[Canned] = []
        self.log = OperationLog(log_length)

    @property
    def feature(self) -> Feature:
        """State from hooks and from outside."""
        return Feature(
            name="hooks",
            modules=(),
            state_sources=(self._state_of_hooks, self._injected_state),
            telling_sources=(self._injected_state,),
        )

    def subscribers(self, tree: SchemaTree) -> Sequence[Subscriber[Any]]:
        """The subscribers that hooks register; raises SettingsError for a path that no module has."""
        self._by_node = resolve_hooks(self._hooks, tree)
        made = []
        for hook in self._hooks:
            if hook.kind == "subscriber":
                try:
                    made.append(HookSubscriber(hook, self._caller, tree))
                except Exception as error:
                    raise SettingsError(f"{hook.where}: {type(error).__name__}: {error}") from error
        return made

    def attach(self, agent: Agent) -> None:
        """The agent is there: read the files of replies.  Raises SettingsError."""
        self._agent = agent
        self._injected = Injected(agent)
        self._device.bind()
        agent.record = self.record
        agent.on_factory_reset.append(self.log.clear)
        try:
            self._read_files()
        except CannedError as error:
            raise SettingsError(str(error), "docs/foreign-modules.md describes files of replies") from error

    def _read_files(self) -> None:
        found: list[Canned] = []
        for file in self._reply_files:
            try:
                content = file.read_bytes()
            except OSError as error:
                raise CannedError(f"cannot read {file}: {error.strerror}") from error
            found.extend(read_replies(self.agent, parse(content, str(file)), str(file)))
        self._from_files = tuple(found)
        self._rebind()

    @property
    def agent(self) -> Agent:
        """The agent."""
        assert self._agent is not None, "attach has not been called"
        return self._agent

    # --- what hooks use (foreign.device.Powers) ------------------------------------------------------------

    @property
    def tree(self) -> SchemaTree:
        """The served schema."""
        return self.agent.library.tree

    @property
    def running(self) -> Container:
        """The configuration in force."""
        return self.agent.stores.running

    def publish(self, event: str, values: Mapping[str, Any], at: str | None, time: datetime | None) -> None:
        """Send a notification of plain values."""
        self.agent.notifier.publish(NETCONF_STREAM, from_values(self.agent, event, values, at, time))

    # --- from outside ------------------------------------------------------------------------------------------

    def notify(self, xml: str | bytes, time: datetime | None = None) -> str:
        """Publish a notification; returns its schema path.  Raises CannedError or RpcFailure."""
        event = from_xml(self.agent, parse(xml), time)
        self.agent.notifier.publish(NETCONF_STREAM, event)
        return event.schema.path

    def reply(self, path: str, xml: str | bytes) -> int:
        """Answer an rpc or action like this from now on; returns how many replies the document has.

        Replies given later are looked at first.  Raises CannedError.
        """
        found = read_reply_to(self.agent, path, parse(xml), "the document")
        if len(self._given) + len(found) > MAX_REPLIES:
            raise CannedError(f"there are {len(self._given)} replies; no more than {MAX_REPLIES} are kept")
        self._given[:0] = found
        self._rebind()
        return len(found)

    def operational(self, xml: str | bytes, origin: str = UNKNOWN) -> Sequence[str]:
        """Replace operational state by top-level node; returns their paths.  Raises CannedError or RpcFailure."""
        assert self._injected is not None
        replaced = self._injected.replace(data_elements(parse(xml)), origin)
        self.agent.state_has_changed()
        return replaced

    async def reset(self, *, config: bool = False) -> None:
        """Forget what was put in, the replies that were given and the log; ``config``: the configuration as well, which
        is that of the factory then.

        Replies of files are as at the start.  Raises RpcFailure where the configuration cannot be taken away.
        """
        assert self._injected is not None
        if config:
            await reset_configuration(self.agent, lambda: self.agent.factory)
        self._injected.clear()
        self.agent.state_has_changed()
        self._given.clear()
        self._read_files()
        self.log.clear()

    def record(
        self, session: SessionInfo, what: str, datastore: str | None, errors: Sequence[RpcError], used: Sequence[str]
    ) -> None:
        """``Agent.record``."""
        self.log.add(session.session_id, session.username, what, datastore, errors, used)

    # --- answering -----------------------------------------------------------------------------------------------

    def _rebind(self) -> None:
        """Which operations are answered here."""
        nodes = {canned.schema for canned in (*self._given, *self._from_files)}
        nodes |= {node for kind, node in self._by_node if kind in ("rpc", "action")}
        overrides = self.agent.overrides
        overrides.clear()
        for node in nodes:
            overrides[node] = _Answer(self, node).handle

    async def answer(self, schema: SchemaNode, session: SessionInfo, rpc: RpcInput) -> Reply:
        """A hook, else a canned reply, else the agent's own code; raises RpcFailure."""
        hook = self._by_node.get(("action" if schema.kind is Kind.ACTION else "rpc", schema))
        if hook is not None:
            result = await self._caller.call(
                f"the hook for {schema.path}", hook.function, self._call(schema, session, rpc)
            )
            if result is not NotImplemented:
                return self._reply(schema, rpc, result, f"the hook at {hook.where}")
        given = rpc.tree()
        for canned in chain(tuple(self._given), self._from_files):
            if canned.schema is schema and canned.matches(self.agent, given, rpc.instance):
                return await self._use(canned, rpc)
        handler = self.agent.handlers.get(schema)
        if handler is not None:
            return await handler(self.agent, session, rpc)
        error = not_supported(schema)
        raise RpcFailure(RpcError(error.tag, f"no canned reply matches; {error.message}", type=error.type))

    def _call(self, schema: SchemaNode, session: SessionInfo, rpc: RpcInput) -> Call:
        instance = rpc.instance
        keys = {
            node.name: {key.name: value(key, text) for key, text in zip(node.key_nodes, its, strict=True)}
            for node, its in (instance.steps if instance is not None else ())
            if node.kind is Kind.LIST
        }
        given = rpc.tree()
        return Call(
            device=self._device,
            name=schema.path,
            input=plain(given.schema, given, defaults=True),
            session_id=session.session_id,
            username=session.username,
            path=None if instance is None else instance.path,
            keys=keys,
        )

    async def _use(self, canned: Canned, rpc: RpcInput) -> Reply:
        if canned.left is not None:
            canned.left -= 1
        if canned.delay:
            await asyncio.sleep(canned.delay)
        if canned.errors:
            raise RpcFailure(*canned.errors)
        return self._checked(canned.schema, rpc, canned.output or (), f"the canned reply at {canned.where}")

    def _reply(self, schema: SchemaNode, rpc: RpcInput, result: Any, where: str) -> Reply:
        """What a hook has returned: nothing, a mapping, or the elements of the output as XML."""
        output = schema.child("output")
        assert output is not None  # pyang gives every rpc and action one
        try:
            if result is None or result is OK:
                elements: Iterable[etree._Element] = ()
            elif isinstance(result, Mapping):
                made = build(output, result)
                elements = parse_output(encode(made.children.items(), self.tree.namespaces))
            elif isinstance(result, str | bytes):
                elements = parse_output(result.encode() if isinstance(result, str) else result)
            else:
                raise TypeError(f"a hook returns None, a mapping, XML or NotImplemented, not {type(result).__name__}")
        except (TypeError, ValueError, KeyError, AttributeError, etree.XMLSyntaxError) as error:
            raise self._useless(where, f"{type(error).__name__}: {error}") from error
        return self._checked(schema, rpc, elements, where)

    def _checked(self, schema: SchemaNode, rpc: RpcInput, elements: Iterable[etree._Element], where: str) -> Reply:
        """No reply that violates the module goes to a client."""
        try:
            return Checked(read_output(self.agent, schema, elements, rpc.instance))
        except RpcFailure as failure:
            words = "; ".join(f"{error.path}: {error.message}" for error in failure.errors)
            raise self._useless(where, words) from failure

    @staticmethod
    def _useless(where: str, words: str) -> RpcFailure:
        _LOG.error("%s gives what the module does not allow: %s", where, words)
        return RpcFailure(RpcError(ErrorTag.OPERATION_FAILED, f"{where} gives what the module does not allow: {words}"))

    # --- state ---------------------------------------------------------------------------------------------------

    def _injected_state(self, agent: Agent, wanted: Selection) -> Iterable[StatePart]:
        return () if self._injected is None else self._injected.parts(agent, wanted)

    def _state_of_hooks(self, agent: Agent, wanted: Selection) -> Iterable[StatePart]:
        for (kind, node), hook in self._by_node.items():
            if kind == "state" and _wanted(node, wanted):
                yield StatePart(hook.origin, self._state(agent, node, hook))

    def _state(self, agent: Agent, node: SchemaNode, hook: Hook) -> Container:
        where = f"the hook at {hook.where}"
        try:
            content = hook.function(self._device)
            made = build(node, content or {})
        except RpcFailure:
            raise
        except Exception as error:
            _LOG.error("%s failed", where, exc_info=error)
            raise RpcFailure(RpcError(ErrorTag.OPERATION_FAILED, f"{where} failed: {error}")) from error
        while (parent := made.schema.parent) is not None:
            made = Container(parent, {made.schema: made})
        try:
            content_xml = encode_children(made, agent.library.tree.namespaces).decode()
            agent.library.operations.check_payload(content_xml, lambda path, message="": None)
        except RpcFailure as failure:
            raise self._useless(where, "; ".join(f"{e.path}: {e.message}" for e in failure.errors)) from failure
        return made


@dataclass(frozen=True, slots=True)
class _Answer:
    """The handler of one operation."""

    foreign: Foreign
    schema: SchemaNode

    async def handle(self, agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        return await self.foreign.answer(self.schema, session, rpc)


def _wanted(node: SchemaNode, wanted: Selection) -> bool:
    if node.parent is None:
        return True
    line = []
    step: SchemaNode | None = node
    while step is not None and step.kind is not Kind.ROOT:
        line.append(step)
        step = step.parent
    here: Selection | None = wanted
    for each in reversed(line):
        here = None if here is None else here.below(each)
    return here is not None
