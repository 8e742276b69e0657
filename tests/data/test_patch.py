"""The edits of a YANG patch, applied by a client that knows XML and the keys of lists, make the new tree of the old."""

from __future__ import annotations

from copy import deepcopy
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from mlag_agent.data.build import build
from mlag_agent.data.encode import encode
from mlag_agent.data.patch import PatchEdit, Value, patch, patch_edits
from mlag_agent.data.tree import Container

TB = "{urn:test:toolbox}"
KEYS = {"row": ("id",), "cell": ("x", "y"), "step": ("name",), "pair": ("one", "two")}
LEAF_LISTS = {"tag", "stop", "order"}
ORDERED = {"step", "pair", "order"}
PRESENCE = {"present", "inner", "row", "cell", "step", "pair", "blob", "walk"}
"""What may be there without content: presence containers, entries, and leafs that may be empty."""


def local(element: etree._Element) -> str:
    return etree.QName(element).localname


class Datastore:
    """What a client holds, and how it applies a patch (RFC 8072 section 2.5)."""

    def __init__(self, document: str) -> None:
        self.root = etree.fromstring(f"<data>{document}</data>")

    def apply(self, edit: bytes) -> None:
        element = etree.fromstring(edit)
        operation, target = element.findtext("operation"), element.findtext("target") or ""
        where, point = element.findtext("where"), element.findtext("point")
        value = element.find("value")
        *above, last = target.strip("/").split("/")
        parent = self.root
        for step in above:
            parent = self.one(parent, step)
        content = None if value is None else deepcopy(value[0])
        if content is not None:
            assert content.tag == TB + last.partition("=")[0].rpartition(":")[2]
        match operation:
            case "create":
                assert content is not None
                assert not self.found(parent, last)
                parent.append(content)
            case "insert":
                assert content is not None
                assert not self.found(parent, last)
                self.place(parent, content, where, point)
            case "replace":
                assert content is not None
                parent.replace(self.one(parent, last), content)
            case "delete":
                parent.remove(self.one(parent, last))
            case "move":
                moved = self.one(parent, last)
                parent.remove(moved)
                self.place(parent, moved, where, point)
            case _:
                raise AssertionError(operation)

    def place(self, parent: etree._Element, element: etree._Element, where: str | None, point: str | None) -> None:
        if where == "after":
            self.one(parent, (point or "").rpartition("/")[2]).addnext(element)
        else:
            assert (where, point) == ("first", None)
            parent.insert(0, element)

    def one(self, parent: etree._Element, step: str) -> etree._Element:
        (found,) = self.found(parent, step)
        return found

    @staticmethod
    def found(parent: etree._Element, step: str) -> list[etree._Element]:
        """The children that one step of a resource identifier names (RFC 8040 section 3.5.3)."""
        name, equals, keys = step.rpartition(":")[2].partition("=")
        rows = parent.findall(TB + name)
        if not equals:
            return rows
        wanted = [unquote(key) for key in keys.split(",")]
        if name in LEAF_LISTS:
            return [row for row in rows if [row.text or ""] == wanted]
        return [row for row in rows if [row.findtext(TB + key) or "" for key in KEYS[name]] == wanted]


def normal(element: etree._Element) -> Any:
    """Content with order where it means something, and without containers that are no data."""
    if local(element) == "blob":
        return ("blob", [(child.tag, child.text) for child in element.iter()])
    children = [made for child in element if (made := normal(child)) is not None]
    if not children and not (element.text or "").strip() and local(element) not in PRESENCE and is_container(element):
        return None
    ordered = [child for child in children if child[0] in ORDERED]
    others = sorted((child for child in children if child[0] not in ORDERED), key=repr)
    by_name = sorted({child[0] for child in ordered})
    return (
        local(element),
        (element.text or "") if not children else "",
        [[child for child in ordered if child[0] == name] for name in by_name],
        others,
    )


def is_container(element: etree._Element) -> bool:
    return local(element) in {"box", "plain", "deep", "more", "ship", "data"}


def contents(root: etree._Element) -> Any:
    return [made for child in root if (made := normal(child)) is not None]


# --- trees of the module toolbox -----------------------------------------------------------------------------

TEXTS = st.sampled_from(["a", "b", "it's", 'say "x", <y>'])


def leaf(name: str, value: str | None) -> str:
    return "" if value is None else f"<{name}>{escape(value)}</{name}>"


@st.composite
def row(draw: st.DrawFn, id_: int) -> str:
    cells = draw(st.sets(st.tuples(st.integers(1, 2), TEXTS), max_size=3))
    return (
        f"<row><id>{id_}</id>{leaf('label', draw(st.none() | TEXTS))}"
        + "".join(leaf("tag", tag) for tag in draw(st.sets(TEXTS)))
        + f"<more>{leaf('x', draw(st.none() | TEXTS))}{leaf('y', draw(st.none() | TEXTS))}</more>"
        + "".join(
            f"<cell><x>{x}</x>{leaf('y', y)}{leaf('v', draw(st.none() | TEXTS))}</cell>" for x, y in sorted(cells)
        )
        + "</row>"
    )


