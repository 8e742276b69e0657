"""Values: what libyang makes of them, what we make of them, and what a message says of a wrong one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlag_agent.data.decode import Decoder
from mlag_agent.data.lexical import canonical_text
from mlag_agent.data.tree import Container, ListNode
from mlag_agent.data.values import check_document, value_lookup
from mlag_agent.errors import ErrorTag, RpcFailure
from mlag_agent.schema.violations import MAX_ERRORS

TB = "urn:test:toolbox"


def kinds(text: str) -> str:
    return f'<kinds xmlns="{TB}">{text}</kinds>'


@pytest.mark.parametrize(
    ("leaf", "value", "stored"),
    [
        ("l-string", " a ", " a "),
        ("l-string", "", None),
        ("l-int8", " +007 ", "7"),
        ("l-int8", "-0", "0"),
        ("l-int64", "-9223372036854775808", "-9223372036854775808"),
        ("l-uint64", "18446744073709551615", "18446744073709551615"),
        ("l-boolean", "\n true\t", "true"),
        ("l-enum", " two ", "two"),
        ("l-bits", " r  p", "p r"),
        ("l-bits", "", None),
        ("l-decimal", "1.500", "1.5"),
        ("l-decimal", "-0", "0.0"),
        ("l-decimal", " 2 ", "2.0"),
        ("l-binary", "YQ==", "YQ=="),
        ("l-empty", " ", None),
        ("l-identity", "blue", "toolbox:blue"),
        ("l-identity", "tt:dark-red", "toolbox-types:dark-red"),
        ("l-leafref", " +7", "7"),
        ("l-leafref-chain", "07", "7"),
        ("l-leafref-identity", "tt:red", "toolbox-types:red"),
        ("l-union", " 07", "7"),
        ("l-union", "2001:DB8::0:1", "2001:db8::1"),
        ("l-union", " true ", " true "),
        ("l-union", "a:b", "a:b"),
        ("l-union-identity", "tt:red", "toolbox-types:red"),
        ("l-union-identity", "tt:none", "tt:none"),
        ("l-union-identity", " tt:red ", " tt:red "),
        ("l-union-identity", "blue", "blue"),
        ("l-ipv4", "192.0.2.1", "192.0.2.1"),
        ("l-ipv6", "2001:DB8:0:0::1", "2001:db8::1"),
        ("l-ipv6", "::FFFF:192.0.2.1", "::ffff:192.0.2.1"),
        ("l-ip", "FE80::1%eth0", "fe80::1%eth0"),
        ("l-prefix", "2001:DB8::1/32", "2001:db8::/32"),
        ("l-mac", "AA:BB:CC:00:11:22", "aa:bb:cc:00:11:22"),
        ("l-hex", "AB:CD", "ab:cd"),
        ("l-time", "2020-01-01T01:00:00+01:00", "2020-01-01T00:00:00+00:00"),
        ("l-instance", "/tb:box/tb:row[tb:id='5']/tb:label", "/toolbox:box/toolbox:row[toolbox:id='5']/toolbox:label"),
        ("l-instance", '/tb:kinds/tb:ll-decimal[.="1.5"]', "/toolbox:kinds/toolbox:ll-decimal[.='1.5']"),
        ("ll-decimal", "1.50", "1.5"),
        ("ll-identity", "tt:red", "toolbox-types:red"),
    ],
)
@pytest.mark.parametrize("attribute", ["", ' nc:operation="merge"'])
def test_stored(bench: Any, leaf: str, value: str, stored: str | None, attribute: str) -> None:
    """The same value comes out whether libyang reads the client's text or ours, and it is stable."""
    root = bench.load(kinds(f"<{leaf}{attribute}>{value}</{leaf}>"))
    text = bench.xml(root)
    assert text.endswith(f">{stored}</{leaf}></kinds>" if stored is not None else f"<{leaf}/></kinds>"), text
    assert bench.load(text) == root


@pytest.mark.parametrize(
    ("leaf", "value"), [("l-boolean", " true "), ("l-enum", "one "), ("l-mac", " aa:bb:cc:00:11:22"), ("l-empty", " ")]
)
def test_strict_wants_no_white_space(bench: Any, leaf: str, value: str) -> None:
    for attribute in ("", ' nc:operation="merge"'):
        with pytest.raises(RpcFailure):
            bench.edit(bench.empty, kinds(f"<{leaf}{attribute}>{value}</{leaf}>"), strict=True)


