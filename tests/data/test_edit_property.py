"""``edit-config`` against a reference written from the RFC text on plain dictionaries, and the diff's round trip."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mlag_agent.data.decode import Operation
from mlag_agent.data.diff import ChangeKind, changes, edit_document
from mlag_agent.data.tree import AnyData, Container, LeafList, ListNode

TB = "urn:test:toolbox"

# --- payloads as plain data ---------------------------------------------------------------------------------

# A schema in a few words: leaf, container, presence, list, user list, leaf-list, user leaf-list, any.
Schema = dict[str, Any]
CELL: Schema = {"v": "leaf"}
ROW: Schema = {
    "label": "leaf",
    "tag": "leafs",
    "more": ("container", {"x": "leaf", "y": "leaf"}),
    "cell": ("list", ("x", "y"), CELL),
}
BOX: Schema = {
    "name": "leaf",
    "plain": ("container", {"a": "leaf", "deep": ("container", {"c": "leaf"})}),
    "present": ("presence", {"a": "leaf", "inner": ("presence", {"b": "leaf"})}),
    "row": ("list", ("id",), ROW),
    "step": ("ordered", ("name",), {"what": "leaf"}),
    "pair": ("ordered", ("one", "two"), {"what": "leaf"}),
    "order": "ordered leafs",
    "airline": "leaf",
    "stop": "leafs",
    "ship": ("container", {"hull": "leaf"}),
    "upper": "leaf",
    "lower": "leaf",
    "walk": "empty",
    "blob": "any",
}
# Cases of the choices way and, within by-sea, deck.
CASES = {
    "airline": (("way", "by-air"),),
    "stop": (("way", "by-air"),),
    "ship": (("way", "by-sea"),),
    "upper": (("way", "by-sea"), ("deck", "upper")),
    "lower": (("way", "by-sea"), ("deck", "lower")),
    "walk": (("way", "walk"),),
}
ORDER = list(BOX)
VALUES = {"c": ("true", "false"), "walk": ("",)}
KEY_VALUES = {
    "id": ("-2", "3", "20"),
    "x": ("1", "2"),
    "y": ("a", "it's", 'say "x"'),
    "name": ("a", "b", "c", "d"),
    "one": ("p", 'it\'s "q"'),
    "two": ("1", "20"),
}


@dataclass
class Item:
    """One payload element."""

    name: str
    operation: str | None = None
    value: str | None = None
    keys: tuple[str, ...] = ()
    insert: tuple[str, tuple[str, ...] | None] | None = None
    children: list[Item] = field(default_factory=list)


OPERATIONS = st.sampled_from([None, None, None, None, "merge", "replace", "create", "delete", "remove"])


@st.composite
def items(draw: st.DrawFn, schema: Schema, *, operations: bool, depth: int = 0) -> list[Item]:
    out: list[Item] = []
    chosen: dict[str, str] = {}
    for name in draw(st.lists(st.sampled_from(sorted(schema)), unique=True, max_size=4 if depth == 0 else 3)):
        kind = schema[name]
        many = kind in ("leafs", "ordered leafs") or (isinstance(kind, tuple) and kind[0] in ("list", "ordered"))
        seen: set[Any] = set()
        for _ in range(draw(st.integers(1, 3)) if many else 1):
            item = draw(item_of(name, kind, operations=operations, depth=depth))
            identity = item.keys or item.value
            if many and identity in seen:
                continue
            seen.add(identity)
            cases = CASES.get(name, ()) if depth == 0 and item.operation not in ("delete", "remove") else ()
            if any(chosen.setdefault(choice, case) != case for choice, case in cases):
                continue
            out.append(item)
    return out


@st.composite
def item_of(draw: st.DrawFn, name: str, kind: Any, *, operations: bool, depth: int) -> Item:
    item = Item(name, draw(OPERATIONS) if operations else None)
    if kind in ("leaf", "leafs", "ordered leafs", "empty"):
        item.value = draw(st.sampled_from(VALUES.get(name, ("1", "2", "it's", 'a "b" &<>', ""))))
    elif kind == "any":
        item.value = draw(st.sampled_from(["<x xmlns='urn:x'/>", "<y xmlns='urn:y'>1</y>"]))
    else:
        if kind[0] in ("list", "ordered"):
            item.keys = tuple(draw(st.sampled_from(KEY_VALUES[key])) for key in kind[1])
        below = operations and item.operation not in ("delete", "remove")
        item.children = draw(items(kind[-1], operations=below, depth=depth + 1))
    by_user = kind == "ordered leafs" or (isinstance(kind, tuple) and kind[0] == "ordered")
    if operations and by_user and item.operation not in ("delete", "remove"):
        item.insert = draw(inserts(name, kind))
    return item


@st.composite
def inserts(draw: st.DrawFn, name: str, kind: Any) -> tuple[str, tuple[str, ...] | None] | None:
    where = draw(st.sampled_from([None, "first", "last", "before", "after"]))
    if where is None or where in ("first", "last"):
        return None if where is None else (where, None)
    if kind == "ordered leafs":
        return where, (draw(st.sampled_from(("1", "2", "it's", ""))),)
    # A predicate cannot name a value with both kinds of quotes.
    return where, tuple(
        draw(st.sampled_from([v for v in KEY_VALUES[key] if not ("'" in v and '"' in v)])) for key in kind[1]
    )


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def quoted(value: str) -> str:
    return f"'{value}'" if "'" not in value else f'"{value}"'


def xml(item: Item, schema: Schema) -> str:
    kind = schema[item.name]
    attributes = f' nc:operation="{item.operation}"' if item.operation else ""
    if item.insert is not None:
        where, reference = item.insert
        attributes += f' yang:insert="{where}"'
        if reference is not None and kind == "ordered leafs":
            attributes += f' yang:value="{escape(reference[0])}"'
        elif reference is not None:
            predicates = "".join(f"[tb:{k}={quoted(v)}]" for k, v in zip(kind[1], reference, strict=True))
            attributes += f' yang:key="{escape(predicates)}"'
    if kind == "any":
        return f"<{item.name}{attributes}>{item.value}</{item.name}>"
    if item.value is not None:
        return f"<{item.name}{attributes}>{escape(item.value)}</{item.name}>"
    keys = "".join(f"<{k}>{escape(v)}</{k}>" for k, v in zip(kind[1], item.keys, strict=True)) if item.keys else ""
    body = "".join(xml(child, kind[-1]) for child in item.children)
    return f"<{item.name}{attributes}>{keys}{body}</{item.name}>"


# --- the reference ------------------------------------------------------------------------------------------

Data = dict[str, Any]  # leaf: str; leaf-list: list; container: dict; list: dict of keys to dict (ordered)


class Reference:
    """RFC 6241 section 7.2 and RFC 7950 section 7, one statement after the other; what violates changes nothing."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, str]] = []

    def apply(self, data: Data, payload: list[Item], schema: Schema, default: str) -> Data:
        old: Data = {} if default == "replace" else data
        return self.level(old, payload, schema, "merge" if default == "replace" else default)

    def error(self, tag: str, item: Item) -> None:
        self.errors.append((tag, item.name))

    def level(self, old: Data, payload: list[Item], schema: Schema, inherited: str) -> Data:
        new = dict(old)
        # Nodes of one name together, as names come first.
        for name in dict.fromkeys(item.name for item in payload):
            before = new.get(name)
            for item in (item for item in payload if item.name == name):
                self.one(new, item, schema[name], item.operation or inherited, old)
            if new.get(name) not in (None, [], {}, before):
                for other in list(new):
                    if clash(name, other):
                        del new[other]
        return {name: value for name, value in new.items() if value not in (None, {}, [])}

    def one(self, new: Data, item: Item, kind: Any, operation: str, old: Data) -> None:
        name = item.name
        if kind in ("leaf", "any", "empty"):
            there = old.get(name) is not None
            if self.allowed(item, operation, there=there):
                if operation in ("delete", "remove"):
                    new.pop(name, None)
                elif operation != "none":
                    new[name] = item.value
        elif kind in ("leafs", "ordered leafs"):
            values = list(new.get(name, ()))
            if not self.allowed(item, operation, there=item.value in old.get(name, ())):
                return
            if operation in ("delete", "remove"):
                values = [v for v in values if v != item.value]
            elif operation != "none":
                values = self.placed(item, item.value, values) if kind.startswith("ordered") else [*values, item.value]
            new[name] = list(dict.fromkeys(values)) if kind.startswith("ordered") else sorted(set(values))
        elif kind[0] in ("container", "presence"):
            made = self.node(item, old.get(name), kind, operation)
            new[name] = made
            if made is None or (made == {} and kind[0] == "container"):
                new.pop(name, None)
            if name in new and kind[0] == "presence":
                new[name] = dict(made or {}) | {"": True}
        else:
            self.entry(new, item, kind, operation, old)

    def entry(self, new: Data, item: Item, kind: Any, operation: str, old: Data) -> None:
        rows = dict(new.get(item.name, {}))
        made = self.node(item, old.get(item.name, {}).get(item.keys), kind, operation)
        if made is None:
            rows.pop(item.keys, None)
        else:
            order = list(rows) if item.keys in rows else [*rows, item.keys]
            rows[item.keys] = made
            if kind[0] == "ordered":
                order = self.placed(item, item.keys, list(new.get(item.name, {})))
            rows = {keys: rows[keys] for keys in order if keys in rows}
        new[item.name] = rows

    def node(self, item: Item, was: Data | None, kind: Any, operation: str) -> Data | None:
        """A container or entry: what it is afterwards, None for nothing."""
        if operation in ("delete", "remove"):
            return None if self.allowed(item, operation, there=was is not None) else was
        if operation == "create" and was is not None:
            self.error("data-exists", item)
            return was
        if operation == "none" and was is None and kind[0] != "container":
            if not only_removes(item):
                self.error("data-missing", item)
            return None
        below = "merge" if operation in ("replace", "create") else operation
        base = {} if operation in ("replace", "create") or was is None else {k: v for k, v in was.items() if k}
        return self.level(base, item.children, kind[-1], below)

    def allowed(self, item: Item, operation: str, *, there: bool) -> bool:
        if operation == "create" and there:
            self.error("data-exists", item)
        elif operation in ("delete", "none") and not there:
            self.error("data-missing", item)
        else:
            return True
        return False

    def placed(self, item: Item, key: Any, order: list[Any]) -> list[Any]:
        if item.insert is None:
            return order if key in order else [*order, key]
        where, reference = item.insert
        wanted = reference if reference is None or isinstance(key, tuple) else reference[0]
        if reference is not None and (wanted not in order or wanted == key):
            self.error("bad-attribute", item)
            return order
        order = [k for k in order if k != key]
        at = {"first": 0, "last": len(order)}.get(where)
        if at is None:
            at = order.index(wanted) + (where == "after")
        return [*order[:at], key, *order[at:]]


