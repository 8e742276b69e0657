"""Loading modules: what is found, what is wrong and where, and the operations context."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from mlag_agent.data.decode import Decoder
from mlag_agent.data.values import canonicalise, check_document, value_lookup
from mlag_agent.errors import ErrorTag, RpcFailure, SchemaError
from mlag_agent.schema.engine import Contents, prefixed_path
from mlag_agent.schema.library import ModuleRequest, SchemaLibrary
from mlag_agent.schema.nodes import Kind, SchemaNode


def write(folder: Path, name: str, body: str, head: str = "", version: str = "1.1") -> None:
    (folder / f"{name}.yang").write_text(
        f'module {name} {{\n  yang-version {version};\n  namespace "urn:{name}";\n  prefix {name};\n'
        f"{head}\n{body}\n}}\n"
    )


def load(folder: Path, *requests: str | ModuleRequest) -> SchemaLibrary:
    return SchemaLibrary.load([ModuleRequest(r) if isinstance(r, str) else r for r in requests], [folder])


def names(node: SchemaNode) -> list[str]:
    return [child.name for child in node.children.values()]


# --- what is wrong ------------------------------------------------------------------------------------------


def test_missing_module(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="YANG module nowhere is not in any of"):
        load(tmp_path, "nowhere")


def test_missing_import(tmp_path: Path) -> None:
    write(tmp_path, "a", "", "import nowhere { prefix n; }")
    with pytest.raises(SchemaError, match=r"a\.yang:5: .*nowhere"):
        load(tmp_path, "a")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ("container c {", r"a\.yang:\d+: "),
        ("container c { leaf x { type strin; } }", r"a\.yang:6: .*strin"),
        ("container c { leaf x; }", r"a\.yang:6: "),
        ('leaf x { type leafref { path "../nothing"; } }', r"a\.yang:6: .*nothing"),
        ("leaf x { type string; } leaf x { type string; }", r"a\.yang:6: "),
        ('list l { key "k"; }', r"a\.yang:6: "),
    ],
)
def test_error_with_file_and_line(tmp_path: Path, body: str, where: str) -> None:
    write(tmp_path, "a", body)
    with pytest.raises(SchemaError, match=where):
        load(tmp_path, "a")


def test_what_only_libyang_refuses(tmp_path: Path) -> None:
    write(tmp_path, "a", 'leaf x { type string; must "not-a-function()"; }')
    with pytest.raises(SchemaError):
        load(tmp_path, "a")


def test_unknown_feature(tmp_path: Path) -> None:
    write(tmp_path, "a", "feature f;")
    with pytest.raises(SchemaError, match=r"module a has no feature g \(it has: f\)"):
        load(tmp_path, ModuleRequest("a", ("g",)))


# --- the tree -----------------------------------------------------------------------------------------------


def test_features(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a",
        "feature f; container c { leaf x { if-feature f; type string; } leaf y { if-feature 'not f'; type string; } }",
    )
    assert names(load(tmp_path, "a").tree.find("/a:c")) == ["y"]
    assert names(load(tmp_path, ModuleRequest("a", ("f",))).tree.find("/a:c")) == ["x"]


def test_augment_deviation_submodule(tmp_path: Path) -> None:
    write(tmp_path, "a", "container c { leaf gone { type string; } leaf kept { type string; default d; } }")
    body = 'augment "/a:c" { leaf x { type string; } } deviation "/a:c/a:gone" { deviate not-supported; }'
    body += ' deviation "/a:c/a:kept" { deviate replace { default e; } }'
    write(tmp_path, "b", body, "import a { prefix a; } include s;")
    (tmp_path / "s.yang").write_text(
        "submodule s { yang-version 1.1; belongs-to b { prefix b; } container sub { leaf y { type string; } } }"
    )
    library = load(tmp_path, "b")
    assert library.tree.modules["a"].implemented
    assert library.tree.modules["a"].deviations == ("b",)
    assert names(library.tree.find("/a:c")) == ["kept", "x"]
    assert library.tree.find("/a:c/b:x").namespace == "urn:b"
    assert library.tree.find("/a:c/kept").defaults == ("e",)
    assert library.tree.find("/b:sub/y").type is not None
    assert library.tree.modules["b"].submodules[0][0] == "s"
    assert "submodule s" in library.text(library.schemas[("s", "")])


def test_kinds_of_nodes(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a",
        """
        identity base; identity one { base base; } identity two { base one; }
        typedef small { type int8 { range "1..5"; } default 3; }
        typedef smaller { type small { range "1..2"; } default 2; }
        container c {
          leaf d { type smaller; }  leaf-list many { type small; }
          leaf id { type identityref { base base; } }
          leaf chain { type leafref { path "../link"; } } leaf link { type leafref { path "../d"; } }
          choice short { leaf p { type empty; } container q { leaf r { type string; } } }
          choice nested { case n1 { choice inner { leaf i1 { type string; } leaf i2 { type string; } } }
            leaf n2 { type string; } }
          list l { key "k2 k1"; leaf v { type string; } leaf k1 { type string; } leaf k2 { type int8; }
            action act { input { leaf z { type string; } } } notification note; }
        }
        """,
    )
    tree = load(tmp_path, "a").tree
    assert tree.find("/a:c/d").defaults == ("2",)
    many = tree.find("/a:c/d").type
    assert many is not None
    assert "1..2" in many.allows
    identity = tree.find("/a:c/id").type
    assert identity is not None
    assert identity.identities == {"a:one", "a:two"}
    assert tree.find("/a:c/chain").type == tree.find("/a:c/d").type
    assert [(case.choice.name, case.name) for case in tree.find("/a:c/p").cases] == [("short", "p")]
    assert [(case.choice.name, case.name) for case in tree.find("/a:c/i1").cases] == [("nested", "n1"), ("inner", "i1")]
    entry = tree.find("/a:c/l")
    assert entry.keys == ("k2", "k1")
    assert names(entry) == ["k2", "k1", "v"]
    assert [(n.kind, n.name) for n in entry.operations.values()] == [(Kind.ACTION, "act"), (Kind.NOTIFICATION, "note")]


def test_secret_goes_down(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a",
        "container c { nacm:default-deny-all; leaf x { type string; } }",
        "import ietf-netconf-acm { prefix nacm; }",
    )
    assert load(tmp_path, "a").tree.find("/a:c/x").secret


# --- the operations context ---------------------------------------------------------------------------------


def check(library: SchemaLibrary, module: str, rpc: str, content: str) -> list[tuple[str, str | None]]:
    """Tag and message of each violation of an rpc's input."""
    node = library.tree.rpcs[(f"urn:{module}", rpc)].child("input")
    assert node is not None
    decoder = Decoder(library.tree, config_only=False)
    nodes = decoder.decode(etree.fromstring(f'<{rpc} xmlns="urn:{module}">{content}</{rpc}>'), node)
    assert not decoder.errors
    body = check_document(nodes, library.tree.namespaces)
    document = f'<{rpc} xmlns="urn:{module}">{body}</{rpc}>'
    lookup = value_lookup(nodes)
    try:
        library.operations.check_payload(document, lookup)
        canonicalise(nodes, library.operations, {})
        library.operations.validate(document, Contents.OPERATION, lookup)
    except RpcFailure as failure:
        return [(e.tag.value, e.message) for e in failure.errors]
    return []


OPERATIONS = r"""
  extension mark { argument what; }
  typedef t { type string { pattern "[a-z\"{}]+ *
    x?"; } }
  grouping g { leaf in-group { config true; type a:t; } }
  leaf top { type string; mandatory true; }
  container data { config true; leaf needed { type string; mandatory true; }
    list row { key k; leaf k { type string; } } }
  list state { config false; leaf v { type string; } }
  rpc go {
    a:mark "with \"quotes\" and { braces }";
    description "a brace { and
      a quote \" in it";
    input {
      uses g;
      leaf must-have { type uint8; mandatory true; }
      leaf bound { type string; must "../must-have > 5" {
        error-message "say \"more\" than {5}"; error-app-tag "more"; } }
      leaf row { type leafref { path "/a:data/a:row/a:k"; } }
      leaf sister { type leafref { path "../must-have"; } }
      leaf far { type string; must "/a:data/a:row"; }
      leaf address { type string; when "../must-have = 9"; }
      list item { key id; leaf id { type decimal64 { fraction-digits 1; } } leaf v { type string; } }
    }
    output { leaf result { type string; mandatory true; } }
  }
"""


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> SchemaLibrary:
    folder = tmp_path_factory.mktemp("yang")
    write(folder, "a", OPERATIONS, "include s;")
    (folder / "s.yang").write_text(
        "submodule s { yang-version 1.1; belongs-to a { prefix other; }"
        " rpc in-sub { input { leaf x { type uint8; } } } }"
    )
    write(folder, "b", 'augment "/a:go/a:input" { leaf extra { type uint8; } }', "import a { prefix a; }")
    write(
        folder,
        "old",
        'leaf l { type string; } rpc r { input { leaf x { type leafref { path "/old:l"; } } } }',
        version="1",
    )
    return load(folder, "b", "old")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('<must-have>9</must-have><in-group>ab{"\nx</in-group><address>a</address>', []),
        ("", ["data-missing"]),
        ("<must-have>900</must-have>", ["invalid-value"]),
        ("<must-have>9</must-have><bound>x</bound>", []),
        ("<must-have>5</must-have><bound>x</bound>", ["operation-failed"]),
        # the data is not in this document: what an agent does is in tests/server/test_operation_input.py
        ("<must-have>9</must-have><row>not-there</row>", ["data-missing"]),
        ("<must-have>9</must-have><sister>9</sister>", []),
        ("<must-have>9</must-have><sister>8</sister>", ["data-missing"]),
        ("<must-have>9</must-have><far>x</far>", ["operation-failed"]),
        ("<must-have>8</must-have><address>x</address>", ["unknown-element"]),
        ("<must-have>9</must-have><in-group>UPPER</in-group>", ["invalid-value"]),
        ("<must-have>9</must-have><extra xmlns='urn:b'>900</extra>", ["invalid-value"]),
        ("<must-have>9</must-have><item><id>1.0</id></item><item><id>2</id></item>", []),
    ],
)
def test_input(operations: SchemaLibrary, content: str, found: list[str]) -> None:
    assert [tag for tag, _ in check(operations, "a", "go", content)] == found


