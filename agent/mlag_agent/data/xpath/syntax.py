"""XPath 1.0 to a syntax tree (W3C XPath 1.0 section 3.7 has the grammar and its rules for telling tokens apart).

Names are resolved while they are read: the tree holds namespaces, no prefixes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = [
    "MAX_LENGTH",
    "Axis",
    "Binary",
    "Call",
    "Chain",
    "Expr",
    "Filtered",
    "KindTest",
    "Literal",
    "NameTest",
    "Negative",
    "Number",
    "Path",
    "Scope",
    "Step",
    "Union",
    "XPathError",
    "parse",
]

MAX_LENGTH = 65_536
"""Characters of an expression: a union of some hundred full paths fits."""

MAX_NESTING = 40
"""Brackets and operators within each other; the expressions of the IETF's modules stay below 10."""


class XPathError(ValueError):
    """The text is no XPath 1.0 expression, or names what is not there."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean: ``prefixes`` to namespaces, and the namespace of names without one (None: any).

    ``modules`` maps module names to namespaces, for messages.
    """

    prefixes: Mapping[str, str]
    namespace: str | None = None
    modules: Mapping[str, str] = field(default_factory=dict)

    def resolve(self, prefix: str) -> str:
        """The namespace of a prefix; raises XPathError."""
        found = self.prefixes.get(prefix)
        if found is not None:
            return found
        if prefix in self.modules:
            hint = f'the module of that name has the namespace xmlns:{prefix}="{self.modules[prefix]}"'
        else:
            declared = ", ".join(sorted(self.prefixes)) or "none"
            hint = f"declared are: {declared}"
        raise XPathError(f"the prefix {prefix} is not declared; {hint}")


# --- the tree -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NameTest:
    """``namespace`` None: any; ``name`` None: any (``*``)."""

    namespace: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class KindTest:
    """``node``, ``text``, ``comment`` or ``processing-instruction``."""

    kind: str


Axis: TypeAlias = str


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of a location path; compared by identity, so that what is found out about it can be kept."""

    axis: Axis
    test: NameTest | KindTest
    predicates: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Path:
    """A location path; ``start`` is what it starts from: None is the context node, or the root where ``absolute``."""

    start: Expr | None
    absolute: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Filtered:
    """A primary expression with predicates."""

    primary: Expr
    predicates: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    value: str


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Binary:
    """A comparison or an arithmetic operation."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Chain:
    """``and`` or ``or`` of two or more."""

    operator: str
    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Negative:
    value: Expr


@dataclass(frozen=True, slots=True)
class Union:
    parts: tuple[Expr, ...]


Expr: TypeAlias = "Path | Filtered | Literal | Number | Call | Binary | Chain | Negative | Union"