def clash(name: str, other: str) -> bool:
    mine = dict(CASES.get(name, ()))
    return any(mine.get(choice, case) != case for choice, case in CASES.get(other, ()))


def only_removes(item: Item) -> bool:
    return bool(item.children) and all(c.operation == "remove" or only_removes(c) for c in item.children)


def plain(node: Any, schema: Schema) -> Data:
    """A tree of ours as the reference has it."""
    out: Data = {}
    for child, value in node.children.items():
        if child in node.schema.key_nodes:
            continue
        kind = schema[child.name]
        if isinstance(value, AnyData):
            out[child.name] = value.xml
        elif isinstance(value, LeafList):
            out[child.name] = list(value.values)
        elif isinstance(value, ListNode):
            out[child.name] = {entry.keys: plain(entry, kind[-1]) for entry in value}
        elif isinstance(value, Container):
            out[child.name] = plain(value, kind[-1]) | ({"": True} if kind[0] == "presence" else {})
        else:
            out[child.name] = value
    return out


def normal(data: Data, schema: Schema) -> Data:
    """System-ordered lists by key, any-data as the bytes that are stored."""
    out: Data = {}
    for name, value in data.items():
        kind = schema.get(name)
        if kind == "any":
            out[name] = f'<blob xmlns="{TB}">'.encode() + STORED[value] + b"</blob>"
        elif isinstance(value, dict):
            rows = (
                {k: normal(v, kind[-1]) if isinstance(v, dict) else v for k, v in value.items()}
                if kind[0] in ("list", "ordered")
                else normal(value, kind[-1])
            )
            if kind[0] == "list":
                rows = dict(
                    sorted(rows.items(), key=lambda row: [int(p) if p.lstrip("-").isdigit() else p for p in row[0]])
                )
            out[name] = rows
        else:
            out[name] = value
    return out


