"""NETCONF event notifications (RFC 5277): create-subscription, the streams, replay; with the interleave capability.

One subscription to a session (section 2.1.1 gives no way to tell the events of two apart); another may follow when it
has come to its stopTime.  It ends with its session.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from mlag_agent.data.edit_node import NETCONF_NS
from mlag_agent.data.xpath import XPathError
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure
from mlag_agent.features.base import OK, Agent, Feature, Reply, RpcInput, SessionInfo, StateProvider
from mlag_agent.features.delivery import Accepts, Claims, StreamDelivery
from mlag_agent.features.event_filter import subtree, xpath
from mlag_agent.features.events import make
from mlag_agent.notify.notifier import UnknownStream
from mlag_agent.schema.library import ModuleRequest

__all__ = ["feature"]

CAPABILITIES = (
    "urn:ietf:params:netconf:capability:notification:1.0",
    "urn:ietf:params:netconf:capability:interleave:1.0",
)


def feature(claims: Claims) -> Feature:
    """The modules, for one agent; ``claims`` keeps a session to one way of subscribing."""

    async def create_subscription(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        """RFC 5277 section 2.1.1."""
        if claims.has_dynamic(session):
            words = "this session has established subscriptions of RFC 8639; use another session (RFC 8640 section 4)"
            raise RpcFailure(RpcError(ErrorTag.OPERATION_NOT_SUPPORTED, words, type=ErrorType.PROTOCOL))
        if session in claims.create_subscription:
            words = "this session has a subscription; it ends at its stopTime, or with the session"
            raise RpcFailure(RpcError(ErrorTag.IN_USE, words, type=ErrorType.PROTOCOL))
        subscription = _Subscription(agent, session, rpc)
        claims.create_subscription.add(session)

        def over() -> None:
            forget()
            subscription.delivery.end()
            claims.create_subscription.discard(session)

        subscription.over = over
        forget = session.at_end(over)
        session.after_reply(subscription.delivery.begin)
        return OK

    return Feature(
        name="notifications",
        modules=(ModuleRequest("notifications"), ModuleRequest("nc-notifications")),
        rpcs={"notifications:create-subscription": create_subscription},
        state=(StateProvider("/nc-notifications:netconf", _streams),),
        capabilities=CAPABILITIES,
    )


def _streams(agent: Agent) -> Mapping[str, Any]:
    """RFC 5277 section 3.2.5."""
    log = agent.notifier.log
    rows = [
        {
            "name": stream.name,
            "description": stream.description,
            "replaySupport": log is not None,
            "replayLogCreationTime": None if log is None else log.created,
            "replayLogAgedTime": None if log is None else log.aged,
        }
        for stream in agent.notifier.streams.values()
    ]
    return {"streams": {"stream": rows}}


class _Subscription:
    """What one create-subscription asked for.  Raises RpcFailure for what it cannot."""

    def __init__(self, agent: Agent, session: SessionInfo, rpc: RpcInput) -> None:
        self._agent = agent
        self._session = session
        start, stop = self._times(rpc)
        try:
            stream = agent.notifier.stream(rpc.required("stream")).name
        except UnknownStream as unknown:
            raise RpcFailure(_bad("stream", str(unknown), ErrorTag.INVALID_VALUE)) from unknown
        self.delivery = StreamDelivery(
            agent,
            session,
            self,
            stream=stream,
            accepts=_filter(agent, session, rpc),
            start=start,
            stop=stop,
        )
        self.over = self.delivery.end

    def _times(self, rpc: RpcInput) -> tuple[datetime | None, datetime | None]:
        """startTime and stopTime, by the rules of RFC 5277 section 2.1.1."""
        start, stop = _time(rpc, "startTime"), _time(rpc, "stopTime")
        now = self._agent.notifier.now()
        if start is None:
            if stop is not None:
                words = "stopTime is for a replay: give startTime as well"
                raise RpcFailure(_bad("startTime", words, ErrorTag.MISSING_ELEMENT))
            return None, None
        if self._agent.notifier.log is None:
            words = "this server keeps no log of events, so there is no replay"
            raise RpcFailure(RpcError(ErrorTag.OPERATION_FAILED, words, type=ErrorType.PROTOCOL))
        if start > now:
            words = f"startTime {rpc.leaf('startTime')} is in the future; here it is {now.isoformat()}"
            raise RpcFailure(_bad("startTime", words, ErrorTag.BAD_ELEMENT))
        if stop is not None and stop < start:
            words = f"stopTime {rpc.leaf('stopTime')} is earlier than startTime {rpc.leaf('startTime')}"
            raise RpcFailure(_bad("stopTime", words, ErrorTag.BAD_ELEMENT))
        return start, stop

    # --- what the client hears beside the events ---------------------------------------------------------

    def replayed(self) -> None:
        """RFC 5277 section 3.3.2."""
        self._tell("nc-notifications:replayComplete")

    def stopped(self) -> None:
        """RFC 5277 section 3.3.2."""
        self._tell("nc-notifications:notificationComplete")
        self.over()

    def lost(self, count: int, last: datetime) -> None:
        """RFC 5277 has no word for it."""
        self._tell("mlag-agent-state:notifications-lost", {"count": count, "last": last})

    def _tell(self, name: str, values: Mapping[str, Any] | None = None) -> None:
        """Whatever access control says: RFC 8341 section 3.4.6 exempts them."""
        made = make(self._agent.library, name, values or {}, self._agent.notifier.now())
        self._session.outbox.put_anyway(made)


def _time(rpc: RpcInput, name: str) -> datetime | None:
    text = rpc.leaf(name)
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        words = f"{name} {text} is no time that there was: {error}"
        raise RpcFailure(_bad(name, words, ErrorTag.INVALID_VALUE)) from error


def _bad(name: str, words: str, tag: ErrorTag) -> RpcError:
    return RpcError(tag, words, type=ErrorType.PROTOCOL, info=(InfoElement("bad-element", name),))


def _filter(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Accepts | None:
    """RFC 5277 section 3.6."""
    element = rpc.element("filter")
    if element is None:
        return None
    kind = element.get("type", element.get(f"{{{NETCONF_NS}}}type", "subtree"))
    if kind == "xpath":
        return _xpath(agent, session, element)
    if kind != "subtree":
        raise RpcFailure(
            _filter_error(ErrorTag.BAD_ATTRIBUTE, f'filter type "{kind}" must be subtree or xpath', "type")
        )
    return subtree(agent.library, element)


def _xpath(agent: Agent, session: SessionInfo, element: etree._Element) -> Accepts:
    """RFC 6241 section 8.9.1; names without a prefix match any module as in the filters of get (INTEROP 2.2)."""
    text = element.get("select", element.get(f"{{{NETCONF_NS}}}select"))
    if text is None:
        words = 'a filter of type "xpath" needs the attribute select'
        raise RpcFailure(_filter_error(ErrorTag.MISSING_ATTRIBUTE, words, "select"))
    prefixes = {prefix: namespace for prefix, namespace in element.nsmap.items() if prefix is not None}
    try:
        accepts, unprefixed = xpath(agent, text, prefixes, implemented=False)
    except XPathError as error:
        raise RpcFailure(_filter_error(ErrorTag.INVALID_VALUE, f"XPath: {error}", "select")) from error
    if unprefixed:
        if agent.strict:
            words = f"XPath: names without a prefix are of no namespace, and match nothing: {', '.join(unprefixed)}"
            raise RpcFailure(_filter_error(ErrorTag.INVALID_VALUE, words, "select"))
        session.on_leniency("xpath-name-without-prefix")
    return accepts


def _filter_error(tag: ErrorTag, words: str, attribute: str) -> RpcError:
    info = (InfoElement("bad-attribute", attribute), InfoElement("bad-element", "filter"))
    return RpcError(tag, words, type=ErrorType.PROTOCOL, info=info)
