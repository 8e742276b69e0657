"""Subtree filters: RFC 6241 section 6, its examples, and a naive reference on XML."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from mlag_agent.data.build import Selection, narrowed
from mlag_agent.data.filter import SubtreeFilter
from mlag_agent.data.lexical import matching_text
from mlag_agent.data.tree import Container, ListNode, Node
from mlag_agent.schema.nodes import SchemaNode

TB = "urn:test:toolbox"

DATA = f"""
<box xmlns="{TB}">
  <name>fox</name>
  <plain><a>1</a><b>2</b><deep><c>true</c></deep></plain>
  <row><id>1</id><label>one</label><tag>x</tag><tag>y</tag><more><x>p</x><y>q</y></more></row>
  <row><id>2</id><label>two</label><tag>y</tag></row>
  <row><id>10</id><label>ten</label><cell><x>1</x><y>b</y><v>V</v></cell><cell><x>2</x><y>b</y></cell></row>
  <step><name>c</name><what>first</what></step><step><name>a</name></step><step><name>b</name></step>
  <blob><thing xmlns="urn:x" kind="k"><part>1</part><other>2</other></thing></blob>
</box>
<door xmlns="{TB}"><id>7</id><open>true</open></door>
"""


def select(bench: Any, root: Container, text: str) -> str:
    made = SubtreeFilter.compile(etree.fromstring(f"<filter>{text}</filter>"), bench.tree, matching_text)
    return str(bench.xml(made.apply(root))).replace(f' xmlns="{TB}"', "")


@pytest.fixture(scope="module")
def root(bench: Any) -> Container:
    return bench.load(re.sub(r">\s+<", "><", DATA))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", ""),  # section 6.4.2
        ("<box><name/></box>", "<box><name>fox</name></box>"),
        (f'<box xmlns="{TB}"><name/></box>', "<box><name>fox</name></box>"),
        ('<box xmlns="urn:other"><name/></box>', ""),
        ('<box xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><name/></box>', "<box><name>fox</name></box>"),
        ('<box a="b"/>', ""),  # section 6.2.2: an attribute that no instance has
        ('<box><name a="b">fox</name></box>', ""),
        ("<box><plain><deep/></plain></box>", "<box><plain><deep><c>true</c></deep></plain></box>"),
        ("<box><nothing/></box>", ""),
        ("<box><name/><nothing/></box>", "<box><name>fox</name></box>"),
        ("<box><nothing>1</nothing><name/></box>", ""),
        # section 6.4.4: a list without content match, with one, and with parts of the entry
        ("<box><row><id/></row></box>", "<box><row><id>1</id></row><row><id>2</id></row><row><id>10</id></row></box>"),
        ("<box><row><id>2</id></row></box>", "<box><row><id>2</id><label>two</label><tag>y</tag></row></box>"),
        ("<box><row><id>002</id><label/></row></box>", "<box><row><id>2</id><label>two</label></row></box>"),
        ("<box><row><id> 2 </id><label/></row></box>", "<box><row><id>2</id><label>two</label></row></box>"),
        ("<box><row><id>two</id></row></box>", ""),
        ("<box><row><id>3</id></row></box>", ""),
        ("<box><row><label>ten</label><id/></row></box>", "<box><row><id>10</id><label>ten</label></row></box>"),
        (
            "<box><row><label>ten</label><cell/></row></box>",
            "<box><row><id>10</id><label>ten</label><cell><x>1</x><y>b</y><v>V</v></cell><cell><x>2</x><y>b</y></cell></row></box>",
        ),
        # a key is always given
        (
            "<box><row><label/></row></box>",
            "<box><row><id>1</id><label>one</label></row><row><id>2</id><label>two</label></row>"
            "<row><id>10</id><label>ten</label></row></box>",
        ),
        # several expressions of one list are a union, in the order of the datastore
        (
            "<box><row><id>10</id><label/></row><row><id>1</id><more/></row></box>",
            "<box><row><id>1</id><more><x>p</x><y>q</y></more></row><row><id>10</id><label>ten</label></row></box>",
        ),
        (
            "<box><step><name>a</name></step><step><name>c</name><name/></step></box>",
            "<box><step><name>c</name></step><step><name>a</name></step></box>",
        ),
        (
            "<box><step><name>b</name></step><step><what>first</what></step></box>",
            "<box><step><name>c</name><what>first</what></step><step><name>b</name></step></box>",
        ),
        (
            "<box><row><id>1</id><label/></row><row><id>1</id><tag/></row></box>",
            "<box><row><id>1</id><label>one</label><tag>x</tag><tag>y</tag></row></box>",
        ),
        ("<box><plain><a/></plain><plain><b/></plain></box>", "<box><plain><a>1</a><b>2</b></plain></box>"),
        ("<box><name/></box><box><plain><a/></plain></box>", "<box><name>fox</name><plain><a>1</a></plain></box>"),
        # a content match that contradicts another, on a leaf and on a leaf-list (which can have both values)
        ("<box><row><id>1</id><id>2</id></row></box>", ""),
        (
            "<box><row><tag>x</tag><tag>y</tag><tag>x</tag></row></box>",
            "<box><row><id>1</id><label>one</label><tag>x</tag><tag>y</tag><more><x>p</x><y>q</y></more></row></box>",
        ),
        (
            "<box><row><tag>x</tag><tag>y</tag><id/></row></box>",
            "<box><row><id>1</id><tag>x</tag><tag>y</tag></row></box>",
        ),
        (
            "<box><row><tag>y</tag><label/></row></box>",
            "<box><row><id>1</id><label>one</label><tag>y</tag></row><row><id>2</id><label>two</label><tag>y</tag></row></box>",
        ),
        (
            "<box><row><tag>y</tag><tag/></row></box>",
            "<box><row><id>1</id><tag>x</tag><tag>y</tag></row><row><id>2</id><tag>y</tag></row></box>",
        ),
        (
            "<box><row><id>10</id><cell><x>1</x><v/></cell></row></box>",
            "<box><row><id>10</id><cell><x>1</x><y>b</y><v>V</v></cell></row></box>",
        ),
        (
            "<box><row><id>10</id><cell><x>01</x><y>b</y></cell></row></box>",
            "<box><row><id>10</id><cell><x>1</x><y>b</y><v>V</v></cell></row></box>",
        ),
        # a content match that holds is selected even where its siblings select nothing
        ("<box><name>fox</name><present/></box>", "<box><name>fox</name></box>"),
        ("<box><name>dog</name><plain/></box>", ""),
        ("<door/>", "<door><id>7</id><open>true</open></door>"),
        ("<box><name><x/></name></box>", ""),
        ("<box><plain>text</plain></box>", ""),
        # within anydata
        (
            "<box><blob/></box>",
            '<box><blob><thing xmlns="urn:x" kind="k"><part>1</part><other>2</other></thing></blob></box>',
        ),
        (
            "<box><blob><thing><part/></thing></blob></box>",
            '<box><blob><thing xmlns="urn:x" kind="k"><part>1</part></thing></blob></box>',
        ),
        (
            '<box><blob><thing kind="k"><part>1</part></thing></blob></box>',
            '<box><blob><thing xmlns="urn:x" kind="k"><part>1</part><other>2</other></thing></blob></box>',
        ),
        ('<box><blob><thing kind="l"/></blob></box>', ""),
        ("<box><blob><thing><part>2</part></thing></blob></box>", ""),
    ],
)
def test_examples(bench: Any, root: Container, wanted: str, found: str) -> None:
    assert select(bench, root, wanted) == found


def test_identity_and_union_content_match(bench: Any) -> None:
    root = bench.load(
        f'<kinds xmlns="{TB}"><l-identity>tt:red</l-identity><l-union-identity>plain</l-union-identity></kinds>'
    )
    for text in ('<l-identity xmlns:q="urn:test:toolbox-types">q:red</l-identity>',):
        assert "red" in select(bench, root, f"<kinds>{text}</kinds>")
    assert select(bench, root, "<kinds><l-identity>red</l-identity></kinds>") == ""
    assert "plain" in select(bench, root, "<kinds><l-union-identity>plain</l-union-identity></kinds>")


# --- against a naive reference ------------------------------------------------------------------------------

LEAFS = st.sampled_from(["1", "2", "x"])


def element(name: str, *children: str) -> str:
    return f"<{name}>{''.join(children)}</{name}>"


@st.composite
def boxes(draw: st.DrawFn) -> str:
    rows = draw(st.lists(st.integers(1, 4), unique=True, max_size=4))
    steps = draw(st.lists(st.sampled_from(["1", "2", "x", "y"]), unique=True, max_size=4))
    parts = [element("name", draw(LEAFS))] if draw(st.booleans()) else []
    if draw(st.booleans()):
        parts.append(element("plain", element("a", draw(LEAFS))))
    for row in rows:
        cells = draw(st.lists(st.tuples(st.integers(1, 2), LEAFS), unique=True, max_size=2))
        inner = [element("id", str(row))]
        if draw(st.booleans()):
            inner.append(element("label", draw(LEAFS)))
        inner += [element("tag", tag) for tag in draw(st.lists(LEAFS, unique=True, max_size=3))]
        inner += [element("cell", element("x", str(x)), element("y", y)) for x, y in cells]
        parts.append(element("row", *inner))
    parts += [element("step", element("name", s), element("what", draw(LEAFS))) for s in steps]
    return "".join(parts)


NAMES: dict[str, dict[str, Any]] = {
    "box": {
        "name": None,
        "plain": {"a": None, "b": None},
        "step": {"name": None, "what": None},
        "row": {"id": None, "label": None, "tag": None, "cell": {"x": None, "y": None}},
    },
}


@st.composite
def filters(draw: st.DrawFn, names: dict[str, Any], depth: int = 0) -> str:
    out = []
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(names)))
        below = names[name]
        choice = draw(st.integers(0, 2))
        if choice == 0:
            out.append(f"<{name}/>")
        elif below is None:
            out.append(element(name, draw(LEAFS)))
        else:
            out.append(element(name, draw(filters(below, depth + 1))))
    return "".join(out)


KEYS = {"row": ("id",), "cell": ("x", "y"), "step": ("name",)}


def reference(instances: list[etree._Element], wanted: list[etree._Element], owner: str) -> set[etree._Element]:
    """RFC 6241 section 6.2.5, word for word, on a set of siblings: every element that is selected."""
    content = [w for w in wanted if not len(w) and w.text]
    rest = [w for w in wanted if len(w) or not w.text]
    true = [i for i in instances for w in content if i.tag == w.tag and i.text == w.text]
    if not all(any(i.tag == w.tag and i.text == w.text for i in instances) for w in content):
        return set()
    if not rest:
        return {node for i in instances for node in i.iter()}
    chosen = set(true)
    for w in rest:
        for i in instances:
            if i.tag != w.tag:
                continue
            below = reference(list(i), list(w), str(i.tag)) if len(w) else set(i.iter())
            if below:
                chosen |= {i} | below
    return chosen | {i for i in instances if chosen and i.tag in KEYS.get(owner, ())}


def pruned(node: Container, wanted: Selection) -> Container:
    """What somebody who makes only what may be selected would make."""
    kept: dict[SchemaNode, Node] = {}
    for schema, value in node.children.items():
        mine = wanted.below(schema)
        if mine is None:
            continue
        if isinstance(value, ListNode):
            rows = [row for row in value if mine.keys is None or row.keys in mine.keys]
            if rows:
                kept[schema] = ListNode.of(schema, [pruned(row, mine) for row in rows])
        else:
            kept[schema] = pruned(value, mine) if isinstance(value, Container) else value
    return Container(node.schema, kept)


@settings(max_examples=500, deadline=None)
@given(boxes(), filters(NAMES))
def test_selection_leaves_out_nothing_that_the_filter_selects(bench: Any, content: str, wanted: str) -> None:
    root = bench.load(f'<box xmlns="{TB}">{content}</box>')
    made = SubtreeFilter.compile(etree.fromstring(f"<filter>{wanted}</filter>"), bench.tree, matching_text)
    expected = bench.xml(made.apply(root))
    assert bench.xml(made.apply(pruned(root, made.selection))) == expected
    assert bench.xml(made.apply(narrowed(root, made.selection))) == expected


def test_selection_leaves_out_what_is_not_asked_for(bench: Any) -> None:
    wanted = "<box><row><id>2</id><label/></row><row><id>10</id></row><plain><a>1</a></plain></box>"
    box = SubtreeFilter.compile(
        etree.fromstring(f"<filter>{wanted}</filter>"), bench.tree, matching_text
    ).selection.below(bench.tree.find("/toolbox:box"))
    assert box is not None
    assert box.below(bench.tree.find("/toolbox:box/name")) is None
    rows = box.below(bench.tree.find("/toolbox:box/row"))
    assert rows is not None
    assert set(rows.keys or ()) == {("2",), ("10",)}
    nothing = SubtreeFilter.compile([], bench.tree, matching_text).selection
    assert nothing.below(bench.tree.find("/toolbox:box")) is None


@settings(max_examples=500, deadline=None)
@given(boxes(), filters(NAMES))
def test_reference(bench: Any, content: str, wanted: str) -> None:
    root = bench.load(f'<box xmlns="{TB}">{content}</box>')
    top = etree.fromstring("<data>" + bench.xml(root).replace(f' xmlns="{TB}"', "") + "</data>")
    chosen = reference(list(top), list(etree.fromstring(f"<filter>{wanted}</filter>")), "data")
    for node in [node for node in top.iter() if node is not top and node not in chosen]:
        parent = node.getparent()
        assert parent is not None
        parent.remove(node)
    expected = "".join(etree.tostring(child, encoding="unicode") for child in top)
    assert select(bench, root, wanted) == expected
