"""Defaults in use, and what each mode of RFC 6243 shows: against libyang's own printer."""

from __future__ import annotations

import re
from typing import Any

import oopt_gnpy_libyang as ly
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.data.conftest import FOLDER, Bench

from mlag_agent.data.build import EVERYTHING, Selection
from mlag_agent.data.defaults import Defaults, DefaultsTree, Mode
from mlag_agent.data.filter import SubtreeFilter
from mlag_agent.data.lexical import matching_text
from mlag_agent.data.tree import Container, ListNode
from mlag_agent.data.xpath import Budget, Expressions, Scope, XPathFilter
from mlag_agent.schema.engine import matches
from mlag_agent.schema.library import ModuleRequest, SchemaLibrary

DF = "urn:test:defaults"
WD = "urn:ietf:params:xml:ns:netconf:default:1.0"


@pytest.fixture(scope="module")
def df() -> Bench:
    return Bench([ModuleRequest("defaults"), ModuleRequest("ietf-netconf-with-defaults")], [FOLDER])


@pytest.fixture(scope="module")
def defaults(df: Bench) -> Defaults:
    return defaults_of(df.library)


def defaults_of(library: SchemaLibrary) -> Defaults:
    expressions = Expressions(library.tree, matching_text, matches)
    return Defaults(expressions, library.engine.canonical, library.tree.namespaces)


@pytest.fixture(scope="module")
def libyang(df: Bench) -> Any:
    """A context of libyang's own, with the same modules."""
    context = ly.Context(":".join(map(str, df.library.folders)), ly.ContextOptions.DisableSearchCwd)
    for name in ("ietf-netconf", "ietf-netconf-with-defaults", "defaults"):
        context.load_module(name, None, [])
    return context


def shown(
    df: Bench,
    defaults: Defaults,
    root: Container,
    mode: Mode,
    *,
    basic: Mode = Mode.EXPLICIT,
    wanted: Selection = EVERYTHING,
) -> str:
    tree = DefaultsTree(root, defaults, mode, basic=basic, config_only=True)
    return df.xml(tree.materialised(wanted))


PRINTED = {
    Mode.REPORT_ALL: ly.PrintFlags.WithDefaultsAll,
    Mode.REPORT_ALL_TAGGED: ly.PrintFlags.WithDefaultsImplicitTag,
    Mode.TRIM: ly.PrintFlags.WithDefaultsTrim,
    Mode.EXPLICIT: ly.PrintFlags.WithDefaultsExplicit,
}
"""What libyang prints for each mode, where the basic mode is explicit."""


def by_libyang(libyang: Any, document: str, flag: Any) -> str:
    libyang.clean_all_errors()
    data = libyang.parse_data(
        document or "<top xmlns='urn:test:defaults'>x</top>",
        ly.DataFormat.XML,
        ly.ParseOptions.Strict | ly.ParseOptions.NoState,
        ly.ValidationOptions.NoState,
    )
    return str(data.print(ly.DataFormat.XML, ly.PrintFlags.WithSiblings | ly.PrintFlags.Shrink | flag) or "")


def plain(text: str) -> list[str]:
    """Elements with their tags and values, without the ways of writing namespaces; other modules' data left out."""
    root = etree.fromstring(f"<root>{text}</root>")
    out: list[str] = []

    def walk(element: etree._Element, path: str) -> None:
        name = etree.QName(element)
        tag = "*" if element.get(f"{{{WD}}}default") == "true" else ""
        value = re.sub(r"^[\w-]+:(?=round)", "", element.text or "")
        if name.localname != "after-limit":  # which libyang shows although the leaf that it depends on is not there
            out.append(f"{path}/{name.localname}{tag}={value}")
        for child in element:
            walk(child, f"{path}/{name.localname}")

    for element in root:
        if etree.QName(element).namespace == DF:
            walk(element, "")
    # libyang puts defaults of a leaf-list in the order of their values, and those of choices behind the set nodes.
    return sorted(out)


