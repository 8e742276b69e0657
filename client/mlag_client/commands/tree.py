"""The tree that both directions share: a configuration, or an edit with operations in it; its XML and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from lxml import etree

from mlag_client.commands.catalogue import COMMANDS, SYSTEM, VIEWS, View

__all__ = ["KEYS", "NC", "Node", "Place", "read_config", "write_config"]

NC: Final = "urn:ietf:params:xml:ns:netconf:base:1.0"
DML: Final = "urn:mlag-agent:yang:dfs-m-lag"
DMLI: Final = "urn:mlag-agent:yang:dfs-m-lag-interfaces"
INTERFACES: Final = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
IP: Final = "urn:ietf:params:xml:ns:yang:ietf-ip"
INSTANCES: Final = "urn:ietf:params:xml:ns:yang:ietf-network-instance"
IF_TYPE: Final = "urn:ietf:params:xml:ns:yang:iana-if-type"

# Where a node is of another module than the one above it.
_NAMESPACES: Final[Mapping[tuple[str, ...], str]] = {
    ("m-lag",): DML,
    ("m-lag", "vlans"): DMLI,
    ("interfaces",): INTERFACES,
    ("interfaces", "interface", "m-lag"): DMLI,
    ("interfaces", "interface", "ipv4"): IP,
    ("interfaces", "interface", "ipv6"): IP,
    ("network-instances",): INSTANCES,
}

KEYS: Final[Mapping[tuple[str, ...], str]] = {
    ("m-lag", "dfs-groups", "dfs-group"): "id",
    ("m-lag", "vlans", "vlan"): "vlan-id",
    ("interfaces", "interface"): "name",
    ("interfaces", "interface", "ipv4", "address"): "ip",
    ("network-instances", "network-instance"): "name",
}
"""Lists, with the name of their key."""

_LEAF_LISTS: Final = frozenset(
    (*VIEWS[command.view].path, *command.node, leaf)
    for command in COMMANDS
    if command.repeats
    for leaf in command.leafs
)

# An interface's type follows from its name, as on the device: in ietf-interfaces it is mandatory.
_TYPES: Final = (
    ("Eth-Trunk", IF_TYPE, "ieee8023adLag"),
    ("Vlanif", IF_TYPE, "l3ipvlan"),
    ("Vbdif", DMLI, "vbdif"),
    ("LoopBack", IF_TYPE, "softwareLoopback"),
    ("", IF_TYPE, "ethernetCsmacd"),
)

Operation = Literal["replace", "remove"]


@dataclass(slots=True)
class Node:
    """A node of a configuration or of an edit.

    ``children`` by (name, key): the key of a list entry, the value of a leaf-list's, else "".  ``value`` of a leaf.
    """

    value: str | None = None
    children: dict[tuple[str, str], Node] = field(default_factory=dict)
    operation: Operation | None = None

    def at(self, path: Iterable[tuple[str, str]]) -> Node:
        """The node there, made with all above it if need be; what was to be removed is then replaced."""
        node = self
        for step in path:
            node = node.children.setdefault(step, Node())
            if node.operation == "remove":
                node.operation = "replace"
        return node

    def find(self, path: Iterable[tuple[str, str]]) -> Node | None:
        """The node there."""
        node: Node | None = self
        for step in path:
            node = None if node is None else node.children.get(step)
        return node


@dataclass(frozen=True, slots=True)
class Place:
    """A view that was entered: its ``steps`` lead to the node that its commands configure."""

    view: View = SYSTEM
    key: str = ""

    @property
    def steps(self) -> tuple[tuple[str, str], ...]:
        """From the root."""
        path = self.view.path
        return tuple((name, self.key if at == len(path) - 1 else "") for at, name in enumerate(path))


# --- XML ------------------------------------------------------------------------------------------------------------


def write_config(parent: etree._Element, node: Node, path: tuple[str, ...] = (), namespace: str = "") -> None:
    """The children of ``node``, which stands at ``path``, as elements below ``parent``."""
    for (name, key), child in node.children.items():
        here = (*path, name)
        its = _NAMESPACES.get(here, namespace)
        element = etree.SubElement(parent, f"{{{its}}}{name}", nsmap={None: its})  # type: ignore[dict-item]
        if child.operation is not None:
            element.set(f"{{{NC}}}operation", child.operation)
        if here in KEYS:
            etree.SubElement(element, f"{{{its}}}{KEYS[here]}").text = key
            if here == ("interfaces", "interface") and child.operation != "remove":
                _type(element, key)
        if child.value:
            element.text = child.value
        write_config(element, child, here, its)


def _type(element: etree._Element, name: str) -> None:
    namespace, kind = next((ns, kind) for start, ns, kind in _TYPES if name.startswith(start))
    node = etree.SubElement(element, f"{{{INTERFACES}}}type", nsmap={"t": namespace})
    node.text = f"t:{kind}"


def read_config(config: etree._Element) -> Node:
    """The tree of ``<data>`` or ``<config>``: nodes of the modules above; what is of others is left out."""
    root = Node()
    for child in config:
        name = etree.QName(child)
        if _NAMESPACES.get((name.localname,)) == name.namespace:
            _read_into(root, child, ())
    return root


def _read_into(parent: Node, element: etree._Element, path: tuple[str, ...]) -> None:
    here = (*path, etree.QName(element).localname)
    text = (element.text or "").strip()
    if here in KEYS:
        key_name = f"{{{etree.QName(element).namespace}}}{KEYS[here]}"
        node = parent.children.setdefault((here[-1], (element.findtext(key_name) or "").strip()), Node())
        for child in element:
            if child.tag != key_name:
                _read_into(node, child, here)
    elif here in _LEAF_LISTS:
        parent.children[(here[-1], text)] = Node(text)
    else:
        node = parent.children.setdefault((here[-1], ""), Node())
        if not len(element):
            node.value = text
        for child in element:
            _read_into(node, child, here)
