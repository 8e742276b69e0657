"""What is worked out in advance and skipped gives the same as the steps of RFC 8341 taken one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from access.naive import Config, Instance, decide, everything, needed, visible
from mlag_agent.access.changes import denied
from mlag_agent.access.rights import Place, Rights
from mlag_agent.access.rules import Access, RuleSet, read_rules
from mlag_agent.data.build import build
from mlag_agent.data.tree import Container, ListNode
from mlag_agent.schema.library import SchemaLibrary
from mlag_agent.schema.nodes import Kind

WORDS = st.sampled_from(["a", "b", "u"])
TOP = "/acl-model:top"
ROW = f"{TOP}/acl-model:row"
CELL = f"{ROW}/acl-model:cell"
# The rules of one configuration are about one corner of the model, or they would seldom meet.
CORNERS = {
    "leafs": ["/", TOP, f"{TOP}/acl-model:name", f"{TOP}/acl-more:extra", "/acl-more:other/acl-more:o"],
    "protected": [TOP, f"{TOP}/acl-model:secret", f"{TOP}/acl-model:guarded", f"{TOP}/acl-model:guarded/acl-model:b"],
    "cases": [f"{TOP}/acl-model:here", f"{TOP}/acl-model:first/acl-model:p", f"{TOP}/acl-model:two", TOP],
    "leaf-lists": [f"{TOP}/acl-model:word", f"{TOP}/acl-model:word[.='a']", f"{TOP}/acl-model:more[.=$USER]", TOP],
    "entries": [f"{ROW}[acl-model:k='a']", f"{ROW}[acl-model:k=$USER]", ROW, f"{TOP}/acl-model:queue[acl-model:k='a']"],
    "within entries": [f"{ROW}/acl-model:k", f"{ROW}[acl-model:k='b']/acl-model:hidden", f"{ROW}/acl-more:extra", ROW],
    "cells": [CELL, f"{ROW}[acl-model:k='a']", f"{CELL}[acl-model:x='a']", f"{CELL}/acl-model:in"],
    "deep": [
        f"{ROW}[acl-model:k='a']/acl-model:cell[acl-model:x='b'][acl-model:y='1']/acl-model:z",
        f"{ROW}[acl-model:k='a']/acl-model:cell[acl-model:x='a']",
        f"{ROW}[acl-model:k='b']/acl-model:cell",
        CELL,
    ],
}
OPERATIONS = ["create", "read", "update", "delete", "exec"]


@st.composite
def a_rule(draw: st.DrawFn, number: int, paths: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": str(number), "action": draw(st.sampled_from(["permit", "deny"]))}
    kind = draw(st.sampled_from(["path", "path", "path", "path", "none", "rpc", "notification"]))
    if kind == "path":
        found["path"] = draw(st.sampled_from(paths))
    elif kind != "none":
        found[f"{kind}-name"] = "*"
    if draw(st.integers(0, 3)) == 0:
        found["module-name"] = draw(st.sampled_from(["*", "acl-model", "acl-more"]))
    if draw(st.integers(0, 2)) == 0:
        found["access-operations"] = " ".join(sorted(draw(st.sets(st.sampled_from(OPERATIONS), min_size=1))))
    return found


@st.composite
def configs(draw: st.DrawFn, paths: list[str]) -> Config:
    lists = [
        (
            draw(st.sampled_from([["g"], ["g"], ["h"], ["*"], ["g", "h"]])),
            [draw(a_rule(number, paths)) for number in range(draw(st.integers(1, 4)))],
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    effect = st.sampled_from(["permit", "permit", "deny"])
    groups = st.sampled_from([("g",), ("g", "h"), ("g",), ()])
    return Config(lists, draw(effect), draw(effect), draw(effect), draw(groups))


@st.composite
def mostly(draw: st.DrawFn, fields: dict[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    """Each field in three cases of four: hypothesis's own optional ones are mostly not there, and rules need data."""
    return {name: draw(values) for name, values in fields.items() if draw(st.integers(0, 3))}


