"""XPath 1.0 on instance data, within a budget.

Lists of YANG are looked up by their keys where a predicate gives them all.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from mlag_agent.data.instance import InstanceNode, InstanceTree, OpaqueNode, TextNode
from mlag_agent.data.path import InstancePathError, steps
from mlag_agent.data.tree import Container
from mlag_agent.data.xpath.axes import AXES, passes
from mlag_agent.data.xpath.compiled import Compiled, fits
from mlag_agent.data.xpath.functions import FUNCTIONS
from mlag_agent.data.xpath.syntax import (
    Binary,
    Call,
    Chain,
    Expr,
    Filtered,
    KindTest,
    Literal,
    NameTest,
    Negative,
    Number,
    Path,
    Scope,
    Step,
    Union,
    XPathError,
)
from mlag_agent.data.xpath.values import (
    ARITHMETIC,
    RELATIONS,
    TYPE_NAMES,
    Budget,
    NodeSet,
    Value,
    number_text,
    to_number,
)
from mlag_agent.schema.nodes import Expression, Lexical, SchemaNode, SchemaTree

__all__ = ["Canonical", "Evaluation", "Expressions"]

Canonical: TypeAlias = Callable[[SchemaNode, str], str]
"""A literal in the canonical form of a node's type; the literal itself when the type has no such value."""

MAX_LOOKUPS = 1_000
"""Combinations of key values that are looked up one by one; of more, the list is searched."""

EXACT_INTEGERS = 2**53
"""Up to here each integer is a number of its own (IEEE 754)."""


class Expressions:
    """What evaluations of one module set share: the schema, the types' canonical forms, compiled expressions.

    ``canonical`` gives canonical forms, ``matches`` matches a pattern (first argument) of XML Schema.
    """

    def __init__(self, tree: SchemaTree, canonical: Canonical, matches: Callable[[str, str], bool]) -> None:
        self.tree = tree
        self.canonical = canonical
        self.matches = matches
        self._compiled: dict[int, tuple[Expression, Compiled]] = {}

    def compiled(self, expression: Expression) -> Compiled:
        """An expression of the schema, compiled once."""
        known = self._compiled.get(id(expression))
        if known is None:
            made = Compiled(expression.text, Scope(expression.prefixes, expression.namespace), self.tree)
            # With the expression itself, which lives as long as its number is kept.
            known = self._compiled[id(expression)] = (expression, made)
        return known[1]

    def evaluate(self, compiled: Compiled, node: InstanceNode, budget: Budget) -> Value:
        """The value with ``node`` as context node; raises XPathError and TooCostlyError."""
        return Evaluation(compiled, self, budget, node).run()

    def holds(self, expression: Expression, node: InstanceNode, budget: Budget) -> bool:
        """Whether a condition of the schema is true for a node."""
        run = Evaluation(self.compiled(expression), self, budget, node)
        return run.boolean(run.run())


