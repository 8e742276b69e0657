"""NETCONF message framing over a byte stream (RFC 6242 section 4), without I/O.

A session starts with end-of-message framing (``]]>]]>``) and changes to chunked framing after the hellos, if both
sides offered ``base:1.1``.  :class:`FrameDecoder` therefore hands out one message at a time: the caller may change
:attr:`FrameDecoder.framing` between two messages of one piece of input.

White space between frames is accepted in both framings: scrapli sends line ends after ``]]>]]>`` and after ``##``.
"""

from __future__ import annotations

import re
from enum import Enum

from mlag_agent.errors import WireError

__all__ = [
    "CHUNK_SIZE",
    "END_OF_MESSAGE",
    "MAX_CHUNK_SIZE",
    "MAX_MESSAGE_SIZE",
    "FrameDecoder",
    "Framing",
    "FramingError",
    "MessageTooBig",
    "UnframableMessage",
    "encode",
]

END_OF_MESSAGE = b"]]>]]>"
"""The end-of-message mark of base:1.0 (RFC 6242 section 4.3)."""

END_OF_CHUNKS = b"\n##\n"

MAX_CHUNK_SIZE = 4_294_967_295
"""RFC 6242 section 4.2: a chunk-size is 1 to 4294967295."""

MAX_MESSAGE_SIZE = 30 * 1024 * 1024
"""Bytes one message may have: some 200,000 list entries; parsed it takes about ten times that in memory."""

CHUNK_SIZE = 64 * 1024
"""Bytes of payload per chunk we send: ncclient reads 8 MB in 0.36 s so, in 1.02 s as one chunk, in 0.55 s at 1 KiB."""

_WHITE_SPACE = re.compile(rb"[ \t\r\n]*")
_HEADER = re.compile(rb"\n#(?:([1-9][0-9]{0,9})|#)\n")
_HEADER_START = re.compile(rb"\n(?:#(?:#|[1-9][0-9]{0,9})?)?\Z")
_LONGEST_HEADER = len(b"\n#4294967295\n")


class FramingError(WireError):
    """The bytes break the framing; RFC 6242 section 4.2: the session must be terminated."""


class MessageTooBig(WireError):  # noqa: N818 - named like the rest of the tree in errors.py
    """The message is larger than the limit; ``limit`` is in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the message is larger than the limit of {limit} bytes")
        self.limit = limit


class UnframableMessage(ValueError):  # noqa: N818 - named like the rest of the tree in errors.py
    """A message of **ours** cannot be framed: it is empty, or holds ``]]>]]>`` in end-of-message framing."""


class Framing(Enum):
    """The two framings of RFC 6242."""

    END_OF_MESSAGE = "end-of-message"
    """``]]>]]>`` after each message: the hellos, and all of a base:1.0 session (section 4.3)."""
    CHUNKED = "chunked"
    """``LF # size LF data`` ... ``LF ## LF``: a base:1.1 session after the hellos (section 4.2)."""


