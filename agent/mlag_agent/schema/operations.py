"""The operations context: what an rpc or action takes and gives, and what a notification holds, as data for libyang.

libyang's wheel parses no rpc, action or notification tree.  So each module is loaded a second time, in a variant of
itself in which ``rpc foo { input { A } output { B } }`` is ``container foo { A } container foo..output { B }``, and
``notification bar { C }`` is ``container bar { C }``; actions and notifications of data nodes in their places.
Typedefs, groupings, submodules, and augments of operations go on working, since it is the same module, and paths mean
what they mean in an instance (RFC 7950 section 6.4.1), where ``input`` and ``output`` are no nodes: ``..`` leads from a
parameter to its operation.

Everything is state in this context, and its documents hold of the data what an operation refers to, if anything; what
is wrong outside of the operation is not looked at (``SchemaEngine.check_operation``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlag_agent.schema.moduleset import module_of_prefix
from mlag_agent.schema.yin import quoted

__all__ = ["OUTPUT_SUFFIX", "operations_variants"]

OUTPUT_SUFFIX = "..output"
"""Behind an operation's name: the container of its output.  An identifier (RFC 7950 section 14) that nobody uses."""

_CALLED = frozenset({"rpc", "action"})
_ENVELOPES = _CALLED | {"notification"}
_DIRECTIONS = ("input", "output")
_DATA = frozenset({"container", "list", "leaf", "leaf-list", "choice", "anydata", "anyxml"})

# Texts say nothing to libyang.  Everything is state in this context, or an input could not refer to state (RFC 7950
# section 7.21.1 allows a config true node to depend on configuration only); state has no order by the user.
# Deviations have been made already, by pyang, in the statements that are written here.
_LEFT_OUT = frozenset({"description", "reference", "contact", "organization", "config", "ordered-by", "deviation"})


def operations_variants(ctx: Any) -> Mapping[str, str]:
    """File name to text of the variant of every module and submodule that pyang's context has."""
    texts: dict[str, str] = {}
    for module in ctx.modules.values():
        revision = module.i_latest_revision
        texts[f"{module.arg}@{revision}.yang" if revision else f"{module.arg}.yang"] = _Variant(module).text()
    return texts


class _Variant:
    """Writes one module."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._lines: list[str] = []

    def text(self) -> str:
        self._emit(self._module, 0)
        return "\n".join(self._lines) + "\n"

    def _emit(self, stmt: Any, depth: int) -> None:
        keyword = stmt.keyword if isinstance(stmt.keyword, str) else ":".join(stmt.raw_keyword)
        if keyword in _LEFT_OUT:
            return
        if keyword in ("must", "when", "unique") and stmt.top is not self._module:
            return  # a deviation's, written with the prefixes of the module that deviates; of the data tree as a rule
        substatements = [s for s in stmt.substmts if depth != 1 or s.keyword not in ("mandatory", "min-elements")]
        if keyword in _CALLED:
            shared = [s for s in substatements if s.keyword not in _DIRECTIONS]
            for direction, suffix in zip(_DIRECTIONS, ("", OUTPUT_SUFFIX), strict=True):
                own = next((s for s in stmt.i_children if s.keyword == direction), None)
                body = [*shared, *(own.substmts if own is not None else ())]
                self._block(f"container {quoted(stmt.arg + suffix)}", _ENVELOPE, body, depth)
        elif keyword == "notification":
            self._block(f"container {quoted(stmt.arg)}", _ENVELOPE, substatements, depth)
        else:
            self._block(keyword + self._argument(stmt, keyword), _added(stmt, keyword, depth), substatements, depth)

    def _block(self, head: str, added: Iterable[str], substatements: Sequence[Any], depth: int) -> None:
        pad = "  " * depth
        added = list(added)
        if not added and not substatements:
            self._lines.append(f"{pad}{head};")
            return
        self._lines.append(f"{pad}{head} {{")
        self._lines.extend(f"{pad}  {line}" for line in added)
        for sub in substatements:
            self._emit(sub, depth + 1)
        self._lines.append(pad + "}")

    def _argument(self, stmt: Any, keyword: str) -> str:
        if stmt.arg is None:
            return ""
        if keyword in ("augment", "refine"):
            return " " + quoted(self._target(stmt))
        return " " + quoted(stmt.arg)

    def _target(self, stmt: Any) -> str:
        """A schema node identifier (RFC 7950 section 6.5) without the steps that are no nodes in the variant."""
        absolute = stmt.arg.lstrip().startswith("/")
        steps = [step.strip() for step in stmt.arg.strip().strip("/").split("/")]
        if not any(step.rpartition(":")[2] in _DIRECTIONS for step in steps):
            return str(stmt.arg)
        children = self._top(steps[0]).i_children if absolute else stmt.parent.i_grouping.i_children
        written: list[str] = []
        for step in steps:
            prefix, _, name = step.rpartition(":")
            module = self._module_of(prefix) if prefix or absolute else None
            found = next((c for c in children if _named(c, name, module)), None)
            if found is not None and found.keyword == "output":
                written[-1] += OUTPUT_SUFFIX
            elif found is None or found.keyword != "input":
                written.append(step)
            children = getattr(found, "i_children", None) or ()
        return ("/" if absolute else "") + "/".join(written)

    def _top(self, step: str) -> Any:
        return self._module.i_ctx.get_module(self._module_of(step.rpartition(":")[0]))

    def _module_of(self, prefix: str) -> str:
        return module_of_prefix(self._module, prefix) if prefix else str(self._module.i_modulename)


def _named(stmt: Any, name: str, module: str | None) -> bool:
    own = stmt.arg if stmt.keyword not in _DIRECTIONS else stmt.keyword
    return bool(own == name and module in (None, stmt.i_module.i_modulename))


# With presence, or what is mandatory below would be missed where nothing of it is given: in the output of an operation
# when its input is checked, and in the data of the operation's module.
_ENVELOPE = ("config false;", 'presence "operation";')


def _added(stmt: Any, keyword: str, depth: int) -> Iterable[str]:
    if keyword in _DATA:
        yield "config false;"
    if keyword == "container" and depth == 1 and stmt.search_one("presence") is None:
        yield 'presence "top level";'
