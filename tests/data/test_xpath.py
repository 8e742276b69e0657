"""XPath on frozen trees: against lxml on the same data as XML, and the functions of YANG."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from lxml import etree

from mlag_agent.data.build import EVERYTHING, Selection
from mlag_agent.data.instance import InstanceNode, InstanceTree, TextNode
from mlag_agent.data.lexical import matching_text
from mlag_agent.data.tree import Container, ListNode
from mlag_agent.data.xpath import Budget, Compiled, Expressions, Scope, TooCostlyError, XPathError, XPathFilter
from mlag_agent.schema.engine import matches
from mlag_agent.schema.nodes import SchemaNode

TB = "urn:test:toolbox"
PREFIXES = {"tb": TB, "tt": "urn:test:toolbox-types", "x": "urn:x"}

DATA = f"""
<box xmlns="{TB}">
  <name>fox</name>
  <size>20</size>
  <plain><a>1</a><b>2</b><deep><c>true</c></deep></plain>
  <row><id>1</id><label>one</label><tag>x</tag><tag>y</tag><more><x>p</x><y>q</y></more></row>
  <row><id>2</id><label>two</label><tag>y</tag></row>
  <row><id>10</id><label>ten</label><cell><x>1</x><y>b</y><v>V</v></cell><cell><x>2</x><y>b</y></cell></row>
  <step><name>c</name><what>first</what></step><step><name>a</name></step><step><name>b</name><what> b  c </what></step>
  <pair><one>p</one><two>1</two><what>it's</what></pair><pair><one>p</one><two>2</two></pair>
  <number>3</number><number>-4</number><order>z</order><order>a</order>
  <walk/>
  <blob><thing xmlns="urn:x" kind="k"><part>1</part><other>2</other><part>3</part></thing></blob>
</box>
<kinds xmlns="{TB}" xmlns:tt="urn:test:toolbox-types">
  <l-enum>two</l-enum><l-bits>p r</l-bits><l-decimal>1.5</l-decimal><l-int8>5</l-int8><l-leafref>5</l-leafref>
  <l-identity>blue</l-identity>
  <l-ipv6>2001:db8::1</l-ipv6><l-instance xmlns:tb="{TB}">/tb:box/tb:row[tb:id='2']/tb:label</l-instance>
