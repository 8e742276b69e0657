"""The XML parser for messages of a peer: hardened, bounded, and with one kind of error.

What a peer sends is refused rather than repaired: no document type declaration (hence no entities of its own, no
external subset), no encoding but UTF-8, no more than :data:`MAX_DEPTH` nested elements.  Comments and processing
instructions are dropped (RFC 6241 section 3 forbids nothing about them, and no operation reads them).

libxml2 sets bounds of its own, since ``huge_tree`` is off: 10,000,000 bytes for one text node, 50,000 for a name.

Known weakness: lxml keeps every distinct element and attribute *name* it has ever parsed (about 50 bytes and the name
itself; values and message-ids are not kept), so a user who is logged in can make the process grow by inventing names.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from typing import Any, cast

from lxml import etree

from mlag_agent.errors import WireError

__all__ = ["MAX_DEPTH", "MalformedMessage", "parse_message", "recover_root", "split_name"]

MAX_DEPTH = 128
"""Elements nested in each other; the deepest IETF models stay below 30.  libxml2 itself stops at 256."""

ROOT_TAG_WINDOW = 64 * 1024
"""Bytes in which the start tag of a broken message is looked for: far more than any ``<rpc>`` tag has."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHITE_SPACE = b" \t\r\n"
_DECLARED_ENCODING = re.compile(rb"<\?xml\s[^>]*?\bencoding\s*=\s*[\"']([^\"'>]*)")
_PARSER_OPTIONS: dict[str, Any] = {
    "encoding": "utf-8",
    "resolve_entities": False,
    "load_dtd": False,
    "no_network": True,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
    "collect_ids": False,  # xml:id means nothing to NETCONF, and a duplicate would be an error
}
_PARSER = etree.XMLParser(**_PARSER_OPTIONS)


class MalformedMessage(WireError):  # noqa: N818 - named like the rest of the tree in errors.py
    """The message is not XML as NETCONF wants it; ``line`` and ``column`` count from 1, or are 0 if not known."""

    def __init__(self, reason: str, *, line: int = 0, column: int = 0) -> None:
        where = f" at line {line}, column {column}" if line else ""
        super().__init__(f"malformed message{where}: {reason}")
        self.reason = reason
        self.line = line
        self.column = column


def parse_message(message: bytes, *, max_depth: int = MAX_DEPTH) -> etree._Element:
    """The root element of ``message``.

    White space before the XML declaration is dropped: scrapli sends ``\\n<?xml``.  Raises :exc:`MalformedMessage`.
    """
    document = _checked(message)
    try:
        root = etree.fromstring(document, _PARSER)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        reason = re.sub(r", line \d+, column \d+$", "", error.msg or "not well-formed")
        raise MalformedMessage(reason, line=line, column=column) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise MalformedMessage(_NO_DOCTYPE)
    if _deeper_than(max_depth)(root):
        raise MalformedMessage(f"more than {max_depth} elements are nested in each other")
    return root


def recover_root(message: bytes) -> etree._Element | None:
    """The root element of a message that is not well-formed, if its start tag is.

    The element has its name, attributes and namespace declarations; its content is not to be used.  With it a
    reply can carry the message-id of a broken ``<rpc>``.
    """
    try:
        document = _checked(message)
    except MalformedMessage:
        return None
    parser = etree.XMLPullParser(events=("start",), **_PARSER_OPTIONS)
    with suppress(etree.XMLSyntaxError):  # that there is an error is known; what comes before it is wanted
        parser.feed(document[:ROOT_TAG_WINDOW])
    with suppress(etree.XMLSyntaxError):  # raised again after the last event before the error
        for _, element in parser.read_events():
            return cast("etree._Element", element)
    return None


def split_name(element: etree._Element) -> tuple[str | None, str]:
    """The namespace (``None`` if there is none) and the local name of ``element``."""
    namespace, separator, name = element.tag.rpartition("}")
    return (namespace[1:] if separator else None), name


_NO_DOCTYPE = "a document type declaration is not accepted"


def _checked(message: bytes) -> bytes:
    """``message`` without what may stand before the declaration; raises MalformedMessage for what lxml may let pass."""
    document = message.removeprefix(_BYTE_ORDER_MARK).lstrip(_WHITE_SPACE)
    if not document:
        raise MalformedMessage("the message is empty")
    if b"\0" in document:
        raise MalformedMessage("a NUL character is not allowed in XML")
    if not document.isascii():
        try:
            document.decode("utf-8")
        except UnicodeDecodeError as error:
            line = document.count(b"\n", 0, error.start) + 1
            column = error.start - document.rfind(b"\n", 0, error.start)
            raise MalformedMessage("the text is not UTF-8", line=line, column=column) from None
    declared = _DECLARED_ENCODING.match(document)
    if declared and declared.group(1).lower() not in {b"utf-8", b"utf8", b"us-ascii"}:
        name = declared.group(1).decode("utf-8", "replace")
        raise MalformedMessage(f"encoding {name!r} is not accepted: NETCONF uses UTF-8 (RFC 6241 section 3)")
    _refuse_doctype(document)
    return document


def _refuse_doctype(document: bytes) -> None:
    """A document type declaration can only stand before the root element: look there, before libxml2 acts on it."""
    position = 0
    while True:
        while document[position : position + 1] in {b" ", b"\t", b"\r", b"\n"}:
            position += 1
        if document.startswith(b"<?", position):
            end, mark = document.find(b"?>", position), 2
        elif document.startswith(b"<!--", position):
            end, mark = document.find(b"-->", position + 4), 3
        elif document.startswith(b"<!", position):
            raise MalformedMessage(_NO_DOCTYPE)
        else:
            return
        if end < 0:
            return  # not closed: the parser says so, with the position
        position = end + mark


@lru_cache(maxsize=8)
def _deeper_than(depth: int) -> etree.XPath:
    """A test for more than ``depth`` nested elements: 2 us for a small message, 2 ms for 70,000 elements, all in C."""
    return etree.XPath(f"boolean({'/*' * (depth + 1)})")
