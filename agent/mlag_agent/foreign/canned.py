"""Canned replies: XML documents that say what an rpc or action is answered with.

::

    <replies xmlns="urn:mlag-agent:replies">
      <reply to="/acme-system:reboot">
        <when><delay xmlns="urn:acme:system">0</delay></when>   <!-- all of it must be in the input -->
        <ok/>
      </reply>
      <reply to="/acme-system:system/slot[number='1']/reset" delay="0.5" times="2">
        <output><was xmlns="urn:acme:system">up</was></output>
      </reply>
      <reply to="/acme-system:reboot">
        <rpc-error><error-tag>in-use</error-tag><error-message>busy</error-message></rpc-error>
      </reply>
    </replies>

The first that matches is used.  In place of ``<ok/>``, ``<output>`` and ``<rpc-error>`` a whole ``<rpc-reply>`` can
stand, as a device has sent it.  Read with line numbers, checked against the schema when they are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lxml import etree

from mlag_agent.data.build import from_nodes
from mlag_agent.data.decode import NETCONF_NS, Decoder
from mlag_agent.data.invocation import Instance, invocation_of
from mlag_agent.data.path import InstancePathError, key_predicates
from mlag_agent.data.tree import AnyData, Container, LeafList, ListNode, Node
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure
from mlag_agent.features.base import Agent
from mlag_agent.features.checking import check_invocation, check_types, read_output
from mlag_agent.schema.nodes import Kind, SchemaNode, SchemaTree

__all__ = ["MAX_DELAY", "NAMESPACE", "Canned", "CannedError", "operation_at", "read_replies", "read_reply_to"]

NAMESPACE = "urn:mlag-agent:replies"

MAX_DELAY = 3600.0
"""Seconds; longer than any client waits."""


class CannedError(ValueError):
    """The document is no canned reply; the message has the line."""


@dataclass(slots=True, eq=False)
class Canned:
    """One canned reply.  ``keys``: of the entries on the way to an action, where the reply is for some of them only.

    ``when``: what the input must hold; ``output``: elements, or None for ``errors``; ``left``: how often it may still
    be used, None: for ever.
    """

    schema: SchemaNode
    where: str
    keys: Mapping[SchemaNode, Mapping[str, str]] = field(default_factory=dict)
    when: etree._Element | None = None
    output: Sequence[etree._Element] | None = None
    errors: tuple[RpcError, ...] = ()
    delay: float = 0.0
    left: int | None = None

    def matches(self, agent: Agent, given: Container, instance: Instance | None) -> bool:
        """Whether it is for this call."""
        if self.left == 0:
            return False
        for node, keys in self.keys.items():
            steps = dict(instance.steps) if instance is not None else {}
            own = dict(zip(node.keys, steps.get(node, ()), strict=False))
            if any(own.get(name) != value for name, value in keys.items()):
                return False
        return self.when is None or _holds(_canonical(agent, self.schema, self.when, instance), given)


def _canonical(agent: Agent, schema: SchemaNode, element: etree._Element, instance: Instance | None) -> Container:
    """What ``<when>`` asks for, with values as those of the input are."""
    invocation = invocation_of(schema, Kind.INPUT, instance)
    decoder = Decoder(agent.library.tree, config_only=False)
    nodes = decoder.decode(element, invocation.holder.schema, invocation.holder)
    check_invocation(agent, invocation, types_only=True)
    return from_nodes(invocation.holder.schema, nodes)


def _holds(wanted: Container, given: Container) -> bool:
    return all(_has(node, value, given.get(node)) for node, value in wanted.children.items())


def _has(node: SchemaNode, wanted: Node, given: Node | None) -> bool:
    if given is None:
        default = node.defaults[0] if node.defaults and node.kind is Kind.LEAF else None
        return default is not None and wanted == default
    if isinstance(wanted, Container):
        return isinstance(given, Container) and _holds(wanted, given)
    if isinstance(wanted, ListNode):
        rows = list(given) if isinstance(given, ListNode) else []
        return all(any(_holds(row, its) for its in rows) for row in wanted)
    if isinstance(wanted, LeafList):
        return isinstance(given, LeafList) and set(wanted.values) <= set(given.values)
    return True if isinstance(wanted, AnyData) else wanted == given


def operation_at(path: str, tree: SchemaTree) -> tuple[SchemaNode, Mapping[SchemaNode, Mapping[str, str]]]:
    """The rpc or action at a path, ``/module:rpc`` or ``/module:list[key='v']/action``; predicates may be left out.

    Raises InstancePathError.
    """
    plain, keys = _without_predicates(path)
    try:
        node = tree.operation(plain)
    except (KeyError, ValueError):
        raise InstancePathError(f"no module that is served has an rpc or action {path}{_alike(path, tree)}") from None
    if node.kind is Kind.NOTIFICATION:
        raise InstancePathError(f"{path} is a notification, and no rpc or action")
    found: dict[SchemaNode, Mapping[str, str]] = {}
    for step, text in keys.items():
        predicates = key_predicates(text)
        holder = tree.find(step)
        if predicates is None or not set(predicates) <= set(holder.keys):
            raise InstancePathError(f"{step}{text}: predicates are of the form [key='value'], keys: {holder.keys}")
        found[holder] = predicates
    return node, found


def _without_predicates(path: str) -> tuple[str, dict[str, str]]:
    """The schema path, and the predicates of each step by the schema path up to it."""
    out: list[str] = []
    keys: dict[str, str] = {}
    depth = 0
    quote = ""
    start = 0
    for at, char in enumerate(path):
        if quote:
            quote = "" if char == quote else quote
        elif depth and char in "'\"":
            quote = char
        elif char == "[":
            start = at if depth == 0 else start
            depth += 1
        elif char == "]":
            depth -= 1
            if depth == 0:
                step = "".join(out)
                keys[step] = keys.get(step, "") + path[start : at + 1]
            continue
        if depth == 0:
            out.append(char)
    return "".join(out), keys


def _alike(path: str, tree: SchemaTree) -> str:
    name = path.rpartition("/")[2].rpartition(":")[2]
    known = [
        node.path
        for node in (*tree.rpcs.values(), *tree.data.everything())
        if node.name == name and node.kind in (Kind.RPC, Kind.ACTION)
    ]
    return f"; there is {', '.join(known)}" if known else ""


# --- reading --------------------------------------------------------------------------------------------------


def read_replies(agent: Agent, root: etree._Element, source: str) -> Sequence[Canned]:
    """A document ``<replies>``; raises CannedError."""
    if etree.QName(root).localname != "replies":
        raise CannedError(f'{source}:{root.sourceline}: the root must be <replies xmlns="{NAMESPACE}">')
    found = []
    for element in root:
        where = f"{source}:{element.sourceline}"
        if _local(element) != "reply":
            raise CannedError(f"{where}: <replies> holds <reply> elements, not <{_local(element)}>")
        path = element.get("to")
        if path is None:
            raise CannedError(f'{where}: a <reply> needs to="/module:rpc" or to="/module:path/to/action"')
        found.append(_read(agent, path, element, where))
    return found


def read_reply_to(agent: Agent, path: str, root: etree._Element, source: str) -> Sequence[Canned]:
    """Replies for the operation at ``path``: ``<replies>``, a ``<reply>``, or what stands in one.

    Raises CannedError.
    """
    where = f"{source}:{root.sourceline}"
    if _local(root) == "replies":
        return [_read(agent, path, element, f"{source}:{element.sourceline}") for element in root]
    if _local(root) == "reply":
        return [_read(agent, path, root, where)]
    holder = etree.Element(f"{{{NAMESPACE}}}reply")
    holder.append(root)
    return [_read(agent, path, holder, where)]


def _read(agent: Agent, path: str, element: etree._Element, where: str) -> Canned:
    try:
        schema, keys = operation_at(path, agent.library.tree)
        made = Canned(schema, where, keys, delay=_number(element, "delay"), left=_times(element))
        bodies = []
        for child in element:
            if _local(child) == "when":
                check_types(agent, schema, Kind.INPUT, _unqualified(child))
                made.when = child
            else:
                bodies.append(child)
        _body(agent, made, bodies)
    except (InstancePathError, CannedError) as error:
        raise CannedError(f"{where}: {error}") from error
    except RpcFailure as failure:
        words = "; ".join(
            f"{error.message} ({error.path})" if error.path else error.message for error in failure.errors
        )
        raise CannedError(f"{where}: reply to {path}: {words}") from failure
    return made


def _number(element: etree._Element, name: str) -> float:
    text = element.get(name, "0")
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= MAX_DELAY:
        raise CannedError(f'{name}="{text}" must be seconds from 0 to {MAX_DELAY:g}')
    return number


def _times(element: etree._Element) -> int | None:
    text = element.get("times")
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise CannedError(f'times="{text}" must be a number from 1')
    return int(text)


def _body(agent: Agent, made: Canned, bodies: Sequence[etree._Element]) -> None:
    names = [_local(body) for body in bodies]
    if names and set(names) == {"rpc-error"}:
        made.errors = tuple(map(_error, bodies))
    elif names == ["rpc-reply"]:
        inner = list(bodies[0])
        if [_local(child) for child in inner if etree.QName(child).namespace == NETCONF_NS] == ["ok"]:
            inner = []
        if inner and all(child.tag == f"{{{NETCONF_NS}}}rpc-error" for child in inner):
            made.errors = tuple(map(_error, inner))
        else:
            _output(agent, made, inner)
    elif names == ["ok"]:
        _output(agent, made, ())
    elif names == ["output"]:
        _output(agent, made, list(_unqualified(bodies[0])))
    else:
        raise CannedError(
            "a reply holds one of <ok/>, <output>, <rpc-reply>, or <rpc-error> elements, not "
            + (", ".join(f"<{name}>" for name in names) or "nothing")
        )


def _output(agent: Agent, made: Canned, elements: Iterable[etree._Element]) -> None:
    """What refers to data is checked again when the reply is used: the data may be there by then."""
    made.output = list(elements)
    output = made.schema.child("output")
    if made.schema.kind is Kind.RPC and output is not None and not output.refers and not output.points:
        read_output(agent, made.schema, made.output, None)
    else:
        check_types(agent, made.schema, Kind.OUTPUT, made.output)


def _unqualified(element: etree._Element) -> etree._Element:
    """What stands in the namespace of the document itself has none: the schema's is meant."""
    for node in element.iter(f"{{{NAMESPACE}}}*"):
        node.tag = _local(node)
    return element


def _error(element: etree._Element) -> RpcError:
    """RFC 6241 section 4.3; only the tag must be there."""

    def text(name: str) -> str | None:
        found = element.find(f"{{*}}{name}")
        return None if found is None else (found.text or "").strip() or None

    tag, kind = text("error-tag"), text("error-type")
    if tag is None or tag not in ErrorTag._value2member_map_:
        raise CannedError(f"error-tag {tag!r} must be one of {', '.join(ErrorTag)}")
    if kind is not None and kind not in ErrorType._value2member_map_:
        raise CannedError(f"error-type {kind!r} must be one of {', '.join(ErrorType)}")
    info = element.find("{*}error-info")
    return RpcError(
        ErrorTag(tag),
        text("error-message") or f"canned reply: {tag}",
        type=ErrorType(kind) if kind is not None else ErrorType.APPLICATION,
        app_tag=text("error-app-tag"),
        path=text("error-path"),
        info=tuple(
            InfoElement(_local(child), child.text or "", _foreign(child))
            for child in (info if info is not None else ())
        ),
    )


def _foreign(element: etree._Element) -> str | None:
    namespace = etree.QName(element).namespace
    return None if namespace in (None, NETCONF_NS, NAMESPACE) else namespace


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname
