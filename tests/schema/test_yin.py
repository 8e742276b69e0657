"""YIN (RFC 7950 section 13) of every module: pyang and libyang read it, and it says what the YANG text says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import oopt_gnpy_libyang as ly
import pytest
from lxml import etree
from pyang import context, repository, yang_parser, yin_parser

from mlag_agent.schema.library import Form, ModuleRequest, Schema, SchemaLibrary, yang_folder

YIN = "{urn:ietf:params:xml:ns:yang:yin:1}"

ODD = r"""module odd {
  yang-version 1.1;
  namespace "urn:odd?a=1&b='2'";
  prefix o;
  import ext { prefix e; }
  include odd-part;
  organization "a < b && c > d";
  contact '"quoted" and \ a back slash';
  description "lines
     with  spaces
	and a tab";
  extension own { argument word; }
  e:as-element "text & more
    in lines" { e:bare; o:own "x\"y"; }
  leaf x {
    type string { pattern '[<>&"]+\d' { modifier invert-match; error-message "say \"no\""; } length "1..max"; }
    must "../x != '<'" { error-message "m"; error-app-tag "t"; description "d"; }
    units "µ";
    e:with-attribute "v" { description "known words below an extension"; }
  }
  rpc r { input { leaf y { type int8; } } }
  augment "/o:r/o:output" { anydata z; }
}
"""
PART = """submodule odd-part { yang-version 1.1; belongs-to odd { prefix mine; } import ext { prefix e; }
  e:bare; leaf from-part { type mine:t; } typedef t { type string; } }"""
EXTENSIONS = """module ext { yang-version 1.1; namespace "urn:ext"; prefix e;
  extension bare; extension with-attribute { argument attr; }
  extension as-element { argument text { yin-element true; } } }"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("yang")
    for name, text in (("odd", ODD), ("odd-part", PART), ("ext", EXTENSIONS)):
        (folder / f"{name}.yang").write_text(text, encoding="utf-8")
    return folder


def names() -> list[str]:
    listed = Path(__file__).parents[2] / "benchmarks" / "modules60.txt"
    own = [file.stem for file in yang_folder().glob("*.yang") if file.read_text().startswith("module")]
    return [*own, *(line for line in listed.read_text().splitlines() if not line.startswith("#"))]


@pytest.fixture(scope="module")
def library(folder: Path) -> SchemaLibrary:
    """Everything there is."""
    requests = [ModuleRequest(*(name.split(":")[0], tuple(name.split(":")[1:]))) for name in (*names(), "odd")]
    return SchemaLibrary.load(requests, [folder])


def statements(module: Any) -> Any:
    """Keywords (of extensions: with the prefix) and arguments, all the way down."""
    return (module.raw_keyword, module.arg, [statements(below) for below in module.substmts])


def search_path(library: SchemaLibrary) -> str:
    return ":".join(map(str, library.folders))


def reparsed(library: SchemaLibrary, schema: Schema, yin: str) -> Any:
    ctx = context.Context(repository.FileRepository(search_path(library), use_env=False))
    ctx.trim_yin = False
    found = yin_parser.YinParser().parse(ctx, f"{schema.name}.yin", yin)
    assert ctx.errors == []
    return found


def original(schema: Schema) -> Any:
    ctx = context.Context(repository.FileRepository("", use_env=False))
    return yang_parser.YangParser().parse(ctx, schema.file, Path(schema.file).read_text(encoding="utf-8"))


def all_schemas(library: SchemaLibrary) -> Iterator[tuple[Schema, str]]:
    for schema in library.schemas.values():
        yield schema, library.text(schema, Form.YIN)


def test_it_says_the_same(library: SchemaLibrary) -> None:
    for schema, yin in all_schemas(library):
        assert statements(reparsed(library, schema, yin)) == statements(original(schema)), schema.name


def test_libyang_reads_it(library: SchemaLibrary) -> None:
    """An implementation of YIN that has nothing to do with pyang; submodules it takes with their module only."""
    for schema, yin in all_schemas(library):
        module = library.tree.modules.get(schema.name)
        if module is None or module.submodules or schema.name in ("ietf-inet-types", "ietf-yang-types"):
            continue  # these two are built into libyang in another revision
        options = ly.ContextOptions.NoYangLibrary | ly.ContextOptions.DisableSearchCwd
        ctx = ly.Context(search_path(library), options)
        if schema.name in ("ietf-dslite", "ietf-l2vpn-svc", "ietf-nat"):
            ctx.load_module("ietf-nat", None, list(library.tree.modules["ietf-nat"].features))
        if module.features:
            continue
        assert ctx.parse_module(yin, ly.SchemaFormat.YIN).name == schema.name


def test_namespaces_and_arguments(library: SchemaLibrary) -> None:
    root = etree.fromstring(library.text(library.schemas[("odd", "")], Form.YIN))
    assert (root.tag, root.get("name")) == (f"{YIN}module", "odd")
    assert root.nsmap == {None: YIN[1:-1], "o": "urn:odd?a=1&b='2'", "e": "urn:ext"}
    assert root.find(f"{YIN}namespace").get("uri") == "urn:odd?a=1&b='2'"
    assert root.findtext(f"{YIN}contact/{YIN}text") == '"quoted" and \\ a back slash'
    element = root.find("{urn:ext}as-element")
    assert element.findtext("{urn:ext}text") == "text & more\nin lines"
    assert element.find("{urn:odd?a=1&b='2'}own").get("word") == 'x"y'
    assert root.find(".//{urn:ext}with-attribute").get("attr") == "v"
    part = etree.fromstring(library.text(library.schemas[("odd-part", "")], Form.YIN))
    assert (part.tag, part.nsmap["mine"]) == (f"{YIN}submodule", "urn:odd?a=1&b='2'")


def test_module_that_is_written_in_yin(library: SchemaLibrary, tmp_path: Path) -> None:
    for name in ("odd", "odd-part", "ext"):
        text = library.text(library.schemas[(name, "")], Form.YIN)
        (tmp_path / f"{name}.yin").write_text(text, encoding="utf-8")
    again = SchemaLibrary.load([ModuleRequest("odd")], [tmp_path])
    assert {node.name for node in again.tree.data.children.values()} == {"x", "from-part"}
    for name in ("odd", "odd-part", "ext"):
        schema = again.schemas[(name, "")]
        assert schema.file.endswith(".yin")
        made = yang_parser.YangParser().parse(
            context.Context(repository.FileRepository("", use_env=False)), "made", again.text(schema, Form.YANG)
        )
        assert statements(made) == statements(original(library.schemas[(name, "")]))
        assert again.text(schema, Form.YIN) == library.text(library.schemas[(name, "")], Form.YIN)
