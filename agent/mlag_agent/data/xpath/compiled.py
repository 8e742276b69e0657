"""A compiled expression, and what the schema says about it."""

from __future__ import annotations

from collections.abc import Iterator

from mlag_agent.data.xpath.functions import check_call
from mlag_agent.data.xpath.syntax import (
    Binary,
    Call,
    Chain,
    Expr,
    Filtered,
    KindTest,
    NameTest,
    Negative,
    Path,
    Scope,
    Step,
    Union,
    context_free,
    parse,
    positional,
)
from mlag_agent.schema.nodes import Kind, SchemaNode, SchemaTree

__all__ = ["Compiled", "fits", "parts_of"]


class Compiled:
    """An expression, and what has been found out about it and the schema; raises XPathError for what is none."""

    def __init__(self, text: str, scope: Scope, tree: SchemaTree) -> None:
        self.text = text
        self.scope = scope
        self.tree = tree
        self.expression, self.unprefixed = parse(text, scope)
        _check_calls(self.expression)
        self._matching: dict[tuple[Step, SchemaNode], tuple[SchemaNode, ...]] = {}
        self._below: dict[tuple[Step, SchemaNode], bool] = {}
        self._conditions: dict[Step, tuple[tuple[NameTest, Expr], ...]] = {}

    def matching(self, step: Step, schema: SchemaNode) -> tuple[SchemaNode, ...]:
        """The children of a schema node that a name test fits, in schema order."""
        key = (step, schema)
        found = self._matching.get(key)
        if found is None:
            found = self._matching[key] = tuple(child for child in schema.children.values() if fits(step.test, child))
        return found

    def below(self, step: Step, schema: SchemaNode) -> bool:
        """Whether an instance of a schema node can have, at any distance below it, what a name test fits."""
        key = (step, schema)
        found = self._below.get(key)
        if found is None:
            found = schema.kind is Kind.ANY or any(
                fits(step.test, child) or self.below(step, child) for child in schema.children.values()
            )
            self._below[key] = found
        return found

    def conditions(self, step: Step) -> tuple[tuple[NameTest, Expr], ...]:
        """Children that predicates ask to be equal to something that is the same for all nodes: keys, perhaps."""
        found = self._conditions.get(step)
        if found is None:
            found = self._conditions[step] = tuple(_conditions(step))
        return found


def _check_calls(expression: Expr) -> None:
    if isinstance(expression, Call):
        check_call(expression)
    for part in parts_of(expression):
        _check_calls(part)


def parts_of(expression: Expr) -> Iterator[Expr]:
    """The expressions that one is made of."""
    if isinstance(expression, Binary):
        yield from (expression.left, expression.right)
    elif isinstance(expression, Chain | Union):
        yield from expression.parts
    elif isinstance(expression, Negative):
        yield expression.value
    elif isinstance(expression, Call):
        yield from expression.arguments
    elif isinstance(expression, Filtered):
        yield from (expression.primary, *expression.predicates)
    elif isinstance(expression, Path):
        if expression.start is not None:
            yield expression.start
        for step in expression.steps:
            yield from step.predicates


def fits(test: NameTest | KindTest, schema: SchemaNode) -> bool:
    """Whether instances of a schema node pass a name test."""
    return (
        isinstance(test, NameTest)
        and (test.name is None or test.name == schema.name)
        and (test.namespace is None or test.namespace == schema.module.namespace)
    )


def _conditions(step: Step) -> Iterator[tuple[NameTest, Expr]]:
    for predicate in step.predicates:
        if positional(predicate):
            return  # what stands behind it chooses from what it has left
        parts = predicate.parts if isinstance(predicate, Chain) and predicate.operator == "and" else (predicate,)
        for part in parts:
            if not isinstance(part, Binary) or part.operator != "=":
                continue
            for one, other in ((part.left, part.right), (part.right, part.left)):
                test = _child_name(one)
                if test is not None and context_free(other):
                    yield test, other


def _child_name(expression: Expr) -> NameTest | None:
    if not isinstance(expression, Path) or expression.start is not None or expression.absolute:
        return None
    if len(expression.steps) != 1:
        return None
    step = expression.steps[0]
    return step.test if step.axis == "child" and not step.predicates and isinstance(step.test, NameTest) else None
