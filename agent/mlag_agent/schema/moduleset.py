"""Which modules of pyang's context are served, how, and in which revision."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlag_agent.schema.nodes import Module, SchemaTree

__all__ = ["ServedModules", "fingerprint", "module_of_prefix", "served_modules"]


@dataclass(frozen=True, slots=True)
class ServedModules:
    """``modules``: by name, with pyang's ``statements``; ``others``: further revisions, imported by date."""

    modules: dict[str, Module]
    statements: Mapping[str, Any]
    others: tuple[Module, ...]


def served_modules(
    ctx: Any, requested: Sequence[Any], features: Mapping[str, Sequence[str]], referred: Iterable[str] = ()
) -> ServedModules:
    """All modules of the context; those augmented or deviated by an implemented one are implemented too, as are those
    that leafrefs of an implemented one lead into (``referred``).

    Of a module that is not asked for the latest revision counts; only one can be implemented (RFC 7950 section 5.6.5).
    """
    statements: dict[str, Any] = {}
    for stmt in ctx.modules.values():
        if stmt.keyword == "module":
            known = statements.get(stmt.arg)
            if known is None or _revision(known) < _revision(stmt):
                statements[stmt.arg] = stmt
    statements |= {module.arg: module for module in requested}
    implemented = {module.arg for module in requested} | set(referred)
    deviations: dict[str, set[str]] = {}
    left = sorted(implemented)
    while left:
        name = left.pop()
        augmented = set(_targets(statements[name], "augment"))
        deviated = set(_targets(statements[name], "deviation"))
        for target in deviated:
            deviations.setdefault(target, set()).add(name)
        left += sorted((augmented | deviated) - implemented)
        implemented |= augmented | deviated
    modules = {}
    for name, stmt in sorted(statements.items()):
        modules[name] = _module(
            stmt,
            implemented=name in implemented,
            features=tuple(sorted(features.get(name, ()))),
            deviations=tuple(sorted(deviations.get(name, ()))),
        )
    others = sorted(
        (stmt for stmt in ctx.modules.values() if stmt.keyword == "module" and stmt is not statements[stmt.arg]),
        key=lambda stmt: (stmt.arg, _revision(stmt)),
    )
    return ServedModules(modules, statements, tuple(_module(stmt) for stmt in others))


def _module(
    stmt: Any, *, implemented: bool = False, features: tuple[str, ...] = (), deviations: tuple[str, ...] = ()
) -> Module:
    files = included(stmt)
    return Module(
        name=stmt.arg,
        revision=_revision(stmt),
        namespace=stmt.search_one("namespace").arg,
        prefix=stmt.i_prefix,
        yang_version=stmt.i_version,
        implemented=implemented,
        path=str(stmt.pos.ref),
        features=features,
        deviations=deviations,
        submodules=tuple((sub.arg, _revision(sub), str(sub.pos.ref)) for sub in files),
        imports=tuple(sorted({imported.arg for file in (stmt, *files) for imported in file.search("import")})),
    )


def _revision(stmt: Any) -> str:
    """The latest revision of a module or submodule, empty when it has none."""
    return max((revision.arg for revision in stmt.search("revision")), default="")


def included(module: Any) -> Sequence[Any]:
    """The submodules, also those that only a submodule includes, which YANG 1 allows."""
    found: dict[str, Any] = {}
    left = [module]
    while left:
        for include in left.pop().search("include"):
            date = include.search_one("revision-date")
            submodule = module.i_ctx.get_module(include.arg, None if date is None else date.arg)
            if submodule is not None and submodule.arg not in found:
                found[submodule.arg] = submodule
                left.append(submodule)
    return list(found.values())


def module_of_prefix(file: Any, prefix: str) -> str:
    """The name of the module that a prefix stands for in a module or submodule; pyang has the submodule's own name for
    the prefix of ``belongs-to``."""
    name: str = file.i_prefixes[prefix][0]
    return str(file.i_modulename) if name == file.arg else name


def _targets(module: Any, keyword: str) -> Iterator[str]:
    """Names of the modules whose nodes the module's top-level augments or deviations name."""
    for source in (module, *included(module)):
        for stmt in source.search(keyword):
            for step in stmt.arg.strip("/").split("/"):
                prefix, separator, _ = step.strip().partition(":")
                if separator and prefix in source.i_prefixes:
                    name = module_of_prefix(source, prefix)
                    if name != module.arg:
                        yield name


def fingerprint(tree: SchemaTree) -> str:
    """A digest of the module set: names, revisions, features, deviations (RFC 8525 content-id)."""
    digest = hashlib.sha256()
    for module in (*tree.modules.values(), *tree.others):
        digest.update(
            repr((module.name, module.revision, module.implemented, module.features, module.deviations)).encode()
        )
        for name, revision, path in ((module.name, module.revision, module.path), *module.submodules):
            digest.update(repr((name, revision)).encode() + Path(path).read_bytes())
    return digest.hexdigest()
