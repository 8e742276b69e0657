"""Scoped validation against that of the whole, on generated edits of modules with a constraint of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.conftest import FOLDER, Bench

from mlag_agent.data import tree
from mlag_agent.data.encode import encode_children
from mlag_agent.data.scoped import pieces, to_check
from mlag_agent.data.tree import Container
from mlag_agent.errors import RpcFailure
from mlag_agent.schema.engine import Contents
from mlag_agent.schema.library import ModuleRequest, SchemaLibrary
from mlag_agent.schema.nodes import Kind, SchemaNode

OPAQUE = 'must "not(following-sibling::rising[1]/v < v)";'


def make_bench(folder: Path, *names: str) -> Bench:
    """The modules without the expression that makes everything one group, so that there is something to test."""
    for file in FOLDER.glob("scoped*.yang"):
        (folder / file.name).write_text(file.read_text().replace(OPAQUE, 'must "not(../rising/v > 3)";'))
    return Bench([ModuleRequest(name) for name in names], [folder])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench(tmp_path_factory.mktemp("plain"), "scoped", "scoped-more")


@pytest.fixture(scope="module")
def deviated(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench(tmp_path_factory.mktemp("deviated"), "scoped", "scoped-more", "scoped-deviations")


@pytest.fixture(scope="module")
def opaque() -> Bench:
    return Bench([ModuleRequest("scoped"), ModuleRequest("scoped-more")], [FOLDER])


def valid(library: SchemaLibrary, root: Container, *, alone: bool = False) -> bool:
    document = encode_children(root, library.tree.namespaces).decode()
    try:
        library.engine.validate(document, Contents.CONFIG, lambda path, message="": None, alone=alone)
    except RpcFailure:
        return False
    return True


# --- edits --------------------------------------------------------------------------------------------------

Edit = tuple[int, list[int], str, int]
"""Place, numbers (keys and value) along the way to it, operation, value of mandatory leafs (0: none are set)."""

PLACES = 200  # more than there are: the number is taken modulo


def places(root: SchemaNode) -> list[SchemaNode]:
    return [n for n in root.descendants() if n.parent is not None and n.config and n not in n.parent.key_nodes]


def text_of(node: SchemaNode, number: int) -> str:
    assert node.type is not None
    return "ab"[number % 2] if node.type.base == "enumeration" else str(number)


def element(way: Sequence[tuple[SchemaNode, int]], operation: str, mandatory: int) -> str:
    """One edit: the last node of ``way`` is set or removed.

    What comes into being on the way gets the leafs without which nothing below could be valid.
    """
    (node, number), rest = way[0], way[1:]
    head = f'<{node.name} xmlns="{node.namespace}"'
    if not rest and operation == "remove":
        head += ' nc:operation="remove"'
    body = ""
    if node.kind is Kind.LIST:
        body += f"<{node.keys[0]}>{number}</{node.keys[0]}>"
    elif node.kind in (Kind.LEAF, Kind.LEAF_LIST):
        body += text_of(node, number)
    if node.kind in (Kind.LIST, Kind.CONTAINER) and (rest or operation == "set"):
        following = rest[0][0] if rest else None
        for child in node.children.values():
            if child.mandatory and child not in node.key_nodes and child is not following and mandatory:
                body += f"<{child.name}>{mandatory}</{child.name}>"
        if node.name == "plain" and mandatory and (following is None or not following.cases):
            body += f"<x>{mandatory}</x>"
    if rest:
        body += element(rest, operation, mandatory)
    return f"{head}>{body}</{node.name}>"


@st.composite
def edits(draw: st.DrawFn) -> list[list[Edit]]:
    """Steps of one to three edits each, all in a few places: what refers to each other must come together."""
    near = draw(st.integers(0, PLACES - 1))
    far = draw(st.lists(st.integers(0, PLACES - 1), min_size=1, max_size=4))
    some = [near, near + 1, near + 2, *far]
    one = st.tuples(
        st.sampled_from(some),
        st.lists(st.integers(0, 3), min_size=5, max_size=5),
        st.sampled_from(["set", "set", "remove"]),
        st.sampled_from([0, 2, 2, 3]),
    )
    return draw(st.lists(st.lists(one, min_size=1, max_size=3), min_size=5, max_size=40))


def way_to(node: SchemaNode) -> list[SchemaNode]:
    way = [node]
    while (parent := way[0].parent) is not None and parent.kind is not Kind.ROOT:
        way.insert(0, parent)
    return way


def check(
    bench: Bench, steps: list[list[Edit]], log: list[tuple[bool, bool]] | None = None, *, in_pieces: bool = False
) -> None:
    """Apply steps, keep what is valid; what scoped validation finds valid is valid."""
    nodes = places(bench.tree.data)
    root = bench.empty
    for step in steps:
        after = root
        for place, numbers, operation, mandatory in step:
            way = list(zip(way_to(nodes[place % len(nodes)]), numbers, strict=False))
            try:
                after = bench.edit(after, element(way, operation, mandatory))
            except RpcFailure:
                continue  # the value of a type
        part = to_check(root, after, bench.library.scopes)
        whole = valid(bench.library, after)
        parts = list(pieces(part.root, bench.library.scopes, 1)) if in_pieces else [part.root]
        scoped = all(valid(bench.library, piece, alone=part.alone) for piece in parts)
        if in_pieces and not scoped:
            # The pieces of the whole decide about it as well.
            parts = list(pieces(after, bench.library.scopes, 1))
            assert whole or not all(valid(bench.library, piece) for piece in parts)
        if log is not None:
            log.append((whole, scoped))
        assert whole or not scoped, f"{bench.xml(root)}\n{bench.xml(after)}\n{bench.xml(part.root)}"
        if whole:
            root = after


@settings(max_examples=60, deadline=None)
@given(steps=edits())
def test_what_is_valid_in_its_scope_is_valid(plain: Bench, steps: list[list[Edit]]) -> None:
    check(plain, steps)


@settings(max_examples=60, deadline=None)
@given(steps=edits())
def test_in_pieces(plain: Bench, steps: list[list[Edit]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree, "CHUNK_ENTRIES", 1)
        patch.setattr(tree, "CHUNK_LIMIT", 1)
        check(plain, steps, in_pieces=True)


@settings(max_examples=40, deadline=None)
@given(steps=edits())
def test_with_deviations(deviated: Bench, steps: list[list[Edit]]) -> None:
    check(deviated, steps)


@settings(max_examples=15, deadline=None)
@given(steps=edits())
def test_with_an_expression_that_is_not_understood(opaque: Bench, steps: list[list[Edit]]) -> None:
    check(opaque, steps)
