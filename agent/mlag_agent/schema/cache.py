"""A loaded module set, kept from one start to the next (docs/decisions/020): pyang takes longer than all the rest.

The cache changes nothing but the time.  An entry is found by all that it was made from - the modules and features
asked for, the names of the YANG files in each folder searched, this program and pyang - and counts only while every
file that could have been used still has the content that it had.  In doubt there is no entry.

Entries are pickles, and a pickle from a stranger runs his code.  So the folder must be this user's alone, entries
carry a digest that is checked first, and only the classes of ``schema`` are made from one.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import pickle
import re
import stat
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlag_agent import __version__
from mlag_agent.schema import nodes
from mlag_agent.schema.loaded import LoadedSchema
from mlag_agent.schema.nodes import ModuleRequest
from mlag_agent.schema.scope import Scopes
from mlag_agent.schema.triggers import Conditional, Conditions

__all__ = ["SchemaCache", "Slot", "module_of_file", "user_cache_folder"]

_LOG = logging.getLogger(__name__)

# Module sets that are kept: a developer's few agents, or those of a test suite.  The least used ones go first.
MAX_ENTRIES = 32
# One set of some hundred modules is a few MB; what is larger is not worth the disk.
MAX_ENTRY_BYTES = 64 * 1024 * 1024
MAX_TOTAL_BYTES = 256 * 1024 * 1024

_MAGIC = b"mlag-agent schema 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size

# As pyang and libyang read file names: NAME[@REVISION].yang, or .yin.
_FILE_NAME = re.compile(r"(?P<name>[A-Za-z_][\w.-]*?)(?:@\d{4}-\d{2}-\d{2})?\.(?:yang|yin)")

_CLASSES = {
    (kind.__module__, kind.__qualname__): kind
    for kind in (LoadedSchema, Scopes, Conditional, Conditions, *vars(nodes).values())
    if isinstance(kind, type) and kind.__module__.startswith("mlag_agent.schema.")
}


def module_of_file(name: str) -> str | None:
    """The module or submodule that a file holds by its name; None for other files."""
    match = _FILE_NAME.fullmatch(name)
    return None if match is None else match["name"]


def user_cache_folder() -> Path:
    """Where this user's caches are: what systemd gives (CacheDirectory=), else by the XDG base directories."""
    given = os.environ.get("CACHE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given) / "schema"
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative path is to be ignored (XDG base directory specification).
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "mlag-agent" / "schema"


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the schema of one module set is kept.  ``before``: the YANG files as they were before any was read."""

    file: Path
    folders: tuple[Path, ...]
    before: Mapping[str, tuple[int, int, int]]


class SchemaCache:
    """The entries in one folder, which is made when there is something to keep.

    Nothing is raised for what is wrong with a folder or a file: the schema is then loaded as if there were no cache.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def slot(self, requests: Sequence[ModuleRequest], folders: Sequence[Path]) -> Slot | None:
        """For these modules from these folders; None when the folders cannot be read."""
        try:
            found = _yang_files(folders)
            name = _key(requests, folders, found)
            return Slot(self._folder / f"{name}.schema", tuple(folders), {file: _stamp(file) for file in found})
        except OSError as problem:
            _LOG.info("no schema cache: %s", problem)
            return None

    def get(self, slot: Slot) -> LoadedSchema | None:
        """What was kept; None when there is nothing, or it is out of date."""
        try:
            if not self._folder.exists() or not self._is_ours():
                return None
            content = _read_private(slot.file)
            if content is None:
                return None
            entry = _decoded(content)
            if entry is None:
                _LOG.warning("%s is damaged; the schema is loaded anew", slot.file)
                return None
            files, loaded = entry
            if files != _digests(_candidates(loaded, slot.before)):
                return None
            os.utime(slot.file)  # used: the last to go
        except OSError as problem:
            _LOG.info("no schema cache: %s", problem)
            return None
        return loaded

    def put(self, slot: Slot, loaded: LoadedSchema) -> None:
        """Keep a schema that was read after ``slot`` was asked for, if that is possible."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._is_ours():
                return
            files = _candidates(loaded, slot.before)
            digests = _digests(files)
            if any(_stamp(file) != slot.before[file] for file in files):
                return  # nobody knows which content was read
            content = _encoded(digests, loaded)
            if len(content) > MAX_ENTRY_BYTES:
                _LOG.info("the schema is not kept: %d bytes are too many", len(content))
                return
            self._write(slot.file, content)
            self._prune()
        except (OSError, RecursionError) as problem:  # RecursionError: pickle follows the depth of the tree
            _LOG.info("the schema is not kept: %s", problem)

    def _write(self, file: Path, content: bytes) -> None:
        """All of it or nothing, also when several agents start at once."""
        handle, temporary = tempfile.mkstemp(dir=self._folder)  # mode 0600
        try:
            with os.fdopen(handle, "wb") as opened:
                opened.write(content)
            Path(temporary).replace(file)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _prune(self) -> None:
        """The least used entries, and what a crash has left half written, go when there are too many."""
        found: list[tuple[float, int, Path]] = []
        for file in self._folder.iterdir():
            try:
                status = file.lstat()
            except FileNotFoundError:  # another agent was faster
                continue
            found.append((status.st_mtime, status.st_size, file))
        total = 0
        for number, (_, size, file) in enumerate(sorted(found, reverse=True)):
            total += size
            if number >= MAX_ENTRIES or total > MAX_TOTAL_BYTES:
                file.unlink(missing_ok=True)

    def _is_ours(self) -> bool:
        """Whether nobody but this user can put anything into the folder."""
        status = self._folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077:
            return True
        _LOG.warning("the schema cache %s is not used: it must be a folder of this user with mode 0700", self._folder)
        return False


def _read_private(file: Path) -> bytes | None:
    """The content of a regular file of this user; None when there is no file."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as opened:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise PermissionError(f"{file} is not a file of this user")
        if status.st_size > MAX_ENTRY_BYTES:
            raise OSError(f"{file} is too large")
        return opened.read(MAX_ENTRY_BYTES)


def _key(requests: Sequence[ModuleRequest], folders: Sequence[Path], files: Sequence[str]) -> str:
    """A digest of what is asked for and of who answers.

    The names of the files count: a new one may be a later revision, or come first in the search.
    """
    digest = hashlib.sha256()
    asked = [(request.name, request.features, request.revision) for request in requests]
    digest.update(repr((__version__, sys.version_info[:3], asked, [str(folder) for folder in folders], files)).encode())
    for source in _program():
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _program() -> Iterable[Path]:
    """Our part of the loading, and the file that has pyang's version, which is not imported for this."""
    yield from sorted(Path(__file__).parent.glob("*.py"))
    pyang = find_spec("pyang")
    if pyang is not None and pyang.origin is not None:
        yield Path(pyang.origin)


def _yang_files(folders: Sequence[Path]) -> Sequence[str]:
    """Every file whose name is that of a YANG module, in the order of the search."""
    found: list[str] = []
    for folder in dict.fromkeys(folders):
        try:
            names = sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            continue  # pyang ignores such a folder too
        found.extend(str(folder / name) for name in names if _FILE_NAME.fullmatch(name))
    return found


def _stamp(file: str) -> tuple[int, int, int]:
    status = Path(file).stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _candidates(loaded: LoadedSchema, files: Iterable[str]) -> Sequence[str]:
    """Every file that holds, by its name, a module or submodule of the set: also the revisions not taken."""
    modules = loaded.tree.modules.values()
    known = {module.name for module in modules} | {name for module in modules for name, _, _ in module.submodules}
    return [file for file in files if module_of_file(Path(file).name) in known]


def _digests(files: Iterable[str]) -> dict[str, bytes]:
    return {file: hashlib.sha256(Path(file).read_bytes()).digest() for file in files}


def _encoded(files: dict[str, bytes], loaded: LoadedSchema) -> bytes:
    content = pickle.dumps((files, loaded), protocol=5)
    return _MAGIC + hashlib.sha256(content).digest() + content


def _decoded(data: bytes) -> tuple[dict[str, bytes], LoadedSchema] | None:
    """None for anything but what ``_encoded`` gives."""
    content = data[len(_MAGIC) + _DIGEST_BYTES :]
    if data != _MAGIC + hashlib.sha256(content).digest() + content:
        return None
    try:
        files, loaded = _Unpickler(io.BytesIO(content)).load()
    except Exception:  # noqa: BLE001  # a pickle that is none can raise anything
        return None
    return (files, loaded) if isinstance(files, dict) and isinstance(loaded, LoadedSchema) else None


class _Unpickler(pickle.Unpickler):  # see find_class
    """Makes objects of our own classes and nothing else."""

    def find_class(self, module: str, name: str, /) -> Any:
        try:
            return _CLASSES[(module, name)]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a schema") from None
