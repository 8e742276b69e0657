"""From ``RpcReceived`` to the bytes of one ``<rpc-reply>``; the one place where exceptions become ``<rpc-error>``s."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from lxml import etree

from mlag_agent.data.build import build
from mlag_agent.data.decode import NETCONF_NS, YANG_NS
from mlag_agent.data.encode import encode
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure, SchemaError
from mlag_agent.features.base import Agent, Checked, Data, Handler, Ok, Output, Reply, RpcInput, SessionInfo
from mlag_agent.features.checking import not_supported, parse_output, read_output
from mlag_agent.schema.nodes import Kind, SchemaNode
from mlag_agent.server.parameters import check_exists, find_action, read_action, read_parameters
from mlag_agent.wire import messages
from mlag_agent.wire.session import RpcReceived
from mlag_agent.wire.xml import split_name

__all__ = ["Dispatcher"]

_LOG = logging.getLogger(__name__)
_OK = b"<ok/>"
_NO_REPLY = (RpcError(ErrorTag.OPERATION_FAILED, "the session ended before the reply"),)
_ACTION = f"{{{YANG_NS}}}action"

_NAMING = frozenset({"target", "datastore", "source"})

MAX_NAME = 64
"""Characters of an operation's name that the audit log takes; it may be any that a client makes up."""


