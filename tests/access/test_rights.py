"""Decisions of RFC 8341 that the property tests do not reach: operations, events, actions, moves; and their cost."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from mlag_agent.access import rights as rights_module
from mlag_agent.access.changes import denied
from mlag_agent.access.rights import Rights, Uniform
from mlag_agent.access.rules import Access, BadPathError, RuleSet, read_rules
from mlag_agent.data.build import build
from mlag_agent.data.encode import encode_children
from mlag_agent.data.tree import CHUNK_ENTRIES, Container, ListNode
from mlag_agent.schema.library import SchemaLibrary

Make = Callable[..., Rights]

TOP = "/acl-model:top"
ROW = f"{TOP}/acl-model:row"


def rule(name: str, action: str, operations: str = "*", **more: str) -> dict[str, str]:
    return {
        "name": name,
        "action": action,
        "access-operations": operations,
        **{key.replace("_", "-"): value for key, value in more.items()},
    }


def rights_of(rules: RuleSet, user: str, external: frozenset[str]) -> Rights:
    return Rights(rules, user, rules.groups_of(user, external))


@pytest.fixture
def make(library: SchemaLibrary) -> Make:
    """``make(rule(...), ..., groups=..., read_default=...)``: rights of user u under one rule-list of group g."""

    def begin(*rules: dict[str, str], user: str = "u", groups: tuple[str, ...] = ("g",), **leafs: Any) -> Rights:
        values = {key.replace("_", "-"): value for key, value in leafs.items()}
        lists = [{"name": "l", "group": ["g"], "rule": list(rules)}] if rules else None
        nacm = build(library.tree.find("/ietf-netconf-acm:nacm"), {**values, "rule-list": lists})
        return rights_of(read_rules(nacm, library.tree), user, frozenset(groups))

    return begin


class TestOperations:
    """Section 3.4.4."""

    @pytest.fixture
    def rpc(self, library: SchemaLibrary) -> Callable[[str], Any]:
        return lambda name: next(node for (_, local), node in library.tree.rpcs.items() if local == name)

    def test_close_session_is_always_permitted(self, make: Make, rpc: Callable[[str], Any]) -> None:
        assert make(rule("no", "deny"), exec_default="deny").operation(rpc("close-session")).permit

    @pytest.mark.parametrize("name", ["kill-session", "delete-config"])
    def test_exec_default_is_not_for_these(self, make: Make, rpc: Callable[[str], Any], name: str) -> None:
        assert not make(exec_default="permit").operation(rpc(name)).permit
        assert make(rule("yes", "permit", "exec", rpc_name=name)).operation(rpc(name)).permit

    def test_default_deny_all(self, make: Make, rpc: Callable[[str], Any]) -> None:
        decision = make().operation(rpc("destroy"))
        assert not decision.permit
        assert decision.why == "no rule matches, and the operation is nacm:default-deny-all"
        assert make(rule("yes", "permit", module_name="acl-model")).operation(rpc("destroy")).permit

    def test_exec_default(self, make: Make, rpc: Callable[[str], Any]) -> None:
        assert make().operation(rpc("reset")).permit
        decision = make(exec_default="deny").operation(rpc("reset"))
        assert decision.why == "no rule matches, and exec-default is deny"

    def test_rules_of_other_kinds_do_not_match(self, make: Make, rpc: Callable[[str], Any]) -> None:
        others = (
            rule("data", "deny", path="/"),
            rule("event", "deny", notification_name="*"),
            rule("read", "deny", "read create update delete"),
            rule("other-module", "deny", module_name="ietf-netconf"),
            rule("other-name", "deny", rpc_name="set"),
        )
        assert make(*others).operation(rpc("reset")).permit

    def test_the_first_match_counts(self, make: Make, rpc: Callable[[str], Any]) -> None:
        found = make(rule("one", "deny", "exec", rpc_name="reset"), rule("two", "permit")).operation(rpc("reset"))
        assert (found.permit, found.why) == (False, 'rule "one" of rule-list "l"')

    def test_without_a_group_no_rule_matches(self, make: Make, rpc: Callable[[str], Any]) -> None:
        """Step 5: not even a rule-list for all groups."""
        found = make(rule("no", "deny"), groups=()).operation(rpc("reset"))
        assert found.permit
        assert "the user is in no group" in found.why

    def test_groups_from_outside_count_when_they_are_enabled(self, make: Make, rpc: Callable[[str], Any]) -> None:
        assert not make(rule("no", "deny")).operation(rpc("reset")).permit
        assert make(rule("no", "deny"), enable_external_groups=False).operation(rpc("reset")).permit

    def test_groups_of_the_configuration(self, library: SchemaLibrary, rpc: Callable[[str], Any]) -> None:
        values = {
            "enable-external-groups": False,
            "groups": {"group": [{"name": "g", "user-name": ["u", "v"]}, {"name": "h", "user-name": ["u"]}]},
            "rule-list": [{"name": "l", "group": ["h"], "rule": [rule("no", "deny")]}],
        }
        found = read_rules(build(library.tree.find("/ietf-netconf-acm:nacm"), values), library.tree)
        assert rights_of(found, "u", frozenset({"x"})).groups == {"g", "h"}
        assert not rights_of(found, "u", frozenset()).operation(rpc("reset")).permit
        assert rights_of(found, "v", frozenset({"h"})).operation(rpc("reset")).permit


class TestEvents:
    """Section 3.4.6."""

    def test_by_rule_and_default(self, make: Make, library: SchemaLibrary) -> None:
        found = {name: node for (_, name), node in library.tree.notifications.items()}
        event, confidential = found["event"], found["confidential"]
        assert make().notification(event).permit
        assert not make().notification(confidential).permit
        assert not make(read_default="deny").notification(event).permit
        assert (
            make(rule("y", "permit", "read", notification_name="event"), read_default="deny").notification(event).permit
        )
        assert not make(rule("n", "deny", "read")).notification(event).permit
        assert make(rule("n", "deny", "create update delete exec")).notification(event).permit
        assert make(rule("n", "deny", rpc_name="*")).notification(event).permit
        assert make(rule("n", "deny", path="/")).notification(event).permit

    def test_in_a_data_node_all_above_must_be_readable(self, make: Make, library: SchemaLibrary) -> None:
        row = library.tree.find(ROW)
        boom = next(node for node in row.operations.values() if node.name == "boom")
        line = [library.tree.find(TOP), row, boom]
        place = {row: ("a",)}
        assert make().reads(line, place)
        assert not make(rule("n", "deny", "read", path=f"{ROW}/acl-model:boom")).reads(line, place)
        assert not make(rule("n", "deny", "read", path=f"{ROW}[acl-model:k='a']")).reads(line, place)
        assert make(rule("n", "deny", "read", path=f"{ROW}[acl-model:k='b']")).reads(line, place)


class TestActions:
    """Section 3.1.3: the path of an action node."""

    def test_exec(self, make: Make, library: SchemaLibrary) -> None:
        row = library.tree.find(ROW)
        go = next(node for node in row.operations.values() if node.name == "go")
        mine = make(rule("n", "deny", "exec", path=f"{ROW}[acl-model:k=$USER]/acl-model:go"))
        assert not mine.decide(Access.EXEC, go, {row: ("u",)}).permit
        assert mine.decide(Access.EXEC, go, {row: ("v",)}).permit
        assert make(rule("n", "deny", "exec", rpc_name="go")).decide(Access.EXEC, go, {row: ("u",)}).permit


class TestOrder:
    """An entry that moves is updated."""

    def test_a_move_needs_update(self, make: Make, library: SchemaLibrary) -> None:
        def queue(*keys: str) -> Container:
            return build(library.tree.data, {"top": {"queue": [{"k": key} for key in keys], "ranked": list(keys)}})

        before, after = queue("a", "b", "c"), queue("b", "a", "c")
        refused = list(denied(make(rule("n", "deny", "update"), write_default="permit"), before, after))
        assert [(found.access, found.node.name) for found in refused] == [
            (Access.UPDATE, "ranked"),
            (Access.UPDATE, "ranked"),
            (Access.UPDATE, "queue"),
            (Access.UPDATE, "queue"),
        ]
        assert not list(denied(make(rule("n", "deny", "create delete"), write_default="permit"), before, after))
        added, gone = queue("a", "x", "b", "c"), queue("a", "c")
        permissive = make(rule("n", "deny", "update"), write_default="permit")
        assert not list(denied(permissive, before, added))
        assert not list(denied(permissive, before, gone))


class TestCost:
    """Fifty thousand entries: what is looked at depends on the rules, not on the entries, where rules allow it."""

    ENTRIES = 20 * CHUNK_ENTRIES

    @pytest.fixture
    def big(self, library: SchemaLibrary) -> Container:
        rows = [{"k": f"{n:06}", "v": "x", "hidden": "h"} for n in range(self.ENTRIES)]
        return build(library.tree.data, {"top": {"name": "n", "row": rows}})

    @pytest.fixture
    def visits(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Each entry that pruning looks at, and each instance that writing does."""
        found: list[str] = []
        entry, instances = Rights._entry, rights_module._instances

        def count_entry(self: Rights, row: Container, *rest: Any) -> Any:
            found.append(row.keys[0])
            return entry(self, row, *rest)

        def count_instances(*args: Any) -> Any:
            for item in instances(*args):
                found.append(args[0].name)
                yield item

        monkeypatch.setattr(Rights, "_entry", count_entry)
        monkeypatch.setattr(rights_module, "_instances", count_instances)
        return found

    def test_entries_that_are_all_permitted_are_not_visited(
        self, make: Make, big: Container, visits: list[str]
    ) -> None:
        mine = make(
            rule("row", "permit", path=ROW),
            rule("name", "deny", path=f"{TOP}/acl-model:name"),
            rule("other", "deny", module_name="acl-more"),
        )
        seen = mine.readable(big)
        top = next(iter(seen.children.values()))
        assert isinstance(top, Container)
        assert [node.name for node in top.children] == ["row"]
        before = next(iter(big.children.values()))
        assert isinstance(before, Container)
        row = top.named("row")
        assert row is before.named("row")  # with its cached bytes
        assert visits == []

    def test_entries_that_are_all_denied_are_not_visited(self, make: Make, big: Container, visits: list[str]) -> None:
        seen = make(rule("row", "deny", "read", path=ROW)).readable(big)
        assert "row" not in str(encode_children(seen, {}))
        assert visits == []

    def test_what_was_pruned_is_remembered_chunk_by_chunk(
        self, make: Make, library: SchemaLibrary, big: Container, visits: list[str]
    ) -> None:
        mine = make(rule("one", "deny", "read", path=f"{ROW}[acl-model:k='000005']"))
        first = mine.readable(big)
        assert len(visits) == self.ENTRIES
        visits.clear()
        assert mine.readable(big) == first
        assert visits == []
        # One entry changes: the entries of its chunk alone are looked at again.
        top_node, row_node = library.tree.find(TOP), library.tree.find(ROW)
        top = big.get(top_node)
        assert isinstance(top, Container)
        row = top.get(row_node)
        assert isinstance(row, ListNode)
        entry = build(row_node, {"k": "001000", "v": "y"})
        changed = row.updated({("001000",): entry})
        assert changed is not None
        after = Container(big.schema, {top_node: Container.ordered(top_node, {**top.children, row_node: changed})})
        seen = mine.readable(after)
        assert 0 < len(visits) <= 2 * CHUNK_ENTRIES
        assert len(seen.get(top_node).get(row_node)) == self.ENTRIES - 1  # type: ignore[union-attr,arg-type]

    def test_what_is_remembered_dies_with_the_tree(self, make: Make, library: SchemaLibrary) -> None:
        mine = make(rule("one", "deny", "read", path=f"{ROW}[acl-model:k='a']"))
        mine.readable(build(library.tree.data, {"top": {"row": [{"k": "a"}, {"k": "b"}]}}))
        gc.collect()
        assert len(mine._pruned) == 0

    def test_writing_skips_what_is_permitted_as_a_whole(self, make: Make, big: Container, visits: list[str]) -> None:
        nothing = Container(big.schema, {})
        permitted = make(rule("top", "permit", path=TOP), rule("nothing-else", "deny"))
        assert not list(denied(permitted, nothing, big))
        assert not list(denied(permitted, big, nothing))
        assert visits == []

    def test_a_refusal_of_all_looks_at_one(self, make: Make, big: Container, visits: list[str]) -> None:
        nothing = Container(big.schema, {})
        found = list(denied(make(rule("row", "deny", path=ROW), rule("top", "permit", path=TOP)), big, nothing))
        assert len(found) == 1
        assert len(visits) <= 4  # top, name, one row

    def test_uniform(self, make: Make, library: SchemaLibrary) -> None:
        row = library.tree.find(ROW)
        assert make().uniform(Access.READ, row) is Uniform.MIXED  # hidden is default-deny-all
        assert make(rule("y", "permit", path=ROW)).uniform(Access.READ, row) is Uniform.PERMIT
        assert make(rule("n", "deny", path=ROW)).uniform(Access.READ, row) is Uniform.DENY
        assert make(rule("n", "deny", path=f"{ROW}[acl-model:k='a']")).uniform(Access.READ, row) is Uniform.MIXED


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"{TOP}/acl-model:nothing", "/acl-model:top has no node nothing"),
        (f"{TOP}/acl-model:row[acl-model:v='1']", "v is no key of row"),
        (f"{TOP}/acl-model:name[.='1']", "name is no leaf-list"),
        ("top", "no instance-identifier from character 0"),
        (f"{TOP}/acl-model:row[1]", "no instance-identifier from character"),
        ("/none:top", "has no node top"),
    ],
)
def test_paths_that_cannot_be_used(library: SchemaLibrary, path: str, words: str) -> None:
    tree = library.tree
    lists = [{"name": "l", "group": ["g"], "rule": [rule("r", "permit", path=path)]}]
    nacm = build(tree.find("/ietf-netconf-acm:nacm"), {"rule-list": lists})
    with pytest.raises(BadPathError, match='rule "r" of rule-list "l"') as caught:
        read_rules(nacm, tree)
    assert words in str(caught.value)
    assert read_rules(nacm, tree, lenient=True).rule_lists[0].rules == ()
