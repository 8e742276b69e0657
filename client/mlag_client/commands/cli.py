"""``mlag-client translate``: command lines to edit-config and configuration to command lines, without an agent."""

from __future__ import annotations

from typing import IO

import click
from lxml import etree

from mlag_client.commands.pattern import CommandSyntaxError
from mlag_client.commands.render import to_lines
from mlag_client.commands.translate import translate
from mlag_client.commands.tree import read_config
from mlag_client.errors import InvalidRequest

__all__ = ["translate_command"]

# A configuration comes from a file: no entities, no network, as everywhere.
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)


@click.command("translate")
@click.argument("source", type=click.File("rb"), default="-")
@click.option("--reverse", is_flag=True, help="From configuration (<config>, <data> or <rpc-reply>) to command lines.")
@click.option("--config", "config_only", is_flag=True, help="Print <config> alone, as ncclient and Ansible take it.")
def translate_command(source: IO[bytes], *, reverse: bool, config_only: bool) -> None:
    """Turn command lines of the device into the edit-config that does the same.

    SOURCE is a file of command lines, or standard input. Nothing is sent anywhere. With --reverse, what no command
    line can give is named in comments at the end.
    """
    text = source.read()
    if reverse:
        lines, left_out = to_lines(read_config(_configuration(text)))
        for line in (*lines, *(f"# no command gives {path}" for path in left_out)):
            click.echo(line)
        return
    try:
        made = translate(text.decode().splitlines())
    except UnicodeDecodeError as error:
        raise CommandSyntaxError(f"the command lines are not UTF-8: {error}") from error
    document = made.config() if config_only else made.edit_config()
    click.echo(etree.tostring(document, pretty_print=True, encoding="unicode"), nl=False)


def _configuration(text: bytes) -> etree._Element:
    try:
        root = etree.fromstring(text, _PARSER)
    except etree.XMLSyntaxError as error:
        raise InvalidRequest(f"the configuration is not XML: {error}") from error
    names = ("config", "data")
    found = (
        root if etree.QName(root).localname in names else next((e for n in names for e in root.iter(f"{{*}}{n}")), None)
    )
    if found is None:
        raise InvalidRequest(
            f"there is no <config> or <data> in <{etree.QName(root).localname}>",
            "give the reply of get-config as it is",
        )
    return found
