"""Partial locks as data: their limits, their numbers, and overlaps of any depth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.datastore.conftest import Bench

from mlag_agent.datastore import partial
from mlag_agent.datastore.partial import LockedNode, PartialLocks, Step, _clash
from mlag_agent.errors import ErrorTag, RpcFailure
from mlag_agent.schema.library import SchemaLibrary


def node(library: SchemaLibrary, name: str, leaf: str | None = None) -> LockedNode:
    tree = library.tree
    steps: list[Step] = [
        (tree.find("/ietf-interfaces:interfaces"), ()),
        (tree.find("/ietf-interfaces:interfaces/interface"), (name,)),
    ]
    if leaf is not None:
        steps.append((tree.find(f"/ietf-interfaces:interfaces/interface/{leaf}"), ()))
    return LockedNode(tuple(steps), f"/{name}")


def test_too_many_nodes(library: SchemaLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial, "MAX_LOCKED_NODES", 3)
    locks = PartialLocks()
    locks.lock(1, ["x"], [node(library, "a"), node(library, "b")])
    with pytest.raises(RpcFailure) as caught:
        locks.lock(2, ["x"], [node(library, "c"), node(library, "d")])
    assert caught.value.errors[0].tag is ErrorTag.RESOURCE_DENIED
    locks.lock(2, ["x"], [node(library, "c")])


def test_too_many_locks(library: SchemaLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial, "MAX_LOCKS", 1)
    locks = PartialLocks()
    locks.lock(1, ["x"], [node(library, "a")])
    with pytest.raises(RpcFailure):
        locks.lock(1, ["x"], [node(library, "b")])


def test_numbers_wrap_and_skip_those_in_use(library: SchemaLibrary) -> None:
    locks = PartialLocks()
    first = locks.lock(1, ["x"], [node(library, "a")]).lock_id
    locks._next = partial.MAX_LOCK_ID
    assert locks.lock(1, ["x"], [node(library, "b")]).lock_id == partial.MAX_LOCK_ID
    assert locks.lock(1, ["x"], [node(library, "c")]).lock_id not in (first, partial.MAX_LOCK_ID, 0)


PATHS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([(), ("1",), ("2",)])), max_size=4).map(tuple)


@given(mine=st.lists(PATHS, max_size=4), others=st.lists(PATHS, max_size=4))
def test_overlap(mine: list[object], others: list[object]) -> None:
    """Against the definition: one is a prefix of the other."""
    nodes = [LockedNode(steps, "") for steps in mine]  # type: ignore[arg-type]
    theirs = [LockedNode(steps, "") for steps in others]  # type: ignore[arg-type]
    wanted = [
        one
        for one in nodes
        if any(
            one.steps[: len(other.steps)] == other.steps or other.steps[: len(one.steps)] == one.steps
            for other in theirs
        )
    ]
    assert _clash(nodes, theirs) == (wanted[0] if wanted else None)


def test_what_is_compared(bench: Bench) -> None:
    locks = PartialLocks()
    locks.lock(1, ["x"], [node(bench.library, "a", "description")])
    old = bench.config("a", "b")
    locks.check(2, old, bench.config("a"))
    locks.check(1, old, bench.config("b"))
    locks.check(2, bench.config("b"), old)  # it was not there: it comes into being
    for new in (bench.config("b"), bench.config("a", "b", description="y")):
        with pytest.raises(RpcFailure) as caught:
            locks.check(2, old, new)
        assert caught.value.errors[0].tag is ErrorTag.IN_USE
