"""ietf-netconf-acm: rules of running come into force when committed; counters and ready-made rules are state."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from mlag_agent.access.control import AccessControl
from mlag_agent.access.levels import level_rule_lists
from mlag_agent.access.rules import MODULE, BadPathError, RuleSet, read_rules
from mlag_agent.data.build import Selection, build
from mlag_agent.data.tree import Container, ListNode
from mlag_agent.datastore.subscriber import ChangeSet
from mlag_agent.errors import ApplyRefused, ErrorTag, RpcError
from mlag_agent.features.base import SYSTEM, Agent, Feature, StatePart, StateProvider
from mlag_agent.schema.nodes import ModuleRequest, SchemaTree

__all__ = ["NACM", "RuleSubscriber", "feature", "make_access_control"]

NACM = f"/{MODULE}:nacm"

_LOG = logging.getLogger(__name__)


def ready_made(tree: SchemaTree) -> Container:
    """The rule-lists of the user levels, as data of ``/nacm``."""
    return build(tree.find(NACM), {"rule-list": level_rule_lists(tree)})


def make_access_control(
    tree: SchemaTree, *, enforced: bool, recovery: frozenset[str], groups_of: Callable[[str], frozenset[str]]
) -> AccessControl:
    """Access control with the rules that hold while nothing is configured (RFC 8341 section 3.4.1)."""
    rules = read_rules(None, tree, ready_made(tree))
    return AccessControl(tree, rules, enforced=enforced, recovery=recovery, groups_of=groups_of)


def _configured(root: Container) -> Container | None:
    found = root.named("nacm")
    return found if isinstance(found, Container) else None


class RuleSubscriber:
    """Rules are read in ``prepare``, which refuses what cannot be used, and are in force when running is swapped."""

    name: str = "access control"
    paths: tuple[str, ...] = (NACM,)

    def __init__(self, control: AccessControl, tree: SchemaTree) -> None:
        self._control = control
        self._tree = tree
        self._ready_made = ready_made(tree)
        self._committed: RuleSet | None = None

    async def prepare(self, change: ChangeSet) -> RuleSet:
        """Raises ApplyRefused for a path that names no node."""
        nacm = _configured(change.new)
        try:
            return read_rules(nacm, self._tree, self._ready_made)
        except BadPathError as problem:
            if change.restoring:  # it was in force before, perhaps with more modules: a start must not fail by it
                _LOG.warning("access control: %s; the rule matches nothing", problem)
                return read_rules(nacm, self._tree, self._ready_made, lenient=True)
            raise ApplyRefused(RpcError(ErrorTag.INVALID_VALUE, str(problem), path=NACM)) from problem

    async def commit(self, plan: RuleSet) -> None:
        """Nothing can fail any more; the rules wait for running."""
        self._committed = plan

    async def abort(self, plan: RuleSet) -> None:
        """The rules before are still in force."""
        self._committed = None

    def applied(self, change: ChangeSet) -> None:
        """The transaction is through (``Transactor.published``): from now on these rules count."""
        if self._committed is not None:
            self._control.rules = self._committed
            self._committed = None


def feature() -> Feature:
    """The module, served whether its rules are enforced or not."""
    return Feature(
        name="nacm",
        modules=(ModuleRequest(MODULE),),
        state=(StateProvider(NACM, _state),),
        state_sources=(_ready_made_lists,),
    )


def _state(agent: Agent) -> Mapping[str, Any]:
    control = agent.access
    return {
        # The setting that turns access control off is stronger than what is configured.
        "enable-nacm": None if control.active else False,
        "denied-operations": control.denied_operations % 2**32,
        "denied-data-writes": control.denied_data_writes % 2**32,
        "denied-notifications": control.denied_notifications % 2**32,
    }


def _ready_made_lists(agent: Agent, wanted: Selection) -> Iterable[StatePart]:
    """Those that no configured one of the same name stands for."""
    tree = agent.library.tree
    top = tree.find(NACM)
    if wanted.below(top) is None:
        return
    rules = _ready_made_once(tree)
    nacm = _configured(agent.stores.running)
    mine = {entry.keys for entry in nacm.entries("rule-list")} if nacm is not None else set()
    if mine:
        lists = rules.schema.child("rule-list")
        assert lists is not None
        kept = [entry for entry in rules.entries("rule-list") if entry.keys not in mine]
        rules = Container(top, {lists: ListNode.of(lists, kept)} if kept else {})
    if rules.children:
        yield StatePart(SYSTEM, Container(tree.data, {top: rules}))


_ready_made_once = lru_cache(maxsize=8)(ready_made)  # for each schema: its bytes are kept with it
