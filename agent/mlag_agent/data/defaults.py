"""Defaults in use (RFC 7950 sections 7.6.1, 7.7.2, 7.9.3), and the data as each mode of RFC 6243 shows it.

A datastore holds what was set; what is not there and has a default is added on the way out, where somebody looks: an
entry that a filter looks up costs the same in a list of ten as in one of fifty thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import cast

from mlag_agent.data.build import EVERYTHING, Selection
from mlag_agent.data.encode import leaf_element
from mlag_agent.data.instance import InstanceNode, InstanceTree
from mlag_agent.data.lexical import canonical_text
from mlag_agent.data.tree import Container, Default, LeafList, ListNode, Node
from mlag_agent.data.xpath import Budget, Expressions
from mlag_agent.schema.nodes import Choice, Kind, SchemaNode

__all__ = ["CanonicalValue", "Defaults", "DefaultsTree", "Mode"]

CanonicalValue = Callable[[SchemaNode, str, Callable[[], str]], str]
"""As ``schema.engine.SchemaEngine.canonical``."""

CONDITION_STEPS = 10_000_000
"""Nodes that one ``when`` may look at; those of the IETF's modules look at three."""


class Mode(StrEnum):
    """``with-defaults-mode`` of RFC 6243 section 3."""

    REPORT_ALL = "report-all"
    REPORT_ALL_TAGGED = "report-all-tagged"
    TRIM = "trim"
    EXPLICIT = "explicit"

    @property
    def adds(self) -> bool:
        """Whether defaults that nobody has set are shown."""
        return self in (Mode.REPORT_ALL, Mode.REPORT_ALL_TAGGED)


class Defaults:
    """What the schema says about defaults, worked out once for each schema node that is met."""

    def __init__(self, expressions: Expressions, canonical: CanonicalValue, namespaces: Mapping[str, str]) -> None:
        self.expressions = expressions
        self._canonical = canonical
        self._namespaces = namespaces
        self._candidates: dict[SchemaNode, tuple[SchemaNode, ...]] = {}
        self._holds: dict[SchemaNode, bool] = {}
        self._rivals: dict[SchemaNode, Mapping[Choice, tuple[SchemaNode, ...]]] = {}
        self._values: dict[SchemaNode, tuple[str, ...]] = {}

    def holds(self, schema: SchemaNode) -> bool:
        """Whether the node or anything below it has a default."""
        found = self._holds.get(schema)
        if found is None:
            found = bool(schema.defaults) or any(map(self.holds, schema.children.values()))
            self._holds[schema] = found
        return found

    def candidates(self, schema: SchemaNode) -> tuple[SchemaNode, ...]:
        """Children that may be there although nobody has set them."""
        found = self._candidates.get(schema)
        if found is None:
            found = self._candidates[schema] = tuple(
                child
                for child in schema.children.values()
                if child.defaults or (child.kind is Kind.CONTAINER and not child.presence and self.holds(child))
            )
        return found

    def rivals(self, schema: SchemaNode) -> Mapping[Choice, tuple[SchemaNode, ...]]:
        """The children of a node that stand in each choice."""
        found = self._rivals.get(schema)
        if found is None:
            by_choice: dict[Choice, list[SchemaNode]] = {}
            for child in schema.children.values():
                for case in child.cases:
                    by_choice.setdefault(case.choice, []).append(child)
            found = self._rivals[schema] = {choice: tuple(nodes) for choice, nodes in by_choice.items()}
        return found

    def values(self, schema: SchemaNode, parent: InstanceNode | None) -> tuple[str, ...]:
        """Default values in canonical form; ``parent`` is an instance that they would stand in, or None."""
        found = self._values.get(schema)
        if found is None:
            found = tuple(self._value(schema, text, parent) for text in schema.defaults)
            if parent is not None:
                self._values[schema] = found
        return found

    def _value(self, schema: SchemaNode, text: str, parent: InstanceNode | None) -> str:
        assert schema.type is not None
        known = canonical_text(schema.type, text)
        if known is not None or parent is None:
            return text if known is None else known
        return self._canonical(schema, text, lambda: self._document(schema, text, parent))

    def _document(self, schema: SchemaNode, text: str, parent: InstanceNode) -> str:
        """The value below its ancestors with their keys, for libyang to read."""
        document = leaf_element(schema, text, self._namespaces)
        here: InstanceNode | None = parent
        while here is not None and here.parent is not None:
            entry = cast("Container", here.value)
            keys = "".join(
                leaf_element(key, cast("str", entry.get(key)), self._namespaces) for key in here.schema.key_nodes
            )
            document = f"<{here.schema.head}>{keys}{document}{here.schema.closing}"
            here = here.parent
        return document


