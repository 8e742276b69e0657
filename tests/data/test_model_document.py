"""docs/model.md: what is no rule of YANG names a test that exists; those that are: ``test_dfs_group_view``."""

from __future__ import annotations

import re
from pathlib import Path

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "model.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Cells of the rows of the tables below a heading, up to the next one; without heads and rulers."""
    part = PAGE.split(heading, 1)[1].split("\n## ", 1)[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("| ")
    ]
    return [row for row in cells if not set(row[0]) <= {"-"} and row[0] not in ("Rule", "What has to fit")]


def test_what_is_checked_or_shown_names_a_test_that_exists() -> None:
    found = rows("## Checked when a change is applied") + rows("## Shown as state")
    assert len(found) >= 16
    for row in found:
        tests = re.findall(r"`(tests/[^`]+)`", row[-1])
        assert tests, row
        assert [test for test in tests if not (TOP / test).exists()] == []
