"""The served module set: which modules, from which folders, with which features; their tree and engines.

Standard modules come from the pyang distribution (ARCHITECTURE section 2); ours from ``yang/``.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from mlag_agent.errors import SchemaError
from mlag_agent.schema.cache import SchemaCache
from mlag_agent.schema.engine import SchemaEngine
from mlag_agent.schema.events import event_tree
from mlag_agent.schema.loaded import LoadedSchema
from mlag_agent.schema.nodes import Module, ModuleRequest, SchemaTree
from mlag_agent.schema.scope import Scopes

__all__ = ["ModuleRequest", "SchemaLibrary", "own_folders", "standard_folders", "yang_folder"]


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


@dataclass(frozen=True)
class SchemaLibrary:
    """Everything that loading a module set gives.  ``folders`` were searched in order."""

    tree: SchemaTree
    engine: SchemaEngine
    operations: SchemaEngine
    folders: tuple[Path, ...]
    scopes: Scopes
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
        # What pyang found to be implemented by augment or deviation is implemented in libyang too.
        implemented = [
            ModuleRequest(m.name, m.features, m.revision or None) for m in tree.modules.values() if m.implemented
        ]
        with TemporaryDirectory(prefix="mlag-agent-") as folder:
            # libyang takes submodules and imports from folders only; all of them are in this one.
            for name, text in loaded.operations.items():
                Path(folder, name).write_text(text, encoding="utf-8")
            operations = SchemaEngine.load(implemented, (Path(folder),), tree)
        engine = SchemaEngine.load(implemented, folders, tree)
        if cache is not None and slot is not None and kept is None:
            cache.put(slot, loaded)  # not before libyang has taken it as well
        return cls(tree, engine, operations, folders, loaded.scopes, loaded.content_id)

    @cached_property
    def events(self) -> SchemaTree:
        """The schema of events: the root above all notifications is its ``data``."""
        return event_tree(self.tree)

    def text(self, name: str, revision: str | None) -> str | None:
        """YANG text of a module or submodule of the set; None where there is none of that revision."""
        for module in self.tree.modules.values():
            for candidate, its_revision, path in self._files(module):
                if candidate == name and revision in (None, "", its_revision):
                    return Path(path).read_text(encoding="utf-8")
        return None

    @staticmethod
    def _files(module: Module) -> Sequence[tuple[str, str, str]]:
        return [(module.name, module.revision, module.path), *module.submodules]
