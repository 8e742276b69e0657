"""What an edit takes away without being asked to: nodes whose ``when`` it makes false (RFC 7950 section 8.3.2).

Only conditions that read something that has changed are evaluated, in the list entries in which it has.  What the
edit itself sets where it may not be stays, for validation to refuse (section 8.3.1); so does what could not be there
before either, since a candidate may be built in steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias, cast

from mlag_agent.data.defaults import CONDITION_STEPS, Defaults, DefaultsTree, Mode
from mlag_agent.data.diff import both, pairs, same_order
from mlag_agent.data.instance import InstanceNode
from mlag_agent.data.tree import Container, Keys, LeafList, ListNode, Node, same
from mlag_agent.data.xpath import Budget, TooCostlyError
from mlag_agent.schema.nodes import Kind, SchemaNode, When
from mlag_agent.schema.triggers import Conditional, Conditions

__all__ = ["MAX_ROUNDS", "Excluded", "without_excluded"]

MAX_ROUNDS = 64
"""What goes may make another condition false: modules have chains of two or three.  The rest of a longer one stays, and
is refused by validation."""

Place: TypeAlias = tuple[tuple[SchemaNode, Keys], ...]
"""Steps from the root; keys of an entry, the value of one of a leaf-list, else empty."""


def without_excluded(before: Container, after: Container, conditions: Conditions, defaults: Defaults) -> Container:
    """``after`` without the nodes, there before, whose conditions held in ``before`` and do not any more."""
    if after is before or not conditions.watched:
        return after
    old = _Accessible(before, defaults)
    since, now = before, after
    for _ in range(MAX_ROUNDS):
        affected = _Affected(conditions, since, now)
        if not affected.found:
            return now
        gone = _Judge(old, _Accessible(now, defaults), defaults).gone(affected.found)
        if not gone:
            return now
        since, now = now, _pruned(now, gone)
    return now


class Excluded:
    """Tells of nodes of ``before``, which ``after`` has not, whether they had to go: for access control."""

    def __init__(self, before: Container, after: Container, defaults: Defaults) -> None:
        self._old = _Accessible(before, defaults)
        self._new = _Accessible(after, defaults)

    def __call__(self, node: SchemaNode, keys: Mapping[SchemaNode, Keys]) -> bool:
        """Whether a condition of the node, or of one above it, held and does not any more; ``keys``: of each list."""
        way: list[SchemaNode] = []
        while node.parent is not None:
            way.insert(0, node)
            node = node.parent
        old: InstanceNode | None = self._old.root
        new: InstanceNode | None = self._new.root
        for schema in way:
            if old is None or new is None:
                return False
            try:
                if schema.whens and self._old.allows(old, schema) and not self._new.allows(new, schema):
                    return True
            except TooCostlyError:
                return False
            old, new = _below(old, schema, keys), _below(new, schema, keys)
        return False


def _below(node: InstanceNode, schema: SchemaNode, keys: Mapping[SchemaNode, Keys]) -> InstanceNode | None:
    if schema.kind is Kind.LIST:
        return node.entry(schema, keys[schema]) if schema in keys else None
    return next(iter(node.named(schema)), None)


class _Accessible(DefaultsTree):
    """The accessible tree (RFC 7950 section 6.4.1): with defaults in use, and containers without presence."""

    def __init__(self, root: Container, defaults: Defaults) -> None:
        super().__init__(root, defaults, Mode.REPORT_ALL, config_only=True)
        self._implied: dict[tuple[InstanceNode, SchemaNode], Node | None] = {}

    def allows(self, node: InstanceNode, schema: SchemaNode) -> bool:
        """Whether the conditions of a child hold."""
        return self._conditions_hold(node, schema)

    def child(self, node: InstanceNode, schema: SchemaNode) -> Node | None:
        """An empty container where there is nothing in one that needs no presence."""
        found = super().child(node, schema)
        if found is not None or schema.kind is not Kind.CONTAINER or schema.presence or not schema.config:
            return found
        key = (node, schema)
        if key not in self._implied:
            self._implied[key] = None  # as DefaultsTree does it, for a condition that asks for the node itself
            if self._case_in_use(node, schema) and self._conditions_hold(node, schema):
                self._implied[key] = Container(schema, {})
        return self._implied[key]

    def present(self, node: InstanceNode) -> Sequence[SchemaNode]:
        """With these containers."""
        found = super().present(node)
        more = [
            schema
            for schema in node.schema.children.values()
            if schema.kind is Kind.CONTAINER and schema not in found and self.child(node, schema) is not None
        ]
        return sorted((*found, *more), key=lambda schema: schema.position) if more else found


class _Affected:
    """``found``: which conditions to evaluate below which instances of their anchors."""

    def __init__(self, conditions: Conditions, old: Container, new: Container) -> None:
        self._conditions = conditions
        self.found: list[tuple[Conditional, Place]] = []
        self._container(old, new, ())

    def _container(self, old: Container, new: Container, place: Place) -> set[SchemaNode]:
        """What has changed of what conditions read."""
        touched: set[SchemaNode] = set()
        before, after = old._children, new._children  # without a read-only view for each entry
        for node in both(before, after):
            watched = self._conditions.watched.get(node)
            was, now = before.get(node), after.get(node)
            if watched is not None and was is not now:
                touched |= self._node(node, was, now, place, watched)
        for conditional in self._conditions.by_anchor.get(old.schema, ()):
            if not touched.isdisjoint(conditional.reads):
                self.found.append((conditional, place))
        return touched

    def _node(
        self, node: SchemaNode, was: Node | None, now: Node | None, place: Place, watched: frozenset[SchemaNode]
    ) -> set[SchemaNode]:
        if isinstance(was, Container) and isinstance(now, Container):
            return self._container(was, now, (*place, (node, ())))
        touched: set[SchemaNode] = set()
        if isinstance(was, ListNode) and isinstance(now, ListNode):
            if node.user_ordered and not same_order(was, now):
                touched |= watched  # an expression may count on the order
            for keys, one, other in pairs(was, now):
                if one is None or other is None:
                    touched |= watched
                else:
                    touched |= self._container(one, other, (*place, (node, keys)))
        elif not same(was, now):
            touched |= watched
        return touched


class _Judge:
    """Evaluates conditions before and after."""

    def __init__(self, old: _Accessible, new: _Accessible, defaults: Defaults) -> None:
        self._old = old
        self._new = new
        self._expressions = defaults.expressions
        self._known: dict[tuple[When, InstanceNode], bool] = {}

    def gone(self, affected: Sequence[tuple[Conditional, Place]]) -> list[Place]:
        """The nodes to take away."""
        return [
            _place(now)
            for conditional, place in affected
            for was, now in self._instances(conditional, place)
            if not self._hold(now) and self._hold(was) and not _adds(was.value, now.value)
        ]

    def _instances(self, conditional: Conditional, place: Place) -> Iterator[tuple[InstanceNode, InstanceNode]]:
        old, new = _at(self._old.root, place), _at(self._new.root, place)
        if old is None or new is None:
            return
        way: list[SchemaNode] = []
        node = conditional.node
        while node is not conditional.anchor:
            way.insert(0, node)
            assert node.parent is not None
            node = node.parent
        yield from _both(old, new, way)

    def _hold(self, node: InstanceNode) -> bool:
        """Whether all its conditions are true; one that is too costly to tell is left to validation."""
        assert node.parent is not None
        for when in node.schema.whens:
            key = (when, node if when.own else node.parent)
            if key not in self._known:
                try:
                    self._known[key] = self._expressions.holds(when.expression, key[1], Budget(CONDITION_STEPS))
                except TooCostlyError:
                    self._known[key] = True
            if not self._known[key]:
                return False
        return True


def _at(root: InstanceNode, place: Place) -> InstanceNode | None:
    here: InstanceNode | None = root
    for schema, keys in place:
        if here is None or cast("Container", here.value).get(schema) is None:
            return None
        here = here.entry(schema, keys) if schema.kind is Kind.LIST else here.named(schema)[0]
    return here


def _both(
    old: InstanceNode, new: InstanceNode, way: Sequence[SchemaNode]
) -> Iterator[tuple[InstanceNode, InstanceNode]]:
    """The instances at the end of the way that both have as data."""
    if not way:
        yield old, new
        return
    schema, rest = way[0], way[1:]
    was, now = cast("Container", old.value).get(schema), cast("Container", new.value).get(schema)
    if was is None or now is None:
        return
    if isinstance(now, ListNode):
        for entry in new.named(schema):
            other = old.entry(schema, cast("Container", entry.value).keys)
            if other is not None:
                yield from _both(other, entry, rest)
    elif isinstance(now, LeafList):
        known = {value.value: value for value in old.named(schema)}
        yield from ((known[each.value], each) for each in new.named(schema) if each.value in known)
    else:
        yield from _both(old.named(schema)[0], new.named(schema)[0], rest)


def _adds(was: Node, now: Node) -> bool:
    """Whether anything is in a node that was not before, or had another value."""
    if was is now:
        return False
    if isinstance(was, Container) and isinstance(now, Container):
        return any((mine := was.get(node)) is None or _adds(mine, value) for node, value in now._children.items())
    if isinstance(was, ListNode) and isinstance(now, ListNode):
        return any(
            after is not None and (before is None or _adds(before, after)) for _, before, after in pairs(was, now)
        )
    if isinstance(was, LeafList) and isinstance(now, LeafList):
        return not set(now.values) <= set(was.values)
    return not same(was, now)


def _place(node: InstanceNode) -> Place:
    steps: list[tuple[SchemaNode, Keys]] = []
    while node.parent is not None:
        keys: Keys = ()
        if node.schema.kind is Kind.LIST:
            keys = cast("Container", node.value).keys
        elif node.schema.kind is Kind.LEAF_LIST:
            keys = (cast("str", node.value),)
        steps.append((node.schema, keys))
        node = node.parent
    return tuple(reversed(steps))


class _Cut(dict[tuple[SchemaNode, Keys], "_Cut"]):
    """Steps below a node that lead to what goes; ``here``: all of it goes."""

    here = False


def _pruned(root: Container, gone: Sequence[Place]) -> Container:
    top = _Cut()
    for place in gone:
        cut = top
        for step in place:
            cut = cut.setdefault(step, _Cut())
        cut.here = True
    return _without(root, top)


def _without(container: Container, cuts: _Cut) -> Container:
    children: dict[SchemaNode, Node] = dict(container._children)
    by_node: dict[SchemaNode, dict[Keys, _Cut]] = {}
    for (node, keys), cut in cuts.items():
        by_node.setdefault(node, {})[keys] = cut
    for node, below in by_node.items():
        left = _left(node, children[node], below)
        if left is None:
            del children[node]
        else:
            children[node] = left
    return Container(container.schema, children)


def _left(node: SchemaNode, value: Node, below: Mapping[Keys, _Cut]) -> Node | None:
    """What stays of one child; containers without presence and without data are no data."""
    if isinstance(value, ListNode):
        changes = {keys: _entry(value, keys, cut) for keys, cut in below.items()}
        if not node.user_ordered:
            return value.updated(changes)
        rows = {entry.keys: changes.get(entry.keys, entry) for entry in value}
        kept = {keys: entry for keys, entry in rows.items() if entry is not None}
        return ListNode.keyed(node, kept) if kept else None
    if isinstance(value, LeafList):
        values = [each for each in value.values if (each,) not in below]
        return LeafList(node, values) if values else None
    cut = below[()]
    if cut.here:
        return None
    made = _without(cast("Container", value), cut)
    return made if made._children or node.presence else None


def _entry(value: ListNode, keys: Keys, cut: _Cut) -> Container | None:
    entry = value.get(keys)
    assert entry is not None
    return None if cut.here else _without(entry, cut)
