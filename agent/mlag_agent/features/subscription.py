"""One dynamic subscription (RFC 8639 section 2.4): what all kinds share, and the kind for event streams."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from mlag_agent.data.anydata import stored_form
from mlag_agent.data.tree import AnyData, Container
from mlag_agent.data.xpath import XPathError
from mlag_agent.errors import ErrorTag, RpcError, RpcFailure
from mlag_agent.features.base import Agent, RpcInput, SessionInfo
from mlag_agent.features.delivery import Accepts, StreamDelivery
from mlag_agent.features.event_filter import subtree, xpath
from mlag_agent.features.events import make
from mlag_agent.features.subscription_errors import SUBSCRIBED, bad_parameter, refusal
from mlag_agent.notify.notifier import UnknownStream

__all__ = ["FilterSpec", "StreamSubscription", "Subscription", "time_of"]

XML = f"{SUBSCRIBED}:encode-xml"


def time_of(rpc: RpcInput, name: str) -> datetime | None:
    """A date-and-time parameter."""
    text = rpc.leaf(name)
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise bad_parameter(name, f"{name} {text} is no time that there was: {error}") from error


class Subscription(ABC):
    """A subscription of one session; it ends with the session.

    ``over`` is called when it has come to its end by itself, or has been terminated.
    """

    def __init__(self, agent: Agent, session: SessionInfo, number: int) -> None:
        self.agent = agent
        self.session = session
        self.number = number
        self.over: Callable[[], None] = lambda: None

    @abstractmethod
    def begin(self) -> None:
        """Start to send: the reply with the number is on its way."""

    @abstractmethod
    def end(self) -> None:
        """Send nothing any more; harmless when repeated."""

    @abstractmethod
    def modify(self, rpc: RpcInput) -> None:
        """RFC 8639 section 2.4.3; raises RpcFailure, and then nothing has changed."""

    @abstractmethod
    def terms(self) -> Mapping[str, Any]:
        """Its parameters, as ``data.build`` takes them for the list of subscriptions."""

    @abstractmethod
    def counters(self) -> tuple[int, int]:
        """Events sent, and events left out."""

    @property
    @abstractmethod
    def filter_name(self) -> str | None:
        """The configured filter that it refers to."""

    @abstractmethod
    def filter_changed(self) -> None:
        """The filter that it refers to has changed or is gone."""

    def state(self) -> Mapping[str, Any]:
        """Its entry in the list of subscriptions."""
        sent, excluded = self.counters()
        receiver = {
            "name": f"session {self.session.session_id}",
            "sent-event-records": sent,
            "excluded-event-records": excluded,
            "state": "active",
        }
        return {"id": self.number, **self.terms(), "receivers": {"receiver": [receiver]}}

    def terminate(self, reason: str) -> None:
        """End it and say so (RFC 8639 section 2.7.3); ``reason`` is ``module:identity``."""
        self.tell("subscription-terminated", {"reason": reason})
        self.over()

    def tell(self, name: str, values: Mapping[str, Any] | None = None) -> None:
        """A subscription state change notification (RFC 8639 section 2.7)."""
        now = self.agent.notifier.now()
        made = make(self.agent.library, f"{SUBSCRIBED}:{name}", {"id": self.number, **(values or {})}, now)
        self.session.outbox.put_anyway(made)

    def as_anydata(self, element: etree._Element, name: str) -> bytes:
        """An anydata parameter as it stands in the list of subscriptions."""
        entry = self.agent.library.tree.find(f"/{SUBSCRIBED}:subscriptions/subscription")
        schema = entry.child(name)
        assert schema is not None
        return stored_form(element, schema)


class FilterSpec:
    """Which filter a subscription has: by name, subtree or XPath; ``prefix`` is ``stream`` or ``datastore``."""

    def __init__(self, rpc: RpcInput, prefix: str, reference: str) -> None:
        self.name = rpc.leaf(reference)
        self.subtree = rpc.element(f"{prefix}-subtree-filter")
        self.xpath = rpc.leaf(f"{prefix}-xpath-filter")
        self._prefix = prefix
        self._reference = reference

    def resolved(self, agent: Agent, configured: tuple[str, str]) -> tuple[etree._Element | None, str | None]:
        """Subtree filter and XPath expression, those of the configured filter where one is named.

        ``configured``: name of the list and of its key, below ``/filters``.  Raises RpcFailure when there is no such
        filter.
        """
        if self.name is None:
            return self.subtree, self.xpath
        filters = agent.stores.running.named("filters", _namespace(agent, SUBSCRIBED))
        entries = filters.entries(configured[0]) if isinstance(filters, Container) else ()
        entry = next((each for each in entries if each.leaf(configured[1]) == self.name), None)
        if entry is None:
            words = f"no {configured[0]} {self.name!r} is configured"
            path = f"/{SUBSCRIBED}:establish-subscription/{self._reference}"
            raise RpcFailure(RpcError(ErrorTag.DATA_MISSING, words, app_tag="instance-required", path=path))
        opaque = entry.named(f"{self._prefix}-subtree-filter")
        element = etree.fromstring(opaque.xml) if isinstance(opaque, AnyData) else None
        return element, entry.leaf(f"{self._prefix}-xpath-filter")

    def terms(self, subscription: Subscription) -> Mapping[str, Any]:
        """As it stands in the list of subscriptions."""
        name = f"{self._prefix}-subtree-filter"
        return {
            self._reference: self.name,
            name: None if self.subtree is None else subscription.as_anydata(self.subtree, name),
            f"{self._prefix}-xpath-filter": self.xpath,
        }


def _namespace(agent: Agent, module: str) -> str:
    return agent.library.tree.modules[module].namespace


class StreamSubscription(Subscription):
    """For the events of a stream.  Raises RpcFailure for parameters that do not fit."""

    def __init__(self, agent: Agent, session: SessionInfo, number: int, rpc: RpcInput) -> None:
        super().__init__(agent, session, number)
        try:
            self._stream = agent.notifier.stream(rpc.required("stream")).name
        except UnknownStream as unknown:
            raise bad_parameter("stream", str(unknown)) from unknown
        start, self._stop = time_of(rpc, "replay-start-time"), time_of(rpc, "stop-time")
        self._check_times(start)
        self._replay_start = start
        self._filter = FilterSpec(rpc, "stream", "stream-filter-name")
        self._delivery = StreamDelivery(
            agent,
            session,
            self,
            stream=self._stream,
            accepts=self._accepts(self._filter, "establish"),
            start=start,
            stop=self._stop,
        )

    def _check_times(self, start: datetime | None) -> None:
        """RFC 8639, ``replay-start-time`` and ``stop-time``."""
        now = self.agent.notifier.now()
        if start is not None:
            if self.agent.notifier.log is None:
                words = "this server keeps no log of events, so there is no replay"
                raise refusal("replay-unsupported", words, "establish-subscription-stream-error-info")
            if start >= now:
                words = f"replay-start-time is not in the past; here it is {now.isoformat()}"
                raise bad_parameter("replay-start-time", words)
        self._check_stop(self._stop, start)

    def _check_stop(self, stop: datetime | None, start: datetime | None) -> None:
        now = self.agent.notifier.now()
        if stop is not None and stop <= (start or now):
            later = "replay-start-time" if start is not None else f"now, which is {now.isoformat()}"
            raise bad_parameter("stop-time", f"stop-time must be later than {later}")

    def _accepts(self, spec: FilterSpec, operation: str) -> Accepts | None:
        element, expression = spec.resolved(self.agent, ("stream-filter", "name"))
        if element is not None:
            return subtree(self.agent.library, element)
        if expression is None:
            return None
        try:
            return xpath(self.agent, expression, {}, implemented=True)[0]
        except XPathError as error:
            structure = f"{operation}-subscription-stream-error-info"
            words = f"XPath: {error}"
            raise refusal("filter-unsupported", words, structure, filter_failure_hint=error) from error

    @property
    def revised_start(self) -> datetime | None:
        """``replay-start-time-revision``: since when there are events, if not since the time that was asked for."""
        log = self.agent.notifier.log
        if self._replay_start is None or log is None:
            return None
        since = log.aged or log.created
        return since if since > self._replay_start else None

    # --- Subscription -----------------------------------------------------------------------------------

    def begin(self) -> None:
        self._delivery.begin()

    def end(self) -> None:
        self._delivery.end()

    def modify(self, rpc: RpcInput) -> None:
        if "datastore" in rpc:
            raise bad_parameter("datastore", f"subscription {self.number} is one to the stream {self._stream}")
        spec = FilterSpec(rpc, "stream", "stream-filter-name")
        accepts = self._accepts(spec, "modify")
        stop = time_of(rpc, "stop-time")
        self._check_stop(stop, None)
        self._filter, self._delivery.accepts = spec, accepts
        if stop is not None:
            self._stop = stop
            self._delivery.set_stop(stop)

    def terms(self) -> Mapping[str, Any]:
        return {
            "stream": self._stream,
            **self._filter.terms(self),
            "replay-start-time": self._replay_start,
            "stop-time": self._stop,
            "encoding": XML,
        }

    def counters(self) -> tuple[int, int]:
        return self._delivery.sent, self._delivery.excluded

    @property
    def filter_name(self) -> str | None:
        return self._filter.name

    def filter_changed(self) -> None:
        """RFC 8639 section 2.7.2, and 2.7.3 with the reason filter-unavailable."""
        try:
            self._delivery.accepts = self._accepts(self._filter, "modify")
        except RpcFailure:
            self.terminate(f"{SUBSCRIBED}:filter-unavailable")
        else:
            self.tell("subscription-modified", self.terms())

    # --- what the delivery has to say -------------------------------------------------------------------

    def replayed(self) -> None:
        """RFC 8639 section 2.7.7."""
        self.tell("replay-completed")

    def stopped(self) -> None:
        """The module has no word for it where subscriptions are not configured (``if-feature configured``)."""
        self.over()

    def lost(self, count: int, last: datetime) -> None:
        """RFC 8639 sections 2.7.4 and 2.7.5: events are missing between the two."""
        self.tell("subscription-suspended", {"reason": f"{SUBSCRIBED}:unsupportable-volume"})
        self.tell("subscription-resumed")