def test_message_of_an_input_constraint(operations: SchemaLibrary) -> None:
    ((_, message),) = check(operations, "a", "go", "<must-have>5</must-have><bound>x</bound>")
    assert message is not None
    assert 'say "more" than {5}' in message


def test_rpc_of_a_submodule_and_of_yang_1(operations: SchemaLibrary) -> None:
    assert check(operations, "a", "in-sub", "<x>1</x>") == []
    assert [tag for tag, _ in check(operations, "a", "in-sub", "<x>900</x>")] == ["invalid-value"]
    assert [tag for tag, _ in check(operations, "old", "r", "<x>anything</x>")] == ["data-missing"]


def test_what_operations_refer_to(operations: SchemaLibrary) -> None:
    def refers(path: str, direction: str = "input") -> set[str]:
        holder = operations.tree.operation(path).child(direction)
        assert holder is not None
        return {node.path for node in holder.refers}

    assert refers("/a:go") == {"/a:data"}
    assert refers("/a:go", "output") == set()
    assert refers("/old:r") == {"/old:l"}
    assert refers("/a:in-sub") == set()


def test_every_module_of_the_ietf_that_pyang_brings(tmp_path: Path) -> None:
    """Big modules with actions, notifications and groupings of all kinds load, in both contexts."""
    requests: list[Any] = [
        "ietf-netconf",
        "ietf-netconf-nmda",
        "ietf-yang-push",
        "ietf-ip",
        "ietf-system",
        "ietf-alarms",
        "ietf-subscribed-notifications",
        "ietf-routing",
    ]
    library = load(tmp_path, *requests)
    assert library.tree.find("/ietf-alarms:alarms").operations == {}
    assert any(node.operations for node in library.tree.find("/ietf-alarms:alarms").descendants())


def test_instance_identifier_with_all_prefixes() -> None:
    assert prefixed_path("/a:b/c[d='x/y:z'][e:f=\"1\"]/g:h/i[.='q']/j[3]") == (
        "/a:b/a:c[a:d='x/y:z'][e:f=\"1\"]/g:h/g:i[.='q']/g:j[3]"
    )


