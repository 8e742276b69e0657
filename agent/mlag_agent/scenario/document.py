"""YAML as scenarios have it: strings, decimal numbers, true and false, null, lists, mappings, anchors, merge keys.

By the core schema of YAML 1.2: ``on``, ``12:30`` and a MAC address are strings, whatever YAML 1.1 makes of them.  A key
that stands twice is an error, and each place has its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from mlag_agent.errors import SettingsError

__all__ = ["Document"]


class _Loader(yaml.SafeLoader):
    """Without the implicit types of YAML 1.1."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # PyYAML's own attribute


_TAG = "tag:yaml.org,2002:"
for _name, _pattern, _first in (
    ("bool", r"(?:true|false)$", "tf"),
    ("null", r"(?:null|~|)$", "n~"),
    ("int", r"-?(?:0|[1-9][0-9]*)$", "-0123456789"),
    ("float", r"-?(?:0|[1-9][0-9]*)\.[0-9]+$", "-0123456789"),
    ("merge", r"<<$", "<"),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(_pattern), [*_first, *([""] if _name == "null" else [])])


class Document:
    """The data of a text, and the line of each place in it.  Raises SettingsError that names ``where`` and the line."""

    def __init__(self, text: str, where: str) -> None:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise SettingsError(f"{where} is empty", "docs/scenarios.md has an example of everything")
            self._node: yaml.Node = node
            self._no_key_twice(where)
            self.data: Any = loader.construct_document(self._node)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = "" if mark is None else f", line {mark.line + 1}"
            raise SettingsError(f"{where}{line}: is not YAML: {error.problem or error.context}") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise SettingsError(f"{where}: is not YAML: {' '.join(str(error).split())}") from error
        finally:
            loader.dispose()

    def _no_key_twice(self, where: str) -> None:
        for mapping in _mappings(self._node, set()):
            seen: set[str] = set()
            for key, _ in mapping.value:
                if isinstance(key, yaml.ScalarNode) and key.value in seen:
                    line = key.start_mark.line + 1
                    raise SettingsError(f"{where}, line {line}: {key.value} stands here twice", "leave one of them")
                seen.add(str(key.value))

    def line(self, place: str) -> int:
        """The line of ``$.steps[2].expect``, or of the nearest thing around it that there is."""
        node = self._node
        for name, index in re.findall(r"\.([\w-]+)|\[(\d+)\]", place):
            below: yaml.Node | None = None
            if isinstance(node, yaml.MappingNode):
                below = next((value for key, value in node.value if key.value == name), None)
            elif isinstance(node, yaml.SequenceNode) and index and int(index) < len(node.value):
                below = node.value[int(index)]
            if below is None:
                break
            node = below
        return int(node.start_mark.line) + 1


def _mappings(node: yaml.Node, seen: set[int]) -> Iterator[yaml.MappingNode]:
    if id(node) in seen:
        return  # an alias
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _mappings(item, seen)