def test_keys_are_found_whatever_their_spelling(bench: Any) -> None:
    root = bench.load(kinds("<by-mac><mac>AA:00:00:00:00:01</mac></by-mac><by-identity><id>tt:red</id></by-identity>"))
    root = bench.edit(root, kinds("<by-mac><mac>aa:00:00:00:00:01</mac><v>AA:00:00:00:00:02</v></by-mac>"))
    root = bench.edit(
        root,
        kinds(f'<by-identity nc:operation="delete"><id xmlns:q="{TB}-types">q:red</id></by-identity>'),
    )
    assert bench.xml(root) == kinds("<by-mac><mac>aa:00:00:00:00:01</mac><v>aa:00:00:00:00:02</v></by-mac>")
    root = bench.load(bench.box("<row><id>+07</id><label>x</label></row>"))
    assert bench.xml(bench.edit(root, bench.box('<row nc:operation="delete"><id> 007 </id></row>'))) == ""


@pytest.mark.parametrize("reference", ["1", "1.0", " +1.0 "])
def test_insert_reference_is_canonical(bench: Any, reference: str) -> None:
    rows = "<by-decimal><d>1.0</d></by-decimal><by-decimal><d>2</d></by-decimal>"
    new = f'<by-decimal yang:insert="before" yang:key="[tb:d=\'{reference}\']"><d>3</d></by-decimal>'
    assert "<d>3.0</d></by-decimal><by-decimal><d>1.0</d>" in bench.xml(bench.load(kinds(rows + new)))


def test_insert_reference_of_no_such_type(bench: Any) -> None:
    rows = (
        '<by-decimal><d>1.0</d></by-decimal><by-decimal yang:insert="after" yang:key="[d=\'x\']"><d>3</d></by-decimal>'
    )
    (error,) = bench.errors(kinds(rows))
    assert (error.tag, error.app_tag) == (ErrorTag.BAD_ATTRIBUTE, "missing-instance")


LEAFS = ("l-int8", "l-int64", "l-ipv4", "l-ipv6", "l-union", "l-boolean", "l-enum", "l-string", "l-port", "l-identity")
TEXTS = st.one_of(
    st.integers(-300, 300).map(str),
    st.from_regex(r"[ +-]?[0-9]{1,6} ?", fullmatch=True),
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda a: a.exploded.upper()),
    st.ip_addresses(v=4).map(lambda a: f"::ffff:{a}"),
    st.ip_addresses(v=4).map(lambda a: f"::{a}"),
    st.sampled_from(["true", "one", "0", "-0", "toolbox:blue", "::", "::1", "1.2.3.04", "00::", "1::1%x", "x"]),
)


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(LEAFS), TEXTS)
def test_canonical_text_is_what_libyang_makes(bench: Any, leaf: str, text: str) -> None:
    node = bench.tree.find(f"/toolbox:kinds/{leaf}")
    document = f'<kinds xmlns="{TB}"><{leaf} xmlns:toolbox="{TB}">{text}</{leaf}></kinds>'
    ours = canonical_text(node.type, text)
    try:
        its = bench.library.engine.canonical(node, text, lambda: document)
    except ValueError:
        return  # canonical_text is for what the type allows
    if leaf == "l-identity":
        its = f"toolbox:{its}"
    assert ours in (its, None)


# --- messages -----------------------------------------------------------------------------------------------


def test_every_bad_value_is_named(bench: Any) -> None:
    rows = "".join(f"<row><id>{key}</id><label>l</label></row>" for key in ("x", "1", "y", "2", "x z"))
    cells = "<row><id>bad</id><cell><x>999</x><y>it's</y></cell><cell><x>1</x><y>say \"it's\"</y></cell></row>"
    errors = bench.errors(bench.box(rows + cells) + "<door xmlns='urn:test:toolbox'><id>300</id><open>7</open></door>")
    assert [(e.tag.value, e.path, e.message) for e in errors] == [
        ("invalid-value", f"/toolbox:{path}", f"{message}")
        for path, message in (
            ("box/row[id='x']/id", 'id "x": must be int32 -2147483648..2147483647'),
            ("box/row[id='y']/id", 'id "y": must be int32 -2147483648..2147483647'),
            ("box/row[id='x z']/id", 'id "x z": must be int32 -2147483648..2147483647'),
            ("box/row[id='bad']/id", 'id "bad": must be int32 -2147483648..2147483647'),
            ("box/row[id='bad']/cell[x='999'][y=\"it's\"]/x", 'x "999": must be uint8 0..255'),
            ("door[id='300']/id", 'id "300": must be uint8 0..255'),
            ("door[id='300']/open", 'open "7": must be true or false'),
        )
    ]


def test_secrets_stand_in_no_message(bench: Any) -> None:
    rules = (
        '<rules xmlns="urn:test:toolbox"><pin>abcdefghi</pin><safe><code>777</code><other>12345x</other></safe></rules>'
    )
    for error in bench.errors(rules):
        assert "(value not shown)" in error.message
        assert not any(secret in error.message for secret in ("abcdefghi", "777", "12345x"))


