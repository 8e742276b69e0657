"""Filters on events: the event is sent whole when the filter selects anything of it (RFC 8639 section 2.2)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from lxml import etree

from mlag_agent.data.events import read_event
from mlag_agent.data.filter import SubtreeFilter
from mlag_agent.data.instance import InstanceTree
from mlag_agent.data.lexical import matching_text
from mlag_agent.data.tree import Container
from mlag_agent.data.xpath import Budget, Compiled, Evaluation, Expressions, Scope, TooCostlyError, XPathError
from mlag_agent.features.base import Agent
from mlag_agent.features.delivery import Accepts
from mlag_agent.notify.notification import Notification
from mlag_agent.schema.library import SchemaLibrary

__all__ = ["event_root", "subtree", "xpath"]

_LOG = logging.getLogger(__name__)

STEPS = 5_000
"""Nodes that an expression may look at for one event: some 5 ms.  The largest event of this server has a thousand."""


def event_root(library: SchemaLibrary, notification: Notification) -> Container:
    """The root above the event, made once for all who filter it."""
    found = notification.tree
    if not isinstance(found, Container):
        found = notification.tree = read_event(notification.element, library.events)
    return found


def subtree(library: SchemaLibrary, elements: Iterable[etree._Element]) -> Accepts:
    """RFC 6241 section 6 on the content of the notification; no elements: nothing is selected (section 6.4.2)."""
    compiled = SubtreeFilter.compile(elements, library.events, matching_text)

    def accepts(notification: Notification) -> bool:
        return bool(compiled.apply(event_root(library, notification)).children)

    return accepts


def xpath(agent: Agent, text: str, prefixes: Mapping[str, str], *, implemented: bool) -> tuple[Accepts, frozenset[str]]:
    """An expression on the content of the notification, whose value counts as a boolean (RFC 8639 section 2.2).

    Returns the names without a prefix that it has as well.  ``implemented``: the names of the server's modules are
    prefixes too.  Raises XPathError for what is no expression.
    """
    library = agent.library
    expressions = Expressions(library.events, agent.expressions.canonical, agent.expressions.matches)
    known = dict(library.tree.namespaces) if implemented else {}
    compiled = Compiled(text, Scope({**known, **prefixes}, None, library.tree.namespaces), library.events)

    def accepts(notification: Notification) -> bool:
        tree = InstanceTree(event_root(library, notification))
        try:
            run = Evaluation(compiled, expressions, Budget(STEPS), tree.root)
            return run.boolean(run.run())
        except (XPathError, TooCostlyError) as problem:
            _LOG.warning("the filter %r cannot be evaluated on %r, which is left out: %s", text, notification, problem)
            return False

    return accepts, compiled.unprefixed
