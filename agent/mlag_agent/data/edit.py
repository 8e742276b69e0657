"""``<edit-config>`` on frozen trees (RFC 6241 section 7.2, RFC 7950 sections 7.5.8, 7.6.7, 7.7.9, 7.8.6, 7.9.3).

``Editor.apply`` gives a new root and leaves the old one alone.  It notes every violation and goes on, so that
one reply names them all; what violates is left as it was, which is what ``continue-on-error`` keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mlag_agent.data.anydata import stored_form
from mlag_agent.data.edit_defaults import DefaultRules
from mlag_agent.data.edit_node import EditNode, Operation
from mlag_agent.data.tree import AnyData, Container, Keys, LeafList, ListNode, Node, drop_other_cases
from mlag_agent.errors import ErrorTag, InfoElement, RpcError
from mlag_agent.schema.nodes import Kind, SchemaNode
from mlag_agent.schema.violations import MAX_ERRORS, more_errors

__all__ = ["Editor", "build_ahead"]

_NOT_BUILDING = (Operation.NONE, Operation.DELETE, Operation.REMOVE)
_NO_DATA: Mapping[SchemaNode, Node] = {}


class Editor:
    """Applies payloads to a root; ``errors`` holds the violations.

    ``rules``: what the server's basic mode and the attribute of default data (RFC 6243) mean; None: nothing.
    """

    def __init__(self, rules: DefaultRules | None = None) -> None:
        self._rules = rules
        self._root: Container | None = None
        self._found: list[RpcError] = []
        self._count = 0

    @property
    def errors(self) -> list[RpcError]:
        """The violations, the last place taken by the number of those that are not listed."""
        unlisted = self._count - len(self._found)
        return [*self._found, more_errors(unlisted, self._found[-1])] if unlisted else list(self._found)

    def _error(self, error: RpcError) -> None:
        self._count += 1
        if len(self._found) < MAX_ERRORS:
            self._found.append(error)

    def apply(self, root: Container, nodes: Sequence[EditNode], default: Operation = Operation.MERGE) -> Container:
        """``root`` with the payload applied; with ``default`` replace the payload replaces everything."""
        self._root = root
        old = Container(root.schema, {}) if default is Operation.REPLACE else root
        inherited = Operation.MERGE if default is Operation.REPLACE else default
        children = self._children(root.schema, old, nodes, inherited)
        return root if children is root._children else Container(root.schema, children)

    def _children(
        self, schema: SchemaNode, old: Container | None, nodes: Sequence[EditNode], inherited: Operation
    ) -> Mapping[SchemaNode, Node]:
        """The children of one container or entry after the payload's nodes."""
        before: Mapping[SchemaNode, Node] = old._children if old is not None else _NO_DATA
        after: dict[SchemaNode, Node] = dict(before)
        unsorted = False
        grouped: dict[SchemaNode, list[EditNode]] = {}
        for node in nodes:
            grouped.setdefault(node.schema, []).append(node)
        for child, group in grouped.items():
            was = before.get(child)
            now = self._child(child, was, group, inherited)
            replaced = child.cases and was is not None and child not in after
            if replaced and (now is was or all(node.deletes for node in group)):
                continue  # by another case of this payload: to delete a part of it is no wish to keep the rest
            if child.cases and now is not None and (was is None or now is not was):
                drop_other_cases(child, after)
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
            return (
                self._ordered_list(schema, was, group, inherited)
                if schema.user_ordered
                else self._list(schema, was, group, inherited)
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
            if was is None and not self._is_there(node, was):
                self._missing(node)
            return was
        if operation in (Operation.DELETE, Operation.REMOVE):
            if operation is Operation.DELETE and not self._is_there(node, was):
                self._missing(node)
            return None
        if operation is Operation.CREATE and self._is_there(node, was):
            self._exists(node)
            return was
        if node.is_default:
            return None if self._may_be_default(node) else was
        value: Node = _any_data(node) if node.schema.kind is Kind.ANY else (node.value or "")
        return was if was == value else value

    def _container(self, node: EditNode, was: Container | None, inherited: Operation) -> Container | None:
        """A container or list entry."""
        schema = node.schema
        operation = node.operation or inherited
        if node.plain and operation not in _NOT_BUILDING and (was is None or node.leafs is not None):
            if was is None:
                return _build(node, self)
            if operation is Operation.MERGE:
                return _merge_leafs(was, node.leafs or {})
        if operation in (Operation.DELETE, Operation.REMOVE):
            self._gone(node, was, operation)
            return None
        if operation is Operation.CREATE and was is not None:
            self._exists(node)
            return was
        if operation is Operation.NONE and was is None and (schema.presence or schema.kind is Kind.LIST):
            if not _only_removes(node):
                self._missing(node)
            return None
        old = None if operation in (Operation.REPLACE, Operation.CREATE) else was
        # Below a created or replaced node nothing exists: merging into nothing is creating.
        below = Operation.MERGE if operation in (Operation.REPLACE, Operation.CREATE) else operation
        children = self._children(schema, old, node.children, below)
        if was is not None and children is was._children:
            return was
        if not children and not schema.presence and schema.kind is Kind.CONTAINER:
            return None
        made = Container(schema, children)
        # What is replaced by its like stays the node that it was: no change for a diff to find.
        return was if operation is Operation.REPLACE and was == made else made

    # --- lists ------------------------------------------------------------------------------------------

    def _list(
        self, schema: SchemaNode, was: ListNode | None, group: Sequence[EditNode], inherited: Operation
    ) -> ListNode | None:
        changes: dict[Keys, Container | None] = {}
        seen: set[Keys] = set()
        for node in group:
            keys = node.keys
            if keys in seen:
                self._twice(node)
                continue
            seen.add(keys)
            before = was.get(keys) if was is not None else None
            after = self._entry(node, before, inherited)
            if after is not before:
                changes[keys] = after
        if not changes:
            return was
        if was is not None:
            return was.updated(changes)
        # Nothing was there, so nothing can have been taken out.
        return ListNode.keyed(schema, {keys: entry for keys, entry in changes.items() if entry is not None})

    def _entry(self, node: EditNode, was: Container | None, inherited: Operation) -> Container | None:
        if not node.plain and any(child.deletes for child in node.children if child.schema in node.schema.key_nodes):
            words = f"{node.schema.path}: a key cannot be deleted on its own; give the operation to the entry"
            info = (InfoElement("bad-attribute", "operation"), InfoElement("bad-element", node.schema.keys[0]))
            self._error(RpcError(ErrorTag.BAD_ATTRIBUTE, words, path=node.path, info=info))
            return was
        return self._container(node, was, inherited)

    def _ordered_list(
        self, schema: SchemaNode, was: ListNode | None, group: Sequence[EditNode], inherited: Operation
    ) -> ListNode | None:
        order = _Order([]) if was is None else None
        changed: dict[Keys, Container] = {}
        touched: set[Keys] = set()
        for node in group:
            keys = node.keys
            if keys in touched:
                self._twice(node)
                continue
            touched.add(keys)
            before = was.get(keys) if was is not None else None
            after = self._entry(node, before, inherited)
            if after is before and (after is None or node.insert is None):
                continue
            if order is None and (after is None or before is None or node.insert is not None):
                # The order itself changes, which takes a look at all of it.
                order = _Order([entry.keys for entry in was or ()])
            if after is None:
                assert order is not None
                order.remove(keys)
                continue
            if order is not None:
                self._place(node, keys, order)
                if keys not in order:
                    continue  # a new entry that is to stand beside one that is not there
            if after is not before:
                changed[keys] = after
        return self._reordered(schema, was, order, changed)

    @staticmethod
    def _reordered(
        schema: SchemaNode, was: ListNode | None, order: _Order | None, changed: Mapping[Keys, Container]
    ) -> ListNode | None:
        if order is None:
            return was.replaced(changed) if was is not None and changed else was
        if not order.moved and was is not None:
            return was.replaced(changed) if changed else was
        rows = {entry.keys: entry for entry in was or ()} | dict(changed)
        kept = {keys: rows[keys] for keys in order.values if keys in rows}
        return ListNode.keyed(schema, kept) if kept else None

    def _leaf_list(
        self, schema: SchemaNode, was: LeafList | None, group: Sequence[EditNode], inherited: Operation
    ) -> LeafList | None:
        if all(node.is_default for node in group):
            return None if all(map(self._may_be_default, group)) else was
        order = _Order([(value,) for value in was.values] if was is not None else [])
        touched: set[Keys] = set()
        for node in group:
            key: Keys = (node.value or "",)
            if key in touched:
                self._twice(node)
                continue
            touched.add(key)
            operation = node.operation or inherited
            present = key in order
            if operation in (Operation.DELETE, Operation.REMOVE):
                if present:
                    order.remove(key)
                elif operation is Operation.DELETE:
                    self._missing(node)
            elif operation is Operation.CREATE and present:
                self._exists(node)
            elif operation is not Operation.NONE:
                self._place(node, key, order)
            elif not present:
                self._missing(node)
        if not order.moved:
            return was
        return LeafList(schema, [key[0] for key in order.values]) if order.values else None

    def _place(self, node: EditNode, key: Keys, order: _Order) -> None:
        """Put a user-ordered entry where ``insert`` says (RFC 7950 sections 7.7.9 and 7.8.6)."""
        insert = node.insert
        if insert is None:
            order.add(key)
            return
        if insert.reference is not None and (insert.reference not in order or insert.reference == key):
            shown = ", ".join(insert.reference)
            words = f'{node.schema.path}: insert="{insert.where}" names {shown!r}, which is not there'
            info = (
                InfoElement("bad-attribute", "key" if node.schema.kind is Kind.LIST else "value"),
                InfoElement("bad-element", node.schema.name),
            )
            # RFC 7950 section 15.7
            self._error(RpcError(ErrorTag.BAD_ATTRIBUTE, words, app_tag="missing-instance", path=node.path, info=info))
            return
        order.insert(key, insert.where, insert.reference)

    # --- violations -------------------------------------------------------------------------------------

    def _is_there(self, node: EditNode, was: Node | None) -> bool:
        """Whether a leaf exists, which is for the basic mode to say."""
        if self._rules is None or self._root is None:
            return was is not None
        return self._rules.exists(self._root, node, was)

    def _may_be_default(self, node: EditNode) -> bool:
        """RFC 6243 section 4.5.2: what is tagged as default data has the default's value."""
        if self._rules is None or self._root is None or self._rules.allows(self._root, node):
            return True
        known = ", ".join(self._rules.values(self._root, node)) or "none"
        value = "the value" if node.schema.secret else repr(node.value)
        words = f"{node.schema.path} is tagged as default data, and {value} is not its default ({known})"
        info = (InfoElement("bad-attribute", "default"), InfoElement("bad-element", node.schema.name))
        self._error(RpcError(ErrorTag.INVALID_VALUE, words, path=node.path, info=info))
        return False

    def _gone(self, node: EditNode, was: Node | None, operation: Operation) -> None:
        if was is None and operation is Operation.DELETE:
            self._missing(node)

    def _exists(self, node: EditNode) -> None:
        words = f"{node.path} exists already and cannot be created"
        self._error(RpcError(ErrorTag.DATA_EXISTS, words, path=node.path))

    def _missing(self, node: EditNode) -> None:
        words = f"{node.path} does not exist"
        self._error(RpcError(ErrorTag.DATA_MISSING, words, path=node.path))

    def _twice(self, node: EditNode) -> None:
        words = f"{node.path} occurs twice in the request"
        info = (InfoElement("bad-element", node.schema.name),)
        self._error(RpcError(ErrorTag.BAD_ELEMENT, words, path=node.path, info=info))


class _Order:
    """The order of a user-ordered list or leaf-list while it is edited; ``moved`` says whether it has changed."""

    __slots__ = ("_present", "moved", "values")

    def __init__(self, values: list[Keys]) -> None:
        self.values = values
        self._present = set(values)
        self.moved = False

    def __contains__(self, key: Keys) -> bool:
        return key in self._present

    def add(self, key: Keys) -> None:
        """At the end, unless it is somewhere already."""
        if key not in self._present:
            self._present.add(key)
            self.values.append(key)
            self.moved = True

    def remove(self, key: Keys) -> None:
        """Take it out."""
        self._present.remove(key)
        self.values.remove(key)
        self.moved = True

    def insert(self, key: Keys, where: str, reference: Keys | None) -> None:
        """Put it in, or elsewhere."""
        before = -1
        if key in self._present:
            before = self.values.index(key)
            del self.values[before]
        if reference is None:
            at = 0 if where == "first" else len(self.values)
        else:
            at = self.values.index(reference) + (where == "after")
        self.values.insert(at, key)
        self._present.add(key)
        self.moved = self.moved or at != before


def build_ahead(nodes: Iterable[EditNode]) -> None:
    """Make entries that hold leafs alone, so that ``Editor.apply`` has less to do, which nothing may interrupt."""
    for node in nodes:
        if node.leafs is not None:
            node.built = Container(node.schema, _in_order(node.leafs))


def _build(node: EditNode, editor: Editor) -> Container | None:
    """A container or entry that did not exist, from a payload without operations: the way of bulk loads."""
    schema = node.schema
    if node.leafs is not None:
        return node.built or Container(schema, _in_order(node.leafs))
    children = editor._children(schema, None, node.children, Operation.MERGE)  # one module
    return Container(schema, children) if children or schema.presence or schema.kind is Kind.LIST else None


def _in_order(children: dict[SchemaNode, Node] | dict[SchemaNode, str]) -> Mapping[SchemaNode, Node]:
    """Children in schema order, which is how they mostly come."""
    last = -1
    for child in children:
        if child.position < last:
            return dict(sorted(children.items(), key=lambda item: item[0].position))
        last = child.position
    return children


def _merge_leafs(was: Container, leafs: Mapping[SchemaNode, str]) -> Container:
    """An entry that exists with leafs, none of which stands in a choice, merged into it."""
    before = was._children
    if all(before.get(leaf) == value for leaf, value in leafs.items()):
        return was
    return Container(was.schema, _in_order({**before, **leafs}))


def _any_data(node: EditNode) -> AnyData:
    assert node.element is not None
    return AnyData(node.schema, stored_form(node.element, node.schema))


def _only_removes(node: EditNode) -> bool:
    """Whether the payload below asks for nothing but ``remove``, which needs nothing to exist."""
    keys = node.schema.key_nodes
    asked = [child for child in node.children if child.schema not in keys]
    return bool(asked) and all(child.operation is Operation.REMOVE or _only_removes(child) for child in asked)