_AXES = frozenset(
    {
        "ancestor", "ancestor-or-self", "attribute", "child", "descendant", "descendant-or-self", "following",
        "following-sibling", "parent", "preceding", "preceding-sibling", "self",
    }
)  # fmt: skip
_NODE_TYPES = frozenset({"node", "text", "comment", "processing-instruction"})
_ANY_NODE = KindTest("node")
_DESCENDANTS = Step("descendant-or-self", _ANY_NODE)

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>\d+(?:\.\d*)?|\.\d+)
    |(?P<literal>"[^"]*"|'[^']*')
    |(?P<name>[^\W\d][\w.-]*(?:(?<![:]):(?!:)(?:[^\W\d][\w.-]*|\*))?)
    |(?P<symbol>::|//|\.\.|!=|<=|>=|[()\[\]@,.|+*/=<>$-])
    )""",
    re.VERBOSE,
)
_OPERATOR_NAMES = frozenset({"and", "or", "mod", "div"})


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # number, literal, name, operator, end
    text: str
    at: int


def _tokens(text: str) -> Sequence[_Token]:
    found: list[_Token] = []
    at, end = 0, len(text.rstrip())
    operand_before = False  # then a name is an operator, and * multiplies (section 3.7)
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise XPathError(f"character {at + 1}: {text[at : at + 20].strip()!r} is no XPath")
        kind, value = str(match.lastgroup), str(match[str(match.lastgroup)])
        if kind == "name" and operand_before:
            if value not in _OPERATOR_NAMES:
                raise XPathError(f"character {match.start(kind) + 1}: an operator is expected before {value!r}")
            kind = "operator"
        elif kind == "symbol":
            kind = "name" if value == "*" and not operand_before else "operator"
        found.append(_Token(kind, value, match.start(str(match.lastgroup)) + 1))
        operand_before = kind in ("number", "literal", "name") or value in (")", "]", ".", "..")
        at = match.end()
    found.append(_Token("end", "", end + 1))
    return found


def parse(text: str, scope: Scope) -> tuple[Expr, frozenset[str]]:
    """The expression, and the names without a prefix in it; raises XPathError."""
    if len(text) > MAX_LENGTH:
        raise XPathError(f"the expression has {len(text)} characters; at most {MAX_LENGTH} are taken")
    parser = _Parser(text, scope)
    return parser.whole(), frozenset(parser.unprefixed)


class _Parser:
    """Recursive descent; one method for each level of precedence."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._tokens = _tokens(text)
        self._next = 0
        self._scope = scope
        self._depth = 0
        self.unprefixed: set[str] = set()

    def whole(self) -> Expr:
        found = self._or()
        token = self._peek
        if token.kind != "end":
            raise self._unexpected(token)
        return found

    # --- tokens -----------------------------------------------------------------------------------------

    @property
    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        if token.kind != "end":
            self._next += 1
        return token

    def _is(self, *operators: str) -> bool:
        token = self._peek
        return token.kind == "operator" and token.text in operators

    def _expect(self, operator: str) -> None:
        if not self._is(operator):
            raise self._unexpected(self._peek, f"{operator!r} is expected")
        self._take()

    @staticmethod
    def _unexpected(token: _Token, wanted: str = "") -> XPathError:
        found = "the end of the expression" if token.kind == "end" else repr(token.text)
        return XPathError(f"character {token.at}: {found} is not expected here" + (f"; {wanted}" if wanted else ""))

    def _deeper(self, by: int = 1) -> None:
        self._depth += by
        if self._depth > MAX_NESTING:
            raise XPathError(f"more than {MAX_NESTING} brackets or operators are nested in each other")

    # --- operators --------------------------------------------------------------------------------------

    def _or(self) -> Expr:
        self._deeper()
        parts = [self._and()]
        while self._is("or"):
            self._take()
            parts.append(self._and())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else Chain("or", tuple(parts))

    def _and(self) -> Expr:
        parts = [self._left_to_right(0)]
        while self._is("and"):
            self._take()
            parts.append(self._left_to_right(0))
        return parts[0] if len(parts) == 1 else Chain("and", tuple(parts))

    _LEVELS = (("=", "!="), ("<", "<=", ">", ">="), ("+", "-"), ("*", "div", "mod"))

    def _left_to_right(self, level: int) -> Expr:
        if level == len(self._LEVELS):
            return self._unary()
        found = self._left_to_right(level + 1)
        count = 0
        while self._is(*self._LEVELS[level]):
            operator = self._take().text
            count += 1
            self._deeper()  # each makes the tree one deeper
            found = Binary(operator, found, self._left_to_right(level + 1))
        self._depth -= count
        return found

    def _unary(self) -> Expr:
        count = 0
        while self._is("-"):
            self._take()
            count += 1
            self._deeper()
        found = self._union()
        for _ in range(count):
            found = Negative(found)
        self._depth -= count
        return found

    def _union(self) -> Expr:
        parts = [self._path()]
        while self._is("|"):
            self._take()
            parts.append(self._path())
        return parts[0] if len(parts) == 1 else Union(tuple(parts))

    # --- paths ------------------------------------------------------------------------------------------

    def _path(self) -> Expr:
        token = self._peek
        if self._is("/", "//"):
            self._take()
            if token.text == "/" and not self._starts_step():
                return Path(None, True, ())
            return Path(None, True, self._steps(_DESCENDANTS if token.text == "//" else None))
        if self._starts_step():
            return Path(None, False, self._steps(None))
        primary = self._primary()
        predicates = self._predicates()
        found: Expr = Filtered(primary, predicates) if predicates else primary
        if self._is("/", "//"):
            first = _DESCENDANTS if self._take().text == "//" else None
            return Path(found, False, self._steps(first))
        return found

    def _starts_step(self) -> bool:
        token = self._peek
        if token.kind == "operator":
            return token.text in (".", "..", "@")
        if token.kind != "name":
            return False
        following = self._tokens[self._next + 1]
        return not (following.text == "(" and following.kind == "operator" and token.text not in _NODE_TYPES)

    def _steps(self, first: Step | None) -> tuple[Step, ...]:
        steps: list[Step] = [] if first is None else [first]
        while True:
            step = self._step()
            if (
                steps
                and steps[-1] is _DESCENDANTS
                and step.axis == "child"
                and not any(map(positional, step.predicates))
            ):
                # The same nodes, without a set of all that there are in between.
                steps[-1] = Step("descendant", step.test, step.predicates)
            else:
                steps.append(step)
            if not self._is("/", "//"):
                return tuple(steps)
            if self._take().text == "//":
                steps.append(_DESCENDANTS)

    def _step(self) -> Step:
        if self._is("."):
            self._take()
            return Step("self", _ANY_NODE)
        if self._is(".."):
            self._take()
            return Step("parent", _ANY_NODE)
        axis = "child"
        if self._is("@"):
            self._take()
            axis = "attribute"
        elif self._peek.kind == "name" and self._tokens[self._next + 1].text == "::":
            axis = self._take().text
            self._take()
            if axis not in _AXES:
                raise XPathError(f"there is no axis {axis} here; known are {', '.join(sorted(_AXES))}")
        test = self._test()
        return Step(axis, test, self._predicates())

    def _test(self) -> NameTest | KindTest:
        token = self._take()
        if token.kind != "name":
            raise self._unexpected(token, "the name of a node is expected")
        if token.text in _NODE_TYPES and self._is("("):
            self._take()
            if token.text == "processing-instruction" and self._peek.kind == "literal":
                self._take()
            self._expect(")")
            return KindTest(token.text)
        prefix, separator, name = token.text.rpartition(":")
        if separator:
            return NameTest(self._scope.resolve(prefix), None if name == "*" else name)
        if name == "*":
            return NameTest(None, None)
        self.unprefixed.add(name)
        return NameTest(self._scope.namespace, name)

    def _predicates(self) -> tuple[Expr, ...]:
        found: list[Expr] = []
        while self._is("["):
            self._take()
            found.append(self._or())
            self._expect("]")
        return tuple(found)

    def _primary(self) -> Expr:
        token = self._take()
        if token.kind == "literal":
            return Literal(token.text[1:-1])
        if token.kind == "number":
            return Number(float(token.text))
        if token.kind == "operator" and token.text == "(":
            found = self._or()
            self._expect(")")
            return found
        if token.kind == "operator" and token.text == "$":
            raise XPathError(
                f"character {token.at}: there are no variables in NETCONF filters (RFC 6241 section 8.9.1)"
            )
        if token.kind == "name" and self._is("("):
            self._take()
            arguments: list[Expr] = []
            while not self._is(")"):
                if arguments:
                    self._expect(",")
                arguments.append(self._or())
            self._take()
            return Call(token.text, tuple(arguments))
        raise self._unexpected(token)


