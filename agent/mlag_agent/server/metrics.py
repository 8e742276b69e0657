"""What Prometheus gets to see of one device, and a health answer.

Nothing is counted for it that is not counted anyway but the times of operations, and those only while it is on: the
values are read when they are asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client import Counter as CounterMetric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mlag_agent import __version__
from mlag_agent.data.encode import encode_children
from mlag_agent.datastore.subscriber import ChangeSet
from mlag_agent.errors import RpcError
from mlag_agent.features.base import Agent
from mlag_agent.mlag import Engine
from mlag_agent.server.dispatcher import Dispatcher
from mlag_agent.server.registry import Registry
from mlag_agent.server.transports.admission import Admission
from mlag_agent.wire.session import RpcReceived
from mlag_agent.wire.xml import split_name

__all__ = ["MeasuredDispatcher", "Metrics"]

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds: a small get takes half a thousandth, a large load seconds."""

OTHER = "other"
"""The label of operations that no module has: their names are the client's, and would be labels without end."""


@dataclass(frozen=True, slots=True)
class _Sources:
    agent: Agent
    engine: Engine
    sessions: Registry
    admission: Admission


class Metrics:
    """The metrics of one device, in a registry of their own."""

    def __init__(self, agent: Agent, engine: Engine, sessions: Registry, admission: Admission) -> None:
        self._sources = _Sources(agent, engine, sessions, admission)
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        self._registry.register(_State(self._sources))
        self._rpcs = CounterMetric(
            "mlag_agent_rpcs", "rpcs by operation and result", ("operation", "result"), registry=self._registry
        )
        self._seconds = Histogram(
            "mlag_agent_rpc_seconds", "from the request to its reply", ("operation",), buckets=BUCKETS,
            registry=self._registry,
        )  # fmt: skip
        self._commits = CounterMetric(
            "mlag_agent_transactions", "changes of the running configuration", registry=self._registry
        )
        agent.transactor.published.append(self._applied)

    def _applied(self, change: ChangeSet) -> None:
        self._commits.inc()

    def observe(self, operation: str, result: str, seconds: float) -> None:
        """An operation has been answered; ``result`` is ``ok`` or the error-tag."""
        self._rpcs.labels(operation, result).inc()
        self._seconds.labels(operation).observe(seconds)

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)

    def health(self) -> tuple[bool, Mapping[str, Any]]:
        """Whether all is well, and what there is to say about it."""
        agent, engine = self._sources.agent, self._sources.engine.state()
        rollback = agent.commits.rollback_error
        healthy = not agent.transactor.out_of_sync and rollback is None
        return healthy, {
            "status": "ok" if healthy else "degraded",
            "version": __version__,
            "sessions": self._sources.admission.sessions,
            "out-of-sync": dict(agent.transactor.out_of_sync),
            "rollback-error": rollback,
            # A channel that is down is the configuration's or the peer's affair, no illness of the agent.
            "sync-channel": "up" if engine.channel.up else str(engine.channel.down_reason),
            "peer-link": "up" if engine.peer_link.up else "down",
        }


class MeasuredDispatcher(Dispatcher):
    """A dispatcher that takes the time of each operation."""

    def __init__(self, agent: Agent, metrics: Metrics) -> None:
        super().__init__(agent)
        self._metrics = metrics
        self._names = agent.library.tree.rpcs

    async def reply_to(self, session: Any, received: RpcReceived) -> tuple[bytes, Sequence[RpcError]]:
        """See :meth:`Dispatcher.reply_to`."""
        start = perf_counter()
        reply, errors = await super().reply_to(session, received)
        namespace, name = split_name(received.operation)
        known = (namespace, name) in self._names if namespace else any(local == name for _, local in self._names)
        result = str(errors[0].tag) if errors else "ok"
        self._metrics.observe(name if known else OTHER, result, perf_counter() - start)
        return reply, errors


