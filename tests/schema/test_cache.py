"""The schema cache: it gives what loading gives, only while nothing has changed, and trusts nobody."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from mlag_agent.config import Settings, cache_folder
from mlag_agent.schema import cache as cache_module
from mlag_agent.schema import library as library_module
from mlag_agent.schema.cache import SchemaCache, user_cache_folder
from mlag_agent.schema.library import ModuleRequest, SchemaLibrary, standard_folders
from mlag_agent.schema.loaded import LoadedSchema
from mlag_agent.schema.model import load_schema
from mlag_agent.schema.nodes import SchemaNode

MODULE = """module a {
  yang-version 1.1; namespace "urn:a"; prefix a; %s
  feature f;
  container c {
    leaf x { type string; }
    leaf y { if-feature f; type union { type int8; type enumeration { enum one; } } default one; }
    choice ch { case p { leaf q { type leafref { path "../x"; } } } leaf r { type empty; } }
    list l { key k; leaf k { type string; } leaf v { type uint8; must ". != 1"; } }
    action act { input { leaf z { type string; } } }
  }
}
"""
DEVIATIONS = """module b {
  yang-version 1.1; namespace "urn:b"; prefix b; import a { prefix a; }
  deviation "/a:c/a:x" { deviate add { default "%s"; } }
  augment "/a:c" { leaf more { type string; } }
}
"""


def everything(value: Any, seen: dict[int, int] | None = None) -> Any:
    """All that can be reached from an object, as plain values; what occurs twice is told by number."""
    seen = {} if seen is None else seen
    if isinstance(value, Enum) or value is None or isinstance(value, str | int | bool | bytes):
        return value
    if dataclasses.is_dataclass(value):
        if id(value) in seen and not type(value).__eq__ is not object.__eq__:
            return ("again", seen[id(value)])
        if type(value).__eq__ is object.__eq__:
            seen[id(value)] = len(seen)
        return (
            type(value).__qualname__,
            {field.name: everything(getattr(value, field.name), seen) for field in dataclasses.fields(value)},
        )
    if isinstance(value, Mapping):
        rows = [(key, item) for key, item in value.items()]
        if rows and isinstance(rows[0][0], SchemaNode):
            rows.sort(key=lambda row: row[0].path)
        return [(everything(key, seen), everything(item, seen)) for key, item in rows]
    if isinstance(value, frozenset | set):
        nodes = sorted(value, key=lambda item: item.path if isinstance(item, SchemaNode) else item)
        return ("set", [everything(item, seen) for item in nodes])
    assert isinstance(value, tuple | list), type(value)
    return [everything(item, seen) for item in value]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "yang"
    folder.mkdir()
    (folder / "a.yang").write_text(MODULE % "include s; revision 2020-01-01;")
    (folder / "s.yang").write_text(
        "submodule s { yang-version 1.1; belongs-to a { prefix a; } container sub { leaf n { type int8; } } }"
    )
    (folder / "b.yang").write_text(DEVIATIONS % "one")
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> SchemaCache:
    return SchemaCache(tmp_path / "cache" / "schema")


REQUESTS = (ModuleRequest("a", ("f",)), ModuleRequest("b"))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows whenever the modules are read by pyang."""
    found: list[int] = []
    original = library_module._read

    def counting(*args: Any) -> LoadedSchema:
        found.append(1)
        return original(*args)

    monkeypatch.setattr(library_module, "_read", counting)
    return found


def load(cache: SchemaCache, folder: Path, *requests: ModuleRequest) -> SchemaLibrary:
    return SchemaLibrary.load(requests or REQUESTS, [folder], cache)


def entry(cache: SchemaCache) -> Path:
    (file,) = cache._folder.iterdir()
    return file


