"""The shell without a terminal: a line goes in, text comes out, and the prompt says where one is.

Two-stage mode (``system-view``): each line edits the candidate, ``commit`` puts it in force, ``*`` in the prompt says
that something waits for that.  Immediate mode (``system-view immediately``): each line is committed at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from lxml import etree

from mlag_client.commands.catalogue import COMMANDS, SYSTEM, VIEWS
from mlag_client.commands.pattern import Attempt, CommandSyntaxError, Expectation, Match, Pattern, complaint, split_line
from mlag_client.commands.render import lines_of_view, to_lines
from mlag_client.commands.translate import Change, Entered, Translation, read_line
from mlag_client.commands.tree import DML, Node, Place, read_config
from mlag_client.errors import RpcFailed
from mlag_client.session import Session
from mlag_client.shell import display
from mlag_client.shell.registered import DISPLAYS, RESETS
from mlag_client.shell.registry import Display, Reset

__all__ = ["Answer", "Mode", "Shell"]

CANDIDATE: Final = "urn:mlag-agent:yang:mlag-agent-candidate"

HISTORY_LINES: Final = 1000
"""Lines that ``display history-command`` knows; the device keeps ten by default, and there is no reason to forget."""


class Mode(Enum):
    """Where the shell stands."""

    USER = "user view"
    TWO_STAGE = "two-stage"
    IMMEDIATE = "immediate"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a line gives: text to print, whether it is an error, and whether the shell ends with it."""

    text: str = ""
    error: bool = False
    ended: bool = False


Handler = Callable[["Shell", Mapping[str, str]], Answer]


@dataclass(frozen=True, slots=True)
class _Own:
    """A command of the shell itself: the modes that it is for, its words, and what it does."""

    modes: frozenset[Mode]
    pattern: Pattern
    help: str
    run: Handler


