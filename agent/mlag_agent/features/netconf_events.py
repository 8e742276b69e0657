"""NETCONF base notifications (RFC 6470): what happens to the server itself.

Each is published when what it tells of is in force, and worked out only when somebody may hear of it.
netconf-capability-change is never sent: the capabilities of an agent are those of its settings and modules, and do not
change while it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from ipaddress import ip_address
from itertools import islice
from typing import Any, Protocol

from mlag_agent.data.diff import Change, changes
from mlag_agent.data.path import quoted
from mlag_agent.data.tree import Container, LeafList
from mlag_agent.datastore.confirmed import ConfirmEvent
from mlag_agent.datastore.stores import Datastore
from mlag_agent.datastore.subscriber import Actor, ChangeSet
from mlag_agent.features.base import Agent, Feature
from mlag_agent.features.events import publish
from mlag_agent.schema.engine import prefixed_path
from mlag_agent.schema.library import ModuleRequest
from mlag_agent.schema.nodes import Kind

__all__ = ["FEATURE", "MAX_EDITS", "NetconfEvents", "SessionWatch", "Termination", "edits"]

MODULE = "ietf-netconf-notifications"

MAX_EDITS = 200
"""Edits that one netconf-config-change lists: some 30 kB.  More are put together by what stands above them."""

FEATURE = Feature(name=MODULE, modules=(ModuleRequest(MODULE),))


class Termination(StrEnum):
    """``termination-reason`` of netconf-session-end."""

    CLOSED = "closed"
    KILLED = "killed"
    DROPPED = "dropped"
    TIMEOUT = "timeout"
    BAD_HELLO = "bad-hello"
    OTHER = "other"


class SessionWatch(Protocol):
    """Hears of sessions."""

    def started(self, session: Actor) -> None:
        """Hellos have been exchanged."""

    def ended(self, session: Actor, why: Termination, killed_by: int | None) -> None:
        """It holds nothing of the server any more; it may not have come as far as the hellos."""


class NetconfEvents:
    """Publishes them for one agent, from ``attach`` on."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def attach(self) -> None:
        """Listen to transactions and confirmed commits."""
        self._agent.transactor.published.append(self.running_changed)
        self._agent.startup_changed.append(self.startup_changed)
        self._agent.commits.told.append(self.confirmed_commit)

    # --- configuration (RFC 6470 section 2.2, netconf-config-change) -------------------------------------

    def running_changed(self, change: ChangeSet) -> None:
        """Running has changed."""
        self._config_change(Datastore.RUNNING, change.by, change.changes)

    def startup_changed(self, old: Container, new: Container, by: Actor | None) -> None:
        """Startup has been replaced."""
        if self._agent.notifier.wanted():
            self._config_change(Datastore.STARTUP, by, tuple(changes(old, new)))

    def _config_change(self, datastore: Datastore, by: Actor | None, found: Sequence[Change]) -> None:
        if not self._agent.notifier.wanted() or not found:
            return
        changed_by = {"server": ""} if by is None else _session(by)

        def values() -> Mapping[str, Any]:
            return {"changed-by": changed_by, "datastore": datastore, "edit": edits(found)}

        publish(self._agent, f"{MODULE}:netconf-config-change", values)

    # --- confirmed commits ------------------------------------------------------------------------------

    def confirmed_commit(self, event: ConfirmEvent) -> None:
        """netconf-confirmed-commit."""
        session = {} if event.by is None else _session(event.by)
        values = {**session, "confirm-event": event.step, "timeout": event.timeout}
        publish(self._agent, f"{MODULE}:netconf-confirmed-commit", values)

    # --- sessions ---------------------------------------------------------------------------------------

    def started(self, session: Actor) -> None:
        """netconf-session-start."""
        publish(self._agent, f"{MODULE}:netconf-session-start", _session(session))

    def ended(self, session: Actor, why: Termination, killed_by: int | None) -> None:
        """netconf-session-end."""
        values = {**_session(session), "termination-reason": why}
        if why is Termination.KILLED:
            values["killed-by"] = killed_by
        publish(self._agent, f"{MODULE}:netconf-session-end", values)


def _session(actor: Actor) -> dict[str, Any]:
    """``common-session-parms``."""
    found: dict[str, Any] = {"username": actor.username, "session-id": actor.session_id}
    with suppress(ValueError):  # a name, or a socket without addresses: the leaf is an optional ip-address
        found["source-host"] = ip_address(actor.source_host)
    return found


def edits(found: Sequence[Change], limit: int = MAX_EDITS) -> Sequence[Mapping[str, Any]]:
    """The ``edit`` entries for some changes, at most ``limit``.

    Where there are more, those that are deepest are put together as one ``merge`` of the node above them, which the
    module allows.
    """
    rows = list(islice(_each(found), limit + 1))
    if len(rows) > limit:
        rows = _together(dict(_each(found)), limit)
    # The datastore itself has no instance-identifier: the target is left out.
    return [{"target": prefixed_path(target) or None, "operation": operation} for target, operation in rows]


def _each(found: Iterable[Change]) -> Iterator[tuple[str, str]]:
    """Target and operation of every edit; a whole list or leaf-list has no instance-identifier."""
    for change in found:
        if change.schema.kind is Kind.LEAF_LIST and not change.schema.secret:
            old, new = (
                dict.fromkeys(node.values) if isinstance(node, LeafList) else {} for node in (change.old, change.new)
            )
            yield from ((_value(change.path, value), "delete") for value in old if value not in new)
            yield from ((_value(change.path, value), "create") for value in new if value not in old)
            if old.keys() != new.keys():
                continue
        elif change.schema.kind not in (Kind.LIST, Kind.LEAF_LIST) or change.path.endswith("]"):
            yield change.path, change.kind
            continue
        # An order by the user has changed, or values that must not be told: what stands above them.
        yield "".join(_steps(change.path)[:-1]), "merge"


def _value(path: str, value: str) -> str:
    return f"{path}[.={quoted(value)}]"


def _together(by_target: Mapping[str, str], limit: int) -> list[tuple[str, str]]:
    """The deepest ones become a merge of what stands above them until there are few enough."""
    by_steps = {tuple(_steps(target)): operation for target, operation in by_target.items()}
    while len(by_steps) > limit:
        deepest = max(map(len, by_steps))
        shorter: dict[tuple[str, ...], str] = {}
        for steps, operation in by_steps.items():
            if len(steps) == deepest:
                shorter[steps[:-1]] = "merge"
            else:
                shorter.setdefault(steps, operation)
        by_steps = shorter
    return [("".join(steps), operation) for steps, operation in by_steps.items()]


def _steps(path: str) -> Sequence[str]:
    """The steps of an instance path, each with its slash; slashes in predicates belong to values."""
    steps: list[str] = []
    start, quote = 0, ""
    for at, char in enumerate(path):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "/" and at:
            steps.append(path[start:at])
            start = at
    if path not in ("", "/"):
        steps.append(path[start:])
    return steps