LEAFS = {
    "plain": [
        "a=16",
        "a=1",
        "p=50",
        "p=7",
        "g=hello",
        "g=bye",
        "none=x",
        "many=7",
        "many=1;3;20",
        "by-type=a",
        "by-type=hello",
        "by-user=q",
        "shape=df:round",
        "ratio=1.5",
        "ratio=2.0",
        "mac=aa:bb:cc:00:11:22",
        "either=5",
        "bits=x",
        "bits=x y",
    ],
    # Without those of the choice within a case, for which libyang does not add the other defaults of that case.
    "row": [
        "label=none",
        "label=l",
        "stone=granite",
        "stone=s",
        "weight=3",
        "wool=merino",
        "wool=w",
        "l1=one",
        "l1b=x",
        "l2=two",
        "l2b=x",
    ],
    "conditions": ["mode=auto", "mode=manual", "limit=20", "limit=5", "o=o", "e=e"],
}


def leafs(kind: str) -> st.SearchStrategy[str]:
    def text(chosen: list[str]) -> str:
        given: dict[str, str] = {}
        for item in chosen:
            name, _, value = item.partition("=")
            given[name] = "".join(f"<{name}>{one}</{name}>" for one in value.split(";"))
        return "".join(given.values())

    return st.lists(st.sampled_from(LEAFS[kind]), max_size=4).map(text)


@st.composite
def documents(draw: st.DrawFn) -> str:
    out = draw(st.sampled_from(["", f'<top xmlns="{DF}">up</top>', f'<top xmlns="{DF}">x</top>']))
    out += draw(st.sampled_from(["", f'<switch xmlns="{DF}">true</switch>', f'<switch xmlns="{DF}">false</switch>']))
    if draw(st.booleans()):
        more = draw(
            st.sampled_from(
                ["", "<there/>", "<there><e>in presence</e></there>", "<deep><deeper><c>x</c></deeper></deep>"]
            )
        )
        out += f'<plain xmlns="{DF}" xmlns:df="{DF}">{draw(leafs("plain"))}{more}</plain>'
    for key in draw(st.lists(st.integers(-2, 20), unique=True, max_size=3)):
        more = draw(st.sampled_from(["", "<more><y>2</y></more>", "<more><x>1</x></more>", "<cell><k>c</k></cell>"]))
        out += f'<row xmlns="{DF}"><id>{key}</id>{draw(leafs("row"))}{more}</row>'
    if draw(st.booleans()):
        out += f'<conditions xmlns="{DF}">{draw(leafs("conditions"))}</conditions>'
    return out


@settings(max_examples=300, deadline=None)
@given(document=documents(), mode=st.sampled_from(list(Mode)))
def test_as_libyang_prints_it(df: Bench, defaults: Defaults, libyang: Any, document: str, mode: Mode) -> None:
    problems = df.apply(df.empty, document)[1]
    if problems:
        return  # two cases of one choice
    root = df.load(document)
    try:
        expected = by_libyang(libyang, df.xml(root), PRINTED[mode])
    except ly.Error:
        return  # data below a condition that is false
    if document == "" or not df.xml(root):
        return
    tagged = plain(expected)
    assert plain(shown(df, defaults, root, mode)) == tagged


# --- what libyang does otherwise ----------------------------------------------------------------------------


def row(df: Bench, defaults: Defaults, content: str, mode: Mode = Mode.REPORT_ALL) -> str:
    """What is shown of one entry, without its key and what is always there."""
    found = shown(df, defaults, df.load(f'<row xmlns="{DF}"><id>1</id><label>x</label>{content}</row>'), mode)
    entry = re.search(r"<row[^>]*><id>1</id>(.*)</row>", found)
    assert entry is not None
    return entry[1].replace("<label>x</label>", "").replace("<more><x>1</x></more>", "")


DEFAULT_CASE = "<wool>merino</wool><dark>black</dark><softer><s>cotton</s></softer>"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", DEFAULT_CASE),
        ("<stone>s</stone>", "<stone>s</stone>"),
        ("<weight>1</weight>", "<stone>granite</stone><weight>1</weight>"),
        ("<wool>w</wool>", "<wool>w</wool><dark>black</dark><softer><s>cotton</s></softer>"),
        # The data of a choice within a case is data of the case.
        ("<bright>b</bright>", "<wool>merino</wool><bright>b</bright><softer><s>cotton</s></softer>"),
        ("<dark>d</dark>", "<wool>merino</wool><dark>d</dark><softer><s>cotton</s></softer>"),
        # Of a choice without a default nothing is in use until a case has data.
        ("<l2b>x</l2b>", f"{DEFAULT_CASE}<l2>two</l2><l2b>x</l2b>"),
    ],
)
def test_choices(df: Bench, defaults: Defaults, content: str, found: str) -> None:
    assert row(df, defaults, content) == found


