"""Private candidates against a reference on plain dictionaries, the shared one, and none."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.datastore.conftest import Bench

from mlag_agent.data.threeway import Prefer
from mlag_agent.data.tree import Container, ListNode, empty, merge
from mlag_agent.datastore.candidates import CONFLICT
from mlag_agent.datastore.stores import Datastores
from mlag_agent.errors import ErrorTag, RpcFailure
from mlag_agent.schema.library import SchemaLibrary

Rows = dict[str, str]  # interface: description


def tree(bench: Bench, rows: Rows) -> Container:
    """A configuration with these interfaces."""
    root = empty(bench.library.tree.data)
    for name, description in rows.items():
        root = merge(root, bench.config(name, description=description))
    return root


def rows_of(bench: Bench, root: Container) -> Rows:
    interfaces = root.get(bench.library.tree.find("/ietf-interfaces:interfaces"))
    if not isinstance(interfaces, Container):
        return {}
    entries = interfaces.get(bench.library.tree.find("/ietf-interfaces:interfaces/interface"))
    assert isinstance(entries, ListNode)
    return {entry.keys[0]: str(entry.leaf("description")) for entry in entries}


@dataclass
class Model:
    """Private candidates on dictionaries: what RFC and draft say of them, without trees."""

    running: Rows = field(default_factory=dict)
    branches: dict[int, tuple[Rows, Rows]] = field(default_factory=dict)  # base, own

    def seen(self, session: int) -> Rows:
        return self.branches[session][1] if session in self.branches else self.running

    def edit(self, session: int, name: str, value: str | None) -> None:
        base, own = self.branches.get(session, (self.running, self.running))
        own = {k: v for k, v in {**own, name: value}.items() if v is not None}
        self.branches[session] = (base, own)
        if base == own:
            del self.branches[session]

    def merged(self, session: int) -> tuple[Rows, set[str]]:
        base, own = self.branches.get(session, (self.running, self.running))
        changed = {k for k in {*base, *own} if base.get(k) != own.get(k)}
        clash = {k for k in changed if self.running.get(k) != base.get(k) and self.running.get(k) != own.get(k)}
        result = {k: v for k, v in {**self.running, **{k: own.get(k) for k in changed}}.items() if v is not None}
        return result, clash


STEP = st.one_of(
    st.tuples(st.just("edit"), st.integers(1, 3), st.sampled_from("abc"), st.sampled_from(["x", "y", None])),
    st.tuples(st.just("commit"), st.integers(1, 3)),
    st.tuples(st.just("discard"), st.integers(1, 3)),
    st.tuples(st.just("update"), st.integers(1, 3), st.sampled_from([None, *Prefer])),
    st.tuples(st.just("end"), st.integers(1, 3)),
)


@given(steps=st.lists(STEP, min_size=4, max_size=25))
@settings(max_examples=150, deadline=None)
def test_as_the_model(library: SchemaLibrary, steps: list[Any]) -> None:
    bench = Bench(library)
    stores = Datastores(empty(library.tree.data), candidate="private")
    model = Model()
    for step, session, *rest in steps:
        if step == "edit":
            name, value = rest
            model.edit(session, name, value)
            stores.edit_candidate(session, tree(bench, _edited(stores, bench, session, name, value)))
        elif step == "commit":
            result, clash = model.merged(session)
            if clash:
                with pytest.raises(RpcFailure) as caught:
                    stores.to_commit(session)
                assert {_name(e.path) for e in caught.value.errors} == clash
                assert {(e.tag, e.app_tag) for e in caught.value.errors} == {(ErrorTag.OPERATION_FAILED, CONFLICT)}
            else:
                root = stores.to_commit(session)
                stores.running = root
                stores.committed(session)
                model.running = result
                model.branches.pop(session, None)
        elif step == "discard":
            stores.discard(session)
            model.branches.pop(session, None)
        elif step == "end":
            stores.release(session)
            model.branches.pop(session, None)
        else:
            _update(stores, model, session, rest[0])
        assert rows_of(bench, stores.running) == model.running
        for number in (1, 2, 3):
            assert rows_of(bench, stores.candidate(number)) == model.seen(number)
            assert stores.candidate_is_clean(number) == (model.seen(number) == model.running)


def _edited(stores: Datastores, bench: Bench, session: int, name: str, value: str | None) -> Rows:
    rows = {**rows_of(bench, stores.candidate(session)), name: value}
    return {k: v for k, v in rows.items() if v is not None}


def _name(path: str | None) -> str:
    """The interface that a conflict is about, as a whole or in its description."""
    found = re.fullmatch(r"/ietf-interfaces:interfaces/interface\[name='(\w)'\](/description)?", str(path))
    assert found
    return found[1]


def _update(stores: Datastores, model: Model, session: int, prefer: Prefer | None) -> None:
    result, clash = model.merged(session)
    if clash and prefer is None:
        with pytest.raises(RpcFailure):
            stores.update(session, None)
        return
    stores.update(session, prefer)
    if session not in model.branches:
        return
    if prefer is not Prefer.MINE:
        for name in clash:
            result.pop(name, None)
            if name in model.running:
                result[name] = model.running[name]
    model.branches[session] = (model.running, result)
    if result == model.running:
        del model.branches[session]


class TestShared:
    def test_what_running_has_caught_up_with_is_clean(self, bench: Bench) -> None:
        stores = Datastores(empty(bench.library.tree.data))
        stores.edit_candidate(1, bench.config("a"))
        assert not stores.candidate_is_clean(2)
        stores.running = bench.config("a")
        assert stores.candidate_is_clean(2)
        stores.running = bench.config("b")
        assert stores.candidate(1) is stores.running

    def test_there_is_nothing_to_update(self, bench: Bench) -> None:
        with pytest.raises(RpcFailure) as caught:
            Datastores(empty(bench.library.tree.data)).update(1, None)
        assert caught.value.errors[0].tag is ErrorTag.OPERATION_NOT_SUPPORTED


def test_without_a_candidate(bench: Bench) -> None:
    stores = Datastores(empty(bench.library.tree.data), candidate="none")
    for ask in (stores.candidate, stores.discard, stores.to_commit):
        with pytest.raises(RpcFailure) as caught:
            ask(1)
        assert caught.value.errors[0].tag is ErrorTag.OPERATION_NOT_SUPPORTED
    stores.release(1)


def test_the_message_shows_both_values_but_no_secret(bench: Bench) -> None:
    stores = Datastores(bench.config("a"), candidate="private")
    stores.edit_candidate(1, bench.config("a", description="mine"))
    stores.running = bench.config("a", description="t" * 100)
    with pytest.raises(RpcFailure) as caught:
        stores.to_commit(1)
    [error] = caught.value.errors
    assert error.path == "/ietf-interfaces:interfaces/interface[name='a']/description"
    assert '"mine"' in error.message
    assert f'"{"t" * 60}..."' in error.message
    node = bench.library.tree.find("/ietf-interfaces:interfaces/interface/description")
    node.secret = True
    try:
        with pytest.raises(RpcFailure) as caught:
            stores.to_commit(1)
    finally:
        node.secret = False
    assert "mine" not in str(caught.value)
    assert "ttt" not in str(caught.value)


def test_many_conflicts_are_counted(bench: Bench) -> None:
    names = [f"e{number}" for number in range(300)]
    stores = Datastores(bench.config(*names), candidate="private")
    stores.edit_candidate(1, bench.config(*names, description="mine"))
    stores.running = bench.config(*names, description="theirs")
    with pytest.raises(RpcFailure) as caught:
        stores.to_commit(1)
    assert len(caught.value.errors) < 300
    assert "more" in caught.value.errors[-1].message