# --- it changes nothing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "requests",
    [
        REQUESTS,
        (
            ModuleRequest("dfs-m-lag", ("ipv6",)),
            ModuleRequest("dfs-m-lag-deviations"),
            ModuleRequest("mlag-simulator"),
            ModuleRequest("ietf-alarms", ("alarm-shelving", "alarm-history")),
            ModuleRequest("ietf-netconf", ("candidate", "startup")),
            ModuleRequest("ietf-system"),
            ModuleRequest("ietf-yang-push"),
        ),
    ],
)
def test_what_is_kept_is_what_was_loaded(
    cache: SchemaCache, folder: Path, requests: tuple[ModuleRequest, ...], reads: list[int]
) -> None:
    first = load(cache, folder, *requests)
    second = load(cache, folder, *requests)
    assert reads == [1]
    fresh = everything(load_schema(requests, first.folders))
    for library in (first, second):
        kept = LoadedSchema(library.tree, {}, library.scopes, library.conditions, library.content_id)
        assert everything(kept) == everything(dataclasses.replace(load_schema(requests, first.folders), operations={}))
    slot = cache.slot(requests, first.folders)
    assert slot is not None
    assert everything(cache.get(slot)) == fresh
    assert second.tree.modules == first.tree.modules


def test_the_comparison_sees_differences(folder: Path) -> None:
    folders = (folder, *standard_folders())
    loaded = everything(load_schema(REQUESTS, folders))
    assert loaded == everything(load_schema(REQUESTS, folders))
    assert loaded != everything(load_schema((ModuleRequest("a"), ModuleRequest("b")), folders))
    (folder / "b.yang").write_text(DEVIATIONS % "two")
    assert loaded != everything(load_schema(REQUESTS, folders))


# --- it is out of date as soon as anything has changed -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change"), [("a.yang", ("leaf v", "leaf w")), ("b.yang", ("one", "two")), ("s.yang", ("int8", "int16"))]
)
def test_changed_file(cache: SchemaCache, folder: Path, reads: list[int], name: str, change: tuple[str, str]) -> None:
    before = load(cache, folder)
    file = folder / name
    status = file.stat()
    file.write_text(file.read_text().replace(*change))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # the time of the file proves nothing
    after = load(cache, folder)
    assert reads == [1, 1]
    assert after.content_id != before.content_id
    load(cache, folder)
    assert reads == [1, 1]


def test_new_revision_and_earlier_folder(cache: SchemaCache, folder: Path, tmp_path: Path, reads: list[int]) -> None:
    load(cache, folder)
    (folder / "a@2030-01-01.yang").write_text(MODULE % "include s; revision 2030-01-01;")
    assert load(cache, folder).tree.modules["a"].revision == "2030-01-01"
    nearer = tmp_path / "nearer"
    nearer.mkdir()
    folders = [nearer, folder]
    SchemaLibrary.load(REQUESTS, folders, cache)
    count = len(reads)
    (nearer / "b.yang").write_text(DEVIATIONS % "nearer")
    after = SchemaLibrary.load(REQUESTS, folders, cache)
    assert len(reads) == count + 1
    assert after.tree.find("/a:c/x").defaults == ("nearer",)
    (nearer / "b.yang").unlink()
    assert SchemaLibrary.load(REQUESTS, folders, cache).tree.find("/a:c/x").defaults == ("one",)


def test_features_and_order_are_part_of_the_question(cache: SchemaCache, folder: Path, reads: list[int]) -> None:
    load(cache, folder)
    load(cache, folder, ModuleRequest("a"), ModuleRequest("b"))
    load(cache, folder, ModuleRequest("a", ("f",)))
    assert len(reads) == 3


