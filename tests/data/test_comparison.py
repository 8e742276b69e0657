"""The edits of a comparison: a client that applies them to the source has the target."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from lxml import etree
from tests.data.test_patch import Datastore, boxes, contents, normal

from mlag_agent.data.build import build
from mlag_agent.data.comparison import PatchEdit, Value, patch
from mlag_agent.data.encode import encode
from mlag_agent.data.tree import Container, LeafList, ListNode
from mlag_agent.schema.nodes import Kind


def element(bench: Any, value: Value) -> etree._Element:
    data = value.data
    if value.schema.kind is Kind.LIST and isinstance(data, Container):
        data = ListNode.of(value.schema, [data])
    elif value.schema.kind is Kind.LEAF_LIST and isinstance(data, str):
        data = LeafList(value.schema, (data,))
    text = encode([(value.schema, data)], bench.namespaces).decode()
    return etree.fromstring(f'<value xmlns="urn:test:toolbox">{text}</value>')[0]


class Source(Datastore):
    """Checks each edit's source value, and places what is inserted or moved where it says."""

    def edit(self, bench: Any, edit: PatchEdit) -> None:
        *above, last = edit.target.strip("/").split("/")
        parent = self.root
        for step in above:
            parent = self.one(parent, step)
        content = None if edit.value is None else element(bench, edit.value)
        there = self.found(parent, last)
        assert (edit.source is None) is (not there)
        if edit.source is not None and edit.operation != "move":  # what moves may have been changed before
            assert normal(there[0]) == normal(element(bench, edit.source))
        for old in there if edit.operation in ("delete", "move", "replace") else ():
            if edit.operation == "replace":
                parent.replace(old, deepcopy(content))
                return
            parent.remove(old)
        if edit.operation == "delete":
            return
        new = there[0] if content is None else content
        if edit.where == "after":
            point = self.one(parent, (edit.point or "").strip("/").split("/")[-1])
            point.addnext(new)
        elif edit.where == "first":
            parent.insert(0, new)
        else:
            parent.append(new)


@settings(max_examples=400, deadline=None)
@given(boxes(), boxes())
def test_the_patch_makes_the_target(bench: Any, first: str, second: str) -> None:
    old, new = bench.load(bench.box(first)), bench.load(bench.box(second))
    for one, other in ((old, new), (new, old), (bench.empty, new), (new, bench.empty)):
        source = Source(bench.xml(one))
        for edit in patch(one, other):
            source.edit(bench, edit)
        assert contents(source.root) == contents(Datastore(bench.xml(other)).root)
    assert list(patch(old, bench.load(bench.box(first)))) == []


def test_one_entry_that_moves_is_one_edit(bench: Any) -> None:
    def steps(names: str) -> Container:
        return bench.load(bench.box("".join(f"<step><name>{name}</name></step>" for name in names)))  # type: ignore[no-any-return]

    edits = list(patch(steps("abcdef"), steps("abcdexf")))
    assert [(edit.operation, edit.target, edit.where, edit.point) for edit in edits] == [
        ("insert", "/toolbox:box/step=x", "after", "/toolbox:box/step=e")
    ]


def test_lists_without_keys_are_replaced(bench: Any) -> None:

    world = bench.tree.find("/toolbox:world")
    one, other = (Container(bench.tree.data, {world: build(world, {"event": [{"what": what}]})}) for what in ("a", "b"))
    assert [(edit.operation, edit.target) for edit in patch(one, other)] == [("replace", "/toolbox:world/event")]
