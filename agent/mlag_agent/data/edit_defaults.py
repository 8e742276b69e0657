"""What a basic mode of RFC 6243 changes in edit-config: which data exists, and the attribute of default data."""

from __future__ import annotations

from mlag_agent.data.defaults import Defaults, DefaultsTree, Mode
from mlag_agent.data.edit_node import EditNode
from mlag_agent.data.instance import InstanceNode
from mlag_agent.data.tree import Container, LeafList, Node
from mlag_agent.schema.nodes import Kind

__all__ = ["DefaultRules"]


class DefaultRules:
    """For edits of one root after the other; ``basic`` is the server's basic mode.

    ``explicit``: what a client has set exists, whatever its value: nothing changes.  ``trim``: a leaf that has its
    default value does not exist (RFC 6243 section 2.2.3).  ``report-all``: a default in use exists, and comes back when
    it is deleted (section 2.1.3).
    """

    def __init__(self, defaults: Defaults, basic: Mode) -> None:
        self._defaults = defaults
        self._basic = basic

    def exists(self, root: Container, node: EditNode, was: Node | None) -> bool:
        """Whether a leaf exists for ``create`` and ``delete``; ``was`` is what the datastore holds of it."""
        if self._basic is Mode.TRIM and was is not None and node.schema.defaults:
            return not self._is_default(root, node, was)
        if self._basic is Mode.REPORT_ALL and was is None and node.schema.defaults:
            parent = self._parent(root, node)
            return parent is not None and parent.tree.child(parent, node.schema) is not None
        return was is not None

    def _is_default(self, root: Container, node: EditNode, was: Node) -> bool:
        values = self._defaults.values(node.schema, self._parent(root, node))
        if node.schema.kind is Kind.LEAF_LIST:
            return was == LeafList(node.schema, values)
        return was == values[0]

    def allows(self, root: Container, node: EditNode) -> bool:
        """Whether the value of a leaf, or of one of a leaf-list, that is tagged as default data is a default."""
        return node.value in self.values(root, node)

    def values(self, root: Container, node: EditNode) -> tuple[str, ...]:
        """The defaults of a leaf or leaf-list."""
        return self._defaults.values(node.schema, self._parent(root, node)) if node.schema.defaults else ()

    def _parent(self, root: Container, node: EditNode) -> InstanceNode | None:
        """Where the node stands in the data before the edit; None where there is nothing."""
        steps: list[EditNode] = []
        above = node.parent
        while above is not None:
            steps.append(above)
            above = above.parent
        here: InstanceNode | None = DefaultsTree(root, self._defaults, Mode.REPORT_ALL, config_only=True).root
        for step in reversed(steps):
            if here is None:
                return None
            if step.schema.kind is Kind.LIST:
                here = here.entry(step.schema, step.keys)
            else:
                here = next(iter(here.named(step.schema)), None)
        return here