def test_another_program(cache: SchemaCache, folder: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    load(cache, folder)
    monkeypatch.setattr(cache_module, "__version__", "99")
    load(cache, folder)
    assert len(reads) == 2


def test_file_that_changes_while_it_is_read(cache: SchemaCache, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = library_module._read

    def slow(*args: Any) -> LoadedSchema:
        loaded = original(*args)
        (folder / "b.yang").write_text(DEVIATIONS % "later")
        return loaded

    monkeypatch.setattr(library_module, "_read", slow)
    load(cache, folder)
    monkeypatch.undo()
    assert load(cache, folder).tree.find("/a:c/x").defaults == ("later",)


def test_what_cannot_be_served_is_not_kept(cache: SchemaCache, folder: Path) -> None:
    (folder / "b.yang").write_text('module b { namespace "urn:b"; prefix b; leaf x { type string; must "no()"; } }')
    for _ in range(2):
        with pytest.raises(Exception, match="b"):
            load(cache, folder)
    assert not cache._folder.exists()


# --- it trusts nobody -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "foreign", "other pickle"])
def test_damaged_file(cache: SchemaCache, folder: Path, reads: list[int], damage: str) -> None:
    load(cache, folder)
    file = entry(cache)
    content = file.read_bytes()
    other = pickle.dumps(({}, "no schema"))
    file.write_bytes(
        {
            "cut": content[:-1],
            "flip": content[:2000] + bytes([content[2000] ^ 1]) + content[2001:],
            "empty": b"",
            "foreign": b"#!/bin/sh\n",
            "other pickle": cache_module._MAGIC + hashlib.sha256(other).digest() + other,
        }[damage]
    )
    assert load(cache, folder).tree.find("/a:c/x").defaults == ("one",)
    assert len(reads) == 2
    load(cache, folder)
    assert len(reads) == 2


class Evil:
    def __init__(self, file: Path) -> None:
        self._file = str(file)

    def __reduce__(self) -> Any:
        return os.mkdir, (self._file,)


def test_no_code_is_run(cache: SchemaCache, folder: Path, tmp_path: Path, reads: list[int]) -> None:
    load(cache, folder)
    content = pickle.dumps(({}, Evil(tmp_path / "made by a pickle")))
    entry(cache).write_bytes(cache_module._MAGIC + hashlib.sha256(content).digest() + content)
    load(cache, folder)
    assert not (tmp_path / "made by a pickle").exists()
    assert len(reads) == 2


@pytest.mark.parametrize("how", ["mode", "link", "file", "entry link"])
def test_folder_of_others(cache: SchemaCache, folder: Path, tmp_path: Path, reads: list[int], how: str) -> None:
    load(cache, folder)
    place = cache._folder
    if how == "mode":
        place.chmod(0o755)
    elif how == "link":
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
    elif how == "file":
        place.rename(tmp_path / "elsewhere")
        place.write_text("")
    else:
        file = entry(cache)
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    assert load(cache, folder).tree.find("/a:c/x").defaults == ("one",)
    assert len(reads) == 2


def test_read_only_place(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "in the way").write_text("")
    assert load(SchemaCache(tmp_path / "in the way" / "cache"), folder).tree.modules["a"].implemented


# --- it is bounded --------------------------------------------------------------------------------------------


def test_the_least_used_go(cache: SchemaCache, folder: Path, monkeypatch: pytest.MonkeyPatch, reads: list[int]) -> None:
    monkeypatch.setattr(cache_module, "MAX_ENTRIES", 2)
    one, two, three = ModuleRequest("a"), ModuleRequest("a", ("f",)), ModuleRequest("b")
    for number, request in enumerate((one, two)):
        known = set(cache._folder.iterdir()) if number else set()
        load(cache, folder, request)
        (new,) = set(cache._folder.iterdir()) - known
        os.utime(new, (number, number))
    load(cache, folder, one)  # used: now two is the oldest
    load(cache, folder, three)
    assert len(list(cache._folder.iterdir())) == 2
    count = len(reads)
    load(cache, folder, one)
    load(cache, folder, three)
    assert len(reads) == count
    load(cache, folder, two)
    assert len(reads) == count + 1


def test_size_is_bounded(cache: SchemaCache, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "MAX_ENTRY_BYTES", 1000)
    load(cache, folder)
    assert list(cache._folder.iterdir()) == []


def test_modes(cache: SchemaCache, folder: Path) -> None:
    load(cache, folder)
    assert cache._folder.stat().st_mode & 0o777 == 0o700
    assert entry(cache).stat().st_mode & 0o777 == 0o600


# --- where ----------------------------------------------------------------------------------------------------


def test_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert user_cache_folder() == Path("/x/mlag-agent/schema")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert user_cache_folder() == Path.home() / ".cache/mlag-agent/schema"
    monkeypatch.setenv("CACHE_DIRECTORY", "/var/cache/mlag-agent:/other")
    assert user_cache_folder() == Path("/var/cache/mlag-agent/schema")
    assert cache_folder(Settings(schema_cache="off")) is None
    assert cache_folder(Settings(schema_cache="/y")) == Path("/y")
    assert cache_folder(Settings()) == user_cache_folder()


def test_pyang_is_not_imported_before_it_is_needed() -> None:
    """It would cost a start from the cache more than the cache does."""
    check = "import sys, mlag_agent.cli; sys.exit(any(name.partition('.')[0] == 'pyang' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
