"""State from Python values: nothing is made that nobody can have asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from lxml import etree

from mlag_agent.data.build import EVERYTHING, Rows, Selection, build
from mlag_agent.data.filter import SubtreeFilter
from mlag_agent.data.tree import Container


def selection(bench: Any, wanted: str) -> Selection:
    elements = etree.fromstring(f"<filter>{wanted}</filter>")
    return SubtreeFilter.compile(elements, bench.tree, lambda node, text: text).selection


@pytest.mark.parametrize(
    ("wanted", "made", "called"),
    [
        (
            None,
            "<box><name>n</name><plain><a>1</a></plain><row><id>1</id></row><row><id>2</id></row></box>",
            "name rows",
        ),
        ("<box><size/></box>", "", ""),
        ("<box><plain/></box>", "<box><plain><a>1</a></plain></box>", ""),
        ("<box><name/></box>", "<box><name>n</name></box>", "name"),
        ("<box><row><id>2</id></row></box>", "<box><row><id>2</id></row></box>", "2"),
        ("<box><row><id>7</id></row></box>", "", "7"),
        ("<box><row><id>2</id></row><row><id>2</id><label/></row></box>", "<box><row><id>2</id></row></box>", "2"),
        ("<box><row><label/></row></box>", "<box><row><id>1</id></row><row><id>2</id></row></box>", "rows"),
    ],
)
def test_lazy(bench: Any, wanted: str | None, made: str, called: str) -> None:
    calls: list[str] = []

    def name() -> str:
        calls.append("name")
        return "n"

    def every() -> list[Mapping[str, Any]]:
        calls.append("rows")
        return [{"id": 2}, {"id": 1}]

    def one(keys: tuple[str, ...]) -> Mapping[str, Any] | None:
        calls.append(keys[0])
        return {"id": keys[0]} if keys[0] in "12" else None

    values = {"name": name, "plain": {"a": 1}, "row": Rows(every, one), "step": lambda: None}
    box = bench.tree.find("/toolbox:box")
    mine = EVERYTHING if wanted is None else selection(bench, wanted).below(box)
    assert mine is not None
    root = Container(bench.tree.data, {box: build(box, values, mine)})
    assert bench.xml(root).replace(f' xmlns="{bench.tb}"', "") == (made or "<box/>")
    assert calls == called.split()


def test_unknown_name(bench: Any) -> None:
    with pytest.raises(KeyError, match="colour"):
        build(bench.tree.find("/toolbox:box"), {"colour": 1}, selection(bench, "<box><name/></box>"))
