"""Reading of replies: one element, its children as typed values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_address
from typing import TypeVar

from lxml import etree

from mlag_client.errors import UnexpectedReply
from mlag_client.model import IPAddress

__all__ = ["ReplyNode"]

_Word = TypeVar("_Word", bound=StrEnum)
_Value = TypeVar("_Value")


class ReplyNode:
    """Typed reading of one element's children; the children are in the element's namespace.

    What the module promises and the reply lacks raises UnexpectedReply with its path.
    """

    __slots__ = ("element", "namespace")

    def __init__(self, element: etree._Element, namespace: str) -> None:
        self.element = element
        self.namespace = namespace

    def child(self, *names: str) -> ReplyNode | None:
        found = self.element.find("/".join(f"{{{self.namespace}}}{name}" for name in names))
        return None if found is None else ReplyNode(found, self.namespace)

    def children(self, name: str) -> Iterator[ReplyNode]:
        return (ReplyNode(found, self.namespace) for found in self.element.findall(f"{{{self.namespace}}}{name}"))

    def text(self, name: str) -> str | None:
        found = self.element.find(f"{{{self.namespace}}}{name}")
        return None if found is None else (found.text or "").strip()

    def required(self, name: str) -> str:
        text = self.text(name)
        if text is None:
            raise UnexpectedReply(f"the reply has no {name} in {etree.QName(self.element).localname}")
        return text

    def number(self, name: str) -> int:
        return self._converted(name, self.required(name), int)

    def count(self, name: str) -> int:
        """A counter; one that is absent has never counted."""
        return 0 if self.text(name) is None else self.number(name)

    def optional_number(self, name: str) -> int | None:
        return None if self.text(name) is None else self.number(name)

    def address(self, name: str) -> IPAddress:
        return self._converted(name, self.required(name), ip_address)

    def optional_address(self, name: str) -> IPAddress | None:
        return None if self.text(name) is None else self.address(name)

    def time(self, name: str) -> datetime | None:
        text = self.text(name)
        return None if text is None else self._converted(name, text, datetime.fromisoformat)

    def word(self, name: str, words: type[_Word]) -> _Word:
        return self._converted(name, self.required(name), words)

    def optional_word(self, name: str, words: type[_Word]) -> _Word | None:
        return None if self.text(name) is None else self.word(name, words)

    @staticmethod
    def _converted(name: str, text: str, convert: Callable[[str], _Value]) -> _Value:
        try:
            return convert(text)
        except ValueError as error:
            raise UnexpectedReply(f"the reply's {name} is not what the module says: {error}") from error