class Shell:
    """One user's command line on one session.  ``name`` is the device's, as the prompt shows it."""

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self.name = name
        self.mode = Mode.USER
        self.place = Place()
        self.pending = False
        self.trial = False
        self._history: list[str] = []

    @property
    def prompt(self) -> str:
        """``<NAME>``, ``[~NAME]``, ``[*NAME-dfs-group-1]``, or without a mark in immediate mode."""
        if self.mode is Mode.USER:
            return f"<{self.name}>"
        mark = "" if self.mode is Mode.IMMEDIATE else "*" if self.pending else "~"
        return f"[{mark}{self.name}{_SUFFIXES[self.place.view.name].format(self.place.key)}]"

    def execute(self, line: str) -> Answer:
        """Run one line; every error of the line or of the agent is an answer.  SessionLost is raised."""
        if not line.strip() or line.lstrip()[:1] in ("#", "!"):
            return Answer()
        if len(self._history) < HISTORY_LINES and "password" not in line:
            self._history.append(line.strip())
        try:
            return self._run(split_line(line))
        except CommandSyntaxError as error:
            return Answer(_pointed(self.prompt, line, error), error=True)
        except RpcFailed as refused:
            return Answer("\n".join(f"Error: {error.message or error.tag}" for error in refused.errors), error=True)

    def _run(self, words: list[str]) -> Answer:
        found, match, attempt = self._own(words)
        if found is not None and match is not None and match.shortened == 0:
            return found.run(self, match.bindings)
        if self.mode is not Mode.USER:
            try:
                return self._configure(read_line(self.place, words))
            except CommandSyntaxError as error:
                if found is None:
                    if attempt.position > error.position:
                        raise complaint(words, attempt) from None
                    raise
        if found is None or match is None:
            raise complaint(words, attempt)
        return found.run(self, match.bindings)

    def _own(self, words: Sequence[str]) -> tuple[_Own | None, Match | None, Attempt]:
        """The shell's own command that the words fit with the fewest shortened keywords."""
        furthest = Attempt()
        found: list[tuple[int, _Own, Match]] = []
        for own in _OWN:
            if self.mode in own.modes:
                match, attempt = own.pattern.match(words)
                if match is None:
                    furthest.join(attempt)
                else:
                    found.append((match.shortened, own, match))
        found.sort(key=lambda item: item[0])
        if not found:
            return None, None, furthest
        return found[0][1], found[0][2], furthest

    # --- configuration --------------------------------------------------------------------------------------------

    def tree(self, source: str) -> Node:
        """A datastore."""
        return read_config(self.session.get_config(source))

    def _configure(self, meaning: Entered | Change) -> Answer:
        made = Translation()
        if isinstance(meaning, Entered):
            candidate = self.tree("candidate")
            there = candidate.find(meaning.place.steps) is not None
            if meaning.undo:
                if not there:
                    return Answer(f"Error: {meaning.place.view.help} {meaning.place.key} does not exist.", error=True)
                made.enter(meaning.place, undo=True)
                self._edit(made)
                if self.place.steps[: len(meaning.place.steps)] == meaning.place.steps:
                    self.place = Place()
                return Answer()
            if not there:
                made.enter(meaning.place)
                self._edit(made)
            self.place = meaning.place
            return Answer()
        if meaning.undo:
            wrong = list(_undo_mismatch(meaning, self.tree("candidate")))
            if wrong:
                return Answer("\n".join(f"Error: {line}" for line in wrong), error=True)
        made.add(meaning)
        self._edit(made)
        return Answer()

    def _edit(self, made: Translation) -> None:
        if self.mode is not Mode.IMMEDIATE:
            self.pending = self._compared(self.session.edit_and_compare(made.config()))
            return
        self.session.edit(made.config())
        try:
            self.session.commit()
        except RpcFailed:
            # Nothing waits in immediate mode: what is refused is gone.
            self.session.discard_changes()
            raise

    def _differs(self) -> bool:
        return self._compared(self.session.candidate_differs())

    def _compared(self, told: bool | None) -> bool:
        """What the agent told; where it does not compare for this user, both datastores are read."""
        return told if told is not None else to_lines(self.tree("candidate")) != to_lines(self.tree("running"))

    # --- the shell's own commands ---------------------------------------------------------------------------------

    def system_view(self, given: Mapping[str, str]) -> Answer:
        """``system-view [immediately]``."""
        self.mode = Mode.IMMEDIATE if given else Mode.TWO_STAGE
        self.place = Place()
        self.pending = self.mode is Mode.TWO_STAGE and self._differs()
        words = "" if self.mode is Mode.TWO_STAGE else "Each command takes effect at once."
        return Answer(words)

    def quit(self, given: Mapping[str, str]) -> Answer:
        """One view up; from the user view, out."""
        if self.mode is Mode.USER:
            return Answer(ended=True)
        if self.place.view is not SYSTEM:
            self.place = Place()
            return Answer()
        return self.back_to_user_view(given)

    def back_to_user_view(self, given: Mapping[str, str]) -> Answer:
        """``return``; what was not committed waits in the candidate."""
        waits = self.pending
        self.mode, self.place, self.pending = Mode.USER, Place(), False
        if waits:
            return Answer("Warning: there are uncommitted changes; they stay in the candidate of this session.")
        return Answer()

    def commit(self, given: Mapping[str, str]) -> Answer:
        """``commit [trial [SECONDS]] [label L] [persist ID] [description D]``: a trial needs another ``commit``."""
        persist = given.get("persist")
        label, description = given.get("label"), given.get("description")
        if "trial" in given:
            seconds = int(given.get("seconds", "600"))
            self.session.commit(timeout=seconds, persist=persist, label=label, description=description)
            self.trial, self.pending = True, False
            how = "commit" if persist is None else f"commit persist {persist}"
            return Answer(f"The trial ends in {seconds} seconds unless it is confirmed by '{how}'.")
        self.session.commit(persist_id=persist, label=label, description=description)
        self.trial, self.pending = False, False
        return Answer()

    def abort(self, given: Mapping[str, str]) -> Answer:
        """``abort trial [persist ID]``."""
        self.session.cancel_commit(given.get("persist"))
        self.trial, self.pending = False, False
        return Answer("The configuration is as it was before the trial.")

    def clear(self, given: Mapping[str, str]) -> Answer:
        """``clear configuration candidate``, which leads to the system view."""
        self.session.discard_changes()
        self.pending, self.place = False, Place()
        return Answer()

    def refresh(self, given: Mapping[str, str]) -> Answer:
        """``refresh configuration candidate``: what others have committed since, also where this session differs."""
        try:
            self.session.rpc(_update())
        except RpcFailed as refused:
            if all(error.tag == "unknown-namespace" for error in refused.errors):
                return Answer(NO_REFRESH, error=True)
            raise
        self.pending = self._differs()
        if self.tree("candidate").find(self.place.steps) is None:
            self.place = Place()
        return Answer()

    def display_commits(self, given: Mapping[str, str]) -> Answer:
        """``display configuration commit list``."""
        return Answer(display.commits(self.session.get(display.filter_of(display.COMMIT, "commits"))))

    def display_this(self, given: Mapping[str, str]) -> Answer:
        """``display this``: what is in force of this view."""
        lines = lines_of_view(self.tree("running"), self.place)
        if self.place.view.enter is not None:
            heading = self.place.view.enter.format({self.place.view.enter.params[0].name: self.place.key})
            lines = [heading, *(f" {line}" for line in lines)]
        return Answer("\n".join(["#", *lines, "#", "return"]))

    def display_current(self, given: Mapping[str, str]) -> Answer:
        """``display current-configuration``: what is in force."""
        return Answer(_configuration(self.tree("running")))

    def display_candidate(self, given: Mapping[str, str]) -> Answer:
        """``display configuration candidate [merge | changes]``."""
        if given.get("what") == "changes":
            return Answer("\n".join(display.changes(self.tree("running"), self.tree("candidate"))))
        return Answer(_configuration(self.tree("candidate")))

    def display_history(self, given: Mapping[str, str]) -> Answer:
        """``display history-command``: without lines that hold a password."""
        return Answer("\n".join(f"  {line}" for line in self._history))

    # --- help -----------------------------------------------------------------------------------------------------

    def expected(self, line: str) -> tuple[Expectation, ...]:
        """What may stand at the end of ``line``: behind its last word, or in place of it when no blank follows it."""
        try:
            words = split_line(line)
        except CommandSyntaxError:
            return ()
        partial = words.pop() if words and line[-1:].strip() else ""
        found: dict[str, Expectation] = {}
        for pattern, help_, at in self._patterns(words):
            for expectation in pattern.expected(words[at:]):
                text = help_ if not words[at:] and expectation.keyword else expectation.help
                found.setdefault(expectation.text, Expectation(expectation.text, text, expectation.keyword))
        chosen = (e for e in found.values() if not e.keyword or e.text.startswith(partial))
        return tuple(sorted(chosen, key=lambda e: (e.text == "<cr>", e.text)))

    def _patterns(self, words: Sequence[str]) -> Iterator[tuple[Pattern, str, int]]:
        """Every pattern that may apply, its help, and where its words begin (behind ``undo``)."""
        for own in _OWN:
            if self.mode in own.modes:
                yield own.pattern, own.help, 0
        if self.mode is Mode.USER:
            return
        undo = words[:1] == ["undo"]
        if not undo:
            yield _UNDO, "Cancel a configuration", 0
        for command in COMMANDS:
            pattern = command.undo if undo else command.pattern
            if command.view == self.place.view.name and pattern is not None:
                yield pattern, command.help, int(undo)
        for view in VIEWS.values():
            if view.enter is not None:
                yield view.enter, view.help, int(undo)


