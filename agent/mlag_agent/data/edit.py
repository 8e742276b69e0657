"""``<edit-config>`` on frozen trees (RFC 6241 section 7.2, RFC 7950 sections 7.5.8, 7.6.7, 7.7.9, 7.8.6, 7.9.3).

``Editor.apply`` gives a new root and leaves the old one alone.  It notes every violation and goes on, so that
one reply names them all; what violates is left as it was, which is what ``continue-on-error`` keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError
from mlag_agent.schema.nodes import Kind, SchemaNode
from mlag_agent.data.decode import EditNode, Operation, self_contained
from mlag_agent.data.tree import AnyData, Container, Keys, LeafList, ListNode, Node

__all__ = ["Editor"]

_NOT_BUILDING = (Operation.NONE, Operation.DELETE, Operation.REMOVE)
_NO_DATA: Mapping[SchemaNode, Node] = {}


class Editor:
    """Applies payloads to a root; ``errors`` holds the violations."""

    def __init__(self) -> None:
        self.errors: list[RpcError] = []

    def apply(self, root: Container, nodes: Sequence[EditNode], default: Operation = Operation.MERGE) -> Container:
        """``root`` with the payload applied; with ``default`` replace the payload replaces everything."""
        old = Container(root.schema, {}) if default is Operation.REPLACE else root
        inherited = Operation.MERGE if default is Operation.REPLACE else default
        children = self._children(root.schema, old, nodes, inherited)
        return root if children is root._children else Container(root.schema, children)  # noqa: SLF001

    def _children(
        self, schema: SchemaNode, old: Container | None, nodes: Sequence[EditNode], inherited: Operation
    ) -> Mapping[SchemaNode, Node]:
        """The children of one container or entry after the payload's nodes."""
        before: Mapping[SchemaNode, Node] = old._children if old is not None else _NO_DATA  # noqa: SLF001
        after: dict[SchemaNode, Node] = dict(before)
        unsorted = False
        grouped: dict[SchemaNode, list[EditNode]] = {}
        for node in nodes:
            grouped.setdefault(node.schema, []).append(node)
        for child, group in grouped.items():
            was = before.get(child)
            now = self._child(child, was, group, inherited)
            if child.cases and now is not None and (was is None or now is not was):
                _drop_other_cases(child, after)
            if now is None:
                after.pop(child, None)
            elif now is not was or child not in after:
                unsorted = unsorted or child not in after
                after[child] = now
        if len(after) == len(before) and all(before.get(child) is now for child, now in after.items()):
            return before
        if unsorted:
            return dict(sorted(after.items(), key=lambda item: item[0].position))
        return after

    def _child(self, schema: SchemaNode, was: Node | None, group: list[EditNode], inherited: Operation) -> Node | None:
        if schema.kind is Kind.LIST:
            assert was is None or isinstance(was, ListNode)
            return self._ordered_list(schema, was, group, inherited) if schema.user_ordered else self._list(
                schema, was, group, inherited
            )
        if schema.kind is Kind.LEAF_LIST:
            assert was is None or isinstance(was, LeafList)
            return self._leaf_list(schema, was, group, inherited)
        node = group[0]
        if schema.kind is Kind.CONTAINER:
            assert was is None or isinstance(was, Container)
            return self._container(node, was, inherited)
        return self._leaf(node, was, inherited)

    # --- one node ---------------------------------------------------------------------------------------

    def _leaf(self, node: EditNode, was: Node | None, inherited: Operation) -> Node | None:
        """A leaf, anydata or anyxml."""
        operation = node.operation or inherited
        if operation is Operation.NONE:
            return was
        if node.deletes or operation in (Operation.DELETE, Operation.REMOVE):
            return self._gone(node, was, operation)
        if operation is Operation.CREATE and was is not None:
            return self._exists(node, was)
        value: Node = _any_data(node) if node.element is not None else (node.value or "")
        return was if was == value else value

    def _container(self, node: EditNode, was: Container | None, inherited: Operation) -> Container | None:
        """A container or list entry."""
        schema = node.schema
        operation = node.operation or inherited
        if was is None and node.plain and operation not in _NOT_BUILDING:
            return _build(node, self)
        if operation in (Operation.DELETE, Operation.REMOVE):
            return self._gone(node, was, operation)  # type: ignore[return-value]  # None or ``was``
        if operation is Operation.CREATE and was is not None:
            return self._exists(node, was)  # type: ignore[return-value]
        if operation is Operation.NONE and was is None and (schema.presence or schema.kind is Kind.LIST):
            if not _only_removes(node):
                self._missing(node)
            return None
        old = None if operation in (Operation.REPLACE, Operation.CREATE) else was
        # Below a created or replaced node nothing exists: merging into nothing is creating.
        below = Operation.MERGE if operation in (Operation.REPLACE, Operation.CREATE) else operation
        found = len(self.errors)
        children = self._children(schema, old, node.children, below)
        if schema.kind is Kind.LIST and len(children) < len(schema.key_nodes):
            children = self._with_keys(node, children)
        if was is not None and children is was._children:  # noqa: SLF001
            return was
        if not children and not schema.presence and schema.kind is Kind.CONTAINER:
            return None if len(self.errors) == found else was
        return Container(schema, children)

    @staticmethod
    def _with_keys(node: EditNode, children: Mapping[SchemaNode, Node]) -> Mapping[SchemaNode, Node]:
        """Keys of an entry whose payload nodes carried ``none``: the entry is there all the same."""
        keys: dict[SchemaNode, Node] = dict(zip(node.schema.key_nodes, node.keys, strict=True))
        return keys | dict(children)

    # --- lists ------------------------------------------------------------------------------------------

    def _list(
        self, schema: SchemaNode, was: ListNode | None, group: Iterable[EditNode], inherited: Operation
    ) -> ListNode | None:
        changes: dict[Keys, Container | None] = {}
        for node in group:
            if node.keys in changes:
                self._twice(node)
                continue
            entry = was.get(node.keys) if was is not None else None
            changes[node.keys] = self._entry(node, entry, inherited)
        real = {
            keys: now
            for keys, now in changes.items()
            if now is not (was.get(keys) if was is not None else None)
        }
        if not real:
            return was
        if was is None:
            made = [entry for entry in real.values() if entry is not None]
            return ListNode.of(schema, made) if made else None
        return was.updated(real)

    def _entry(self, node: EditNode, was: Container | None, inherited: Operation) -> Container | None:
        key_operations = {child.operation for child in node.children if child.schema in node.schema.key_nodes}
        if key_operations - {None}:
            self.errors.append(
                RpcError(
                    ErrorTag.BAD_ATTRIBUTE,
                    f"{node.schema.path}: a key leaf takes no operation; give it to the entry",
                    path=node.path,
                    type=ErrorType.APPLICATION,
                    info=(InfoElement("bad-attribute", "operation"), InfoElement("bad-element", node.schema.keys[0])),
                )
            )
            return was
        return self._container(node, was, inherited)

    def _ordered_list(
        self, schema: SchemaNode, was: ListNode | None, group: Iterable[EditNode], inherited: Operation
    ) -> ListNode | None:
        rows: dict[Keys, Container] = {entry.keys: entry for entry in was} if was is not None else {}
        order = list(rows)
        touched: set[Keys] = set()
        changed = False
        for node in group:
            if node.keys in touched:
                self._twice(node)
                continue
            touched.add(node.keys)
            entry = rows.get(node.keys)
            now = self._entry(node, entry, inherited)
            if now is None:
                if entry is not None:
                    del rows[node.keys]
                    order.remove(node.keys)
                    changed = True
                continue
            moved = self._place(node, node.keys, order)
            changed = changed or moved or now is not entry
            rows[node.keys] = now
        if not changed:
            return was
        return ListNode.of(schema, [rows[keys] for keys in order if keys in rows]) if rows else None

    def _leaf_list(
        self, schema: SchemaNode, was: LeafList | None, group: Iterable[EditNode], inherited: Operation
    ) -> LeafList | None:
        values: dict[Keys, None] = {(value,): None for value in was.values} if was is not None else {}
        order = list(values)
        changed = False
        touched: set[Keys] = set()
        for node in group:
            key: Keys = (node.value or "",)
            if key in touched:
                self._twice(node)
                continue
            touched.add(key)
            operation = node.operation or inherited
            present = key in values
            if operation in (Operation.DELETE, Operation.REMOVE):
                if present:
                    del values[key]
                    order.remove(key)
                    changed = True
                elif operation is Operation.DELETE:
                    self._missing(node)
            elif operation is Operation.CREATE and present:
                self._exists(node, was)
            elif operation is not Operation.NONE:
                values[key] = None
                moved = self._place(node, key, order)
                changed = changed or moved or not present
        if not changed:
            return was
        kept = [key[0] for key in order if key in values]
        return LeafList(schema, kept) if kept else None

    def _place(self, node: EditNode, key: Keys, order: list[Keys]) -> bool:
        """Put a user-ordered entry where ``insert`` says; True when the order changed."""
        before = list(order)
        insert = node.insert
        if insert is None:
            if key not in order:
                order.append(key)
            return order != before
        if insert.reference is not None and (insert.reference not in order or insert.reference == key):
            shown = ", ".join(insert.reference)
            self.errors.append(
                RpcError(
                    ErrorTag.BAD_ATTRIBUTE,
                    f'{node.schema.path}: insert="{insert.where}" names {shown!r}, which is not there',
                    app_tag="missing-instance",
                    path=node.path,
                    info=(
                        InfoElement("bad-attribute", "key" if node.schema.kind is Kind.LIST else "value"),
                        InfoElement("bad-element", node.schema.name),
                    ),
                )
            )
            return False
        if key in order:
            order.remove(key)
        if insert.reference is None:
            order.insert(0 if insert.where == "first" else len(order), key)
        else:
            order.insert(order.index(insert.reference) + (insert.where == "after"), key)
        return order != before

    # --- violations -------------------------------------------------------------------------------------

    def _gone(self, node: EditNode, was: Node | None, operation: Operation) -> None:
        if was is None and operation is Operation.DELETE:
            self._missing(node)

    def _exists(self, node: EditNode, was: Node | None) -> Node | None:
        words = f"{node.path} exists already and cannot be created"
        self.errors.append(RpcError(ErrorTag.DATA_EXISTS, words, path=node.path))
        return was

    def _missing(self, node: EditNode) -> None:
        words = f"{node.path} does not exist"
        self.errors.append(RpcError(ErrorTag.DATA_MISSING, words, path=node.path))

    def _twice(self, node: EditNode) -> None:
        words = f"{node.path} occurs twice in the request"
        info = (InfoElement("bad-element", node.schema.name),)
        self.errors.append(RpcError(ErrorTag.BAD_ELEMENT, words, path=node.path, info=info))