STORED = {"<x xmlns='urn:x'/>": b'<x xmlns="urn:x"></x>', "<y xmlns='urn:y'>1</y>": b'<y xmlns="urn:y">1</y>'}


def listed(data: Any) -> Any:
    """With the order of dictionaries made visible."""
    if isinstance(data, dict):
        keys = list(data) if data and all(isinstance(key, tuple) for key in data) else sorted(data)
        return [(key, listed(data[key])) for key in keys]
    return data


def content(root: Container) -> Data:
    box = root.named("box")
    return plain(box, BOX) if isinstance(box, Container) else {}


@settings(max_examples=1500, deadline=None)
@given(
    items(BOX, operations=False),
    st.lists(items(BOX, operations=True), min_size=1, max_size=3),
    st.sampled_from(["merge", "replace", "none"]),
)
def test_reference(bench: Any, first: list[Item], edits: list[list[Item]], default: str) -> None:
    root = bench.load(bench.box("".join(xml(item, BOX) for item in first)))
    data = Reference().apply({}, first, BOX, "merge")
    assert listed(content(root)) == listed(normal(data, BOX))
    for payload in edits:
        before = bench.xml(root)
        reference = Reference()
        data = reference.apply(data, payload, BOX, default)
        after, errors = bench.apply(root, bench.box("".join(xml(i, BOX) for i in payload)), Operation(default))
        assert sorted((e.tag.value, e.path.split("[")[0].rpartition("/")[2]) for e in errors) == sorted(
            reference.errors
        ) or _inexact(errors, reference.errors)
        assert listed(content(after)) == listed(normal(data, BOX))
        assert bench.xml(root) == before, "an old root has changed"
        back_and_forth(bench, root, after)
        root = after


