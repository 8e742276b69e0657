"""``merge`` lays state over configuration: its laws, on generated trees, and against a reference on dictionaries."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mlag_agent.data.tree import Container, LeafList, ListNode, Node, merge, same

WORDS = st.sampled_from(["", "a", "b", "it's"])


def leafs(*names: str) -> st.SearchStrategy[str]:
    return st.dictionaries(st.sampled_from(names), WORDS).map(
        lambda given: "".join(f"<{name}>{value}</{name}>" for name, value in given.items())
    )


def many(name: str, key: str, keys: list[str], body: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.dictionaries(st.sampled_from(keys), body, max_size=3).map(
        lambda rows: "".join(f"<{name}><{key}>{k}</{key}>{text}</{name}>" for k, text in rows.items())
    )


ROWS = many("row", "id", ["-2", "3", "20"], leafs("label"))
STEPS = many("step", "name", ["x", "y", "z"], leafs("what"))
PLAIN = leafs("a").map(lambda text: f"<plain>{text}</plain>" if text else "")
ORDER = st.lists(st.sampled_from("pqr"), unique=True).map(
    lambda values: "".join(f"<order>{value}</order>" for value in values)
)
WAY = st.sampled_from(
    [
        "",
        "<airline>x</airline>",
        "<stop>s</stop><airline>y</airline>",
        "<upper>1</upper>",
        "<lower>2</lower>",
        "<walk/>",
    ]
)
BLOB = st.sampled_from(["", "<blob><x xmlns='urn:x'/></blob>", "<blob><y xmlns='urn:y'>1</y></blob>"])
NO_CHOICE = st.tuples(leafs("name"), PLAIN, ROWS, STEPS, ORDER, BLOB).map("".join)
BOX = st.tuples(NO_CHOICE, WAY).map("".join)


def plain(node: Node) -> Any:
    """A tree as dictionaries, with the order of entries."""
    if isinstance(node, Container):
        return {child.name: plain(value) for child, value in node.children.items()}
    if isinstance(node, ListNode):
        return {entry.keys: plain(entry) for entry in node}
    if isinstance(node, LeafList):
        return list(node.values)
    return node if isinstance(node, str) else node.xml


CASES = {"airline": ("air",), "stop": ("air",), "upper": ("sea", "upper"), "lower": ("sea", "lower"), "walk": ("walk",)}


def conflicting(one: str, other: str) -> bool:
    mine, its = CASES.get(one), CASES.get(other)
    if mine is None or its is None:
        return False
    return mine[0] != its[0] or (len(mine) == len(its) == 2 and mine[1] != its[1])


def laid_over(base: Any, overlay: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(overlay, dict):
        return overlay
    kept = {k: v for k, v in base.items() if isinstance(k, tuple) or not any(conflicting(k, o) for o in overlay)}
    for key, value in overlay.items():
        kept[key] = laid_over(kept[key], value) if key in kept else value
    return kept


@settings(deadline=None, max_examples=200)
@given(st.tuples(BOX, BOX, BOX))
def test_laws(bench: Any, texts: tuple[str, str, str]) -> None:
    a, b, c = roots = [bench.load(bench.box(text)) for text in texts]
    before = [bench.xml(root) for root in roots]
    assert same(merge(a, a), a)
    assert merge(a, bench.empty) is a
    assert merge(bench.empty, a) is a
    assert same(merge(merge(a, b), b), merge(a, b))
    merge(merge(a, b), c)
    found, expected = plain(merge(a, b)), laid_over(plain(a), plain(b))
    assert found == expected
    steps = [list(tree["box"].get("step", {})) if "box" in tree else [] for tree in (found, expected)]
    assert steps[0] == steps[1]  # the order by the user: the base's, then what is new
    assert bench.xml(merge(a, b)) == bench.xml(bench.load(bench.xml(merge(a, b))))
    assert [bench.xml(root) for root in roots] == before


@settings(deadline=None, max_examples=200)
@given(st.tuples(NO_CHOICE, NO_CHOICE, NO_CHOICE))
def test_associative_but_for_choices(bench: Any, texts: tuple[str, str, str]) -> None:
    """With them it is not: a case that a later tree has taken away leaves no mark in a merge of the later two."""
    a, b, c = [bench.load(bench.box(text)) for text in texts]
    assert same(merge(merge(a, b), c), merge(a, merge(b, c)))


def test_cost_is_that_of_the_overlay(bench: Any) -> None:
    """Of a long list only the chunk that changes is made anew."""
    base = bench.load(bench.box("".join(f"<row><id>{n}</id></row>" for n in range(5000))))
    over = bench.load(bench.box("<row><id>7</id><label>seven</label></row>"))
    box = bench.tree.find("/toolbox:box")
    row = bench.tree.find("/toolbox:box/row")

    def chunks(root: Container) -> tuple[object, ...]:
        found = root.get(box)
        assert isinstance(found, Container)
        rows = found.get(row)
        assert isinstance(rows, ListNode)
        return rows.chunks

    old, new = chunks(base), chunks(merge(base, over))
    assert len(old) == len(new) > 10
    assert sum(one is not other for one, other in zip(old, new, strict=True)) == 1