@pytest.mark.parametrize("kind", ["value", "unknown", "exists"])
def test_many_errors_are_bounded_and_counted(bench: Any, kind: str) -> None:
    label = {"value": "<id>x{}</id>", "unknown": "<id>{}</id><nothing/>", "exists": "<id>{}</id>"}[kind]
    operation = ' nc:operation="create"' if kind == "exists" else ""
    text = bench.box("".join(f"<row{operation}>{label.format(n)}</row>" for n in range(3000)))
    root = bench.load(bench.box("".join(f"<row><id>{n}</id></row>" for n in range(3000))))
    errors = bench.errors(text, root)
    assert len(errors) in (MAX_ERRORS, MAX_ERRORS + 1)
    assert errors[-1].message.endswith("more violations are not listed here")
    assert int(errors[-1].message.split()[0]) + len(errors) - 1 == 3000


def test_continue_on_error_leaves_out_all_that_is_wrong(bench: Any) -> None:
    """Also what is wrong beyond the errors that are listed."""
    rows = "".join(f"<row><id>{'x' if n % 2 else ''}{n}</id><label>l</label></row>" for n in range(1000))
    after, errors = bench.apply(bench.empty, bench.box(f"<size>many</size><name>n</name>{rows}"))
    assert len(errors) == 501
    box = after.named("box")
    assert isinstance(box, Container)
    found = box.named("row")
    assert isinstance(found, ListNode)
    assert len(found) == 500
    assert box.leaf("name") == "n"
    assert box.leaf("size") is None


@pytest.mark.parametrize(
    ("stop", "errors"),
    [
        ('<stop nc:operation="remove">2</stop>', []),
        ('<stop nc:operation="delete">1</stop>', []),
        ('<stop nc:operation="delete">2</stop>', [ErrorTag.DATA_MISSING]),
    ],
)
@pytest.mark.parametrize("walk_first", [True, False])
def test_deleting_a_value_of_the_case_that_another_replaces(
    bench: Any, stop: str, errors: list[ErrorTag], walk_first: bool
) -> None:
    """Found by hypothesis: what was left of the leaf-list came back beside the new case."""
    old = bench.load(bench.box("<stop>1</stop><stop>3</stop>"))
    payload = f"<walk/>{stop}" if walk_first else f"{stop}<walk/>"
    after, found = bench.apply(old, bench.box(payload))
    assert [e.tag for e in found] == errors
    assert bench.xml(after) == bench.box("<walk/>")


def test_two_cases_continue_on_error(bench: Any) -> None:
    after, errors = bench.apply(bench.empty, bench.box("<airline>a</airline><walk/><name>n</name>"))
    assert [e.tag for e in errors] == [ErrorTag.BAD_ELEMENT]
    assert bench.xml(after) == bench.box("<name>n</name><airline>a</airline>")


@pytest.mark.parametrize(
    ("payload", "tag", "path", "word"),
    [
        ("<row><label>x</label></row>", "missing-element", "/toolbox:box/row", "needs its key id"),
        ("<name>a</name><name>b</name>", "bad-element", "/toolbox:box/name", "twice"),
        ("<blob/><blob/>", "bad-element", "/toolbox:box/blob", "twice"),
        ("<name><x/></name>", "bad-element", "/toolbox:box/name", "holds no elements"),
        ("<plain>text<a>1</a></plain>", "bad-element", "/toolbox:box/plain", "holds no text"),
        ("<row><id>1</id>text</row>", "bad-element", "/toolbox:box/row[id='1']", "holds no text"),
        ('<name nc:operation="destroy"/>', "bad-attribute", "/toolbox:box", "must be one of"),
        ('<name nc:operation="none"/>', "bad-attribute", "/toolbox:box", "must be one of"),
        ('<name what="x"/>', "unknown-attribute", "/toolbox:box", "unknown attribute what"),
        ('<name yang:insert="first"/>', "bad-attribute", "/toolbox:box", "ordered by the user"),
        ('<order yang:insert="after">1</order>', "missing-attribute", "/toolbox:box", "needs the attribute value"),
        (
            '<step yang:insert="after" yang:key="[what=\'a\']"><name>x</name></step>',
            "bad-attribute",
            "/toolbox:box",
            "predicate",
        ),
        ('<row><id nc:operation="delete">1</id></row>', "bad-attribute", "/toolbox:box/row[id='1']", "on its own"),
        ("<row><id>1</id></row><row><id>01</id></row>", "bad-element", "/toolbox:box/row[id='1']", "twice"),
        ("<order>1</order><order>1</order>", "bad-element", "/toolbox:box/order[.='1']", "twice"),
    ],
)
def test_structure(bench: Any, payload: str, tag: str, path: str, word: str) -> None:
    (error,) = bench.errors(bench.box(payload))
    assert (error.tag.value, error.path) == (tag, path)
    assert word in error.message