def _inexact(errors: Any, expected: list[tuple[str, str]]) -> bool:
    """Paths end in a predicate that may hold a slash; the tags must agree all the same."""
    return sorted(e.tag.value for e in errors) == sorted(tag for tag, _ in expected)


def back_and_forth(bench: Any, old: Container, new: Container) -> None:
    """Each tree from the other by the edit that the journal writes."""
    for one, other in ((old, new), (new, old)):
        document = edit_document(one, other, bench.namespaces)
        made = bench.edit(one, document.decode())
        assert bench.xml(made) == bench.xml(other)
        assert made == other
        assert bool(document) == (one != other)
        assert bool(list(changes(one, other))) == (one != other)


@settings(max_examples=300, deadline=None)
@given(items(BOX, operations=False), items(BOX, operations=False))
def test_diff_of_unrelated_trees(bench: Any, first: list[Item], second: list[Item]) -> None:
    """Nothing shared, and everything."""
    one, other = (bench.load(bench.box("".join(xml(i, BOX) for i in p))) for p in (first, second))
    back_and_forth(bench, one, other)
    back_and_forth(bench, bench.empty, one)
    again = bench.load(bench.xml(one))
    assert again == one
    assert list(changes(one, again)) == []
    assert bench.xml(again) == bench.xml(one)


def test_changes_name_the_smallest_subtree(bench: Any) -> None:
    old = bench.load(bench.box("<name>a</name><row><id>1</id><label>x</label></row><row><id>2</id></row>"))
    new = bench.edit(
        old,
        bench.box(
            '<name>b</name><row><id>1</id><label>y</label></row><row nc:operation="delete"><id>2</id></row>'
            "<row><id>3</id></row>"
        ),
    )
    assert [(change.kind, change.path) for change in changes(old, new)] == [
        (ChangeKind.REPLACE, "/toolbox:box/name"),
        (ChangeKind.REPLACE, "/toolbox:box/row[id='1']/label"),
        (ChangeKind.DELETE, "/toolbox:box/row[id='2']"),
        (ChangeKind.CREATE, "/toolbox:box/row[id='3']"),
    ]