class Evaluation:
    """One evaluation of one expression on one tree."""

    def __init__(self, compiled: Compiled, expressions: Expressions, budget: Budget, current: InstanceNode) -> None:
        self.compiled = compiled
        self.budget = budget
        self.current = current
        self._expressions = expressions
        self._canonical_texts: dict[tuple[SchemaNode, str], str] = {}
        self._absolute: dict[int, NodeSet] = {}

    @property
    def tree(self) -> InstanceTree:
        return self.current.tree

    def run(self) -> Value:
        """The value for the current node as context node; raises XPathError and TooCostlyError."""
        return self.value(self.compiled.expression, self.current, 1, 1)

    # --- expressions ------------------------------------------------------------------------------------

    def value(self, expression: Expr, node: InstanceNode, position: int, size: int) -> Value:
        """The value of a part of the expression in a context."""
        self.budget.spend()
        match expression:
            case Path():
                return self._path(expression, node, position, size)
            case Binary(operator, left, right):
                one = self.value(left, node, position, size)
                other = self.value(right, node, position, size)
                if operator in ARITHMETIC:
                    return ARITHMETIC[operator](self.number(one), self.number(other))
                return self._compare(operator, one, other)
            case Literal(text):
                return text
            case Chain(operator, parts):
                wanted = operator == "or"
                return (
                    wanted
                    if any(self.boolean(self.value(part, node, position, size)) is wanted for part in parts)
                    else not wanted
                )
            case Call(name, arguments):
                values = [self.value(argument, node, position, size) for argument in arguments]
                return FUNCTIONS[name].call(self, values, node, position, size)
            case Number(number):
                return number
            case Union(parts):
                nodes: dict[InstanceNode, None] = {}
                for part in parts:
                    nodes.update(dict.fromkeys(self._nodes(self.value(part, node, position, size), "a union")))
                return list(nodes)
            case Filtered(primary, predicates):
                found = self._nodes(self.value(primary, node, position, size), "a predicate")
                found = self.in_order(found)
                for predicate in predicates:
                    found = self._filtered(found, predicate)
                return found
            case Negative(inner):
                return -self.number(self.value(inner, node, position, size))
        raise AssertionError(expression)

    @staticmethod
    def _nodes(value: Value, what: str) -> NodeSet:
        if not isinstance(value, list):
            raise XPathError(f"{what} needs a node-set, not a {TYPE_NAMES[type(value)]}")
        return value

    def in_order(self, nodes: NodeSet) -> NodeSet:
        """The nodes in document order."""
        if len(nodes) < 2:
            return nodes
        self.budget.spend(len(nodes))
        return sorted(nodes, key=lambda node: node.order)

    # --- location paths ---------------------------------------------------------------------------------

    def _path(self, path: Path, node: InstanceNode, position: int, size: int) -> NodeSet:
        if path.absolute:
            # The same wherever it stands, and it may stand in a predicate.
            known = self._absolute.get(id(path))
            if known is None:
                known = self._absolute[id(path)] = self._walk(path, [node.root])
            return known
        if path.start is not None:
            return self._walk(path, self._nodes(self.value(path.start, node, position, size), "a path"))
        return self._walk(path, [node])

    def _walk(self, path: Path, nodes: NodeSet) -> NodeSet:
        for step in path.steps:
            if not nodes:
                break
            nodes = self._step(step, nodes)
        return nodes

    def _step(self, step: Step, nodes: NodeSet) -> NodeSet:
        found: dict[InstanceNode, None] = {}
        for node in nodes:
            candidates = self._candidates(step, node)
            for predicate in step.predicates:
                candidates = self._filtered(candidates, predicate)
            if len(nodes) == 1:
                return candidates
            found.update(dict.fromkeys(candidates))
        return list(found)

    def _filtered(self, nodes: NodeSet, predicate: Expr) -> NodeSet:
        if isinstance(predicate, Number):
            at = predicate.value
            return [nodes[int(at) - 1]] if at == int(at) and 1 <= at <= len(nodes) else []
        kept: NodeSet = []
        size = len(nodes)
        for position, node in enumerate(nodes, 1):
            value = self.value(predicate, node, position, size)
            if value == position if isinstance(value, float) else self.boolean(value):
                kept.append(node)
        return kept

    def _candidates(self, step: Step, node: InstanceNode) -> NodeSet:
        """What an axis and a node test give, in the order of the axis."""
        test = step.test
        if step.axis == "child":
            return self._children(step, node)
        if step.axis == "descendant" and isinstance(test, NameTest):
            return list(self._descend(step, node))
        found: NodeSet = []
        for other in AXES[step.axis](node, self.budget):
            if passes(other, test):
                found.append(other)
        return found

    def _children(self, step: Step, node: InstanceNode) -> NodeSet:
        test = step.test
        if isinstance(test, KindTest):
            found: NodeSet = []
            if test.kind == "node":
                found = list(node.children())
                self.budget.spend(len(found))
            if test.kind in ("node", "text") and (text := node.text()) is not None:
                found.append(text)
            return found
        if not isinstance(node.value, Container):
            return [child for child in node.children() if child.is_named(test.namespace, test.name)]
        schemas = self.compiled.matching(step, node.schema)
        if len(schemas) == 1:
            return list(self._instances(step, node, schemas[0]))
        return [child for schema in schemas for child in self._instances(step, node, schema)]

    def _instances(self, step: Step, node: InstanceNode, schema: SchemaNode) -> Sequence[InstanceNode]:
        """Instances of a schema node that can pass the predicates: not more than needed where these give the keys."""
        if schema.key_nodes and step.predicates:
            found = self._looked_up(step, node, schema)
            if found is not None:
                self.budget.spend(len(found))
                return found
        self.budget.spend(node.count(schema))
        return node.named(schema)

    def _descend(self, step: Step, node: InstanceNode) -> Iterator[InstanceNode]:
        test = step.test
        assert isinstance(test, NameTest)
        if not isinstance(node.value, Container):
            for child in node.children():
                self.budget.spend()
                if child.is_named(test.namespace, test.name):
                    yield child
                yield from self._descend(step, child)
            return
        for schema in self.tree.present(node):
            matching = fits(test, schema)
            if not self.compiled.below(step, schema):
                if matching:
                    yield from self._instances(step, node, schema)
                continue
            self.budget.spend(node.count(schema))
            for child in node.named(schema):
                if matching:
                    yield child
                yield from self._descend(step, child)

    def _looked_up(self, step: Step, node: InstanceNode, schema: SchemaNode) -> Sequence[InstanceNode] | None:
        """Entries by the keys that predicates give; None when they do not give all."""
        wanted: list[Sequence[str]] = []
        for key in schema.key_nodes:
            texts: Sequence[str] | None = None
            for test, expression in self.compiled.conditions(step):
                if fits(test, key):
                    texts = self._key_texts(key, self.value(expression, node, 1, 1))
                    if texts is not None:
                        break
            if texts is None:
                return None
            wanted.append(texts)
        if math.prod(map(len, wanted)) > MAX_LOOKUPS:
            return None
        found: dict[InstanceNode, None] = {}
        for keys in itertools.product(*wanted):
            try:
                entry = node.entry(schema, keys)
            except ValueError:  # no integer, where the key is one
                continue
            if entry is not None:
                found[entry] = None
        return sorted(found, key=lambda entry: entry.place) if len(found) > 1 else list(found)

    def _key_texts(self, key: SchemaNode, value: Value) -> Sequence[str] | None:
        """Every text that a key equal to the value can have; None when that is not known."""
        if isinstance(value, str):
            return tuple(dict.fromkeys((value, self._canonical_text(key, value))))
        if isinstance(value, list):
            return tuple({self.string(node) for node in value})
        if isinstance(value, float) and key.type is not None and key.type.lexical is Lexical.INTEGER:
            return (str(int(value)),) if value == math.floor(value) and abs(value) < EXACT_INTEGERS else None
        return None

    # --- conversions (XPath 1.0 section 4) --------------------------------------------------------------

    def string(self, value: Value | InstanceNode) -> str:
        """As the function string()."""
        if isinstance(value, InstanceNode):
            text = value.text_content
            if text is None:
                return "".join(self._texts(value))
            self.budget.spend(len(text) >> 6)
            return text
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float):
            return number_text(value)
        if not value:
            return ""
        self.budget.spend(len(value))
        return self.string(value[0] if len(value) == 1 else min(value, key=lambda node: node.order))

    def _texts(self, node: InstanceNode) -> Iterator[str]:
        for child in node.children():
            self.budget.spend()
            text = child.text_content
            if text is None:
                yield from self._texts(child)
            else:
                yield text

    def number(self, value: Value) -> float:
        """As the function number()."""
        if isinstance(value, bool):
            return float(value)
        return value if isinstance(value, float) else to_number(self.string(value))

    def boolean(self, value: Value) -> bool:
        """As the function boolean()."""
        if isinstance(value, float):
            return not math.isnan(value) and value != 0
        return bool(value)

    # --- comparisons (XPath 1.0 section 3.4) ------------------------------------------------------------

    def _compare(self, operator: str, one: Value, other: Value) -> bool:
        if operator in ("=", "!="):
            return self._equality(operator == "=", one, other)
        compare = RELATIONS[operator]
        if isinstance(one, list) and isinstance(other, bool):
            one = self.boolean(one)
        elif isinstance(other, list) and isinstance(one, bool):
            other = self.boolean(other)
        numbers = [number for number in self._numbers(one) if not math.isnan(number)]
        others = [number for number in self._numbers(other) if not math.isnan(number)]
        if not numbers or not others:
            return False
        if operator in ("<", "<="):
            return compare(min(numbers), max(others))
        return compare(max(numbers), min(others))

    def _numbers(self, value: Value) -> Iterable[float]:
        if isinstance(value, list):
            self.budget.spend(len(value))
            return [to_number(self.string(node)) for node in value]
        return (self.number(value),)

    def _equality(self, equal: bool, one: Value, other: Value) -> bool:
        if isinstance(other, list) and not isinstance(one, list):
            one, other = other, one
        if not isinstance(one, list):
            if isinstance(one, bool) or isinstance(other, bool):
                return (self.boolean(one) == self.boolean(other)) is equal
            if isinstance(one, float) or isinstance(other, float):
                return (self.number(one) == self.number(other)) is equal
            return (one == other) is equal
        if isinstance(other, bool):
            return (self.boolean(one) == other) is equal
        self.budget.spend(len(one))
        if isinstance(other, float):
            return any((to_number(self.string(node)) == other) is equal for node in one)
        if isinstance(other, str):
            return any(self._same_value(node, other) is equal for node in one)
        self.budget.spend(len(other))
        texts, others = {self.string(node) for node in one}, {self.string(node) for node in other}
        if equal:
            return not texts.isdisjoint(others)
        return bool(texts and others) and (len(texts) > 1 or len(others) > 1 or texts != others)

    def _same_value(self, node: InstanceNode, text: str) -> bool:
        """Whether a node equals a text: as XPath has it, or because the text is another form of the leaf's value.

        So ``'2001:DB8::1'`` finds ``2001:db8::1``, and an identity is found by any prefix of its module.
        """
        found = self.string(node)
        if found == text:
            return True
        kind = node.schema.type
        if kind is None or kind.lexical is Lexical.VERBATIM or isinstance(node, TextNode | OpaqueNode):
            return False
        return found == self._canonical_text(node.schema, text)

    def _canonical_text(self, schema: SchemaNode, text: str) -> str:
        known = self._canonical_texts.get((schema, text))
        if known is None:
            kind = schema.type
            named = text
            if kind is not None and kind.prefixed:
                named = _PREFIX.sub(self._module_prefix, text)
                if kind.base == "identityref" and ":" not in named:
                    named = f"{self._own_module(schema)}:{named}"
            known = self._canonical_texts[(schema, text)] = self._expressions.canonical(schema, named)
        return known

    def _module_prefix(self, match: re.Match[str]) -> str:
        module = self.compiled.tree.module_of_namespace(self.compiled.scope.prefixes.get(match[1]) or "")
        return match[0] if module is None else f"{module.name}:"

    def _own_module(self, schema: SchemaNode) -> str:
        module = self.compiled.tree.module_of_namespace(self.compiled.scope.namespace or "")
        return schema.module.name if module is None else module.name

    # --- for functions ----------------------------------------------------------------------------------

    def matches(self, pattern: str, text: str) -> bool:
        """Whether the text matches a pattern of XML Schema; raises XPathError when it is none."""
        try:
            return self._expressions.matches(pattern, text)
        except ValueError as error:
            raise XPathError(f"re-match(): {pattern!r} is {error}") from error

    def referred(self, node: InstanceNode) -> NodeSet:
        """What a leafref or an instance-identifier refers to (RFC 7950 section 10.3.1)."""
        kind = node.schema.type
        if kind is None:
            return []
        text = self.string(node)
        if kind.path is not None:
            compiled = self._expressions.compiled(kind.path)
            found = Evaluation(compiled, self._expressions, self.budget, node).run()
            return [other for other in self._nodes(found, "deref()") if self.string(other) == text]
        return self._at(text) if kind.base in ("instance-identifier", "union") and text.startswith("/") else []

    def _at(self, path: str) -> NodeSet:
        """The node at an instance path with module names as prefixes."""
        here: InstanceNode | None = self.current.root
        try:
            found = steps(path, self.compiled.tree)
        except InstancePathError:
            return []
        for schema, predicates in found:
            if here is None:
                return []
            if schema.key_nodes:
                if not set(schema.keys) <= set(predicates):
                    return []
                here = here.entry(schema, tuple(predicates[key] for key in schema.keys))
            else:
                wanted = predicates.get(".")
                named = here.named(schema)
                here = next((node for node in named if wanted is None or node.value == wanted), None)
        return [] if here is None else [here]

    def identity(self, text: str) -> str:
        """ "module:name" of an identity that a function is given by name; raises XPathError."""
        prefix, separator, name = text.rpartition(":")
        if not separator:
            module = self.compiled.tree.module_of_namespace(self.compiled.scope.namespace or "")
            if module is None:
                raise XPathError(f"the identity {text!r} needs a prefix")
            return f"{module.name}:{name}"
        if prefix not in self.compiled.scope.prefixes and prefix in self.compiled.tree.modules:
            return text
        module = self.compiled.tree.module_of_namespace(self.compiled.scope.resolve(prefix))
        if module is None:
            raise XPathError(f"the prefix of the identity {text!r} is that of no module")
        return f"{module.name}:{name}"


_PREFIX = re.compile(r"([A-Za-z_][\w.-]*):(?=[A-Za-z_*])")