@pytest.mark.parametrize(
    "payload",
    [
        "<door xmlns='urn:test:toolbox'><id>1</id><knock/></door>",
        "<door xmlns='urn:test:toolbox'><id>1</id><opened/></door>",
        "<world xmlns='urn:test:toolbox'><event/></world>",
    ],
)
def test_operations_and_state_are_no_configuration(bench: Any, payload: str) -> None:
    assert bench.errors(payload)[0].tag is ErrorTag.UNKNOWN_ELEMENT


def test_anydata_keeps_its_meaning(bench: Any) -> None:
    """Prefixes in its values are declared on it; the operation of the edit is no part of it."""
    root = bench.load(bench.box('<blob nc:operation="replace"><x xmlns="urn:x" a="tb:foo">tt:red</x></blob>'))
    stored = bench.xml(root)
    assert 'xmlns:tt="urn:test:toolbox-types"' in stored
    assert "operation" not in stored
    assert bench.load(stored) == root
    lenient = bench.load('<box><blob><x xmlns="urn:x"/></blob></box>')
    assert '<blob xmlns="urn:test:toolbox"><x xmlns="urn:x"></x></blob>' in bench.xml(lenient)


def test_lookup_without_any_hint(bench: Any) -> None:
    nodes = Decoder(bench.tree, config_only=True).decode(
        bench.config(bench.box("<row><id>1</id></row><row><id>2</id></row>")), bench.tree.data
    )
    lookup = value_lookup(nodes)
    assert lookup("/toolbox:nothing") is None
    found = [lookup("/toolbox:box/row/id") for _ in range(3)]
    assert [f and f[1] for f in found] == ["1", "2", "2"]
    assert check_document(nodes, bench.namespaces) == bench.box("<row><id>1</id></row><row><id>2</id></row>")


# --- long lists ---------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.integers(0, 3000), st.one_of(st.none(), st.text("ab", max_size=2)), max_size=900), max_size=4
    ),
    st.booleans(),
)
def test_updated_is_a_sorted_dict(bench: Any, edits: list[dict[int, str | None]], integers: bool) -> None:
    node = bench.tree.find("/toolbox:box/row" if integers else "/toolbox:rules/u")
    (key,) = node.key_nodes
    value = node.child("label" if integers else "v")

    def entry(number: int, text: str) -> Container:
        return Container(node, {key: str(number), value: text})

    model: dict[Any, str] = dict.fromkeys(range(0, 3000, 3), "0")
    tree: ListNode | None = ListNode.of(node, [entry(n, "0") for n in model])
    for edit in edits:
        old, before = tree, None if tree is None else [e.keys for e in tree]
        if tree is not None:
            tree = tree.updated({(str(n),): None if t is None else entry(n, t) for n, t in edit.items()})
        else:
            tree = (
                ListNode.of(node, [entry(n, t) for n, t in edit.items() if t is not None])
                if any(t is not None for t in edit.values())
                else None
            )
        model = {n: t for n, t in {**model, **edit}.items() if t is not None}
        order = sorted(model) if integers else sorted(model, key=str)
        rows = [] if tree is None else [(e.keys[0], e.get(value)) for e in tree]
        assert rows == [(str(n), model[n]) for n in order]
        assert tree is None or len(tree) == len(model)
        assert tree is None or all(tree.get((str(n),)) is not None for n in list(model)[:20])
        assert tree is None or tree.get(("99999",)) is None
        assert before is None or (old is not None and [e.keys for e in old] == before)


def test_keys_of_which_the_first_is_not_canonical(bench: Any) -> None:
    root = bench.load(bench.box("<row><id>1</id><cell><x>01</x><y>b</y><v>V</v></cell></row>"))
    assert "<cell><x>1</x><y>b</y><v>V</v></cell>" in bench.xml(root)


@pytest.mark.parametrize("rest", ["", "<v>V</v>"])
def test_keys_in_another_order(bench: Any, rest: str) -> None:
    """RFC 7950 section 7.8.5 wants their order kept; libyang insists."""
    text = bench.box(f"<row><id>1</id><cell>{rest}<y>b</y><x>2</x></cell></row>")
    assert f"<cell><x>2</x><y>b</y>{rest}</cell>" in bench.xml(bench.load(text))
    with pytest.raises(RpcFailure, match="must come in the order x, y"):
        bench.edit(bench.empty, text, strict=True)