# --- constraints --------------------------------------------------------------------------------------------


def test_tags_of_rfc_7950_section_15(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a",
        """container c { list u { key k; unique "v w"; min-elements 1; max-elements 2;
        leaf k { type string; } leaf v { type string; }
        leaf w { type string; } } choice ch { mandatory true; leaf p { type string; } }
        leaf l { type leafref { path "../u/k"; } } leaf m { type string; must "false()"; }
        leaf n { mandatory true; type string; } }""",
    )
    engine = load(tmp_path, "a").engine
    row = "<u><k>{}</k><v>x</v><w>y</w></u>"
    document = f'<c xmlns="urn:a">{row.format(1)}{row.format(2)}{row.format(3)}<l>9</l><m>x</m></c>'
    with pytest.raises(RpcFailure) as caught:
        engine.validate(document, Contents.CONFIG, lambda path, message="": None)
    found = {(e.tag, e.app_tag, e.path) for e in caught.value.errors}
    for expected in (
        (ErrorTag.OPERATION_FAILED, "too-many-elements", "/a:c/u"),
        (ErrorTag.OPERATION_FAILED, "must-violation", "/a:c/m"),
        (ErrorTag.DATA_MISSING, "instance-required", "/a:c/l"),
        (ErrorTag.DATA_MISSING, "missing-choice", "/a:c"),
        (ErrorTag.DATA_MISSING, None, "/a:c/n"),
    ):
        assert expected in found
    unique = next(e for e in caught.value.errors if e.app_tag == "data-not-unique")
    assert unique.tag is ErrorTag.OPERATION_FAILED
    assert {i.name for i in unique.info} == {"non-unique"}
    assert {i.text.rpartition("/")[2] for i in unique.info} == {"v", "w"}


# --- what XPath and defaults need ---------------------------------------------------------------------------


def test_conditions_keep_their_context_and_prefixes(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a",
        """
        grouping g { leaf in-group { when "../a:kind = 'x'"; type string; } }
        container c {
          leaf kind { type string; }
          leaf own { when "../kind"; type string; }
          uses g { when "kind"; }
          choice way {
            default two;
            case one { leaf p { type empty; } }
            case two { when "kind = 'y'"; leaf q { type empty; } }
          }
        }
        augment "/c" { when "kind"; leaf more { type string; } }
        """,
    )
    tree = load(tmp_path, "a").tree

    def whens(name: str) -> list[tuple[str, bool]]:
        return [(when.expression.text, when.own) for when in tree.find(f"/a:c/{name}").whens]

    assert whens("kind") == []
    assert whens("own") == [("../kind", True)]
    assert sorted(whens("in-group")) == [("../a:kind = 'x'", True), ("kind", False)]
    assert whens("q") == [("kind = 'y'", False)]
    assert whens("more") == [("kind", False)]
    when = tree.find("/a:c/own").whens[0].expression
    assert (when.namespace, when.prefixes["a"]) == ("urn:a", "urn:a")
    assert tree.find("/a:c/q").cases[0].choice.default == "two"


def test_references_enumerations_and_identities_are_known(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a",
        """
        identity base; identity one { base base; } identity two { base one; }
        container c {
          leaf r { type leafref { path "../e"; } }
          leaf e { type enumeration { enum low; enum high { value 9; } } }
        }
        """,
    )
    tree = load(tmp_path, "a").tree
    kind = tree.find("/a:c/r").type
    assert kind is not None
    assert kind.path is not None
    assert kind.path.text == "../e"
    assert kind.enums == (("low", 0), ("high", 9))
    assert tree.derived["a:base"] == {"a:one", "a:two"}
    assert tree.derived["a:two"] == frozenset()


# --- more than one revision, submodules, leafrefs ---------------------------------------------------------------