@pytest.mark.parametrize(
    ("document", "leafs_shown"),
    [
        ("", ["mode=auto", "limit=20", "after-limit=30", "e=e"]),
        (
            f'<conditions xmlns="{DF}"><mode>manual</mode></conditions>',
            ["mode=manual", "speed=10", "from-group=grouped"],
        ),
        (f'<conditions xmlns="{DF}"><limit>15</limit></conditions>', ["mode=auto", "limit=15", "e=e"]),
        (f'<switch xmlns="{DF}">true</switch>', ["mode=auto", "limit=20", "after-limit=30", "on=on", "e=e"]),
        (f'<row xmlns="{DF}"><id>1</id></row>', ["mode=auto", "limit=20", "after-limit=30", "e=e"]),
        (
            f'<row xmlns="{DF}"><id>1</id></row><row xmlns="{DF}"><id>2</id></row>',
            ["mode=auto", "limit=20", "after-limit=30", "rows=many", "e=e"],
        ),
    ],
)
def test_no_default_below_a_false_condition(
    df: Bench, defaults: Defaults, document: str, leafs_shown: list[str]
) -> None:
    root = etree.fromstring(f"<root>{shown(df, defaults, df.load(document), Mode.REPORT_ALL)}</root>")
    found = [
        f"{etree.QName(leaf).localname}={leaf.text}" for leaf in root.iterfind(f"{{{DF}}}conditions//*") if leaf.text
    ]
    assert sorted(found) == sorted(leafs_shown)


def test_leaf_list_defaults_are_all_or_none(df: Bench, defaults: Defaults) -> None:
    def many(content: str, mode: Mode) -> list[str]:
        root = df.load(f'<plain xmlns="{DF}">{content}</plain>' if content else "")
        return re.findall(r"<many[^>]*>(\d+)</many>", shown(df, defaults, root, mode))

    assert many("", Mode.REPORT_ALL) == ["1", "3", "20"]
    assert many("<many>3</many>", Mode.REPORT_ALL) == ["3"]
    assert many("<many>3</many>", Mode.TRIM) == ["3"]
    assert many("<many>3</many><many>20</many><many>1</many>", Mode.TRIM) == []
    assert many("", Mode.EXPLICIT) == []


def test_order_by_the_user_is_kept(df: Bench, defaults: Defaults) -> None:
    assert "<by-user>z</by-user><by-user>a</by-user>" in shown(df, defaults, df.empty, Mode.REPORT_ALL)


def test_what_is_tagged_depends_on_the_basic_mode(df: Bench, defaults: Defaults) -> None:
    """RFC 6243 section 2: what counts as default data."""
    root = df.load(f'<top xmlns="{DF}">up</top><row xmlns="{DF}"><id>1</id></row>')

    def tops(basic: Mode) -> tuple[bool, bool]:
        found = shown(df, defaults, root, Mode.REPORT_ALL_TAGGED, basic=basic)
        tag = f' xmlns:wd="{WD}" wd:default="true"'
        return f'<top xmlns="{DF}"{tag}>up</top>' in found, f"<label{tag}>none</label>" in found

    assert tops(Mode.EXPLICIT) == (False, True)  # set by a client: no default data
    assert tops(Mode.TRIM) == (True, True)  # whoever has set it
    assert tops(Mode.REPORT_ALL) == (False, False)  # no data at all


def test_state_has_defaults_where_state_is_shown(df: Bench, defaults: Defaults) -> None:
    for config_only, there in ((True, False), (False, True)):
        tree = DefaultsTree(df.empty, defaults, Mode.REPORT_ALL, config_only=config_only)
        assert ("<s>state</s>" in df.xml(tree.materialised(EVERYTHING))) is there


def test_the_frozen_tree_stays(df: Bench, defaults: Defaults) -> None:
    root = df.load(f'<row xmlns="{DF}"><id>1</id></row>')
    before = df.xml(root)
    shown(df, defaults, root, Mode.REPORT_ALL)
    assert df.xml(root) == before


