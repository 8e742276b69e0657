"""The notation of the command pages, as a matcher: keywords, parameters, optional parts, repetitions.

::

    peer-link source ip <local:ipv4> [vpn-instance <vpn:name>] peer <peer:ipv4> tcp-port <port:1-65535>
    port vlan exclude <vlans:vlan>+

``<name:kind>`` is a parameter, ``<name:=a|b>`` one that is one of these words; kinds are ``LOW-HIGH``, ``ipv4``,
``ipv6``, ``mask``, ``name``, ``password``, ``label``, ``token``, ``text``, ``word``, ``delay`` and ``vlan``.  ``[...]``
may be left out, ``+`` stands for one or more of the parameter before it, up to the end of the line (``text``: one value
of several words).  Keywords may be shortened as long as they stay
unambiguous, as on the device.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Final

from mlag_client.errors import InvalidRequest

__all__ = [
    "Attempt",
    "Bindings",
    "CommandSyntaxError",
    "Expectation",
    "Match",
    "Param",
    "Pattern",
    "complaint",
    "quoted",
    "split_line",
]

Bindings = dict[str, str]
"""Parameter to canonical value; of a repeated one the values with spaces in between."""

MAX_LINE: Final = 4096
"""Characters of one command line: the longest command of the catalogue, with all its parameters, has below 500."""

MAX_TEXT: Final = 60
"""Characters of the description of a commit (DOMAIN.md 4.4)."""

VLAN_RANGES: Final = 10
"""Ranges that ``port vlan exclude`` takes at once: ``&<1-10>`` of its page."""


class CommandSyntaxError(InvalidRequest):
    """A line that is no command of its view; ``position`` is the index of the first word that does not fit."""

    def __init__(self, message: str, position: int = 0, hint: str = "") -> None:
        super().__init__(message, hint)
        self.position = position


@dataclass(frozen=True, slots=True)
class Expectation:
    """What may stand at a place: a keyword, or a parameter with what it takes."""

    text: str
    help: str
    keyword: bool


@dataclass(frozen=True, slots=True)
class Word:
    """A keyword."""

    text: str


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter."""

    name: str
    kind: str
    repeated: bool = False

    @property
    def choices(self) -> tuple[str, ...]:
        """The words of an enumeration."""
        return tuple(self.kind[1:].split("|")) if self.kind.startswith("=") else ()

    def check(self, text: str) -> str:
        """The canonical value; raises ValueError with what would be right."""
        limits = _RANGE.fullmatch(self.kind)
        if limits is not None:
            return _number(text, int(limits[1]), int(limits[2]))
        if self.choices:
            found = [c for c in self.choices if c == text] or [c for c in self.choices if c.startswith(text)]
            if len(found) == 1:
                return found[0]
            raise ValueError(f"must be {' or '.join(self.choices)}")
        return _KINDS[self.kind][1](text)

    def expectations(self) -> Iterator[Expectation]:
        """For help and completion."""
        if self.choices:
            yield from (Expectation(choice, "", keyword=True) for choice in self.choices)
        else:
            limits = _RANGE.fullmatch(self.kind)
            text = f"INTEGER<{self.kind}>" if limits else _KINDS[self.kind][0]
            yield Expectation(text, self.name.replace("_", " "), keyword=False)


@dataclass(frozen=True, slots=True)
class Optional:
    """A part that may be left out."""

    parts: tuple[Part, ...]


Part = Word | Param | Optional

_RANGE = re.compile(r"(\d+)-(\d+)")


def _number(text: str, low: int, high: int) -> str:
    if not text.isascii() or not text.isdecimal() or not low <= int(text) <= high:
        raise ValueError(f"must be an integer from {low} to {high}" if low < high else f"must be {low}")
    return str(int(text))


def _name(text: str) -> str:
    if not 1 <= len(text) <= 31:
        raise ValueError("must have 1 to 31 characters")
    return text


def _password(text: str) -> str:
    if not (8 <= len(text) <= 16 or len(text) == 128):
        raise ValueError("must have 8 to 16 characters, or be the 128 characters of cipher text")
    return text


def _token(text: str) -> str:
    if not 1 <= len(text) <= 256:
        raise ValueError("must have 1 to 256 characters")
    return text


def _label(text: str) -> str:
    if text[:1].isdigit() or text == "-":
        raise ValueError("must not begin with a digit or be a hyphen")
    return _token(text)


def _text(text: str) -> str:
    if not 1 <= len(text) <= MAX_TEXT:
        raise ValueError(f"must have 1 to {MAX_TEXT} characters")
    return text