def test_two_revisions_of_an_imported_module(tmp_path: Path) -> None:
    old = "typedef t { type uint8; } grouping g { leaf from-old { type t; } } revision 2020-01-01;"
    new = "typedef t { type string; } grouping g { leaf from-new { type t; } } revision 2021-01-01;"
    for date, body in (("2020-01-01", old), ("2021-01-01", new)):
        head, _, revision = body.partition(" revision")
        text = f'module lib {{ yang-version 1.1; namespace "urn:lib"; prefix lib; revision{revision} {head} }}'
        (tmp_path / f"lib@{date}.yang").write_text(text)
    write(
        tmp_path,
        "a",
        "container one { uses o:g; } container two { uses n:g; leaf both { type o:t; } }",
        "import lib { prefix o; revision-date 2020-01-01; } import lib { prefix n; revision-date 2021-01-01; }",
    )
    library = load(tmp_path, "a")
    tree = library.tree
    assert (names(tree.find("/a:one")), names(tree.find("/a:two"))) == (["from-old"], ["from-new", "both"])
    base = tree.find("/a:one/from-old").type
    assert base is not None
    assert base.base == "uint8"
    assert tree.modules["lib"].revision == "2021-01-01"
    assert [(module.name, module.revision) for module in tree.others] == [("lib", "2020-01-01")]
    library.engine.check_payload('<one xmlns="urn:a"><from-old>7</from-old></one>', lambda path, message="": None)
    with pytest.raises(RpcFailure):
        library.engine.check_payload('<one xmlns="urn:a"><from-old>x</from-old></one>', lambda path, message="": None)


def test_libyang_takes_the_files_that_pyang_takes(tmp_path: Path) -> None:
    """A copy in a folder below, and a file without a revision beside one with."""
    write(tmp_path, "a", "leaf new { type string; }", "revision 2021-01-01;")
    below = tmp_path / "old"
    below.mkdir()
    write(below, "a", "leaf newer { type string; }", "revision 2031-01-01;")
    (tmp_path / "a@2020-01-01.yang").write_text(
        'module a { namespace "urn:a"; prefix a; revision 2020-01-01; leaf old { type string; } }'
    )
    library = load(tmp_path, "a")
    assert names(library.tree.data) == ["new"]
    library.engine.check_payload('<new xmlns="urn:a">x</new>', lambda path, message="": None)


def test_submodules_of_submodules(tmp_path: Path) -> None:
    """Submodules that include each other; their prefix is that of the module."""
    write(tmp_path, "a", "container top { leaf x { type string; } }", "include s1; include s2;", version="1")
    (tmp_path / "s1.yang").write_text(
        "submodule s1 { belongs-to a { prefix own; } include s2; import b { prefix b; }"
        ' augment "/b:base" { leaf from-s1 { type own:t; } }'
        ' container c1 { leaf y { type leafref { path "/own:c2/own:z"; } } } }'
    )
    (tmp_path / "s2.yang").write_text(
        "submodule s2 { belongs-to a { prefix a; } typedef t { type uint8; } container c2 { leaf z { type t; } } }"
    )
    write(tmp_path, "b", "container base;")
    library = load(tmp_path, "a")
    assert {name for name, _, _ in library.tree.modules["a"].submodules} == {"s1", "s2"}
    assert library.tree.modules["b"].implemented
    assert library.tree.find("/b:base/a:from-s1").type is not None
    path = library.tree.find("/a:c1/y").type.path  # type: ignore[union-attr]
    assert path is not None
    assert path.prefixes["own"] == "urn:a"
    assert ("s2", "") in library.schemas


def test_a_submodule_is_not_served_alone(tmp_path: Path) -> None:
    write(tmp_path, "a", "", "include s;")
    (tmp_path / "s.yang").write_text("submodule s { yang-version 1.1; belongs-to a { prefix a; } }")
    with pytest.raises(SchemaError, match="s is a submodule; the module to serve is a"):
        load(tmp_path, "s")


