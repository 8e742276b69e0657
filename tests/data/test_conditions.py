"""Nodes that go since an edit makes their ``when`` false, against two ways that look at everything."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from tests.data.conftest import FOLDER, Bench
from tests.data.test_scoped import Edit, edits, element, places, valid, way_to

from mlag_agent.data import conditions
from mlag_agent.data.conditions import without_excluded
from mlag_agent.data.defaults import Defaults
from mlag_agent.data.encode import encode_children
from mlag_agent.data.instance import InstanceNode
from mlag_agent.data.lexical import matching_text
from mlag_agent.data.path import find, steps
from mlag_agent.data.tree import Container, same
from mlag_agent.data.xpath import Budget, Expressions
from mlag_agent.errors import ErrorTag, RpcFailure
from mlag_agent.schema.engine import Contents, matches
from mlag_agent.schema.library import ModuleRequest
from mlag_agent.schema.nodes import Expression
from mlag_agent.schema.triggers import Conditional, Conditions


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench([ModuleRequest("conditional")], [FOLDER])


@pytest.fixture(scope="module")
def defaults(bench: Bench) -> Defaults:
    library = bench.library
    expressions = Expressions(library.tree, matching_text, matches)
    return Defaults(expressions, library.engine.canonical, library.tree.namespaces)


def everything(bench: Bench) -> Conditions:
    """Conditions that any change asks for, of all instances."""
    root = bench.tree.data
    all_nodes = frozenset(root.descendants())
    nodes = [node for node in all_nodes if node.whens]
    by_anchor = {root: tuple(Conditional(node, root, all_nodes) for node in nodes)}
    return Conditions(by_anchor, {node: frozenset(node.descendants()) for node in all_nodes})


# A default that has a condition of its own is there when that holds, and what is in a container without presence has
# its defaults although nothing in it is set (RFC 7950 section 6.4.1).  To libyang's conditions neither is.
NOT_FOR_LIBYANG = "<by-derived>"


def judged(text: str) -> bool:
    """Whether libyang can tell which conditions hold."""
    return NOT_FOR_LIBYANG not in text and "<switch" in text


def excluded(bench: Bench, root: Container) -> Iterator[str]:
    """Paths of what libyang finds to stand where a condition does not allow it."""
    document = encode_children(root, bench.namespaces).decode()
    try:
        bench.library.engine.validate(document, Contents.CONFIG, lambda path, message="": None)
    except RpcFailure as failure:
        for error in failure.errors:
            if error.tag is ErrorTag.UNKNOWN_ELEMENT and error.path is not None:
                yield error.path


def by_libyang(bench: Bench, before: Container, after: Container) -> Container:
    """The same with libyang as the judge; ``before`` is valid."""
    while True:
        gone = []
        for path in excluded(bench, after):
            was, now = find(before, path, bench.tree), find(after, path, bench.tree)
            if was is not None and now is not None and not conditions._adds(was, now):
                gone.append(tuple((node, tuple(keys.values())) for node, keys in steps(path, bench.tree)))
        if not gone:
            return after
        after = conditions._pruned(after, gone)


def check(bench: Bench, defaults: Defaults, script: list[list[Edit]], log: list[bool] | None = None) -> None:
    nodes = places(bench.tree.data)
    naive = everything(bench)
    root = bench.load('<switch xmlns="urn:test:conditional"><level>2</level></switch>')
    for step in script:
        after = root
        for place, numbers, operation, mandatory in step:
            way = list(zip(way_to(nodes[place % len(nodes)]), numbers, strict=False))
            try:
                after = bench.edit(after, element(way, operation, mandatory))
            except RpcFailure:
                continue  # the generator's shorthand for mandatory leafs does not fit
        frozen = bench.xml(root), bench.xml(after)
        got = without_excluded(root, after, bench.library.conditions, defaults)
        where = f"{bench.xml(root)}\n{bench.xml(after)}\n{bench.xml(got)}"
        assert (bench.xml(root), bench.xml(after)) == frozen
        assert same(got, without_excluded(root, after, naive, defaults)), where
        if judged(bench.xml(after)):
            wanted = by_libyang(bench, root, after)
            # What an edit sets where it may not is there for us until it is refused; libyang does not count on it.
            if valid(bench.library, got) or valid(bench.library, wanted):
                assert same(got, wanted), f"{where}\n{bench.xml(wanted)}"
        if log is not None:
            log.append(not same(got, after))
        if valid(bench.library, got):
            root = got


@settings(max_examples=150, deadline=None)
@given(script=edits())
def test_as_with_a_look_at_everything(bench: Bench, defaults: Defaults, script: list[list[Edit]]) -> None:
    check(bench, defaults, script)


def test_many_go(bench: Bench, defaults: Defaults) -> None:
    """The same on edits that are known to make conditions false."""
    some = random.Random(5)
    log: list[bool] = []
    for _ in range(20):
        script: list[list[Edit]] = [
            [
                (
                    some.randrange(200),
                    [some.randrange(4) for _ in range(5)],
                    some.choice(["set", "set", "set", "remove"]),
                    some.choice([0, 2, 3]),
                )
                for _ in range(some.randrange(1, 4))
            ]
            for _ in range(60)
        ]
        check(bench, defaults, script, log)
    assert sum(log) > 20


def c(text: str) -> str:
    return text.replace(">", ' xmlns="urn:test:conditional">', 1)


ROWS = "".join(c(f"<row><k>{number}</k><kind>a</kind><local>1</local></row>") for number in range(200))


def evaluations(bench: Bench, defaults: Defaults, before: str, edit: str) -> tuple[int, str]:
    """How many conditions are evaluated for an edit, and what comes out."""
    root = bench.load(before)
    after = bench.edit(root, edit)
    with pytest.MonkeyPatch.context() as patch:
        asked: list[object] = []
        holds = defaults.expressions.holds

        def counting(expression: Expression, at: InstanceNode, budget: Budget) -> bool:
            asked.append(expression)
            return holds(expression, at, budget)

        patch.setattr(defaults.expressions, "holds", counting)
        got = without_excluded(root, after, bench.library.conditions, defaults)
    return len(asked), bench.xml(got)


class TestCost:
    """What an edit does not touch is not looked at, however much there is of it."""

    def test_of_a_change_in_one_entry(self, bench: Bench, defaults: Defaults) -> None:
        count, text = evaluations(bench, defaults, ROWS, c("<row><k>7</k><kind>b</kind></row>"))
        # local of this entry before and after, and next, which looks at other entries, of none
        assert count < 10
        assert text.count("<local>") == 199

    def test_of_a_change_that_no_condition_reads(self, bench: Bench, defaults: Defaults) -> None:
        assert evaluations(bench, defaults, ROWS, c("<other><always>1</always><name>x</name></other>"))[0] == 0

    def test_of_entries_that_come(self, bench: Bench, defaults: Defaults) -> None:
        before = c("<own><of-mode><k>1</k></of-mode></own>") + c("<switch><mode>b</mode></switch>")
        edit = c("<own><of-mode><k>2</k><v>1</v></of-mode></own>")
        assert evaluations(bench, defaults, before, edit)[0] == 0


def test_what_could_not_be_there_before_stays(bench: Bench, defaults: Defaults) -> None:
    """A candidate is built in steps: its condition may hold at the end."""
    before = bench.load(c("<own><by-level>1</by-level></own>"))
    after = bench.edit(before, c("<switch><level>0</level></switch>"))
    assert without_excluded(before, after, bench.library.conditions, defaults) is after