@st.composite
def boxes(draw: st.DrawFn) -> str:
    """Content of the container box."""
    made = leaf("name", draw(st.none() | TEXTS))
    made += f"<plain>{leaf('a', draw(st.none() | TEXTS))}</plain>"
    if draw(st.booleans()):
        made += f"<present>{leaf('a', draw(st.none() | TEXTS))}{'<inner/>' if draw(st.booleans()) else ''}</present>"
    for id_ in sorted(draw(st.sets(st.sampled_from([-2, 3, 20])))):
        made += draw(row(id_))
    for name in draw(st.lists(TEXTS, unique=True)):
        made += f"<step>{leaf('name', name)}{leaf('what', draw(st.none() | TEXTS))}</step>"
    for one, two in draw(st.lists(st.tuples(TEXTS, st.integers(1, 2)), unique=True, max_size=5)):
        made += f"<pair>{leaf('one', one)}<two>{two}</two>{leaf('what', draw(st.none() | TEXTS))}</pair>"
    made += "".join(leaf("order", value) for value in draw(st.lists(TEXTS, unique=True)))
    if draw(st.booleans()):
        made += f'<blob><x xmlns="urn:x">{draw(st.integers(0, 1))}</x></blob>'
    return made


@settings(max_examples=400, deadline=None)
@given(boxes(), boxes())
def test_patch_makes_the_new_tree(bench: Any, first: str, second: str) -> None:
    old, new = bench.load(bench.box(first)), bench.load(bench.box(second))
    for one, other in ((old, new), (new, old), (bench.empty, new)):
        client = Datastore(bench.xml(one))
        for edit in patch_edits(one, other, bench.namespaces, set()):
            client.apply(edit)
        assert contents(client.root) == contents(Datastore(bench.xml(other)).root)


def test_values_stand_alone_and_targets_are_encoded(bench: Any) -> None:
    old = bench.load(bench.box("<pair><one>a</one><two>1</two></pair>"))
    new = bench.edit(old, bench.box("<pair><one>x/y, z</one><two>2</two></pair><blob><a xmlns='urn:a'/></blob>"))
    first, second = (etree.fromstring(edit) for edit in patch_edits(old, new, bench.namespaces, set()))
    assert first.findtext("target") == "/toolbox:box/pair=x%2Fy%2C%20z,2"
    assert (first.findtext("operation"), first.findtext("where")) == ("insert", "after")
    assert [child.tag for child in first.find("value")] == [f"{TB}pair"]
    assert [child.tag for child in second.find("value")] == [f"{TB}blob"]


def test_what_is_excluded_is_left_out_and_numbers_go_on(bench: Any) -> None:
    old = bench.load(bench.box("<name>a</name><row><id>1</id></row>"))
    new = bench.load(bench.box("<name>b</name><row><id>2</id></row>"))
    edits = [etree.fromstring(edit) for edit in patch_edits(old, new, bench.namespaces, {"replace"})]
    assert [(edit.findtext("edit-id"), edit.findtext("operation")) for edit in edits] == [
        ("1", "delete"),
        ("2", "create"),
    ]


# --- with what was there, for comparisons (RFC 9144) ---------------------------------------------------------


def element(bench: Any, value: Value) -> etree._Element:
    content = value.elements(lambda node: encode([(value.schema, node)], bench.namespaces))
    return etree.fromstring(f"<value>{content.decode()}</value>")[0]


class Source(Datastore):
    """Checks each edit's source value, and places what is inserted or moved where it says."""

    def edit(self, bench: Any, edit: PatchEdit) -> None:
        *above, last = edit.target.strip("/").split("/")
        parent = self.root
        for step in above:
            parent = self.one(parent, step)
        content = None if edit.value is None else element(bench, edit.value)
        there = self.found(parent, last)
        assert (edit.source is None) is (not there)
        if edit.source is not None and edit.operation != "move":  # what moves may have been changed before
            assert normal(there[0]) == normal(element(bench, edit.source))
        for old in there if edit.operation in ("delete", "move", "replace") else ():
            if edit.operation == "replace":
                parent.replace(old, deepcopy(content))
                return
            parent.remove(old)
        if edit.operation == "delete":
            return
        new = there[0] if content is None else content
        if edit.where is not None:
            self.place(parent, new, edit.where, edit.point)
        else:
            parent.append(new)


@settings(max_examples=400, deadline=None)
@given(boxes(), boxes())
def test_the_patch_makes_the_target(bench: Any, first: str, second: str) -> None:
    old, new = bench.load(bench.box(first)), bench.load(bench.box(second))
    for one, other in ((old, new), (new, old), (bench.empty, new), (new, bench.empty)):
        source = Source(bench.xml(one))
        for edit in patch(one, other):
            source.edit(bench, edit)
        assert contents(source.root) == contents(Datastore(bench.xml(other)).root)
    assert list(patch(old, bench.load(bench.box(first)))) == []


def test_one_entry_that_moves_is_one_edit(bench: Any) -> None:
    def steps(names: str) -> Container:
        return bench.load(bench.box("".join(f"<step><name>{name}</name></step>" for name in names)))  # type: ignore[no-any-return]

    edits = list(patch(steps("abcdef"), steps("abcdexf")))
    assert [(edit.operation, edit.target, edit.where, edit.point) for edit in edits] == [
        ("insert", "/toolbox:box/step=x", "after", "/toolbox:box/step=e")
    ]


def test_lists_without_keys_are_replaced(bench: Any) -> None:
    world = bench.tree.find("/toolbox:world")
    one, other = (Container(bench.tree.data, {world: build(world, {"event": [{"what": what}]})}) for what in ("a", "b"))
    assert [(edit.operation, edit.target) for edit in patch(one, other)] == [("replace", "/toolbox:world/event")]


def test_each_element_has_its_namespace(bench: Any) -> None:
    world = bench.tree.find("/toolbox:world")
    one, other = (
        Container(bench.tree.data, {world: build(world, {"event": [{"what": each} for each in what]})})
        for what in ("a", "bc")
    )
    (edit,) = (etree.fromstring(edit) for edit in patch_edits(one, other, bench.namespaces, set()))
    assert [child.tag for child in edit.find("value")] == [f"{TB}event"] * 2
