"""Command lines to the content of an ``<edit-config>``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from mlag_client.commands.catalogue import COMMANDS, SYSTEM, VIEWS, Command, View
from mlag_client.commands.pattern import Attempt, Bindings, CommandSyntaxError, Match, Pattern, complaint, split_line
from mlag_client.commands.tree import KEYS, NC, Node, Place, write_config

__all__ = ["Change", "Entered", "Translation", "read_line", "translate"]


@dataclass(frozen=True, slots=True)
class Change:
    """What one line does.  ``expect``: leafs that an undo form names, which must be so; see ``node``."""

    place: Place
    command: Command
    bindings: Bindings
    undo: bool

    @property
    def node(self) -> tuple[tuple[str, str], ...]:
        """From the root to the container or entry of the command's leafs."""
        path = (*self.place.view.path, *self.command.node)
        key = KEYS.get(path) if self.command.node else None
        below = [(name, "") for name in self.command.node]
        if key is not None:
            below[-1] = (self.command.node[-1], self.bindings.get(self.command.leafs[key], ""))
        return (*self.place.steps, *below)

    @property
    def leafs(self) -> dict[str, str]:
        """Leafs that the line gives values."""
        values = self.command.values
        given = {
            leaf: values.get(leaf, {}).get(self.bindings[name], self.bindings[name])
            for leaf, name in self.command.leafs.items()
            if name in self.bindings
        }
        if self.command.node:  # the key of an entry is a part of its place
            given.pop(KEYS.get((*self.place.view.path, *self.command.node), ""), None)
        return {**self.command.fixed, **given}

    def apply(self, root: Node) -> None:
        """Put it into an edit."""
        command = self.command
        if self.undo and (command.whole or command.holder):
            _remove(root, self.node)
            return
        node = root.at(self.node)
        if command.repeats:
            ((leaf, name),) = command.leafs.items()
            for value in self.bindings[name].split():
                _item(node, leaf, value, remove=self.undo)
        elif self.undo:
            for leaf in (*command.leafs, *command.fixed):
                node.children[(leaf, "")] = Node("", operation="remove") if command.off is None else Node(command.off)
        else:
            if command.whole:
                node.children, node.operation = {}, "replace"
            for leaf, value in self.leafs.items():
                node.children[(leaf, "")] = Node(value)


def _remove(root: Node, path: tuple[tuple[str, str], ...]) -> None:
    *above, last = path
    root.at(above).children[last] = Node(operation="remove")


def _item(node: Node, leaf: str, value: str, *, remove: bool) -> None:
    node.children[(leaf, value)] = Node(value, operation="remove" if remove else None)


# --- lines ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entered:
    """A line that leads into a view or, with ``undo``, deletes what the view configures."""

    place: Place
    undo: bool


def read_line(place: Place, words: list[str]) -> Entered | Change:
    """What a line means in a view.

    Where a command of the view and one that enters a view both fit, it is the former: ``undo dfs-group 1`` of an
    interface undoes its membership.  Raises CommandSyntaxError with the place of the first word that does not fit.
    """
    undo = words[:1] == ["undo"]
    candidates: list[tuple[Pattern, Command | View]] = []
    for command in COMMANDS:
        pattern = command.undo if undo else command.pattern
        if command.view == place.view.name and pattern is not None:
            candidates.append((pattern, command))
    candidates += [(view.enter, view) for view in VIEWS.values() if view.enter is not None]
    found, match = _best(words[undo:], candidates, undo)
    if isinstance(found, View):
        (key,) = match.bindings.values()
        return Entered(Place(found, key), undo)
    return Change(place, found, match.bindings, undo)


def _best(
    words: list[str], candidates: Iterable[tuple[Pattern, Command | View]], undo: bool
) -> tuple[Command | View, Match]:
    """The pattern that the words fit with the fewest shortened keywords; several with as few are ambiguous."""
    found: list[tuple[tuple[int, bool], Command | View, Match]] = []
    furthest = Attempt()
    for pattern, meaning in candidates:
        match, attempt = pattern.match(words)
        if match is None:
            furthest.join(attempt)
        else:
            found.append(((match.shortened, isinstance(meaning, View)), meaning, match))
    found.sort(key=lambda item: item[0])
    if found and (len(found) == 1 or found[0][0] < found[1][0]):
        return found[0][1], found[0][2]
    if found:
        raise CommandSyntaxError(f"ambiguous command: {' '.join(words)}", len(words) + undo)
    raise complaint(words, furthest, undo)


@dataclass(slots=True)
class Translation:
    """An edit made of lines."""

    root: Node = field(default_factory=Node)

    def add(self, change: Change) -> None:
        """One more line."""
        change.apply(self.root)

    def enter(self, place: Place, *, undo: bool = False) -> None:
        """A view that is entered exists from then on, as on the device; undone, it goes with all in it."""
        if undo:
            _remove(self.root, place.steps)
        elif place.view is not SYSTEM:
            self.root.at(place.steps)

    def config(self) -> etree._Element:
        """``<config>`` of an edit-config with default-operation merge."""
        top = etree.Element(f"{{{NC}}}config", nsmap={None: NC, "nc": NC})  # type: ignore[dict-item]  # the stubs know no default
        write_config(top, self.root)
        return top

    def edit_config(self) -> etree._Element:
        """The whole operation, all or nothing, as the device's ``xml-translate`` gives it (DOMAIN.md 5.7)."""
        top = etree.Element(f"{{{NC}}}edit-config", nsmap={None: NC, "nc": NC})  # type: ignore[dict-item]
        etree.SubElement(etree.SubElement(top, f"{{{NC}}}target"), f"{{{NC}}}candidate")
        etree.SubElement(top, f"{{{NC}}}default-operation").text = "merge"
        etree.SubElement(top, f"{{{NC}}}error-option").text = "rollback-on-error"
        top.append(self.config())
        return top


# Views do not nest here.  A line of "#" alone ends a view in a saved configuration.
_TO_SYSTEM_VIEW: Final = (["quit"], ["return"], ["system-view"], ["#"])


def translate(lines: Iterable[str]) -> Translation:
    """A script of command lines, from the system view; ``quit``, ``return`` and ``#`` alone lead back to it.

    Lines that begin with ``#`` or ``!`` are comments.

    Raises CommandSyntaxError, with the number of the line in its message, for the first line that is no command.
    """
    made = Translation()
    place = Place()
    for number, line in enumerate(lines, 1):
        try:
            words = split_line(line)
            if words in _TO_SYSTEM_VIEW:
                place = Place()
                continue
            if not words or words[0][:1] in ("#", "!"):
                continue
            meaning = read_line(place, words)
            if isinstance(meaning, Entered):
                made.enter(meaning.place, undo=meaning.undo)
                place = place if meaning.undo else meaning.place
            else:
                made.add(meaning)
        except CommandSyntaxError as error:
            raise CommandSyntaxError(f"line {number}: {error.message}", error.position, error.hint) from error
    return made
