"""Every test that the documentation names is there: a row without its test claims what nobody shows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"

# Documents that name tests; a reference is a file below tests/, with a class and a function after ``::``.
NAMING = ("conformance.md", "errors.md", "model.md", "security.md")

_QUOTED = re.compile(r"`([^`\n]+)`")
_REFERENCE = re.compile(r"(?:tests/)?(?P<file>[\w/]*test_\w+\.py)(?P<names>(?:::\w+)*)")
_LOOKS_LIKE_ONE = re.compile(r"test_\w+\.py|\w::|::\w|^Test[A-Z]\w*|^test_")


@cache
def _definitions(file: Path) -> Sequence[ast.stmt]:
    return ast.parse(file.read_text()).body


def _defined(file: Path, names: Sequence[str]) -> bool:
    body = _definitions(file)
    for name in names:
        found = next((node for node in body if getattr(node, "name", None) == name), None)
        if found is None:
            return False
        body = getattr(found, "body", ())
    return True


def problem(reference: str) -> str | None:
    """What is wrong with a reference; None: nothing."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return "is no file with ::Class::function"
    file = TESTS / match["file"]
    if not file.is_file():
        return "is no file below tests/"
    names = match["names"].split("::")[1:]
    return None if _defined(file, names) else f"has no {'::'.join(names)}"


def references(document: str) -> Iterator[tuple[int, str]]:
    """Line number and text of what is quoted and looks like a test; of conformance.md the last column of tables."""
    for number, line in enumerate((DOCS / document).read_text().splitlines(), 1):
        if document == "conformance.md":
            found = line.rstrip(" |").rpartition(" | ")[2] if line.startswith("| ") else ""
        else:
            found = line
        for text in _QUOTED.findall(found):
            if (document == "conformance.md" and _LOOKS_LIKE_ONE.search(text)) or re.search(r"test_\w+\.py", text):
                yield number, text


@pytest.mark.parametrize("document", NAMING)
def test_named_tests_exist(document: str) -> None:
    wrong = [f"{document}:{number}: {text} {why}" for number, text in references(document) if (why := problem(text))]
    assert not wrong, "\n".join(wrong)


def test_many_are_named() -> None:
    """The table is read as it is meant: else nothing would be checked."""
    assert len(list(references("conformance.md"))) > 250
    assert len(list(references("security.md"))) > 10


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("test_conformance.py::test_named_tests_exist", None),
        ("tests/test_conformance.py", None),
        ("test_conformance.py::TestNothing", "has no TestNothing"),
        ("nowhere/test_conformance.py", "is no file"),
        ("::test_named_tests_exist", "is no file with"),
    ],
)
def test_what_is_wrong(reference: str, words: str | None) -> None:
    found = problem(reference)
    assert found is None if words is None else found is not None and words in found


def test_tables_have_three_columns() -> None:
    lines = [line for line in (DOCS / "conformance.md").read_text().splitlines() if line.startswith("|")]
    assert [line for line in lines if len(re.sub(r"`[^`]*`", "", line).split("|")) != 5] == []
