"""What the documents name is there: each test in conformance.md and its like, each decision, each file."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TOP = TESTS.parent
DOCUMENTS = sorted([TOP / "README.md", *TOP.glob("docs/*.md"), *TOP.glob("docs/decisions/*.md")])

# `file.py`, `folder/file.py::Class`, `::Class::test`, `::test` (of the file named before).
_REFERENCE = re.compile(r"`(?P<file>(?:[\w-]+/)*test_\w+\.py)?(?P<names>(?:::\w+(?:\[[^`\]]*\])?)*)`")
_LINK = re.compile(r"\]\((?!https?:|#)(?P<target>[^)#\s]+)")


@cache
def names_of(path: Path) -> frozenset[str]:
    """``Class``, ``Class::test`` and ``test``, in a class or not, of a file of tests."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found.add(node.name)
            inner = {n.name for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
            found |= inner | {f"{node.name}::{name}" for name in inner}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
    return frozenset(found)


@cache
def files_named(text: str) -> tuple[Path, ...]:
    """The files of tests that a reference may mean: by its path, or by the end of it."""
    wanted = text.removeprefix("tests/")
    return tuple(path for path in TESTS.rglob("test_*.py") if f"/{path.relative_to(TESTS)}".endswith(f"/{wanted}"))


def wrong_references(document: Path) -> list[str]:
    wrong: list[str] = []
    for line in document.read_text(encoding="utf-8").splitlines():
        here: tuple[Path, ...] = ()
        for match in _REFERENCE.finditer(line):
            if match["file"]:
                here = files_named(match["file"])
                if not here:
                    wrong.append(match[0])
                    continue
            names = re.sub(r"\[[^\]]*\]", "", match["names"]).removeprefix("::")
            if names and here and not any(names in names_of(path) for path in here):
                wrong.append(f"{here[0].name} {match[0]}")
    return wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_is_named_exists(document: Path) -> None:
    assert wrong_references(document) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    targets = _LINK.findall(document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_check_can_fail(tmp_path: Path) -> None:
    document = tmp_path / "x.md"
    document.write_text(
        "`test_documents.py::test_not_there`, `test_gone.py` and `test_documents.py::test_the_check_can_fail`"
    )
    assert wrong_references(document) == ["test_documents.py `test_documents.py::test_not_there`", "`test_gone.py`"]