</kinds>
<door xmlns="{TB}"><id>7</id><open>true</open></door><door xmlns="{TB}"><id>8</id></door>
"""


@pytest.fixture(scope="module")
def expressions(bench: Any) -> Expressions:
    return Expressions(bench.tree, matching_text, matches)


@pytest.fixture(scope="module")
def root(bench: Any) -> Container:
    return bench.load(re.sub(r">\s+<", "><", DATA))


def document(bench: Any, root: Container) -> etree._Element:
    """The data below an element that stands for the root node."""
    return etree.fromstring(f"<root>{bench.xml(root)}</root>")


def evaluate(expressions: Expressions, root: Container, text: str, steps: int = 1_000_000) -> Any:
    compiled = Compiled(text, Scope(PREFIXES), expressions.tree)
    return expressions.evaluate(compiled, InstanceTree(root).root, Budget(steps))


def select(expressions: Expressions, root: Container, text: str, scope: Scope | None = None) -> Container:
    return XPathFilter(text, scope or Scope(PREFIXES), expressions).apply(InstanceTree(root), Budget(1_000_000))


AS_LXML = r"""
tb:box
/tb:box
tb:box/tb:name
tb:box/tb:row
tb:box/tb:row/tb:label
//tb:label
//tb:x
tb:*
//tb:*
tb:box//tb:x
tb:box/tb:row[1]
tb:box/tb:row[last()]
tb:box/tb:row[position()<3]/tb:id
tb:box/tb:row[tb:id='2']
tb:box/tb:row[tb:id=2]
tb:box/tb:row[2=tb:id]
tb:box/tb:row[tb:id>1]
tb:box/tb:row[tb:id='2' and tb:label='two']
tb:box/tb:row[tb:id='2'][tb:label='one']
tb:box/tb:row[tb:id='2'][1]
tb:box/tb:row[1][tb:id='2']
tb:box/tb:row[tb:id='2'][2]
tb:box/tb:row[tb:id='2' or tb:id='10']
tb:box/tb:row[not(tb:tag)]
tb:box/tb:row[tb:tag='y']
tb:box/tb:row[tb:tag!='y']
tb:box/tb:row[count(tb:tag)=2]
tb:box/tb:row/tb:cell[tb:x=1][tb:y='b']/tb:v
tb:box/tb:row/tb:cell[tb:y='b']
tb:box/tb:pair[tb:one='p'][tb:two='2']
tb:box/tb:pair[tb:two=1]
//tb:cell[tb:x='2'][tb:y='b']
tb:box/tb:row[tb:id=//tb:size]
tb:box/tb:row[tb:id=/tb:box/tb:plain/tb:b]
tb:box/tb:number
tb:box/tb:number[.='3']
tb:box/tb:number[. < 0]
tb:box/tb:order[1]
tb:box/tb:step[tb:name='a']/following-sibling::tb:step
tb:box/tb:step[tb:name='a']/preceding-sibling::tb:step
tb:box/tb:step[last()]/preceding-sibling::*[1]
//tb:c/ancestor::*
//tb:c/ancestor-or-self::*[2]
//tb:c/../..
//tb:c/parent::tb:deep
//tb:c/following::tb:label
//tb:cell/preceding::tb:label
//tb:id[../tb:label='two']
tb:box/descendant::tb:y
tb:box/descendant-or-self::tb:box
//tb:row//tb:y
//tb:row[.//tb:y]
//tb:label/text()
//text()[.='two']
tb:box/tb:row[tb:label/text()='two']
tb:box/node()[2]
//tb:more/node()
tb:box/tb:name|tb:box/tb:size
tb:door|tb:box/tb:row|//tb:row
(//tb:x|//tb:y)[2]
(//tb:label)[last()]
//tb:row[1]/tb:cell
//tb:cell[1]
tb:box/tb:walk
tb:box/tb:blob/x:thing/x:part
//x:part
//x:other[.=2]
tb:box/tb:blob//*
tb:box/tb:blob/x:thing/*[2]
tb:box/tb:blob/x:thing/x:part[2]/preceding-sibling::*
//@kind[1=2]
tb:door[tb:open]
tb:door[tb:id=7]/tb:open
tb:box[tb:name='fox']/tb:plain/tb:a
tb:box[tb:name='cat']
tb:box/self::tb:box/tb:name
./tb:box/./tb:name
tb:kinds/tb:l-decimal[. > 1.25]
*/*[contains(local-name(), 'l-')]
//*[starts-with(name(), 'l-i')]
tb:box/tb:row[string-length(tb:label)=3]/tb:id
tb:box/tb:pair[tb:what="it's"]
tb:nothing
//tb:nothing
tb:box/tb:row[tb:nothing='1']
tb:box/tb:row[tb:id='x']
tb:box/tb:row[tb:id=1.5]
tb:box/tb:row[tb:id=(1 div 0)]
count(//tb:row)
count(//tb:*)
sum(tb:box/tb:number)
sum(tb:box/tb:row/tb:id)
sum(//tb:label)
string(tb:box/tb:row)
string(//tb:id)
string(tb:nothing)
number(tb:box/tb:size)
number('x')
number(' 12 ')
number('+1')
number('-.5')
number('5.')
string(1 div 0)
string(-1 div 0)
string(0 div 0)
string(-0.5)
1 + 2 * 3
(1 + 2) * 3
7 mod 3
-7 mod 3
7 mod -3
1.5 mod 0.5
8 div 2 div 2
5 - 3 - 1
--5
- 5 + 2
2 < 3 = true()
1 < 2 < 3
3 > 2 > 1
1 = 1 and 2 = 3
1 = 1 or 2 = 3
'a' = 'a'
'a' < 'b'
'1' < '2'
true() > false()
not(1)
boolean('false')
boolean('')
boolean(0)
boolean(tb:box)
boolean(0 div 0)
tb:box = true()
tb:nothing = false()
tb:nothing = ''
tb:nothing != ''
tb:box/tb:row/tb:id = 10
tb:box/tb:row/tb:id != 10
tb:box/tb:row/tb:id > 9
tb:box/tb:row/tb:id < 1
10 <= tb:box/tb:row/tb:id
tb:box/tb:row/tb:tag = tb:box/tb:order
tb:box/tb:row/tb:tag != tb:box/tb:order
tb:box/tb:size > tb:box/tb:number
concat('a', 1, true(), tb:box/tb:name)
starts-with('abc', 'ab')
contains('abc', '')
contains('', 'a')
substring-before('a-b-c', '-')
substring-after('a-b-c', '-')
substring-before('abc', '')
substring-after('abc', '')
substring-after('abc', 'x')
substring('12345', 2, 3)
substring('12345', 2)
substring('12345', 1.5, 2.6)
substring('12345', 0, 3)
substring('12345', 0 div 0, 3)
substring('12345', 1, 0 div 0)
substring('12345', -42, 1 div 0)
substring('12345', -1 div 0, 1 div 0)
string-length('äb')
string-length(tb:box/tb:name)
normalize-space('  a  b ')
normalize-space(//tb:step[3]/tb:what)
translate('bar', 'abc', 'AB')
translate('--aaa--', 'abc-', 'ABC')
translate('aa', 'aa', 'xy')
floor(-1.5)
ceiling(-1.5)
round(2.5)
round(-2.5)
round(1 div 0)
round(0 div 0)
local-name(//tb:c)
namespace-uri(//tb:c)
name(tb:nothing)
local-name(//x:part)
namespace-uri(//x:part)
count(//text())
count(tb:box/tb:row[1]/following-sibling::*)
id('a')
count(//node())
*
tb:box/*[self::tb:name or self::tb:size]
*[*='fox']
tb:box/tb:row[tb:more[tb:x='p']]
tb:box/tb:row[tb:id = tb:id]
div
tb:box * 2
tb:box/tb:size*2
tb:box/tb:size - 1
tb:box/tb:size -1
"""


# --- the same as lxml ---------------------------------------------------------------------------------------


def by_lxml(document: etree._Element, text: str) -> Any:
    """lxml's value.  The root node of the datastore is an element there: absolute paths start below that."""
    moved = re.sub(r"(?<![\w)\]*.'/])(//?)(?=[\w*@])", r"/root\1", text)
    found = document.xpath(moved, namespaces=PREFIXES)
    if isinstance(found, list) and "node()" not in text:
        return [node for node in found if node is not document]  # the root node is no element
    return found


def shown(value: Any) -> Any:
    """A value in a form that both sides share; node-sets as what they hold, in document order."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return "NaN" if math.isnan(value) else float(value)
    if isinstance(value, str):
        return str(value)
    return [_one(node) for node in value]


def _one(node: Any) -> str:
    if isinstance(node, etree._Element):
        return f"{etree.QName(node).localname}={''.join(map(str, node.itertext()))}"
    return f"text={node}"


def ours(value: Any, expressions: Expressions) -> Any:
    if not isinstance(value, list):
        return shown(value)
    found = []
    for node in sorted(value, key=lambda each: each.order):
        assert isinstance(node, InstanceNode)
        text = "".join(_texts(node))
        name = node.qualified_name[1] or "root"
        found.append(f"text={text}" if isinstance(node, TextNode) else f"{name}={text}")
    return found


def _texts(node: InstanceNode) -> Sequence[str]:
    content = node.text_content
    return [content] if content is not None else [text for child in node.children() for text in _texts(child)]


@pytest.mark.parametrize("text", AS_LXML.strip().splitlines())
def test_as_lxml_has_it(bench: Any, expressions: Expressions, root: Container, text: str) -> None:
    expected = shown(by_lxml(document(bench, root), text))
    assert ours(evaluate(expressions, root, text), expressions) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # where libxml2 is not what XPath 1.0 sections 3.7 and 4.2 say
        ("number('1e3')", math.nan),
        ("string(10000000000)", "10000000000"),
        ("string(0.000001)", "0.000001"),
        ("string(1 div 3)", "0.3333333333333333"),
        ("string(2147483648 * 4294967296)", "9223372036854775808"),
    ],
)
def test_as_the_specification_has_it(expressions: Expressions, root: Container, text: str, value: Any) -> None:
    found = evaluate(expressions, root, text)
    assert found == value or (math.isnan(value) and math.isnan(found))


# --- what is selected of the data ---------------------------------------------------------------------------

KEYS = {"row": {"id"}, "cell": {"x", "y"}, "step": {"name"}, "pair": {"one", "two"}, "door": {"id"}, "by-mac": {"mac"}}


def pruned(document: etree._Element, nodes: Sequence[Any]) -> str:
    """A naive RFC 6241 section 8.9.1 on XML: mark what is selected and what leads there, and throw the rest away."""
    whole = {node if isinstance(node, etree._Element) else node.getparent() for node in nodes}
    kept = {above for node in whole for above in node.iterancestors()}

    def prune(element: etree._Element) -> None:
        for child in list(element):
            key = element in kept and etree.QName(child).localname in KEYS.get(etree.QName(element).localname, ())
            if child in whole or key:
                continue
            if child in kept:
                prune(child)
            else:
                element.remove(child)

    if document not in whole:
        prune(document)
    return etree.tostring(document, method="c14n").decode()


def c14n(text: str) -> str:
    return etree.tostring(etree.fromstring(f"<root>{text}</root>"), method="c14n").decode()


NAMES = [
    "box",
    "row",
    "cell",
    "id",
    "label",
    "tag",
    "more",
    "x",
    "y",
    "v",
    "step",
    "name",
    "what",
    "pair",
    "one",
    "two",
]
STRINGS = ["'1'", "'2'", "'y'", "'a'", "'one'", "'p'", "'10'", "''", "1", "2", "10", "3.5"]


@st.composite
def operands(draw: st.DrawFn, depth: int) -> str:
    kind = draw(st.integers(0, 4))
    if kind <= 1:
        return draw(st.sampled_from(STRINGS))
    if kind == 2 or depth > 1:
        return "tb:" + draw(st.sampled_from(NAMES))
    if kind == 3:
        return draw(st.sampled_from(["count(*)", "position()", "last()", "string(.)", ".", "..", "string-length(.)"]))
    return draw(paths(depth + 1))


@st.composite
def predicates(draw: st.DrawFn, depth: int) -> str:
    kind = draw(st.integers(0, 6))
    if kind == 0:
        return draw(st.sampled_from(["1", "2", "last()", "position()=2", "position()>1"]))
    if kind == 1:
        return draw(operands(depth))
    if kind == 2:
        return f"not({draw(operands(depth))})"
    comparison = (
        f"{draw(operands(depth))}{draw(st.sampled_from(['=', '=', '=', '!=', '<', '>=']))}{draw(operands(depth))}"
    )
    if kind == 3:
        return (
            f"{comparison} {draw(st.sampled_from(['and', 'or']))} {draw(predicates(depth + 1))}"
            if depth < 2
            else comparison
        )
    return comparison


@st.composite
def paths(draw: st.DrawFn, depth: int = 0) -> str:
    out = draw(st.sampled_from(["", "", "/", "//"]))
    for at in range(draw(st.integers(1, 3))):
        if at:
            out += draw(st.sampled_from(["/", "/", "//"]))
        axis = draw(
            st.sampled_from(
                [""] * 8
                + ["descendant::", "ancestor::", "following-sibling::", "preceding-sibling::", "parent::", "self::"]
                + ["descendant-or-self::", "ancestor-or-self::", "following::", "preceding::"]
            )
        )
        test = draw(st.sampled_from([f"tb:{name}" for name in NAMES] + ["*", "node()", "text()"]))
        out += axis + test
        for _ in range(draw(st.integers(0, 2)) if depth < 2 else 0):
            out += f"[{draw(predicates(depth))}]"
    return out


@settings(max_examples=400, deadline=None)
@given(expression=st.lists(paths(), min_size=1, max_size=2).map(" | ".join))
def test_selection_as_naively_on_xml(bench: Any, expressions: Expressions, root: Container, expression: str) -> None:
    doc = document(bench, root)
    # The root node is an element for lxml, which has the document above it.
    moved = expression.replace("*", "*[not(self::root)]").replace("node()", "node()[parent::node()]")
    expected = pruned(doc, by_lxml(doc, moved))
    try:
        found = XPathFilter(expression, Scope(PREFIXES), expressions).apply(InstanceTree(root), Budget(100_000))
    except TooCostlyError:
        reject()
    assert c14n(bench.xml(found)) == expected


ENTRY = st.sampled_from(["-1", "1", "2", "3", "10", "20"])


@settings(max_examples=200, deadline=None)
@given(
    rows=st.dictionaries(ENTRY, st.dictionaries(st.sampled_from(["1", "2", "3"]), st.sampled_from("ab"), max_size=3)),
    path=st.sampled_from(["/tb:box/tb:row", "//tb:row"]),
    wanted=st.sampled_from(["1", "'1'", "'01'", "'+1'", "10", "20.0", "'x'", "//tb:size", "//tb:id", "-1", "1 div 0"]),
    below=st.sampled_from(
        [
            "",
            "/tb:cell",
            "/tb:cell[tb:x='2'][tb:y='a']",
            "/tb:cell[tb:y='a' and 2=tb:x]",
            "/tb:cell[tb:x=1]",
            "[1]",
            "[2]",
        ]
    ),
)
def test_looking_up_finds_what_searching_finds(
    bench: Any, expressions: Expressions, *, rows: dict[str, dict[str, str]], path: str, wanted: str, below: str
) -> None:
    cells = {
        key: "".join(f"<cell><x>{x}</x><y>{y}</y></cell>" for x, y in below.items()) for key, below in rows.items()
    }
    root = bench.load(
        bench.box("<size>10</size>" + "".join(f"<row><id>{key}</id>{text}</row>" for key, text in cells.items()))
    )
    looked_up = select(expressions, root, f"{path}[tb:id={wanted}]{below}")
    # A condition that is no comparison of a key alone is not used for look-ups.
    slow = below.replace("tb:x=", "tb:x/.=").replace("=tb:x", "=tb:x/.")
    searched = select(expressions, root, f"{path}[tb:id/.={wanted}]{slow}")
    assert bench.xml(looked_up) == bench.xml(searched)


def test_an_entry_is_found_without_a_look_at_the_others(bench: Any, expressions: Expressions) -> None:
    rows = "".join(f"<row><id>{key}</id><label>l{key}</label></row>" for key in range(5000))
    root = bench.load(bench.box(rows))
    filter_ = XPathFilter("/tb:box/tb:row[tb:id='4321']/tb:label", Scope(PREFIXES), expressions)
    found = filter_.apply(InstanceTree(root), Budget(40))
    assert bench.xml(found) == f'<box xmlns="{TB}"><row><id>4321</id><label>l4321</label></row></box>'
    union = " | ".join(f"//tb:row[tb:id={key}]" for key in range(0, 5000, 500))
    found = XPathFilter(union, Scope(PREFIXES), expressions).apply(InstanceTree(root), Budget(400))
    assert bench.xml(found).count("<row>") == 10
    with pytest.raises(TooCostlyError):
        XPathFilter("//tb:row[tb:label='l4321']", Scope(PREFIXES), expressions).apply(InstanceTree(root), Budget(400))


def test_a_whole_list_stays_the_list_that_it_is(bench: Any, expressions: Expressions) -> None:
    root = bench.load(bench.box("".join(f"<row><id>{key}</id></row>" for key in range(1000))))
    found = select(expressions, root, "//tb:row")
    there, given_ = (tree.named("box").named("row") for tree in (root, found))  # type: ignore[union-attr]
    assert isinstance(there, ListNode)
    assert there is given_


# --- names --------------------------------------------------------------------------------------------------


def test_names_without_prefix_are_of_any_module(bench: Any, expressions: Expressions, root: Container) -> None:
    made = XPathFilter("/box/row[id='2']/label", Scope({}), expressions)
    assert made.unprefixed == {"box", "row", "id", "label"}
    assert "<label>two</label>" in bench.xml(made.apply(InstanceTree(root), Budget(1000)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/toolbox:box", f'xmlns:toolbox="{TB}"'),
        ("/nothing:box", "the prefix nothing is not declared; declared are: tb, tt, x"),
        ("/tb:box[", "character 9: the end of the expression is not expected here"),
        ("/tb:box]", "character 8: ']' is not expected here"),
        ("tb:box tb:name", "character 8: an operator is expected before 'tb:name'"),
        ("", "the end of the expression is not expected here"),
        ("tb:box/", "the name of a node is expected"),
        ("tb:box[#]", "'#]' is no XPath"),
        ("$x", "there are no variables"),
        ("up::tb:box", "there is no axis up"),
        ("namespace::tb:box", "there is no axis namespace"),
        ("count()", "count() takes 1 arguments, not 0"),
        ("concat('a')", "concat() takes 2 or more arguments, not 1"),
        ("document('x')", "there is no function document()"),
        ("count('a')", "argument 1 of count() must be a node-set and is a string"),
        ("1 | tb:box", "a union needs a node-set, not a number"),
        ("'a'[1]", "a predicate needs a node-set, not a string"),
        ("'a'/tb:b", "a path needs a node-set, not a string"),
        ("1 + 1", "gives the number 2.0 and not a set of nodes"),
        ("'a'", "gives the string 'a' and not a set of nodes"),
        ("true()", "gives the boolean 'true' and not a set of nodes"),
        ("re-match('a', '(')", "re-match(): '(' is no regular expression"),
        ("derived-from(//tb:l-identity, 'tt:none')", "there is no identity toolbox-types:none"),
        ("(" * 50 + "1" + ")" * 50, "nested in each other"),
        ("1" + "+1" * 100, "nested in each other"),
        ("-" * 100 + "1", "nested in each other"),
        ("tb:a[" * 50 + "1" + "]" * 50, "nested in each other"),
        ("'" + "a" * 70_000 + "'", "characters; at most 65536 are taken"),
    ],
)
def test_what_is_no_filter_is_explained(expressions: Expressions, root: Container, text: str, words: str) -> None:
    scope = Scope(PREFIXES, modules=dict(expressions.tree.namespaces))
    with pytest.raises(XPathError, match=re.escape(words)):
        select(expressions, root, text, scope)


# --- values in other forms than the canonical ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("//tb:l-ipv6[.='2001:DB8:0::1']", 1),
        ("//tb:l-ipv6[.!='2001:DB8:0::1']", 0),
        ("//tb:l-ipv6[string(.)='2001:DB8:0::1']", 0),
        ("//tb:row[tb:id='0002']", 1),
        ("//tb:row[tb:id='+2']", 1),
        ("//tb:l-identity[.='tb:blue']", 1),
        ("//tb:l-identity[.='toolbox:blue']", 1),
        ("//tb:l-identity[.='blue']", 1),
        ("//tb:l-identity[.='tt:blue']", 0),
    ],
)
def test_a_literal_is_compared_as_a_value_of_the_type(
    expressions: Expressions, root: Container, text: str, count: int
) -> None:
    assert evaluate(expressions, root, f"count({text})") == count


# --- RFC 7950 section 10 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("re-match('1.22.333', '\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}')", True),
        ("re-match('aabb', 'ab')", False),
        ("re-match('say \"<&>\"', '.*\"<.*')", True),
        ("count(//tb:row[re-match(tb:label, 't.*')])", 2.0),
        ("derived-from(//tb:l-identity, 'tt:colour')", True),
        ("derived-from(//tb:l-identity, 'tb:blue')", False),
        ("derived-from-or-self(//tb:l-identity, 'tb:blue')", True),
        ("derived-from-or-self(//tb:l-identity, 'toolbox:blue')", True),
        ("derived-from(//tb:name, 'tt:colour')", False),
        ("enum-value(//tb:l-enum)", 1.0),
        ("string(enum-value(//tb:name))", "NaN"),
        ("bit-is-set(//tb:l-bits, 'r')", True),
        ("bit-is-set(//tb:l-bits, 'q')", False),
        ("bit-is-set(//tb:nothing, 'q')", False),
        ("name(deref(//tb:l-leafref))", "l-int8"),
        ("string(deref(//tb:l-instance))", "two"),
        ("count(deref(//tb:name))", 0.0),
        ("count(//tb:row[tb:id = current()/tb:box/tb:plain/tb:b])", 1.0),
        ("count(current())", 1.0),
    ],
)
def test_functions_of_yang(expressions: Expressions, root: Container, text: str, value: Any) -> None:
    assert evaluate(expressions, root, text) == value


# --- bounds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "//*[count(..//*[count(..//*) > 1]) > 1]",
        "//*[//*[//*[//*]]]" + "[//*]" * 5 + "[count(//node()) > count(//*[//*]//node())]",
        "//*/following::*/preceding::*/following::*",
        "//*/preceding-sibling::*/following-sibling::*/preceding-sibling::*[last()]",
        "//tb:id[. = //tb:id[. = //tb:id[. = //tb:id]]]",
        "//*[string(/) = string(..)]",
        "//*[re-match(string(/), '(.*)*(.*)*(.*)*x')]",
        "//*[concat(/, /, /, /, /, /, /, /, /, /, /, /) = concat(/, ..)]",
    ],
)
def test_what_costs_too_much_ends(bench: Any, expressions: Expressions, text: str) -> None:
    rows = "".join(f"<row><id>{key}</id><label>l{key}</label></row>" for key in range(1000))
    root = bench.load(bench.box(rows))
    with pytest.raises(TooCostlyError):
        evaluate(expressions, root, text, 50_000)


def test_an_evaluation_can_be_ended_by_the_clock(expressions: Expressions, root: Container) -> None:
    with pytest.raises(TooCostlyError):
        expressions.evaluate(
            Compiled("//*[count(..//*) > count(../*[1])]", Scope(PREFIXES), expressions.tree),
            InstanceTree(root).root,
            Budget(10**9, lambda: True),
        )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/tb:box", "box"),
        ("/tb:box/tb:row[tb:id='1']", "box/row[1]"),
        ("/tb:box/tb:row[tb:id=1]/tb:label", "box/row[1]/label"),
        ("/tb:box/tb:row[tb:id='001']/tb:label", "box/row[001,1]/label"),
        ("/tb:box/tb:row[tb:id='1'][1]/tb:label", "box/row[1]/label"),
        ("/tb:box/tb:row[1][tb:id='1']/tb:label", "box/row/label"),
        ("/tb:box/tb:row[tb:id>1]/tb:label", "box/row/label"),
        ("tb:box/tb:row[tb:label='x']/tb:tag", "box/row/label box/row/tag"),
        ("/tb:box/tb:row[tb:id=1]/tb:label|/tb:box/tb:row[tb:id=2]/tb:tag", "box/row[1,2]/label box/row[1,2]/tag"),
        ("tb:box | /tb:door[tb:id=7]", "box door[7]"),
        ("/tb:box[/tb:door/tb:id = 7]/tb:name", "box/name door"),
        ("/tb:box[tb:name and not(tb:size)]//tb:x", "box"),
        ("/tb:box[count(.) = 1]/tb:name", "box"),
        ("/tb:box[string() = '']/tb:name", "box"),
        ("/tb:box/node()[1]", "box"),
        ("//tb:row", None),
        ("/", None),
        ("/tb:box/../tb:door", None),
        ("/tb:box[../tb:door]", None),
        ("/tb:box[current()/tb:door]", None),
        ("/tb:box[deref(tb:name)]", None),
        ("(/tb:box)[1]/tb:name", None),
    ],
)
def test_what_an_expression_can_look_at(bench: Any, expressions: Expressions, text: str, wanted: str | None) -> None:
    selection = XPathFilter(text, Scope(PREFIXES), expressions).selection

    def paths(schema: SchemaNode, mine: Selection) -> list[str]:
        below = [(node, mine.below(node)) for node in schema.children.values() if node not in schema.key_nodes]
        if all(other is EVERYTHING for _, other in below) and below:
            return [""]
        found = []
        for node, other in below:
            if other is None:
                continue
            step = f"/{node.name}" + (f"[{','.join(key for (key,) in sorted(other.keys))}]" if other.keys else "")
            found += [step + rest for rest in ([""] if other is EVERYTHING else paths(node, other) or [""])]
        return found

    mine = paths(bench.tree.data, selection)
    # Keys are always wanted; the paths above leave them out unless they are asked for.
    assert (None if mine == [""] else " ".join(sorted(path[1:] for path in mine))) == wanted