def test_a_typedef_leafref_leads_each_leaf_elsewhere(tmp_path: Path) -> None:
    body = """
      typedef beside { type leafref { path "../target"; } }
      grouping g { leaf target { type int8; } leaf ref { type beside; }
        leaf-list un { type union { type beside; type empty; } } }
      container one { uses g; }
      container two { leaf target { type identityref { base i; } } leaf ref { type beside; } }
      identity i; identity j { base i; }
      rpc r { input { leaf target { type boolean; } leaf ref { type beside; } }
        output { leaf target { type bits { bit p; } } leaf ref { type beside; }
          leaf up { type leafref { path "/a:one/a:target"; } } } }
    """
    write(tmp_path, "a", body)
    tree = load(tmp_path, "a").tree
    rpc = tree.rpcs[("urn:a", "r")]
    found = {
        node.path: node.type.base
        for top in (tree.data, rpc)
        for node in top.descendants()
        if node.name in ("ref", "up") and node.type
    }
    assert found == {
        "/a:one/ref": "int8",
        "/a:two/ref": "identityref",
        "/a:r/input/ref": "boolean",
        "/a:r/output/ref": "bits",
        "/a:r/output/up": "int8",
    }
    union = tree.find("/a:one/un").type
    assert union is not None
    assert [member.base for member in union.members] == ["int8", "empty"]


def test_leafrefs_in_a_circle(tmp_path: Path) -> None:
    write(tmp_path, "a", 'leaf x { type leafref { path "../y"; } } leaf y { type leafref { path "../x"; } }')
    with pytest.raises(SchemaError, match=r"circ"):
        load(tmp_path, "a")


def test_what_leafrefs_lead_into_is_implemented(tmp_path: Path) -> None:
    """RFC 7950 section 5.6.5; what is only imported adds nothing to the tree."""
    write(tmp_path, "far", "container far { leaf name { type string; } }")
    write(tmp_path, "unused", 'augment "/far:far" { leaf never { type string; } }', "import far { prefix far; }")
    write(
        tmp_path,
        "a",
        'leaf x { type leafref { path "/f:far/f:name"; } }',
        "import far { prefix f; } import unused { prefix u; }",
    )
    library = load(tmp_path, "a")
    assert {module.name for module in library.tree.modules.values() if module.implemented} == {"a", "far"}
    assert names(library.tree.find("/far:far")) == ["name"]


# --- features -----------------------------------------------------------------------------------------------------

FEATURES = """
  feature f; feature g { if-feature f; } feature h { if-feature "not f"; }
  identity base; identity one { base base; } identity two { base base; if-feature f; }
  typedef e { type enumeration { enum always; enum sometimes { if-feature "f or h"; } } }
  container c {
    leaf id { type identityref { base base; } } leaf en { type e; }
    leaf bi { type bits { bit p; bit q { if-feature "f and g"; } } }
    choice ch { if-feature g; leaf in-choice { type string; } }
    leaf-list imported { if-feature i:far; type string; }
  }
  rpc r { if-feature f; } notification n { if-feature "not f"; }
"""


@pytest.mark.parametrize(
    ("features", "enums", "bits", "identities", "more"),
    [
        ((), "always", "p", {"a:one"}, set()),
        (("f",), "always, sometimes", "p", {"a:one", "a:two"}, {"r"}),
        (("f", "g"), "always, sometimes", "p, q", {"a:one", "a:two"}, {"r", "in-choice"}),
    ],
)
def test_features_everywhere(  # noqa: PLR0917  # one row of a table
    tmp_path: Path, features: tuple[str, ...], enums: str, bits: str, identities: set[str], more: set[str]
) -> None:
    write(tmp_path, "i", "feature far;")
    write(tmp_path, "a", FEATURES, "import i { prefix i; }")
    tree = load(tmp_path, ModuleRequest("a", features)).tree
    identity, enumeration, flags = (tree.find(f"/a:c/{name}").type for name in ("id", "en", "bi"))
    assert identity is not None
    assert enumeration is not None
    assert flags is not None
    assert identity.identities == identities
    assert (enumeration.allows, flags.allows) == (f"one of {enums}", f"any of {bits}")
    found = {name for _, name in tree.rpcs} | {name for _, name in tree.find("/a:c").children}
    assert found - {"id", "en", "bi"} == more
    assert bool(tree.notifications) is ("f" not in features)


def test_features_that_cannot_be(tmp_path: Path) -> None:
    write(tmp_path, "i", "feature far;")
    write(tmp_path, "a", FEATURES, "import i { prefix i; }")
    with pytest.raises(SchemaError, match=r'feature g of a needs "f", which does not hold'):
        load(tmp_path, ModuleRequest("a", ("g",)))
    with pytest.raises(SchemaError, match=r'feature h of a needs "not f"'):
        load(tmp_path, ModuleRequest("a", ("*",)))
    library = load(tmp_path, ModuleRequest("a"), ModuleRequest("i", ("*",)))
    assert library.tree.modules["i"].features == ("far",)
    assert "imported" in names(library.tree.find("/a:c"))


