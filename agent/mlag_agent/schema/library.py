"""The served module set: which modules, from which folders, with which features; their tree and engines.

Standard modules come from the pyang distribution (ARCHITECTURE section 2); ours from ``yang/``.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from mlag_agent.errors import SchemaError
from mlag_agent.schema.cache import SchemaCache, module_of_file
from mlag_agent.schema.engine import SchemaEngine
from mlag_agent.schema.events import event_tree
from mlag_agent.schema.loaded import LoadedSchema
from mlag_agent.schema.nodes import Module, ModuleRequest, SchemaTree
from mlag_agent.schema.scope import Scopes
from mlag_agent.schema.triggers import Conditions

__all__ = ["Form", "ModuleRequest", "Schema", "SchemaLibrary", "own_folders", "standard_folders", "yang_folder"]


def yang_folder() -> Path:
    """Our own modules: beside the package in an installation, at the top of a checkout otherwise."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "yang", package.parent.parent / "yang"):
        if folder.is_dir():
            return folder
    raise SchemaError(f"the folder yang/ is neither in {package} nor at the top of a checkout; reinstall mlag-agent")


def own_folders() -> tuple[Path, ...]:
    """Where our own modules are: with the deviations of the device models."""
    return (yang_folder(), yang_folder() / "models")


def standard_folders() -> tuple[Path, ...]:
    """The IETF's and IANA's modules, as the pyang distribution installs them below the environment's prefix."""
    for prefix in (sys.prefix, sysconfig.get_path("data"), sys.base_prefix, str(Path.home() / ".local")):
        base = Path(prefix) / "share" / "yang" / "modules"
        if (base / "ietf").is_dir():
            return (base / "ietf", base / "iana")
    raise SchemaError("the YANG modules of the pyang distribution are not installed; reinstall pyang with pip")


def _read(requests: Sequence[ModuleRequest], folders: Sequence[Path]) -> LoadedSchema:
    from mlag_agent.schema.model import load_schema  # noqa: PLC0415  # pyang, which a start from the cache never needs

    return load_schema(requests, folders)


class Form(StrEnum):
    """The languages that a schema is given out in (RFC 6022 section 2.1.3)."""

    YANG = "yang"
    YIN = "yin"


@dataclass(frozen=True, slots=True)
class Schema:
    """A module or submodule; of a submodule the namespace is that of its module."""

    name: str
    revision: str
    namespace: str
    file: str


# Texts that are kept for the next client: those of a module set of the usual size, in both forms.
KEPT_TEXTS = 256


