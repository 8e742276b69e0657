"""Canonical forms of default values (RFC 7950 section 9.1), which a module may write in any form that the type allows.

Of unions, bits and string types with a form that libyang alone knows, ``data.defaults`` asks libyang.
"""

from __future__ import annotations

import socket

from mlag_agent.schema.nodes import LeafType, Lexical

__all__ = ["canonical_default"]

_FAMILIES = {Lexical.IPV4: socket.AF_INET, Lexical.IPV6: socket.AF_INET6}


def canonical_default(kind: LeafType, text: str) -> str:
    """The canonical form; the text itself where only libyang knows it."""
    if kind.lexical is Lexical.INTEGER:
        return _integer(text)
    if kind.base == "decimal64":
        return _decimal(text)
    if kind.lexical in _FAMILIES:
        family = _FAMILIES[kind.lexical]
        try:
            return socket.inet_ntop(family, socket.inet_pton(family, text))
        except (OSError, ValueError):  # whether the type allows it is for libyang to say, which loads the module too
            return text
    return text


def _integer(text: str) -> str:
    """Modules may write integers in hexadecimal and octal as well (section 9.2.1)."""
    sign, digits = ("-", text[1:]) if text[:1] == "-" else ("", text.removeprefix("+"))
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[:1] == "0" else 10
    return str(int(sign + digits, base))


def _decimal(text: str) -> str:
    """A point with a digit on each side, and no zeros beyond (section 9.3.2)."""
    sign, digits = ("-", text[1:]) if text[:1] == "-" else ("", text.removeprefix("+"))
    whole, _, fraction = digits.partition(".")
    value = f"{whole.lstrip('0') or '0'}.{fraction.rstrip('0') or '0'}"
    return value if value == "0.0" else sign + value
