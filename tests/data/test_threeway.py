"""The three-way merge: its laws on generated trees, and what counts as a conflict case by case."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.conftest import Bench
from tests.data.test_edit_property import BOX, Item, items, xml

from mlag_agent.data.diff import edit_document
from mlag_agent.data.edit import Editor
from mlag_agent.data.threeway import Prefer, three_way
from mlag_agent.data.tree import Container, ListNode

MODULE = "/toolbox:box"


def payload(bench: Bench, found: list[Item]) -> str:
    return bench.box("".join(xml(item, BOX) for item in found))


def replayed(bench: Bench, root: Container, old: Container, new: Container) -> Container:
    """``root`` after the edit that makes ``new`` of ``old``: another way to what a merge gives."""
    document = edit_document(old, with_empty_ones(old, new), bench.namespaces).decode()
    editor = Editor()
    after = editor.apply(root, bench.reader.read(bench.config(document)))
    assert not editor.errors
    return after


def with_empty_ones(old: Container, new: Container) -> Container:
    """``new`` with the containers that are no data any more because they are empty.

    An edit document removes such a container with all that it holds, which is quicker to say and right for the old tree
    alone: what others have put in meanwhile would go as well.
    """
    children = dict(new.children)
    for node, was in old.children.items():
        now = children.get(node)
        if isinstance(was, Container) and not node.presence and not node.cases:
            children[node] = with_empty_ones(was, now if isinstance(now, Container) else Container(node, {}))
        elif isinstance(was, Container) and isinstance(now, Container):
            children[node] = with_empty_ones(was, now)
        elif isinstance(was, ListNode) and isinstance(now, ListNode):
            rows = {entry.keys: entry for entry in was}
            children[node] = ListNode.keyed(
                node, {e.keys: with_empty_ones(rows[e.keys], e) if e.keys in rows else e for e in now}
            )
    return Container.ordered(new.schema, children)


def lasting(bench: Bench, old: Container, new: Container, root: Container) -> bool:
    """Whether making the changes from ``old`` to ``new`` once more changes nothing."""
    return replayed(bench, root, old, new) == root


SOME = st.tuples(*[items(BOX, operations=True)] * 3)
EDITS = st.tuples(st.tuples(*[items(BOX, operations=False)] * 3), SOME, SOME)
"""A configuration, and what two sessions do to it."""


class TestLaws:
    def trees(self, bench: Bench, edits: Any) -> tuple[Container, Container, Container]:
        def edited(root: Container, payloads: Any) -> Container:
            for found in payloads:
                root, _ = bench.apply(root, payload(bench, found))
            return root

        base = edited(bench.empty, edits[0])
        mine, theirs = edited(base, edits[1]), edited(base, edits[2])
        return base, mine, theirs

    @given(edits=EDITS)
    @settings(max_examples=150, deadline=None)
    def test_one_side_alone(self, bench: Bench, edits: Any) -> None:
        base, mine, theirs = self.trees(bench, edits)
        assert three_way(base, base, theirs).root == theirs
        assert three_way(base, mine, base).root == mine
        both = three_way(base, mine, mine)
        assert (both.root, both.conflicts) == (mine, ())

    @given(edits=EDITS)
    @settings(max_examples=250, deadline=None)
    def test_symmetry(self, bench: Bench, edits: Any) -> None:
        base, mine, theirs = self.trees(bench, edits)
        one, other = three_way(base, mine, theirs), three_way(base, theirs, mine)
        assert {c.path for c in one.conflicts} == {c.path for c in other.conflicts}
        assert three_way(base, mine, theirs, Prefer.MINE).root == other.root
        if not one.conflicts:
            # Values of a system-ordered leaf-list have one order, entries of a user-ordered list are moved by one side.
            assert bench.xml(one.root) == bench.xml(other.root)

    @given(edits=EDITS)
    @settings(max_examples=250, deadline=None)
    def test_without_conflict_it_is_one_after_the_other(self, bench: Bench, edits: Any) -> None:
        base, mine, theirs = self.trees(bench, edits)
        merged = three_way(base, mine, theirs)
        if merged.conflicts:
            return
        assert merged.root == replayed(bench, theirs, base, mine)
        assert merged.root == replayed(bench, mine, base, theirs)

    @given(edits=EDITS)
    @settings(max_examples=250, deadline=None)
    def test_nothing_is_lost(self, bench: Bench, edits: Any) -> None:
        """Without a conflict every change of either side is in the result; with theirs preferred, all of theirs."""
        base, mine, theirs = self.trees(bench, edits)
        merged = three_way(base, mine, theirs)
        assert lasting(bench, base, theirs, merged.root)
        if not merged.conflicts:
            assert lasting(bench, base, mine, merged.root)

    @given(edits=EDITS)
    @settings(max_examples=250, deadline=None)
    def test_after_an_update_the_candidate_merges(self, bench: Bench, edits: Any) -> None:
        """``update`` makes theirs the new base; then there is no conflict, and a commit gives the merged tree."""
        base, mine, theirs = self.trees(bench, edits)
        for prefer in Prefer:
            merged = three_way(base, mine, theirs, prefer)
            assert three_way(theirs, merged.root, theirs).root == merged.root

    @given(edits=EDITS)
    @settings(max_examples=150, deadline=None)
    def test_the_inputs_stay(self, bench: Bench, edits: Any) -> None:
        base, mine, theirs = self.trees(bench, edits)
        before = [bench.xml(root) for root in (base, mine, theirs)]
        three_way(base, mine, theirs)
        assert [bench.xml(root) for root in (base, mine, theirs)] == before


ROW = "<row><id>{}</id>{}</row>"
STEP = "<step><name>{}</name></step>"
GONE = 'nc:operation="remove"'

CONFLICTS = [
    ("a leaf with two values", "<name>1</name>", "<name>2</name>", "<name>3</name>", ["name"]),
    ("a leaf set and deleted", "<name>1</name>", "<name>2</name>", f"<name {GONE}/>", ["name"]),
    ("a leaf that both set", "", "<name>2</name>", "<name>3</name>", ["name"]),
    ("an entry deleted and changed", ROW.format(3, ""), f"<row {GONE}><id>3</id></row>",
     ROW.format(3, "<label>x</label>"), ["row[id='3']"]),
    ("an entry that both created", "", ROW.format(3, "<label>x</label>"), ROW.format(3, "<label>y</label>"),
     ["row[id='3']"]),
    ("a presence container deleted and filled", "<present/>", f"<present {GONE}/>", "<present><a>1</a></present>",
     ["present"]),
    ("cases of a choice", "", "<airline>1</airline>", "<walk/>", ["airline", "walk"]),
    ("a case left and changed", "<airline>1</airline>", "<walk/>", "<airline>2</airline>", ["airline"]),
    ("two orders", STEP.format("a") + STEP.format("b"), STEP.format("c"), STEP.format("d"), ["step"]),
    ("an entry of the user's order deleted and changed", STEP.format("a") + STEP.format("b"),
     f"<step {GONE}><name>a</name></step>", "<step><name>a</name><what>1</what></step>", ["step[name='a']"]),
    ("two orders of values", "<order>1</order>", "<order>2</order>", "<order>3</order>", ["order"]),
    ("any data", "<blob><x xmlns='urn:x'/></blob>", "<blob><x xmlns='urn:y'/></blob>",
     "<blob><x xmlns='urn:z'/></blob>", ["blob"]),
]  # fmt: skip

PEACE = [
    ("different leafs", "", "<name>1</name>", "<plain><a>1</a></plain>"),
    ("the same value", "", "<name>1</name>", "<name>1</name>"),
    ("one container, which has no presence, made by both", "", "<plain><a>1</a></plain>",
     "<plain><deep><c>true</c></deep></plain>"),
    ("different entries", "", ROW.format(3, ""), ROW.format(20, "")),
    ("different leafs of an entry", ROW.format(3, ""), ROW.format(3, "<label>x</label>"),
     ROW.format(3, "<tag>x</tag>")),
    ("an entry deleted by both", ROW.format(3, ""), f"<row {GONE}><id>3</id></row>", f"<row {GONE}><id>3</id></row>"),
    ("values of a leaf-list", ROW.format(3, "<tag>1</tag>"), ROW.format(3, "<tag>2</tag>"),
     ROW.format(3, f"<tag {GONE}>1</tag><tag>3</tag>")),
    ("the order here, the content there", STEP.format("a") + STEP.format("b"), STEP.format("c"),
     "<step><name>a</name><what>1</what></step>"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "wanted"), [c[1:] for c in CONFLICTS], ids=[c[0] for c in CONFLICTS]
)
def test_conflict(bench: Bench, base: str, mine: str, theirs: str, wanted: list[str]) -> None:
    root = bench.load(bench.box(base)) if base else bench.empty
    one, other = bench.edit(root, bench.box(mine)), bench.edit(root, bench.box(theirs))
    found = three_way(root, one, other)
    assert sorted(c.path for c in found.conflicts) == [f"{MODULE}/{path}" for path in wanted]
    assert found.root == other
    assert three_way(root, one, other, Prefer.MINE).root == one


@pytest.mark.parametrize(("base", "mine", "theirs"), [c[1:] for c in PEACE], ids=[c[0] for c in PEACE])
def test_no_conflict(bench: Bench, base: str, mine: str, theirs: str) -> None:
    root = bench.load(bench.box(base)) if base else bench.empty
    one, other = bench.edit(root, bench.box(mine)), bench.edit(root, bench.box(theirs))
    found = three_way(root, one, other)
    assert found.conflicts == ()
    assert found.root == bench.edit(other, bench.box(mine)) == bench.edit(one, bench.box(theirs))