def _mask(text: str) -> str:
    """A prefix length, also from a mask."""
    try:
        length = int(text) if text.isdecimal() else IPv4Network(f"0.0.0.0/{text}").prefixlen
    except ValueError:
        length = 0
    if not 1 <= length <= 32:
        raise ValueError("must be a mask length from 1 to 32 or a mask such as 255.255.255.0")
    return str(length)


def _ipv4(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise ValueError("must be an IPv4 address") from None


def _ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError:
        address = None
    if address is None or address.scope_id is not None:
        raise ValueError("must be an IPv6 address without a zone")
    return str(address)


def _delay(text: str) -> str:
    return text if text == "immediately" else _number(text, 0, 3600)


def _any(text: str) -> str:
    return text


_KINDS: Final[Mapping[str, tuple[str, Callable[[str], str]]]] = {
    "ipv4": ("X.X.X.X", _ipv4),
    "ipv6": ("X:X:X:X:X:X:X:X", _ipv6),
    "mask": ("INTEGER<1-32>/X.X.X.X", _mask),
    "name": ("STRING<1-31>", _name),
    "password": ("STRING<8-16>/<128>", _password),
    "label": ("STRING<1-256>", _label),
    "token": ("STRING<1-256>", _token),
    "text": ("TEXT<1-60>", _text),
    "delay": ("INTEGER<0-3600>", _delay),
    "vlan": ("INTEGER<1-4094>", lambda text: _number(text, 1, 4094)),
    "word": ("STRING", _any),
}
"""Kind to what help shows of it, and its check."""


# --- the notation ---------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"\s*(?:(?P<open>\[)|(?P<close>\])|<(?P<name>[a-z_0-9]+):(?P<kind>[^>]+)>(?P<more>\+?)|(?P<word>[^\s\[\]<>]+))"
)


def _parse(text: str) -> tuple[Part, ...]:
    """Parts of a pattern; raises ValueError for what is not in the notation (the catalogue is tested)."""
    levels: list[list[Part]] = [[]]
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"at {at}: {text!r}")
        at = match.end()
        if match["open"]:
            levels.append([])
        elif match["close"]:
            inner = Optional(tuple(levels.pop()))
            levels[-1].append(inner)
        elif match["name"]:
            levels[-1].append(Param(match["name"], match["kind"], repeated=bool(match["more"])))
        else:
            levels[-1].append(Word(match["word"]))
    if len(levels) != 1:
        raise ValueError(f"brackets of {text!r}")
    return tuple(levels[0])


@dataclass(frozen=True, slots=True)
class Match:
    """A line read by a pattern: parameters by name, and how many keywords were shortened."""

    bindings: Bindings
    shortened: int


@dataclass(slots=True)
class Attempt:
    """How far reading a line came, what would have been right there, and what is wrong with the value there."""

    position: int = 0
    expected: dict[str, Expectation] = field(default_factory=dict)
    complaint: str = ""

    def at(self, position: int, expected: Iterator[Expectation], complaint: str = "") -> None:
        """It came to ``position``; what is known of places before does not matter any more."""
        if position > self.position:
            self.position, self.expected, self.complaint = position, {}, ""
        if position == self.position:
            self.expected |= {expectation.text: expectation for expectation in expected}
            self.complaint = self.complaint or complaint

    def join(self, other: Attempt) -> None:
        """The further one of two; of two as far as each other, what either expects."""
        self.at(other.position, iter(other.expected.values()), other.complaint)


def complaint(words: Sequence[str], furthest: Attempt, skipped: int = 0) -> CommandSyntaxError:
    """Why no pattern fits: the value that is wrong, or where the line leaves all of them and what is expected there.

    ``skipped``: words of the line that stand before ``words``.
    """
    at = furthest.position
    if furthest.complaint:
        return CommandSyntaxError(furthest.complaint, at + skipped)
    line = " ".join(words)
    options = f"expected there: {', '.join(sorted(furthest.expected)) or 'nothing more'}"
    if at >= len(words):
        return CommandSyntaxError(f"incomplete command: {line}", at + skipped, options)
    return CommandSyntaxError(f"unrecognized command at {words[at]!r}: {line}", at + skipped, options)


