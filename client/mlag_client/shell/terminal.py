"""The shell on a terminal: prompt, ``?`` help, completion and history by prompt_toolkit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output
from prompt_toolkit.shortcuts import CompleteStyle, print_formatted_text

from mlag_client.commands.pattern import Expectation
from mlag_client.shell.core import Shell

__all__ = ["help_text", "interact"]

# Widest keyword or parameter of the catalogue, so that the explanations stand below each other.
_WIDTH: Final = 26


def help_text(expected: Iterable[Expectation]) -> str:
    """What ``?`` shows."""
    lines = [f"  {e.text:<{_WIDTH}}{e.help}".rstrip() for e in expected]
    return "\n".join(lines) or "  Nothing fits here."


class _Words(Completer):
    """Keywords that may stand here."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        partial = text.rsplit(maxsplit=1)[-1] if text and not text[-1].isspace() else ""
        for expectation in self._shell.expected(text):
            if expectation.keyword and expectation.text not in ("<cr>", partial):
                yield Completion(expectation.text, start_position=-len(partial), display_meta=expectation.help)


class _UnnamedHistory(InMemoryHistory):
    """Lines of this session alone, and none that holds a password."""

    def append_string(self, string: str) -> None:
        if "password" not in string:
            super().append_string(string)


def interact(shell: Shell, *, source: Input | None = None, sink: Output | None = None) -> None:
    """Read lines until ``quit`` or the end of input.  ``source`` and ``sink`` are the terminal unless given."""
    keys = KeyBindings()

    @keys.add("?")
    def _(event: KeyPressEvent) -> None:
        text = event.current_buffer.document.text_before_cursor
        if text.count('"') % 2:
            event.current_buffer.insert_text("?")  # within quotes it is a character like any other
            return
        found = help_text(shell.expected(text))
        event.app.print_text([("", f"{shell.prompt}{text}?\n{found}\n")])

    session: PromptSession[str] = PromptSession(
        history=_UnnamedHistory(),
        completer=_Words(shell),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,
        key_bindings=keys,
        input=source,
        output=sink,
    )
    while True:
        try:
            line = session.prompt(shell.prompt)
        except KeyboardInterrupt:
            continue  # what was typed is dropped, as on the device
        except EOFError:
            return
        answer = shell.execute(line)
        if answer.text:
            print_formatted_text(answer.text, output=sink)
        if answer.ended:
            return