def _build(node: EditNode, editor: Editor) -> Container | None:
    """A container or entry that did not exist, from a payload without operations: the way of bulk loads."""
    schema = node.schema
    children: dict[SchemaNode, Node] = {}
    last = -1
    ordered = True
    for child in node.children:
        kind = child.schema.kind
        if kind is not Kind.LEAF:
            # Rare in entries that come by the thousand: the general way does for the rest.
            built = editor._children(schema, None, node.children, Operation.MERGE)  # noqa: SLF001  # one module
            return Container(schema, built) if built or schema.presence or schema.kind is Kind.LIST else None
        children[child.schema] = child.value or ""
        ordered = ordered and child.schema.position > last
        last = child.schema.position
    if not ordered:
        children = dict(sorted(children.items(), key=lambda item: item[0].position))
    return Container(schema, children) if children or schema.presence else None


def _any_data(node: EditNode) -> AnyData:
    assert node.element is not None
    return AnyData(node.schema, self_contained(node.element))


def _only_removes(node: EditNode) -> bool:
    """Whether the payload below asks for nothing but ``remove``, which needs nothing to exist."""
    keys = node.schema.key_nodes
    asked = [child for child in node.children if child.schema not in keys]
    return bool(asked) and all(child.operation is Operation.REMOVE or _only_removes(child) for child in asked)


def _drop_other_cases(schema: SchemaNode, children: dict[SchemaNode, Node]) -> None:
    """Data of one case takes that of the others away (RFC 7950 section 7.9)."""
    mine = {case.choice: case.name for case in schema.cases}
    for other in [n for n in children if n.cases and n is not schema]:
        if any(mine.get(case.choice, case.name) != case.name for case in other.cases):
            del children[other]
