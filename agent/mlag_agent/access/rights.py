"""What one user may do: the decisions of RFC 8341 sections 3.4.4 to 3.4.6, and the pruning of what is read (3.2.4).

No I/O and no clock.  For each schema node and access operation the rules that can match are worked out once: what is
left to decide by key values is mostly nothing.  A subtree in which every node is permitted, or whose top is denied,
is not looked into, however many entries it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final
from weakref import WeakKeyDictionary

from mlag_agent.access.rules import ALL, USER, Access, Rule, RuleKind, RuleSet
from mlag_agent.data.tree import Chunk, Container, Keys, LeafList, ListNode, Node
from mlag_agent.schema.nodes import Kind, SchemaNode

__all__ = ["NOWHERE", "WRITING", "Decision", "Place", "Rights", "Uniform"]

Place = Mapping[SchemaNode, Keys]
"""Which entries an instance stands in: the keys by list node; of a leaf-list its value."""

NOWHERE: Final[Place] = {}

WRITING: Final = (Access.CREATE, Access.UPDATE, Access.DELETE)

NETCONF: Final = "ietf-netconf"
DENIED_UNLESS_PERMITTED: Final = frozenset({"kill-session", "delete-config"})
"""exec-default does not apply to them (RFC 8341 sections 3.2.7 and 3.2.10)."""

EVENTS_ABOUT_EVENTS: Final = frozenset({"replayComplete", "notificationComplete"})
"""Of RFC 5277, always permitted (RFC 8341 section 3.4.6, step 3)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes or no, and the rule or default that says so, in words."""

    permit: bool
    why: str


class Uniform(Enum):
    """What holds for a node and all below it."""

    PERMIT = "permit"
    DENY = "deny"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class _Plan:
    """Rules that match when their predicates do, in order, and what holds when none does."""

    conditional: tuple[Rule, ...]
    otherwise: Decision


class Rights:
    """The rights of a user who is in some groups, under one set of rules."""

    def __init__(self, rules: RuleSet, user: str, groups: frozenset[str]) -> None:
        """``groups``: all that the user is in (``RuleSet.groups_of``)."""
        self._rules = rules
        self._user = user
        self.groups = groups
        self._matching: tuple[Rule, ...] = ()
        if self.groups:  # without a group no rule applies, not even one for "*" (section 3.4.5, step 4)
            self._matching = tuple(
                rule
                for rules_of_list in rules.rule_lists
                if ALL in rules_of_list.groups or not self.groups.isdisjoint(rules_of_list.groups)
                for rule in rules_of_list.rules
            )
        self._plans: dict[tuple[SchemaNode, Access], _Plan] = {}
        self._uniform: dict[tuple[SchemaNode, Access], Uniform] = {}
        self._pruned: WeakKeyDictionary[Chunk, Chunk | _Nothing] = WeakKeyDictionary()
        self.unrestricted = self._may_everything()
        """Whether every request is permitted, so that nothing need be worked out."""

    def _may_everything(self) -> bool:
        if not self._rules.enabled:
            return True
        missing = set(Access)
        for rule in self._matching:
            if not rule.permit:
                return False
            if rule.kind is RuleKind.ANY and rule.module == ALL:
                missing -= rule.operations
                if not missing:
                    return True
        return False

    # --- protocol operations, section 3.4.4 ---------------------------------------------------------------

    def operation(self, node: SchemaNode) -> Decision:
        """Whether an rpc may be executed; ``close-session`` always."""
        module, name = node.module.name, node.name
        if module == NETCONF and name == "close-session":
            return Decision(True, "close-session is always permitted")
        found = self._named(Access.EXEC, RuleKind.OPERATION, module, name)
        if found is not None:
            return found
        if node.deny_all:
            return self._default(False, "the operation is nacm:default-deny-all")
        if module == NETCONF and name in DENIED_UNLESS_PERMITTED:
            return self._default(False, f"{name} needs a rule that permits it")
        return self._default(self._rules.exec_default, "exec-default")

    def notification(self, node: SchemaNode) -> Decision:
        """Whether a top-level notification may be received (section 3.4.6)."""
        if node.name in EVENTS_ABOUT_EVENTS:
            return Decision(True, f"{node.name} is always permitted")
        found = self._named(Access.READ, RuleKind.NOTIFICATION, node.module.name, node.name)
        if found is not None:
            return found
        if node.deny_all:
            return self._default(False, "the notification is nacm:default-deny-all")
        return self._default(self._rules.read_default, "read-default")

    def _named(self, access: Access, kind: RuleKind, module: str, name: str) -> Decision | None:
        for rule in self._matching:
            if access not in rule.operations or rule.module not in (ALL, module):
                continue
            if rule.kind is RuleKind.ANY or (rule.kind is kind and rule.target in (ALL, name)):
                return Decision(rule.permit, str(rule))
        return None

    def _default(self, permit: bool, why: str) -> Decision:
        who = "no rule matches" if self.groups else "the user is in no group, so no rule matches"
        if why.endswith("-default"):
            why += " is permit" if permit else " is deny"
        return Decision(permit, f"{who}, and {why}")

    # --- data nodes, section 3.4.5 ------------------------------------------------------------------------

    def decide(self, access: Access, node: SchemaNode, place: Place = NOWHERE) -> Decision:
        """Whether one instance of a data node, or an action or notification in one, may be accessed."""
        plan = self._plan(node, access)
        for rule in plan.conditional:
            if self._holds(rule, place):
                return Decision(rule.permit, str(rule))
        return plan.otherwise

    def _plan(self, node: SchemaNode, access: Access) -> _Plan:
        found = self._plans.get((node, access))
        if found is None:
            found = self._plans[(node, access)] = self._planned(node, access)
        return found

    def _planned(self, node: SchemaNode, access: Access) -> _Plan:
        line = set(_upwards(node))
        conditional: list[Rule] = []
        for rule in self._matching:
            if access not in rule.operations or rule.module not in (ALL, node.module.name):
                continue
            if rule.kind is RuleKind.DATA:
                if rule.node is not None and rule.node not in line:
                    continue
                if rule.steps:
                    conditional.append(rule)
                    continue
            elif rule.kind is not RuleKind.ANY:
                continue
            return _Plan(tuple(conditional), Decision(rule.permit, str(rule)))
        return _Plan(tuple(conditional), self._node_default(node, access))

    def _node_default(self, node: SchemaNode, access: Access) -> Decision:
        if node.deny_all:
            return self._default(False, "the node is nacm:default-deny-all")
        if access in WRITING:
            if node.deny_write:
                return self._default(False, "the node is nacm:default-deny-write")
            return self._default(self._rules.write_default, "write-default")
        if access is Access.READ:
            return self._default(self._rules.read_default, "read-default")
        return self._default(self._rules.exec_default, "exec-default")

    def _holds(self, rule: Rule, place: Place) -> bool:
        for step in rule.steps:
            keys = place.get(step.node)
            if keys is None:
                return False
            if step.node.kind is Kind.LEAF_LIST:
                own = dict.fromkeys((step.node,), keys[0])
            else:
                own = dict(zip(step.node.key_nodes, keys, strict=True))
            for key, wanted in step.keys:
                if own.get(key) != (self._user if wanted == USER else wanted):
                    return False
        return True

    def uniform(self, access: Access, node: SchemaNode) -> Uniform:
        """What holds for every instance of a node and of all data nodes below it.

        A node that is denied hides what is below (section 3.2.4), so for READ its own decision is enough.  To write, a
        container without presence needs no right of its own (docs/decisions/044-nacm.md).
        """
        found = self._uniform.get((node, access))
        if found is None:
            found = self._uniform[(node, access)] = self._uniformity(access, node)
        return found

    def _uniformity(self, access: Access, node: SchemaNode) -> Uniform:
        verdicts: set[Uniform] = set()
        if node.kind is not Kind.ROOT and not (access in WRITING and structural(node)):
            plan = self._plan(node, access)
            if plan.conditional:
                return Uniform.MIXED
            if access is Access.READ and not plan.otherwise.permit:
                return Uniform.DENY
            verdicts.add(Uniform.PERMIT if plan.otherwise.permit else Uniform.DENY)
        for child in node.children.values():
            verdicts.add(self.uniform(access, child))
            if len(verdicts) > 1 or Uniform.MIXED in verdicts:
                return Uniform.MIXED
        return verdicts.pop() if verdicts else Uniform.PERMIT

    # --- reading, section 3.2.4 -----------------------------------------------------------------------------

    def readable(self, root: Container) -> Container:
        """The tree without what may not be read; what is permitted as a whole is the same object as before."""
        if self.unrestricted or self.uniform(Access.READ, root.schema) is Uniform.PERMIT:
            return root
        return self._children(root, {}, within_list=False)

    def _children(self, holder: Container, place: dict[SchemaNode, Keys], *, within_list: bool) -> Container:
        kept: dict[SchemaNode, Node] = {}
        same = True
        for node, value in holder.children.items():
            part = self._part(node, value, place, within_list=within_list)
            same = same and part is value
            if part is not None:
                kept[node] = part
        return holder if same else Container(holder.schema, kept)

    def _part(self, node: SchemaNode, value: Node, place: dict[SchemaNode, Keys], *, within_list: bool) -> Node | None:
        uniform = self.uniform(Access.READ, node)
        if uniform is not Uniform.MIXED:
            return value if uniform is Uniform.PERMIT else None
        if isinstance(value, ListNode):
            return self._list(value, place, within_list=within_list)
        if isinstance(value, LeafList):
            mine = [item for item in value.values if self.decide(Access.READ, node, {**place, node: (item,)}).permit]
            return value if len(mine) == len(value.values) else LeafList(node, mine) if mine else None
        if not self.decide(Access.READ, node, place).permit:
            return None
        if not isinstance(value, Container):
            return value
        part = self._children(value, place, within_list=within_list)
        return part if part.children or node.presence or part is value else None

    def _list(self, value: ListNode, place: dict[SchemaNode, Keys], *, within_list: bool) -> ListNode | None:
        """Chunk by chunk; below no other entry, what becomes of a chunk is remembered as long as the chunk lives."""
        kept: list[Chunk] = []
        same = True
        for chunk in value.chunks:
            part = self._chunk(chunk, value.schema, place) if within_list else self._remembered(chunk, value.schema)
            same = same and part is chunk
            if part is not None:
                kept.append(part)
        if same:
            return value
        return ListNode(value.schema, kept) if kept else None

    def _remembered(self, chunk: Chunk, schema: SchemaNode) -> Chunk | None:
        found = self._pruned.get(chunk)
        if found is None:
            part = self._chunk(chunk, schema, {})
            # A chunk that stays as it is must not keep itself alive as its own value.
            self._pruned[chunk] = _ALL if part is chunk else _NONE if part is None else part
            return part
        return chunk if found is _ALL else None if found is _NONE else found  # type: ignore[return-value]

    def _chunk(self, chunk: Chunk, schema: SchemaNode, place: dict[SchemaNode, Keys]) -> Chunk | None:
        parts = [self._entry(entry, schema, place) for entry in chunk.entries]
        if all(part is entry for part, entry in zip(parts, chunk.entries, strict=True)):
            return chunk
        rows = [(part, key) for part, key in zip(parts, chunk.order, strict=True) if part is not None]
        return Chunk(tuple(part for part, _ in rows), tuple(key for _, key in rows)) if rows else None

    def _entry(self, entry: Container, schema: SchemaNode, place: dict[SchemaNode, Keys]) -> Container | None:
        """An entry one of whose keys may not be read is not shown: without its keys it would be no YANG data."""
        here = {**place, schema: entry.keys} if schema.keys else place
        if not self.decide(Access.READ, schema, here).permit:
            return None
        if not all(self.decide(Access.READ, key, here).permit for key in schema.key_nodes):
            return None
        return self._children(entry, here, within_list=True)

    def reads(self, line: Sequence[SchemaNode], place: Place) -> bool:
        """Whether an instance can be seen: it and all that it stands in may be read.  ``line``: from the top down."""
        return self.unrestricted or all(self.decide(Access.READ, node, place).permit for node in line)

    # --- writing, section 3.2.5 -------------------------------------------------------------------------------

    def refused(
        self, access: Access, node: SchemaNode, value: Node, place: Place
    ) -> Iterator[tuple[SchemaNode, Place, Decision]]:
        """The first instance in each branch of a subtree that may not be created, or deleted, as it would be.

        ``value`` is all instances of ``node`` that come or go: of a list or leaf-list there may be several.
        """
        uniform = self.uniform(access, node)
        if uniform is Uniform.PERMIT:
            return
        for here, holder in _instances(node, value, place):
            if not structural(node):
                decision = self.decide(access, node, here)
                if not decision.permit:
                    yield node, here, decision
                    if uniform is Uniform.DENY:
                        return
                    continue
            if holder is not None:
                for child, below in holder.children.items():
                    yield from self.refused(access, child, below, here)

    def may_write_somewhere(self, node: SchemaNode) -> bool:
        """Whether some rule or default permits to create, update or delete an instance of the node."""
        plans = [self._plan(node, access) for access in WRITING]
        return any(plan.otherwise.permit or any(rule.permit for rule in plan.conditional) for plan in plans)


class _Nothing(Enum):
    """What a chunk becomes, when it is no other chunk."""

    ALL = "all of it"
    NONE = "nothing of it"


_ALL, _NONE = _Nothing.ALL, _Nothing.NONE


def structural(node: SchemaNode) -> bool:
    """A container without presence: it has no meaning of its own and is there with its content (RFC 7950 7.5.1)."""
    return node.kind is Kind.CONTAINER and not node.presence


def _upwards(node: SchemaNode) -> Iterable[SchemaNode]:
    step: SchemaNode | None = node
    while step is not None and step.kind is not Kind.ROOT:
        yield step
        step = step.parent


def _instances(node: SchemaNode, value: Node, place: Place) -> Iterator[tuple[Place, Container | None]]:
    """Each instance: where it is, and the container that it is, if it is one."""
    if isinstance(value, ListNode):
        for entry in value:
            yield ({**place, node: entry.keys} if node.keys else place), entry
    elif isinstance(value, LeafList):
        for item in value.values:
            yield {**place, node: (item,)}, None
    elif isinstance(value, Container):
        yield ({**place, node: value.keys} if node.keys else place), value
    else:
        yield place, None
