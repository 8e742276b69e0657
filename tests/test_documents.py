"""Links between the documents lead somewhere; the tests that they name are in test_conformance.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
DOCUMENTS = sorted([TOP / "README.md", *TOP.glob("docs/*.md"), *TOP.glob("docs/decisions/*.md")])

_LINK = re.compile(r"\]\((?!https?:|#)(?P<target>[^)#\s]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    targets = _LINK.findall(document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_there_are_links() -> None:
    assert sum(len(_LINK.findall(document.read_text(encoding="utf-8"))) for document in DOCUMENTS) > 20
