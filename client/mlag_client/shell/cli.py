"""``mlag-client shell``: the command line, from a terminal or a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TextIO

import click
from lxml import etree

from mlag_client.session import Session
from mlag_client.shell.core import Answer, Shell

__all__ = ["device_name", "open_shell", "run_lines"]

AGENT = "urn:mlag-agent:yang:mlag-agent-state"


def device_name(session: Session, otherwise: str) -> str:
    """The name that the agent gives itself, or what the connection was made to."""
    element = etree.Element("{urn:ietf:params:xml:ns:netconf:base:1.0}filter", type="subtree")
    etree.SubElement(etree.SubElement(element, f"{{{AGENT}}}agent"), f"{{{AGENT}}}device")
    found = session.get(element).findtext(f".//{{{AGENT}}}device")
    return found or otherwise


def open_shell(session: Session, host: str, file: TextIO | None, *, keep_going: bool) -> bool:
    """Run the shell until it ends; False when a line of a script was refused."""
    shell = Shell(session, device_name(session, host))
    if file is None and sys.stdin.isatty():
        # A third of what this program takes to start, and scripts do not need it.
        from mlag_client.shell.terminal import interact  # noqa: PLC0415

        interact(shell)
        return True
    return run_lines(shell, file or sys.stdin, click.echo, keep_going=keep_going) is None


def run_lines(
    shell: Shell, lines: Iterable[str], write: Callable[[str], None], *, keep_going: bool = False
) -> Answer | None:
    """Run a script, each line shown behind its prompt; the first error ends it unless ``keep_going``.

    Returns the first answer that was an error.
    """
    first: Answer | None = None
    for line in lines:
        write(f"{shell.prompt}{line.rstrip()}")
        answer = shell.execute(line)
        if answer.text:
            write(answer.text)
        if answer.error:
            first = first or answer
            if not keep_going:
                break
        if answer.ended:
            break
    return first
