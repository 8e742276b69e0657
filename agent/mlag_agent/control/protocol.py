"""What goes over the control socket: JSON lines, versioned and bounded.

A client sends one request a line, ``{"v": 1, "do": "notify", "content": "<event .../>"}``, and gets one line for each,
``{"v": 1, "ok": true, "result": ...}`` or ``{"v": 1, "ok": false, "error": "...", "hint": "..."}``.  ``log`` with
``follow`` goes on with one line ``{"v": 1, "entry": {...}}`` for each operation until the client leaves.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

__all__ = ["MAX_MESSAGE", "SOCKET_NAME", "VERSION", "Answer", "ProtocolError", "Request", "decode", "encode"]

VERSION: Final = 1

SOCKET_NAME: Final = "control.sock"

MAX_MESSAGE: Final = 32 * 1024 * 1024
"""Bytes of one line: as much operational data as one NETCONF message may have."""


class ProtocolError(ValueError):
    """A line that is no message of this protocol."""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``content``: of the file; ``path``: of the operation that is to be answered; ``origin``: of operational data.

    ``datastore``: that is saved or loaded; ``json``: as JSON.
    """

    do: Literal["notify", "reply", "operational", "log", "reset", "save", "load"]
    v: int = VERSION
    content: str = ""
    path: str = ""
    origin: str = ""
    follow: bool = False
    config: bool = False
    datastore: str = ""
    json: bool = False


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """``entry``: one operation of a log that is followed; ``lost``: how many of it did not come through."""

    v: int
    ok: bool | None = None
    result: Any = None
    error: str = ""
    hint: str = ""
    entry: dict[str, Any] | None = None
    lost: int = 0


_REQUEST = msgspec.json.Decoder(Request)
_ANSWER = msgspec.json.Decoder(Answer)
_ENCODER = msgspec.json.Encoder()


def encode(message: Request | Answer) -> bytes:
    """One line."""
    return _ENCODER.encode(message) + b"\n"


def decode(line: bytes, *, request: bool) -> Request | Answer:
    """A request, or an answer; raises ProtocolError."""
    try:
        found: Request | Answer = _REQUEST.decode(line) if request else _ANSWER.decode(line)
    except msgspec.DecodeError as error:
        raise ProtocolError(f"not a message of this protocol: {error}") from error
    if found.v != VERSION:
        raise ProtocolError(f"version {found.v} of the protocol is not known here, only {VERSION}")
    return found