def rows(*keys: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    key = st.fixed_dictionaries({name: st.integers(1, 2) if name == "y" else WORDS for name in keys})
    row = st.builds(lambda keys, rest: keys | rest, key, mostly(fields))
    return st.lists(row, min_size=1, max_size=3, unique_by=lambda entry: tuple(str(entry[name]) for name in keys))


CELLS = rows("x", "y", z=WORDS, **{"in": mostly({"deep": WORDS})})
CASES = st.one_of(
    st.just({}),
    mostly({"one": WORDS, "first": st.fixed_dictionaries({"p": WORDS})}),
    mostly({"two": WORDS, "more": st.lists(WORDS, max_size=2, unique=True)}),
)
TREES = mostly(
    {
        "top": st.builds(
            lambda leafs, case: leafs | case,
            mostly(
                {
                    "name": WORDS,
                    "secret": WORDS,
                    "extra": WORDS,
                    "guarded": mostly({"a": WORDS, "b": WORDS}),
                    "here": mostly({"x": WORDS}),
                    "word": st.lists(WORDS, max_size=3, unique=True),
                    "row": rows("k", v=WORDS, hidden=WORDS, extra=WORDS, cell=CELLS),
                    "queue": rows("k", v=WORDS).map(lambda found: sorted(found, key=lambda entry: str(entry["k"]))),
                },
            ),
            CASES,
        ),
        "other": mostly({"o": WORDS}),
    },
)


class World:
    """The model, with a short name for hypothesis to print."""

    def __init__(self, library: SchemaLibrary) -> None:
        self.tree = library.tree

    def data(self, values: dict[str, Any]) -> Container:
        return build(self.tree.data, values)

    def rights(self, config: Config) -> Rights:
        """By way of the datastore's own form of the rules."""
        lists = [{"name": str(n), "group": groups, "rule": rules} for n, (groups, rules) in enumerate(config.lists)]
        values = {
            "read-default": config.read_default,
            "write-default": config.write_default,
            "exec-default": config.exec_default,
            "rule-list": lists,
        }
        nacm = build(self.tree.find("/ietf-netconf-acm:nacm"), values)
        return Rights(read_rules(nacm, self.tree), config.user, frozenset(config.groups))

    def place(self, instance: Instance) -> Place:
        node = self.tree.data
        place = {}
        for name, keys in instance:
            module, _, local = name.partition(":")
            node = node.children[(self.tree.modules[module].namespace, local)]
            if keys:
                place[node] = tuple(value for _, value in keys)
        return place


@pytest.fixture
def world(library: SchemaLibrary) -> World:
    return World(library)


FEW = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
in_each_corner = pytest.mark.parametrize("paths", CORNERS.values(), ids=CORNERS.keys())


@in_each_corner
@FEW
@given(data=st.data())
def test_decisions(world: World, paths: list[str], data: st.DataObject) -> None:
    config, root = data.draw(configs(paths)), world.data(data.draw(TREES))
    rights = world.rights(config)
    for instance, (node, _) in everything(root).items():
        for access in OPERATIONS:
            found = rights.decide(Access(access), node, world.place(instance))
            if rights.unrestricted:
                assert decide(config, access, node, instance)
            assert found.permit is decide(config, access, node, instance), (access, instance, found)


@in_each_corner
@FEW
@given(data=st.data())
def test_reading(world: World, paths: list[str], data: st.DataObject) -> None:
    config, root = data.draw(configs(paths)), world.data(data.draw(TREES))
    rights = world.rights(config)
    found = rights.readable(root)
    assert leafs_of(found) == visible(config, root)
    assert rights.readable(root) == found  # from what is remembered
    well_formed(found)


RULES: dict[str, list[dict[str, Any]]] = {
    "a key": [{"name": "0", "action": "deny", "path": f"{ROW}/acl-model:k"}],
    "a key of one entry": [{"name": "0", "action": "deny", "path": f"{ROW}[acl-model:k='a']/acl-model:k"}],
    "a value": [{"name": "0", "action": "deny", "path": f"{TOP}/acl-model:word[.='a']"}],
    "one's own value": [
        {"name": "0", "action": "permit", "path": f"{TOP}/acl-model:word[.=$USER]"},
        {"name": "1", "action": "deny", "path": f"{TOP}/acl-model:word"},
    ],
    "cells of one row": [
        {"name": "0", "action": "permit", "path": f"{ROW}[acl-model:k='a']"},
        {"name": "1", "action": "deny", "path": CELL},
    ],
    "a cell in each row": [{"name": "0", "action": "deny", "path": f"{CELL}[acl-model:x='a']"}],
    "another module": [{"name": "0", "action": "deny", "module-name": "acl-more"}],
    "what is protected": [{"name": "0", "action": "permit", "path": f"{ROW}[acl-model:k='b']/acl-model:hidden"}],
}
CELL_ROWS = [{"x": "a", "y": 1, "z": "z"}, {"x": "b", "y": 2, "in": {"deep": "d"}}]
FULL = {
    "name": "n",
    "extra": "e",
    "word": ["a", "b", "u"],
    "row": [{"k": key, "v": "v", "hidden": "h", "extra": "e", "cell": CELL_ROWS} for key in "abu"],
}


@pytest.mark.parametrize("name", RULES)
def test_reading_by_rules_that_chance_seldom_makes(world: World, name: str) -> None:
    root = world.data({"top": FULL, "other": {"o": "o"}})
    config = Config([(["g"], RULES[name])])
    found = world.rights(config).readable(root)
    assert leafs_of(found) == visible(config, root)
    assert leafs_of(found) != leafs_of(world.rights(Config([])).readable(root))
    well_formed(found)


def leafs_of(root: Container) -> set[tuple[Instance, str]]:
    """Of a pruned tree: all of it, in the form of ``naive.visible``."""
    found = set()
    for instance, (node, item) in everything(root).items():
        if isinstance(item, str):
            found.add((instance, item))
        elif node.kind is Kind.CONTAINER and node.presence:
            found.add((instance, "present"))
    return found


def well_formed(root: Container) -> None:
    """What every frozen tree promises: no empty containers or lists, keys in place, order kept."""
    for node, value in root.children.items():
        if isinstance(value, ListNode):
            assert len(value)
            assert [entry.keys for entry in value] == [entry.keys for entry in ListNode.of(node, list(value))]
            for entry in value:
                well_formed(entry)
        elif isinstance(value, Container):
            assert value.children or node.presence
            well_formed(value)


@in_each_corner
@FEW
@given(data=st.data())
def test_writing(world: World, paths: list[str], data: st.DataObject) -> None:
    config = data.draw(configs(paths))
    before, after = world.data(data.draw(TREES)), world.data(data.draw(TREES))
    rights = world.rights(config)
    refused = list(denied(rights, before, after))
    nodes = {**everything(before), **everything(after)}
    expected = {
        (access, here) for access, here in needed(before, after) if not decide(config, access, nodes[here][0], here)
    }
    assert bool(refused) == bool(expected), (refused, expected)
    for refusal in refused:  # each that is named is one of them
        assert any(access == refusal.access and nodes[here][0] is refusal.node for access, here in expected)
    if rights.unrestricted:
        assert not expected


@FEW
@given(values=TREES)
def test_without_rules_all_is_shared(world: World, values: dict[str, Any]) -> None:
    """A user who may read everything gets the very tree."""
    root = world.data(values)
    everything_permitted = Config([(["g"], [{"name": "all", "action": "permit"}])])
    rights = world.rights(everything_permitted)
    assert rights.unrestricted
    assert rights.readable(root) is root


def test_the_defaults_are_those_of_the_module(library: SchemaLibrary) -> None:
    tree = library.tree
    nacm = tree.find("/ietf-netconf-acm:nacm")
    assert read_rules(build(nacm, {}), tree) == read_rules(None, tree) == RuleSet()