_UNDO: Final = Pattern("undo <command:word>")

_SUFFIXES: Final = {
    "system": "",
    "dfs-group": "-dfs-group-{}",
    "interface": "-{}",
    "vlan": "-vlan{}",
    "vpn-instance": "-vpn-instance-{}",
}

_ALL = frozenset(Mode)
_CONFIGURING = frozenset({Mode.TWO_STAGE, Mode.IMMEDIATE})
_STAGED = frozenset({Mode.TWO_STAGE})

NO_REFRESH: Final = (
    "Error: this agent has one candidate for all sessions, which needs no refresh. "
    'With candidate = "private" in its settings each session has its own.'
)


def _update() -> etree._Element:
    """Where this session and others changed the same node, running wins; what the session changed else stays."""
    operation = etree.Element(f"{{{CANDIDATE}}}update", nsmap={None: CANDIDATE})  # type: ignore[dict-item]
    etree.SubElement(operation, f"{{{CANDIDATE}}}resolution-mode").text = "overwrite"
    return operation


_SHOW: Final = "Show state and configuration"


def _of_display(command: Display) -> _Own:
    """A registered display command: configuration in force, and state."""

    def run(shell: Shell, given: Mapping[str, str]) -> Answer:
        data = shell.session.get(display.filter_of(DML, "m-lag"))
        return Answer(command.show(shell.tree("running"), data, given))

    return _Own(_ALL, command.pattern, _SHOW, run)