# --- what can be told from the tree -----------------------------------------------------------------------------

_NUMBERS = frozenset(
    {"ceiling", "count", "enum-value", "floor", "last", "number", "position", "round", "string-length", "sum"}
)


def positional(predicate: Expr) -> bool:
    """Whether a predicate depends on the position of a node, or may."""
    if isinstance(predicate, Number | Negative):
        return True
    if isinstance(predicate, Binary) and predicate.operator in ("+", "-", "*", "div", "mod"):
        return True
    if isinstance(predicate, Call) and predicate.name in _NUMBERS:
        return True
    return _asks_for_position(predicate)


def _asks_for_position(expression: Expr) -> bool:
    if isinstance(expression, Call):
        return expression.name in ("position", "last") or any(map(_asks_for_position, expression.arguments))
    if isinstance(expression, Binary):
        return _asks_for_position(expression.left) or _asks_for_position(expression.right)
    if isinstance(expression, Chain | Union):
        return any(map(_asks_for_position, expression.parts))
    if isinstance(expression, Negative):
        return _asks_for_position(expression.value)
    if isinstance(expression, Filtered):
        return _asks_for_position(expression.primary)
    if isinstance(expression, Path):
        return expression.start is not None and _asks_for_position(expression.start)
    return False


def context_free(expression: Expr) -> bool:
    """Whether the value is the same wherever in the predicates of one expression it stands."""
    if isinstance(expression, Literal | Number):
        return True
    if isinstance(expression, Path):
        return expression.absolute or (expression.start is not None and context_free(expression.start))
    if isinstance(expression, Call):
        if not expression.arguments:
            return expression.name in ("current", "true", "false")
        return all(map(context_free, expression.arguments))
    return False
