"""Dynamic subscriptions (RFC 8639 over NETCONF, RFC 8640): their operations, and what can be read of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlag_agent.datastore.subscriber import ChangeSet
from mlag_agent.errors import ErrorTag, ErrorType, RpcError, RpcFailure
from mlag_agent.features import notifications
from mlag_agent.features.base import OK, Agent, Feature, Output, Reply, RpcInput, SessionInfo, StateProvider
from mlag_agent.features.delivery import Claims
from mlag_agent.features.push import PushSubscription
from mlag_agent.features.subscription import StreamSubscription, Subscription
from mlag_agent.features.subscription_errors import PUSH, SUBSCRIBED, refusal
from mlag_agent.schema.nodes import ModuleRequest

__all__ = ["MAX_PER_SESSION", "features"]

MAX_PER_SESSION = 32
"""Subscriptions of one session: each costs work for each event; a controller has a handful."""

MAX_ID = 2**32 - 1


class _Subscriptions:
    """Those of one agent, by number."""

    def __init__(self) -> None:
        self._by_number: dict[int, Subscription] = {}
        self._last = 0
        self._listening = False

    def __iter__(self) -> Iterator[Subscription]:
        return iter(tuple(self._by_number.values()))

    def of(self, session: SessionInfo) -> list[Subscription]:
        """The session's own."""
        return [each for each in self if each.session is session]

    def get(self, number: int) -> Subscription | None:
        """The one of that number."""
        return self._by_number.get(number)

    def take_number(self) -> int:
        """A number for a new one; none is used again before they wrap."""
        while True:
            self._last = self._last % MAX_ID + 1
            if self._last not in self._by_number:
                return self._last

    def add(self, subscription: Subscription) -> None:
        """From now on it is one; it is gone when ``over`` is called or its session has ended."""
        number = subscription.number
        self._by_number[number] = subscription

        def over() -> None:
            forget()
            subscription.end()
            self._by_number.pop(number, None)

        subscription.over = over
        forget = subscription.session.at_end(over)
        if not self._listening:
            self._listening = True
            subscription.agent.transactor.published.append(self._filters_changed)

    def _filters_changed(self, change: ChangeSet) -> None:
        if self._by_number and change.touches(f"/{SUBSCRIBED}:filters"):
            for subscription in self:
                if subscription.filter_name is not None:
                    subscription.filter_changed()


class _Operations:
    """The operations on the subscriptions of one agent."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._all = _Subscriptions()
        claims.has_dynamic = lambda session: bool(self._all.of(session))

    async def establish(self, agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        """RFC 8639 section 2.4.2."""
        if session in self._claims.create_subscription:
            words = "this session has a subscription by create-subscription; use another session (RFC 8640 section 4)"
            raise RpcFailure(RpcError(ErrorTag.OPERATION_NOT_SUPPORTED, words, type=ErrorType.PROTOCOL))
        of_datastore = "datastore" in rpc
        kind = "datastore" if of_datastore else "stream"
        if len(self._all.of(session)) >= MAX_PER_SESSION:
            words = f"this session has {MAX_PER_SESSION} subscriptions; delete one of them first"
            raise refusal("insufficient-resources", words, f"establish-subscription-{kind}-error-info")
        number = self._all.take_number()
        if of_datastore:
            pushed = PushSubscription(agent, session, number, rpc)
            await pushed.check()
            subscription: Subscription = pushed
            values: dict[str, Any] = {"id": number}
        else:
            streamed = subscription = StreamSubscription(agent, session, number, rpc)
            values = {"id": number, "replay-start-time-revision": streamed.revised_start}
        self._all.add(subscription)
        session.after_reply(subscription.begin)
        return Output(values)

    def _own(
        self, session: SessionInfo, rpc: RpcInput, structure: str, identity: str = "no-such-subscription"
    ) -> Subscription:
        number = int(rpc.required("id"))
        found = self._all.get(number)
        if found is None or found.session is not session:
            numbers = ", ".join(str(each.number) for each in self._all.of(session)) or "none"
            words = f"this session has no subscription {number}; it has: {numbers}"
            raise refusal(identity, words, structure)
        return found

    async def modify(self, agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        """RFC 8639 section 2.4.3."""
        kind = "datastore" if "datastore" in rpc else "stream"
        subscription = self._own(session, rpc, f"modify-subscription-{kind}-error-info")
        subscription.modify(rpc)
        return OK

    async def delete(self, agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        """RFC 8639 section 2.4.4."""
        self._own(session, rpc, "delete-subscription-error-info").over()
        return OK

    async def kill(self, agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        """RFC 8639 section 2.4.5."""
        number = int(rpc.required("id"))
        found = self._all.get(number)
        if found is None:
            words = f"there is no subscription {number}"
            raise refusal("no-such-subscription", words, "delete-subscription-error-info")
        found.terminate(f"{SUBSCRIBED}:no-such-subscription")
        return OK

    async def resync(self, agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        """RFC 8641 section 4.4.2."""
        found = self._own(session, rpc, "resync-subscription-error", "no-such-subscription-resync")
        if not isinstance(found, PushSubscription) or not found.can_resync:
            words = f"subscription {found.number} is not on change, or without sync-on-start"
            raise refusal("on-change-sync-unsupported", words, "resync-subscription-error")
        session.after_reply(found.resync)
        return OK

    def state(self, agent: Agent) -> Mapping[str, Any]:
        """RFC 8639 section 3.3."""
        return {"subscription": [each.state() for each in self._all]}


def features() -> tuple[Feature, Feature]:
    """Both ways of subscribing, for one agent: that of RFC 5277, and this one."""
    claims = Claims()
    return notifications.feature(claims), _feature(claims)


def _feature(claims: Claims) -> Feature:
    operations = _Operations(claims)
    return Feature(
        name="subscribed notifications",
        modules=(
            ModuleRequest(SUBSCRIBED, ("encode-xml", "replay", "subtree", "xpath")),
            ModuleRequest(PUSH, ("on-change",)),
            ModuleRequest("mlag-agent-subscriptions"),
        ),
        rpcs={
            f"{SUBSCRIBED}:establish-subscription": operations.establish,
            f"{SUBSCRIBED}:modify-subscription": operations.modify,
            f"{SUBSCRIBED}:delete-subscription": operations.delete,
            f"{SUBSCRIBED}:kill-subscription": operations.kill,
            f"{PUSH}:resync-subscription": operations.resync,
        },
        state=(
            StateProvider(f"/{SUBSCRIBED}:streams", _streams),
            StateProvider(f"/{SUBSCRIBED}:subscriptions", operations.state),
        ),
    )


def _streams(agent: Agent) -> Mapping[str, Any]:
    """RFC 8639 section 3.1."""
    log = agent.notifier.log
    replay = {} if log is None else {"replay-log-creation-time": log.created, "replay-log-aged-time": log.aged}
    return {
        "stream": [
            {
                "name": stream.name,
                "description": stream.description,
                "replay-support": None if log is None else "",
                **replay,
            }
            for stream in agent.notifier.streams.values()
        ]
    }
