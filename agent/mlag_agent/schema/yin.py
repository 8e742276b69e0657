"""A module in YIN (RFC 7950 section 13), and one that was written in YIN as YANG text.

Works on pyang's statements as they were parsed: nothing is expanded, no feature, augment or deviation applied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lxml import etree

__all__ = ["Argument", "quoted", "yang_text", "yin_text"]

YIN_NS = "urn:ietf:params:xml:ns:yang:yin:1"

Argument = tuple[str | None, bool]
"""How a statement's argument stands in YIN: its name (None: it has none), and whether as an element."""


def yin_text(
    module: Any,
    arguments: Mapping[str, Argument],
    namespaces: Mapping[str, str],
    extension: Callable[[str, str], Argument],
) -> str:
    """The YIN document of a module or submodule.

    ``arguments``: of YANG's own statements; ``namespaces``: of the prefixes that the file uses; ``extension`` gives
    the argument of an extension by prefix and name.
    """

    def element(stmt: Any, parent: etree._Element | None) -> etree._Element:
        keyword = stmt.raw_keyword
        if isinstance(keyword, str):
            namespace, name = YIN_NS, keyword
            argument, as_element = arguments[keyword]
        else:
            prefix, name = keyword
            namespace = namespaces[prefix]
            argument, as_element = extension(prefix, name)
        tag = f"{{{namespace}}}{name}"
        made = (
            etree.Element(tag, nsmap={None: YIN_NS, **namespaces}) if parent is None else etree.SubElement(parent, tag)  # type: ignore[dict-item]  # the stubs know no default
        )
        if argument is not None and stmt.arg is not None:
            if as_element:
                etree.SubElement(made, f"{{{namespace}}}{argument}").text = stmt.arg
            else:
                made.set(argument, stmt.arg)
        for below in stmt.substmts:
            element(below, made)
        return made

    text: str = etree.tostring(element(module, None), pretty_print=True, encoding="unicode")
    return text


def yang_text(module: Any) -> str:
    """The YANG text of a module or submodule."""
    lines: list[str] = []

    def write(stmt: Any, depth: int) -> None:
        keyword = stmt.raw_keyword
        words = keyword if isinstance(keyword, str) else ":".join(keyword)
        if stmt.arg is not None:
            words += f" {quoted(stmt.arg)}"
        pad = "  " * depth
        if not stmt.substmts:
            lines.append(f"{pad}{words};")
            return
        lines.append(f"{pad}{words} {{")
        for below in stmt.substmts:
            write(below, depth + 1)
        lines.append(f"{pad}}}")

    write(module, 0)
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A double-quoted string (RFC 7950 section 6.1.3) that stands on one line, so that no white space is lost."""
    for char, escape in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t")):
        text = text.replace(char, escape)
    return f'"{text}"'