class Pattern:
    """One command's words, from the notation of the module's docstring."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts = _parse(text)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    @property
    def params(self) -> tuple[Param, ...]:
        """All parameters, those of optional parts too, in order."""
        return tuple(_params(self.parts))

    def match(self, words: Sequence[str]) -> tuple[Match | None, Attempt]:
        """Read a whole line; None when it does not fit, and how far it did."""
        attempt = Attempt()
        for at, bindings, shortened in _read(self.parts, words, 0, attempt):
            if at == len(words):
                return Match(bindings, shortened), attempt
            attempt.at(at, iter((Expectation("<cr>", "", keyword=False),)))
        return None, attempt

    def expected(self, words: Sequence[str]) -> tuple[Expectation, ...]:
        """What may stand behind ``words``; empty when they do not begin this command.  ``<cr>``: it may end there."""
        attempt = Attempt()
        ends = any(at == len(words) for at, _, _ in _read(self.parts, words, 0, attempt))
        found = tuple(attempt.expected.values()) if attempt.position == len(words) else ()
        return (*found, Expectation("<cr>", "", keyword=False)) if ends else found

    def format(self, bindings: Mapping[str, str]) -> str:
        """The line that gives these parameters; an optional part is written when all of its parameters are there.

        Raises KeyError when a parameter that is not optional is missing.
        """
        return " ".join(_write(self.parts, bindings))


def _params(parts: Sequence[Part]) -> Iterator[Param]:
    for part in parts:
        if isinstance(part, Param):
            yield part
        elif isinstance(part, Optional):
            yield from _params(part.parts)


def _read(
    parts: Sequence[Part], words: Sequence[str], at: int, attempt: Attempt
) -> Iterator[tuple[int, Bindings, int]]:
    """Every way to read ``parts`` from ``words[at:]``: where it ends, parameters, shortened keywords."""
    if not parts:
        yield at, {}, 0
        return
    first, rest = parts[0], parts[1:]
    if isinstance(first, Optional):
        yield from _read((*first.parts, *rest), words, at, attempt)
        yield from _read(rest, words, at, attempt)
        return
    if at >= len(words):
        attempt.at(at, _expectations(first))
        return
    word = words[at]
    if isinstance(first, Word):
        if not first.text.startswith(word):
            attempt.at(at, _expectations(first))
            return
        for end, bindings, shortened in _read(rest, words, at + 1, attempt):
            yield end, bindings, shortened + (word != first.text)
        return
    try:
        if first.repeated:
            yield len(words), {first.name: _repeated(first, words[at:])}, 0
            return
        value = first.check(word)
    except ValueError as problem:
        attempt.at(at, _expectations(first), f"{first.name.replace('_', ' ')} {word!r} {problem}")
        return
    for end, bindings, shortened in _read(rest, words, at + 1, attempt):
        yield end, {first.name: value, **bindings}, shortened


def _expectations(part: Word | Param) -> Iterator[Expectation]:
    return iter((Expectation(part.text, "", keyword=True),)) if isinstance(part, Word) else part.expectations()


def _repeated(param: Param, words: Sequence[str]) -> str:
    """One or more values, which end the line; VLANs also as ``A to B``, a text as it is."""
    if param.kind == "text":
        return param.check(" ".join(words))
    if param.kind != "vlan":
        return " ".join(dict.fromkeys(map(param.check, words)))
    found: set[int] = set()
    rest = list(words)
    ranges = 0
    while rest:
        low = high = int(param.check(rest.pop(0)))
        if rest and len(rest) > 1 and "to".startswith(rest[0]):
            high = int(param.check(rest[1]))
            del rest[:2]
        if high < low:
            raise ValueError(f"ends below where it begins: {low} to {high}")
        ranges += 1
        found.update(range(low, high + 1))
    if ranges > VLAN_RANGES:
        raise ValueError(f"has {ranges} ranges; at most {VLAN_RANGES} go into one command")
    return " ".join(map(str, sorted(found)))


def _write(parts: Sequence[Part], bindings: Mapping[str, str]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Word):
            yield part.text
        elif isinstance(part, Param):
            value = bindings[part.name]
            yield (
                quoted(value)
                if part.kind in ("name", "password", "label", "token", "word") and not part.repeated
                else value
            )
        elif all(isinstance(inner, Word | Optional) or inner.name in bindings for inner in part.parts):
            yield from _write(part.parts, bindings)


# --- words of a line ------------------------------------------------------------------------------------------------

_LINE_WORD = re.compile(r'"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+)|(?P<bad>")')


def split_line(line: str) -> list[str]:
    """Words of a line; a word with spaces stands in double quotes (the device knows no way to quote the quote itself).

    Raises CommandSyntaxError for a quote without its end and for a line that is too long.
    """
    if len(line) > MAX_LINE:
        raise CommandSyntaxError(f"the line has {len(line)} characters; at most {MAX_LINE} are read")
    words: list[str] = []
    for match in _LINE_WORD.finditer(line):
        if match["bad"]:
            raise CommandSyntaxError(f"a double quote without its end: {line.strip()}", len(words))
        words.append(match["quoted"] if match["plain"] is None else match["plain"])
    return words


def quoted(value: str) -> str:
    """The value as one word of a line."""
    return f'"{value}"' if not value or re.search(r"\s", value) else value
