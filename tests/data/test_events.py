"""Events as trees: top-level notifications, and those of data nodes (RFC 7950 section 7.16.1)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from mlag_agent.data.encode import encode_children
from mlag_agent.data.events import read_event
from mlag_agent.data.filter import SubtreeFilter
from mlag_agent.data.lexical import matching_text
from mlag_agent.features.events import place_of
from mlag_agent.notify.notification import Notification
from mlag_agent.schema.library import SchemaLibrary
from mlag_agent.schema.nodes import Kind, ModuleRequest, SchemaNode

MODULE = """
module nested {
  yang-version 1.1;
  namespace "urn:nested";
  prefix n;
  identity kind;
  identity fast { base kind; }
  notification alone {
    leaf-list number { type int32; }
    anydata more;
    leaf kind { type identityref { base kind; } }
    list row { key "a b"; leaf a { type string; } leaf b { type int8; } leaf c { type string; } }
  }
  container box {
    notification opened { leaf by { type string; } }
    list port {
      notification first { leaf why { type string; } }
      key "name slot";
      leaf name { type string; }
      leaf slot { type int8; }
      container inner {
        notification went-down { leaf why { type string; } }
      }
    }
    leaf colour { type string; }
  }
  container quiet { leaf a { type string; } }
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> SchemaLibrary:
    folder: Path = tmp_path_factory.mktemp("yang")
    (folder / "nested.yang").write_text(MODULE)
    return SchemaLibrary.load((ModuleRequest("nested"),), (folder,))


def accepts(library: SchemaLibrary, event: str, filter_: str) -> bool:
    elements = list(etree.fromstring(f"<filter>{filter_}</filter>"))
    compiled = SubtreeFilter.compile(elements, library.events, matching_text)
    return bool(compiled.apply(read_event(etree.fromstring(event), library.events)).children)


ALONE = (
    '<alone xmlns="urn:nested"><number>7</number><number>3</number><more><x xmlns="urn:x">1</x></more>'
    '<kind xmlns:n="urn:nested">n:fast</kind><row><a>x</a><b>1</b><c>y</c></row></alone>'
)
DOWN = (
    '<box xmlns="urn:nested"><port><name>eth1</name><slot>2</slot><inner><went-down><why>cut</why></went-down></inner>'
    "</port></box>"
)


class TestTree:
    def test_root_has_events_alone(self, library: SchemaLibrary) -> None:
        names = {name for namespace, name in library.events.data.children if namespace == "urn:nested"}
        assert names == {"alone", "box"}
        assert "alone" not in {name for _, name in library.tree.data.children}
        box = library.tree.find("/nested:box")
        assert {node.kind for node in box.children.values()} == {Kind.LIST, Kind.LEAF}

    def test_siblings_have_places_of_their_own(self, library: SchemaLibrary) -> None:
        def check(node: SchemaNode) -> None:
            places = [child.position for child in node.children.values()]
            assert len(set(places)) == len(places)
            for child in node.children.values():
                check(child)

        check(library.events.data.children["urn:nested", "box"])

    @pytest.mark.parametrize("event", [ALONE, DOWN])
    def test_read_and_written_it_is_the_same(self, library: SchemaLibrary, event: str) -> None:
        root = read_event(etree.fromstring(event), library.events)
        written = encode_children(root, library.tree.namespaces).decode()
        written = written.replace('<more xmlns="urn:nested">', "<more>")  # anydata is kept so that it stands alone
        assert written == event.replace('xmlns:n="urn:nested">n:fast', 'xmlns:nested="urn:nested">nested:fast')

    def test_what_no_module_has_is_left_out(self, library: SchemaLibrary) -> None:
        root = read_event(
            etree.fromstring('<alone xmlns="urn:nested"><other/><number>1</number></alone>'), library.events
        )
        assert encode_children(root, library.tree.namespaces) == b'<alone xmlns="urn:nested"><number>1</number></alone>'


class TestFilter:
    @pytest.mark.parametrize(
        ("event", "filter_", "expected"),
        [
            (ALONE, '<alone xmlns="urn:nested"/>', True),
            (ALONE, '<alone xmlns="urn:nested"><number>3</number></alone>', True),
            (ALONE, '<alone xmlns="urn:nested"><number>4</number></alone>', False),
            (ALONE, '<alone xmlns="urn:nested" xmlns:z="urn:nested"><kind>z:fast</kind></alone>', True),
            (ALONE, '<alone xmlns="urn:nested"><row><a>x</a><b>01</b></row></alone>', True),
            (ALONE, '<alone xmlns="urn:nested"><row><a>x</a><b>2</b></row></alone>', False),
            (DOWN, '<box xmlns="urn:nested"/>', True),
            (DOWN, '<box xmlns="urn:nested"><opened/></box>', False),
            (DOWN, '<box xmlns="urn:nested"><port><name>eth1</name></port></box>', True),
            (DOWN, '<box xmlns="urn:nested"><port><name>eth2</name><inner/></port></box>', False),
            (
                DOWN,
                '<box xmlns="urn:nested"><port><inner><went-down><why>cut</why></went-down></inner></port></box>',
                True,
            ),
        ],
    )
    def test_subtree(self, library: SchemaLibrary, event: str, filter_: str, expected: bool) -> None:
        assert accepts(library, event, filter_) == expected


class TestPlace:
    def test_of_a_notification_in_a_list_entry(self, library: SchemaLibrary) -> None:
        port = library.tree.find("/nested:box/port")
        inner = library.tree.find("/nested:box/port/inner")
        schema = inner.operations["urn:nested", "went-down"]
        notification = Notification(schema, DOWN.encode(), datetime(2026, 1, 1, tzinfo=UTC))
        assert place_of(notification) == {port: ("eth1", "2")}

    def test_of_a_top_level_one(self, library: SchemaLibrary) -> None:
        schema = library.tree.notifications["urn:nested", "alone"]
        assert place_of(Notification(schema, ALONE.encode(), datetime(2026, 1, 1, tzinfo=UTC))) == {}