class DefaultsTree(InstanceTree):
    """A tree as a mode shows it.

    ``basic``: the server's basic mode, which says what counts as default data (RFC 6243 section 2) and so is tagged.
    ``config_only``: no defaults of state, which a configuration datastore has none of.
    """

    def __init__(
        self, root: Container, defaults: Defaults, mode: Mode, *, basic: Mode = Mode.EXPLICIT, config_only: bool
    ) -> None:
        super().__init__(root)
        self._defaults = defaults
        self._mode = mode
        self._config_only = config_only
        self._tagged = mode is Mode.REPORT_ALL_TAGGED and basic is not Mode.REPORT_ALL
        # By the trim mode a value that is the schema's default is default data, whoever has set it.
        self._tag_set = self._tagged and basic is Mode.TRIM
        self._compares = mode is Mode.TRIM or self._tag_set
        self._made: dict[tuple[InstanceNode, SchemaNode], Node | None] = {}

    # --- what InstanceTree asks -------------------------------------------------------------------------

    def child(self, node: InstanceNode, schema: SchemaNode) -> Node | None:
        """As set, or as the default has it; None in trim mode for what is as the default has it."""
        value = cast("Container", node.value).get(schema)
        if value is not None:
            if self._compares and schema.defaults:
                return self._compared(node, schema, value)
            return None if self._mode is Mode.TRIM and self._trimmed_away(node, schema, value) else value
        if not self._mode.adds or (self._config_only and not schema.config):
            return None
        if not schema.defaults and schema not in self._defaults.candidates(node.schema):
            return None
        key = (node, schema)
        if key not in self._made:
            self._made[key] = None  # while it is worked out, for a condition that asks for the node itself
            self._made[key] = self._default(node, schema)
        return self._made[key]

    def present(self, node: InstanceNode) -> Sequence[SchemaNode]:
        """Children that there are, by the mode."""
        children = cast("Container", node.value).children
        if self._compares and any(map(self._defaults.holds, children)):
            found = [schema for schema in children if self.child(node, schema) is not None]
        else:
            found = list(children)
        if not self._mode.adds:
            return found
        added = [
            schema
            for schema in self._defaults.candidates(node.schema)
            if schema not in children and self.child(node, schema) is not None
        ]
        return sorted((*found, *added), key=lambda schema: schema.position) if added else found

    def whole(self, node: InstanceNode) -> Node:
        """A node with all that the mode shows below it."""
        return self.part(node, EVERYTHING)

    def materialised(self, wanted: Selection) -> Container:
        """The data as a tree without a way up; what is not wanted may be left out."""
        return cast("Container", self.part(self.root, wanted))

    # --- materialising ----------------------------------------------------------------------------------

    def part(self, node: InstanceNode, wanted: Selection) -> Node:
        """A node as the mode shows it; what is not wanted may be left out."""
        value = node.value
        if not isinstance(value, Container) or (wanted is EVERYTHING and not self._defaults.holds(node.schema)):
            return value
        children: dict[SchemaNode, Node] = {}
        for schema in self.present(node):
            below = wanted if wanted is EVERYTHING else wanted.below(schema)
            if below is None:
                continue
            child = self.child(node, schema)
            assert child is not None
            if isinstance(child, Container):
                made = self.part(node.named(schema)[0], below)
                if schema.presence or cast("Container", made).children or wanted is not EVERYTHING:
                    children[schema] = made
            elif isinstance(child, ListNode):
                rows = self._rows(node, child, below)
                if rows is not None:
                    children[schema] = rows
            else:
                children[schema] = child
        return Container(node.schema, children)

    def _rows(self, node: InstanceNode, value: ListNode, wanted: Selection) -> ListNode | None:
        schema = value.schema
        keys = None if wanted is EVERYTHING else wanted.keys
        if keys is None:
            if wanted is EVERYTHING and not self._defaults.holds(schema):
                return value
            return ListNode.of(schema, [cast("Container", self.part(row, wanted)) for row in node.named(schema)])
        rows = []
        for each in keys:
            try:
                entry = node.entry(schema, each)
            except ValueError:  # no integer, where the key is one
                continue
            if entry is not None:
                rows.append(cast("Container", self.part(entry, wanted)))
        return ListNode.of(schema, rows) if rows else None

    # --- defaults in use --------------------------------------------------------------------------------

    def _compared(self, node: InstanceNode, schema: SchemaNode, value: Node) -> Node | None:
        """A value that is set, by modes that do not ask who has set it."""
        defaults = self._defaults.values(schema, node)
        if value != (LeafList(schema, defaults) if isinstance(value, LeafList) else defaults[0]):
            return value
        return self._marked(schema, defaults) if self._tag_set else None

    def _trimmed_away(self, node: InstanceNode, schema: SchemaNode, value: Node) -> bool:
        """Whether nothing is left of a container without presence."""
        if schema.kind is not Kind.CONTAINER or schema.presence or not self._defaults.holds(schema):
            return False
        return not self.present(InstanceNode(self, node, schema, value, (schema.position, 0, 0)))

    def _default(self, node: InstanceNode, schema: SchemaNode) -> Node | None:
        if not self._case_in_use(node, schema) or not self._conditions_hold(node, schema):
            return None
        if schema.kind is not Kind.CONTAINER:
            return self._marked(schema, self._defaults.values(schema, node))
        # A container without presence is there when something in it is.
        made = Container(schema, {})
        inside = InstanceNode(self, node, schema, made, (schema.position, 0, 0))
        candidates = self._defaults.candidates(schema)
        return made if any(self.child(inside, child) is not None for child in candidates) else None

    def _marked(self, schema: SchemaNode, values: tuple[str, ...]) -> Node:
        marked = [Default(value) for value in values] if self._tagged else values
        return LeafList(schema, marked) if schema.kind is Kind.LEAF_LIST else marked[0]

    def _case_in_use(self, node: InstanceNode, schema: SchemaNode) -> bool:
        """Whether each case that it stands in has data, or is the default of a choice that has none."""
        if not schema.cases:
            return True
        children = cast("Container", node.value).children
        for case in schema.cases:
            chosen = self._chosen(case.choice, node.schema, children)
            if case.name != (case.choice.default if chosen is None else chosen):
                return False
        return True

    def _chosen(self, choice: Choice, schema: SchemaNode, children: Mapping[SchemaNode, Node]) -> str | None:
        for rival in self._defaults.rivals(schema)[choice]:
            if rival in children:
                return next(case.name for case in rival.cases if case.choice is choice)
        return None

    def _conditions_hold(self, node: InstanceNode, schema: SchemaNode) -> bool:
        """RFC 7950 section 7.21.5: evaluated with a dummy in the place of a node that is not there."""
        for when in schema.whens:
            context = node
            if when.own:
                value: Node = Container(schema, {}) if schema.kind is Kind.CONTAINER else ""
                context = InstanceNode(self, node, schema, value, (schema.position, 0, 0))
            if not self._defaults.expressions.holds(when.expression, context, Budget(CONDITION_STEPS)):
                return False
        return True
