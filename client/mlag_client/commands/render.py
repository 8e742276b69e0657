"""Configuration to command lines, in the form of a saved configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from mlag_client.commands.catalogue import COMMANDS, SYSTEM, VIEWS, Command, View
from mlag_client.commands.pattern import Bindings, Param
from mlag_client.commands.tree import KEYS, Node, Place

__all__ = ["lines_of_view", "to_lines"]


def to_lines(root: Node) -> tuple[list[str], list[str]]:
    """Command lines that give this configuration, in the form of a saved one, and the paths that no command gives.

    Values that the shortest line would give anyway (a boolean that is ``false``) are among the latter.
    """
    lines: list[str] = []
    used: set[int] = set()
    for view in VIEWS.values():
        for place, node in _places(root, view):
            used.add(id(node))
            written = list(_lines_of(place, node, used))
            if view.enter is None:
                lines += written
            else:
                lines += [
                    "#",
                    view.enter.format({view.enter.params[0].name: place.key}),
                    *(f" {line}" for line in written),
                ]
    return [*lines, "#"] if lines else [], list(_left_out(root, used, "", ()))


def lines_of_view(root: Node, place: Place) -> list[str]:
    """Command lines of one view, without those of others and without the line that enters it."""
    node = root.find(place.steps)
    return [] if node is None else list(_lines_of(place, node, set()))


def _places(root: Node, view: View) -> Iterator[tuple[Place, Node]]:
    if view is SYSTEM:
        yield Place(), root
        return
    *above, name = view.path
    holder = root.find((step, "") for step in above)
    for (child, key), node in () if holder is None else holder.children.items():
        if child == name:
            yield Place(view, key), node


def _lines_of(place: Place, node: Node, used: set[int]) -> Iterator[str]:
    for command in COMMANDS:
        if command.view == place.view.name:
            for key, holder in _holders(place, command, node):
                yield from _line(command, holder, _leaf_nodes(place, command, holder, key), used)


def _holders(place: Place, command: Command, node: Node) -> Iterator[tuple[str, Node]]:
    """Where the command's leafs stand: one container, or each entry of a list with its key."""
    if (*place.view.path, *command.node) not in KEYS or not command.node:
        holder = node.find((name, "") for name in command.node)
        if holder is not None:
            yield "", holder
        return
    *above, last = command.node
    holder = node.find((name, "") for name in above)
    yield from ((key, child) for (name, key), child in (holder.children if holder else {}).items() if name == last)


def _leaf_nodes(place: Place, command: Command, holder: Node, key: str) -> dict[str, Node | None]:
    found = {leaf: holder.children.get((leaf, "")) for leaf in (*command.fixed, *command.leafs)}
    key_leaf = KEYS.get((*place.view.path, *command.node)) if command.node else None
    if key_leaf is not None and key_leaf in command.leafs:
        found[key_leaf] = Node(key)
    return found


def _line(command: Command, holder: Node, found: Mapping[str, Node | None], used: set[int]) -> Iterator[str]:
    if command.repeats:
        ((leaf, name),) = command.leafs.items()
        items = {value: node for (child, value), node in holder.children.items() if child == leaf}
        yield from _repeated(command, name, items, used)
        return
    bindings = _bindings(command, found)
    if command.off is not None and all(n is not None and n.value == command.off for n in found.values()):
        yield f"undo {command.pattern.format({})}"
    elif any(
        (n := found[leaf]) is None or (n.value or "") != value for leaf, value in command.fixed.items()
    ) or not _given(command, bindings):
        return
    else:
        yield command.pattern.format(bindings)
    used.add(id(holder))
    given = (*command.fixed, *(leaf for leaf, name in command.leafs.items() if name in bindings))
    used.update(id(node) for leaf in given if (node := found[leaf]) is not None)


def _given(command: Command, bindings: Bindings) -> bool:
    """Whether there is a line to write: all parameters that are no options, and anything at all."""
    needed = {part.name for part in command.pattern.parts if isinstance(part, Param)}
    return needed <= bindings.keys() and bool(command.whole or command.holder or command.fixed or bindings)


def _bindings(command: Command, found: Mapping[str, Node | None]) -> Bindings:
    """Parameters as the leafs have them, but those that the command cannot give."""
    bindings: Bindings = {}
    params = {param.name: param for param in command.pattern.params}
    for leaf, name in command.leafs.items():
        node = found.get(leaf)
        if node is None:
            continue
        words = {value: word for word, value in command.values.get(leaf, {}).items()}
        value = words.get(node.value or "", node.value or "")
        try:
            bindings[name] = params[name].check(value)
        except ValueError:
            continue
    return bindings


# Values in one line, so that it stays readable and below what the device takes.
_VALUES_IN_LINE: Final = 10


def _repeated(command: Command, name: str, items: Mapping[str, Node], used: set[int]) -> Iterator[str]:
    param = next(param for param in command.pattern.params if param.name == name)
    if param.kind == "vlan":
        runs = [f"{low} to {high}" if high > low else str(low) for low, high in _runs(sorted(map(int, items)))]
    elif param.repeated:
        runs = sorted(items)
    else:
        for value, node in items.items():
            used.add(id(node))
            yield command.pattern.format({name: value})
        return
    used.update(id(node) for node in items.values())
    for at in range(0, len(runs), _VALUES_IN_LINE):
        yield command.pattern.format({name: " ".join(runs[at : at + _VALUES_IN_LINE])})


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    low = high = -1
    for number in numbers:
        if number == high + 1:
            high = number
            continue
        if low >= 0:
            yield low, high
        low = high = number
    if low >= 0:
        yield low, high


def _left_out(node: Node, used: set[int], path: str, names: tuple[str, ...]) -> Iterator[str]:
    for (name, key), child in node.children.items():
        here = f"{path}/{name}" + (f"[{key}]" if key else "")
        if (*names, name) == ("interfaces", "interface", "type"):
            continue
        if child.children:
            yield from _left_out(child, used, here, (*names, name))
        elif id(child) not in used and (child.value is not None or (*names, name) not in _CONTAINERS):
            yield here


_CONTAINERS: Final = frozenset(
    path[:at] for path in (*KEYS, *((*VIEWS[c.view].path, *c.node) for c in COMMANDS)) for at in range(1, len(path) + 1)
)
