"""Subscriptions to datastores (RFC 8641): periodic, and on change.

An update is worked out from the frozen trees: the part that the filter selects and the session may read now, and for a
subscription on change the same part as it was last sent.  Whatever happens between two updates, because of a dampening
period or because the client is slow, is one update in the end, and nothing is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any

from mlag_agent.data.build import EVERYTHING
from mlag_agent.data.encode import encode_children
from mlag_agent.data.filter import SubtreeFilter
from mlag_agent.data.lexical import matching_text
from mlag_agent.data.patch import patch_edits
from mlag_agent.data.tree import Container, merge, same
from mlag_agent.data.xpath import Scope, XPathError, XPathFilter
from mlag_agent.datastore.subscriber import ChangeSet
from mlag_agent.errors import RpcFailure
from mlag_agent.features.base import Agent, RpcInput, SessionInfo
from mlag_agent.features.reading import Filter, apply_filter
from mlag_agent.features.subscription import XML, FilterSpec, Subscription, time_of
from mlag_agent.features.subscription_errors import PUSH, PUSH_NS, SUBSCRIBED, bad_parameter, refusal
from mlag_agent.notify.clock import Timer
from mlag_agent.notify.notification import Notification

__all__ = ["MIN_PERIOD", "PushSubscription"]

_LOG = logging.getLogger(__name__)

MIN_PERIOD = 10
"""Centiseconds between two periodic updates at least: ten a second of a whole datastore are enough to ask for."""

MAX_EDITS = 1000
"""Edits of one push-change-update; of more, the whole selection is sent instead."""

OPERATIONAL = "ietf-datastores:operational"

_CENTISECOND = timedelta(milliseconds=10)
_DATASTORES = frozenset({"ietf-datastores:running", "ietf-datastores:intended", OPERATIONAL})


class PushSubscription(Subscription):
    """For a datastore.  Raises RpcFailure for parameters that do not fit; ``check`` tries the filter."""

    def __init__(self, agent: Agent, session: SessionInfo, number: int, rpc: RpcInput) -> None:
        super().__init__(agent, session, number)
        self._datastore = rpc.required("datastore")
        if self._datastore not in _DATASTORES:
            words = f"{self._datastore} cannot be subscribed to; {', '.join(sorted(_DATASTORES))} can"
            raise refusal("datastore-not-subscribable", words, _structure("establish"))
        self._spec = FilterSpec(rpc, "datastore", "selection-filter-ref")
        self._filter = self._compiled(self._spec, "establish")
        self._stop = time_of(rpc, "stop-time")
        if self._stop is not None and self._stop <= agent.notifier.now():
            raise bad_parameter("stop-time", "stop-time is not in the future")
        periodic, on_change = rpc.container("periodic"), rpc.container("on-change")
        if (periodic is None) == (on_change is None):
            raise bad_parameter("periodic", "a subscription to a datastore is either periodic or on-change")
        self._on_change = on_change is not None
        self._period, self._anchor = _period(periodic, "establish")
        self._dampening = _dampening(on_change)
        self._sync = on_change is None or on_change.leaf("sync-on-start") == "true"
        self._excluded = frozenset() if on_change is None else frozenset(on_change.values("excluded-change"))
        if self._on_change and self._datastore == OPERATIONAL and not self._is_watched():
            words = "nothing that the filter selects tells when it changes; subscribe to it periodically"
            raise refusal("on-change-unsupported", words, _structure("establish"))
        self._last: Container | None = None  # what the client has, of a subscription on change
        self._next = datetime.min.replace(tzinfo=agent.notifier.now().tzinfo)  # no update before
        self._timer: Timer | None = None
        self._stop_timer: Timer | None = None
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._full = False  # the next update is a whole one
        self._waiting = False  # for room in the session's queue
        self._patches = 0
        self._sent = 0
        self._ended = False

    def _compiled(self, spec: FilterSpec, operation: str) -> Filter | None:
        element, expression = spec.resolved(self.agent, ("selection-filter", "filter-id"))
        tree = self.agent.library.tree
        if element is not None:
            return SubtreeFilter.compile(element, tree, matching_text)
        if expression is None:
            return None
        try:
            return XPathFilter(expression, Scope(tree.namespaces, None, tree.namespaces), self.agent.expressions)
        except XPathError as error:
            words = f"XPath: {error}"
            structure = _structure(operation)
            raise refusal("filter-unsupported", words, structure, filter_failure_hint=error) from error

    def _is_watched(self) -> bool:
        """Whether the filter can select anything but state whose source does not tell when it changes."""
        if self._filter is None:
            return True
        tree, wanted = self.agent.library.tree, self._filter.selection
        silent = {
            provider.top.lstrip("/").partition("/")[0]
            for feature in self.agent.features
            for provider in feature.state
            if not provider.tells
        }
        selected = (node for node in tree.data.children.values() if wanted.below(node) is not None)
        return any(node.config or f"{node.module.name}:{node.name}" not in silent for node in selected)

    async def check(self) -> None:
        """Try the filter once; raises RpcFailure for an expression that gives no node-set, or costs too much."""
        try:
            await self._selected()
        except RpcFailure as failure:
            words = failure.errors[0].message
            raise refusal("filter-unsupported", words, _structure("establish"), filter_failure_hint=words) from failure

    async def _selected(self) -> Container:
        """What the filter selects of the datastore, of what the session may read."""
        agent = self.agent
        root = agent.stores.running
        if self._datastore == OPERATIONAL:
            wanted = EVERYTHING if self._filter is None else self._filter.selection
            root = merge(root, agent.told_state(wanted) if self._on_change else agent.state(wanted))
        if agent.access.active:
            root = agent.access.readable(self.session, root)
        return root if self._filter is None else await apply_filter(agent, root, self._filter)

    # --- life -------------------------------------------------------------------------------------------

    def begin(self) -> None:
        clock = self.agent.notifier.clock
        if self._stop is not None:
            left = (self._stop - clock.now()).total_seconds()
            self._stop_timer = clock.call_later(left, self.over)
        if not self._on_change:
            self._schedule()
            return
        self.agent.transactor.published.append(self._changed)
        if self._datastore == OPERATIONAL:
            self.agent.state_changed.append(self._update)
        self._full = self._sync
        self._update()

    def end(self) -> None:
        self._ended = True
        if self._changed in self.agent.transactor.published:
            self.agent.transactor.published.remove(self._changed)
        if self._update in self.agent.state_changed:
            self.agent.state_changed.remove(self._update)
        for handle in (self._timer, self._stop_timer):
            if handle is not None:
                handle.cancel()
        if self._task is not None:
            self._task.cancel()

    @property
    def can_resync(self) -> bool:
        """Whether it is one on change that may send all of the selection."""
        return self._on_change and self._sync

    def resync(self) -> None:
        """Send all of the selection once more (RFC 8641 section 4.4.2)."""
        self._full = True
        self._update()

    def modify(self, rpc: RpcInput) -> None:
        if rpc.leaf("datastore") != self._datastore:
            raise bad_parameter("datastore", f"subscription {self.number} is one to {self._datastore}")
        periodic, on_change = rpc.container("periodic"), rpc.container("on-change")
        if (periodic if self._on_change else on_change) is not None:
            words = f"subscription {self.number} is {'on-change' if self._on_change else 'periodic'}"
            raise bad_parameter("periodic" if self._on_change else "on-change", words)
        spec = FilterSpec(rpc, "datastore", "selection-filter-ref")
        compiled = self._compiled(spec, "modify")
        stop = time_of(rpc, "stop-time")
        if stop is not None and stop <= self.agent.notifier.now():
            raise bad_parameter("stop-time", "stop-time is not in the future")
        if periodic is not None:
            self._period, self._anchor = _period(periodic, "modify")
        if on_change is not None:
            self._dampening = _dampening(on_change)
        self._spec, self._filter = spec, compiled
        if stop is not None:
            self._stop = stop
            if self._stop_timer is not None:
                self._stop_timer.cancel()
            clock = self.agent.notifier.clock
            self._stop_timer = clock.call_later((stop - clock.now()).total_seconds(), self.over)
        if self._on_change:
            self._full = self._sync
            self._update()
        else:
            self._schedule()

    # --- what is known of it ----------------------------------------------------------------------------

    def terms(self) -> Mapping[str, Any]:
        trigger: Mapping[str, Any]
        if self._on_change:
            damp = self._dampening // _CENTISECOND
            trigger = {
                "on-change": {
                    "dampening-period": damp,
                    "sync-on-start": self._sync,
                    "excluded-change": sorted(self._excluded),
                }
            }
        else:
            trigger = {"periodic": {"period": self._period // _CENTISECOND, "anchor-time": self._anchor}}
        return {
            "datastore": self._datastore,
            **self._spec.terms(self),
            "stop-time": self._stop,
            "encoding": XML,
            **trigger,
        }

    def counters(self) -> tuple[int, int]:
        return self._sent, 0

    @property
    def filter_name(self) -> str | None:
        return self._spec.name

    def filter_changed(self) -> None:
        """RFC 8639 sections 2.7.2 and 2.7.3."""
        try:
            self._filter = self._compiled(self._spec, "modify")
        except RpcFailure:
            self.terminate(f"{SUBSCRIBED}:filter-unavailable")
            return
        self.tell("subscription-modified", self.terms())
        if self._on_change:
            self._full = self._sync
            self._update()

    # --- when -------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        """Periodic: at once and then in turn, or at multiples of the period from the anchor time."""
        if self._timer is not None:
            self._timer.cancel()
        now = self.agent.notifier.now()
        self._next = now
        if self._anchor is not None:
            self._next = self._anchor + -((self._anchor - now) // self._period) * self._period
        if self._next <= now:
            self._tick()
        else:
            self._set_timer()

    def _set_timer(self) -> None:
        clock = self.agent.notifier.clock
        self._timer = clock.call_later((self._next - clock.now()).total_seconds(), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._full = True
        self._update()
        missed = (self.agent.notifier.now() - self._next) // self._period  # those that the loop was too late for
        self._next += (missed + 1) * self._period
        self._set_timer()

    def _changed(self, change: ChangeSet) -> None:
        """On change: running has changed."""
        self._update()

    def _update(self) -> None:
        """Have an update made, or another one when that under way is through."""
        if self._ended or self._waiting:
            return
        if self._task is not None:
            self._again = True
            return
        left = (self._next - self.agent.notifier.now()).total_seconds() if self._on_change and not self._full else 0.0
        if left > 0:
            if self._timer is None:
                self._timer = self.agent.notifier.clock.call_later(left, self._dampened)
            return
        self._task = asyncio.get_running_loop().create_task(self._guarded(self._make()))

    def _dampened(self) -> None:
        self._timer = None
        self._update()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except RpcFailure as failure:
            _LOG.warning("subscription %d: no update: %s", self.number, failure)
            self.terminate(f"{PUSH}:unchanging-selection")
        except Exception:  # noqa: BLE001  # logged with its trace, and the client is told that it gets no more
            _LOG.exception("subscription %d: no update", self.number)
            self.terminate(f"{PUSH}:datastore-not-subscribable")
        finally:
            self._task = None
        if self._again:
            self._again = False
            self._update()

    # --- what -------------------------------------------------------------------------------------------

    async def _make(self) -> None:
        selected = await self._selected()
        full, self._full = self._full, False
        if full:
            self._send(self._whole(selected), selected, full=True)
        elif self._last is None:  # the start of one that is not synchronised
            self._last = selected
        elif not same(self._last, selected):
            made = self._difference(self._last, selected)
            if made is None:
                self._last = selected  # nothing but what is excluded
            else:
                self._send(made, selected, full=False)

    def _whole(self, selected: Container) -> bytes:
        """push-update."""
        content = encode_children(selected, self.agent.library.tree.namespaces)
        return b"".join(
            (
                f'<push-update xmlns="{PUSH_NS}"><id>{self.number}</id><datastore-contents>'.encode(),
                content,
                b"</datastore-contents></push-update>",
            )
        )

    def _difference(self, last: Container, selected: Container) -> bytes | None:
        """push-change-update; None when every change is of an excluded kind."""
        edits: list[bytes] = []
        for edit in patch_edits(last, selected, self.agent.library.tree.namespaces, self._excluded):
            if len(edits) == MAX_EDITS:
                if self._sync:
                    return self._whole(selected)
                return self._patch(edits, complete=False)
            edits.append(edit)
        return self._patch(edits, complete=True) if edits else None

    def _patch(self, edits: list[bytes], *, complete: bool) -> bytes:
        self._patches += 1
        return b"".join(
            (
                f'<push-change-update xmlns="{PUSH_NS}"><id>{self.number}</id><datastore-changes><yang-patch>'.encode(),
                f"<patch-id>{self._patches}</patch-id>".encode(),
                *edits,
                b"</yang-patch></datastore-changes>",
                b"" if complete else b"<incomplete-update/>",
                b"</push-change-update>",
            )
        )

    def _send(self, content: bytes, selected: Container, *, full: bool) -> None:
        notifier = self.agent.notifier
        name = "push-update" if content.startswith(b"<push-update") else "push-change-update"
        schema = self.agent.library.tree.notifications[PUSH_NS, name]
        if not self.session.outbox.put(Notification(schema, content, notifier.now())):
            if self._on_change:  # what the client lacks is worked out when there is room
                self._full = full
                self._waiting = True
                self.session.outbox.when_room(self._room)
            return
        self._sent += 1
        if self._on_change:
            self._last = selected
            self._next = notifier.now() + self._dampening

    def _room(self) -> None:
        self._waiting = False
        self._update()


def _structure(operation: str) -> str:
    return f"{operation}-subscription-datastore-error-info"


def _period(periodic: RpcInput | None, operation: str) -> tuple[timedelta, datetime | None]:
    if periodic is None:
        return timedelta(0), None
    period = int(periodic.required("period"))
    if period < MIN_PERIOD:
        words = f"a period of {period} centiseconds is too short; at least {MIN_PERIOD} are possible"
        raise refusal("period-unsupported", words, _structure(operation), period_hint=MIN_PERIOD)
    return period * _CENTISECOND, time_of(periodic, "anchor-time")


def _dampening(on_change: RpcInput | None) -> timedelta:
    return timedelta(0) if on_change is None else int(on_change.required("dampening-period")) * _CENTISECOND