class FrameDecoder:
    """Cuts a byte stream into messages; time is linear in the bytes fed, however they are cut.

    Feed with :meth:`feed`, then call :meth:`next_message` until it returns ``None``.  After an exception the decoder
    must not be used any more: the position in the stream is lost.
    """

    __slots__ = ("_body", "_buffer", "_position", "_remaining", "_scanned", "framing", "max_message_size")

    def __init__(self, *, framing: Framing = Framing.END_OF_MESSAGE, max_message_size: int = MAX_MESSAGE_SIZE) -> None:
        self.framing = framing
        """May be changed between messages only."""
        self.max_message_size = max_message_size
        """Bytes; may be changed between messages."""
        self._buffer = bytearray()
        self._position = 0  # of the first byte in _buffer that is not consumed yet
        self._scanned = 0  # bytes before this hold no whole end-of-message mark
        self._body = bytearray()  # chunks of the message under way
        self._remaining = 0  # bytes of the chunk under way that are still missing

    def feed(self, data: bytes) -> None:
        """Take bytes from the peer; nothing is parsed yet."""
        self._buffer += data

    @property
    def inside_message(self) -> bool:
        """Whether the stream, if it ended here, would end in the middle of a message."""
        return bool(self._body or self._remaining or self._buffer[self._position :].strip())

    def next_message(self) -> bytes | None:
        """The next whole message without its framing, or ``None`` if more bytes are needed.

        Raises :exc:`FramingError` and :exc:`MessageTooBig`.
        """
        message = self._next_chunked() if self.framing is Framing.CHUNKED else self._next_end_of_message()
        if message is None or self._position == len(self._buffer):
            # Deleting at the front of a bytearray moves its start; it copies only when half of it is free.
            self._scanned = max(0, self._scanned - self._position)
            del self._buffer[: self._position]
            self._position = 0
        return message

    # --- end-of-message framing -------------------------------------------------------------------------------------

    def _next_end_of_message(self) -> bytes | None:
        buffer = self._buffer
        if self._scanned <= self._position:
            self._skip_white_space()
            self._scanned = self._position
        end = buffer.find(END_OF_MESSAGE, self._scanned)
        size = (len(buffer) if end < 0 else end) - self._position
        if size > self.max_message_size:
            raise MessageTooBig(self.max_message_size)
        if end < 0:
            # The mark may have begun: look at its first bytes again, and at nothing else.
            self._scanned = max(self._position, len(buffer) - len(END_OF_MESSAGE) + 1)
            return None
        message = bytes(buffer[self._position : end])
        self._position = self._scanned = end + len(END_OF_MESSAGE)
        return message

    def _skip_white_space(self) -> None:
        match = _WHITE_SPACE.match(self._buffer, self._position)
        assert match is not None  # the pattern matches the empty string
        self._position = match.end()

    # --- chunked framing --------------------------------------------------------------------------------------------

    def _next_chunked(self) -> bytes | None:
        if not self._remaining and not self._body:
            message = self._whole_message()
            if message is not None:
                return message
        while True:
            if self._remaining and not self._take_data():
                return None
            if not self._body:
                self._skip_between_messages()
            size = self._take_header()
            if size is None:
                return None
            if size == 0:
                message = bytes(self._body)
                self._body = bytearray()
                return message
            if len(self._body) + size > self.max_message_size:
                raise MessageTooBig(self.max_message_size)
            self._remaining = size

    def _whole_message(self) -> bytes | None:
        """The next message if it is all there in one chunk, as nearly all are; anything else takes the loop."""
        match = _HEADER.match(self._buffer, self._position)
        if match is None or not match.group(1):
            return None
        start, size = match.end(), int(match.group(1))
        if size > self.max_message_size or not self._buffer.startswith(END_OF_CHUNKS, start + size):
            return None
        self._position = start + size + len(END_OF_CHUNKS)
        return bytes(self._buffer[start : start + size])

    def _take_data(self) -> bool:
        """Move what is there of the chunk under way to the body; True if the chunk is complete."""
        end = min(self._position + self._remaining, len(self._buffer))
        with memoryview(self._buffer) as view:
            self._body += view[self._position : end]
        self._remaining -= end - self._position
        self._position = end
        return not self._remaining

    def _skip_between_messages(self) -> None:
        """Skip stray white space before the first chunk, but not the LF that begins its header."""
        start = self._position
        self._skip_white_space()
        if self._position > start and self._buffer[self._position - 1] == ord("\n"):
            self._position -= 1

    def _take_header(self) -> int | None:
        """The size of the chunk whose header comes next, 0 at the end of chunks, ``None`` if it is not there yet."""
        match = _HEADER.match(self._buffer, self._position)
        if match is not None:
            size, end = match.group(1), match.end()
            if size is None and not self._body:
                raise FramingError("a message without a chunk: '##' comes before any chunk (RFC 6242 section 4.2)")
            if size is not None and int(size) > MAX_CHUNK_SIZE:
                raise FramingError(f"chunk size {int(size)} is larger than {MAX_CHUNK_SIZE} (RFC 6242 section 4.2)")
            self._position = end
            return 0 if size is None else int(size)
        head = bytes(self._buffer[self._position : self._position + _LONGEST_HEADER])
        if head and not _HEADER_START.match(head):
            raise FramingError(_what_is_wrong_with(head))
        return None


def _what_is_wrong_with(head: bytes) -> str:
    """Say why ``head``, the first bytes where a chunk header should be, is none."""
    shown = f"{head!r} (RFC 6242 section 4.2)"
    if not head.startswith(b"\n"):
        return f"expected the line feed before a chunk header, got {shown}"
    if not head.startswith(b"\n#"):
        return f"expected '#' after the line feed of a chunk header, got {shown}"
    digits = head[2:].split(b"\n", 1)[0]
    if digits.startswith(b"0"):
        return f"a chunk size is 1 to {MAX_CHUNK_SIZE} without leading zeros, got {shown}"
    if digits[:10].isdigit() and len(digits) >= 10:
        return f"a chunk size has at most 10 digits and ends with a line feed, got {shown}"
    return f"expected a chunk size or '#', and a line feed, got {shown}"


def encode(message: bytes, framing: Framing) -> bytes:
    """``message`` with its framing, ready to be sent.

    Chunks have about :data:`CHUNK_SIZE` bytes and end where a UTF-8 character ends: ncclient decodes each chunk on its
    own and dies with UnicodeDecodeError otherwise.  Raises :exc:`UnframableMessage`.
    """
    if not message:
        raise UnframableMessage("an empty message cannot be sent")
    if framing is Framing.END_OF_MESSAGE:
        if END_OF_MESSAGE in message:
            raise UnframableMessage(f"the message holds {END_OF_MESSAGE!r}: the peer would see two messages")
        return message + END_OF_MESSAGE
    if len(message) <= CHUNK_SIZE:
        return b"\n#%d\n%b%b" % (len(message), message, END_OF_CHUNKS)
    view = memoryview(message)
    pieces: list[bytes | memoryview] = []
    start = 0
    while start < len(message):
        end = _character_boundary(message, start, start + CHUNK_SIZE)
        pieces += (b"\n#%d\n" % (end - start), view[start:end])
        start = end
    pieces.append(END_OF_CHUNKS)
    return b"".join(pieces)


def _character_boundary(message: bytes, start: int, end: int) -> int:
    """The last position in ``start + 1 .. end`` that does not cut a UTF-8 character (RFC 3629: at most 4 bytes)."""
    if end >= len(message):
        return len(message)
    for position in range(end, max(start, end - 4), -1):
        if message[position] & 0xC0 != 0x80:
            return position
    return end  # not UTF-8 at all: any cut is as good