@dataclass(frozen=True, eq=False, repr=False)
class SchemaLibrary:
    """Everything that loading a module set gives.  ``folders`` were searched in order."""

    tree: SchemaTree
    engine: SchemaEngine
    variants: Mapping[str, str]
    """The files of the operations context, name to text."""
    folders: tuple[Path, ...]
    scopes: Scopes
    conditions: Conditions
    content_id: str
    """Changes with the module set, and only then (RFC 8525 section 3)."""

    @classmethod
    def load(
        cls, requests: Sequence[ModuleRequest], extra_folders: Sequence[Path] = (), cache: SchemaCache | None = None
    ) -> SchemaLibrary:
        """Load modules into pyang, or take them from the cache, and into libyang; raises SchemaError."""
        folders = (*extra_folders, *own_folders(), *standard_folders())
        slot = None if cache is None else cache.slot(requests, folders)
        kept = None if cache is None or slot is None else cache.get(slot)
        loaded = _read(requests, folders) if kept is None else kept
        tree = loaded.tree
        with _scratch() as scratch:
            engine = SchemaEngine.load(_implemented(tree), _search_path(tree, folders, scratch), tree)
        library = cls(tree, engine, loaded.operations, folders, loaded.scopes, loaded.conditions, loaded.content_id)
        if kept is None:
            _ = library.operations  # what is wrong with them is said at the first start
            if cache is not None and slot is not None:
                cache.put(slot, loaded)
        return library

    @cached_property
    def operations(self) -> SchemaEngine:
        """The operations context (``schema.operations``), loaded when it is first asked for."""
        with _scratch() as scratch:
            for name, text in self.variants.items():
                (scratch / name).write_text(text, encoding="utf-8")
            return SchemaEngine.load(_implemented(self.tree), (scratch,), self.tree)

    @cached_property
    def events(self) -> SchemaTree:
        """The schema of events: the root above all notifications is its ``data``."""
        return event_tree(self.tree)

    @cached_property
    def schemas(self) -> Mapping[tuple[str, str], Schema]:
        """Every module and submodule that get-schema gives out (RFC 6022 section 3.1), by name and revision."""
        found: dict[tuple[str, str], Schema] = {}
        for module in (*self.tree.modules.values(), *self.tree.others):
            for name, revision, file in ((module.name, module.revision, module.path), *module.submodules):
                found.setdefault((name, revision), Schema(name, revision, module.namespace, file))
        return found

    def text(self, schema: Schema, form: Form = Form.YANG) -> str:
        """The text of a module or submodule of the set.  Raises SchemaError when its file is gone."""
        known = self._texts.get((schema, form))
        if known is None:
            known = self._written(schema, form)
            if len(self._texts) >= KEPT_TEXTS:
                self._texts.clear()
            self._texts[(schema, form)] = known
        return known

    def _written(self, schema: Schema, form: Form) -> str:
        try:
            if form is Form.YANG and not schema.file.endswith(".yin"):
                return Path(schema.file).read_text(encoding="utf-8")
            from mlag_agent.schema.model import yang_of, yin_of  # noqa: PLC0415  # pyang, as in _read

            return yang_of(schema.file) if form is Form.YANG else yin_of(schema.file, self.tree)
        except OSError as problem:
            raise SchemaError(f"{schema.file}, which was read at the start, cannot be read: {problem}") from problem

    @cached_property
    def _texts(self) -> dict[tuple[Schema, Form], str]:
        return {}


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for files that libyang is to read.  Raises SchemaError when the system has no place for one."""
    try:
        with TemporaryDirectory(prefix="mlag-agent-") as folder:
            yield Path(folder)
    except OSError as problem:
        raise SchemaError(f"libyang needs a temporary folder with files: {problem}") from problem


def _search_path(tree: SchemaTree, folders: Sequence[Path], scratch: Path) -> Sequence[Path]:
    """Folders in which libyang finds just the files that pyang has chosen.

    It searches in a way of its own: other revisions, folders below.  Where there is a choice it gets a folder of links.
    """
    files = _files(tree)
    known = {name.partition("@")[0].removesuffix(Path(name).suffix) for name in files}
    found: list[str] = []
    for folder in dict.fromkeys(folders):
        if not folder.is_dir():
            continue
        with os.scandir(folder) as entries:
            found.extend(entry.path for entry in entries if entry.is_dir() or module_of_file(entry.name) in known)
    if sorted(found) == sorted(files.values()):
        return folders
    for name, file in files.items():
        (scratch / name).symlink_to(Path(file).absolute())
    return (scratch,)


def _implemented(tree: SchemaTree) -> Sequence[ModuleRequest]:
    """What pyang found to be implemented by augment, deviation or leafref is implemented in libyang too."""
    return [ModuleRequest(m.name, m.features, m.revision or None) for m in _imports_first(tree)]


def _imports_first(tree: SchemaTree) -> Sequence[Module]:
    """The implemented modules.  libyang compiles a module, with those it augments, as soon as it gets it; the features
    of these must be enabled by then."""
    order: dict[str, Module] = {}

    def visit(module: Module) -> None:
        if module.name in order:
            return
        order[module.name] = module  # imports are never circular (RFC 7950 section 5.1): pyang has seen to it
        for name in module.imports:
            visit(tree.modules[name])
        order[module.name] = order.pop(module.name)

    for module in tree.modules.values():
        visit(module)
    return [module for module in order.values() if module.implemented]


def _files(tree: SchemaTree) -> Mapping[str, str]:
    """Every module and submodule of the set: the name of a file that says the revision, and where the file is."""
    return {
        f"{name}{'@' if revision else ''}{revision}{Path(file).suffix}": file
        for module in (*tree.modules.values(), *tree.others)
        for name, revision, file in ((module.name, module.revision, module.path), *module.submodules)
    }