def _of_reset(command: Reset) -> _Own:
    """A registered reset command: an operation, in force at once."""

    def run(shell: Shell, given: Mapping[str, str]) -> Answer:
        shell.session.rpc(command.rpc(given))
        return Answer()

    modes = _ALL if command.everywhere else frozenset({Mode.USER})
    return _Own(modes, command.pattern, "Set counters or a record back", run)


_OWN: Final = (
    _Own(frozenset({Mode.USER}), Pattern("system-view [<how:=immediately>]"), "Configure the device",
         Shell.system_view),
    _Own(_ALL, Pattern("quit"), "One view up", Shell.quit),
    _Own(_CONFIGURING, Pattern("return"), "To the user view", Shell.back_to_user_view),
    _Own(_STAGED, Pattern("commit [<trial:=trial> [<seconds:60-65535>]] [label <label:label>]"
                          " [persist <persist:token>] [description <description:text>+]"),
         "Put the candidate in force", Shell.commit),
    _Own(_STAGED, Pattern("abort trial [persist <persist:token>]"), "End a trial", Shell.abort),
    _Own(_STAGED, Pattern("refresh configuration candidate"), "Take over what others have committed", Shell.refresh),
    _Own(_STAGED, Pattern("clear configuration candidate"), "Drop what is not committed", Shell.clear),
    _Own(_CONFIGURING, Pattern("display this"), _SHOW, Shell.display_this),
    _Own(_ALL, Pattern("display current-configuration"), _SHOW, Shell.display_current),
    _Own(_CONFIGURING, Pattern("display configuration candidate [<what:=merge|changes>]"), _SHOW,
         Shell.display_candidate),
    _Own(_ALL, Pattern("display configuration commit list"), _SHOW, Shell.display_commits),
    _Own(_ALL, Pattern("display history-command"), _SHOW, Shell.display_history),
    *map(_of_display, DISPLAYS),
    *map(_of_reset, RESETS),
)  # fmt: skip


def _configuration(root: Node) -> str:
    lines, left_out = to_lines(root)
    return "\n".join([*(lines or ["#"]), *(f"# no command gives {path}" for path in left_out), "return"])


def _undo_mismatch(change: Change, candidate: Node) -> Iterator[str]:
    """Why an undo form does not apply: nothing is configured, or something else than it says (command page)."""
    command = change.command
    node = candidate.find(change.node)
    words = change.command.pattern.text.partition(" <")[0]
    if command.repeats:
        ((leaf, name),) = command.leafs.items()
        there = {value for (child, value) in (node.children if node else {}) if child == leaf}
        missing = [value for value in change.bindings[name].split() if value not in there]
        if missing:
            yield f"'{words}' is not configured with {', '.join(missing)}."
        return
    if command.off is not None:
        return
    leafs = {*command.leafs, *command.fixed}
    there_leafs = {} if node is None else {leaf: n.value for (leaf, _), n in node.children.items() if leaf in leafs}
    if node is None or not (there_leafs or command.whole or command.holder):
        yield f"'{words}' is not configured."
        return
    for leaf, value in change.leafs.items():
        if leaf in there_leafs and there_leafs[leaf] != value and leaf != "password":
            yield f"{leaf} is {there_leafs[leaf]}, not {value}; an undo form repeats what is configured."
        elif leaf not in there_leafs and leaf not in command.fixed:
            yield f"{leaf} is not configured, and the undo form says {value}."


_SPAN = re.compile(r'"[^"]*"|[^\s"]+')


def _pointed(prompt: str, line: str, error: CommandSyntaxError) -> str:
    """The place below the line that stands behind the prompt, as the device shows it, then what is wrong there."""
    starts = [match.start() for match in _SPAN.finditer(line)]
    column = len(prompt) + (starts[error.position] if error.position < len(starts) else len(line.rstrip()) + 1)
    hint = f"\n  {error.hint}" if error.hint else ""
    return f"{' ' * column}^\nError: {error.message}{hint}"
