"""What libyang says is wrong, as ``RpcError``: tag, app-tag, path and a message that names node and value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from mlag_agent.errors import ErrorTag, InfoElement, RpcError
from mlag_agent.schema.nodes import SchemaNode

__all__ = ["MAX_ERRORS", "ValueLookup", "bounded", "constraint_error", "describe", "more_errors", "payload_error"]

# More violations than this in one request are not listed: the reply stays readable and bounded.
MAX_ERRORS = 100

# Values in messages are cut to this: a message is for a person.
MESSAGE_VALUE_LIMIT = 120

YANG_NS = "urn:ietf:params:xml:ns:yang:1"

NOT_SHOWN = "(value not shown)"


class ValueLookup(Protocol):
    """Instance path to (schema node, value, full path); None when there is nothing.

    libyang gives no full path below a list entry with a bad key; ``message``, which quotes the value, helps to tell
    the entries apart.
    """

    def __call__(self, path: str, message: str = "", /) -> tuple[SchemaNode, str | None, str] | None:
        """Look a path up."""


# Texts of libyang 4 for violations whose RFC 7950 section 15 tag cannot be told from its app-tag.
_MANDATORY = re.compile(r'Mandatory (node|choice) "([^"]+)" (?:instance|data) do(?:es)? not exist')
_UNIQUE = re.compile(r'Unique data leaf\(s\) "(?P<leafs>[^"]*)" not satisfied in "(?P<one>.*)" and "(?P<other>.*)"\.$')
_NO_PATTERN = re.compile(r"^Unsatisfied pattern|^Unsatisfied length|^Unsatisfied range")
_APP_TAGS: Mapping[str, tuple[ErrorTag, str]] = {
    "instance-required": (ErrorTag.DATA_MISSING, "instance-required"),
    "missing-choice": (ErrorTag.DATA_MISSING, "missing-choice"),
    "data-not-unique": (ErrorTag.OPERATION_FAILED, "data-not-unique"),
    "too-many-elements": (ErrorTag.OPERATION_FAILED, "too-many-elements"),
    "too-few-elements": (ErrorTag.OPERATION_FAILED, "too-few-elements"),
    "must-violation": (ErrorTag.OPERATION_FAILED, "must-violation"),
}


def bounded(found: Sequence[Any], convert: Callable[[Any], RpcError], *, every: bool = False) -> Sequence[RpcError]:
    """The first MAX_ERRORS violations, the last place taken by the number of those that are not listed."""
    if every or len(found) <= MAX_ERRORS:
        return list(dict.fromkeys(map(convert, found)))
    listed = list(dict.fromkeys(map(convert, found[: MAX_ERRORS - 1])))
    return [*listed, more_errors(len(found) - len(listed), listed[-1])]


def more_errors(count: int, like: RpcError) -> RpcError:
    """Stands for violations that are not listed."""
    return RpcError(like.tag, f"{count} more violations are not listed here")


# libyang names the leafref's target as the module writes it, with that module's prefixes.
_NO_TARGET = re.compile(r'no target instance "([^"]+)" with the same value')


_NO_INSTANCE = re.compile(r"required instance not found")
_WHEN = re.compile(r'^When condition ".*" not satisfied', re.DOTALL)
_LAST_PREDICATES = re.compile(r"""(?:\[[^\[\]]*?(?:'[^']*'|"[^"]*")?\])+$""")


def describe(node: SchemaNode, value: str | None) -> str:
    """``tcp-port "80"``: the node and, unless it is a secret, its value, for the beginning of a message.

    Of a container the value is a summary of its leafs.
    """
    if value is None:
        return node.name
    if node.secret:
        return f"{node.name} {NOT_SHOWN}"
    if node.type is None:
        return f"{node.name} ({value})"
    shown = value if len(value) <= MESSAGE_VALUE_LIMIT else value[: MESSAGE_VALUE_LIMIT - 1] + "…"
    return f'{node.name} "{shown}"'


def _words(error: Any, found: tuple[SchemaNode, str | None, str] | None) -> str:
    """libyang's message, which may quote the value, or the module's own."""
    words: str = error.message
    if found is not None and found[0].secret and found[1]:
        words = words.replace(f'"{found[1]}"', NOT_SHOWN)
    if len(words) > 4 * MESSAGE_VALUE_LIMIT:
        words = words[: 4 * MESSAGE_VALUE_LIMIT - 1] + "…"
    return words


def payload_error(error: Any, lookup: ValueLookup) -> RpcError:
    """A value that its type does not allow (RFC 7950 section 8.3.1)."""
    path: str | None = error.data_path
    found = lookup(path, error.message) if path else None
    words = _words(error, found)
    if found is None:
        return RpcError(ErrorTag.INVALID_VALUE, words, app_tag=error.app_tag, path=path)
    node, value, path = found
    if node.type is not None and (error.app_tag is None or _NO_PATTERN.match(words)):
        # libyang's sentence repeats the value; ours says what would have been right instead.
        words = f"must be {node.type.allows}"
    return RpcError(ErrorTag.INVALID_VALUE, f"{describe(node, value)}: {words}", app_tag=error.app_tag, path=path)


def constraint_error(error: Any, lookup: ValueLookup) -> RpcError:
    """A constraint that does not hold (RFC 7950 sections 8.1 and 15)."""
    path: str | None = error.data_path
    found = lookup(path, error.message) if path else None
    words = _words(error, found)
    prefix = f"{describe(found[0], found[1])}: " if found is not None else ""
    mandatory = _MANDATORY.search(error.message)
    if mandatory is not None:
        return _missing(mandatory[1], mandatory[2], path, found)
    if _WHEN.search(error.message):
        # RFC 7950 section 8.3.1: such a node is not there at all.
        name = found[0].name if found is not None else _LAST_PREDICATES.sub("", path or "").rpartition("/")[2]
        info = (InfoElement("bad-element", name.rpartition(":")[2]),)
        return RpcError(ErrorTag.UNKNOWN_ELEMENT, f"{prefix}{words}", path=path, info=info)
    if error.app_tag in _APP_TAGS:
        tag, app_tag = _APP_TAGS[error.app_tag]
        target = _NO_TARGET.search(words)
        if target is not None:
            words = f"no such {target[1]} is configured"
        elif _NO_INSTANCE.search(words):
            words = "no such node is configured"
        elif app_tag in ("too-many-elements", "too-few-elements"):
            path = None if path is None else _LAST_PREDICATES.sub("", path)  # the list, not an entry of it
            prefix, words = ("", _miscounted(found[0], app_tag)) if found is not None else (prefix, words)
        return RpcError(tag, f"{prefix}{words}", app_tag=app_tag, path=path, info=_non_unique(error.message))
    return RpcError(ErrorTag.OPERATION_FAILED, f"{prefix}{words}", app_tag=error.app_tag, path=path)


def _miscounted(node: SchemaNode, app_tag: str) -> str:
    """RFC 7950 sections 15.2 and 15.3."""
    words = (
        f"at most {node.max_elements} may" if app_tag == "too-many-elements" else f"at least {node.min_elements} must"
    )
    return f"{node.name}: {words} be there"


def _missing(kind: str, name: str, path: str | None, found: tuple[SchemaNode, str | None, str] | None) -> RpcError:
    where = found[0].path if found is not None else (path or "/")
    if kind == "choice":  # RFC 7950 section 15.6
        return RpcError(
            ErrorTag.DATA_MISSING,
            f"{where}: a case of the choice {name} is required",
            app_tag="missing-choice",
            path=path,
            info=(InfoElement("missing-choice", name, YANG_NS),),
        )
    child = found[0].child(name) if found is not None else None
    step = f"{child.module.name}:{name}" if child and found and child.module is not found[0].module else name
    target = f"{path.rstrip('/')}/{step}" if path else f"/{step}"
    return RpcError(ErrorTag.DATA_MISSING, f"{where}: {name} is required and missing", path=target)


def _non_unique(message: str) -> tuple[InfoElement, ...]:
    """The leafs that make two entries alike (RFC 7950 section 15.1)."""
    match = _UNIQUE.match(message)
    if match is None:
        return ()
    paths = [f"{match[entry]}/{leaf}" for entry in ("one", "other") for leaf in match["leafs"].split()]
    return tuple(InfoElement("non-unique", path, YANG_NS) for path in paths)
