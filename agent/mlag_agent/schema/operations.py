"""The operations context: what an rpc's input, an action's and a notification hold, as data that libyang can check.

libyang's wheel parses no rpc, action or notification tree.  So each module is loaded a second time, in a
variant of itself in which ``rpc foo { input {..} }`` is ``container foo { container input {..} }``; so with actions and
notifications.
Typedefs, groupings, submodules, and augments of operations go on working, since it is the same module.

What the variant leaves out, because the datastores are no part of this context's documents:

* whether the target of an absolute leafref exists (RFC 7950 section 9.9: running and state), and
* ``must`` and ``when`` within an operation that ask for a node by an absolute path.

Both are for the handler to check, which alone knows the state.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from mlag_agent.schema.yin import quoted

__all__ = ["operations_variants"]

_ENVELOPES = frozenset({"rpc", "action", "notification"})
_DATA = frozenset({"container", "list", "leaf", "leaf-list", "choice", "anydata", "anyxml"})

# Texts say nothing to libyang.  Everything is state in this context, or an input could not refer to state (RFC 7950
# section 7.21.1 allows a config true node to depend on configuration only); state has no order by the user.
# Deviations have been made already, by pyang, in the statements that are written here.
_LEFT_OUT = frozenset({"description", "reference", "contact", "organization", "config", "ordered-by", "deviation"})

# An absolute location path in an XPath expression: a slash that nothing which can be a step stands before.
_ABSOLUTE = re.compile(r"(?:^|[(\[,|=<>+*-]|\b(?:and|or|div|mod)\b)\s*/")
_LITERAL = re.compile(r"'[^']*'|\"[^\"]*\"")


def operations_variants(ctx: Any) -> Mapping[str, str]:
    """File name to text of the variant of every module and submodule that pyang's context has."""
    texts: dict[str, str] = {}
    for module in ctx.modules.values():
        revision = module.i_latest_revision
        texts[f"{module.arg}@{revision}.yang" if revision else f"{module.arg}.yang"] = _Variant(module).text()
    return texts


def _absolute(xpath: str) -> bool:
    return _ABSOLUTE.search(_LITERAL.sub("''", xpath)) is not None


class _Variant:
    """Writes one module."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._lines: list[str] = []
        self._needs_version = False

    def text(self) -> str:
        self._emit(self._module, 0, within_operation=False)
        text = "\n".join(self._lines) + "\n"
        if self._needs_version:
            # require-instance below a leafref is of YANG 1.1.
            version = "  yang-version 1.1;"
            head, _, rest = text.partition("\n")
            rest = re.sub(r'^  yang-version "[^"]*";\n', "", rest, count=1, flags=re.MULTILINE)
            text = f"{head}\n{version}\n{rest}"
        return text

    def _emit(self, stmt: Any, depth: int, *, within_operation: bool) -> None:
        pad = "  " * depth
        keyword = stmt.keyword if isinstance(stmt.keyword, str) else ":".join(stmt.raw_keyword)
        if keyword in _LEFT_OUT:
            return
        if within_operation and keyword in ("must", "when") and _absolute(stmt.arg):
            return
        if keyword in ("must", "when", "unique") and stmt.top is not self._module:
            return  # a deviation's, written with the prefixes of the module that deviates; of the data tree as a rule
        inside = within_operation or keyword in _ENVELOPES
        body = [*self._added(stmt, keyword, depth), *_implied(stmt, keyword)]
        name = keyword
        argument = "" if stmt.arg is None else " " + quoted(stmt.arg)
        if keyword in ("input", "output"):
            name, argument = "container", f" {keyword}"
        elif keyword in _ENVELOPES:
            name = "container"
        substatements = [s for s in stmt.substmts if not self._dropped(stmt, s, depth)]
        if not body and not substatements:
            self._lines.append(f"{pad}{name}{argument};")
            return
        self._lines.append(f"{pad}{name}{argument} {{")
        self._lines.extend(f"{pad}  {line}" for line in body)
        for sub in substatements:
            self._emit(sub, depth + 1, within_operation=inside)
        self._lines.append(pad + "}")

    def _added(self, stmt: Any, keyword: str, depth: int) -> Iterable[str]:
        if keyword in _DATA or keyword in _ENVELOPES:
            yield "config false;"
        # With presence, or what is mandatory below would be missed where nothing of it is given: in the output of
        # an operation when its input is checked, and in the data of the operation's module.
        if keyword in ("input", "output") or keyword in _ENVELOPES:
            yield f'presence "{keyword}";'
        elif keyword == "container" and depth == 1 and stmt.search_one("presence") is None:
            yield 'presence "top level";'
        if _absolute_leafref(stmt):
            self._needs_version = True
            yield "require-instance false;"

    @staticmethod
    def _dropped(stmt: Any, sub: Any, depth: int) -> bool:
        if depth == 1 and sub.keyword in ("mandatory", "min-elements"):
            return True
        return sub.keyword == "require-instance" and _absolute_leafref(stmt)


def _implied(stmt: Any, keyword: str) -> Iterable[str]:
    """An operation has input and output also where it does not say so, and augments may name them (RFC 7950 section
    7.14.2)."""
    for side in ("input", "output") if keyword in ("rpc", "action") else ():
        if stmt.search_one(side) is None:
            yield f'container {side} {{ config false; presence "{side}"; }}'


def _absolute_leafref(stmt: Any) -> bool:
    if stmt.keyword != "type":
        return False
    path = stmt.search_one("path")
    return path is not None and path.arg.lstrip().startswith("/")
