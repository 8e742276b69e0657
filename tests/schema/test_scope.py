"""What a change in each list can invalidate, on modules with a constraint of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlag_agent.schema.library import ModuleRequest, SchemaLibrary
from mlag_agent.schema.nodes import Kind

FOLDER = Path(__file__).parent.parent / "data" / "yang"
NAMES = ("scoped", "scoped-more")

LOCAL = {
    "/scoped:top/plain",
    "/scoped:top/plain/inner",
    "/scoped:top/steps",
    "/scoped:top/p/in-p",
    "/scoped:top/outer",
    "/scoped:top/outer/free",
    "/scoped:elsewhere/e",
    "/scoped:alone/row",
    "/scoped:free-top",
    "/scoped:top/grouped/counted",
}


def lists(library: SchemaLibrary) -> set[str]:
    return {node.path for node in library.tree.data.descendants() if node.kind is Kind.LIST and node.config}


def local(library: SchemaLibrary) -> set[str]:
    return {node.path for node in library.scopes.local}


def groups(library: SchemaLibrary) -> set[frozenset[str]]:
    return {frozenset(node.path for node in group) for group in library.scopes.groups.values()}


@pytest.fixture(scope="module")
def without_axes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The modules, but for the one expression that nothing can be said about."""
    folder = tmp_path_factory.mktemp("yang")
    for file in FOLDER.glob("scoped*.yang"):
        text = file.read_text().replace(
            'must "not(following-sibling::rising[1]/v < v)";', 'must "not(../rising/v > 3)";'
        )
        (folder / file.name).write_text(text)
    return folder


def load(folder: Path, *names: str) -> SchemaLibrary:
    return SchemaLibrary.load([ModuleRequest(name) for name in names], [folder])


def test_local_lists(without_axes: Path) -> None:
    assert local(load(without_axes, *NAMES)) == LOCAL


def test_constraints_added_by_deviations_count(without_axes: Path) -> None:
    library = load(without_axes, *NAMES, "scoped-deviations")
    assert LOCAL - local(library) == {"/scoped:top/p/in-p", "/scoped:top/steps", "/scoped:elsewhere/e"}


def test_groups(without_axes: Path) -> None:
    assert groups(load(without_axes, *NAMES)) == {
        frozenset({"/scoped:top", "/scoped:elsewhere"}),
        frozenset({"/scoped:alone"}),
        frozenset({"/scoped:free-top"}),
        frozenset({"/scoped:near", "/scoped-more:more"}),
    }


def test_an_axis_that_is_not_understood_makes_everything_one_group() -> None:
    library = load(FOLDER, *NAMES)
    assert local(library) == set()
    assert groups(library) == {frozenset(node.path for node in library.tree.data.children.values())}


MODULE = """
module one {{
  yang-version 1.1; namespace "urn:test:one"; prefix o;
  container c {{
    leaf a {{ type string; }}
    list l {{ key "k"; leaf k {{ type string; }} {inside} list m {{ key "k"; leaf k {{ type string; }} }} }}
    {outside}
  }}
}}
"""


@pytest.mark.parametrize(
    ("inside", "outside", "expected"),
    [
        ("", "", {"/one:c/l", "/one:c/l/m"}),
        ("must 'm';", "", {"/one:c/l"}),
        ("must 'current()';", "", {"/one:c/l"}),
        ("must 'string-length() > 1';", "", {"/one:c/l"}),
        ("must '../l/*';", "", set()),
        ("must 'm[last()]/k';", "", {"/one:c/l"}),
        ("must 'k | m';", "", {"/one:c/l"}),
        ("leaf b { type string; must '../k = current()'; }", "", {"/one:c/l", "/one:c/l/m"}),
        ("leaf b { type string; must '../../l/k = current()'; }", "", {"/one:c/l/m"}),
        ("leaf b { type string; must '../../a'; }", "", {"/one:c/l/m"}),
        ("leaf b { type string; must '/c/a'; }", "", {"/one:c/l/m"}),
        ("leaf b { type string; must \"current()/../k = 'x'\"; }", "", {"/one:c/l", "/one:c/l/m"}),
        ("leaf b { type string; must '../k[current()/../../a]'; }", "", {"/one:c/l/m"}),
        ("leaf b { type string; must './/k'; }", "", set()),
        ("leaf b { type string; must 'following-sibling::l'; }", "", set()),
        ("leaf b { type leafref { path '../k'; } } leaf d { type string; must 'deref(../b)'; }", "", set()),
        ("leaf b { type instance-identifier; }", "", set()),
        ("leaf b { type t; } typedef t { type leafref { path '/o:c/o:a'; } }", "", {"/one:c/l/m"}),
        ("when '../a';", "", set()),
        ("unique 'b'; leaf b { type string; }", "", {"/one:c/l/m"}),
        ("min-elements 0;", "", {"/one:c/l/m"}),
        ("config false;", "", set()),
        ("config true;", "must 'a';", {"/one:c/l", "/one:c/l/m"}),
        ("", "must 'not(a = l/k)';", {"/one:c/l/m"}),
        ("", "must 'count(l) < 3';", set()),
        ("", "must 'l';", set()),
        ("", "must '.';", set()),
        ("", "must 'a[../l/m]';", set()),
        ("", "leaf b { type string; must 'string(..)'; }", set()),
        ("", "leaf b { type string; must 'count(../*/*) < 4'; }", set()),
        ("", "leaf b { type string; must '/'; }", set()),
        ("", "leaf b { type leafref { path '../l/k'; } }", {"/one:c/l/m"}),
        ("", "leaf b { config false; type leafref { path '../l/k'; } }", {"/one:c/l", "/one:c/l/m"}),
        ("", "leaf b { when 'not(../l/m)'; type string; }", set()),
        ("", "choice h { when 'l/m'; leaf b { type string; } }", set()),
        ("", "choice h { case i { when 'l'; leaf b { type string; } } }", set()),
        ("", "uses g { when 'l'; } grouping g { leaf b { type string; } }", set()),
        ("", "uses g { augment d { when '../l'; leaf b { type string; } } } grouping g { container d; }", set()),
        ("", "uses g; grouping g { uses h { when 'l'; } } grouping h { leaf b { type string; } }", set()),
        ("", "uses g { refine b { must '../l'; } } grouping g { leaf b { type string; } }", set()),
        ("", "uses g; grouping g { leaf b { type string; must '../l/m/k'; } }", set()),
        (
            "",
            "uses g; grouping g { uses h { augment d { when '../l'; leaf b { type string; } } } }"
            " grouping h { container d; }",
            set(),
        ),
    ],
)
def test_one_constraint(tmp_path: Path, inside: str, outside: str, expected: set[str]) -> None:
    (tmp_path / "one.yang").write_text(MODULE.format(inside=inside, outside=outside))
    found = local(load(tmp_path, "one"))
    assert found == expected