class Dispatcher:
    """Finds the handler of an operation, checks its input, runs it and writes the reply.

    Raises SchemaError when an rpc of a feature's modules has no handler, or a handler no rpc.
    """

    checks_output: ClassVar[bool] = False
    """Whether the output of the agent's own handlers is checked against its schema: the tests do."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._tree = agent.library.tree
        self._labelspaces = self._tree.namespaces
        rpcs = self._tree.rpcs.values()
        self._labels = {f"{{{rpc.namespace}}}{rpc.name}": f"{rpc.module.name}:{rpc.name[:MAX_NAME]}" for rpc in rpcs}
        self._acting: dict[int, str] = {}  # the action that a session runs, for the record
        self._handlers = agent.handlers = _handlers(agent)
        self._refusals = {path: words for feature in agent.features for path, words in feature.refusals.items()}

    async def reply_to(self, session: SessionInfo, received: RpcReceived) -> tuple[bytes, Sequence[RpcError]]:
        """The whole reply, and the errors in it.  Raises nothing but what cancels the session."""
        errors: Sequence[RpcError] | None = None
        try:
            reply, errors = await self._reply_to(session, received)
            return reply, errors
        finally:
            self._agent.access.done(session)
            self._note(session, received.operation, errors)

    def _note(self, session: SessionInfo, operation: etree._Element, errors: Sequence[RpcError] | None) -> None:
        """For the audit log, and for the record that tests look at; ``errors``: None when there was no reply."""
        audit, record = self._agent.audit, self._agent.record
        action = self._acting.pop(session.session_id, None) if self._acting else None
        if audit is None and record is None:
            return
        what = action or self._labels.get(operation.tag) or self._label(operation)
        datastore = datastore_named(operation)
        if audit is not None:
            audit.operation(session, what, datastore=datastore, errors=errors)
        if record is not None:
            record(session, what, datastore, _NO_REPLY if errors is None else errors, session.leniencies_taken())

    def _label(self, operation: etree._Element) -> str:
        """``module:name`` of what is no rpc of the served modules."""
        namespace, name = split_name(operation)
        module = self._tree.module_of_namespace(namespace or NETCONF_NS)
        return f"{module.name if module is not None else ''}:{name[:MAX_NAME]}"

    async def _reply_to(self, session: SessionInfo, received: RpcReceived) -> tuple[bytes, Sequence[RpcError]]:
        attributes = received.attributes
        try:
            if received.operation.tag == _ACTION:
                schema, given = self._action(session, received.operation)
                handler = self._handler(schema)
            else:
                schema = self._operation(received.operation, session)
                if self._agent.access.active:
                    self._agent.access.check_exec(session, schema)
                handler = self._handler(schema)
                given = self._parameters(session, schema, received.operation)
            result = await handler(self._agent, session, given)
            return messages.reply(attributes, self._body(schema, given, result)), ()
        except RpcFailure as failure:
            errors = self._agent.access.shown(session, failure.errors) if self._agent.access.active else failure.errors
            try:
                return messages.error_reply(attributes, errors, self._labelspaces), errors
            except ValueError as bug:  # a path of ours with a prefix that no module has
                return self._bug(session, received, bug)
        except Exception as bug:  # noqa: BLE001  # the session's last line: answered, and logged with its trace
            return self._bug(session, received, bug)

    def _parameters(self, session: SessionInfo, schema: SchemaNode, operation: etree._Element) -> RpcInput:
        try:
            return read_parameters(self._agent, schema, operation, on_leniency=session.on_leniency)
        except RpcFailure as failure:
            raise RpcFailure(*map(self._explained, failure.errors)) from failure

    def _action(self, session: SessionInfo, element: etree._Element) -> tuple[SchemaNode, RpcInput]:
        """Nothing is said about data, or about parameters, before it is clear that the session may run the action."""
        agent = self._agent
        found = find_action(agent, element, on_leniency=session.on_leniency)
        schema = found.invocation.schema
        self._acting[session.session_id] = found.invocation.operation.path
        if agent.access.active:
            agent.access.check_action(session, schema, found.instance.place)
        check_exists(agent, schema, found.instance)
        return schema, read_action(agent, found, on_leniency=session.on_leniency)

    def _explained(self, error: RpcError) -> RpcError:
        """A parameter that the settings take away is no misspelt one."""
        if error.tag is not ErrorTag.UNKNOWN_ELEMENT:
            return error
        name = next((element.text for element in error.info if element.name == "bad-element"), "")
        words = self._refusals.get(f"{error.path}/{name}")
        return error if words is None else replace(error, tag=ErrorTag.OPERATION_NOT_SUPPORTED, message=words)

    def _bug(self, session: SessionInfo, received: RpcReceived, bug: Exception) -> tuple[bytes, Sequence[RpcError]]:
        """Whatever it was, the client gets an answer and the session goes on.

        The exception's text stays in the log: it may hold what is not for this client, a secret for instance.
        """
        _LOG.error("session %d: %s failed", session.session_id, received.operation.tag, exc_info=bug)
        words = f"internal error ({type(bug).__name__}); the agent's log has the details"
        found = (RpcError(ErrorTag.OPERATION_FAILED, words),)
        return messages.error_reply(received.attributes, found), found

    def _handler(self, schema: SchemaNode) -> Handler:
        overrides = self._agent.overrides
        handler = (overrides.get(schema) if overrides else None) or self._handlers.get(schema)
        if handler is None:
            raise RpcFailure(not_supported(schema))
        return handler

    def _operation(self, element: etree._Element, session: SessionInfo) -> SchemaNode:
        namespace, name = split_name(element)
        if namespace is not None:
            found = self._tree.rpcs.get((namespace, name))
            if found is None:
                raise RpcFailure(self._unknown(namespace, name))
            return found
        # NETCONF's own operation is meant where another module has one of the same name.
        by_name = [node for (_, local), node in self._tree.rpcs.items() if local == name]
        ours = self._tree.rpcs.get((NETCONF_NS, name))
        found = ours if ours is not None else by_name[0] if len(by_name) == 1 else None
        if found is None or self._agent.strict:
            expected = " or ".join(f'xmlns="{node.namespace}"' for node in by_name) or f'xmlns="{NETCONF_NS}"'
            words = f"<{name}> is in no namespace; expected {expected}"
            info = (InfoElement("bad-element", name), InfoElement("bad-namespace", ""))
            raise RpcFailure(RpcError(ErrorTag.UNKNOWN_NAMESPACE, words, type=ErrorType.PROTOCOL, info=info))
        session.on_leniency("operation-element-without-namespace")
        return found

    def _unknown(self, namespace: str, name: str) -> RpcError:
        module = self._tree.module_of_namespace(namespace)
        info = [InfoElement("bad-element", name)]
        if module is not None and (words := self._refusals.get(f"/{module.name}:{name}")) is not None:
            return RpcError(ErrorTag.OPERATION_NOT_SUPPORTED, words, type=ErrorType.PROTOCOL, info=tuple(info))
        if module is None:
            served = ", ".join(sorted({namespace for namespace, _ in self._tree.rpcs}))
            words = f'<{name}>: no module has the namespace "{namespace}"; operations are in {served}'
            info.append(InfoElement("bad-namespace", namespace))
            return RpcError(ErrorTag.UNKNOWN_NAMESPACE, words, type=ErrorType.PROTOCOL, info=tuple(info))
        known = ", ".join(sorted(local for ns, local in self._tree.rpcs if ns == namespace)) or "none"
        words = f"module {module.name} has no operation {name} here; it has: {known}"
        return RpcError(ErrorTag.OPERATION_NOT_SUPPORTED, words, type=ErrorType.PROTOCOL, info=tuple(info))

    def _body(self, schema: SchemaNode, given: RpcInput, result: Reply) -> bytes:
        if isinstance(result, Checked):
            return result.content or _OK
        if isinstance(result, Ok):
            if self.checks_output:
                read_output(self._agent, schema, (), given.instance, strict=True)
            return _OK
        if isinstance(result, Data):
            return messages.data(result.content, namespace=result.namespace)
        assert isinstance(result, Output)
        output = schema.child("output")
        assert output is not None  # pyang gives every rpc and action one
        made = build(output, result.values)
        content = encode(made.children.items(), self._labelspaces)
        if self.checks_output:
            read_output(self._agent, schema, parse_output(content), given.instance, strict=True)
        return content or _OK


def datastore_named(operation: etree._Element) -> str | None:
    """The datastore that an operation's element names, for the audit log: its target, or else its source."""
    found: str | None = None
    for child in operation:
        name = str(child.tag).rpartition("}")[2]
        if name in _NAMING and (found is None or name != "source"):
            text = str(child[0].tag).rpartition("}")[2] if len(child) else (child.text or "").strip().rpartition(":")[2]
            found = text[:MAX_NAME] or found
    return found


def _handlers(agent: Agent) -> Mapping[SchemaNode, Handler]:
    tree = agent.library.tree
    by_name = {f"{node.module.name}:{node.name}": node for node in tree.rpcs.values()}
    by_name |= {node.path: node for node in tree.data.everything() if node.kind is Kind.ACTION}
    handlers: dict[SchemaNode, Handler] = {}
    for feature in agent.features:
        for name, handler in (*feature.rpcs.items(), *feature.actions.items()):
            if name not in by_name:
                raise SchemaError(f"feature {feature.name} handles {name}, which no module has")
            handlers[by_name[name]] = handler
        served = set() if feature.data_only else {request.name for request in feature.modules}
        for name, node in by_name.items():
            if node.module.name in served and node not in handlers:
                raise SchemaError(f"the {node.kind.name.lower()} {name} has no handler in feature {feature.name}")
    return handlers
