"""Canonical forms that need no libyang (RFC 7950 section 9.1)."""

from __future__ import annotations

import re
import socket

from mlag_agent.schema.nodes import LeafType, Lexical, SchemaNode

__all__ = ["canonical_text", "matching_text"]

_INTEGER = re.compile(r"(?:0|-?[1-9][0-9]*)\Z")
_LOOSE_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*\Z")


def canonical_text(kind: LeafType, value: str, *, loose: bool = False) -> str | None:
    """The canonical form of a value, or None where only libyang knows it.

    The value has passed libyang's type check, unless ``loose``: then it may be anything, as in a filter's
    content match, a union's members are tried in turn, and None also says that it is no value of the type.
    """
    lexical = kind.lexical
    if lexical is Lexical.VERBATIM:
        return value
    if lexical is Lexical.INTEGER:
        if _INTEGER.match(value):
            return value
        return str(int(value)) if loose and _LOOSE_INTEGER.match(value) else None
    if lexical is Lexical.IPV6:
        return _address(socket.AF_INET6, value)
    if lexical is Lexical.IPV4:
        return _address(socket.AF_INET, value)
    if lexical is Lexical.IDENTITY:
        return value if ":" in value else None
    if loose:
        for member in kind.members:
            if member.lexical is not Lexical.VERBATIM and (found := canonical_text(member, value, loose=True)):
                return found
    return None


def matching_text(node: SchemaNode, text: str) -> str:
    """A text that a filter compares a leaf with, in the canonical form of its type: values are compared, not texts, of
    addresses and numbers (RFC 7950 section 9.1).  What is no value of the type stays as it is."""
    assert node.type is not None
    return canonical_text(node.type, text, loose=True) or text


def _address(family: socket.AddressFamily, value: str) -> str | None:
    # libyang's canonical form is that of inet_ntop, which writes IPv4-mapped and -compatible IPv6 addresses with
    # dotted decimals where Python's ipaddress does not.
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, value))
    except (OSError, ValueError):  # ValueError: an embedded NUL or a surrogate
        return None