def test_defaults_name_identities_by_module(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a",
        """
        identity base; identity one { base base; }
        typedef kind { type identityref { base base; } default a:one; }
        typedef many { type string; default "x"; }
        container c {
          leaf own { type identityref { base base; } default one; }
          leaf typed { type kind; }
          leaf either { type union { type uint8; type kind; } default a:one; }
          leaf text { type union { type uint8; type string; } default "a:one"; }
          leaf-list ll { type many; }
          leaf-list some { type many; min-elements 1; }
        }
        """,
    )
    tree = load(tmp_path, "a").tree
    found = {name: tree.find(f"/a:c/{name}").defaults for name in ("own", "typed", "either", "text", "ll", "some")}
    assert found == {
        "own": ("a:one",), "typed": ("a:one",), "either": ("a:one",), "text": ("a:one",), "ll": ("x",), "some": (),
    }  # fmt: skip


# --- what libyang crashes on ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        "not(preceding-sibling::r[1]/v > v)",
        "not(preceding::r)",
        "ancestor::*",
        "ancestor-or-self::c",
        "../r[ancestor::c]/v",
        "//r//v",
        "..//r/following-sibling::r",
        "descendant-or-self::node()//v",
        "current()/..//r//v",
        "string(/.)",
        "deref(//.)",
        "//../node()",
        "sum(../..) > 1",
    ],
)
def test_expressions_that_crash_libyang_are_refused(tmp_path: Path, expression: str) -> None:
    body = f'container c {{ list r {{ key k; leaf k {{ type int8; }} leaf v {{ type int8; }} must "{expression}"; }} }}'
    write(tmp_path, "a", body)
    with pytest.raises(SchemaError, match=r"a\.yang:6: the must .* on which libyang can crash"):
        load(tmp_path, "a")


@pytest.mark.parametrize(
    "expression",
    ["//r", "..//v > 1", "descendant::v", "following-sibling::r[1]/v", "../../c/r/v", "count(/) = 1", "string(..)"],
)
def test_like_expressions_that_are_served(tmp_path: Path, expression: str) -> None:
    body = f'container c {{ list r {{ key k; leaf k {{ type int8; }} leaf v {{ type int8; }} must "{expression}"; }} }}'
    write(tmp_path, "a", body)
    library = load(tmp_path, "a")
    rows = "".join(f"<r><k>{number}</k></r>" for number in range(5))
    with suppress(RpcFailure):
        library.engine.validate(f'<c xmlns="urn:a">{rows}</c>', Contents.CONFIG, lambda path, message="": None)


@pytest.mark.parametrize(
    ("kind", "written", "canonical"),
    [
        ("type uint8;", "0x1F", "31"),
        ("type uint8;", "+5", "5"),
        ("type int16;", "-017", "-15"),
        ("type int8;", "-0", "0"),
        ("type decimal64 { fraction-digits 2; }", "1.50", "1.5"),
        ("type decimal64 { fraction-digits 2; }", "7", "7.0"),
        ("type decimal64 { fraction-digits 2; }", "-0.00", "0.0"),
        ("type inet:ipv6-address-no-zone;", "2001:DB8:0::1", "2001:db8::1"),
        ("type string;", "+5", "+5"),
    ],
)
def test_defaults_are_canonical(tmp_path: Path, kind: str, written: str, canonical: str) -> None:
    """RFC 7950 section 9.1, whoever asks; libyang agrees."""
    body = f'leaf v {{ {kind} default "{written}"; }} leaf w {{ {kind} }}'
    write(tmp_path, "a", body, head="import ietf-inet-types { prefix inet; }")
    library = load(tmp_path, "a")
    assert library.tree.find("/a:v").defaults == (canonical,)
    other = library.tree.find("/a:w")
    assert other.type is not None
    if not written.startswith(("0x", "-01")):  # these forms are for defaults alone (section 9.2.1)
        text = library.engine.canonical(other, written, lambda: f'<w xmlns="urn:a">{written}</w>')
        assert text == canonical
