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
PATHS = [
    "/",
    "/acl-model:top",
    "/acl-model:top/acl-model:name",
    "/acl-model:top/acl-model:secret",
    "/acl-model:top/acl-model:guarded",
    "/acl-model:top/acl-model:here",
    "/acl-model:top/acl-model:first/acl-model:p",
    "/acl-model:top/acl-model:two",
    "/acl-model:top/acl-more:extra",
    "/acl-model:top/acl-model:word",
    "/acl-model:top/acl-model:word[.='a']",
    "/acl-model:top/acl-model:row",
    "/acl-model:top/acl-model:row[acl-model:k='a']",
    "/acl-model:top/acl-model:row[acl-model:k=$USER]",
    "/acl-model:top/acl-model:row/acl-model:k",
    "/acl-model:top/acl-model:row/acl-model:v",
    "/acl-model:top/acl-model:row[acl-model:k='b']/acl-model:hidden",
    "/acl-model:top/acl-model:row/acl-more:extra",
    "/acl-model:top/acl-model:row/acl-model:cell",
    "/acl-model:top/acl-model:row/acl-model:cell[acl-model:x='a']",
    "/acl-model:top/acl-model:row[acl-model:k='a']/acl-model:cell[acl-model:x='b'][acl-model:y='1']/acl-model:z",
    "/acl-model:top/acl-model:row/acl-model:cell/acl-model:in",
    "/acl-model:top/acl-model:queue[acl-model:k='a']",
    "/acl-more:other/acl-more:o",
]
OPERATIONS = ["create", "read", "update", "delete", "exec"]


@st.composite
def a_rule(draw: st.DrawFn, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {"name": str(number), "action": draw(st.sampled_from(["permit", "deny"]))}
    kind = draw(st.sampled_from(["none", "path", "path", "path", "path", "rpc", "notification"]))
    if kind == "path":
        found["path"] = draw(st.sampled_from(PATHS))
    elif kind != "none":
        found[f"{kind}-name"] = "*"
    if draw(st.booleans()):
        found["module-name"] = draw(st.sampled_from(["*", "acl-model", "acl-more"]))
    if draw(st.booleans()):
        found["access-operations"] = " ".join(sorted(draw(st.sets(st.sampled_from(OPERATIONS), min_size=1))))
    return found


@st.composite
def configs(draw: st.DrawFn) -> Config:
    lists = [
        (
            draw(st.sampled_from([["g"], ["h"], ["*"], ["g", "h"]])),
            [draw(a_rule(n)) for n in range(draw(st.integers(0, 4)))],
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    effect = st.sampled_from(["permit", "deny"])
    return Config(lists, draw(effect), draw(effect), draw(effect), draw(st.sampled_from([("g",), (), ("g", "h")])))


def rows(**leafs: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    row = st.fixed_dictionaries({"k": WORDS}, optional=leafs)
    return st.lists(row, max_size=3, unique_by=lambda entry: str(entry["k"]))


CELLS = st.lists(
    st.fixed_dictionaries(
        {"x": WORDS, "y": st.integers(1, 2)},
        optional={"z": WORDS, "in": st.fixed_dictionaries({}, optional={"deep": WORDS})},
    ),
    max_size=3,
    unique_by=lambda cell: (cell["x"], cell["y"]),
)
CASES = st.one_of(
    st.just({}),
    st.fixed_dictionaries({}, optional={"one": WORDS, "first": st.fixed_dictionaries({"p": WORDS})}),
    st.fixed_dictionaries({}, optional={"two": WORDS, "more": st.lists(WORDS, max_size=2, unique=True)}),
)
TREES = st.fixed_dictionaries(
    {},
    optional={
        "top": st.builds(
            lambda leafs, case: leafs | case,
            st.fixed_dictionaries(
                {},
                optional={
                    "name": WORDS,
                    "secret": WORDS,
                    "extra": WORDS,
                    "guarded": st.fixed_dictionaries({}, optional={"a": WORDS, "b": WORDS}),
                    "here": st.fixed_dictionaries({}, optional={"x": WORDS}),
                    "word": st.lists(WORDS, max_size=3, unique=True),
                    "row": rows(v=WORDS, hidden=WORDS, extra=WORDS, cell=CELLS),
                    "queue": rows(v=WORDS).map(lambda found: sorted(found, key=lambda entry: str(entry["k"]))),
                },
            ),
            CASES,
        ),
        "other": st.fixed_dictionaries({}, optional={"o": WORDS}),
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


FEW = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)


@FEW
@given(config=configs(), values=TREES)
def test_decisions(world: World, config: Config, values: dict[str, Any]) -> None:
    rights = world.rights(config)
    for instance, (node, _) in everything(world.data(values)).items():
        for access in OPERATIONS:
            found = rights.decide(Access(access), node, world.place(instance))
            if rights.unrestricted:
                assert decide(config, access, node, instance)
            assert found.permit is decide(config, access, node, instance), (access, instance, found)


@FEW
@given(config=configs(), values=TREES)
def test_reading(world: World, config: Config, values: dict[str, Any]) -> None:
    root = world.data(values)
    rights = world.rights(config)
    found = rights.readable(root)
    assert leafs_of(found) == visible(config, root)
    assert rights.readable(root) == found  # from what is remembered
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


@FEW
@given(config=configs(), old=TREES, new=TREES)
def test_writing(world: World, config: Config, old: dict[str, Any], new: dict[str, Any]) -> None:
    before, after = world.data(old), world.data(new)
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