class _State(Collector):
    """Reads the device when it is scraped."""

    def __init__(self, sources: _Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """All families."""
        yield from self._clients()
        yield from self._datastores()
        yield from self._channel()

    def _clients(self) -> Iterator[Metric]:
        sessions, admission = self._sources.sessions, self._sources.admission
        per_transport = Counter(session.transport for session in sessions)
        family = GaugeMetricFamily("mlag_agent_sessions", "open NETCONF sessions", labels=["transport"])
        for transport in ("netconf-ssh", "netconf-tls"):
            family.add_metric([transport], per_transport[transport])
        yield family
        family = GaugeMetricFamily("mlag_agent_connections", "TCP connections", labels=["state"])
        family.add_metric(["unauthenticated"], admission.unauthenticated)
        family.add_metric(["authenticated"], admission.connections - admission.unauthenticated)
        yield family
        for name, help_, value in (
            ("sessions_started", "sessions since the start", sessions.in_sessions),
            ("sessions_dropped", "sessions that ended neither by close-session nor kill-session",
             sessions.dropped_sessions),
            ("bad_hellos", "sessions ended for what came instead of a hello", sessions.in_bad_hellos),
            ("bad_rpcs", "messages that were no usable rpc", sessions.totals.in_bad_rpcs),
            ("notifications", "notifications sent", sessions.totals.out_notifications),
        ):  # fmt: skip
            yield CounterMetricFamily(f"mlag_agent_{name}", help_, value)
        refused = CounterMetricFamily("mlag_agent_refused", "clients refused, by the limit", labels=["limit"])
        for limit, count in sorted(admission.refused.items()):
            refused.add_metric([limit], count)
        yield refused
        lenient = CounterMetricFamily("mlag_agent_leniencies", "leniencies used (INTEROP)", labels=["leniency"])
        for leniency, count in sorted(sessions.leniencies.items()):
            lenient.add_metric([leniency], count)
        yield lenient
        queues = [len(session.outbox) for session in sessions]
        yield GaugeMetricFamily("mlag_agent_notification_queue", "notifications that wait, all sessions", sum(queues))
        yield GaugeMetricFamily(
            "mlag_agent_notification_queue_longest", "the same, of the slowest session", max(queues, default=0)
        )

    def _datastores(self) -> Iterator[Metric]:
        agent = self._sources.agent
        namespaces = agent.library.tree.namespaces
        family = GaugeMetricFamily("mlag_agent_datastore_bytes", "size as XML", labels=["datastore"])
        family.add_metric(["running"], len(encode_children(agent.stores.running, namespaces)))
        if agent.stores.startup is not None:
            family.add_metric(["startup"], len(encode_children(agent.stores.startup, namespaces)))
        yield family
        pending = agent.commits.pending is not None
        yield GaugeMetricFamily("mlag_agent_confirmed_commit_pending", "1 while one waits to be confirmed", pending)
        yield GaugeMetricFamily(
            "mlag_agent_out_of_sync", "subscribers that failed to apply a change", len(agent.transactor.out_of_sync)
        )

    def _channel(self) -> Iterator[Metric]:
        state = self._sources.engine.state()
        yield GaugeMetricFamily("mlag_agent_peer_link_up", "1 while hellos come", state.peer_link.up)
        yield GaugeMetricFamily("mlag_agent_sync_channel_up", "1 while it is established", state.channel.up)
        reason = GaugeMetricFamily("mlag_agent_sync_channel_down", "1 for the reason it is down", labels=["reason"])
        if state.channel.down_reason is not None:
            reason.add_metric([str(state.channel.down_reason)], 1)
        yield reason
        established = state.channel.established
        yield CounterMetricFamily("mlag_agent_sync_channel_established", "times it came up", established)
        entries = GaugeMetricFamily("mlag_agent_entries", "ARP and ND entries", labels=["type"])
        for table in state.tables:
            entries.add_metric([str(table.type)], table.entries)
        yield entries
        for name, help_ in (
            ("sent", "entries sent to the peer"),
            ("received", "entries received from the peer"),
            ("dropped_capacity", "entries of the peer that the table had no room for"),
        ):
            family = CounterMetricFamily(f"mlag_agent_entries_{name}", help_, labels=["type"])
            for entry in state.channel.statistics:
                family.add_metric([str(entry.type)], getattr(entry, name))
            yield family
