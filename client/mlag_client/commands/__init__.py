"""The device's command lines: their grammar, and the way to NETCONF configuration and back (DOMAIN.md section 2).

``pattern`` knows the notation of the command pages, ``catalogue`` the commands; ``translate`` and ``render`` are the
two directions, ``tree`` is what they share.  Nothing here connects to anything.
"""

from __future__ import annotations

from mlag_client.commands.catalogue import COMMANDS, VIEWS, Command, View
from mlag_client.commands.pattern import CommandSyntaxError
from mlag_client.commands.render import to_lines
from mlag_client.commands.translate import Translation, translate
from mlag_client.commands.tree import read_config

__all__ = [
    "COMMANDS",
    "VIEWS",
    "Command",
    "CommandSyntaxError",
    "Translation",
    "View",
    "read_config",
    "to_lines",
    "translate",
]