# --- with filters -------------------------------------------------------------------------------------------

FILTERS = [
    "<plain/>",
    "<plain><a/></plain>",
    "<plain><deep/></plain>",
    "<plain><deep><deeper><c>bottom</c></deeper></deep></plain>",
    "<row/>",
    "<row><id>1</id></row>",
    "<row><id>1</id><more/></row>",
    "<row><label>none</label></row>",
    "<row><label>none</label><id/></row>",
    "<row><id>1</id><cell><k>c</k><v/></cell></row>",
    "<row><id>1</id><wool/></row><row><id>2</id><stone/></row>",
    "<conditions><mode>auto</mode></conditions>",
    "<top>up</top>",
]
PATHS = [
    "/d:plain",
    "/d:plain/d:a",
    "//d:c",
    "/d:row[d:id='1']",
    "/d:row[d:label='none']/d:more",
    "/d:row[d:id='1']/d:more/d:x",
    "/d:conditions[d:mode='auto']/d:limit",
    "//d:x[. = 1]",
    "/d:row[d:more/d:x=1]/d:id",
    "/d:plain/d:many[. > 1]",
    "//d:e",
]


@settings(max_examples=150, deadline=None)
@given(document=documents(), mode=st.sampled_from(list(Mode)), wanted=st.sampled_from(FILTERS))
def test_a_subtree_filter_sees_what_the_mode_shows(
    df: Bench, defaults: Defaults, document: str, mode: Mode, wanted: str
) -> None:
    if df.apply(df.empty, document)[1]:
        return
    root = df.load(document)
    made = SubtreeFilter.compile(etree.fromstring(f"<filter>{wanted}</filter>"), df.tree, matching_text)
    everything, part = (
        DefaultsTree(root, defaults, mode, config_only=True).materialised(each) for each in (EVERYTHING, made.selection)
    )
    assert df.xml(made.apply(part)) == df.xml(made.apply(everything))


@settings(max_examples=150, deadline=None)
@given(document=documents(), mode=st.sampled_from([Mode.REPORT_ALL, Mode.TRIM]), path=st.sampled_from(PATHS))
def test_an_xpath_filter_sees_what_the_mode_shows(
    df: Bench, defaults: Defaults, document: str, mode: Mode, path: str
) -> None:
    if df.apply(df.empty, document)[1]:
        return
    root = df.load(document)
    made = XPathFilter(path, Scope({"d": DF}), defaults.expressions)
    found = made.apply(DefaultsTree(root, defaults, mode, config_only=True), Budget(100_000))
    # The same on a tree in which the mode's data stands as data.
    tree = DefaultsTree(root, defaults, mode, config_only=True).materialised(EVERYTHING)
    again = made.apply(DefaultsTree(tree, defaults, Mode.EXPLICIT, config_only=True), Budget(100_000))
    assert df.xml(found) == df.xml(again)


def test_one_entry_of_many_costs_one_entry(df: Bench, defaults: Defaults, monkeypatch: pytest.MonkeyPatch) -> None:
    root = df.load("".join(f'<row xmlns="{DF}"><id>{key}</id></row>' for key in range(2000)))
    looked_at = 0
    child = DefaultsTree.child

    def counted(self: DefaultsTree, *given_: Any) -> Any:
        nonlocal looked_at
        looked_at += 1
        return child(self, *given_)

    monkeypatch.setattr(DefaultsTree, "child", counted)
    made = SubtreeFilter.compile(etree.fromstring("<filter><row><id>777</id></row></filter>"), df.tree, matching_text)
    tree = DefaultsTree(root, defaults, Mode.REPORT_ALL, config_only=True)
    assert "<label>none</label>" in df.xml(made.apply(tree.materialised(made.selection)))
    assert looked_at < 100


def test_lists_without_defaults_are_shared(bench: Any) -> None:
    root = bench.load(bench.box("".join(f"<row><id>{key}</id></row>" for key in range(1000))))
    tree = DefaultsTree(root, defaults_of(bench.library), Mode.REPORT_ALL, config_only=True)
    there, given_ = (each.named("box").named("row") for each in (root, tree.materialised(EVERYTHING)))
    assert isinstance(there, ListNode)
    assert there is given_
